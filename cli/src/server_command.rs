//! `arbiter server`: hosts matches until it is told to stop.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::arguments::ServerArguments;
use crate::assets::Assets;
use crate::config::{OnStop, Settings};
use crate::host::{Host, Play};
use crate::keys::read_or_make_key;
use crate::plugins::Plugins;
use crate::stop::Stop;

/// Seconds between two lines that say how it goes.
const PROGRESS_S: u64 = 10;
/// How often the server is asked whether its matches are over.
const LOOK: Duration = Duration::from_millis(100);
/// Time that closing recordings may take: an abandoned match has at most a few blocks in flight.
const CLOSING: Duration = Duration::from_secs(20);

/// Runs a server.
pub fn run(arguments: ServerArguments, plugins: Plugins, stop: &Stop) -> Result<()> {
    let settings = Settings::load(arguments.config.as_deref(), arguments.settings)?;
    if arguments.print_config {
        print!("{settings}");
        return Ok(());
    }
    let play = Play::load(Assets::from_folder(settings.assets.clone())?, &settings.map, plugins)?;
    let (key, made) = read_or_make_key(&settings.key_file)?;
    let path = settings.key_file.display();
    println!("{} {path}", if made { "made the development key" } else { "connect tokens are sealed with" });
    let host = Host::start(&settings, &play, key, None).context("the server did not start")?;
    println!(
        "listening on {}: {} of up to {} players on {} at {} Hz, {} {}, recording to {}",
        host.address(),
        settings.mode,
        settings.players_max,
        settings.map,
        settings.tick_rate,
        settings.rooms,
        if settings.rooms == 1 { "room" } else { "rooms" },
        settings.record_dir.display(),
    );

    let mut told = Instant::now();
    while !stop.asked() && !host.finished() {
        stop.wait(LOOK);
        if told.elapsed().as_secs() >= PROGRESS_S {
            told = Instant::now();
            println!("{}", host.progress());
        }
    }
    if stop.asked() && settings.on_stop == OnStop::Finish {
        println!("stopping: running matches are played to their end; once more stops at once");
        host.finish();
        while stop.times() < 2 && !host.finished() {
            stop.wait(LOOK);
        }
    } else if stop.asked() {
        println!("stopping: running matches are abandoned");
    }
    for recording in host.close(CLOSING) {
        let verdict = match recording.verified {
            Some(true) => "verified",
            Some(false) => "DIVERGENT OR DAMAGED",
            None => "not verified",
        };
        println!("recording {}: {verdict}", recording.path.display());
    }
    println!("stopped");
    Ok(())
}
