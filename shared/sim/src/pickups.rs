//! Pickups and loot.

use bevy_ecs::prelude::*;

use crate::simulation::BuildError;

/// Puts the map's pickups into the world.
pub fn populate(_world: &mut World) -> Result<(), BuildError> {
    Ok(())
}
