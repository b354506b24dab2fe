//! Those who watch: let in, told what the [`Stage`](crate::broadcast::Stage) shows, and let go. They are no part of the match:
//! nothing that they send gets further than this file, and the simulation cannot know of them.
//!
//! [`Room::show`] is the last that a turn of the room does, behind everything that players wait for: whoever must save time may
//! leave it out, and spectators see fewer pictures.

use core::time::Duration;
use std::sync::Arc;

use arbiter_protocol::{
    Datagram, Goodbye, GoodbyeReason, Refused, RefusedReason, ServerMessage, SnapshotHeader, Target, Watching, Welcome,
};
use arbiter_schema::{Registry, StableId};
use arbiter_snapshot::{Cache, Peer, PeerParts, Wish};

use super::{Landed, Line, Room, messages};
use crate::broadcast::{Played, Shown, Stage, TICKS_PER_SECOND, Tape};
use crate::interest::WANTED_MAX;
use crate::shard::{Remote, ToSocket};
use crate::{SPECTATOR_DELAY_MAX, ServerConfig, Shared};

/// A spectator changes whom to watch at most so often, since each time costs a state in full.
const CHANGE_EVERY: Duration = Duration::from_millis(250);

/// What was told longer ago than this many ticks is as urgent as can be.
const AGE_MAX: u32 = 1 << 16;

/// One who watches.
struct Spectator {
    client: Remote,
    line: Arc<Line>,
    peer: Peer,
    /// Was told which match it is.
    is_in: bool,
    target: Target,
    /// The turn from which on it may be shown another view.
    change_from: u64,
    /// See `Seat`.
    restarted: Option<u32>,
    /// What it was told of and not that it is gone, and when last, by id.
    told: Vec<(StableId, u32)>,
}

/// See the module.
pub(super) struct Gallery {
    tape: Tape,
    stage: Stage,
    spectators: Vec<Spectator>,
    delay: Duration,
    /// The same in turns of the room, and one more, as a turn may have been late by less than that.
    delay_turns: u64,
    /// Every how many ticks one is shown.
    stride: u32,
    ladder: u32,
    change_turns: u64,
    turn: u64,
    /// Ticks that were shown, and bytes of them.
    pub snapshots: u64,
    pub snapshot_bytes: u64,
    pub held_back: u64,
    memory: Memory,
}

/// What one spectator after the other is told with.
#[derive(Default)]
struct Memory {
    cache: Cache,
    parts: PeerParts,
    shown: Vec<Shown>,
    told: Vec<(StableId, u32)>,
    keys: Vec<(u64, StableId)>,
    wanted: Vec<StableId>,
    gone: Vec<StableId>,
}

impl Gallery {
    /// For a room; `None` if nobody may watch.
    pub fn new(config: &ServerConfig, registry: &Registry, ladder: u32) -> Option<Box<Self>> {
        if config.spectators_max == 0 {
            return None;
        }
        let rate = u64::from(config.settings.tick_rate.max(1));
        let delay = config.spectator_delay.min(SPECTATOR_DELAY_MAX);
        let turns = |time: Duration| (time.as_millis() as u64 * rate).div_ceil(1_000);
        let stride = (rate as u32).div_ceil(TICKS_PER_SECOND);
        let slots = usize::from(config.settings.players_max);
        Some(Box::new(Self {
            tape: Tape::new((turns(delay) / u64::from(stride)) as usize, slots),
            stage: Stage::new(registry, slots),
            spectators: Vec::new(),
            delay,
            delay_turns: if delay.is_zero() { 0 } else { turns(delay) + 1 },
            stride,
            ladder,
            change_turns: turns(CHANGE_EVERY),
            turn: 0,
            snapshots: 0,
            snapshot_bytes: 0,
            held_back: 0,
            memory: Memory::default(),
        }))
    }

    pub fn len(&self) -> usize {
        self.spectators.len()
    }

    pub fn left_out(&self) -> u64 {
        self.tape.left_out()
    }

    /// Bytes of what waits to be shown.
    pub fn waiting_bytes(&self) -> u64 {
        self.tape.used() as u64
    }

    /// Whether anybody watches what has not been shown yet.
    pub fn is_waited_for(&self) -> bool {
        !self.spectators.is_empty() && !self.tape.is_empty()
    }

    fn find(&mut self, client: Remote) -> Option<&mut Spectator> {
        self.spectators.iter_mut().find(|spectator| spectator.client == client)
    }

