//! Memory for one block while it is filled, sealed and written: aligned as disks want it that are written to past the system's
//! cache, and used again, so that a warm log allocates nothing.
//!
//! A disk is told of every piece of memory that does not lie behind the one before, and memory of pages of 4 KiB lies anywhere: a
//! block of 70 KB is 18 pieces, which takes a virtual disk some 10 us longer than one. So memory that may become so large is asked for in
//! large pages.

use memmap2::MmapMut;

use crate::frame::{FRAME_BYTES, padded};
use crate::keys::TAG_BYTES;
use crate::record;

/// Where a block begins in memory: a page, which every device that takes direct writes is content with.
const ALIGN_BYTES: usize = 4096;

/// A large page of most processors. Where they are larger, or there are none, blocks are in several pieces.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// So many bytes, zeros at first.
#[derive(Debug)]
enum Memory {
    Plain(Vec<u8>),
    InLargePages(MmapMut),
}

impl Memory {
    fn of(room: usize) -> Self {
        if room < LARGE_PAGE_BYTES {
            return Self::Plain(vec![0; ALIGN_BYTES + room]);
        }
        match MmapMut::map_anon(LARGE_PAGE_BYTES + room) {
            Ok(memory) => {
                // A wish, which costs time and nothing else if it is not granted.
                #[cfg(target_os = "linux")]
                let _ = memory.advise(memmap2::Advice::HugePage);
                Self::InLargePages(memory)
            }
            Err(_) => Self::Plain(vec![0; ALIGN_BYTES + room]),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::InLargePages(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::InLargePages(bytes) => bytes,
        }
    }

    /// Where a block begins in it.
    fn start(&self) -> usize {
        let align = match self {
            Self::Plain(_) => ALIGN_BYTES,
            Self::InLargePages(_) => LARGE_PAGE_BYTES,
        };
        // Where the address cannot be known this is out of reach, and direct writes may be refused, which is no loss.
        Some(self.bytes().as_ptr().align_offset(align)).filter(|start| *start < align).unwrap_or(0)
    }
}

/// Records of one block; room for a frame stands before them.
#[derive(Debug)]
pub(crate) struct Batch {
    memory: Memory,
    /// Where the block begins in `memory`.
    start: usize,
    /// Where it ends; 0 if there is no memory.
    end: usize,
    /// Records in it.
    pub count: u32,
}

impl Default for Batch {
    /// One without memory.
    fn default() -> Self {
        Self { memory: Memory::Plain(Vec::new()), start: 0, end: 0, count: 0 }
    }
}

impl Batch {
    /// An empty one for so many bytes of records. It never grows beyond.
    pub fn new(batch_bytes: usize) -> Self {
        let memory = Memory::of(padded(FRAME_BYTES + batch_bytes + TAG_BYTES));
        let start = memory.start();
        Self { memory, start, end: start + FRAME_BYTES, count: 0 }
    }

    /// Whether there is no memory in it: it is under way, or there never was.
    pub fn is_away(&self) -> bool {
        self.end == 0
    }

    /// Bytes of records.
    pub fn record_bytes(&self) -> usize {
        self.end.saturating_sub(self.start + FRAME_BYTES)
    }

    /// Adds a record, for which there is room.
    pub fn push(&mut self, id: u128, data: &[u8]) {
        self.extend(&record::head(id, data));
        self.extend(data);
        self.count += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        self.memory.bytes_mut()[self.end..end].copy_from_slice(bytes);
        self.end = end;
    }

    /// The records, to be sealed in place.
    pub fn records_mut(&mut self) -> &mut [u8] {
        &mut self.memory.bytes_mut()[self.start + FRAME_BYTES..self.end]
    }

    /// Adds what a seal leaves behind the records.
    pub fn push_tag(&mut self, tag: &[u8]) {
        self.extend(tag);
    }

    /// The block so far: room for the frame, and the payload.
    pub fn block_mut(&mut self) -> &mut [u8] {
        &mut self.memory.bytes_mut()[self.start..self.end]
    }

    /// Fills the block up to the next border of a sector.
    pub fn pad(&mut self) {
        let end = self.start + padded(self.end - self.start);
        self.memory.bytes_mut()[self.end..end].fill(0);
        self.end = end;
    }

    /// The block as it is to be stored.
    pub fn block(&self) -> &[u8] {
        &self.memory.bytes()[self.start..self.end]
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.end = self.start + FRAME_BYTES;
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SECTOR_BYTES;

    #[test]
    fn a_block_begins_on_a_page_and_stays_there_while_it_is_filled() {
        let mut batch = Batch::new(2000);
        let place = batch.block().as_ptr();
        assert_eq!(place.align_offset(ALIGN_BYTES), 0);
        for id in 0..4 {
            batch.push(id, &[7; 480]);
        }
        batch.push_tag(&[1; TAG_BYTES]);
        batch.pad();
        assert_eq!((batch.block().as_ptr(), batch.block().len() % SECTOR_BYTES), (place, 0));
        batch.clear();
        assert_eq!((batch.record_bytes(), batch.count, batch.block().as_ptr()), (0, 0, place));
    }

    #[test]
    fn what_may_become_large_is_as_well_aligned_as_large_pages_are_and_holds_all_that_it_may() {
        let batch_bytes = LARGE_PAGE_BYTES + 1000;
        let mut batch = Batch::new(batch_bytes);
        assert!(matches!(batch.memory, Memory::InLargePages(_)));
        assert_eq!(batch.block().as_ptr().align_offset(LARGE_PAGE_BYTES), 0);
        for life in 1..3_u8 {
            batch.push(1, &vec![life; batch_bytes - crate::record::RECORD_HEAD_BYTES]);
            batch.push_tag(&[life; TAG_BYTES]);
            let end = batch.block().len();
            batch.pad();
            assert!(batch.block()[end..].iter().all(|byte| *byte == 0));
            batch.clear();
        }
        assert_eq!((batch.record_bytes(), Batch::default().is_away(), batch.is_away()), (0, true, false));
    }
}
