//! `arbiter bots --report cheats`: honest bots and hostile ones play over real sockets on a server in this process; what each of them
//! got to do is measured where it happens, in the simulation, and what the server thinks of them is told.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use arbiter_headless_client::bots::cheat::Cheat;
use arbiter_headless_client::runner::{BotsConfig, BotsReport, Content, Door};
use arbiter_schema::StableId;
use arbiter_server::suspicion::{Anomaly, DETECTORS, Detector};
use arbiter_server::{OnStop, Server, ServerConfig, ServerHandle};
use arbiter_sim::collide::MoverState;
use arbiter_sim::players::Life;
use arbiter_sim::rules::{Behaviour, MatchSettings, Rules};
use arbiter_sim::told::Told;
use arbiter_sim::{Cause, Cue, Simulation};
use arbiter_transport::Key;
use arbiter_transport::conditioner::{PERFECT, Profile};
use glam::Vec3;

use crate::assets::Assets;
use crate::bots_command::{BotsArgs, link_of, run_until_told};
use crate::host::Play;
use crate::keys::random_seed;
use crate::plugins::Plugins;
use crate::report;
use crate::stop::Stop;

/// Ticks a second of the match.
const TICK_RATE: u16 = 60;
/// Seconds of each cheat, unless told otherwise.
const SECONDS: u32 = 60;
/// Between two looks at what the server thinks.
const LOOK: Duration = Duration::from_millis(250);
/// The longest match that waits for something to be told.
pub const LONGEST: Duration = Duration::from_secs(90);
/// Ticks behind a spawn whose way is none.
const SPAWN_TICKS: u32 = 3;

/// What to play.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the first bots do that they should not.
    pub cheat: Option<Cheat>,
    /// How many do.
    pub cheaters: u16,
    /// All bots.
    pub bots: u16,
    /// For how long, at least.
    pub seconds: u32,
    /// They play on, for up to [`LONGEST`], until the server has told so of as many players as cheat. A server that misses ticks holds
    /// nothing against anybody's inputs for a while, so that on a busy machine no number of seconds is enough for sure.
    pub until: Option<Detector>,
    /// Seeds bots and match.
    pub seed: u64,
    /// The bots' link.
    pub link: Profile,
}

impl Plan {
    /// Ten bots on a perfect link of whom the first two cheat.
    pub fn new(cheat: Option<Cheat>, seconds: u32, seed: u64) -> Self {
        Self { cheat, cheaters: 2, bots: 10, seconds, until: None, seed, link: PERFECT }
    }
}

/// What one player got to do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Deeds {
    /// Ticks alive.
    pub ticks: u32,
    /// Metres gone over the ground.
    pub way_m: f32,
    /// The longest way of one tick in metres, spawns left out.
    pub step_max_m: f32,
    /// Ticks in which it went further than the fastest hero runs: dashes, falls and pushes.
    pub fast_ticks: u32,
    /// Shots.
    pub shots: u32,
    /// Shots that came before the weapon's interval was over.
    pub early_shots: u32,
    /// Players hit.
    pub hits: u32,
    /// Players hit by what is aimed, of whom this one was not told.
    pub untold_hits: u32,
    /// Ticks alive in which it was not bound to what it was told; of the join's own, in which it can do nothing yet, nothing is said.
    pub unbound_ticks: u32,
    at: Option<Vec3>,
}

impl Deeds {
    /// Metres a second, alive.
    pub fn speed(&self) -> f32 {
        self.way_m * f32::from(TICK_RATE) / self.ticks.max(1) as f32
    }
}

#[derive(Default)]
struct Watched {
    deeds: BTreeMap<u16, Deeds>,
    fired: BTreeMap<(StableId, u8), u32>,
}

