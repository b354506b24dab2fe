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
    /// As `Axes`, of what nothing pushes for most of the time.
    Drift,
    /// As `Turn`, of the same.
    Spin,
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
        self.at..self.at + [3, 4, 1, 1, 3, 4][self.kind as usize]
    }
}

/// The groups of all that is told of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order of their lanes.
    pub groups: Vec<Group>,
    /// Number of lanes.
    pub lanes: usize,
    /// First lane of the first vector that goes on or drifts: where the entity is.
    pub place: Option<usize>,
    /// Number of that group.
    pub place_group: Option<usize>,
    /// Numbers of the first group that drifts, and of the first that spins.
    pub free: [Option<usize>; 2],
    /// Numbers of rotations.
    pub turns: Vec<usize>,
    /// Numbers of those that spin.
    pub spins: Vec<usize>,
    /// Groups of several lanes, the last first.
    pub wide: Vec<Group>,
}

/// Largest lane of a group that spins: no more tell its components apart in the fixed point that it is guessed in.
const SPIN_MAX: u32 = 65_535;

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
                    Predictor::Drift if run.is_multiple_of(3) => Kind::Drift,
                    Predictor::Spin if run.is_multiple_of(4) && lanes[at + 3].max <= SPIN_MAX => Kind::Spin,
                    Predictor::Linear | Predictor::Drift => Kind::Linear,
                    Predictor::Hold | Predictor::Rotation | Predictor::Spin => Kind::Hold,
                };
                let mut group = Group { kind, at: start + at, max: 0 };
                at = group.lanes().end - start;
                group.max = i64::from(lanes[at - 1].max.min(i32::MAX as u32));
                groups.push(group);
            }
            start += lanes.len();
        }
        let place_group = groups.iter().position(|group| matches!(group.kind, Kind::Axes | Kind::Drift));
        let numbers = |kind| groups.iter().enumerate().filter(move |(_, group)| group.kind == kind).map(|(at, _)| at);
        let free = [Kind::Drift, Kind::Spin].map(|kind| numbers(kind).next());
        let [turns, spins] = [Kind::Turn, Kind::Spin].map(|kind| numbers(kind).collect());
        let wide = groups.iter().rev().filter(|group| group.lanes().len() > 1).copied().collect();
        let place = place_group.map(|number| groups[number].at);
        Self { groups, lanes: start, place, place_group, free, turns, spins, wide }
    }

    /// The lanes of groups that follow each other.
    pub fn lanes_of(&self, numbers: core::ops::Range<usize>) -> core::ops::Range<usize> {
        let start = |number: usize| self.groups.get(number).map_or(self.lanes, |group| group.at);
        start(numbers.start)..start(numbers.end)
    }

    /// Whether anything of it is guessed by more than three states.
    pub fn has_trail(&self) -> bool {
        self.free.iter().any(Option::is_some)
    }
}
