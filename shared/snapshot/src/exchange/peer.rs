//! One client, as the server knows it: what it provably holds of each entity, and what is under way to it.

use core::ops::Range;
use std::collections::VecDeque;

use arbiter_schema::StableId;

use super::acked::{Acked, Found, Ladder, NEVER};
use super::cache::Cache;
use super::history::{History, NOBODY, Span, level};
use super::part::{END_BITS, PART_BITS, Part, Piece, step};
use super::small::Writer;
use super::{Bases, Form, How, REFRESH_TICKS, TickForm};
use crate::PART_BYTES_MAX;
use crate::bits::BitWriter;
use crate::codec::drift::{Older, TRAIL};
use crate::codec::entity::{Around, Subject};
use crate::codec::prefix::PrefixWriter;
use crate::codec::{Past, Tables};
use crate::layout::{Known, Viewer};

/// Parts that may be under way: beyond it the oldest counts as lost. Transport has no more payloads in flight.
const FLIGHTS_MAX: usize = 512;

/// The parts of one tick for one client, each with the tag that [`Peer::delivered`] and [`Peer::lost`] name it by.
#[derive(Debug, Default)]
pub struct PeerParts {
    bytes: Vec<u8>,
    ends: Vec<(u32, usize)>,
    /// Entities whose full state does not fit into any part: they were left out.
    pub too_large: u32,
    /// Entities that are told.
    pub told: u32,
    /// Of these, those that are told in full, since nothing that the client holds is of use.
    pub in_full: u32,
}

impl PeerParts {
    /// Tag and bytes of each part, in order; at most [`PART_BYTES_MAX`] bytes each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let starts = core::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (tag, end))| (*tag, &self.bytes[start..*end]))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        (self.too_large, self.told, self.in_full) = (0, 0, 0);
    }
}

/// What a client is to be told of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What it may know, each once, the most urgent first.
    pub wanted: &'a [StableId],
    /// What it may not know any more, each once.
    pub gone: &'a [StableId],
    /// One of the wanted that is told although it did not change: whoever predicts must hear when a guess was wrong.
    pub always: Option<StableId>,
    /// Bytes of all parts; the most urgent entity is told even if it alone takes more.
    pub budget_bytes: usize,
}

/// An entity that the client was told of. Half a cache line: a tick of a large room looks at a quarter of a million of them.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: StableId,
    acked: Acked,
    /// The tick of which it was told last, or never.
    told: u32,
    /// Acknowledgements of older ticks count for nothing: the client may have dropped what they brought.
    valid_from: u32,
    /// What was told last was lost.
    again: bool,
}

/// An entity that left sight, and of which the client is not known to know that.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    id: StableId,
    tick: u32,
    /// To be told, for the first time or because that was lost.
    again: bool,
}

#[derive(Debug)]
struct Flight {
    tag: u32,
    tick: u32,
    /// Each entity with its slot, or that it is [`GONE`].
    told: Vec<(StableId, u32)>,
}

/// Entities that are looked for at a time.
const AHEAD: usize = 8;

/// Most bytes of the head of an entity and of the end of a part in the small form.
const HEAD_BYTES_MAX: usize = 24;

/// An entity that is told.
struct Told {
    id: StableId,
    slot: u32,
    how: How,
    bases: Option<Bases>,
}

/// In place of a slot: what was told is that it left sight.
const GONE: u32 = u32::MAX;

/// One client.
#[derive(Debug)]
pub struct Peer {
    ladder: u32,
    by_turns: bool,
    viewer: Option<Viewer>,
    /// By slot in the history.
    entries: Vec<Entry>,
    /// By id.
    leaving: Vec<Leaving>,
    flights: VecDeque<Flight>,
    spare: Vec<Vec<(StableId, u32)>>,
    next_tag: u32,
    last_tick: u32,
    /// See [`Self::newest_held`].
    newest_held: u32,
    /// The newest tick of which the client surely kept a part, of those from `kept_from` on.
    kept: Option<u32>,
    kept_from: u32,
    part: Part,
    found: Found,
    form: Form,
    writer: Writer,
    scratch: Scratch,
}

/// Lanes of an entity, now and at other ticks.
#[derive(Debug, Default)]
struct Scratch {
    lanes: [Vec<i32>; 5],
    trail: [Vec<i32>; TRAIL.len()],
}

