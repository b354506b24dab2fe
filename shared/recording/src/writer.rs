//! Writing a recording while the match runs: append-only, one block at a time.
//!
//! What reached the file is always the beginning of a right recording: bytes that the disk did not take wait in order and
//! are tried again with the next call, so that a disk that was full for a while leaves no hole. Time is passed in, since
//! this room has no clock; the caller runs the writer away from the tick's thread and calls [`Writer::sync`] as it goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use arbiter_sim::Command;

use crate::block::{self, BlockHeader, Chain, FRAME_BYTES, Kind};
use crate::checkpoint::{self, CHECKPOINT_BYTES_MAX};
use crate::columns::{TICK_COMMANDS_MAX, TickBlock};
use crate::error::{ReadError, WriteError};
use crate::header::{End, Entry, Footer, Header, Mark};
use crate::reader::Reader;

/// Where a recording goes.
pub trait Store: Write {
    /// Returns when everything written is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Store for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Store for Vec<u8> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one recording.
#[derive(Debug)]
pub struct Writer<S: Store = File> {
    store: S,
    tick0: Vec<u8>,
    chain: Chain,
    /// The same through the last block of ticks.
    ticks_chain: Chain,
    next_block: u32,
    open: TickBlock,
    /// Encoded bytes that the store did not take yet.
    waiting: Vec<u8>,
    /// Offset in the file behind everything encoded so far.
    length: u64,
    entries: Vec<Entry>,
    marks: Vec<Mark>,
    /// Last tick in a closed block, and the last one known to be on disk.
    closed_tick: u32,
    durable_tick: u32,
    unsynced: bool,
    last_sync: Option<Duration>,
    sync_failed: bool,
    finished: bool,
}

/// Time between two flushes to disk: an fdatasync is some milliseconds of the disk's time, and ten a second per match leave
/// room for many matches on it.
pub const SYNC_EVERY: Duration = Duration::from_millis(100);

/// Bytes that may wait for a disk that takes none: some minutes of ten players, and little beside a server's memory.
pub const WAITING_BYTES_MAX: usize = 16 << 20;

impl Writer<File> {
    /// Creates the file, which must not exist, and writes the header. `tick0` is the checkpoint of tick 0.
    pub fn create(path: &Path, header: Header, tick0: Vec<u8>) -> Result<Self, WriteError> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        Self::to(file.map_err(|error| WriteError::Io(error, 0))?, header, tick0)
    }

    /// Goes on with a recording whose writer was killed, behind its last whole tick: what a torn write left is cut off, and
    /// all that stays is flushed to disk. `reader` reads the same file; it is as before the call.
    ///
    /// # Errors
    /// A recording that is finished, of another version, or damaged in its midst is left as it is.
    pub fn resume(path: &Path, reader: &mut Reader<File>, tick0: Vec<u8>) -> Result<Self, ReadError> {
        if reader.header().tick0_digest != block::digest(&tick0) {
            return Err(ReadError::OtherTick0);
        }
        let tail = reader.tail()?;
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(tail.length)?;
        file.seek(SeekFrom::Start(tail.length))?;
        file.sync_data()?;
        Ok(Self {
            store: file,
            tick0,
            chain: tail.chain,
            ticks_chain: tail.ticks_chain,
            next_block: tail.next_block,
            open: TickBlock::new(tail.last_tick.saturating_add(1)),
            waiting: Vec::new(),
            length: tail.length,
            entries: tail.entries,
            marks: tail.marks,
            closed_tick: tail.last_tick,
            durable_tick: tail.last_tick,
            unsynced: false,
            last_sync: None,
            sync_failed: false,
            finished: false,
        })
    }
}

