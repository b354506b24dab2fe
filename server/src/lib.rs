//! The server: a socket, rooms on a pool of threads, a recorder. Start one with [`Server::start`].
//!
//! Socket threads own the sockets (`socket`) and every connection (`shard`). A room is one match: its simulation, its players'
//! input buffers, its replication ([`room`]); a pool of threads steps rooms by absolute deadlines ([`pool`]). One thread
//! writes all recordings (`recorder`). Between them are bounded queues; what happens when one is full is written where it
//! is filled:
//!
//! | queue | full |
//! | --- | --- |
//! | socket to room | inputs are dropped as a network would; joins are refused; leaves wait |
//! | room to socket | snapshots are dropped as a network would; a client that missed a message is disconnected |
//! | room to recorder | the recording ends there and the match goes on unrecorded: the Tick never waits |

pub mod agones;
mod broadcast;
pub mod buffer;
mod convert;
mod directory;
pub mod drain;
pub mod interest;
mod operate;
pub mod order;
pub mod outbox;
mod outward;
pub mod pool;
mod pulse;
mod recorder;
mod resume;
pub mod room;
pub mod services;
mod shard;
pub mod shed;
pub mod socket;
mod spare;
#[doc(hidden)]
pub mod staged;
pub mod stats;
pub mod suspicion;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_eventlog::{OpenError, Signer};
use arbiter_metrics::LogFigures;
use arbiter_protocol::RefusedReason;
use arbiter_sim::{BuildError, Map, MatchSettings, Rules, Simulation};
use arbiter_snapshot::Form;
use arbiter_transport::{CLIENTS_MAX, Key, NoRandomness, ServerTransport, ServerTransportConfig, TokenHistory};
use crossbeam::channel::{Receiver, Sender};
use thiserror::Error;

use crate::agones::sidecar::SidecarError;
use crate::agones::{Agones, AgonesStats, Fleet};
use crate::directory::Directory;
use crate::drain::{Drain, Reason, Watch};
use crate::interest::InterestSettings;
use crate::operate::Operate;
use crate::order::Orders;
use crate::outbox::{Outbox, OutboxStats};
use crate::pool::Pool;
use crate::pulse::Pulse;
use crate::recorder::Recorder;
use crate::resume::TakenUp;
use crate::resume::freight::{Freight, FreightStats};
use crate::room::{FromSocket, Room, RoomLink, Scripted};
use crate::services::{RegisterStats, Registering, Services, ShipStats, Shipping};
use crate::shard::ShardLink;
use crate::shed::{Shed, ShedStats, Shedding};
use crate::socket::overflow;
use crate::socket::wait::waiting;
use crate::stats::{RoomStats, ServerStats};
use crate::suspicion::Anomaly;

pub use arbiter_metrics::histogram;

pub use crate::resume::freight::fetch::{FetchError, Fetched, fetch as fetch_recordings};
pub use crate::resume::freight::{DepotAddress, DepotError, ShipTo};
pub use crate::socket::SocketKind;

/// Messages from the socket that may wait for a room: a tick of a thousand players with some to spare.
pub(crate) const ROOM_QUEUE_MAX: usize = 8_192;

/// What may wait for the socket: some ticks of a thousand players' snapshots.
pub(crate) const SOCKET_QUEUE_MAX: usize = 65_536;

/// Used connect tokens that are remembered until they expire, so that each lets in only one.
const TOKENS_MAX: usize = 65_536;

/// Bytes that a socket keeps in each direction unless told otherwise: two ticks of a thousand players' snapshots, or 20 ms of a
/// flood of 200,000 datagrams a second, each with the system's bookkeeping of some 800 B.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// Kilobits of snapshots a second for a client, unless told otherwise: with all headers a thousand players at 60 Hz stay below
/// 256 kbit/s each. A match of ten needs a third of it.
pub const SNAPSHOT_KBIT_MAX: u32 = 220;

/// Spectators of a room at most: each costs about a third of what a player does, all of it on the room's own thread.
pub const SPECTATORS_MAX: u16 = 256;

/// How long ago it is what spectators are shown, unless told otherwise: long enough that nobody who is told of it can act on it, and
/// what broadcasts of the genre have long used.
pub const SPECTATOR_DELAY: Duration = Duration::from_secs(10);

