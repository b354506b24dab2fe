//! What can be wrong with a log, and what to do about it.

use std::fmt;
use std::io;

use thiserror::Error;

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The header of a segment.
    Header,
    /// The frame of a block, or nothing stands where one must be.
    Frame,
    /// What is in a block does not match its checksum.
    Payload,
    /// A block is whole but does not follow the one before it: something was cut out, put in or swapped.
    Chain,
    /// A whole segment is not there.
    Missing,
    /// A block is whole but its records make no sense, or do not open with the key.
    Content,
    /// A small file beside the segments: the acknowledged position, a cursor, the keys, the roots, a snapshot.
    Side,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Header => "the header of the segment is damaged",
            Fault::Frame => "no whole block stands here",
            Fault::Payload => "the content of the block is damaged",
            Fault::Chain => "the block does not follow the one before it",
            Fault::Missing => "a segment before this one is missing",
            Fault::Content => "the block's records do not open or make no sense",
            Fault::Side => "the file is damaged",
        })
    }
}

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Name of the file.
    pub file: String,
    /// Offset in bytes at which the damaged part begins.
    pub offset: u64,
    /// Number of the block, if it is known.
    pub block: Option<u64>,
    /// Position of the first record that cannot be trusted.
    pub position: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.file, self.offset)?;
        if let Some(block) = self.block {
            write!(f, " (block {block}, records from {})", self.position)?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// Why a log could not be opened or read.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error("cannot read or write the log: {0}")]
    Io(#[from] io::Error),
    /// Another writer has it.
    #[error("another process writes this log; stop it first, or read without writing")]
    Locked,
    /// There is none.
    #[error("there is no log in this folder")]
    NotThere,
    /// Another format.
    #[error("{file} has format version {found} and this build reads version {expected}; use the release that wrote it")]
    Format {
        /// Which file.
        file: String,
        /// Its version.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Something that was acknowledged is damaged.
    #[error(
        "{0}; records that were acknowledged are there, so nothing is cut off: put the named file back from a copy or a \
         backup (`arbiter log restore`), and `arbiter log verify` again"
    )]
    Damaged(Damage),
    /// Acknowledged records are gone without a trace.
    #[error(
        "records up to {acknowledged} were acknowledged, but the log ends at {end} ({file}): restore it from a copy or a backup"
    )]
    Short {
        /// Acknowledged end.
        acknowledged: u64,
        /// What is there.
        end: u64,
        /// The last file.
        file: String,
    },
    /// It is encrypted.
    #[error("the log is encrypted and no key was given; give the key file that it was made with")]
    KeyNeeded,
    /// No given key fits.
    #[error("none of the given keys opens the log's key {epoch}; add the key that was in use before the rotation")]
    WrongKey {
        /// Which of the log's own keys.
        epoch: u32,
    },
    /// More than a log holds.
    #[error("{what} has {found}, and at most {limit} are allowed; {hint}")]
    TooMuch {
        /// What of.
        what: &'static str,
        /// How many.
        found: u64,
        /// The limit.
        limit: u64,
        /// What to do.
        hint: &'static str,
    },
    /// An option that makes no sense.
    #[error("{0}")]
    Options(&'static str),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: neither names nor keys can be drawn")]
    NoRandomness,
}

/// Why a record was not taken.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum AppendError {
    /// The open batch is full.
    #[error("the open batch is full; commit it and append again")]
    BatchFull,
    /// Too long.
    #[error("the record has {found} bytes, and a record holds at most {limit}")]
    TooLong {
        /// Its bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The id was used for something else.
    #[error("the id {id:032x} is at position {position} with other content; an id names one fact for ever")]
    Conflict {
        /// The id.
        id: u128,
        /// Where it was used.
        position: u64,
    },
    /// As many ids as are kept.
    #[error("the log keeps {0} ids, which is its limit; drop old segments, or open it with a higher one")]
    TooManyIds(usize),
    /// The log failed.
    #[error("the log stopped when its disk failed; open it again to find out what is on disk")]
    Failed,
}

/// Why a batch was not acknowledged.
#[derive(Debug, Error)]
pub enum CommitError {
    /// No new segment could be made. The batch is kept; committing again tries again.
    #[error(
        "no room for the next segment: {0}; {1} records wait: free some space, and they are written with the next commit"
    )]
    NoSpace(io::Error, u64),
    /// Writing or flushing failed, which is final for the file. Of the batch nobody knows whether it is on disk.
    #[error(
        "the disk failed: {0}; records from {1} on are not acknowledged, and the file is not written again: open the log \
         anew, and look at the disk"
    )]
    Disk(io::Error, u64),
    /// The log failed before.
    #[error("the log stopped when its disk failed; open it again to find out what is on disk")]
    Failed,
    /// The system gave no random bytes for a seal. The batch is kept.
    #[error("the system gives no random bytes to seal with")]
    NoRandomness,
    /// Commits that were begun are not ended. The batch is kept.
    #[error("{0} commits that were begun are under way; end them, and commit again")]
    UnderWay(u32),
}
