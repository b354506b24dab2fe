//! Encodings of the current tick, for every client that holds the same states of an entity and may know the same of it.

use std::collections::HashMap;

use arbiter_schema::StableId;

use super::Bases;
use crate::bits::BitWriter;

/// Bits that are kept for one tick. Beyond it encodings are made anew for each client: slower, never wrong.
const BITS_MAX: usize = 64 << 20;

/// What an encoding depends on: the entity, its shape, which says what may be known, and the bases; zeros in full.
pub(crate) type Key = (StableId, u32, Bases);

/// Shared encodings of one tick.
#[derive(Debug, Default)]
pub struct Cache {
    tick: u32,
    /// Where the bits begin and end. Only looked up, never walked: its order decides nothing.
    places: HashMap<Key, (usize, usize)>,
    bits: BitWriter,
    hits: u64,
    misses: u64,
}

impl Cache {
    /// Forgets the encodings of any other tick.
    pub(crate) fn begin(&mut self, tick: u32) {
        if self.tick != tick {
            self.tick = tick;
            self.places.clear();
            self.bits.clear();
        }
    }

    /// How often an encoding was there already, and how often it had to be made.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// Puts the encoding of `key` into `to`; `make` writes it if it is not there.
    pub(crate) fn copy(&mut self, key: Key, to: &mut BitWriter, make: impl FnOnce(&mut BitWriter)) {
        if let Some((start, end)) = self.places.get(&key) {
            self.hits += 1;
            return self.bits.copy(*start, *end, to);
        }
        self.misses += 1;
        if self.bits.len() > BITS_MAX {
            return make(to);
        }
        let start = self.bits.len();
        make(&mut self.bits);
        let end = self.bits.len();
        self.places.insert(key, (start, end));
        self.bits.copy(start, end, to);
    }
}
