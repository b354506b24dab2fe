//! What each client is told of a tick: what it may know, the most urgent first, against what it provably holds; and what it hears.
//!
//! Clients are served one by one, or in large rooms by several threads at once: what one is told depends on nothing that
//! another is told, so that the bytes are the same however many threads there are.

use std::sync::{Mutex, PoisonError};

use arbiter_protocol::{Datagram, SnapshotHeader, SoundList, Sounds};
use arbiter_schema::StableId;
use arbiter_sim::index::Identity;
use arbiter_sim::simulation::View;
use arbiter_snapshot::{Cache, History, Peer, PeerParts, Viewer, Wish};

use super::{Entering, Room, Seat, messages};
use crate::Shared;
use crate::interest::{Ears, HORIZON_SLACK_MS, Heard, Watcher};
use crate::shed::Step;
use crate::sounds;

/// Socket threads are woken behind so many clients of a tick, and behind the last: they send to the first while the others'
/// snapshots are made, but are not woken for each.
const WAKE_EVERY: u64 = 32;

/// Players up to which each is told against the newest states that it holds. In larger rooms the states of one in 2 ticks alone
/// are bases, and beyond [`MIDDLING_ROOM`] one in 4, of each entity by turns as it is told, so that clients whose round trips
/// differ meet on the same ones and share encodings.
const SMALL_ROOM: u16 = 32;

/// See [`SMALL_ROOM`].
const MIDDLING_ROOM: u16 = 256;

/// Clients that a thread serves before it takes more.
const SHARE: usize = 16;

/// Players for whom a thread of their own is worth what it costs to start.
const PLAYERS_PER_THREAD: usize = 64;

/// What one thread tells with: its memory and what it counted.
#[derive(Default)]
pub(super) struct Teller {
    cache: Cache,
    parts: PeerParts,
    heard: Heard,
    sounds: Vec<u8>,
    told: Told,
}

#[derive(Default, Clone, Copy)]
struct Told {
    snapshots: u64,
    bytes: u64,
    /// Of these, sounds.
    sound_bytes: u64,
    held_back: u64,
    entities: u64,
    /// Of these, told in full.
    in_full: u64,
    /// Left out to save time: snapshots, and far entities.
    shed: u64,
    thinned: u64,
    dropped: u64,
    too_large: u64,
}

/// What all clients of a tick have in common.
struct Moment<'a> {
    tick: u32,
    rate: u32,
    /// Every how many ticks a client is told, by turns.
    stride: u32,
    budget_max: usize,
    match_number: u8,
    /// Whether anybody may watch, and hear what players hear.
    has_gallery: bool,
    history: &'a History,
    ears: Ears<'a>,
    view: View<'a>,
    shared: &'a Shared,
}

impl Room {
    pub(super) fn ladder(&self) -> u32 {
        match self.shared.config.settings.players_max {
            players if players <= SMALL_ROOM => 1,
            players if players <= MIDDLING_ROOM => 2,
            _ => 4,
        }
    }

    /// Of a player who holds nothing.
    pub(super) fn new_peer(&self) -> Peer {
        let mut peer = Peer::new(self.ladder());
        if self.shared.config.settings.players_max > MIDDLING_ROOM {
            peer = peer.by_turns();
        }
        peer.set_form(self.shared.config.snapshot_form);
        peer
    }

    /// Number of the match in this room, or of its recovery, as it goes on the wire.
    pub(super) fn match_number(&self) -> u8 {
        (self.eras % 4) as u8
    }

