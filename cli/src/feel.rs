//! `arbiter bots --report feel`: bots play over bad links on a server in this process, and what each saw on its screen is
//! compared with what the server decided.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arbiter_headless_client::prediction::WATCHED;
use arbiter_headless_client::runner::feel::FeelLog;
use arbiter_headless_client::runner::{BotsConfig, BotsReport, Content};
use arbiter_schema::{ComponentId, StableId};
use arbiter_sim::modes::{MatchState, Phase};
use arbiter_sim::players::Life;
use arbiter_sim::prediction::{Mine, Prediction};
use arbiter_sim::rules::{Behaviour, MatchSettings, Rules};
use arbiter_sim::{Cause, Command, Cue, Input, Loadout, Simulation};
use arbiter_transport::Key;
use arbiter_transport::conditioner::{Loss, Profile};

use crate::assets::Assets;
use crate::bots_command::{BotsArgs, run_until_told};
use crate::host::{Host, Play};
use crate::keys::random_seed;
use crate::plugins::Plugins;
use crate::stop::Stop;

/// Round trips of the links, in milliseconds.
const ROUND_TRIPS_MS: [u64; 3] = [30, 100, 200];
/// Seconds on each link, unless told otherwise.
const SECONDS: u32 = 60;
/// What the links lose: 2 % in bursts of three.
const LOSS: Loss = Loss { good: 0.0, bad: 0.7, turns_bad: 0.0098, turns_good: 0.33 };
/// What they jitter.
const JITTER: Duration = Duration::from_millis(2);
/// Ticks a second of the match.
const TICK_RATE: u16 = 60;

/// What the server decided.
#[derive(Default)]
struct Truth {
    ticks: BTreeMap<u32, TickTruth>,
}

#[derive(Default)]
struct TickTruth {
    running: bool,
    /// Who could be hurt behind this tick.
    mortal: Vec<StableId>,
    /// Who lived.
    living: Vec<StableId>,
    /// By whom, whom, with which weapon.
    hits: Vec<(StableId, StableId, u8)>,
}

impl Truth {
    fn note(&mut self, simulation: &Simulation) {
        let view = simulation.view();
        let mut now = TickTruth {
            running: view
                .resource::<MatchState>()
                .is_some_and(|it| matches!(it.phase, Phase::Running | Phase::Overtime)),
            ..TickTruth::default()
        };
        let tick = simulation.tick();
        for id in view.slots().filter_map(|slot| view.player(slot)) {
            if let Some(life) = view.get::<Life>(id).filter(|life| life.alive) {
                now.living.push(id);
                if tick >= life.protected_until {
                    now.mortal.push(id);
                }
            }
        }
        for cue in simulation.cues() {
            if let Cue::Hit { target, by, amount, cause: Cause::Weapon(weapon), .. } = cue
                && *amount > 0.0
            {
                now.hits.push((*by, *target, *weapon));
            }
        }
        self.ticks.insert(tick, now);
    }
}

/// What a run came to.
#[derive(Debug, Default)]
struct Verdict {
    shown_hits: u32,
    confirmed: u32,
    left_out: u32,
    decided: u32,
    false_hits: u32,
    unshown: u32,
}

/// Whether what this weapon hits is decided in the tick of the trigger.
fn is_instant(rules: &Rules, weapon: u8) -> bool {
    let behaviour = rules.weapons.get(usize::from(weapon)).map(|weapon| &weapon.behaviour);
    matches!(behaviour, Some(Behaviour::Hitscan(_) | Behaviour::Melee(_)))
        || matches!(behaviour, Some(Behaviour::Beam(beam)) if !beam.heals)
}

