//! The writer: append to the open batch, commit it with one write and one fdatasync, and only then call it acknowledged.
//!
//! Group commit is the caller's rhythm: whoever serves many callers appends what came in and commits once for all of them.
//! No thread and no clock is here. After a commit failed, a log takes nothing more: what is on disk is found out by opening it
//! anew. Next: [`crate::recover`] for how it is opened.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::catalogue::{Catalogue, End, SEGMENT_BYTES_MAX};
use crate::disk::{Disk, DiskFile};
use crate::error::{AppendError, CommitError, OpenError};
use crate::frame::{FRAME_BYTES, Frame, HEADER_BYTES, PAYLOAD_BYTES_MAX, padded};
use crate::keys::{Keys, Masters, TAG_BYTES};
use crate::mark::Mark;
use crate::record::{self, Opener, RECORD_BYTES_MAX, RECORD_HEAD_BYTES, Record};
use crate::segment_file::{self, MakeError};
use crate::slots::Slots;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of a new segment, from one largest batch to 256 MiB.
    pub segment_bytes: u64,
    /// Bytes that a batch holds, heads of records included, up to 7 MiB.
    pub batch_bytes: usize,
    /// Ids that are kept for idempotence, about 50 B of memory each: as many as there are records in the segments.
    pub ids_max: usize,
    /// Keys that wrap the log's own; `None` for a log in the clear.
    pub masters: Option<Masters>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, batch_bytes: 4 << 20, ids_max: 16 << 20, masters: None }
    }
}

/// Bytes that a batch may be allowed to hold: a payload's limit less its seal, with room to spare.
pub const BATCH_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - (1 << 20);

impl Options {
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if self.batch_bytes < SMALLEST_BATCH_BYTES || self.batch_bytes > BATCH_BYTES_MAX {
            return Err(OpenError::Options("batch_bytes must be from 512 to 7,340,032"));
        }
        let room = crate::catalogue::room_for(self.batch_bytes + TAG_BYTES);
        if self.segment_bytes < room || self.segment_bytes > SEGMENT_BYTES_MAX {
            return Err(OpenError::Options("segment_bytes must be from one batch and 8 KiB to 268,435,456"));
        }
        Ok(())
    }
}

const SMALLEST_BATCH_BYTES: usize = 512;

/// What became of a record that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It has this position, and is acknowledged when [`Log::acknowledged`] is beyond it.
    New(u64),
    /// The same record was appended before and has this position; it may still wait for the same commit.
    Known(u64),
}

impl Appended {
    /// The position, either way.
    pub fn position(self) -> u64 {
        match self {
            Appended::New(position) | Appended::Known(position) => position,
        }
    }
}

/// Position and a digest of what an id stands for.
pub(crate) type Ids = HashMap<u128, (u64, u64)>;

/// A log that is being written.
#[derive(Debug)]
pub struct Log<D: Disk> {
    pub(crate) disk: D,
    pub(crate) options: Options,
    pub(crate) keys: Keys,
    pub(crate) catalogue: Catalogue,
    pub(crate) file: D::File,
    /// Bytes of `file`.
    pub(crate) file_bytes: u64,
    pub(crate) cipher: Option<LessSafeKey>,
    pub(crate) marks: Slots<D::File>,
    pub(crate) ids: Ids,
    /// Room for a frame, and behind it the records of the open batch.
    pub(crate) batch: Vec<u8>,
    pub(crate) batched: u32,
    pub(crate) failed: bool,
    pub(crate) _lock: D::Lock,
}

/// Tells a repeated record from another one under the same id: length and CRC-32. It is against faults of emitters, since who
/// forges a record under a known id only gets it ignored.
pub(crate) fn digest(data: &[u8]) -> u64 {
    (data.len() as u64) << 32 | u64::from(crc32fast::hash(data))
}

impl<D: Disk> Log<D> {
    /// Adds a record to the open batch. It is on disk after [`Self::commit`], not before.
    ///
    /// An id that is known with the same content is answered with its position and written no second time.
    pub fn append(&mut self, id: u128, data: &[u8]) -> Result<Appended, AppendError> {
        if self.failed {
            return Err(AppendError::Failed);
        }
        let limit = RECORD_BYTES_MAX.min(self.options.batch_bytes - RECORD_HEAD_BYTES);
        if data.len() > limit {
            return Err(AppendError::TooLong { found: data.len(), limit });
        }
        let digest = digest(data);
        let (position, known) = (self.next_position(), self.ids.len());
        match self.ids.entry(id) {
            Entry::Occupied(entry) => {
                let (position, known) = *entry.get();
                return if known == digest {
                    Ok(Appended::Known(position))
                } else {
                    Err(AppendError::Conflict { id, position })
                };
            }
            Entry::Vacant(_) if known >= self.options.ids_max => {
                return Err(AppendError::TooManyIds(self.options.ids_max));
            }
            Entry::Vacant(_)
                if self.batch.len() - FRAME_BYTES + RECORD_HEAD_BYTES + data.len() > self.options.batch_bytes =>
            {
                return Err(AppendError::BatchFull);
            }
            Entry::Vacant(entry) => entry.insert((position, digest)),
        };
        record::push(&mut self.batch, id, data);
        self.batched += 1;
        Ok(Appended::New(position))
    }

