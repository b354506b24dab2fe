//! What others hold of a room: its queue, its figures, and how many places are taken.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arbiter_protocol::InputPacket;
use arbiter_sim::{LeaveReason, Loadout, MatchSettings};
use arrayvec::ArrayVec;
use crossbeam::channel::{Receiver, Sender, bounded};

use crate::ROOM_QUEUE_MAX;
use crate::shard::Remote;
use crate::stats::RoomStats;

/// What the socket thread has for a room.
pub(crate) enum FromSocket {
    Join(Arrival),
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
}

impl Line {
    /// Bytes that the next tick may have for this client; 0 if the tick should be left out.
    pub fn budget(&self) -> usize {
        self.budget.load(Ordering::Relaxed) as usize
    }

    pub fn set_budget(&self, bytes: usize) {
        self.budget.store(u32::try_from(bytes).unwrap_or(u32::MAX), Ordering::Relaxed);
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
    /// How often the room had its turn.
    turns: AtomicU64,
}

impl RoomLink {
    pub fn new(settings: &MatchSettings) -> (Self, Receiver<FromSocket>) {
        let (queue, inbox) = bounded(ROOM_QUEUE_MAX);
        let places = u32::from(settings.players_max);
        (Self { queue, stats: Arc::default(), reserved: AtomicU32::new(0), places, turns: AtomicU64::new(0) }, inbox)
    }

    pub fn stats(&self) -> RoomStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Grows while the room advances, between matches too.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
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
