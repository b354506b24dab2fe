//! `arbiter bots --report feel`: bots play over bad links on a server in this process, and what each saw on its screen is
//! compared with what the server decided. Time is simulated, so that the same seed tells the same on any machine; `--real-time` plays
//! over real sockets instead.

mod judge;
mod reasons;
mod stage;
mod truth;

use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arbiter_headless_client::prediction::WATCHED;
use arbiter_headless_client::runner::feel::FeelLog;
use arbiter_headless_client::runner::{BotsConfig, BotsReport};
use arbiter_schema::{ComponentId, StableId};
use arbiter_sim::prediction::{Mine, Prediction};
use arbiter_sim::rules::MatchSettings;
use arbiter_sim::{Command, Input, Loadout, Simulation};
use arbiter_transport::conditioner::{Loss, Profile};

use self::judge::{Moves, Shots};
use self::truth::{Followed, Truth};
use crate::assets::Assets;
use crate::bots_command::{BotsArgs, run_until_told};
use crate::host::Play;
use crate::keys::random_seed;
use crate::plugins::Plugins;
use crate::report::{self, Observed};
use crate::stop::Stop;

/// Round trips of the links, in milliseconds.
const ROUND_TRIPS_MS: [u64; 3] = [30, 100, 200];
/// What the links lose: 2 % in bursts of three.
const LOSS: Loss = Loss { good: 0.0, bad: 0.7, turns_bad: 0.0098, turns_good: 0.33 };
/// What they jitter.
const JITTER: Duration = Duration::from_millis(2);
/// Ticks a second of the match.
const TICK_RATE: u16 = 60;
/// What a correction says was not as predicted.
const WATCHED_NAMES: [&str; WATCHED + 1] =
    ["movement", "mobility", "weapons", "abilities", "effects", "life", "a prop near by"];

