//! The rows of one tick, and how they differ from those of another: bytes between the two ends of a tape, both in this process.

use arbiter_schema::{ComponentId, StableId};
use arbiter_sim::Row;

/// Whose a row is, and where its lanes are.
#[derive(Debug, Clone, Copy)]
struct Head {
    id: StableId,
    component: ComponentId,
    owner: Option<u16>,
    team: u8,
    start: usize,
    end: usize,
}

impl Head {
    fn key(&self) -> (StableId, ComponentId) {
        (self.id, self.component)
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.owner, self.team, self.end - self.start) == (other.owner, other.team, other.end - other.start)
    }
}

/// The rows of a tick, by id and component.
#[derive(Debug, Default)]
pub struct Rows {
    heads: Vec<Head>,
    lanes: Vec<i32>,
}

/// So many rows are as they were; then one that is not, in the two lowest bits.
const END: u64 = 0;
const CHANGED: u64 = 1;
const REMOVED: u64 = 2;
const ADDED: u64 = 3;

impl Rows {
    pub fn clear(&mut self) {
        self.heads.clear();
        self.lanes.clear();
    }

    /// Rows ascend by id and component.
    pub fn push(&mut self, row: Row<'_>) {
        let start = self.lanes.len();
        self.lanes.extend_from_slice(row.lanes);
        let Row { id, component, owner, team, .. } = row;
        self.heads.push(Head { id, component, owner, team, start, end: self.lanes.len() });
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.heads.iter().map(|head| self.row(head))
    }

    fn row(&self, head: &Head) -> Row<'_> {
        let Head { id, component, owner, team, start, end } = *head;
        Row { id, component, owner, team, lanes: &self.lanes[start..end] }
    }

    fn lanes_of(&self, head: &Head) -> &[i32] {
        &self.lanes[head.start..head.end]
    }

    /// Appends how these rows differ from `old`.
    pub fn write(&self, old: &Self, out: &mut Vec<u8>) {
        let mut before = old.heads.iter().peekable();
        let mut same = 0;
        let mark = |same: &mut u64, what: u64, out: &mut Vec<u8>| put(core::mem::take(same) << 2 | what, out);
        for head in &self.heads {
            while before.next_if(|was| was.key() < head.key()).is_some() {
                mark(&mut same, REMOVED, out);
            }
            let was = before.next_if(|was| was.key() == head.key());
            match was {
                Some(was) if was.is_like(head) => {
                    if old.lanes_of(was) == self.lanes_of(head) {
                        same += 1;
                    } else {
                        mark(&mut same, CHANGED, out);
                        write_changes(old.lanes_of(was), self.lanes_of(head), out);
                    }
                }
                was => {
                    if was.is_some() {
                        mark(&mut same, REMOVED, out);
                    }
                    mark(&mut same, ADDED, out);
                    self.write_row(head, out);
                }
            }
        }
        while before.next().is_some() {
            mark(&mut same, REMOVED, out);
        }
        mark(&mut same, END, out);
    }

    fn write_row(&self, head: &Head, out: &mut Vec<u8>) {
        put(u64::from(head.id.0), out);
        put(u64::from(head.component), out);
        put(head.owner.map_or(0, |owner| u64::from(owner) + 1), out);
        out.push(head.team);
        let lanes = self.lanes_of(head);
        put(lanes.len() as u64, out);
        lanes.iter().for_each(|lane| put(zigzag(*lane), out));
    }

    /// Becomes what was written with [`Self::write`] against `old`.
    pub fn read(&mut self, old: &Self, from: &mut Bytes<'_>) {
        self.clear();
        let mut before = old.heads.iter();
        loop {
            let mark = from.take();
            for head in before.by_ref().take((mark >> 2) as usize) {
                self.push(old.row(head));
            }
            match mark & 3 {
                CHANGED => {
                    if let Some(head) = before.next() {
                        self.push(old.row(head));
                        let start = self.lanes.len() - (head.end - head.start);
                        read_changes(&mut self.lanes[start..], from);
                    }
                }
                REMOVED => {
                    before.next();
                }
                ADDED => self.read_row(from),
                _ => return,
            }
        }
    }

    fn read_row(&mut self, from: &mut Bytes<'_>) {
        let (id, component) = (StableId(from.take() as u32), from.take() as ComponentId);
        let owner = from.take().checked_sub(1).map(|owner| owner as u16);
        let team = from.byte();
        let (count, start) = (from.take(), self.lanes.len());
        self.lanes.extend((0..count).map(|_| unzigzag(from.take())));
        self.heads.push(Head { id, component, owner, team, start, end: self.lanes.len() });
    }
}

