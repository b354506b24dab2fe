//! Players: joining, leaving, what they intend this tick, whether they live, and where they were a moment ago.

use arbiter_schema::{Audience, Predictor, Spec, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::Vec3;

use crate::event::DomainEvent;
use crate::index::{Identity, Index, Kind, NextId};
use crate::input::{Admin, Command, Input, Knob, LeaveReason, Loadout, button};
use crate::simulation::{Events, MatchSetup, RulesRef, TickCommands};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::Clock;
use crate::told::Told;

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
const FLAG: Spec = Spec::new(0.0, 1.0, 1.0, Predictor::Hold, Audience::Everyone);
const TICK_FOR_OWNER: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Owner);
const ANGLE: Spec = Spec::new(0.0, 65_535.0, 1.0, Predictor::Linear, Audience::Everyone);
const PITCH: Spec = Spec::new(-16_384.0, 16_384.0, 1.0, Predictor::Linear, Audience::Everyone);
const FACTOR: Spec = Spec::new(0.0, 4.0, 1.0 / 256.0, Predictor::Hold, Audience::Everyone);
const TALLY: Spec = Spec::new(0.0, 65_535.0, 1.0, Predictor::Hold, Audience::Everyone);
const SCORE: Spec = Spec::new(-1_000_000.0, 1_000_000.0, 1.0, Predictor::Hold, Audience::Everyone);

/// Ticks of pose history: 250 ms at 128 Hz and the two neighbours that interpolation needs.
pub const HISTORY_TICKS: usize = 34;

describe! {
    /// Who a player is.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Player {
        /// Hero by number in the rules.
        pub hero: u8 => SMALL,
        /// Tick of joining.
        pub joined_tick: u32,
        /// Ticks in a row without anything intended.
        pub idle_ticks: u32,
    }

    /// What a player intends this tick.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Controls {
        /// This tick's input.
        pub input: Input,
        /// Buttons of the tick before, to find presses.
        pub held_before: u16,
        /// Whether the server made this input up.
        pub substituted: bool,
    }

    /// Where a player looks, as others see it.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Look {
        /// 1/65,536 of a turn.
        pub yaw: u16 => ANGLE,
        /// 1/65,536 of a turn.
        pub pitch: i16 => PITCH,
    }

    /// Whether a player lives.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Life {
        /// Alive.
        pub alive: bool => FLAG,
        /// Tick of the last death.
        pub died_tick: u32,
        /// Tick of the last spawn.
        pub spawned_tick: u32,
        /// Tick at which they come back, while dead; `u32::MAX` waits for the next round.
        pub respawn_tick: u32 => TICK_FOR_OWNER,
        /// Nothing hurts them before this tick.
        pub protected_until: u32,
    }

    /// What a player did in this match.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Tally {
        /// Enemies killed.
        pub kills: u16 => TALLY,
        /// Deaths.
        pub deaths: u16 => TALLY,
        /// Kills helped with.
        pub assists: u16 => TALLY,
        /// Points taken.
        pub captures: u16 => TALLY,
        /// Points of this round where each plays alone.
        pub score: i32 => SCORE,
        /// Kills since the last death.
        pub streak: u16,
        /// Hit points taken from enemies.
        pub damage: f32,
        /// Hit points given to friends.
        pub healing: f32,
    }

    /// One remembered pose.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct PoseSample {
        /// The feet.
        pub position: Vec3,
        /// 1/65,536 of a turn.
        pub yaw: u16,
        /// Crouched.
        pub crouched: bool,
        /// Alive; the dead cannot be hit in the past either.
        pub alive: bool,
    }

    /// Poses of the last ticks, for lag compensation: the pose of tick t stands at t modulo [`HISTORY_TICKS`].
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct PoseHistory {
        /// The ring.
        pub samples: Ring,
    }

    /// What an administrator has re-tuned.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct Tuning {
        /// All damage is multiplied by this.
        pub damage: f32,
        /// All healing.
        pub heal: f32,
        /// Speed of all players.
        pub speed: f32 => FACTOR,
        /// Gravity.
        pub gravity: f32 => FACTOR,
        /// Seconds between respawn waves.
        pub respawn: f32,
    }
}