fn judge(rules: &Rules, truth: &Truth, logs: &[FeelLog]) -> Verdict {
    let mut verdict = Verdict::default();
    for log in logs {
        let mut near: BTreeMap<(u32, u8), BTreeSet<StableId>> = BTreeMap::new();
        for shot in log.shots.iter().filter(|shot| is_instant(rules, shot.weapon)) {
            near.entry((shot.tick, shot.weapon)).or_default().extend(shot.near.iter().copied());
            let now = truth.ticks.get(&shot.tick);
            let before = shot.tick.checked_sub(1).and_then(|tick| truth.ticks.get(&tick));
            let (Some(now), Some(before)) = (now, before) else { continue };
            for target in shot.hit.iter().filter(|_| shot.fresh && now.running && before.running) {
                verdict.shown_hits += 1;
                if now.hits.contains(&(log.player, *target, shot.weapon)) {
                    verdict.confirmed += 1;
                } else if !before.living.contains(&log.player) || !before.mortal.contains(target)
                    // Somebody else was faster in the very tick.
                    || !now.living.contains(target)
                {
                    verdict.left_out += 1;
                }
            }
        }
        for (tick, now) in &truth.ticks {
            let own = now.hits.iter().filter(|(by, _, weapon)| *by == log.player && is_instant(rules, *weapon));
            for (_, target, weapon) in own {
                verdict.decided += 1;
                match near.get(&(*tick, *weapon)) {
                    Some(near) => verdict.false_hits += u32::from(!near.contains(target)),
                    None => verdict.unshown += 1,
                }
            }
        }
    }
    verdict
}

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
    println!("figure feel.{name} {value:.3} {unit}");
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
    for round_trip_ms in ROUND_TRIPS_MS {
        if stop.asked() {
            break;
        }
        play_one(args, &play, seed, round_trip_ms, stop)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn play_one(args: &BotsArgs, play: &Play, seed: u64, round_trip_ms: u64, stop: &Stop) -> Result<()> {
    let truth = Arc::new(Mutex::new(Truth::default()));
    let noted = Arc::clone(&truth);
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max: args.count, ..MatchSettings::default() };
    let key = Key::generate()?;
    let observer = Arc::new(move |_, simulation: &Simulation| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).note(simulation);
    });
    let host = Host::observed(settings, play, key.clone(), observer).context("the server did not start")?;
    let content = Content::with_plugins(Arc::clone(&play.rules), Arc::clone(&play.map), Arc::clone(&play.plugins))?;
    let before = resident();
    let config = BotsConfig {
        server: host.address(),
        key,
        count: args.count,
        seed,
        duration: Some(Duration::from_secs(args.duration.unwrap_or(SECONDS).into())),
        link: Profile {
            delay: Duration::from_millis(round_trip_ms) / 2,
            jitter: JITTER,
            loss: LOSS,
            ..Profile::default()
        },
        content,
        feel: true,
        cheat: None,
        cheaters: 0,
        watch: None,
    };
    let report = run_until_told(&config, stop)?;
    let memory = resident() - before;
    // The server's last tick needs the truth once more, so that it must have ended before it is judged.
    host.close(Duration::from_secs(1), stop);
    let truth = truth.lock().unwrap_or_else(PoisonError::into_inner);
    tell(round_trip_ms, &report, &judge(&play.rules, &truth, &report.feel), memory);
    for failure in &report.failed {
        eprintln!("{failure}");
    }
    Ok(())
}

fn tell(round_trip_ms: u64, report: &BotsReport, verdict: &Verdict, memory: f64) {
    let name = |what: &str| format!("rtt{round_trip_ms}.{what}");
    let logs = &report.feel;
    let minutes: f64 = logs.iter().map(|log| log.played.as_secs_f64() / 60.0).sum();
    let sum = |of: &dyn Fn(&FeelLog) -> f64| logs.iter().map(of).sum::<f64>();
    let judged = verdict.shown_hits - verdict.left_out;
    println!(
        "{round_trip_ms} ms: {} hits shown, {} left out because somebody was dead or protected on the server; {} hits decided, {} of \
         them where the screen showed no shot at all",
        verdict.shown_hits, verdict.left_out, verdict.decided, verdict.unshown
    );
    figure(&name("confirmed"), percent(verdict.confirmed, judged), "percent");
    figure(&name("false_hits"), percent(verdict.false_hits + verdict.unshown, verdict.decided), "percent");
    let corrections = sum(&|log| log.predicted.corrections as f64);
    let pushed = sum(&|log| log.predicted.pushed as f64);
    figure(&name("corrections"), corrections / minutes, "per_player_minute");
    figure(&name("corrections.mean"), sum(&|log| log.predicted.correction_m.into()) / corrections.max(1.0), "m");
    let largest = logs.iter().map(|log| f64::from(log.predicted.correction_max_m)).fold(0.0, f64::max);
    figure(&name("corrections.max"), largest, "m");
    figure(&name("pushed"), pushed / minutes, "per_player_minute");
    figure(&name("pushed.mean"), sum(&|log| log.predicted.pushed_m.into()) / pushed.max(1.0), "m");
    figure(&name("again"), sum(&|log| log.predicted.again as f64) / minutes, "per_player_minute");
    let wrong: Vec<u64> = (0..WATCHED).map(|at| logs.iter().map(|log| log.predicted.wrong[at]).sum()).collect();
    println!("first not as predicted (movement, mobility, weapons, abilities, effects, life): {wrong:?}");
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
    let seconds = minutes * 60.0;
    figure(&name("client.cpu"), report.cpu.as_secs_f64() * 100.0 / seconds.max(1.0), "percent_of_core");
    figure(&name("client.memory"), memory / 1e6 / logs.len().max(1) as f64, "MB");
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
        prediction.place_bodies(true, told);
        for _ in 0..TICKS {
            prediction.step(Input { move_forward: 127, ..Input::default() });
        }
        prediction.go_on();
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS * TICKS))
}
