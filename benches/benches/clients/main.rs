//! Many light clients on one server over loopback: who is dropped, and what a client costs the socket threads.
//!
//! The server's sockets, connections, queues and threads are the real ones. The room is scripted: it lets everyone in and sends each
//! [`Options::bytes`] a tick, because a match of 1,000 players on this machine would measure the match. The clients connect with
//! tokens, decrypt, acknowledge and count; they predict and decode nothing, and send real input datagrams 60 times a second.
//!
//! With `--match` they play a real match instead, all of them in one room on the field: walking, jumping and shooting as their inputs say.
//!
//! `cargo bench --bench clients` runs 1,000 clients for 60 s. Behind `--`: `--clients N`, `--seconds S`, `--bytes B`,
//! `--socket-threads N`, `--portable`, `--match`, and `--minutes M`, a soak of 50 clients unless `--clients` says otherwise. Each client has a
//! socket of its own: raise the limit of open files (`ulimit -n`) above their number.

mod light;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arbiter_benches::measure::{figure, machine, rss_mb};
use arbiter_cli::assets::Assets;
use arbiter_server::stats::ServerStats;
use arbiter_server::{OnStop, ServerHandle, SocketKind};
use arbiter_transport::Key;

use light::{Crowd, TICK_RATE, Tally};

/// Clients that connect in a second: one source may make 512 handshake packets, and each client needs two.
const CONNECTS_PER_SECOND: u32 = 200;

/// A client that is not welcomed by then never will be.
const WELCOME: Duration = Duration::from_secs(60);

/// What is measured.
struct Options {
    clients: u32,
    time: Duration,
    bytes: usize,
    socket_threads: u16,
    sockets: SocketKind,
    /// A match rather than a script.
    is_match: bool,
}

fn main() {
    let options = options();
    println!("machine: {}", machine());
    let room = if options.is_match {
        "one match on the field".to_owned()
    } else {
        format!("scripted room on real shards, snapshots of {} B", options.bytes)
    };
    println!(
        "{} clients, {} s at {TICK_RATE} Hz, {} socket threads ({:?}), {room}",
        options.clients,
        options.time.as_secs(),
        options.socket_threads,
        options.sockets,
    );
    let (server, key) = start(&options);
    let rss_before = rss_mb();
    let crowd = Crowd { players: options.clients, watching: 0, connects_per_second: CONNECTS_PER_SECOND };
    let measured = crowd.during(&server, &key, |sum| measure(&options, &server, sum));
    report(&options, &measured, rss_before);
    server.stop(OnStop::Abandon);
}

fn options() -> Options {
    let mut options = Options {
        clients: 1_000,
        time: Duration::from_secs(60),
        bytes: 400,
        socket_threads: 1,
        sockets: SocketKind::Auto,
        is_match: false,
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
            "--match" => options.is_match = true,
            other if other.starts_with("--") && other != "--minutes" => panic!("{other}: no such option"),
            _ => {}
        }
    }
    options
}

fn start(options: &Options) -> (ServerHandle, Key) {
    light::start(1_000, |config| {
        if options.is_match {
            config.map = Arc::new(Assets::embedded().map("field").expect("built-in maps are valid"));
        } else {
            config.scripted_bytes = Some(options.bytes);
        }
        (config.socket_threads, config.sockets) = (options.socket_threads, options.sockets);
    })
}

/// Both ends' figures over the time in which everyone was in.
struct Measured {
    time: Duration,
    server: [ServerStats; 2],
    clients: [Tally; 2],
    held_back: u64,
    overruns: u64,
    /// Threads' CPU time of a tick of the room.
    tick_us: [f32; 2],
    missed_inputs: u64,
    rss_mb: [f64; 2],
}

fn measure(options: &Options, server: &ServerHandle, sum: &dyn Fn() -> Tally) -> Measured {
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
        tick_us: [after.tick_p50_us, after.tick_p99_us],
        missed_inputs: after.inputs_substituted - room.inputs_substituted,
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
    figure(
        "clients.room_overruns_share",
        100.0 * measured.overruns as f64 / (seconds * f64::from(TICK_RATE)),
        "percent",
    );
    if options.is_match {
        let [p50, p99] = measured.tick_us.map(f64::from);
        figure("clients.match_tick.p50", p50, "us");
        figure("clients.match_tick.p99", p99, "us");
        figure("clients.inputs_missed", 100.0 * measured.missed_inputs as f64 / due, "% of ticks");
    }
    figure("clients.drops", (after.drops.total() - before.drops.total()) as f64, "of all kinds");
    figure("clients.rss_start", measured.rss_mb[0], "MB");
    figure("clients.rss_end", measured.rss_mb[1], "MB");
    println!("RSS is of both ends together; {rss_before:.1} MB before anyone connected. {:?}", after.drops);
    for (number, shard) in after.sockets.iter().enumerate() {
        let cpu_us = (shard.cpu_us - before.sockets[number].cpu_us) as f64;
        println!("socket {number}: {} clients, {:.1} % of a core", shard.clients, cpu_us / seconds / 1e4);
    }
}
