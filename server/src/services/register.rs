//! Tells the services every second what this server hosts, so that players are sent here, and that it ends when it does.
//!
//! A thread of its own reads what rooms publish anyway. A server that cannot tell is sent nobody after some seconds; its matches go
//! on.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use arbiter_contracts::outward::Policy;
use arbiter_contracts::servers::{Registration, RoomState};
use arbiter_transport::NoRandomness;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::{Client, Services};
use crate::outward::{CircuitFigures, OPEN_AFTER, Patience};
use crate::room::RoomLink;
use crate::{OnStop, Shared, StartError};

/// Between two registrations: who is silent for five of them is sent nobody any more.
const EVERY: Duration = Duration::from_secs(1);

/// A call that takes longer than three registrations is no better than none; a server that can tell again should not be missing for
/// longer than two.
const POLICY: Policy = Policy {
    connect_max: Duration::from_secs(1),
    call_max: Duration::from_secs(3),
    wait_min: Duration::from_millis(100),
    wait_max: Duration::from_secs(2),
    open_after: OPEN_AFTER,
};

/// What is sent.
const CONTENT_TYPE: &str = "application/json";

/// How registering does.
#[derive(Debug, Default)]
pub(crate) struct RegisterStats {
    /// Whether the services know what this server hosts now.
    pub registered: AtomicBool,
    pub failures: AtomicU64,
    pub circuit: CircuitFigures,
}

/// The thread; it ends once it is told to, or when matches are abandoned, after a last word to the services.
#[derive(Debug)]
pub(crate) struct Registering {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registering {
    /// Starts telling the services of a server that players reach at these addresses.
    pub fn start(shared: &Arc<Shared>, services: &Services, addresses: Vec<SocketAddr>) -> Result<Self, StartError> {
        // Another one for each process: what a server of the same name said before it died is not this one's.
        let id = getrandom::u64().map_err(|_| NoRandomness)?;
        let (stop, stopped) = bounded(1);
        let register = Register {
            shared: Arc::clone(shared),
            client: Client::new(services, &POLICY),
            path: format!("/servers/server-{id:016x}"),
            addresses,
            patience: Patience::new(POLICY, &shared.registering.circuit),
        };
        let run = move || register.run(&stopped);
        let thread = std::thread::Builder::new().name("register".to_owned()).spawn(run).map_err(StartError::Thread)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Lets it look now whether the server stops, without waiting for it.
    pub fn look(&self) {
        // Full: it will look anyway. Disconnected: it has ended.
        let _ = self.stop.as_ref().map(|stop| stop.try_send(()));
    }
}

impl Drop for Registering {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Register {
    shared: Arc<Shared>,
    client: Client,
    path: String,
    addresses: Vec<SocketAddr>,
    patience: Patience,
}

impl Register {
    fn run(mut self, stopped: &Receiver<()>) {
        // Matches that are played to their end keep the places of those whose connection is lost: they must find back.
        while self.shared.stopping() != Some(OnStop::Abandon) {
            let wait = self.tell();
            if stopped.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
        }
        // Once, and not where nobody answered a moment ago: who is not heard of any more is gone in some seconds anyway.
        if self.shared.registering.registered.swap(false, Ordering::Relaxed)
            && let Err(why) = self.client.call("DELETE", &self.path, CONTENT_TYPE, &[])
        {
            tracing::warn!("the services were not told that this server ends: {why}");
        }
    }

    /// Tells the services once; how long to wait then.
    fn tell(&mut self) -> Duration {
        let told = self.registration();
        // Texts and numbers: it can always be written.
        let body = serde_json::to_vec(&told).unwrap_or_default();
        self.patience.begin();
        match self.client.call("PUT", &self.path, CONTENT_TYPE, &body) {
            Ok(_) => {
                if !self.shared.registering.registered.swap(true, Ordering::Relaxed) {
                    tracing::info!(path = self.path, "the services send players here");
                }
                self.patience.reset();
                EVERY
            }
            Err(why) => self.failed(&why),
        }
    }

    fn failed(&mut self, why: &str) -> Duration {
        let stats = &self.shared.registering;
        stats.failures.fetch_add(1, Ordering::Relaxed);
        stats.registered.store(false, Ordering::Relaxed);
        let wait = self.patience.wait();
        if self.patience.is_told() {
            let failures = self.patience.failures();
            tracing::error!(failures, "the services send nobody here, since they cannot be told of this server: {why}");
        }
        wait
    }

    fn registration(&self) -> Registration {
        // Before the rooms are asked for their figures: whoever takes a place in between is counted rather than told twice.
        let mut holders: Vec<Vec<u64>> = vec![Vec::new(); self.shared.rooms.len()];
        for (player, room) in self.shared.directory.places() {
            if let Some(holders) = holders.get_mut(usize::from(room)) {
                holders.push(player);
            }
        }
        let beat = self.shared.pulse.feel(&self.shared.rooms);
        let mut rooms = Vec::with_capacity(holders.len());
        for ((room, number), (lives, holders)) in
            self.shared.rooms.iter().zip(0..).zip(beat.advances.into_iter().zip(holders))
        {
            if let Some(match_id) = room.match_id().filter(|_| !room.is_shut()) {
                rooms.push(self.shared.room_state(room, number, match_id, lives, holders));
            }
        }
        Registration {
            addresses: self.addresses.clone(),
            build: self.shared.config.build.clone(),
            protocol_hash: self.shared.protocol_hash,
            protocol_id: arbiter_transport::PROTOCOL_ID,
            rooms,
        }
    }
}

impl Shared {
    fn room_state(&self, room: &RoomLink, number: u16, match_id: u128, lives: bool, holders: Vec<u64>) -> RoomState {
        let small = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        let settings = &self.config.settings;
        RoomState {
            room: number,
            match_id,
            epoch: room.epoch(),
            mode: room.mode(),
            map: self.config.map.name.clone(),
            tick_rate: settings.tick_rate,
            players: small(room.reserved()),
            players_max: settings.players_max,
            spectators: small(room.spectators()),
            // Nobody else may watch while load is shed.
            spectators_max: small(if self.shed.lets_watch() { room.spectators_max() } else { room.spectators() }),
            // What players earn could not be told while the outbox is stuck.
            open: lives
                && room.has_place()
                && !self.outbox_is_stuck()
                && self.shed.takes_matches()
                && self.stopping().is_none(),
            holders,
        }
    }
}
