//! Entity by entity: each is told against what that client provably holds of that very entity, so that no lost datagram
//! stops the others.
//!
//! The server keeps the rows of the last ticks once in a [`History`], the encodings of the current tick in a [`Cache`], and
//! for each client a [`Peer`]: what it holds, what is under way. A [`Receiver`] applies each part by itself.
//!
//! Laws: a part is read against states that were acknowledged, and nothing else; an entity that comes into sight, or leaves
//! it, is told again until that is acknowledged; a client that holds nothing of use is told entities in full, as many as its
//! budget carries.
//!
//! `docs/protocol.md` describes parts, and what a client keeps.
//!
//! Next: [`Peer`], then [`Receiver`].

mod acked;
mod cache;
mod history;
mod part;
mod peer;
mod receive;
mod shape;
mod small;

use crate::bits::{Get, OutOfBits, Put};
use crate::codec::drift::TRAIL;
use crate::codec::numbers::{STEPS, first_step, step_class};

pub use cache::Cache;
pub use history::History;
pub use peer::{Peer, PeerParts, Wish};
pub use receive::{Receiver, SnapshotError, State};
pub use shape::{Shape, Shapes};

/// Ticks that a state may be old to be told against; an entity that does not change is told again before it is that old.
pub const AGE_MAX: u32 = 64;

/// Ticks after which an entity is told again although it did not change: twice within [`AGE_MAX`], so that one loss is
/// survived.
pub const REFRESH_TICKS: u32 = 24;

/// Ticks behind its newest state that a client keeps of an entity: [`AGE_MAX`], and what reordering takes.
pub const KEEP_TICKS: u32 = 96;

/// Entities that a client keeps.
pub const ENTITIES_MAX: usize = 16_384;

/// The tick in front of a part. Its low 8 bits say it where the client surely has a part of the last [`AGE_MAX`] ticks, its
/// low 16 bits otherwise; a bit says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TickForm {
    /// Placed by what was kept.
    Near,
    /// Placed by what is known of the match.
    Far,
}

/// How far behind the newest tick that was kept a part of the near form may be: the rest of its 256 ticks are those ahead.
const NEAR_BEHIND: u32 = 255 - AGE_MAX;

impl TickForm {
    /// Bits of the longest.
    pub(crate) const BITS_MAX: usize = Self::Far.bits();

    pub(crate) const fn bits(self) -> usize {
        match self {
            Self::Near => 9,
            Self::Far => 17,
        }
    }

    /// That of a part of `tick` for whoever kept a part of `kept`.
    pub(crate) fn of(tick: u32, kept: Option<u32>) -> Self {
        if kept.is_some_and(|kept| tick.abs_diff(kept) <= AGE_MAX) { Self::Near } else { Self::Far }
    }

    pub(crate) fn write(self, to: &mut impl Put, tick: u32) {
        to.flag(self == Self::Far);
        let bits = self.bits() as u32 - 1;
        to.put(tick & ((1 << bits) - 1), bits);
    }

    /// The form and the tick, for whoever kept a part of `kept` last and knows that `newest` is about now. Without anything
    /// that was kept, a tick of the near form is a guess.
    pub(crate) fn read(from: &mut impl Get, kept: Option<u32>, newest: u32) -> Result<(Self, u32), OutOfBits> {
        if from.flag()? {
            let low = from.get(16)?;
            // The one of its ticks that is nearest to the newest.
            let ahead = (low as u16).wrapping_sub(newest as u16) as i16;
            return Ok((Self::Far, newest.checked_add_signed(i32::from(ahead)).unwrap_or(low)));
        }
        let low = from.get(8)?;
        let first = kept.unwrap_or(newest).saturating_sub(NEAR_BEHIND);
        let ahead = low.wrapping_sub(first) & 0xFF;
        Ok((Self::Near, first.saturating_add(ahead)))
    }
}

/// The form of the parts for one client, which it is told when it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Prefix codes, shared by all clients that hold the same.
    #[default]
    Shared,
    /// A range coder over each part, which sees what was told of neighbours and of what the client drives: fewer bytes, and all of the
    /// work for each client. For servers with few players.
    Small,
}

/// How an entity is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Against the bases of the part.
    Usual,
    /// Against bases of its own, which follow.
    Own,
    /// In full.
    Full,
    /// Out of sight.
    Gone,
}

impl From<u32> for How {
    fn from(number: u32) -> Self {
        [Self::Usual, Self::Own, Self::Full, Self::Gone][number.min(3) as usize]
    }
}

impl How {
    pub(crate) const fn bits(self) -> usize {
        [1, 2, 3, 3][self as usize]
    }

    pub(crate) fn write(self, to: &mut impl Put) {
        let ones = self as usize;
        (0..ones).for_each(|_| to.flag(true));
        if ones < 3 {
            to.flag(false);
        }
    }

    pub(crate) fn read(from: &mut impl Get) -> Result<Self, OutOfBits> {
        for how in [Self::Usual, Self::Own, Self::Full] {
            if !from.flag()? {
                return Ok(how);
            }
        }
        Ok(Self::Gone)
    }
}