/// The longest such delay: what tournaments use.
pub const SPECTATOR_DELAY_MAX: Duration = Duration::from_secs(120);

/// The longest kill cam: nobody stays dead for longer.
pub const KILL_CAM_MAX: Duration = Duration::from_secs(15);

/// Bytes of the outbox that are kept of what the services have, unless told otherwise, where their log has no backup: weeks of a
/// busy server's events.
pub const OUTBOX_KEEP: u64 = 1 << 30;

/// How long running matches may take when the server is drained, unless told otherwise: Kubernetes kills after 30 s unless told
/// otherwise, and what was earned must be told before.
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);

/// The system is asked at most this often what sockets have lost.
const OVERFLOWS_EVERY: Duration = Duration::from_secs(1);

/// Cores for each socket thread, unless told otherwise: a room of as many players costs about so much more.
const CORES_PER_SOCKET_THREAD: usize = 4;

/// Adds a studio's own plugins to every simulation.
pub type Plugins = Arc<dyn Fn(&mut bevy_app::App) + Send + Sync>;

/// Is called on the room's thread behind each tick, with the room's number. It must be quick.
pub type Observer = Arc<dyn Fn(u16, &Simulation) + Send + Sync>;

/// Is called with each finished recording, on a thread of its own: the place to verify it. The server does not wait for it
/// when it ends.
pub type OnRecorded = Arc<dyn Fn(&Path) + Send + Sync>;

/// Is called on the room's thread with each anomaly, at most once a minute for each player and detector. It must be quick.
pub type OnAnomaly = Arc<dyn Fn(&Anomaly) + Send + Sync>;

/// What to do with running matches when the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// Play them to their end; nobody joins. Those without a player are abandoned.
    Finish,
    /// Stop them at once; recordings are closed and verify up to the last tick.
    Abandon,
}

/// What a server is started with.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes any.
    pub bind: SocketAddr,
    /// Under which addresses tokens name this server; empty means the bound one, or what Agones says if that is any.
    pub public_addresses: Vec<SocketAddr>,
    /// What this build is called, where operators and players are told: up to 32 bytes without control characters.
    pub build: String,
    /// The key that tokens are sealed with.
    pub key: Key,
    /// Where health and metrics are served over HTTP; `None` serves none, port 0 takes any.
    pub operate: Option<SocketAddr>,
    /// Rooms, at least 1.
    pub rooms: u16,
    /// How the socket threads talk to their sockets.
    pub sockets: SocketKind,
    /// Socket threads, each with a socket of its own on the same address; 0 takes one for each four cores, at least one.
    /// More than one needs Linux.
    pub socket_threads: u16,
    /// Bytes that the system should keep for each socket in each direction while the thread is busy, if it may.
    pub socket_buffer: usize,
    /// Threads that step rooms; 0 takes one per core, never more than rooms.
    pub threads: u16,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The map.
    pub map: Arc<Map>,
    /// Settings of each match.
    pub settings: MatchSettings,
    /// Who is told what.
    pub interest: InterestSettings,
    /// Kilobits of snapshots a second that a client is sent at most, whatever its link carries.
    pub snapshot_kbit_max: u32,
    /// The form of what players are sent of each tick.
    pub snapshot_form: Form,
    /// Spectators that a room lets in, at most [`SPECTATORS_MAX`]; 0 lets nobody watch, and costs nothing.
    pub spectators_max: u16,
    /// How long ago it is what they are shown, at most [`SPECTATOR_DELAY_MAX`].
    pub spectator_delay: Duration,
    /// How long whoever was killed is shown what the killer saw, at most [`KILL_CAM_MAX`]; zero shows nothing, and costs nothing.
    pub kill_cam: Duration,
    /// Seed of the first match; each further one counts up. `None` draws one for each.
    pub seed: Option<u64>,
    /// Where recordings go; `None` records nothing.
    pub record_dir: Option<PathBuf>,
    /// Where copies of running recordings go, for another machine to go on with; `None` copies nothing. Needs [`Self::record_dir`].
    pub ship_recordings: Option<ShipTo>,
    /// Where the log of domain events is kept; `None` tells nobody. Needs [`Self::record_dir`]: nothing is told of a tick whose
    /// inputs are not on disk.
    pub outbox_dir: Option<PathBuf>,
    /// Bytes of the outbox that are kept of what the services have, where their log has no backup; where it has one, that
    /// says what is kept. What they do not have is always kept.
    pub outbox_keep: u64,
    /// Where the services are, which are brought what is in the outbox and told what this server hosts; `None` tells them nothing.
    pub services: Option<Services>,
    /// The sidecar of Agones; `None` is a server of its own.
    pub agones: Option<Agones>,
    /// What stands behind `Bearer ` in requests that change something at [`Self::operate`]; a secret. `None` lets nobody.
    pub operate_bearer: Option<String>,
    /// How long running matches may take once the server is drained; they are abandoned then. Zero is as long as they take.
    pub drain_grace: Duration,
    /// Whether load is shed while there is more to do than time.
    pub shed: Shed,
    /// Stop after so many matches in all; 0 goes on.
    pub matches: u32,
    /// Between the end of a match and the start of the next.
    pub intermission: Duration,
    /// A studio's own plugins.
    pub plugins: Plugins,
    /// Watches every tick.
    pub observer: Option<Observer>,
    /// Takes finished recordings.
    pub on_recorded: Option<OnRecorded>,
    /// Is told who plays as nobody honest plays.
    pub on_anomaly: Option<OnAnomaly>,
    /// For load tests: instead of playing, let everyone in and send each so many bytes a tick.
    #[doc(hidden)]
    pub scripted_bytes: Option<usize>,
}

