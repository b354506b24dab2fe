//! A consumer's state at a position, so that it need not read the log from its start. Disposable: the log is the truth, and a
//! snapshot that is damaged is passed over for an older one.

use crate::cursor::is_name;
use crate::disk::{self, Disk};
use crate::error::OpenError;
use crate::frame::{array, long};

const MAGIC: [u8; 8] = *b"\x93ARBSNP\n";
const HEAD_BYTES: usize = 8 + 8 + 32 + 32;

/// Bytes of one snapshot at most: it is held in memory. An economy with 32 million answers has one of 2 GB.
pub const SNAPSHOT_BYTES_MAX: usize = 3 << 30;

/// Snapshots of a consumer that are kept: the last, and one in case it is damaged.
const KEPT: usize = 2;

/// A state as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything before this position is in it.
    pub position: u64,
    /// Chain of the log there, as [`crate::Log::chain`] gave it: a snapshot of another log's history does not fit.
    pub chain: [u8; 32],
    /// What the consumer wrote.
    pub state: Vec<u8>,
}

fn prefix(consumer: &str) -> String {
    format!("snapshot-{consumer}-")
}

/// Keeps a state, and drops all but the last two of this consumer. The state is stored as it is given: seal what is secret.
pub fn keep<D: Disk>(disk: &D, consumer: &str, snapshot: &Snapshot) -> Result<(), OpenError> {
    if !is_name(consumer) {
        return Err(OpenError::Options("a consumer's name is of a to z, 0 to 9 and -, up to 32 of them"));
    }
    if snapshot.state.len() > SNAPSHOT_BYTES_MAX {
        let (found, limit) = (snapshot.state.len() as u64, SNAPSHOT_BYTES_MAX as u64);
        return Err(OpenError::TooMuch { what: "a snapshot", found, limit, hint: "bytes belong there" });
    }
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&snapshot.position.to_le_bytes());
    head.extend_from_slice(&snapshot.chain);
    head.extend_from_slice(digest(&snapshot.chain, snapshot.position, &snapshot.state).as_bytes());
    // The state may be gigabytes: it is not copied to stand behind its head.
    disk::replace_parts(disk, &format!("{}{:016x}", prefix(consumer), snapshot.position), &[&head, &snapshot.state])?;
    let names = names(disk, consumer)?;
    for old in &names[..names.len().saturating_sub(KEPT)] {
        disk.remove(old)?;
    }
    Ok(())
}

/// The newest whole snapshot of a consumer.
pub fn latest<D: Disk>(disk: &D, consumer: &str) -> Result<Option<Snapshot>, OpenError> {
    for name in names(disk, consumer)?.iter().rev() {
        let mut bytes = disk::read_all(disk, name, (HEAD_BYTES + SNAPSHOT_BYTES_MAX) as u64)?;
        if bytes.len() < HEAD_BYTES || bytes[..8] != MAGIC {
            continue;
        }
        let (position, chain) = (long(&bytes, 8), array(&bytes, 16));
        if digest(&chain, position, &bytes[HEAD_BYTES..]).as_bytes()[..] == bytes[48..HEAD_BYTES] {
            // Moved within what is there: a second copy would be gigabytes.
            bytes.drain(..HEAD_BYTES);
            return Ok(Some(Snapshot { position, chain, state: bytes }));
        }
    }
    Ok(None)
}

fn names<D: Disk>(disk: &D, consumer: &str) -> Result<Vec<String>, OpenError> {
    let prefix = prefix(consumer);
    let mut names = disk.names()?;
    // A name that begins with another one's has more behind it than a position.
    names.retain(|name| name.strip_prefix(&prefix).is_some_and(|rest| rest.len() == 16 && !rest.contains(['-', '.'])));
    Ok(names)
}

fn digest(chain: &[u8; 32], position: u64, state: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&position.to_le_bytes()).update(chain).update(state);
    hasher.finalize()
}
