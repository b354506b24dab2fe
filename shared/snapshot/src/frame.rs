//! The replicated state of one tick as rows of lanes, ordered by stable id and component.

use arbiter_schema::{ComponentId, StableId};

use crate::layout::Known;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Head {
    pub id: StableId,
    pub component: ComponentId,
    /// Server side; `u32::MAX` for nobody.
    pub owner: u32,
    /// Server side; 0 for none.
    pub team: u8,
    /// Client side.
    pub known: Known,
    pub lanes_at: u32,
    pub lanes_len: u16,
}

impl Head {
    pub fn key(&self) -> (StableId, ComponentId) {
        (self.id, self.component)
    }
}

/// One component of one entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameRow<'a> {
    /// The entity.
    pub id: StableId,
    /// The component.
    pub component: ComponentId,
    /// What the client knows of it; lanes that it does not know are 0.
    pub known: Known,
    /// One value for each lane of the component.
    pub lanes: &'a [i32],
}

/// The replicated state of one tick.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    pub(crate) tick: u32,
    pub(crate) heads: Vec<Head>,
    pub(crate) lanes: Vec<i32>,
}

impl Frame {
    /// The tick.
    pub fn tick(&self) -> u32 {
        self.tick
    }

    /// All rows, ordered by (id, component).
    pub fn rows(&self) -> impl Iterator<Item = FrameRow<'_>> {
        self.heads.iter().map(|head| self.row(head))
    }

    /// The rows of one entity; none if it is not known.
    pub fn entity(&self, id: StableId) -> impl Iterator<Item = FrameRow<'_>> {
        let start = self.heads.partition_point(|head| head.id < id);
        self.heads[start..].iter().take_while(move |head| head.id == id).map(|head| self.row(head))
    }

    /// The lanes of one component of one entity.
    pub fn lanes(&self, id: StableId, component: ComponentId) -> Option<&[i32]> {
        let at = self.heads.binary_search_by_key(&(id, component), Head::key).ok()?;
        Some(self.lanes_of(&self.heads[at]))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(crate) fn lanes_of(&self, head: &Head) -> &[i32] {
        let start = head.lanes_at as usize;
        &self.lanes[start..start + usize::from(head.lanes_len)]
    }

    fn row(&self, head: &Head) -> FrameRow<'_> {
        FrameRow { id: head.id, component: head.component, known: head.known, lanes: self.lanes_of(head) }
    }

    pub(crate) fn clear(&mut self, tick: u32) {
        self.tick = tick;
        self.heads.clear();
        self.lanes.clear();
    }

    pub(crate) fn push(&mut self, mut head: Head, lanes: &[i32]) {
        head.lanes_at = self.lanes.len() as u32;
        head.lanes_len = lanes.len() as u16;
        self.heads.push(head);
        self.lanes.extend_from_slice(lanes);
    }
}
