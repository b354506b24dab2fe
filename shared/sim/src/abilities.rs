//! Abilities: charges and cooldowns, casts and channels, and what each built-in act does. Uses of an [`Act::Custom`] ability
//! are left in [`Uses`] for a studio's plugin.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};

use crate::collide::MoverState;
use crate::deployables::{self, set_up_turret, spawn_area};
use crate::effects::{Afflictions, Grant, Grants};
use crate::event::{Cause, Cue, Part};
use crate::hitbox::{Scene, Source, ViewTime};
use crate::index::{Identity, Index, NextId};
use crate::input::{Input, button};
use crate::movement::Mobility;
use crate::physics::Place;
use crate::players::{Controls, Life, Player, PlayerHooksApp};
use crate::projectiles::{Origin, send};
use crate::rules::{ABILITIES_PER_HERO_MAX, Act, Dash, Rules};
use crate::simulation::{Cues, RulesRef};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::Clock;
use crate::vitals::{Damage, DamageQueue};
use crate::weapons::{eye, sweep};

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
const CHARGES: Spec = Spec::new(0.0, 15.0, 1.0, Predictor::Hold, Audience::Owner);
const OWN: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Owner);
const TICK: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Owner);

describe! {
    /// A player's abilities. They follow the order of the hero's list.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Kit {
        /// Uses that are ready.
        pub charges: [u8; ABILITIES_PER_HERO_MAX] => CHARGES,
        /// Tick at which the next charge is back; 0 when all are there.
        pub recharge_tick: [u32; ABILITIES_PER_HERO_MAX] => TICK,
        /// Number + 1 in the rules of what is cast or channelled; 0 is nothing.
        pub acting: u8 => SMALL,
        /// Its place in the hero's list.
        pub acting_slot: u8 => OWN,
        /// Tick at which the cast is done.
        pub cast_tick: u32 => TICK,
        /// Tick at which the channel ends; 0 while it is still a cast.
        pub channel_tick: u32 => TICK,
        /// The area that the channel keeps up.
        pub channelled: StableId,
    }
}

/// A use of an ability that no built-in act does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Use {
    /// Whose.
    pub source: Source,
    /// Ability by number in the rules.
    pub ability: u8,
    /// From where: the eye.
    pub from: Vec3,
    /// Where to, a unit vector.
    pub aim: Vec3,
}

/// Uses of this tick that wait for a studio's plugin, by slot. Made anew each tick.
#[derive(Resource, Debug, Default)]
pub struct Uses(pub Vec<Use>);

/// Parts of [`TickSet::Abilities`], in order.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbilitySet {
    /// Casts are done, built-in acts too, and other uses stand in [`Uses`] behind it.
    Use,
    /// Where a studio's plugin takes the uses of its own acts.
    Custom,
    /// What was left in the world acts and ages.
    Act,
}

/// Abilities.
pub struct AbilitiesPlugin;

impl Plugin for AbilitiesPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Uses>()
            .describe::<Kit>()
            .on_join(|world, player| {
                world.entity_mut(player).insert(Kit::default());
            })
            .on_spawn(refill)
            .init_resource::<Cleansings>()
            .configure_sets(
                Tick,
                (AbilitySet::Use, AbilitySet::Custom, AbilitySet::Act).chain().in_set(TickSet::Abilities),
            )
            .add_systems(Tick, (use_abilities, cleanse).chain().in_set(AbilitySet::Use))
            .add_systems(Tick, (deployables::age, deployables::act_areas).chain().in_set(AbilitySet::Act));
    }
}

/// Cleansings of this tick, in order. Empty between ticks.
#[derive(Resource, Debug, Default)]
pub struct Cleansings(pub(crate) Vec<(Source, u8, Vec3, f32)>);

fn refill(world: &mut World, player: Entity, _: Vec3, _: f32) {
    let Some(hero) = world.get::<Player>(player).map(|player| player.hero) else { return };
    let rules = world.resource::<RulesRef>().0.clone();
    let mut kit = Kit::default();
    for (slot, link) in rules.hero(hero).abilities.iter().take(ABILITIES_PER_HERO_MAX).enumerate() {
        kit.charges[slot] = rules.abilities[link.index()].charges;
    }
    if let Some(mut old) = world.get_mut::<Kit>(player) {
        *old = kit;
    }
}

impl Kit {
    /// Whether a cast or channel keeps the hands busy.
    pub fn busy(&self) -> bool {
        self.acting != 0
    }

    /// What a cast or channel multiplies speed by.
    pub fn speed_factor(&self, rules: &Rules) -> f32 {
        let acting = usize::from(self.acting).checked_sub(1).and_then(|number| rules.abilities.get(number));
        acting.map_or(1.0, |ability| ability.speed_factor)
    }

    /// Gives back charges whose time has come.
    pub fn recharge(&mut self, slot: usize, charges_max: u8, cooldown_ticks: u32, tick: u32) {
        if self.recharge_tick[slot] != 0 && tick >= self.recharge_tick[slot] {
            self.charges[slot] = (self.charges[slot] + 1).min(charges_max);
            let more = self.charges[slot] < charges_max;
            self.recharge_tick[slot] = if more { tick + cooldown_ticks } else { 0 };
        }
    }

