//! Weapons: triggers, magazines, reloads and spread, and what a pull does for each built-in behaviour.
//!
//! A pull is an entry in [`Pulls`]. Each behaviour is a system that takes the pulls of its kind; pulls of a
//! [`Behaviour::Custom`] weapon are left for a studio's plugin, which runs in [`WeaponSet::Custom`].

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::Vec3;

use crate::abilities::Kit;
use crate::collide::MoverState;
use crate::effects::{Afflictions, Grant, Grants};
use crate::event::{Cause, Cue, Part};
use crate::hitbox::{Bodies, Met, Scene, Source, ViewTime, distance_to_segment, gather_bodies};
use crate::index::{Identity, Index};
use crate::input::button;
use crate::players::{Controls, Life, Player, PlayerHooksApp};
use crate::rules::{Behaviour, BodyPart, Falloff, Movement, Spread, Sweep, WEAPONS_PER_HERO_MAX};
use crate::simulation::{Cues, RulesRef};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::{Clock, SimRng};
use crate::vitals::{Damage, DamageQueue, Heal, HealQueue};

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
const ROUNDS: Spec = Spec::new(0.0, 10_000.0, 1.0, Predictor::Hold, Audience::Owner);
const TICK: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Owner);
const DEGREES: Spec = Spec::new(0.0, 90.0, 1.0 / 256.0, Predictor::Hold, Audience::Owner);
const LUCK: Spec = Spec::new(0.0, 16_777_215.0, 1.0, Predictor::Hold, Audience::Owner);
const RELOADING: Spec = Spec::new(0.0, 1.0, 1.0, Predictor::Hold, Audience::Everyone);

describe! {
    /// A player's weapons. They follow the order of the hero's list.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Arsenal {
        /// Which is in hand.
        pub current: u8 => SMALL,
        /// Rounds in each magazine.
        pub rounds: [u16; WEAPONS_PER_HERO_MAX] => ROUNDS,
        /// Rounds carried beside.
        pub reserve: [u16; WEAPONS_PER_HERO_MAX] => ROUNDS,
        /// Tick from which it may fire.
        pub ready_tick: u32 => TICK,
        /// Whether it is being reloaded.
        pub reloading: bool => RELOADING,
        /// Tick at which the reload is done.
        pub reload_tick: u32 => TICK,
        /// Degrees that shots have added to the spread.
        pub bloom: f32 => DEGREES,
        /// From which the strays of this life's shots are drawn, with the tick: 24 bits. Its owner knows it and so shows shots
        /// where they go; nobody else can foresee them.
        pub luck: u32 => LUCK,
    }
}

/// Parts of [`TickSet::Weapons`], in order.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeaponSet {
    /// Everything that can be hit is known and every pull stands in [`Pulls`] behind it.
    Pull,
    /// The built-in behaviours take their pulls.
    Fire,
    /// Where a studio's plugin takes the pulls of its own behaviours.
    Custom,
    /// Projectiles fly, the new ones too.
    Fly,
}

/// One pull of a trigger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pull {
    /// Whose.
    pub source: Source,
    /// Weapon by number in the rules.
    pub weapon: u8,
    /// From where: the eye.
    pub from: Vec3,
    /// Where to, a unit vector, without spread.
    pub aim: Vec3,
    /// Half the angle of the cone that shots stray in, in degrees.
    pub spread_deg: f32,
    /// What the shooter saw; `None` for what shoots by itself.
    pub seen: Option<ViewTime>,
    /// Whether a round was used: always, but for a beam between two rounds.
    pub fresh: bool,
    /// What its strays are drawn from; `None` draws from the match's own stream.
    pub luck: Option<u64>,
}

/// Pulls of this tick, by slot, then turrets by id. Made anew each tick.
#[derive(Resource, Debug, Default)]
pub struct Pulls(pub Vec<Pull>);

/// Weapons.
pub struct WeaponsPlugin;

impl Plugin for WeaponsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Pulls>()
            .init_resource::<Bodies>()
            .describe::<Arsenal>()
            .on_join(|world, player| {
                world.entity_mut(player).insert(Arsenal::default());
            })
            .on_spawn(|world, player, _, _| rearm(world, player))
            .configure_sets(
                Tick,
                (WeaponSet::Pull, WeaponSet::Fire, WeaponSet::Custom, WeaponSet::Fly).chain().in_set(TickSet::Weapons),
            )
            .add_systems(
                Tick,
                (gather_bodies, pull_triggers, crate::deployables::aim_turrets).chain().in_set(WeaponSet::Pull),
            )
            .add_systems(
                Tick,
                (fire_hitscan, sweep_melee, hold_beams, crate::projectiles::launch).chain().in_set(WeaponSet::Fire),
            );
    }
}