impl<S: Store> Writer<S> {
    /// Writes to an empty store.
    pub fn to(store: S, mut header: Header, tick0: Vec<u8>) -> Result<Self, WriteError> {
        header.tick0_digest = block::digest(&tick0);
        let preamble = block::preamble(crate::FORMAT_VERSION);
        let mut writer = Self {
            store,
            tick0,
            chain: block::first_chain(&preamble),
            ticks_chain: block::first_chain(&preamble),
            next_block: 0,
            open: TickBlock::new(1),
            waiting: preamble.to_vec(),
            length: preamble.len() as u64,
            entries: Vec::new(),
            marks: Vec::new(),
            closed_tick: 0,
            durable_tick: 0,
            unsynced: true,
            last_sync: None,
            sync_failed: false,
            finished: false,
        };
        let payload = header.encode().map_err(|why| WriteError::Encode { what: "the header", why })?;
        writer.append(Kind::Header, 0, 0, &payload);
        writer.drain()?;
        Ok(writer)
    }

    /// The tick that belongs next.
    pub fn next_tick(&self) -> u32 {
        self.open.first_tick.saturating_add(self.open.len() as u32)
    }

    /// The tick through which everything is on disk: what is behind it may be lost when the machine stops.
    pub fn durable_tick(&self) -> u32 {
        self.durable_tick
    }

    /// Chain through the last block of ticks that was closed: after [`Self::flush`] it stands for all ticks that were pushed.
    /// A checkpoint behind them changes nothing of it.
    pub fn ticks_chain(&self) -> Chain {
        self.ticks_chain
    }

    /// Bytes of the recording so far.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    /// Adds a tick: its number, the commands that it was stepped with, the hash of the state after it.
    ///
    /// # Errors
    /// With [`WriteError::Io`] the tick is kept and written later; with any other error it is not in the recording.
    pub fn push_tick(&mut self, tick: u32, commands: &[Command], hash: u64) -> Result<(), WriteError> {
        self.accept(tick, self.next_tick())?;
        if commands.len() > TICK_COMMANDS_MAX {
            let (what, found) = ("the list of a tick's commands", commands.len());
            return Err(WriteError::TooMuch { what, found, limit: TICK_COMMANDS_MAX });
        }
        self.open.push(commands, hash);
        if self.open.is_full() { self.flush() } else { Ok(()) }
    }

    /// Adds the checkpoint of the tick that was pushed last. It closes the open block, so that a checkpoint stands between
    /// the blocks of its tick and the next.
    pub fn push_checkpoint(&mut self, tick: u32, checkpoint: &[u8]) -> Result<(), WriteError> {
        self.accept(tick, self.next_tick() - 1)?;
        if checkpoint.len() > CHECKPOINT_BYTES_MAX {
            let found = checkpoint.len();
            return Err(WriteError::TooMuch { what: "a checkpoint in bytes", found, limit: CHECKPOINT_BYTES_MAX });
        }
        let encode = |why: io::Error| WriteError::Encode { what: "a checkpoint", why: why.to_string() };
        let payload = checkpoint::pack(checkpoint, &self.tick0).map_err(encode)?;
        self.close_block()?;
        self.entries.push(Entry { offset: self.length, first_tick: tick, ticks: 0 });
        self.append(Kind::Checkpoint, tick, 0, &payload);
        self.drain()
    }

    /// Says what became of the room, behind the tick that was pushed last. It closes the open block. Marks beyond
    /// a limit are left out: what a replay needs is all there without them.
    pub fn push_mark(&mut self, mark: Mark) -> Result<(), WriteError> {
        let last = self.next_tick() - 1;
        self.accept(last, last)?;
        if self.marks.len() >= Footer::MARKS_MAX {
            return Ok(());
        }
        let payload = bincode::serde::encode_to_vec(mark, bincode::config::standard())
            .map_err(|error| WriteError::Encode { what: "a mark", why: error.to_string() })?;
        self.close_block()?;
        self.marks.push(mark);
        self.append(Kind::Mark, last, 0, &payload);
        self.drain()
    }

