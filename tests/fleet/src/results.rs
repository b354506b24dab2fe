//! What became of the results: counted from the recordings, the outboxes and the services' log, each read for itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arbiter_contracts::v1::LeaveReason;
use arbiter_contracts::{Envelope, Event};
use arbiter_tests::{arbiter_at, argument, envelopes, printed, recordings};

/// Lines that are told of what is wrong: the first of them say it.
const WRONG_MAX: usize = 20;

/// What a game server left behind.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The program that wrote it: only the build that played a match simulates it again for sure.
    pub program: PathBuf,
    /// Folder of its recordings.
    pub recordings: PathBuf,
    /// Folder of its events.
    pub outbox: PathBuf,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Results {
    /// Matches that were recorded.
    pub matches: usize,
    /// Events that were told.
    pub events: usize,
    /// Results of single players, as the recordings and the outboxes have them.
    pub results: u64,
    /// Those of them that the services do not have, and matches of which nothing was told.
    pub lost: u64,
    /// Matches that the services have more than one end of.
    pub twice: u64,
    /// Players whose connection fell silent and who did not come back.
    pub silent: u64,
    /// The first of what is wrong.
    pub wrong: Vec<String>,
}

/// Events of a log, by source and id.
type Told = BTreeMap<(String, String), Event>;

impl Results {
    /// Compares what game servers left behind with what is in the folder of the services.
    pub fn count(services: &Path, servers: &[Kept]) -> Result<Self> {
        let stored = read(&services.join("events")).context("the services' log")?;
        let mut results = Self::default();
        for server in servers {
            results.compare(server, &stored)?;
        }
        let mut ends: BTreeMap<&[u8], u64> = BTreeMap::new();
        for event in stored.values() {
            match event {
                Event::MatchEnded(ended) => *ends.entry(&ended.r#match).or_default() += 1,
                Event::PlayerLeft(left) if left.reason() == LeaveReason::Timeout => results.silent += 1,
                _ => {}
            }
        }
        results.twice = ends.values().filter(|ends| **ends > 1).count() as u64;
        Ok(results)
    }

    fn compare(&mut self, server: &Kept, stored: &Told) -> Result<()> {
        let told = read(&server.outbox).context("an outbox")?;
        self.events += told.len();
        for recording in recordings(&server.recordings) {
            self.matches += 1;
            // Simulates the match again and compares what it tells with the log.
            let outbox = argument(&server.outbox);
            let compare = &["replay", "events", argument(&recording), "--outbox", outbox];
            let compared = arbiter_at(&server.program, compare).output()?;
            if !compared.status.success() {
                self.lose(1, format!("{}: {}", recording.display(), printed(&compared)));
            }
        }
        for (name, event) in &told {
            let Event::MatchEnded(ended) = event else { continue };
            let players =
                ended.results.iter().filter(|result| result.player != 0 && result.ticks_played > 0).count() as u64;
            self.results += players;
            if stored.get(name) != Some(event) {
                self.lose(players, format!("{} {}: the services do not have it", name.0, name.1));
            }
        }
        Ok(())
    }

    fn lose(&mut self, results: u64, why: String) {
        self.lost += results;
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(why);
        }
    }
}

fn read(folder: &Path) -> Result<Told> {
    let told = envelopes(folder)?.into_iter();
    Ok(told.map(|Envelope { attributes, event }| ((attributes.source, attributes.id), event)).collect())
}
