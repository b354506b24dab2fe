//! The writer: append to the open batch, commit it with one write and one fdatasync, and only then call it acknowledged.
//!
//! Group commit is the caller's rhythm: whoever serves many callers appends what came in and commits once for all of them.
//! No thread and no clock is here. After a commit failed, a log takes nothing more: what is on disk is found out by opening it
//! anew. Next: [`crate::commit`] for what a commit is, [`crate::recover`] for how a log is opened.

use std::sync::Arc;

use ring::aead::LessSafeKey;

use crate::backup::BACKUP;
use crate::batch::Batch;
use crate::catalogue::{Catalogue, End, Extent, SEGMENT_BYTES_MAX};
use crate::commit::{Next, Written};
use crate::cursor;
use crate::disk::Disk;
use crate::error::{AppendError, CommitError, OpenError};
use crate::frame::PAYLOAD_BYTES_MAX;
use crate::ids::Ids;
use crate::keys::{Keys, Masters, TAG_BYTES};
use crate::mark::Mark;
use crate::record::{Opener, RECORD_BYTES_MAX, RECORD_HEAD_BYTES, Record};
use crate::segment_file;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of a new segment, from one largest batch to 256 MiB.
    pub segment_bytes: u64,
    /// Bytes that a batch holds, heads of records included, up to 7 MiB.
    pub batch_bytes: usize,
    /// Ids that are kept for idempotence, 33 to 66 B of memory each: as many as there are records in the segments.
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

/// A log that is being written.
#[derive(Debug)]
pub struct Log<D: Disk> {
    pub(crate) disk: D,
    pub(crate) options: Options,
    pub(crate) keys: Keys,
    pub(crate) catalogue: Catalogue,
    /// Where blocks go; those that are under way have it too.
    pub(crate) file: Arc<D::File>,
    /// Bytes of `file`.
    pub(crate) file_bytes: u64,
    /// Where the open batch goes.
    pub(crate) next: Next,
    /// Commits that were begun and not ended.
    pub(crate) under_way: u32,
    pub(crate) written: Written<D::File>,
    pub(crate) cipher: Option<Arc<LessSafeKey>>,
    pub(crate) ids: Ids,
    /// The open batch.
    pub(crate) batch: Batch,
    /// Memory for further ones.
    pub(crate) idle: Vec<Batch>,
    pub(crate) failed: bool,
    /// Held by what is under way too.
    pub(crate) lock: Arc<D::Lock>,
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
        let digest = self.ids.digest(data);
        let hash = self.ids.hash(id);
        if let Some((position, known)) = self.ids.get(id, hash) {
            return if known == digest {
                Ok(Appended::Known(position))
            } else {
                Err(AppendError::Conflict { id, position })
            };
        }
        if self.ids.len() >= self.options.ids_max {
            return Err(AppendError::TooManyIds(self.options.ids_max));
        }
        if self.batch.record_bytes() + RECORD_HEAD_BYTES + data.len() > self.options.batch_bytes {
            return Err(AppendError::BatchFull);
        }
        let position = self.next_position();
        self.ids.push(id, hash, digest);
        if self.batch.is_away() {
            self.batch = Batch::new(self.options.batch_bytes);
        }
        self.batch.push(id, data);
        Ok(Appended::New(position))
    }

    /// How many of these ids are known. Ask it for all that are appended together, before the first: they are looked up at once,
    /// and each is found quickly when its turn comes. It changes nothing else.
    pub fn known_among(&self, ids: impl IntoIterator<Item = u128>) -> usize {
        self.ids.among(ids)
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
        self.next.position + u64::from(self.batch.count)
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
        self.ids.get(id, self.ids.hash(id)).map(|(position, _)| position)
    }

    /// Reads acknowledged records from a position on, into an empty list: at least one block's if there are any, and no
    /// further block once there are `bytes` of them.
    pub fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        read_records(&self.disk, &self.keys, &self.catalogue, from, bytes, into)
    }

    /// What its segments hold and take, the oldest first.
    pub fn segments(&self) -> Result<Vec<Extent>, OpenError> {
        self.catalogue.extents(&self.disk)
    }

    /// How many segments it has.
    pub fn segments_count(&self) -> usize {
        self.catalogue.segments.len()
    }

    /// How far the last backup of it reaches: see [`crate::backup::note`]. `None` if nobody ever said.
    pub fn backed_up(&self) -> Result<Option<u64>, OpenError> {
        cursor::position(&self.disk, BACKUP)
    }

    /// Flushes the acknowledged position too. Call it when there is nothing else to do: see [`crate::mark`].
    pub fn settle(&mut self) -> Result<(), CommitError> {
        if self.failed {
            return Err(CommitError::Failed);
        }
        let synced = self.written.lock().and_then(|written| written.marks.sync());
        synced.map_err(|error| self.fail(error))
    }

    /// Commits what waits and closes the log, so that the next writer goes on in the same segment.
    pub fn close(mut self) -> Result<u64, CommitError> {
        let end = self.commit()?;
        let mark = mark_of(&self.catalogue.end, true);
        let marked = self.written.lock().and_then(|mut written| {
            written.marks.write(&mark.to_bytes())?;
            written.marks.sync()
        });
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
