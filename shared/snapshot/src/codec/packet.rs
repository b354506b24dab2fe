//! A packet: entities of one plan that the receiver holds states of, in one of the two forms.
//!
//! Entities in motion are told as a matter of course; what is told by name is who among them does not go on as expected, and
//! who of those at rest changes.

use super::entity::{Around, Subject};
use super::neighbours::{Neighbours, place_of, square};
use super::numbers::difference;
use super::plan::Plan;
use super::predict::Past;
use super::prefix::{PrefixReader, PrefixWriter};
use super::range::{RangeReader, RangeWriter};
use super::tables::{Model, Tables, Tier};
use super::{Coder, Damaged};
use crate::bits::{BitReader, BitWriter};

/// What a packet is coded against.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The lanes of the component.
    pub plan: &'a Plan,
    /// What is held of each entity, in an order that both ends know.
    pub pasts: &'a [Past<'a>],
}

/// Memory that is used again from packet to packet.
#[derive(Debug, Default)]
pub struct Scratch {
    order: Vec<u32>,
    moving: usize,
    odd: Vec<u32>,
    told: Neighbours,
    lanes: Vec<i32>,
}

impl Scratch {
    /// Entities in motion first; `driver` before all others, and then by distance from it.
    fn sort(&mut self, held: &Held<'_>, driver: Option<usize>) {
        let (plan, pasts, count) = (held.plan, held.pasts, held.pasts.len() as u32);
        let moves = |at: &u32| plan.groups.iter().any(|group| pasts[*at as usize].moves(group.lanes()));
        self.order.clear();
        self.order.extend((0..count).filter(moves));
        self.moving = self.order.len();
        if let (Some(driver), Some(place)) = (driver.and_then(|driver| pasts.get(driver)), plan.place) {
            let centre = place_of(driver.states[0], place);
            let apart = |at: &u32| square(centre, place_of(pasts[*at as usize].states[0], place));
            self.order.sort_unstable_by_key(|at| (apart(at), *at));
        }
        self.order.extend((0..count).filter(|at| !moves(at)));
        self.told.clear();
    }
}

/// Writes the shared form: `now` holds the lanes of all entities.
pub fn encode_shared(tables: &Tables, held: &Held<'_>, now: &[i32], scratch: &mut Scratch, to: &mut BitWriter) {
    let mut lanes = core::mem::take(&mut scratch.lanes);
    lanes.clear();
    lanes.extend_from_slice(now);
    // A writer cannot fail.
    let _ = shared(&mut PrefixWriter { tables, to }, tables, held, scratch, true, &mut lanes);
    scratch.lanes = lanes;
}

/// Reads the shared form: fills `now` with the lanes of all entities.
pub fn decode_shared(
    tables: &Tables,
    held: &Held<'_>,
    from: BitReader<'_>,
    scratch: &mut Scratch,
    now: &mut [i32],
) -> Result<(), Damaged> {
    shared(&mut PrefixReader { tables, from }, tables, held, scratch, false, now)
}

/// The walk over the shared form, for training too; `writes` says whether `now` is given.
pub fn shared<C: Coder>(
    coder: &mut C,
    tables: &Tables,
    held: &Held<'_>,
    scratch: &mut Scratch,
    writes: bool,
    now: &mut [i32],
) -> Result<(), Damaged> {
    let (plan, size, nobody) = (held.plan, held.plan.lanes, Around::default());
    scratch.sort(held, None);
    scratch.odd.clear();
    let (moving, count) = (scratch.moving, scratch.order.len());
    if writes {
        for (at, index) in scratch.order.iter().enumerate() {
            let past = &held.pasts[*index as usize];
            let now = &now[*index as usize * size..][..size];
            let odd = || Subject::new(tables, plan, past).odd(&nobody, now);
            let named = if at < moving { odd() } else { now != past.states[0] };
            if named {
                scratch.odd.push(at as u32);
            }
        }
    }
    let mut named = core::mem::take(&mut scratch.odd);
    let result = names(coder, Model::OddGap, 0..moving, writes, &mut named)
        .and_then(|()| names(coder, Model::WakeGap, moving..count, writes, &mut named));
    scratch.odd = named;
    result?;
    let mut odds = scratch.odd.iter().copied().peekable();
    for (at, index) in (0..).zip(&scratch.order) {
        let past = &held.pasts[*index as usize];
        let now = &mut now[*index as usize * size..][..size];
        let odd = odds.next_if_eq(&at).is_some();
        if odd || (at as usize) < moving {
            Subject::new(tables, plan, past).tell(coder, &nobody, odd, now)?;
        } else {
            now.copy_from_slice(past.states[0]);
        }
    }
    Ok(())
}

