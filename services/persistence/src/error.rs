//! What can go wrong when the service is started or checked, and what to do about it.

use arbiter_views::OpenError;
use thiserror::Error;

use crate::profiles::ProfileError;
use crate::replays::ReplayError;

/// Why the service does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A folder or a thread could not be made.
    #[error("cannot make the folders or the thread of persistence: {0}")]
    Io(#[from] std::io::Error),
    /// The log of events is damaged, or does not open.
    #[error("the log of events: {0}")]
    Events(arbiter_eventlog::OpenError),
    /// The view.
    #[error("the view of events: {0}")]
    View(#[from] OpenError),
    /// The profiles.
    #[error(transparent)]
    Profiles(#[from] ProfileError),
    /// The replays.
    #[error(transparent)]
    Replays(#[from] ReplayError),
}

/// Why the view could not be compared with what the log says.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The view, as it is or as it is built again.
    #[error(transparent)]
    View(#[from] arbiter_views::CheckError),
    /// The log of events.
    #[error("the log of events: {0}")]
    Events(#[from] arbiter_eventlog::OpenError),
    /// The replays.
    #[error(transparent)]
    Replays(#[from] ReplayError),
    /// A folder.
    #[error("cannot open a folder: {0}")]
    Io(#[from] std::io::Error),
}
