//! Many bots on few threads over real sockets: the only module of this room that knows a socket, a clock or a thread.
//!
//! Each bot has a socket of its own, as a player has (`line`), and comes back to its place over another one when the first falls
//! silent (`seat`). [`spectator`] watches instead. A thread serves its share of the bots in turn: receives, thinks where a tick is due, sends, and waits a
//! little.

pub mod feel;
mod line;
pub mod memory;
mod seat;
pub mod spectator;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{Outcome, UserDataError};
use arbiter_schema::Registry;
use arbiter_sim::collide::SolidError;
use arbiter_sim::{BuildError, Map, MatchSettings, Rules, Simulation};
use arbiter_transport::conditioner::{PERFECT, Profile};
use arbiter_transport::{Key, PAYLOAD_BYTES_MAX, TokenError, UDP_BYTES_MAX};
use thiserror::Error;

use self::feel::FeelLog;
use self::seat::Seat;
use crate::bots::Bot;
use crate::bots::brain::Surroundings;
use crate::bots::cheat::Cheat;
use crate::client::Counts;
use crate::freezes::Freeze;
use crate::prediction::Plugins;

/// Bots of one run: the most players that a match may have.
pub const BOTS_MAX: u16 = 1_000;
/// Threads are no more than this by themselves: bots must leave the machine to the server that they play on.
const THREADS_MAX: usize = 4;
/// Bots that one thread serves before there is a second one.
const BOTS_PER_THREAD: usize = 64;
/// Bots of a run that predict their own heroes as players do; of a crowd, each guesses a little ahead instead, since it is the
/// server that is to be loaded.
pub const PREDICTING_BOTS_MAX: u16 = 64;
/// A thread waits this long between two rounds for few bots; with many, rounds take time themselves.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// See [`WAIT_MIN`]: longer would make inputs late at 128 Hz.
const WAIT_MAX: Duration = Duration::from_millis(4);
/// What the tokens of bots say of their build.
const BUILD: &str = concat!("arbiter bots ", env!("CARGO_PKG_VERSION"));
/// After the stop flag, goodbyes have this long to leave.
const GOODBYE: Duration = Duration::from_millis(200);

/// What all bots of a run play: content that must be the server's.
#[derive(Clone)]
pub struct Content {
    /// Components of the simulation.
    pub registry: Arc<Registry>,
    /// Rules.
    pub rules: Arc<Rules>,
    /// The map.
    pub map: Arc<Map>,
    /// A studio's own plugins.
    pub plugins: Plugins,
}

impl Content {
    /// From rules and a map, with the built-in components.
    pub fn new(rules: Arc<Rules>, map: Arc<Map>) -> Result<Self, BuildError> {
        Self::with_plugins(rules, map, Arc::new(|_| ()))
    }

    /// With a studio's own plugins, which must be the server's: components are numbered in the order of plugins.
    pub fn with_plugins(rules: Arc<Rules>, map: Arc<Map>, plugins: Plugins) -> Result<Self, BuildError> {
        // Any mode will do, since the components are the same in all; but a map need not suit every mode.
        let mut made = None;
        for mode in &rules.modes {
            let settings = MatchSettings { mode: mode.name.clone(), ..MatchSettings::default() };
            let simulation = Simulation::with_plugins(rules.clone(), map.clone(), 0, settings, &*plugins);
            let good = simulation.is_ok();
            made = Some(simulation);
            if good {
                break;
            }
        }
        let none = BuildError::Mode { wanted: String::new(), known: String::new() };
        let registry = Arc::new(made.ok_or(none)??.registry().clone());
        Ok(Self { registry, rules, map, plugins })
    }

    /// What the server must have alike.
    pub fn protocol_hash(&self) -> u64 {
        arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(&self.registry))
    }
}

/// Is shown each bot with its number behind each of its turns, on a thread of the run. It must be quick.
pub type Watch = Arc<dyn Fn(u16, &Bot) + Send + Sync>;

/// Gives the bot of a number a connect token, 2,048 bytes; why not, otherwise. Called on a thread of the run, once for each
/// connection: at the beginning, and when a bot comes back.
pub type Tickets = Arc<dyn Fn(u16) -> Result<Vec<u8>, String> + Send + Sync>;

/// Where bots get their connect tokens.
#[derive(Clone)]
pub enum Door {
    /// They make them, as a studio's backend would.
    Key {
        /// Where the server is.
        server: SocketAddr,
        /// The server's key.
        key: Key,
    },
    /// They ask for them, as players do; a token says where its server is.
    Tickets(Tickets),
}

