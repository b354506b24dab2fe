//! Copying a log: a backup is a log, and restoring one is copying it back. A log may be written while it is copied; the copy
//! ends at what was acknowledged when it began.

use crate::catalogue;
use crate::cursor::{self, Cursor};
use crate::disk::{self, Disk, DiskFile};
use crate::error::OpenError;
use crate::frame::HEADER_BYTES;
use crate::keys;
use crate::log::mark_of;
use crate::mark::{self, Mark};
use crate::recover::prove;
use crate::roots;
use crate::slots::Slots;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Segments.
    pub segments: u64,
    /// Bytes of segments.
    pub bytes: u64,
    /// Position of the first record.
    pub start: u64,
    /// Position behind the last one: what the log acknowledges later is not in the copy.
    pub end: u64,
    /// Chain through the last block.
    pub chain: [u8; 32],
}

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// Name of the cursor that says how far the last backup of a log reaches.
pub const BACKUP: &str = "backup";

/// Notes that a backup of a log reaches up to a position, in the log's own folder: whoever brought something keeps it until then,
/// and segments behind it are not dropped. The log may be written meanwhile.
pub fn note<D: Disk>(log: &D, end: u64) -> Result<(), OpenError> {
    let mut cursor = Cursor::open(log, BACKUP)?;
    Ok(cursor.advance(end)?)
}

/// Proves a log and copies it into an empty folder. Keys are copied as they are wrapped, so that a copy opens with the same
/// master keys; cursors are copied and moved back to the copy's end; snapshots are not copied, as they can be made again.
/// The acknowledged position is written last: a copy that was not finished is no log.
pub fn copy<D: Disk, T: Disk>(from: &D, to: &T) -> Result<Copied, OpenError> {
    if to.names()?.iter().any(|name| name != disk::LOCK) {
        return Err(OpenError::Options("the folder to copy to is not empty; give an empty one"));
    }
    let _lock = to.lock().map_err(|_| OpenError::Locked)?;
    let (_, mark) = Mark::open(from)?.ok_or(OpenError::NotThere)?;
    let segments = catalogue::segments(from)?;
    roots::check(from, &segments)?;
    let proved = prove(from, segments, &mark, Some(mark.block), |_, _, _| Ok(()))?;
    let catalogue = proved.catalogue;
    for name in keys::FILES.into_iter().chain([roots::FILE]) {
        copy_if_there(from, to, name)?;
    }
    let mut bytes = 0;
    for (index, segment) in catalogue.segments.iter().enumerate() {
        let mut end = segment.start();
        let next = catalogue.segments.get(index + 1).map_or(mark.block, |next| next.header.first_block);
        segment.walk(from, &mut end, Some(next), |_, _, _| Ok(()))?;
        copy_bytes(from, to, &segment.name, end.offset.max(HEADER_BYTES as u64))?;
        bytes += end.offset;
    }
    for (name, position) in cursor::all(from)? {
        cursor::put(to, &name, position.min(catalogue.end.position))?;
    }
    to.sync_folder()?;
    Slots::make(to, mark::FILE, &mark_of(&catalogue.end, true).to_bytes())?;
    let (start, end, chain) = (catalogue.start(), catalogue.end.position, catalogue.end.chain);
    Ok(Copied { segments: catalogue.segments.len() as u64, bytes, start, end, chain })
}

fn copy_if_there<D: Disk, T: Disk>(from: &D, to: &T, name: &str) -> Result<(), OpenError> {
    match from.open(name).and_then(|file| file.length()) {
        Ok(length) => Ok(copy_bytes(from, to, name, length)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn copy_bytes<D: Disk, T: Disk>(from: &D, to: &T, name: &str, length: u64) -> std::io::Result<()> {
    let (source, target) = (from.open(name)?, to.create(name)?);
    let mut chunk = vec![0; CHUNK.min(length as usize)];
    let mut at = 0;
    while at < length {
        let part = chunk.len().min((length - at) as usize);
        source.read_at(&mut chunk[..part], at)?;
        target.write_at(&chunk[..part], at)?;
        at += part as u64;
    }
    target.sync_data()
}
