//! The log of record: an append-only file of facts that says only what is on disk, and can prove what it holds.
//!
//! Records are appended to a batch and committed together with one write and one fdatasync; a position is acknowledged after
//! that and never before. Blocks are checksummed, chained by BLAKE3 over what is stored, and sealed if keys are given. What
//! was acknowledged is never cut off: damage below the acknowledged position is located, and the log refuses to start.
//! Nothing here opens a socket, spawns a thread or reads a clock, and every file is touched through [`disk::Disk`], which
//! [`simulated::SimulatedDisk`] implements too: that is how the tests lose power at every write.
//!
//! The format is written down in `docs/eventlog.md`, why it is so in `docs/decisions/eventlog.md`. Next: [`Log`] to write,
//! [`Reader`] to follow, [`Cursor`] to remember where a consumer is; then [`recover`] for what happens after a crash.

pub mod backup;
mod batch;
mod catalogue;
mod chain;
pub mod commit;
pub mod cursor;
pub mod disk;
pub mod error;
pub mod frame;
mod ids;
pub mod keys;
pub mod log;
pub mod mark;
pub mod reader;
pub mod record;
pub mod recover;
pub mod roots;
mod segment_file;
pub mod simulated;
pub mod slots;
pub mod snapshot;
pub mod store;
pub mod verify;

pub use backup::{Copied, copy};
pub use catalogue::{Extent, SEGMENT_BYTES_MAX, SEGMENTS_MAX};
pub use commit::{Begun, COMMITS_UNDER_WAY_MAX, PendingCommit, WrittenCommit};
pub use cursor::Cursor;
pub use disk::{Disk, DiskFile, Folder};
pub use error::{AppendError, CommitError, Damage, Fault, OpenError};
pub use keys::{Masters, rotate};
pub use log::{Appended, Log, Options, Preparer};
pub use reader::Reader;
pub use record::{RECORD_BYTES_MAX, Record};
pub use recover::Recovered;
pub use roots::{Root, Signer};
pub use store::EventStore;
pub use verify::{Verified, verify};
