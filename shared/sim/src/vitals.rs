//! Vitals: the one way in which anything is hurt, healed or killed. Every domain queues damage; here friendly fire, factors,
//! shields and armour decide what it comes to, who is dead, whose kill it is and who helped.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use arrayvec::ArrayVec;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::Vec3;

use crate::collide::MoverState;
use crate::deployables::{Turret, Wall};
use crate::effects::Afflictions;
use crate::event::{Cause, Cue, DomainEvent, Part};
use crate::hitbox::{Bodies, Source};
use crate::index::{Identity, Index, Kind};
use crate::modes::{MatchState, Phase};
use crate::movement::Doomed;
use crate::physics::{Impulses, Place, Prop, Solids};
use crate::players::{Life, Player, PlayerHooksApp, PoseHistory, Tally, Tuning};
use crate::projectiles::{Burst, burst};
use crate::rules::{Combat, Movement};
use crate::simulation::{Cues, Events, MatchSetup, RulesRef};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::Clock;

const POINTS: Spec = Spec::new(0.0, 4_000.0, 0.5, Predictor::Hold, Audience::Everyone);
/// Attackers that are remembered for credit; of more, the one longest ago is forgotten.
const ATTACKERS_MAX: usize = 6;
/// Kills in a row that are told.
const STREAKS: [u16; 3] = [3, 5, 10];
/// Damage entries in one tick. Only chains of hundreds of barrels reach it; the rest is dropped.
const DAMAGE_MAX: usize = 65_536;

describe! {
    /// Who hurt a player lately.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Attacker {
        /// Slot + 1.
        pub owner: u16,
        /// Hit points, since they began.
        pub amount: f32,
        /// Tick of the last hit.
        pub tick: u32,
    }

    /// How hurt a player is.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Vitals {
        /// Hit points that do not come back by themselves.
        pub health: f32 => POINTS,
        /// How many there can be.
        pub health_max: f32 => POINTS,
        /// Armour left.
        pub armour: f32 => POINTS,
        /// Shield left.
        pub shield: f32 => POINTS,
        /// How much there can be.
        pub shield_max: f32 => POINTS,
        /// Tick of the last damage.
        pub hurt_tick: u32,
        /// How fast they fell in the last tick, in m/s; 0 on the ground.
        pub fall_speed: f32,
        /// Who did it lately.
        pub attackers: ArrayVec<Attacker, ATTACKERS_MAX>,
    }
}

/// Damage that something is to take. `target` may be a player, a turret, a shield wall or a prop; others take none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Damage {
    /// Who or what.
    pub target: StableId,
    /// Whose deed.
    pub source: Source,
    /// Hit points before factors.
    pub amount: f32,
    /// Where on the body; already counted in `amount`.
    pub part: Part,
    /// With what.
    pub cause: Cause,
    /// Where it met.
    pub at: Vec3,
    /// Speed that it gives a player.
    pub knock: Vec3,
}

/// Healing that a player is to get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heal {
    /// Who.
    pub target: StableId,
    /// Whose deed.
    pub source: Source,
    /// Hit points before factors.
    pub amount: f32,
    /// With what.
    pub cause: Cause,
}

/// Damage of this tick, in order. Empty between ticks.
#[derive(Resource, Debug, Default)]
pub struct DamageQueue(pub Vec<Damage>);

/// Healing of this tick, in order. Empty between ticks.
#[derive(Resource, Debug, Default)]
pub struct HealQueue(pub Vec<Heal>);

/// Where players died this tick, in order, for loot. Empty between ticks.
#[derive(Resource, Debug, Default)]
pub struct Deaths(pub Vec<Vec3>);

/// Vitals.
pub struct VitalsPlugin;

impl Plugin for VitalsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<DamageQueue>()
            .init_resource::<HealQueue>()
            .init_resource::<Deaths>()
            .describe::<Vitals>()
            .on_join(|world, player| {
                world.entity_mut(player).insert(Vitals::default());
            })
            .on_spawn(restore)
            .add_systems(
                Tick,
                (
                    doom,
                    hurt_fallen,
                    apply_damage,
                    apply_heals,
                    regenerate,
                    crate::pickups::drop_loot,
                    crate::pickups::collect,
                    crate::limits::trim,
                )
                    .chain()
                    .in_set(TickSet::Vitals),
            );
    }
}

