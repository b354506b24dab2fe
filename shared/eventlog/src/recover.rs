//! Opening a log: prove every block, tell a torn tail from rot, and go on where nothing acknowledged can be harmed.
//!
//! The walk ends at the first place where no whole block stands. If that is below the acknowledged position, or a whole block
//! stands behind it, or the block is whole but does not fit, then something acknowledged is damaged: refuse, and say where.
//! Else it is the tail of a commit that nobody was told of: it is left behind. After anything but a clean close the last file is final: nobody knows
//! whether a flush of it failed, and after a failed flush the system may show bytes that are not on disk. So a new
//! segment begins at the mark, and what stands above it is copied there and flushed before it is called acknowledged.

use std::sync::Arc;

use crate::batch::Batch;
use crate::catalogue::{self, Behind, Catalogue, Segment, Stop, damaged, is_leftover};
use crate::commit::Written;
use crate::disk::{Disk, DiskFile};
use crate::error::{Fault, OpenError};
use crate::frame::{HEADER_BYTES, SegmentHeader, first_chain};
use crate::ids::Ids;
use crate::keys::{DrawError, Keys};
use crate::log::{Log, Options, mark_of};
use crate::mark::{self, Mark};
use crate::record::Opener;
use crate::roots;
use crate::segment_file::{self, MakeError};
use crate::slots::Slots;

/// What was found when a log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Whether the writer before closed it.
    pub clean: bool,
    /// Records above the acknowledged position that were whole, and are acknowledged now: their writer did not learn of it.
    pub kept: u64,
    /// Whether the remains of an unfinished commit were cut off.
    pub torn: bool,
}

impl<D: Disk> Log<D> {
    /// Opens the log in a folder, or makes one if the folder has none.
    pub fn open(disk: D, options: Options) -> Result<(Self, Recovered), OpenError> {
        options.check()?;
        let lock = disk.lock().map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => OpenError::Io(error),
        })?;
        for name in disk.names()?.iter().filter(|name| is_leftover(name)) {
            disk.remove(name)?;
        }
        let segments = catalogue::segments(&disk)?;
        match Mark::open(&disk)? {
            Some((slots, mark)) => recover(disk, options, lock, segments, slots, mark),
            None => begin(disk, options, lock, &segments),
        }
    }
}

fn drawn(error: DrawError) -> OpenError {
    match error {
        DrawError::Io(error) => OpenError::Io(error),
        DrawError::NoRandomness => OpenError::NoRandomness,
    }
}

fn made<T>(result: Result<T, MakeError>) -> Result<T, OpenError> {
    result.map_err(|error| match error {
        MakeError::Before(error) | MakeError::Names(error) => OpenError::Io(error),
    })
}

fn first_position(segments: &[Segment]) -> u64 {
    segments.first().map_or(0, |segment| segment.header.first)
}

/// A new log. The mark is made last: a log without one never acknowledged anything.
fn begin<D: Disk>(
    disk: D,
    options: Options,
    lock: D::Lock,
    segments: &[Segment],
) -> Result<(Log<D>, Recovered), OpenError> {
    for segment in segments {
        let mut end = segment.start();
        let stop = segment.walk(&disk, &mut end, None, |_, _, _| Ok(()))?;
        let empty = segment.header.first_block == 0 && end.block == 0;
        if !empty || !matches!(stop, Stop::NoBlock { behind: Behind::Nothing, .. }) {
            return Err(damaged(mark::FILE, 0, None, 0, Fault::Missing));
        }
    }
    let mut log_id = [0; 16];
    getrandom::fill(&mut log_id).map_err(|_| OpenError::NoRandomness)?;
    let mut keys = Keys::new(options.masters.clone());
    let key_epoch = keys.draw(&disk).map_err(drawn)?;
    let header = SegmentHeader { log_id, first: 0, first_block: 0, key_epoch, before: first_chain(&log_id) };
    let (segment, file) = made(segment_file::make(&disk, &header, &[], options.segment_bytes))?;
    let catalogue = Catalogue::begin(vec![segment])?;
    let marks = Slots::make(&disk, mark::FILE, &mark_of(&catalogue.end, false).to_bytes())?;
    let recovered = Recovered { clean: true, ..Recovered::default() };
    let bytes = options.segment_bytes;
    Ok((assemble(disk, options, lock, keys, catalogue, (file, bytes), marks, Ids::from(0)), recovered))
}

