//! What an overloaded server does with shedding on and off: the same rooms of ten players at 60 Hz, more than the machine carries, with
//! one who watches in each, all from the same cores. Prints how many ticks were late, what players and spectators were told, and how long
//! each step stood.
//!
//! `cargo bench --bench overload`, or with `--rooms N` behind `--`. Nothing else should run on the machine.

use std::time::{Duration, Instant};

use arbiter_benches::measure::{figure, machine};
use arbiter_server::shed::{Shed, ShedStats, Step};
use arbiter_server::{OnStop, ServerHandle};
use arbiter_transport::Key;

#[path = "../clients/light.rs"]
mod light;

use light::{Crowd, Tally};

const PLAYERS: u16 = 10;
/// A tenth more than what `density` was late with.
const ROOMS: u16 = 44;
const SECONDS: u64 = 30;
/// Clients connect this fast, so that the server is not overloaded by that alone.
const CONNECTS_PER_SECOND: u32 = 200;
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
    light::start(PLAYERS, |config| {
        (config.rooms, config.shed) = (rooms, shed);
        (config.spectators_max, config.spectator_delay) = (1, Duration::from_secs(2));
    })
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
    let (players, watching) = (u32::from(rooms) * u32::from(PLAYERS), u32::from(rooms));
    let crowd = Crowd { players, watching, connects_per_second: CONNECTS_PER_SECOND };
    let (before, after) = crowd.during(&server, &key, |sum| {
        let begin = Instant::now();
        while sum().welcomed < players && begin.elapsed() < WELCOME {
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{name}: {} players in after {:.1} s", sum().welcomed, begin.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        let before = sums(&server, rooms, sum());
        std::thread::sleep(Duration::from_secs(SECONDS));
        (before, sums(&server, rooms, sum()))
    });
    server.stop(OnStop::Abandon);
    server.join();
    tell(name, &before, &after, f64::from(players))
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

fn sums(server: &ServerHandle, rooms: u16, clients: Tally) -> Sums {
    let stats: Vec<_> = (0..rooms).filter_map(|room| server.room_stats(room)).collect();
    Sums {
        ticks: stats.iter().map(|stats| stats.ticks.count()).sum(),
        late: stats.iter().map(|stats| stats.overruns).sum(),
        clients,
        shed: server.shed_stats(),
    }
}
