//! From the simulation's components to one line of the scene: the only file of this module that knows what they are.

use arbiter_sim::View;
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::MoverState;
use arbiter_sim::deployables::{AreaState, Turret, Wall};
use arbiter_sim::index::{Identity, Kind};
use arbiter_sim::map::Map;
use arbiter_sim::movement::Mobility;
use arbiter_sim::physics::{DOOR, Place, Prop};
use arbiter_sim::pickups::PickupState;
use arbiter_sim::players::{Life, Look, Player, Tuning};
use arbiter_sim::projectiles::Projectile;
use arbiter_sim::rules::{Act, Dash, PropShape, Rules};
use arbiter_sim::time::Clock;
use arbiter_sim::weapons::Arsenal;
use bevy_ecs::entity::Entity;
use glam::{Quat, Vec2, Vec3};

use super::reach::{DIRECTIONS, Gait, Shape};
use super::scene::{Body, Secrecy};

/// An area is told from its middle: its edge reaches through walls and would say who stands behind them.
const AREA_RADIUS: f32 = 0.5;

/// Metres a second on the ground from which one hears steps of somebody who does not crouch.
const STEPS_PACE: f32 = 2.5;

/// What the rules say, looked up once.
#[derive(Debug)]
pub struct Numbers {
    extent: f32,
    top: f32,
    /// Metres that each weapon reaches, by its number.
    weapons: Vec<f32>,
    /// The strongest dash of each hero: place in the kit, speed, seconds.
    dashes: Vec<Option<(usize, f32, f32)>>,
}

impl Numbers {
    pub fn new(rules: &Rules) -> Self {
        let edge = |from: [f32; 3], radius: f32| Vec2::new(from[0], from[2]).length() + radius;
        let parts = rules.body.hitboxes.iter();
        let extent = parts.clone().map(|part| edge(part.from, part.radius).max(edge(part.to, part.radius)));
        let top = parts.map(|part| part.from[1].max(part.to[1]) + part.radius);
        let dash = |dash: &Dash| (dash.speed, dash.duration_ms as f32 * 0.001);
        let dashes = rules.heroes.iter().map(|hero| {
            let abilities = hero.abilities.iter().enumerate();
            abilities.fold(None, |best, (at, link)| match rules.abilities.get(link.index()).map(|it| &it.act) {
                Some(Act::Dash(rule)) => {
                    let (speed, seconds) = dash(rule);
                    Some((at, speed, seconds))
                }
                _ => best,
            })
        });
        Self {
            extent: extent.fold(0.0, f32::max),
            top: top.fold(0.0, f32::max),
            weapons: rules.weapons.iter().map(|weapon| super::aim::range(&weapon.behaviour)).collect(),
            dashes: dashes.collect(),
        }
    }
}

/// Reads one entity.
pub struct Reader<'a> {
    pub view: View<'a>,
    pub rules: &'a Rules,
    pub map: &'a Map,
    pub numbers: &'a Numbers,
}

