//! Reading a log that somebody else may be writing: only what is acknowledged, nothing is changed, no lock is taken.

use crate::catalogue::{self, Catalogue, Extent, Segment};
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

    /// What its segments hold and take, the oldest first.
    pub fn segments(&self) -> Result<Vec<Extent>, OpenError> {
        self.catalogue.extents(&self.disk)
    }

    /// Looks for what was acknowledged since, and for what was dropped; returns the new end. Only what is new is read and
    /// proved: what was proved before is proved again where it is read.
    ///
    /// # Errors
    /// What is new is damaged, or cannot be read. What was proved so far can still be read.
    pub fn refresh(&mut self) -> Result<u64, OpenError> {
        let mark = Mark::from_bytes(&self.marks.reread(mark::FILE)?);
        let grew = mark.block > self.catalogue.end.block;
        if !grew && self.has_its_first_segment()? {
            return Ok(self.end());
        }
        let names = self.disk.names()?;
        let is_there = |segment: &Segment| names.binary_search(&segment.name).is_ok();
        let Some(dropped) = self.catalogue.segments.iter().position(is_there) else {
            // Nothing is left of what was proved, so that there is nothing that could be gone on from.
            *self = Self::open(self.disk.clone(), self.masters.clone())?;
            return Ok(self.end());
        };
        self.catalogue.forget_first(dropped);
        if grew {
            self.prove(&names, &mark)?;
        }
        Ok(self.end())
    }

    /// Whether nothing was dropped.
    fn has_its_first_segment(&self) -> Result<bool, OpenError> {
        let Some(first) = self.catalogue.segments.first() else { return Ok(true) };
        match self.disk.open(&first.name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Proves what lies between the end and the mark.
    fn prove(&mut self, names: &[String], mark: &Mark) -> Result<(), OpenError> {
        let last = self.catalogue.segments.last().map_or(0, |segment| segment.header.first_block);
        let new = catalogue::segments_among(&self.disk, names, |first| first > last && first < mark.block)?;
        if !new.is_empty() {
            // Each segment has a key of its own.
            self.keys = Keys::open(&self.disk, self.masters.clone())?;
        }
        for next in new {
            self.catalogue.extend(&self.disk, next.header.first_block, mark)?;
            self.catalogue.begin_next(next)?;
        }
        self.catalogue.extend(&self.disk, mark.block, mark)
    }

    /// Reads records from a position on: see [`crate::Log::read`].
    pub fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        read_records(&self.disk, &self.keys, &self.catalogue, from, bytes, into)
    }
}
