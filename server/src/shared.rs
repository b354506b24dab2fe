//! What all threads of a server share, and what each may ask of it.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use arbiter_metrics::LogFigures;
use arbiter_protocol::RefusedReason;
use arbiter_sim::BuildError;
use crossbeam::channel::{Receiver, Sender};

use crate::agones::{self, AgonesStats};
use crate::config::{OnStop, ServerConfig};
use crate::directory::Directory;
use crate::drain::Drain;
use crate::order::Orders;
use crate::outbox::OutboxStats;
use crate::pulse::Pulse;
use crate::resume::freight::FreightStats;
use crate::room::{self, FromSocket, RoomLink};
use crate::services::{RegisterStats, ShipStats};
use crate::shard::ShardLink;
use crate::shed::{self, Shedding};
use crate::socket::overflow;
use crate::stats::ServerStats;

/// The system is asked at most this often what sockets have lost.
pub(crate) const OVERFLOWS_EVERY: Duration = Duration::from_secs(1);

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
    pub fn new(
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
    pub fn ask_for_overflows(&self, again_after: Duration) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_none_or(|asked| asked.elapsed() >= again_after) {
            let lost = overflow::count(self.shards.iter().filter_map(|shard| shard.socket));
            *asked = Some(Instant::now());
            self.note(|stats| stats.drops.receive_buffer_full = lost);
        }
    }

    pub fn stats(&self) -> ServerStats {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.shards.iter().for_each(|shard| stats.add(shard.stats()));
        stats
    }

    pub fn note(&self, change: impl FnOnce(&mut ServerStats)) {
        // Numbers stay numbers, whatever panicked while it held them.
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
