//! Props, doors and platforms: Rapier's world, and the geometry that movers, rays and projectiles meet.
//!
//! Players and hitboxes are not Rapier bodies. What Rapier moves is copied into [`Place`] and [`Motion`] after each step; these
//! are what is hashed, replicated and met. Rapier's own state (contacts, islands, joints) travels in checkpoints.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};
use rapier3d::prelude::{
    ColliderBuilder, PhysicsWorld, Pose, RevoluteJointBuilder, RigidBodyBuilder, RigidBodyHandle, SharedShape,
};

use crate::collide::{ConvexShape, DynSolid, DynamicWorld, StaticWorld, World as Geometry};
use crate::event::DomainEvent;
use crate::index::{Index, Kind, NextId};
use crate::map::{Platform, Shape};
use crate::players::Tuning;
use crate::rules::PropShape;
use crate::simulation::{BuildError, Events, MapRef, RulesRef};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::Clock;

/// Impulses that one tick may give to props; more are dropped, which only a blast among hundreds of props can reach.
const IMPULSES_MAX: usize = 1_024;
/// Bytes that the physics part of a checkpoint may have: a hostile file must not ask for more memory.
const PHYSICS_BYTES_MAX: usize = 64 << 20;
/// Metres from the map's centre beyond which a body is put away like one that is not a number.
const BODY_REACH: f32 = 4_000.0;

const AREA: Spec = Spec::new(-1_024.0, 1_024.0, 1.0 / 256.0, Predictor::Linear, Audience::Everyone);
const TURN: Spec = Spec::new(-1.0, 1.0, 1.0 / 2_047.0, Predictor::Linear, Audience::Everyone);
const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
const WAY: Spec = Spec::new(0.0, 2_048.0, 1.0 / 256.0, Predictor::Linear, Audience::Everyone);
const TICK: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Everyone);
const WIDE: Spec = Spec::new(0.0, 65_535.0, 1.0, Predictor::Hold, Audience::Everyone);

describe! {
    /// Where something is that is not a player.
    #[derive(Component, Debug, Clone, Copy, PartialEq)]
    pub struct Place {
        /// Its centre.
        pub position: Vec3 => AREA,
        /// How it is turned.
        pub rotation: Quat => TURN,
    }

    /// How it moves.
    #[derive(Component, Debug, Clone, Copy, PartialEq)]
    pub struct Motion {
        /// Metres a second.
        pub linear: Vec3,
        /// Radians a second about each axis.
        pub angular: Vec3,
        /// Whether Rapier lets it rest.
        pub asleep: bool,
    }

    /// A body of the physics world.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Prop {
        /// Number in the rules' props; for doors [`DOOR`].
        pub kind: u8 => SMALL,
        /// Number in the map's list of props or doors.
        pub spot: u16 => WIDE,
        /// Hit points left; 0 for what cannot break.
        pub health: f32,
        /// Rapier's handle, first half.
        pub body: u32,
        /// Rapier's handle, second half.
        pub generation: u32,
    }

    /// A platform on its way.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct PlatformRide {
        /// Number on the map.
        pub number: u16 => WIDE,
        /// The leg of the path that it is on, by its lower end.
        pub leg: u16 => WIDE,
        /// Metres travelled on it.
        pub travelled: f32 => WAY,
        /// Whether it goes back.
        pub back: bool => SMALL,
        /// Waits until this tick.
        pub wait_until: u32 => TICK,
        /// Rapier's handle, first half.
        pub body: u32,
        /// Rapier's handle, second half.
        pub generation: u32,
    }
}

/// [`Prop::kind`] of a door.
pub const DOOR: u8 = u8::MAX;

/// Rapier's world.
#[derive(Resource)]
pub struct Physics {
    world: PhysicsWorld,
}

/// An impulse for a prop, in this tick's physics step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impulse {
    /// Which prop.
    pub id: StableId,
    /// Where it acts, in the world.
    pub point: Vec3,
    /// Newton seconds.
    pub impulse: Vec3,
}

/// Impulses that wait for the next physics step. Emptied by it, within the same or the next tick.
#[derive(Resource, Debug, Default)]
pub struct Impulses(pub(crate) Vec<Impulse>);

