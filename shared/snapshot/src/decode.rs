//! The client's side: collects the parts of a snapshot, applies them to the baseline that they name, keeps what it received.

use std::collections::VecDeque;

use arbiter_schema::{ComponentId, Registry, StableId};
use thiserror::Error;

use crate::bits::{BitReader, OutOfBits, get_lane, get_step};
use crate::encode::HEADER_BYTES;
use crate::frame::{Frame, Head};
use crate::layout::{Known, Layout};
use crate::{HISTORY_TICKS, PART_BYTES_MAX};

/// Snapshots whose parts are being collected at one time: reordering beyond that is loss.
const INCOMPLETE_MAX: usize = 8;

/// Rows of one state: a thousand players with 40 components each, and as much again.
const ROWS_MAX: usize = 80_000;

/// Lanes of one state: 4 MB.
const LANES_MAX: usize = 1_000_000;

/// Why a part was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Too short for a header, or longer than a part may be.
    #[error("a part of {0} bytes is no part of a snapshot")]
    Size(usize),
    /// The header contradicts itself or an earlier part.
    #[error("the header of a part of tick {tick} contradicts itself or another part of the tick")]
    Header {
        /// The tick that it names.
        tick: u32,
    },
    /// The bit stream makes no sense.
    #[error("the snapshot of tick {tick} is malformed: {what}; client and server differ in version, or it was damaged")]
    Malformed {
        /// Its tick.
        tick: u32,
        /// What was found.
        what: &'static str,
    },
    /// The baseline is not held (any more): a full state is needed.
    #[error("the snapshot of tick {tick} builds upon tick {baseline}, which is not held: a full state is needed")]
    NoBaseline {
        /// Its tick.
        tick: u32,
        /// The missing baseline.
        baseline: u32,
    },
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The state of this tick is complete.
    Complete(u32),
    /// More parts are needed.
    Partial,
    /// It was known, or is older than anything of use.
    Stale,
}

#[derive(Debug)]
struct Incomplete {
    tick: u32,
    age: u8,
    parts: Vec<Option<Vec<u8>>>,
    missing: usize,
}

#[derive(Debug, Clone, Copy)]
enum Apply {
    Patch,
    Remove,
}

#[derive(Debug, Clone, Copy)]
struct Op {
    id: StableId,
    component: ComponentId,
    apply: Apply,
    known: Known,
    lanes_at: usize,
}

/// Turns parts into states and keeps the last of them.
#[derive(Debug)]
pub struct SnapshotDecoder {
    layout: Layout,
    /// Oldest first.
    states: VecDeque<Frame>,
    incomplete: Vec<Incomplete>,
    needs_full: bool,
    ops: Vec<Op>,
    op_lanes: Vec<i32>,
}

impl SnapshotDecoder {
    /// For the components of `registry`, which must be the server's.
    pub fn new(registry: &Registry) -> Self {
        Self {
            layout: Layout::new(registry),
            states: VecDeque::new(),
            incomplete: Vec::new(),
            needs_full: false,
            ops: Vec::new(),
            op_lanes: Vec::new(),
        }
    }

    /// Forgets everything, as when another match begins.
    pub fn reset(&mut self) {
        self.states.clear();
        self.incomplete.clear();
        self.needs_full = false;
    }

    /// The newest state.
    pub fn newest(&self) -> Option<&Frame> {
        self.states.back()
    }

    /// The state of `tick`.
    pub fn state(&self, tick: u32) -> Option<&Frame> {
        let at = self.states.binary_search_by_key(&tick, Frame::tick).ok()?;
        self.states.get(at)
    }

    /// All states that are held, oldest first.
    pub fn states(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.states.iter()
    }

    /// What to acknowledge: the newest tick. `None` asks for a full state.
    pub fn ack(&self) -> Option<u32> {
        Some(self.states.back().filter(|_| !self.needs_full)?.tick)
    }

