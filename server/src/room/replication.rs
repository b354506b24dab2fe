//! What each client is told of a tick: what it may know, the most urgent first, against what it provably holds.

use arbiter_protocol::{Datagram, SnapshotHeader};
use arbiter_sim::index::Identity;
use arbiter_snapshot::{Viewer, Wish};

use super::{Entering, Room};
use crate::shard::{Remote, ToSocket};

/// Socket threads are woken behind so many clients of a tick, and behind the last: they send to the first while the others'
/// snapshots are made, but are not woken for each.
const WAKE_EVERY: u32 = 32;

/// Players up to which each is told against the newest states that it holds. In larger rooms the states of even ticks alone
/// are bases, so that clients whose round trips differ meet on the same ones and share encodings.
const SMALL_ROOM: u16 = 32;

/// Milliseconds that a snapshot may be late or lost without an enemy who steps out of cover coming as a surprise.
const HORIZON_SLACK_MS: u32 = 50;

impl Room {
    pub(super) fn ladder(&self) -> u32 {
        if self.shared.config.settings.players_max > SMALL_ROOM { 2 } else { 1 }
    }

    /// Number of the match in this room, as it goes on the wire.
    pub(super) fn match_number(&self) -> u8 {
        (self.matches % 4) as u8
    }

    /// Tells each client what it may know of this tick.
    pub(super) fn replicate(&mut self, tick: u32) {
        let match_number = self.match_number();
        let view = self.simulation.view();
        let history = &mut self.history;
        history.begin(tick);
        view.for_each_row(&mut |row| history.row(row.id, row.component, row.owner, row.team, row.lanes));
        history.finish();
        self.interest.look(&self.simulation);
        let rate = u32::from(self.simulation.settings().tick_rate).max(1);
        let budget_max = self.shared.config.snapshot_kbit_max as usize * 125 / rate as usize;
        let (mut dropped, mut told) = (0, 0);
        for (slot, seat) in (0_u16..).zip(&mut self.seats) {
            let Some(seat) = seat else { continue };
            let (Entering::In(player), None) = (&seat.entering, seat.lost) else { continue };
            let player = *player;
            let budget_bytes = seat.line.budget().min(budget_max);
            if budget_bytes == 0 {
                // The link carries no more now: a snapshot would wait in a queue on the way and be older than the next one.
                self.held_back += 1;
                continue;
            }
            if let (Some(watcher), Some(lag)) = (self.interest.watcher(slot), seat.view_lag) {
                watcher.set_horizon(u32::from(lag) * 1_000 / rate + HORIZON_SLACK_MS);
            }
            let Some(watcher) = self.interest.watch(slot) else { continue };
            let team = view.get::<Identity>(player).map_or(0, |identity| identity.team);
            let viewer = Viewer { slot: Some(slot), team };
            let wish = Wish { wanted: watcher.wanted(), gone: watcher.gone(), always: Some(player), budget_bytes };
            let gone = wish.gone.len();
            let served = seat.peer.encode(&self.history, &mut self.cache, viewer, &wish, &mut self.parts);
            (0..served).for_each(|at| watcher.told(at, tick));
            // From here on the peer repeats it until the client knows.
            (0..gone).for_each(|at| watcher.forgotten(at, tick));
            if self.parts.too_large > 0 {
                tracing::warn!(room = self.number, tick, "an entity does not fit into any part and is not told");
            }
            let header = SnapshotHeader::new(seat.newest.map(|(_, margin)| margin), match_number);
            let Remote { shard, client } = seat.client;
            let link = &self.shared.shards[usize::from(shard)];
            for (tag, part) in self.parts.iter() {
                let mut bytes = link.buffer();
                Datagram::Snapshot(header, part).encode(&mut bytes);
                self.snapshot_bytes += bytes.len() as u64;
                if !link.offer(ToSocket::Snapshot { client, tag, bytes }) {
                    seat.peer.lost(tag);
                    dropped += 1;
                }
            }
            self.snapshots += 1;
            told += 1;
            if told % WAKE_EVERY == 0 {
                self.shared.wake_shards();
            }
        }
        if dropped > 0 {
            self.shared.note(|stats| stats.drops.snapshots += dropped);
        }
    }
}
