//! Which lanes belong together: read once from the description of a component.

use arbiter_schema::{LaneDesc, Predictor};

/// What a group of lanes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Three lanes of a vector that goes on as it did; the second axis is up.
    Axes,
    /// Four lanes: which component of a unit quaternion (x, y, z, w) is left out, and the other three.
    Turn,
    /// One lane that goes on as it did.
    Linear,
    /// One lane that stays as it was.
    Hold,
}

/// A group of lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// What it is.
    pub kind: Kind,
    /// Its first lane.
    pub at: usize,
    /// Largest value of its last lane.
    pub max: i64,
}

impl Group {
    /// Its lanes.
    #[inline]
    pub fn lanes(&self) -> core::ops::Range<usize> {
        self.at..self.at + [3, 4, 1, 1][self.kind as usize]
    }
}

/// The groups of all that is told of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order of their lanes.
    pub groups: Vec<Group>,
    /// Number of lanes.
    pub lanes: usize,
    /// First lane of the first vector: where the entity is.
    pub place: Option<usize>,
}

impl Plan {
    /// From the lanes of one component.
    pub fn new(lanes: &[LaneDesc]) -> Self {
        Self::of([lanes.iter()])
    }

    /// From the lanes that are told of each component, one component after the other. Three lanes of one field that follow
    /// each other and go on as they did are a vector; four of a rotation are one. Any others stand for themselves.
    pub fn of<'a, L: Iterator<Item = &'a LaneDesc>>(components: impl IntoIterator<Item = L>) -> Self {
        let (mut groups, mut start) = (Vec::new(), 0);
        for lanes in components {
            let lanes: Vec<&LaneDesc> = lanes.collect();
            let mut at = 0;
            while let Some(lane) = lanes.get(at) {
                let run = lanes[at..].iter().take_while(|other| other.field == lane.field).count();
                let kind = match lane.predictor {
                    Predictor::Linear if run.is_multiple_of(3) => Kind::Axes,
                    Predictor::Rotation if run.is_multiple_of(4) => Kind::Turn,
                    Predictor::Linear => Kind::Linear,
                    Predictor::Hold | Predictor::Rotation => Kind::Hold,
                };
                let mut group = Group { kind, at: start + at, max: 0 };
                at = group.lanes().end - start;
                group.max = i64::from(lanes[at - 1].max.min(i32::MAX as u32));
                groups.push(group);
            }
            start += lanes.len();
        }
        let place = groups.iter().find(|group| group.kind == Kind::Axes).map(|group| group.at);
        Self { groups, lanes: start, place }
    }
    /// The group that says where the entity is.
    pub fn place_group(&self) -> Option<usize> {
        self.groups.iter().position(|group| self.place == Some(group.at) && group.kind == Kind::Axes)
    }
}
