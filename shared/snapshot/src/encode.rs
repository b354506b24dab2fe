//! The server's side: the last ticks once for all clients, and one client's difference against its baseline.
//!
//! A part is a header of 7 bytes (tick u32, age of the baseline in ticks u8 with 0 for none, number of the part u8, number of
//! parts minus one u8) and a bit stream. For each entity that differs: a flag 1, the step from the last entity's id, a flag
//! whether it is gone. If it is not: for each component that the client holds of it a flag whether it differs, and if so two
//! bits (0 differs in lanes, 1 is gone, 2 is replaced: what is known of it has changed); then for each new component a flag 1,
//! its number, what is known of it in two bits, and its lanes against zeros; then a flag 0. The stream ends with a flag 0.

use std::collections::VecDeque;

use arbiter_schema::{ComponentId, Registry, StableId};

use crate::bits::{BitWriter, put_lane, put_step};
use crate::frame::{Frame, Head};
use crate::layout::{Known, Layout};
use crate::{HISTORY_TICKS, PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX};

pub(crate) const HEADER_BYTES: usize = 7;

/// Who a snapshot is for. A client whose team changes has to be given a full state: what it knows of its baseline is judged by
/// its team of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The client's slot; `None` owns nothing.
    pub slot: Option<u16>,
    /// The client's team; 0 for none, where only what everyone may know and what it owns is told.
    pub team: u8,
}

impl Viewer {
    pub(crate) fn knows(self, head: &Head) -> Known {
        let owner = self.slot.is_some_and(|slot| head.owner == u32::from(slot));
        Known { team: owner || (self.team != 0 && head.team == self.team), owner }
    }
}

/// The parts of one encoded snapshot; kept by the caller so that its memory is used again.
#[derive(Debug, Default)]
pub struct Parts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Parts {
    /// The parts in order, each ready to be sent.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Ends the bit stream of a part and puts its header in front; the number of parts is filled in when it is known.
    fn close(&mut self, part: &mut BitWriter, tick: u32, age: u8) {
        part.flag(false);
        self.bytes.extend_from_slice(&tick.to_le_bytes());
        self.bytes.extend_from_slice(&[age, self.ends.len() as u8, 0]);
        part.finish_into(&mut self.bytes);
        self.ends.push(self.bytes.len());
        part.clear();
    }

    /// Number of parts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// How one component of one entity differs, with its place in the frames.
#[derive(Debug, Clone, Copy)]
enum Change {
    Same,
    Lanes(usize, usize),
    Gone,
    Replaced(usize),
}

/// Keeps the last ticks and encodes differences between them.
#[derive(Debug)]
pub struct SnapshotEncoder {
    layout: Layout,
    part_bits: usize,
    /// Oldest first.
    history: VecDeque<Frame>,
    spare: Option<Frame>,
    part: BitWriter,
    entity: BitWriter,
    changes: Vec<Change>,
    added: Vec<usize>,
}

impl SnapshotEncoder {
    /// For the components of `registry`, with parts of at most `part_bytes` bytes ([`PART_BYTES_MIN`] to [`PART_BYTES_MAX`];
    /// clamped).
    pub fn new(registry: &Registry, part_bytes: usize) -> Self {
        let part_bytes = part_bytes.clamp(PART_BYTES_MIN, PART_BYTES_MAX);
        Self {
            layout: Layout::new(registry),
            part_bits: (part_bytes - HEADER_BYTES) * 8,
            history: VecDeque::with_capacity(HISTORY_TICKS),
            spare: None,
            part: BitWriter::default(),
            entity: BitWriter::default(),
            changes: Vec::new(),
            added: Vec::new(),
        }
    }

    /// Begins a tick; rows follow. Ticks ascend.
    pub fn begin(&mut self, tick: u32) {
        debug_assert!(self.history.back().is_none_or(|last| last.tick < tick), "ticks ascend");
        if self.history.len() == HISTORY_TICKS {
            self.spare = self.history.pop_front();
        }
        let mut frame = self.spare.take().unwrap_or_default();
        frame.clear(tick);
        self.history.push_back(frame);
    }

