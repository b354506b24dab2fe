//! Reading a recording: whole, killed in the middle, or damaged.
//!
//! The index at the end only saves a scan; without it, or if it is damaged, the blocks are found by walking over the file.
//! What is read is checked each time: a block is used only if its checksum holds.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use arbiter_sim::Command;

use crate::block::{self, BlockHeader, Chain, FRAME_BYTES, Kind, PREAMBLE_BYTES, TRAILER_BYTES};
use crate::checkpoint;
use crate::columns::TickBlock;
use crate::error::{Damage, Fault, ReadError};
use crate::header::{End, Entry, Footer, Footer2, HEADER_BYTES_MAX, Header, Mark};

/// Bytes that are searched at a time for the next block behind damage.
const SEARCH_BYTES: usize = 64 << 10;

/// One tick of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedTick {
    /// Its number.
    pub tick: u32,
    /// What it was stepped with.
    pub commands: Vec<Command>,
    /// Hash of the state after it.
    pub hash: u64,
}

/// What a recording holds, at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// How many ticks.
    pub ticks: u32,
    /// First and last tick, if there is any.
    pub range: Option<(u32, u32)>,
    /// Ticks of the checkpoints.
    pub checkpoints: Vec<u32>,
    /// What became of the rooms that played it, in order.
    pub marks: Vec<Mark>,
    /// How the match ended; `None` if the recording was never finished.
    pub end: Option<End>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether the index at the end was used; else the file was scanned.
    pub indexed: bool,
}

/// What is wrong with a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DamageReport {
    /// Whole blocks.
    pub blocks: u32,
    /// Every damaged stretch, in order of offset.
    pub damages: Vec<Damage>,
    /// Chain through the last block: names the whole recording.
    pub chain: Chain,
}

/// Where a recording that was never finished goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Bytes of the file through the last whole block.
    pub length: u64,
    /// The last whole tick; 0 if there is none.
    pub last_tick: u32,
    /// Chain through the last whole block, and through the last one with ticks.
    pub chain: Chain,
    pub(crate) ticks_chain: Chain,
    pub(crate) next_block: u32,
    pub(crate) entries: Vec<Entry>,
    pub(crate) marks: Vec<Mark>,
}

/// Reads one recording.
#[derive(Debug)]
pub struct Reader<S: Read + Seek = File> {
    source: S,
    length: u64,
    header: Header,
    version: u32,
    first_chain: Chain,
    entries: Vec<Entry>,
    marks: Vec<Mark>,
    end: Option<End>,
    indexed: bool,
}

impl Reader<File> {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::from_source(File::open(path)?)
    }
}

