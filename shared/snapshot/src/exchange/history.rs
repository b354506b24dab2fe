//! The rows of the last ticks, once for all clients, and when each entity changed last.

use std::collections::VecDeque;

use arbiter_schema::{ComponentId, Registry, StableId};

use super::shape::{Shape, Shapes};
use crate::HISTORY_TICKS;
use crate::encode::Viewer;
use crate::frame::{Frame, Head};
use crate::layout::Known;

/// One entity at the tick begun last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub id: StableId,
    start: usize,
    end: usize,
    /// Since this tick it has this owner and team.
    pub owner_since: u32,
    /// By level of knowledge (everyone's, the team's, the owner's): since this tick it is told in one shape.
    pub shape_since: [u32; 3],
    /// By level: since this tick nothing that is told of it has changed. By level, because what a client may not know must
    /// not even decide when it is told something.
    pub same_since: [u32; 3],
}

/// The levels of knowledge.
const LEVELS: [Known; 3] =
    [Known { team: false, owner: false }, Known { team: true, owner: false }, Known { team: true, owner: true }];

/// The level of what a viewer knows: an owner knows what the team does.
pub(crate) fn level(known: Known) -> usize {
    usize::from(known.team) + usize::from(known.owner)
}

/// Keeps what was true at the last [`HISTORY_TICKS`] ticks.
#[derive(Debug)]
pub struct History {
    pub(crate) shapes: Shapes,
    /// Oldest first.
    frames: VecDeque<Frame>,
    spans: Vec<Span>,
    before: Vec<Span>,
    /// How many of the spans have been compared with the tick before, and where that one stands.
    compared: usize,
    before_at: usize,
    shape: Shape,
}

