//! Who was told of whom: a target that was never sent to a shooter cannot be hit.
//!
//! The room alone knows what it sends. Its changes come in as [`Command::Told`](crate::Command::Told), so that a replay
//! refuses the same hits. It takes a bit back only when no honest shot can be under way any more: a shooter aims at what the
//! screen shows, which is never older than `rewind_max_ms` of the rules, so that whoever was told of a target within so many
//! ticks keeps the right to hit it. A target whose datagram was lost is not on the screen either; that it may be hit then
//! costs nobody anything.
//!
//! A slot is *bound* once it was told of itself, which a room does with the join. Without a room, as in tests and tools,
//! nobody is bound and everybody may be hit.
//!
//! Only what a player aims is refused: rays, beams, swings, and the step of a projectile in which it is fired. Splashes,
//! areas, turrets and projectiles in flight hurt whoever they reach, told or not: they are things of the world, stopped by
//! the walls of the world, and no knowledge of a hidden enemy makes them reach further.

use arbiter_schema::describe;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

use crate::hitbox::{PlayerBody, Source, ViewTime};
use crate::state::DescribeApp;

/// Slots that one command speaks of.
pub const GROUP_SLOTS: u16 = 32;

/// Slots in one word of a row.
const WORD_SLOTS: usize = 64;

describe! {
    /// See the module. At most 125 KB, with 1,000 slots.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct Told {
        /// Slots of the match.
        pub slots: u16,
        /// A row for each shooter, a bit for each target, both by slot; rows begin with a word of their own. Empty until anybody
        /// was told of anything.
        pub bits: Vec<u64>,
    }
}

/// Who was told of whom.
pub struct ToldPlugin;

impl Plugin for ToldPlugin {
    fn build(&self, app: &mut App) {
        app.describe_resource::<Told>();
    }
}

impl Told {
    /// Nobody is bound.
    pub fn new(slots: u16) -> Self {
        Self { slots, bits: Vec::new() }
    }

    /// Toggles bits of one row: bit n of `toggled` is slot `group * 32 + n`. What is out of range is ignored.
    pub fn toggle(&mut self, slot: u16, group: u8, toggled: u32) {
        let first = u16::from(group) * GROUP_SLOTS;
        let inside = self.slots.saturating_sub(first).min(GROUP_SLOTS);
        let toggled = u64::from(toggled) & ((1 << inside) - 1);
        let (word, bit) = place(first);
        if self.bits.is_empty() && slot < self.slots && toggled != 0 {
            self.bits.resize(self.words() * usize::from(self.slots), 0);
        }
        if let Some(word) = self.row_mut(slot).get_mut(word) {
            *word ^= toggled << bit;
        }
    }

    /// The bits of one row and group, as [`Self::toggle`] takes them.
    pub fn group(&self, slot: u16, group: u8) -> u32 {
        let (word, bit) = place(u16::from(group) * GROUP_SLOTS);
        self.row(slot).get(word).map_or(0, |word| (word >> bit) as u32)
    }

    /// Whether shots of one slot may hit another.
    pub fn may_hit(&self, shooter: u16, target: u16) -> bool {
        !self.is_bound(shooter) || self.was_told(shooter, target)
    }

    /// Whether shots of a slot may hit only those of whom it was told.
    pub fn is_bound(&self, slot: u16) -> bool {
        self.was_told(slot, slot)
    }

    fn was_told(&self, shooter: u16, target: u16) -> bool {
        let (word, bit) = place(target);
        self.row(shooter).get(word).is_some_and(|word| word >> bit & 1 != 0)
    }

    /// The player in a slot left: nothing is known by it or of it.
    pub(crate) fn forget(&mut self, slot: u16) {
        self.row_mut(slot).fill(0);
        let (at, bit) = place(slot);
        if slot < self.slots {
            let words = self.words();
            self.bits.iter_mut().skip(at).step_by(words.max(1)).for_each(|word| *word &= !(1 << bit));
        }
    }

    /// Whether what `source` aimed at what it saw may meet a player. Who shoots without having seen is not asked.
    pub(crate) fn allows(&self, source: &Source, body: &PlayerBody, seen: Option<ViewTime>) -> bool {
        let (Some(_), Some(shooter), Some(target)) = (seen, source.slot(), body.owner.checked_sub(1)) else {
            return true;
        };
        self.may_hit(shooter, target)
    }

    fn words(&self) -> usize {
        usize::from(self.slots).div_ceil(WORD_SLOTS)
    }

    fn row(&self, slot: u16) -> &[u64] {
        let words = self.words();
        let start = usize::from(slot) * words;
        // A damaged checkpoint may have fewer.
        if slot < self.slots { self.bits.get(start..start + words).unwrap_or(&[]) } else { &[] }
    }

    fn row_mut(&mut self, slot: u16) -> &mut [u64] {
        let words = self.words();
        let start = usize::from(slot) * words;
        let end = if slot < self.slots { start + words } else { start };
        self.bits.get_mut(start..end).unwrap_or(&mut [])
    }
}

fn place(slot: u16) -> (usize, usize) {
    (usize::from(slot) / WORD_SLOTS, usize::from(slot) % WORD_SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row in which `shooter` was told of itself.
    fn bound(slots: u16, shooter: u16) -> Told {
        let mut told = Told::new(slots);
        told.toggle(shooter, (shooter / GROUP_SLOTS) as u8, 1 << (shooter % GROUP_SLOTS));
        told
    }

    #[test]
    fn whoever_was_told_of_nothing_is_not_bound() {
        assert!(Told::new(10).may_hit(3, 4));
        assert!(Told::default().may_hit(3, 4));
    }

    #[test]
    fn whoever_is_bound_hits_only_whom_it_was_told_of() {
        let mut told = bound(1_000, 999);
        assert!(!told.may_hit(999, 70));
        told.toggle(999, 2, 1 << 6);
        assert!(told.may_hit(999, 70));
        assert_eq!(told.group(999, 2), 1 << 6);
        told.toggle(999, 2, 1 << 6);
        assert!(!told.may_hit(999, 70));
    }

    #[test]
    fn with_a_leave_all_is_forgotten_that_was_known_by_and_of_a_slot() {
        let mut told = bound(100, 2);
        told.toggle(2, 2, 1 << 5 | 1 << 6);
        told.toggle(69, 0, 1 << 2);
        told.forget(69);
        assert_eq!((told.group(2, 2), told.group(69, 0)), (1 << 6, 0));
        told.forget(2);
        assert!(told.bits.iter().all(|word| *word == 0));
    }

    #[test]
    fn what_is_out_of_range_is_ignored() {
        let mut told = Told::new(10);
        for (slot, group) in [(10, 0), (0, 1), (0, 255), (u16::MAX, 0)] {
            told.toggle(slot, group, u32::MAX);
            told.forget(slot);
        }
        assert_eq!(told, Told::new(10));
        told.toggle(0, 0, u32::MAX);
        assert_eq!(told.group(0, 0), 0x3FF);
        assert!(Told { slots: 10, bits: vec![1] }.may_hit(9, 3));
    }
}
