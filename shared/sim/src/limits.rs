//! What may exist at a time, by the rules, and room in memory for it before the first tick, so that a busy moment makes no
//! tick late: a room that is warm allocates nothing.

use arbiter_schema::StableId;
use bevy_ecs::prelude::*;

use crate::abilities::{Cleansings, Uses};
use crate::deployables::{AreaState, Turret, Wall};
use crate::effects::Grants;
use crate::hitbox::Bodies;
use crate::index::{Identity, Index, Kind};
use crate::movement::{Doomed, Triggered};
use crate::physics::{Impulses, Place};
use crate::pickups::PickupState;
use crate::projectiles::Projectile;
use crate::rules::Combat;
use crate::simulation::{Cues, Events, MatchSetup, RulesRef, TickCommands};
use crate::vitals::{DamageQueue, Deaths, HealQueue};
use crate::weapons::Pulls;

/// What one player has in the air, on the ground and in the queues of a tick at most, in a fight as it is usual. More is
/// allowed; it costs an allocation.
const PER_PLAYER: usize = 16;

/// The same for what nobody owns.
const BASE: usize = 64;

/// The most of each kind that is made in a match and may be too many.
fn limits(combat: &Combat) -> [(Kind, u16); 4] {
    [
        (Kind::Projectile, combat.projectiles_max),
        (Kind::Deployable, combat.deployables_max),
        (Kind::Shield, combat.areas_max),
        (Kind::Area, combat.areas_max),
    ]
}

/// The oldest give way to what was made in this tick.
pub fn trim(world: &mut World) {
    let combat = &world.resource::<RulesRef>().combat;
    let (limits, loot_max) = (limits(combat), usize::from(combat.loot_max));
    for (kind, most) in limits {
        while let [(_, oldest), rest @ ..] = world.resource::<Index>().of(kind)
            && rest.len() >= usize::from(most)
        {
            let oldest = *oldest;
            world.despawn(oldest);
        }
    }
    let oldest_loot = |world: &World| {
        let pickups = world.resource::<Index>().of(Kind::Pickup).iter();
        let mut loot = pickups.filter(|(_, entity)| world.get::<PickupState>(*entity).is_some_and(|it| it.loot));
        let oldest = loot.next()?.1;
        (loot.count() >= loot_max).then_some(oldest)
    };
    while let Some(oldest) = oldest_loot(world) {
        world.despawn(oldest);
    }
}

/// Makes room for what a fight of this size brings. Changes no state.
pub(crate) fn make_room(world: &mut World) {
    let players = usize::from(world.resource::<MatchSetup>().players_max);
    let usual = BASE + PER_PLAYER * players;
    let (limits, loot) = {
        let combat = &world.resource::<RulesRef>().combat;
        (limits(combat).map(|(kind, most)| (kind, usual.min(usize::from(most) + 1))), usize::from(combat.loot_max) + 1)
    };
    // Twice, because the ECS notes what was removed in two buffers by turns.
    for _ in 0..2 {
        for (kind, count) in limits {
            match kind {
                Kind::Projectile => come_and_go(world, kind, count, Projectile::default),
                Kind::Deployable => come_and_go(world, kind, count, Turret::default),
                Kind::Shield => come_and_go(world, kind, count, Wall::default),
                _ => come_and_go(world, kind, count, AreaState::default),
            }
        }
        come_and_go(world, Kind::Pickup, usual.min(loot), PickupState::default);
        world.clear_trackers();
    }
    world.resource_mut::<TickCommands>().0.reserve(usual);
    world.resource_mut::<Events>().0.reserve(usual);
    world.resource_mut::<Cues>().0.reserve(usual);
    world.resource_mut::<Pulls>().0.reserve(usual);
    world.resource_mut::<Uses>().0.reserve(usual);
    world.resource_mut::<Grants>().0.reserve(usual);
    world.resource_mut::<Cleansings>().0.reserve(usual);
    world.resource_mut::<DamageQueue>().0.reserve(usual);
    world.resource_mut::<HealQueue>().0.reserve(usual);
    world.resource_mut::<Deaths>().0.reserve(players);
    world.resource_mut::<Doomed>().0.reserve(players);
    world.resource_mut::<Triggered>().0.reserve(usual);
    world.resource_mut::<Impulses>().0.reserve(usual);
    let props = world.resource::<Index>().of(Kind::Prop).len();
    let [(_, _), (_, turrets), (_, walls), (_, _)] = limits;
    let mut bodies = world.resource_mut::<Bodies>();
    bodies.players.reserve(players);
    bodies.turrets.reserve(turrets);
    bodies.walls.reserve(walls);
    bodies.fallen.reserve(crate::hitbox::FALLEN_WALLS_MAX);
    bodies.props.reserve(props);
}

/// The ECS keeps the room of what has gone.
fn come_and_go<C: Component>(world: &mut World, kind: Kind, count: usize, state: impl Fn() -> C) {
    let identity = || Identity { id: StableId::NONE, kind, ..Identity::default() };
    let made: Vec<Entity> = (0..count).map(|_| world.spawn((identity(), Place::default(), state())).id()).collect();
    for entity in made {
        world.despawn(entity);
    }
}
