//! Rules of damage that belong to nobody in particular.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Link;

/// Rules of damage that belong to nobody in particular.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Combat {
    /// Share of a hit that armour takes while there is any.
    #[schemars(range(min = 0, max = 1))]
    pub armour_share: f32,
    /// Most armour that pickups can give.
    #[schemars(range(min = 0, max = 1000))]
    pub armour_max: f32,
    /// Time without damage until a shield starts to come back.
    #[schemars(range(max = 60_000))]
    pub shield_delay_ms: u32,
    /// How fast it comes back.
    #[schemars(range(min = 0, max = 1000))]
    pub shield_per_second: f32,
    /// Who has hurt the dead within this time, and most, helped.
    #[schemars(range(max = 60_000))]
    pub assist_ms: u32,
    /// A fall or kill volume within this time of a hit is the kill of who hit.
    #[schemars(range(max = 60_000))]
    pub blame_ms: u32,
    /// How far back in time a shooter may see. Bounds what a slow or lying client can claim. The history of poses is no longer
    /// at the highest tick rate.
    #[schemars(range(max = 250))]
    pub rewind_max_ms: u32,
    /// What the dead leave. One is drawn by weight; the rest of `loot_nothing` leaves nothing.
    #[schemars(length(max = 16))]
    #[serde(default)]
    pub loot: Vec<Loot>,
    /// Weight of leaving nothing.
    #[schemars(range(max = 1000))]
    #[serde(default)]
    pub loot_nothing: u16,
    /// Things in flight at a time. The oldest vanishes when there is one more, so that a room's cost is bounded.
    #[schemars(range(min = 1, max = 4096))]
    pub projectiles_max: u16,
    /// Deployables at a time, of all players; the oldest goes.
    #[schemars(range(min = 1, max = 1024))]
    pub deployables_max: u16,
    /// Areas and shield walls at a time, each; the oldest goes.
    #[schemars(range(min = 1, max = 1024))]
    pub areas_max: u16,
    /// Loot on the ground at a time; the oldest goes.
    #[schemars(range(min = 1, max = 1024))]
    pub loot_max: u16,
}

/// One thing that the dead may leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loot {
    /// What.
    pub pickup: Link,
    /// How often, beside the other weights.
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u16,
}