/// Bits of a step: its class as so many ones and a zero, which the last one does without.
pub(crate) fn step_bits(step: u32) -> usize {
    let (class, _) = step_class(step);
    class + usize::from(class + 1 < STEPS.len()) + STEPS[class] as usize
}

pub(crate) fn put_step(to: &mut impl Put, step: u32) {
    let (class, first) = step_class(step);
    (0..class).for_each(|_| to.flag(true));
    if class + 1 < STEPS.len() {
        to.flag(false);
    }
    to.put(step - first, STEPS[class]);
}

pub(crate) fn get_step(from: &mut impl Get) -> Result<u32, OutOfBits> {
    let mut class = 0;
    while class + 1 < STEPS.len() && from.flag()? {
        class += 1;
    }
    Ok(first_step(class) + from.get(STEPS[class])?)
}

/// Whether an entity takes no head but a bit: it is the next one by id, told against the bases of the part.
pub(crate) fn follows(step: u32, how: How) -> bool {
    step == 0 && how == How::Usual
}

/// The three ticks that an entity is told against: age of the newest from 1 to [`AGE_MAX`], then gaps from it to the others,
/// below [`AGE_MAX`]. Where a component of the game drifts or spins, also which ticks of the trail behind the newest are looked
/// at, lowest bit first; otherwise none are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub(crate) struct Bases(pub [u8; 3], pub Option<u16>);

/// All of a trail.
const TRAIL_FULL: u16 = u16::MAX;
const _: () = assert!(TRAIL.len() == u16::BITS as usize, "a bit for each tick of the trail");

/// Bits of an age or a gap.
const GAP_BITS: u32 = AGE_MAX.ilog2();

impl Bases {
    /// The ticks, newest first; `None` if they lie before the match.
    pub(crate) fn ticks(self, tick: u32) -> Option<[u32; 3]> {
        let [age, near, far] = self.0.map(u32::from);
        let newest = tick.checked_sub(age).filter(|_| age > 0)?;
        Some([newest, newest.checked_sub(near)?, newest.checked_sub(far)?])
    }

    /// What a client has that lost nothing: the tick before, and one as much older as the newest is old.
    fn is_plain(self) -> bool {
        let [age, near, far] = self.0;
        near == 1 && far == age
    }

    /// How many bits it takes.
    pub(crate) fn bits(self) -> usize {
        let gap = GAP_BITS as usize;
        let trail = self.1.map_or(0, |trail| 1 + if trail == TRAIL_FULL { 0 } else { TRAIL.len() });
        gap + 1 + if self.is_plain() { 0 } else { 2 * gap } + trail
    }

    pub(crate) fn write(self, to: &mut impl Put) {
        let [age, near, far] = self.0.map(u32::from);
        to.put(age - 1, GAP_BITS);
        to.flag(self.is_plain());
        if !self.is_plain() {
            to.put(near, GAP_BITS);
            to.put(far, GAP_BITS);
        }
        if let Some(trail) = self.1 {
            to.flag(trail == TRAIL_FULL);
            if trail != TRAIL_FULL {
                to.put(u32::from(trail), u16::BITS);
            }
        }
    }

    pub(crate) fn read(from: &mut impl Get, has_trail: bool) -> Result<Self, OutOfBits> {
        let age = from.get(GAP_BITS)? as u8 + 1;
        let gaps =
            if from.flag()? { [age, 1, age] } else { [age, from.get(GAP_BITS)? as u8, from.get(GAP_BITS)? as u8] };
        let trail = match has_trail {
            false => None,
            true if from.flag()? => Some(TRAIL_FULL),
            true => Some(from.get(u16::BITS)? as u16),
        };
        Ok(Self(gaps, trail))
    }

    /// The gaps of the trail, with their places in it.
    pub(crate) fn trail(self) -> impl Iterator<Item = (usize, u8)> {
        let trail = self.1.unwrap_or(0);
        TRAIL.into_iter().enumerate().filter(move |(bit, _)| trail >> bit & 1 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{BitReader, BitWriter};

    #[test]
    fn a_near_tick_is_read_wherever_the_client_may_be() {
        for tick in [0, 1, 63, 64, 65, 191, 192, 255, 256, 300, 65_530, 70_000, u32::MAX] {
            for kept in tick.saturating_sub(AGE_MAX)..=tick.saturating_add(AGE_MAX) {
                assert_eq!(TickForm::of(tick, Some(kept)), TickForm::Near);
                let (mut out, mut bytes) = (BitWriter::default(), Vec::new());
                TickForm::Near.write(&mut out, tick);
                out.finish_into(&mut bytes);
                // What the client kept is what the server knows of, or newer by what has overtaken this part.
                for newest in kept..=kept.max(tick.saturating_add(NEAR_BEHIND)) {
                    let read = TickForm::read(&mut BitReader::new(&bytes), Some(newest), 0);
                    assert_eq!(read, Ok((TickForm::Near, tick)), "kept {newest}");
                }
            }
        }
        assert_eq!(TickForm::of(65, Some(0)), TickForm::Far);
        assert_eq!(TickForm::of(65, None), TickForm::Far);
    }
}
