//! A commit in three steps, so that the next batch is filled and sealed while the disk works on the last one.
//!
//! [`Log::begin_commit`] makes the open batch a block, [`PendingCommit::write`] writes and flushes it, on any thread,
//! [`Log::end_commit`] acknowledges it. [`Log::commit`] is all three, one after the other. No thread is here: whoever wants the disk
//! to be busy all the time gives pending commits to a thread of its own, in order, and takes what is written back.
//!
//! What stays a law: a block is written only after the one before is on disk, since that is what tells rot from a torn tail. So a
//! block has its turn, and one that is written out of turn, or behind one that failed, is refused.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{Aad, Nonce};

use crate::batch::Batch;
use crate::catalogue::End;
use crate::disk::{Disk, DiskFile};
use crate::error::CommitError;
use crate::frame::{FRAME_BYTES, Frame, HEADER_BYTES, padded};
use crate::keys::TAG_BYTES;
use crate::log::{Log, mark_of};
use crate::record;
use crate::segment_file::{self, MakeError};

/// Commits that may be under way: one that the disk works on, and one behind it that is ready when the disk is.
pub const COMMITS_UNDER_WAY_MAX: u32 = 2;

/// What became of the open batch.
#[derive(Debug)]
#[must_use = "a commit that was begun must be written and ended"]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each commit")]
pub enum Begun<D: Disk> {
    /// It was empty.
    Nothing,
    /// As many commits as there may be are under way, or the segment is full: end what is under way and begin again. The batch waits.
    Later,
    /// It is a block, to be written.
    Pending(PendingCommit<D>),
}

/// A block that is to be written.
#[derive(Debug)]
#[must_use = "a commit that was begun must be written and ended"]
pub struct PendingCommit<D: Disk> {
    file: Arc<D::File>,
    turn: Turn,
    batch: Batch,
    frame: Frame,
    /// Where the block goes.
    offset: u64,
    /// Where the log ends behind it.
    end: End,
    /// Nobody else writes this log while this may be written, whatever became of the log.
    _lock: Arc<D::Lock>,
}

/// A block of which is known whether it is on disk.
#[derive(Debug)]
#[must_use = "a commit that was written must be ended"]
pub struct WrittenCommit {
    batch: Batch,
    frame: Frame,
    offset: u64,
    end: End,
    written: io::Result<()>,
}

/// Number of the block that may be written: all before it are on disk.
#[derive(Debug, Clone)]
pub(crate) struct Turn(Arc<AtomicU64>);

impl Turn {
    pub fn of(block: u64) -> Self {
        Self(Arc::new(AtomicU64::new(block)))
    }

    fn is(&self, block: u64) -> bool {
        self.0.load(Ordering::Acquire) == block
    }

    fn pass(&self, to: u64) {
        self.0.store(to, Ordering::Release);
    }
}

impl<D: Disk> PendingCommit<D> {
    /// Writes the block and returns when it is on disk, or when it is known not to be.
    pub fn write(self) -> WrittenCommit {
        let Self { file, turn, batch, frame, offset, end, _lock } = self;
        let written = if turn.is(frame.number) {
            let written = file.commit_at(batch.block(), offset);
            if written.is_ok() {
                turn.pass(end.block);
            }
            written
        } else {
            Err(io::Error::other("the commit before this one is not on disk, so that this one was not written"))
        };
        WrittenCommit { batch, frame, offset, end, written }
    }
}

impl<D: Disk> Log<D> {
    /// Writes the open batch and returns when it is on disk, with the position behind the last acknowledged record.
    ///
    /// # Errors
    /// After [`CommitError::NoSpace`] and [`CommitError::NoRandomness`] the batch waits for the next commit, and after
    /// [`CommitError::UnderWay`] for those before it. After [`CommitError::Disk`] the log takes nothing more.
    pub fn commit(&mut self) -> Result<u64, CommitError> {
        if self.under_way > 0 {
            return Err(CommitError::UnderWay(self.under_way));
        }
        match self.begin_commit()? {
            Begun::Pending(pending) => self.end_commit(pending.write()),
            Begun::Nothing | Begun::Later => Ok(self.acknowledged()),
        }
    }

