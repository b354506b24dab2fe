//! What there is this tick, as interest management sees it: one line for each entity, with its shape, and the map's walls.
//!
//! A line keeps its *place* for as long as its entity lives, so that what is remembered about it is found without a search.
//! Bodies stand in the order of stable ids. Everything here is made in the room's thread before clients are served, and only
//! read by them: serving may be spread over threads without changing a bit.

use arbiter_schema::StableId;
use arbiter_sim::collide::StaticWorld;
use arbiter_sim::index::{Identity, Index, Kind};
use arbiter_sim::physics::Solids;
use arbiter_sim::{Cue, Simulation};
use glam::Vec3;

use super::grid::Grid;
use super::marks::{self, LANES, Marks};
use super::rank;
use super::reach::{CORNERS, DIRECTIONS, Gait, Shape};
use super::reader::{Numbers, Reader};
use super::settings::{ENTITIES_MAX, HORIZON_MS_MAX};

/// Players whose distance to walls is looked up in one tick; the others' is taken from before, less how far they came.
const CLEARED_MAX: usize = 128;

/// Clients that look at all there is in one tick. In larger rooms they take turns.
const WATCHED_MAX: usize = 256;

/// Times a second that a client looks at all there is, or nearly so, if ticks are more frequent: clients take turns there too.
const LOOKS_PER_SECOND: u32 = 60;

/// The longest way to a wall that is looked for, in metres: a dash of the shipped rules within the longest horizon, and some.
const CLEARANCE_MAX: f32 = 12.0;

/// A change of velocity by more m/s than this, beside what legs can do, is a jolt.
const JOLT: f32 = 1.0;

/// Whether, and how, an entity may be kept from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Everybody may always know it.
    Open,
    /// Told to whoever may see it.
    Seen,
    /// The same, but what one knew of it may be remembered: it stands where it always stood.
    Remembered,
}

/// One entity.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// Which.
    pub id: StableId,
    /// What it is.
    pub kind: Kind,
    /// Team from 1; 0 is nobody's.
    pub team: u8,
    /// Slot + 1 of the player that it is or belongs to; 0 is nobody's.
    pub owner: u16,
    /// Where what is remembered about it stands.
    pub place: u32,
    /// Who may know of it.
    pub secrecy: Secrecy,
    /// Whether it is somewhere.
    pub placed: bool,
    /// Where it is and may be.
    pub shape: Shape,
    /// It moved as nobody could foresee, or has just come to be.
    pub jolted: bool,
    /// Metres that an area reaches; 0 for all else.
    pub area: f32,
    /// Whether a player lives; true for all else.
    pub alive: bool,
    /// Where a player looks, a unit vector.
    pub look: Vec3,
    /// Metres that the weapon in a player's hand reaches.
    pub weapon_range: f32,
    /// Whether a player runs on the ground, so that one hears it.
    pub steps: bool,
}

impl Body {
    /// Whether one may aim at it, whosever it is.
    pub fn is_target(&self) -> bool {
        self.alive && matches!(self.kind, Kind::Player | Kind::Deployable)
    }
}

/// Someone did something to somebody in this tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Who did it.
    pub by: StableId,
    /// To whom.
    pub target: StableId,
}

#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    id: StableId,
    position: Vec3,
    velocity: Vec3,
    gait: Gait,
    /// Distances to walls, and metres moved since they were looked up.
    clear: [f32; CORNERS],
    moved: f32,
    /// The tick of the last jolt.
    jolted: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Scene {
    /// The map.
    pub statics: StaticWorld,
    /// The tick.
    pub tick: u32,
    /// Ticks in a second.
    pub rate: u16,
    /// By stable id.
    pub bodies: Vec<Body>,
    /// The same in short, by place.
    marks: Vec<Marks>,
    /// Place in `bodies` of the player in each slot, or none.
    pub players: Vec<Option<u32>>,
    /// Who did something to whom.
    pub contacts: Vec<Contact>,
    /// Where bodies are.
    pub grid: Grid,
    /// Every how many ticks a client is served; which, its slot says.
    pub stride: u32,
    /// Whether far entities are told rarely.
    pub thin: bool,
    /// By place.
    kept: Vec<Kept>,
    free: Vec<u32>,
    /// Of the last tick, by stable id.
    places: Vec<(StableId, u32)>,
    places_end: usize,
    numbers: Numbers,
    next_cleared: usize,
    turns: u32,
    turn: u32,
    player_count: usize,
}