impl Impulses {
    /// Adds one; beyond a thousand in a tick they are dropped.
    pub fn push(&mut self, impulse: Impulse) {
        if self.0.len() < IMPULSES_MAX && impulse.impulse.is_finite() && impulse.point.is_finite() {
            self.0.push(impulse);
        }
    }
}

/// The solid world as movers, rays and projectiles meet it. Derived: made anew from the map and from [`Place`].
#[derive(Resource)]
pub struct Solids {
    statics: StaticWorld,
    dynamics: DynamicWorld,
    shapes: Vec<ConvexShape>,
    door_shapes: Vec<ConvexShape>,
    platform_shapes: Vec<ConvexShape>,
}

impl Solids {
    /// The world to ask.
    pub fn world(&self) -> Geometry<'_> {
        Geometry { statics: &self.statics, dynamics: &self.dynamics }
    }
}

/// A function that is called before and after Rapier's own work, so that a bench can leave Rapier's allocations out: the step,
/// and the handing out of a body to be changed, since each step throws away Rapier's list of changed bodies and the next
/// change begins a new one.
#[derive(Resource, Clone, Copy)]
pub struct PhysicsProbe(pub fn(before: bool));

impl PhysicsProbe {
    fn around<R>(probe: Option<Self>, work: impl FnOnce() -> R) -> R {
        if let Some(Self(call)) = probe {
            call(true);
        }
        let result = work();
        if let Some(Self(call)) = probe {
            call(false);
        }
        result
    }
}

/// Props, doors, platforms.
pub struct PhysicsPlugin;

impl Plugin for PhysicsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Impulses>()
            .describe::<Place>()
            .describe::<Motion>()
            .describe::<Prop>()
            .describe::<PlatformRide>()
            .add_systems(Tick, step.in_set(TickSet::Physics));
    }
}

impl Physics {
    fn handle(body: u32, generation: u32) -> RigidBodyHandle {
        RigidBodyHandle::from_raw_parts(body, generation)
    }

    /// Pairs of bodies that touch each other, a moving one among them.
    pub fn contacts(&self) -> usize {
        self.world.narrow_phase.contact_pairs().filter(|pair| pair.has_any_active_contact()).count()
    }

    /// Appends Rapier's state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Writing to memory fails only for types that serde cannot express, which Rapier's are not.
        bincode::serde::encode_into_std_write(&self.world, out, bincode::config::standard())
            .expect("Rapier's state can be written");
    }

    /// Reads Rapier's state.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let limited = bincode::config::standard().with_limit::<PHYSICS_BYTES_MAX>();
        let (world, _) =
            bincode::serde::decode_from_slice::<PhysicsWorld, _>(bytes, limited).map_err(|error| error.to_string())?;
        Ok(Self { world })
    }
}

fn rapier_shape(shape: &Shape) -> SharedShape {
    match shape {
        Shape::Box { half } => SharedShape::cuboid(half.x, half.y, half.z),
        Shape::Ball { radius } => SharedShape::ball(*radius),
        Shape::Cylinder { radius, half_height } => SharedShape::cylinder(*half_height, *radius),
        Shape::Hull { points } => SharedShape::convex_hull(points).unwrap_or_else(|| SharedShape::ball(0.1)),
        Shape::Mesh { vertices, indices } => {
            SharedShape::trimesh(vertices.clone(), indices.clone()).unwrap_or_else(|_| SharedShape::ball(0.1))
        }
    }
}

fn prop_shape(shape: PropShape) -> Shape {
    match shape {
        PropShape::Box { half } => Shape::Box { half: half.into() },
        PropShape::Ball { radius } => Shape::Ball { radius },
        PropShape::Cylinder { radius, half_height } => Shape::Cylinder { radius, half_height },
    }
}

fn pose(position: Vec3, rotation: Quat) -> Pose {
    Pose::from_parts(position, rotation)
}