/// A ring of poses with a default, which arrays of this length lack.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring(pub [PoseSample; HISTORY_TICKS]);

impl Default for Ring {
    fn default() -> Self {
        Self(core::array::from_fn(|_| PoseSample::default()))
    }
}

impl arbiter_schema::Value for Ring {
    const TYPE: &'static str = "Ring";
    fn write<S: arbiter_schema::Sink>(&self, sink: &mut S) {
        self.0.write(sink);
    }
    fn read(from: &mut arbiter_schema::Reader<'_>) -> Result<Self, arbiter_schema::DecodeError> {
        Ok(Self(arbiter_schema::Value::read(from)?))
    }
}

impl Controls {
    /// Whether one of `bits` is held now and was not the tick before.
    pub fn pressed(&self, bits: u16) -> bool {
        self.input.buttons & !self.held_before & bits != 0
    }
}

impl PoseSample {
    /// The pose `fraction / 256` of the way to that of the next tick. A body that jumped (respawn, teleport) is not drawn out
    /// between two places.
    pub fn towards(&self, next: &Self, fraction: u8) -> Self {
        if next.position.distance_squared(self.position) > 4.0 || self.alive != next.alive {
            return *self;
        }
        let part = f32::from(fraction) / 256.0;
        let turn = next.yaw.wrapping_sub(self.yaw) as i16;
        let yaw = self.yaw.wrapping_add((f32::from(turn) * part) as i16 as u16);
        Self { position: self.position.lerp(next.position, part), yaw, ..*self }
    }
}

impl PoseHistory {
    /// The pose at `tick + fraction / 256`, or `None` where the history does not reach. `now` is the running tick, whose
    /// pose is the newest.
    pub fn at(&self, tick: u32, fraction: u8, now: u32) -> Option<PoseSample> {
        if tick > now || now - tick >= HISTORY_TICKS as u32 {
            return None;
        }
        let one = self.samples.0[tick as usize % HISTORY_TICKS];
        if fraction == 0 || tick == now {
            return Some(one);
        }
        Some(one.towards(&self.samples.0[(tick + 1) as usize % HISTORY_TICKS], fraction))
    }

    /// Notes the pose of a tick.
    pub fn note(&mut self, tick: u32, sample: PoseSample) {
        self.samples.0[tick as usize % HISTORY_TICKS] = sample;
    }

    /// Who stood when the pose of a tick was noted died in it: they are told as dead from this tick on.
    pub fn die(&mut self, tick: u32) {
        self.samples.0[tick as usize % HISTORY_TICKS].alive = false;
    }

    /// Forgets everything but `sample`, for a body that was put somewhere else.
    pub fn reset(&mut self, sample: PoseSample) {
        self.samples.0 = [sample; HISTORY_TICKS];
    }
}

/// Functions that plugins run on players, so that a new domain gives its components in one place.
#[derive(Resource, Default)]
pub struct PlayerHooks {
    joins: Vec<fn(&mut World, Entity)>,
    spawns: Vec<fn(&mut World, Entity, Vec3, f32)>,
}

/// Adds hooks to an app.
pub trait PlayerHooksApp {
    /// `hook` runs when a player joins, before the first spawn: insert your components there.
    fn on_join(&mut self, hook: fn(&mut World, Entity)) -> &mut Self;
    /// `hook` runs when a player is put into the world, with the feet and the yaw in radians: reset your components there.
    fn on_spawn(&mut self, hook: fn(&mut World, Entity, Vec3, f32)) -> &mut Self;
}

impl PlayerHooksApp for App {
    fn on_join(&mut self, hook: fn(&mut World, Entity)) -> &mut Self {
        self.world_mut().get_resource_or_init::<PlayerHooks>().joins.push(hook);
        self
    }
    fn on_spawn(&mut self, hook: fn(&mut World, Entity, Vec3, f32)) -> &mut Self {
        self.world_mut().get_resource_or_init::<PlayerHooks>().spawns.push(hook);
        self
    }
}

/// Joining, leaving, administration, re-tuning and inputs.
pub struct PlayersPlugin;