/// Tells or reads which of `range` are named, by the gaps between them; the last gap leads to the end.
fn names<C: Coder>(
    coder: &mut C,
    model: Model,
    range: core::ops::Range<usize>,
    writes: bool,
    named: &mut Vec<u32>,
) -> Result<(), Damaged> {
    let mut at = range.start;
    let mut next = if writes { named.partition_point(|name| (*name as usize) < range.start) } else { named.len() };
    while at < range.end {
        let to = named.get(next).map_or(range.end, |name| (*name as usize).min(range.end));
        let features = [(range.end - at).min(1 << 20) as i32];
        // Gaps are not negative: the sign of the class tells them apart at no cost once it is trained.
        let gap = difference(coder, model, &features, (to - at) as i64)?;
        at += usize::try_from(gap).map_err(|_| Damaged)?;
        if at > range.end {
            return Err(Damaged);
        }
        if at < range.end && !writes {
            named.push(at as u32);
        }
        at += 1;
        next += 1;
    }
    Ok(())
}

/// Writes the small tier's form. `driver` is the entity that the receiver drives: both ends know it.
pub fn encode_small(
    tables: &Tables,
    held: &Held<'_>,
    driver: Option<usize>,
    now: &[i32],
    scratch: &mut Scratch,
    to: &mut Vec<u8>,
) {
    let mut lanes = core::mem::take(&mut scratch.lanes);
    lanes.clear();
    lanes.extend_from_slice(now);
    let mut writer = RangeWriter::new(tables, Tier::Small, to);
    // A writer cannot fail.
    let _ = small(&mut writer, tables, held, driver, scratch, true, &mut lanes);
    writer.finish();
    scratch.lanes = lanes;
}

/// Reads the small tier's form, which is all of `bytes`.
pub fn decode_small(
    tables: &Tables,
    held: &Held<'_>,
    driver: Option<usize>,
    bytes: &[u8],
    scratch: &mut Scratch,
    now: &mut [i32],
) -> Result<(), Damaged> {
    small(&mut RangeReader::new(tables, Tier::Small, bytes), tables, held, driver, scratch, false, now)
}

/// The walk over the small tier's form, for training too; `writes` says whether `now` is given.
pub fn small<C: Coder>(
    coder: &mut C,
    tables: &Tables,
    held: &Held<'_>,
    driver: Option<usize>,
    scratch: &mut Scratch,
    writes: bool,
    now: &mut [i32],
) -> Result<(), Damaged> {
    let (plan, size) = (held.plan, held.plan.lanes);
    scratch.sort(held, driver);
    for at in 0..scratch.order.len() {
        let index = scratch.order[at] as usize;
        let past = &held.pasts[index];
        let now = &mut now[index * size..][..size];
        let mut around = plan.place.map_or_else(Around::default, |place| scratch.told.around(past.states[0], place));
        around.pushes = true;
        let mut subject = Subject::new(tables, plan, past);
        let named = if at < scratch.moving {
            let known = writes && subject.odd(&around, now);
            let features = [
                past.moves(0..size).into(),
                plan.place.map_or(0, |place| past.step(place).abs().min(1 << 20) as i32),
                around.distances[0],
                around.amount[0],
                around.crowd,
            ];
            coder.symbol(Model::Odd, &features, u32::from(known))? != 0
        } else {
            let features = [
                around.distances[0],
                around.amount[0],
                around.distances[2],
                around.driver_way,
                around.distances[1],
                around.crowd,
            ];
            let changes = u32::from(writes && *now != *past.states[0]);
            if coder.symbol(Model::Wakes, &features, changes)? == 0 {
                now.copy_from_slice(past.states[0]);
                continue;
            }
            true
        };
        let told = subject.tell(coder, &around, named, now)?;
        if let Some(place) = plan.place {
            scratch.told.add(past.states[0], now, place, &told, driver == Some(index));
        }
    }
    Ok(())
}