impl core::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerConfig").field("bind", &self.bind).field("rooms", &self.rooms).finish_non_exhaustive()
    }
}

impl ServerConfig {
    /// Bytes of snapshots that a client is sent at most in so many ticks.
    pub(crate) fn snapshot_bytes_max(&self, ticks: u32, tick_rate: u32) -> usize {
        self.snapshot_kbit_max as usize * 125 * ticks as usize / tick_rate.max(1) as usize
    }

    /// One room on any free port of this machine, unrecorded, endless, which sheds nothing.
    pub fn new(key: Key, rules: Arc<Rules>, map: Arc<Map>, settings: MatchSettings) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_addresses: Vec::new(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            key,
            operate: None,
            rooms: 1,
            sockets: SocketKind::Auto,
            socket_threads: 1,
            socket_buffer: SOCKET_BUFFER,
            threads: 0,
            rules,
            map,
            settings,
            interest: InterestSettings::default(),
            snapshot_kbit_max: SNAPSHOT_KBIT_MAX,
            snapshot_form: Form::Shared,
            spectators_max: 0,
            spectator_delay: SPECTATOR_DELAY,
            kill_cam: Duration::ZERO,
            seed: None,
            record_dir: None,
            ship_recordings: None,
            outbox_dir: None,
            outbox_keep: OUTBOX_KEEP,
            services: None,
            agones: None,
            operate_bearer: None,
            drain_grace: DRAIN_GRACE,
            shed: Shed::Off,
            matches: 0,
            intermission: Duration::from_secs(3),
            plugins: Arc::new(|_| ()),
            observer: None,
            on_recorded: None,
            on_anomaly: None,
            scripted_bytes: None,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}; choose another with --bind, or stop what uses this one")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Health and metrics cannot be served there.
    #[error(
        "cannot serve health and metrics on {address}: {error}; choose another address with --operate, or stop what uses this one"
    )]
    Operate {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The folder for recordings cannot be made or written to.
    #[error(
        "cannot write recordings to the folder {path}: {error}; give this user the right to write there, or choose another \
         with --record-dir"
    )]
    RecordDir {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The folder for copies of recordings cannot be made.
    #[error(
        "cannot copy recordings to the folder {path}: {error}; give this user the right to write there, or choose another \
         with --ship-recordings"
    )]
    ShipRecordings {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The place for copies of recordings cannot be used.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The log of domain events cannot be opened.
    #[error(
        "cannot open the log of events in the folder {path}: {error}; mend it with arbiter log, or choose another folder with \
         --outbox-dir"
    )]
    Outbox {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: OpenError,
    },
    /// Events without recordings.
    #[error(
        "events cannot be told of matches that are not recorded: set a folder for recordings with --record-dir, or no --outbox-dir"
    )]
    OutboxUnrecorded,
    /// Services without events.
    #[error(
        "there is nothing to bring to the services without a log of events: set a folder for it with --outbox-dir, or no --services"
    )]
    ServicesWithoutOutbox,
    /// Agones was wished for and is not there.
    #[error("Agones does not answer: {0}; start without it with --agones off")]
    Agones(SidecarError),
    /// Agones does not say where players reach this server.
    #[error("Agones does not say where players reach this server: {0}; or say it with --public-addresses")]
    AgonesAddress(String),
    /// Players cannot be sent here.
    #[error("the services cannot send players to {address}: say where they reach this server with --public-addresses")]
    Unreachable {
        /// Which.
        address: SocketAddr,
    },
    /// The match cannot be built.
    #[error(transparent)]
    Match(#[from] BuildError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}; raise the limit of threads")]
    Thread(std::io::Error),
}

