//! What became of the results: counted from the recordings, the outbox and the services' log, each read for itself.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use arbiter_contracts::{Envelope, Event};
use arbiter_eventlog::{Folder, Reader};
use arbiter_tests::{argument, printed, recordings, run};

/// Lines that are told of what is wrong: the first of them say it.
const WRONG_MAX: usize = 20;

#[derive(Debug, Default)]
pub struct Results {
    pub matches: usize,
    pub events: usize,
    /// Results of single players, as the recordings and the outbox have them.
    pub results: u64,
    /// Those of them that the services do not have, and matches of which nothing was told.
    pub lost: u64,
    pub wrong: Vec<String>,
}

/// Events of a log, by source and id.
type Told = BTreeMap<(String, String), Event>;

impl Results {
    pub fn count(folder: &Path) -> Result<Self> {
        let outbox = folder.join("outbox");
        let told = read(&outbox).context("the outbox")?;
        let stored = read(&folder.join("services/events")).context("the services' log")?;
        let mut results = Self { events: told.len(), ..Self::default() };
        for recording in recordings(&folder.join("recordings")) {
            results.matches += 1;
            // Simulates the match again and compares what it tells with the log.
            let compared = run(&["replay", "events", argument(&recording), "--outbox", argument(&outbox)]);
            if !compared.status.success() {
                results.lose(1, format!("{}: {}", recording.display(), printed(&compared)));
            }
        }
        for (name, event) in &told {
            let Event::MatchEnded(ended) = event else { continue };
            let players =
                ended.results.iter().filter(|result| result.player != 0 && result.ticks_played > 0).count() as u64;
            results.results += players;
            if stored.get(name) != Some(event) {
                results.lose(players, format!("{} {}: the services do not have it", name.0, name.1));
            }
        }
        Ok(results)
    }

    fn lose(&mut self, results: u64, why: String) {
        self.lost += results;
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(why);
        }
    }
}

fn read(folder: &Path) -> Result<Told> {
    let log = Reader::open(Folder::at(folder)?, None)?;
    let (mut told, mut records, mut next) = (Told::new(), Vec::new(), log.start());
    while next < log.end() {
        records.clear();
        log.read(next, 1 << 20, &mut records)?;
        for record in &records {
            next = record.position + 1;
            let Envelope { attributes, event } = Envelope::decode(&record.data)?;
            told.insert((attributes.source, attributes.id), event);
        }
    }
    Ok(told)
}