    /// Adds records, commits whenever the batch is full, and commits what is left. What the log can never take is told to
    /// `refused` and left out.
    pub fn append_all<'a>(
        &mut self,
        records: impl IntoIterator<Item = (u128, &'a [u8])>,
        mut refused: impl FnMut(AppendError),
    ) -> Result<u64, CommitError> {
        for (id, data) in records {
            let mut appended = self.append(id, data);
            if appended == Err(AppendError::BatchFull) {
                self.commit()?;
                appended = self.append(id, data);
            }
            match appended {
                Ok(_) => {}
                Err(AppendError::Failed) => return Err(CommitError::Failed),
                Err(error) => refused(error),
            }
        }
        self.commit()
    }

    /// Writes the open batch and returns when it is on disk, with the position behind the last acknowledged record.
    ///
    /// # Errors
    /// After [`CommitError::NoSpace`] and [`CommitError::NoRandomness`] the batch waits for the next commit. After
    /// [`CommitError::Disk`] the log takes nothing more.
    pub fn commit(&mut self) -> Result<u64, CommitError> {
        if self.failed {
            return Err(CommitError::Failed);
        }
        if self.batched == 0 {
            return Ok(self.acknowledged());
        }
        let seal = if self.cipher.is_some() { TAG_BYTES } else { 0 };
        let stored = padded(self.batch.len() + seal) as u64;
        if self.catalogue.end.offset + stored > self.file_bytes {
            self.roll()?;
        }
        let frame = self.seal()?;
        let end = self.catalogue.end;
        let written = self.file.write_at(&self.batch, end.offset).and_then(|()| self.file.sync_data());
        self.batch.truncate(FRAME_BYTES);
        self.batched = 0;
        let offset = end.offset + stored;
        let next = End { position: frame.end(), block: frame.number + 1, chain: frame.chain, offset };
        let marked = written.and_then(|()| self.marks.write(&mark_of(&next, false).to_bytes()));
        marked.map_err(|error| self.fail(error))?;
        self.catalogue.note(&frame, self.catalogue.segments.len() - 1, end.offset);
        self.catalogue.end = next;
        Ok(next.position)
    }

    /// Position behind the last record that is on disk.
    pub fn acknowledged(&self) -> u64 {
        self.catalogue.end.position
    }

    /// Position of the first record that the log still has.
    pub fn start(&self) -> u64 {
        self.catalogue.start()
    }

    /// Position that the next new record gets.
    pub fn next_position(&self) -> u64 {
        self.catalogue.end.position + u64::from(self.batched)
    }

    /// What the log was named when it was made: random, the same in all segments and in copies.
    pub fn id(&self) -> [u8; 16] {
        self.catalogue.id()
    }

    /// BLAKE3 over all that was stored: it names the log up to [`Self::acknowledged`].
    pub fn chain(&self) -> [u8; 32] {
        self.catalogue.end.chain
    }

    /// Where an id is, if the log still has it; it may wait for a commit.
    pub fn position_of(&self, id: u128) -> Option<u64> {
        self.ids.get(&id).map(|(position, _)| *position)
    }