    /// Spends a charge; its time starts unless one is on its way already.
    pub fn spend(&mut self, slot: usize, cooldown_ticks: u32, tick: u32) {
        self.charges[slot] = self.charges[slot].saturating_sub(1);
        if self.recharge_tick[slot] == 0 {
            self.recharge_tick[slot] = tick + cooldown_ticks;
        }
    }

    fn stop(&mut self) {
        (self.acting, self.acting_slot, self.cast_tick, self.channel_tick) = (0, 0, 0, 0);
        self.channelled = StableId::NONE;
    }
}

#[allow(clippy::type_complexity, clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
fn use_abilities(
    scene: Scene<'_, '_>,
    index: Res<'_, Index>,
    mut next_id: ResMut<'_, NextId>,
    mut damage: ResMut<'_, DamageQueue>,
    mut grants: ResMut<'_, Grants>,
    mut uses: ResMut<'_, Uses>,
    mut cleansings: ResMut<'_, Cleansings>,
    mut cues: ResMut<'_, Cues>,
    mut commands: Commands<'_, '_>,
    mut players: Query<
        '_,
        '_,
        (&Identity, &Player, &Controls, &Life, &MoverState, &Afflictions, &mut Kit, &mut Mobility),
    >,
) {
    uses.0.clear();
    let clock = &scene.clock;
    let now = clock.tick;
    for (_, id, entity) in index.players() {
        let Ok((identity, player, controls, life, state, afflictions, mut kit, mut mobility)) = players.get_mut(entity)
        else {
            continue;
        };
        let abilities = &scene.rules.hero(player.hero).abilities;
        for (slot, link) in abilities.iter().enumerate() {
            let ability = &scene.rules.abilities[link.index()];
            kit.recharge(slot, ability.charges, clock.ticks(ability.cooldown_ms), now);
        }
        let source = Source { id, owner: identity.owner, team: identity.team };
        if kit.busy() {
            let slot = usize::from(kit.acting_slot);
            let ability = &scene.rules.abilities[usize::from(kit.acting) - 1];
            let broken = ability.interruptible && afflictions.silenced();
            let let_go =
                kit.channel_tick != 0 && (now >= kit.channel_tick || !controls.input.holds(button::ABILITY[slot]));
            if !life.alive || broken || let_go {
                if let Some(area) = index.entity(kit.channelled) {
                    commands.entity(area).try_despawn();
                }
                kit.stop();
            } else if kit.channel_tick != 0 {
                if matches!(ability.act, Act::Gain) {
                    for effect in &ability.effects {
                        grants.0.push(Grant { target: id, source, effect: effect.number() });
                    }
                }
                continue;
            }
        }
        if !life.alive || afflictions.silenced() {
            continue;
        }
        if !kit.busy() {
            let pressed =
                (0..abilities.len()).find(|slot| controls.pressed(button::ABILITY[*slot]) && kit.charges[*slot] > 0);
            let Some(slot) = pressed else { continue };
            let ability = &scene.rules.abilities[abilities[slot].index()];
            kit.acting = abilities[slot].number() + 1;
            kit.acting_slot = slot as u8;
            kit.cast_tick = now + clock.ticks(ability.cast_ms);
            kit.channel_tick = 0;
        }
        if now < kit.cast_tick {
            continue;
        }
        // The deed.
        let (number, slot) = (kit.acting - 1, usize::from(kit.acting_slot));
        let ability = &scene.rules.abilities[usize::from(number)];
        kit.spend(slot, clock.ticks(ability.cooldown_ms), now);
        cues.0.push(Cue::AbilityUsed { by: id, ability: number });
        let from = eye(&scene.rules.movement, state.position, state.crouched);
        let aim = controls.input.look();
        let seen = Some(ViewTime { tick: controls.input.view_tick, fraction: controls.input.view_fraction });
        let mut channelled = StableId::NONE;
        match &ability.act {
            Act::Dash(dash) => {
                mobility.forced = dash_velocity(dash, &controls.input);
                mobility.forced_until = now + 1 + clock.ticks(dash.duration_ms);
                give_self(&mut grants, source, ability);
            }
            Act::ShieldWall(rule) => {
                let turn = Quat::from_rotation_y(controls.input.yaw_radians());
                let ahead = turn * Vec3::NEG_Z;
                let centre = state.position + ahead * rule.distance + Vec3::Y * (rule.height * 0.5);
                deployables::raise_wall(&mut commands, &mut next_id, &scene, (centre, turn), &source, rule);
                give_self(&mut grants, source, ability);
            }
            Act::Area(_) => {
                let channel = (ability.channel_ms > 0).then(|| now + clock.ticks(ability.channel_ms));
                let at = state.position;
                channelled = spawn_area(&mut commands, &mut next_id, &scene, at, &source, number, channel);
            }
            Act::Throw(rule) => {
                let what = (Origin::Ability, number);
                let start = (from, aim);
                send(&mut commands, &mut next_id, &scene, start, &source, seen, &rule.flight, what);
            }
            Act::Strike(rule) => {
                sweep(&scene, &source, (from, aim), &rule.sweep, seen, &mut |target, at, direction| {
                    let knock = direction * rule.knockback;
                    let cause = Cause::Ability(number);
                    damage.0.push(Damage { target, source, amount: rule.damage, part: Part::Body, cause, at, knock });
                    for effect in &ability.effects {
                        grants.0.push(Grant { target, source, effect: effect.number() });
                    }
                });
            }
            Act::Deploy(rule) => {
                let turn = Quat::from_rotation_y(controls.input.yaw_radians());
                let wanted = turn * Vec3::NEG_Z * rule.distance;
                let middle = state.position + Vec3::Y * (rule.height * 0.5);
                // Not through a wall, and down onto the ground.
                let world = scene.solids.world();
                let ahead = wanted.normalize_or(Vec3::NEG_Z);
                let free = world
                    .sphere_cast(middle, ahead, rule.distance, rule.radius)
                    .map_or(rule.distance, |hit| hit.distance);
                let above = middle + ahead * free;
                let down = world.ray(above, Vec3::NEG_Y, rule.height * 0.5 + 5.0);
                let foot = above - Vec3::Y * down.map_or(rule.height * 0.5, |hit| hit.distance);
                let turret = (number, controls.input.yaw);
                set_up_turret(&mut commands, &mut next_id, &scene, &index, foot, &source, rule, turret);
            }
            Act::Cleanse(rule) => cleansings.0.push((source, number, state.position, rule.radius)),
            Act::Gain => give_self(&mut grants, source, ability),
            Act::Custom(_) => uses.0.push(Use { source, ability: number, from, aim }),
        }
        if ability.channel_ms > 0 {
            kit.channel_tick = now + clock.ticks(ability.channel_ms);
            kit.channelled = channelled;
        } else {
            kit.stop();
        }
    }
}

