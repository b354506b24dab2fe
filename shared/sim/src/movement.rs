//! Players move: inputs become wishes, the mover turns wishes into places, triggers and kill volumes are looked up, and the
//! pose is noted for lag compensation.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use arrayvec::ArrayVec;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::Vec3;

use crate::collide::{MoverParams, MoverState, MoverWish, Push, Separation, move_character};
use crate::hitbox::{Shown, ViewTime};
use crate::index::Index;
use crate::input::{Input, button};
use crate::map::TriggerAction;
use crate::physics::{Impulse, Impulses, Solids};
use crate::players::{Controls, Life, Player, PlayerHooksApp, PoseHistory, PoseSample, Tuning};
use crate::rules::{Movement, Rules};
use crate::simulation::{MapRef, RulesRef};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::Clock;

const FACTOR: Spec = Spec::new(0.0, 4.0, 1.0 / 64.0, Predictor::Hold, Audience::Owner);
const FLAG: Spec = Spec::new(0.0, 1.0, 1.0, Predictor::Hold, Audience::Owner);
const TICK: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Owner);
const SPEED: Spec = Spec::new(-64.0, 64.0, 1.0 / 64.0, Predictor::Hold, Audience::Owner);

describe! {
    /// What effects and abilities do to a player's movement. Written by them, read by the next tick's movement.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Mobility {
        /// Multiplies the speed.
        pub speed: f32 => FACTOR,
        /// Cannot walk or jump.
        pub rooted: bool => FLAG,
        /// Until this tick the velocity is `forced`, whatever is intended: a dash.
        pub forced_until: u32 => TICK,
        /// That velocity in m/s.
        pub forced: Vec3 => SPEED,
    }
}

/// Who is made room for is looked for as far away as this speed in m/s carries since they were seen: as fast as the dashes of
/// the house. Who is faster is not in the way any more.
const SEEN_SPEED_MAX: f32 = 24.0;

/// Players that are in a kill volume this tick, by slot.
#[derive(Resource, Debug, Default)]
pub struct Doomed(pub Vec<StableId>);

/// Players that are in a trigger with an effect this tick, with the trigger's number, by slot.
#[derive(Resource, Debug, Default)]
pub struct Triggered(pub Vec<(StableId, u16)>);

/// Memory of the separation of players, kept for its capacity only.
#[derive(Resource, Default)]
struct Crowd(Separation<InTheWay>);

/// Whoever may stand in one's way, by where one sees them.
#[derive(Debug, Clone, Copy)]
enum InTheWay {
    /// Simulated here: seen in the past.
    Simulated(Entity),
    /// Shown to who predicts, at this place.
    Shown(Vec3),
}

/// Movement of players.
pub struct MovementPlugin;

impl Plugin for MovementPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Doomed>()
            .init_resource::<Triggered>()
            .init_resource::<Crowd>()
            .describe::<MoverState>()
            .describe::<Mobility>()
            .on_join(|world, player| {
                let mobility = Mobility { speed: 1.0, ..Mobility::default() };
                world.entity_mut(player).insert((MoverState::default(), mobility));
            })
            .on_spawn(|world, player, position, _| {
                let mobility = Mobility { speed: 1.0, ..Mobility::default() };
                world.entity_mut(player).insert((MoverState { position, ..MoverState::default() }, mobility));
            })
            .add_systems(Tick, (move_players, touch_volumes, note_poses).chain().in_set(TickSet::Movement));
    }
}

/// The mover's numbers from the rules, before any effect.
pub fn params(rules: &Movement) -> MoverParams {
    MoverParams {
        radius: rules.radius,
        height: rules.height,
        crouch_height: rules.crouch_height,
        acceleration: rules.acceleration,
        friction: rules.friction,
        stop_speed: rules.stop_speed,
        air_control: rules.air_control,
        gravity: rules.gravity,
        jump_speed: rules.jump_speed,
        fall_speed_max: rules.fall_speed_max,
        step_height: rules.step_height,
        slope_max: rules.slope_max_deg.to_radians(),
        ground_snap: rules.ground_snap,
        coyote: rules.coyote_ms as f32 * 0.001,
        jump_buffer: rules.jump_buffer_ms as f32 * 0.001,
    }
}

/// What an input asks of the mover: the one place where client and server turn one into the other.
pub fn wish(rules: &Movement, input: &Input, mobility: &Mobility, speed: f32, tick: u32) -> MoverWish {
    let (sin, cos) = libm::sincosf(input.yaw_radians());
    let right = f32::from(input.move_right.max(-127)) / 127.0;
    let forward = f32::from(input.move_forward.max(-127)) / 127.0;
    let mut direction = Vec3::new(right * cos - forward * sin, 0.0, -right * sin - forward * cos);
    // Diagonals are not faster; a stick that is half pushed stays half.
    if direction.length_squared() > 1.0 {
        direction = direction.normalize();
    }
    let crouch = input.holds(button::CROUCH);
    let slow = if crouch { rules.crouch_speed_factor } else { 1.0 };
    let free = if mobility.rooted { 0.0 } else { 1.0 };
    MoverWish {
        velocity: direction * (rules.max_speed * speed * mobility.speed * slow * free),
        jump: input.holds(button::JUMP) && !mobility.rooted,
        crouch,
        displacement: Vec3::ZERO,
        forced: (tick < mobility.forced_until).then_some(mobility.forced),
    }
}

