//! Whom one may play.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Link;

/// Whom one may play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hero {
    /// How other files call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// Hit points that do not come back by themselves.
    #[schemars(range(min = 1, max = 2000))]
    pub health: f32,
    /// Hit points that take a share of each hit (`combat.armour_share`) before health does.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default)]
    pub armour: f32,
    /// Hit points that go first and come back after a while without damage.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default)]
    pub shield: f32,
    /// Multiplies `movement.max_speed`.
    #[schemars(range(min = 0.25, max = 3))]
    pub speed_factor: f32,
    /// Weapons in the order of their buttons; the first is drawn at spawn.
    #[schemars(length(min = 1, max = 3))]
    pub weapons: Vec<Link>,
    /// Abilities in the order of their buttons.
    #[schemars(length(max = 4))]
    #[serde(default)]
    pub abilities: Vec<Link>,
}
