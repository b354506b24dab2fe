//! Props, doors and platforms ahead of the server. Rapier moves them here as it does there, so that a door opens when one walks
//! into it and not a round trip later; what others do to them comes as news.
//!
//! The server tells where bodies are, not how fast they go. Where one is as it was predicted, the prediction's own speed holds;
//! where it is not, the speed follows from the last two places that were told.

use arbiter_schema::{ComponentId, Describe, StableId};
use arrayvec::ArrayVec;
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};

use super::{PAST_TICKS, Told, number};
use crate::index::{Identity, Index, Kind};
use crate::physics::{DOOR, Motion, Place, PlatformRide, Prop, put_body};
use crate::simulation::Simulation;
use crate::time::Clock;

/// Metres that a body may be off its prediction: places are told to four millimetres, and contacts give way by a centimetre.
const OFF_MAX: f32 = 0.03;
/// And so far turned, as one minus the cosine of half the angle: about two degrees.
const TURNED_MAX: f32 = 1.5e-4;
/// Metres within which a body is in one's way before the next word of it. A door is twice as wide as a person.
const NEAR: f32 = 4.0;
/// Ticks between two places that are told of one body from which its speed is taken: with more between them it may have turned
/// around, and from fewer the rounding of places would make a quarter of a metre a second.
const SPEED_TICKS_MAX: u32 = 4;
/// Bodies that can vanish at a time; more wait for the next word.
const GONE_MAX: usize = 64;

/// Rapier's handle, in halves.
type Handle = (u32, u32);

/// See the module.
pub(super) struct Bodies {
    identity: ComponentId,
    place: ComponentId,
    prop: ComponentId,
    ride: ComponentId,
    /// By kind and number on the map.
    handles: Vec<((Kind, bool, u16), Handle)>,
    past: Vec<Past>,
    /// By id.
    told: Vec<Known>,
    /// What is told now, by id.
    there: Vec<StableId>,
    changed: bool,
}

/// Where bodies were behind a tick.
#[derive(Default)]
struct Past {
    tick: u32,
    bodies: Vec<(StableId, Place, Motion)>,
}

/// What was told of a body lately.
struct Known {
    id: StableId,
    /// Oldest first.
    places: ArrayVec<(u32, Place), { SPEED_TICKS_MAX as usize + 1 }>,
    motion: Motion,
}

/// A body as it was told.
struct News {
    id: StableId,
    entity: Entity,
    handle: Handle,
    place: Place,
}

fn handle_of(prop: Option<&Prop>, ride: Option<&PlatformRide>) -> Option<Handle> {
    prop.map(|prop| (prop.body, prop.generation)).or(ride.map(|ride| (ride.body, ride.generation)))
}

fn key_of(prop: Option<&Prop>, ride: Option<&PlatformRide>) -> Option<(Kind, bool, u16)> {
    match (prop, ride) {
        (Some(prop), _) => Some((Kind::Prop, prop.kind == DOOR, prop.spot)),
        (_, Some(ride)) => Some((Kind::Platform, false, ride.number)),
        _ => None,
    }
}

/// A place whose rotation is one: it was rounded to be told.
fn whole(told: Place) -> Place {
    let is_one = told.rotation.length_squared() > 0.25;
    Place { rotation: if is_one { told.rotation.normalize() } else { Quat::IDENTITY }, ..told }
}

fn is_close(one: &Place, two: &Place) -> bool {
    let turned = 1.0 - one.rotation.dot(two.rotation).abs();
    one.position.distance_squared(two.position) <= OFF_MAX * OFF_MAX && turned <= TURNED_MAX
}

impl Bodies {
    /// For a simulation that holds what the map brings.
    pub fn new(simulation: &Simulation) -> Self {
        let number = |name| number(simulation, name);
        let world = &simulation.world;
        let mut handles = Vec::new();
        for &(_, entity) in world.resource::<Index>().all() {
            let (prop, ride) = (world.get::<Prop>(entity), world.get::<PlatformRide>(entity));
            handles.extend(key_of(prop, ride).zip(handle_of(prop, ride)));
        }
        Self {
            identity: number(Identity::NAME),
            place: number(Place::NAME),
            prop: number(Prop::NAME),
            ride: number(PlatformRide::NAME),
            handles,
            past: (0..PAST_TICKS).map(|_| Past::default()).collect(),
            told: Vec::new(),
            there: Vec::new(),
            changed: false,
        }
    }

