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
    /// Client side.
    pub state_tick: u32,
    pub lanes_at: u32,
    pub lanes_len: u16,
}

impl Head {
    /// Nobody's, without lanes yet.
    pub fn new(id: StableId, component: ComponentId) -> Self {
        let (owner, team, known) = (u32::MAX, 0, Known::default());
        Self { id, component, owner, team, known, state_tick: 0, lanes_at: 0, lanes_len: 0 }
    }

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
    /// The tick that the entity was told of last, which this is the state of: the frame's, or before it.
    pub tick: u32,
    /// One value for each lane of the component.
    pub lanes: &'a [i32],
}

/// The replicated state of one tick.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    pub(crate) tick: u32,
    pub(crate) heads: Vec<Head>,
    pub(crate) lanes: Vec<i32>,
    /// Each entity, and where its heads begin.
    starts: Vec<(StableId, u32)>,
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
        self.heads_of(id, 0).iter().map(|head| self.row(head))
    }

    /// The heads of one entity, which may be the `hint`th.
    pub(crate) fn heads_of(&self, id: StableId, hint: usize) -> &[Head] {
        let at = match self.starts.get(hint) {
            Some((other, _)) if *other == id => hint,
            _ => match self.starts.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(at) => at,
                Err(_) => return &[],
            },
        };
        let start = self.starts[at].1 as usize;
        let end = self.starts.get(at + 1).map_or(self.heads.len(), |(_, start)| *start as usize);
        &self.heads[start..end]
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

    /// Whether rows that follow each other say the same as those of another frame.
    pub(crate) fn same_rows(&self, heads: &[Head], other: &Self, others: &[Head]) -> bool {
        fn lanes<'a>(frame: &'a Frame, heads: &[Head]) -> &'a [i32] {
            let (start, end) = heads.first().zip(heads.last()).map_or((0, 0), |(first, last)| {
                (first.lanes_at as usize, last.lanes_at as usize + usize::from(last.lanes_len))
            });
            &frame.lanes[start..end]
        }
        // Of one component all rows have as many lanes.
        let components = |heads| Iterator::map(<[Head]>::iter(heads), |head| head.component);
        components(heads).eq(components(others)) && lanes(self, heads) == lanes(other, others)
    }

    fn row(&self, head: &Head) -> FrameRow<'_> {
        FrameRow {
            id: head.id,
            component: head.component,
            known: head.known,
            tick: head.state_tick,
            lanes: self.lanes_of(head),
        }
    }

    pub(crate) fn clear(&mut self, tick: u32) {
        self.tick = tick;
        self.heads.clear();
        self.lanes.clear();
        self.starts.clear();
    }

    pub(crate) fn push(&mut self, mut head: Head, lanes: impl Iterator<Item = i32>) {
        if self.starts.last().is_none_or(|(id, _)| *id != head.id) {
            self.starts.push((head.id, self.heads.len() as u32));
        }
        head.lanes_at = self.lanes.len() as u32;
        self.lanes.extend(lanes);
        head.lanes_len = (self.lanes.len() as u32 - head.lanes_at) as u16;
        self.heads.push(head);
    }
}
