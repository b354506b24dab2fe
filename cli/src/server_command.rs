//! `arbiter server`: hosts matches until it is told to stop.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::arguments::ServerArguments;
use crate::assets::Assets;
use crate::config::{OnStop, Settings, origin};
use crate::host::{Host, Play};
use crate::keys::read_or_make_key;
use crate::plugins::Plugins;
use crate::stop::Stop;

/// Seconds between two lines that say how it goes.
const PROGRESS_S: u64 = 10;
/// How often the server is asked whether its matches are over.
const LOOK: Duration = Duration::from_millis(100);
/// Time that verifying the last recordings may take; an orchestrator kills what takes longer than 30 s.
const CLOSING: Duration = Duration::from_secs(20);

/// Runs a server. Fails if a room panicked, or if a recording was not written or is not what was simulated.
pub fn run(arguments: ServerArguments, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    let file = arguments.config.as_deref();
    let (mode_said, map_said) = (arguments.settings.mode.is_some(), arguments.settings.map.is_some());
    let settings = Settings::load(file, arguments.settings)?;
    if arguments.print_config {
        print!("{settings}");
        return Ok(ExitCode::SUCCESS);
    }
    let play = Play::load(Assets::from_folder(settings.assets.clone())?, &settings.map, plugins)
        .with_context(|| origin(file, map_said, "map"))?;
    if play.rules.modes.iter().all(|mode| mode.name != settings.mode) {
        let known: Vec<&str> = play.rules.modes.iter().map(|mode| mode.name.as_str()).collect();
        let origin = origin(file, mode_said, "mode");
        bail!("{origin}: expected one of {}, found {:?}", known.join(", "), settings.mode);
    }
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
    if let Some(address) = host.operate_address() {
        println!("health and metrics on http://{address}/metrics");
    }

    let mut told = Instant::now();
    let mut drains = false;
    while !stop.asked() && !host.finished() {
        stop.wait(LOOK);
        if let Some(reason) = host.draining().filter(|_| !drains) {
            drains = true;
            println!("draining, since {reason}: {}", grace(&settings));
        }
        if told.elapsed().as_secs() >= PROGRESS_S {
            told = Instant::now();
            println!("{}", host.progress());
        }
    }
    // Whoever tells a server to stop that drains already is not in a hurry.
    if stop.asked() && settings.on_stop == OnStop::Finish {
        println!("stopping: {}; once more stops at once", grace(&settings));
        host.drain();
        while stop.times() < 2 && !host.finished() {
            stop.wait(LOOK);
        }
    } else if stop.asked() {
        println!("stopping: running matches are abandoned");
    }
    let closed = host.close(CLOSING, stop);
    for recorded in &closed.recordings {
        println!("recording {}: {}", recorded.path.display(), recorded.verification);
    }
    let failures = closed.failures();
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    let packets: Vec<String> =
        closed.packets.each().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
    println!("datagrams: {}", packets.join(", "));
    println!("stopped");
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What happens to running matches, for people.
fn grace(settings: &Settings) -> String {
    match settings.drain_grace {
        0 => "running matches are played to their end".to_owned(),
        seconds => format!("running matches are played to their end, for up to {seconds} s"),
    }
}
