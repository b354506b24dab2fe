//! A table from keys to small numbers that never grows, never allocates and cannot be aimed at.
//!
//! Open addressing with linear probing, at most half full, eight bytes an entry: a look-up touches one cache line, nearly
//! always. The keys themselves stay with their owner, who compares them. Hashes are SipHash with a random key, so that
//! nobody from outside can choose addresses that collide. A removal moves its followers up instead of leaving a tombstone,
//! so that a table does not get slower with age.

use core::hash::{BuildHasher, Hash};
use std::hash::RandomState;

/// See the module.
#[derive(Debug)]
pub(crate) struct Index {
    hasher: RandomState,
    /// 0 where nothing is; else a hash in the upper half and the value + 1 in the lower.
    entries: Box<[u64]>,
    mask: usize,
}

impl Index {
    /// For at most `capacity` values, each below `u32::MAX`. The caller never inserts more.
    pub fn new(capacity: usize) -> Self {
        let entries = (capacity * 2).next_power_of_two().max(8);
        Self { hasher: RandomState::new(), entries: vec![0; entries].into_boxed_slice(), mask: entries - 1 }
    }

    /// The hash of a key, for the other functions.
    pub fn hash(&self, key: &impl Hash) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    /// The value of the key with this hash that `is` recognises.
    pub fn get(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if (entry >> 32) as u32 == hash && is(value(entry)) {
                return Some(value(entry));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a key that is not in it.
    pub fn insert(&mut self, hash: u32, value: u32) {
        let mut at = hash as usize & self.mask;
        while self.entries[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = entry(hash, value);
    }

    /// Removes the key with this hash and value.
    pub fn remove(&mut self, hash: u32, value: u32) {
        let wanted = entry(hash, value);
        let mut hole = hash as usize & self.mask;
        while self.entries[hole] != wanted {
            if self.entries[hole] == 0 {
                return;
            }
            hole = (hole + 1) & self.mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            // An entry may move up into the hole unless that is before its own place.
            let home = (entry >> 32) as usize & self.mask;
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(hole) & self.mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
    }
}

fn entry(hash: u32, value: u32) -> u64 {
    (u64::from(hash) << 32) | (u64::from(value) + 1)
}

fn value(entry: u64) -> u32 {
    entry as u32 - 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_with_the_same_hash_are_told_apart() {
        let mut index = Index::new(4);
        (0..4).for_each(|value| index.insert(7, value));
        index.remove(7, 1);
        let found: Vec<Option<u32>> = (0..4).map(|wanted| index.get(7, |value| value == wanted)).collect();
        assert_eq!(found, [Some(0), None, Some(2), Some(3)]);
    }

    proptest! {
        /// The table agrees with a map, with few buckets and therefore many collisions.
        #[test]
        fn the_table_agrees_with_a_map(steps in proptest::collection::vec((0..24_u32, any::<bool>()), 1..300)) {
            let mut index = Index::new(16);
            let mut map: HashMap<u32, u32> = HashMap::new();
            // Two keys share a hash, four a bucket.
            let hash = |key: u32| key / 4 + (key % 2) * 64;
            for (key, add) in steps {
                if add && map.len() < 16 && !map.contains_key(&key) {
                    index.insert(hash(key), key);
                    map.insert(key, key);
                } else if !add {
                    index.remove(hash(key), key);
                    map.remove(&key);
                }
                for key in 0..24 {
                    prop_assert_eq!(index.get(hash(key), |value| value == key), map.get(&key).copied());
                }
            }
        }
    }
}
