//! What a tick costs: `Simulation` driven directly by fighters without a network, on the thread's own CPU clock.
//!
//! - arena, 10 players, 20 props kept awake: p50, p99, p99.9 of a tick with the recorder's part of it (hash; checkpoint every
//!   [`CHECKPOINT_SECONDS`]) included;
//! - field, 500 and 1,000 players: p50 and how much it grows;
//! - allocations in a tick outside Rapier's own step, once warm, for 10 players. To the step counts Rapier's list of changed
//!   bodies, which it throws away and begins anew with the next body that is moved.
//!
//! `cargo bench --bench tick` runs all; `-- arena`, `-- field`, `-- allocations` one of them.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fight;
use arbiter_sim::Map;
use arbiter_sim::index::{Index, Kind};
use arbiter_sim::map::PropSpot;
use arbiter_sim::physics::{Impulse, Impulses, Motion, PhysicsProbe, Place};
use arbiter_sim::tick::{Tick, TickSet};
use arbiter_sim::time::Clock;
use bevy_app::App;
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TICK_RATE: u16 = 60;
const SEED: u64 = 7;
/// As the server's recorder does it.
const CHECKPOINT_SECONDS: u32 = 4;
const PROPS_AWAKE: usize = 20;
/// Ticks before anything is measured: buffers have grown, players have met.
const WARM_TICKS: u32 = 1_800;
/// 5 minutes, so that p99.9 rests on 18 samples.
const ARENA_TICKS: u32 = 18_000;
const FIELD_TICKS: u32 = 600;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str()));
    println!("machine: {}", machine());
    if wants("arena") {
        arena();
    }
    if wants("allocations") {
        allocations();
    }
    if wants("field") {
        field();
    }
}

fn map(name: &str) -> Map {
    Assets::embedded().map(name).expect("built-in maps are valid")
}

/// The arena with exactly [`PROPS_AWAKE`] props: surplus ones are left out, missing ones stand on waypoints.
fn arena_with_props() -> Arc<Map> {
    let mut arena = map("arena");
    arena.props.truncate(PROPS_AWAKE);
    let kind = arena.props.first().map_or("crate", |prop| prop.kind.as_str()).to_owned();
    while arena.props.len() < PROPS_AWAKE {
        let turn = arena.props.len() as f32;
        let position = arena.waypoints[arena.props.len() % arena.waypoints.len()].position + Vec3::new(0.0, 1.0, 0.0);
        arena.props.push(PropSpot { kind: kind.clone(), position, rotation: Quat::from_rotation_y(turn) });
    }
    Arc::new(arena)
}

/// Knocks every prop a little each half second, so that Rapier cannot let them rest.
fn keep_awake(app: &mut App) {
    app.add_systems(Tick, knock.in_set(TickSet::Inputs));
}

fn knock(clock: Res<Clock>, index: Res<Index>, places: Query<&Place>, mut impulses: ResMut<Impulses>) {
    if !clock.tick.is_multiple_of(u32::from(TICK_RATE) / 2) {
        return;
    }
    for (at, &(id, entity)) in index.of(Kind::Prop).iter().enumerate() {
        if let Ok(place) = places.get(entity) {
            // To and fro, so that nothing leaves the map in five minutes.
            let side = if (clock.tick as usize / 30 + at).is_multiple_of(2) { 1.0 } else { -1.0 };
            impulses.push(Impulse { id, point: place.position, impulse: Vec3::new(8.0 * side, 6.0, 5.0 * side) });
        }
    }
}

/// Props that move in the state now.
fn awake(fight: &Fight) -> usize {
    let view = fight.simulation.view();
    let Some(index) = view.resource::<Index>() else { return 0 };
    let props = index.of(Kind::Prop).iter();
    props.filter(|(id, _)| view.get::<Motion>(*id).is_some_and(|motion| !motion.asleep)).count()
}

