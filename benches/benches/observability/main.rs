//! What it costs a tick that operators look at it: the same match twice, tick by tick, once with figures scraped over HTTP each second
//! and with a span around each phase of a tick for a real subscriber that writes JSON, once with neither. Both play on bit for bit
//! alike; who goes first alternates with each tick, and each round of ticks gives one ratio of both p99. Thread CPU time of the whole
//! tick as in the bench `room`; the thread that answers scrapes runs beside it.
//!
//! What both have: the room's own counts and its times of ticks, which the server's progress lines need.
//!
//! Before that the spans alone, without a match: those of a tick for our subscriber, and for `tracing-subscriber` as it is, in turns.
//!
//! `cargo bench --bench observability`; behind `--`, `spans` measures the spans alone.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fighters;
use arbiter_cli::logging::{Format, LoggingArgs, subscriber};
use arbiter_metrics::lines;
use arbiter_server::ServerConfig;
use arbiter_server::room::TickPhase;
use arbiter_server::staged::Staged;
use arbiter_sim::{MatchSettings, Rules};
use arbiter_transport::Key;
use tracing::Dispatch;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

#[path = "../room/clients.rs"]
mod clients;

use clients::Clients;

const SEED: u64 = 7;
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// One way of a link.
const DELAY: Duration = Duration::from_millis(25);
/// Seconds before anything is measured.
const WARM_SECONDS: u32 = 10;
/// Seconds of a round: its p99 has some ticks to stand on.
const ROUND_SECONDS: u32 = 30;
/// Ticks in which everybody must have got in.
const JOIN_TICKS: u32 = 2_000;
/// All spans of a tick.
const FILTER: &str = "info,arbiter_server=debug";
/// Rounds of the spans alone, and ticks of each.
const SPAN_ROUNDS: usize = 15;
const SPAN_TICKS: u32 = 20_000;

struct Row {
    name: &'static str,
    map: &'static str,
    players: u16,
    tick_rate: u16,
    rounds: u32,
}

const ROWS: [Row; 3] = [
    Row { name: "p10_128hz", map: "arena", players: 10, tick_rate: 128, rounds: 15 },
    Row { name: "p10_60hz", map: "arena", players: 10, tick_rate: 60, rounds: 15 },
    Row { name: "p100_60hz", map: "field", players: 100, tick_rate: 60, rounds: 3 },
];

/// A match, and those who play it.
struct Game {
    stage: Staged,
    clients: Clients,
    fighters: Fighters,
    /// Who is told of spans; nobody in the game that is not looked at.
    told: Option<Dispatch>,
    since_in: u32,
    _recordings: tempfile::TempDir,
}

impl Game {
    fn new(row: &Row, is_observed: bool) -> Self {
        let recordings = tempfile::tempdir().expect("a folder");
        let server: SocketAddr = ([10, 255, 0, 1], 7_000).into();
        let mut rules = Rules::shipped();
        for mode in &mut rules.modes {
            (mode.score_limit, mode.round_seconds, mode.warmup_seconds) = (0, 7_200, 0);
        }
        let settings = MatchSettings { tick_rate: row.tick_rate, players_max: row.players, ..MatchSettings::default() };
        let map = Arc::new(Assets::embedded().map(row.map).expect("built-in maps are valid"));
        let mut config = ServerConfig::new(Key::generate().expect("randomness"), Arc::new(rules), map, settings);
        (config.seed, config.record_dir) = (Some(SEED), Some(recordings.path().to_owned()));
        config.operate = is_observed.then(|| ([127, 0, 0, 1], 0).into());
        let key = config.key.clone();
        let stage = Staged::new(config, server, EPOCH).expect("the room starts");
        let registry = stage.simulation().registry().clone();
        let delay = (DELAY.as_secs_f64() * f64::from(row.tick_rate)).round() as u32;
        let clients = Clients::new(row.players, None, server, &key, &registry, delay, EPOCH);
        let fighters = Fighters::new(row.players, SEED);
        let told = (!is_observed).then(Dispatch::none);
        Self { stage, clients, fighters, told, since_in: 0, _recordings: recordings }
    }