    /// What became of parts, and the tick of which nothing could be read.
    pub fn land(&mut self, client: Remote, landed: &Landed, discarded: Option<(u32, u8)>) {
        let shown = self.stage.welcome().map(|(tick, welcome)| (tick, welcome.number));
        let Some(spectator) = self.find(client) else { return };
        for (tag, came) in landed {
            if *came { spectator.peer.delivered(*tag) } else { spectator.peer.lost(*tag) }
        }
        if let (Some((discarded, number)), Some((tick, shown))) = (discarded, shown)
            && number == shown
            && spectator.restarted.is_none_or(|restarted| discarded >= restarted)
        {
            spectator.restarted = Some(tick);
            spectator.peer.restart(tick);
        }
    }

    /// Where the rows of a tick are kept, if it is one that is shown.
    pub fn tape_for(&mut self, tick: u32) -> Option<&mut Tape> {
        tick.is_multiple_of(self.stride).then_some(&mut self.tape)
    }

    fn turn(&mut self, shared: &Shared, room: u16) {
        if self.play(shared, room) {
            // Players do not wait for those who watch.
            shared.wake_shards();
            self.tell(shared, room);
        }
        self.turn += 1;
    }

    /// Plays what is due. Whether a tick is to be told.
    fn play(&mut self, shared: &Shared, room: u16) -> bool {
        let Self { tape, stage, spectators, .. } = self;
        let mut is_new = false;
        let Some(until) = self.turn.checked_sub(self.delay_turns) else { return false };
        while let Some(played) = tape.play(until) {
            match played {
                Played::Match(welcome) => {
                    is_new = false;
                    spectators.iter_mut().for_each(Spectator::leave_match);
                    stage.begin(welcome);
                }
                Played::Tick(from) => is_new |= stage.play(from, !spectators.is_empty()),
                Played::Message(bytes) => {
                    for spectator in spectators.iter().filter(|spectator| spectator.is_in) {
                        let bytes = bytes.to_vec();
                        let message = |client| ToSocket::Message { client, bytes };
                        messages::send(shared, room, spectator.client, message);
                    }
                }
            }
        }
        is_new
    }

    fn tell(&mut self, shared: &Shared, room: u16) {
        let Self { stage, spectators, memory, turn, change_turns, stride, delay, .. } = self;
        let Some((tick, welcome)) = stage.welcome() else { return };
        let say = |client: Remote, message: &ServerMessage| {
            messages::send(shared, room, client, |client| ToSocket::Message { client, bytes: message.encode() });
        };
        let rate = u32::from(welcome.tick_rate).max(1);
        let budget_max = shared.config.snapshot_kbit_max as usize * 125 * *stride as usize / rate as usize;
        for spectator in spectators {
            let wish = spectator.line.wish();
            let may_change = spectator.target != wish && *turn >= spectator.change_from;
            if may_change {
                spectator.target = wish;
            }
            if !spectator.is_in {
                say(spectator.client, &ServerMessage::Welcome(Welcome { tick, ..welcome.clone() }));
            }
            if may_change || !spectator.is_in {
                (spectator.is_in, spectator.change_from) = (true, *turn + *change_turns);
                let watching = Watching { target: spectator.target, tick, delay_ms: delay.as_millis() as u32 };
                say(spectator.client, &ServerMessage::Watching(watching));
            }
            let budget_bytes = spectator.line.budget().min(budget_max);
            if budget_bytes == 0 {
                self.held_back += 1;
                continue;
            }
            memory.shown.clear();
            stage.show(spectator.target, &mut memory.shown);
            memory.rank(spectator, tick);
            // Told always, so that the clock of whoever watches a still scene goes on.
            let always = Some(StableId::NONE);
            let wish = Wish { wanted: &memory.wanted, gone: &memory.gone, always, budget_bytes };
            let viewer = stage.viewer(spectator.target);
            let (cache, parts) = (&mut memory.cache, &mut memory.parts);
            let served = spectator.peer.encode(stage.history(), cache, viewer, &wish, parts);
            memory.note(served, tick);
            core::mem::swap(&mut memory.told, &mut spectator.told);
            self.snapshots += 1;
            self.snapshot_bytes += send(shared, spectator.client, &mut spectator.peer, &memory.parts, welcome.number);
        }
    }
}

impl Spectator {
    fn leave_match(&mut self) {
        self.is_in = false;
        self.peer.reset();
        self.told.clear();
        self.restarted = None;
    }
}

