//! Which ticks of an entity a client provably holds, and which of them the next one is told against.

use arbiter_schema::StableId;

use super::{AGE_MAX, Bases};
use crate::codec::drift::TRAIL;

/// Ticks that were acknowledged: the newest, and which of the 64 before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acked {
    /// [`NEVER`] if none was.
    newest: u32,
    before: [u32; 2],
}

/// Which ticks of an entity are bases: one of so many. Clients that are told an entity at those ticks alone share them with
/// clients that are told it at all ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// One less than a power of 2.
    mask: u32,
    phase: u32,
    /// Whether entities have them by turns, since they are told by turns.
    by_turns: bool,
}

/// Bases that were found, by what they follow from: neighbours mostly come and are lost together.
#[derive(Debug)]
pub(crate) struct Found {
    tick: u32,
    entries: [(Acked, u32, Ladder, Option<Bases>); FOUND],
}

/// A power of 2: more than a client's entities mostly differ in.
const FOUND: usize = 16;

impl Default for Found {
    fn default() -> Self {
        Self { tick: NEVER, entries: [(Acked::NONE, 0, Ladder::EVERY, None); FOUND] }
    }
}

impl Found {
    /// As [`Acked::bases`].
    #[inline]
    pub(crate) fn bases(&mut self, acked: Acked, tick: u32, since: u32, ladder: Ladder) -> Option<Bases> {
        if self.tick != tick {
            *self = Self { tick, ..Self::default() };
        }
        let since = since.max(tick.saturating_sub(AGE_MAX));
        let mixed = (acked.newest ^ acked.before[0].rotate_left(7) ^ acked.before[1] ^ since ^ ladder.phase)
            .wrapping_mul(0x9E37_79B1);
        let entry = &mut self.entries[mixed as usize >> 28 & (FOUND - 1)];
        if (entry.0, entry.1, entry.2) != (acked, since, ladder) {
            *entry = (acked, since, ladder, acked.bases(tick, since, ladder));
        }
        entry.3
    }
}

impl Ladder {
    /// Every tick.
    const EVERY: Self = Self { mask: 0, phase: 0, by_turns: false };

    /// One of `steps` ticks, a power of 2: those that are multiples of it with the number of who has them by `turns`.
    pub(crate) fn new(steps: u32, turns: Option<StableId>) -> Self {
        let mask = steps - 1;
        Self { mask, phase: turns.map_or(0, |id| id.0 & mask), by_turns: turns.is_some() }
    }

    fn has(self, tick: u32) -> bool {
        tick.wrapping_add(self.phase) & self.mask == 0
    }
}

/// Ticks from which on a base of a ladder by turns stands alone: what moved on for so long is hardly guessed better from older
/// ones, and clients that are told an entity at different rates still share the newest base, but not those before it.
const ALONE_AGE: u32 = 12;

/// No tick: a match ends long before it.
pub(crate) const NEVER: u32 = u32::MAX;

impl Acked {
    /// No tick at all.
    pub(crate) const NONE: Self = Self { newest: NEVER, before: [0; 2] };

    fn newest(self) -> Option<u32> {
        (self.newest != NEVER).then_some(self.newest)
    }

    /// Bit i is the tick i + 1 before the newest. Two halves, so that whoever keeps many needs no more than they take.
    fn before(self) -> u64 {
        u64::from(self.before[0]) | u64::from(self.before[1]) << 32
    }

    /// Notes that `tick` was acknowledged.
    pub(crate) fn insert(&mut self, tick: u32) {
        let mut before = self.before();
        match self.newest() {
            None => self.newest = tick,
            Some(newest) if tick > newest => {
                let step = tick - newest;
                before = before.checked_shl(step).unwrap_or(0) | 1_u64.checked_shl(step - 1).unwrap_or(0);
                self.newest = tick;
            }
            Some(newest) if tick < newest => before |= 1_u64.checked_shl(newest - tick - 1).unwrap_or(0),
            Some(_) => {}
        }
        self.before = [before as u32, (before >> 32) as u32];
    }