    /// Adds a row to the tick begun last. Rows ascend by (id, component); a row of a component that is not replicated, or with
    /// another number of lanes than its component has, is left out.
    pub fn row(&mut self, id: StableId, component: ComponentId, owner: Option<u16>, team: u8, lanes: &[i32]) {
        let described = self.layout.lanes(component);
        let fits = !described.is_empty() && described.len() == lanes.len();
        debug_assert!(fits || described.is_empty(), "component {component} has {} lanes", described.len());
        let Some(frame) = self.history.back_mut().filter(|_| fits) else { return };
        let owner = owner.map_or(u32::MAX, u32::from);
        let head = Head { id, component, owner, team, known: Known::default(), lanes_at: 0, lanes_len: 0 };
        debug_assert!(frame.heads.last().is_none_or(|last| last.key() < head.key()), "rows ascend");
        frame.push(head, lanes);
    }

    /// The tick begun last.
    pub fn tick(&self) -> Option<u32> {
        self.history.back().map(Frame::tick)
    }

    /// Whether `tick` can still be a baseline.
    pub fn holds(&self, tick: u32) -> bool {
        self.position(tick).is_some()
    }

    fn position(&self, tick: u32) -> Option<usize> {
        self.history.binary_search_by_key(&tick, Frame::tick).ok()
    }

