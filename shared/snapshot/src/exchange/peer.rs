//! One client, as the server knows it: what it provably holds of each entity, and what is under way to it.

use std::collections::VecDeque;

use arbiter_schema::StableId;

use super::acked::Acked;
use super::cache::Cache;
use super::history::{History, level};
use super::{Bases, HEADER_BYTES, How, REFRESH_TICKS};
use crate::PART_BYTES_MAX;
use crate::bits::{BitWriter, put_step};
use crate::codec::entity::{Around, active, entity, odd};
use crate::codec::prefix::PrefixWriter;
use crate::codec::{Past, Tables};
use crate::encode::Viewer;
use crate::layout::Known;

/// Parts that may be under way: beyond it the oldest counts as lost. Transport has no more payloads in flight.
const FLIGHTS_MAX: usize = 512;

/// Bits of a part behind its header; one is kept for the end.
const PART_BITS: usize = (PART_BYTES_MAX - HEADER_BYTES) * 8 - 1;

/// The parts of one tick for one client, each with the tag that [`Peer::delivered`] and [`Peer::lost`] name it by.
#[derive(Debug, Default)]
pub struct PeerParts {
    bytes: Vec<u8>,
    ends: Vec<(u32, usize)>,
    /// Entities whose full state does not fit into any part: they were left out.
    pub too_large: u32,
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
        self.too_large = 0;
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: StableId,
    acked: Acked,
    /// The tick of which it was told last.
    told: Option<u32>,
    /// What was told last was lost.
    again: bool,
    /// It left sight at this tick, and the client is not known to know.
    gone: Option<u32>,
    /// Acknowledgements of older ticks count for nothing: the client may have dropped what they brought.
    valid_from: u32,
}

#[derive(Debug)]
struct Flight {
    tag: u32,
    tick: u32,
    told: Vec<(StableId, bool)>,
}

/// One client.
#[derive(Debug)]
pub struct Peer {
    ladder: u32,
    viewer: Option<Viewer>,
    /// By id.
    entries: Vec<Entry>,
    flights: VecDeque<Flight>,
    spare: Vec<Vec<(StableId, bool)>>,
    next_tag: u32,
    part: Part,
    lanes: [Vec<i32>; 4],
    /// Where the next wanted entity is in the tick and among the entries, if they are wanted by id.
    place_hint: usize,
    entry_hint: usize,
}

#[derive(Debug, Default)]
struct Part {
    bits: BitWriter,
    bases: Option<Bases>,
    last_id: u32,
    told: Vec<(StableId, bool)>,
}

impl Peer {
    /// A client that holds nothing. States are told against ticks that are multiples of `ladder` (at least 1) where that costs
    /// less than so many ticks of age: clients with different round trips meet on fewer of them.
    pub fn new(ladder: u32) -> Self {
        Self {
            ladder: ladder.max(1),
            viewer: None,
            entries: Vec::new(),
            flights: VecDeque::new(),
            spare: Vec::new(),
            next_tag: 0,
            part: Part::default(),
            lanes: Default::default(),
            place_hint: 0,
            entry_hint: 0,
        }
    }

    /// Tells the tick that `history` begun last: who is gone from sight, then `wanted`, the most urgent first, until
    /// `budget_bytes` are full. What does not fit waits: it is as urgent as the caller says at the next tick.
    #[allow(clippy::too_many_arguments, reason = "what a room knows when it tells a client of a tick")]
    pub fn encode(
        &mut self,
        history: &mut History,
        cache: &mut Cache,
        viewer: Viewer,
        wanted: &[StableId],
        gone_from_sight: &[StableId],
        budget_bytes: usize,
        parts: &mut PeerParts,
    ) {
        parts.clear();
        let Some(tick) = history.tick() else { return };
        history.settle();
        cache.begin(tick, history.count());
        if self.viewer.replace(viewer) != Some(viewer) {
            // What it was told is judged by who it was: it starts afresh.
            self.restart(tick);
        }
        for id in gone_from_sight {
            self.leave(*id, tick);
        }
        for at in 0..self.entries.len() {
            let entry = &mut self.entries[at];
            if entry.gone.is_some() && entry.again {
                entry.again = false;
                let id = entry.id;
                if !self.put(id, How::Gone, None, (cache.bits(), (0, 0)), tick, budget_bytes, parts) {
                    self.entries[at].again = true;
                    break;
                }
            }
        }
        (self.place_hint, self.entry_hint) = (0, 0);
        for id in wanted {
            if !self.tell(history, cache, viewer, *id, tick, budget_bytes, parts) {
                break;
            }
        }
        self.close(tick, parts);
    }