/// Eight lanes at a time: a byte of those that changed, then by how much.
fn write_changes(was: &[i32], is: &[i32], out: &mut Vec<u8>) {
    for (was, is) in was.chunks(8).zip(is.chunks(8)) {
        let pairs = || was.iter().zip(is);
        out.push(pairs().rev().fold(0, |mask, (was, is)| mask << 1 | u8::from(was != is)));
        pairs().filter(|(was, is)| was != is).for_each(|(was, is)| put(zigzag(is.wrapping_sub(*was)), out));
    }
}

fn read_changes(lanes: &mut [i32], from: &mut Bytes<'_>) {
    for lanes in lanes.chunks_mut(8) {
        let mask = from.byte();
        for (at, lane) in lanes.iter_mut().enumerate().filter(|(at, _)| mask >> at & 1 != 0) {
            debug_assert!(at < 8, "eight lanes to a mask");
            *lane = lane.wrapping_add(unzigzag(from.take()));
        }
    }
}

fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}

fn unzigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Seven bits to a byte, the lowest first; the highest bit says that more follow.
pub fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What is left to be read of what this process wrote itself. Behind the end there are zeros.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn byte(&mut self) -> u8 {
        debug_assert!(!self.0.is_empty(), "a tape is read as it was written");
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// The next so many bytes; all that is left if there are fewer.
    pub fn split(&mut self, len: usize) -> Self {
        debug_assert!(len <= self.0.len(), "a tape is read as it was written");
        let (first, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Self(first)
    }

    pub fn take(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Told = (u32, u8, Option<u16>, u8, Vec<i32>);

    fn rows(told: &[Told]) -> Rows {
        let mut rows = Rows::default();
        let mut told = told.to_vec();
        told.sort_by_key(|row| (row.0, row.1));
        told.dedup_by_key(|row| (row.0, row.1));
        for (id, component, owner, team, lanes) in &told {
            let component = ComponentId::from(*component);
            rows.push(Row { id: StableId(*id), component, owner: *owner, team: *team, lanes });
        }
        rows
    }

    fn any_rows() -> impl Strategy<Value = Vec<Told>> {
        let lane = prop_oneof![Just(0), Just(i32::MIN), Just(i32::MAX), any::<i32>(), -3..3];
        let row = (0_u32..9, 0_u8..3, prop::option::of(0..3_u16), 0_u8..2, prop::collection::vec(lane, 0..20));
        prop::collection::vec(row, 0..12)
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(was in any_rows(), is in any_rows()) {
            let (was, is) = (rows(&was), rows(&is));
            let mut bytes = Vec::new();
            is.write(&was, &mut bytes);
            let (mut read, mut from) = (Rows::default(), Bytes(&bytes));
            read.read(&was, &mut from);
            prop_assert!(from.0.is_empty());
            prop_assert!(read.iter().eq(is.iter()));
        }
    }

    #[test]
    fn what_is_as_it_was_takes_a_byte() {
        let told: Vec<Told> = (0..9).map(|id| (id, 0, Some(1), 1, vec![7; 30])).collect();
        let (was, is, mut bytes) = (rows(&told), rows(&told), Vec::new());
        is.write(&was, &mut bytes);
        assert_eq!(bytes, [9 << 2]);
    }
}
