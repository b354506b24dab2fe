//! What each client is told of a tick: a delta against what it has acknowledged, or a full state.

use arbiter_protocol::{Datagram, SnapshotHeader};
use arbiter_sim::index::Identity;
use arbiter_snapshot::Viewer;

use super::{Entering, Room};
use crate::shard::{Remote, ToSocket};

/// Full states go out at most so often to a client that has none: they are large, and an acknowledgement takes a round trip.
const FULL_STATES_PER_SECOND: u32 = 10;

/// Socket threads are woken behind so many clients of a tick, and behind the last: they send to the first while the others'
/// snapshots are made, but are not woken for each.
const WAKE_EVERY: u32 = 32;

impl Room {
    /// Tells each client what it may know of this tick.
    pub(super) fn replicate(&mut self, tick: u32) {
        self.encoder.begin(tick);
        let view = self.simulation.view();
        let encoder = &mut self.encoder;
        view.for_each_row(&mut |row| encoder.row(row.id, row.component, row.owner, row.team, row.lanes));
        let full_every = (u32::from(self.simulation.settings().tick_rate) / FULL_STATES_PER_SECOND).max(1);
        let (mut dropped, mut told) = (0, 0);
        for (slot, seat) in (0_u16..).zip(&mut self.seats) {
            let Some(seat) = seat else { continue };
            let (Entering::In(player), None) = (&seat.entering, seat.lost) else { continue };
            let player = *player;
            let team = view.get::<Identity>(player).map_or(0, |identity| identity.team);
            if team != seat.team {
                // What it knew of its baseline is judged by its team of now: it starts afresh.
                (seat.team, seat.baseline) = (team, None);
            }
            if seat.line.budget() == 0 {
                // The link carries no more now: a snapshot would wait in a queue on the way and be older than the next one.
                self.held_back += 1;
                continue;
            }
            let baseline = seat.baseline.filter(|baseline| self.encoder.holds(*baseline));
            if baseline.is_none() {
                if seat.full_sent.is_some_and(|sent| tick.wrapping_sub(sent) < full_every) {
                    continue;
                }
                seat.full_sent = Some(tick);
            }
            let viewer = Viewer { slot: Some(slot), team };
            if !self.encoder.encode(baseline, viewer, &mut self.parts) {
                tracing::warn!(room = self.number, tick, "the state does not fit into a snapshot");
                continue;
            }
            let header = SnapshotHeader { input_margin: seat.newest.map(|(_, margin)| margin) };
            for part in self.parts.iter() {
                let mut bytes = Vec::with_capacity(SnapshotHeader::BYTES + part.len());
                Datagram::Snapshot(header, part).encode(&mut bytes);
                self.snapshot_bytes += bytes.len() as u64;
                let Remote { shard, client } = seat.client;
                let order = ToSocket::Snapshot { client, tick, bytes };
                dropped += u64::from(!self.shared.shards[usize::from(shard)].offer(order));
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
