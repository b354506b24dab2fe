//! The server: a socket, rooms on a pool of threads, a recorder. Start one with [`Server::start`].
//!
//! A socket thread owns the socket and every connection (`shard`). A room is one match: its simulation, its players'
//! input buffers, its replication ([`room`]); a pool of threads steps rooms by absolute deadlines ([`pool`]). One thread
//! writes all recordings (`recorder`). Between them are bounded queues; what happens when one is full is written where it
//! is filled:
//!
//! | queue | full |
//! | --- | --- |
//! | socket to room | inputs are dropped as a network would; joins are refused; leaves wait |
//! | room to socket | snapshots are dropped as a network would; a client that missed a message is disconnected |
//! | room to recorder | the recording ends there and the match goes on unrecorded: the Tick never waits |

pub mod buffer;
mod convert;
pub mod pool;
mod recorder;
pub mod room;
mod shard;
pub mod stats;

use core::net::SocketAddr;
use core::time::Duration;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arbiter_sim::{BuildError, Map, MatchSettings, Rules, Simulation};
use arbiter_transport::{CLIENTS_MAX, Key, NoRandomness, ServerTransport, ServerTransportConfig, TokenHistory};
use thiserror::Error;

use crate::pool::Pool;
use crate::recorder::Recorder;
use crate::room::{Room, RoomLink};
use crate::stats::{RoomStats, ServerStats};

/// Messages from the socket that may wait for a room: a tick of a thousand players with some to spare.
pub(crate) const ROOM_QUEUE_MAX: usize = 8_192;

/// What may wait for the socket: some ticks of a thousand players' snapshots.
pub(crate) const SOCKET_QUEUE_MAX: usize = 65_536;

/// Used connect tokens that are remembered until they expire, so that each lets in only one.
const TOKENS_MAX: usize = 65_536;

/// Adds a studio's own plugins to every simulation.
pub type Plugins = Arc<dyn Fn(&mut bevy_app::App) + Send + Sync>;

/// Is called on the room's thread behind each tick, with the room's number. It must be quick.
pub type Observer = Arc<dyn Fn(u16, &Simulation) + Send + Sync>;

/// Is called with each finished recording, on a thread of its own: the place to verify it. The server does not wait for it
/// when it ends.
pub type OnRecorded = Arc<dyn Fn(&Path) + Send + Sync>;

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
    /// Under which addresses tokens name this server; empty means the bound one.
    pub public_addresses: Vec<SocketAddr>,
    /// The key that tokens are sealed with.
    pub key: Key,
    /// Rooms, at least 1.
    pub rooms: u16,
    /// Threads that step rooms; 0 takes one per core, never more than rooms.
    pub threads: u16,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The map.
    pub map: Arc<Map>,
    /// Settings of each match.
    pub settings: MatchSettings,
    /// Seed of the first match; each further one counts up. `None` draws one for each.
    pub seed: Option<u64>,
    /// Where recordings go; `None` records nothing.
    pub record_dir: Option<PathBuf>,
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
}

impl core::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerConfig").field("bind", &self.bind).field("rooms", &self.rooms).finish_non_exhaustive()
    }
}

impl ServerConfig {
    /// One room on any free port of this machine, unrecorded, endless.
    pub fn new(key: Key, rules: Arc<Rules>, map: Arc<Map>, settings: MatchSettings) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_addresses: Vec::new(),
            key,
            rooms: 1,
            threads: 0,
            rules,
            map,
            settings,
            seed: None,
            record_dir: None,
            matches: 0,
            intermission: Duration::from_secs(3),
            plugins: Arc::new(|_| ()),
            observer: None,
            on_recorded: None,
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
    pub stats: Mutex<ServerStats>,
    pub rooms: Vec<RoomLink>,
}

