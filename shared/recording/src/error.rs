//! What can be wrong with a recording, and what to do about it.

use std::fmt;
use std::io;
use std::ops::Range;

use thiserror::Error;

/// What is wrong with a stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The frame of a block does not match its own checksum.
    Frame,
    /// What is in a block does not match the block's checksum.
    Payload,
    /// A block is whole but does not follow the one before it: something was cut out, put in or swapped.
    Chain,
    /// A block is whole by its checksum but what is in it makes no sense.
    Content,
    /// The pointer to the index at the end of the file.
    Trailer,
    /// Bytes behind the end of the recording.
    Extra,
    /// The file ends inside a block, as it does when the server was killed while writing.
    Torn,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Frame => "the frame of the block is damaged",
            Fault::Payload => "the content of the block is damaged",
            Fault::Chain => "the block does not follow the one before it",
            Fault::Content => "the content of the block makes no sense",
            Fault::Trailer => "the pointer to the index is damaged; every tick is there",
            Fault::Extra => "bytes follow the end of the recording",
            Fault::Torn => "the file ends inside this block",
        })
    }
}

/// One damaged stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Number of the block, from 0 for the header.
    pub block: u32,
    /// Offset in bytes at which the stretch begins.
    pub offset: u64,
    /// Bytes that it covers.
    pub length: u64,
    /// The ticks that cannot be trusted; empty if none are lost, and open to `u32::MAX` if nobody knows how many.
    pub ticks: Range<u32>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} at offset {} ({} bytes): {}", self.block, self.offset, self.length, self.fault)?;
        match (self.ticks.is_empty(), self.ticks.end) {
            (true, _) => Ok(()),
            (false, u32::MAX) => write!(f, "; ticks from {} are lost", self.ticks.start),
            (false, end) => write!(f, "; ticks {} to {} are lost", self.ticks.start, end - 1),
        }
    }
}

/// Why a recording could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The operating system said no.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// Some other file.
    #[error(
        "this is not a recording (its first bytes are not those of one); give a file that `arbiter` wrote, *.arbrec"
    )]
    NotARecording,
    /// Another format.
    #[error(
        "the recording has format version {found} and this build reads versions {oldest} to {expected}; \
         use the release of arbiter that wrote it"
    )]
    Format {
        /// The file's.
        found: u32,
        /// The oldest that we read.
        oldest: u32,
        /// Ours.
        expected: u32,
    },
    /// The header is cut off or damaged, so nothing in the file can be understood.
    #[error(
        "the header of the recording is damaged ({0}); without it no tick can be replayed: use another copy of the file"
    )]
    Header(Damage),
    /// A block is damaged.
    #[error("{0}; ticks before it can be replayed, and so can those behind the next checkpoint")]
    Damaged(Damage),
    /// The header was written by a build that keeps other things in it.
    #[error("the header cannot be understood by this build: {0}; use the release of arbiter that wrote it")]
    HeaderContent(String),
    /// A checkpoint was compressed against another state at tick 0 than the one given.
    #[error(
        "this build makes another state at tick 0 than the recording began with, so its checkpoints cannot be opened; \
         use the same release, rules and map (see `arbiter replay info`)"
    )]
    OtherTick0,
    /// Nothing can be added.
    #[error("the recording was finished; its match cannot go on")]
    Finished,
    /// A tick that is not in the recording.
    #[error("tick {wanted} is not in the recording, which holds ticks {first} to {last}")]
    NoSuchTick {
        /// Asked for.
        wanted: u32,
        /// First recorded.
        first: u32,
        /// Last recorded.
        last: u32,
    },
}

/// Why a recording could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The operating system said no, a full disk for example. What was pushed is kept and written with the next call.
    #[error(
        "cannot write the recording: {0}; {kept} bytes are kept and tried again with the next tick: free some space, or \
         record to another disk",
        kept = .1
    )]
    Io(io::Error, usize),
    /// Writing failed for so long that no more is kept.
    #[error(
        "the disk took nothing of the recording for so long that {0} bytes wait, which is the limit; this tick was not \
         recorded and the recording ends before it"
    )]
    Backlog(usize),
    /// Flushing to disk failed; what was flushed before is safe, of what came after nobody knows.
    #[error("cannot flush the recording to disk: {0}; what is behind tick {1} may be lost: replace the disk")]
    Sync(io::Error, u32),
    /// A tick or checkpoint out of order.
    #[error("tick {found} was given to the recording where tick {expected} belongs; this is a fault of the caller")]
    Order {
        /// Which belongs here.
        expected: u32,
        /// Which came.
        found: u32,
    },
    /// More than a recording holds.
    #[error("{what} has {found} and a recording holds at most {limit}")]
    TooMuch {
        /// What of.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The recording was finished.
    #[error("the recording was finished already; nothing can be added to it")]
    Finished,
    /// Encoding failed.
    #[error("cannot encode {what}: {why}; this is a fault of the caller or of this build")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}
