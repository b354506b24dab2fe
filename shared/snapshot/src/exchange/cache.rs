//! Encodings of the current tick, for every client that holds the same states of an entity and may know the same of it.

use super::Bases;
use crate::bits::BitWriter;
use crate::layout::Known;

/// Bits that are kept for one tick. Beyond it all are forgotten and made anew: slower, never wrong.
const BITS_MAX: usize = 64 << 20;

/// What an encoding depends on, beside the entity: what may be known of it, and the bases; zeros in full.
pub(crate) type Key = (Known, Bases);

/// A key as one number, which is quicker to look for.
fn number((known, Bases([age, near, far], trail)): Key) -> u64 {
    let [low, high] = trail.unwrap_or(0).to_le_bytes();
    u64::from_le_bytes([age, near, far, known.bits() as u8, low, high, trail.is_some().into(), 0])
}

/// Encodings of an entity that stand in place: the clients of a room hold a few different states, and entities that are told
/// one after the other are found beside each other.
const IN_PLACE: usize = 8;

/// In place of a key: no base is so old.
const NONE: u64 = u64::MAX;

/// Encodings of one entity: keys, and where the bits of each begin and end; an empty range if nothing may be known.
#[derive(Debug, Clone, Copy)]
struct Place {
    keys: [u64; IN_PLACE],
    ranges: [(u32, u32); IN_PLACE],
}

impl Place {
    const EMPTY: Self = Self { keys: [NONE; IN_PLACE], ranges: [(0, 0); IN_PLACE] };
}

/// Shared encodings of one tick.
#[derive(Debug, Default)]
pub struct Cache {
    tick: Option<u32>,
    /// By the entity's place in the tick.
    places: Vec<Place>,
    /// By place: those for which there was no room there.
    more: Vec<Vec<(u64, (u32, u32))>>,
    /// Where the key that was asked for last stood at its place. Keys come in the same order at most places.
    hint: usize,
    bits: BitWriter,
    hits: u64,
    misses: u64,
}

impl Cache {
    /// Forgets the encodings of any other tick, and makes room for those of `count` entities.
    pub(crate) fn begin(&mut self, tick: u32, count: usize) {
        if self.tick != Some(tick) {
            self.tick = Some(tick);
            self.forget();
        }
        if self.places.len() < count {
            self.places.resize(count, Place::EMPTY);
            self.more.resize_with(count, Vec::new);
        }
    }

    fn forget(&mut self) {
        self.places.fill(Place::EMPTY);
        self.more.iter_mut().for_each(Vec::clear);
        self.bits.clear();
    }

    /// How often an encoding was there already, and how often it had to be made.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// Where the encoding of `key` is, of the entity at `place`.
    pub(crate) fn find(&mut self, place: usize, key: Key) -> Option<(usize, usize)> {
        let (key, encodings) = (number(key), &self.places[place]);
        if encodings.keys[self.hint] != key {
            if let Some(at) = encodings.keys.iter().position(|held| *held == key) {
                self.hint = at;
            } else {
                let found = self.more[place].iter().find(|(held, _)| *held == key).map(|(_, range)| *range);
                return Some(self.hit(found?));
            }
        }
        Some(self.hit(encodings.ranges[self.hint]))
    }

    fn hit(&mut self, (start, end): (u32, u32)) -> (usize, usize) {
        self.hits += 1;
        (start as usize, end as usize)
    }

    /// Whether there is no room for another one: what ranges lead to is gone when the next one is made.
    pub(crate) fn is_full(&self) -> bool {
        self.bits.len() > BITS_MAX
    }

    /// Makes an encoding; it is found from now on, until there is no room for others.
    pub(crate) fn make(&mut self, place: usize, key: Key, make: impl FnOnce(&mut BitWriter)) -> (usize, usize) {
        self.misses += 1;
        if self.is_full() {
            self.forget();
        }
        let start = self.bits.len();
        make(&mut self.bits);
        let end = self.bits.len();
        let (key, range, encodings) = (number(key), (start as u32, end as u32), &mut self.places[place]);
        match encodings.keys.iter().position(|held| *held == NONE) {
            Some(at) => (encodings.keys[at], encodings.ranges[at]) = (key, range),
            None => self.more[place].push((key, range)),
        }
        (start, end)
    }

    /// The bits that ranges lead to.
    pub(crate) fn bits(&self) -> &BitWriter {
        &self.bits
    }
}
