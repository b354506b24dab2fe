//! A commit in steps, so that the next batch is filled while the disk works on the last one.
//!
//! [`Log::begin_commit`] takes the open batch away, [`PendingCommit::write`] makes it a block, writes it and returns when it is on
//! disk, on any thread, and [`Log::end_commit`] gives its memory back. [`Log::commit`] is all of it, one after the other. What of a
//! block needs no other block can be done before its turn, wherever there is time: [`PendingCommit::seal`] and
//! [`PendingCommit::hash`]. No thread is here: whoever wants the disk to be busy all the time gives pending commits to a thread of its
//! own, in order, and takes what is written back.
//!
//! What stays a law: a block is written only after the one before is on disk, since that is what tells rot from a torn tail. So a
//! block has its turn, and one that is written out of turn, or behind one that failed, is refused.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::batch::Batch;
use crate::catalogue::End;
use crate::chain::Beforehand;
use crate::disk::{Disk, DiskFile};
use crate::error::CommitError;
use crate::frame::{FRAME_BYTES, Frame, HEADER_BYTES, padded};
use crate::keys::TAG_BYTES;
use crate::log::{Log, mark_of};
use crate::record;
use crate::segment_file::{self, MakeError};
use crate::slots::Slots;

/// Commits that may be under way: one that the disk works on, one behind it that is ready when the disk is, and one that is being made
/// ready.
pub const COMMITS_UNDER_WAY_MAX: u32 = 3;

/// What became of the open batch.
#[derive(Debug)]
#[must_use = "a commit that was begun must be written and ended"]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each commit")]
pub enum Begun<D: Disk> {
    /// It was empty.
    Nothing,
    /// As many commits as there may be are under way, or the segment is full: end what is under way and begin again. The batch waits.
    Later,
    /// It is to be written.
    Pending(PendingCommit<D>),
}

/// A batch that is to become a block.
#[derive(Debug)]
#[must_use = "a commit that was begun must be written and ended"]
pub struct PendingCommit<D: Disk> {
    file: Arc<D::File>,
    written: Written<D::File>,
    /// What it is to be sealed with; not there if it is sealed, or is not to be.
    cipher: Option<Arc<LessSafeKey>>,
    batch: Batch,
    frame: Frame,
    /// What is hashed so far; not there if nothing is.
    hashed: Option<Beforehand>,
    /// Where the block goes.
    offset: u64,
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
    written: io::Result<End>,
}

impl WrittenCommit {
    /// Whether it is on disk. If so, its records are acknowledged, and whoever waits for them may be told before the log is.
    pub fn is_on_disk(&self) -> bool {
        self.written.is_ok()
    }
}

/// Where the next block goes, behind what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    pub position: u64,
    pub block: u64,
    pub offset: u64,
}

impl From<End> for Next {
    fn from(end: End) -> Self {
        Self { position: end.position, block: end.block, offset: end.offset }
    }
}

/// How far the log is on disk, which only the block whose turn it is changes.
#[derive(Debug)]
pub(crate) struct Written<F>(Arc<Mutex<OnDisk<F>>>);

#[derive(Debug)]
pub(crate) struct OnDisk<F> {
    pub end: End,
    pub marks: Slots<F>,
}

impl<F> Clone for Written<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Written<F> {
    pub fn to(end: End, marks: Slots<F>) -> Self {
        Self(Arc::new(Mutex::new(OnDisk { end, marks })))
    }

    /// Fails if a thread panicked in the middle of a commit: nobody knows what it has done.
    pub fn lock(&self) -> io::Result<MutexGuard<'_, OnDisk<F>>> {
        self.0.lock().map_err(|_| io::Error::other("a thread panicked while it wrote a commit"))
    }
}

impl<D: Disk> PendingCommit<D> {
    /// Encrypts the records now, if the log is encrypted. [`Self::write`] does it otherwise.
    pub fn seal(&mut self) {
        // What fails here fails again in `write`, which tells of it.
        let _ = self.try_seal();
    }

