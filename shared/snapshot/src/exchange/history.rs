//! The rows of the last ticks, once for all clients.

use std::collections::VecDeque;

use arbiter_schema::{ComponentId, Registry, StableId};

use super::shape::{Shape, Shapes};
use crate::HISTORY_TICKS;
use crate::encode::Viewer;
use crate::frame::{Frame, Head};
use crate::layout::Known;

/// Keeps what was true at the last [`HISTORY_TICKS`] ticks.
#[derive(Debug)]
pub struct History {
    pub(crate) shapes: Shapes,
    /// Oldest first.
    frames: VecDeque<Frame>,
    shape: Shape,
}

impl History {
    /// For the components of `registry`.
    pub fn new(registry: &Registry) -> Self {
        let frames = VecDeque::with_capacity(HISTORY_TICKS);
        Self { shapes: Shapes::new(registry), frames, shape: Shape::new() }
    }

    /// Begins a tick; rows follow. Ticks ascend.
    pub fn begin(&mut self, tick: u32) {
        debug_assert!(self.tick().is_none_or(|last| last < tick), "ticks ascend");
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
        frame.push(Head { id, component, owner, team, known: Known::default(), lanes_at: 0, lanes_len: 0 }, lanes);
    }

    /// The tick begun last.
    pub fn tick(&self) -> Option<u32> {
        self.frames.back().map(Frame::tick)
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
            to.extend(
                lanes
                    .filter(|(lane, _)| known.knows(lane.audience))
                    .map(|(lane, value)| (*value).clamp(0, lane.max as i32)),
            );
        }
        let shape = &self.shape;
        if shape.is_empty() { None } else { self.shapes.number(shape) }
    }
}
