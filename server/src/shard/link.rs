//! What others hold of a socket thread: its queue, its bell and its figures.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use arbiter_transport::ClientId;
use crossbeam::channel::{Receiver, Sender, bounded};

use crate::SOCKET_QUEUE_MAX;
use crate::socket::overflow::SocketId;
use crate::socket::wait::Waker;
use crate::spare::Spare;
use crate::stats::SocketStats;

/// A client of the server: on which socket thread it is, and who it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Remote {
    pub shard: u16,
    pub client: ClientId,
}

/// What a room has for a client.
pub(crate) enum ToSocket {
    /// A part of a snapshot, as a body of this kind, to be sent at once or never. The room hears what became of it by its tag.
    Snapshot { client: ClientId, kind: u8, tag: u32, bytes: Vec<u8> },
    /// A message that must arrive.
    Message { client: ClientId, bytes: Vec<u8> },
    /// To be disconnected once it has what it was sent.
    Close { client: ClientId },
}

/// Buffers that are kept to be filled again: a tick's of a thousand clients.
const SPARE_MAX: usize = 2_048;

/// See the module.
pub(crate) struct ShardLink {
    queue: Sender<ToSocket>,
    waker: Waker,
    /// Buffers whose bytes have left.
    spare: Spare<u8>,
    /// `None` where the system counts nothing for it.
    pub socket: Option<SocketId>,
    stats: Mutex<SocketStats>,
}

impl ShardLink {
    pub fn new(waker: Waker, socket: Option<SocketId>) -> (Self, Receiver<ToSocket>) {
        let (queue, orders) = bounded(SOCKET_QUEUE_MAX);
        let spare = Spare::new(SPARE_MAX);
        (Self { queue, waker, spare, socket, stats: Mutex::default() }, orders)
    }

    /// An empty buffer, which has its memory already once the server has run for a while.
    pub fn buffer(&self) -> Vec<u8> {
        self.spare.take()
    }

    /// Takes a buffer back.
    pub fn reuse(&self, buffer: Vec<u8>) {
        self.spare.give(buffer);
    }

    /// Queues something that may be lost. Whoever queues wakes the thread behind the last of a burst.
    pub fn offer(&self, order: ToSocket) -> bool {
        self.queue.try_send(order).is_ok()
    }

    /// Queues something that must arrive, waiting for room for so long. See [`Self::offer`].
    pub fn send(&self, order: ToSocket, patience: Duration) -> bool {
        let Err(full) = self.queue.try_send(order) else { return true };
        self.wake();
        self.queue.send_timeout(full.into_inner(), patience).is_ok()
    }

    /// What waits for the thread.
    pub fn waiting(&self) -> u64 {
        self.queue.len() as u64
    }

    /// Wakes the thread if it sleeps and something is queued: a room without players wakes nobody.
    pub fn wake(&self) {
        if !self.queue.is_empty() {
            self.waker.wake();
        }
    }

    /// Wakes the thread if it sleeps.
    pub fn call(&self) {
        self.waker.wake();
    }

    pub fn stats(&self) -> SocketStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn publish(&self, stats: SocketStats) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}