/// What all threads of a server share.
pub(crate) struct Shared {
    pub config: ServerConfig,
    pub protocol_hash: u64,
    /// 0 run, 1 finish, 2 abandon.
    stop: AtomicU8,
    /// Rooms that have not ended.
    pub rooms_running: AtomicU32,
    pub matches_started: AtomicU32,
    /// The socket thread goes on until this is set.
    pub closing: AtomicBool,
    /// What no socket thread counts by itself.
    stats: Mutex<ServerStats>,
    /// When the system was last asked what the sockets have lost.
    asked: Mutex<Option<Instant>>,
    pub rooms: Vec<RoomLink>,
    pub pulse: Pulse,
    pub shed: Shedding,
    pub drain: Drain,
    /// Matches that were ordered and wait for a room.
    pub orders: Orders,
    pub directory: Directory,
    pub shards: Vec<ShardLink>,
    /// How the outbox does, if there is one.
    pub outbox: Option<Arc<OutboxStats>>,
    /// How bringing it to the services does, if that is wished.
    pub shipped: Option<Arc<ShipStats>>,
    /// What writing recordings costs, and what waits for it.
    pub recordings: LogFigures,
    pub recorder_waiting: AtomicU64,
    /// How copying recordings does, if that is wished.
    pub freight: Arc<FreightStats>,
    /// How telling them of this server does.
    pub registering: RegisterStats,
    /// How telling Agones of it does.
    pub agones: AgonesStats,
    /// Words for the thread that does, if it runs.
    pub agones_words: OnceLock<Sender<agones::Word>>,
}

