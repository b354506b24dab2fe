//! Proving a whole log without changing it, and naming everything that is wrong instead of the first thing.

use crate::catalogue::{self, Behind, End, Segment, Stop};
use crate::disk::Disk;
use crate::error::{Damage, Fault, OpenError};
use crate::keys::{Keys, Masters};
use crate::mark::Mark;
use crate::record::Opener;
use crate::roots;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Segments.
    pub segments: u64,
    /// Blocks that are whole and in their place.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of their stored payloads.
    pub bytes: u64,
    /// Position of the first record.
    pub start: u64,
    /// Position behind the last whole record.
    pub end: u64,
    /// Acknowledged position.
    pub acknowledged: u64,
    /// Chain through the last whole block.
    pub chain: [u8; 32],
    /// Whether the records were opened too; without keys only what is stored is proved.
    pub opened: bool,
    /// Whether the remains of an unfinished commit stand at the end, which is no damage.
    pub torn: bool,
    /// Roots of dropped segments, with good signatures.
    pub roots: u64,
    /// Everything that is wrong.
    pub damages: Vec<Damage>,
}

/// Proves a log. Damage is in the result; an error means that the log could not be read at all.
pub fn verify<D: Disk>(disk: &D, masters: Option<Masters>) -> Result<Verified, OpenError> {
    let segments = catalogue::segments(disk)?;
    let Some(first) = segments.first() else { return Err(OpenError::NotThere) };
    let mut found = Verified { segments: segments.len() as u64, start: first.header.first, ..Verified::default() };
    let opened_mark = side(&mut found, Mark::open(disk))?.flatten();
    let mark = opened_mark.map(|(_, mark)| mark);
    found.acknowledged = mark.map_or(0, |mark| mark.position);
    let keys = masters.map(|masters| Keys::open(disk, Some(masters)));
    let keys = keys.transpose();
    let keys = side(&mut found, keys)?.flatten();
    let roots = roots::check(disk, &segments).and_then(|()| roots::read(disk));
    found.roots = side(&mut found, roots)?.map_or(0, |roots| roots.len() as u64);
    found.opened = keys.is_some() || segments.iter().all(|segment| segment.header.key_epoch == 0);
    let mut walk = Walk { keys: keys.unwrap_or_default(), opener: Opener::default(), mark, previous: None };
    for (index, segment) in segments.iter().enumerate() {
        walk.segment(disk, segment, segments.get(index + 1), &mut found)?;
    }
    Ok(found)
}

/// Damage of a small file goes into the result.
fn side<T>(found: &mut Verified, result: Result<T, OpenError>) -> Result<Option<T>, OpenError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(OpenError::Damaged(damage)) => {
            found.damages.push(damage);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

struct Walk {
    keys: Keys,
    opener: Opener,
    mark: Option<Mark>,
    /// Where the segment before ended, if it was whole.
    previous: Option<End>,
}

impl Walk {
    fn segment<D: Disk>(
        &mut self,
        disk: &D,
        segment: &Segment,
        next: Option<&Segment>,
        found: &mut Verified,
    ) -> Result<(), OpenError> {
        let header = segment.header;
        if self.previous.is_some_and(|end| !segment.follows(&end)) {
            let fault = if self.previous.is_some_and(|end| end.block == header.first_block) {
                Fault::Chain
            } else {
                Fault::Missing
            };
            found.damages.push(damage(segment, 0, header.first_block, header.first, fault));
        }
        let (mut end, opened) = (segment.start(), found.opened);
        let (keys, opener, mark) = (&self.keys, &mut self.opener, self.mark);
        let walked = segment.walk(disk, &mut end, next.map(|next| next.header.first_block), |frame, payload, _| {
            if mark.is_some_and(|mark| mark.block == frame.number + 1 && mark.chain != frame.chain) {
                return Err(Fault::Chain);
            }
            if opened {
                opener.records(keys, header.key_epoch, frame, payload, |_, _, _| ())?;
            }
            found.blocks += 1;
            found.records += u64::from(frame.count);
            found.bytes += payload.len() as u64;
            Ok(())
        });
        (found.end, found.chain, self.previous) = (end.position, end.chain, None);
        match walked {
            Ok(Stop::Limit) => self.previous = Some(end),
            // The next segment will not follow, and is named for it.
            Ok(Stop::NoBlock { behind: Behind::Nothing, .. }) if next.is_some() => self.previous = Some(end),
            Ok(Stop::NoBlock { offset, fault, behind }) => {
                let acknowledged = mark.is_some_and(|mark| end.block < mark.block);
                if next.is_some() || acknowledged || behind == Behind::Block || fault == Fault::Chain {
                    found.damages.push(damage(segment, offset, end.block, end.position, fault));
                } else {
                    found.torn = behind == Behind::Remains;
                }
            }
            Err(OpenError::Damaged(damage)) => found.damages.push(damage),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn damage(segment: &Segment, offset: u64, block: u64, position: u64, fault: Fault) -> Damage {
    Damage { file: segment.name.clone(), offset, block: Some(block), position, fault }
}