fn give_self(grants: &mut Grants, source: Source, ability: &crate::rules::Ability) {
    for effect in &ability.effects {
        grants.0.push(Grant { target: source.id, source, effect: effect.number() });
    }
}

/// Where a dash goes: along the movement keys, or ahead.
fn dash_velocity(dash: &Dash, input: &Input) -> Vec3 {
    let turn = Quat::from_rotation_y(input.yaw_radians());
    let wish = turn * Vec3::new(f32::from(input.move_right), 0.0, -f32::from(input.move_forward));
    let ahead = if dash.vertical { input.look() } else { turn * Vec3::NEG_Z };
    let direction = if wish.length_squared() > 1.0 && !dash.vertical { wish.normalize() } else { ahead };
    direction * dash.speed
}

fn cleanse(
    rules: Res<'_, RulesRef>,
    index: Res<'_, Index>,
    mut cleansings: ResMut<'_, Cleansings>,
    mut grants: ResMut<'_, Grants>,
    mut players: Query<'_, '_, (&Identity, &Life, &MoverState, &mut Afflictions)>,
) {
    for (source, number, at, radius) in cleansings.0.drain(..) {
        for (_, id, entity) in index.players() {
            let Ok((identity, life, state, mut afflictions)) = players.get_mut(entity) else { continue };
            let near = id == source.id || state.position.distance_squared(at) <= radius * radius;
            if !life.alive || !near || source.hostile(identity.team, identity.owner) {
                continue;
            }
            afflictions.cleanse(&rules);
            for effect in &rules.abilities[usize::from(number)].effects {
                grants.0.push(Grant { target: id, source, effect: effect.number() });
            }
        }
    }
}

/// The place of something upright.
pub(crate) fn upright(position: Vec3, rotation: Quat) -> Place {
    Place { position, rotation }
}

/// Ticks of a duration, at least one.
pub(crate) fn some_ticks(clock: &Clock, ms: u32) -> u32 {
    clock.ticks(ms).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_come_back_one_at_a_time() {
        let mut kit = Kit { charges: [2, 0, 0, 0], ..Kit::default() };
        kit.spend(0, 100, 10);
        kit.spend(0, 100, 20);
        assert_eq!((kit.charges[0], kit.recharge_tick[0]), (0, 110));
        kit.recharge(0, 2, 100, 110);
        assert_eq!((kit.charges[0], kit.recharge_tick[0]), (1, 210));
        kit.recharge(0, 2, 100, 210);
        assert_eq!((kit.charges[0], kit.recharge_tick[0]), (2, 0));
    }

    #[test]
    fn a_dash_follows_the_movement_keys() {
        let dash = Dash { speed: 10.0, duration_ms: 100, vertical: false };
        let right = Input { move_right: 127, ..Input::default() };
        assert!((dash_velocity(&dash, &right) - Vec3::X * 10.0).length() < 1e-4);
    }

    #[test]
    fn a_dash_without_keys_goes_ahead() {
        let dash = Dash { speed: 10.0, duration_ms: 100, vertical: false };
        let turned = Input { yaw: 16_384, ..Input::default() };
        assert!((dash_velocity(&dash, &turned) - Vec3::NEG_X * 10.0).length() < 1e-4);
    }
}