impl Memory {
    /// What a spectator may be shown of a tick, the longest not told and weightiest first, and what it may not any more. Both
    /// lists that this is made from are in the order of ids.
    fn rank(&mut self, spectator: &Spectator, tick: u32) {
        let mut before = spectator.told.iter().copied().peekable();
        self.told.clear();
        self.keys.clear();
        self.gone.clear();
        for shown in &self.shown {
            while let Some((id, _)) = before.next_if(|(id, _)| *id < shown.id) {
                self.gone.push(id);
            }
            let told = before.next_if(|(id, _)| *id == shown.id).map(|(_, told)| told);
            self.told.extend(told.map(|told| (shown.id, told)));
            let age = told.map_or(AGE_MAX, |told| tick.saturating_sub(told).min(AGE_MAX));
            // The match itself leads, as it does for players.
            let weight = if shown.id.is_some() { u32::from(shown.weight) } else { u32::from(u8::MAX) + 1 };
            self.keys.push((u64::from(age * weight), shown.id));
        }
        self.gone.extend(before.map(|(id, _)| id));
        let by_key = |a: &(u64, StableId), b: &(u64, StableId)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        if self.keys.len() > WANTED_MAX {
            self.keys.select_nth_unstable_by(WANTED_MAX, by_key);
            self.keys.truncate(WANTED_MAX);
        }
        self.keys.sort_unstable_by(by_key);
        self.wanted.clear();
        self.wanted.extend(self.keys.iter().map(|(_, id)| *id));
    }

    /// Notes that the first so many were told.
    fn note(&mut self, served: usize, tick: u32) {
        for id in &self.wanted[..served] {
            match self.told.binary_search_by_key(id, |(id, _)| *id) {
                Ok(at) => self.told[at].1 = tick,
                Err(at) => self.told.insert(at, (*id, tick)),
            }
        }
    }
}

impl Room {
    /// Lets a spectator in. It is told the match with the next tick that is shown.
    pub(super) fn admit(&mut self, client: Remote, line: Arc<Line>) {
        let Some(gallery) = &mut self.gallery else {
            self.link().release_spectator();
            self.message(client, &ServerMessage::Refused(Refused::from(RefusedReason::NoSpectators)));
            return self.close(client);
        };
        gallery.spectators.push(Spectator {
            client,
            target: line.wish(),
            line,
            peer: Peer::new(gallery.ladder),
            is_in: false,
            change_from: 0,
            restarted: None,
            told: Vec::new(),
        });
    }

    /// A spectator is gone.
    pub(super) fn part(&mut self, client: Remote) {
        let Some(gallery) = &mut self.gallery else { return };
        if let Some(at) = gallery.spectators.iter().position(|spectator| spectator.client == client) {
            gallery.spectators.swap_remove(at);
            self.link().release_spectator();
        }
    }

    /// Says goodbye to all who watch.
    pub(super) fn part_all(&mut self, reason: GoodbyeReason) {
        let Some(gallery) = &mut self.gallery else { return };
        for spectator in core::mem::take(&mut gallery.spectators) {
            self.link().release_spectator();
            self.message(spectator.client, &ServerMessage::Goodbye(Goodbye { reason }));
            self.close(spectator.client);
        }
    }

    /// A match begins, which spectators will be told in time.
    pub(super) fn announce(&mut self) {
        let welcome = self.welcome_of(Welcome::SPECTATOR, StableId::NONE, 0);
        if let Some(gallery) = &mut self.gallery {
            self.interest.keep_watched();
            gallery.tape.begin(gallery.turn, welcome);
        }
    }

    /// Keeps a message to everybody for spectators.
    pub(super) fn keep_message(&mut self, bytes: &[u8]) {
        if let Some(gallery) = &mut self.gallery {
            gallery.tape.message(gallery.turn, bytes);
        }
    }

    /// Keeps a tick for spectators, of which the rows have been given already, if it is one that is shown.
    pub(super) fn keep_tick(&mut self, tick: u32) {
        if let Some(gallery) = &mut self.gallery
            && tick.is_multiple_of(gallery.stride)
        {
            let again = gallery.tape.take_torn();
            gallery.tape.tick(gallery.turn, tick, self.interest.take_watched(again));
        }
    }

    /// Ends a turn: tells spectators what was a while ago.
    pub(super) fn show(&mut self) {
        if let Some(gallery) = &mut self.gallery {
            gallery.turn(&self.shared, self.number);
        }
    }
}

/// Hands parts to the socket thread. Returns their bytes.
fn send(shared: &Shared, to: Remote, peer: &mut Peer, parts: &PeerParts, match_number: u8) -> u64 {
    let link = &shared.shards[usize::from(to.shard)];
    let mut sent = 0;
    for (tag, part) in parts.iter() {
        let mut bytes = link.buffer();
        Datagram::Snapshot(SnapshotHeader::new(None, match_number), part).encode(&mut bytes);
        sent += bytes.len() as u64;
        if !link.offer(ToSocket::Snapshot { client: to.client, tag, bytes }) {
            peer.lost(tag);
            shared.note(|stats| stats.drops.snapshots += 1);
        }
    }
    sent
}