impl<S: Read + Seek> Reader<S> {
    /// Reads a recording from anything.
    pub fn from_source(mut source: S) -> Result<Self, ReadError> {
        let length = source.seek(SeekFrom::End(0))?;
        let preamble: [u8; PREAMBLE_BYTES] = match read_array(&mut source, 0, length)? {
            Some(preamble) if preamble[..8] == block::MAGIC => preamble,
            _ => return Err(ReadError::NotARecording),
        };
        let version = block::word(&preamble, 8);
        if preamble != block::preamble(version) {
            return Err(ReadError::Header(lost(0, 0, PREAMBLE_BYTES as u64, Fault::Frame)));
        }
        if !(crate::FORMAT_VERSION_MIN..=crate::FORMAT_VERSION).contains(&version) {
            let (oldest, expected) = (crate::FORMAT_VERSION_MIN, crate::FORMAT_VERSION);
            return Err(ReadError::Format { found: version, oldest, expected });
        }
        let first_chain = block::first_chain(&preamble);
        let at = PREAMBLE_BYTES as u64;
        let rest = length - at;
        let torn = || ReadError::Header(lost(0, at, rest, Fault::Torn));
        let frame = read_array::<_, FRAME_BYTES>(&mut source, at, length)?.ok_or_else(torn)?;
        let frame = BlockHeader::from_bytes(&frame)
            .filter(|frame| frame.kind == Kind::Header && frame.payload_bytes as usize <= HEADER_BYTES_MAX)
            .ok_or_else(|| ReadError::Header(lost(0, at, rest.min(FRAME_BYTES as u64), Fault::Frame)))?;
        let payload = read_payload(&mut source, at, &frame, length)?.ok_or_else(torn)?;
        let whole = (FRAME_BYTES + payload.len()) as u64;
        if let Some(fault) = fault_of(&frame, &payload, 0, Some(&first_chain)) {
            return Err(ReadError::Header(lost(0, at, whole, fault)));
        }
        let header = Header::decode(&payload)?;
        let mut reader = Self {
            source,
            length,
            header,
            version,
            first_chain,
            entries: Vec::new(),
            marks: Vec::new(),
            end: None,
            indexed: false,
        };
        match reader.read_footer()? {
            Some(footer) => {
                (reader.entries, reader.marks) = (footer.entries, footer.marks);
                reader.end = Some(footer.end);
                reader.indexed = true;
            }
            None => {
                let (mut entries, mut marks) = (Vec::new(), Vec::new());
                let mut end = None;
                reader.walk(&mut |found| match found {
                    Found::Block(entry) => entries.push(entry),
                    Found::Mark(mark) => marks.push(mark),
                    Found::End(how) => end = Some(how),
                    Found::Damage(_) | Found::Whole(..) => {}
                })?;
                (reader.entries, reader.marks) = (entries, marks);
                reader.end = end;
            }
        }
        Ok(reader)
    }

    /// What the recording says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What it holds.
    pub fn info(&self) -> Info {
        let blocks = || self.entries.iter().filter(|entry| entry.ticks > 0);
        let last = blocks().map(|entry| entry.first_tick.saturating_add(entry.ticks - 1)).max();
        Info {
            ticks: blocks().map(|entry| entry.ticks).fold(0, u32::saturating_add),
            range: blocks().map(|entry| entry.first_tick).min().zip(last),
            checkpoints: self.entries.iter().filter(|entry| entry.ticks == 0).map(|entry| entry.first_tick).collect(),
            marks: self.marks.clone(),
            end: self.end,
            bytes: self.length,
            indexed: self.indexed,
        }
    }

