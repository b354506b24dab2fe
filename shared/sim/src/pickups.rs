//! Pickups: what maps lay down and what the dead leave. Nobody takes what would give them nothing.

use arbiter_schema::{Audience, Predictor, Spec, describe};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use glam::{Quat, Vec3};

use crate::effects::Afflictions;
use crate::event::DomainEvent;
use crate::hitbox::{Bodies, Source};
use crate::index::{Index, Kind, NextId};
use crate::map::TriggerAction;
use crate::physics::{Place, Solids};
use crate::players::{Life, Player};
use crate::rules::{Gift, Rules};
use crate::simulation::{BuildError, Events, MapRef, RulesRef};
use crate::state::DescribeApp;
use crate::time::{Clock, SimRng};
use crate::vitals::{Deaths, Vitals};
use crate::weapons::Arsenal;

const SMALL: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Everyone);
/// How far loot falls to the ground, in metres; deeper it hangs where its owner died.
const LOOT_DROP_MAX: f32 = 30.0;

describe! {
    /// A pickup. Where it lies stands in [`Place`].
    #[derive(Component, Debug, Clone, PartialEq)]
    pub struct PickupState {
        /// Number in the rules.
        pub kind: u8 => SMALL,
        /// Whether it is there to take.
        pub there: bool => SMALL,
        /// Whether someone died for it: it does not come back.
        pub loot: bool => SMALL,
        /// Tick at which it is back; for loot, at which it is gone.
        pub tick: u32,
    }
}

/// Pickups. Their systems run with the vitals.
pub struct PickupsPlugin;

impl Plugin for PickupsPlugin {
    fn build(&self, app: &mut App) {
        app.describe::<PickupState>();
    }
}

/// Lays down what the map has. Names that the rules do not have are refused, of effects in triggers too.
pub fn populate(world: &mut World) -> Result<(), BuildError> {
    let map = world.resource::<MapRef>().0.clone();
    let rules = world.resource::<RulesRef>().0.clone();
    for trigger in &map.triggers {
        if let TriggerAction::Effect(name) = &trigger.action
            && rules.effect_named(name).is_none()
        {
            return Err(BuildError::Reference { map: map.name.clone(), what: "effect", name: name.clone() });
        }
    }
    for spot in &map.pickups {
        let Some(kind) = rules.pickup_named(&spot.kind) else {
            return Err(BuildError::Reference { map: map.name.clone(), what: "pickup", name: spot.kind.clone() });
        };
        let identity = world.resource_mut::<NextId>().make(Kind::Pickup, 0, None);
        world.spawn((
            identity,
            Place { position: spot.position, rotation: Quat::IDENTITY },
            PickupState { kind, there: true, loot: false, tick: 0 },
        ));
    }
    Ok(())
}

/// Draws what each of the dead leaves, and lays it on the ground.
#[allow(clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
pub fn drop_loot(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    solids: Res<'_, Solids>,
    mut deaths: ResMut<'_, Deaths>,
    mut rng: ResMut<'_, SimRng>,
    mut next_id: ResMut<'_, NextId>,
    mut commands: Commands<'_, '_>,
) {
    for died_at in deaths.0.drain(..) {
        let Some(kind) = draw_loot(&rules, &mut rng) else { continue };
        let start = died_at + Vec3::Y * 0.5;
        let ground = solids.world().ray(start, Vec3::NEG_Y, LOOT_DROP_MAX);
        let position = ground.map_or(died_at, |hit| start - Vec3::Y * hit.distance);
        let life = rules.pickups[usize::from(kind)].loot_life_ms;
        commands.spawn((
            next_id.make(Kind::Pickup, 0, None),
            Place { position, rotation: Quat::IDENTITY },
            PickupState { kind, there: true, loot: true, tick: clock.tick + clock.ticks(life) },
        ));
    }
}

/// One of the rules' loot by weight, or nothing.
pub fn draw_loot(rules: &Rules, rng: &mut SimRng) -> Option<u8> {
    let total: u32 = rules.combat.loot.iter().map(|loot| u32::from(loot.weight)).sum();
    let mut drawn = rng.below(total + u32::from(rules.combat.loot_nothing));
    for loot in &rules.combat.loot {
        if drawn < u32::from(loot.weight) {
            return Some(loot.pickup.number());
        }
        drawn -= u32::from(loot.weight);
    }
    None
}

