//! Many bots on few threads over real sockets: the only module of this room that knows a socket, a clock or a thread.
//!
//! Each bot has a socket of its own, as a player has. A thread serves its share of the bots in turn: receives, thinks where a
//! tick is due, sends, and waits a little.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{KIND_INPUT, Notice, Outcome, UserData, UserDataError};
use arbiter_schema::Registry;
use arbiter_sim::collide::SolidError;
use arbiter_sim::{BuildError, Loadout, Map, MatchSettings, Rules, Simulation};
use arbiter_transport::conditioner::{Conditioner, Profile};
use arbiter_transport::{
    Body, ClientConnection, ClientEvent, DisconnectReason, Key, PAYLOAD_BYTES_MAX, TokenError, UDP_BYTES_MAX,
    mint_token, token,
};
use bevy_app::App;
use thiserror::Error;

use crate::bots::Bot;
use crate::bots::brain::Surroundings;
use crate::client::{Counts, Stage};

/// Bots of one run: the most players that a match may have.
pub const BOTS_MAX: u16 = 1_000;
/// Threads are no more than this by themselves: bots must leave the machine to the server that they play on.
const THREADS_MAX: usize = 4;
/// Bots that one thread serves before there is a second one.
const BOTS_PER_THREAD: usize = 64;
/// Datagrams that are received from one socket before the next one has its turn.
const RECEIVE_BURST: usize = 32;
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
}

impl Content {
    /// From rules and a map, with the built-in components.
    pub fn new(rules: Arc<Rules>, map: Arc<Map>) -> Result<Self, BuildError> {
        Self::with_plugins(rules, map, &|_| ())
    }

    /// With a studio's own plugins, which must be the server's: components are numbered in the order of plugins.
    pub fn with_plugins(rules: Arc<Rules>, map: Arc<Map>, plugins: &dyn Fn(&mut App)) -> Result<Self, BuildError> {
        // Any mode will do, since the components are the same in all; but a map need not suit every mode.
        let mut made = None;
        for mode in &rules.modes {
            let settings = MatchSettings { mode: mode.name.clone(), ..MatchSettings::default() };
            let simulation = Simulation::with_plugins(rules.clone(), map.clone(), 0, settings, plugins);
            let good = simulation.is_ok();
            made = Some(simulation);
            if good {
                break;
            }
        }
        let none = BuildError::Mode { wanted: String::new(), known: String::new() };
        let registry = Arc::new(made.ok_or(none)??.registry().clone());
        Ok(Self { registry, rules, map })
    }
}

/// A run of bots.
pub struct BotsConfig {
    /// Where the server is.
    pub server: SocketAddr,
    /// The key that tokens are made with.
    pub key: Key,
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
}

/// How a run of bots ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BotsReport {
    /// Bots that were in a match.
    pub played: u32,
    /// Bots whose connection ended though neither end had said goodbye, or that never got in: a line for each reason, with
    /// the numbers of the bots.
    pub failed: Vec<String>,
    /// Sums over all bots.
    pub counts: Counts,
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

/// A bot with its connection and its socket.
struct Seat {
    number: u16,
    bot: Bot,
    connection: ClientConnection,
    socket: UdpSocket,
    inbound: Conditioner<SocketAddr>,
    outbound: Conditioner<SocketAddr>,
    ended: Option<DisconnectReason>,
    played: bool,
    failure: Option<String>,
    done: bool,
    deaths: u32,
    outcome: Option<Outcome>,
    bytes_down: u64,
    bytes_up: u64,
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
    let mut seats = (0..config.count).map(|number| seat(config, number, epoch.now())).collect::<Result<Vec<_>, _>>()?;
    let per_thread = seats.len().div_ceil(threads(seats.len()));
    let end = config.duration.map(|duration| start + duration);
    std::thread::scope(|scope| {
        for share in seats.chunks_mut(per_thread) {
            let (around, epoch) = (&around, &epoch);
            scope.spawn(move || serve(share, around, epoch, end, stop));
        }
    });
    Ok(report(&seats))
}

fn threads(bots: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    bots.div_ceil(BOTS_PER_THREAD).min(cores).clamp(1, THREADS_MAX)
}

