//! Planted faults: a log on a disk, or in hands, that break one rule each. The model must notice every one of them.

use std::io;

use arbiter_eventlog::simulated::{Faults, SimulatedDisk, SimulatedFile};
use arbiter_eventlog::{Disk, DiskFile};

use crate::model::{Run, play_failing_sync, play_with};

fn is_caught(lies: Faults) -> bool {
    (0..200).any(|seed| play_with(&mut Run::new(seed), seed, Some(40 + seed), Some(10), lies).is_err())
}

#[test]
fn acknowledging_before_the_data_is_on_disk_is_caught() {
    assert!(is_caught(Faults { lies_about_data: true, ..Faults::default() }));
}

#[test]
fn leaving_names_unsynced_is_caught() {
    assert!(is_caught(Faults { lies_about_names: true, ..Faults::default() }));
}

/// Takes the second answer when a sync fails, as programs do that try again.
#[derive(Debug, Clone)]
struct Retrying(SimulatedDisk);

#[derive(Debug)]
struct RetryingFile(SimulatedFile);

impl Disk for Retrying {
    type File = RetryingFile;
    type Lock = ();

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn create(&self, name: &str) -> io::Result<RetryingFile> {
        self.0.create(name).map(RetryingFile)
    }

    fn open(&self, name: &str) -> io::Result<RetryingFile> {
        self.0.open(name).map(RetryingFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.0.sync_folder().or_else(|_| self.0.sync_folder())
    }

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for RetryingFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data().or_else(|_| self.0.sync_data())
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_length(bytes)
    }
}

#[test]
fn trying_a_failed_sync_again_is_caught() {
    let caught = (0..60).any(|at| {
        let disk = SimulatedDisk::default();
        let mut run = Run::through(1, disk.clone(), Retrying(disk));
        let faults = Faults { failing_sync_at: Some(at), ..Faults::default() };
        play_with(&mut run, 1, None, None, faults).is_err()
    });
    assert!(caught);
    // And the same failures are survived by who does not try again.
    (0..20).for_each(|at| play_failing_sync(1, at).expect("survived"));
}
