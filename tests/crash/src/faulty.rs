//! The simulated disk, and programs that use it wrongly: each fault breaks one rule of those who write to disks.

use std::cell::Cell;
use std::io;

use arbiter_eventlog::simulated::{SimulatedDisk, SimulatedFile};
use arbiter_eventlog::{Disk, DiskFile};

/// Which rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A failed flush is tried again, and its second answer believed.
    FlushRetried,
    /// A flush is done when the file is written the next time.
    FlushLate,
    /// The last sector of a longer write is left out, and nobody looks at how much was written.
    ShortWrite,
    /// A small file is put in the place of another by writing over it. Segments are left alone: they stay open while they are
    /// renamed, so that this would be noticed without a power loss.
    RenameByCopy,
}

/// A disk, used rightly or wrongly.
#[derive(Debug, Clone)]
pub struct Faulty {
    /// The disk itself.
    pub disk: SimulatedDisk,
    /// Which rule is broken, if any.
    pub fault: Option<Fault>,
}

/// A file of it.
#[derive(Debug)]
pub struct FaultyFile {
    file: SimulatedFile,
    fault: Option<Fault>,
    late: Cell<bool>,
}

const SECTOR_BYTES: usize = 512;

impl Faulty {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn file(&self, file: SimulatedFile) -> FaultyFile {
        FaultyFile { file, fault: self.fault, late: Cell::new(false) }
    }

    fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let source = self.disk.open(from)?;
        let mut bytes = vec![0; source.length()? as usize];
        source.read_at(&mut bytes, 0)?;
        let target = match self.disk.open(to) {
            Ok(target) => target,
            Err(_) => self.disk.create(to)?,
        };
        target.set_length(bytes.len() as u64)?;
        target.write_at(&bytes, 0)?;
        self.disk.remove(from)
    }
}

impl Disk for Faulty {
    type File = FaultyFile;
    type Lock = ();

    fn names(&self) -> io::Result<Vec<String>> {
        self.disk.names()
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile> {
        self.disk.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        self.disk.open(name).map(|file| self.file(file))
    }

    fn open_to_commit(&self, name: &str) -> io::Result<FaultyFile> {
        self.disk.open_to_commit(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.is(Fault::RenameByCopy) && !to.starts_with("segment-") {
            self.copy(from, to)
        } else {
            self.disk.rename(from, to)
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        match self.disk.sync_folder() {
            Err(_) if self.is(Fault::FlushRetried) => self.disk.sync_folder(),
            other => other,
        }
    }

    fn lock(&self) -> io::Result<()> {
        self.disk.lock()
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.late.take() {
            self.file.sync_data()?;
        }
        let short = self.fault == Some(Fault::ShortWrite) && bytes.len() > SECTOR_BYTES;
        let bytes = if short { &bytes[..bytes.len() - SECTOR_BYTES] } else { bytes };
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.fault == Some(Fault::FlushLate) {
            self.late.set(true);
            return Ok(());
        }
        match self.file.sync_data() {
            Err(_) if self.fault == Some(Fault::FlushRetried) => self.file.sync_data(),
            other => other,
        }
    }

    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.fault {
            None | Some(Fault::RenameByCopy) => self.file.commit_at(bytes, offset),
            // What is done wrongly with a write or a flush is done with these two.
            Some(_) => {
                self.write_at(bytes, offset)?;
                self.sync_data()
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }
}