impl Scene {
    /// For matches of this simulation's map and rules.
    pub fn new(simulation: &Simulation) -> Self {
        let view = simulation.view();
        let statics = view.resource::<Solids>().map(|solids| solids.world().statics.clone()).unwrap_or_default();
        Self {
            statics,
            tick: 0,
            rate: simulation.settings().tick_rate,
            bodies: Vec::with_capacity(ENTITIES_MAX),
            marks: vec![Marks::EMPTY; ENTITIES_MAX.div_ceil(LANES)],
            players: vec![None; usize::from(simulation.settings().players_max)],
            contacts: Vec::with_capacity(CONTACTS_MAX),
            grid: Grid::new(&simulation.map().bounds),
            stride: 1,
            thin: false,
            kept: vec![Kept::default(); ENTITIES_MAX],
            free: (0..ENTITIES_MAX as u32).rev().collect(),
            places: Vec::with_capacity(ENTITIES_MAX),
            places_end: 0,
            numbers: Numbers::new(simulation.rules()),
            next_cleared: 0,
            turns: 1,
            turn: 0,
            player_count: 0,
        }
    }

    /// Whether an entity stands at a place.
    pub fn stands_at(&self, id: StableId, place: usize) -> bool {
        let (block, lane) = marks::at(place);
        self.marks.get(block).is_some_and(|marks| marks.id[lane] == id)
    }

    /// How many players there are.
    pub fn player_count(&self) -> usize {
        self.player_count
    }

    /// Whether so many play that clients take turns.
    pub fn is_crowded(&self) -> bool {
        self.player_count > WATCHED_MAX
    }

    /// In how many ticks every client has its turn to look at all there is; in between it looks at what was most urgent.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// What is known and weighs less is left out of some ticks: in a crowd, where encodings must be shared; nothing elsewhere.
    pub fn stretch(&self) -> f32 {
        if self.is_crowded() { rank::CROWD_STRETCH } else { 0.0 }
    }

    /// How often every client has had its turn: what counts ticks instead sees only some of them.
    pub fn turn(&self) -> u32 {
        self.turn
    }

    /// The body of an entity.
    pub fn body(&self, id: StableId) -> Option<&Body> {
        let at = self.bodies.binary_search_by_key(&id, |body| body.id).ok()?;
        Some(&self.bodies[at])
    }

    /// One more than the last place in use.
    pub fn places(&self) -> usize {
        self.places_end
    }

    /// What stands at the places in use, in short.
    pub fn marks(&self) -> &[Marks] {
        &self.marks[..self.places_end.div_ceil(LANES)]
    }

    /// The player in a slot.
    pub fn player(&self, slot: u16) -> Option<&Body> {
        let at = self.players.get(usize::from(slot)).copied().flatten()?;
        self.bodies.get(at as usize)
    }

    /// Looks at a simulation behind its tick. Entities beyond [`ENTITIES_MAX`], the newest, are left out.
    pub fn look(&mut self, simulation: &Simulation) {
        let view = simulation.view();
        self.tick = simulation.tick();
        self.players.fill(None);
        let Some(index) = view.resource::<Index>() else { return };
        self.give_up_places(index);
        self.bodies.clear();
        let (rules, map) = (simulation.rules(), simulation.map());
        let reader = Reader { view, rules, map, numbers: &self.numbers };
        let mut before = self.places.iter().peekable();
        let (crowd, rate) = (self.player_count.div_ceil(WATCHED_MAX) as u32, u32::from(self.rate));
        // A client looks when it is served, or it would be told what it looked at a while ago.
        self.turns = crowd.max(rate / LOOKS_PER_SECOND).max(1).next_multiple_of(self.stride);
        self.turn = self.tick / self.turns;
        for &(id, entity) in index.all() {
            let Some(identity) = view.component::<Identity>(entity) else { continue };
            // Both lists are in the order of ids, and what is gone was taken out.
            let known = before.next_if(|entry| entry.0 == id).map(|entry| entry.1);
            let Some(place) = known.or_else(|| self.free.pop()) else { continue };
            let mut body = reader.body(identity, entity, place);
            let kept = &mut self.kept[place as usize];
            self.places_end = self.places_end.max(place as usize + 1);
            if kept.is_jolted(&body, self.rate) {
                kept.jolted = self.tick;
            }
            // Every client has its turn before it is forgotten.
            body.jolted = self.tick - kept.jolted < self.turns;
            kept.note(&body);
            if let (Kind::Player, Some(slot)) = (body.kind, body.owner.checked_sub(1))
                && let Some(entry) = self.players.get_mut(usize::from(slot))
            {
                *entry = Some(self.bodies.len() as u32);
            }
            self.bodies.push(body);
        }
        self.player_count = self.players.iter().flatten().count();
        for (at, body) in (0..).zip(&self.bodies) {
            let (block, lane) = marks::at(body.place as usize);
            self.marks[block].set(lane, body, at);
        }
        self.places.clear();
        self.places.extend(self.bodies.iter().map(|body| (body.id, body.place)));
        self.clear_ways();
        self.grid.fill(&self.bodies);
        self.contacts.clear();
        for cue in simulation.cues().iter().take(CONTACTS_MAX) {
            if let Cue::Hit { target, by, .. } = *cue {
                self.contacts.push(Contact { by, target });
            }
        }
    }

