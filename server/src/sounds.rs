//! What one client has yet to hear: the sounds of the last half second, each tick's as one list, told once and again if what
//! carried them is lost. They ride in front of a part of a snapshot and are acknowledged with it.
//!
//! Who may hear what is settled when it sounds (`interest::hearing`), so that whoever changes sides, or comes back, hears
//! nothing of before.

use std::collections::VecDeque;

use arbiter_protocol::SoundList;
use arbiter_protocol::sound::{SOUND_BYTES_MAX, write_sounds};
use arbiter_schema::StableId;
use arbiter_snapshot::Peer;

/// Milliseconds for which a sound is worth telling: what is heard later belongs to nothing that one sees any more.
pub const FRESH_MS: u32 = 500;

/// The oldest that a sound can be told, in ticks: its age has eight bits.
const AGE_MAX: u32 = 255;

/// Ticks with sounds that are remembered, which is as many as are fresh at the highest rates that are played; with more the
/// oldest are given up.
const LISTS_MAX: usize = 64;

/// Sounds take at most this share of what a client may be told in a tick, so that a narrow link is not filled with noise.
const SHARE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    /// To be told.
    Not,
    /// Written for a part that has no tag yet.
    Written,
    /// By the part with this tag.
    By(u32),
}

#[derive(Debug)]
struct Told {
    tick: u32,
    list: SoundList,
    carried: Carried,
}

/// See the module.
#[derive(Debug)]
pub struct SoundQueue {
    /// Ticks for which a sound is fresh.
    fresh: u32,
    /// By tick.
    lists: VecDeque<Told>,
    /// Whose ears these are: the player, and its team.
    whose: (StableId, u8),
}

impl SoundQueue {
    /// For a match at so many ticks a second.
    pub fn new(tick_rate: u16) -> Self {
        let lists = VecDeque::with_capacity(LISTS_MAX);
        Self { fresh: fresh(tick_rate), lists, whose: (StableId::NONE, 0) }
    }

    /// Forgets everything, as with another connection or a match at so many ticks a second.
    pub fn begin(&mut self, tick_rate: u16) {
        self.fresh = fresh(tick_rate);
        self.lists.clear();
    }

    /// Whose ears these are from now on: what was to be heard by somebody else, or for another team, is not told any more.
    pub fn belong_to(&mut self, whose: (StableId, u8)) {
        if core::mem::replace(&mut self.whose, whose) != whose {
            self.lists.clear();
        }
    }

    /// Adds what is heard of a tick, behind all that was added before.
    pub fn push(&mut self, tick: u32, list: SoundList) {
        if list.is_empty() {
            return;
        }
        if self.lists.len() == LISTS_MAX {
            self.lists.pop_front();
        }
        self.lists.push_back(Told { tick, list, carried: Carried::Not });
    }

    /// Appends what is to be told with a part of `tick`, of which the budget is so many bytes; false if there is nothing.
    pub fn write(&mut self, tick: u32, budget_bytes: usize, out: &mut Vec<u8>) -> bool {
        self.lists.retain(|told| tick.saturating_sub(told.tick) <= self.fresh);
        let mut left = SOUND_BYTES_MAX.min(budget_bytes / SHARE);
        let age = |told: &Told| tick.saturating_sub(told.tick) as u8;
        for told in self.lists.iter_mut().filter(|told| told.carried == Carried::Not) {
            let bytes = told.list.len(age(told));
            if bytes <= left {
                left -= bytes;
                told.carried = Carried::Written;
            }
        }
        let written = self.lists.iter().filter(|told| told.carried == Carried::Written);
        let before = out.len();
        write_sounds(written.map(|told| (age(told), &told.list)), out);
        out.len() > before
    }

    /// What was written left with the part of this tag.
    pub fn sent(&mut self, tag: u32) {
        self.carry(Carried::Written, Carried::By(tag));
    }

    /// What was written did not leave.
    pub fn unsent(&mut self) {
        self.carry(Carried::Written, Carried::Not);
    }

    /// The part with this tag has come.
    pub fn delivered(&mut self, tag: u32) {
        self.lists.retain(|told| told.carried != Carried::By(tag));
    }

    /// The part with this tag is lost: what it told is told again.
    pub fn lost(&mut self, tag: u32) {
        self.carry(Carried::By(tag), Carried::Not);
    }

    fn carry(&mut self, from: Carried, to: Carried) {
        for told in self.lists.iter_mut().filter(|told| told.carried == from) {
            told.carried = to;
        }
    }
}

