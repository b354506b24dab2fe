//! Where the service finds and keeps its files.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use arbiter_eventlog::Masters;

/// How long the thread that follows the log waits before it looks again, unless it is woken: two reads of a small file.
pub const IDLE: Duration = Duration::from_millis(50);

/// How the service is run.
#[derive(Clone)]
pub struct PersistenceConfig {
    /// Folder of the log of events. It may begin to be there later.
    pub events: PathBuf,
    /// Keys of that log, if it is sealed.
    pub events_masters: Option<Masters>,
    /// The service's own folder: profiles, their keys, replays and the view. It may hold nothing else.
    pub folder: PathBuf,
    /// The key that wraps the players' keys. It must not be on the same disk, and the service cannot be without it.
    pub master: [u8; 32],
    /// How long the thread that follows the log waits before it looks again.
    pub idle: Duration,
}

impl PersistenceConfig {
    /// With a log in the clear and the usual idle time.
    pub fn new(events: impl Into<PathBuf>, folder: impl Into<PathBuf>, master: [u8; 32]) -> Self {
        Self { events: events.into(), events_masters: None, folder: folder.into(), master, idle: IDLE }
    }

    pub(crate) fn view_path(&self) -> PathBuf {
        self.folder.join("views").join("persistence.sqlite")
    }

    pub(crate) fn replays_path(&self) -> PathBuf {
        self.folder.join("replays")
    }

    pub(crate) fn profiles_path(&self) -> PathBuf {
        self.folder.join("profiles")
    }
}

impl fmt::Debug for PersistenceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistenceConfig")
            .field("events", &self.events)
            .field("folder", &self.folder)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
