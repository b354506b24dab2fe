//! Which segments a log has, and the walk over their blocks that proves each one.
//!
//! A segment ends where the next one begins: what an older one holds behind that was never acknowledged, or is a copy of
//! what the next one begins with. So a file is never written again after a crash, and yet nothing is lost.

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, Fault, OpenError};
use crate::frame::{self, Chain, FORMAT_VERSION, FRAME_BYTES, Frame, HEADER_BYTES, SECTOR_BYTES, SegmentHeader};
use crate::mark::Mark;

/// Bytes of a segment at most: a walk holds one in memory.
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Segments of a log at most.
pub const SEGMENTS_MAX: usize = crate::keys::EPOCHS_MAX;

/// Blocks between two places that a reader can jump to: 16 frames are read in less time than a disk needs to answer.
const PLACE_EVERY: u64 = 16;

const PREFIX: &str = "segment-";

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub name: String,
    pub header: SegmentHeader,
}

/// What a segment holds, and what it takes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Position of its first record.
    pub first: u64,
    /// Position behind its last record; `None` of the segment that is written.
    pub end: Option<u64>,
    /// Bytes of its file.
    pub bytes: u64,
}

/// Where a walk stands: behind a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub position: u64,
    pub block: u64,
    pub chain: Chain,
    /// Offset in the segment.
    pub offset: u64,
}

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub position: u64,
    pub segment: usize,
    pub offset: u64,
}

/// Why a walk over a segment stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the block that it was to stop at.
    Limit,
    /// No whole block stands at this offset.
    NoBlock { offset: u64, fault: Fault, behind: Behind },
}

/// What stands behind the place at which a walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Only zeros, from that place on.
    Nothing,
    /// Something that is no block.
    Remains,
    /// A whole block, which was only written after what is missing had been acknowledged.
    Block,
}

/// The name of the segment that begins with a block.
pub(crate) fn segment_name(first_block: u64) -> String {
    format!("{PREFIX}{first_block:016x}")
}

/// Number of the first block of the segment of this name; `None` if it is none's.
fn first_block_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX).filter(|rest| rest.len() == 16)?;
    u64::from_str_radix(number, 16).ok()
}

/// All segments in order, with their headers.
pub(crate) fn segments<D: Disk>(disk: &D) -> Result<Vec<Segment>, OpenError> {
    segments_among(disk, &disk.names()?, |_| true)
}

/// The segments among some names whose first block is wanted, in order, with their headers.
pub(crate) fn segments_among<D: Disk>(
    disk: &D,
    names: &[String],
    wanted: impl Fn(u64) -> bool,
) -> Result<Vec<Segment>, OpenError> {
    let mut found = Vec::new();
    for name in names {
        let Some(number) = first_block_of(name).filter(|number| wanted(*number)) else { continue };
        let header = read_header(disk, name)?;
        if header.first_block != number {
            return Err(damaged(name, 0, None, header.first, Fault::Header));
        }
        found.push(Segment { name: name.clone(), header });
    }
    if found.len() > SEGMENTS_MAX {
        let (found, limit) = (found.len() as u64, SEGMENTS_MAX as u64);
        return Err(OpenError::TooMuch { what: "the log", found, limit, hint: "segments belong there; drop old ones" });
    }
    if let Some(other) = found.iter().find(|segment| segment.header.log_id != found[0].header.log_id) {
        return Err(damaged(&other.name, 0, None, other.header.first, Fault::Chain));
    }
    Ok(found)
}

fn read_header<D: Disk>(disk: &D, name: &str) -> Result<SegmentHeader, OpenError> {
    let file = disk.open(name)?;
    let length = file.length()?;
    if length > SEGMENT_BYTES_MAX {
        let (found, limit) = (length, SEGMENT_BYTES_MAX);
        return Err(OpenError::TooMuch { what: "a segment", found, limit, hint: "bytes belong there" });
    }
    let mut bytes = vec![0; HEADER_BYTES.min(length as usize)];
    file.read_at(&mut bytes, 0)?;
    SegmentHeader::from_bytes(&bytes).map_err(|version| match version {
        Some(found) => OpenError::Format { file: name.to_owned(), found, expected: FORMAT_VERSION },
        None => damaged(name, 0, None, 0, Fault::Header),
    })
}

pub(crate) fn damaged(file: &str, offset: u64, block: Option<u64>, position: u64, fault: Fault) -> OpenError {
    OpenError::Damaged(Damage { file: file.to_owned(), offset, block, position, fault })
}

impl Segment {
    /// Where a walk over it begins.
    pub fn start(&self) -> End {
        let header = &self.header;
        End { position: header.first, block: header.first_block, chain: header.before, offset: HEADER_BYTES as u64 }
    }

    /// Whether it continues what ends there.
    pub fn follows(&self, end: &End) -> bool {
        let header = &self.header;
        (header.first, header.first_block, header.before) == (end.position, end.block, end.chain)
    }

