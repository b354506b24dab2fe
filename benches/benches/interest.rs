//! Interest management in matches without a network: what it costs, and whether it tells what it should.
//!
//! - `cost`: 10, 100 and 1,000 players on the two maps; thread CPU for one client and tick (its watcher), and for one tick
//!   (taking in the match, which is done once for all clients), with 30 entities told to each client in each tick; for what one
//!   client hears; and allocations of all, once warm;
//! - `leaks`: the oracle of `arbiter_cli::leaks` on the two maps, at the default horizon.
//!
//! `cargo bench --bench interest` runs both; `-- cost` or `-- leaks` one of them; `-- leaks arena` one map.

use std::alloc::System;
use std::sync::Arc;

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fight;
use arbiter_cli::leaks::{Leaks, LeaksPlan, play};
use arbiter_server::interest::{Heard, Interest, InterestSettings};
use arbiter_sim::Map;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TICK_RATE: u16 = 60;
const SEED: u64 = 7;
/// What a datagram holds of a busy fight.
const TOLD_PER_TICK: usize = 30;
/// Seconds of each match that the oracle judges, on each map.
const LEAKS_SECONDS: u32 = 30;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wants = |name: &str| {
        let about = |names: &[&str]| wanted.iter().any(|wanted| names.contains(&wanted.as_str()));
        let all = ["cost", "leaks"];
        if all.contains(&name) { !about(&all) || about(&[name]) } else { !about(&["arena", "field"]) || about(&[name]) }
    };
    println!("machine: {}", machine());
    for name in ["arena", "field"].into_iter().filter(|name| wants(name)) {
        let map = Arc::new(Assets::embedded().map(name).expect("built-in maps are valid"));
        if wants("cost") {
            [(10, 1_200), (100, 300), (1_000, 60)]
                .into_iter()
                .for_each(|(players, ticks)| cost(name, &map, players, ticks));
        }
        if wants("leaks") {
            leaks(name, &map);
        }
    }
}

fn cost(name: &str, map: &Arc<Map>, players: u16, ticks: u32) {
    let mut fight = Fight::endless(Arc::clone(map), players, TICK_RATE, SEED, &|_| ()).expect("the map suits the mode");
    let mut interest = Interest::new(&fight.simulation, InterestSettings::default());
    let (mut looks, mut watches) = (Samples::with_capacity(ticks as usize), Samples::with_capacity(ticks as usize));
    let (mut hears, mut heard, mut sounds) = (Samples::with_capacity(ticks as usize), Heard::default(), 0);
    let (mut wanted, mut gone, mut allocations) = (0, 0, 0);
    let mut counted = (0, 0, 0);
    for tick in 0..ticks * 2 {
        fight.step();
        let warm = tick >= ticks;
        if tick == ticks {
            counted = spent(&mut interest, players);
        }
        let allocated = ALLOCATOR.stats().allocations;
        let before = thread_cpu();
        interest.look(&fight.simulation);
        let looked = thread_cpu();
        let number = fight.simulation.tick();
        for slot in 0..players {
            let Some(watcher) = interest.watch(slot) else { continue };
            (1..watcher.wanted().len().min(TOLD_PER_TICK + 1)).for_each(|at| watcher.told(at, number));
            (0..watcher.gone().len()).for_each(|at| watcher.forgotten(at));
            wanted += watcher.wanted().len() * usize::from(warm);
            gone += watcher.gone().len() * usize::from(warm);
        }
        let watched = thread_cpu();
        let (ears, watchers) = (interest.ears(), interest.watchers());
        for (slot, watcher) in (0..).zip(watchers) {
            ears.hear(watcher, slot, &mut heard);
            sounds += heard.list().iter().count() * usize::from(warm);
        }
        if warm {
            looks.push(looked - before);
            watches.push((watched - looked) / u32::from(players));
            hears.push((thread_cpu() - watched) / u32::from(players));
            allocations += ALLOCATOR.stats().allocations - allocated;
        }
    }
    let after = spent(&mut interest, players);
    let pairs = f64::from(ticks) * f64::from(players);
    println!(
        "{name}: {players} players, {ticks} ticks behind {ticks} to warm up; of {} entities {:.0} wanted and {:.2} gone for a client and tick, {:.3} sounds heard, {:.1} judgements of {:.0} lines, {:.3} unsure",
        interest.scene().bodies.len(),
        wanted as f64 / pairs,
        gone as f64 / pairs,
        sounds as f64 / pairs,
        (after.0 - counted.0) as f64 / pairs,
        (after.1 - counted.1) as f64 / (after.0 - counted.0).max(1) as f64,
        (after.2 - counted.2) as f64 / pairs,
    );
    figure(&format!("interest.{name}{players}.client.p50"), watches.percentile_us(0.5), "us");
    figure(&format!("interest.{name}{players}.client.p99"), watches.percentile_us(0.99), "us");
    figure(&format!("interest.{name}{players}.hear.p50"), hears.percentile_us(0.5), "us");
    figure(&format!("interest.{name}{players}.hear.p99"), hears.percentile_us(0.99), "us");
    figure(&format!("interest.{name}{players}.look.p50"), looks.percentile_us(0.5), "us");
    figure(&format!("interest.{name}{players}.look.p99"), looks.percentile_us(0.99), "us");
    figure(&format!("interest.{name}{players}.allocations"), allocations as f64 / f64::from(ticks), "per_tick");
}

/// Judgements, what they cost and how many were not sure, of all clients so far.
fn spent(interest: &mut Interest, players: u16) -> (u64, u64, u64) {
    (0..players).fold((0, 0, 0), |sum, slot| match interest.watcher(slot) {
        Some(watcher) => (sum.0 + watcher.judgements, sum.1 + watcher.cost, sum.2 + watcher.unsure),
        None => sum,
    })
}

fn leaks(name: &str, map: &Arc<Map>) {
    // On the field ten players hardly ever meet.
    let players = if name == "arena" { 10 } else { 100 };
    let mut sum = Leaks::default();
    let from = thread_cpu();
    for seed in 0..2 {
        let plan = LeaksPlan {
            map: Arc::clone(map),
            players,
            tick_rate: TICK_RATE,
            seed: SEED + seed,
            ticks: LEAKS_SECONDS * u32::from(TICK_RATE),
            // Not a multiple of any period of the watchers.
            every: if name == "arena" { 17 } else { 301 },
            settings: InterestSettings::default(),
        };
        sum.add(&play(&plan).expect("the map suits the mode"));
    }
    println!(
        "{name}: 2 matches of {players} players and {LEAKS_SECONDS} s, {} kills; (client, enemy, tick): {} hidden, {} of them told; {} visible, {} of them not told; {} in view already, {} of them not told; {} million rays, {:.0} s",
        sum.kills,
        sum.hidden,
        sum.needless,
        sum.visible,
        sum.visible_not_sent,
        sum.in_view,
        sum.in_view_not_sent,
        sum.rays / 1_000_000,
        (thread_cpu() - from).as_secs_f64(),
    );
    figure(&format!("leaks.{name}.needless"), sum.needless_percent(), "percent");
    figure(&format!("leaks.{name}.visible_not_sent"), sum.visible_not_sent_percent(), "percent");
    figure(&format!("leaks.{name}.in_view_not_sent"), sum.in_view_not_sent_percent(), "percent");
}
