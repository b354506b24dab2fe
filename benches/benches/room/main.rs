//! What a whole tick costs: open the players' inputs, simulate, record, choose and encode a snapshot for every player, pack and
//! seal it. Fighting players, links of 50 ms without loss; sockets and the recorder's thread are not in it. Thread CPU time,
//! and everything on one thread; in rooms whose clients several threads tell, time by the clock on the wall.
//!
//! `cargo bench --bench room`, or with a part of a row's name behind `--`.

use std::alloc::System;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fighters;
use arbiter_server::ServerConfig;
use arbiter_server::staged::Staged;
use arbiter_sim::{MatchSettings, Rules};
use arbiter_snapshot::Form;
use arbiter_transport::Key;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod clients;

use clients::Clients;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SEED: u64 = 7;
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// One way of a link.
const DELAY: Duration = Duration::from_millis(25);
/// Seconds before anything is measured: players have met, memory has grown.
const WARM_SECONDS: u32 = 10;
/// Ticks in which everybody must have got in.
const JOIN_TICKS: u32 = 2_000;

/// Rooms of so many players are told by several threads.
const TOLD_BY_ONE: u16 = 128;

struct Row {
    name: &'static str,
    map: &'static str,
    players: u16,
    /// Who watch, half of them everybody and half of them one player each, and whether anybody may.
    spectators: Option<u16>,
    tick_rate: u16,
    seconds: u32,
    form: Form,
}

const FEW: Row = Row {
    name: "p10_128hz",
    map: "arena",
    players: 10,
    spectators: None,
    tick_rate: 128,
    seconds: 60,
    form: Form::Shared,
};
const MANY: Row = Row { name: "p1000_60hz", map: "field", players: 1_000, tick_rate: 60, seconds: 5, ..FEW };

const ROWS: [Row; 11] = [
    FEW,
    Row { name: "p10_60hz", tick_rate: 60, ..FEW },
    Row { name: "p100_60hz", players: 100, seconds: 10, ..MANY },
    Row { name: "p500_60hz", players: 500, ..MANY },
    MANY,
    Row { name: "watch0_128hz", spectators: Some(0), ..FEW },
    Row { name: "watch1_128hz", spectators: Some(1), ..FEW },
    Row { name: "watch10_128hz", spectators: Some(10), ..FEW },
    Row { name: "watch10_of_1000", spectators: Some(10), ..MANY },
    Row { name: "small10_128hz", form: Form::Small, ..FEW },
    Row { name: "small10_60hz", tick_rate: 60, form: Form::Small, ..FEW },
];

/// Thread CPU of the parts of a tick.
struct Parts {
    hear: Samples,
    room: Samples,
    send: Samples,
    all: Samples,
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    println!("machine: {}", machine());
    let mut p50 = Vec::new();
    for row in ROWS {
        if wanted.is_empty() || wanted.iter().any(|wanted| row.name.contains(wanted.as_str())) {
            p50.push((row.name, measure(&row)));
        }
    }
    let of = |name: &str| p50.iter().find(|(other, _)| *other == name).map(|(_, p50)| *p50);
    if let (Some(half), Some(whole)) = (of("p500_60hz"), of("p1000_60hz")) {
        figure("room.growth_500_1000", whole / half, "ratio");
    }
}

