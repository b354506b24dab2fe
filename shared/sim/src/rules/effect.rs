//! What lasts on a player for a while.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What lasts on a player for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// How other files call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// How long it lasts.
    #[schemars(range(min = 1, max = 600_000))]
    pub duration_ms: u32,
    /// Whether it is bad for who has it: it is not given to friends, and a cleansing takes it.
    pub harmful: bool,
    /// Whether a cleansing can take it.
    pub cleansable: bool,
    /// What happens when it is given again.
    pub stacking: Stacking,
    /// Time between two beats of damage or healing; 0 has none.
    #[schemars(range(max = 60_000))]
    #[serde(default)]
    pub beat_ms: u32,
    /// Hit points that a beat takes, times stacks.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default)]
    pub beat_damage: f32,
    /// Hit points that a beat gives back, times stacks.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default)]
    pub beat_heal: f32,
    /// Multiplies speed, once per stack.
    #[schemars(range(min = 0, max = 4))]
    #[serde(default = "one")]
    pub speed_factor: f32,
    /// Multiplies damage dealt, once per stack.
    #[schemars(range(min = 0, max = 10))]
    #[serde(default = "one")]
    pub damage_factor: f32,
    /// Multiplies damage taken, once per stack.
    #[schemars(range(min = 0, max = 10))]
    #[serde(default = "one")]
    pub taken_factor: f32,
    /// Can do nothing at all.
    #[serde(default)]
    pub stun: bool,
    /// Can not move from the spot.
    #[serde(default)]
    pub root: bool,
    /// Can use no abilities.
    #[serde(default)]
    pub silence: bool,
}

fn one() -> f32 {
    1.0
}

/// What happens when an effect is given to someone who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stacking {
    /// Its time starts again.
    Refresh,
    /// It counts once more, up to `max`, and its time starts again.
    Stack {
        /// The most that it counts.
        #[schemars(range(min = 2, max = 20))]
        max: u8,
    },
    /// Of all effects of one group only the strongest stays; the same one again refreshes.
    Strongest {
        /// Name of the group.
        #[schemars(length(min = 1, max = 48))]
        group: String,
        /// Larger is stronger.
        #[schemars(range(min = 1, max = 100))]
        strength: u8,
    },
}