    /// Takes a part. Errors leave everything as it was, but for [`SnapshotError::NoBaseline`], after which [`Self::ack`] asks
    /// for a full state.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Received, SnapshotError> {
        if bytes.len() <= HEADER_BYTES || bytes.len() > PART_BYTES_MAX {
            return Err(SnapshotError::Size(bytes.len()));
        }
        let tick = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let (age, part, count) = (bytes[4], usize::from(bytes[5]), usize::from(bytes[6]) + 1);
        if part >= count || u32::from(age) > tick {
            return Err(SnapshotError::Header { tick });
        }
        if self.is_stale(tick, age) {
            return Ok(Received::Stale);
        }
        let at = match self.incomplete.iter().position(|incomplete| incomplete.tick == tick) {
            Some(at) => at,
            None => {
                if self.incomplete.len() == INCOMPLETE_MAX {
                    let oldest = (0..INCOMPLETE_MAX).min_by_key(|at| self.incomplete[*at].tick).unwrap_or(0);
                    if self.incomplete[oldest].tick > tick {
                        return Ok(Received::Stale);
                    }
                    self.incomplete.swap_remove(oldest);
                }
                self.incomplete.push(Incomplete { tick, age, parts: vec![None; count], missing: count });
                self.incomplete.len() - 1
            }
        };
        let incomplete = &mut self.incomplete[at];
        if incomplete.age != age || incomplete.parts.len() != count {
            return Err(SnapshotError::Header { tick });
        }
        if incomplete.parts[part].is_some() {
            return Ok(Received::Stale);
        }
        incomplete.parts[part] = Some(bytes[HEADER_BYTES..].to_vec());
        incomplete.missing -= 1;
        if incomplete.missing > 0 {
            return Ok(Received::Partial);
        }
        let complete = self.incomplete.swap_remove(at);
        let state = self.apply(&complete)?;
        self.keep(state, age == 0);
        Ok(Received::Complete(tick))
    }

    /// A state that is held, or older than everything that is held. A full state is never stale while one is needed.
    fn is_stale(&self, tick: u32, age: u8) -> bool {
        if self.needs_full && age == 0 {
            return false;
        }
        let too_old =
            self.states.len() == HISTORY_TICKS && self.states.front().is_some_and(|oldest| tick < oldest.tick);
        too_old || self.state(tick).is_some()
    }

    fn keep(&mut self, state: Frame, full: bool) {
        if full {
            self.needs_full = false;
        }
        let at = self.states.partition_point(|held| held.tick < state.tick);
        if self.states.get(at).is_some_and(|held| held.tick == state.tick) {
            self.states[at] = state;
            return;
        }
        self.states.insert(at, state);
        if self.states.len() > HISTORY_TICKS {
            self.states.pop_front();
        }
        // What is older than the oldest state can never be applied.
        let oldest = self.states.front().map_or(0, Frame::tick);
        self.incomplete.retain(|incomplete| incomplete.tick >= oldest || incomplete.age == 0);
    }

    fn apply(&mut self, complete: &Incomplete) -> Result<Frame, SnapshotError> {
        let tick = complete.tick;
        let nothing = Frame::default();
        let old = match complete.age {
            0 => &nothing,
            age => {
                let baseline = tick - u32::from(age);
                match self.states.binary_search_by_key(&baseline, Frame::tick) {
                    Ok(at) => &self.states[at],
                    Err(_) => {
                        self.needs_full = true;
                        return Err(SnapshotError::NoBaseline { tick, baseline });
                    }
                }
            }
        };
        self.ops.clear();
        self.op_lanes.clear();
        let malformed = |what| SnapshotError::Malformed { tick, what };
        for part in &complete.parts {
            let bytes = part.as_deref().unwrap_or_default();
            read_part(&self.layout, bytes, old, &mut self.ops, &mut self.op_lanes).map_err(malformed)?;
        }
        self.ops.sort_by_key(|op| (op.id, op.component));
        if self.ops.windows(2).any(|pair| (pair[0].id, pair[0].component) == (pair[1].id, pair[1].component)) {
            return Err(malformed("a component is told twice"));
        }
        let mut new = Frame { tick, ..Frame::default() };
        new.heads.reserve(old.heads.len());
        new.lanes.reserve(old.lanes.len());
        let mut ops = self.ops.iter().peekable();
        let op_lanes = &self.op_lanes;
        let put = |new: &mut Frame, op: &Op| {
            if let Apply::Patch = op.apply {
                let count = self.layout.lanes(op.component).len();
                let (id, component, known) = (op.id, op.component, op.known);
                let head = Head { id, component, owner: 0, team: 0, known, lanes_at: 0, lanes_len: 0 };
                new.push(head, &op_lanes[op.lanes_at..op.lanes_at + count]);
            }
        };
        for head in &old.heads {
            while let Some(op) = ops.next_if(|op| (op.id, op.component) < head.key()) {
                put(&mut new, op);
            }
            match ops.next_if(|op| (op.id, op.component) == head.key()) {
                Some(op) => put(&mut new, op),
                None => new.push(*head, old.lanes_of(head)),
            }
        }
        for op in ops {
            put(&mut new, op);
        }
        if new.heads.len() > ROWS_MAX || new.lanes.len() > LANES_MAX {
            return Err(malformed("more rows than a state may have"));
        }
        Ok(new)
    }
}

