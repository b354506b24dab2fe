//! What reports of bots share: a match on a server in this process that is looked at from the inside, and how figures are told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use arbiter_headless_client::runner::{BotsConfig, Content, Door};
use arbiter_sim::Simulation;
use arbiter_sim::rules::MatchSettings;
use arbiter_transport::Key;

use crate::bots_command::BotsArgs;
use crate::host::{Host, Play};

/// Seconds that are played, unless told otherwise.
pub const SECONDS: u32 = 60;

/// Prints a figure of a report.
pub fn figure(report: &str, name: &str, value: f64, unit: &str) {
    println!("figure {report}.{name} {value:.3} {unit}");
}

/// A match that waits for its bots.
pub struct Observed<T> {
    /// The server.
    pub host: Host,
    /// Honest bots for it, on a perfect link.
    pub bots: BotsConfig,
    /// What was noted of it; complete once the host is closed.
    pub truth: Arc<Mutex<T>>,
}

/// Begins a match as `args` have it; `note` sees its state behind every tick.
pub fn observe<T: Default + Send + 'static>(
    args: &BotsArgs,
    play: &Play,
    settings: MatchSettings,
    seed: u64,
    note: fn(&mut T, &Simulation),
) -> Result<Observed<T>> {
    let truth = Arc::new(Mutex::new(T::default()));
    let noted = Arc::clone(&truth);
    let observer = Arc::new(move |_, simulation: &Simulation| {
        note(&mut noted.lock().unwrap_or_else(PoisonError::into_inner), simulation);
    });
    let key = Key::generate()?;
    let host = Host::observed(settings, play, key.clone(), observer).context("the server did not start")?;
    let content = Content::with_plugins(Arc::clone(&play.rules), Arc::clone(&play.map), Arc::clone(&play.plugins))?;
    let bots = BotsConfig {
        seed,
        duration: Some(Duration::from_secs(args.duration.unwrap_or(SECONDS).into())),
        ..BotsConfig::new(Door::Key { server: host.address(), key }, args.count, content)
    };
    Ok(Observed { host, bots, truth })
}