/// The time at which a player sees the others in this tick; the newest for who sees nothing.
fn view_of(input: &Input, clock: &Clock, rules: &Rules) -> ViewTime {
    let newest = clock.tick - 1;
    if input.view_tick == 0 || input.view_tick >= newest {
        return ViewTime { tick: newest, fraction: 0 };
    }
    ViewTime { tick: input.view_tick, fraction: input.view_fraction }.rewound(clock, rules)
}

#[allow(clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
fn move_players(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    tuning: Res<'_, Tuning>,
    index: Res<'_, Index>,
    solids: Res<'_, Solids>,
    shown: Option<Res<'_, Shown>>,
    mut crowd: ResMut<'_, Crowd>,
    mut impulses: ResMut<'_, Impulses>,
    histories: Query<'_, '_, &PoseHistory>,
    mut players: Query<'_, '_, (&Player, &Controls, &Life, &Mobility, &mut MoverState)>,
) {
    let mut params = params(&rules.movement);
    params.gravity *= tuning.gravity;
    let world = solids.world();
    crowd.0.clear();
    // Whoever has died stands in the way of those who still see them stand.
    let rewind = clock.ticks(rules.combat.rewind_max_ms);
    let stands = |life: &Life| life.alive || clock.tick <= life.died_tick.saturating_add(rewind);
    for (_, id, entity) in index.players() {
        if let Ok((_, _, life, _, state)) = players.get(entity)
            && stands(life)
        {
            crowd.0.push(id, state.position, params.radius, InTheWay::Simulated(entity));
        }
    }
    for other in shown.iter().flat_map(|shown| &shown.players) {
        crowd.0.push(other.body.id, other.stands, params.radius, InTheWay::Shown(other.stands));
    }
    crowd.0.sort();
    for (_, id, entity) in index.players() {
        let Ok((player, controls, life, mobility, mut state)) = players.get_mut(entity) else { continue };
        if !life.alive {
            continue;
        }
        let speed = rules.hero(player.hero).speed_factor * tuning.speed;
        let mut wish = wish(&rules.movement, &controls.input, mobility, speed, clock.tick);
        let view = view_of(&controls.input, &clock, &rules);
        let seen = |other: InTheWay| match other {
            InTheWay::Shown(stands) => Some(stands),
            // Who only predicts knows of others what it was shown.
            InTheWay::Simulated(_) if shown.is_some() => None,
            InTheWay::Simulated(other) => {
                let pose = histories.get(other).ok()?.at(view.tick, view.fraction, clock.tick - 1)?;
                pose.alive.then_some(pose.position)
            }
        };
        let moved = (clock.tick - view.tick) as f32 * clock.dt * SEEN_SPEED_MAX;
        wish.displacement = crowd.0.displacement(id, clock.dt, moved, seen);
        let mut pushes: ArrayVec<Push, 16> = ArrayVec::new();
        move_character(&world, &params, &mut state, &wish, clock.dt, &mut pushes);
        for push in pushes {
            // A player pushes with their weight's momentum, but never harder than the rules allow.
            let limit = rules.movement.push_force_max * clock.dt;
            let impulse = (push.velocity * rules.movement.mass).clamp_length_max(limit);
            impulses.push(Impulse { id: push.id, point: push.point, impulse });
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
fn touch_volumes(
    map: Res<'_, MapRef>,
    index: Res<'_, Index>,
    mut doomed: ResMut<'_, Doomed>,
    mut triggered: ResMut<'_, Triggered>,
    mut players: Query<'_, '_, (&Life, &mut MoverState, &mut PoseHistory)>,
) {
    doomed.0.clear();
    triggered.0.clear();
    let bounds = map.bounds;
    for (_, id, entity) in index.players() {
        let Ok((life, mut state, mut history)) = players.get_mut(entity) else { continue };
        if !life.alive {
            continue;
        }
        let body = state.position + Vec3::Y * 0.5;
        let below = state.position.y < bounds.centre.y - bounds.half.y - 20.0;
        if below || map.kill_volumes.iter().any(|volume| volume.contains(body)) {
            doomed.0.push(id);
        }
        for (number, trigger) in map.triggers.iter().enumerate() {
            if !trigger.volume.contains(body) {
                continue;
            }
            match &trigger.action {
                TriggerAction::Launch(velocity) => {
                    state.velocity = *velocity;
                    state.grounded = false;
                }
                TriggerAction::Teleport(to) => {
                    state.position = *to;
                    state.grounded = false;
                    history.reset(PoseSample { position: *to, alive: true, ..PoseSample::default() });
                }
                TriggerAction::Effect(_) => triggered.0.push((id, number as u16)),
            }
        }
    }
}

fn note_poses(
    clock: Res<'_, Clock>,
    index: Res<'_, Index>,
    mut players: Query<'_, '_, (&Controls, &Life, &MoverState, &mut PoseHistory)>,
) {
    for (_, _, entity) in index.players() {
        let Ok((controls, life, state, mut history)) = players.get_mut(entity) else { continue };
        let sample = PoseSample {
            position: state.position,
            yaw: controls.input.yaw,
            crouched: state.crouched,
            alive: life.alive,
        };
        history.note(clock.tick, sample);
    }
}
