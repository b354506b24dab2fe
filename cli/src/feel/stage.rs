//! A match without sockets, threads or a clock on the wall: server and bots take their turns in simulated time, so that what is told
//! depends on nothing but the seed.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use arbiter_headless_client::runner::memory::BotsInMemory;
use arbiter_headless_client::runner::{BotsReport, Content};
use arbiter_server::ServerConfig;
use arbiter_server::staged::Staged;
use arbiter_sim::rules::MatchSettings;
use arbiter_transport::Key;
use arbiter_transport::conditioner::Profile;

use super::truth::Truth;
use crate::host::Play;
use crate::stop::Stop;

/// When it begins: any time will do.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// Bots have a turn so often, as on their threads.
const TURN: Duration = Duration::from_millis(1);
/// The socket thread has a turn so often.
const ADVANCE_TURNS: u32 = 5;

/// What is played.
pub struct Match<'a> {
    /// The content.
    pub play: &'a Play,
    /// How it is played.
    pub settings: MatchSettings,
    /// Seeds the match, the bots and their links.
    pub seed: u64,
    /// The link of each bot.
    pub link: Profile,
    /// For how long.
    pub duration: Duration,
}

/// Plays it: how the bots did, and what the server decided.
pub fn play(it: &Match<'_>, stop: &Stop) -> Result<(BotsReport, Truth)> {
    let server: SocketAddr = ([10, 255, 0, 1], 7_000).into();
    let key = Key::generate()?;
    let (rules, map) = (Arc::clone(&it.play.rules), Arc::clone(&it.play.map));
    let content = Content::with_plugins(Arc::clone(&rules), Arc::clone(&map), Arc::clone(&it.play.plugins))?;
    let mut config = ServerConfig::new(key.clone(), rules, map, it.settings.clone());
    (config.plugins, config.seed) = (Arc::clone(&it.play.plugins), Some(it.seed));
    let mut stage = Staged::new(config, server, EPOCH).context("the room did not start")?;
    let who = (it.settings.players_max, it.seed, it.link);
    let mut bots = BotsInMemory::new(&content, who, (server, &key), EPOCH)?;
    let period = Duration::from_secs(1) / u32::from(it.settings.tick_rate);
    let mut truth = Truth::default();
    let (mut now, mut due, mut turns) = (EPOCH, EPOCH, 0_u32);
    while now < EPOCH + it.duration && !stop.asked() {
        (now, turns) = (now + TURN, turns + 1);
        bots.turn(now, &mut |from, bytes| stage.hear(now, from, bytes));
        if turns.is_multiple_of(ADVANCE_TURNS) {
            stage.advance(now);
        }
        if now >= due {
            due += period;
            if !stage.tick(now) {
                break;
            }
            stage.send(now);
            truth.note(stage.simulation());
            // The next match counts its ticks from the start again.
            if stage.simulation().ended().is_some() {
                break;
            }
        }
        for (to, bytes) in stage.datagrams().iter() {
            bots.send(now, to, bytes);
        }
        stage.datagrams().clear();
    }
    Ok((bots.into_report(), truth))
}
