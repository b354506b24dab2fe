//! A server that runs, for whoever started it.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crate::agones::Fleet;
use crate::config::OnStop;
use crate::drain::{Reason, Watch};
use crate::operate::Operate;
use crate::pool::Pool;
use crate::resume::freight::Freight;
use crate::room::RoomLink;
use crate::services::{Registering, Shipping};
use crate::shard::ShardLink;
use crate::shared::{OVERFLOWS_EVERY, Shared};
use crate::shed::ShedStats;
use crate::stats::{RoomStats, ServerStats};

/// A running server. Dropping it abandons its matches and waits for its threads.
pub struct ServerHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) local_address: SocketAddr,
    pub(crate) operate: Option<Operate>,
    pub(crate) pool: Option<Pool>,
    pub(crate) watch: Option<Watch>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) settling: Option<JoinHandle<()>>,
    pub(crate) freight: Option<Freight>,
    pub(crate) shipping: Option<Shipping>,
    pub(crate) registering: Option<Registering>,
    pub(crate) fleet: Option<Fleet>,
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
    /// [`ServerConfig::drain_grace`](crate::ServerConfig::drain_grace).
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
        // The recorder still waits for what it finds out of earlier matches.
        self.settling.take().into_iter().for_each(end);
        self.shared.closing.store(true, Ordering::Release);
        self.shared.shards.iter().for_each(ShardLink::call);
        self.threads.drain(..).for_each(end);
        // Behind the thread that closed the last recordings.
        drop(self.freight.take());
        // Behind the thread that wrote the last results.
        drop(self.shipping.take());
        // Last: behind this word the pod is deleted.
        drop(self.fleet.take());
    }
}

fn end(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the server panicked; its work is lost");
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop(OnStop::Abandon);
        self.wait();
    }
}
