//! Making the file of a segment: filled with zeros, so that a commit overwrites and needs no journal of the file system;
//! named only when it is whole and on disk.

use std::io;

use crate::catalogue::{SPARE, Segment, segment_name};
use crate::disk::{Disk, DiskFile, TEMPORARY};
use crate::error::CommitError;
use crate::frame::{HEADER_BYTES, SegmentHeader};
use crate::keys::DrawError;

/// Bytes of zeros that are written at once.
const ZEROS: usize = 1 << 20;

/// Why a segment could not be made.
#[derive(Debug)]
pub(crate) enum MakeError {
    /// Before it had its name: nothing happened, and it can be tried again.
    Before(io::Error),
    /// While it got its name: nobody knows what a power loss would leave.
    Names(io::Error),
}

/// Makes a segment with a header and blocks, which are on disk with its name when this returns.
pub(crate) fn make<D: Disk>(
    disk: &D,
    header: &SegmentHeader,
    blocks: &[u8],
    bytes: u64,
) -> Result<(Segment, D::File), MakeError> {
    let from = match ready_spare(disk, bytes) {
        true => SPARE.to_owned(),
        false => {
            let temporary = format!("segment{TEMPORARY}");
            zeros(disk, &temporary, bytes).map_err(MakeError::Before)?;
            temporary
        }
    };
    let filled = disk.open(&from).and_then(|file| {
        file.write_at(&header.to_bytes(), 0)?;
        file.write_at(blocks, HEADER_BYTES as u64)?;
        file.sync_data()
    });
    filled.map_err(|error| {
        // Final for this file: the next try makes another one.
        let _ = disk.remove(&from);
        MakeError::Before(error)
    })?;
    let name = segment_name(header.first_block);
    let named = disk.rename(&from, &name).and_then(|()| disk.sync_folder());
    let file = named.and_then(|()| disk.open_to_commit(&name)).map_err(MakeError::Names)?;
    Ok((Segment { name, header: *header }, file))
}

/// Whether there is a spare of the right size.
fn ready_spare<D: Disk>(disk: &D, bytes: u64) -> bool {
    disk.open(SPARE).and_then(|file| file.length()).is_ok_and(|length| length == bytes)
}

/// Makes a spare if there is none of the right size.
pub(crate) fn prepare<D: Disk>(disk: &D, bytes: u64) -> io::Result<bool> {
    if ready_spare(disk, bytes) {
        return Ok(false);
    }
    let temporary = format!("{SPARE}{TEMPORARY}");
    zeros(disk, &temporary, bytes)?;
    disk.rename(&temporary, SPARE)?;
    Ok(true)
}

fn zeros<D: Disk>(disk: &D, name: &str, bytes: u64) -> io::Result<()> {
    remove_if_there(disk, name)?;
    let file = disk.create(name)?;
    let chunk = vec![0; ZEROS.min(bytes as usize)];
    let mut at = 0;
    let mut fill = || {
        while at < bytes {
            let length = chunk.len().min((bytes - at) as usize);
            file.write_at(&chunk[..length], at)?;
            at += length as u64;
        }
        file.sync_data()
    };
    let filled: io::Result<()> = fill();
    filled.inspect_err(|_| {
        // A full disk must not stay full because of what did not fit.
        let _ = disk.remove(name);
    })
}

pub(crate) fn remove_if_there<D: Disk>(disk: &D, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(crate) fn key_error(error: DrawError, waiting: u64) -> CommitError {
    match error {
        DrawError::Io(error) => CommitError::NoSpace(error, waiting),
        DrawError::NoRandomness => CommitError::NoRandomness,
    }
}