fn seat(config: &BotsConfig, number: u16, now: Duration) -> Result<Seat, BotsError> {
    // A random player: two runs of bots on one server must not take each other's places.
    let player = u64::from_le_bytes(token::random().map_err(TokenError::from)?);
    let user_data = UserData { player, build: BUILD.into(), ..UserData::default() }.encode()?;
    let token = mint_token(&config.key, &[config.server], &user_data, token::LIFETIME, now)?;
    let connection = ClientConnection::new(&token[..], now)?;
    let any: SocketAddr = match config.server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let open = || {
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let socket = open().map_err(|error| BotsError::Socket { bot: number, error })?;
    let content = &config.content;
    let hero = hero_of(number, config.seed, content.rules.heroes.len());
    let seed = config.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(number));
    let bot = Bot::new(&content.registry, content.rules.clone(), Loadout { hero, team: 0 }, seed);
    Ok(Seat {
        number,
        bot,
        connection,
        socket,
        inbound: Conditioner::new(config.link, seed ^ 1),
        outbound: Conditioner::new(config.link, seed ^ 2),
        ended: None,
        played: false,
        failure: None,
        done: false,
        deaths: 0,
        outcome: None,
        bytes_down: 0,
        bytes_up: 0,
    })
}

/// The hero of a bot: all of them in turn, shifted by one in every round if their number is even, so that each of two teams
/// that are filled in turn gets all.
pub fn hero_of(number: u16, seed: u64, heroes: usize) -> u8 {
    let (number, heroes) = (u64::from(number), heroes.max(1) as u64);
    let shift = if heroes.is_multiple_of(2) { number / heroes } else { 0 };
    ((number + shift + seed % heroes) % heroes) as u8
}

fn serve(seats: &mut [Seat], around: &Surroundings, epoch: &Epoch, end: Option<Instant>, stop: &AtomicBool) {
    let mut buffer = [0; UDP_BYTES_MAX];
    let mut out = Vec::with_capacity(PAYLOAD_BYTES_MAX);
    let wait = (WAIT_MIN * (seats.len() / 16 + 1) as u32).min(WAIT_MAX);
    loop {
        for seat in seats.iter_mut().filter(|seat| !seat.done) {
            seat.turn(around, epoch.now(), &mut buffer, &mut out);
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
            let _ = seat.connection.send_message(&message);
        }
    }
    while epoch.now() < until && seats.iter().any(|seat| !seat.done) {
        for seat in seats.iter_mut().filter(|seat| !seat.done) {
            seat.exchange(epoch.now(), buffer);
            seat.done = seat.ended.is_some();
        }
        std::thread::sleep(WAIT_MIN);
    }
    for seat in seats.iter_mut().filter(|seat| seat.ended.is_none()) {
        let now = epoch.now();
        let Seat { connection, socket, outbound, bytes_up, .. } = seat;
        connection.disconnect(now, &mut |to, bytes| send(socket, outbound, bytes_up, now, to, bytes));
        seat.exchange(now, buffer);
    }
}

impl Seat {
    /// Receives, moves time on, thinks and sends.
    fn turn(&mut self, around: &Surroundings, now: Duration, buffer: &mut [u8], out: &mut Vec<u8>) {
        self.exchange(now, buffer);
        self.hear(around);
        while let Some(message) = self.bot.client.next_message() {
            if let Err(error) = self.connection.send_message(&message) {
                tracing::debug!(bot = self.number, %error, "a message could not be sent");
            }
        }
        out.clear();
        if self.bot.think(around, now, out) {
            let body = Body { kind: KIND_INPUT, tag: 0, bytes: out };
            let Self { connection, socket, outbound, bytes_up, .. } = self;
            let sent =
                connection.send_body(now, body, &mut |to, bytes| send(socket, outbound, bytes_up, now, to, bytes));
            if let Err(error) = sent {
                tracing::debug!(bot = self.number, %error, "an input could not be sent");
            }
        }
        self.outbound.pop(now, &mut |to, bytes| {
            let _ = self.socket.send_to(bytes, to);
        });
    }