impl Plugin for PlayersPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<PlayerHooks>()
            .insert_resource(Tuning { damage: 1.0, heal: 1.0, speed: 1.0, gravity: 1.0, respawn: 1.0 })
            .describe::<Player>()
            .describe::<Controls>()
            .describe::<Look>()
            .describe::<Life>()
            .describe::<Tally>()
            .describe::<PoseHistory>()
            .describe_resource::<Tuning>()
            .on_spawn(come_to_life)
            .add_systems(Tick, apply_commands.in_set(TickSet::Commands))
            .add_systems(Tick, watch_idle.in_set(TickSet::Inputs));
    }
}

/// Puts a player into the world, alive.
pub fn spawn_player(world: &mut World, player: Entity, position: Vec3, yaw: f32) {
    // The hooks are moved out for the loop, since each may touch the whole world.
    let hooks = core::mem::take(&mut world.resource_mut::<PlayerHooks>().spawns);
    for hook in &hooks {
        hook(world, player, position, yaw);
    }
    world.resource_mut::<PlayerHooks>().spawns = hooks;
}

fn come_to_life(world: &mut World, player: Entity, position: Vec3, yaw: f32) {
    let tick = world.resource::<Clock>().tick;
    let (yaw, _) = crate::input::angle_steps(yaw, 0.0);
    if let Some(mut life) = world.get_mut::<Life>(player) {
        life.alive = true;
        life.spawned_tick = tick;
    }
    if let Some(mut history) = world.get_mut::<PoseHistory>(player) {
        history.reset(PoseSample { position, yaw, crouched: false, alive: true });
    }
}

fn apply_commands(world: &mut World) {
    for entity in world.resource::<Index>().player_entities() {
        if let Some(mut controls) = world.get_mut::<Controls>(entity) {
            controls.held_before = controls.input.buttons;
            // Who sends nothing keeps still and keeps looking: edge and fire buttons must not repeat by themselves.
            let (yaw, pitch) = (controls.input.yaw, controls.input.pitch);
            controls.input = Input { yaw, pitch, ..Input::default() };
            controls.substituted = true;
        }
    }
    let commands = core::mem::take(&mut world.resource_mut::<TickCommands>().0);
    for command in &commands {
        match *command {
            Command::Join { slot, loadout } => join(world, slot, loadout),
            Command::Leave { slot, reason } => {
                world.resource_mut::<Told>().forget(slot);
                leave(world, slot, reason);
            }
            Command::Input { slot, input, substituted } => note_input(world, slot, input, substituted),
            Command::Told { slot, group, toggled } => world.resource_mut::<Told>().toggle(slot, group, toggled),
            Command::Admin(admin) => administrate(world, admin),
            Command::Retune { knob, value } => retune(world, knob, value),
        }
    }
    world.resource_mut::<TickCommands>().0 = commands;
}

fn join(world: &mut World, slot: u16, loadout: Loadout) {
    let setup = world.resource::<MatchSetup>();
    if slot >= setup.players_max || world.resource::<Index>().slot(slot).is_some() {
        return;
    }
    let heroes = world.resource::<RulesRef>().heroes.len();
    let hero = if usize::from(loadout.hero) < heroes { loadout.hero } else { 0 };
    let team = choose_team(world, loadout.team);
    let tick = world.resource::<Clock>().tick;
    let identity = world.resource_mut::<NextId>().make(Kind::Player, team, Some(slot));
    let respawn_tick = if crate::modes::may_enter(world) { tick } else { u32::MAX };
    let player = world
        .spawn((
            identity,
            Player { hero, joined_tick: tick, idle_ticks: 0 },
            Controls::default(),
            Look::default(),
            // Dead until the mode puts them somewhere: at once, or with the next round where there is no backfill.
            Life { respawn_tick, ..Life::default() },
            Tally::default(),
            PoseHistory::default(),
        ))
        .id();
    let hooks = core::mem::take(&mut world.resource_mut::<PlayerHooks>().joins);
    for hook in &hooks {
        hook(world, player);
    }
    world.resource_mut::<PlayerHooks>().joins = hooks;
    world.resource_mut::<Events>().0.push(DomainEvent::PlayerJoined { slot, team, hero });
}

