//! Makes the log's next segment ahead of its time.

use std::thread::JoinHandle;

use arbiter_eventlog::{Folder, Preparer};
use crossbeam::channel::{Sender, bounded};

/// Entries between two looks whether the next segment is made: a small part of the smallest one that is sensible.
const AHEAD_EVERY: u64 = 8_192;

/// Makes the log's next segment on a thread of its own, so that no commit waits for one to be filled with zeros. Dropping it
/// ends the thread behind the segment that it makes.
pub(super) struct Ahead {
    looks: Option<Sender<()>>,
    /// Entries at the last look.
    at: u64,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    pub fn start(preparer: Preparer<Folder>) -> std::io::Result<Self> {
        // One look that waits is as good as many.
        let (looks, waiting) = bounded(1);
        let run = move || {
            for () in waiting {
                if let Err(error) = preparer.prepare() {
                    // Whoever needs the segment tries again, and waits for it.
                    tracing::warn!(%error, "the next segment of the economy's log could not be made ahead");
                }
            }
        };
        let thread = std::thread::Builder::new().name("segments".to_owned()).spawn(run)?;
        Ok(Self { looks: Some(looks), at: 0, thread: Some(thread) })
    }

    pub fn look(&mut self, entries: u64) {
        if entries >= self.at.saturating_add(AHEAD_EVERY) {
            self.at = entries;
            let _ = self.looks.as_ref().map(|looks| looks.try_send(()));
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.looks.take());
        // It has nothing to say.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