    /// Threads that this room may use: its share of the cores.
    pub(super) fn tellers(shared: &Shared) -> Vec<Teller> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = cores / usize::from(shared.config.rooms.max(1));
        let worth = usize::from(shared.config.settings.players_max) / PLAYERS_PER_THREAD;
        (0..share.min(worth).max(1)).map(|_| Teller::default()).collect()
    }

    /// Encodings that were there already, and that had to be made.
    pub(super) fn encodings(&self) -> (u64, u64) {
        let counts = self.tellers.iter().map(|teller| teller.cache.counts());
        counts.fold((0, 0), |sum, (hits, misses)| (sum.0 + hits, sum.1 + misses))
    }

    /// Tells each client what it may know of this tick.
    pub(super) fn replicate(&mut self, tick: u32) {
        let match_number = self.match_number();
        let view = self.simulation.view();
        let history = &mut self.history;
        history.begin(tick);
        let mut tape = self.gallery.as_mut().and_then(|gallery| gallery.reel.tape_for(tick));
        let mut kills = self.kill_cams.as_mut().and_then(|cams| cams.reel.tape_for(tick));
        view.for_each_row(&mut |row| {
            history.row(row.id, row.component, row.owner, row.team, row.lanes);
            for tape in [&mut tape, &mut kills].into_iter().flatten() {
                tape.row(row);
            }
        });
        history.finish();
        let step = self.shared.shed.step();
        self.interest.shed(step.stride(), step >= Step::FarDetail);
        self.interest.look(&self.simulation);
        let rate = u32::from(self.simulation.settings().tick_rate).max(1);
        let (watch, ears, watchers) = self.interest.split();
        let moment = Moment {
            tick,
            rate,
            stride: step.stride(),
            budget_max: self.shared.config.snapshot_bytes_max(1, rate),
            match_number,
            has_gallery: self.gallery.is_some(),
            history: &self.history,
            ears,
            view,
            shared: &self.shared,
        };
        let (moment, watch) = (&moment, &watch);
        if let [teller] = &mut self.tellers[..] {
            moment.tell_all(0, &mut self.seats, watchers, watch, teller);
        } else {
            // Shares are small, since no two of them take as long: whoever is done takes the next.
            let shares = self.seats.chunks_mut(SHARE).zip(watchers.chunks_mut(SHARE)).enumerate();
            let shares = Mutex::new(shares);
            let work = |teller: &mut Teller| {
                let next = || shares.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some((at, (seats, watchers))) = next() {
                    moment.tell_all(at * SHARE, seats, watchers, watch, teller);
                }
            };
            let work = &work;
            std::thread::scope(|scope| {
                let mut tellers = self.tellers.iter_mut();
                let first = tellers.next();
                for teller in tellers {
                    scope.spawn(move || work(teller));
                }
                first.map(work);
            });
        }
        self.sight.note(tick, view, watchers);
        if let Some(gallery) = &mut self.gallery {
            let mut all = SoundList::default();
            ears.hear_all(&mut all);
            gallery.reel.tape.sounds(None, tick, &all);
            for (slot, seat) in (0..).zip(&mut self.seats) {
                if let Some(seat) = seat {
                    gallery.reel.tape.sounds(Some(slot), tick, &core::mem::take(&mut seat.watched));
                }
            }
        }
        let (mut dropped, mut shed, mut thinned) = (0, 0, 0);
        for teller in &mut self.tellers {
            let told = core::mem::take(&mut teller.told);
            self.snapshots += told.snapshots;
            self.snapshot_bytes += told.bytes;
            self.sound_bytes += told.sound_bytes;
            self.held_back += told.held_back;
            self.entities.0 += told.entities;
            self.entities.1 += told.in_full;
            dropped += told.dropped;
            shed += told.shed;
            thinned += told.thinned;
            if told.too_large > 0 {
                tracing::warn!(room = self.number, tick, "an entity does not fit into any part and is not told");
            }
        }
        if dropped > 0 {
            self.shared.note(|stats| stats.drops.snapshots += dropped);
        }
        if shed + thinned > 0 {
            self.shared
                .shed
                .note(|stats| (stats.snapshots, stats.entities) = (stats.snapshots + shed, stats.entities + thinned));
        }
    }
}

