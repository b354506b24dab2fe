//! [`Simulation`]: the one face of this room. Make it from rules, map, seed and settings; step it with commands; read what
//! happened; hash it; checkpoint and restore it; look at it for replication.

use std::sync::Arc;

use arbiter_schema::{ByteSink, DecodeError, HashSink, Reader, Registry, Sink as _, StableId, Value as _};
use bevy_app::App;
use bevy_ecs::prelude::*;
use thiserror::Error;

use crate::event::{Cue, DomainEvent, Outcome};
use crate::index::{Index, NextId};
use crate::input::Command;
use crate::map::Map;
use crate::physics::Physics;
use crate::rules::{MatchSettings, Rules};
use crate::state::{DescribeApp, Descriptions, EntityDump, Row};
use crate::tick::{Tick, schedule};
use crate::time::{Clock, SimRng};
use crate::told::Told;

/// Ticks a second that a simulation may run at.
pub const TICK_RATES: core::ops::RangeInclusive<u16> = 10..=128;
/// Players that a match may have. Tables of slots are sized by it.
pub const PLAYERS_MAX: u16 = 1_000;
/// First bytes of a checkpoint; the last one counts its versions.
const CHECKPOINT_MAGIC: u32 = u32::from_le_bytes(*b"ACP\x01");

