//! The client's side: what it knows of each entity, at which ticks.

use std::collections::{BTreeMap, VecDeque};

use arbiter_schema::{Registry, StableId};
use thiserror::Error;

use super::shape::{Shape, Shapes};
use super::{Bases, ENTITIES_MAX, Form, How, KEEP_TICKS, TickForm, get_step};
use crate::PART_BYTES_MAX;
use crate::bits::{BitReader, Get, OutOfBits};
use crate::codec::drift::{Older, TRAIL};
use crate::codec::entity::{Around, Subject};
use crate::codec::near::{Context, Head as Before};
use crate::codec::prefix::PrefixReader;
use crate::codec::range::RangeReader;
use crate::codec::{Damaged, Past, Plan, Tables, Tier};
use crate::frame::{Frame, Head};

/// Why a part was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Too short for a header, or longer than a part may be.
    #[error("a part of {0} bytes is no part of a snapshot")]
    Size(usize),
    /// The bit stream makes no sense.
    #[error("a part of tick {tick} is malformed: {what}; client and server differ in version, or it was damaged")]
    Malformed {
        /// Its tick.
        tick: u32,
        /// What was found.
        what: &'static str,
    },
    /// Told against states that are not held (any more).
    #[error("a part of tick {tick} builds upon a state of entity {id} that is not held: it has to be told in full", id = id.0)]
    NotHeld {
        /// Its tick.
        tick: u32,
        /// The entity.
        id: StableId,
    },
    /// Only the low bits of its tick are told, and no part was kept that would say which one it is.
    #[error(
        "a part of about tick {tick} came before any that says what its tick is near to: it has to be told in full"
    )]
    Unplaced {
        /// What its tick probably is.
        tick: u32,
    },
}

/// Why reading stopped.
enum Fault {
    Malformed(&'static str),
    NotHeld(StableId),
}

impl From<&'static str> for Fault {
    fn from(what: &'static str) -> Self {
        Self::Malformed(what)
    }
}

/// Lanes of all states that are held: 32 MB, what a hostile server can make a client keep.
const LANES_MAX: usize = 8_000_000;

/// An entity at a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The tick.
    pub tick: u32,
    shape: u32,
    /// The lanes that were told, component after component; their shape says which.
    pub lanes: Vec<i32>,
}

#[derive(Debug, Default)]
struct Entity {
    /// Oldest first.
    states: VecDeque<State>,
    /// It left sight at this tick. Older states are kept as long as parts may come that were told against them.
    gone: Option<u32>,
}

impl Entity {
    /// How many states are older than `tick`. Most entities are told in every tick: then nothing is searched for.
    fn older(&self, tick: u32) -> usize {
        let Some(newest) = self.states.back() else { return 0 };
        if newest.tick < tick {
            return self.states.len();
        }
        let place = (self.states.len() - 1).checked_sub((newest.tick - tick) as usize);
        let place = place.filter(|place| self.states.get(*place).is_some_and(|state| state.tick == tick));
        place.unwrap_or_else(|| self.states.partition_point(|state| state.tick < tick))
    }

    /// The newest state at `tick` or before, unless it had left sight by then.
    fn at(&self, tick: u32) -> Option<&State> {
        let state = self.states.get(self.older(tick.saturating_add(1)).checked_sub(1)?)?;
        let left = self.gone.is_some_and(|gone| state.tick < gone && gone <= tick);
        if left { None } else { Some(state) }
    }
}

/// Applies parts and keeps what they told.
#[derive(Debug)]
pub struct Receiver {
    shapes: Shapes,
    entities: BTreeMap<StableId, Entity>,
    newest: u32,
    /// The newest tick of which a part was kept, as far as nothing of it was forgotten.
    kept: Option<u32>,
    lanes: usize,
    read: Vec<(StableId, Option<State>)>,
    form: Form,
    context: Context,
}

/// A part in one of the forms.
trait Stream: Get {
    /// What stands in front of the next entity.
    fn head(&mut self, context: &mut Context) -> Result<Before, Damaged>;

    /// The step to an entity that does not follow, and how it is told.
    fn other(&mut self, context: &mut Context) -> Result<(u32, How), Damaged>;

