//! One fdatasync: a sector written into a file that was filled before, and flushed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::callers::{Turn, turn};

/// Bytes of one commit of one entry: a block of the log is padded to sectors.
const BLOCK_BYTES: u64 = 512;
const FILE_BYTES: u64 = 64 << 20;

pub struct Bare {
    file: File,
    offset: u64,
}

impl Bare {
    pub fn new(path: &Path) -> Self {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path).expect("a file");
        let zeros = vec![0; 1 << 20];
        (0..FILE_BYTES / zeros.len() as u64).for_each(|at| file.write_all_at(&zeros, at << 20).expect("zeros"));
        file.sync_data().expect("flushed");
        Self { file, offset: 0 }
    }

    /// Writes and flushes for `time`.
    pub fn run(&mut self, time: Duration) -> Turn {
        let (began, mut samples, bytes) = (Instant::now(), Vec::new(), [7; BLOCK_BYTES as usize]);
        while began.elapsed() < time {
            let before = Instant::now();
            self.file.write_all_at(&bytes, self.offset).expect("written");
            self.file.sync_data().expect("flushed");
            samples.push(before.elapsed());
            self.offset = (self.offset + BLOCK_BYTES) % FILE_BYTES;
        }
        turn(&samples, time)
    }
}
