//! What is heard, from the datagrams that bring it to the moment at which it is played: each sound once, in order, with what is
//! shown.
//!
//! The server tells the sounds of a tick as a whole and again as a whole if it thinks that they were lost, so that a tick of which
//! sounds have come is done. What one's own hero does is not among them: [`OwnHero::next_sound`](crate::prediction::OwnHero) has
//! it when it happens. [`SoundView`](crate::view::SoundView) is a sound with its place.

use std::collections::VecDeque;

use arbiter_protocol::{Sound, Sounds};

/// Sounds that wait to be played; older ones go first, since only the newest interest somebody who listens so late.
const WAITING_MAX: usize = 256;

/// Ticks behind the newest of which it is known whether their sounds have come: what is older is dropped. More than the oldest
/// that a server tells.
const KNOWN_TICKS: u32 = 512;

const WORDS: usize = (KNOWN_TICKS / u64::BITS) as usize;

/// A sound and when it sounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardSound {
    /// The tick.
    pub tick: u32,
    /// What.
    pub sound: Sound,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Hearing {
    /// By tick.
    waiting: VecDeque<HeardSound>,
    /// Of the last ticks, which sounds have come: a bit each, at their number modulo [`KNOWN_TICKS`].
    come: [u64; WORDS],
    /// The newest tick of which sounds have come.
    newest: Option<u32>,
}

impl Hearing {
    /// Forgets everything, as when another match begins.
    pub fn forget(&mut self) {
        *self = Self { waiting: core::mem::take(&mut self.waiting), ..Self::default() };
        self.waiting.clear();
    }

    /// Takes what was told beside a part of `tick`.
    pub fn take(&mut self, tick: u32, sounds: Sounds<'_>) {
        let mut last = None;
        let mut is_new = false;
        for (age, sound) in sounds.iter() {
            // Before the match nothing sounded.
            let Some(tick) = tick.checked_sub(age.into()) else { continue };
            if last.replace(tick) != Some(tick) {
                is_new = self.note(tick);
            }
            if is_new {
                self.put(HeardSound { tick, sound });
            }
        }
    }

    /// Notes that the sounds of a tick have come; false if they had before, or if that is not known any more.
    fn note(&mut self, tick: u32) -> bool {
        let newest = *self.newest.get_or_insert(tick);
        if tick > newest {
            // Bits of ticks in between are those of long ago.
            for between in newest + 1..=tick.min(newest.saturating_add(KNOWN_TICKS)) {
                let (word, bit) = place(between);
                self.come[word] &= !bit;
            }
            if tick - newest > KNOWN_TICKS {
                self.come = [0; WORDS];
            }
            self.newest = Some(tick);
        } else if newest - tick >= KNOWN_TICKS {
            return false;
        }
        let (word, bit) = place(tick);
        let is_new = self.come[word] & bit == 0;
        self.come[word] |= bit;
        is_new
    }

    fn put(&mut self, heard: HeardSound) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        let at = self.waiting.partition_point(|other| other.tick <= heard.tick);
        self.waiting.insert(at, heard);
    }

    /// The oldest of a tick until `ticks`.
    pub fn next(&mut self, ticks: f64) -> Option<HeardSound> {
        self.waiting.pop_front_if(|heard| f64::from(heard.tick) <= ticks)
    }
}

fn place(tick: u32) -> (usize, u64) {
    let at = tick % KNOWN_TICKS;
    ((at / u64::BITS) as usize, 1 << (at % u64::BITS))
}

#[cfg(test)]
mod tests {
    use arbiter_protocol::SoundList;
    use arbiter_protocol::sound::{Report, Source, write_sounds};

    use super::*;

    fn told(ages: &[u8]) -> Vec<u8> {
        let list = |age: u8| {
            let mut list = SoundList::default();
            assert!(list.push(&Sound::Fired { report: Report::Shot, by: Source::Player(age.into()) }));
            list
        };
        let lists: Vec<_> = ages.iter().map(|age| (*age, list(*age))).collect();
        let mut out = Vec::new();
        write_sounds(lists.iter().map(|(age, list)| (*age, list)), &mut out);
        out
    }

    fn take(hearing: &mut Hearing, tick: u32, ages: &[u8]) {
        hearing.take(tick, Sounds::new(&told(ages)).expect("sounds"));
    }

    fn all(hearing: &mut Hearing, until: f64) -> Vec<u32> {
        core::iter::from_fn(|| hearing.next(until)).map(|heard| heard.tick).collect()
    }

    #[test]
    fn each_tick_is_heard_once_however_often_it_is_told_and_in_order() {
        let mut hearing = Hearing::default();
        take(&mut hearing, 100, &[0]);
        take(&mut hearing, 110, &[20, 10, 0]);
        take(&mut hearing, 104, &[14, 4, 0]);
        assert_eq!(all(&mut hearing, 1e9), [90, 100, 104, 110]);
        take(&mut hearing, 111, &[21, 11, 7, 1]);
        assert!(all(&mut hearing, 1e9).is_empty());
    }

    #[test]
    fn a_sound_waits_for_its_moment() {
        let mut hearing = Hearing::default();
        take(&mut hearing, 100, &[3, 0]);
        assert!(all(&mut hearing, 96.9).is_empty());
        assert_eq!(all(&mut hearing, 97.0), [97]);
        assert_eq!(all(&mut hearing, 200.0), [100]);
    }

    #[test]
    fn ticks_that_are_far_apart_do_not_stand_for_each_other() {
        let mut hearing = Hearing::default();
        for tick in [5, 5 + KNOWN_TICKS, 6 + 2 * KNOWN_TICKS, 6 + 40 * KNOWN_TICKS, u32::MAX] {
            take(&mut hearing, tick, &[0]);
            take(&mut hearing, tick, &[0]);
            assert_eq!(all(&mut hearing, 1e12), [tick]);
        }
        take(&mut hearing, 5, &[0]);
        assert!(all(&mut hearing, 1e12).is_empty(), "nobody knows whether that was heard");
        hearing.forget();
        take(&mut hearing, 5, &[0]);
        assert_eq!(all(&mut hearing, 1e12), [5]);
    }

    #[test]
    fn what_sounded_before_the_match_is_dropped_and_no_more_is_kept_than_fits() {
        let mut hearing = Hearing::default();
        take(&mut hearing, 3, &[4, 3]);
        assert_eq!(all(&mut hearing, 1e9), [0]);
        (10..400).for_each(|tick| take(&mut hearing, tick, &[0]));
        let ticks = all(&mut hearing, 1e9);
        assert_eq!((ticks.len(), ticks[0], ticks[WAITING_MAX - 1]), (WAITING_MAX, 144, 399));
    }
}
