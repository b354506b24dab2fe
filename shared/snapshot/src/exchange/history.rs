//! The rows of the last ticks, once for all clients, and when each entity changed last.

use std::collections::VecDeque;

use arbiter_schema::{ComponentId, Registry, StableId};

use super::shape::{COMPONENTS_MAX, Shape, Shapes};
use crate::HISTORY_TICKS;
use crate::frame::{Frame, Head};
use crate::layout::{Known, Layout, Viewer};

/// One entity at the tick begun last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub id: StableId,
    /// Its number for as long as it is there; then another entity's.
    pub slot: u32,
    start: usize,
    end: usize,
    /// Of its first row. Rows of one entity have one owner and team.
    owner: u32,
    team: u8,
    /// How many before it are there of which mates may know more.
    mates_place: u32,
    /// Since this tick it has this owner and team.
    pub owner_since: u32,
    /// By level of knowledge (everyone's, the team's, the owner's): since this tick it is told in one shape.
    pub shape_since: [u32; 3],
    /// By level: since this tick nothing that is told of it has changed. By level, because what a client may not know must
    /// not even decide when it is told something.
    pub same_since: [u32; 3],
    /// By level: the number of the shape that is told; `None` if nothing may be known.
    pub shapes: [Option<u32>; 3],
}

impl Span {
    /// What `viewer` is to the entity.
    pub(crate) fn known(&self, viewer: Viewer) -> Known {
        viewer.knows_of(self.owner, self.team)
    }
}

/// No entity: 0 is the match itself.
pub(crate) const NOBODY: StableId = StableId(u32::MAX);

/// Entities of which it is kept that they vanished. Whoever was not told for so long looks through all that it was told.
const VANISHED_MAX: usize = 1_024;

/// Entries of the table of places for each entity: hardly any two share one.
const SPREAD: usize = 4;

/// The levels of knowledge.
const LEVELS: [Known; 3] =
    [Known { team: false, owner: false }, Known { team: true, owner: false }, Known { team: true, owner: true }];

/// The level of what a viewer knows: an owner knows what the team does.
pub(crate) fn level(known: Known) -> usize {
    usize::from(known.team) + usize::from(known.owner)
}

/// What may be known of entities at a tick, side by side: most of what is told is told to those who know no more.
#[derive(Debug, Default)]
struct Side {
    lanes: Vec<i32>,
    /// Each entity, and where its lanes end.
    ends: Vec<(StableId, u32)>,
}

impl Side {
    fn clear(&mut self) {
        self.lanes.clear();
        self.ends.clear();
    }

    fn lanes_of(&self, (id, hint): (StableId, usize)) -> &[i32] {
        let at = match self.ends.get(hint) {
            Some((other, _)) if *other == id => hint,
            _ => match self.ends.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(at) => at,
                Err(_) => return &[],
            },
        };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].1 as usize);
        &self.lanes[start..self.ends[at].1 as usize]
    }
}

/// Keeps what was true at the last [`HISTORY_TICKS`] ticks.
#[derive(Debug)]
pub struct History {
    pub(crate) shapes: Shapes,
    /// Oldest first.
    frames: VecDeque<Frame>,
    /// Of the same ticks: what everyone may know of each entity, and team mates of those of which they may know more.
    sides: VecDeque<[Side; 2]>,
    spans: Vec<Span>,
    before: Vec<Span>,
    /// Entities that were not there any more, with the tick and the slot that they had; oldest first.
    vanished: VecDeque<(u32, StableId, u32)>,
    /// No tick before this one is complete in `vanished`.
    vanished_from: u32,
    /// Which entity has each slot.
    slots: Vec<StableId>,
    free: Vec<u32>,
    /// Places by the low bits of ids; where two have the same, the other is searched for.
    places: Vec<u32>,
    shape: Shape,
}