/// What became of the part with this tag, for all that it carried.
pub fn land(peer: &mut Peer, sounds: &mut SoundQueue, tag: u32, came: bool) {
    if came {
        peer.delivered(tag);
        sounds.delivered(tag);
    } else {
        peer.lost(tag);
        sounds.lost(tag);
    }
}

fn fresh(tick_rate: u16) -> u32 {
    (FRESH_MS * u32::from(tick_rate) / 1_000).min(AGE_MAX)
}

#[cfg(test)]
mod tests {
    use arbiter_protocol::sound::{Report, Sound, Sounds, Source};

    use super::*;

    const BUDGET: usize = 1_000;

    fn shot(by: u16) -> SoundList {
        let mut list = SoundList::default();
        assert!(list.push(&Sound::Fired { report: Report::Shot, by: Source::Player(by) }));
        list
    }

    /// What is told with a part: the ages, and who fired.
    fn told(queue: &mut SoundQueue, tick: u32, budget: usize) -> Vec<(u8, u16)> {
        let mut out = Vec::new();
        if !queue.write(tick, budget, &mut out) {
            return Vec::new();
        }
        let sounds = Sounds::new(&out).expect("what was written");
        let by = |sound| match sound {
            Sound::Fired { by: Source::Player(slot), .. } => slot,
            other => panic!("{other:?}"),
        };
        sounds.iter().map(|(age, sound)| (age, by(sound))).collect()
    }

    #[test]
    fn what_is_under_way_is_not_told_again_and_what_is_lost_is() {
        let mut queue = SoundQueue::new(60);
        queue.push(10, shot(1));
        assert_eq!(told(&mut queue, 10, BUDGET), [(0, 1)]);
        queue.sent(7);
        queue.push(12, shot(2));
        assert_eq!(told(&mut queue, 12, BUDGET), [(0, 2)]);
        queue.sent(8);
        queue.lost(7);
        queue.delivered(8);
        assert_eq!(told(&mut queue, 15, BUDGET), [(5, 1)]);
        queue.sent(9);
        queue.delivered(9);
        assert_eq!(told(&mut queue, 16, BUDGET), []);
        assert!(queue.lists.is_empty());
    }

    #[test]
    fn what_is_lost_for_too_long_is_given_up() {
        let mut queue = SoundQueue::new(60);
        queue.push(10, shot(1));
        for tick in 10..=40 {
            assert_eq!(told(&mut queue, tick, BUDGET), [((tick - 10) as u8, 1)]);
            queue.sent(tick);
            queue.lost(tick);
        }
        assert_eq!(told(&mut queue, 41, BUDGET), []);
    }

    #[test]
    fn what_did_not_leave_waits() {
        let mut queue = SoundQueue::new(60);
        queue.push(10, shot(1));
        assert_eq!(told(&mut queue, 10, BUDGET), [(0, 1)]);
        queue.unsent();
        queue.push(11, shot(2));
        assert_eq!(told(&mut queue, 11, BUDGET), [(1, 1), (0, 2)]);
    }

    #[test]
    fn a_narrow_link_is_told_the_oldest_and_no_more_than_its_share() {
        let mut queue = SoundQueue::new(60);
        (0..20).for_each(|tick| queue.push(tick, shot(tick as u16)));
        let told = told(&mut queue, 20, 20);
        assert_eq!(told, [(20, 0), (19, 1), (18, 2)], "three times three bytes of ten");
    }

    #[test]
    fn memory_and_bytes_are_bounded_whatever_sounds() {
        let mut queue = SoundQueue::new(1_000);
        let capacity = queue.lists.capacity();
        for tick in 0..5_000 {
            let mut list = SoundList::default();
            while list.push(&Sound::Fired { report: Report::Shot, by: Source::Player(60_000) }) {}
            queue.push(tick, list);
            let mut out = Vec::new();
            queue.write(tick, BUDGET, &mut out);
            queue.sent(tick);
            assert!(out.len() <= SOUND_BYTES_MAX);
        }
        assert_eq!(queue.lists.capacity(), capacity);
    }

    #[test]
    fn whoever_changes_sides_hears_nothing_of_before() {
        let mut queue = SoundQueue::new(60);
        queue.belong_to((StableId(4), 1));
        queue.push(10, shot(1));
        queue.belong_to((StableId(4), 1));
        assert_eq!(told(&mut queue, 10, BUDGET), [(0, 1)]);
        queue.sent(7);
        queue.belong_to((StableId(4), 2));
        queue.lost(7);
        assert_eq!(told(&mut queue, 11, BUDGET), []);
    }
}