    /// Whether anything was put somewhere since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Remembers where everything is.
    pub fn remember(&mut self, world: &World) {
        let tick = world.resource::<Clock>().number;
        let past = &mut self.past[tick as usize % PAST_TICKS];
        past.tick = tick;
        past.bodies.clear();
        for &(id, entity) in world.resource::<Index>().of(Kind::Prop) {
            if let (Some(place), Some(motion)) = (world.get::<Place>(entity), world.get::<Motion>(entity)) {
                past.bodies.push((id, *place, *motion));
            }
        }
    }

    fn foreseen(&self, tick: u32, id: StableId) -> Option<(Place, Motion)> {
        let past = self.past.get(tick as usize % PAST_TICKS).filter(|past| past.tick == tick)?;
        let at = past.bodies.binary_search_by_key(&id, |body| body.0).ok()?;
        past.bodies.get(at).map(|(_, place, motion)| (*place, *motion))
    }

    /// Puts everything where it was told to be behind a tick.
    pub fn restore<'a>(&mut self, world: &mut World, tick: u32, told: impl Iterator<Item = Told<'a>>) {
        self.read(world, told, true, &mut |this, world, news| {
            let told = this.speed_of(world, tick, news);
            let foreseen = this.foreseen(tick, news.id);
            let now = world.get::<Place>(news.entity).copied().zip(world.get::<Motion>(news.entity).copied());
            let rests = |(place, motion): (Place, Motion)| motion.asleep && is_close(&place, &news.place);
            if told.asleep && now.is_some_and(rests) && foreseen.is_none_or(rests) {
                // It has not moved at all since: most never do.
                return;
            }
            match foreseen {
                Some((place, motion)) if is_close(&place, &news.place) => this.put(world, news, &place, &motion),
                _ => this.put(world, news, &news.place, &told),
            }
        });
        self.forget(world);
    }

    /// Takes what is told for a tick of the past; see [`super::Prediction::compare_bodies`].
    pub fn compare<'a>(
        &mut self,
        world: &mut World,
        tick: u32,
        near: Vec3,
        told: impl Iterator<Item = Told<'a>>,
    ) -> bool {
        let mut wrong = false;
        self.read(world, told, false, &mut |this, world, news| {
            let motion = this.speed_of(world, tick, news);
            let now = world.get::<Place>(news.entity).copied().unwrap_or_default();
            let foreseen = this.foreseen(tick, news.id);
            let was = foreseen.as_ref().map_or(now, |(place, _)| *place);
            if is_close(&was, &news.place) {
                return;
            }
            if news.place.position.distance_squared(near) <= NEAR * NEAR {
                wrong = true;
            } else {
                this.put(world, news, &news.place, &motion);
            }
        });
        self.forget(world);
        wrong
    }

    /// How fast a body goes, by what was told of it before; it is at rest if nothing was, or if it has not moved.
    fn speed_of(&mut self, world: &World, tick: u32, news: &News) -> Motion {
        let rest = Motion { asleep: true, ..Motion::default() };
        let at = match self.told.binary_search_by_key(&news.id, |known| known.id) {
            Ok(at) => at,
            Err(at) => {
                self.told.insert(at, Known { id: news.id, places: ArrayVec::new(), motion: rest });
                at
            }
        };
        let Some(Known { places, motion, .. }) = self.told.get_mut(at) else { return rest };
        if places.last().is_some_and(|last| last.0 == tick) {
            return *motion;
        }
        places.retain(|known| known.0 < tick && tick - known.0 <= SPEED_TICKS_MAX);
        *motion = match places.first().filter(|known| known.1 != news.place) {
            None => rest,
            Some((from, before)) => {
                let seconds = (tick - from) as f32 * world.resource::<Clock>().dt;
                let turned = (news.place.rotation * before.rotation.conjugate()).normalize();
                let turned = if turned.w < 0.0 { -turned } else { turned };
                Motion {
                    linear: (news.place.position - before.position) / seconds,
                    angular: turned.to_scaled_axis() / seconds,
                    asleep: false,
                }
            }
        };
        let _full = places.try_push((tick, news.place));
        *motion
    }

    fn put(&mut self, world: &mut World, news: &News, place: &Place, motion: &Motion) {
        put_body(world, news.handle, Some((place, motion)));
        world.entity_mut(news.entity).insert((*place, *motion));
        self.changed = true;
    }

    /// Calls `each` with every prop and door that is told, by id. Platforms are put where they were if `platforms`; else they
    /// are ahead by themselves.
    fn read<'a>(
        &mut self,
        world: &mut World,
        told: impl Iterator<Item = Told<'a>>,
        platforms: bool,
        each: &mut dyn FnMut(&mut Self, &mut World, &News),
    ) {
        self.there.clear();
        let mut identity: Option<Identity> = None;
        let (mut place, mut prop, mut ride) = (None, None, None);
        for (id, component, lanes) in told.chain(core::iter::once((StableId(u32::MAX), self.identity, &[][..]))) {
            if component == self.identity {
                if let (Some(whose), Some(place)) = (identity.take(), place.take()) {
                    self.read_one(world, whose, place, (prop.take(), ride.take()), platforms, each);
                }
                (place, prop, ride) = (None, None, None);
                let is_told = id.is_some() && lanes.len() == Identity::lane_descs().len();
                identity = is_told.then(|| Identity { id, ..Identity::from_lanes(lanes) });
                identity = identity.filter(|identity| matches!(identity.kind, Kind::Prop | Kind::Platform));
            } else if identity.as_ref().is_some_and(|identity| identity.id == id) {
                if component == self.place {
                    place = Some(whole(Place::from_lanes(lanes)));
                } else if component == self.prop {
                    prop = Some(Prop::from_lanes(lanes));
                } else if component == self.ride {
                    ride = Some(PlatformRide::from_lanes(lanes));
                }
            }
        }
    }

    fn read_one(
        &mut self,
        world: &mut World,
        identity: Identity,
        place: Place,
        (prop, ride): (Option<Prop>, Option<PlatformRide>),
        platforms: bool,
        each: &mut dyn FnMut(&mut Self, &mut World, &News),
    ) {
        let Some(key) = key_of(prop.as_ref(), ride.as_ref()) else { return };
        let Some(handle) = self.handles.iter().find(|known| known.0 == key).map(|known| known.1) else { return };
        let (body, generation) = handle;
        let (id, known) = (identity.id, world.resource::<Index>().entity(identity.id));
        let entity = known.unwrap_or_else(|| world.spawn((identity, place, Motion::default())).id());
        let news = News { id, entity, handle, place };
        self.there.push(id);
        if let Some(ride) = ride {
            if platforms || known.is_none() {
                world.entity_mut(entity).insert(PlatformRide { body, generation, ..ride });
                // As fast as before, unless it turns around just now.
                let motion = world.get::<Motion>(entity).copied().unwrap_or_default();
                self.put(world, &news, &place, &motion);
            }
            return;
        }
        if known.is_none() {
            let rest = Motion { asleep: true, ..Motion::default() };
            world.entity_mut(entity).insert(Prop { body, generation, ..prop.unwrap_or_default() });
            self.put(world, &news, &place, &rest);
        }
        each(self, world, &news);
    }

    /// Takes away what is told no more.
    fn forget(&mut self, world: &mut World) {
        let mut gone = ArrayVec::<(Entity, Handle), GONE_MAX>::new();
        let index = world.resource::<Index>();
        for &(id, entity) in index.of(Kind::Prop).iter().chain(index.of(Kind::Platform)) {
            let handle = handle_of(world.get::<Prop>(entity), world.get::<PlatformRide>(entity));
            if let Some(handle) = handle.filter(|_| self.there.binary_search(&id).is_err()) {
                let _full = gone.try_push((entity, handle));
            }
        }
        for (entity, handle) in gone {
            put_body(world, handle, None);
            world.despawn(entity);
            self.changed = true;
        }
    }
}
