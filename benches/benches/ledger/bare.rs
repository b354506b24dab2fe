//! One fdatasync: a sector written into a file that was filled before, and flushed; one behind the other at once, or with as much between two as
//! lies between two commits of a caller who waits for each answer.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::callers::{Turn, turn};

/// Bytes of one commit of one entry: a block of the log is padded to sectors.
const BLOCK_BYTES: u64 = 512;
const FILE_BYTES: u64 = 64 << 20;

/// Flushes of one look whether the disk is quick.
const LOOK: usize = 16;
/// The disk is as quick as it was when a look takes no more than this much of what the quickest took.
const AS_QUICK: f64 = 1.5;
/// Between two looks.
const REST: Duration = Duration::from_millis(500);
/// A disk that is no quicker after so long is taken as it is.
const REST_MAX: Duration = Duration::from_secs(20);

pub struct Bare {
    file: File,
    offset: u64,
    /// Of all looks.
    quickest: Duration,
    /// How long the disk was waited for.
    pub rested: Duration,
}

impl Bare {
    pub fn new(path: &Path) -> Self {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path).expect("a file");
        let zeros = vec![0; 1 << 20];
        (0..FILE_BYTES / zeros.len() as u64).for_each(|at| file.write_all_at(&zeros, at << 20).expect("zeros"));
        file.sync_data().expect("flushed");
        Self { file, offset: 0, quickest: Duration::MAX, rested: Duration::ZERO }
    }

    /// Writes and flushes for `time`, one behind the other.
    pub fn run(&mut self, time: Duration) -> Turn {
        self.paced(time, Duration::ZERO)
    }

    /// The same, beginning one every `every`. What is left of that the thread is awake, as one that serves a caller is; a disk takes
    /// longer the longer it had nothing to do.
    pub fn paced(&mut self, time: Duration, every: Duration) -> Turn {
        let (began, mut samples) = (Instant::now(), Vec::new());
        while began.elapsed() < time {
            let next = Instant::now() + every;
            samples.push(self.flush());
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        }
        turn(&samples, time)
    }

    /// Waits until the disk is as quick as it was: many give so many flushes quickly and then fewer for a while, and what one turn
    /// has spent must not be the next one's loss.
    pub fn rest(&mut self) {
        let began = Instant::now();
        loop {
            let mut looks: Vec<Duration> = (0..LOOK).map(|_| self.flush()).collect();
            looks.sort_unstable();
            let middle = looks[LOOK / 2];
            self.quickest = self.quickest.min(middle);
            if middle <= self.quickest.mul_f64(AS_QUICK) || began.elapsed() > REST_MAX {
                break;
            }
            std::thread::sleep(REST);
        }
        self.rested += began.elapsed();
    }

    fn flush(&mut self) -> Duration {
        let before = Instant::now();
        self.file.write_all_at(&[7; BLOCK_BYTES as usize], self.offset).expect("written");
        self.file.sync_data().expect("flushed");
        self.offset = (self.offset + BLOCK_BYTES) % FILE_BYTES;
        before.elapsed()
    }
}