    /// One tick of everything; what the server's part of it took.
    fn turn(&mut self, now: Duration) -> Duration {
        let Self { stage, clients, fighters, told, since_in, .. } = self;
        if clients.are_in() {
            *since_in += 1;
            let next = stage.simulation().tick() + 1;
            fighters.decide(stage.simulation(), &mut |slot, input| clients.push_input(usize::from(slot), next, input));
        }
        clients.turn(now);
        let took = {
            let _nobody = told.as_ref().map(tracing::dispatcher::set_default);
            let began = thread_cpu();
            clients.arriving(&mut |from, bytes| stage.hear(now, from, bytes));
            stage.advance(now);
            assert!(stage.tick(now), "the match has ended");
            stage.send(now);
            thread_cpu() - began
        };
        clients.exchange(now, stage);
        took
    }
}

/// Asks for figures as Prometheus does, each time that it is told to.
struct Scraper {
    ask: SyncSender<()>,
    thread: JoinHandle<(u64, u64)>,
}

impl Scraper {
    fn start(address: SocketAddr) -> Self {
        // A scrape that waits is as good as two.
        let (ask, asked) = sync_channel(1);
        Self { ask, thread: std::thread::spawn(move || scrape(address, &asked)) }
    }

    /// How often it asked, and how many bytes the last answer had.
    fn end(self) -> (u64, u64) {
        drop(self.ask);
        self.thread.join().expect("it does not panic")
    }
}

fn scrape(address: SocketAddr, asked: &Receiver<()>) -> (u64, u64) {
    let (mut count, mut bytes) = (0, 0);
    while asked.recv().is_ok() {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        assert!(text.ends_with("# EOF\n"), "{text}");
        (count, bytes) = (count + 1, text.len() as u64);
    }
    (count, bytes)
}

fn main() {
    println!("machine: {}", machine());
    spans();
    if std::env::args().any(|argument| argument == "spans") {
        return;
    }
    let log = tempfile::NamedTempFile::new().expect("a file");
    let args = LoggingArgs { log: Some(FILTER.to_owned()), log_format: Format::Json };
    let out = log.reopen().expect("it is there");
    let (subscriber, _writing) = subscriber(&args, true, out).expect("the filter is right");
    tracing::dispatcher::set_global_default(Dispatch::new(subscriber)).expect("nobody was before");
    let overheads = ROWS.map(|row| measure(&row));
    figure("observability.overhead", overheads.into_iter().fold(f64::MIN, f64::max), "percent");
}

/// What the spans of a tick cost, in thread CPU time, where no line is written.
fn spans() {
    let mut costs = [const { Vec::new() }; 2];
    for _ in 0..SPAN_ROUNDS {
        costs[0].push(spans_for(|| {
            let args = LoggingArgs { log: Some(FILTER.to_owned()), log_format: Format::Json };
            let (ours, writing) = subscriber(&args, true, std::io::sink()).expect("the filter is right");
            (Dispatch::new(ours), Some(writing))
        }));
        costs[1].push(spans_for(|| {
            let format = tracing_subscriber::fmt::layer().json().with_writer(std::io::sink);
            let plain = tracing_subscriber::registry().with(format.with_filter(EnvFilter::new(FILTER)));
            (Dispatch::new(plain), None::<()>)
        }));
    }
    let [ours, plain] = costs.map(|mut costs| median(&mut costs));
    figure("observability.spans_of_a_tick.ours", ours, "ns");
    figure("observability.spans_of_a_tick.plain", plain, "ns");
    figure("observability.spans_of_a_tick.ours_over_plain", ours / plain, "ratio");
}