impl Shared {
    /// With a queue for each room.
    fn new(
        config: ServerConfig,
        shards: Vec<ShardLink>,
        outbox: Option<Arc<OutboxStats>>,
        shipped: Option<Arc<ShipStats>>,
    ) -> Result<(Arc<Self>, Vec<Receiver<FromSocket>>), BuildError> {
        let rooms = config.rooms.max(1);
        let (links, queues) = (0..rooms).map(|_| RoomLink::new(&config)).unzip();
        let first = room::build(&config, room::seed(&config, 0))?;
        let shared = Self {
            protocol_hash: arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(first.registry())),
            stop: AtomicU8::new(0),
            rooms_running: AtomicU32::new(u32::from(rooms)),
            matches_started: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            stats: Mutex::default(),
            asked: Mutex::default(),
            rooms: links,
            pulse: Pulse::new(rooms),
            shed: Shedding::new(config.shed, rooms, config.settings.tick_rate),
            drain: Drain::default(),
            orders: Orders::default(),
            directory: Directory::default(),
            agones: AgonesStats::default(),
            agones_words: OnceLock::new(),
            shards,
            outbox,
            shipped,
            recordings: LogFigures::default(),
            recorder_waiting: AtomicU64::new(0),
            freight: Arc::default(),
            registering: RegisterStats::default(),
            config,
        };
        Ok((Arc::new(shared), queues))
    }

    pub fn stopping(&self) -> Option<OnStop> {
        match self.stop.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(OnStop::Finish),
            _ => Some(OnStop::Abandon),
        }
    }

    /// Nobody gets it back to go on.
    pub fn tell_to_stop(&self, how: OnStop) {
        self.stop.fetch_max(if how == OnStop::Finish { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// Whether players may be sent here now; why not, otherwise, as operators are told.
    pub fn takes_players(&self) -> Result<(), &'static str> {
        if self.stopping().is_some() {
            Err("the server stops\n")
        } else if !self.pulse.feel(&self.rooms).lives() {
            Err("no room advances\n")
        } else if self.outbox_is_stuck() {
            Err("the outbox takes nothing\n")
        } else if !self.shed.takes_matches() {
            Err("the server sheds load\n")
        } else if !self.rooms.iter().any(RoomLink::has_place) {
            Err("all rooms are full\n")
        } else {
            Ok(())
        }
    }

    /// Nobody may watch now: counts it, and says why.
    pub fn refuse_spectator(&self) -> RefusedReason {
        self.shed.note(|stats| stats.spectators_refused += 1);
        RefusedReason::Overloaded { retry_s: shed::RETRY.as_secs() as u16 }
    }

    /// Takes one of the matches that may still be started.
    pub fn may_start_match(&self) -> bool {
        let limit = self.config.matches;
        let claim = |started: u32| (limit == 0 || started < limit).then_some(started + 1);
        self.matches_started.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok()
    }

    /// Whether what players earn could not be told now.
    pub fn outbox_is_stuck(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_stuck())
    }

    /// Behind a burst of things for clients.
    pub fn wake_shards(&self) {
        self.shards.iter().for_each(ShardLink::wake);
    }

    /// Asks the system what the sockets have lost, unless somebody did a moment ago.
    fn ask_for_overflows(&self, again_after: Duration) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_none_or(|asked| asked.elapsed() >= again_after) {
            let lost = overflow::count(self.shards.iter().filter_map(|shard| shard.socket));
            *asked = Some(Instant::now());
            self.note(|stats| stats.drops.receive_buffer_full = lost);
        }
    }

    fn stats(&self) -> ServerStats {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.shards.iter().for_each(|shard| stats.add(shard.stats()));
        stats
    }

    pub fn note(&self, change: impl FnOnce(&mut ServerStats)) {
        // Numbers stay numbers, whatever panicked while it held them.
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Binds, builds the rooms and starts the threads. The server runs until its matches are over or it is told to stop.
    pub fn start(config: ServerConfig) -> Result<ServerHandle, StartError> {
        if let Some(agones) = config.agones {
            agones::wait_for(agones).map_err(StartError::Agones)?;
        }
        let address = config.bind;
        let bind = |error| StartError::Bind { address, error };
        let sockets = socket::bind::bind(address, socket_threads(&config), config.socket_buffer).map_err(bind)?;
        let local_address = sockets[0].local_addr().map_err(bind)?;
        if let Some(path) = &config.record_dir {
            try_record_dir(path).map_err(|error| StartError::RecordDir { path: path.clone(), error })?;
        }

        let mut public_addresses = config.public_addresses.clone();
        if let Some(agones) =
            config.agones.filter(|_| public_addresses.is_empty() && local_address.ip().is_unspecified())
        {
            public_addresses = agones::public_addresses(agones).map_err(StartError::AgonesAddress)?;
        }
        if public_addresses.is_empty() {
            public_addresses.push(local_address);
        }
        let unreachable = public_addresses.iter().find(|address| address.ip().is_unspecified());
        if let (Some(address), Some(_)) = (unreachable, &config.services) {
            return Err(StartError::Unreachable { address: *address });
        }
        let transport = transport(&config, public_addresses.clone())?;
        let epoch = shard::epoch();
        let (mut shards, mut parts) = (Vec::new(), Vec::new());
        for (number, socket) in (0..).zip(sockets) {
            let (sleeper, waker) = waiting(config.sockets).map_err(StartError::Thread)?;
            let (link, orders) = ShardLink::new(waker, overflow::id(&socket));
            let transport = ServerTransport::new(transport.clone(), epoch)?;
            parts.push(shard::Parts { number, socket, sleeper, orders, transport, epoch });
            shards.push(link);
        }

        let outbox = outbox(&config)?;
        let stats = outbox.as_ref().map(|(outbox, _)| Arc::clone(&outbox.stats));
        let shipping = shipping(&config, stats.as_ref())?;
        let shipped = shipping.as_ref().map(|shipping| Arc::clone(&shipping.stats));
        let (shared, queues) = Shared::new(config, shards, stats, shipped)?;
        let rooms = shared.rooms.len();
        let (outbox, outbox_thread) = outbox.unzip();
        let started = Recorder::start(Arc::clone(&shared), outbox);
        let (recorder, recorder_thread) = started.map_err(StartError::Thread)?;
        let mut threads = vec![recorder_thread];
        threads.extend(outbox_thread);
        for parts in parts {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("socket-{}", parts.number));
            threads.push(thread.spawn(move || shard::run(&shared, parts)).map_err(StartError::Thread)?);
        }
        let operate = shared.config.operate.map(|address| {
            let error = |error| StartError::Operate { address, error };
            Operate::start(Arc::clone(&shared), address).map_err(error)
        });
        let operate = operate.transpose()?;
        let unfinished = shared.config.record_dir.as_deref().map(resume::find).unwrap_or_default();
        let (resumed, left) = resume::sort(&shared, unfinished);
        threads.extend(resume::settle::start(&shared, &recorder, left)?);
        let pool = start_rooms(&shared, queues, recorder, resumed)?;
        let watch = Watch::start(Arc::clone(&shared)).map_err(StartError::Thread)?;
        let services = shared.config.services.as_ref();
        let registering = services.map(|services| Registering::start(&shared, services, public_addresses));
        let registering = registering.transpose()?;
        let freight = Freight::start(&shared.config, Arc::clone(&shared.freight))?;
        let fleet = shared.config.agones.map(|agones| Fleet::start(&shared, agones)).transpose()?;
        tracing::info!(address = %local_address, rooms, sockets = shared.shards.len(), "server started");
        let (pool, watch) = (Some(pool), Some(watch));
        Ok(ServerHandle { shared, local_address, operate, pool, watch, threads, freight, shipping, registering, fleet })
    }
}

