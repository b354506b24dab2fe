//! Where every id is that the log keeps, so that a record that is told again is written once.
//!
//! All in memory, where a look at a place that no cache holds takes longer than to hash what is looked for. So ids stand in the
//! order of their positions, which need not be stored then, and a small table says which of them may be the one: a new id
//! costs one look into a byte for each id, and no cache line of its own. [`Ids::among`] makes many such looks at once. Hashes are
//! keyed anew in each process, and never stored or told.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// An id and a digest of what it stands for.
type Known = (u128, u64);

/// Ids with their places.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// Of all records from `start` on.
    known: Vec<Known>,
    start: u64,
    /// Numbers in `known`, by the hash of their id.
    table: HashTable<u32>,
    keyed: RandomState,
}

impl Ids {
    /// Of a log whose first record has this position.
    pub fn from(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Tells a repeated record from another one under the same id. It is against faults of emitters, since who forges a record
    /// under a known id only gets it ignored.
    pub fn digest(&self, data: &[u8]) -> u64 {
        self.keyed.hash_one(data)
    }

    /// Position and digest of an id.
    pub fn get(&self, id: u128) -> Option<(u64, u64)> {
        let number = *self.table.find(self.keyed.hash_one(id), |number| self.known[*number as usize].0 == id)?;
        Some((self.start + u64::from(number), self.known[number as usize].1))
    }

    /// Notes the id of the next record, which is not known yet.
    pub fn push(&mut self, id: u128, digest: u64) {
        let number = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.known.push((id, digest));
        if self.table.len() == self.table.capacity() {
            self.grow(2 * self.known.len());
        } else {
            let (known, keyed) = (&self.known, &self.keyed);
            let hash = |number: &u32| keyed.hash_one(known[*number as usize].0);
            self.table.insert_unique(keyed.hash_one(id), number, hash);
        }
    }

    /// Makes the table anew, for so many. It is filled in the order of the ids, which is quicker than in its own.
    fn grow(&mut self, room: usize) {
        let (known, keyed) = (&self.known, &self.keyed);
        let hash = |number: &u32| keyed.hash_one(known[*number as usize].0);
        self.table = HashTable::with_capacity(room);
        for number in (0..).take(known.len()) {
            self.table.insert_unique(hash(&number), number, hash);
        }
    }

    /// How many of these are known. Nothing of a look depends on the one before, so that memory answers several at once; what is
    /// appended next is near then.
    pub fn among(&self, ids: impl IntoIterator<Item = u128>) -> usize {
        // Who only wants them near drops the number, and the looks with it.
        std::hint::black_box(ids.into_iter().filter(|id| self.get(*id).is_some()).count())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets what is before a position.
    pub fn forget_before(&mut self, position: u64) {
        let gone = position.saturating_sub(self.start).min(self.known.len() as u64);
        self.known.drain(..gone as usize);
        self.start += gone;
        self.grow(self.known.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_at_their_positions_until_they_are_forgotten() {
        let mut ids = Ids::from(100);
        let id = |number: u64| u128::from(number) << 60;
        for number in 0..3000 {
            assert_eq!(ids.get(id(number)), None);
            ids.push(id(number), number + 7);
        }
        assert_eq!((ids.len(), ids.among((0..3100).map(id))), (3000, 3000));
        assert_eq!(ids.get(id(2000)), Some((2100, 2007)));
        ids.forget_before(1100);
        assert_eq!((ids.len(), ids.among((0..3100).map(id)), ids.get(id(999))), (2000, 2000, None));
        ids.push(id(5000), 1);
        assert_eq!((ids.get(id(1000)), ids.get(id(5000))), (Some((1100, 1007)), Some((3100, 1))));
    }
}