impl Watched {
    fn note(&mut self, simulation: &Simulation) {
        let (view, tick) = (simulation.view(), simulation.tick());
        let Some(told) = view.resource::<Told>() else { return };
        let run_step_m = run_step_m(simulation.rules());
        let mut slots: BTreeMap<StableId, (u16, u32)> = BTreeMap::new();
        for slot in view.slots() {
            let Some(id) = view.player(slot) else { continue };
            let (Some(life), Some(state)) = (view.get::<Life>(id), view.get::<MoverState>(id)) else { continue };
            slots.insert(id, (slot, life.spawned_tick));
            let deeds = self.deeds.entry(slot).or_default();
            let steady = life.alive && tick.saturating_sub(life.spawned_tick) > SPAWN_TICKS;
            if let (true, Some(before)) = (steady, deeds.at) {
                let way = (state.position - before).with_y(0.0).length();
                deeds.ticks += 1;
                deeds.way_m += way;
                deeds.step_max_m = deeds.step_max_m.max(way);
                deeds.fast_ticks += u32::from(way > run_step_m);
            }
            deeds.at = steady.then_some(state.position);
            let bound = told.is_bound(slot);
            deeds.unbound_ticks += u32::from(steady && !bound);
        }
        let rules = simulation.rules();
        for cue in simulation.cues() {
            match *cue {
                Cue::Fired { by, weapon, .. } => {
                    let Some((slot, spawned)) = slots.get(&by).copied() else { continue };
                    let deeds = self.deeds.entry(slot).or_default();
                    let last = self.fired.insert((by, weapon), tick).filter(|last| *last > spawned);
                    deeds.shots += 1;
                    deeds.early_shots += u32::from(last.is_some_and(|last| tick - last < interval(rules, weapon)));
                }
                Cue::Hit { by, target, amount, cause, .. } if amount > 0.0 && by != target => {
                    if let (Some((slot, _)), Some((target, _))) = (slots.get(&by), slots.get(&target)) {
                        let deeds = self.deeds.entry(*slot).or_default();
                        deeds.hits += 1;
                        deeds.untold_hits += u32::from(is_aimed(rules, cause) && !told.may_hit(*slot, *target));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Metres that the fastest hero runs in a tick, and a little.
fn run_step_m(rules: &Rules) -> f32 {
    let factor = rules.heroes.iter().map(|hero| hero.speed_factor).fold(0.0, f32::max);
    rules.movement.max_speed * factor * 1.1 / f32::from(TICK_RATE)
}

/// Ticks between two shots of a weapon at least.
fn interval(rules: &Rules, weapon: u8) -> u32 {
    let ms = rules.weapons.get(usize::from(weapon)).map_or(0, |weapon| weapon.interval_ms);
    ms * u32::from(TICK_RATE) / 1_000
}

/// Whether what hits is decided in the tick of the trigger, by what the shooter saw.
fn is_aimed(rules: &Rules, cause: Cause) -> bool {
    let Cause::Weapon(weapon) = cause else { return false };
    let behaviour = rules.weapons.get(usize::from(weapon)).map(|weapon| &weapon.behaviour);
    matches!(behaviour, Some(Behaviour::Hitscan(_) | Behaviour::Melee(_) | Behaviour::Beam(_)))
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Slots of those that cheat.
    pub hostile: Vec<u16>,
    /// Slots of the others.
    pub honest: Vec<u16>,
    /// What players got to do, by slot.
    pub deeds: BTreeMap<u16, Deeds>,
    /// What the server told of.
    pub anomalies: Vec<Anomaly>,
    /// The most evidence that there was against anybody at a time, by detector, as a share of what is too much.
    pub peaks: [f32; DETECTORS],
    /// The longest time in which the server missed no tick: nothing is held against anybody's inputs behind one that it missed.
    pub steady: Duration,
    /// The bots' own report.
    pub report: BotsReport,
}

impl Outcome {
    /// Anomalies of hostile or of honest players.
    pub fn anomalies_of<'a>(&'a self, slots: &'a [u16]) -> impl Iterator<Item = &'a Anomaly> {
        self.anomalies.iter().filter(|anomaly| slots.contains(&anomaly.slot))
    }

    /// Whether a detector told of every hostile player.
    pub fn found(&self, detector: Detector) -> bool {
        let found = |slot: &u16| self.anomalies.iter().any(|it| it.slot == *slot && it.detector == detector);
        !self.hostile.is_empty() && self.hostile.iter().all(found)
    }

    /// What the players in some slots got to do.
    pub fn deeds_of<'a>(&'a self, slots: &'a [u16]) -> impl Iterator<Item = &'a Deeds> {
        slots.iter().filter_map(|slot| self.deeds.get(slot))
    }
}

/// Plays a match of bots, which `run` runs until it is told that it is enough, and looks at it.
pub fn play(
    play: &Play,
    plan: &Plan,
    run: impl FnOnce(&BotsConfig, &AtomicBool) -> Result<BotsReport>,
) -> Result<Outcome> {
    let watched = Arc::new(Mutex::new(Watched::default()));
    let anomalies = Arc::new(Mutex::new(Vec::new()));
    let key = Key::generate()?;
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max: plan.bots, ..MatchSettings::default() };
    let mut config = ServerConfig::new(key.clone(), Arc::clone(&play.rules), Arc::clone(&play.map), settings);
    config.plugins = Arc::clone(&play.plugins);
    config.seed = Some(plan.seed);
    let noted = Arc::clone(&watched);
    config.observer = Some(Arc::new(move |_, simulation: &Simulation| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).note(simulation);
    }));
    let told = Arc::clone(&anomalies);
    config.on_anomaly = Some(Arc::new(move |anomaly: &Anomaly| {
        told.lock().unwrap_or_else(PoisonError::into_inner).push(*anomaly);
    }));
    let server = Server::start(config)?;
    let content = Content::with_plugins(Arc::clone(&play.rules), Arc::clone(&play.map), Arc::clone(&play.plugins))?;
    let bots = BotsConfig {
        seed: plan.seed,
        duration: Some(if plan.until.is_some() { LONGEST } else { Duration::from_secs(plan.seconds.into()) }),
        link: plan.link,
        cheat: plan.cheat,
        cheaters: plan.cheaters,
        ..BotsConfig::new(Door::Key { server: server.local_address(), key }, plan.bots, content)
    };
    let is_enough = || {
        let Some(detector) = plan.until else { return false };
        let anomalies = anomalies.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = anomalies.iter().filter(|anomaly| anomaly.detector == detector).map(|anomaly| anomaly.slot);
        slots.collect::<BTreeSet<u16>>().len() >= usize::from(plan.cheaters)
    };
    let (report, Looks { peaks, steady }) =
        play_watched(&server, plan.seconds, is_enough, |enough| run(&bots, enough))?;
    server.stop(OnStop::Abandon);
    server.join();
    let cheaters = if plan.cheat.is_some() { usize::from(plan.cheaters) } else { 0 };
    let (hostile, honest) = report.slots.split_at(cheaters.min(report.slots.len()));
    let slots = |of: &[Option<u16>]| of.iter().flatten().copied().collect::<Vec<u16>>();
    let (hostile, honest) = (slots(hostile), slots(honest));
    let deeds = watched.lock().unwrap_or_else(PoisonError::into_inner).deeds.clone();
    let anomalies = anomalies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Outcome { hostile, honest, deeds, anomalies, peaks, steady, report })
}

/// What was seen while the bots played.
#[derive(Default)]
struct Looks {
    peaks: [f32; DETECTORS],
    steady: Duration,
}

/// The bots play, and the server is asked now and then what it thinks, and behind so many seconds whether it is enough.
fn play_watched(
    server: &ServerHandle,
    seconds: u32,
    is_enough: impl Fn() -> bool + Sync,
    run: impl FnOnce(&AtomicBool) -> Result<BotsReport>,
) -> Result<(BotsReport, Looks)> {
    let (done, enough) = (AtomicBool::new(false), AtomicBool::new(false));
    let least = Duration::from_secs(seconds.into());
    std::thread::scope(|scope| {
        let look = scope.spawn(|| {
            let (mut looks, began) = (Looks::default(), Instant::now());
            let (mut missed, mut steady_since) = (0, began);
            while !done.load(Ordering::Relaxed) {
                if began.elapsed() >= least && is_enough() {
                    enough.store(true, Ordering::Relaxed);
                }
                let stats = server.room_stats(0).unwrap_or_default();
                looks.peaks.iter_mut().zip(stats.suspicion).for_each(|(peak, now)| *peak = peak.max(now));
                if stats.overruns != missed {
                    (missed, steady_since) = (stats.overruns, Instant::now());
                }
                looks.steady = looks.steady.max(steady_since.elapsed());
                std::thread::sleep(LOOK);
            }
            looks
        });
        let report = run(&enough);
        done.store(true, Ordering::Relaxed);
        let looks = look.join().unwrap_or_default();
        Ok((report?, looks))
    })
}

fn figure(name: &str, value: f64, unit: &str) {
    report::figure("cheats", name, value, unit);
}

/// Plays honestly, then with each cheat, and tells figures.
pub fn run(args: &BotsArgs, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    let loaded = Play::load(Assets::from_folder(args.assets.clone())?, &args.map, plugins)?;
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let kinds: Vec<Option<Cheat>> = match args.cheat {
        Some(cheat) => vec![Some(cheat)],
        None => core::iter::once(None).chain(Cheat::ALL.map(Some)).collect(),
    };
    println!("{} bots, seed {seed}, map {}", args.count, args.map);
    for cheat in kinds {
        let plan = Plan {
            cheaters: args.cheaters.unwrap_or(2).min(args.count),
            bots: args.count,
            link: link_of(args),
            ..Plan::new(cheat, args.duration.unwrap_or(SECONDS), seed)
        };
        if stop.asked() {
            break;
        }
        tell(&plan, &play(&loaded, &plan, |bots, _| run_until_told(bots, stop))?);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(plan: &Plan, outcome: &Outcome) {
    let kind = plan.cheat.map_or("honest", Cheat::name);
    let name = |what: &str| format!("{kind}.{what}");
    println!("{kind}: slots {:?} hostile", outcome.hostile);
    for (whose, slots) in [("hostile", &outcome.hostile), ("honest", &outcome.honest)] {
        let count = slots.len().max(1) as f64;
        let mean =
            |of: fn(&Deeds) -> f32| outcome.deeds_of(slots).map(|deeds| f64::from(of(deeds))).sum::<f64>() / count;
        if slots.is_empty() {
            continue;
        }
        figure(&name(&format!("{whose}.speed")), mean(Deeds::speed), "m/s");
        let steps = outcome.deeds_of(slots).map(|deeds| deeds.step_max_m).fold(0.0, f32::max);
        figure(&name(&format!("{whose}.step_max")), steps.into(), "m");
        let fast = mean(|deeds| deeds.fast_ticks as f32 * 100.0 / deeds.ticks.max(1) as f32);
        figure(&name(&format!("{whose}.faster_than_a_run")), fast, "percent");
        figure(&name(&format!("{whose}.shots")), mean(|deeds| deeds.shots as f32), "per_player");
        figure(&name(&format!("{whose}.hits")), mean(|deeds| deeds.hits as f32), "per_player");
        let early: u32 = outcome.deeds_of(slots).map(|deeds| deeds.early_shots).sum();
        figure(&name(&format!("{whose}.early_shots")), early.into(), "count");
        let told = outcome.anomalies_of(slots).count() as f64;
        let hours = count * f64::from(plan.seconds) / 3_600.0;
        figure(&name(&format!("{whose}.anomalies")), told / hours, "per_player_hour");
        for detector in Detector::ALL {
            let told = outcome.anomalies_of(slots).filter(|anomaly| anomaly.detector == detector).count();
            if told > 0 {
                println!("{kind}, {whose}: {} told of {told} times", detector.name());
            }
        }
    }
    for (detector, peak) in Detector::ALL.into_iter().zip(outcome.peaks) {
        if peak > 0.0 {
            figure(&name(&format!("peak.{}", detector.name())), peak.into(), "of_limit");
        }
    }
    for failure in &outcome.report.failed {
        println!("{kind}: {failure}");
    }
}
