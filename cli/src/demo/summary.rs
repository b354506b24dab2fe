//! What a demo comes to, for people and for scripts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::tally::Used;
use super::town::Purse;

/// Players whose earnings are told to people.
const EARNED_SHOWN: usize = 5;

/// The result of a demo.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Mode and map by name.
    pub mode: String,
    /// The map's name.
    pub map: String,
    /// Seed of the match and its bots.
    pub seed: u64,
    /// Bots that played.
    pub bots: u16,
    /// Ticks in a second.
    pub tick_rate: u16,
    /// Ticks simulated.
    pub ticks: u32,
    /// Whether the match came to its own end.
    pub finished: bool,
    /// How it ended.
    pub result: String,
    /// Score of each team; empty where each plays alone.
    pub scores: Vec<i32>,
    /// Players killed by players.
    pub kills: u32,
    /// Players that died of anything.
    pub deaths: u32,
    /// Control points taken.
    pub captures: u32,
    /// Weapons that were fired.
    pub weapons_used: usize,
    /// Weapons that there are.
    pub weapons_all: usize,
    /// Weapons that nobody fired.
    pub weapons_unused: Vec<String>,
    /// Abilities that were used.
    pub abilities_used: usize,
    /// Abilities that there are.
    pub abilities_all: usize,
    /// Abilities that nobody used.
    pub abilities_unused: Vec<String>,
    /// Middle tick, µs of the room's thread.
    pub tick_p50_us: f32,
    /// One tick in a hundred takes longer, µs.
    pub tick_p99_us: f32,
    /// Ticks that began late.
    pub overruns: u64,
    /// To each client, kbit/s with IP and UDP headers, on average.
    pub down_kbit_s: f32,
    /// From each client, kbit/s with IP and UDP headers, on average.
    pub up_kbit_s: f32,
    /// What each player got for the match.
    pub purses: Vec<Purse>,
    /// The recording.
    pub recording: Option<RecordingSummary>,
}

/// A recording on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordingSummary {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its size by its length.
    pub bytes_per_minute: u64,
    /// Whether it was re-simulated to the same hashes; `None` if that was not waited for.
    pub verified: Option<bool>,
    /// What its verification found, for people.
    pub verification: String,
}

impl Summary {
    /// Notes which weapons and abilities were used.
    pub fn note_used(&mut self, weapons: Used, abilities: Used) {
        (self.weapons_used, self.weapons_all, self.weapons_unused) = (weapons.used, weapons.all, weapons.unused);
        (self.abilities_used, self.abilities_all, self.abilities_unused) =
            (abilities.used, abilities.all, abilities.unused);
    }

    /// For people: the result, what it cost, the recording and the command that replays it.
    pub fn for_people(&self) -> String {
        let mut lines = vec![format!(
            "{} after {} s: {} kills, {} of {} weapons and {} of {} abilities used",
            self.result,
            self.ticks / u32::from(self.tick_rate.max(1)),
            self.kills,
            self.weapons_used,
            self.weapons_all,
            self.abilities_used,
            self.abilities_all,
        )];
        if !self.scores.is_empty() {
            let scores: Vec<String> =
                self.scores.iter().zip(1..).map(|(points, team)| format!("team {team} {points}")).collect();
            lines.push(format!("score      {}", scores.join(", ")));
        }
        lines.push(format!(
            "tick       p50 {:.0} us, p99 {:.0} us, {} overruns in {} ticks",
            self.tick_p50_us, self.tick_p99_us, self.overruns, self.ticks
        ));
        lines.push(format!("per client {:.0} kbit/s down, {:.0} kbit/s up", self.down_kbit_s, self.up_kbit_s));
        lines.push(format!("seed       {}", self.seed));
        lines.extend(self.earned());
        if let Some(recording) = &self.recording {
            lines.push(format!(
                "recording  {} ({} KB, {} KB a minute), {}",
                recording.path.display(),
                recording.bytes / 1000,
                recording.bytes_per_minute / 1000,
                recording.verification,
            ));
            lines.push(format!("replay     arbiter replay verify {}", recording.path.display()));
        }
        lines.join("\n")
    }

    /// What the winners got; of a match without any, what all did.
    fn earned(&self) -> Vec<String> {
        let any_won = self.purses.iter().any(|purse| purse.won);
        let shown = || self.purses.iter().filter(|purse| !purse.earned.is_empty() && (purse.won || !any_won));
        let line = |purse: &Purse| {
            let sums = purse.earned.iter().fold(BTreeMap::<&str, u64>::new(), |mut sums, earned| {
                *sums.entry(&earned.asset).or_default() += earned.amount;
                sums
            });
            let sums: Vec<String> = sums.into_iter().map(|(asset, amount)| format!("{amount} {asset}")).collect();
            let why: Vec<&str> = purse.earned.iter().rev().map(|earned| earned.reward.as_str()).collect();
            format!("earned     {} {} ({})", purse.name, sums.join(", "), why.join(", "))
        };
        let mut lines: Vec<String> = shown().take(EARNED_SHOWN).map(line).collect();
        let more = shown().count().saturating_sub(EARNED_SHOWN);
        if more > 0 {
            lines.push(format!("           and {more} more"));
        }
        if lines.is_empty() && !self.purses.is_empty() {
            lines.push("earned     nothing: see assets/economy/catalogue.ron for how long one has to play".to_owned());
        }
        lines
    }

    /// The lines that scripts read.
    pub fn figures(&self) -> String {
        let mut lines = Vec::new();
        if let Some(recording) = &self.recording {
            lines.push(format!("figure recording.per_minute {:.1} KB", recording.bytes_per_minute as f64 / 1000.0));
        }
        lines.push(format!("figure demo.down {:.1} kbit/s", self.down_kbit_s));
        lines.push(format!("figure demo.tick.p99 {:.1} us", self.tick_p99_us));
        lines.join("\n")
    }
}