/// Players take what they stand on; what was taken comes back; old loot goes.
#[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "a system's parameters are what it touches")]
pub fn collect(
    clock: Res<'_, Clock>,
    rules: Res<'_, RulesRef>,
    bodies: Res<'_, Bodies>,
    index: Res<'_, Index>,
    mut events: ResMut<'_, Events>,
    mut commands: Commands<'_, '_>,
    mut pickups: Query<'_, '_, (&Place, &mut PickupState)>,
    mut players: Query<'_, '_, (&Player, &Life, &mut Vitals, &mut Arsenal, &mut Afflictions)>,
) {
    for &(_, entity) in index.of(Kind::Pickup) {
        let Ok((place, mut pickup)) = pickups.get_mut(entity) else { continue };
        if clock.tick >= pickup.tick && pickup.loot {
            commands.entity(entity).try_despawn();
            continue;
        }
        if !pickup.there {
            pickup.there = clock.tick >= pickup.tick;
            continue;
        }
        let rule = &rules.pickups[usize::from(pickup.kind)];
        for body in bodies.near(place.position, rule.radius) {
            if body.now.position.distance_squared(place.position) > rule.radius * rule.radius {
                continue;
            }
            let Ok((player, life, mut vitals, mut arsenal, mut afflictions)) = players.get_mut(body.entity) else {
                continue;
            };
            if !life.alive {
                continue;
            }
            let useful = match &rule.gift {
                Gift::Health(points) => vitals.heal(*points) > 0.0,
                Gift::Armour(points) => give_armour(&mut vitals, *points, rules.combat.armour_max),
                Gift::Ammo(share) => give_ammo(&rules, player.hero, &mut arsenal, *share),
                Gift::Effect(link) => {
                    let source = Source { id: body.id, owner: body.owner, team: body.team };
                    afflictions.add(&rules, link.number(), &source, &clock);
                    true
                }
            };
            if !useful {
                continue;
            }
            events.0.push(DomainEvent::Looted { slot: body.owner - 1, pickup: pickup.kind });
            pickup.there = false;
            pickup.tick = if pickup.loot { clock.tick } else { clock.tick + clock.ticks(rule.respawn_ms) };
            if pickup.loot {
                commands.entity(entity).try_despawn();
            }
            break;
        }
    }
}

fn give_armour(vitals: &mut Vitals, points: f32, most: f32) -> bool {
    let before = vitals.armour;
    vitals.armour = (before + points).min(most.max(before));
    vitals.armour > before
}

fn give_ammo(rules: &Rules, hero: u8, arsenal: &mut Arsenal, share: f32) -> bool {
    let mut given = false;
    for (slot, link) in rules.hero(hero).weapons.iter().enumerate() {
        let most = rules.weapons[link.index()].reserve;
        let more = libm::ceilf(f32::from(most) * share) as u16;
        let after = (arsenal.reserve[slot].saturating_add(more)).min(most);
        given |= after > arsenal.reserve[slot];
        arsenal.reserve[slot] = after.max(arsenal.reserve[slot]);
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ammunition_stops_at_what_one_can_carry() {
        let rules = Rules::shipped();
        let mut arsenal = Arsenal::default();
        let most = rules.weapons[rules.heroes[0].weapons[0].index()].reserve;
        assert!(give_ammo(&rules, 0, &mut arsenal, 0.5));
        assert!(give_ammo(&rules, 0, &mut arsenal, 1.0));
        assert_eq!(arsenal.reserve[0], most);
        assert!(!give_ammo(&rules, 0, &mut arsenal, 1.0));
    }

    #[test]
    fn armour_stops_at_its_limit() {
        let mut vitals = Vitals { armour: 180.0, ..Vitals::default() };
        assert!(give_armour(&mut vitals, 50.0, 200.0));
        assert_eq!(vitals.armour, 200.0);
        assert!(!give_armour(&mut vitals, 50.0, 200.0));
    }

    #[test]
    fn loot_is_drawn_by_weight() {
        let (rules, mut rng) = (Rules::shipped(), SimRng::seeded(1));
        let mut counts = [0u32; 2];
        for _ in 0..10_000 {
            counts[usize::from(draw_loot(&rules, &mut rng).is_some())] += 1;
        }
        // Weights 3 of nothing against 7 of something.
        assert!((2_800..3_200).contains(&counts[0]), "{counts:?}");
    }
}
