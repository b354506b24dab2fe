//! What can go wrong with a view, and what to do about it. What is wrong with a view's file is no error: it is built
//! again.

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why a view could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error("cannot read or write the view's files: {0}")]
    Io(#[from] std::io::Error),
    /// Another writer has it.
    #[error("another process writes this view; stop it first, or only read")]
    Locked,
    /// SQLite said no.
    #[error("SQLite cannot open or make the view: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The log.
    #[error("the view cannot be compared with its log: {0}")]
    Log(#[from] arbiter_eventlog::OpenError),
    /// It would have to be built again, and cannot.
    #[error(
        "the view reaches {position} and its log begins at {start}, so that it cannot be continued or built again ({why}): put \
         the log's first segments back from a backup, or the view's file if nothing else was wrong with it"
    )]
    Gap {
        /// How far the view was applied; 0 if it does not fit or is not there.
        position: u64,
        /// First position that the log keeps.
        start: u64,
        /// Why the view that was found does not do.
        why: String,
    },
    /// The fold is not one; a fault of who wrote it.
    #[error("the view's definition is wrong: {0}")]
    Definition(String),
}

/// Why a batch was not applied, or not all of it.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// A record can never be applied by this build. All before it is applied; nothing was stepped over.
    #[error("the record at {position} was not applied: {reason}")]
    Stopped {
        /// Where.
        position: u64,
        /// What the fold said.
        reason: String,
    },
    /// Not the record that follows. Nothing of the batch was applied.
    #[error("the view goes on at {expected}, and a record at {found} was given: read the log from there")]
    OutOfOrder {
        /// The position that follows.
        expected: u64,
        /// What was given.
        found: u64,
    },
    /// The file is damaged. Throw it away: [`crate::View::rebuild`].
    #[error("the view's file is damaged: {0}; it is to be built again")]
    Damaged(rusqlite::Error),
    /// SQLite said no, for want of space perhaps. Nothing of the batch was applied; it may be given again.
    #[error("SQLite cannot apply to the view: {0}; look at the disk, then apply again")]
    Sqlite(rusqlite::Error),
}

/// Why a view does not follow its log.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The log.
    #[error(transparent)]
    Log(#[from] arbiter_eventlog::OpenError),
    /// The log no longer has what follows.
    #[error("the view goes on at {position} and its log begins at {start}: put the log's segments back from a backup")]
    Gap {
        /// How far the view was applied.
        position: u64,
        /// First position that the log keeps.
        start: u64,
    },
    /// The view.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Why what follows was not said, or not kept when it was.
#[derive(Debug, Error)]
pub enum SayError<E> {
    /// The log or the view.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Whoever was to hear it. Nothing of it was kept, and it will be said again.
    #[error("{0}")]
    NotHeard(E),
}

/// Why a view could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is not there, or not whole.
    #[error("there is no whole view in this file")]
    NotThere,
    /// The file is damaged.
    #[error("the view's file is damaged: {0}; it is to be built again")]
    Damaged(rusqlite::Error),
    /// SQLite said no.
    #[error("SQLite cannot read the view: {0}")]
    Sqlite(rusqlite::Error),
}

/// Why a question got no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// All connections were in use for as long as a question waits.
    #[error("all connections of the view are in use: ask again in a second")]
    Busy,
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A position was not applied in the time given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("all events before {wanted} were asked for, and those before {applied} are known here so far: ask again")]
pub struct NotYet {
    /// Position before which all records were waited for.
    pub wanted: u64,
    /// How far the view was applied.
    pub applied: u64,
}

/// Whether an error says that the bytes of the file are not what SQLite wrote.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { ReadError::Damaged(error) } else { ReadError::Sqlite(error) }
    }
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { ApplyError::Damaged(error) } else { ApplyError::Sqlite(error) }
    }
}
