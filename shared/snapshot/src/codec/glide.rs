//! The lanes of a place that drifts and of a rotation that spins, told at once: which of them the guess rounds the wrong way.
//!
//! A guess that is off by a tenth of a step is told wrong only where it lies by the border of two steps. So lanes are taken by
//! how near to it they are, and one symbol says which of the nearest are on the other side: mostly none.

use super::Damaged;
use super::drift::{FINE, Sight};
use super::plan::{Group, Kind};

/// Lanes that may be told to be on the other side.
const FLIPS: usize = 5;

/// What the symbol tells beside a pattern of flips: lane by lane, or that more than these lanes is not as expected.
pub const OFF: u32 = 1 << FLIPS;
/// See [`OFF`].
pub const ODD: u32 = OFF + 1;

/// Symbols of the model.
pub const SYMBOLS: u32 = ODD + 1;

/// Spreads that are looked at; beyond it no border is far off.
const APART_MAX: i64 = 1 << 10;

/// A lane between two steps.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    lane: usize,
    near: i64,
    other: i64,
    /// How far the border is, in 32nds of what the guess may be off.
    apart: i32,
}

/// The step that a fine guess is nearest to, within its range.
pub fn nearest(fine: i64, max: i64) -> i64 {
    (fine + FINE / 2).div_euclid(FINE).clamp(0, max)
}

/// The first lane of a group that tells a number.
pub fn first_lane(group: &Group) -> usize {
    group.at + usize::from(group.kind == Kind::Spin)
}

/// The lanes of an entity that are told at once.
#[derive(Debug)]
pub struct Glide {
    /// Nearest to a border first.
    sides: [Side; 6],
    count: usize,
    features: [i32; 15],
}

impl Glide {
    /// Of the groups that are guessed so; how old the newest state is; how far the nearest neighbour is that was told, and by how
    /// much it missed its guess in place and in rotation.
    pub fn new(free: [Option<(Group, Sight)>; 2], age: i64, near: [i32; 3]) -> Self {
        let (mut sides, mut count) = ([Side::default(); 6], 0);
        let mut lines = [0; 6];
        for (at, (group, sight)) in free.iter().enumerate().filter_map(|(at, free)| Some((at, free.as_ref()?))) {
            let line = &sight.line;
            lines[3 * at..][..3].copy_from_slice(&[line.spread, line.states, line.off]);
            for (number, fine) in sight.fine.iter().enumerate() {
                let near = nearest(*fine, group.max);
                let beside = fine - near * FINE;
                let apart = (FINE / 2 - beside.abs()).max(0) * 32 / i64::from(line.spread.max(1));
                let other = if beside < 0 { near - 1 } else { near + 1 };
                let apart = apart.min(APART_MAX) as i32;
                sides[count] = Side { lane: first_lane(group) + number, near, other, apart };
                count += 1;
            }
        }
        sides[..count].sort_by_key(|side| side.apart);
        let apart = |at: usize| if at < count { sides[at].apart } else { APART_MAX as i32 };
        let mut features = [0; 15];
        (0..FLIPS).for_each(|at| features[at] = apart(at));
        features[FLIPS..][..6].copy_from_slice(&lines);
        features[FLIPS + 6] = age as i32;
        features[FLIPS + 7..].copy_from_slice(&near);
        Self { sides, count, features }
    }

    /// What both ends know before the symbol.
    pub fn features(&self) -> &[i32] {
        &self.features
    }

    /// The symbol of lanes; none if they cannot be told so.
    pub fn pattern(&self, now: &[i32]) -> Option<u32> {
        let mut pattern = 0;
        for (at, side) in self.sides[..self.count].iter().enumerate() {
            let is = i64::from(now[side.lane]);
            if is == side.other && at < FLIPS {
                pattern |= 1 << at;
            } else if is != side.near {
                return None;
            }
        }
        Some(pattern)
    }

    /// Puts the lanes of a symbol. Whether they are in range is for [`super::entity`] to say.
    pub fn put(&self, pattern: u32, now: &mut [i32]) -> Result<(), Damaged> {
        if pattern >> self.count.min(FLIPS) != 0 {
            return Err(Damaged);
        }
        for (at, side) in self.sides[..self.count].iter().enumerate() {
            let value = if pattern >> at & 1 == 0 { side.near } else { side.other };
            now[side.lane] = i32::try_from(value).map_err(|_| Damaged)?;
        }
        Ok(())
    }
}