    /// Reads an entity that is told against its past; whether the client owns it.
    fn change(
        &mut self,
        context: &mut Context,
        plan: &Plan,
        past: &Past<'_>,
        is_owned: bool,
        lanes: &mut [i32],
    ) -> Result<(), Damaged>;

    /// Whether it ends where the entities do.
    fn is_done(&self) -> bool;
}

impl Stream for PrefixReader<'_> {
    fn head(&mut self, _context: &mut Context) -> Result<Before, Damaged> {
        let mut flag = || self.from.flag().map_err(|_| Damaged);
        Ok(if !flag()? {
            Before::Follows
        } else if !flag()? {
            Before::Other
        } else {
            Before::End
        })
    }

    fn other(&mut self, _context: &mut Context) -> Result<(u32, How), Damaged> {
        let read = get_step(self).and_then(|step| Ok((step, How::read(self)?)));
        read.map_err(|OutOfBits| Damaged)
    }

    fn change(
        &mut self,
        _context: &mut Context,
        plan: &Plan,
        past: &Past<'_>,
        _is_owned: bool,
        lanes: &mut [i32],
    ) -> Result<(), Damaged> {
        Subject::new(self.tables, plan, past).change(self, &Around::default(), false, lanes).map(|_| ())
    }

    fn is_done(&self) -> bool {
        self.from.remaining() < 8
    }
}

impl Get for PrefixReader<'_> {
    fn get(&mut self, bits: u32) -> Result<u32, OutOfBits> {
        self.from.get(bits)
    }
}

impl Stream for RangeReader<'_> {
    fn head(&mut self, context: &mut Context) -> Result<Before, Damaged> {
        context.head(self, Before::End)
    }

    fn other(&mut self, context: &mut Context) -> Result<(u32, How), Damaged> {
        context.other(self, 0, 0).map(|(step, how)| (step, How::from(how)))
    }

    fn change(
        &mut self,
        context: &mut Context,
        plan: &Plan,
        past: &Past<'_>,
        is_owned: bool,
        lanes: &mut [i32],
    ) -> Result<(), Damaged> {
        context.change(self, Tables::frozen(), plan, past, is_owned, false, lanes)
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }
}

impl Receiver {
    /// For the components of `registry`, which must be the server's.
    pub fn new(registry: &Registry) -> Self {
        let shapes = Shapes::new(registry);
        Self {
            shapes,
            entities: BTreeMap::new(),
            newest: 0,
            kept: None,
            lanes: 0,
            read: Vec::new(),
            form: Form::Shared,
            context: Context::default(),
        }
    }

    /// The form of the parts that come from now on, as the server said.
    pub fn set_form(&mut self, form: Form) {
        self.form = form;
    }

    /// Forgets everything: what follows is told from about `tick` on, as in another match.
    pub fn begin(&mut self, tick: u32) {
        self.entities.clear();
        (self.newest, self.kept, self.lanes) = (tick, None, 0);
    }

    /// Forgets what was told until `tick`. A part of that tick could not be kept, and what it told of things that are gone is
    /// not told again: the server begins anew as if nothing were held.
    pub fn forget_until(&mut self, tick: u32) {
        self.kept = self.kept.filter(|kept| *kept > tick);
        let lanes = &mut self.lanes;
        self.entities.retain(|_, entity| {
            let old = entity.states.partition_point(|state| state.tick <= tick);
            *lanes -= entity.states.drain(..old).map(|state| state.lanes.len()).sum::<usize>();
            entity.gone = entity.gone.filter(|gone| *gone > tick);
            !entity.states.is_empty() || entity.gone.is_some()
        });
    }

    /// The newest tick of which anything was told.
    pub fn newest_tick(&self) -> u32 {
        self.newest
    }

    /// The entities in sight, by id, each in its newest state that is known.
    pub fn entities(&self) -> impl Iterator<Item = (StableId, &State)> {
        self.entities.iter().filter_map(|(id, entity)| Some((*id, entity.at(u32::MAX)?)))
    }

