//! What the screens showed beside what the server decided: shots, and moves of one's own hero that were not one's own.

use std::collections::{BTreeMap, BTreeSet};

use arbiter_headless_client::prediction::{Correction, SNAP};
use arbiter_headless_client::runner::feel::FeelLog;
use arbiter_headless_client::shots::Shot;
use arbiter_schema::StableId;
use arbiter_sim::rules::{Behaviour, Rules};

use super::reasons::{Case, Reasons};
use super::truth::{Followed, Truth};

/// A shot whose input was late, or one that a late input made possible, is decided so many ticks beside the one that showed it
/// at most: a fifteenth of a second at 60 ticks a second, in which nobody tells two shots apart.
const BESIDE_TICKS: u32 = 4;

/// What shots came to.
#[derive(Debug, Default)]
pub struct Shots {
    /// Hits on a shooter's screen.
    pub shown: u32,
    /// Of those, confirmed by the server.
    pub confirmed: u32,
    /// Of those, neither confirmed nor held against anyone: somebody was dead or protected on the server.
    pub left_out: u32,
    /// Hits that the server decided.
    pub decided: u32,
    /// Of those, clear misses on the shooter's screen.
    pub missed: u32,
    /// Of those, where the shooter's screen showed no shot.
    pub unshown: u32,
    /// Shots that a correction brought to the shooter's screen. Their hits are not counted as shown: the server had decided them.
    pub late: u32,
    /// Why those were not confirmed that were not.
    pub reasons: Reasons,
}

/// Whether what this weapon hits is decided in the tick of the trigger.
fn is_instant(rules: &Rules, weapon: u8) -> bool {
    let behaviour = rules.weapons.get(usize::from(weapon)).map(|weapon| &weapon.behaviour);
    matches!(behaviour, Some(Behaviour::Hitscan(_) | Behaviour::Melee(_)))
        || matches!(behaviour, Some(Behaviour::Beam(beam)) if !beam.heals)
}

/// Judges every shot of weapons that hit at once.
pub fn shots(rules: &Rules, tick_rate: u16, truth: &Truth, logs: &[FeelLog]) -> Shots {
    let mut judged = Shots::default();
    let rewind_ticks = rules.combat.rewind_max_ms * u32::from(tick_rate) / 1_000;
    for log in logs {
        judge_shown(rules, rewind_ticks, truth, log, &mut judged);
        judge_decided(rules, truth, log, &mut judged);
    }
    judged
}

/// Whether a hit was decided in a tick beside that of the shot that showed it, where the screen showed no shot.
fn confirmed_beside(truth: &Truth, log: &FeelLog, shot: &Shot, target: StableId) -> bool {
    let hit = (log.player, target, shot.weapon);
    let ticks = shot.tick.saturating_sub(BESIDE_TICKS)..=shot.tick + BESIDE_TICKS;
    let mut hits = ticks.filter(|tick| truth.tick(*tick).is_some_and(|truth| truth.hits.contains(&hit)));
    // Shots are in the order of their ticks.
    let shows = |tick: u32| {
        let from = log.shots.partition_point(|other| other.tick < tick);
        log.shots[from..].iter().take_while(|other| other.tick == tick).any(|other| other.weapon == shot.weapon)
    };
    hits.any(|tick| !shows(tick))
}

fn judge_shown(rules: &Rules, rewind_ticks: u32, truth: &Truth, log: &FeelLog, judged: &mut Shots) {
    let instant = || log.shots.iter().filter(|shot| is_instant(rules, shot.weapon) && shot.fresh);
    judged.late += instant().filter(|shot| shot.late).count() as u32;
    for shot in instant().filter(|shot| !shot.late) {
        let before = shot.tick.checked_sub(1).and_then(|tick| truth.tick(tick));
        let (Some(now), Some(before)) = (truth.tick(shot.tick), before) else { continue };
        for target in shot.hit.iter().filter(|_| now.running && before.running) {
            judged.shown += 1;
            if now.hits.contains(&(log.player, *target, shot.weapon)) || confirmed_beside(truth, log, shot, *target) {
                judged.confirmed += 1;
            } else if !before.living.contains(&log.player) || !before.mortal.contains(target)
                // Somebody else was faster in the very tick.
                || !now.living.contains(target)
            {
                judged.left_out += 1;
            } else {
                let case = Case { rules, rewind_ticks, truth, player: log.player, shot, target: *target };
                *judged.reasons.entry(case.reason()).or_default() += 1;
            }
        }
    }
}

fn judge_decided(rules: &Rules, truth: &Truth, log: &FeelLog, judged: &mut Shots) {
    let mut near: BTreeMap<(u8, u32), BTreeSet<StableId>> = BTreeMap::new();
    for shot in log.shots.iter().filter(|shot| is_instant(rules, shot.weapon)) {
        near.entry((shot.weapon, shot.tick)).or_default().extend(shot.near.iter().copied());
    }
    for (tick, now) in truth.ticks() {
        let own = now.hits.iter().filter(|(by, _, weapon)| *by == log.player && is_instant(rules, *weapon));
        for (_, target, weapon) in own {
            judged.decided += 1;
            if let Some(near) = near.get(&(*weapon, tick)) {
                judged.missed += u32::from(!near.contains(target));
                continue;
            }
            let beside = (*weapon, tick.saturating_sub(BESIDE_TICKS))..=(*weapon, tick + BESIDE_TICKS);
            if !near.range(beside).any(|(_, near)| near.contains(target)) {
                judged.unshown += 1;
            }
        }
    }
}

/// What moves of one's own hero came to, all players together.
#[derive(Debug, Default)]
pub struct Moves {
    /// By what they followed: how many, metres of all, metres of the largest.
    pub by: BTreeMap<Followed, Sum>,
    /// The same, with what was not as predicted as [`Correction::wrong`]: how many.
    pub wrong: BTreeMap<(Followed, usize), u32>,
}

/// Many moves.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sum {
    /// How many.
    pub count: u32,
    /// Metres of all.
    pub metres: f64,
    /// Metres of the largest.
    pub max: f64,
}

impl Sum {
    fn add(self, other: Self) -> Self {
        let max = self.max.max(other.max);
        Self { count: self.count + other.count, metres: self.metres + other.metres, max }
    }

    /// Metres of one, on average.
    pub fn mean(&self) -> f64 {
        self.metres / f64::from(self.count.max(1))
    }
}

impl Moves {
    /// Those that count as corrections: all but those that followed what others did.
    pub fn corrections(&self) -> Sum {
        let own = self.by.iter().filter(|(followed, _)| **followed != Followed::OthersDeed);
        own.fold(Sum::default(), |sum, (_, next)| sum.add(*next))
    }

    /// Those that followed one thing.
    pub fn after(&self, followed: Followed) -> Sum {
        self.by.get(&followed).copied().unwrap_or_default()
    }
}

/// Judges every move.
pub fn moves(truth: &Truth, logs: &[FeelLog]) -> Moves {
    let mut moves = Moves::default();
    for log in logs {
        for correction in &log.corrections {
            let followed = truth.followed(log.player, correction.before, correction.tick);
            // Who is put somewhere else comes back to life: that is news and moves nothing on the screen.
            if followed == Followed::OthersDeed && correction.metres > SNAP {
                continue;
            }
            let &Correction { metres, wrong, .. } = correction;
            let metres = f64::from(metres);
            *moves.wrong.entry((followed, wrong)).or_default() += 1;
            let sum = moves.by.entry(followed).or_default();
            *sum = sum.add(Sum { count: 1, metres, max: metres });
        }
    }
    moves
}
