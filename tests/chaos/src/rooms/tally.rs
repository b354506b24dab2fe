//! What a run of failures came to.

use std::time::Duration;

use arbiter_headless_client::runner::BotsReport;

use crate::crowd::{frozen, percentile};

/// Where it is played, and by how many.
pub struct Scene {
    pub map: &'static str,
    pub bots: u16,
    pub tick_rate: u16,
    /// Each way.
    pub delay: Duration,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub resumed: u32,
    pub abandoned: u32,
    pub failed: u32,
    /// When they happened, since 1970; without those that ended a match.
    pub failures: Vec<Duration>,
    /// From a kill until the next process listens.
    pub restarts_ms: Vec<u64>,
    /// For each failure and bot.
    pub frozen_ms: Vec<u64>,
    /// Bots that did not get to play to the end.
    pub lost_bots: Vec<String>,
    pub comebacks: u32,
}

/// So many failures are one line of progress: some 20 seconds of panics, a minute and a half of kills.
const PROGRESS_EVERY: u32 = 10;

impl Tally {
    /// Says how far it has come, now and then.
    pub fn progress(&self, of: u32) {
        let done = self.resumed + self.abandoned;
        if done.is_multiple_of(PROGRESS_EVERY) && done < of {
            println!("  {done} of {of}: {} resumed, {} abandoned", self.resumed, self.abandoned);
        }
    }

    pub fn take(&mut self, report: &BotsReport, scene: &Scene) {
        self.frozen_ms = frozen(&report.freezes, &self.failures, scene);
        self.lost_bots.clone_from(&report.failed);
        self.comebacks = report.comebacks;
    }

    /// What is measured, for a script.
    pub fn figures(&self, name: &str) {
        for (share, percent) in [("p50", 50), ("p99", 99), ("max", 100)] {
            println!("figure {name}.frozen.{share} {} ms", percentile(&self.frozen_ms, percent));
        }
        println!("figure {name}.frozen.samples {} count", self.frozen_ms.len());
    }

    pub fn tell(&self, what: &str, scene: &Scene) {
        let (p50, p99) = (percentile(&self.frozen_ms, 50), percentile(&self.frozen_ms, 99));
        println!(
            "{what} on {} with {} players at {} ms: {} resumed, {} abandoned fairly, {} rooms lost; frozen p50 {p50} ms, p99 {p99} ms, \
             at most {} ms of {} samples; {} comebacks",
            scene.map,
            scene.bots,
            scene.delay.as_millis() * 2,
            self.resumed,
            self.abandoned,
            self.failed,
            self.frozen_ms.last().copied().unwrap_or(0),
            self.frozen_ms.len(),
            self.comebacks,
        );
        if !self.restarts_ms.is_empty() {
            let mut ms = self.restarts_ms.clone();
            ms.sort_unstable();
            println!("  listening again after p50 {} ms, at most {} ms", percentile(&ms, 50), percentile(&ms, 100));
        }
        self.lost_bots.iter().for_each(|line| println!("  {line}"));
    }
}
