//! Where every id is that the log keeps, so that a record that is told again is written once.
//!
//! All in memory, where a look at a place that no cache holds takes longer than to hash what is looked for. So ids stand in the
//! order of their positions, which need not be stored then, and beside them tables of lines, each as large as one of the
//! processor's cache: what is looked for, found missing and put in costs one line for each id and no other. [`Ids::among`] fetches
//! the lines of many ids at once. There are many tables, so that a commit waits for one of them at most while it is made anew.
//! Hashes are keyed anew in each process, and never stored or told.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

/// An id and a digest of what it stands for. In halves: the whole of an id would be aligned so that a fourth of all of it were
/// empty.
#[derive(Debug, Clone, Copy)]
struct Known {
    id: [u64; 2],
    digest: u64,
}

/// Tables, by the upper bits of a hash: of 16 million ids each has 65,536, which are put into a larger one in a few milliseconds.
const TABLES: usize = 1 << TABLE_BITS;
const TABLE_BITS: u32 = 8;

/// Places of a line.
const PLACES: usize = 10;

/// Places of a line that are taken on the average when a table grows: with 7 of 10 one id in eleven stands in the line behind
/// its own.
const TAKEN_MAX: usize = 7;

/// Lines of the smallest table, which are there from the beginning.
const LINES_MIN: usize = 2;

/// Ids whose lines are fetched together: as many as the first cache has room for beside other work.
const TOGETHER: usize = 128;

/// Some ids: the lower halves of their positions, and a part of each one's hash that tells it from nearly all others.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line {
    parts: [u16; PLACES],
    positions: [u32; PLACES],
    taken: u32,
}

const _: () = assert!(size_of::<Line>() == 64);

const EMPTY: Line = Line { parts: [0; PLACES], positions: [0; PLACES], taken: 0 };

impl Line {
    /// Positions of those that may have a hash.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        // Of all places at once: which of them is the one cannot be foreseen.
        let same = (0..PLACES).fold(0_u32, |same, place| same | u32::from(self.parts[place] == hash as u16) << place);
        let mut same = same & ((1 << self.taken) - 1);
        std::iter::from_fn(move || {
            let place = same.trailing_zeros() as usize;
            same &= same.wrapping_sub(1);
            self.positions.get(place).copied()
        })
    }

    fn is_full(&self) -> bool {
        self.taken as usize == PLACES
    }
}

/// Ids whose hashes begin with the same bits.
#[derive(Debug, Clone)]
struct Table {
    lines: Vec<Line>,
    /// Those that were forgotten count until the table is made anew.
    ids: usize,
}

impl Table {
    /// Where an id belongs by the upper bits of its hash behind those that chose the table.
    fn line_of(&self, hash: u64) -> usize {
        ((u128::from(hash << TABLE_BITS) * self.lines.len() as u128) >> 64) as usize
    }

    /// The first position of this hash that is the one.
    fn find<T>(&self, hash: u64, is_it: impl Fn(u32) -> Option<T>) -> Option<T> {
        let mut at = self.line_of(hash);
        // One line is never full: there are more places than ids.
        while let Some(line) = self.lines.get(at) {
            let found = line.candidates(hash).find_map(&is_it);
            if found.is_some() || !line.is_full() {
                return found;
            }
            at = (at + 1) % self.lines.len();
        }
        None
    }

    /// There is a place for it.
    fn put(&mut self, hash: u64, position: u32) {
        let (mut at, lines) = (self.line_of(hash), self.lines.len());
        while self.lines[at].is_full() {
            at = (at + 1) % lines;
        }
        let line = &mut self.lines[at];
        let place = line.taken as usize;
        (line.parts[place], line.positions[place]) = (hash as u16, position);
        line.taken += 1;
        self.ids += 1;
    }

    fn is_full(&self) -> bool {
        self.ids >= self.lines.len() * TAKEN_MAX
    }

    /// Makes it anew with room for twice as many as are known.
    fn grow(&mut self, hash_of: impl Fn(u32) -> Option<u64>) {
        let before = std::mem::take(&mut self.lines);
        let positions = before.iter().flat_map(|line| line.positions.iter().take(line.taken as usize));
        let known: Vec<(u64, u32)> = positions.filter_map(|position| Some((hash_of(*position)?, *position))).collect();
        self.lines = vec![EMPTY; (2 * known.len() / TAKEN_MAX + 1).max(LINES_MIN)];
        self.ids = 0;
        known.into_iter().for_each(|(hash, position)| self.put(hash, position));
    }
}

/// Ids with their places.
#[derive(Debug)]
pub(crate) struct Ids {
    /// Of all records from `start` on.
    known: Vec<Known>,
    start: u64,
    tables: Vec<Table>,
    keyed: RandomState,
}

fn halves(id: u128) -> [u64; 2] {
    [id as u64, (id >> 64) as u64]
}

impl Known {
    fn id(&self) -> u128 {
        u128::from(self.id[1]) << 64 | u128::from(self.id[0])
    }
}

impl Ids {
    /// Of a log whose first record has this position.
    pub fn from(start: u64) -> Self {
        let table = Table { lines: vec![EMPTY; LINES_MIN], ids: 0 };
        Self { known: Vec::new(), start, tables: vec![table; TABLES], keyed: RandomState::default() }
    }

    /// Tells a repeated record from another one under the same id. It is against faults of emitters, since who forges a record
    /// under a known id only gets it ignored.
    pub fn digest(&self, data: &[u8]) -> u64 {
        self.keyed.hash_one(data)
    }

