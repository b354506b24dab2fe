//! What can go wrong when the service is started or checked, and what to do about it.

use arbiter_views::{ApplyError, FollowError, OpenError, QueryError};
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

/// Why the views could not be compared with what the log says.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The view that is there.
    #[error(transparent)]
    Grown(#[from] QueryError),
    /// The log of events.
    #[error("the log of events: {0}")]
    Events(#[from] arbiter_eventlog::OpenError),
    /// The log is shorter than the view.
    #[error("the view has {position} events and the log {end}: start the service, which builds its view again")]
    Short {
        /// Events in the view.
        position: u64,
        /// Events in the log.
        end: u64,
    },
    /// The replays.
    #[error(transparent)]
    Replays(#[from] ReplayError),
    /// The view that is built again.
    #[error("the view that is built again: {0}")]
    Rebuilt(#[from] OpenError),
    /// Its records.
    #[error("the view that is built again: {0}")]
    Apply(#[from] ApplyError),
    /// Following the log.
    #[error("the view that is built again: {0}")]
    Follow(#[from] FollowError),
    /// A folder.
    #[error("cannot make or remove a scratch file: {0}")]
    Io(#[from] std::io::Error),
}