/// A run of bots.
pub struct BotsConfig {
    /// Where connect tokens come from.
    pub door: Door,
    /// How many bots, 1 to [`BOTS_MAX`].
    pub count: u16,
    /// Seeds all of them: bot `i` plays alike in every run with the same seed, as far as the network lets it.
    pub seed: u64,
    /// How long they play; `None` until the match is over.
    pub duration: Option<Duration>,
    /// The link of each bot, the same in both directions.
    pub link: Profile,
    /// What is played.
    pub content: Content,
    /// Whether it is logged how it feels to each of them.
    pub feel: bool,
    /// What the first bots do that they should not.
    pub cheat: Option<Cheat>,
    /// How many do.
    pub cheaters: u16,
    /// Looks at bots.
    pub watch: Option<Watch>,
    /// Each bot sends from an address of this machine of its own (127.x.y.z, on Linux), as players do, who come from many places:
    /// servers bound what they take from one. Only for servers on this machine.
    pub apart: bool,
}

impl BotsConfig {
    /// Honest bots on perfect links that play until the match is over.
    pub fn new(door: Door, count: u16, content: Content) -> Self {
        Self {
            door,
            count,
            seed: 0,
            duration: None,
            link: PERFECT,
            content,
            feel: false,
            cheat: None,
            cheaters: 0,
            watch: None,
            apart: false,
        }
    }
}

/// How a run of bots ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BotsReport {
    /// Bots that were in a match.
    pub played: u32,
    /// Bots whose connection ended though neither end had said goodbye, or that never got in: a line for each reason, with
    /// the numbers of the bots.
    pub failed: Vec<String>,
    /// How the connections of bots ended that were in a match, in words, and how often: the server's goodbyes, and bots that quit.
    pub ends: BTreeMap<String, u32>,
    /// How often a bot came back to its place over a new connection.
    pub comebacks: u32,
    /// Sums over all bots.
    pub counts: Counts,
    /// How it felt to each, where that was asked for.
    pub feel: Vec<FeelLog>,
    /// Time of a processor that all bots took together, heads and links included; zero where the system does not tell.
    pub cpu: Duration,
    /// Bytes of datagrams that all bots received, without UDP and IP headers.
    pub bytes_down: u64,
    /// Bytes of datagrams that all bots sent, without UDP and IP headers.
    pub bytes_up: u64,
    /// Mean of the bots' last round-trip times.
    pub round_trip: Option<Duration>,
    /// Deaths that the bots were told of, as the first of them heard.
    pub deaths: u32,
    /// How the last match ended, as the first of them heard.
    pub outcome: Option<Outcome>,
    /// The slot of each bot by its number, if it ever had one.
    pub slots: Vec<Option<u16>>,
    /// By bot, when it was shown nothing new for a while: since the Unix epoch.
    pub freezes: Vec<Vec<Freeze>>,
}

/// Why bots could not start.
#[derive(Debug, Error)]
pub enum BotsError {
    /// The number is out of range.
    #[error("{0} bots are outside 1 to 1,000; choose a number inside")]
    Count(u16),
    /// The map cannot be used.
    #[error("the map cannot be walked: {0}")]
    Map(#[from] SolidError),
    /// No token for them.
    #[error("no connect token: {0}; check the key file and the address")]
    Token(#[from] TokenError),
    /// Nobody gives them one.
    #[error("no connect token for bot {bot}: {why}")]
    Ticket {
        /// Which bot.
        bot: u16,
        /// Why.
        why: String,
    },
    /// No user data for their tokens.
    #[error("no connect token: {0}")]
    UserData(#[from] UserDataError),
    /// No socket for them.
    #[error("no socket for bot {bot}: {error}; allow more open files or use fewer bots")]
    Socket {
        /// Which bot.
        bot: u16,
        /// Why.
        error: std::io::Error,
    },
}

/// The time since the Unix epoch, which never goes back.
struct Epoch {
    start: Instant,
    offset: Duration,
}

impl Epoch {
    fn now(&self) -> Duration {
        self.offset + self.start.elapsed()
    }
}

/// Runs bots until `stop` is set, the time is over or all are out of the match. Blocks.
pub fn run_bots(config: &BotsConfig, stop: &AtomicBool) -> Result<BotsReport, BotsError> {
    if !(1..=BOTS_MAX).contains(&config.count) {
        return Err(BotsError::Count(config.count));
    }
    let around = Surroundings::new(&config.content.rules, config.content.map.clone())?;
    let start = Instant::now();
    // A clock before 1970 is no reason to fail here: the token will be refused readably.
    let offset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = Epoch { start, offset };
    let mut seats =
        (0..config.count).map(|number| Seat::new(config, number, epoch.now())).collect::<Result<Vec<_>, _>>()?;
    let per_thread = seats.len().div_ceil(threads(seats.len()));
    let end = config.duration.map(|duration| start + duration);
    let cpu_ns = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for share in seats.chunks_mut(per_thread) {
            let (around, epoch, cpu_ns) = (&around, &epoch, &cpu_ns);
            scope.spawn(move || {
                serve(share, around, epoch, end, stop, config.watch.as_ref());
                cpu_ns.fetch_add(thread_cpu_ns(), Ordering::Relaxed);
            });
        }
    });
    let feel = seats.iter_mut().filter_map(|seat| seat.feel.take()).collect();
    Ok(BotsReport { feel, cpu: Duration::from_nanos(cpu_ns.into_inner()), ..report(&seats) })
}

fn threads(bots: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    bots.div_ceil(BOTS_PER_THREAD).min(cores).clamp(1, THREADS_MAX)
}

/// What this thread has taken of a processor; 0 where the system does not tell.
fn thread_cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// The hero of a bot: all of them in turn, shifted by one in every round if their number is even, so that each of two teams
/// that are filled in turn gets all.
pub fn hero_of(number: u16, seed: u64, heroes: usize) -> u8 {
    let (number, heroes) = (u64::from(number), heroes.max(1) as u64);
    let shift = if heroes.is_multiple_of(2) { number / heroes } else { 0 };
    ((number + shift + seed % heroes) % heroes) as u8
}

/// The seed of one of many bots.
fn seed_of(number: u16, seed: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(number))
}

