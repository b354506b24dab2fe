//! The disk's own calls, and nothing else.

use std::time::{Duration, Instant};

use arbiter_benches::measure::Samples;
use arbiter_eventlog::{Disk as _, DiskFile as _, Folder};

use crate::{COMMITS, Way};

/// What direct writes are aligned to: a page if the bytes fill one.
const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;

/// Flushes of one look whether the disk is quick, and how much slower than the quickest look it may be.
const LOOK: usize = 8;
const AS_QUICK: f64 = 1.5;
/// Between two looks, and how long the disk is waited for in all.
const REST: Duration = Duration::from_millis(250);
const RESTS_MAX: Duration = Duration::from_secs(60);

/// A file that was filled with zeros, written from its beginning.
pub struct Bare {
    name: &'static str,
    file: <Folder as arbiter_eventlog::Disk>::File,
    offset: u64,
    bytes: Vec<u8>,
    /// Where the data begins in `bytes`, on a page's border.
    start: usize,
}

impl Bare {
    /// `past_the_cache`: one call for each batch instead of two.
    pub fn new(name: &'static str, folder: &Folder, data: &[u8], commits: usize, past_the_cache: bool) -> Self {
        let stored = data.len().next_multiple_of(SECTOR_BYTES);
        let file = folder.create("bare").expect("a file");
        let zeros = vec![0; 1 << 20];
        let length = (stored * commits).div_ceil(zeros.len()) as u64;
        (0..length).for_each(|at| file.write_at(&zeros, at << 20).expect("zeros"));
        file.sync_data().expect("flushed");
        let mut bytes = vec![0; PAGE_BYTES + stored];
        let start = bytes.as_ptr().align_offset(PAGE_BYTES);
        bytes[start..start + data.len()].copy_from_slice(data);
        bytes.truncate(start + stored);
        let file = if past_the_cache { folder.open_to_commit("bare").expect("a file") } else { file };
        // As the log does: what is cached of it would only have to be thrown out by each write past the cache.
        file.forget_cached(0);
        assert_eq!(
            file.is_direct(),
            past_the_cache,
            "this file system takes no direct writes: nothing to compare with"
        );
        Self { name, file, offset: 0, bytes, start }
    }
}

impl Way for Bare {
    fn name(&self) -> &'static str {
        self.name
    }

    fn turn(&mut self, samples: &mut Samples) -> Duration {
        let began = Instant::now();
        for _ in 0..COMMITS {
            let before = Instant::now();
            let bytes = &self.bytes[self.start..];
            // Two calls through the cache, one past it.
            self.file.commit_at(bytes, self.offset).expect("on disk");
            self.offset += bytes.len() as u64;
            samples.push(before.elapsed());
        }
        began.elapsed()
    }
}

/// Looks whether the disk is quick: what one turn spent must not be the next one's loss.
pub struct Look {
    file: <Folder as arbiter_eventlog::Disk>::File,
    quickest: Duration,
    rested: Duration,
}

impl Look {
    pub fn new(folder: &Folder) -> Self {
        let file = folder.create("look").expect("a file");
        Self { file, quickest: Duration::MAX, rested: Duration::ZERO }
    }

    /// Waits until the disk is as quick as it was, if that is soon.
    pub fn rest(&mut self) {
        loop {
            let mut looks = [(); LOOK].map(|()| {
                let before = Instant::now();
                self.file.commit_at(&[0; SECTOR_BYTES], 0).expect("on disk");
                before.elapsed()
            });
            looks.sort_unstable();
            self.quickest = self.quickest.min(looks[LOOK / 2]);
            if looks[LOOK / 2] <= self.quickest.mul_f64(AS_QUICK) || self.rested > RESTS_MAX {
                break;
            }
            std::thread::sleep(REST);
            self.rested += REST;
        }
    }
}