fn restore(world: &mut World, player: Entity, _: Vec3, _: f32) {
    let Some(hero) = world.get::<Player>(player).map(|player| player.hero) else { return };
    let rules = world.resource::<RulesRef>().0.clone();
    let hero = rules.hero(hero);
    if let Some(mut vitals) = world.get_mut::<Vitals>(player) {
        *vitals = Vitals {
            health: hero.health,
            health_max: hero.health,
            armour: hero.armour,
            shield: hero.shield,
            shield_max: hero.shield,
            ..Vitals::default()
        };
    }
}

impl Vitals {
    /// Takes damage after all factors: shield first, then armour takes its share, then health. Returns what was taken.
    pub fn take(&mut self, amount: f32, rules: &Combat) -> f32 {
        let before = self.health + self.armour + self.shield;
        let by_shield = amount.min(self.shield);
        self.shield -= by_shield;
        let rest = amount - by_shield;
        let by_armour = (rest * rules.armour_share).min(self.armour);
        self.armour -= by_armour;
        self.health = (self.health - (rest - by_armour)).max(0.0);
        before - (self.health + self.armour + self.shield)
    }

    /// Gives health back, up to the most. Returns what was given.
    pub fn heal(&mut self, amount: f32) -> f32 {
        let given = amount.min(self.health_max - self.health).max(0.0);
        self.health += given;
        given
    }

    fn blame(&mut self, owner: u16, amount: f32, tick: u32) {
        self.hurt_tick = tick;
        if owner == 0 {
            return;
        }
        if let Some(known) = self.attackers.iter_mut().find(|attacker| attacker.owner == owner) {
            known.amount += amount;
            known.tick = tick;
            return;
        }
        if self.attackers.is_full() {
            let oldest = self.attackers.iter().enumerate().min_by_key(|(_, attacker)| attacker.tick);
            let oldest = oldest.map_or(0, |(at, _)| at);
            self.attackers.remove(oldest);
        }
        self.attackers.push(Attacker { owner, amount, tick });
    }

    /// Who gets the kill of someone whom the world kills: who hurt last, if not too long ago.
    fn last_attacker(&self, since: u32) -> u16 {
        let recent = self.attackers.iter().filter(|attacker| attacker.tick >= since);
        recent.max_by_key(|attacker| (attacker.tick, core::cmp::Reverse(attacker.owner))).map_or(0, |it| it.owner)
    }

    /// Who helped most, beside the killer.
    fn helper(&self, killer: u16, since: u32) -> Option<u16> {
        let mut best: Option<(f32, u16)> = None;
        for attacker in self.attackers.iter().filter(|it| it.tick >= since && it.owner != killer) {
            if best.is_none_or(|(most, _)| attacker.amount > most) {
                best = Some((attacker.amount, attacker.owner));
            }
        }
        best.map(|(_, owner)| owner)
    }
}

/// Damage that nothing survives and nothing protects from.
const DOOM: f32 = f32::MAX;

/// Players in kill volumes take more than they have.
fn doom(doomed: Res<'_, Doomed>, mut damage: ResMut<'_, DamageQueue>) {
    for id in &doomed.0 {
        damage.0.push(Damage {
            target: *id,
            source: Source::default(),
            amount: DOOM,
            part: Part::Body,
            cause: Cause::World,
            at: Vec3::ZERO,
            knock: Vec3::ZERO,
        });
    }
}

/// Hit points that a landing at a speed costs.
pub fn fall_damage(rules: &Movement, speed: f32) -> f32 {
    (speed - rules.fall_damage_speed).max(0.0) * rules.fall_damage_per_speed
}

/// Who lands too fast is hurt.
fn hurt_fallen(
    rules: Res<'_, RulesRef>,
    index: Res<'_, Index>,
    mut damage: ResMut<'_, DamageQueue>,
    mut players: Query<'_, '_, (&Life, &MoverState, &mut Vitals)>,
) {
    for (_, id, entity) in index.players() {
        let Ok((life, state, mut vitals)) = players.get_mut(entity) else { continue };
        if !life.alive {
            continue;
        }
        if !state.grounded {
            vitals.fall_speed = (-state.velocity.y).max(0.0);
            continue;
        }
        let amount = fall_damage(&rules.movement, vitals.fall_speed);
        vitals.fall_speed = 0.0;
        if amount > 0.0 {
            let source = Source::default();
            let (at, knock) = (state.position, Vec3::ZERO);
            damage.0.push(Damage { target: id, source, amount, part: Part::Limb, cause: Cause::World, at, knock });
        }
    }
}

