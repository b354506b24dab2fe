//! What players leave in the world for a while: turrets that shoot by themselves, shield walls, and areas that give effects.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};

use crate::abilities::{some_ticks, upright};
use crate::collide::MoverState;
use crate::effects::{Grant, Grants};
use crate::hitbox::{Scene, Source};
use crate::index::{Identity, Index, Kind, NextId};
use crate::input::angle_steps;
use crate::physics::Place;
use crate::players::Life;
use crate::rules::{Act, Area, Deploy, Rules, ShieldWall, Side};
use crate::simulation::RulesRef;
use crate::state::DescribeApp;
use crate::time::Clock;
use crate::weapons::{Pull, Pulls, spread_degrees};

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
const POINTS: Spec = Spec::new(0.0, 10_000.0, 1.0, Predictor::Hold, Audience::Everyone);
const SIZE: Spec = Spec::new(0.0, 50.0, 1.0 / 16.0, Predictor::Hold, Audience::Everyone);
const ANGLE: Spec = Spec::new(0.0, 65_535.0, 64.0, Predictor::Linear, Audience::Everyone);

/// How far off a turret's aim may be for it to shoot, in degrees: within its own spread.
const AIM_TOLERANCE_DEG: f32 = 4.0;

describe! {
    /// A turret. Its foot stands in [`Place`].
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Turret {
        /// The ability that set it up.
        pub ability: u8 => SMALL,
        /// Hit points left.
        pub health: f32 => POINTS,
        /// Where it looks, 1/65,536 of a turn.
        pub yaw: u16 => ANGLE,
        /// Tick at which it falls apart.
        pub until: u32,
        /// Tick from which it may shoot.
        pub ready_tick: u32,
        /// At whom it shoots.
        pub target: StableId,
    }

    /// A wall that stops the shots of enemies. Its centre stands in [`Place`].
    #[derive(Component, Debug, Clone, PartialEq)]
    #[component(on_remove = crate::hitbox::note_fallen_wall)]
    pub struct Wall {
        /// Across, in metres.
        pub width: f32 => SIZE,
        /// Upwards, in metres.
        pub height: f32 => SIZE,
        /// Hit points left.
        pub health: f32 => POINTS,
        /// Tick at which it falls.
        pub until: u32,
        /// Tick in which it was raised.
        pub raised: u32,
    }

    /// A place that gives an effect. Its centre stands in [`Place`].
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct AreaState {
        /// The ability that made it.
        pub ability: u8 => SMALL,
        /// How far it reaches, in metres.
        pub radius: f32 => SIZE,
        /// Tick at which it ends.
        pub until: u32,
        /// Tick at which it gives its effect next.
        pub next_tick: u32,
        /// The entity that made it, which it may follow.
        pub by: StableId,
    }
}

/// Turrets, walls and areas.
pub struct DeployablesPlugin;

impl Plugin for DeployablesPlugin {
    fn build(&self, app: &mut App) {
        app.describe::<Turret>()
            .describe::<Wall>()
            .describe::<AreaState>()
            .describe_resource::<crate::hitbox::FallenWalls>();
    }
}

/// The area that an ability makes, at once or where its projectile bursts.
pub fn area_of(rules: &Rules, ability: u8) -> Option<&Area> {
    match &rules.abilities.get(usize::from(ability))?.act {
        Act::Area(area) => Some(area),
        Act::Throw(throw) => throw.area.as_ref(),
        _ => None,
    }
}

/// Lets an area give its effect again in the ticks behind `tick` that it has already acted in.
pub(crate) fn wind_back(state: &mut AreaState, rules: &Rules, clock: &Clock, tick: u32) {
    let Some(area) = area_of(rules, state.ability) else { return };
    let interval = some_ticks(clock, area.interval_ms).max(1);
    while state.next_tick > tick + interval {
        state.next_tick -= interval;
    }
}