    /// Encrypts the records and hashes all that does not follow from the block before, now. [`Self::write`] does it otherwise.
    pub fn hash(&mut self) {
        let _ = self.try_hash();
    }

    fn try_seal(&mut self) -> io::Result<()> {
        if let Some(cipher) = &self.cipher {
            let (nonce, aad) =
                (Nonce::assume_unique_for_key(self.frame.nonce), Aad::from(record::identity(&self.frame)));
            let tag = cipher.seal_in_place_separate_tag(nonce, aad, self.batch.records_mut());
            let tag = tag.map_err(|_| io::Error::other("the batch is too long to be encrypted"))?;
            self.batch.push_tag(tag.as_ref());
            self.cipher = None;
        }
        Ok(())
    }

    fn try_hash(&mut self) -> io::Result<Beforehand> {
        self.try_seal()?;
        let hashed = self.hashed.unwrap_or_else(|| self.frame.prepare(self.batch.block()));
        self.hashed = Some(hashed);
        Ok(hashed)
    }

    /// Writes the block and returns when it is on disk, or when it is known not to be. If it is, it is acknowledged.
    pub fn write(mut self) -> WrittenCommit {
        let written = self.try_write();
        let Self { batch, frame, offset, .. } = self;
        WrittenCommit { batch, frame, offset, written }
    }

    fn try_write(&mut self) -> io::Result<End> {
        let hashed = self.try_hash()?;
        let mut before = self.written.lock()?;
        if before.end.block != self.frame.number {
            let why = "the commit before this one is not on disk, so that this one was not written";
            return Err(io::Error::other(why));
        }
        self.frame.link(&before.end.chain, &hashed, self.batch.block_mut());
        self.batch.pad();
        let block = self.batch.block();
        self.file.commit_at(block, self.offset)?;
        let frame = &self.frame;
        let offset = self.offset + block.len() as u64;
        let end = End { position: frame.end(), block: frame.number + 1, chain: frame.chain, offset };
        // Behind one whose mark failed nothing is written either: its turn never comes.
        before.marks.write(&mark_of(&end, false).to_bytes())?;
        before.end = end;
        Ok(end)
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

    /// Takes the open batch, which is to be written; the next records go into another one.
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
        let payload_bytes = self.batch.record_bytes() + if self.cipher.is_some() { TAG_BYTES } else { 0 };
        let stored = padded(FRAME_BYTES + payload_bytes) as u64;
        let is_full = self.next.offset + stored > self.file_bytes;
        if self.under_way == COMMITS_UNDER_WAY_MAX || is_full && self.under_way > 0 {
            return Ok(Begun::Later);
        }
        if is_full {
            self.roll()?;
        }
        let mut nonce = [0; 12];
        if self.cipher.is_some() {
            getrandom::fill(&mut nonce).map_err(|_| CommitError::NoRandomness)?;
        }
        let Next { position, block, offset } = self.next;
        let frame = Frame {
            number: block,
            first: position,
            count: self.batch.count,
            payload_bytes: payload_bytes as u32,
            salt: self.catalogue.segments.last().map_or([0; 8], |segment| segment.header.salt()),
            nonce,
            payload_crc: 0,
            chain: [0; 32],
        };
        let batch = std::mem::replace(&mut self.batch, self.idle.pop().unwrap_or_default());
        self.next = Next { position: frame.end(), block: block + 1, offset: offset + stored };
        self.under_way += 1;
        Ok(Begun::Pending(PendingCommit {
            file: Arc::clone(&self.file),
            written: self.written.clone(),
            cipher: self.cipher.clone(),
            batch,
            frame,
            hashed: None,
            offset,
            _lock: Arc::clone(&self.lock),
        }))
    }

    /// Takes a block back that is on disk; returns the position behind the last acknowledged record. Blocks are ended in the order in
    /// which they were begun.
    ///
    /// # Errors
    /// [`CommitError::Disk`] if it is not on disk. The log takes nothing more, and those behind it are not on disk either.
    pub fn end_commit(&mut self, written: WrittenCommit) -> Result<u64, CommitError> {
        let WrittenCommit { mut batch, frame, offset, written } = written;
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
        let end = written.and_then(|end| in_turn.map(|()| end)).map_err(|error| self.fail(error))?;
        self.catalogue.note(&frame, self.catalogue.segments.len() - 1, offset);
        self.catalogue.end = end;
        Ok(end.position)
    }