fn apply_damage(world: &mut World) {
    let mut queue = core::mem::take(&mut world.resource_mut::<DamageQueue>().0);
    let mut at = 0;
    // Bursting props add to the queue while it is walked. Each bursts once, so it ends.
    while at < queue.len().min(DAMAGE_MAX) {
        let damage = queue[at];
        at += 1;
        let found = world.resource::<Index>().entity(damage.target);
        let Some(entity) = found else { continue };
        match world.get::<Identity>(entity).map(|identity| identity.kind) {
            Some(Kind::Player) => hurt_player(world, entity, &damage),
            Some(Kind::Deployable) => {
                let Some(identity) = world.get::<Identity>(entity).cloned() else { continue };
                let amount = dealt(world, &damage);
                if let Some(mut turret) = world.get_mut::<Turret>(entity)
                    && damage.source.hostile(identity.team, identity.owner)
                {
                    turret.health -= amount;
                    if turret.health <= 0.0 {
                        world.despawn(entity);
                    }
                }
            }
            Some(Kind::Shield) => {
                let amount = dealt(world, &damage);
                if let Some(mut wall) = world.get_mut::<Wall>(entity) {
                    wall.health -= amount;
                    if wall.health <= 0.0 {
                        world.despawn(entity);
                    }
                }
            }
            Some(Kind::Prop) => hurt_prop(world, entity, &damage, &mut queue),
            _ => {}
        }
    }
    queue.clear();
    world.resource_mut::<DamageQueue>().0 = queue;
    // Impulses of this tick reach their bodies now, so that none waits between two ticks, where it would not be state.
    crate::physics::deliver_impulses(world);
}

/// Damage with what the attacker's effects and the administrator make of it.
fn dealt(world: &World, damage: &Damage) -> f32 {
    let attacker = damage.source.slot().and_then(|slot| world.resource::<Index>().slot(slot));
    let factor = attacker.and_then(|it| world.get::<Afflictions>(it)).map_or(1.0, Afflictions::damage_factor);
    if damage.cause == Cause::World {
        damage.amount
    } else {
        damage.amount * factor * world.resource::<Tuning>().damage
    }
}

fn hurt_player(world: &mut World, entity: Entity, damage: &Damage) {
    let clock = world.resource::<Clock>().clone();
    let Ok(target) = world.get_entity(entity) else { return };
    let (Some(identity), Some(life)) = (target.get::<Identity>().cloned(), target.get::<Life>().cloned()) else {
        return;
    };
    if !life.alive {
        return;
    }
    let by_world = damage.source.owner == 0;
    let by_self = damage.source.owner == identity.owner;
    let hostile = !by_self && damage.source.hostile(identity.team, identity.owner);
    let counts = matches!(world.resource::<MatchState>().phase, Phase::Running | Phase::Overtime);
    let doomed = damage.amount == DOOM;
    if !doomed && (!counts || clock.tick < life.protected_until) {
        return;
    }
    let share = if hostile || by_self || by_world { 1.0 } else { world.resource::<MatchSetup>().friendly_fire };
    let taken_factor = target.get::<Afflictions>().map_or(1.0, Afflictions::taken_factor);
    let amount = if doomed { damage.amount } else { dealt(world, damage) * share * taken_factor };
    if (hostile || by_self || by_world)
        && damage.knock != Vec3::ZERO
        && let Some(mut state) = world.get_mut::<MoverState>(entity)
    {
        state.velocity += damage.knock;
    }
    if amount <= 0.0 {
        return;
    }
    let rules = world.resource::<RulesRef>().0.clone();
    let Some(mut vitals) = world.get_mut::<Vitals>(entity) else { return };
    let taken = vitals.take(amount, &rules.combat);
    if hostile {
        vitals.blame(damage.source.owner, taken, clock.tick);
    } else {
        vitals.hurt_tick = clock.tick;
    }
    let dead = vitals.health <= 0.0;
    let vitals = vitals.clone();
    world.resource_mut::<Cues>().0.push(Cue::Hit {
        target: damage.target,
        by: damage.source.id,
        amount: taken,
        part: damage.part,
        cause: damage.cause,
    });
    if hostile {
        with_tally(world, damage.source.slot(), |tally| tally.damage += taken);
    }
    if dead {
        kill(world, entity, &identity, &vitals, damage, &clock);
    }
}

