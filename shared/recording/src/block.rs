//! The frame around every block: what kind it is, which ticks it covers, and how it is known to be whole and in its place.
//!
//! Two checks, because they find different things. CRC-32 finds damaged bytes in one block, whatever happened around it. The
//! chain, a BLAKE3 over the chain of the block before, this frame and this payload, finds blocks that are whole but were
//! cut out, put in or swapped; its last value names the whole recording.

/// The first bytes of a recording: magic, version and a checksum of both.
pub const PREAMBLE_BYTES: usize = 16;

/// Eight bytes that no text file begins with; the line end shows transfers that changed line ends.
pub const MAGIC: [u8; 8] = *b"\x93ARBREC\n";

/// Bytes in the frame of a block, before its payload.
pub const FRAME_BYTES: usize = 48;

/// The pointer to the index, the last bytes of a finished recording.
pub const TRAILER_BYTES: usize = 20;

/// The first bytes of the trailer.
pub const TRAILER_MAGIC: [u8; 8] = *b"\x93ARBIDX\n";

/// Where every frame begins, so that a reader finds the next block behind damage.
pub const MARKER: [u8; 4] = *b"\xA7BLK";

/// Bytes that a payload may have: a checkpoint of a match with a thousand awake props is 10 MB before compression.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// BLAKE3 cut to 16 bytes: forging is not what it is against, and 128 bits never collide by accident.
pub type Chain = [u8; 16];

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything needed to build tick 0; the first block, and only that.
    Header,
    /// Commands and hashes of consecutive ticks.
    Ticks,
    /// A whole state.
    Checkpoint,
    /// How it ended and where the blocks are; the last block, and only that.
    End,
    /// What became of the room that played it.
    Mark,
}

impl Kind {
    fn to_byte(self) -> u8 {
        match self {
            Kind::Header => 1,
            Kind::Ticks => 2,
            Kind::Checkpoint => 3,
            Kind::End => 4,
            Kind::Mark => 5,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Header, Kind::Ticks, Kind::Checkpoint, Kind::End, Kind::Mark]
            .into_iter()
            .find(|kind| kind.to_byte() == byte)
    }
}

/// The frame of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// What it holds.
    pub kind: Kind,
    /// Counted from 0, the header.
    pub number: u32,
    /// First tick that it holds, or the tick of a checkpoint, or the one before a mark; 0 for header and end.
    pub first_tick: u32,
    /// How many ticks it holds; 0 for other kinds.
    pub ticks: u32,
    /// Bytes of payload that follow.
    pub payload_bytes: u32,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
    /// Chain through this block.
    pub chain: Chain,
}

impl BlockHeader {
    /// The frame for a payload that follows a block with this chain.
    pub fn seal(kind: Kind, number: u32, first_tick: u32, ticks: u32, payload: &[u8], before: &Chain) -> Self {
        let mut header = Self {
            kind,
            number,
            first_tick,
            ticks,
            payload_bytes: payload.len() as u32,
            payload_crc: crc32fast::hash(payload),
            chain: [0; 16],
        };
        header.chain = header.chain_after(before, payload);
        header
    }

    /// What the chain through this block must be, given the chain of the block before and the payload.
    pub fn chain_after(&self, before: &Chain, payload: &[u8]) -> Chain {
        let mut hasher = blake3::Hasher::new();
        hasher.update(before);
        hasher.update(&self.to_bytes()[..28]);
        hasher.update(payload);
        cut(hasher.finalize())
    }

    /// Its bytes: marker, kind and three zeros, number, first tick, ticks, payload bytes, payload CRC, chain, CRC of all.
    pub fn to_bytes(&self) -> [u8; FRAME_BYTES] {
        let mut out = [0; FRAME_BYTES];
        out[..4].copy_from_slice(&MARKER);
        out[4] = self.kind.to_byte();
        let words = [self.number, self.first_tick, self.ticks, self.payload_bytes, self.payload_crc];
        for (index, word) in words.into_iter().enumerate() {
            out[8 + index * 4..12 + index * 4].copy_from_slice(&word.to_le_bytes());
        }
        out[28..44].copy_from_slice(&self.chain);
        let crc = crc32fast::hash(&out[..44]);
        out[44..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a frame; `None` if these bytes are not a whole one.
    pub fn from_bytes(bytes: &[u8; FRAME_BYTES]) -> Option<Self> {
        if bytes[..4] != MARKER || word(bytes, 44) != crc32fast::hash(&bytes[..44]) || bytes[5..8] != [0; 3] {
            return None;
        }
        let mut chain = [0; 16];
        chain.copy_from_slice(&bytes[28..44]);
        let header = Self {
            kind: Kind::from_byte(bytes[4])?,
            number: word(bytes, 8),
            first_tick: word(bytes, 12),
            ticks: word(bytes, 16),
            payload_bytes: word(bytes, 20),
            payload_crc: word(bytes, 24),
            chain,
        };
        let sane = header.payload_bytes as usize <= PAYLOAD_BYTES_MAX
            && header.first_tick.checked_add(header.ticks).is_some()
            && header.ticks as usize <= crate::columns::TICKS_MAX;
        sane.then_some(header)
    }

    /// The ticks that the block holds; empty for other kinds.
    pub fn tick_range(&self) -> std::ops::Range<u32> {
        self.first_tick..self.first_tick.saturating_add(self.ticks)
    }
}

/// The first bytes of a recording.
pub fn preamble(version: u32) -> [u8; PREAMBLE_BYTES] {
    let mut out = [0; PREAMBLE_BYTES];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&out[..12]);
    out[12..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// What the first block is chained to.
pub fn first_chain(preamble: &[u8; PREAMBLE_BYTES]) -> Chain {
    cut(blake3::hash(preamble))
}

/// The last bytes of a finished recording, for an end block at this offset.
pub fn trailer(end_offset: u64) -> [u8; TRAILER_BYTES] {
    let mut out = [0; TRAILER_BYTES];
    out[..8].copy_from_slice(&TRAILER_MAGIC);
    out[8..16].copy_from_slice(&end_offset.to_le_bytes());
    let crc = crc32fast::hash(&out[..16]);
    out[16..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The offset of the end block; `None` if these bytes are no trailer.
pub fn read_trailer(bytes: &[u8; TRAILER_BYTES]) -> Option<u64> {
    let mut offset = [0; 8];
    offset.copy_from_slice(&bytes[8..16]);
    let offset = u64::from_le_bytes(offset);
    (trailer(offset) == *bytes).then_some(offset)
}

/// BLAKE3 of some bytes, cut.
pub fn digest(bytes: &[u8]) -> Chain {
    cut(blake3::hash(bytes))
}

fn cut(hash: blake3::Hash) -> Chain {
    let mut out = [0; 16];
    out.copy_from_slice(&hash.as_bytes()[..16]);
    out
}

/// The little-endian word at an offset that the caller knows to be inside.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
