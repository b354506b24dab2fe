//! Effects: what lasts on a player for a while. Grants of a tick are queued, then stacked by their rule; running effects
//! beat, end, and come to factors and flags that movement, weapons, abilities and vitals read.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

use crate::abilities::Kit;
use crate::event::{Cause, Part};
use crate::hitbox::Source;
use crate::index::{Identity, Index};
use crate::map::TriggerAction;
use crate::movement::{Mobility, Triggered};
use crate::players::{Life, PlayerHooksApp};
use crate::rules::{EFFECTS_PER_PLAYER_MAX, Rules, Stacking};
use crate::simulation::{MapRef, RulesRef};
use crate::state::DescribeApp;
use crate::tick::{Tick, TickSet};
use crate::time::Clock;
use crate::vitals::{Damage, DamageQueue, Heal, HealQueue};

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);

const TICK: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Owner);

/// Bit of [`Afflictions::flags`]: can do nothing.
pub const STUNNED: u8 = 1;
/// Bit of [`Afflictions::flags`]: cannot move from the spot.
pub const ROOTED: u8 = 2;
/// Bit of [`Afflictions::flags`]: can use no abilities.
pub const SILENCED: u8 = 4;

describe! {
    /// One running effect, as its giver left it.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Running {
        /// Tick of its next beat.
        pub beat_tick: u32,
        /// Slot + 1 of who gave it.
        pub owner: u16,
        /// Team of who gave it.
        pub team: u8,
        /// The entity that gave it.
        pub by: StableId,
    }

    /// The effects on a player. Rows that are used come first.
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct Afflictions {
        /// Number of each effect + 1; 0 is a free row.
        pub kinds: [u8; EFFECTS_PER_PLAYER_MAX] => SMALL,
        /// How often each counts.
        pub stacks: [u8; EFFECTS_PER_PLAYER_MAX] => SMALL,
        /// Tick at which each ends.
        pub until: [u32; EFFECTS_PER_PLAYER_MAX] => TICK,
        /// The rest of each.
        pub running: [Running; EFFECTS_PER_PLAYER_MAX],
        /// What they forbid: [`STUNNED`], [`ROOTED`], [`SILENCED`].
        pub flags: u8 => SMALL,
        /// What they multiply speed by, less 1, so that the default is nothing.
        pub speed_change: f32,
        /// Likewise damage dealt.
        pub damage_change: f32,
        /// Likewise damage taken.
        pub taken_change: f32,
    }
}

/// An effect that someone is to get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant {
    /// Who gets it. What is no living player gets nothing.
    pub target: StableId,
    /// Who gives it.
    pub source: Source,
    /// Effect by number in the rules.
    pub effect: u8,
}

/// Effects that were given this tick, in order. Empty between ticks.
#[derive(Resource, Debug, Default)]
pub struct Grants(pub Vec<Grant>);

/// Effects.
pub struct EffectsPlugin;

impl Plugin for EffectsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Grants>()
            .describe::<Afflictions>()
            .on_join(|world, player| {
                world.entity_mut(player).insert(Afflictions::default());
            })
            .on_spawn(|world, player, _, _| {
                if let Some(mut old) = world.get_mut::<Afflictions>(player) {
                    *old = Afflictions::default();
                }
            })
            .add_systems(Tick, (give, run).chain().in_set(TickSet::Effects));
    }
}

impl Afflictions {
    /// Can do nothing at all.
    pub fn stunned(&self) -> bool {
        self.flags & STUNNED != 0
    }

    /// Can use no abilities.
    pub fn silenced(&self) -> bool {
        self.flags & (STUNNED | SILENCED) != 0
    }

    /// What damage dealt is multiplied by.
    pub fn damage_factor(&self) -> f32 {
        1.0 + self.damage_change
    }

    /// What damage taken is multiplied by.
    pub fn taken_factor(&self) -> f32 {
        1.0 + self.taken_change
    }

    /// What speed is multiplied by.
    pub fn speed_factor(&self) -> f32 {
        1.0 + self.speed_change
    }