fn rearm(world: &mut World, player: Entity) {
    let Some(hero) = world.get::<Player>(player).map(|player| player.hero) else { return };
    let rules = world.resource::<RulesRef>().0.clone();
    let luck = world.resource_mut::<SimRng>().next_u32() >> 8;
    let mut arsenal = Arsenal { luck, ..Arsenal::default() };
    for (slot, link) in rules.hero(hero).weapons.iter().take(WEAPONS_PER_HERO_MAX).enumerate() {
        let weapon = &rules.weapons[link.index()];
        (arsenal.rounds[slot], arsenal.reserve[slot]) = (weapon.magazine, weapon.reserve);
    }
    if let Some(mut old) = world.get_mut::<Arsenal>(player) {
        *old = arsenal;
    }
}

/// The eye of a player.
pub fn eye(movement: &Movement, feet: Vec3, crouched: bool) -> Vec3 {
    let height = if crouched { movement.crouch_height } else { movement.height };
    feet + Vec3::Y * (height - movement.eye_below_top)
}

/// What is left of damage at a distance.
pub fn falloff(rule: Option<&Falloff>, distance: f32) -> f32 {
    rule.map_or(1.0, |rule| {
        let part = ((distance - rule.near) / (rule.far - rule.near)).clamp(0.0, 1.0);
        1.0 + (rule.factor - 1.0) * part
    })
}

/// Half the angle in degrees that a shot may stray. `pace` is the speed as a share of the full one.
pub fn spread_degrees(rule: Option<&Spread>, bloom: f32, pace: f32, grounded: bool, crouched: bool) -> f32 {
    rule.map_or(0.0, |rule| {
        let air = if grounded { 0.0 } else { rule.airborne_deg };
        let whole = rule.base_deg + bloom + rule.moving_deg * pace.clamp(0.0, 1.0) + air;
        if crouched { whole * rule.crouch_factor } else { whole }
    })
}

/// A unit vector in a cone around `aim`, evenly over its disc.
pub fn stray(aim: Vec3, spread_deg: f32, rng: &mut SimRng) -> Vec3 {
    if spread_deg <= 0.0 {
        return aim;
    }
    let off = libm::tanf(spread_deg.min(80.0).to_radians()) * rng.unit().sqrt();
    let (sin, cos) = libm::sincosf(rng.unit() * core::f32::consts::TAU);
    let (right, up) = aim.any_orthonormal_pair();
    (aim + (right * cos + up * sin) * off).normalize()
}

#[allow(clippy::type_complexity, reason = "a system's parameters are what it touches")]
fn pull_triggers(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    index: Res<'_, Index>,
    mut pulls: ResMut<'_, Pulls>,
    mut players: Query<
        '_,
        '_,
        (&Identity, &Player, &Controls, &mut Life, &MoverState, &Afflictions, &Kit, &mut Arsenal),
    >,
) {
    pulls.0.clear();
    for (_, id, entity) in index.players() {
        let Ok((identity, player, controls, mut life, state, afflictions, kit, mut arsenal)) = players.get_mut(entity)
        else {
            continue;
        };
        if !life.alive {
            continue;
        }
        let weapons = &rules.hero(player.hero).weapons;
        let now = clock.tick;
        if !afflictions.stunned() {
            choose_weapon(&rules, weapons, controls, &mut arsenal, &clock);
        }
        let slot = usize::from(arsenal.current).min(weapons.len() - 1);
        let weapon = &rules.weapons[weapons[slot].index()];
        if let Some(spread) = &weapon.spread {
            arsenal.bloom = (arsenal.bloom - spread.recover_deg_per_second * clock.dt).max(0.0);
        }
        if arsenal.reloading && now >= arsenal.reload_tick {
            arsenal.reloading = false;
            let wanted = weapon.magazine.saturating_sub(arsenal.rounds[slot]);
            // A reserve of 0 in the rules is without end.
            let taken = if weapon.reserve == 0 { wanted } else { wanted.min(arsenal.reserve[slot]) };
            arsenal.rounds[slot] += taken;
            arsenal.reserve[slot] = arsenal.reserve[slot].saturating_sub(if weapon.reserve == 0 { 0 } else { taken });
        }
        if afflictions.stunned() || kit.busy() {
            continue;
        }
        let spare = weapon.reserve == 0 || arsenal.reserve[slot] > 0;
        let wants_fire = controls.input.holds(button::FIRE) && (weapon.automatic || controls.pressed(button::FIRE));
        let empty = weapon.magazine > 0 && arsenal.rounds[slot] == 0;
        let wants_reload = controls.pressed(button::RELOAD) && arsenal.rounds[slot] < weapon.magazine;
        if (wants_reload || (empty && controls.input.holds(button::FIRE))) && spare && !arsenal.reloading {
            arsenal.reloading = true;
            arsenal.reload_tick = now + clock.ticks(weapon.reload_ms);
        }
        if !wants_fire || empty || arsenal.reloading {
            continue;
        }
        let fresh = now >= arsenal.ready_tick;
        let drawn = arsenal.ready_tick <= now + clock.ticks(weapon.interval_ms);
        let steady = matches!(weapon.behaviour, Behaviour::Beam(_)) && drawn;
        if !fresh && !steady {
            continue;
        }
        let pace = state.velocity.with_y(0.0).length() / rules.movement.max_speed;
        let spread_deg = spread_degrees(weapon.spread.as_ref(), arsenal.bloom, pace, state.grounded, state.crouched);
        if fresh {
            arsenal.ready_tick = now + clock.ticks(weapon.interval_ms);
            if weapon.magazine > 0 {
                arsenal.rounds[slot] -= 1;
            }
            if let Some(spread) = &weapon.spread {
                arsenal.bloom = (arsenal.bloom + spread.per_shot_deg).min(spread.bloom_max_deg);
            }
        }
        // Who attacks gives up the protection of the spawn.
        life.protected_until = life.protected_until.min(now);
        pulls.0.push(Pull {
            source: Source { id, owner: identity.owner, team: identity.team },
            weapon: weapons[slot].number(),
            from: eye(&rules.movement, state.position, state.crouched),
            aim: controls.input.look(),
            spread_deg,
            seen: Some(ViewTime { tick: controls.input.view_tick, fraction: controls.input.view_fraction }),
            fresh,
            luck: Some(luck_of(arsenal.luck, now)),
        });
    }
}

