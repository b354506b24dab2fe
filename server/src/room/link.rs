//! What others hold of a room: its queue, its figures, and how many places are taken.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arbiter_protocol::InputPacket;
use arbiter_sim::{LeaveReason, Loadout, MatchSettings};
use arbiter_transport::ClientId;
use crossbeam::channel::{Receiver, Sender, bounded};

use crate::ROOM_QUEUE_MAX;
use crate::stats::RoomStats;

/// What the socket thread has for a room.
pub(crate) enum FromSocket {
    Join { client: ClientId, loadout: Loadout },
    Input { client: ClientId, packet: InputPacket, arrived: Instant },
    Left { client: ClientId, reason: LeaveReason },
}

/// What others hold of a room.
pub(crate) struct RoomLink {
    pub queue: Sender<FromSocket>,
    pub(super) stats: Arc<Mutex<RoomStats>>,
    /// Players that are in or on their way.
    reserved: AtomicU32,
    places: u32,
}

impl RoomLink {
    pub fn new(settings: &MatchSettings) -> (Self, Receiver<FromSocket>) {
        let (queue, inbox) = bounded(ROOM_QUEUE_MAX);
        let places = u32::from(settings.players_max);
        (Self { queue, stats: Arc::default(), reserved: AtomicU32::new(0), places }, inbox)
    }

    pub fn stats(&self) -> RoomStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Relaxed)
    }

    pub fn has_place(&self) -> bool {
        self.reserved() < self.places
    }

    pub fn reserve(&self) {
        self.reserved.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        self.reserved.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nobody is sent here any more.
    pub(super) fn shut(&self) {
        self.reserved.store(u32::MAX / 2, Ordering::Relaxed);
    }
}