    /// Makes the open batch a block that is to be written; the next records go into another batch.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn begin_commit(&mut self) -> Result<Begun<D>, CommitError> {
        if self.failed {
            return Err(CommitError::Failed);
        }
        if self.batch.count == 0 {
            return Ok(Begun::Nothing);
        }
        let stored = padded(FRAME_BYTES + self.batch.record_bytes() + self.tag_bytes()) as u64;
        let is_full = self.sealed.offset + stored > self.file_bytes;
        if self.under_way == COMMITS_UNDER_WAY_MAX || is_full && self.under_way > 0 {
            return Ok(Begun::Later);
        }
        if is_full {
            self.roll()?;
        }
        let frame = self.seal()?;
        let offset = self.sealed.offset;
        let end = End { position: frame.end(), block: frame.number + 1, chain: frame.chain, offset: offset + stored };
        let batch = std::mem::replace(&mut self.batch, self.idle.pop().unwrap_or_default());
        self.sealed = end;
        self.under_way += 1;
        let (file, lock) = (Arc::clone(&self.file), Arc::clone(&self.lock));
        Ok(Begun::Pending(PendingCommit { file, turn: self.turn.clone(), batch, frame, offset, end, _lock: lock }))
    }

    /// Acknowledges a block that is on disk; returns the position behind the last acknowledged record. Blocks are ended in the
    /// order in which they were begun.
    ///
    /// # Errors
    /// [`CommitError::Disk`] if it is not on disk. The log takes nothing more, and those behind it are not on disk either.
    pub fn end_commit(&mut self, written: WrittenCommit) -> Result<u64, CommitError> {
        let WrittenCommit { mut batch, frame, offset, end, written } = written;
        self.under_way = self.under_way.saturating_sub(1);
        batch.clear();
        if self.batch.is_away() {
            self.batch = batch
        } else {
            self.idle.push(batch)
        }
        if self.failed {
            return Err(CommitError::Failed);
        }
        let in_turn = match frame.number == self.catalogue.end.block {
            true => Ok(()),
            false => Err(io::Error::other("a commit was ended before the one before it")),
        };
        let marked = written.and(in_turn).and_then(|()| self.marks.write(&mark_of(&end, false).to_bytes()));
        marked.map_err(|error| self.fail(error))?;
        self.catalogue.note(&frame, self.catalogue.segments.len() - 1, offset);
        self.catalogue.end = end;
        Ok(end.position)
    }

    /// Commits that were begun and not ended.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    fn tag_bytes(&self) -> usize {
        if self.cipher.is_some() { TAG_BYTES } else { 0 }
    }

    /// Makes the batch the bytes of a block.
    fn seal(&mut self) -> Result<Frame, CommitError> {
        let mut frame = Frame {
            number: self.sealed.block,
            first: self.sealed.position,
            count: self.batch.count,
            payload_bytes: (self.batch.record_bytes() + self.tag_bytes()) as u32,
            salt: self.catalogue.segments.last().map_or([0; 8], |segment| segment.header.salt()),
            nonce: [0; 12],
            payload_crc: 0,
            chain: [0; 32],
        };
        if let Some(cipher) = &self.cipher {
            getrandom::fill(&mut frame.nonce).map_err(|_| CommitError::NoRandomness)?;
            let (nonce, aad) = (Nonce::assume_unique_for_key(frame.nonce), Aad::from(record::identity(&frame)));
            let tag = cipher.seal_in_place_separate_tag(nonce, aad, self.batch.records_mut());
            self.batch.push_tag(tag.map_err(|_| CommitError::NoRandomness)?.as_ref());
        }
        frame.finish(&self.sealed.chain, self.batch.block_mut());
        self.batch.pad();
        Ok(frame)
    }

    /// Begins the next segment. Nothing is under way.
    fn roll(&mut self) -> Result<(), CommitError> {
        let waiting = u64::from(self.batch.count);
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
        self.sealed = self.catalogue.end;
        self.file_bytes = self.options.segment_bytes;
        self.file = Arc::new(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{Faults, SimulatedDisk};
    use crate::{AppendError, Options};

    fn log(disk: &SimulatedDisk) -> Log<SimulatedDisk> {
        let options = Options { segment_bytes: 16 << 10, batch_bytes: 2 << 10, ..Options::default() };
        Log::open(disk.clone(), options).expect("a log").0
    }

    fn begin(log: &mut Log<SimulatedDisk>, id: u128) -> PendingCommit<SimulatedDisk> {
        log.append(id, b"fact").expect("appended");
        match log.begin_commit().expect("sealed") {
            Begun::Pending(pending) => pending,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_next_batch_is_sealed_while_the_last_one_is_written_and_both_are_acknowledged_in_order() {
        let disk = SimulatedDisk::direct();
        let mut log = log(&disk);
        let (first, second) = (begin(&mut log, 1), begin(&mut log, 2));
        log.append(3, b"fact").expect("appended");
        assert!(matches!(log.begin_commit(), Ok(Begun::Later)));
        assert!(matches!(log.commit(), Err(CommitError::UnderWay(2))));
        assert_eq!((log.acknowledged(), log.next_position()), (0, 3));
        let (first, second) = (first.write(), second.write());
        assert_eq!(log.end_commit(first).expect("on disk"), 1);
        assert_eq!(log.end_commit(second).expect("on disk"), 2);
        assert_eq!(log.commit().expect("on disk"), 3);
    }

    #[test]
    fn a_block_is_not_written_before_the_one_before_it_is_on_disk() {
        let disk = SimulatedDisk::direct();
        let mut log = log(&disk);
        let (first, second) = (begin(&mut log, 1), begin(&mut log, 2));
        let before = disk.operations();
        let second = second.write();
        assert_eq!(disk.operations(), before);
        let first = first.write();
        assert_eq!(log.end_commit(first).expect("on disk"), 1);
        assert!(matches!(log.end_commit(second), Err(CommitError::Disk(_, 1))));
        assert_eq!(log.append(3, b"fact"), Err(AppendError::Failed));
    }

    #[test]
    fn what_stands_behind_a_commit_that_failed_is_refused_and_nothing_of_it_is_there() {
        for disk in [SimulatedDisk::direct(), SimulatedDisk::default()] {
            let mut first_life = log(&disk);
            let (first, second) = (begin(&mut first_life, 1), begin(&mut first_life, 2));
            disk.set_faults(Faults { failing_sync_at: Some(0), ..Faults::default() });
            let (first, second) = (first.write(), second.write());
            assert!(matches!(first_life.end_commit(first), Err(CommitError::Disk(_, 0))));
            assert!(matches!(first_life.end_commit(second), Err(CommitError::Failed)));
            drop(first_life);
            disk.set_faults(Faults::default());
            assert!(log(&disk).acknowledged() <= 1);
        }
    }

    #[test]
    fn a_segment_begins_when_all_of_the_one_before_is_on_disk() {
        let disk = SimulatedDisk::direct();
        let mut log = log(&disk);
        let mut waited = false;
        for id in 0..40_u128 {
            log.append(id, &[id as u8; 900]).expect("appended");
            let mut under_way = match log.begin_commit().expect("sealed") {
                Begun::Pending(pending) => vec![pending],
                other => panic!("{other:?}"),
            };
            log.append(1000 + id, &[id as u8; 1000]).expect("appended");
            match log.begin_commit().expect("sealed") {
                Begun::Pending(pending) => under_way.push(pending),
                _ => waited = true,
            }
            for pending in under_way {
                log.end_commit(pending.write()).expect("on disk");
            }
            log.commit().expect("on disk");
        }
        assert!(waited);
        assert_eq!(log.acknowledged(), 80);
        assert_eq!(crate::verify(&disk, None).expect("verified").damages, []);
    }
}