impl Reader<'_> {
    pub fn body(&self, identity: &Identity, entity: Entity, place: u32) -> Body {
        let secrecy = match identity.kind {
            Kind::Point | Kind::Platform => Secrecy::Open,
            Kind::Custom if identity.owner == 0 && identity.team == 0 => Secrecy::Open,
            Kind::Pickup => {
                let loot = self.view.component::<PickupState>(entity).is_some_and(|state| state.loot);
                if loot { Secrecy::Seen } else { Secrecy::Remembered }
            }
            _ => Secrecy::Seen,
        };
        let mut body = Body {
            id: identity.id,
            kind: identity.kind,
            team: identity.team,
            owner: identity.owner,
            place,
            secrecy,
            placed: true,
            shape: Shape::still(Vec3::ZERO, 0.3, [0.0, 0.6]),
            jolted: false,
            area: 0.0,
            alive: true,
            look: Vec3::NEG_Z,
            weapon_range: 0.0,
            steps: false,
        };
        if identity.kind == Kind::Player {
            self.player(entity, &mut body);
        } else if let Some(place) = self.view.component::<Place>(entity) {
            self.thing(entity, place, &mut body);
        } else if let Some(state) = self.view.component::<MoverState>(entity) {
            body.shape.position = state.position;
        } else {
            body.placed = false;
        }
        body
    }

    fn player(&self, entity: Entity, body: &mut Body) {
        let Some(state) = self.view.component::<MoverState>(entity) else {
            body.placed = false;
            return;
        };
        let (movement, numbers) = (&self.rules.movement, self.numbers);
        body.alive = self.view.component::<Life>(entity).is_some_and(|life| life.alive);
        let hero = self.view.component::<Player>(entity).map_or(0, |player| player.hero);
        if let Some(look) = self.view.component::<Look>(entity) {
            let step = core::f32::consts::TAU / 65_536.0;
            let (sin, cos) = libm::sincosf(f32::from(look.yaw) * step);
            let (up, flat) = libm::sincosf(f32::from(look.pitch) * step);
            body.look = Vec3::new(-sin * flat, up, -cos * flat);
        }
        let arsenal = self.view.component::<Arsenal>(entity);
        let weapon = arsenal.and_then(|arsenal| self.rules.hero(hero).weapons.get(usize::from(arsenal.current)));
        body.weapon_range = weapon.and_then(|link| numbers.weapons.get(link.index())).copied().unwrap_or(0.0);
        body.shape = Shape {
            velocity: state.velocity + state.ground_velocity,
            eyes: [movement.crouch_height - movement.eye_below_top, movement.height - movement.eye_below_top],
            radius: movement.radius,
            gait: if body.alive { self.gait(entity, state, hero) } else { Gait::default() },
            ..Shape::still(state.position, numbers.extent, [0.05, numbers.top])
        };
        if !body.alive {
            body.shape.velocity = Vec3::ZERO;
        }
        let pace = state.velocity.with_y(0.0).length_squared();
        body.steps = body.alive && state.grounded && !state.crouched && pace > STEPS_PACE * STEPS_PACE;
    }

    fn gait(&self, entity: Entity, state: &MoverState, hero: u8) -> Gait {
        let movement = &self.rules.movement;
        let (speed, gravity) =
            self.view.resource::<Tuning>().map_or((1.0, 1.0), |tuning| (tuning.speed, tuning.gravity));
        let mobility = self.view.component::<Mobility>(entity);
        let free = mobility.map_or(1.0, |mobility| if mobility.rooted { 0.0 } else { mobility.speed });
        let tick = self.view.resource::<Clock>().map_or(0, |clock| clock.tick);
        let forced = mobility.is_some_and(|mobility| tick < mobility.forced_until);
        let dash = self.numbers.dashes.get(usize::from(hero)).copied().flatten();
        let ready = |at: usize| self.view.component::<Kit>(entity).is_some_and(|kit| kit.charges[at] > 0);
        let (dash_speed, dash_s) = match dash {
            Some((at, speed, seconds)) if forced || ready(at) => (speed, seconds),
            _ => (0.0, 0.0),
        };
        let air = if state.grounded { 1.0 } else { movement.air_control };
        let acceleration = movement.acceleration * air;
        let friction = if state.grounded { movement.friction * state.velocity.length() } else { 0.0 };
        let jumps = (state.grounded || state.coyote > 0) && free > 0.0;
        Gait {
            speed_max: movement.max_speed * self.rules.hero(hero).speed_factor * speed * free,
            acceleration,
            braking: acceleration + friction,
            dash_speed,
            dash_s,
            rise_speed: state.velocity.y.max(if jumps { movement.jump_speed } else { 0.0 }),
            gravity: movement.gravity * gravity,
            grounded: state.grounded,
        }
    }

    fn thing(&self, entity: Entity, place: &Place, body: &mut Body) {
        let middle = place.position;
        body.shape = match body.kind {
            Kind::Projectile => {
                let velocity = self.view.component::<Projectile>(entity).map_or(Vec3::ZERO, |it| it.velocity);
                let gait = Gait { rise_speed: velocity.y, ..Gait::default() };
                Shape { velocity, gait, ..Shape::still(middle, 0.15, [-0.15, 0.15]) }
            }
            Kind::Deployable => {
                let ability = self.view.component::<Turret>(entity).map(|turret| usize::from(turret.ability));
                match ability.and_then(|number| self.rules.abilities.get(number)).map(|ability| &ability.act) {
                    Some(Act::Deploy(rule)) => Shape::still(middle, rule.radius, [0.05, rule.height]),
                    _ => Shape::still(middle, 0.5, [0.05, 1.0]),
                }
            }
            Kind::Shield => {
                let (width, height) =
                    self.view.component::<Wall>(entity).map_or((1.0, 1.0), |it| (it.width, it.height));
                let half = Vec3::new(width * 0.5, height * 0.5, 0.1);
                boxed(middle, place.rotation, half)
            }
            Kind::Area => {
                body.area = self.view.component::<AreaState>(entity).map_or(0.0, |area| area.radius);
                Shape::still(middle, AREA_RADIUS, [0.1, 1.0])
            }
            Kind::Prop => self.prop(entity, place),
            _ => Shape::still(middle, 0.4, [0.05, 0.8]),
        };
    }

    fn prop(&self, entity: Entity, place: &Place) -> Shape {
        let Some(prop) = self.view.component::<Prop>(entity) else {
            return Shape::still(place.position, 0.5, [-0.5, 0.5]);
        };
        if prop.kind == DOOR {
            let half = self.map.doors.get(usize::from(prop.spot)).map_or(Vec3::splat(0.6), |door| door.half);
            return boxed(place.position, place.rotation, half);
        }
        match self.rules.props.get(usize::from(prop.kind)).map(|rule| rule.shape) {
            Some(PropShape::Box { half }) => boxed(place.position, place.rotation, Vec3::from_array(half)),
            Some(PropShape::Ball { radius }) => Shape::still(place.position, radius, [-radius, radius]),
            Some(PropShape::Cylinder { radius, half_height }) => {
                boxed(place.position, place.rotation, Vec3::new(radius, half_height, radius))
            }
            None => Shape::still(place.position, 0.5, [-0.5, 0.5]),
        }
    }
}

/// The prism of a turned box.
fn boxed(middle: Vec3, rotation: Quat, half: Vec3) -> Shape {
    let axes = [rotation * Vec3::X * half.x, rotation * Vec3::Y * half.y, rotation * Vec3::Z * half.z];
    let along = |way: Vec3| axes.iter().map(|axis| axis.dot(way).abs()).sum::<f32>();
    let height = along(Vec3::Y);
    Shape {
        extent: DIRECTIONS.map(|way| along(Vec3::new(way.x, 0.0, way.y))),
        ..Shape::still(middle, 0.0, [-height, height])
    }
}
