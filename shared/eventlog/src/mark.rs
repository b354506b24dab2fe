//! The acknowledged position, kept apart from the segments: what stands below it is never cut off, whatever it looks like.
//!
//! It is written after every commit's fdatasync and never before, so it is never ahead of the disk. It is flushed when a
//! segment is begun, by `Log::settle` and by `Log::close`, not by every commit, since a second flush would double the cost:
//! a crash of the process loses nothing of it, a power loss at most what was acknowledged since. A block is also known to
//! have been acknowledged when a whole block stands behind it, which is on disk without further cost. What is left open:
//! power fails before the next commit or settle, and the very last block rots too. That looks like a torn tail.

use crate::disk::Disk;
use crate::error::OpenError;
use crate::frame::{Chain, array, long};
use crate::slots::{CONTENT_BYTES, Slots};

/// Name of the file.
pub(crate) const FILE: &str = "acknowledged";

/// What was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Position behind the last record.
    pub position: u64,
    /// Number behind the last block.
    pub block: u64,
    /// Chain through the last block.
    pub chain: Chain,
    /// Whether the log was closed: the last segment may be written on.
    pub clean: bool,
}

/// The open file and what it says, if there is one.
pub(crate) type Opened<F> = Option<(Slots<F>, Mark)>;

impl Mark {
    pub fn to_bytes(self) -> [u8; CONTENT_BYTES] {
        let mut out = [0; CONTENT_BYTES];
        out[..8].copy_from_slice(&self.position.to_le_bytes());
        out[8..16].copy_from_slice(&self.block.to_le_bytes());
        out[16..48].copy_from_slice(&self.chain);
        out[48] = self.clean.into();
        out
    }

    pub fn from_bytes(bytes: &[u8; CONTENT_BYTES]) -> Self {
        Self { position: long(bytes, 0), block: long(bytes, 8), chain: array(bytes, 16), clean: bytes[48] == 1 }
    }

    /// Reads it; `None` if there is none.
    pub fn open<D: Disk>(disk: &D) -> Result<Opened<D::File>, OpenError> {
        match Slots::open(disk, FILE) {
            Ok((slots, content)) => Ok(Some((slots, Self::from_bytes(&content)))),
            Err(OpenError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