#[expect(clippy::too_many_arguments, reason = "the parts of a log, put together in two places")]
fn assemble<D: Disk>(
    disk: D,
    options: Options,
    lock: D::Lock,
    keys: Keys,
    catalogue: Catalogue,
    (file, file_bytes): (D::File, u64),
    marks: Slots<D::File>,
    ids: Ids,
) -> Log<D> {
    file.forget_cached(catalogue.end.offset);
    let cipher = catalogue.segments.last().and_then(|segment| keys.cipher(segment.header.key_epoch));
    Log {
        disk,
        next: catalogue.end.into(),
        written: Written::to(catalogue.end, marks),
        batch: Batch::new(options.batch_bytes),
        options,
        keys,
        catalogue,
        file: Arc::new(file),
        file_bytes,
        under_way: 0,
        cipher: cipher.map(Arc::new),
        ids,
        idle: Vec::new(),
        failed: false,
        lock: Arc::new(lock),
    }
}

fn recover<D: Disk>(
    disk: D,
    options: Options,
    lock: D::Lock,
    segments: Vec<Segment>,
    mut marks: Slots<D::File>,
    mark: Mark,
) -> Result<(Log<D>, Recovered), OpenError> {
    let keys = Keys::open(&disk, options.masters.clone())?;
    roots::check(&disk, &segments)?;
    let (mut ids, mut opener) = (Ids::from(first_position(&segments)), Opener::default());
    let proved = prove(&disk, segments, &mark, None, |epoch, frame, payload| {
        opener.records(&keys, epoch, frame, payload, |_, id, data| {
            let (hash, digest) = (ids.hash(id), ids.digest(data));
            ids.push(id, hash, digest);
        })
    })?;
    if ids.len() > options.ids_max {
        let (found, limit) = (ids.len() as u64, options.ids_max as u64);
        let hint = "ids are kept; open it with a higher limit";
        return Err(OpenError::TooMuch { what: "the log", found, limit, hint });
    }
    let Proved { mut catalogue, torn } = proved;
    let kept = catalogue.end.position.saturating_sub(mark.position);
    let clean = mark.clean && kept == 0 && !torn;
    let file = if clean {
        // From here on the file may be left behind by a crash.
        marks.write(&mark_of(&catalogue.end, false).to_bytes())?;
        marks.sync()?;
        let last = &catalogue.segments[catalogue.segments.len() - 1];
        let file = disk.open_to_commit(&last.name)?;
        let bytes = file.length()?;
        (file, bytes)
    } else {
        let file = leave_behind(&disk, &options, &mut catalogue, &mark)?;
        marks.write(&mark_of(&catalogue.end, false).to_bytes())?;
        marks.sync()?;
        file
    };
    let log = assemble(disk, options, lock, keys, catalogue, file, marks, ids);
    Ok((log, Recovered { clean, kept, torn }))
}

pub(crate) struct Proved {
    pub catalogue: Catalogue,
    pub torn: bool,
}

