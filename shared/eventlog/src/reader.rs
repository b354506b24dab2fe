//! Reading a log that somebody else may be writing: only what is acknowledged, nothing is changed, no lock is taken.

use crate::catalogue::{self, Catalogue};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::keys::{Keys, Masters};
use crate::log::read_records;
use crate::mark::{self, Mark};
use crate::record::Record;
use crate::recover::prove;
use crate::slots::Slots;

/// A log that is read.
#[derive(Debug)]
pub struct Reader<D: Disk> {
    disk: D,
    masters: Option<Masters>,
    keys: Keys,
    marks: Slots<D::File>,
    catalogue: Catalogue,
}

impl<D: Disk> Reader<D> {
    /// Opens a log and proves all that is acknowledged in it.
    pub fn open(disk: D, masters: Option<Masters>) -> Result<Self, OpenError> {
        let (marks, mark) = Mark::open(&disk)?.ok_or(OpenError::NotThere)?;
        let keys = Keys::open(&disk, masters.clone())?;
        let segments = catalogue::segments(&disk)?;
        let proved = prove(&disk, segments, &mark, Some(mark.block), |_, _, _| Ok(()))?;
        Ok(Self { disk, masters, keys, marks, catalogue: proved.catalogue })
    }

    /// What the log was named when it was made: see [`crate::Log::id`].
    pub fn id(&self) -> [u8; 16] {
        self.catalogue.id()
    }

    /// Position of the first record.
    pub fn start(&self) -> u64 {
        self.catalogue.start()
    }

    /// Position behind the last record that was acknowledged when this was opened or refreshed.
    pub fn end(&self) -> u64 {
        self.catalogue.end.position
    }

    /// Looks for what was acknowledged since; returns the new end.
    pub fn refresh(&mut self) -> Result<u64, OpenError> {
        let mark = Mark::from_bytes(&self.marks.reread(mark::FILE)?);
        if mark.block <= self.catalogue.end.block {
            return Ok(self.end());
        }
        let mut segments = catalogue::segments(&self.disk)?;
        segments.retain(|segment| segment.header.first_block < mark.block.max(1));
        let last = self.catalogue.segments.len() - 1;
        if segments.last() != self.catalogue.segments.last() {
            // A segment was begun or dropped: its key is new, and so is where everything stands.
            *self = Self::open(self.disk.clone(), self.masters.clone())?;
            return Ok(self.end());
        }
        let (segment, mut end) = (self.catalogue.segments[last].clone(), self.catalogue.end);
        let catalogue = &mut self.catalogue;
        segment.walk(&self.disk, &mut end, Some(mark.block), |frame, _, offset| {
            catalogue.note(frame, last, offset);
            Ok(())
        })?;
        catalogue.end = end;
        Ok(end.position)
    }

    /// Reads records from a position on: see [`crate::Log::read`].
    pub fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        read_records(&self.disk, &self.keys, &self.catalogue, from, bytes, into)
    }
}
