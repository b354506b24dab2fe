//! `arbiter demo`: a server, bots that play over real UDP sockets, and a view of the running match, in one process.
//!
//! On a terminal the match is drawn by [`view`]; elsewhere a line tells how it goes every few seconds. Either way [`watch`]
//! looks into the room behind each tick, and [`summary`] is what it comes to.

mod canvas;
pub mod model;
pub(crate) mod screen;
pub mod summary;
pub mod tally;
mod terrain;
pub mod town;
pub mod view;
pub mod watch;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_headless_client::runner::Door;
use arbiter_transport::Key;

use crate::arguments::{DemoArguments, SummaryForm};
use crate::assets::Assets;
use crate::config::{Fleet, OnStop, Settings};
use crate::host::{Bots, Host, HostStats, Play, Recorded, Verification};
use crate::keys::random_seed;
use crate::plugins::Plugins;
use crate::stop::Stop;
use model::ViewModel;
use screen::Screen;
use summary::{RecordingSummary, Summary};
use town::Town;
use watch::{PICTURES_PER_SECOND, Watch};

/// Seconds between two progress lines where nothing can be drawn.
const PROGRESS_S: u64 = 5;
/// Seconds that the result stays on the screen.
const RESULT_S: u64 = 4;
/// Seconds beyond its duration after which a match that does not end is abandoned: overtime, warm-up and breaks end before.
const GRACE_S: u64 = 90;
/// Seconds that the closing of the recording may take.
const CLOSING_S: u64 = 20;