    fn leave(&mut self, id: StableId, tick: u32) {
        if let Ok(at) = self.entries.binary_search_by_key(&id, |entry| entry.id)
            && self.entries[at].gone.is_none()
        {
            let entry = &mut self.entries[at];
            entry.restart(tick);
            (entry.gone, entry.again) = (Some(tick), true);
        }
    }

    /// Tells one entity; false if it does not fit. Almost always everything is there already: neither its lanes nor those of
    /// its past are looked at then.
    #[allow(clippy::too_many_arguments, reason = "as encode")]
    fn tell(
        &mut self,
        history: &mut History,
        cache: &mut Cache,
        viewer: Viewer,
        id: StableId,
        tick: u32,
        budget: usize,
        parts: &mut PeerParts,
    ) -> bool {
        let Some((place, span)) = history.span(id, self.place_hint) else {
            self.leave(id, tick);
            return true;
        };
        self.place_hint = place + 1;
        let at = match self.entries.get(self.entry_hint).filter(|entry| entry.id == id) {
            Some(_) => Ok(self.entry_hint),
            None => self.entries.binary_search_by_key(&id, |entry| entry.id),
        };
        self.entry_hint = at.unwrap_or_else(|at| at) + 1;
        let entry = at.map_or(Entry::new(id, tick), |at| self.entries[at]);
        let back = entry.gone.is_some();
        let known = history.known(&span, viewer);
        let level = level(known);
        // It was told to somebody who knew more or less.
        let other = |told: u32| told < span.owner_since && history.known_at(told, id, viewer) != Some(known);
        // It has been told what is true, and that is under way or acknowledged.
        let recent = |told: u32| told >= span.same_since[level] && tick - told < REFRESH_TICKS && !other(told);
        if !back && !entry.again && entry.told.is_some_and(recent) {
            return true;
        }
        let bases = if back { None } else { entry.acked.bases(tick, span.shape_since[level], self.ladder) };
        let bases = bases.filter(|bases| !bases.ticks(tick).is_none_or(|ticks| ticks.into_iter().any(other)));
        let key = (known, bases.unwrap_or_default());
        let range = match cache.find(place, key) {
            Some(range) => range,
            None => self.make(history, cache, viewer, (id, place), tick, key, bases),
        };
        if range.0 == range.1 {
            self.leave(id, tick);
            return true;
        }
        if range.1 - range.0 + 64 > PART_BITS {
            parts.too_large += 1;
            return true;
        }
        let how = if bases.is_some() { How::Usual } else { How::Full };
        if !self.put(id, how, bases, (cache.bits(), range), tick, budget, parts) {
            return false;
        }
        let at = at.unwrap_or_else(|at| {
            self.entries.insert(at, entry);
            at
        });
        let entry = &mut self.entries[at];
        if back {
            entry.restart(tick);
            entry.gone = None;
        }
        (entry.told, entry.again) = (Some(tick), false);
        true
    }

    /// Makes the encoding of an entity; an empty one if nothing of it may be known.
    #[allow(clippy::too_many_arguments, reason = "as encode")]
    fn make(
        &mut self,
        history: &mut History,
        cache: &mut Cache,
        viewer: Viewer,
        (id, place): (StableId, usize),
        tick: u32,
        key: (Known, Bases),
        bases: Option<Bases>,
    ) -> (usize, usize) {
        self.lanes.iter_mut().for_each(Vec::clear);
        let [now, states @ ..] = &mut self.lanes;
        let shape = history.told(tick, id, viewer, now);
        if let Some(ticks) = bases.and_then(|bases| bases.ticks(tick)) {
            for (base, state) in ticks.into_iter().zip(states.iter_mut()) {
                let then = history.told(base, id, viewer, state);
                debug_assert_eq!(then, shape, "a base of another shape");
            }
        }
        let shapes = &history.shapes;
        let Some(shape) = shape else { return cache.make(place, key, |_| {}) };
        cache.make(place, key, |to| match bases {
            Some(bases) => {
                let [age, near, far] = bases.0.map(i64::from);
                let past = Past { states: [&states[0], &states[1], &states[2]], age, gaps: [near, far] };
                let (plan, tables, nobody) = (shapes.get(shape).1, Tables::frozen(), Around::default());
                // What rests is told only if it changes, or to say once more that it rests.
                let odd = !active(plan, &past) || odd(tables, plan, &past, &nobody, now);
                to.flag(odd);
                // A writer cannot fail.
                let _ = entity(&mut PrefixWriter { tables, to }, tables, plan, &past, &nobody, odd, now);
            }
            None => {
                shapes.write(to, shape);
                for (lane, width) in now.iter().zip(shapes.get(shape).2) {
                    to.put(*lane as u32, *width);
                }
            }
        })
    }