impl Peer {
    /// A client that holds nothing. States are told against those of one in `ladder` ticks (a power of 2), where that costs less
    /// than so many ticks of age: clients with different round trips meet on fewer of them.
    pub fn new(ladder: u32) -> Self {
        Self {
            ladder: ladder.next_power_of_two(),
            by_turns: false,
            viewer: None,
            entries: Vec::new(),
            leaving: Vec::new(),
            flights: VecDeque::new(),
            spare: Vec::new(),
            next_tag: 0,
            last_tick: 0,
            newest_held: 0,
            kept: None,
            kept_from: 0,
            part: Part::default(),
            found: Found::default(),
            form: Form::Shared,
            writer: Writer::default(),
            scratch: Scratch::default(),
        }
    }

    /// Entities have the ticks that they are told against by turns, those that are multiples of the ladder with the entity's id: for
    /// clients that are told each in ticks of its own. Where all is told in every tick they would only have to be named for each.
    pub fn by_turns(self) -> Self {
        Self { by_turns: true, ..self }
    }

    /// The form of its parts: the other end must [know it](super::Receiver::set_form).
    pub fn set_form(&mut self, form: Form) {
        self.form = form;
    }

    /// Tells the tick that `history` [finished](History::finish) last: who is gone from sight, then what is wanted, until the
    /// budget is full. Returns how many of the wanted are told; the others wait, and are as urgent as the caller says at the
    /// next tick. What has been told and has not changed since counts as told.
    pub fn encode(
        &mut self,
        history: &History,
        cache: &mut Cache,
        viewer: Viewer,
        wish: &Wish<'_>,
        parts: &mut PeerParts,
    ) -> usize {
        parts.clear();
        let Some(tick) = history.tick() else { return 0 };
        let budget_bytes = wish.budget_bytes;
        cache.begin(tick, history.count());
        if self.viewer.replace(viewer) != Some(viewer) {
            // What it was told is judged by who it was: it starts afresh.
            self.restart(tick);
        }
        if self.entries.len() < history.slots() {
            self.entries.resize(history.slots(), Entry::NONE);
        }
        self.leave_vanished(history, tick);
        for id in wish.gone {
            if let Some((_, span)) = history.span(*id) {
                self.leave(*id, span.slot as usize, tick);
            }
        }
        self.last_tick = tick;
        for at in 0..self.leaving.len() {
            let Leaving { id, again, .. } = self.leaving[at];
            if again {
                let gone = Told { id, slot: GONE, how: How::Gone, bases: None };
                if !self.put(history, gone, (cache.bits(), (0, 0)), budget_bytes, parts) {
                    break;
                }
                self.leaving[at].again = false;
            }
        }
        let mut served = 0;
        'all: for wanted in wish.wanted.chunks(AHEAD) {
            // Nobody's memory holds what all clients were told: these are looked for side by side, and told one by one.
            let mut found = [None; AHEAD];
            for (id, found) in wanted.iter().zip(&mut found) {
                *found = history.span(*id).map(|(place, span)| (place, span, self.entries[span.slot as usize]));
            }
            for (id, found) in wanted.iter().zip(found) {
                let always = wish.always == Some(*id);
                // Whoever vanished has left.
                let told = found.is_none_or(|found| {
                    self.tell(history, cache, viewer, (*id, always), found, tick, budget_bytes, parts)
                });
                if !told {
                    break 'all;
                }
                served += 1;
            }
        }
        self.close(history, cache.bits(), parts);
        served
    }

    /// What is not there any more left sight.
    fn leave_vanished(&mut self, history: &History, tick: u32) {
        if let Some(vanished) = history.vanished_since(self.last_tick) {
            return vanished.for_each(|(id, slot)| self.leave(id, slot as usize, tick));
        }
        for slot in 0..self.entries.len() {
            let id = self.entries[slot].id;
            if history.at_slot(slot) != id {
                self.leave(id, slot, tick);
            }
        }
    }

    fn leave(&mut self, id: StableId, slot: usize, tick: u32) {
        if let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.id == id && id != NOBODY) {
            *entry = Entry::NONE;
            // It cannot be leaving already: whoever comes back does not leave any more.
            let at = self.leaving.partition_point(|leaving| leaving.id < id);
            self.leaving.insert(at, Leaving { id, tick, again: true });
        }
    }

    /// Tells one entity; false if it does not fit. Almost always everything is there already: neither its lanes nor those of
    /// its past are looked at then.
    #[allow(clippy::too_many_arguments, reason = "as encode")]
    fn tell(
        &mut self,
        history: &History,
        cache: &mut Cache,
        viewer: Viewer,
        (id, always): (StableId, bool),
        (place, span, held): (usize, &Span, Entry),
        tick: u32,
        budget: usize,
        parts: &mut PeerParts,
    ) -> bool {
        let slot = span.slot as usize;
        let entry = if held.id == id { held } else { Entry::new(id, tick) };
        let back = if self.leaving.is_empty() { None } else { self.leaving_at(id) };
        let known = span.known(viewer);
        let level = level(known);
        // It was told to somebody who knew more or less.
        let other = |told: u32| told < span.owner_since && history.known_at(told, id, viewer) != Some(known);
        // It has been told what is true, and that is under way or acknowledged.
        let recent = |told: u32| told >= span.same_since[level] && tick - told < REFRESH_TICKS && !other(told);
        if !always && !entry.again && entry.told != NEVER && recent(entry.told) {
            return true;
        }
        let ladder = Ladder::new(self.ladder, self.by_turns.then_some(id));
        let bases = self.found.bases(entry.acked, tick, span.shape_since[level], ladder);
        let mut bases = bases.filter(|bases| !bases.ticks(tick).is_none_or(|ticks| ticks.into_iter().any(other)));
        if let Some(bases) = bases.as_mut().filter(|_| history.shapes.has_trails()) {
            let trail = entry.acked.trail(tick, *bases, span.shape_since[level], ladder);
            let newest = tick - u32::from(bases.0[0]);
            let of_others = Bases(bases.0, Some(trail)).trail().filter(|(_, gap)| other(newest - u32::from(*gap)));
            bases.1 = Some(of_others.fold(trail, |trail, (bit, _)| trail & !(1 << bit)));
        }
        let key = (known, bases.unwrap_or_default());
        let range = match cache.find(place, key) {
            Some(range) => range,
            None => {
                if cache.is_full() {
                    self.part.keep(cache.bits());
                }
                self.make(history, cache, (id, place), span.shapes[level], key, bases)
            }
        };
        if range.0 == range.1 {
            self.leave(id, slot, tick);
            return true;
        }
        if range.1 - range.0 + 64 > PART_BITS {
            parts.too_large += 1;
            return true;
        }
        let how = if bases.is_some() { How::Usual } else { How::Full };
        let told = Told { id, slot: span.slot, how, bases };
        if !self.put(history, told, (cache.bits(), range), budget, parts) {
            return false;
        }
        if let Some(back) = back {
            self.leaving.remove(back);
        }
        self.entries[slot] = Entry { told: tick, again: false, ..entry };
        true
    }

    /// Makes the encoding of an entity; an empty one if nothing of it may be known.
    fn make(
        &mut self,
        history: &History,
        cache: &mut Cache,
        (id, place): (StableId, usize),
        shape: Option<u32>,
        key: (Known, Bases),
        bases: Option<Bases>,
    ) -> (usize, usize) {
        let (Some(shape), Some(tick)) = (shape, history.tick()) else { return cache.make(place, key, |_| {}) };
        let shapes = &history.shapes;
        let source = (place, key.0, shape);
        self.scratch.with(history, (id, tick), source, bases, |past, now| {
            cache.make(place, key, |to| match past {
                Some(past) => {
                    let (plan, tables) = (shapes.get(shape).1, Tables::frozen());
                    // What rests is told only if it changes, or to say once more that it rests. A writer cannot fail.
                    let mut subject = Subject::new(tables, plan, past);
                    let _ = subject.change(&mut PrefixWriter { tables, to }, &Around::default(), true, now);
                }
                None => shapes.write_full(to, shape, now),
            })
        })
    }

    /// Puts what was encoded into the part, or into the next one; false if the budget does not carry it. An entity is told
    /// once in a tick.
    fn put(
        &mut self,
        history: &History,
        Told { id, slot, how, bases }: Told,
        (bits, (start, end)): (&BitWriter, (usize, usize)),
        budget: usize,
        parts: &mut PeerParts,
    ) -> bool {
        let body = end - start;
        let (mut more, mut at) = self.part.room_for(id, how, bases, body);
        // What is back before its leaving was heard of is told of both in one tick, and a part tells of each entity once.
        let is_twice = self.part.told.get(at).is_some_and(|piece| piece.id == id);
        if is_twice || self.part.bits + more > PART_BITS {
            self.close(history, bits, parts);
            (more, at) = self.part.room_for(id, how, bases, body);
        }
        let part = &mut self.part;
        // The first always leaves: one that is larger than every budget would wait for ever, and all behind it.
        let is_first = parts.bytes.is_empty() && part.told.is_empty();
        let around = TickForm::of(self.last_tick, self.kept).bits() + 1 + END_BITS;
        if !is_first && parts.bytes.len() + (around + part.bits + more).div_ceil(8) > budget {
            return false;
        }
        let body = (start as u32, end as u32);
        part.told.insert(at, Piece { id, slot, how, bases, body, is_cached: true });
        part.bits += more;
        part.first = part.first.or(bases);
        parts.told += 1;
        parts.in_full += u32::from(how == How::Full);
        true
    }

    fn close(&mut self, history: &History, cached: &BitWriter, parts: &mut PeerParts) {
        let is_empty = self.part.told.is_empty();
        let Some((tick, viewer)) = history.tick().zip(self.viewer).filter(|_| !is_empty) else { return };
        match self.form {
            Form::Shared => {
                self.part.write(tick, TickForm::of(tick, self.kept), cached);
                self.part.out.finish_into(&mut parts.bytes);
                self.sent(tick, 0..self.part.told.len(), parts);
            }
            Form::Small => self.close_small(history, viewer, tick, parts),
        }
        self.part.clear();
    }

    /// Writes what was put together once more, as few bytes: in one part, or in several if that should take more.
    fn close_small(&mut self, history: &History, viewer: Viewer, tick: u32, parts: &mut PeerParts) {
        let (usual, shapes) = (self.part.usual(), &history.shapes);
        let mut from = 0;
        while from < self.part.told.len() {
            let start = parts.bytes.len();
            let form = TickForm::of(tick, self.kept);
            let mut stream = self.writer.begin(&mut parts.bytes, (form, tick), usual);
            let mut to = from;
            let mut before = None;
            for piece in &self.part.told[from..] {
                // What takes more than half as much again as in the other form does not come.
                let bytes = (piece.body.1 - piece.body.0) as usize * 3 / 16 + HEAD_BYTES_MAX;
                if to > from && stream.bytes_max() + bytes > PART_BYTES_MAX {
                    break;
                }
                let (how, own) = piece.how(usual);
                stream.head(step(before, piece.id), how, own);
                before = Some(piece.id);
                to += 1;
                let is_there = piece.how != How::Gone;
                let Some((place, span)) = history.span(piece.id).filter(|_| is_there) else { continue };
                let known = span.known(viewer);
                let Some(shape) = span.shapes[level(known)] else { continue };
                let entity = (piece.id, tick);
                self.scratch.with(history, entity, (place, known, shape), piece.bases, |past, now| match past {
                    Some(past) => stream.change(shapes.get(shape).1, past, known.owner, now),
                    None => stream.full(shapes, shape, now),
                });
            }
            stream.finish();
            let is_part = (1..=PART_BYTES_MAX).contains(&(parts.bytes.len() - start));
            if is_part {
                self.sent(tick, from..to, parts);
            } else {
                parts.bytes.truncate(start);
                parts.too_large += 1;
            }
            from = to;
        }
    }

    /// Notes that a part with some of what was put together is on its way.
    fn sent(&mut self, tick: u32, told_at: Range<usize>, parts: &mut PeerParts) {
        parts.ends.push((self.next_tag, parts.bytes.len()));
        let mut told = self.spare.pop().unwrap_or_default();
        told.extend(self.part.told[told_at].iter().map(|piece| (piece.id, piece.slot)));
        if self.flights.len() == FLIGHTS_MAX
            && let Some(oldest) = self.flights.front().map(|flight| flight.tag)
        {
            self.lost(oldest);
        }
        self.flights.push_back(Flight { tag: self.next_tag, tick, told });
        self.next_tag = self.next_tag.wrapping_add(1);
    }

    /// The client holds nothing, and what is under way does not count, as when it enters another match. Tags go on.
    pub fn reset(&mut self) {
        (self.viewer, self.last_tick, self.newest_held) = (None, 0, 0);
        (self.kept, self.kept_from) = (None, 0);
        self.entries.fill(Entry::NONE);
        self.leaving.clear();
        while let Some(mut flight) = self.flights.pop_front() {
            flight.told.clear();
            self.spare.push(flight.told);
        }
    }

    /// From `tick` on nothing counts as held, as when a client asks for a full state because it could not read a part.
    pub fn restart(&mut self, tick: u32) {
        self.entries.iter_mut().for_each(|entry| entry.restart(tick));
        (self.kept, self.kept_from) = (None, tick);
    }

    /// The newest tick of which the client is known to have a part; 0 before the first.
    pub fn newest_held(&self) -> u32 {
        self.newest_held
    }

    /// The client has the part with this tag. A tag that is not under way changes nothing.
    pub fn delivered(&mut self, tag: u32) {
        let Some(mut flight) = self.take_flight(tag) else { return };
        self.newest_held = self.newest_held.max(flight.tick);
        if flight.tick >= self.kept_from {
            self.kept = self.kept.max(Some(flight.tick));
        }
        for (id, slot) in flight.told.drain(..) {
            if slot == GONE {
                let told = self.leaving_at(id).filter(|at| self.leaving[*at].tick <= flight.tick);
                told.map(|at| self.leaving.remove(at));
            } else if let Some(entry) = self.entry(id, slot).filter(|entry| flight.tick >= entry.valid_from) {
                entry.acked.insert(flight.tick);
            }
        }
        self.spare.push(flight.told);
    }

    /// The part with this tag counts as lost: what it told is told again. A tag that is not under way changes nothing.
    pub fn lost(&mut self, tag: u32) {
        let Some(mut flight) = self.take_flight(tag) else { return };
        for (id, slot) in flight.told.drain(..) {
            if slot == GONE {
                let at = self.leaving_at(id);
                at.into_iter().for_each(|at| self.leaving[at].again = true);
            } else if let Some(entry) = self.entry(id, slot) {
                entry.again |= entry.told == flight.tick;
            }
        }
        self.spare.push(flight.told);
    }

    fn take_flight(&mut self, tag: u32) -> Option<Flight> {
        let at = self.flights.iter().position(|flight| flight.tag == tag)?;
        self.flights.remove(at)
    }

    fn leaving_at(&self, id: StableId) -> Option<usize> {
        self.leaving.binary_search_by_key(&id, |leaving| leaving.id).ok()
    }

    /// What the client was told of an entity, unless that left, or its slot went to another.
    fn entry(&mut self, id: StableId, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize).filter(|entry| entry.id == id)
    }
}