fn arena() {
    let mut fight =
        Fight::endless(arena_with_props(), 10, TICK_RATE, SEED, &keep_awake).expect("the map suits the mode");
    for _ in 0..WARM_TICKS {
        fight.step();
    }
    let mut samples = Samples::with_capacity(ARENA_TICKS as usize);
    let mut checkpoints = Samples::with_capacity(ARENA_TICKS as usize);
    let mut checkpoint = Vec::with_capacity(8 << 20);
    let (mut awake_sum, mut kills) = (0, 0);
    for tick in 1..=ARENA_TICKS {
        fight.plan();
        let before = thread_cpu();
        fight.step_planned();
        std::hint::black_box(fight.simulation.hash());
        if tick.is_multiple_of(CHECKPOINT_SECONDS * u32::from(TICK_RATE)) {
            checkpoint.clear();
            let from = thread_cpu();
            fight.simulation.checkpoint(&mut checkpoint);
            checkpoints.push(thread_cpu() - from);
        }
        samples.push(thread_cpu() - before);
        awake_sum += awake(&fight);
        kills += killed(&fight);
    }
    println!(
        "arena: 10 players, {} ticks, hash in each, {} checkpoints of {} KB (p50 {:.0} us), {:.1} props awake on average, {kills} kills",
        samples.count(),
        checkpoints.count(),
        checkpoint.len() / 1000,
        checkpoints.percentile_us(0.5),
        awake_sum as f64 / f64::from(ARENA_TICKS),
    );
    figure("tick.arena10.p50", samples.percentile_us(0.5), "us");
    figure("tick.arena10.p99", samples.percentile_us(0.99), "us");
    figure("tick.arena10.p999", samples.percentile_us(0.999), "us");
}

fn killed(fight: &Fight) -> usize {
    let events = fight.simulation.events().iter();
    events.filter(|event| matches!(event, arbiter_sim::DomainEvent::Killed { .. })).count()
}

fn field() {
    let field = Arc::new(map("field"));
    let mut p50 = [0.0; 2];
    for (players, p50) in [500, 1000].into_iter().zip(&mut p50) {
        let mut fight =
            Fight::endless(Arc::clone(&field), players, TICK_RATE, SEED, &|_| ()).expect("the map suits the mode");
        for _ in 0..FIELD_TICKS {
            fight.step();
        }
        let mut samples = Samples::with_capacity(FIELD_TICKS as usize);
        let mut kills = 0;
        for _ in 0..FIELD_TICKS {
            fight.plan();
            let before = thread_cpu();
            fight.step_planned();
            std::hint::black_box(fight.simulation.hash());
            samples.push(thread_cpu() - before);
            kills += killed(&fight);
        }
        println!("field: {players} players, {} ticks, hash in each, {kills} kills", samples.count());
        *p50 = samples.percentile_us(0.5);
        figure(&format!("tick.field{players}.p50"), *p50, "us");
        figure(&format!("tick.field{players}.p99"), samples.percentile_us(0.99), "us");
    }
    figure("tick.field.growth_500_1000", p50[1] / p50[0], "ratio");
}

/// Allocations of Rapier's own in this tick.
static INSIDE: AtomicU64 = AtomicU64::new(0);
static BEFORE: AtomicU64 = AtomicU64::new(0);

fn allocated() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as u64
}

fn probe(before: bool) {
    if before {
        BEFORE.store(allocated(), Ordering::Relaxed);
    } else {
        INSIDE.fetch_add(allocated() - BEFORE.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn allocations() {
    let plugins = |app: &mut App| {
        keep_awake(app);
        app.insert_resource(PhysicsProbe(probe));
    };
    let mut fight = Fight::endless(arena_with_props(), 10, TICK_RATE, SEED, &plugins).expect("the map suits the mode");
    // Longer than elsewhere: the last buffer to grow is that of a busy moment.
    for _ in 0..WARM_TICKS * 10 {
        fight.step();
    }
    let (mut outside, mut inside, mut ticks_with) = (0, 0, 0);
    for _ in 0..ARENA_TICKS {
        fight.plan();
        INSIDE.store(0, Ordering::Relaxed);
        let before = allocated();
        fight.step_planned();
        std::hint::black_box(fight.simulation.hash());
        let all = allocated() - before;
        let own = INSIDE.load(Ordering::Relaxed);
        inside += own;
        outside += all - own;
        ticks_with += u64::from(all > own);
    }
    println!(
        "allocations: 10 players, {ARENA_TICKS} ticks after {} to warm up; {outside} outside Rapier's step, in {ticks_with} ticks; {inside} inside",
        WARM_TICKS * 10
    );
    figure("tick.arena10.allocations", outside as f64 / f64::from(ARENA_TICKS), "per_tick");
}
