//! What an overloaded server does with shedding on and off: the same rooms of ten players at 60 Hz, more than the machine carries, with
//! one who watches in each, all from the same cores. Prints how many ticks were late, what players and spectators were told, and how long
//! each step stood.
//!
//! `cargo bench --bench overload`, or with `--rooms N` behind `--`. Nothing else should run on the machine.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arbiter_benches::measure::{figure, machine};
use arbiter_cli::assets::Assets;
use arbiter_server::shed::{Shed, ShedStats, Step};
use arbiter_server::{OnStop, Server, ServerConfig, ServerHandle};
use arbiter_sim::MatchSettings;
use arbiter_transport::Key;

#[path = "../clients/light.rs"]
mod light;

use light::{Light, Tally};

const TICK_RATE: u16 = 60;
const PLAYERS: u16 = 10;
/// A tenth more than what `density` was late with.
const ROOMS: u16 = 44;
const SECONDS: u64 = 30;
const CLIENT_THREADS: usize = 2;
/// Clients connect this fast, so that the server is not overloaded by that alone.
const CONNECTS_PER_SECOND: f64 = 200.0;
const WELCOME: Duration = Duration::from_secs(30);

fn main() {
    println!("machine: {}", machine());
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let rooms = match &arguments[..] {
        [] => ROOMS,
        [flag, rooms] if flag == "--rooms" => rooms.parse().expect("--rooms takes a number"),
        _ => panic!("{arguments:?}: only --rooms N is known"),
    };
    let late: Vec<f64> = [("off", Shed::Off), ("auto", Shed::Auto)].map(|(name, shed)| run(name, shed, rooms)).into();
    figure("overload.late_auto_over_off", late[1] / late[0].max(f64::EPSILON), "ratio");
}

fn start(rooms: u16, shed: Shed) -> (ServerHandle, Key) {
    let assets = Assets::embedded();
    let rules = Arc::new(assets.rules().expect("built-in rules are valid"));
    let map = Arc::new(assets.map("arena").expect("built-in maps are valid"));
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max: PLAYERS, ..MatchSettings::default() };
    let key = Key::generate().expect("randomness");
    let mut config = ServerConfig::new(key.clone(), rules, map, settings);
    (config.rooms, config.shed) = (rooms, shed);
    (config.spectators_max, config.spectator_delay) = (1, Duration::from_secs(2));
    (Server::start(config).expect("the server starts"), key)
}

/// What was counted until now.
struct Sums {
    ticks: u64,
    late: u64,
    clients: Tally,
    shed: ShedStats,
}

fn run(name: &str, shed: Shed, rooms: u16) -> f64 {
    let (server, key) = start(rooms, shed);
    let (stop, tallies) = (AtomicBool::new(false), Mutex::new([Tally::default(); CLIENT_THREADS]));
    let players = usize::from(rooms) * usize::from(PLAYERS);
    let (before, after) = std::thread::scope(|scope| {
        for thread in 0..CLIENT_THREADS {
            let (server, key, stop, tallies) = (&server, &key, &stop, &tallies);
            let (all, watching) = (players.div_ceil(CLIENT_THREADS), usize::from(rooms).div_ceil(CLIENT_THREADS));
            scope.spawn(move || clients(thread, all, watching, server, key, stop, tallies));
        }
        let welcomed = || tallies.lock().expect("nobody panics with it").iter().map(|it| it.welcomed).sum::<u32>();
        let begin = Instant::now();
        while welcomed() < players as u32 && begin.elapsed() < WELCOME {
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{name}: {} players in after {:.1} s", welcomed(), begin.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        let before = sums(&server, rooms, &tallies);
        std::thread::sleep(Duration::from_secs(SECONDS));
        let after = sums(&server, rooms, &tallies);
        stop.store(true, Ordering::Relaxed);
        (before, after)
    });
    server.stop(OnStop::Abandon);
    server.join();
    tell(name, &before, &after, players as f64)
}

fn tell(name: &str, before: &Sums, after: &Sums, players: f64) -> f64 {
    let (late, ticks) = ((after.late - before.late) as f64, (after.ticks - before.ticks) as f64);
    let late_percent = 100.0 * late / (late + ticks).max(1.0);
    let per_second = |count: u64| count as f64 / SECONDS as f64;
    figure(&format!("overload.{name}.late"), late_percent, "percent");
    let told = per_second(after.clients.snapshots - before.clients.snapshots) / players;
    figure(&format!("overload.{name}.player_datagrams"), told, "per second and player");
    let shown = per_second(after.clients.shown - before.clients.shown);
    figure(&format!("overload.{name}.spectator_datagrams"), shown, "per second, all spectators");
    println!(
        "{name}: load {:.2} at step {}, spectators let go {}, of whom {} were told why, snapshots left out {}, entities {}",
        after.shed.load,
        after.shed.step.name(),
        after.shed.spectators_let_go,
        after.clients.let_go,
        after.shed.snapshots - before.shed.snapshots,
        after.shed.entities - before.shed.entities,
    );
    for (step, (until, since)) in Step::ALL.into_iter().zip(after.shed.spent_us.into_iter().zip(before.shed.spent_us)) {
        figure(&format!("overload.{name}.{}", step.name()), (until - since) as f64 / 1e6, "s");
    }
    late_percent
}

fn sums(server: &ServerHandle, rooms: u16, tallies: &Mutex<[Tally; CLIENT_THREADS]>) -> Sums {
    let stats: Vec<_> = (0..rooms).filter_map(|room| server.room_stats(room)).collect();
    Sums {
        ticks: stats.iter().map(|stats| stats.ticks.count()).sum(),
        late: stats.iter().map(|stats| stats.overruns).sum(),
        clients: tallies.lock().expect("nobody panics with it").iter().fold(Tally::default(), |sum, it| sum + *it),
        shed: server.shed_stats(),
    }
}

/// Plays and watches; those who watch come when all players are on their way.
fn clients(
    thread: usize,
    players: usize,
    watching: usize,
    server: &ServerHandle,
    key: &Key,
    stop: &AtomicBool,
    tallies: &Mutex<[Tally; CLIENT_THREADS]>,
) {
    let start = Instant::now();
    let mut lights: Vec<Light> = Vec::new();
    let period = Duration::from_secs(1) / u32::from(TICK_RATE);
    let slices = 8;
    let mut round = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_secs_f64() * CONNECTS_PER_SECOND / CLIENT_THREADS as f64;
        while lights.len() < (players + watching).min(due as usize + 1) {
            let connect = if lights.len() < players { Light::connect } else { Light::watch };
            lights.push(connect(server.local_address(), key, server.protocol_hash()));
        }
        lights.iter_mut().skip(round as usize % slices).step_by(slices).for_each(Light::tick);
        round += 1;
        if (round as usize).is_multiple_of(slices) {
            let tally = lights.iter().fold(Tally::default(), |sum, light| sum + light.tally());
            tallies.lock().expect("nobody panics with it")[thread] = tally;
        }
        let next = start + period * round / slices as u32;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    lights.iter_mut().for_each(Light::leave);
}