fn read_part(
    layout: &Layout,
    bytes: &[u8],
    old: &Frame,
    ops: &mut Vec<Op>,
    op_lanes: &mut Vec<i32>,
) -> Result<(), &'static str> {
    const SHORT: &str = "a part ends inside a value";
    let short = |_: OutOfBits| SHORT;
    let from = &mut BitReader::new(bytes);
    let mut last_id = 0_u32;
    while from.flag().map_err(short)? {
        let step = get_step(from).map_err(short)?;
        let id = StableId(last_id.checked_add(step).ok_or("a stable id is out of range")?);
        last_id = id.0;
        let gone = from.flag().map_err(short)?;
        let start = old.heads.partition_point(|head| head.id < id);
        let held = old.heads[start..].iter().take_while(|head| head.id == id);
        for head in held {
            let mut op =
                Op { id, component: head.component, apply: Apply::Remove, known: head.known, lanes_at: op_lanes.len() };
            if gone {
                ops.push(op);
                continue;
            }
            if !from.flag().map_err(short)? {
                continue;
            }
            match from.get(2).map_err(short)? {
                0 => {
                    op.apply = Apply::Patch;
                    read_lanes(layout, from, head.component, op.known, Some(old.lanes_of(head)), op_lanes)?;
                }
                1 => {}
                2 => {
                    op.apply = Apply::Patch;
                    op.known = Known::from_bits(from.get(2).map_err(short)?);
                    read_lanes(layout, from, head.component, op.known, None, op_lanes)?;
                }
                _ => return Err("an unknown kind of change"),
            }
            ops.push(op);
        }
        while !gone && from.flag().map_err(short)? {
            let component = from.get(layout.component_bits()).map_err(short)? as ComponentId;
            let known = Known::from_bits(from.get(2).map_err(short)?);
            if !layout.tells(component, known) {
                return Err("a component that is not replicated");
            }
            ops.push(Op { id, component, apply: Apply::Patch, known, lanes_at: op_lanes.len() });
            read_lanes(layout, from, component, known, None, op_lanes)?;
        }
        if ops.len() > ROWS_MAX || op_lanes.len() > LANES_MAX {
            return Err("more changes than a state may have");
        }
    }
    if from.remaining() >= 8 { Err("bytes are left behind the stream") } else { Ok(()) }
}

fn read_lanes(
    layout: &Layout,
    from: &mut BitReader<'_>,
    component: ComponentId,
    known: Known,
    old: Option<&[i32]>,
    out: &mut Vec<i32>,
) -> Result<(), &'static str> {
    for (at, lane) in layout.lanes(component).iter().enumerate() {
        let was = old.map_or(0, |old| old[at]);
        out.push(if known.knows(lane.audience) {
            let read = get_lane(from, was as u32, lane.width, lane.max).map_err(|_| "a part ends inside a lane")?;
            read.ok_or("a lane is out of range")? as i32
        } else {
            0
        });
    }
    Ok(())
}