    /// The newest state of an entity at `tick` or before, to interpolate from; `None` if it was not in sight.
    pub fn at(&self, id: StableId, tick: u32) -> Option<&State> {
        self.entities.get(&id)?.at(tick)
    }

    /// Which components a state tells, and what is known of each.
    pub fn shape(&self, state: &State) -> &Shape {
        self.shapes.get(state.shape).0
    }

    /// Fills `frame` with all that was in sight at `tick`, each entity in its newest state of then.
    pub fn frame(&self, tick: u32, frame: &mut Frame) {
        frame.clear(tick);
        for (id, entity) in &self.entities {
            let Some(state) = entity.at(tick) else { continue };
            let mut told = state.lanes.iter();
            for (component, known) in self.shape(state) {
                let head = Head { known: *known, state_tick: state.tick, ..Head::new(*id, *component) };
                let lanes = self.shapes.layout().lanes(*component).iter();
                frame.push(
                    head,
                    lanes.map(|lane| if known.knows(lane.audience) { told.next().copied().unwrap_or(0) } else { 0 }),
                );
            }
        }
    }

    /// Takes a part. Errors leave everything as it was.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<u32, SnapshotError> {
        let (length, tables) = (bytes.len(), Tables::frozen());
        if length > PART_BYTES_MAX {
            return Err(SnapshotError::Size(length));
        }
        match self.form {
            Form::Shared => self.take(length, &mut PrefixReader { tables, from: BitReader::new(bytes) }),
            Form::Small => self.take(length, &mut RangeReader::new(tables, Tier::Near, bytes)),
        }
    }

    /// Takes a part of so many bytes.
    fn take(&mut self, length: usize, from: &mut impl Stream) -> Result<u32, SnapshotError> {
        let tick = TickForm::read(from, self.kept, self.newest);
        let (form, tick) = tick.map_err(|OutOfBits| SnapshotError::Size(length))?;
        if form == TickForm::Near && self.kept.is_none() {
            return Err(SnapshotError::Unplaced { tick });
        }
        self.read.clear();
        self.read_all(tick, from).map_err(|fault| match fault {
            Fault::Malformed(what) => SnapshotError::Malformed { tick, what },
            Fault::NotHeld(id) => SnapshotError::NotHeld { tick, id },
        })?;
        self.newest = self.newest.max(tick);
        self.kept = self.kept.max(Some(tick));
        let mut read = core::mem::take(&mut self.read);
        for (id, state) in read.drain(..) {
            self.keep(id, tick, state);
        }
        self.read = read;
        self.forget();
        Ok(tick)
    }

    fn read_all(&mut self, tick: u32, from: &mut impl Stream) -> Result<(), Fault> {
        let mut context = core::mem::take(&mut self.context);
        context.clear();
        let read = self.read_entities(tick, from, &mut context);
        self.context = context;
        read
    }

    fn read_entities(&mut self, tick: u32, from: &mut impl Stream, context: &mut Context) -> Result<(), Fault> {
        let short = |_| "a part ends inside an entity";
        let has_trails = self.shapes.has_trails();
        let has_usual = from.flag().map_err(short)?;
        let usual = if has_usual { Some(Bases::read(from, has_trails).map_err(short)?) } else { None };
        let (mut next_id, mut lanes) = (Some(0_u32), self.lanes);
        loop {
            let (step, how) = match from.head(context).map_err(|_| "a part without an end")? {
                Before::Follows => (0, How::Usual),
                Before::Other => from.other(context).map_err(|_| "a part ends inside an entity")?,
                Before::End => break,
            };
            let id = next_id.and_then(|next| next.checked_add(step)).ok_or("an id that does not exist")?;
            next_id = id.checked_add(1);
            let id = StableId(id);
            let state = match how {
                How::Gone => None,
                How::Full => Some(self.read_full(tick, from)?),
                How::Usual => Some(self.read_change(tick, id, usual.ok_or("no bases")?, from, context)?),
                How::Own => {
                    let bases = Bases::read(from, has_trails).map_err(short)?;
                    Some(self.read_change(tick, id, bases, from, context)?)
                }
            };
            lanes += state.as_ref().map_or(0, |state| state.lanes.len());
            if lanes > LANES_MAX || self.entities.len() + self.read.len() >= ENTITIES_MAX {
                return Err("more than a client keeps".into());
            }
            self.read.push((id, state));
        }
        if from.is_done() { Ok(()) } else { Err("bytes are left behind the stream".into()) }
    }

    fn read_full(&mut self, tick: u32, from: &mut impl Stream) -> Result<State, &'static str> {
        let shape = self.shapes.read(from).map_err(|_| "a part ends inside a shape")?;
        let shape = shape.ok_or("components that cannot be told")?;
        let (components, _, widths) = self.shapes.get(shape);
        let mut lanes = Vec::with_capacity(widths.len());
        for (component, known) in components {
            for lane in self.shapes.layout().lanes(*component).iter().filter(|lane| known.knows(lane.audience)) {
                let value = from.get(lane.width).map_err(|_| "a part ends inside a lane")?;
                if value > lane.max {
                    return Err("a lane is out of range");
                }
                lanes.push(value as i32);
            }
        }
        Ok(State { tick, shape, lanes })
    }

    fn read_change(
        &self,
        tick: u32,
        id: StableId,
        bases: Bases,
        from: &mut impl Stream,
        context: &mut Context,
    ) -> Result<State, Fault> {
        let ticks = bases.ticks(tick).ok_or("bases before the match")?;
        let held = self.entities.get(&id).ok_or(Fault::NotHeld(id))?;
        let find = |tick: u32| held.states.get(held.older(tick)).filter(|state| state.tick == tick);
        let [Some(newest), Some(near), Some(far)] = ticks.map(find) else { return Err(Fault::NotHeld(id)) };
        if near.shape != newest.shape || far.shape != newest.shape {
            return Err("bases of different shapes".into());
        }
        let gaps = [i64::from(bases.0[1]), i64::from(bases.0[2])];
        let ((shape, plan, _), mut lanes) = (self.shapes.get(newest.shape), vec![0; newest.lanes.len()]);
        let (mut older, mut count) = ([Older { gap: 0, lanes: &[] }; TRAIL.len()], 0);
        for (_, gap) in bases.trail().filter(|_| plan.has_trail()) {
            let state = newest.tick.checked_sub(u32::from(gap)).and_then(find).ok_or(Fault::NotHeld(id))?;
            if state.shape != newest.shape {
                return Err("bases of different shapes".into());
            }
            older[count] = Older { gap: i64::from(gap), lanes: &state.lanes };
            count += 1;
        }
        let states = [&newest.lanes[..], &near.lanes, &far.lanes];
        let past = Past { states, age: i64::from(bases.0[0]), gaps, trail: &older[..count] };
        let is_owned = shape.iter().any(|(_, known)| known.owner);
        from.change(context, plan, &past, is_owned, &mut lanes).map_err(|_| "a malformed change")?;
        Ok(State { tick, shape: newest.shape, lanes })
    }

    fn keep(&mut self, id: StableId, tick: u32, state: Option<State>) {
        let entity = self.entities.entry(id).or_default();
        let Some(state) = state else {
            entity.gone = entity.gone.max(Some(tick));
            return;
        };
        let at = entity.older(tick);
        if entity.states.get(at).is_none_or(|held| held.tick != tick) {
            self.lanes += state.lanes.len();
            entity.states.insert(at, state);
        }
        let newest = entity.states.back().map_or(0, |state| state.tick);
        while entity.states.front().is_some_and(|oldest| newest - oldest.tick > KEEP_TICKS) {
            self.lanes -= entity.states.pop_front().map_or(0, |state| state.lanes.len());
        }
    }

    /// Drops what left sight so long ago that no part of before can come any more.
    fn forget(&mut self) {
        let (newest, lanes) = (self.newest, &mut self.lanes);
        self.entities.retain(|_, entity| {
            let Some(gone) = entity.gone.filter(|gone| newest.saturating_sub(*gone) > KEEP_TICKS) else { return true };
            let old = entity.states.partition_point(|state| state.tick < gone);
            *lanes -= entity.states.drain(..old).map(|state| state.lanes.len()).sum::<usize>();
            entity.gone = None;
            !entity.states.is_empty()
        });
    }
}
