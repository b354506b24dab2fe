//! Starting a server: what is opened, bound and begun, in which order, and why not.

use core::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arbiter_eventlog::{OpenError, Signer};
use arbiter_sim::BuildError;
use arbiter_transport::{CLIENTS_MAX, Key, NoRandomness, ServerTransport, ServerTransportConfig, TokenHistory};
use crossbeam::channel::Receiver;
use thiserror::Error;

use crate::agones::sidecar::SidecarError;
use crate::agones::{self, Fleet};
use crate::config::ServerConfig;
use crate::drain::Watch;
use crate::handle::ServerHandle;
use crate::operate::Operate;
use crate::outbox::{Outbox, OutboxStats};
use crate::pool::Pool;
use crate::recorder::Recorder;
use crate::resume::freight::{DepotError, Freight};
use crate::resume::{self, TakenUp};
use crate::room::{FromSocket, Room, Scripted};
use crate::services::{Registering, Shipping};
use crate::shard::{self, ShardLink};
use crate::shared::Shared;
use crate::socket::wait::waiting;
use crate::socket::{self, overflow};

/// Used connect tokens that are remembered until they expire, so that each lets in only one.
const TOKENS_MAX: usize = 65_536;
/// Cores for each socket thread, unless told otherwise: a room of as many players costs about so much more.
const CORES_PER_SOCKET_THREAD: usize = 4;
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
        let settling = resume::settle::start(&shared, &recorder, left)?;
        let pool = start_rooms(&shared, queues, recorder, resumed)?;
        let watch = Watch::start(Arc::clone(&shared)).map_err(StartError::Thread)?;
        let services = shared.config.services.as_ref();
        let registering = services.map(|services| Registering::start(&shared, services, public_addresses));
        let registering = registering.transpose()?;
        let freight = Freight::start(&shared.config, Arc::clone(&shared.freight))?;
        let fleet = shared.config.agones.map(|agones| Fleet::start(&shared, agones)).transpose()?;
        tracing::info!(address = %local_address, rooms, sockets = shared.shards.len(), "server started");
        let (pool, watch) = (Some(pool), Some(watch));
        Ok(ServerHandle {
            shared,
            local_address,
            operate,
            pool,
            watch,
            threads,
            settling,
            freight,
            shipping,
            registering,
            fleet,
        })
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
pub(crate) fn transport(
    config: &ServerConfig,
    addresses: Vec<SocketAddr>,
) -> Result<ServerTransportConfig, NoRandomness> {
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
