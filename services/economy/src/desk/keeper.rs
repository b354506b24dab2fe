//! Keeps a snapshot while the desk goes on, on a thread of its own that takes turns with whoever commits.
//!
//! What one request waits for because of it is named: at the beginning, the clone (microseconds); while it is written, one part that
//! stands before a commit in the disk's queue, since each part is flushed before the next one is written; and copies of the nodes that
//! the desk changes meanwhile, 5 KB each, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arbiter_eventlog::Folder;

use super::figures::DeskFigures;
use crate::snapshot::Frozen;

/// Bytes that are written and flushed at once, which a commit may have to wait for: a few milliseconds of a disk.
const PART_BYTES: usize = 1 << 20;

/// While it rests, between two looks whether it is given up.
const LOOK: Duration = Duration::from_millis(50);

/// A snapshot that is being kept. Dropping it gives it up if it is not kept yet, and ends its thread.
pub(super) struct Keeper {
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub fn start(disk: Folder, frozen: Frozen, figures: Arc<DeskFigures>) -> std::io::Result<Self> {
        let given_up = Arc::new(AtomicBool::new(false));
        let is_given_up = Arc::clone(&given_up);
        let run = move || keep(&disk, &frozen, &figures, &is_given_up);
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(run)?;
        Ok(Self { given_up, thread: Some(thread) })
    }

    /// Whether it no longer works.
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        // It has said what it had to say.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn keep(disk: &Folder, frozen: &Frozen, figures: &DeskFigures, is_given_up: &AtomicBool) {
    let is_given_up = || is_given_up.load(Ordering::Relaxed);
    let (began, mut since) = (Instant::now(), Instant::now());
    let kept = frozen.keep(disk, PART_BYTES, || {
        // As long as the work before it, so that half of the disk and of a core is left for those who ask.
        let rests_until = Instant::now() + since.elapsed();
        while let left = rests_until.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && !is_given_up()
        {
            std::thread::sleep(left.min(LOOK));
        }
        since = Instant::now();
        !is_given_up()
    });
    let (entries, took) = (frozen.entries(), began.elapsed());
    match kept {
        Ok(true) => {
            figures.snapshot.note(took);
            tracing::info!(entries, seconds = took.as_secs_f64(), "a snapshot of the economy is kept");
        }
        Ok(false) => tracing::info!(entries, "a snapshot of the economy was given up"),
        // The log has all of it.
        Err(error) => {
            figures.snapshots_failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "no snapshot of the economy was kept; starting will take longer");
        }
    }
}
