//! Shuffles what must not matter: numbers of entities, the archetypes that they live in, and so the order in which a query
//! meets them. A system that walks a query where it should walk the index is found by this.

use arbiter_sim::index::Identity;
use arbiter_sim::tick::{Tick, TickSet};
use bevy_app::App;
use bevy_ecs::prelude::*;

use crate::random::Random;

#[derive(Component)]
struct Marked;

#[derive(Component)]
struct MarkedToo;

/// An entity that is not of the simulation: it has no identity.
#[derive(Component)]
struct Stranger;

#[derive(Resource)]
struct Disturbance(Random);

/// Adds the disturbance to a simulation. It draws from a stream of its own, so the simulation's stays as it is.
pub fn plugin(app: &mut App, seed: u64) {
    let mut random = Random::new(seed, "disturbance");
    let world = app.world_mut();
    let strangers: Vec<Entity> = (0..random.below(60) + 5).map(|_| world.spawn(Stranger).id()).collect();
    // Freed numbers are given away again, in another order.
    for entity in strangers {
        if random.once_in(2) {
            world.despawn(entity);
        }
    }
    world.insert_resource(Disturbance(random));
    app.add_systems(Tick, disturb.before(TickSet::Commands));
}

fn disturb(
    world: &mut World,
    residents: &mut QueryState<Entity, With<Identity>>,
    strangers: &mut QueryState<Entity, With<Stranger>>,
) {
    let residents: Vec<Entity> = residents.iter(world).collect();
    let strangers: Vec<Entity> = strangers.iter(world).collect();
    world.resource_scope(|world, mut disturbance: Mut<'_, Disturbance>| {
        let random = &mut disturbance.0;
        for entity in residents {
            match random.below(24) {
                0 => drop(world.entity_mut(entity).insert(Marked)),
                1 => drop(world.entity_mut(entity).remove::<Marked>()),
                2 => drop(world.entity_mut(entity).insert(MarkedToo)),
                3 => drop(world.entity_mut(entity).remove::<MarkedToo>()),
                _ => (),
            }
        }
        for entity in strangers {
            if random.once_in(8) {
                world.despawn(entity);
            }
        }
        for _ in 0..random.below(6) {
            world.spawn(Stranger);
        }
    });
}