    /// How many rows are used.
    pub fn len(&self) -> usize {
        self.kinds.iter().position(|kind| *kind == 0).unwrap_or(EFFECTS_PER_PLAYER_MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds[0] == 0
    }

    /// How often an effect counts; 0 if it is not there.
    pub fn count(&self, effect: u8) -> u8 {
        self.row_of(effect).map_or(0, |row| self.stacks[row])
    }

    fn row_of(&self, effect: u8) -> Option<usize> {
        self.kinds.iter().position(|kind| *kind == effect + 1)
    }

    /// Stacks an effect by its rule. A full list forgets the row that ends first.
    pub fn add(&mut self, rules: &Rules, effect: u8, source: &Source, clock: &Clock) {
        let Some(rule) = rules.effects.get(usize::from(effect)) else { return };
        if let Stacking::Strongest { group, strength } = &rule.stacking {
            let rival = (0..self.len()).find_map(|row| {
                let other = rules.effects.get(usize::from(self.kinds[row]) - 1)?;
                let Stacking::Strongest { group: theirs, strength } = &other.stacking else { return None };
                (theirs == group && self.kinds[row] != effect + 1).then_some((row, *strength))
            });
            match rival {
                Some((_, theirs)) if theirs > *strength => return,
                Some((row, _)) => self.remove_row(row),
                None => {}
            }
        }
        let until = clock.tick + clock.ticks(rule.duration_ms);
        let row = match self.row_of(effect) {
            Some(row) => {
                let most = if let Stacking::Stack { max } = rule.stacking { max } else { 1 };
                self.stacks[row] = (self.stacks[row] + 1).min(most);
                self.until[row] = self.until[row].max(until);
                row
            }
            None => {
                if self.len() == EFFECTS_PER_PLAYER_MAX {
                    let first = (0..EFFECTS_PER_PLAYER_MAX).min_by_key(|row| self.until[*row]);
                    self.remove_row(first.unwrap_or(0));
                }
                let row = self.len();
                self.kinds[row] = effect + 1;
                self.stacks[row] = 1;
                self.until[row] = until;
                self.running[row].beat_tick = clock.tick + clock.ticks(rule.beat_ms).max(1);
                row
            }
        };
        let running = &mut self.running[row];
        (running.owner, running.team, running.by) = (source.owner, source.team, source.id);
    }

    /// Takes away harmful effects that can be cleansed.
    pub fn cleanse(&mut self, rules: &Rules) {
        for row in (0..self.len()).rev() {
            let rule = rules.effects.get(usize::from(self.kinds[row]) - 1);
            if rule.is_some_and(|rule| rule.harmful && rule.cleansable) {
                self.remove_row(row);
            }
        }
        self.sum_up(rules);
    }

    fn remove_row(&mut self, row: usize) {
        let last = EFFECTS_PER_PLAYER_MAX - 1;
        self.kinds.copy_within(row + 1.., row);
        self.stacks.copy_within(row + 1.., row);
        self.until.copy_within(row + 1.., row);
        self.running.copy_within(row + 1.., row);
        (self.kinds[last], self.stacks[last], self.until[last]) = (0, 0, 0);
        self.running[last] = Running::default();
    }

    /// Comes to flags and factors.
    fn sum_up(&mut self, rules: &Rules) {
        let (mut flags, mut speed, mut damage, mut taken) = (0, 1.0f32, 1.0f32, 1.0f32);
        for row in 0..self.len() {
            let Some(rule) = rules.effects.get(usize::from(self.kinds[row]) - 1) else { continue };
            flags |= if rule.stun { STUNNED | ROOTED } else { 0 };
            flags |= if rule.root { ROOTED } else { 0 };
            flags |= if rule.silence { SILENCED } else { 0 };
            for _ in 0..self.stacks[row] {
                speed *= rule.speed_factor;
                damage *= rule.damage_factor;
                taken *= rule.taken_factor;
            }
        }
        self.flags = flags;
        (self.speed_change, self.damage_change, self.taken_change) = (speed - 1.0, damage - 1.0, taken - 1.0);
    }
}

fn give(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    map: Res<'_, MapRef>,
    index: Res<'_, Index>,
    triggered: Res<'_, Triggered>,
    mut grants: ResMut<'_, Grants>,
    mut players: Query<'_, '_, (&Identity, &Life, &mut Afflictions)>,
) {
    for (target, trigger) in &triggered.0 {
        let action = map.triggers.get(usize::from(*trigger)).map(|trigger| &trigger.action);
        if let Some(TriggerAction::Effect(name)) = action
            && let Some(effect) = rules.effect_named(name)
        {
            grants.0.push(Grant { target: *target, source: Source::default(), effect });
        }
    }
    for grant in grants.0.drain(..) {
        let Some((identity, life, mut afflictions)) =
            index.entity(grant.target).and_then(|entity| players.get_mut(entity).ok())
        else {
            continue;
        };
        let Some(rule) = rules.effects.get(usize::from(grant.effect)) else { continue };
        // The world has no friends and no enemies: what it gives, one gets.
        let welcome = grant.source.owner == 0 || grant.source.hostile(identity.team, identity.owner) == rule.harmful;
        let safe = rule.harmful && clock.tick < life.protected_until;
        if life.alive && welcome && !safe {
            afflictions.add(&rules, grant.effect, &grant.source, &clock);
        }
    }
}

#[allow(clippy::type_complexity, reason = "a system's parameters are what it touches")]
fn run(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    index: Res<'_, Index>,
    mut damage: ResMut<'_, DamageQueue>,
    mut heals: ResMut<'_, HealQueue>,
    mut players: Query<'_, '_, (&Life, &Kit, &mut Afflictions, &mut Mobility, &crate::collide::MoverState)>,
) {
    for (_, id, entity) in index.players() {
        let Ok((life, kit, mut afflictions, mut mobility, state)) = players.get_mut(entity) else { continue };
        if !life.alive {
            continue;
        }
        for row in (0..afflictions.len()).rev() {
            let number = afflictions.kinds[row] - 1;
            let Some(rule) = rules.effects.get(usize::from(number)) else { continue };
            let running = afflictions.running[row];
            if rule.beat_ms > 0 && clock.tick >= running.beat_tick {
                afflictions.running[row].beat_tick = running.beat_tick + clock.ticks(rule.beat_ms).max(1);
                let source = Source { id: running.by, owner: running.owner, team: running.team };
                let times = f32::from(afflictions.stacks[row]);
                let cause = Cause::Effect(number);
                if rule.beat_damage > 0.0 {
                    damage.0.push(Damage {
                        target: id,
                        source,
                        amount: rule.beat_damage * times,
                        part: Part::Body,
                        cause,
                        at: state.position,
                        knock: glam::Vec3::ZERO,
                    });
                }
                if rule.beat_heal > 0.0 {
                    heals.0.push(Heal { target: id, source, amount: rule.beat_heal * times, cause });
                }
            }
            if clock.tick >= afflictions.until[row] {
                afflictions.remove_row(row);
            }
        }
        afflictions.sum_up(&rules);
        mobility.speed = afflictions.speed_factor() * kit.speed_factor(&rules);
        mobility.rooted = afflictions.flags & ROOTED != 0;
        if mobility.rooted {
            mobility.forced_until = mobility.forced_until.min(clock.tick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(tick: u32) -> Clock {
        Clock { tick, rate: 60, dt: 1.0 / 60.0, ..Clock::default() }
    }

    fn given(effects: &[(&str, u32)]) -> (Afflictions, Rules) {
        let rules = Rules::shipped();
        let mut afflictions = Afflictions::default();
        for (name, tick) in effects {
            let effect = rules.effect_named(name).expect("a shipped effect");
            afflictions.add(&rules, effect, &Source::default(), &clock(*tick));
        }
        afflictions.sum_up(&rules);
        (afflictions, rules)
    }

    #[test]
    fn refreshing_starts_the_time_again_and_counts_once() {
        let (afflictions, _) = given(&[("boosted", 0), ("boosted", 60)]);
        assert_eq!((afflictions.len(), afflictions.stacks[0], afflictions.until[0]), (1, 1, 60 + 480));
    }

    #[test]
    fn stacking_counts_up_to_its_limit() {
        let (afflictions, _) = given(&[("burning", 0); 5]);
        assert_eq!((afflictions.len(), afflictions.stacks[0]), (1, 3));
    }

    #[test]
    fn the_stronger_of_a_group_replaces_the_weaker() {
        let (afflictions, rules) = given(&[("muddy", 0), ("slowed", 0)]);
        assert_eq!(afflictions.len(), 1);
        assert_eq!(afflictions.count(rules.effect_named("slowed").expect("shipped")), 1);
    }

    #[test]
    fn the_weaker_of_a_group_does_not_replace_the_stronger() {
        let (afflictions, rules) = given(&[("slowed", 0), ("muddy", 0)]);
        assert_eq!(afflictions.count(rules.effect_named("muddy").expect("shipped")), 0);
    }

    #[test]
    fn a_stun_also_roots_and_silences() {
        let (afflictions, _) = given(&[("stunned", 0)]);
        assert!(afflictions.stunned() && afflictions.silenced() && afflictions.flags & ROOTED != 0);
    }

    #[test]
    fn cleansing_takes_harm_and_leaves_help() {
        let (mut afflictions, rules) = given(&[("burning", 0), ("boosted", 0), ("slowed", 0)]);
        afflictions.cleanse(&rules);
        assert_eq!(afflictions.len(), 1);
        assert_eq!(afflictions.damage_factor(), 1.5);
        assert_eq!(afflictions.speed_factor(), 1.0);
    }

    #[test]
    fn a_full_list_forgets_what_ends_first() {
        let names = ["burning", "mending", "slowed", "stunned", "rooted", "silenced", "boosted", "hardened", "hasted"];
        let effects: Vec<(&str, u32)> = names.into_iter().map(|name| (name, 0)).collect();
        let (afflictions, rules) = given(&effects);
        assert_eq!(afflictions.len(), EFFECTS_PER_PLAYER_MAX);
        // Of the first eight the stun is the shortest.
        assert_eq!(afflictions.count(rules.effect_named("stunned").expect("shipped")), 0);
    }
}