impl Moment<'_> {
    fn tell_all(
        &self,
        first: usize,
        seats: &mut [Option<Seat>],
        watchers: &mut [Watcher],
        watch: &impl Fn(&mut Watcher),
        teller: &mut Teller,
    ) {
        for ((slot, seat), watcher) in (first as u16..).zip(seats).zip(watchers) {
            let Some(seat) = seat else { continue };
            seat.take_in();
            let (Entering::In(player), None) = (&seat.entering, seat.lost) else { continue };
            let player = *player;
            if !(self.tick + u32::from(slot)).is_multiple_of(self.stride) {
                self.hear(slot, seat, watcher, &mut teller.heard);
                teller.told.shed += 1;
                continue;
            }
            self.tell(slot, player, seat, watcher, watch, teller);
            if teller.told.snapshots.is_multiple_of(WAKE_EVERY) {
                self.shared.wake_shards();
            }
        }
    }

    fn tell(
        &self,
        slot: u16,
        player: StableId,
        seat: &mut Seat,
        watcher: &mut Watcher,
        watch: &impl Fn(&mut Watcher),
        teller: &mut Teller,
    ) {
        let Teller { cache, parts, heard, sounds, told } = teller;
        let budget_bytes = seat.line.budget().min(self.budget_max);
        if budget_bytes == 0 {
            // The link carries no more now: a snapshot would wait in a queue on the way and be older than the next one.
            self.hear(slot, seat, watcher, heard);
            told.held_back += 1;
            return;
        }
        if let Some(lag) = seat.view_lag {
            watcher.set_horizon(u32::from(lag) * 1_000 / self.rate + HORIZON_SLACK_MS);
        }
        watch(watcher);
        told.thinned += watcher.take_thinned();
        self.hear(slot, seat, watcher, heard);
        sounds.clear();
        seat.sounds.write(self.tick, budget_bytes, sounds);
        told.sound_bytes += sounds.len() as u64;
        let budget_bytes = budget_bytes - sounds.len();
        let team = self.view.get::<Identity>(player).map_or(0, |identity| identity.team);
        let viewer = Viewer { slot: Some(slot), team };
        let wish = Wish { wanted: watcher.wanted(), gone: watcher.gone(), always: Some(player), budget_bytes };
        let gone = wish.gone.len();
        let served = seat.peer.encode(self.history, cache, viewer, &wish, parts);
        (0..served).for_each(|at| watcher.told(at, self.tick));
        // From here on the peer repeats it until the client knows.
        (0..gone).for_each(|at| watcher.forgotten(at));
        told.too_large += u64::from(parts.too_large);
        told.entities += u64::from(parts.told);
        told.in_full += u64::from(parts.in_full);
        let header = SnapshotHeader::new(seat.newest.map(|(_, margin)| margin), self.match_number);
        // The first part carries what is heard.
        let mut sounds = Sounds::new(sounds).ok();
        for (tag, part) in parts.iter() {
            seat.sounds.sent(tag);
            let (body, bytes) = with_sounds(header, sounds.take(), part);
            told.bytes += bytes as u64;
            if !messages::offer(self.shared, seat.client, tag, &body) {
                sounds::land(&mut seat.peer, &mut seat.sounds, tag, false);
                told.dropped += 1;
            }
        }
        seat.sounds.unsent();
        told.snapshots += 1;
    }

    /// Notes what a client hears of this tick, whether or not it is told of it now.
    fn hear(&self, slot: u16, seat: &mut Seat, watcher: &Watcher, heard: &mut Heard) {
        self.ears.hear(watcher, slot, heard);
        seat.sounds.belong_to(watcher.identity());
        seat.sounds.push(self.tick, heard.list());
        if self.has_gallery {
            seat.watched = heard.watched();
        }
    }
}

/// The body that tells a part, with what is heard if anything is, and its bytes.
pub(super) fn with_sounds<'a>(
    header: SnapshotHeader,
    sounds: Option<Sounds<'a>>,
    part: &'a [u8],
) -> (Datagram<'a>, usize) {
    let bytes = SnapshotHeader::BYTES + part.len();
    match sounds {
        Some(sounds) => (Datagram::Sounds(header, sounds, part), bytes + sounds.as_bytes().len()),
        None => (Datagram::Snapshot(header, part), bytes),
    }
}