/// Makes the bodies of the map.
pub fn populate(world: &mut World) -> Result<(), BuildError> {
    let map = world.resource::<MapRef>().0.clone();
    let rules = world.resource::<RulesRef>().0.clone();
    let clock = world.resource::<Clock>().clone();
    let mut physics = PhysicsWorld::new();
    physics.integration_parameters.dt = clock.dt;
    for solid in &map.solids {
        let collider = ColliderBuilder::new(rapier_shape(&solid.shape)).position(pose(solid.position, solid.rotation));
        physics.colliders.insert(collider);
    }
    let unusable = |name: &str, why: String| BuildError::Solid { map: map.name.clone(), name: name.to_owned(), why };
    let statics = StaticWorld::new(&map.solids).map_err(|error| unusable(&error.name, error.error.to_string()))?;
    let convex = |name: &str, shape: &Shape| ConvexShape::new(shape).map_err(|error| unusable(name, error.to_string()));
    let mut shapes = Vec::new();
    for prop in &rules.props {
        shapes.push(convex(&prop.name, &prop_shape(prop.shape))?);
    }
    for (spot, prop) in map.props.iter().enumerate() {
        let Some(kind) = rules.props.iter().position(|rule| rule.name == prop.kind) else {
            return Err(BuildError::Reference { map: map.name.clone(), what: "prop", name: prop.kind.clone() });
        };
        let rule = &rules.props[kind];
        let (body, _) = physics.insert(
            RigidBodyBuilder::dynamic()
                .pose(pose(prop.position, prop.rotation))
                .linear_damping(0.1)
                .angular_damping(0.2),
            ColliderBuilder::new(rapier_shape(&prop_shape(rule.shape)))
                .mass(rule.mass)
                .friction(rule.friction)
                .restitution(rule.restitution),
        );
        let (body, generation) = body.into_raw_parts();
        let identity = world.resource_mut::<NextId>().make(Kind::Prop, 0, None);
        world.spawn((
            identity,
            Prop { kind: kind as u8, spot: spot as u16, health: rule.health, body, generation },
            Place { position: prop.position, rotation: prop.rotation },
            Motion::default(),
        ));
    }
    let mut door_shapes = Vec::new();
    for (spot, door) in map.doors.iter().enumerate() {
        door_shapes.push(convex(&door.name, &Shape::Box { half: door.half })?);
        let frame = physics.insert_body(
            RigidBodyBuilder::fixed().pose(pose(door.position + door.rotation * door.hinge, door.rotation)),
        );
        // A door weighs as much as its wood: 300 kg a cubic metre.
        let (leaf, _) = physics.insert(
            RigidBodyBuilder::dynamic().pose(pose(door.position, door.rotation)).angular_damping(1.5),
            ColliderBuilder::cuboid(door.half.x, door.half.y, door.half.z).density(300.0).friction(0.2),
        );
        let hinge = RevoluteJointBuilder::new(Vec3::Y)
            .local_anchor1(Vec3::ZERO)
            .local_anchor2(door.hinge)
            .limits([-door.swing, door.swing])
            .contacts_enabled(false);
        physics.insert_impulse_joint(frame, leaf, hinge);
        let (body, generation) = leaf.into_raw_parts();
        let identity = world.resource_mut::<NextId>().make(Kind::Prop, 0, None);
        world.spawn((
            identity,
            Prop { kind: DOOR, spot: spot as u16, health: 0.0, body, generation },
            Place { position: door.position, rotation: door.rotation },
            Motion::default(),
        ));
    }
    let mut platform_shapes = Vec::new();
    for (number, platform) in map.platforms.iter().enumerate() {
        platform_shapes.push(convex(&platform.name, &platform.shape)?);
        let (body, _) = physics.insert(
            RigidBodyBuilder::kinematic_position_based().pose(pose(platform.path[0], platform.rotation)),
            ColliderBuilder::new(rapier_shape(&platform.shape)).friction(0.8),
        );
        let (body, generation) = body.into_raw_parts();
        let identity = world.resource_mut::<NextId>().make(Kind::Platform, 0, None);
        world.spawn((
            identity,
            PlatformRide { number: number as u16, body, generation, ..PlatformRide::default() },
            Place { position: platform.path[0], rotation: platform.rotation },
            Motion::default(),
        ));
    }
    world.insert_resource(Physics { world: physics });
    world.insert_resource(Solids { statics, dynamics: DynamicWorld::default(), shapes, door_shapes, platform_shapes });
    Ok(())
}

