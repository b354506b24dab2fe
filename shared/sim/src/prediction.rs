//! One's own hero ahead of the server: a [`Simulation`] of the same rules, map and plugins that holds one player, what that
//! player collides with and what it has made, and runs the same systems in the same order.
//!
//! What only the server decides is left out of its tick: damage, death, the match. The others stand in it as [`Shown`]: solid
//! to one's shots and in one's way where they are drawn. Props and doors are moved by Rapier here too, so that one's own pushes
//! act at once; see `bodies`. Everything that the server was wrong or right about comes in through [`Prediction::restore`];
//! when to do that is the client's business.

mod bodies;

use std::sync::Arc;

use arbiter_schema::{ComponentId, Describe, StableId};
use bevy_app::App;
use bevy_ecs::prelude::*;
use glam::Vec3;

use self::bodies::Bodies;
use crate::collide::MoverState;
use crate::deployables::{AreaState, wind_back};
use crate::event::Cue;
use crate::hitbox::PlayerBody;
use crate::index::{Identity, Index, Kind, NextId};
use crate::input::{Command, Input, Loadout};
use crate::map::Map;
use crate::physics::{Place, refresh_geometry};
use crate::players::{Controls, Tuning};
use crate::projectiles::{Origin, Projectile};
use crate::rules::{MatchSettings, Rules};
use crate::simulation::{BuildError, RulesRef, Simulation};
use crate::state::Descriptions;
use crate::time::Clock;
use crate::vitals::{Damage, DamageQueue, HealQueue};
use crate::weapons::{Pull, Pulls};

pub use crate::hitbox::{Shown, ShownPlayer};

/// Ticks that are remembered, of bodies here and of one's own hero by the client: half a second at the highest rate, as many as
/// the server lets inputs lie ahead.
pub const PAST_TICKS: usize = 64;

/// Ids from here on are those of what was only predicted; no match gives away so many.
const PREDICTED_IDS: u32 = 1 << 30;
/// Things of one's own that are predicted at a time; the oldest is forgotten. Nobody fires so many in a second.
const MADE_MAX: usize = 64;

/// Something that one's own hero made and that the server has not told of yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Made {
    /// Its predicted id, which has nothing to do with the server's.
    pub id: StableId,
    /// Tick in which it was made.
    pub tick: u32,
    /// What it is.
    pub kind: Kind,
    /// What sent it, for what flies.
    pub origin: Origin,
    /// Number of the weapon or ability, for what flies; else 0.
    pub number: u8,
}

/// What is known of one entity at one tick: a component and its lanes.
pub type Told<'a> = (StableId, ComponentId, &'a [i32]);

/// What a step is taken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mine {
    /// The slot of the one who is predicted.
    pub slot: u16,
    /// Their stable id.
    pub player: StableId,
}

/// See the module.
pub struct Prediction {
    simulation: Simulation,
    mine: Mine,
    entity: Entity,
    made: Vec<Made>,
    aside: Vec<(Entity, Place, Projectile)>,
    clock: ComponentId,
    tuning: ComponentId,
    identity: ComponentId,
    bodies: Bodies,
}

impl Prediction {
    /// For one player of a match. Rules, map and plugins must be the server's; of the settings, mode and tick rate count.
    pub fn new(
        rules: Arc<Rules>,
        map: Arc<Map>,
        settings: MatchSettings,
        mine: Mine,
        plugins: &dyn Fn(&mut App),
    ) -> Result<Self, BuildError> {
        let foresee = |app: &mut App| {
            app.init_resource::<Shown>();
            plugins(app);
        };
        let settings = MatchSettings { players_max: mine.slot + 1, ..settings };
        let mut simulation = Simulation::with_plugins(rules, map, 0, settings, &foresee)?;
        let given = mine.player.0.saturating_sub(1);
        // What the map brings has the server's ids already; the player gets theirs.
        simulation.world.resource_mut::<NextId>().given = given;
        simulation.step(&[Command::Join { slot: mine.slot, loadout: Loadout::default() }]);
        simulation.world.resource_mut::<NextId>().given = PREDICTED_IDS;
        let entity = simulation.world.resource::<Index>().slot(mine.slot).unwrap_or(Entity::PLACEHOLDER);
        let number = |name| number(&simulation, name);
        let bodies = Bodies::new(&simulation);
        let (clock, tuning, identity) = (number(Clock::NAME), number(Tuning::NAME), number(Identity::NAME));
        Ok(Self {
            simulation,
            mine,
            entity,
            made: Vec::with_capacity(MADE_MAX),
            aside: Vec::with_capacity(MADE_MAX),
            clock,
            tuning,
            identity,
            bodies,
        })
    }