impl History {
    /// For the components of `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            shapes: Shapes::new(registry),
            frames: VecDeque::with_capacity(HISTORY_TICKS),
            sides: VecDeque::with_capacity(HISTORY_TICKS),
            spans: Vec::new(),
            before: Vec::new(),
            vanished: VecDeque::with_capacity(VANISHED_MAX),
            vanished_from: 0,
            slots: Vec::new(),
            free: Vec::new(),
            places: Vec::new(),
            shape: Shape::new(),
        }
    }

    /// Begins a tick; rows follow, then [`Self::finish`]. Ticks ascend.
    pub fn begin(&mut self, tick: u32) {
        debug_assert!(self.tick().is_none_or(|last| last < tick), "ticks ascend");
        core::mem::swap(&mut self.spans, &mut self.before);
        self.spans.clear();
        let full = self.frames.len() == HISTORY_TICKS;
        let mut frame = if full { self.frames.pop_front() } else { None }.unwrap_or_default();
        frame.clear(tick);
        self.frames.push_back(frame);
        let mut sides = if full { self.sides.pop_front() } else { None }.unwrap_or_default();
        sides.iter_mut().for_each(Side::clear);
        self.sides.push_back(sides);
    }

    /// Adds a row to the tick begun last. Rows ascend by (id, component); a row of a component that is not replicated, or with
    /// another number of lanes than its component has, is left out.
    pub fn row(&mut self, id: StableId, component: ComponentId, owner: Option<u16>, team: u8, lanes: &[i32]) {
        let described = self.shapes.layout().lanes(component);
        let fits = !described.is_empty() && described.len() == lanes.len();
        let Some(frame) = self.frames.back_mut().filter(|_| fits) else { return };
        let owner = owner.map_or(u32::MAX, u32::from);
        let start = frame.heads.len();
        // Lanes beyond their range would be refused by whoever reads them.
        let lanes = lanes.iter().zip(described).map(|(value, lane)| (*value).clamp(0, lane.max as i32));
        frame.push(Head { owner, team, ..Head::new(id, component) }, lanes);
        match self.spans.last_mut().filter(|span| span.id == id) {
            Some(span) => span.end = start + 1,
            None => {
                let tick = frame.tick;
                let (shape_since, same_since) = ([tick; 3], [tick; 3]);
                let (owner_since, shapes) = (tick, [None; 3]);
                self.spans.push(Span {
                    id,
                    slot: u32::MAX,
                    start,
                    end: start + 1,
                    owner,
                    team,
                    mates_place: 0,
                    owner_since,
                    shape_since,
                    same_since,
                    shapes,
                });
            }
        }
    }

    /// The tick begun last.
    pub fn tick(&self) -> Option<u32> {
        self.frames.back().map(Frame::tick)
    }

    /// Ends the tick begun last: all rows are there. Before it no client can be told of the tick.
    pub fn finish(&mut self) {
        self.give_slots();
        let Self { shapes, frames, spans, before, shape, .. } = self;
        let frames = frames.make_contiguous();
        let (old, new) = match frames {
            [.., old, new] => (Some(&*old), &*new),
            [new] => (None, &*new),
            [] => return,
        };
        let mut before_at = 0;
        for span in spans {
            while before.get(before_at).is_some_and(|before| before.id < span.id) {
                before_at += 1;
            }
            let is = &new.heads[span.start..span.end];
            let before = before.get(before_at).filter(|before| before.id == span.id);
            if let Some((old, before)) = old.zip(before) {
                let was = &old.heads[before.start..before.end];
                let told_to = |head: &Head| (head.owner, head.team);
                if was.first().map(told_to) == is.first().map(told_to) {
                    span.owner_since = before.owner_since;
                }
                // Most are the same altogether.
                if old.same_rows(was, new, is) {
                    (span.shape_since, span.same_since) = (before.shape_since, before.same_since);
                    span.shapes = before.shapes;
                } else {
                    for (level, known) in LEVELS.into_iter().enumerate() {
                        compare(shapes.layout(), (old, was), (new, is), known, (before, span), level);
                    }
                }
            }
            for (level, known) in LEVELS.into_iter().enumerate() {
                if span.shapes[level].is_some() {
                    continue;
                }
                shape.clear();
                let told = is.iter().filter(|head| shapes.layout().tells(head.component, known));
                shape.extend(told.map(|head| (head.component, known)).take(COMPONENTS_MAX));
                span.shapes[level] = if shape.is_empty() { None } else { shapes.number(shape) };
            }
        }
        self.fill_sides();
    }

    /// What everyone and what mates may know, for all who are told of it now and as long as it is remembered.
    fn fill_sides(&mut self) {
        let Some(mut sides) = self.sides.pop_back() else { return };
        let mut spans = core::mem::take(&mut self.spans);
        let (before, tick) = (self.sides.back(), self.tick());
        for (place, span) in spans.iter_mut().enumerate() {
            span.mates_place = sides[1].ends.len() as u32;
            let (frame, heads) = new_heads(&self.frames, span);
            let levels =
                1 + usize::from(heads.iter().any(|head| self.shapes.layout().tells_mates_more(head.component)));
            for (level, side) in sides.iter_mut().enumerate().take(levels) {
                // What did not change is there already.
                let same = before.filter(|_| Some(span.same_since[level]) != tick);
                let hint = [place, span.mates_place as usize][level];
                match same.map_or(&[][..], |before| before[level].lanes_of((span.id, hint))) {
                    [] => self.collect((frame, heads), LEVELS[level], &mut side.lanes),
                    lanes => side.lanes.extend_from_slice(lanes),
                }
                side.ends.push((span.id, side.lanes.len() as u32));
            }
        }
        self.spans = spans;
        self.sides.push_back(sides);
    }

    /// Gives each entity its slot, notes who vanished, and where everyone is. Both lists are in the order of ids.
    fn give_slots(&mut self) {
        let tick = self.tick().unwrap_or(0);
        let mut spans = self.spans.iter_mut().peekable();
        for before in &self.before {
            while spans.next_if(|span| span.id < before.id).is_some() {}
            if let Some(span) = spans.next_if(|span| span.id == before.id) {
                span.slot = before.slot;
                continue;
            }
            if self.vanished.len() == VANISHED_MAX {
                self.vanished_from = self.vanished.pop_front().map_or(0, |(tick, ..)| tick + 1);
            }
            self.vanished.push_back((tick, before.id, before.slot));
            self.slots[before.slot as usize] = NOBODY;
            self.free.push(before.slot);
        }
        for span in self.spans.iter_mut().filter(|span| span.slot == u32::MAX) {
            span.slot = self.free.pop().unwrap_or_else(|| {
                self.slots.push(NOBODY);
                self.slots.len() as u32 - 1
            });
            self.slots[span.slot as usize] = span.id;
        }
        let size = (self.spans.len() * SPREAD).next_power_of_two();
        if self.places.len() < size {
            self.places.resize(size, 0);
        }
        let mask = self.places.len() - 1;
        for (place, span) in self.spans.iter().enumerate() {
            self.places[span.id.0 as usize & mask] = place as u32;
        }
    }

    /// Entities that were there at `tick` and are not now, with the slots that they had; `None` if that is too long ago.
    pub(crate) fn vanished_since(&self, tick: u32) -> Option<impl Iterator<Item = (StableId, u32)> + '_> {
        let newer = self.vanished.iter().rev().take_while(move |(at, ..)| *at > tick);
        (tick + 1 >= self.vanished_from).then(|| newer.map(|(_, id, slot)| (*id, *slot)))
    }

    /// The entity that has a slot, or none.
    pub(crate) fn at_slot(&self, slot: usize) -> StableId {
        self.slots.get(slot).copied().unwrap_or(NOBODY)
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number of entities of the tick begun last.
    pub(crate) fn count(&self) -> usize {
        self.spans.len()
    }

    /// The entity among those of the tick begun last, and its place there.
    pub(crate) fn span(&self, id: StableId) -> Option<(usize, &Span)> {
        let place = *self.places.get(id.0 as usize & self.places.len().wrapping_sub(1))? as usize;
        if let Some(span) = self.spans.get(place).filter(|span| span.id == id) {
            return Some((place, span));
        }
        let at = self.spans.binary_search_by_key(&id, |span| span.id).ok()?;
        Some((at, &self.spans[at]))
    }

    fn position(&self, tick: u32) -> Option<usize> {
        // Ticks follow each other unless a room left some out.
        let back = self.tick()?.checked_sub(tick)? as usize;
        let at = self.frames.len().checked_sub(back + 1);
        at.filter(|at| self.frames[*at].tick == tick)
            .or_else(|| self.frames.binary_search_by_key(&tick, Frame::tick).ok())
    }

    /// What `viewer` was to an entity at `tick`.
    pub(crate) fn known_at(&self, tick: u32, id: StableId, viewer: Viewer) -> Option<Known> {
        self.frames[self.position(tick)?].heads_of(id, 0).first().map(|head| viewer.knows(head))
    }

    /// The lanes of an entity at `tick` that whoever knows `known` is told, in `to` or where they are kept. Nothing if there is
    /// no such tick or entity. `place` is where the entity may be among those of the tick: hardly anything comes or goes from
    /// one tick to the next.
    pub(crate) fn told<'a>(
        &'a self,
        tick: u32,
        entity: (StableId, usize),
        known: Known,
        to: &'a mut Vec<i32>,
    ) -> &'a [i32] {
        let Some(at) = self.position(tick) else { return &[] };
        let [everyone, mates] = &self.sides[at];
        if known == LEVELS[1] {
            let hint = self.spans.get(entity.1).map_or(0, |span| span.mates_place as usize);
            let lanes = mates.lanes_of((entity.0, hint));
            if !lanes.is_empty() {
                return lanes;
            }
        }
        if known != LEVELS[2] {
            return everyone.lanes_of(entity);
        }
        to.clear();
        let (id, place) = entity;
        let frame = &self.frames[at];
        self.collect((frame, frame.heads_of(id, place)), known, to);
        to
    }

    /// Appends what whoever knows `known` is told of the components of an entity.
    fn collect(&self, (frame, heads): (&Frame, &[Head]), known: Known, to: &mut Vec<i32>) {
        let layout = self.shapes.layout();
        for head in heads.iter().filter(|head| layout.tells(head.component, known)).take(COMPONENTS_MAX) {
            let lanes = frame.lanes_of(head);
            layout.told(head.component, known).iter().for_each(|run| to.extend_from_slice(&lanes[run.clone()]));
        }
    }
}