    /// Places of entities that are gone are free. Both lists are in the order of ids.
    fn give_up_places(&mut self, index: &Index) {
        let mut living = index.all().iter().map(|entry| entry.0).peekable();
        let (kept, free, marks) = (&mut self.kept, &mut self.free, &mut self.marks);
        self.places.retain(|(id, place)| {
            while living.next_if(|living| living < id).is_some() {}
            let stays = living.peek() == Some(id);
            if !stays {
                kept[*place as usize] = Kept::default();
                let (block, lane) = marks::at(*place as usize);
                marks[block].clear(lane);
                free.push(*place);
            }
            stays
        });
    }

    /// Looks up how far walls are: for players, by turns if there are many, and for what flies along its way.
    fn clear_ways(&mut self) {
        // No more often than clients look at it.
        let turns = self.player_count.div_ceil(CLEARED_MAX).max(self.turns as usize);
        self.next_cleared = (self.next_cleared + 1) % turns;
        for at in 0..self.bodies.len() {
            let body = &mut self.bodies[at];
            if !body.shape.is_finite() || !body.placed {
                continue;
            }
            match body.kind {
                Kind::Player if body.alive => {
                    let kept = &mut self.kept[body.place as usize];
                    if kept.jolted == self.tick || body.owner as usize % turns == self.next_cleared {
                        kept.clear = ways(&self.statics, &body.shape);
                        kept.moved = 0.0;
                    }
                    body.shape.clear = kept.clear.map(|clear| clear + kept.moved);
                }
                Kind::Projectile => shorten(&self.statics, &mut body.shape),
                _ => {}
            }
        }
    }
}

/// Contacts of one tick that are looked at: what is beyond is of no more interest than it was.
const CONTACTS_MAX: usize = 4_096;

impl Kept {
    fn is_jolted(&self, body: &Body, rate: u16) -> bool {
        let seconds = 1.0 / f32::from(rate);
        let legs = (body.shape.gait.acceleration + body.shape.gait.gravity) * seconds;
        let flown = self.position + self.velocity * seconds;
        // Back on the ground, or with a dash that is ready again, one gets further than was thought.
        let (was, is) = (&self.gait, &body.shape.gait);
        let can_more = (is.grounded && !was.grounded) || is.dash_speed > was.dash_speed || is.speed_max > was.speed_max;
        self.id != body.id
            || can_more
            || (body.shape.velocity - self.velocity).length() > legs * 2.0 + JOLT
            || (body.shape.position - flown).length() > (legs * 2.0 + JOLT) * seconds + 0.2
    }

    fn note(&mut self, body: &Body) {
        self.moved += self.position.distance(body.shape.position);
        (self.id, self.position, self.velocity) = (body.id, body.shape.position, body.shape.velocity);
        self.gait = body.shape.gait;
    }
}

/// Metres to the first wall in each direction: what is too high to be jumped, and what is at the height of the eyes.
fn ways(statics: &StaticWorld, shape: &Shape) -> [f32; CORNERS] {
    let reach = shape.travel_max(HORIZON_MS_MAX as f32 * 0.001 * 2.0).max(1.0) * 1.1 + 0.5;
    let hurdle = shape.gait.rise(HORIZON_MS_MAX as f32 * 0.0005).clamp(HURDLE_MIN, shape.eyes[1]);
    let max = reach.min(CLEARANCE_MAX);
    let found = statics.clearances(shape.position, &[hurdle, shape.eyes[1]], &DIRECTIONS, max);
    found.map(|found| if found < max { found } else { f32::INFINITY })
}

/// What is lower than this many metres is stepped over.
const HURDLE_MIN: f32 = 0.45;

/// What flies stops at walls: it is nowhere behind them within the horizon.
fn shorten(statics: &StaticWorld, shape: &mut Shape) {
    let speed = shape.velocity.length();
    if speed > 0.1 {
        let way = speed * HORIZON_MS_MAX as f32 * 0.001;
        let clear = statics.clearance(shape.position, shape.velocity / speed, way);
        shape.clear = [clear.max(shape.extent[0]); CORNERS];
    }
}