/// Walks all segments, up to the block `limit`. `visit` gets the key's epoch, frame and stored payload of each block.
pub(crate) fn prove<D: Disk>(
    disk: &D,
    segments: Vec<Segment>,
    mark: &Mark,
    limit: Option<u64>,
    mut visit: impl FnMut(u32, &crate::frame::Frame, &[u8]) -> Result<(), Fault>,
) -> Result<Proved, OpenError> {
    if segments.is_empty() {
        let file = "no segment is there".to_owned();
        return Err(OpenError::Short { acknowledged: mark.position, end: 0, file });
    }
    let mut catalogue = Catalogue::begin(segments)?;
    let (mut torn, mut walked) = (false, false);
    for index in 0..catalogue.segments.len() {
        let segment = catalogue.segments[index].clone();
        let next = catalogue.segments.get(index + 1).map(|next| next.header.first_block);
        if walked && !segment.follows(&catalogue.end) {
            let fault = if segment.header.first_block == catalogue.end.block { Fault::Chain } else { Fault::Missing };
            return Err(damaged(&segment.name, 0, Some(catalogue.end.block), catalogue.end.position, fault));
        }
        walked = true;
        let mut end = segment.start();
        check_mark(mark, &end, &segment)?;
        let stop_at = next.into_iter().chain(limit).min();
        let stop = segment.walk(disk, &mut end, stop_at, |frame, payload, offset| {
            let chain_is_marked = frame.number + 1 != mark.block || frame.chain == mark.chain;
            if !chain_is_marked {
                return Err(Fault::Chain);
            }
            catalogue.note(frame, index, offset);
            visit(segment.header.key_epoch, frame, payload)
        })?;
        catalogue.end = end;
        if let Stop::NoBlock { offset, fault, behind } = stop {
            // A segment that ends in nothing before the next one begins is whole; the one between them is missing.
            let gap = next.is_some() && behind == Behind::Nothing;
            let acknowledged = end.block < mark.block || behind == Behind::Block || next.is_some();
            if !gap && (acknowledged || fault == Fault::Chain) {
                return Err(damaged(&segment.name, offset, Some(end.block), end.position, fault));
            }
            torn = behind == Behind::Remains;
        }
        if limit.is_some_and(|limit| end.block >= limit) {
            catalogue.segments.truncate(index + 1);
            break;
        }
    }
    if catalogue.end.block < mark.block {
        let file = catalogue.segments.last().map(|segment| segment.name.clone()).unwrap_or_default();
        return Err(OpenError::Short { acknowledged: mark.position, end: catalogue.end.position, file });
    }
    Ok(Proved { catalogue, torn })
}

/// The first segment may begin where the mark stands, so that no block shows the chain there.
fn check_mark(mark: &Mark, start: &catalogue::End, segment: &Segment) -> Result<(), OpenError> {
    if start.block == mark.block && start.chain != mark.chain {
        return Err(damaged(&segment.name, 0, None, start.position, Fault::Chain));
    }
    Ok(())
}

/// Begins a segment at the mark with copies of what stands above it, and shortens the file before it.
fn leave_behind<D: Disk>(
    disk: &D,
    options: &Options,
    catalogue: &mut Catalogue,
    mark: &Mark,
) -> Result<(D::File, u64), OpenError> {
    let last = catalogue.segments.len() - 1;
    let old = catalogue.segments[last].clone();
    // The mark was flushed before the last segment was begun; a mark from further back comes from a copied file.
    let mut from = old.start();
    if mark.block > from.block {
        old.walk(disk, &mut from, Some(mark.block), |_, _, _| Ok(()))?;
    }
    let end = catalogue.end;
    let mut blocks = vec![0; (end.offset - from.offset) as usize];
    disk.open(&old.name)?.read_at(&mut blocks, from.offset)?;
    let mut header = old.header;
    (header.first, header.first_block, header.before) = (from.position, from.block, from.chain);
    let bytes = options.segment_bytes.max((HEADER_BYTES + blocks.len()) as u64);
    let (segment, file) = made(segment_file::make(disk, &header, &blocks, bytes))?;
    if segment.name == old.name {
        catalogue.segments.pop();
    } else {
        // Only room is won by this, so that it need not be flushed.
        disk.open(&old.name)?.set_length(from.offset)?;
    }
    catalogue.places.retain(|place| place.segment < last || place.offset < from.offset);
    catalogue.segments.push(segment);
    note_last(disk, catalogue)?;
    Ok((file, bytes))
}

/// Notes the blocks of the last segment, which was just made, and where they end.
fn note_last<D: Disk>(disk: &D, catalogue: &mut Catalogue) -> Result<(), OpenError> {
    let index = catalogue.segments.len() - 1;
    let segment = catalogue.segments[index].clone();
    catalogue.places.retain(|place| place.segment < index);
    let mut end = segment.start();
    let limit = Some(catalogue.end.block);
    segment.walk(disk, &mut end, limit, |frame, _, offset| {
        catalogue.note(frame, index, offset);
        Ok(())
    })?;
    catalogue.end = end;
    Ok(())
}