    /// Closes the open block early and hands it to the operating system. Blocks of few ticks compress badly.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.close_block()?;
        self.drain()
    }

    /// Flushes closed blocks to disk unless that was done less than [`SYNC_EVERY`] ago. `now` is any clock that never goes
    /// back.
    pub fn sync(&mut self, now: Duration) -> Result<(), WriteError> {
        let due = self.last_sync.is_none_or(|last| now.saturating_sub(last) >= SYNC_EVERY);
        if !due || (!self.unsynced && self.waiting.is_empty()) {
            return Ok(());
        }
        self.last_sync = Some(now);
        self.drain()?;
        self.sync_now()
    }

    /// Ends the recording: closes the last block, writes the index, flushes to disk.
    ///
    /// # Errors
    /// After an error it may be called again; the file is readable either way.
    pub fn finish(&mut self, end: End) -> Result<(), WriteError> {
        if !self.finished {
            self.close_block()?;
            // A match too long for the index is read by scanning.
            let entries = if self.entries.len() > Footer::ENTRIES_MAX { Vec::new() } else { self.entries.clone() };
            let footer = Footer { end, entries, marks: self.marks.clone() };
            let config = bincode::config::standard();
            let payload = bincode::serde::encode_to_vec(&footer, config)
                .map_err(|error| WriteError::Encode { what: "the index", why: error.to_string() })?;
            let offset = self.length;
            self.append(Kind::End, 0, 0, &payload);
            let trailer = block::trailer(offset);
            self.waiting.extend_from_slice(&trailer);
            self.length += trailer.len() as u64;
            self.finished = true;
        }
        self.drain()?;
        self.sync_now()
    }

    /// The store, for tests.
    pub fn into_store(self) -> S {
        self.store
    }

    fn accept(&self, found: u32, expected: u32) -> Result<(), WriteError> {
        if self.finished {
            return Err(WriteError::Finished);
        }
        if found != expected {
            return Err(WriteError::Order { expected, found });
        }
        if self.waiting.len() > WAITING_BYTES_MAX {
            return Err(WriteError::Backlog(self.waiting.len()));
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), WriteError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let (first, ticks) = (self.open.first_tick, self.open.len() as u32);
        let payload = self.open.encode().map_err(|why| WriteError::Encode { what: "commands", why })?;
        self.entries.push(Entry { offset: self.length, first_tick: first, ticks });
        self.append(Kind::Ticks, first, ticks, &payload);
        self.ticks_chain = self.chain;
        self.open = TickBlock::new(first.saturating_add(ticks));
        self.closed_tick = first + (ticks - 1);
        Ok(())
    }

    fn append(&mut self, kind: Kind, first_tick: u32, ticks: u32, payload: &[u8]) {
        let frame = BlockHeader::seal(kind, self.next_block, first_tick, ticks, payload, &self.chain);
        self.chain = frame.chain;
        self.next_block += 1;
        self.waiting.extend_from_slice(&frame.to_bytes());
        self.waiting.extend_from_slice(payload);
        self.length += (FRAME_BYTES + payload.len()) as u64;
        self.unsynced = true;
    }

    /// Hands over what waits, as much as the store takes.
    fn drain(&mut self) -> Result<(), WriteError> {
        let mut taken = 0;
        let mut result = Ok(());
        while taken < self.waiting.len() {
            match self.store.write(&self.waiting[taken..]) {
                Ok(0) => {
                    result = Err(io::Error::from(io::ErrorKind::WriteZero));
                    break;
                }
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.waiting.drain(..taken);
        result.map_err(|error| WriteError::Io(error, self.waiting.len()))
    }

    fn sync_now(&mut self) -> Result<(), WriteError> {
        if self.sync_failed {
            // The kernel reports a lost page once and then says yes: never believe a later success.
            return Err(WriteError::Sync(io::Error::other("an earlier flush failed"), self.durable_tick));
        }
        if let Err(error) = self.store.sync() {
            self.sync_failed = true;
            return Err(WriteError::Sync(error, self.durable_tick));
        }
        self.unsynced = false;
        self.durable_tick = self.closed_tick;
        Ok(())
    }
}
