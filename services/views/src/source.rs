//! The log that a view is made from, as far as a view has to know it.

use arbiter_eventlog::{Disk, Log, OpenError, Reader, Record};

/// A log that is read.
pub trait Source {
    /// What the log was named when it was made.
    fn id(&self) -> [u8; 16];
    /// Position of the first record that is kept.
    fn start(&self) -> u64;
    /// Position behind the last record that is acknowledged, as far as is known.
    fn end(&self) -> u64;
    /// Reads acknowledged records from a position on: see [`Log::read`].
    ///
    /// # Errors
    /// Those of the log.
    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError>;
}

impl<D: Disk> Source for Reader<D> {
    fn id(&self) -> [u8; 16] {
        Reader::id(self)
    }

    fn start(&self) -> u64 {
        Reader::start(self)
    }

    fn end(&self) -> u64 {
        Reader::end(self)
    }

    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        Reader::read(self, from, bytes, into)
    }
}

impl<D: Disk> Source for Log<D> {
    fn id(&self) -> [u8; 16] {
        Log::id(self)
    }

    fn start(&self) -> u64 {
        Log::start(self)
    }

    fn end(&self) -> u64 {
        self.acknowledged()
    }

    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        Log::read(self, from, bytes, into)
    }
}