    /// Whose.
    pub fn mine(&self) -> Mine {
        self.mine
    }

    /// The last tick that was simulated or restored.
    pub fn tick(&self) -> u32 {
        self.simulation.tick()
    }

    /// What the others look like and where they are in the way; to be brought up to date before each step.
    pub fn shown(&mut self) -> Mut<'_, Shown> {
        self.simulation.world.resource_mut::<Shown>()
    }

    /// Takes one's own state behind `tick` as the server told it, with `input` of that tick, which tells presses.
    pub fn restore<'a>(&mut self, tick: u32, input: &Input, told: impl Iterator<Item = Told<'a>>) {
        let Self { simulation, mine, entity, clock, tuning, identity, .. } = self;
        let world = &mut simulation.world;
        world.resource_scope(|world, descriptions: Mut<'_, Descriptions>| {
            for (id, component, lanes) in told {
                if id == mine.player && component == *identity {
                    let told = Identity::from_lanes(lanes);
                    if let Some(mut own) = world.get_mut::<Identity>(*entity) {
                        own.team = told.team;
                    }
                } else if id == mine.player || (!id.is_some() && component == *tuning) {
                    descriptions.tell(world, *entity, component, lanes);
                } else if !id.is_some() && component == *clock && Clock::lane_descs().len() == lanes.len() {
                    let told = Clock::from_lanes(lanes);
                    let mut clock = world.resource_mut::<Clock>();
                    (clock.stood, clock.paused, clock.over) = (told.stood, told.paused, told.over);
                }
            }
        });
        let mut clock = world.resource_mut::<Clock>();
        clock.number = tick;
        clock.tick = tick.saturating_sub(clock.stood);
        if let Some(mut controls) = world.get_mut::<Controls>(*entity) {
            controls.input = *input;
        }
    }

    /// Takes what stands about and is solid as it was told for `tick`, the one that is restored: props, doors and platforms.
    /// What is told no more is gone.
    pub fn restore_bodies<'a>(&mut self, tick: u32, told: impl Iterator<Item = Told<'a>>) {
        self.bodies.restore(&mut self.simulation.world, tick, told);
    }

    /// Takes what is told of the solid that stands about for `tick`, which is past, where nobody is near; true if one near
    /// oneself was not where it was predicted, so that the ticks since are to be simulated again.
    pub fn compare_bodies<'a>(&mut self, tick: u32, told: impl Iterator<Item = Told<'a>>) -> bool {
        let near = self.own::<MoverState>().map_or(Vec3::ZERO, |own| own.position);
        self.bodies.compare(&mut self.simulation.world, tick, near, told)
    }

    /// Simulates the next tick. Ask [`Self::pulls`], [`Self::hits`] and [`Self::cues`] behind it.
    pub fn step(&mut self, input: Input) {
        let world = &mut self.simulation.world;
        if self.bodies.take_changed() {
            refresh_geometry(world);
        }
        // The server's vitals empty these; here nobody is hurt.
        world.resource_mut::<DamageQueue>().0.clear();
        world.resource_mut::<HealQueue>().0.clear();
        let before = world.resource::<NextId>().given;
        self.simulation.step(&[Command::Input { slot: self.mine.slot, input, substituted: false }]);
        self.note_made(before);
        self.bodies.remember(&self.simulation.world);
    }

    fn note_made(&mut self, before: u32) {
        let world = &self.simulation.world;
        let tick = world.resource::<Clock>().number;
        let given = world.resource::<NextId>().given;
        for id in (before + 1..=given).map(StableId) {
            let Some(entity) = world.resource::<Index>().entity(id) else { continue };
            let Some(kind) = world.get::<Identity>(entity).map(|identity| identity.kind) else { continue };
            let (origin, number) = match world.get::<Projectile>(entity) {
                Some(flying) => (flying.origin, flying.number),
                None => (Origin::default(), 0),
            };
            if self.made.len() == MADE_MAX {
                self.made.remove(0);
            }
            self.made.push(Made { id, tick, kind, origin, number });
        }
    }

    /// What was made and not yet matched with the server's or taken back, oldest first.
    pub fn made(&self) -> &[Made] {
        &self.made
    }

    /// Where something flies that was made; `None` once it has burst.
    pub fn place_of(&self, id: StableId) -> Option<Vec3> {
        self.simulation.view().get::<Place>(id).map(|place| place.position)
    }

    /// Takes back something that was made: the server has told of it, or never will.
    pub fn take_back(&mut self, id: StableId) {
        let world = &mut self.simulation.world;
        if let Some(entity) = world.resource::<Index>().entity(id) {
            world.despawn(entity);
        }
        self.made.retain(|made| made.id != id);
    }

    /// Before ticks behind `tick` are simulated again: what was made in them is taken back, since it will be made again, and
    /// what was made before stands aside, since it has flown through them.
    pub fn begin_again(&mut self, tick: u32) {
        let later = |made: &&Made| made.tick > tick;
        while let Some(id) = self.made.iter().find(later).map(|made| made.id) {
            self.take_back(id);
        }
        let world = &mut self.simulation.world;
        self.aside.clear();
        let (rules, clock) = (world.resource::<RulesRef>().0.clone(), world.resource::<Clock>().clone());
        for made in &self.made {
            let Some(entity) = world.resource::<Index>().entity(made.id) else { continue };
            if let (Some(place), Some(flying)) = (world.get::<Place>(entity), world.get::<Projectile>(entity)) {
                self.aside.push((entity, *place, flying.clone()));
            }
            if let Some(mut area) = world.get_mut::<AreaState>(entity) {
                wind_back(&mut area, &rules, &clock, tick.saturating_sub(clock.stood));
            }
        }
        for (entity, ..) in &self.aside {
            world.entity_mut(*entity).remove::<Projectile>();
        }
    }

    /// Behind them: what stood aside flies on.
    pub fn go_on(&mut self) {
        for (entity, place, flying) in self.aside.drain(..) {
            if let Ok(mut entity) = self.simulation.world.get_entity_mut(entity) {
                entity.insert((place, flying));
            }
        }
    }

    /// One's own triggers that were pulled in the last step.
    pub fn pulls(&self) -> impl Iterator<Item = &Pull> {
        let pulls = self.simulation.world.resource::<Pulls>();
        pulls.0.iter().filter(|pull| pull.source.id == self.mine.player)
    }

    /// What one's own deeds of the last step have met, as it is shown.
    pub fn hits(&self) -> impl Iterator<Item = &Damage> {
        let damage = self.simulation.world.resource::<DamageQueue>();
        damage.0.iter().filter(|damage| damage.source.id == self.mine.player)
    }

    /// The others as they were shown to the last step.
    pub fn bodies(&self) -> impl Iterator<Item = PlayerBody> + '_ {
        self.shown_players().iter().map(|player| player.body)
    }

    /// The same with how they were drawn.
    pub fn shown_players(&self) -> &[ShownPlayer] {
        &self.simulation.world.resource::<Shown>().players
    }

    /// What one saw and heard of one's own in the last step.
    pub fn cues(&self) -> &[Cue] {
        self.simulation.cues()
    }

    /// A component of one's own.
    pub fn own<C: Component>(&self) -> Option<&C> {
        self.simulation.world.get::<C>(self.entity)
    }

    /// Appends the lanes of a component of one's own, as the server would tell them; false if there is none.
    pub fn own_lanes(&self, component: ComponentId, out: &mut Vec<i32>) -> bool {
        let world = &self.simulation.world;
        world.resource::<Descriptions>().lanes(world, self.entity, component, out)
    }

    /// Moves one's own hero a little: what was told since was more precise.
    pub fn nudge(&mut self, by: Vec3) {
        if let Some(mut own) = self.simulation.world.get_mut::<MoverState>(self.entity) {
            own.position += by;
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<Rules> {
        self.simulation.rules()
    }

    /// What is solid, for tools that look.
    pub fn sees(&self, from: Vec3, to: Vec3) -> bool {
        self.simulation.world.resource::<crate::physics::Solids>().world().sees(from, to)
    }
}

/// Where a component stands in the registry; nowhere if it is not described.
fn number(simulation: &Simulation, name: &str) -> ComponentId {
    simulation.registry().find(name).map_or(ComponentId::MAX, |component| component.id)
}