    /// How many blocks of ticks there are.
    pub fn block_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.ticks > 0).count()
    }

    /// The block of ticks at a position from 0.
    pub fn block(&mut self, index: usize) -> Result<Option<TickBlock>, ReadError> {
        let Some(entry) = self.entries.iter().filter(|entry| entry.ticks > 0).nth(index).copied() else {
            return Ok(None);
        };
        self.tick_block(entry).map(Some)
    }

    /// Position of the block that holds a tick.
    pub fn block_of(&self, tick: u32) -> Option<usize> {
        let mut blocks = self.entries.iter().filter(|entry| entry.ticks > 0);
        blocks.position(|entry| tick.checked_sub(entry.first_tick).is_some_and(|offset| offset < entry.ticks))
    }

    /// Chain through the block that holds a tick; `None` if there is no such tick. Of the last tick it is what
    /// [`Writer::ticks_chain`](crate::Writer::ticks_chain) said behind it.
    pub fn chain_at(&mut self, tick: u32) -> Result<Option<Chain>, ReadError> {
        let mut blocks = self.entries.iter().filter(|entry| entry.ticks > 0);
        let holds = |entry: &&Entry| tick.checked_sub(entry.first_tick).is_some_and(|offset| offset < entry.ticks);
        let Some(entry) = blocks.find(holds).copied() else { return Ok(None) };
        Ok(Some(self.read_block(entry)?.0.chain))
    }

    /// All ticks from this one on. A damaged block is one error, behind which the next whole block follows.
    pub fn ticks(&mut self, from: u32) -> impl Iterator<Item = Result<RecordedTick, ReadError>> + '_ {
        let wanted = move |entry: &Entry| entry.ticks > 0 && entry.first_tick.saturating_add(entry.ticks - 1) >= from;
        let entries: Vec<Entry> = self.entries.iter().copied().filter(wanted).collect();
        entries.into_iter().flat_map(move |entry| {
            let ticks: Vec<Result<RecordedTick, ReadError>> = match self.tick_block(entry) {
                Ok(block) => block
                    .ticks()
                    .filter(|(tick, _, _)| *tick >= from)
                    .map(|(tick, commands, hash)| Ok(RecordedTick { tick, commands: commands.to_vec(), hash }))
                    .collect(),
                Err(error) => vec![Err(error)],
            };
            ticks
        })
    }

    /// The last checkpoint at or before a tick, with its tick; `None` if tick 0 is nearest. `tick0` is the checkpoint of
    /// tick 0. A damaged checkpoint is passed over for the one before.
    pub fn checkpoint_before(&mut self, tick: u32, tick0: &[u8]) -> Result<Option<(u32, Vec<u8>)>, ReadError> {
        self.checkpoint(tick0, |entry| entry.first_tick <= tick, true)
    }

    /// The first whole checkpoint at or after a tick, with its tick.
    pub fn checkpoint_after(&mut self, tick: u32, tick0: &[u8]) -> Result<Option<(u32, Vec<u8>)>, ReadError> {
        self.checkpoint(tick0, |entry| entry.first_tick >= tick, false)
    }

    fn checkpoint(
        &mut self,
        tick0: &[u8],
        wanted: impl Fn(&Entry) -> bool,
        backwards: bool,
    ) -> Result<Option<(u32, Vec<u8>)>, ReadError> {
        let mut entries: Vec<Entry> = self.entries.iter().copied().filter(|e| e.ticks == 0 && wanted(e)).collect();
        if entries.is_empty() {
            return Ok(None);
        }
        if block::digest(tick0) != self.header.tick0_digest {
            return Err(ReadError::OtherTick0);
        }
        if backwards {
            entries.reverse();
        }
        for entry in entries {
            let (frame, payload) = match self.read_block(entry) {
                Ok(block) => block,
                Err(ReadError::Damaged(_)) => continue,
                Err(error) => return Err(error),
            };
            if let (Kind::Checkpoint, Some(state)) = (frame.kind, checkpoint::unpack(&payload, tick0)) {
                return Ok(Some((frame.first_tick, state)));
            }
        }
        Ok(None)
    }

    /// Walks over the whole file and says everything that is wrong with it.
    pub fn damage(&mut self) -> Result<DamageReport, ReadError> {
        let mut report = DamageReport::default();
        let mut indexed = Vec::new();
        let (chain, blocks) = self.walk(&mut |found| match found {
            Found::Damage(damage) => report.damages.push(damage),
            Found::Block(entry) => indexed.push(entry),
            Found::End(_) | Found::Mark(_) | Found::Whole(..) => {}
        })?;
        report.chain = chain;
        report.blocks = blocks;
        Ok(report)
    }

    /// Where it goes on, if it was never finished.
    ///
    /// # Errors
    /// [`ReadError::Finished`], [`ReadError::Format`] for another version than the one that is written, and
    /// [`ReadError::Damaged`] if whole blocks follow what is damaged: to cut those off would destroy them.
    pub fn tail(&mut self) -> Result<Tail, ReadError> {
        if self.end.is_some() {
            return Err(ReadError::Finished);
        }
        if self.version != crate::FORMAT_VERSION {
            let (oldest, expected) = (crate::FORMAT_VERSION, crate::FORMAT_VERSION);
            return Err(ReadError::Format { found: self.version, oldest, expected });
        }
        let mut tail = Tail {
            length: PREAMBLE_BYTES as u64,
            last_tick: 0,
            chain: self.first_chain,
            ticks_chain: self.first_chain,
            next_block: 0,
            entries: Vec::new(),
            marks: Vec::new(),
        };
        let mut damaged = None;
        let mut follows = None;
        self.walk(&mut |found| match found {
            Found::Damage(damage) => damaged = damaged.take().or(Some(damage)),
            _ if damaged.is_some() => follows = follows.take().or_else(|| damaged.clone()),
            Found::Whole(frame, end) => {
                (tail.length, tail.chain, tail.next_block) = (end, frame.chain, frame.number.saturating_add(1));
                if frame.kind == Kind::Ticks {
                    tail.ticks_chain = frame.chain;
                    tail.last_tick = frame.tick_range().end.saturating_sub(1);
                }
            }
            Found::Block(entry) => tail.entries.push(entry),
            Found::Mark(mark) => tail.marks.push(mark),
            Found::End(_) => {}
        })?;
        follows.map_or(Ok(tail), |damage| Err(ReadError::Damaged(damage)))
    }

    fn tick_block(&mut self, entry: Entry) -> Result<TickBlock, ReadError> {
        let (frame, payload) = self.read_block(entry)?;
        let block = TickBlock::decode(frame.first_tick, frame.ticks as usize, &payload);
        block.filter(|_| frame.kind == Kind::Ticks).ok_or_else(|| {
            let length = (FRAME_BYTES + payload.len()) as u64;
            let (offset, ticks) = (entry.offset, frame.tick_range());
            ReadError::Damaged(Damage { block: frame.number, offset, length, ticks, fault: Fault::Content })
        })
    }

    fn read_block(&mut self, entry: Entry) -> Result<(BlockHeader, Vec<u8>), ReadError> {
        let index = self.entries.iter().position(|other| other.offset == entry.offset).unwrap_or(0);
        let damaged = |length: u64, fault: Fault| {
            ReadError::Damaged(Damage {
                block: index as u32 + 1,
                offset: entry.offset,
                length,
                ticks: entry.first_tick..entry.first_tick.saturating_add(entry.ticks),
                fault,
            })
        };
        let frame = read_array::<_, FRAME_BYTES>(&mut self.source, entry.offset, self.length)?;
        let frame = frame.as_ref().and_then(BlockHeader::from_bytes);
        let frame = frame.filter(|frame| (frame.first_tick, frame.ticks) == (entry.first_tick, entry.ticks));
        let frame = frame.ok_or_else(|| damaged(FRAME_BYTES as u64, Fault::Frame))?;
        let whole = FRAME_BYTES as u64 + u64::from(frame.payload_bytes);
        let payload = read_payload(&mut self.source, entry.offset, &frame, self.length)?;
        let payload = payload.ok_or_else(|| damaged(whole, Fault::Torn))?;
        if crc32fast::hash(&payload) != frame.payload_crc {
            return Err(damaged(whole, Fault::Payload));
        }
        Ok((frame, payload))
    }

    /// The index, if the file has a whole one that fits it.
    fn read_footer(&mut self) -> Result<Option<Footer>, ReadError> {
        let Some(at) = self.length.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
        let Some(trailer) = read_array(&mut self.source, at, self.length)? else { return Ok(None) };
        let Some(offset) = block::read_trailer(&trailer) else { return Ok(None) };
        let Some(frame) = read_array::<_, FRAME_BYTES>(&mut self.source, offset, at)? else { return Ok(None) };
        let Some(frame) = BlockHeader::from_bytes(&frame).filter(|frame| frame.kind == Kind::End) else {
            return Ok(None);
        };
        let Some(payload) = read_payload(&mut self.source, offset, &frame, at)? else { return Ok(None) };
        if crc32fast::hash(&payload) != frame.payload_crc {
            return Ok(None);
        }
        // The number of entries must be that of the blocks: an index that was left out is rebuilt by a scan.
        let footer = decode_footer(self.version, &payload);
        let blocks = |footer: &Footer| footer.entries.len() as u64 + footer.marks.len() as u64 + 1;
        Ok(footer.filter(|footer| blocks(footer) == u64::from(frame.number)))
    }

    /// Walks over all blocks and tells what it finds. Returns the chain through the last whole block and how many are whole.
    fn walk(&mut self, found: &mut dyn FnMut(Found)) -> Result<(Chain, u32), ReadError> {
        let mut at = PREAMBLE_BYTES as u64;
        let mut chain = Some(self.first_chain);
        let mut number = 0;
        let mut next_tick = 1;
        let mut whole = 0;
        let mut last_chain = self.first_chain;
        let mut ended = false;
        while at < self.length {
            if ended {
                let trailer = read_array(&mut self.source, at, self.length)?;
                let right = trailer.as_ref().and_then(block::read_trailer).is_some();
                let rest = self.length - at;
                let (length, fault) = match (right, rest.cmp(&(TRAILER_BYTES as u64))) {
                    (true, std::cmp::Ordering::Equal) => break,
                    (true, _) => (rest - TRAILER_BYTES as u64, Fault::Extra),
                    (false, std::cmp::Ordering::Less) => (rest, Fault::Torn),
                    (false, _) => (rest, Fault::Trailer),
                };
                let offset = if right { at + TRAILER_BYTES as u64 } else { at };
                found(Found::Damage(Damage { block: number, offset, length, ticks: next_tick..next_tick, fault }));
                break;
            }
            let frame = read_array::<_, FRAME_BYTES>(&mut self.source, at, self.length)?;
            let Some(frame) = frame.as_ref().and_then(BlockHeader::from_bytes) else {
                let next = self.search(at + 1)?;
                let end = next.map_or(self.length, |(offset, _)| offset);
                let fault = if next.is_none() && end - at < FRAME_BYTES as u64 { Fault::Torn } else { Fault::Frame };
                // What follows says which ticks were lost; if nothing does, nobody knows, and an index loses none.
                let until = match next {
                    Some((_, next)) => next.resumes_at().unwrap_or(next_tick),
                    None if self.ends_with_trailer()? => next_tick,
                    None => u32::MAX,
                };
                let ticks = next_tick..until.max(next_tick);
                found(Found::Damage(Damage { block: number, offset: at, length: end - at, ticks, fault }));
                chain = None;
                match next {
                    Some((offset, next)) => {
                        number = next.number;
                        next_tick = next.resumes_at().unwrap_or(next_tick).max(next_tick);
                        at = offset;
                    }
                    None => break,
                }
                continue;
            };
            let length = FRAME_BYTES as u64 + u64::from(frame.payload_bytes);
            let damage = |fault| {
                let ticks = frame.tick_range();
                Found::Damage(Damage {
                    block: frame.number,
                    offset: at,
                    length: length.min(self.length - at),
                    ticks,
                    fault,
                })
            };
            let Some(payload) = read_payload(&mut self.source, at, &frame, self.length)? else {
                found(damage(Fault::Torn));
                break;
            };
            let fault = fault_of(&frame, &payload, number, chain.as_ref());
            match fault {
                Some(fault) => found(damage(fault)),
                None => {
                    whole += 1;
                    last_chain = frame.chain;
                    found(Found::Whole(frame, at + length));
                }
            }
            // A block that is whole but out of its chain is told of, and still of use.
            if !matches!(fault, Some(Fault::Payload)) {
                match frame.kind {
                    Kind::Ticks | Kind::Checkpoint => {
                        found(Found::Block(Entry { offset: at, first_tick: frame.first_tick, ticks: frame.ticks }));
                    }
                    Kind::Mark => match decode(&payload) {
                        Some(mark) => found(Found::Mark(mark)),
                        None => found(damage(Fault::Content)),
                    },
                    Kind::End => match decode_footer(self.version, &payload) {
                        Some(footer) => found(Found::End(footer.end)),
                        None => found(damage(Fault::Content)),
                    },
                    Kind::Header => {}
                }
            }
            ended = frame.kind == Kind::End;
            next_tick = next_tick.max(frame.tick_range().end);
            chain = Some(frame.chain);
            number = frame.number.saturating_add(1);
            at += length;
        }
        Ok((last_chain, whole))
    }

    fn ends_with_trailer(&mut self) -> Result<bool, ReadError> {
        let Some(at) = self.length.checked_sub(TRAILER_BYTES as u64) else { return Ok(false) };
        let trailer = read_array(&mut self.source, at, self.length)?;
        Ok(trailer.as_ref().and_then(block::read_trailer).is_some())
    }

    /// The next whole frame at or after an offset.
    fn search(&mut self, mut from: u64) -> Result<Option<(u64, BlockHeader)>, ReadError> {
        let mut buffer = vec![0; SEARCH_BYTES];
        while from + FRAME_BYTES as u64 <= self.length {
            let count = (self.length - from).min(SEARCH_BYTES as u64) as usize;
            self.source.seek(SeekFrom::Start(from))?;
            self.source.read_exact(&mut buffer[..count])?;
            for (index, window) in buffer[..count].windows(FRAME_BYTES).enumerate() {
                if window[..4] == block::MARKER
                    && let Some(frame) = window.first_chunk().and_then(BlockHeader::from_bytes)
                {
                    return Ok(Some((from + index as u64, frame)));
                }
            }
            from += (count - FRAME_BYTES + 1) as u64;
        }
        Ok(None)
    }
}

