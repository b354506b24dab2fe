//! A small number of bytes that change often and must survive a torn write: two slots of a sector each, written in turn.
//!
//! The acknowledged position and every cursor are such files.

use std::io;

use crate::disk::{self, Disk, DiskFile};
use crate::error::{Damage, Fault, OpenError};
use crate::frame::{SECTOR_BYTES, array, long, word};

const MAGIC: [u8; 8] = *b"\x93ARBSLT\n";

/// Bytes that a slot holds.
pub const CONTENT_BYTES: usize = 80;

/// The open file.
#[derive(Debug)]
pub struct Slots<F> {
    file: F,
    turn: u64,
}

impl<F: DiskFile> Slots<F> {
    /// Makes the file, durable with its name, in the place of one that may be there.
    pub fn make<D: Disk<File = F>>(disk: &D, name: &str, content: &[u8; CONTENT_BYTES]) -> io::Result<Self> {
        let mut bytes = vec![0; 2 * SECTOR_BYTES];
        // Both are filled, so that an empty slot is always damage.
        bytes[..SECTOR_BYTES].copy_from_slice(&slot(0, content));
        bytes[SECTOR_BYTES..].copy_from_slice(&slot(1, content));
        disk::replace(disk, name, &bytes)?;
        Ok(Self { file: disk.open(name)?, turn: 1 })
    }

    /// Opens it and reads the newer slot.
    pub fn open<D: Disk<File = F>>(disk: &D, name: &str) -> Result<(Self, [u8; CONTENT_BYTES]), OpenError> {
        let file = disk.open(name)?;
        let (turn, content) = Self::read(&file, name)?;
        Ok((Self { file, turn }, content))
    }

    /// What the newer slot holds now; another process may have written it.
    pub fn reread(&self, name: &str) -> Result<[u8; CONTENT_BYTES], OpenError> {
        Ok(Self::read(&self.file, name)?.1)
    }

    fn read(file: &F, name: &str) -> Result<(u64, [u8; CONTENT_BYTES]), OpenError> {
        let mut bytes = vec![0; 2 * SECTOR_BYTES];
        let short = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(name),
            _ => OpenError::Io(error),
        };
        file.read_at(&mut bytes, 0).map_err(short)?;
        let newest = bytes.chunks_exact(SECTOR_BYTES).filter_map(unslot).max_by_key(|(turn, _)| *turn);
        newest.ok_or_else(|| damaged(name))
    }

    /// Writes the older slot. It is on disk after [`Self::sync`].
    pub fn write(&mut self, content: &[u8; CONTENT_BYTES]) -> io::Result<()> {
        let turn = self.turn + 1;
        self.file.write_at(&slot(turn, content), turn % 2 * SECTOR_BYTES as u64)?;
        self.turn = turn;
        Ok(())
    }

    /// Returns when what was written is on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn damaged(name: &str) -> OpenError {
    OpenError::Damaged(Damage { file: name.to_owned(), offset: 0, block: None, position: 0, fault: Fault::Side })
}

fn slot(turn: u64, content: &[u8; CONTENT_BYTES]) -> [u8; SECTOR_BYTES] {
    let mut out = [0; SECTOR_BYTES];
    out[..8].copy_from_slice(&MAGIC);
    out[8..16].copy_from_slice(&turn.to_le_bytes());
    out[16..16 + CONTENT_BYTES].copy_from_slice(content);
    let crc = crc32fast::hash(&out[..SECTOR_BYTES - 4]);
    out[SECTOR_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn unslot(bytes: &[u8]) -> Option<(u64, [u8; CONTENT_BYTES])> {
    let whole = bytes[..8] == MAGIC && word(bytes, SECTOR_BYTES - 4) == crc32fast::hash(&bytes[..SECTOR_BYTES - 4]);
    whole.then(|| (long(bytes, 8), array(bytes, 16)))
}