    /// Commits that were begun and not ended.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Begins the next segment. Nothing is under way.
    fn roll(&mut self) -> Result<(), CommitError> {
        let waiting = u64::from(self.batch.count);
        // The mark never lags by more than a segment, so that recovery never copies more than one.
        self.settle()?;
        let epoch = self.keys.draw(&self.disk).map_err(|error| segment_file::key_error(error, waiting))?;
        let mut header = self.catalogue.segments[self.catalogue.segments.len() - 1].header;
        let mut end = self.catalogue.end;
        (header.first, header.first_block, header.before, header.key_epoch) =
            (end.position, end.block, end.chain, epoch);
        let made = segment_file::make(&self.disk, &header, &[], self.options.segment_bytes);
        let (segment, file) = made.map_err(|error| match error {
            MakeError::Before(error) => CommitError::NoSpace(error, waiting),
            MakeError::Names(error) => self.fail(error),
        })?;
        end.offset = HEADER_BYTES as u64;
        file.forget_cached(end.offset);
        self.cipher = self.keys.cipher(epoch).map(Arc::new);
        self.catalogue.segments.push(segment);
        self.catalogue.end = end;
        self.next = end.into();
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
        let begun = [1, 2, 3].map(|id| begin(&mut log, id));
        log.append(4, b"fact").expect("appended");
        assert!(matches!(log.begin_commit(), Ok(Begun::Later)));
        assert!(matches!(log.commit(), Err(CommitError::UnderWay(COMMITS_UNDER_WAY_MAX))));
        assert_eq!((log.acknowledged(), log.next_position()), (0, 4));
        for (position, written) in (1..).zip(begun.map(PendingCommit::write)) {
            assert!(written.is_on_disk());
            assert_eq!(log.end_commit(written).expect("on disk"), position);
        }
        assert_eq!(log.commit().expect("on disk"), 4);
    }

    #[test]
    fn what_is_done_before_a_blocks_turn_and_in_which_order_changes_nothing_of_what_is_stored() {
        type Done = fn(&mut PendingCommit<SimulatedDisk>);
        let ways: [Done; 4] = [
            |_| (),
            PendingCommit::seal,
            PendingCommit::hash,
            |pending| {
                pending.seal();
                pending.hash();
                pending.hash();
            },
        ];
        let disk = SimulatedDisk::direct();
        let masters = || Some(crate::Masters::from_key([7; 32]));
        let options =
            Options { segment_bytes: 1 << 20, batch_bytes: 64 << 10, masters: masters(), ..Options::default() };
        let mut log = Log::open(disk.clone(), options).expect("a log").0;
        for (round, way) in (0_u128..).zip(ways) {
            let mut begun = [0, 1].map(|which| {
                for record in 0..=round * 12 {
                    log.append(round << 64 | which << 32 | record, &[round as u8; 900]).expect("appended");
                }
                match log.begin_commit().expect("begun") {
                    Begun::Pending(pending) => pending,
                    other => panic!("{other:?}"),
                }
            });
            // The later one first: nothing of it needs the one before.
            begun.iter_mut().rev().for_each(way);
            begun.map(PendingCommit::write).into_iter().for_each(|written| {
                log.end_commit(written).expect("on disk");
            });
        }
        let found = crate::verify(&disk, masters()).expect("verified");
        assert_eq!((found.damages, found.end), (Vec::new(), log.acknowledged()));
    }

    #[test]
    fn a_block_is_on_disk_and_acknowledged_before_the_log_takes_it_back() {
        let disk = SimulatedDisk::direct();
        let mut first_life = log(&disk);
        let written = begin(&mut first_life, 1).write();
        assert!(written.is_on_disk());
        disk.restart(&mut crate::simulated::Dice::new(1));
        drop(first_life);
        assert_eq!(log(&disk).acknowledged(), 1);
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
