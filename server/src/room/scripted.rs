//! A room that plays nothing: it lets everyone in and sends each the same number of bytes a tick. For load tests of what is
//! between it and the clients, which is all real.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arbiter_protocol::{Datagram, Goodbye, GoodbyeReason, KIND_SNAPSHOT, ServerMessage, SnapshotHeader, Welcome};
use arbiter_schema::StableId;
use crossbeam::channel::Receiver;

use super::{Arrival, FromSocket, Line};
use crate::Shared;
use crate::pool::next_deadline;
use crate::shard::{Remote, ToSocket};

/// Socket threads are woken behind so many clients, as a real room does it.
const WAKE_EVERY: usize = 32;

/// A client may be told a message this late.
const PATIENCE: Duration = Duration::from_millis(50);

/// Ticks between two updates of what others read.
const PUBLISH_EVERY: u32 = 16;

/// See the module.
pub(crate) struct Scripted {
    shared: Arc<Shared>,
    inbox: Receiver<FromSocket>,
    bytes: usize,
    clients: Vec<(Remote, Arc<Line>)>,
    slots: HashMap<Remote, usize>,
    tick: u32,
    snapshots: u64,
    held_back: u64,
    overruns: u64,
}

impl Scripted {
    pub fn new(shared: Arc<Shared>, inbox: Receiver<FromSocket>, bytes: usize) -> Self {
        let (clients, slots) = (Vec::new(), HashMap::new());
        Self { shared, inbox, bytes, clients, slots, tick: 0, snapshots: 0, held_back: 0, overruns: 0 }
    }

    /// Ticks until the server is told to stop.
    pub fn run(mut self) {
        let period = Duration::from_secs(1) / u32::from(self.shared.config.settings.tick_rate.max(1));
        let mut deadline = Instant::now();
        // Snapshots of a match are no zeros either.
        let part: Vec<u8> = (0..self.bytes).map(|at| (at * 151) as u8).collect();
        while self.shared.stopping().is_none() {
            self.tick += 1;
            self.shared.rooms[0].turn();
            self.read_inbox();
            self.tell(&part);
            if self.tick.is_multiple_of(PUBLISH_EVERY) {
                self.publish();
            }
            let (next, missed) = next_deadline(deadline, period, Instant::now());
            (deadline, self.overruns) = (next, self.overruns + missed);
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        }
        self.shared.rooms[0].shut();
        for (client, _) in core::mem::take(&mut self.clients) {
            self.message(client, &ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Stopping }));
            self.order(client, ToSocket::Close { client: client.client });
        }
        self.shared.wake_shards();
        self.publish();
        self.shared.rooms_running.store(0, core::sync::atomic::Ordering::Release);
    }

    fn read_inbox(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                FromSocket::Join(Arrival { client, line, .. }) => {
                    self.slots.insert(client, self.clients.len());
                    self.clients.push((client, line));
                    self.welcome(client);
                }
                FromSocket::Left { client, .. } => {
                    let Some(at) = self.slots.remove(&client) else { continue };
                    self.clients.swap_remove(at);
                    if let Some((moved, _)) = self.clients.get(at) {
                        self.slots.insert(*moved, at);
                    }
                    self.shared.rooms[0].release();
                }
                // Its configuration lets nobody watch.
                FromSocket::Watch { .. } | FromSocket::Input { .. } | FromSocket::Landed { .. } => {}
            }
        }
    }

    fn welcome(&self, client: Remote) {
        let settings = &self.shared.config.settings;
        let welcome = Welcome {
            slot: self.clients.len() as u16 - 1,
            player: StableId::default(),
            tick_rate: settings.tick_rate,
            tick: self.tick,
            match_id: [0; 16],
            number: 0,
            small_parts: false,
            map: String::new(),
            map_hash: [0; 32],
            rules_hash: [0; 32],
            mode: settings.mode.clone(),
            teams: 0,
            players_max: settings.players_max,
        };
        self.message(client, &ServerMessage::Welcome(welcome));
    }

    fn tell(&mut self, part: &[u8]) {
        for (at, (remote, line)) in self.clients.iter().enumerate() {
            if line.budget() == 0 {
                self.held_back += 1;
                continue;
            }
            let mut bytes = self.shared.shards[usize::from(remote.shard)].buffer();
            Datagram::Snapshot(SnapshotHeader::default(), part).encode(&mut bytes);
            let order = ToSocket::Snapshot { client: remote.client, kind: KIND_SNAPSHOT, tag: self.tick, bytes };
            self.snapshots += u64::from(self.shared.shards[usize::from(remote.shard)].offer(order));
            if at % WAKE_EVERY == WAKE_EVERY - 1 {
                self.shared.wake_shards();
            }
        }
        self.shared.wake_shards();
    }

    fn message(&self, client: Remote, message: &ServerMessage) {
        self.order(client, ToSocket::Message { client: client.client, bytes: message.encode() });
    }

    fn order(&self, client: Remote, order: ToSocket) {
        if !self.shared.shards[usize::from(client.shard)].send(order, PATIENCE) {
            self.shared.note(|stats| stats.drops.messages += 1);
        }
    }

    fn publish(&self) {
        let mut stats = self.shared.rooms[0].stats.lock().unwrap_or_else(PoisonError::into_inner);
        (stats.tick, stats.players) = (self.tick, self.clients.len() as u16);
        (stats.snapshots, stats.held_back, stats.overruns) = (self.snapshots, self.held_back, self.overruns);
    }
}