    /// Acknowledged ticks of the ladder from `since` to `until`, newest first.
    fn ticks(self, since: u32, until: u32, ladder: Ladder) -> impl Iterator<Item = u32> {
        let newest = self.newest().unwrap_or(0);
        let mut left = self.before();
        let before = core::iter::from_fn(move || {
            let at = (left != 0).then(|| left.trailing_zeros())?;
            left &= left - 1;
            Some(newest - 1 - at)
        });
        let all = self.newest().into_iter().chain(before);
        all.take_while(move |tick| *tick >= since).filter(move |tick| *tick <= until && ladder.has(*tick))
    }

    /// What to tell `tick` against, of ticks from `since` on: the newest, as little older as there is, and about as much older
    /// as the newest is old.
    pub(crate) fn bases(self, tick: u32, since: u32, ladder: Ladder) -> Option<Bases> {
        let since = since.max(tick.saturating_sub(AGE_MAX));
        let freshest = self.newest().filter(|newest| *newest < tick && *newest >= since)?;
        let rung = self.ticks(since, freshest, ladder).next().filter(|rung| freshest - rung <= ladder.mask);
        let (newest, ladder) = rung.map_or((freshest, Ladder::EVERY), |rung| (rung, ladder));
        let age = tick - newest;
        if ladder.by_turns && age >= ALONE_AGE {
            return Some(Bases([age as u8, 0, 0], None));
        }
        let mut older = self.ticks(since, newest.saturating_sub(1), ladder);
        let near = older.next().unwrap_or(newest);
        let mut far = near;
        for at in older {
            if (newest - at).abs_diff(age) >= (newest - far).abs_diff(age) {
                break;
            }
            far = at;
        }
        Some(Bases([age as u8, (newest - near) as u8, (newest - far) as u8], None))
    }

    /// Which ticks of the trail of `bases` are held, of those from `since` on, lowest bit first.
    pub(crate) fn trail(self, tick: u32, bases: Bases, since: u32, ladder: Ladder) -> u16 {
        let (Some(newest), Some(of)) = (self.newest(), tick.checked_sub(u32::from(bases.0[0]))) else { return 0 };
        let since = since.max(tick.saturating_sub(AGE_MAX));
        let held = |at: u32| {
            let back = newest.checked_sub(at + 1);
            back.is_some_and(|back| self.before().checked_shr(back).unwrap_or(0) & 1 != 0)
        };
        let is_in =
            |gap: u8| of.checked_sub(u32::from(gap)).is_some_and(|at| at >= since && ladder.has(at) && held(at));
        (0..).zip(TRAIL).fold(0, |trail, (bit, gap)| trail | u16::from(is_in(gap)) << bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(ticks: impl IntoIterator<Item = u32>) -> Acked {
        let mut acked = Acked::NONE;
        ticks.into_iter().for_each(|tick| acked.insert(tick));
        acked
    }

    #[test]
    fn whoever_is_told_an_entity_often_and_rarely_is_told_it_against_the_same_ticks() {
        // Ticks of the ladder: those that are multiples of 4 with the id.
        let ladder = Ladder::new(4, Some(StableId(7)));
        let bases = |acked: Acked| acked.bases(106, 0, ladder).map(|bases| bases.0);
        let (often, rarely) = (acked(60..=101), acked((61..=101).step_by(4)));
        assert_eq!(bases(often), Some([5, 4, 4]));
        assert_eq!(bases(rarely), bases(often));
        let lost = acked((60..=101).filter(|tick| *tick != 99));
        assert_eq!(bases(lost), bases(often), "what is no base makes no difference");
    }

    #[test]
    fn an_old_base_of_a_ladder_by_turns_stands_alone() {
        let ladder = Ladder::new(4, Some(StableId(0)));
        let (one, other) = (acked([52, 68, 84]), acked([60, 84]));
        for acked in [one, other] {
            assert_eq!(acked.bases(100, 0, ladder).map(|bases| bases.0), Some([16, 0, 0]));
        }
        for ladder in [Ladder::EVERY, Ladder::new(4, None)] {
            assert_eq!(one.bases(100, 0, ladder).map(|bases| bases.0), Some([16, 16, 16]));
        }
    }
}
