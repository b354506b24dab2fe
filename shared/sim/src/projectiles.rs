//! Projectiles: balls that are swept along their way each tick, bounce or burst, and what a burst does around it.

use arbiter_schema::{StableId, describe, describe_enum};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};

use crate::collide::World as Geometry;
use crate::deployables::spawn_area;
use crate::effects::{Grant, Grants};
use crate::event::{Cause, Cue, Part};
use crate::hitbox::{Bodies, Met, PlayerBody, Scene, Source, ViewTime, distance_to_segment};
use crate::index::{Identity, Index, Kind, NextId};
use crate::physics::{Impulse, Impulses, Place};
use crate::players::Tuning;
use crate::rules::{Act, Behaviour, Flight, Link, Movement, Splash};
use crate::simulation::Cues;
use crate::state::DescribeApp;
use crate::tick::Tick;
use crate::time::SimRng;
use crate::vitals::{Damage, DamageQueue};
use crate::weapons::{Pulls, WeaponSet};

/// Bounces and pieces of way that one tick may have. At 300 m/s and 10 Hz a tick is 30 m, which between two walls could be
/// hundreds of bounces.
const LEGS_MAX: u32 = 4;
/// A bounce or a wall leaves this much room, in metres, so that the next sweep does not start inside.
const SKIN: f32 = 0.005;

describe_enum! {
    /// What sent a projectile.
    pub enum Origin {
        /// A weapon.
        Weapon,
        /// An ability.
        Ability,
    }
}

describe! {
    /// Something that flies. Where it is stands in [`Place`].
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Projectile {
        /// What sent it.
        pub origin: Origin => crate::projectiles::SMALL,
        /// Number of the weapon or ability in the rules.
        pub number: u8 => crate::projectiles::SMALL,
        /// The entity that sent it.
        pub by: StableId,
        /// Metres a second.
        pub velocity: Vec3,
        /// Tick at which it bursts.
        pub until: u32,
        /// Bounces left.
        pub bounces: u8,
        /// Whether it has not moved yet: its first step meets players where its shooter saw them.
        pub fresh: bool,
        /// What the shooter saw; tick 0 saw nothing.
        pub view_tick: u32,
        /// 1/256 ticks on from there.
        pub view_fraction: u8,
    }
}

const SMALL: arbiter_schema::Spec =
    arbiter_schema::Spec::new(0.0, 255.0, 1.0, arbiter_schema::Predictor::Hold, arbiter_schema::Audience::Everyone);

/// Projectiles.
pub struct ProjectilesPlugin;

impl Plugin for ProjectilesPlugin {
    fn build(&self, app: &mut App) {
        app.describe::<Projectile>().add_systems(Tick, fly.in_set(WeaponSet::Fly));
    }
}

/// Sends a projectile.
#[allow(clippy::too_many_arguments, reason = "what a projectile needs to be told")]
pub fn send(
    commands: &mut Commands<'_, '_>,
    next_id: &mut NextId,
    scene: &Scene<'_, '_>,
    (from, aim): (Vec3, Vec3),
    source: &Source,
    seen: Option<ViewTime>,
    flight: &Flight,
    (origin, number): (Origin, u8),
) {
    let right = aim.cross(Vec3::Y).normalize_or(Vec3::X);
    let aim = Quat::from_axis_angle(right, flight.lift_deg.to_radians()) * aim;
    let seen_or_none = seen.unwrap_or_default();
    commands.spawn((
        next_id.make(Kind::Projectile, source.team, source.slot()),
        Place { position: from, rotation: Quat::IDENTITY },
        Projectile {
            origin,
            number,
            by: source.id,
            velocity: aim * flight.speed,
            until: scene.clock.tick + scene.clock.ticks(flight.life_ms),
            bounces: flight.bounces,
            fresh: true,
            view_tick: seen_or_none.tick,
            view_fraction: seen_or_none.fraction,
        },
    ));
}

/// Takes the pulls of projectile weapons.
pub fn launch(
    scene: Scene<'_, '_>,
    pulls: Res<'_, Pulls>,
    mut rng: ResMut<'_, SimRng>,
    mut next_id: ResMut<'_, NextId>,
    mut cues: ResMut<'_, Cues>,
    mut commands: Commands<'_, '_>,
) {
    for pull in &pulls.0 {
        let weapon = &scene.rules.weapons[usize::from(pull.weapon)];
        let Behaviour::Projectile(flight) = &weapon.behaviour else { continue };
        let mut aim = pull.aim;
        pull.strays(1, &mut rng, &mut |direction| aim = direction);
        let what = (Origin::Weapon, pull.weapon);
        send(&mut commands, &mut next_id, &scene, (pull.from, aim), &pull.source, pull.seen, flight, what);
        cues.0.push(Cue::Fired { by: pull.source.id, weapon: pull.weapon, from: pull.from, to: pull.from + aim });
    }
}