    /// Proves block after block from `end`, which moves with it, up to the block `limit`. `visit` gets each block's frame,
    /// stored payload and offset.
    pub fn walk<D: Disk>(
        &self,
        disk: &D,
        end: &mut End,
        limit: Option<u64>,
        mut visit: impl FnMut(&Frame, &[u8], u64) -> Result<(), Fault>,
    ) -> Result<Stop, OpenError> {
        let file = disk.open(&self.name)?;
        let from = end.offset;
        let length = file.length()?.min(SEGMENT_BYTES_MAX);
        let mut bytes = vec![0; length.saturating_sub(from) as usize];
        file.read_at(&mut bytes, from)?;
        let mut at = 0;
        while limit.is_none_or(|limit| end.block < limit) {
            match self.prove(&bytes[at.min(bytes.len())..], end) {
                Ok(frame) => {
                    let payload = &bytes[at + FRAME_BYTES..at + FRAME_BYTES + frame.payload_bytes as usize];
                    visit(&frame, payload, end.offset)
                        .map_err(|fault| damaged(&self.name, end.offset, Some(end.block), end.position, fault))?;
                    at += frame.stored_bytes();
                    let offset = from + at as u64;
                    *end = End { position: frame.end(), block: frame.number + 1, chain: frame.chain, offset };
                }
                Err(fault) => {
                    let behind = self.behind(&bytes[at.min(bytes.len())..], end.block);
                    return Ok(Stop::NoBlock { offset: end.offset, fault, behind });
                }
            }
        }
        Ok(Stop::Limit)
    }

    /// The block at the beginning of `bytes`, if it is whole and belongs there.
    fn prove(&self, bytes: &[u8], end: &End) -> Result<Frame, Fault> {
        let frame = Frame::from_bytes(bytes, &self.header.salt()).ok_or(Fault::Frame)?;
        let payload = bytes.get(FRAME_BYTES..FRAME_BYTES + frame.payload_bytes as usize).ok_or(Fault::Payload)?;
        let padding = bytes.get(FRAME_BYTES + payload.len()..frame.stored_bytes()).ok_or(Fault::Payload)?;
        if crc32fast::hash(payload) != frame.payload_crc || padding.iter().any(|byte| *byte != 0) {
            return Err(Fault::Payload);
        }
        let follows = frame.number == end.block && frame.first == end.position;
        if !follows || frame.chain != frame.chain_after(&end.chain, payload) {
            return Err(Fault::Chain);
        }
        Ok(frame)
    }

    /// What stands in `bytes`, where block `missing` should begin.
    fn behind(&self, bytes: &[u8], missing: u64) -> Behind {
        let salt = self.header.salt();
        let mut behind = Behind::Nothing;
        for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if index > 0 && Frame::from_bytes(sector, &salt).is_some_and(|frame| frame.number > missing) {
                return Behind::Block;
            }
            if sector.iter().any(|byte| *byte != 0) {
                behind = Behind::Remains;
            }
        }
        behind
    }
}

/// The blocks of a log that are proved, and where they are.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    pub segments: Vec<Segment>,
    pub places: Vec<Place>,
    pub end: End,
}

impl Catalogue {
    /// Of segments that were not walked yet.
    pub fn begin(segments: Vec<Segment>) -> Result<Self, OpenError> {
        let end = segments.first().ok_or(OpenError::NotThere)?.start();
        Ok(Self { segments, places: Vec::new(), end })
    }

    /// The log's name, which all segments carry.
    pub fn id(&self) -> [u8; 16] {
        self.segments.first().map_or([0; 16], |segment| segment.header.log_id)
    }