impl BlockHeader {
    /// The first tick that is not lost if everything before this block is; `None` if the block does not say.
    fn resumes_at(&self) -> Option<u32> {
        match self.kind {
            Kind::Ticks => Some(self.first_tick),
            Kind::Checkpoint | Kind::Mark => Some(self.first_tick.saturating_add(1)),
            Kind::Header | Kind::End => None,
        }
    }
}

enum Found {
    /// A block that is whole and in its place, and where it ends; before what is in it.
    Whole(BlockHeader, u64),
    Block(Entry),
    Mark(Mark),
    End(End),
    Damage(Damage),
}

fn lost(block: u32, offset: u64, length: u64, fault: Fault) -> Damage {
    Damage { block, offset, length, ticks: 0..u32::MAX, fault }
}

fn fault_of(frame: &BlockHeader, payload: &[u8], number: u32, before: Option<&Chain>) -> Option<Fault> {
    if crc32fast::hash(payload) != frame.payload_crc {
        Some(Fault::Payload)
    } else if frame.number != number || before.is_some_and(|before| frame.chain_after(before, payload) != frame.chain) {
        Some(Fault::Chain)
    } else {
        None
    }
}

fn decode_footer(version: u32, payload: &[u8]) -> Option<Footer> {
    if version < 3 {
        let Footer2 { end, entries } = decode(payload)?;
        return Some(Footer { end, entries, marks: Vec::new() });
    }
    decode(payload)
}