/// Moves a ride on by one tick and returns where it is then.
fn ride(ride: &mut PlatformRide, platform: &Platform, clock: &Clock) -> Vec3 {
    // What was told from outside may name a leg that is not there.
    ride.leg = ride.leg.min(platform.path.len().saturating_sub(2) as u16);
    let ends = |leg: u16| {
        let leg = usize::from(leg);
        (platform.path[leg], platform.path[(leg + 1).min(platform.path.len() - 1)])
    };
    if clock.tick >= ride.wait_until && platform.path.len() > 1 {
        let (from, to) = ends(ride.leg);
        let length = from.distance(to).max(0.01);
        ride.travelled += platform.speed * clock.dt;
        if ride.travelled >= length {
            ride.travelled = 0.0;
            let last = platform.path.len() as u16 - 2;
            match (ride.back, ride.leg) {
                (false, leg) if leg < last => ride.leg += 1,
                (true, leg) if leg > 0 => ride.leg -= 1,
                (back, _) => {
                    ride.back = !back;
                    ride.wait_until = clock.tick + clock.ticks(platform.pause_ms);
                }
            }
        }
    }
    let (low, high) = ends(ride.leg);
    let length = low.distance(high).max(0.01);
    let part = (ride.travelled / length).clamp(0.0, 1.0);
    if ride.back { high.lerp(low, part) } else { low.lerp(high, part) }
}

fn step(world: &mut World) {
    let clock = world.resource::<Clock>().clone();
    let map = world.resource::<MapRef>().0.clone();
    let gravity = world.resource::<RulesRef>().movement.gravity * world.resource::<Tuning>().gravity;
    let probe = world.get_resource::<PhysicsProbe>().copied();
    world.resource_scope(|world, mut physics: Mut<'_, Physics>| {
        let physics = &mut physics.world;
        physics.gravity = Vec3::new(0.0, -gravity, 0.0);
        push_props(world, physics);
        for at in 0..world.resource::<Index>().of(Kind::Platform).len() {
            let (_, entity) = world.resource::<Index>().of(Kind::Platform)[at];
            let Some(mut riding) = world.get_mut::<PlatformRide>(entity) else { continue };
            let handle = Physics::handle(riding.body, riding.generation);
            let platform = &map.platforms[usize::from(riding.number)];
            let next = ride(&mut riding, platform, &clock);
            if let Some(body) = PhysicsProbe::around(probe, || physics.bodies.get_mut(handle)) {
                body.set_next_kinematic_translation(next);
            }
        }
        PhysicsProbe::around(probe, || physics.step());
        copy_back(world, physics);
    });
    refresh_geometry(world);
}

/// Puts the body of a prop or a platform where it is told to be, as fast as it is told to go; `None` takes it out of the way
/// until it is put somewhere again. See [`crate::prediction`].
pub(crate) fn put_body(world: &mut World, (body, generation): (u32, u32), put: Option<(&Place, &Motion)>) {
    let physics = &mut world.resource_mut::<Physics>().world;
    let Some(body) = physics.bodies.get_mut(Physics::handle(body, generation)) else { return };
    body.set_enabled(put.is_some());
    let Some((place, motion)) = put else { return };
    body.set_position(pose(place.position, place.rotation), !motion.asleep);
    if body.is_dynamic() {
        body.set_linvel(motion.linear, !motion.asleep);
        body.set_angvel(motion.angular, !motion.asleep);
        if motion.asleep {
            body.sleep();
        }
    }
}

/// Takes a prop's body out of Rapier's world.
pub fn remove_body(world: &mut World, prop: &Prop) {
    let probe = world.get_resource::<PhysicsProbe>().copied();
    let handle = Physics::handle(prop.body, prop.generation);
    let physics = &mut world.resource_mut::<Physics>().world;
    PhysicsProbe::around(probe, || physics.remove_body(handle));
}