/// What the rules say of a projectile.
struct Load<'a> {
    flight: Flight,
    damage: f32,
    knockback: f32,
    effects: &'a [Link],
    cause: Cause,
    area: bool,
}

fn load_of<'a>(scene: &'a Scene<'_, '_>, projectile: &Projectile) -> Option<Load<'a>> {
    let number = usize::from(projectile.number);
    match projectile.origin {
        Origin::Weapon => {
            let weapon = scene.rules.weapons.get(number)?;
            let Behaviour::Projectile(flight) = &weapon.behaviour else { return None };
            Some(Load {
                flight: *flight,
                damage: weapon.damage,
                knockback: weapon.knockback,
                effects: &weapon.effects,
                cause: Cause::Weapon(projectile.number),
                area: false,
            })
        }
        Origin::Ability => {
            let ability = scene.rules.abilities.get(number)?;
            let Act::Throw(throw) = &ability.act else { return None };
            Some(Load {
                flight: throw.flight,
                damage: throw.damage,
                knockback: 0.0,
                effects: &ability.effects,
                cause: Cause::Ability(projectile.number),
                area: throw.area.is_some(),
            })
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
fn fly(
    scene: Scene<'_, '_>,
    index: Res<'_, Index>,
    tuning: Res<'_, Tuning>,
    mut next_id: ResMut<'_, NextId>,
    mut damage: ResMut<'_, DamageQueue>,
    mut impulses: ResMut<'_, Impulses>,
    mut grants: ResMut<'_, Grants>,
    mut cues: ResMut<'_, Cues>,
    mut commands: Commands<'_, '_>,
    mut projectiles: Query<'_, '_, (&Identity, &mut Place, &mut Projectile)>,
) {
    for &(_, entity) in index.of(Kind::Projectile) {
        let Ok((identity, mut place, mut projectile)) = projectiles.get_mut(entity) else { continue };
        let Some(load) = load_of(&scene, &projectile) else {
            commands.entity(entity).try_despawn();
            continue;
        };
        let source = Source { id: projectile.by, owner: identity.owner, team: identity.team };
        let shows = projectile.fresh && projectile.view_tick != 0;
        let seen = shows.then_some(ViewTime { tick: projectile.view_tick, fraction: projectile.view_fraction });
        let fresh = core::mem::take(&mut projectile.fresh);
        let pull = scene.rules.movement.gravity * tuning.gravity * load.flight.gravity_factor;
        projectile.velocity.y -= pull * scene.clock.dt;
        let mut left = scene.clock.dt;
        let mut burst_at = None;
        let mut met = None;
        for _ in 0..LEGS_MAX {
            let speed = projectile.velocity.length();
            let way = speed * left;
            if way < 1e-5 {
                break;
            }
            let direction = projectile.velocity / speed;
            // Those that a client shows are in the past: only what is fired at them flies there.
            let shootable = |body: &PlayerBody| (fresh || !body.shown) && scene.shootable(&source, body, seen);
            let hit = scene.trace(&source, (place.position, direction), way, load.flight.radius, seen, &shootable);
            let Some(hit) = hit else {
                place.position += direction * way;
                break;
            };
            place.position += direction * (hit.distance - SKIN).max(0.0);
            if matches!(hit.met, Met::Solid(_)) && projectile.bounces > 0 {
                projectile.bounces -= 1;
                let into = projectile.velocity.dot(hit.normal).min(0.0);
                projectile.velocity = (projectile.velocity - hit.normal * (2.0 * into)) * load.flight.bounce_keep;
                place.position += hit.normal * SKIN;
                left -= left * (hit.distance / way).clamp(0.0, 1.0);
                continue;
            }
            burst_at = Some(place.position);
            met = Some((hit.met, direction));
            break;
        }
        if scene.clock.tick >= projectile.until {
            burst_at = burst_at.or(Some(place.position));
        }
        let Some(at) = burst_at else { continue };
        if let Some((met, direction)) = met {
            let (target, part) = match met {
                Met::Player(id, _, part) => (id, part),
                Met::Solid(id) | Met::Turret(id) | Met::Wall(id) => (id, Part::Body),
            };
            if target.is_some() {
                let knock = direction * load.knockback;
                damage.0.push(Damage { target, source, amount: load.damage, part, cause: load.cause, at, knock });
                for effect in load.effects {
                    grants.0.push(Grant { target, source, effect: effect.number() });
                }
            }
        }
        if let Some(splash) = &load.flight.splash {
            cues.0.push(Cue::Exploded { at, radius: splash.radius, cause: load.cause });
            let what = Burst { at, splash, source, cause: load.cause };
            let world = scene.solids.world();
            burst(&what, &scene.bodies, &world, &scene.rules.movement, &mut damage.0, &mut impulses);
        }
        if load.area {
            spawn_area(&mut commands, &mut next_id, &scene, at, &source, projectile.number, None);
        }
        commands.entity(entity).try_despawn();
    }
}

/// A burst that is to happen.
pub struct Burst<'a> {
    /// Where.
    pub at: Vec3,
    /// What it does.
    pub splash: &'a Splash,
    /// Whose deed.
    pub source: Source,
    /// With what.
    pub cause: Cause,
}

/// Share of a burst's damage and push at a distance; `None` beyond it.
pub fn splash_share(splash: &Splash, distance: f32) -> Option<f32> {
    (distance <= splash.radius).then(|| 1.0 + (splash.edge_factor - 1.0) * (distance / splash.radius).clamp(0.0, 1.0))
}

/// Queues what a burst does to players, turrets, walls and props that it reaches and that nothing shields.
pub fn burst(
    what: &Burst<'_>,
    bodies: &Bodies,
    world: &Geometry<'_>,
    movement: &Movement,
    damage: &mut Vec<Damage>,
    impulses: &mut Impulses,
) {
    let Burst { at, splash, source, cause } = *what;
    let mut hurt = |target: StableId, amount: f32, knock: Vec3| {
        damage.push(Damage { target, source, amount, part: Part::Body, cause, at, knock });
    };
    for body in &bodies.players {
        let feet = body.now.position;
        let height = if body.now.crouched { movement.crouch_height } else { movement.height };
        let distance = (distance_to_segment(at, feet, feet + Vec3::Y * height) - movement.radius).max(0.0);
        let Some(share) = splash_share(splash, distance) else { continue };
        let middle = feet + Vec3::Y * (height * 0.5);
        if !world.sees(at, middle) && !world.sees(at, feet + Vec3::Y * (height - movement.eye_below_top)) {
            continue;
        }
        let own = body.owner == source.owner && source.owner != 0;
        let factor = if own { splash.self_factor } else { 1.0 };
        // Pushed a little upwards, or friction would eat the push at once.
        let away = (middle - at).normalize_or(Vec3::Y);
        let push = (away + Vec3::Y * 0.3).normalize_or(Vec3::Y) * (splash.knockback * share);
        hurt(body.id, splash.damage * share * factor, push);
    }
    for turret in &bodies.turrets {
        let distance =
            (distance_to_segment(at, turret.foot, turret.foot + Vec3::Y * turret.height) - turret.radius).max(0.0);
        if let Some(share) = splash_share(splash, distance)
            && world.sees(at, turret.foot + Vec3::Y * turret.height)
        {
            hurt(turret.id, splash.damage * share, Vec3::ZERO);
        }
    }
    for wall in &bodies.walls {
        let local = wall.rotation.conjugate() * (at - wall.centre);
        let distance = (local.abs() - wall.half).max(Vec3::ZERO).length();
        if let Some(share) = splash_share(splash, distance)
            && source.hostile(wall.team, wall.owner)
        {
            hurt(wall.id, splash.damage * share, Vec3::ZERO);
        }
    }
    for (id, centre) in &bodies.props {
        let apart = *centre - at;
        let distance = apart.length();
        let Some(share) = splash_share(splash, (distance - PROP_RADIUS).max(0.0)) else { continue };
        let away = apart.normalize_or(Vec3::Y);
        // Only what stands in front of it shields a prop.
        if world.ray(at, away, distance).is_some_and(|hit| hit.id != *id) {
            continue;
        }
        impulses.push(Impulse { id: *id, point: *centre, impulse: away * (splash.impulse * share) });
        hurt(*id, splash.damage * share, Vec3::ZERO);
    }
}

/// Props are met this far from their centre, in metres: about half of a crate.
const PROP_RADIUS: f32 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    const SPLASH: Splash =
        Splash { radius: 4.0, damage: 100.0, edge_factor: 0.2, self_factor: 0.5, knockback: 8.0, impulse: 100.0 };

    #[test]
    fn a_burst_is_whole_at_its_centre() {
        assert_eq!(splash_share(&SPLASH, 0.0), Some(1.0));
    }

    #[test]
    fn a_burst_falls_evenly_to_its_edge() {
        assert_eq!(splash_share(&SPLASH, 2.0), Some(0.6));
        assert!((splash_share(&SPLASH, 4.0).expect("at the edge") - 0.2).abs() < 1e-6);
    }

    #[test]
    fn a_burst_does_nothing_beyond_its_edge() {
        assert_eq!(splash_share(&SPLASH, 4.01), None);
    }
}
