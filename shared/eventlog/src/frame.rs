//! Bytes of a segment: its header, and the frame around every block. The layout is written down in `docs/eventlog.md`.
//!
//! Two checks, as in a recording: CRC-32 finds damaged bytes in one block whatever happened around it; the chain, BLAKE3 over
//! the chain of the block before, the frame and the payload as stored, finds blocks that are whole but were cut out, put in or
//! swapped. The chain needs no key, so that who may not read a log can still verify it.

use crate::chain::Beforehand;

/// What a disk writes whole or not at all. Blocks begin on such a border, so that no write touches a sector that holds
/// what was acknowledged before.
pub const SECTOR_BYTES: usize = 512;

/// Bytes of a segment's header: a page, so that blocks begin behind it on a border of any disk.
pub const HEADER_BYTES: usize = 4096;

/// Bytes in the frame of a block, before its payload.
pub const FRAME_BYTES: usize = 96;

/// Bytes of [`FRAME_BYTES`] that the chain and the seal cover: all but the chain itself and the CRC.
pub const COVERED_BYTES: usize = 56;

/// Where, in the room for a frame, the covered bytes stand while the chain is taken, and the chain before them.
const COVERED_FROM: usize = FRAME_BYTES - COVERED_BYTES;
const HASHED_FROM: usize = COVERED_FROM - size_of::<Chain>();

/// Bytes that a payload may have, with its seal; what one commit writes at most.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;

/// Version of the format that this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Where every frame begins, as in a recording.
pub const MARKER: [u8; 4] = *b"\xA7BLK";

/// The kind of a block of records; recordings use 1 to 4.
pub const KIND_RECORDS: u8 = 16;

const MAGIC: [u8; 8] = *b"\x93ARBLOG\n";

/// BLAKE3 over everything stored up to here; it names a log through one block.
pub type Chain = [u8; 32];

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Random, the same in all segments of a log.
    pub log_id: [u8; 16],
    /// Position of its first record.
    pub first: u64,
    /// Number of its first block.
    pub first_block: u64,
    /// Key that its own blocks are sealed with; 0 for none.
    pub key_epoch: u32,
    /// Chain through the block before its first.
    pub before: Chain,
}

impl SegmentHeader {
    /// Its bytes, padded to a page.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[12..28].copy_from_slice(&self.log_id);
        out[28..36].copy_from_slice(&self.first.to_le_bytes());
        out[36..44].copy_from_slice(&self.first_block.to_le_bytes());
        out[44..48].copy_from_slice(&self.key_epoch.to_le_bytes());
        out[48..80].copy_from_slice(&self.before);
        let crc = crc32fast::hash(&out[..80]);
        out[80..84].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads it; `Err` holds the version if it is a segment of another one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Option<u32>> {
        let whole = bytes.len() >= HEADER_BYTES
            && bytes[..8] == MAGIC
            && word(bytes, 80) == crc32fast::hash(&bytes[..80])
            && bytes[84..HEADER_BYTES].iter().all(|byte| *byte == 0);
        if !whole {
            return Err(None);
        }
        if word(bytes, 8) != FORMAT_VERSION {
            return Err(Some(word(bytes, 8)));
        }
        Ok(Self {
            log_id: array(bytes, 12),
            first: long(bytes, 28),
            first_block: long(bytes, 36),
            key_epoch: word(bytes, 44),
            before: array(bytes, 48),
        })
    }

    /// What the frames of this log carry, so that bytes inside of a record never pass for a frame: nobody who writes
    /// records knows it.
    pub fn salt(&self) -> [u8; 8] {
        array(&self.log_id, 0)
    }
}

/// What the first block of a log is chained to.
pub fn first_chain(log_id: &[u8; 16]) -> Chain {
    blake3::derive_key("arbiter eventlog 1 first chain", log_id)
}

/// The frame of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Counted from 0 over the whole log.
    pub number: u64,
    /// Position of its first record.
    pub first: u64,
    /// Records in it, at least 1.
    pub count: u32,
    /// Bytes of payload as stored, seal included, padding not.
    pub payload_bytes: u32,
    /// Salt of the log.
    pub salt: [u8; 8],
    /// Drawn for this block if it is sealed.
    pub nonce: [u8; 12],
    /// CRC-32 of the payload as stored; filled in before the block is written.
    pub payload_crc: u32,
    /// Chain through this block; filled in when the block before is on disk.
    pub chain: Chain,
}

impl Frame {
    /// Bytes that say which block it is, before anything is known of the stored payload; a seal covers them.
    pub fn identity(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(&self.covered()[..32]);
        out
    }

    /// Fills in what depends on the stored payload alone, which stands in `block` behind room for the frame; what it returns is for
    /// [`Self::link`].
    pub(crate) fn prepare(&mut self, block: &[u8]) -> Beforehand {
        self.payload_crc = crc32fast::hash(&block[FRAME_BYTES..]);
        Beforehand::of(&block[HASHED_FROM..])
    }