/// Makes an area. `channel_until` bounds the life of one that is channelled.
#[allow(clippy::too_many_arguments, reason = "what an area needs to be told")]
pub fn spawn_area(
    commands: &mut Commands<'_, '_>,
    next_id: &mut NextId,
    scene: &Scene<'_, '_>,
    at: Vec3,
    source: &Source,
    ability: u8,
    channel_until: Option<u32>,
) -> StableId {
    let Some(area) = area_of(&scene.rules, ability) else { return StableId::NONE };
    let now = scene.clock.tick;
    let until = now + some_ticks(&scene.clock, area.life_ms);
    let identity = next_id.make(Kind::Area, source.team, source.slot());
    let id = identity.id;
    commands.spawn((
        identity,
        upright(at, Quat::IDENTITY),
        AreaState {
            ability,
            radius: area.radius,
            until: channel_until.map_or(until, |end| until.min(end)),
            next_tick: now,
            by: source.id,
        },
    ));
    id
}

/// Raises a shield wall.
pub fn raise_wall(
    commands: &mut Commands<'_, '_>,
    next_id: &mut NextId,
    scene: &Scene<'_, '_>,
    (centre, rotation): (Vec3, Quat),
    source: &Source,
    rule: &ShieldWall,
) {
    commands.spawn((
        next_id.make(Kind::Shield, source.team, source.slot()),
        upright(centre, rotation),
        Wall {
            width: rule.width,
            height: rule.height,
            health: rule.health,
            until: scene.clock.tick + some_ticks(&scene.clock, rule.life_ms),
            raised: scene.clock.tick,
        },
    ));
}

/// Sets up a turret. The oldest of its owner goes if there is one too many.
#[allow(clippy::too_many_arguments, reason = "what a turret needs to be told")]
pub fn set_up_turret(
    commands: &mut Commands<'_, '_>,
    next_id: &mut NextId,
    scene: &Scene<'_, '_>,
    index: &Index,
    foot: Vec3,
    source: &Source,
    rule: &Deploy,
    (ability, yaw): (u8, u16),
) {
    let own = || scene.bodies.turrets.iter().filter(|turret| turret.owner == source.owner);
    if own().count() >= usize::from(rule.per_owner_max)
        && let Some(entity) = own().next().and_then(|oldest| index.entity(oldest.id))
    {
        commands.entity(entity).try_despawn();
    }
    let clock = &scene.clock;
    commands.spawn((
        next_id.make(Kind::Deployable, source.team, source.slot()),
        upright(foot, Quat::IDENTITY),
        Turret {
            ability,
            health: rule.health,
            yaw,
            until: clock.tick + some_ticks(clock, rule.life_ms),
            ready_tick: clock.tick + clock.ticks(rule.setup_ms),
            target: StableId::NONE,
        },
    ));
}

