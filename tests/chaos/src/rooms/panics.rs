//! Panics in a room of this process, while bots play in it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use arbiter_cli::host::Play;
use arbiter_headless_client::runner::{Content, Door};
use arbiter_server::stats::Recoveries;
use arbiter_server::{OnStop, Server, ServerConfig, ServerHandle};
use arbiter_sim::MatchSettings;
use arbiter_transport::Key;

use crate::Random;
use crate::crowd::Crowd;
use crate::saboteur::{Cause, Saboteur};
use crate::tally::{Scene, Tally};

/// One panic in so many is one that nothing helps against.
const ALWAYS_EVERY: u32 = 20;

/// Between two panics, and as much more at random.
const PAUSE: Duration = Duration::from_millis(1_200);

/// The longest that a room may take to go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks ahead that a panic is armed for: more than lie between two looks at the room's figures.
const AHEAD: u32 = 20;

pub fn play(folder: &Path, play: &Play, scene: &Scene, panics: u32, random: &mut Random) -> Result<Tally> {
    let saboteur = Saboteur::new();
    let key = Key::generate()?;
    let settings = MatchSettings { players_max: scene.bots, tick_rate: scene.tick_rate, ..MatchSettings::default() };
    let mut config = ServerConfig::new(key.clone(), play.rules.clone(), play.map.clone(), settings);
    config.record_dir = Some(folder.join("recordings"));
    config.outbox_dir = Some(folder.join("outbox"));
    config.intermission = Duration::from_millis(500);
    config.plugins = saboteur.plugins();
    let server = Server::start(config)?;
    let content = Content::new(play.rules.clone(), play.map.clone())?;
    let door = Door::Key { server: server.local_address(), key };
    let crowd = Crowd::start(door, content, scene);
    wait(|| server.room_stats(0).is_some_and(|room| room.players == scene.bots))?;
    let mut tally = Tally::default();
    for number in 0..panics {
        std::thread::sleep(PAUSE + PAUSE.mul_f64(random.part()));
        let cause = match number {
            _ if number % ALWAYS_EVERY == ALWAYS_EVERY - 1 => Cause::Always,
            _ if number.is_multiple_of(2) => Cause::World,
            _ => Cause::Input,
        };
        let before = server.stats().recoveries;
        saboteur.arm(server.room_stats(0).map_or(0, |room| room.tick) + AHEAD, cause);
        wait(|| saboteur.fired().is_some() && is_over(cause, before, server.stats().recoveries))?;
        saboteur.disarm();
        if cause == Cause::Always {
            tally.abandoned += 1;
            wait(|| plays_on(&server))?;
        } else {
            tally.resumed += 1;
            tally.failures.extend(saboteur.fired());
        }
        tally.progress(panics);
    }
    // What came last is shown to everybody.
    std::thread::sleep(PAUSE);
    let report = crowd.finish()?;
    server.stop(OnStop::Abandon);
    let stats = server.join();
    tally.failed = stats.rooms_failed;
    tally.take(&report, scene);
    Ok(tally)
}

/// Whether what was to follow a panic has followed.
fn is_over(cause: Cause, before: Recoveries, now: Recoveries) -> bool {
    match cause {
        Cause::World => now.rebuilt > before.rebuilt,
        Cause::Input => now.blanked > before.blanked,
        Cause::Always => now.abandoned > before.abandoned,
    }
}

/// Whether the next match has been going on for a moment.
fn plays_on(server: &ServerHandle) -> bool {
    server.room_stats(0).is_some_and(|room| (AHEAD..20 * AHEAD).contains(&room.tick))
}

fn wait(mut until: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !until() {
        if begin.elapsed() > PATIENCE {
            bail!("a room did not go on within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