impl Shared {
    pub fn stopping(&self) -> Option<OnStop> {
        match self.stop.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(OnStop::Finish),
            _ => Some(OnStop::Abandon),
        }
    }

    /// Takes one of the matches that may still be started.
    pub fn may_start_match(&self) -> bool {
        let limit = self.config.matches;
        let claim = |started: u32| (limit == 0 || started < limit).then_some(started + 1);
        self.matches_started.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok()
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
        let address = config.bind;
        let bind = |error| StartError::Bind { address, error };
        let socket = UdpSocket::bind(address).map_err(bind)?;
        socket.set_nonblocking(true).map_err(bind)?;
        let local_address = socket.local_addr().map_err(bind)?;
        if let Some(path) = &config.record_dir {
            try_record_dir(path).map_err(|error| StartError::RecordDir { path: path.clone(), error })?;
        }

        let mut public_addresses = config.public_addresses.clone();
        if public_addresses.is_empty() {
            public_addresses.push(local_address);
        }
        let history = Arc::new(TokenHistory::new(TOKENS_MAX)?);
        let transport = ServerTransportConfig::new(config.key.clone(), public_addresses, CLIENTS_MAX, history);
        let epoch = shard::epoch();
        let transport = ServerTransport::new(transport, epoch)?;

        let (to_socket, from_rooms) = crossbeam::channel::bounded(SOCKET_QUEUE_MAX);
        let rooms = config.rooms.max(1);
        let (links, queues): (Vec<_>, Vec<_>) = (0..rooms).map(|_| RoomLink::new(&config.settings)).unzip();
        let first = room::build(&config, room::seed(&config, 0))?;
        let shared = Arc::new(Shared {
            protocol_hash: first.registry().protocol_hash(),
            stop: AtomicU8::new(0),
            rooms_running: AtomicU32::new(u32::from(rooms)),
            matches_started: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            stats: Mutex::default(),
            rooms: links,
            config,
        });
        drop(first);

        let (recorder, recorder_thread) = Recorder::start(Arc::clone(&shared)).map_err(StartError::Thread)?;
        let made: Result<Vec<Room>, BuildError> = queues
            .into_iter()
            .enumerate()
            .map(|(number, queue)| {
                Room::new(number as u16, Arc::clone(&shared), queue, to_socket.clone(), recorder.clone())
            })
            .collect();
        let made = made?;
        drop((to_socket, recorder));
        let socket_thread = {
            let shared = Arc::clone(&shared);
            let run = move || shard::run(&shared, &socket, transport, epoch, &from_rooms);
            std::thread::Builder::new().name("socket".to_owned()).spawn(run).map_err(StartError::Thread)?
        };
        let pool = Pool::start(Arc::clone(&shared), made).map_err(StartError::Thread)?;
        tracing::info!(address = %local_address, rooms, "server started");
        Ok(ServerHandle { shared, local_address, pool: Some(pool), threads: vec![recorder_thread, socket_thread] })
    }
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
    pool: Option<Pool>,
    threads: Vec<JoinHandle<()>>,
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

    /// What clients have to agree to.
    pub fn protocol_hash(&self) -> u64 {
        self.shared.protocol_hash
    }

    /// How it does.
    pub fn stats(&self) -> ServerStats {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How one room does.
    pub fn room_stats(&self, room: u16) -> Option<RoomStats> {
        self.shared.rooms.get(usize::from(room)).map(RoomLink::stats)
    }

    /// Whether any room still runs.
    pub fn is_running(&self) -> bool {
        self.shared.rooms_running.load(Ordering::Acquire) > 0
    }

    /// Tells it to stop and returns at once. May be called again to abandon what was to be finished.
    pub fn stop(&self, how: OnStop) {
        self.shared.stop.fetch_max(if how == OnStop::Finish { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// Waits until all matches are over, recordings are closed and clients have been told.
    pub fn join(mut self) -> ServerStats {
        self.wait();
        self.stats()
    }

    fn wait(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.join();
        }
        self.shared.closing.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the server panicked; its work is lost");
            }
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop(OnStop::Abandon);
        self.wait();
    }
}