/// Turrets turn to the nearest enemy in sight and pull when they aim at them.
pub fn aim_turrets(
    scene: Scene<'_, '_>,
    index: Res<'_, Index>,
    mut pulls: ResMut<'_, Pulls>,
    mut turrets: Query<'_, '_, (&Identity, &Place, &mut Turret)>,
) {
    for &(id, entity) in index.of(Kind::Deployable) {
        let Ok((identity, place, mut turret)) = turrets.get_mut(entity) else { continue };
        let Some(Act::Deploy(rule)) = scene.rules.abilities.get(usize::from(turret.ability)).map(|it| &it.act) else {
            continue;
        };
        if scene.clock.tick < turret.ready_tick && turret.target == StableId::NONE {
            continue;
        }
        let source = Source { id, owner: identity.owner, team: identity.team };
        let muzzle = place.position + Vec3::Y * rule.height;
        let mut best: Option<(f32, StableId, Vec3)> = None;
        for body in scene.bodies.near(muzzle - Vec3::Y * 1.1, rule.range) {
            if !source.hostile(body.team, body.owner) {
                continue;
            }
            let middle = body.now.position + Vec3::Y * 1.1;
            let distance = middle.distance(muzzle);
            let nearer = distance <= rule.range && best.is_none_or(|(nearest, ..)| distance < nearest);
            if nearer && scene.solids.world().sees(muzzle, middle) {
                best = Some((distance, body.id, middle));
            }
        }
        turret.target = best.map_or(StableId::NONE, |(_, id, _)| id);
        let Some((distance, _, middle)) = best else { continue };
        let aim = (middle - muzzle) / distance.max(0.01);
        let (wanted, _) = angle_steps(libm::atan2f(-aim.x, -aim.z), 0.0);
        let off = wanted.wrapping_sub(turret.yaw) as i16;
        let steps = |degrees: f32| (degrees * (65_536.0 / 360.0)).min(32_767.0) as i16;
        let step = steps(rule.turn_deg_per_second * scene.clock.dt);
        turret.yaw = turret.yaw.wrapping_add(off.clamp(-step, step) as u16);
        let left = wanted.wrapping_sub(turret.yaw) as i16;
        if scene.clock.tick >= turret.ready_tick && left.unsigned_abs() <= steps(AIM_TOLERANCE_DEG).unsigned_abs() {
            let weapon = &scene.rules.weapons[rule.weapon.index()];
            turret.ready_tick = scene.clock.tick + scene.clock.ticks(weapon.interval_ms);
            pulls.0.push(Pull {
                source,
                weapon: rule.weapon.number(),
                from: muzzle,
                aim,
                spread_deg: spread_degrees(weapon.spread.as_ref(), 0.0, 0.0, true, false),
                seen: None,
                fresh: true,
                luck: None,
            });
        }
    }
}

/// Turrets, walls and areas whose time is over go.
pub fn age(
    clock: Res<'_, Clock>,
    index: Res<'_, Index>,
    mut commands: Commands<'_, '_>,
    turrets: Query<'_, '_, &Turret>,
    walls: Query<'_, '_, &Wall>,
    areas: Query<'_, '_, &AreaState>,
) {
    for kind in [Kind::Deployable, Kind::Shield, Kind::Area] {
        for &(_, entity) in index.of(kind) {
            let until = match kind {
                Kind::Deployable => turrets.get(entity).map(|it| it.until),
                Kind::Shield => walls.get(entity).map(|it| it.until),
                _ => areas.get(entity).map(|it| it.until),
            };
            if until.is_ok_and(|until| clock.tick >= until) {
                commands.entity(entity).try_despawn();
            }
        }
    }
}

/// Areas follow who made them and give their effect.
#[allow(clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
pub fn act_areas(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    bodies: Res<'_, crate::hitbox::Bodies>,
    index: Res<'_, Index>,
    mut grants: ResMut<'_, Grants>,
    mut areas: Query<'_, '_, (&Identity, &mut Place, &mut AreaState)>,
    players: Query<'_, '_, (&Life, &MoverState)>,
) {
    for &(_, entity) in index.of(Kind::Area) {
        let Ok((identity, mut place, mut state)) = areas.get_mut(entity) else { continue };
        let Some(area) = area_of(&rules, state.ability) else { continue };
        if area.follows
            && let Some((_, owner)) = index.entity(state.by).and_then(|owner| players.get(owner).ok())
        {
            place.position = owner.position;
        }
        if clock.tick < state.next_tick {
            continue;
        }
        state.next_tick = clock.tick + some_ticks(&clock, area.interval_ms);
        let source = Source { id: state.by, owner: identity.owner, team: identity.team };
        for body in bodies.near(place.position - Vec3::Y * 0.9, area.radius) {
            let middle = body.now.position + Vec3::Y * 0.9;
            let hostile = source.hostile(body.team, body.owner);
            let concerned = match area.side {
                Side::Friends => !hostile,
                Side::Enemies => hostile,
                Side::All => true,
            };
            if concerned && middle.distance_squared(place.position) <= area.radius * area.radius {
                grants.0.push(Grant { target: body.id, source, effect: area.effect.number() });
            }
        }
    }
}