/// Plays one match. Fails if it was not recorded, or if its recording is not what was simulated.
pub fn run(arguments: &DemoArguments, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    let json = arguments.summary == Some(SummaryForm::Json);
    let play = Play::load(Assets::from_folder(arguments.assets.clone())?, &arguments.map, plugins)?;
    let (rules, map) = (Arc::clone(&play.rules), Arc::clone(&play.map));
    let seed = arguments.seed.map_or_else(random_seed, Ok)?;
    let settings = Settings {
        bind: ([127, 0, 0, 1], 0).into(),
        mode: arguments.mode.clone(),
        map: arguments.map.clone(),
        tick_rate: arguments.tick_rate,
        players_max: arguments.bots,
        teams: arguments.teams,
        match_seconds: Some(arguments.duration),
        seed: Some(seed),
        record_dir: arguments.record_dir.clone(),
        assets: arguments.assets.clone(),
        agones: Fleet::Off,
        on_stop: OnStop::Abandon,
        // The one match is verified before the demo ends if that is quick; the replay command does it again.
        verify: true,
        matches: 1,
        ..Settings::default()
    };
    let (key, mut town, settings) = if arguments.no_services {
        (Key::generate()?, None, settings)
    } else {
        let (key, town) = Town::found(arguments)?;
        let (outbox_dir, services) = (Some(town.outbox()), Some(town.url()));
        (key, Some(town), Settings { outbox_dir, services, ..settings })
    };
    let watch = Arc::new(Watch::default());
    let host =
        Host::start(&settings, &play, key.clone(), Some(Arc::clone(&watch))).context("the server did not start")?;
    let door = town.as_mut().map_or(Door::Key { server: host.address(), key }, Town::door);
    let bots = Bots::start(arguments.bots, door, seed, arguments.link, &play)?;
    let mode = rules.modes.iter().find(|mode| mode.name == arguments.mode);
    let mut model =
        ViewModel::new(Arc::clone(&map), mode.map_or_else(String::new, |mode| mode.title.clone()), arguments.tick_rate);

    let draws = !arguments.plain && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let mut screen = draws.then(Screen::take).transpose().context("the terminal cannot be drawn on; try --plain")?;
    let began = Instant::now();
    let over = Duration::from_secs(u64::from(arguments.duration) + GRACE_S);
    let mut told = began;
    let mut ended_at = None;
    let mut last = HostStats::default();
    while began.elapsed() < over && !stop.asked() {
        last = if ended_at.is_none() { host.stats() } else { last.of_the_match(&host.stats()) };
        if bots.ended() && watch.tally().outcome.is_none() {
            break;
        }
        let tally = watch.tally();
        if ended_at.is_none() && tally.outcome.is_some() {
            ended_at = Some(Instant::now());
        }
        if let Some(screen) = &mut screen {
            fill(&mut model, &watch, &last);
            model.result = tally.outcome.map(|_| tally::outcome_for_people(tally.outcome, watch.teams()));
            screen.draw(&model)?;
            if screen.quit_pressed(Duration::from_secs(1) / u32::from(PICTURES_PER_SECOND))? {
                break;
            }
            if ended_at.is_some_and(|at| at.elapsed().as_secs() >= RESULT_S) {
                break;
            }
        } else {
            if told.elapsed().as_secs() >= PROGRESS_S {
                told = Instant::now();
                fill(&mut model, &watch, &last);
                let line = progress(&model, tally.kills);
                if json { eprintln!("{line}") } else { println!("{line}") }
            }
            if ended_at.is_some() {
                break;
            }
            stop.wait(Duration::from_millis(50));
        }
    }
    // The terminal is given back before anything more is said.
    drop(screen);
    fill(&mut model, &watch, &last);
    let report = bots.stop()?;
    for failure in &report.failed {
        eprintln!("{failure}");
    }
    let closed = host.close(Duration::from_secs(CLOSING_S), stop);
    if report.played == 0 {
        bail!("no bot got into the match; set ARBITER_LOG=info to see what the server says");
    }

    // The server has ended: what it had to tell is with the services.
    let purses = town.as_ref().map(Town::purses).transpose();
    let purses = purses.context("the services do not say what the match was worth")?.unwrap_or_default();
    drop(town);

    let tally = watch.tally();
    let minutes = f64::from(tally.ticks.max(1)) / f64::from(arguments.tick_rate) / 60.0;
    let mut summary = Summary {
        mode: arguments.mode.clone(),
        map: arguments.map.clone(),
        seed,
        bots: arguments.bots,
        tick_rate: arguments.tick_rate,
        ticks: tally.ticks,
        finished: tally.outcome.is_some(),
        result: tally::outcome_for_people(tally.outcome, watch.teams()),
        scores: model.scores.iter().map(|score| score.points).collect(),
        kills: tally.kills,
        deaths: tally.deaths,
        captures: tally.captures,
        weapons_used: 0,
        weapons_all: 0,
        weapons_unused: Vec::new(),
        abilities_used: 0,
        abilities_all: 0,
        abilities_unused: Vec::new(),
        tick_p50_us: last.tick_p50_us,
        tick_p99_us: last.tick_p99_us,
        overruns: last.overruns,
        down_kbit_s: last.down_mean_kbit_s,
        up_kbit_s: last.up_mean_kbit_s,
        purses,
        recording: closed.recordings.first().map(|Recorded { path, verification }| {
            let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
            RecordingSummary {
                path: path.clone(),
                bytes,
                bytes_per_minute: (bytes as f64 / minutes) as u64,
                verified: (*verification != Verification::NotDone).then_some(!verification.is_bad()),
                verification: verification.to_string(),
            }
        }),
    };
    summary.note_used(tally.weapons(&rules), tally.abilities(&rules));
    if json {
        eprintln!("{}\n{}", summary.for_people(), summary.figures());
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        println!("{}", summary.for_people());
        eprintln!("{}", summary.figures());
    }
    let failures = closed.failures();
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    let recorded = failures.is_empty() && summary.recording.is_some();
    Ok(if recorded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fill(model: &mut ViewModel, watch: &Watch, stats: &HostStats) {
    watch.fill(model);
    let cost = &mut model.cost;
    cost.tick_p50_us = stats.tick_p50_us;
    cost.tick_p99_us = stats.tick_p99_us;
    cost.overruns = stats.overruns;
    cost.down_kbit_s = stats.down_kbit_s;
    cost.up_kbit_s = stats.up_kbit_s;
    cost.recorded_bytes = stats.recorded_bytes;
    cost.tick_history_us.clone_from(&stats.tick_recent_us);
}

fn progress(model: &ViewModel, kills: u32) -> String {
    let scores: Vec<String> = model.scores.iter().map(|score| score.points.to_string()).collect();
    let alive = model.players.iter().filter(|player| player.alive).count();
    format!(
        "{:>4.0} s  {} players, {alive} alive, {kills} kills{}{}  tick p50 {:.0} us p99 {:.0} us  {:.0} kbit/s down {:.0} up per client  {} overruns",
        model.elapsed_s,
        model.players.len(),
        if scores.is_empty() { "" } else { ", score " },
        scores.join(" : "),
        model.cost.tick_p50_us,
        model.cost.tick_p99_us,
        model.cost.down_kbit_s,
        model.cost.up_kbit_s,
        model.cost.overruns,
    )
}