    /// Position of the first record.
    pub fn start(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.header.first)
    }

    /// Forgets the first segments, which were dropped.
    pub fn forget_first(&mut self, dropped: usize) {
        self.segments.drain(..dropped);
        self.places.retain(|place| place.segment >= dropped);
        self.places.iter_mut().for_each(|place| place.segment -= dropped);
    }

    /// Begins the segment that follows what is proved.
    pub fn begin_next(&mut self, next: Segment) -> Result<(), OpenError> {
        let End { position, block, .. } = self.end;
        if next.header.log_id != self.id() || !next.follows(&self.end) {
            let fault = if next.header.first_block == block { Fault::Chain } else { Fault::Missing };
            return Err(damaged(&next.name, 0, Some(block), position, fault));
        }
        self.end = next.start();
        self.segments.push(next);
        Ok(())
    }

    /// Proves what follows in the last segment, up to the block `limit`: all of it was acknowledged. Nothing behind it is read.
    pub fn extend<D: Disk>(&mut self, disk: &D, limit: u64, mark: &Mark) -> Result<(), OpenError> {
        let Some(segment) = self.segments.last().cloned() else { return Ok(()) };
        let (file, index) = (disk.open(&segment.name)?, self.segments.len() - 1);
        let mut bytes = Vec::new();
        while self.end.block < limit {
            let End { position, block, offset, .. } = self.end;
            let bad = |fault| damaged(&segment.name, offset, Some(block), position, fault);
            read_stored(&file, &segment, offset, &mut bytes)?;
            let frame = segment.prove(&bytes, &self.end).map_err(bad)?;
            if block + 1 == mark.block && frame.chain != mark.chain {
                return Err(bad(Fault::Chain));
            }
            self.note(&frame, index, offset);
            let offset = offset + frame.stored_bytes() as u64;
            self.end = End { position: frame.end(), block: block + 1, chain: frame.chain, offset };
        }
        Ok(())
    }

    /// What its segments hold and take.
    pub fn extents<D: Disk>(&self, disk: &D) -> Result<Vec<Extent>, OpenError> {
        let ends = self.segments.iter().skip(1).map(|next| Some(next.header.first)).chain([None]);
        let extent = |(segment, end): (&Segment, Option<u64>)| {
            let bytes = disk.open(&segment.name)?.length()?;
            Ok(Extent { first: segment.header.first, end, bytes })
        };
        self.segments.iter().zip(ends).map(extent).collect()
    }

    /// Notes where a block is.
    pub fn note(&mut self, frame: &Frame, segment: usize, offset: u64) {
        if frame.number.is_multiple_of(PLACE_EVERY) || offset == HEADER_BYTES as u64 {
            self.places.push(Place { position: frame.first, segment, offset });
        }
    }

    /// Calls `visit` for the blocks from the one that holds a position, until it says stop or `until` is reached.
    pub fn blocks_from<D: Disk>(
        &self,
        disk: &D,
        position: u64,
        until: u64,
        mut visit: impl FnMut(&Frame, &[u8], &Segment, u64) -> Result<bool, Fault>,
    ) -> Result<(), OpenError> {
        let after = self.places.partition_point(|place| place.position <= position);
        let Some(place) = after.checked_sub(1).and_then(|index| self.places.get(index)) else { return Ok(()) };
        let (mut at, mut offset, mut next) = (place.segment, place.offset, place.position);
        let mut payload = Vec::new();
        while let (Some(segment), true) = (self.segments.get(at), next < until) {
            let file = disk.open(&segment.name)?;
            let limit = self.segments.get(at + 1).map(|segment| segment.header.first);
            while next < limit.unwrap_or(until).min(until) {
                let frame = read_block(&file, segment, offset, next, &mut payload)?;
                let more = frame.end() <= position
                    || visit(&frame, &payload, segment, offset)
                        .map_err(|fault| damaged(&segment.name, offset, Some(frame.number), next, fault))?;
                if !more {
                    return Ok(());
                }
                offset += frame.stored_bytes() as u64;
                next = frame.end();
            }
            (at, offset) = (at + 1, HEADER_BYTES as u64);
        }
        Ok(())
    }
}

fn read_block<F: DiskFile>(
    file: &F,
    segment: &Segment,
    offset: u64,
    position: u64,
    payload: &mut Vec<u8>,
) -> Result<Frame, OpenError> {
    let bad = |block, fault| damaged(&segment.name, offset, block, position, fault);
    let mut head = [0; FRAME_BYTES];
    file.read_at(&mut head, offset)?;
    let frame = Frame::from_bytes(&head, &segment.header.salt()).filter(|frame| frame.first == position);
    let frame = frame.ok_or_else(|| bad(None, Fault::Frame))?;
    payload.clear();
    payload.resize(frame.payload_bytes as usize, 0);
    file.read_at(payload, offset + FRAME_BYTES as u64)?;
    if crc32fast::hash(payload) != frame.payload_crc {
        return Err(bad(Some(frame.number), Fault::Payload));
    }
    Ok(frame)
}

/// Reads a block as it is stored; fewer bytes where the file ends, or where no block begins.
fn read_stored<F: DiskFile>(file: &F, segment: &Segment, offset: u64, into: &mut Vec<u8>) -> Result<(), OpenError> {
    let left = file.length()?.saturating_sub(offset);
    let read_to = |bytes: usize, into: &mut Vec<u8>| {
        let from = into.len();
        into.resize(left.min(bytes as u64) as usize, 0);
        file.read_at(&mut into[from..], offset + from as u64)
    };
    into.clear();
    // Small commits fit the first sector.
    read_to(SECTOR_BYTES, into)?;
    if let Some(frame) = Frame::from_bytes(into, &segment.header.salt()) {
        read_to(frame.stored_bytes(), into)?;
    }
    Ok(())
}

/// Whether a name is a log's own file that may be left over from a crash.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.ends_with(crate::disk::TEMPORARY) || name == SPARE
}

/// Name of a segment that was made ahead.
pub(crate) const SPARE: &str = "spare";

/// Bytes that a segment needs for a block of a payload.
pub(crate) fn room_for(payload_bytes: usize) -> u64 {
    (HEADER_BYTES + frame::padded(FRAME_BYTES + payload_bytes)) as u64
}