    /// What the tables look for an id by.
    pub fn hash(&self, id: u128) -> u64 {
        self.keyed.hash_one(id)
    }

    /// Position and digest of an id, whose hash this is.
    pub fn get(&self, id: u128, hash: u64) -> Option<(u64, u64)> {
        let id = halves(id);
        self.tables[table_of(hash)].find(hash, |position| {
            let (index, known) = known_at(&self.known, self.start, position)?;
            (known.id == id).then_some((self.start + index as u64, known.digest))
        })
    }

    /// Notes the id of the next record, which is not known yet.
    pub fn push(&mut self, id: u128, hash: u64, digest: u64) {
        let position = self.start + self.known.len() as u64;
        let table = &mut self.tables[table_of(hash)];
        if table.is_full() {
            let (known, start, keyed) = (&self.known, self.start, &self.keyed);
            table.grow(|position| known_at(known, start, position).map(|(_, known)| keyed.hash_one(known.id())));
        }
        table.put(hash, position as u32);
        self.known.push(Known { id: halves(id), digest });
    }

    /// How many of these are known. Nothing of a look depends on the one before, so that memory answers several at once; what is
    /// appended next is near then.
    pub fn among(&self, ids: impl IntoIterator<Item = u128>) -> usize {
        let (mut ids, mut count) = (ids.into_iter(), 0);
        let mut some = [(0, 0); TOGETHER];
        loop {
            let mut filled = 0;
            for (place, id) in some.iter_mut().zip(ids.by_ref()) {
                *place = (id, self.hash(id));
                filled += 1;
            }
            let some = &some[..filled];
            // So little for each that the processor asks for many lines before the first one is there.
            let taken = some.iter().map(|(_, hash)| {
                let table = &self.tables[table_of(*hash)];
                table.lines.get(table.line_of(*hash)).map_or(0, |line| line.taken)
            });
            // Who only wants them near drops the number, and the looks with it.
            std::hint::black_box(taken.sum::<u32>());
            count += some.iter().filter(|(id, hash)| self.get(*id, *hash).is_some()).count();
            if filled < TOGETHER {
                return count;
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets what is before a position. Tables forget it when they are made anew.
    pub fn forget_before(&mut self, position: u64) {
        let gone = position.saturating_sub(self.start).min(self.known.len() as u64);
        self.known.drain(..gone as usize);
        self.start += gone;
    }
}

fn table_of(hash: u64) -> usize {
    (hash >> (u64::BITS - TABLE_BITS)) as usize
}

/// What stands at a position of which this is the lower half, and how far from the start. What was forgotten either is too far or
/// meets another id, which is compared.
fn known_at(known: &[Known], start: u64, position: u32) -> Option<(usize, &Known)> {
    let index = position.wrapping_sub(start as u32) as usize;
    known.get(index).map(|known| (index, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::Dice;

    fn get(ids: &Ids, id: u128) -> Option<(u64, u64)> {
        ids.get(id, ids.hash(id))
    }

    fn push(ids: &mut Ids, id: u128, digest: u64) {
        ids.push(id, ids.hash(id), digest);
    }

    #[test]
    fn ids_are_found_at_their_positions_until_they_are_forgotten() {
        // Also where the lower half of positions begins anew.
        for start in [0, 100, u64::from(u32::MAX) - 1_500] {
            let mut ids = Ids::from(start);
            let id = |number: u64| u128::from(number) << 60;
            for number in 0..3000 {
                assert_eq!(get(&ids, id(number)), None);
                push(&mut ids, id(number), number + 7);
            }
            assert_eq!((ids.len(), ids.among((0..3100).map(id))), (3000, 3000));
            assert_eq!(get(&ids, id(2000)), Some((start + 2000, 2007)));
            ids.forget_before(start + 1000);
            assert_eq!((ids.len(), ids.among((0..3100).map(id)), get(&ids, id(999))), (2000, 2000, None));
            // What was forgotten may come again, until the tables are full of what is known.
            for number in (0..1000).chain(5000..9000) {
                push(&mut ids, id(number), 1);
            }
            assert_eq!((get(&ids, id(1000)), get(&ids, id(0))), (Some((start + 1000, 1007)), Some((start + 3000, 1))));
            assert_eq!(get(&ids, id(8999)), Some((start + 7999, 1)));
            assert_eq!(ids.among((0..9000).map(id)), 7000);
        }
    }

    #[test]
    fn what_stands_behind_a_full_line_is_found_and_what_is_not_there_is_not() {
        let mut dice = Dice::new(7);
        // All of them belong to the last of some lines, which is followed by the first.
        let hash = |dice: &mut Dice| dice.roll() | u64::MAX << 50;
        let (there, missing): (Vec<u64>, Vec<u64>) =
            ((0..23).map(|_| hash(&mut dice)).collect(), (0..23).map(|_| hash(&mut dice)).collect());
        let mut table = Table { lines: vec![EMPTY; 9], ids: 0 };
        (0..).zip(&there).for_each(|(position, hash)| table.put(*hash, position));
        assert!(table.lines[8].is_full() && table.lines[0].is_full() && table.lines[1].taken == 3);
        for (position, hash) in (0..).zip(&there) {
            assert_eq!(table.find(*hash, |found| (found == position).then_some(())), Some(()));
        }
        for hash in missing {
            assert_eq!(table.find(hash, |position| (there[position as usize] == hash).then_some(())), None);
        }
    }
}
