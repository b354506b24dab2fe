//! What others hold of a room: its queue, its figures, and how many places are taken.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arbiter_protocol::{InputPacket, Target};
use arbiter_sim::{LeaveReason, Loadout};
use arrayvec::ArrayVec;
use crossbeam::channel::{Receiver, Sender, bounded};

use crate::order::PLAYERS_WITHIN;
use crate::shard::Remote;
use crate::stats::RoomStats;
use crate::{ROOM_QUEUE_MAX, SPECTATORS_MAX, ServerConfig};

/// What the socket thread has for a room.
pub(crate) enum FromSocket {
    Join(Arrival),
    /// A spectator at the door; whom to watch stands in the line.
    Watch {
        client: Remote,
        line: Arc<Line>,
    },
    Input {
        client: Remote,
        packet: InputPacket,
        landed: Landed,
    },
    /// What became of parts of snapshots, where no input comes to tell it with.
    Landed {
        client: Remote,
        landed: Landed,
    },
    Left {
        client: Remote,
        reason: LeaveReason,
    },
}

/// Tags of parts of snapshots, and whether they have come; the others count as lost.
pub(crate) type Landed = ArrayVec<(u32, bool), 16>;

/// A player at the door.
pub(crate) struct Arrival {
    pub client: Remote,
    pub loadout: Loadout,
    pub line: Arc<Line>,
    /// By the token; 0 for whoever has no account.
    pub player: u64,
    /// Whether a place of the room was reserved: not for one who is thought to have a place already.
    pub reserved: bool,
}

/// What the socket thread measures of one connection, for its room to look at.
#[derive(Debug, Default)]
pub(crate) struct Line {
    budget: AtomicU32,
    /// Whom a spectator wishes to watch: a slot, and 1 more.
    wish: AtomicU32,
}

impl Line {
    /// Bytes that the next tick may have for this client; 0 if the tick should be left out.
    pub fn budget(&self) -> usize {
        self.budget.load(Ordering::Relaxed) as usize
    }

    pub fn set_budget(&self, bytes: usize) {
        self.budget.store(u32::try_from(bytes).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Whom a spectator wishes to watch: the newest wish, so that however many come, none has to wait anywhere.
    pub fn wish(&self) -> Target {
        let slot = self.wish.load(Ordering::Relaxed).checked_sub(1);
        slot.map_or(Target::Free, |slot| Target::Player(slot as u16))
    }

    pub fn set_wish(&self, target: Target) {
        let wish = match target {
            Target::Free => 0,
            Target::Player(slot) => u32::from(slot) + 1,
        };
        self.wish.store(wish, Ordering::Relaxed);
    }
}

/// Stands for more players than any room has, so that releases of its last ones do not open it again.
const SHUT: u32 = u32::MAX / 2;

/// What others hold of a room.
pub(crate) struct RoomLink {
    pub queue: Sender<FromSocket>,
    pub(super) stats: Arc<Mutex<RoomStats>>,
    /// Players that are in or on their way.
    reserved: AtomicU32,
    places: u32,
    /// Spectators that are in or on their way, and how many there may be.
    spectators: AtomicU32,
    spectators_max: u32,
    /// How often the room had its turn.
    turns: AtomicU64,
    /// The match that is played, or was last; `None` before the first.
    match_id: Mutex<Option<u128>>,
    /// Its mode.
    mode: Mutex<String>,
    /// When a match that was ordered began here.
    ordered: Mutex<Option<Instant>>,
    /// How often it was taken up again.
    epoch: AtomicU32,
}

impl RoomLink {
    pub fn new(config: &ServerConfig) -> (Self, Receiver<FromSocket>) {
        let (queue, inbox) = bounded(ROOM_QUEUE_MAX);
        let link = Self {
            queue,
            stats: Arc::default(),
            reserved: AtomicU32::new(0),
            places: u32::from(config.settings.players_max),
            spectators: AtomicU32::new(0),
            spectators_max: u32::from(config.spectators_max.min(SPECTATORS_MAX)),
            turns: AtomicU64::new(0),
            match_id: Mutex::default(),
            mode: Mutex::new(config.settings.mode.clone()),
            ordered: Mutex::default(),
            epoch: AtomicU32::new(0),
        };
        (link, inbox)
    }

    pub fn stats(&self) -> RoomStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has no turn any more.
    pub fn has_ended(&self) -> bool {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    pub fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Grows while the room advances, between matches too.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The match that is played, or was last; `None` before the first.
    pub fn match_id(&self) -> Option<u128> {
        *self.match_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_match_id(&self, match_id: u128) {
        *self.match_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(match_id);
    }

    /// The mode of that match.
    pub fn mode(&self) -> String {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_mode(&self, mode: &str) {
        mode.clone_into(&mut self.mode.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A match that was ordered begins here.
    pub(super) fn order(&self) {
        *self.ordered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether there are players or some are on their way, or a match that was ordered waits for them.
    pub fn is_in_use(&self) -> bool {
        let ordered = *self.ordered.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = ordered.is_some_and(|since| since.elapsed() < PLAYERS_WITHIN);
        !self.is_shut() && (waits || self.reserved() > 0)
    }

    /// How often the match was taken up again after a failure.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(super) fn set_epoch(&self, epoch: u32) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    pub fn spectators(&self) -> u32 {
        self.spectators.load(Ordering::Relaxed)
    }

    pub fn spectators_max(&self) -> u32 {
        self.spectators_max
    }

    pub(super) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    pub fn has_place(&self) -> bool {
        self.reserved() < self.places
    }

    pub fn reserve(&self) {
        self.reserved.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a spectator's place, if there is one and the room takes anybody at all.
    pub fn reserve_spectator(&self) -> bool {
        let claim = |watching| (watching < self.spectators_max).then_some(watching + 1);
        !self.is_shut() && self.spectators.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok()
    }

    pub fn release_spectator(&self) {
        self.spectators.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the room takes anybody at all.
    pub fn is_shut(&self) -> bool {
        self.reserved() >= SHUT / 2
    }

    pub fn release(&self) {
        self.reserved.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nobody is sent here any more.
    pub(super) fn shut(&self) {
        self.reserved.store(SHUT, Ordering::Relaxed);
    }
}
