//! What lies on the ground.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Link;

/// What lies on the ground.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pickup {
    /// How other files and maps call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// What one gets.
    pub gift: Gift,
    /// How near one must come, from the feet.
    #[schemars(range(min = 0.3, max = 5))]
    pub radius: f32,
    /// Time until it is back where a map laid it.
    #[schemars(range(min = 500, max = 600_000))]
    pub respawn_ms: u32,
    /// Time that it lies where someone died.
    #[schemars(range(min = 500, max = 600_000))]
    pub loot_life_ms: u32,
}

/// What a pickup gives. It is left to lie by those to whom it would give nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Gift {
    /// Hit points of health.
    Health(#[schemars(range(min = 1, max = 1000))] f32),
    /// Hit points of armour, up to `combat.armour_max`.
    Armour(#[schemars(range(min = 1, max = 1000))] f32),
    /// Share of each weapon's reserve.
    Ammo(#[schemars(range(min = 0.01, max = 1))] f32),
    /// An effect.
    Effect(Link),
}
