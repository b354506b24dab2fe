//! Many light clients on one server over loopback: who is dropped, and what a client costs the socket threads.
//!
//! The server's sockets, connections, queues and threads are the real ones. The room is scripted: it lets everyone in and sends each
//! [`Options::bytes`] a tick, because a match of 1,000 players on this machine would measure the match. The clients connect with
//! tokens, decrypt, acknowledge and count; they predict and decode nothing, and send real input datagrams 60 times a second.
//!
//! `cargo bench --bench clients` runs 1,000 clients for 60 s. Behind `--`: `--clients N`, `--seconds S`, `--bytes B`,
//! `--socket-threads N`, `--portable`, and `--minutes M`, a soak of 50 clients unless `--clients` says otherwise. Each client has a
//! socket of its own: raise the limit of open files (`ulimit -n`) above their number.

mod light;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arbiter_benches::measure::{figure, machine, rss_mb};
use arbiter_cli::assets::Assets;
use arbiter_server::stats::ServerStats;
use arbiter_server::{OnStop, Server, ServerConfig, ServerHandle, SocketKind};
use arbiter_sim::MatchSettings;
use arbiter_transport::Key;

use light::{Light, Tally};

const TICK_RATE: u16 = 60;

/// Clients that connect in a second: one source may make 512 handshake packets, and each client needs two.
const CONNECTS_PER_SECOND: u32 = 200;

/// Threads of clients. They share the machine with the server.
const CLIENT_THREADS: usize = 2;

/// A client that is not welcomed by then never will be.
const WELCOME: Duration = Duration::from_secs(60);

/// What is measured.
struct Options {
    clients: u32,
    time: Duration,
    bytes: usize,
    socket_threads: u16,
    sockets: SocketKind,
}

fn main() {
    let options = options();
    println!("machine: {}", machine());
    println!(
        "{} clients, {} s at {TICK_RATE} Hz, snapshots of {} B, {} socket threads ({:?}), scripted room on real shards",
        options.clients,
        options.time.as_secs(),
        options.bytes,
        options.socket_threads,
        options.sockets,
    );
    let (server, key) = start(&options);
    let rss_before = rss_mb();
    let stop = AtomicBool::new(false);
    let tallies = Mutex::new(vec![Tally::default(); CLIENT_THREADS]);
    std::thread::scope(|scope| {
        for at in 0..CLIENT_THREADS {
            let (options, key, stop, tallies) = (&options, &key, &stop, &tallies);
            let address = server.local_address();
            let hash = server.protocol_hash();
            scope.spawn(move || clients(at, options, address, key, hash, stop, tallies));
        }
        let measured = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| measure(&options, &server, &tallies)));
        stop.store(true, Ordering::Relaxed);
        match measured {
            Ok(measured) => report(&options, &measured, rss_before),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    server.stop(OnStop::Abandon);
}

fn options() -> Options {
    let mut options = Options {
        clients: 1_000,
        time: Duration::from_secs(60),
        bytes: 400,
        socket_threads: 1,
        sockets: SocketKind::Auto,
    };
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize| -> u32 {
        let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("{}: expected a number behind it", arguments[at]))
    };
    if let Some(at) = arguments.iter().position(|argument| argument == "--minutes") {
        (options.clients, options.time) = (50, Duration::from_secs(60) * number(at));
    }
    for (at, argument) in arguments.iter().enumerate() {
        match argument.as_str() {
            "--clients" => options.clients = number(at).clamp(1, 1_000),
            "--seconds" => options.time = Duration::from_secs(u64::from(number(at))),
            "--bytes" => options.bytes = (number(at) as usize).clamp(1, 1_100),
            "--socket-threads" => options.socket_threads = number(at).clamp(1, 64) as u16,
            "--portable" => options.sockets = SocketKind::Portable,
            other if other.starts_with("--") && other != "--minutes" => panic!("{other}: no such option"),
            _ => {}
        }
    }
    options
}

fn start(options: &Options) -> (ServerHandle, Key) {
    let assets = Assets::embedded();
    let rules = Arc::new(assets.rules().expect("built-in rules are valid"));
    let map = Arc::new(assets.map("arena").expect("built-in maps are valid"));
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max: 1_000, ..MatchSettings::default() };
    let key = Key::generate().expect("randomness");
    let mut config = ServerConfig::new(key.clone(), rules, map, settings);
    config.scripted_bytes = Some(options.bytes);
    (config.socket_threads, config.sockets) = (options.socket_threads, options.sockets);
    (Server::start(config).expect("the server starts"), key)
}