/// From an input to the moment in which another player's screen shows its tick, the mean over all pairs.
fn to_another_screen(logs: &[FeelLog], tick_s: f64) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for (at, one) in logs.iter().enumerate() {
        for (_, other) in logs.iter().enumerate().filter(|(other, _)| *other != at) {
            for (tick, pressed) in &one.pressed {
                let next = other.shown.partition_point(|(shown, _)| *shown < f64::from(*tick));
                let Some((shown, when)) = other.shown.get(next) else { continue };
                let passed = when.as_secs_f64() - pressed.as_secs_f64() - (shown - f64::from(*tick)) * tick_s;
                (sum, count) = (sum + passed, count + 1);
            }
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}

fn figure(name: &str, value: f64, unit: &str) {
    report::figure("feel", name, value, unit);
}

fn minutes(logs: &[FeelLog]) -> f64 {
    logs.iter().map(|log| log.played.as_secs_f64() / 60.0).sum()
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole > 0 { f64::from(part) * 100.0 / f64::from(whole) } else { 0.0 }
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
fn resident() -> f64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    told.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

/// Plays over each link and tells figures.
pub fn run(args: &BotsArgs, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    let play = Play::load(Assets::from_folder(args.assets.clone())?, &args.map, plugins)?;
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    println!("{} bots, seed {seed}, map {}", args.count, args.map);
    println!("a tick that is simulated again costs this, on one hero without others:");
    figure("again.tick", tick_again_us(&play)?, "us");
    let asked = [2 * u64::from(args.delay)];
    let round_trips_ms: &[u64] = if args.delay > 0 { &asked } else { &ROUND_TRIPS_MS };
    for &round_trip_ms in round_trips_ms {
        if stop.asked() {
            break;
        }
        play_one(args, &play, seed, round_trip_ms, stop)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn play_one(args: &BotsArgs, play: &Play, seed: u64, round_trip_ms: u64, stop: &Stop) -> Result<()> {
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max: args.count, ..MatchSettings::default() };
    let link =
        Profile { delay: Duration::from_millis(round_trip_ms) / 2, jitter: JITTER, loss: LOSS, ..Profile::default() };
    if args.real_time {
        return play_in_real_time(args, play, seed, (round_trip_ms, link, settings), stop);
    }
    let duration = Duration::from_secs(args.duration.unwrap_or(report::SECONDS).into());
    let (report, truth) = stage::play(&stage::Match { play, settings, seed, link, duration }, stop)?;
    tell_all(play, round_trip_ms, &report, &truth);
    Ok(())
}

fn play_in_real_time(
    args: &BotsArgs,
    play: &Play,
    seed: u64,
    (round_trip_ms, link, settings): (u64, Profile, MatchSettings),
    stop: &Stop,
) -> Result<()> {
    let Observed { host, bots, truth } = report::observe(args, play, settings, seed, Truth::note)?;
    let before = resident();
    let config = BotsConfig { link, feel: true, ..bots };
    let report = run_until_told(&config, stop)?;
    let memory = resident() - before;
    // The server's last tick needs the truth once more, so that it must have ended before it is judged.
    host.close(Duration::from_secs(1), stop);
    let truth = truth.lock().unwrap_or_else(PoisonError::into_inner);
    tell_all(play, round_trip_ms, &report, &truth);
    tell_cost(round_trip_ms, &report, memory);
    Ok(())
}

fn tell_all(play: &Play, round_trip_ms: u64, report: &BotsReport, truth: &Truth) {
    let shots = judge::shots(&play.rules, TICK_RATE, truth, &report.feel);
    let moves = judge::moves(truth, &report.feel);
    tell(round_trip_ms, report, &shots);
    tell_moves(round_trip_ms, &report.feel, &moves, truth.substituted());
    for failure in &report.failed {
        eprintln!("{failure}");
    }
}

/// What clients cost, and whether the machine had time for them.
fn tell_cost(round_trip_ms: u64, report: &BotsReport, memory: f64) {
    let name = |what: &str| format!("rtt{round_trip_ms}.{what}");
    let minutes = minutes(&report.feel);
    let hitches = report.feel.iter().map(|log| log.hitches as f64).sum::<f64>();
    // Where this is not next to nothing the figures are those of a machine that was too busy.
    figure(&name("hitches"), hitches / minutes, "per_player_minute");
    figure(&name("client.cpu"), report.cpu.as_secs_f64() * 100.0 / (minutes * 60.0).max(1.0), "percent_of_core");
    figure(&name("client.memory"), memory / 1e6 / report.feel.len().max(1) as f64, "MB");
}

fn tell(round_trip_ms: u64, report: &BotsReport, shots: &Shots) {
    let name = |what: &str| format!("rtt{round_trip_ms}.{what}");
    let logs = &report.feel;
    let minutes = minutes(logs);
    let sum = |of: &dyn Fn(&FeelLog) -> f64| logs.iter().map(of).sum::<f64>();
    println!(
        "{round_trip_ms} ms: {} hits shown, {} left out because somebody was dead or protected on the server; {} hits decided, {} of \
         them clear misses on the screen and {} where it showed no shot",
        shots.shown, shots.left_out, shots.decided, shots.missed, shots.unshown
    );
    figure(&name("confirmed"), percent(shots.confirmed, shots.shown - shots.left_out), "percent");
    for (reason, count) in &shots.reasons {
        figure(&name(&format!("unconfirmed.{reason}")), percent(*count, shots.shown - shots.left_out), "percent");
    }
    figure(&name("left_out"), f64::from(shots.left_out), "hits");
    figure(&name("false_hits"), percent(shots.missed + shots.unshown, shots.decided), "percent");
    figure(&name("late_shots"), f64::from(shots.late) / minutes, "per_player_minute");
    figure(&name("again"), sum(&|log| log.predicted.again as f64) / minutes, "per_player_minute");
    figure(&name("late_inputs"), report.counts.late_inputs as f64 / minutes, "per_player_minute");
    let made = sum(&|log| (log.predicted.matched + log.predicted.unmatched) as f64);
    figure(&name("prespawned.matched"), sum(&|log| log.predicted.matched as f64) * 100.0 / made.max(1.0), "percent");
    // What is made in one tick is in the picture of the next.
    let notes = sum(&|log| log.pressed.len() as f64).max(1.0);
    figure(&name("own_screen"), 1.0 + sum(&|log| log.own_lag as f64) / notes, "ticks");
    let tick_s = 1.0 / f64::from(TICK_RATE);
    if let Some(seconds) = to_another_screen(logs, tick_s) {
        figure(&name("other_screen"), seconds * 1000.0, "ms");
    }
    figure(&name("view_delay"), sum(&|log| log.delay_ticks) / logs.len().max(1) as f64, "ticks");
    figure(&name("freezes"), sum(&|log| log.freezes as f64) / minutes * 60.0, "per_player_hour");
}

/// What moved one's own hero on the screen beside one's own input; `docs/decisions/prediction.md` says what counts.
fn tell_moves(round_trip_ms: u64, logs: &[FeelLog], moves: &Moves, substituted: usize) {
    let name = |what: &str| format!("rtt{round_trip_ms}.{what}");
    let minutes = minutes(logs);
    let rate = |count: f64| count / minutes.max(f64::MIN_POSITIVE);
    let corrections = moves.corrections();
    figure(&name("corrections"), rate(corrections.count.into()), "per_player_minute");
    figure(&name("corrections.mean"), corrections.mean(), "m");
    figure(&name("corrections.max"), corrections.max, "m");
    for (what, followed) in [
        ("late_input", Followed::LateInput),
        ("own_burst", Followed::OwnBurst),
        ("crowd", Followed::Crowd),
        ("else", Followed::Else),
    ] {
        figure(&name(&format!("corrections.{what}")), rate(moves.after(followed).count.into()), "per_player_minute");
    }
    for ((followed, wrong), count) in &moves.wrong {
        println!("  {count} moves behind {followed:?} where {} was not as predicted", WATCHED_NAMES[*wrong]);
    }
    let pushed = moves.after(Followed::OthersDeed);
    figure(&name("pushed"), rate(pushed.count.into()), "per_player_minute");
    figure(&name("pushed.mean"), pushed.mean(), "m");
    let wrong: Vec<u64> = (0..=WATCHED).map(|at| logs.iter().map(|log| log.predicted.wrong[at]).sum()).collect();
    println!("first not as predicted ({}): {wrong:?}", WATCHED_NAMES.join(", "));
    figure(&name("substituted"), rate(substituted as f64), "per_player_minute");
}

/// What it costs to simulate one tick again, restoring included, by a round trip of eight ticks.
fn tick_again_us(play: &Play) -> Result<f64> {
    const TICKS: u32 = 8;
    const ROUNDS: u32 = 2_000;
    let settings = MatchSettings::default();
    let mut server =
        Simulation::with_plugins(play.rules.clone(), play.map.clone(), 1, settings.clone(), &*play.plugins)?;
    server.step(&[Command::Join { slot: 0, loadout: Loadout::default() }]);
    for _ in 0..10 {
        server.step(&[]);
    }
    let mine = Mine { slot: 0, player: server.view().player(0).context("nobody joined")? };
    let mut prediction = Prediction::new(play.rules.clone(), play.map.clone(), settings, mine, &*play.plugins)?;
    let mut rows: Vec<(StableId, ComponentId, Vec<i32>)> = Vec::new();
    server.view().for_each_row(&mut |row| rows.push((row.id, row.component, row.lanes.to_vec())));
    let told = || rows.iter().map(|(id, component, lanes)| (*id, *component, lanes.as_slice()));
    let began = Instant::now();
    for _ in 0..ROUNDS {
        prediction.begin_again(server.tick());
        prediction.restore(server.tick(), &Input::default(), told());
        prediction.restore_bodies(server.tick(), told());
        for _ in 0..TICKS {
            prediction.step(Input { move_forward: 127, ..Input::default() });
        }
        prediction.go_on();
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS * TICKS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A match over links that lose a tenth.
    fn play_over_bad_links() -> (BotsReport, Truth, Shots) {
        let play = Play::load(Assets::embedded(), "arena", crate::plugins::none()).unwrap();
        let settings = MatchSettings { tick_rate: TICK_RATE, players_max: 10, ..MatchSettings::default() };
        let loss = Loss { turns_bad: 0.06, ..LOSS };
        let link = Profile { delay: Duration::from_millis(50), jitter: JITTER, loss, ..Profile::default() };
        let it = stage::Match { play: &play, settings, seed: 6, link, duration: Duration::from_secs(40) };
        let (report, truth) = stage::play(&it, &Stop::default()).unwrap();
        let judged = judge::shots(&play.rules, TICK_RATE, &truth, &report.feel);
        (report, truth, judged)
    }

    #[test]
    fn shots_that_only_a_correction_brings_are_shown_and_those_of_before_a_round_are_not() {
        let (report, truth, judged) = play_over_bad_links();
        let (begun, _) = truth.ticks().find(|(_, now)| now.running).unwrap();
        let mut late = 0;
        for log in &report.feel {
            let mut shown = BTreeSet::new();
            for shot in &log.shots {
                assert!(shown.insert((shot.tick, shot.weapon)), "twice: {shot:?}");
                // Nobody could know of it yet, and everybody is put somewhere else.
                assert!(shot.late || !(begun + 1..begun + 5).contains(&shot.tick), "{shot:?}");
            }
            for shot in log.shots.iter().filter(|shot| shot.late) {
                let pull = truth.tick(shot.tick).and_then(|now| now.pull(log.player, shot.weapon));
                late += u32::from(pull.is_some());
            }
        }
        assert!(late > 0 && judged.decided > 50, "{judged:?}");
    }
}
