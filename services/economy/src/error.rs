//! What can go wrong, and what to do about it.

use arbiter_contracts::DecodeError;
use arbiter_contracts::quarantine::WAITING_MAX;
use arbiter_eventlog::{AppendError, CommitError, OpenError};
use arbiter_ledger::{Broken, Unanswered};
use thiserror::Error;

/// Why an economy could not be opened.
#[derive(Debug, Error)]
pub enum OpenFailed {
    /// The log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// A record that cannot be true.
    #[error(
        "the record at {position} of the economy's log: {broken}; nothing is changed: check the log with `arbiter log verify`, and \
         restore it or use the release that wrote it"
    )]
    Broken {
        /// Where.
        position: u64,
        /// What is wrong.
        broken: Broken,
    },
    /// What the log no longer has is in no snapshot.
    #[error(
        "the economy's log begins at {start}, and no snapshot reaches there: put a snapshot back, or the segments from a backup"
    )]
    Gap {
        /// First position that is kept.
        start: u64,
    },
    /// The ledger that was rebuilt is not sound.
    #[error("the ledger as the log tells it is not sound: {0}; stop, and compare with a backup")]
    Unsound(Broken),
}

/// Why a command was not taken. Nothing happened.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// The ledger gives no answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Too much waits.
    #[error("{0} entries wait for the log, which is the limit: commit, and if the disk is full free some space")]
    Full(usize),
    /// The economy stopped.
    #[error("the economy stopped when its log failed: open it again to find out what is on disk")]
    Stopped,
}

/// Why a record of a source was not consumed. Nothing happened, and nothing was stepped over.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConsumeError {
    /// The event.
    #[error("the event at {position} of {origin} cannot be read: {error}")]
    Event {
        /// Where.
        position: u64,
        /// Name of the log.
        origin: arbiter_ledger::Name,
        /// What is wrong.
        error: DecodeError,
    },
    /// Too many events wait for their players.
    #[error("{WAITING_MAX} events of {0} wait in quarantine: put right why they do not apply, and amend them")]
    QuarantineFull(arbiter_ledger::Name),
    /// Not the first that waits.
    #[error(
        "position {found} of {origin} is not the first that waits for player {player}: amend that one, {first:?}, before it"
    )]
    NotFirst {
        /// Name of the log.
        origin: arbiter_ledger::Name,
        /// For whom.
        player: u64,
        /// What was to be amended.
        found: u64,
        /// What waits first, if anything does.
        first: Option<u64>,
    },
    /// The command.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// Why entries were not acknowledged.
#[derive(Debug, Error)]
pub enum CommitFailed {
    /// The log has no room or no randomness now: all entries wait, and the next commit tries again.
    #[error(transparent)]
    Waits(CommitError),
    /// The log failed. Nobody knows whether the last entries are on disk: the economy stopped.
    #[error("{0}; the economy stopped: open it again to find out what is on disk")]
    Log(CommitError),
    /// The log refused an entry.
    #[error("the log refused an entry: {0}; the economy stopped: open the log with a larger batch or more ids")]
    Append(AppendError),
    /// Somebody else writes.
    #[error(
        "entry {0} was written by another writer: this one was replaced and stopped; what it had decided since was told to nobody"
    )]
    Fenced(u64),
    /// The economy stopped before.
    #[error("the economy stopped when its log failed: open it again to find out what is on disk")]
    Stopped,
}
