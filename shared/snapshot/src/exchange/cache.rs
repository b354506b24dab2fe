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

/// Shared encodings of one tick.
#[derive(Debug, Default)]
pub struct Cache {
    tick: Option<u32>,
    /// By the entity's place in the tick: the number of each key, and where its bits begin and end; an empty range if nothing
    /// may be known.
    places: Vec<Vec<(u64, u32, u32)>>,
    bits: BitWriter,
    hits: u64,
    misses: u64,
}

impl Cache {
    /// Forgets the encodings of any other tick, and makes room for those of `count` entities.
    pub(crate) fn begin(&mut self, tick: u32, count: usize) {
        if self.tick != Some(tick) {
            self.tick = Some(tick);
            self.places.iter_mut().for_each(Vec::clear);
            self.bits.clear();
        }
        if self.places.len() < count {
            self.places.resize_with(count, Vec::new);
        }
    }

    /// How often an encoding was there already, and how often it had to be made.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// Where the encoding of `key` is, of the entity at `place`.
    pub(crate) fn find(&mut self, place: usize, key: Key) -> Option<(usize, usize)> {
        let key = number(key);
        let found = self.places[place].iter().find(|(held, ..)| *held == key);
        self.hits += u64::from(found.is_some());
        found.map(|(_, start, end)| (*start as usize, *end as usize))
    }

    /// Whether there is no room for another one: what ranges lead to is gone when the next one is made.
    pub(crate) fn is_full(&self) -> bool {
        self.bits.len() > BITS_MAX
    }

    /// Makes an encoding; it is found from now on, until there is no room for others.
    pub(crate) fn make(&mut self, place: usize, key: Key, make: impl FnOnce(&mut BitWriter)) -> (usize, usize) {
        self.misses += 1;
        if self.is_full() {
            self.places.iter_mut().for_each(Vec::clear);
            self.bits.clear();
        }
        let start = self.bits.len();
        make(&mut self.bits);
        let end = self.bits.len();
        self.places[place].push((number(key), start as u32, end as u32));
        (start, end)
    }

    /// The bits that ranges lead to.
    pub(crate) fn bits(&self) -> &BitWriter {
        &self.bits
    }
}
