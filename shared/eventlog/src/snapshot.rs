//! A consumer's state at a position, so that it need not read the log from its start. Disposable: the log is the truth, and a
//! snapshot that is damaged is passed over for an older one.
//!
//! One is written as a [`Draft`], part by part, so that a large one is never in memory as a whole and whoever writes it says how fast.
//! It has its name, and the one before it goes, when all of it is on disk: a crash at any moment leaves the last one that was kept.

use std::io;

use crate::cursor::is_name;
use crate::disk::{self, Disk, DiskFile, TEMPORARY};
use crate::error::OpenError;
use crate::frame::{array, long};

const MAGIC: [u8; 8] = *b"\x93ARBSNP\n";
const HEAD_BYTES: usize = 8 + 8 + 32 + 32;

/// Bytes of one snapshot at most: it is held in memory when it is read. An economy with 32 million answers has one of 2 GB.
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
    let mut draft = Draft::begin(disk, consumer, snapshot.position, snapshot.chain)?;
    draft.write(&snapshot.state)?;
    draft.keep()
}

/// A snapshot that is being written. Dropped before it is kept, it is gone.
#[derive(Debug)]
pub struct Draft<D: Disk> {
    disk: D,
    consumer: String,
    position: u64,
    chain: [u8; 32],
    file: D::File,
    state_bytes: usize,
    hasher: blake3::Hasher,
    is_kept: bool,
}

impl<D: Disk> Draft<D> {
    /// Begins one of a consumer's state at a position, with the log's chain there: see [`Snapshot`].
    ///
    /// # Errors
    /// Those of the disk, and a name that no consumer can have.
    pub fn begin(disk: &D, consumer: &str, position: u64, chain: [u8; 32]) -> Result<Self, OpenError> {
        if !is_name(consumer) {
            return Err(OpenError::Options("a consumer's name is of a to z, 0 to 9 and -, up to 32 of them"));
        }
        let temporary = temporary(consumer, position);
        match disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let (file, hasher) = (disk.create(&temporary)?, begun(&chain, position));
        let consumer = consumer.to_owned();
        Ok(Self { disk: disk.clone(), consumer, position, chain, file, state_bytes: 0, hasher, is_kept: false })
    }

    /// Adds a part, and returns when it is on disk: so never more than one part stands before a commit of the log in the disk's queue.
    ///
    /// # Errors
    /// Those of the disk, and more than a snapshot may have. It cannot be gone on with.
    pub fn write(&mut self, part: &[u8]) -> Result<(), OpenError> {
        let bytes = self.state_bytes + part.len();
        if bytes > SNAPSHOT_BYTES_MAX {
            let (found, limit) = (bytes as u64, SNAPSHOT_BYTES_MAX as u64);
            return Err(OpenError::TooMuch { what: "a snapshot", found, limit, hint: "bytes belong there" });
        }
        self.file.write_at(part, (HEAD_BYTES + self.state_bytes) as u64)?;
        self.file.sync_data()?;
        self.hasher.update(part);
        self.state_bytes = bytes;
        Ok(())
    }

    /// Keeps what was written, and drops all but the last two snapshots of this consumer.
    ///
    /// # Errors
    /// Those of the disk. It may be kept or not; those before it are there.
    pub fn keep(mut self) -> Result<(), OpenError> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&self.position.to_le_bytes());
        head.extend_from_slice(&self.chain);
        head.extend_from_slice(self.hasher.finalize().as_bytes());
        self.file.write_at(&head, 0)?;
        self.file.sync_data()?;
        let kept = format!("{}{:016x}", prefix(&self.consumer), self.position);
        self.disk.rename(&temporary(&self.consumer, self.position), &kept)?;
        self.is_kept = true;
        self.disk.sync_folder()?;
        let names = names(&self.disk, &self.consumer)?;
        for old in &names[..names.len().saturating_sub(KEPT)] {
            self.disk.remove(old)?;
        }
        Ok(())
    }
}

impl<D: Disk> Drop for Draft<D> {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed is when the log is opened. On a full disk the room is needed now.
            let _ = self.disk.remove(&temporary(&self.consumer, self.position));
        }
    }
}

fn temporary(consumer: &str, position: u64) -> String {
    format!("{}{position:016x}{TEMPORARY}", prefix(consumer))
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
    begun(chain, position).update(state).finalize()
}

fn begun(chain: &[u8; 32], position: u64) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&position.to_le_bytes()).update(chain);
    hasher
}