/// Nanoseconds for a tick. Nobody else is told of spans meanwhile: each place in the program would ask both.
fn spans_for<W>(begin: impl FnOnce() -> (Dispatch, W)) -> f64 {
    let (told, _writing) = begin();
    tracing::dispatcher::with_default(&told, || {
        (0..SPAN_TICKS / 10).for_each(spans_of_a_tick);
        let began = thread_cpu();
        (0..SPAN_TICKS).for_each(spans_of_a_tick);
        (thread_cpu() - began).as_secs_f64() * 1e9 / f64::from(SPAN_TICKS)
    })
}

/// As a room makes them.
fn spans_of_a_tick(tick: u32) {
    let _tick = tracing::debug_span!(target: "arbiter_server::room::phase", "tick", room = 1_u16, tick).entered();
    for _ in TickPhase::ALL {
        let _phase = tracing::debug_span!(target: "arbiter_server::room::phase", "phase").entered();
    }
}

/// By how many percent the p99 of a tick is larger where it is looked at.
fn measure(row: &Row) -> f64 {
    let mut games = [Game::new(row, false), Game::new(row, true)];
    let scraper = Scraper::start(games[1].stage.operate_address().expect("it was asked for"));
    let (rate, period) = (u32::from(row.tick_rate), Duration::from_secs(1) / u32::from(row.tick_rate));
    let (warm, round) = (WARM_SECONDS * rate, (ROUND_SECONDS * rate) as usize);
    let samples = || [0, 1].map(|_| Samples::with_capacity(round));
    let (mut now, mut turn, mut asked) = (EPOCH, 0, 0);
    let (mut both, mut ratios) = (samples(), Vec::new());
    let (mut all, mut medians) = ([const { Vec::new() }; 2], Vec::new());
    while ratios.len() < row.rounds as usize {
        (now, turn) = (now + period, turn + 1);
        let first = turn as usize % 2;
        for at in [first, 1 - first] {
            let took = games[at].turn(now);
            if games[at].since_in > warm {
                both[at].push(took);
            }
        }
        assert!(turn < JOIN_TICKS || games.iter().all(|game| game.since_in > 0), "somebody did not get in");
        if turn % rate == 0 && scraper.ask.try_send(()).is_ok() {
            asked += 1;
        }
        if both[1].count() == round {
            let p99 = [0, 1].map(|at: usize| both[at].percentile_us(0.99));
            let p50 = [0, 1].map(|at: usize| both[at].percentile_us(0.5));
            println!(
                "{} round {}: off p50 {:.1} p99 {:.1} us, on p50 {:.1} p99 {:.1} us",
                row.name,
                ratios.len() + 1,
                p50[0],
                p99[0],
                p50[1],
                p99[1]
            );
            ratios.push(p99[1] / p99[0]);
            medians.push(p50[1] / p50[0]);
            (0..2).for_each(|at| all[at].push(p99[at]));
            both = samples();
        }
    }
    let same = games[0].stage.simulation().hash() == games[1].stage.simulation().hash();
    assert!(same, "the two matches are not the same");
    let (scrapes, bytes) = scraper.end();
    let written = lines::WRITTEN.load(Ordering::Relaxed);
    let ticks = row.rounds as usize * round;
    println!(
        "{}: {} clients, {ticks} ticks each, {scrapes} of {asked} scrapes of {bytes} B, {written} lines so far",
        row.name,
        games[1].clients.count()
    );
    let of = |name: &str, value: f64, unit: &str| figure(&format!("observability.{}.{name}", row.name), value, unit);
    of("p99_off", median(&mut all[0]), "us");
    of("p99_on", median(&mut all[1]), "us");
    of("overhead_p50", 100.0 * (median(&mut medians) - 1.0), "percent");
    let overhead = 100.0 * (median(&mut ratios) - 1.0);
    of("overhead", overhead, "percent");
    of("overhead_least", 100.0 * (ratios[0] - 1.0), "percent");
    of("overhead_most", 100.0 * (ratios[ratios.len() - 1] - 1.0), "percent");
    overhead
}

/// The middle one; sorts them.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