    /// Puts what was encoded into the part, or into the next one; false if the budget does not carry it.
    #[allow(clippy::too_many_arguments, reason = "as encode")]
    fn put(
        &mut self,
        id: StableId,
        how: How,
        bases: Option<Bases>,
        (bits, (start, end)): (&BitWriter, (usize, usize)),
        tick: u32,
        budget: usize,
        parts: &mut PeerParts,
    ) -> bool {
        // The longest head: flag, step, how, bases.
        let length = end - start + 1 + 36 + 2 + 24;
        if self.part.bits.len() + length > PART_BITS {
            self.close(tick, parts);
        }
        if parts.bytes.len() + HEADER_BYTES + (self.part.bits.len() + length).div_ceil(8) > budget {
            return false;
        }
        let part = &mut self.part;
        let how = match bases {
            Some(bases) if *part.bases.get_or_insert(bases) != bases => How::Own,
            _ => how,
        };
        part.bits.flag(true);
        part.bits.flag(id.0 < part.last_id);
        put_step(&mut part.bits, id.0.abs_diff(part.last_id));
        part.bits.put(how as u32, 2);
        if let (How::Own, Some(bases)) = (how, bases) {
            bases.0.iter().for_each(|byte| part.bits.put(u32::from(*byte), 8));
        }
        bits.copy(start, end, &mut part.bits);
        part.last_id = id.0;
        part.told.push((id, how == How::Gone));
        true
    }

    fn close(&mut self, tick: u32, parts: &mut PeerParts) {
        let part = &mut self.part;
        if part.told.is_empty() {
            return;
        }
        part.bits.flag(false);
        parts.bytes.extend_from_slice(&tick.to_le_bytes());
        parts.bytes.extend_from_slice(&part.bases.unwrap_or_default().0);
        part.bits.finish_into(&mut parts.bytes);
        parts.ends.push((self.next_tag, parts.bytes.len()));
        let told = core::mem::replace(&mut part.told, self.spare.pop().unwrap_or_default());
        (part.bases, part.last_id) = (None, 0);
        part.bits.clear();
        if self.flights.len() == FLIGHTS_MAX
            && let Some(oldest) = self.flights.front().map(|flight| flight.tag)
        {
            self.lost(oldest);
        }
        self.flights.push_back(Flight { tag: self.next_tag, tick, told });
        self.next_tag = self.next_tag.wrapping_add(1);
    }

    /// From `tick` on nothing counts as held, as when a client asks for a full state because it could not read a part.
    pub fn restart(&mut self, tick: u32) {
        self.entries.iter_mut().for_each(|entry| entry.restart(tick));
    }

    /// The client has the part with this tag. A tag that is not under way changes nothing.
    pub fn delivered(&mut self, tag: u32) {
        self.land(tag, |entries, at, tick, gone| {
            let entry = &mut entries[at];
            if gone {
                if entry.gone.is_some_and(|gone| gone <= tick) {
                    entries.remove(at);
                }
            } else if tick >= entry.valid_from {
                entry.acked.insert(tick);
            }
        });
    }

    /// The part with this tag counts as lost: what it told is told again. A tag that is not under way changes nothing.
    pub fn lost(&mut self, tag: u32) {
        self.land(tag, |entries, at, tick, gone| {
            let entry = &mut entries[at];
            entry.again |= if gone { entry.gone.is_some() } else { entry.told == Some(tick) };
        });
    }

    fn land(&mut self, tag: u32, mut each: impl FnMut(&mut Vec<Entry>, usize, u32, bool)) {
        let Some(at) = self.flights.iter().position(|flight| flight.tag == tag) else { return };
        let Some(mut flight) = self.flights.remove(at) else { return };
        for (id, gone) in flight.told.drain(..) {
            if let Ok(at) = self.entries.binary_search_by_key(&id, |entry| entry.id) {
                each(&mut self.entries, at, flight.tick, gone);
            }
        }
        self.spare.push(flight.told);
    }
}

impl Entry {
    fn new(id: StableId, tick: u32) -> Self {
        Self { id, acked: Acked::default(), told: None, again: false, gone: None, valid_from: tick }
    }

    fn restart(&mut self, tick: u32) {
        (self.acked, self.told) = (Acked::default(), None);
        self.valid_from = tick;
    }
}