impl Scratch {
    /// Calls back with the lanes of an entity at a tick, and with the past that bases name.
    fn with<R>(
        &mut self,
        history: &History,
        (id, tick): (StableId, u32),
        (place, known, shape): (usize, Known, u32),
        bases: Option<Bases>,
        call: impl FnOnce(Option<&Past<'_>>, &mut Vec<i32>) -> R,
    ) -> R {
        let entity_at = (id, place);
        let [now, first, second, third, fourth] = &mut self.lanes;
        let told = history.told(tick, entity_at, known, fourth);
        now.clear();
        now.extend_from_slice(told);
        let Some((bases, ticks)) = bases.and_then(|bases| Some((bases, bases.ticks(tick)?))) else {
            return call(None, now);
        };
        let states = [
            history.told(ticks[0], entity_at, known, first),
            history.told(ticks[1], entity_at, known, second),
            history.told(ticks[2], entity_at, known, third),
        ];
        debug_assert!(states.iter().all(|state| state.len() == now.len()), "a base of another shape");
        let (mut older, mut count) = ([Older { gap: 0, lanes: &[] }; TRAIL.len()], 0);
        if history.shapes.get(shape).1.has_trail() {
            for ((_, gap), scratch) in bases.trail().zip(&mut self.trail) {
                let lanes = history.told(ticks[0] - u32::from(gap), entity_at, known, scratch);
                older[count] = Older { gap: i64::from(gap), lanes };
                count += 1;
            }
        }
        let [age, near, far] = bases.0.map(i64::from);
        call(Some(&Past { states, age, gaps: [near, far], trail: &older[..count] }), now)
    }
}

impl Entry {
    const NONE: Self = Self::new(NOBODY, 0);

    const fn new(id: StableId, tick: u32) -> Self {
        Self { id, acked: Acked::NONE, told: NEVER, valid_from: tick, again: false }
    }

    fn restart(&mut self, tick: u32) {
        (self.acked, self.told) = (Acked::NONE, NEVER);
        self.valid_from = tick;
    }
}