    /// Reads acknowledged records from a position on, into an empty list: at least one block's if there are any, and no
    /// further block once there are `bytes` of them.
    pub fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        read_records(&self.disk, &self.keys, &self.catalogue, from, bytes, into)
    }

    /// Flushes the acknowledged position too. Call it when there is nothing else to do: see [`crate::mark`].
    pub fn settle(&mut self) -> Result<(), CommitError> {
        if self.failed {
            return Err(CommitError::Failed);
        }
        let synced = self.marks.sync();
        synced.map_err(|error| self.fail(error))
    }

    /// Commits what waits and closes the log, so that the next writer goes on in the same segment.
    pub fn close(mut self) -> Result<u64, CommitError> {
        let end = self.commit()?;
        let mark = mark_of(&self.catalogue.end, true);
        let marked = self.marks.write(&mark.to_bytes()).and_then(|()| self.marks.sync());
        marked.map_err(|error| self.fail(error))?;
        Ok(end)
    }

    /// For a thread that makes segments ahead, so that no commit waits for one to be filled with zeros.
    pub fn preparer(&self) -> Preparer<D> {
        Preparer { disk: self.disk.clone(), segment_bytes: self.options.segment_bytes }
    }

    pub(crate) fn fail(&mut self, error: std::io::Error) -> CommitError {
        self.failed = true;
        CommitError::Disk(error, self.acknowledged())
    }

    /// Makes the batch the bytes of a block.
    fn seal(&mut self) -> Result<Frame, CommitError> {
        let tag_bytes = if self.cipher.is_some() { TAG_BYTES } else { 0 };
        let end = &self.catalogue.end;
        let mut frame = Frame {
            number: end.block,
            first: end.position,
            count: self.batched,
            payload_bytes: (self.batch.len() - FRAME_BYTES + tag_bytes) as u32,
            salt: self.catalogue.segments.last().map_or([0; 8], |segment| segment.header.salt()),
            nonce: [0; 12],
            payload_crc: 0,
            chain: [0; 32],
        };
        if let Some(cipher) = &self.cipher {
            getrandom::fill(&mut frame.nonce).map_err(|_| CommitError::NoRandomness)?;
            let (nonce, aad) = (Nonce::assume_unique_for_key(frame.nonce), Aad::from(record::identity(&frame)));
            let tag = cipher.seal_in_place_separate_tag(nonce, aad, &mut self.batch[FRAME_BYTES..]);
            self.batch.extend_from_slice(tag.map_err(|_| CommitError::NoRandomness)?.as_ref());
        }
        frame.finish(&end.chain, &self.batch[FRAME_BYTES..]);
        self.batch[..FRAME_BYTES].copy_from_slice(&frame.to_bytes());
        self.batch.resize(padded(self.batch.len()), 0);
        Ok(frame)
    }

    /// Begins the next segment.
    fn roll(&mut self) -> Result<(), CommitError> {
        let waiting = u64::from(self.batched);
        // The mark never lags by more than a segment, so that recovery never copies more than one.
        self.settle()?;
        let epoch = self.keys.draw(&self.disk).map_err(|error| segment_file::key_error(error, waiting))?;
        let mut header = self.catalogue.segments[self.catalogue.segments.len() - 1].header;
        let end = self.catalogue.end;
        (header.first, header.first_block, header.before, header.key_epoch) =
            (end.position, end.block, end.chain, epoch);
        let made = segment_file::make(&self.disk, &header, &[], self.options.segment_bytes);
        let (segment, file) = made.map_err(|error| match error {
            MakeError::Before(error) => CommitError::NoSpace(error, waiting),
            MakeError::Names(error) => self.fail(error),
        })?;
        self.cipher = self.keys.cipher(epoch);
        self.catalogue.segments.push(segment);
        self.catalogue.end.offset = HEADER_BYTES as u64;
        self.file_bytes = self.options.segment_bytes;
        self.file = file;
        Ok(())
    }
}

pub(crate) fn mark_of(end: &End, clean: bool) -> Mark {
    Mark { position: end.position, block: end.block, chain: end.chain, clean }
}

pub(crate) fn read_records<D: Disk>(
    disk: &D,
    keys: &Keys,
    catalogue: &Catalogue,
    from: u64,
    bytes: usize,
    into: &mut Vec<Record>,
) -> Result<(), OpenError> {
    let (mut opener, mut taken) = (Opener::default(), 0);
    let from = from.max(catalogue.start());
    catalogue.blocks_from(disk, from, catalogue.end.position, |frame, payload, segment, _| {
        let epoch = segment.header.key_epoch;
        opener.records(keys, epoch, frame, payload, |position, id, data| {
            if position >= from {
                into.push(Record { position, id, data: data.to_vec() });
            }
        })?;
        taken += payload.len();
        Ok(taken < bytes)
    })
}

/// Makes segments ahead, on a thread of the caller's.
#[derive(Debug, Clone)]
pub struct Preparer<D: Disk> {
    disk: D,
    segment_bytes: u64,
}

impl<D: Disk> Preparer<D> {
    /// Makes the next segment's file if there is none waiting; returns whether it made one. One thread at a time.
    pub fn prepare(&self) -> std::io::Result<bool> {
        segment_file::prepare(&self.disk, self.segment_bytes)
    }
}