    fn exchange(&mut self, now: Duration, buffer: &mut [u8]) {
        let Self { number, bot, connection, socket, inbound, outbound, ended, bytes_down, bytes_up, .. } = self;
        let out = &mut |to: SocketAddr, bytes: &[u8]| send(socket, outbound, bytes_up, now, to, bytes);
        let tell = &mut |event: ClientEvent<'_>| {
            let heard = match event {
                ClientEvent::Connected => {
                    bot.client.connected();
                    Ok(())
                }
                ClientEvent::Body { kind, bytes } => bot.client.receive_datagram(kind, bytes, now),
                ClientEvent::Message(bytes) => bot.client.receive_message(bytes),
                ClientEvent::Disconnected(reason) => {
                    *ended = Some(reason);
                    Ok(())
                }
                ClientEvent::Delivered(_) | ClientEvent::Lost(_) => Ok(()),
            };
            if let Err(error) = heard {
                tracing::debug!(bot = *number, %error, "bytes of the server were dropped");
            }
        };
        for _ in 0..RECEIVE_BURST {
            let (length, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A refused port shows up here on some systems; the connection's own timeout decides.
                Err(_) => continue,
            };
            *bytes_down += length as u64;
            if inbound.is_perfect() {
                connection.receive(now, from, &mut buffer[..length], out, tell);
            } else {
                inbound.push(now, from, &buffer[..length]);
            }
        }
        inbound.pop(now, &mut |from, bytes| connection.receive(now, from, bytes, out, tell));
        connection.advance(now, out, tell);
        if let Some(round_trip) = connection.path().round_trip {
            bot.client.set_round_trip(round_trip);
        }
        outbound.pop(now, &mut |to, bytes| {
            // What a full socket drops, the network might have dropped as well.
            let _ = socket.send_to(bytes, to);
        });
    }

    fn hear(&mut self, around: &Surroundings) {
        if let Some(reason) = self.ended {
            let orderly = matches!(self.bot.client.stage(), Stage::Over(_) | Stage::Refused(_));
            if !orderly {
                let told = self.connection.farewell().map(|told| format!(": {told}")).unwrap_or_default();
                self.failure = Some(format!("the connection ended: {reason}{told}"));
            }
            self.done = true;
        }
        self.note_stage(around);
        while let Some(message) = self.bot.client.next_notice() {
            match message.notice {
                Notice::Killed { .. } => self.deaths += 1,
                Notice::MatchEnded { outcome } => self.outcome = Some(outcome),
                _ => {}
            }
        }
    }

    fn note_stage(&mut self, around: &Surroundings) {
        match self.bot.client.stage() {
            Stage::Playing => {
                let other = self.bot.client.welcome().filter(|welcome| welcome.map_hash != around.map.hash);
                if let Some(welcome) = other {
                    self.failure = Some(format!(
                        "the server plays map {:?}, which is not the bots' {:?}; start both with the same map and assets",
                        welcome.map, around.map.name
                    ));
                    self.bot.client.quit();
                }
                self.played = true;
            }
            Stage::Refused(refused) => {
                self.failure = Some(refused.text.clone());
                self.done = true;
            }
            Stage::Over(reason) => {
                tracing::debug!(bot = self.number, %reason, "the server said goodbye");
                self.done = true;
            }
            Stage::Connecting | Stage::Joining => {}
        }
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

/// Over the link at once, or when the conditioner lets it.
fn send(
    socket: &UdpSocket,
    link: &mut Conditioner<SocketAddr>,
    bytes_up: &mut u64,
    now: Duration,
    to: SocketAddr,
    bytes: &[u8],
) {
    *bytes_up += bytes.len() as u64;
    if link.is_perfect() {
        // What a full socket drops, the network might have dropped as well.
        let _ = socket.send_to(bytes, to);
    } else {
        link.push(now, to, bytes);
    }
}

fn report(seats: &[Seat]) -> BotsReport {
    let mut report = BotsReport::default();
    let mut round_trips = Vec::new();
    let mut failed: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for seat in seats {
        let counts = seat.bot.client.counts();
        report.played += u32::from(seat.played);
        report.counts.snapshots += counts.snapshots;
        report.counts.snapshot_bytes += counts.snapshot_bytes;
        report.counts.inputs += counts.inputs;
        report.counts.late_inputs += counts.late_inputs;
        report.counts.malformed += counts.malformed;
        report.bytes_down += seat.bytes_down;
        report.bytes_up += seat.bytes_up;
        report.deaths = report.deaths.max(seat.deaths);
        report.outcome = report.outcome.or(seat.outcome);
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
