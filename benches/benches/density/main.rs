//! How many rooms of ten players a machine carries at 60 Hz: a real server with real sockets and recordings, and light clients
//! for all players on the same cores. The number of rooms is raised until ticks are late; a late tick is one that begins a
//! whole period after its time or later, on the wall clock, so that it is left out.
//!
//! `cargo bench --bench density`, or with `--rooms N` behind `--` for one number. Nothing else should run on the machine.

use std::time::{Duration, Instant};

use arbiter_benches::measure::{figure, machine, rss_mb};
use arbiter_server::{OnStop, ServerHandle};
use arbiter_transport::Key;

#[path = "../clients/light.rs"]
mod light;

use light::{Crowd, TICK_RATE};

const PLAYERS: u16 = 10;
/// Numbers of rooms that are tried: by so many more.
const STEP: u16 = 10;
const FIRST: u16 = 40;
const LAST: u16 = 240;
const SECONDS: u64 = 20;
const LATE_PERCENT_MAX: f64 = 0.1;
/// Clients connect this fast: one token a client, one source.
const CONNECTS_PER_SECOND: u32 = 400;
const WELCOME: Duration = Duration::from_secs(60);

/// What a number of rooms was like.
struct Carried {
    late_percent: f64,
    inputs_missed_percent: f64,
    rss_mb: f64,
    rooms_cpu_us: f32,
}

fn main() {
    println!("machine: {}", machine());
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let rooms = match &arguments[..] {
        [] => (FIRST..=LAST).step_by(usize::from(STEP)).collect(),
        [flag, rooms] if flag == "--rooms" => vec![rooms.parse().expect("--rooms takes a number")],
        _ => {
            eprintln!(
                "density [--rooms N]: rooms from {FIRST} to {LAST} by {STEP}, or so many; not known: {arguments:?}"
            );
            std::process::exit(2);
        }
    };
    let mut most = 0;
    for rooms in rooms {
        let carried = carry(rooms);
        println!(
            "{rooms} rooms: {:.3} % of ticks late, {:.3} % of inputs missed, tick p50 {:.0} us, {:.1} MB of both ends",
            carried.late_percent, carried.inputs_missed_percent, carried.rooms_cpu_us, carried.rss_mb,
        );
        figure(&format!("density.late.{rooms}"), carried.late_percent, "percent");
        if carried.late_percent >= LATE_PERCENT_MAX {
            break;
        }
        most = rooms;
    }
    figure("density.rooms_60hz", f64::from(most), "rooms");
}

fn start(rooms: u16, folder: &std::path::Path) -> (ServerHandle, Key) {
    light::start(PLAYERS, |config| (config.rooms, config.record_dir) = (rooms, Some(folder.to_owned())))
}

fn carry(rooms: u16) -> Carried {
    let folder = tempfile::tempdir().expect("a folder");
    let rss_before = rss_mb();
    let (server, key) = start(rooms, folder.path());
    let count = u32::from(rooms) * u32::from(PLAYERS);
    let crowd = Crowd { players: count, watching: 0, connects_per_second: CONNECTS_PER_SECOND };
    let carried = crowd.during(&server, &key, |all| {
        let begin = Instant::now();
        while all().welcomed < count && begin.elapsed() < WELCOME {
            std::thread::sleep(Duration::from_millis(50));
        }
        let welcomed = all().welcomed;
        println!("{welcomed} of {count} in after {:.1} s", begin.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        let before = sums(&server, rooms);
        std::thread::sleep(Duration::from_secs(SECONDS));
        let after = sums(&server, rooms);
        let ticks = SECONDS as f64 * f64::from(TICK_RATE) * f64::from(rooms);
        let late = (after.overruns - before.overruns) as f64 / ticks;
        // Whoever is not let in within a minute is a room that is not carried.
        let late = if welcomed < count { 1.0 } else { late };
        Carried {
            late_percent: 100.0 * late,
            inputs_missed_percent: 100.0 * (after.substituted - before.substituted) as f64 / ticks / f64::from(PLAYERS),
            rss_mb: rss_mb() - rss_before,
            rooms_cpu_us: after.p50_us,
        }
    });
    figure(&format!("density.memory_per_room.{rooms}"), carried.rss_mb / f64::from(rooms), "MB");
    server.stop(OnStop::Abandon);
    server.join();
    carried
}

struct Sums {
    overruns: u64,
    substituted: u64,
    p50_us: f32,
}

fn sums(server: &ServerHandle, rooms: u16) -> Sums {
    let stats: Vec<_> = (0..rooms).filter_map(|room| server.room_stats(room)).collect();
    Sums {
        overruns: stats.iter().map(|stats| stats.overruns).sum(),
        substituted: stats.iter().map(|stats| stats.inputs_substituted).sum(),
        p50_us: stats.iter().map(|stats| stats.tick_p50_us).sum::<f32>() / stats.len().max(1) as f32,
    }
}