/// What the strays of a player's shots at a tick are drawn from: SplitMix64's mix (Steele et al. 2014), so that neighbouring
/// ticks have nothing in common.
fn luck_of(luck: u32, tick: u32) -> u64 {
    let mut mixed = (u64::from(luck) << 32 | u64::from(tick)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Pull {
    /// The directions of its pellets, one after the other, drawn from its own luck or else from `stream`.
    pub fn strays(&self, pellets: u8, stream: &mut SimRng, each: &mut dyn FnMut(Vec3)) {
        let mut own = self.luck.map(SimRng::seeded);
        let rng = own.as_mut().unwrap_or(stream);
        for _ in 0..pellets {
            each(stray(self.aim, self.spread_deg, rng));
        }
    }
}

fn choose_weapon(
    rules: &RulesRef,
    weapons: &[crate::rules::Link],
    controls: &Controls,
    arsenal: &mut Arsenal,
    clock: &Clock,
) {
    for (slot, bit) in button::WEAPON.into_iter().enumerate().take(weapons.len()) {
        if controls.pressed(bit) && usize::from(arsenal.current) != slot {
            let weapon = &rules.weapons[weapons[slot].index()];
            arsenal.current = slot as u8;
            arsenal.reloading = false;
            arsenal.bloom = 0.0;
            // Drawing and drawing back must not shorten the time between two shots.
            arsenal.ready_tick = arsenal.ready_tick.max(clock.tick + clock.ticks(weapon.draw_ms));
            return;
        }
    }
}

fn factor_of(scene: &Scene<'_, '_>, part: Part) -> f32 {
    scene.rules.part_factor(match part {
        Part::Head => BodyPart::Head,
        Part::Body => BodyPart::Body,
        Part::Limb => BodyPart::Limb,
    })
}

fn fire_hitscan(
    scene: Scene<'_, '_>,
    pulls: Res<'_, Pulls>,
    mut rng: ResMut<'_, SimRng>,
    mut damage: ResMut<'_, DamageQueue>,
    mut grants: ResMut<'_, Grants>,
    mut cues: ResMut<'_, Cues>,
) {
    for pull in &pulls.0 {
        let weapon = &scene.rules.weapons[usize::from(pull.weapon)];
        let Behaviour::Hitscan(rule) = &weapon.behaviour else { continue };
        let mut end = pull.from + pull.aim * rule.range;
        pull.strays(rule.pellets, &mut rng, &mut |direction| {
            let shootable = |body: &crate::hitbox::PlayerBody| scene.shootable(&pull.source, body, pull.seen);
            let hit = scene.trace(&pull.source, (pull.from, direction), rule.range, 0.0, pull.seen, &shootable);
            let Some(hit) = hit else { return };
            let at = pull.from + direction * hit.distance;
            end = at;
            let mut amount = weapon.damage * falloff(weapon.falloff.as_ref(), hit.distance);
            let (target, part) = match hit.met {
                Met::Player(id, _, part) => {
                    if weapon.parts {
                        amount *= factor_of(&scene, part);
                    }
                    for effect in &weapon.effects {
                        grants.0.push(Grant { target: id, source: pull.source, effect: effect.number() });
                    }
                    (id, part)
                }
                Met::Solid(id) | Met::Turret(id) | Met::Wall(id) => (id, Part::Body),
            };
            if target.is_some() {
                damage.0.push(Damage {
                    target,
                    source: pull.source,
                    amount,
                    part,
                    cause: Cause::Weapon(pull.weapon),
                    at,
                    knock: direction * weapon.knockback,
                });
            }
        });
        cues.0.push(Cue::Fired { by: pull.source.id, weapon: pull.weapon, from: pull.from, to: end });
    }
}

/// Whom a sweep meets, nearest first: enemies whose surface is in reach, whose middle is inside the arc, and who are in
/// sight; and turrets likewise. Calls `strike` with the target, a place on it and the direction.
pub fn sweep(
    scene: &Scene<'_, '_>,
    source: &Source,
    (from, aim): (Vec3, Vec3),
    rule: &Sweep,
    seen: Option<ViewTime>,
    strike: &mut dyn FnMut(StableId, Vec3, Vec3),
) {
    let mut found: arrayvec::ArrayVec<(f32, StableId, Vec3), 16> = arrayvec::ArrayVec::new();
    let half_arc = libm::cosf((rule.arc_deg * 0.5).to_radians());
    let movement = &scene.rules.movement;
    let mut consider = |id: StableId, foot: Vec3, height: f32, radius: f32| {
        let distance = distance_to_segment(from, foot, foot + Vec3::Y * height) - radius;
        let middle = foot + Vec3::Y * (height * 0.6);
        let direction = (middle - from).normalize_or(aim);
        // Who stands so near that they touch cannot be outside the arc by a hair.
        if distance > rule.reach || (direction.dot(aim) < half_arc && distance > 0.1) {
            return;
        }
        if !scene.solids.world().sees(from, middle) {
            return;
        }
        let at = found.partition_point(|entry| entry.0 <= distance);
        if at < usize::from(rule.targets_max).min(found.capacity()) {
            found.truncate(found.capacity() - 1);
            found.insert(at, (distance, id, middle));
            found.truncate(usize::from(rule.targets_max));
        }
    };
    // Cheap and generous: reach, a body, and how far one can have run.
    let near = rule.reach + 4.0 + 0.25 * movement.fall_speed_max;
    for body in scene.bodies.near(from, near) {
        if !scene.shootable(source, body, seen) {
            continue;
        }
        let Some(pose) = scene.pose(body, seen) else { continue };
        let height = if pose.crouched { movement.crouch_height } else { movement.height };
        consider(body.id, pose.position, height, movement.radius);
    }
    for turret in &scene.bodies.turrets {
        if source.hostile(turret.team, turret.owner) {
            consider(turret.id, turret.foot, turret.height, turret.radius);
        }
    }
    for (_, id, middle) in &found {
        strike(*id, *middle, (*middle - from).normalize_or(aim));
    }
    // Props are hit by the middle of the sweep.
    if let Some(hit) = scene.solids.world().ray(from, aim, rule.reach)
        && hit.id.is_some()
    {
        strike(hit.id, from + aim * hit.distance, aim);
    }
}

fn sweep_melee(
    scene: Scene<'_, '_>,
    pulls: Res<'_, Pulls>,
    mut damage: ResMut<'_, DamageQueue>,
    mut grants: ResMut<'_, Grants>,
    mut cues: ResMut<'_, Cues>,
) {
    for pull in &pulls.0 {
        let weapon = &scene.rules.weapons[usize::from(pull.weapon)];
        let Behaviour::Melee(rule) = &weapon.behaviour else { continue };
        sweep(&scene, &pull.source, (pull.from, pull.aim), rule, pull.seen, &mut |target, at, direction| {
            damage.0.push(Damage {
                target,
                source: pull.source,
                amount: weapon.damage,
                part: Part::Body,
                cause: Cause::Weapon(pull.weapon),
                at,
                knock: direction * weapon.knockback,
            });
            for effect in &weapon.effects {
                grants.0.push(Grant { target, source: pull.source, effect: effect.number() });
            }
        });
        let to = pull.from + pull.aim * rule.reach;
        cues.0.push(Cue::Fired { by: pull.source.id, weapon: pull.weapon, from: pull.from, to });
    }
}

fn hold_beams(
    scene: Scene<'_, '_>,
    pulls: Res<'_, Pulls>,
    mut damage: ResMut<'_, DamageQueue>,
    mut heals: ResMut<'_, HealQueue>,
    mut grants: ResMut<'_, Grants>,
    mut cues: ResMut<'_, Cues>,
) {
    for pull in &pulls.0 {
        let weapon = &scene.rules.weapons[usize::from(pull.weapon)];
        let Behaviour::Beam(rule) = &weapon.behaviour else { continue };
        let meets = |body: &crate::hitbox::PlayerBody| {
            if rule.heals {
                body.owner != pull.source.owner && !pull.source.hostile(body.team, body.owner)
            } else {
                scene.shootable(&pull.source, body, pull.seen)
            }
        };
        // A thick ray meets players; walls only stop what is really behind them, so they are asked with a thin one.
        let solid = scene.trace(&pull.source, (pull.from, pull.aim), rule.range, 0.0, pull.seen, &|_| false);
        let reach = solid.map_or(rule.range, |hit| hit.distance);
        let thick = scene.trace_players((pull.from, pull.aim), reach, rule.radius, pull.seen, &meets);
        let hit = thick.or(solid);
        let end = pull.from + pull.aim * hit.map_or(rule.range, |hit| hit.distance);
        let target = match hit.map(|hit| hit.met) {
            Some(Met::Player(id, ..) | Met::Turret(id) | Met::Wall(id) | Met::Solid(id)) => id,
            None => StableId::NONE,
        };
        let amount =
            weapon.damage * scene.clock.dt * falloff(weapon.falloff.as_ref(), hit.map_or(0.0, |hit| hit.distance));
        if target.is_some() && rule.heals {
            heals.0.push(Heal { target, source: pull.source, amount, cause: Cause::Weapon(pull.weapon) });
        } else if target.is_some() {
            damage.0.push(Damage {
                target,
                source: pull.source,
                amount,
                part: Part::Body,
                cause: Cause::Weapon(pull.weapon),
                at: end,
                knock: pull.aim * weapon.knockback,
            });
        }
        if pull.fresh {
            for effect in weapon.effects.iter().filter(|_| target.is_some()) {
                grants.0.push(Grant { target, source: pull.source, effect: effect.number() });
            }
            cues.0.push(Cue::Fired { by: pull.source.id, weapon: pull.weapon, from: pull.from, to: end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FALLOFF: Falloff = Falloff { near: 10.0, far: 30.0, factor: 0.5 };
    const SPREAD: Spread = Spread {
        base_deg: 1.0,
        per_shot_deg: 0.5,
        bloom_max_deg: 3.0,
        recover_deg_per_second: 5.0,
        moving_deg: 2.0,
        airborne_deg: 4.0,
        crouch_factor: 0.5,
    };

    #[test]
    fn damage_is_whole_up_close() {
        assert_eq!(falloff(Some(&FALLOFF), 5.0), 1.0);
    }

    #[test]
    fn damage_falls_evenly_between_near_and_far() {
        assert_eq!(falloff(Some(&FALLOFF), 20.0), 0.75);
    }

    #[test]
    fn damage_falls_no_further_than_its_factor() {
        assert_eq!(falloff(Some(&FALLOFF), 500.0), 0.5);
    }

    #[test]
    fn running_and_jumping_widen_the_spread() {
        assert_eq!(spread_degrees(Some(&SPREAD), 0.0, 0.0, true, false), 1.0);
        assert_eq!(spread_degrees(Some(&SPREAD), 0.0, 0.5, true, false), 2.0);
        assert_eq!(spread_degrees(Some(&SPREAD), 0.0, 0.0, false, false), 5.0);
    }

    #[test]
    fn crouching_narrows_the_spread() {
        assert_eq!(spread_degrees(Some(&SPREAD), 1.0, 0.0, true, true), 1.0);
    }

    #[test]
    fn shots_stay_inside_their_cone() {
        let mut rng = SimRng::seeded(7);
        for _ in 0..1_000 {
            let shot = stray(Vec3::NEG_Z, 5.0, &mut rng);
            assert!(shot.dot(Vec3::NEG_Z) >= libm::cosf(5.01f32.to_radians()));
            assert!((shot.length() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn without_spread_no_chance_is_used() {
        let (mut rng, before) = (SimRng::seeded(7), SimRng::seeded(7));
        assert_eq!(stray(Vec3::X, 0.0, &mut rng), Vec3::X);
        assert_eq!(rng, before);
    }
}