/// Opens the log of events, if there is to be one.
fn outbox(config: &ServerConfig) -> Result<Option<(Outbox, JoinHandle<()>)>, StartError> {
    let Some(path) = &config.outbox_dir else { return Ok(None) };
    if config.record_dir.is_none() {
        return Err(StartError::OutboxUnrecorded);
    }
    let error = |error| StartError::Outbox { path: path.clone(), error };
    // Any 32 bytes are a seed of Ed25519.
    let signer = Signer::from_seed(&seed_of_roots(&config.key)).ok_or(OpenError::NoRandomness).map_err(error)?;
    Outbox::start(path, signer).map(Some).map_err(error)
}

/// What roots of dropped segments are signed with: the servers of one installation share it, and who has their key can prove
/// what they told.
fn seed_of_roots(key: &Key) -> [u8; 32] {
    blake3::derive_key("arbiter server 1 roots of outboxes", key.as_bytes())
}

/// Begins to bring events to the services, if it is wished.
fn shipping(config: &ServerConfig, outbox: Option<&Arc<OutboxStats>>) -> Result<Option<Shipping>, StartError> {
    let Some(services) = &config.services else { return Ok(None) };
    let parts = config.outbox_dir.as_ref().zip(outbox);
    let (path, outbox) = parts.ok_or(StartError::ServicesWithoutOutbox)?;
    let error = |error| StartError::Outbox { path: path.clone(), error };
    Shipping::start(path, services, Arc::clone(outbox), config.outbox_keep).map(Some).map_err(error)
}

/// What each shard's transport is made from: what they must share, they share.
fn transport(config: &ServerConfig, addresses: Vec<SocketAddr>) -> Result<ServerTransportConfig, NoRandomness> {
    let history = Arc::new(TokenHistory::new(TOKENS_MAX)?);
    Ok(ServerTransportConfig::new(config.key.clone(), addresses, CLIENTS_MAX, history))
}