/// Why a simulation could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The tick rate is out of range.
    #[error("tick rate {0} is outside 10 to 128; choose one inside")]
    TickRate(u16),
    /// The number of players is out of range.
    #[error("{0} players are outside 1 to 1,000; choose a number inside")]
    Players(u16),
    /// No such mode.
    #[error("the rules have no mode named {wanted:?}; they have {known}")]
    Mode {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// The map names something that the rules do not have.
    #[error("map {map}: {what} {name:?} is not in the rules; add it to the rules or rename the node")]
    Reference {
        /// Which map.
        map: String,
        /// What it names: prop, pickup, effect.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The map lacks what the mode needs.
    #[error("map {map} has no {what}, which mode {mode:?} needs")]
    MapLacks {
        /// Which map.
        map: String,
        /// What is missing.
        what: &'static str,
        /// Which mode.
        mode: String,
    },
    /// A shape of the map or the rules cannot be collided with.
    #[error("map {map}: {name}: {why}")]
    Solid {
        /// Which map.
        map: String,
        /// Which node or prop.
        name: String,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// The plugins' systems do not form a schedule.
    #[error("the schedule of the tick cannot be built: {0}")]
    Schedule(String),
}

/// Why a checkpoint could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// Not a checkpoint, or one of another version.
    #[error("these bytes are not a checkpoint of this version; replay with the version that wrote them")]
    Magic,
    /// The described state is damaged or of another set of components.
    #[error("the checkpoint's state cannot be read: {0}")]
    State(#[from] DecodeError),
    /// The physics state is damaged.
    #[error("the checkpoint's physics cannot be read: {0}")]
    Physics(String),
    /// A body that the map or the rules do not have.
    #[error("the checkpoint has bodies that this map and these rules do not: replay with those that it was made with")]
    Bodies,
}

/// The rules, for systems.
#[derive(Resource, Clone)]
pub struct RulesRef(pub Arc<Rules>);

impl core::ops::Deref for RulesRef {
    type Target = Rules;
    fn deref(&self) -> &Rules {
        &self.0
    }
}

/// The map, for systems.
#[derive(Resource, Clone)]
pub struct MapRef(pub Arc<Map>);

impl core::ops::Deref for MapRef {
    type Target = Map;
    fn deref(&self) -> &Map {
        &self.0
    }
}

/// The commands of the running tick.
#[derive(Resource, Debug, Default)]
pub struct TickCommands(pub Vec<Command>);

/// Facts of the running tick, in order.
#[derive(Resource, Debug, Default)]
pub struct Events(pub Vec<DomainEvent>);

/// What one saw and heard in the running tick, in order.
#[derive(Resource, Debug, Default)]
pub struct Cues(pub Vec<Cue>);

/// What the settings and the mode's rules come to. Fixed for the whole match.
#[derive(Resource, Debug, Clone)]
pub struct MatchSetup {
    /// Position of the mode in the rules.
    pub mode: usize,
    /// Slots.
    pub players_max: u16,
    /// Teams; 0 where each plays alone.
    pub teams: u8,
    /// Share of damage that reaches friends.
    pub friendly_fire: f32,
    /// Ticks without intent until a player is called idle; 0 never.
    pub idle_ticks: u32,
    /// Whether a match may be paused.
    pub pause_allowed: bool,
    /// Ticks of a round; 0 without limit.
    pub round_ticks: u32,
    /// Ticks of the whole match, warm-up included; 0 without limit.
    pub match_ticks: u32,
}

/// A match: its world and its tick.
pub struct Simulation {
    pub(crate) world: World,
    schedule: Schedule,
    rules: Arc<Rules>,
    map: Arc<Map>,
    settings: MatchSettings,
    seed: u64,
}

impl Simulation {
    /// A match with the built-in domains.
    pub fn new(rules: Arc<Rules>, map: Arc<Map>, seed: u64, settings: MatchSettings) -> Result<Self, BuildError> {
        Self::with_plugins(rules, map, seed, settings, &|_| ())
    }

    /// A match with a studio's own plugins behind the built-in ones.
    pub fn with_plugins(
        rules: Arc<Rules>,
        map: Arc<Map>,
        seed: u64,
        settings: MatchSettings,
        plugins: &dyn Fn(&mut App),
    ) -> Result<Self, BuildError> {
        let setup = crate::modes::setup(&rules, &map, &settings)?;
        let rate = settings.tick_rate;
        let told = Told::new(setup.players_max);
        let mut app = App::empty();
        app.add_schedule(schedule());
        app.insert_resource(RulesRef(Arc::clone(&rules)))
            .insert_resource(MapRef(Arc::clone(&map)))
            .insert_resource(setup)
            .insert_resource(told)
            .insert_resource(Clock { rate, dt: 1.0 / f32::from(rate), ..Clock::default() })
            .insert_resource(SimRng::seeded(seed))
            .init_resource::<Index>()
            .init_resource::<TickCommands>()
            .init_resource::<Events>()
            .init_resource::<Cues>()
            .describe::<crate::index::Identity>()
            .describe_resource::<Clock>()
            .describe_resource::<SimRng>()
            .describe_resource::<NextId>();
        crate::add_domains(&mut app);
        plugins(&mut app);
        app.finish();
        app.cleanup();

        let mut world = core::mem::take(app.world_mut());
        let unscheduled = || BuildError::Schedule("the Tick schedule was removed by a plugin".to_owned());
        let mut schedule = world.resource_mut::<Schedules>().remove(Tick).ok_or_else(unscheduled)?;
        if let Err(error) = schedule.initialize(&mut world) {
            return Err(BuildError::Schedule(error.to_string(schedule.graph(), &world)));
        }
        crate::physics::populate(&mut world)?;
        crate::pickups::populate(&mut world)?;
        crate::modes::populate(&mut world);
        crate::limits::make_room(&mut world);
        world.flush();
        crate::physics::refresh_geometry(&mut world);
        Ok(Self { world, schedule, rules, map, settings, seed })
    }

    /// Simulates one tick.
    pub fn step(&mut self, commands: &[Command]) {
        let mut clock = self.world.resource_mut::<Clock>();
        clock.number += 1;
        if clock.stands() {
            clock.stood += 1;
        } else {
            clock.tick += 1;
        }
        self.world.resource_mut::<Events>().0.clear();
        self.world.resource_mut::<Cues>().0.clear();
        let mut waiting = self.world.resource_mut::<TickCommands>();
        waiting.0.clear();
        waiting.0.extend_from_slice(commands);
        self.schedule.run(&mut self.world);
        // The ECS keeps a line for every component that was ever removed until it is told that nobody will ask.
        self.world.clear_trackers();
    }

    /// Number of the last tick; 0 before the first.
    #[allow(clippy::misnamed_getters, reason = "outside, ticks are counted through pauses")]
    pub fn tick(&self) -> u32 {
        self.world.resource::<Clock>().number
    }

    /// Facts of the last tick, in order: the index is part of an event's identity.
    pub fn events(&self) -> &[DomainEvent] {
        &self.world.resource::<Events>().0
    }

    /// What one saw and heard in the last tick.
    pub fn cues(&self) -> &[Cue] {
        &self.world.resource::<Cues>().0
    }

    /// Hash of the whole described state, bodies of the physics world included.
    pub fn hash(&self) -> u64 {
        let mut whole = HashSink::default();
        for (_, hash) in self.descriptions().hashes(&self.world) {
            whole.long(hash);
        }
        whole.finish()
    }

    /// The hash of each component by name, to find where two simulations part.
    pub fn component_hashes(&self) -> Vec<(&'static str, u64)> {
        self.descriptions().hashes(&self.world).collect()
    }

    /// Appends the whole state, from which this simulation continues bit for bit.
    pub fn checkpoint(&self, out: &mut Vec<u8>) {
        CHECKPOINT_MAGIC.write(&mut ByteSink(out));
        self.descriptions().encode(&self.world, out);
        self.world.resource::<Physics>().encode(out);
    }

    /// Continues from a checkpoint of a simulation with the same rules, map, seed, settings and plugins. On an error the
    /// simulation is half-way and must be dropped.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(bytes);
        if u32::read(&mut from) != Ok(CHECKPOINT_MAGIC) {
            return Err(RestoreError::Magic);
        }
        let world = &mut self.world;
        world.resource_scope(|world, descriptions: Mut<'_, Descriptions>| descriptions.decode(world, &mut from))?;
        let rest = from.take(from.remaining())?;
        *world.resource_mut::<Physics>() = Physics::decode(rest).map_err(RestoreError::Physics)?;
        world.resource_mut::<Events>().0.clear();
        world.resource_mut::<Cues>().0.clear();
        if crate::physics::refresh_geometry(world) { Ok(()) } else { Err(RestoreError::Bodies) }
    }

    /// How the match ended, once it has.
    pub fn ended(&self) -> Option<Outcome> {
        crate::modes::outcome(&self.world)
    }

    /// The described components.
    pub fn registry(&self) -> &Registry {
        self.descriptions().registry()
    }

    /// All described state as text.
    pub fn dump(&self) -> Vec<EntityDump> {
        self.descriptions().dump(&self.world)
    }

    /// A read-only view for replication.
    pub fn view(&self) -> View<'_> {
        View { world: &self.world }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The map.
    pub fn map(&self) -> &Arc<Map> {
        &self.map
    }

    /// The settings.
    pub fn settings(&self) -> &MatchSettings {
        &self.settings
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn descriptions(&self) -> &Descriptions {
        self.world.resource::<Descriptions>()
    }
}

/// A simulation between two ticks, to look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    world: &'a World,
}

impl View<'_> {
    /// Every replicated component by (stable id, component); singletons of the match first, under [`StableId::NONE`].
    pub fn for_each_row(&self, f: &mut dyn FnMut(Row<'_>)) {
        self.world.resource::<Descriptions>().rows(self.world, f);
    }

    /// The player in a slot.
    pub fn player(&self, slot: u16) -> Option<StableId> {
        self.world.resource::<Index>().slot_id(slot)
    }

    /// A component of an entity, for tools and tests.
    pub fn get<C: Component>(&self, id: StableId) -> Option<&C> {
        self.world.get::<C>(self.world.resource::<Index>().entity(id)?)
    }

    /// A component of an entity that an [`Index`] lists: for whoever walks many, without looking each up by its id.
    pub fn component<C: Component>(&self, entity: Entity) -> Option<&C> {
        self.world.get::<C>(entity)
    }

    /// A singleton, for tools and tests.
    pub fn resource<R: Resource>(&self) -> Option<&R> {
        self.world.get_resource::<R>()
    }

    /// Occupied slots in order.
    pub fn slots(&self) -> impl Iterator<Item = u16> + '_ {
        self.world.resource::<Index>().players().map(|entry| entry.0)
    }
}
