//! Bots over real sockets, and how long each was shown nothing new behind a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use arbiter_headless_client::freezes::Freeze;
use arbiter_headless_client::runner::{BotsConfig, BotsError, BotsReport, Content, Door, run_bots};
use arbiter_transport::conditioner::{PERFECT, Profile};

use crate::tally::Scene;

/// What came last before a failure may have come so long before it, and some ticks: a snapshot or two, and what was on its way.
const BEFORE: Duration = Duration::from_millis(200);
const TICKS_BEFORE: u32 = 3;

/// What is attributed to a failure began so soon behind it.
const BEHIND: Duration = Duration::from_millis(1_500);

pub struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<BotsReport, BotsError>>,
}

impl Crowd {
    pub fn start(door: Door, content: Content, scene: &Scene) -> Self {
        let link = Profile { delay: scene.delay, ..PERFECT };
        // Each has an address of its own, as players have: servers bound what comes from one.
        let config = BotsConfig { seed: 5, link, apart: true, ..BotsConfig::new(door, scene.bots, content) };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Self { stop, thread: std::thread::spawn(move || run_bots(&config, &told)) }
    }

    pub fn finish(self) -> Result<BotsReport> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| anyhow!("the bots panicked"))??)
    }
}

/// For each failure and bot the longest freeze that began around it, in milliseconds. A bot that was shown something new
/// all the time counts with 0.
pub fn frozen(freezes: &[Vec<Freeze>], failures: &[Duration], scene: &Scene) -> Vec<u64> {
    let before = BEFORE + Duration::from_secs(1) / u32::from(scene.tick_rate) * TICKS_BEFORE;
    let of = |bot: &[Freeze], failure: Duration| {
        let near = |freeze: &&Freeze| freeze.from + before >= failure && freeze.from <= failure + BEHIND;
        bot.iter().filter(near).map(|freeze| freeze.lasted.as_millis() as u64).max().unwrap_or(0)
    };
    let mut ms: Vec<u64> = failures.iter().flat_map(|at| freezes.iter().map(move |bot| of(bot, *at))).collect();
    ms.sort_unstable();
    ms
}

/// A share of sorted samples.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or(0)
}