    /// Fills in the chain, which follows from the block before, and writes the frame into the room for it.
    pub(crate) fn link(&mut self, before: &Chain, beforehand: &Beforehand, block: &mut [u8]) {
        // What is hashed stands in one piece for a moment, with the room for the frame: in pieces it would be hashed slower.
        block[HASHED_FROM..COVERED_FROM].copy_from_slice(before);
        block[COVERED_FROM..FRAME_BYTES].copy_from_slice(&self.covered());
        self.chain = beforehand.finish(&block[HASHED_FROM..]);
        block[..FRAME_BYTES].copy_from_slice(&self.to_bytes());
    }

    /// What the chain through this block must be.
    pub fn chain_after(&self, before: &Chain, payload: &[u8]) -> Chain {
        let mut hasher = blake3::Hasher::new();
        hasher.update(before).update(&self.covered()).update(payload);
        *hasher.finalize().as_bytes()
    }

    fn covered(&self) -> [u8; COVERED_BYTES] {
        let mut out = [0; COVERED_BYTES];
        out[..4].copy_from_slice(&MARKER);
        out[4] = KIND_RECORDS;
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.first.to_le_bytes());
        out[24..28].copy_from_slice(&self.count.to_le_bytes());
        out[28..32].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[32..36].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[36..44].copy_from_slice(&self.salt);
        out[44..56].copy_from_slice(&self.nonce);
        out
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; FRAME_BYTES] {
        let mut out = [0; FRAME_BYTES];
        out[..COVERED_BYTES].copy_from_slice(&self.covered());
        out[56..88].copy_from_slice(&self.chain);
        let crc = crc32fast::hash(&out[..92]);
        out[92..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a frame of the log with this salt; `None` if these bytes are not a whole one.
    pub fn from_bytes(bytes: &[u8], salt: &[u8; 8]) -> Option<Self> {
        let bytes = bytes.get(..FRAME_BYTES)?;
        let shape =
            bytes[..4] == MARKER && bytes[4] == KIND_RECORDS && bytes[5..8] == [0; 3] && bytes[88..92] == [0; 4];
        if !shape || bytes[36..44] != *salt || word(bytes, 92) != crc32fast::hash(&bytes[..92]) {
            return None;
        }
        let frame = Self {
            number: long(bytes, 8),
            first: long(bytes, 16),
            count: word(bytes, 24),
            payload_bytes: word(bytes, 28),
            payload_crc: word(bytes, 32),
            salt: *salt,
            nonce: array(bytes, 44),
            chain: array(bytes, 56),
        };
        let sane = frame.count > 0
            && frame.payload_bytes as usize <= PAYLOAD_BYTES_MAX
            && frame.first.checked_add(frame.count.into()).is_some()
            && frame.number < u64::MAX;
        sane.then_some(frame)
    }

    /// Bytes that the whole block takes on disk.
    pub fn stored_bytes(&self) -> usize {
        padded(FRAME_BYTES + self.payload_bytes as usize)
    }

    /// Position behind its last record.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count.into())
    }
}

/// Up to the next border of a sector.
pub fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(SECTOR_BYTES)
}

/// The little-endian number at an offset that the caller knows to be inside.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// The little-endian number at an offset that the caller knows to be inside.
pub(crate) fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// Some bytes at an offset that the caller knows to be inside.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let mut frame = Frame {
            number: 7,
            first: 40,
            count: 3,
            payload_bytes: 5,
            salt: [9; 8],
            nonce: [4; 12],
            payload_crc: 0,
            chain: [0; 32],
        };
        finish(&mut frame, &mut block(b"hello"));
        frame
    }

    fn finish(frame: &mut Frame, block: &mut [u8]) {
        let beforehand = frame.prepare(block);
        frame.link(&[1; 32], &beforehand, block);
    }

    /// A payload behind room for its frame.
    fn block(payload: &[u8]) -> Vec<u8> {
        [&[0xFF; FRAME_BYTES], payload].concat()
    }

    #[test]
    fn a_frame_reads_as_written() {
        assert_eq!(Frame::from_bytes(&frame().to_bytes(), &[9; 8]), Some(frame()));
    }

    #[test]
    fn a_finished_block_has_its_frame_and_the_chain_that_a_reader_finds() {
        for length in [0, 5, 900, 1024, 70_000] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (mut frame, mut block) = (Frame { payload_bytes: length, ..frame() }, block(&payload));
            finish(&mut frame, &mut block);
            assert_eq!(Frame::from_bytes(&block, &[9; 8]), Some(frame));
            assert_eq!(frame.chain_after(&[1; 32], &block[FRAME_BYTES..]), frame.chain);
            assert_eq!(block[FRAME_BYTES..], payload);
        }
    }

    #[test]
    fn no_flipped_bit_of_a_frame_goes_unnoticed() {
        let bytes = frame().to_bytes();
        for bit in 0..FRAME_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::from_bytes(&bytes, &[9; 8]), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_log_is_none() {
        assert_eq!(Frame::from_bytes(&frame().to_bytes(), &[8; 8]), None);
    }

    #[test]
    fn a_segment_header_reads_as_written_and_no_flipped_bit_goes_unnoticed() {
        let header = SegmentHeader { log_id: [3; 16], first: 5, first_block: 2, key_epoch: 1, before: [6; 32] };
        let bytes = header.to_bytes();
        assert_eq!(SegmentHeader::from_bytes(&bytes), Ok(header));
        for at in 0..HEADER_BYTES {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert!(SegmentHeader::from_bytes(&bytes).is_err(), "byte {at}");
        }
    }
}
