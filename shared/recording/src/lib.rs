//! The recorded match on disk: what was decided (the header), what happened (commands and a hash per tick), and states from
//! which it can be continued (checkpoints).
//!
//! A recording is append-only and made of blocks that are each checksummed and chained to the one before, so that a killed
//! server leaves a file that reads up to its last whole block, and a flipped bit is found and located. Nothing read from a
//! file is trusted: every length has a limit before memory is reserved for it. Nothing here spawns a thread or reads a
//! clock: the caller runs the [`Writer`] where it likes and passes the time in.
//!
//! The format is written down in `docs/recording.md`. Next: [`header`] for what a recording says about itself, [`Writer`],
//! [`Reader`]; then [`columns`] for how commands become bytes and [`block`] for the frame around them.

pub mod block;
pub mod checkpoint;
pub mod columns;
pub mod error;
pub mod header;
pub mod reader;
pub mod writer;

pub use block::{BlockHeader, Kind};
pub use columns::TickBlock;
pub use error::{Damage, Fault, ReadError, WriteError};
pub use header::{End, Header, Mark, Stamp};
pub use reader::{DamageReport, Info, Reader, RecordedTick, Tail};
pub use writer::{Store, Writer};

/// What a recording's file name ends in.
pub const EXTENSION: &str = "arbrec";

/// Version of the format that this build writes. It changes when the meaning of a byte does.
pub const FORMAT_VERSION: u32 = 3;

/// The oldest version that it reads: version 2 had no marks.
pub const FORMAT_VERSION_MIN: u32 = 2;