/// Microseconds of the middle tick.
fn measure(row: &Row) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let server: SocketAddr = ([10, 255, 0, 1], 7_000).into();
    let mut rules = Rules::shipped();
    for mode in &mut rules.modes {
        (mode.score_limit, mode.round_seconds, mode.warmup_seconds) = (0, 7_200, 0);
    }
    let settings = MatchSettings { tick_rate: row.tick_rate, players_max: row.players, ..MatchSettings::default() };
    let map = Arc::new(Assets::embedded().map(row.map).expect("built-in maps are valid"));
    let mut config = ServerConfig::new(Key::generate().expect("randomness"), Arc::new(rules), map, settings);
    (config.seed, config.record_dir) = (Some(SEED), Some(folder.path().to_owned()));
    config.snapshot_form = row.form;
    if let Some(spectators) = row.spectators {
        config.spectators_max = spectators.max(1);
    }
    let key = config.key.clone();
    let mut stage = Staged::new(config, server, EPOCH).expect("the room starts");
    let registry = stage.simulation().registry().clone();
    let period = Duration::from_secs(1) / u32::from(row.tick_rate);
    let delay = (DELAY.as_secs_f64() / period.as_secs_f64()).round() as u32;
    let mut clients = Clients::new(row.players, row.spectators, server, &key, &registry, delay, EPOCH);
    let mut fighters = Fighters::new(row.players, SEED);
    let ticks = row.seconds * u32::from(row.tick_rate);
    let samples = || Samples::with_capacity(ticks as usize);
    let mut parts = Parts { hear: samples(), room: samples(), send: samples(), all: samples() };
    let warm = WARM_SECONDS * u32::from(row.tick_rate);
    let (mut since_in, mut now, mut allocations) = (0, EPOCH, 0);
    let mut bytes_before = (0, 0);
    let mut before = stage.room_stats();
    for turn in 0..JOIN_TICKS + warm + ticks {
        now += period;
        if clients.are_in() {
            since_in += 1;
            let next = stage.simulation().tick() + 1;
            fighters.decide(stage.simulation(), &mut |slot, input| clients.push_input(usize::from(slot), next, input));
        }
        assert!(clients.are_in() || turn < JOIN_TICKS, "somebody did not get in");
        clients.turn(now);
        if since_in == warm {
            bytes_before = (clients.bytes_down, clients.datagrams_down);
            before = stage.room_stats();
        }
        let region = Region::new(ALLOCATOR);
        let (began, wall) = (thread_cpu(), Instant::now());
        clients.arriving(&mut |from, bytes| stage.hear(now, from, bytes));
        stage.advance(now);
        let heard = thread_cpu();
        assert!(stage.tick(now), "the match has ended");
        let ticked = thread_cpu();
        stage.send(now);
        let sent = thread_cpu();
        if since_in > warm {
            allocations += region.change().allocations;
            parts.hear.push(heard - began);
            parts.room.push(ticked - heard);
            parts.send.push(sent - ticked);
            parts.all.push(if row.players < TOLD_BY_ONE { sent - began } else { wall.elapsed() });
        }
        clients.exchange(now, &mut stage);
        if since_in == warm + ticks {
            break;
        }
    }
    print(row, &mut parts, &clients, bytes_before, allocations);
    let stats = stage.room_stats();
    let sounds = stats.sound_bytes - before.sound_bytes;
    let kbit = sounds as f64 * 8e-3 / f64::from(row.seconds) / f64::from(row.players);
    figure(&format!("room.{}.sounds", row.name), kbit, "kbit/s");
    let (told, in_full) = (stats.entities.0 - before.entities.0, stats.entities.1 - before.entities.1);
    let snapshots = stats.snapshots - before.snapshots;
    figure(&format!("room.{}.told", row.name), told as f64 / snapshots.max(1) as f64, "entities_per_snapshot");
    figure(&format!("room.{}.told_in_full", row.name), 100.0 * in_full as f64 / told.max(1) as f64, "percent");
    if row.spectators.is_some() {
        figure(&format!("room.{}.tape", row.name), stats.spectator_bytes as f64 / 1e3, "kB");
        figure(&format!("room.{}.tape_left_out", row.name), stats.spectator_ticks_left_out as f64, "ticks");
    }
    let (shared, made) = (stats.encodings.0 - before.encodings.0, stats.encodings.1 - before.encodings.1);
    figure(
        &format!("room.{}.encodings_shared", row.name),
        100.0 * shared as f64 / (shared + made).max(1) as f64,
        "percent",
    );
    parts.all.percentile_us(0.5)
}

fn print(row: &Row, parts: &mut Parts, clients: &Clients, before: (u64, u64), allocations: usize) {
    let ticks = parts.all.count();
    println!(
        "{}: {} players on {} at {} Hz, {ticks} ticks; p50 of hear {:.1} us, room {:.1} us, send {:.1} us; {:.2} datagrams a \
         client and tick",
        row.name,
        row.players,
        row.map,
        row.tick_rate,
        parts.hear.percentile_us(0.5),
        parts.room.percentile_us(0.5),
        parts.send.percentile_us(0.5),
        (clients.datagrams_down - before.1) as f64 / ticks as f64 / clients.count(),
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        figure(&format!("room.{}.{name}", row.name), parts.all.percentile_us(share), "us");
    }
    let kbit = (clients.bytes_down - before.0) as f64 * 8e-3 / f64::from(row.seconds) / clients.count();
    figure(&format!("room.{}.down", row.name), kbit, "kbit/s");
    figure(&format!("room.{}.allocations_in_all", row.name), allocations as f64 / ticks as f64, "per_tick");
}