fn start_rooms(
    shared: &Arc<Shared>,
    queues: Vec<Receiver<FromSocket>>,
    recorder: Recorder,
    mut resumed: TakenUp,
) -> Result<Pool, StartError> {
    let queues = queues.into_iter().zip(0..);
    if let Some(bytes) = shared.config.scripted_bytes {
        let rooms = queues.take(1).map(|(queue, _)| Scripted::new(Arc::clone(shared), queue, bytes));
        return Pool::of_scripted(rooms).map_err(StartError::Thread);
    }
    let made = queues
        .map(|(queue, number)| Room::new(number, Arc::clone(shared), queue, recorder.clone(), resumed.remove(&number)));
    let made = made.collect::<Result<Vec<Room>, BuildError>>()?;
    Pool::start(Arc::clone(shared), made).map_err(StartError::Thread)
}

/// How many sockets, each with its thread.
fn socket_threads(config: &ServerConfig) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wished = usize::from(config.socket_threads);
    if wished == 0 { (cores / CORES_PER_SOCKET_THREAD).max(1) } else { wished }
}

/// Makes the folder and writes a file to it: better now than after the first match.
fn try_record_dir(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    let probe = path.join(format!(".arbiter-{}", std::process::id()));
    std::fs::write(&probe, [])?;
    std::fs::remove_file(&probe)
}

/// A running server. Dropping it abandons its matches and waits for its threads.
pub struct ServerHandle {
    shared: Arc<Shared>,
    local_address: SocketAddr,
    operate: Option<Operate>,
    pool: Option<Pool>,
    watch: Option<Watch>,
    threads: Vec<JoinHandle<()>>,
    freight: Option<Freight>,
    shipping: Option<Shipping>,
    registering: Option<Registering>,
    fleet: Option<Fleet>,
}

impl core::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerHandle").field("address", &self.local_address).finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Where health and metrics are served.
    pub fn operate_address(&self) -> Option<SocketAddr> {
        self.operate.as_ref().map(|operate| operate.address)
    }

    /// What clients have to agree to.
    pub fn protocol_hash(&self) -> u64 {
        self.shared.protocol_hash
    }

    /// How it does.
    pub fn stats(&self) -> ServerStats {
        if self.is_running() {
            self.shared.ask_for_overflows(OVERFLOWS_EVERY);
        }
        self.shared.stats()
    }

    /// What is left out to save time, and what was so far.
    pub fn shed_stats(&self) -> ShedStats {
        self.shared.shed.stats()
    }

    /// How one room does.
    pub fn room_stats(&self, room: u16) -> Option<RoomStats> {
        self.shared.rooms.get(usize::from(room)).map(RoomLink::stats)
    }

    /// Whether any room still runs that could end by itself.
    pub fn is_running(&self) -> bool {
        self.shared.rooms_running.load(Ordering::Acquire) > 0 && !self.shared.is_over()
    }

    /// Begins to drain the server and returns at once: no match begins, those that run are played to their end or to the end of
    /// [`ServerConfig::drain_grace`].
    pub fn drain(&self) {
        self.shared.begin_drain(Reason::Told);
        self.look();
    }

    /// Why the server is drained, if it is.
    pub fn draining(&self) -> Option<Reason> {
        self.shared.drain.reason()
    }

    /// Tells it to stop and returns at once. May be called again to abandon what was to be finished.
    pub fn stop(&self, how: OnStop) {
        self.shared.tell_to_stop(how);
        self.look();
    }

    fn look(&self) {
        if let Some(registering) = &self.registering {
            registering.look();
        }
    }

    /// Waits until all matches are over, recordings are closed and clients have been told.
    pub fn join(mut self) -> ServerStats {
        self.wait();
        self.stats()
    }

    fn wait(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.join(|| self.shared.is_over());
            drop(self.watch.take());
            drop(self.registering.take());
            // For the last time: the sockets close.
            self.shared.ask_for_overflows(Duration::ZERO);
        }
        self.shared.closing.store(true, Ordering::Release);
        self.shared.shards.iter().for_each(ShardLink::call);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the server panicked; its work is lost");
            }
        }
        // Behind the thread that closed the last recordings.
        drop(self.freight.take());
        // Behind the thread that wrote the last results.
        drop(self.shipping.take());
        // Last: behind this word the pod is deleted.
        drop(self.fleet.take());
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop(OnStop::Abandon);
        self.wait();
    }
}