    /// Encodes the tick begun last for `viewer`, who has the whole snapshot of `baseline`; a baseline that is forgotten or not
    /// older than the tick counts as none, and everything is told. Returns false if nothing was begun or if the state does not
    /// fit into [`PARTS_MAX`] parts; `parts` is empty then.
    pub fn encode(&mut self, baseline: Option<u32>, viewer: Viewer, parts: &mut Parts) -> bool {
        parts.bytes.clear();
        parts.ends.clear();
        let Some(tick) = self.tick() else { return false };
        let baseline = baseline
            .filter(|baseline| tick.checked_sub(*baseline).is_some_and(|age| (1..=255).contains(&age)))
            .and_then(|baseline| self.position(baseline));
        let age = baseline.map_or(0, |at| tick - self.history[at].tick) as u8;
        let nothing = Frame::default();
        let new = self.history.back().unwrap_or(&nothing);
        let old = baseline.map_or(&nothing, |at| &self.history[at]);

        let (layout, part, entity) = (&self.layout, &mut self.part, &mut self.entity);
        part.clear();
        let mut last_id = 0;
        let (mut old_at, mut new_at) = (0, 0);
        loop {
            let next = |frame: &Frame, at: usize| frame.heads.get(at).map(|head| head.id);
            let id = match (next(old, old_at), next(new, new_at)) {
                (None, None) => break,
                (Some(id), None) | (None, Some(id)) => id,
                (Some(old), Some(new)) => old.min(new),
            };
            let end = |frame: &Frame, at: usize| at + frame.heads[at..].iter().take_while(|head| head.id == id).count();
            let (old_end, new_end) = (end(old, old_at), end(new, new_at));
            self.changes.clear();
            self.added.clear();
            let differs = compare(
                layout,
                viewer,
                (old, old_at..old_end),
                (new, new_at..new_end),
                &mut self.changes,
                &mut self.added,
            );
            (old_at, new_at) = (old_end, new_end);
            if !differs {
                continue;
            }
            let gone = self.added.is_empty() && self.changes.iter().all(|change| matches!(change, Change::Gone));
            let changes = self.changes.len() + self.added.len();
            // The whole entity in one piece, or, when even an empty part cannot hold it, component by component.
            for piece in std::iter::once(None).chain((0..changes).map(Some)) {
                if let Some(piece) = piece
                    && matches!(self.changes.get(piece), Some(Change::Same))
                {
                    continue;
                }
                let write = |entity: &mut BitWriter, last_id: u32| {
                    entity.clear();
                    entity.flag(true);
                    put_step(entity, id.0 - last_id);
                    entity.flag(gone);
                    if !gone {
                        write_entity(entity, layout, viewer, (old, new), &self.changes, &self.added, piece);
                    }
                };
                write(entity, last_id);
                // One bit is kept for the end of the stream.
                if part.len() + entity.len() + 1 > self.part_bits && !part.is_empty() {
                    parts.close(part, tick, age);
                    last_id = 0;
                    write(entity, last_id);
                }
                if entity.len() + 1 > self.part_bits && piece.is_none() {
                    continue;
                }
                part.append(entity);
                last_id = id.0;
                if piece.is_none() {
                    break;
                }
            }
        }
        // Also a snapshot without a difference is told: it moves time and the baseline on.
        if !part.is_empty() || parts.ends.is_empty() {
            parts.close(part, tick, age);
        }
        if parts.ends.len() > PARTS_MAX {
            parts.bytes.clear();
            parts.ends.clear();
            return false;
        }
        let count = (parts.ends.len() - 1) as u8;
        let mut start = 0;
        for end in &parts.ends {
            parts.bytes[start + HEADER_BYTES - 1] = count;
            start = *end;
        }
        true
    }
}

type Range = core::ops::Range<usize>;

/// Lists how one entity differs for `viewer`: a change for each component that the client holds, and the new ones. Returns
/// whether it differs at all.
fn compare(
    layout: &Layout,
    viewer: Viewer,
    (old, old_rows): (&Frame, Range),
    (new, new_rows): (&Frame, Range),
    changes: &mut Vec<Change>,
    added: &mut Vec<usize>,
) -> bool {
    let mut differs = false;
    let mut new_at = new_rows.start;
    let add_until = |until: Option<ComponentId>, new_at: &mut usize, added: &mut Vec<usize>| {
        let mut any = false;
        while *new_at < new_rows.end && until.is_none_or(|until| new.heads[*new_at].component < until) {
            let head = &new.heads[*new_at];
            if layout.tells(head.component, viewer.knows(head)) {
                added.push(*new_at);
                any = true;
            }
            *new_at += 1;
        }
        any
    };
    for old_at in old_rows {
        let was = &old.heads[old_at];
        differs |= add_until(Some(was.component), &mut new_at, added);
        let knew = viewer.knows(was);
        let known_before = layout.tells(was.component, knew);
        let is = new.heads.get(new_at).filter(|is| new_at < new_rows.end && is.component == was.component);
        let Some(is) = is else {
            if known_before {
                changes.push(Change::Gone);
                differs = true;
            }
            continue;
        };
        let is_at = new_at;
        new_at += 1;
        let knows = viewer.knows(is);
        let change = match (known_before, layout.tells(is.component, knows)) {
            (false, false) => continue,
            (false, true) => {
                added.push(is_at);
                differs = true;
                continue;
            }
            (true, false) => Change::Gone,
            (true, true) if knew != knows => Change::Replaced(is_at),
            (true, true) => {
                let lanes = old.lanes_of(was).iter().zip(new.lanes_of(is)).zip(layout.lanes(is.component));
                let mut differing = lanes.filter(|((was, is), lane)| was != is && knows.knows(lane.audience));
                if differing.next().is_some() { Change::Lanes(old_at, is_at) } else { Change::Same }
            }
        };
        differs |= !matches!(change, Change::Same);
        changes.push(change);
    }
    differs | add_until(None, &mut new_at, added)
}

/// Writes the components of an entity, all of them or only the one with number `piece` among changes and additions.
fn write_entity(
    to: &mut BitWriter,
    layout: &Layout,
    viewer: Viewer,
    (old, new): (&Frame, &Frame),
    changes: &[Change],
    added: &[usize],
    piece: Option<usize>,
) {
    let chosen = |at: usize| piece.is_none_or(|piece| piece == at);
    let full = |to: &mut BitWriter, at: usize| {
        let head = &new.heads[at];
        let known = viewer.knows(head);
        to.put(known.bits(), 2);
        for (lane, value) in layout.lanes(head.component).iter().zip(new.lanes_of(head)) {
            if known.knows(lane.audience) {
                put_lane(to, 0, clamped(*value, lane.max), lane.width);
            }
        }
    };
    for (at, change) in changes.iter().enumerate() {
        let change = if chosen(at) { *change } else { Change::Same };
        to.flag(!matches!(change, Change::Same));
        match change {
            Change::Same => {}
            Change::Lanes(was, is) => {
                to.put(0, 2);
                let (was, is) = (&old.heads[was], &new.heads[is]);
                let known = viewer.knows(is);
                let values = old.lanes_of(was).iter().zip(new.lanes_of(is));
                for (lane, (was, is)) in layout.lanes(is.component).iter().zip(values) {
                    if known.knows(lane.audience) {
                        put_lane(to, clamped(*was, lane.max), clamped(*is, lane.max), lane.width);
                    }
                }
            }
            Change::Gone => to.put(1, 2),
            Change::Replaced(is) => {
                to.put(2, 2);
                full(to, is);
            }
        }
    }
    for (at, is) in added.iter().enumerate() {
        if chosen(changes.len() + at) {
            to.flag(true);
            to.put(u32::from(new.heads[*is].component), layout.component_bits());
            full(to, *is);
        }
    }
    to.flag(false);
}

fn clamped(value: i32, max: u32) -> u32 {
    (value.max(0) as u32).min(max)
}