fn decode<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Option<T> {
    // Three varints a block, of at most 9 + 5 + 5 bytes; marks are smaller and fewer.
    let config = bincode::config::standard().with_limit::<{ Footer::ENTRIES_MAX * 24 }>();
    let (value, used) = bincode::serde::decode_from_slice::<T, _>(payload, config).ok()?;
    (used == payload.len()).then_some(value)
}

/// Bytes at an offset, or `None` if the file ends before.
fn read_array<S: Read + Seek, const N: usize>(source: &mut S, at: u64, length: u64) -> io::Result<Option<[u8; N]>> {
    if at.checked_add(N as u64).is_none_or(|end| end > length) {
        return Ok(None);
    }
    let mut out = [0; N];
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(&mut out)?;
    Ok(Some(out))
}

/// The payload of the frame at an offset, or `None` if the file ends before: memory is reserved only for what is there.
fn read_payload<S: Read + Seek>(
    source: &mut S,
    frame_at: u64,
    frame: &BlockHeader,
    length: u64,
) -> io::Result<Option<Vec<u8>>> {
    let bytes = u64::from(frame.payload_bytes);
    let Some(at) = frame_at.checked_add(FRAME_BYTES as u64).filter(|at| at.saturating_add(bytes) <= length) else {
        return Ok(None);
    };
    let mut out = vec![0; frame.payload_bytes as usize];
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(&mut out)?;
    Ok(Some(out))
}