/// The wished team if it has no more players than the smallest, else the smallest, the first of equals; 0 where each plays
/// alone.
fn choose_team(world: &mut World, wished: u8) -> u8 {
    let teams = world.resource::<MatchSetup>().teams;
    if teams == 0 {
        return 0;
    }
    let mut sizes = [0u32; 256];
    for (_, _, entity) in world.resource::<Index>().players() {
        let team = world.get::<Identity>(entity).map_or(0, |identity| identity.team);
        sizes[usize::from(team)] += 1;
    }
    let smallest = (1..=teams).min_by_key(|team| sizes[usize::from(*team)]).unwrap_or(1);
    let fits = (1..=teams).contains(&wished) && sizes[usize::from(wished)] <= sizes[usize::from(smallest)];
    if fits { wished } else { smallest }
}

fn leave(world: &mut World, slot: u16, reason: LeaveReason) {
    let Some(player) = world.resource::<Index>().slot(slot) else { return };
    world.despawn(player);
    // What belonged to them goes with them, in stable order.
    let owned = |world: &World, entity: Entity| world.get::<Identity>(entity).is_some_and(|it| it.slot() == Some(slot));
    let orphan = |world: &World| {
        let mut all = world.resource::<Index>().all().iter();
        all.find(|(_, entity)| owned(world, *entity)).map(|entry| entry.1)
    };
    while let Some(orphan) = orphan(world) {
        world.despawn(orphan);
    }
    world.resource_mut::<Events>().0.push(DomainEvent::PlayerLeft { slot, reason });
}

fn note_input(world: &mut World, slot: u16, input: Input, substituted: bool) {
    let clock = world.resource::<Clock>();
    let now = clock.tick;
    // Outside, ticks are counted through pauses; the history is not.
    let view_tick = input.view_tick.saturating_sub(clock.number - clock.tick);
    let Some(player) = world.resource::<Index>().slot(slot) else { return };
    let Some(mut controls) = world.get_mut::<Controls>(player) else { return };
    controls.substituted = substituted;
    controls.input = Input {
        buttons: input.buttons & button::ALL,
        pitch: input.pitch.clamp(-16_384, 16_384),
        // A tick that the history does not hold is taken as the oldest it holds; the server has clamped it before.
        view_tick: view_tick.clamp(now.saturating_sub(HISTORY_TICKS as u32 - 2), now),
        ..input
    };
}

fn administrate(world: &mut World, admin: Admin) {
    match admin {
        Admin::Pause => world.resource_mut::<Clock>().paused = world.resource::<MatchSetup>().pause_allowed,
        Admin::Resume => world.resource_mut::<Clock>().paused = false,
        Admin::End => crate::modes::end_now(world),
        Admin::AddScore { team, points } => crate::modes::add_score(world, team, points),
    }
}

fn retune(world: &mut World, knob: Knob, value: f32) {
    let clamp = |low: f32, high: f32| if value >= low { value.min(high) } else { low };
    let mut tuning = world.resource_mut::<Tuning>();
    match knob {
        Knob::DamageScale => tuning.damage = clamp(0.0, 10.0),
        Knob::HealScale => tuning.heal = clamp(0.0, 10.0),
        Knob::SpeedScale => tuning.speed = clamp(0.1, 4.0),
        Knob::GravityScale => tuning.gravity = clamp(0.1, 4.0),
        Knob::RespawnScale => tuning.respawn = clamp(0.0, 10.0),
    }
}

fn watch_idle(
    setup: Res<'_, MatchSetup>,
    index: Res<'_, Index>,
    mut events: ResMut<'_, Events>,
    mut players: Query<'_, '_, (&mut Player, &Controls, &mut Look)>,
) {
    for (slot, _, entity) in index.players() {
        let Ok((mut player, controls, mut look)) = players.get_mut(entity) else { continue };
        let input = controls.input;
        let still = input.buttons == 0 && input.move_right == 0 && input.move_forward == 0;
        let turned = look.yaw != input.yaw || look.pitch != input.pitch;
        player.idle_ticks = if still && !turned { player.idle_ticks.saturating_add(1) } else { 0 };
        if setup.idle_ticks > 0 && player.idle_ticks == setup.idle_ticks {
            events.0.push(DomainEvent::IdleDetected { slot });
        }
        *look = Look { yaw: input.yaw, pitch: input.pitch };
    }
}