fn with_tally(world: &mut World, slot: Option<u16>, change: impl FnOnce(&mut Tally)) {
    let player = slot.and_then(|slot| world.resource::<Index>().slot(slot));
    if let Some(mut tally) = player.and_then(|player| world.get_mut::<Tally>(player)) {
        change(&mut tally);
    }
}

fn kill(world: &mut World, entity: Entity, victim: &Identity, vitals: &Vitals, damage: &Damage, clock: &Clock) {
    let rules = world.resource::<RulesRef>().0.clone();
    let since = |ms: u32| clock.tick.saturating_sub(clock.ticks(ms));
    // A fall after a fight is the kill of who pushed.
    let self_made = damage.source.owner == 0 || damage.source.owner == victim.owner;
    let blamed = if self_made { vitals.last_attacker(since(rules.combat.blame_ms)) } else { 0 };
    let killer = if blamed != 0 { blamed } else { damage.source.owner };
    let present = |owner: u16| owner.checked_sub(1).filter(|slot| world.resource::<Index>().slot(*slot).is_some());
    let killer_slot = present(killer).filter(|_| killer != victim.owner);
    let assist = vitals.helper(killer, since(rules.combat.assist_ms)).and_then(present);
    let killer_team = killer_slot
        .and_then(|slot| world.resource::<Index>().slot(slot))
        .and_then(|player| world.get::<Identity>(player))
        .map_or(0, |identity| identity.team);
    let enemy = killer_slot.is_some() && (killer_team == 0 || killer_team != victim.team);
    if let Some(mut life) = world.get_mut::<Life>(entity) {
        life.alive = false;
        life.died_tick = clock.tick;
    }
    if let Some(mut history) = world.get_mut::<PoseHistory>(entity) {
        history.die(clock.tick);
    }
    let slot = victim.slot().unwrap_or(0);
    with_tally(world, Some(slot), |tally| {
        tally.deaths = tally.deaths.saturating_add(1);
        tally.streak = 0;
    });
    let mut streak = 0;
    if enemy {
        with_tally(world, killer_slot, |tally| {
            tally.kills = tally.kills.saturating_add(1);
            tally.streak = tally.streak.saturating_add(1);
            streak = tally.streak;
        });
        with_tally(world, assist, |tally| tally.assists = tally.assists.saturating_add(1));
    }
    let headshot = damage.part == Part::Head;
    let mut events = world.resource_mut::<Events>();
    events.0.push(DomainEvent::Killed { victim: slot, killer: killer_slot, assist, cause: damage.cause, headshot });
    if let (Some(slot), true) = (killer_slot, STREAKS.contains(&streak)) {
        events.0.push(DomainEvent::Streak { slot, kills: streak });
    }
    if let Some(position) = world.get::<MoverState>(entity).map(|state| state.position)
        && damage.amount != DOOM
    {
        world.resource_mut::<Deaths>().0.push(position);
    }
}

fn hurt_prop(world: &mut World, entity: Entity, damage: &Damage, queue: &mut Vec<Damage>) {
    let amount = dealt(world, damage);
    let Some((mut prop, place)) = world.get::<Prop>(entity).cloned().zip(world.get::<Place>(entity).copied()) else {
        return;
    };
    if prop.health <= 0.0 {
        return;
    }
    prop.health -= amount;
    if prop.health > 0.0 {
        if let Some(mut old) = world.get_mut::<Prop>(entity) {
            *old = prop;
        }
        return;
    }
    let rules = world.resource::<RulesRef>().0.clone();
    let blast = rules.props.get(usize::from(prop.kind)).and_then(|rule| rule.blast);
    crate::physics::remove_body(world, &prop);
    world.despawn(entity);
    crate::physics::refresh_geometry(world);
    if let Some(splash) = blast {
        let cause = Cause::Prop(prop.kind);
        world.resource_mut::<Cues>().0.push(Cue::Exploded { at: place.position, radius: splash.radius, cause });
        let mut impulses = core::mem::take(&mut *world.resource_mut::<Impulses>());
        let bodies = world.resource::<Bodies>();
        let solids = world.resource::<Solids>();
        // Whoever made it burst gets what it does.
        let what = Burst { at: place.position, splash: &splash, source: damage.source, cause };
        burst(&what, bodies, &solids.world(), &rules.movement, queue, &mut impulses);
        *world.resource_mut::<Impulses>() = impulses;
    }
}