fn serve(
    seats: &mut [Seat],
    around: &Surroundings,
    epoch: &Epoch,
    end: Option<Instant>,
    stop: &AtomicBool,
    watch: Option<&Watch>,
) {
    let mut buffer = [0; UDP_BYTES_MAX];
    let mut out = Vec::with_capacity(PAYLOAD_BYTES_MAX);
    let wait = (WAIT_MIN * (seats.len() / 16 + 1) as u32).min(WAIT_MAX);
    loop {
        for seat in seats.iter_mut().filter(|seat| !seat.done) {
            seat.turn(around, epoch.now(), &mut buffer, &mut out);
            if let Some(watch) = watch {
                watch(seat.number, &seat.bot);
            }
        }
        let over = stop.load(Ordering::Relaxed) || end.is_some_and(|end| Instant::now() >= end);
        if over || seats.iter().all(|seat| seat.done) {
            break;
        }
        std::thread::sleep(wait);
    }
    leave(seats, epoch, &mut buffer);
}

/// Says goodbye and lets it leave.
fn leave(seats: &mut [Seat], epoch: &Epoch, buffer: &mut [u8]) {
    let until = epoch.now() + GOODBYE;
    for seat in seats.iter_mut().filter(|seat| !seat.done) {
        seat.bot.client.quit();
        while let Some(message) = seat.bot.client.next_message() {
            // A connection that is gone needs no goodbye.
            let _ = seat.line.connection.send_message(&message);
        }
    }
    while epoch.now() < until && seats.iter().any(|seat| !seat.done) {
        for seat in seats.iter_mut().filter(|seat| !seat.done) {
            seat.exchange(epoch.now(), buffer);
            seat.done = seat.line.ended.is_some();
        }
        std::thread::sleep(WAIT_MIN);
    }
    for seat in seats.iter_mut().filter(|seat| seat.line.ended.is_none()) {
        let now = epoch.now();
        seat.disconnect(now);
        seat.exchange(now, buffer);
    }
}

/// The first few bots by number, and how many more.
fn named(bots: &[u16]) -> String {
    const NAMED: usize = 8;
    let list: Vec<String> = bots.iter().take(NAMED).map(u16::to_string).collect();
    let more = bots.len() - list.len();
    let plural = if bots.len() == 1 { "bot" } else { "bots" };
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{plural} {}{rest}", list.join(", "))
}

fn report(seats: &[Seat]) -> BotsReport {
    let mut report = BotsReport::default();
    let mut round_trips = Vec::new();
    let mut failed: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for seat in seats {
        report.played += u32::from(seat.played);
        if let Some(end) = seat.end() {
            *report.ends.entry(end).or_default() += 1;
        }
        report.counts.add(seat.bot.client.counts());
        let (down, up) = seat.bytes();
        report.bytes_down += down;
        report.bytes_up += up;
        report.comebacks += seat.comebacks;
        report.deaths = report.deaths.max(seat.deaths);
        report.outcome = report.outcome.or(seat.outcome);
        report.freezes.push(seat.bot.client.freezes().to_vec());
        report.slots.push(seat.bot.client.welcome().map(|welcome| welcome.slot));
        round_trips.extend(seat.bot.client.round_trip());
        let unplayed = || (!seat.played).then(|| "never got in; is a server running there?".to_owned());
        if let Some(why) = seat.failure.clone().or_else(unplayed) {
            failed.entry(why).or_default().push(seat.number);
        }
    }
    report.failed = failed.into_iter().map(|(why, bots)| format!("{}: {why}", named(&bots))).collect();
    let count = round_trips.len() as u32;
    report.round_trip = (count > 0).then(|| round_trips.iter().sum::<Duration>() / count);
    report
}