/// Gives waiting impulses to their bodies at once: Rapier's velocities are state, the queue is not, so nothing may wait in it
/// between two ticks.
pub fn deliver_impulses(world: &mut World) {
    world.resource_scope(|world, mut physics: Mut<'_, Physics>| push_props(world, &mut physics.world));
}

fn push_props(world: &mut World, physics: &mut PhysicsWorld) {
    let probe = world.get_resource::<PhysicsProbe>().copied();
    let mut impulses = core::mem::take(&mut world.resource_mut::<Impulses>().0);
    for push in impulses.drain(..) {
        let Some(prop) = world.resource::<Index>().entity(push.id).and_then(|entity| world.get::<Prop>(entity)) else {
            continue;
        };
        let handle = Physics::handle(prop.body, prop.generation);
        if let Some(body) = PhysicsProbe::around(probe, || physics.bodies.get_mut(handle)) {
            body.apply_impulse_at_point(push.impulse, push.point, true);
        }
    }
    world.resource_mut::<Impulses>().0 = impulses;
}

fn copy_back(world: &mut World, physics: &mut PhysicsWorld) {
    for kind in [Kind::Prop, Kind::Platform] {
        for at in 0..world.resource::<Index>().of(kind).len() {
            let (id, entity) = world.resource::<Index>().of(kind)[at];
            let handle = match (world.get::<Prop>(entity), world.get::<PlatformRide>(entity)) {
                (Some(prop), _) => Physics::handle(prop.body, prop.generation),
                (_, Some(ride)) => Physics::handle(ride.body, ride.generation),
                _ => continue,
            };
            // Not `get_mut`: Rapier looks again at every body that was handed out to be changed.
            let Some(body) = physics.bodies.get(handle) else { continue };
            let asleep = body.is_sleeping();
            let Ok(mut entity) = world.get_entity_mut(entity) else { continue };
            let was_asleep = entity.get::<Motion>().is_some_and(|motion| motion.asleep);
            if (asleep && was_asleep) || !body.is_enabled() {
                continue;
            }
            let place = Place { position: body.translation(), rotation: *body.rotation() };
            let motion = Motion { linear: body.linvel(), angular: body.angvel(), asleep };
            let sane = place.position.is_finite()
                && place.rotation.is_finite()
                && motion.linear.is_finite()
                && place.position.length_squared() < BODY_REACH * BODY_REACH;
            if !sane {
                if let Some(body) = physics.bodies.get_mut(handle) {
                    body.set_enabled(false);
                }
                world.resource_mut::<Events>().0.push(DomainEvent::BodyQuarantined { id });
                continue;
            }
            if let Some(mut old) = entity.get_mut::<Place>() {
                *old = place;
            }
            if let Some(mut old) = entity.get_mut::<Motion>() {
                *old = motion;
            }
        }
    }
}

/// Makes the moving part of [`Solids`] anew from [`Place`] and [`Motion`]. False if a body names a shape that does not exist,
/// which only a checkpoint from elsewhere can do.
pub fn refresh_geometry(world: &mut World) -> bool {
    world.resource_scope(|world, mut solids: Mut<'_, Solids>| {
        let Solids { dynamics, shapes, door_shapes, platform_shapes, .. } = &mut *solids;
        dynamics.clear();
        let mut known = true;
        let index = world.resource::<Index>();
        for kind in [Kind::Prop, Kind::Platform] {
            for &(id, entity) in index.of(kind) {
                let Ok(entity) = world.get_entity(entity) else { continue };
                let (Some(place), Some(motion)) = (entity.get::<Place>(), entity.get::<Motion>()) else { continue };
                let (shape, movable) = match (entity.get::<Prop>(), entity.get::<PlatformRide>()) {
                    (Some(prop), _) if prop.kind == DOOR => (door_shapes.get(usize::from(prop.spot)), true),
                    (Some(prop), _) => (shapes.get(usize::from(prop.kind)), true),
                    (_, Some(ride)) => (platform_shapes.get(usize::from(ride.number)), false),
                    _ => continue,
                };
                let Some(shape) = shape else {
                    known = false;
                    continue;
                };
                dynamics.push(
                    DynSolid {
                        id,
                        position: place.position,
                        rotation: place.rotation,
                        velocity: motion.linear,
                        angular_velocity: motion.angular,
                        movable,
                    },
                    shape,
                );
            }
        }
        dynamics.build();
        known
    })
}