fn apply_heals(
    tuning: Res<'_, Tuning>,
    index: Res<'_, Index>,
    mut heals: ResMut<'_, HealQueue>,
    mut cues: ResMut<'_, Cues>,
    mut players: Query<'_, '_, (&Life, &mut Vitals, &mut Tally)>,
) {
    for heal in heals.0.drain(..) {
        let Some(entity) = index.entity(heal.target) else { continue };
        let Ok((life, mut vitals, _)) = players.get_mut(entity) else { continue };
        if !life.alive {
            continue;
        }
        let given = vitals.heal(heal.amount * tuning.heal);
        if given <= 0.0 {
            continue;
        }
        cues.0.push(Cue::Hit {
            target: heal.target,
            by: heal.source.id,
            amount: -given,
            part: Part::Body,
            cause: heal.cause,
        });
        let healer = heal.source.slot().and_then(|slot| index.slot(slot)).filter(|healer| *healer != entity);
        if let Some((_, _, mut tally)) = healer.and_then(|healer| players.get_mut(healer).ok()) {
            tally.healing += given;
        }
    }
}

fn regenerate(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    index: Res<'_, Index>,
    mut players: Query<'_, '_, (&Life, &mut Vitals)>,
) {
    let delay = clock.ticks(rules.combat.shield_delay_ms);
    for (_, _, entity) in index.players() {
        let Ok((life, mut vitals)) = players.get_mut(entity) else { continue };
        if life.alive && vitals.shield < vitals.shield_max && clock.tick >= vitals.hurt_tick + delay {
            vitals.shield = (vitals.shield + rules.combat.shield_per_second * clock.dt).min(vitals.shield_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    fn hurt(health: f32, armour: f32, shield: f32, amount: f32) -> (f32, f32, f32) {
        let mut vitals = Vitals { health, health_max: 200.0, armour, shield, shield_max: 50.0, ..Vitals::default() };
        let mut rules = Rules::shipped().combat;
        rules.armour_share = 0.5;
        vitals.take(amount, &rules);
        (vitals.health, vitals.armour, vitals.shield)
    }

    #[test]
    fn a_shield_goes_first() {
        assert_eq!(hurt(200.0, 100.0, 50.0, 40.0), (200.0, 100.0, 10.0));
    }

    #[test]
    fn armour_takes_its_share_of_what_a_shield_lets_through() {
        assert_eq!(hurt(200.0, 100.0, 10.0, 50.0), (180.0, 80.0, 0.0));
    }

    #[test]
    fn armour_takes_no_more_than_it_has() {
        assert_eq!(hurt(200.0, 5.0, 0.0, 50.0), (155.0, 0.0, 0.0));
    }

    #[test]
    fn health_does_not_fall_below_nothing() {
        assert_eq!(hurt(10.0, 0.0, 0.0, f32::MAX).0, 0.0);
    }

    #[test]
    fn healing_stops_at_the_most() {
        let mut vitals = Vitals { health: 190.0, health_max: 200.0, ..Vitals::default() };
        assert_eq!(vitals.heal(50.0), 10.0);
    }

    #[test]
    fn only_what_a_fall_is_too_fast_hurts() {
        let mut rules = Rules::shipped().movement;
        (rules.fall_damage_speed, rules.fall_damage_per_speed) = (18.0, 6.0);
        assert_eq!((fall_damage(&rules, 17.0), fall_damage(&rules, 20.0)), (0.0, 12.0));
    }

    #[test]
    fn who_hurt_most_beside_the_killer_helped() {
        let mut vitals = Vitals::default();
        for (owner, amount, tick) in [(1, 30.0, 10), (2, 50.0, 11), (3, 80.0, 12)] {
            vitals.blame(owner, amount, tick);
        }
        assert_eq!(vitals.helper(3, 0), Some(2));
    }

    #[test]
    fn help_long_ago_does_not_count() {
        let mut vitals = Vitals::default();
        vitals.blame(1, 90.0, 10);
        assert_eq!(vitals.helper(3, 11), None);
    }

    #[test]
    fn the_world_kills_for_who_hit_last() {
        let mut vitals = Vitals::default();
        vitals.blame(1, 90.0, 10);
        vitals.blame(2, 1.0, 20);
        assert_eq!((vitals.last_attacker(15), vitals.last_attacker(21)), (2, 0));
    }
}
