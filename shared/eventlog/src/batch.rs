//! Memory for one block while it is filled, sealed and written: aligned as disks want it that are written to past the system's
//! cache, and used again, so that a warm log allocates nothing.

use crate::frame::{FRAME_BYTES, padded};
use crate::keys::TAG_BYTES;
use crate::record;

/// Where a block begins in memory: a page, which every device that takes direct writes is content with.
const ALIGN_BYTES: usize = 4096;

/// Records of one block; room for a frame stands before them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where the block begins in `bytes`.
    start: usize,
    /// Records in it.
    pub count: u32,
}

impl Batch {
    /// An empty one for so many bytes of records. It never grows beyond, so that it stays where it is in memory.
    pub fn new(batch_bytes: usize) -> Self {
        let room = ALIGN_BYTES + padded(FRAME_BYTES + batch_bytes + TAG_BYTES);
        let mut bytes: Vec<u8> = Vec::with_capacity(room);
        // Where the address cannot be known this is out of reach, and direct writes may be refused, which is no loss.
        let start = Some(bytes.as_ptr().align_offset(ALIGN_BYTES)).filter(|start| *start < ALIGN_BYTES).unwrap_or(0);
        bytes.resize(start + FRAME_BYTES, 0);
        Self { bytes, start, count: 0 }
    }

    /// Whether there is no memory in it: it is under way, or there never was.
    pub fn is_away(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of records.
    pub fn record_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(self.start + FRAME_BYTES)
    }

    /// Adds a record.
    pub fn push(&mut self, id: u128, data: &[u8]) {
        record::push(&mut self.bytes, id, data);
        self.count += 1;
    }

    /// The records, to be sealed in place.
    pub fn records_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start + FRAME_BYTES..]
    }

    /// Adds what a seal leaves behind the records.
    pub fn push_tag(&mut self, tag: &[u8]) {
        self.bytes.extend_from_slice(tag);
    }

    /// The block so far: room for the frame, and the payload.
    pub fn block_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Fills the block up to the next border of a sector.
    pub fn pad(&mut self) {
        let whole = padded(self.bytes.len() - self.start);
        self.bytes.resize(self.start + whole, 0);
    }

    /// The block as it is to be stored.
    pub fn block(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start + FRAME_BYTES);
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
}