impl History {
    /// For the components of `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            shapes: Shapes::new(registry),
            frames: VecDeque::with_capacity(HISTORY_TICKS),
            spans: Vec::new(),
            before: Vec::new(),
            compared: 0,
            before_at: 0,
            shape: Shape::new(),
        }
    }

    /// Begins a tick; rows follow. Ticks ascend.
    pub fn begin(&mut self, tick: u32) {
        debug_assert!(self.tick().is_none_or(|last| last < tick), "ticks ascend");
        self.settle();
        core::mem::swap(&mut self.spans, &mut self.before);
        self.spans.clear();
        (self.compared, self.before_at) = (0, 0);
        let full = self.frames.len() == HISTORY_TICKS;
        let mut frame = if full { self.frames.pop_front() } else { None }.unwrap_or_default();
        frame.clear(tick);
        self.frames.push_back(frame);
    }

    /// Adds a row to the tick begun last. Rows ascend by (id, component); a row of a component that is not replicated, or with
    /// another number of lanes than its component has, is left out.
    pub fn row(&mut self, id: StableId, component: ComponentId, owner: Option<u16>, team: u8, lanes: &[i32]) {
        let described = self.shapes.layout().lanes(component);
        let fits = !described.is_empty() && described.len() == lanes.len();
        let Some(frame) = self.frames.back_mut().filter(|_| fits) else { return };
        let owner = owner.map_or(u32::MAX, u32::from);
        let start = frame.heads.len();
        frame.push(Head { id, component, owner, team, known: Known::default(), lanes_at: 0, lanes_len: 0 }, lanes);
        match self.spans.last_mut().filter(|span| span.id == id) {
            Some(span) => span.end = start + 1,
            None => {
                let tick = frame.tick;
                let (shape_since, same_since) = ([tick; 3], [tick; 3]);
                self.spans.push(Span { id, start, end: start + 1, owner_since: tick, shape_since, same_since });
            }
        }
    }

    /// The tick begun last.
    pub fn tick(&self) -> Option<u32> {
        self.frames.back().map(Frame::tick)
    }

    /// Compares the entities of this tick with the tick before: once, when all rows are there.
    pub(crate) fn settle(&mut self) {
        let [.., old, new] = self.frames.make_contiguous() else { return };
        for span in &mut self.spans[self.compared..] {
            while self.before.get(self.before_at).is_some_and(|before| before.id < span.id) {
                self.before_at += 1;
            }
            let Some(before) = self.before.get(self.before_at).filter(|before| before.id == span.id) else { continue };
            let (was, is) = (&old.heads[before.start..before.end], &new.heads[span.start..span.end]);
            let told_to = |head: &Head| (head.owner, head.team);
            if was.first().map(told_to) == is.first().map(told_to) {
                span.owner_since = before.owner_since;
            }
            for (level, known) in LEVELS.into_iter().enumerate() {
                let layout = self.shapes.layout();
                let tells = |head: &&Head| layout.tells(head.component, known);
                let components =
                    |heads| Iterator::map(Iterator::filter(<[Head]>::iter(heads), tells), |head| head.component);
                if components(was).ne(components(is)) {
                    continue;
                }
                span.shape_since[level] = before.shape_since[level];
                let differs = |(was, is): (&Head, &Head)| {
                    let lanes = old.lanes_of(was).iter().zip(new.lanes_of(is)).zip(layout.lanes(is.component));
                    let mut lanes = lanes.filter(|((was, is), _)| was != is);
                    lanes.any(|(_, lane)| known.knows(lane.audience))
                };
                if !was.iter().filter(tells).zip(is.iter().filter(tells)).any(differs) {
                    span.same_since[level] = before.same_since[level];
                }
            }
        }
        self.compared = self.spans.len();
    }

    /// The number of entities of the tick begun last.
    pub(crate) fn count(&self) -> usize {
        self.spans.len()
    }

    /// The entity among those of the tick begun last, and its place there. `hint` is where it may be.
    pub(crate) fn span(&self, id: StableId, hint: usize) -> Option<(usize, Span)> {
        if let Some(span) = self.spans.get(hint).filter(|span| span.id == id) {
            return Some((hint, *span));
        }
        let at = self.spans.binary_search_by_key(&id, |span| span.id).ok()?;
        Some((at, self.spans[at]))
    }

    /// What `viewer` is to an entity of now, by its first row's owner and team. Rows of one entity have one owner and team.
    pub(crate) fn known(&self, span: &Span, viewer: Viewer) -> Known {
        let head = self.frames.back().and_then(|frame| frame.heads.get(span.start));
        head.map_or_else(Known::default, |head| viewer.knows(head))
    }

    /// What `viewer` was to an entity at `tick`.
    pub(crate) fn known_at(&self, tick: u32, id: StableId, viewer: Viewer) -> Option<Known> {
        let at = self.frames.binary_search_by_key(&tick, Frame::tick).ok()?;
        let heads = &self.frames[at].heads;
        let head = heads.get(heads.partition_point(|head| head.id < id))?;
        (head.id == id).then(|| viewer.knows(head))
    }

    /// What `viewer` may know of an entity at `tick`: its shape's number, and the lanes appended to `to`. `None` if there is
    /// no such tick or entity, or nothing of it may be known.
    pub(crate) fn told(&mut self, tick: u32, id: StableId, viewer: Viewer, to: &mut Vec<i32>) -> Option<u32> {
        let at = self.frames.binary_search_by_key(&tick, Frame::tick).ok()?;
        let frame = &self.frames[at];
        let start = frame.heads.partition_point(|head| head.id < id);
        self.shape.clear();
        for head in frame.heads[start..].iter().take_while(|head| head.id == id) {
            let known = viewer.knows(head);
            if !self.shapes.layout().tells(head.component, known) || Shapes::full(&self.shape) {
                continue;
            }
            self.shape.push((head.component, known));
            let lanes = self.shapes.layout().lanes(head.component).iter().zip(frame.lanes_of(head));
            // Lanes beyond their range would be refused by whoever reads them.
            let told = lanes.filter(|(lane, _)| known.knows(lane.audience));
            to.extend(told.map(|(lane, value)| (*value).clamp(0, lane.max as i32)));
        }
        let shape = &self.shape;
        if shape.is_empty() { None } else { self.shapes.number(shape) }
    }
}
