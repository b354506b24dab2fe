//! One client, as the server knows it: what it provably holds of each entity, and what is under way to it.

use std::collections::VecDeque;

use arbiter_schema::StableId;

use super::cache::Cache;
use super::history::History;
use super::{AGE_MAX, Bases, HEADER_BYTES, How, REFRESH_TICKS};
use crate::PART_BYTES_MAX;
use crate::bits::{BitWriter, put_step};
use crate::codec::entity::{Around, entity, odd};
use crate::codec::prefix::PrefixWriter;
use crate::codec::{Past, Tables};
use crate::encode::Viewer;

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

/// Ticks that were acknowledged: the newest, and which of the 64 before it.
#[derive(Debug, Clone, Copy, Default)]
struct Acked {
    newest: Option<u32>,
    before: u64,
}

impl Acked {
    fn insert(&mut self, tick: u32) {
        match self.newest {
            None => self.newest = Some(tick),
            Some(newest) if tick > newest => {
                let step = tick - newest;
                self.before = self.before.checked_shl(step).unwrap_or(0);
                self.before |= 1_u64.checked_shl(step - 1).unwrap_or(0);
                self.newest = Some(tick);
            }
            Some(newest) if tick < newest => self.before |= 1_u64.checked_shl(newest - tick - 1).unwrap_or(0),
            Some(_) => {}
        }
    }

    /// Acknowledged ticks on the ladder, newest first.
    fn ticks(self, ladder: u32) -> impl Iterator<Item = u32> {
        let newest = self.newest.unwrap_or(0);
        let before = (0..64).filter(move |at| self.before >> at & 1 != 0).map(move |at| newest - 1 - at);
        self.newest.into_iter().chain(before).filter(move |tick| tick % ladder == 0)
    }

    /// What to tell `tick` against: the newest, as little older as there is, and about as much older as the newest is old.
    fn bases(self, tick: u32, ladder: u32) -> Option<Bases> {
        let ladder = if self.ticks(ladder).next().is_some_and(|it| self.newest.is_some_and(|n| n - it < ladder)) {
            ladder
        } else {
            1
        };
        let newest = self.ticks(ladder).next().filter(|newest| *newest < tick && tick - newest <= AGE_MAX)?;
        let age = tick - newest;
        let older = || self.ticks(ladder).skip(1).filter(|older| tick - older <= AGE_MAX);
        let near = older().next().unwrap_or(newest);
        let far = older().min_by_key(|older| (newest - older).abs_diff(age)).unwrap_or(newest);
        Some(Bases([age as u8, (newest - near) as u8, (newest - far) as u8]))
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
    encoded: BitWriter,
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
            encoded: BitWriter::default(),
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
        cache.begin(tick);
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
                self.encoded.clear();
                if !self.put(id, How::Gone, None, tick, budget_bytes, parts) {
                    self.entries[at].again = true;
                    break;
                }
            }
        }
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

    /// Tells one entity; false if it does not fit.
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
        self.lanes.iter_mut().for_each(Vec::clear);
        let Some(shape) = history.told(tick, id, viewer, &mut self.lanes[0]) else {
            self.leave(id, tick);
            return true;
        };
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id);
        let entry = at.map_or(Entry::new(id, tick), |at| self.entries[at]);
        let back = entry.gone.is_some();
        if !back && self.is_idle(history, viewer, &entry, tick, shape) {
            return true;
        }
        let bases = if back { None } else { entry.acked.bases(tick, self.ladder) };
        let bases = bases.and_then(|bases| self.gather(history, viewer, id, tick, shape, bases));
        self.encoded.clear();
        let key = (id, shape, bases.unwrap_or_default());
        let lanes = &mut self.lanes;
        let shapes = &history.shapes;
        cache.copy(key, &mut self.encoded, |to| match bases {
            Some(bases) => {
                let [now, states @ ..] = lanes;
                let [age, near, far] = bases.0.map(i64::from);
                let states = [&states[0][..], &states[1], &states[2]];
                let past = Past { states, age, gaps: [near, far] };
                let (plan, tables, nobody) = (shapes.get(shape).1, Tables::frozen(), Around::default());
                let odd = if crate::codec::entity::active(plan, &past) {
                    odd(tables, plan, &past, &nobody, now)
                } else {
                    true
                };
                to.flag(odd);
                // A writer cannot fail.
                let _ = entity(&mut PrefixWriter { tables, to }, tables, plan, &past, &nobody, odd, now);
            }
            None => {
                shapes.write(to, shape);
                for (lane, width) in lanes[0].iter().zip(shapes.get(shape).2) {
                    to.put(*lane as u32, *width);
                }
            }
        });
        if self.encoded.len() + 64 > PART_BITS {
            parts.too_large += 1;
            return true;
        }
        let how = if bases.is_some() { How::Usual } else { How::Full };
        if !self.put(id, how, bases, tick, budget, parts) {
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

    /// Whether the client has been told what is true, and that is either under way or acknowledged.
    fn is_idle(&mut self, history: &mut History, viewer: Viewer, entry: &Entry, tick: u32, shape: u32) -> bool {
        let Some(told) = entry.told.filter(|told| !entry.again && tick - told < REFRESH_TICKS) else { return false };
        let [now, then, ..] = &mut self.lanes;
        let same = history.told(told, entry.id, viewer, then) == Some(shape) && now == then;
        then.clear();
        same
    }

    /// Puts the states of the bases beside those of now. Those of another shape are replaced by the newest; if that is one of
    /// them, nothing can be told against any.
    fn gather(
        &mut self,
        history: &mut History,
        viewer: Viewer,
        id: StableId,
        tick: u32,
        shape: u32,
        mut bases: Bases,
    ) -> Option<Bases> {
        let ticks = bases.ticks(tick)?;
        for (number, base) in ticks.into_iter().enumerate() {
            let (earlier, later) = self.lanes.split_at_mut(number + 1);
            let to = &mut later[0];
            if history.told(base, id, viewer, to) != Some(shape) {
                if number == 0 {
                    return None;
                }
                to.clear();
                to.extend_from_slice(&earlier[1]);
                bases.0[number] = 0;
            }
        }
        Some(bases)
    }

    /// Puts what was encoded into the part, or into the next one; false if the budget does not carry it.
    fn put(
        &mut self,
        id: StableId,
        how: How,
        bases: Option<Bases>,
        tick: u32,
        budget: usize,
        parts: &mut PeerParts,
    ) -> bool {
        // The longest head: flag, step, how, bases.
        let bits = self.encoded.len() + 1 + 36 + 2 + 24;
        if self.part.bits.len() + bits > PART_BITS {
            self.close(tick, parts);
        }
        if parts.bytes.len() + HEADER_BYTES + (self.part.bits.len() + bits).div_ceil(8) > budget {
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
        part.bits.append(&self.encoded);
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