/// The newest frame, and the heads of an entity in it.
fn new_heads<'a>(frames: &'a VecDeque<Frame>, span: &Span) -> (&'a Frame, &'a [Head]) {
    let frame = &frames[frames.len() - 1];
    (frame, &frame.heads[span.start..span.end])
}

/// Notes since when what is told of an entity at a level has its shape and is the same.
fn compare(
    layout: &Layout,
    (old, was): (&Frame, &[Head]),
    (new, is): (&Frame, &[Head]),
    known: Known,
    (before, span): (&Span, &mut Span),
    level: usize,
) {
    let tells = |head: &&Head| layout.tells(head.component, known);
    let components = |heads| Iterator::map(Iterator::filter(<[Head]>::iter(heads), tells), |head| head.component);
    if components(was).ne(components(is)) {
        return;
    }
    span.shape_since[level] = before.shape_since[level];
    span.shapes[level] = before.shapes[level];
    let differs = |(was, is): (&Head, &Head)| {
        let (was, now) = (old.lanes_of(was), new.lanes_of(is));
        layout.told(is.component, known).iter().any(|run| was[run.clone()] != now[run.clone()])
    };
    if !was.iter().filter(tells).zip(is.iter().filter(tells)).any(differs) {
        span.same_since[level] = before.same_since[level];
    }
}