/// A share of the clients, from connecting to leaving.
fn clients(
    thread: usize,
    options: &Options,
    server: SocketAddr,
    key: &Key,
    protocol_hash: u64,
    stop: &AtomicBool,
    tallies: &Mutex<Vec<Tally>>,
) {
    let start = Instant::now();
    let mut lights: Vec<Light> = Vec::new();
    let share = (options.clients as usize + CLIENT_THREADS - 1 - thread) / CLIENT_THREADS;
    let period = Duration::from_secs(1) / u32::from(TICK_RATE);
    // Clients are spread over the tick, as they are in the world.
    let slices = 8;
    let mut round = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_secs_f64() * f64::from(CONNECTS_PER_SECOND) / CLIENT_THREADS as f64;
        while lights.len() < share.min(due as usize + 1) {
            lights.push(Light::connect(server, key, protocol_hash));
        }
        for light in lights.iter_mut().skip(round as usize % slices).step_by(slices) {
            light.tick();
        }
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

/// Both ends' figures over the time in which everyone was in.
struct Measured {
    time: Duration,
    server: [ServerStats; 2],
    clients: [Tally; 2],
    held_back: u64,
    overruns: u64,
    rss_mb: [f64; 2],
}

fn measure(options: &Options, server: &ServerHandle, tallies: &Mutex<Vec<Tally>>) -> Measured {
    let sum = || {
        let tallies = tallies.lock().expect("nobody panics with it");
        tallies.iter().fold(Tally::default(), |sum, tally| sum + *tally)
    };
    let begin = Instant::now();
    while sum().welcomed < options.clients {
        assert!(
            begin.elapsed() < WELCOME,
            "only {} of {} got in: {:?}",
            sum().welcomed,
            options.clients,
            server.stats()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("all in after {:.1} s", begin.elapsed().as_secs_f64());
    // Rates adapt, queues fill and caches warm up.
    std::thread::sleep(Duration::from_secs(3));
    let rooms = |server: &ServerHandle| server.room_stats(0).unwrap_or_default();
    let (start, before, clients_before, room, rss) = (Instant::now(), server.stats(), sum(), rooms(server), rss_mb());
    while start.elapsed() < options.time {
        std::thread::sleep(Duration::from_millis(200).min(options.time));
    }
    let time = start.elapsed();
    let after = rooms(server);
    Measured {
        time,
        server: [before, server.stats()],
        clients: [clients_before, sum()],
        held_back: after.held_back - room.held_back,
        overruns: after.overruns - room.overruns,
        rss_mb: [rss, rss_mb()],
    }
}

fn report(options: &Options, measured: &Measured, rss_before: f64) {
    let [before, after] = &measured.server;
    let [heard_before, heard] = &measured.clients;
    let seconds = measured.time.as_secs_f64();
    let cpu_us = (after.sockets_cpu_us - before.sockets_cpu_us) as f64;
    let datagrams = (after.datagrams_in - before.datagrams_in + after.datagrams_out - before.datagrams_out) as f64;
    let snapshots = (heard.snapshots - heard_before.snapshots) as f64;
    figure("clients.dropped", f64::from(heard.ended), "clients");
    figure("clients.socket_cpu_per_client", cpu_us / seconds / f64::from(options.clients), "us per s");
    figure("clients.socket_cpu", cpu_us / seconds / 1e4, "% of a core");
    figure("clients.socket_cpu_per_datagram", cpu_us * 1e3 / datagrams, "ns");
    figure("clients.datagrams", datagrams / seconds, "per s");
    let due = f64::from(options.clients) * seconds * f64::from(TICK_RATE);
    figure("clients.snapshots_received", 100.0 * snapshots / due, "% of ticks");
    figure("clients.inputs_sent", 100.0 * (heard.inputs - heard_before.inputs) as f64 / due, "% of ticks");
    figure("clients.held_back", measured.held_back as f64, "snapshots");
    figure("clients.room_overruns", measured.overruns as f64, "ticks");
    figure("clients.drops", (after.drops.total() - before.drops.total()) as f64, "of all kinds");
    figure("clients.rss_start", measured.rss_mb[0], "MB");
    figure("clients.rss_end", measured.rss_mb[1], "MB");
    println!("RSS is of both ends together; {rss_before:.1} MB before anyone connected. {:?}", after.drops);
    for (number, shard) in after.sockets.iter().enumerate() {
        let cpu_us = (shard.cpu_us - before.sockets[number].cpu_us) as f64;
        println!("socket {number}: {} clients, {:.1} % of a core", shard.clients, cpu_us / seconds / 1e4);
    }
}
