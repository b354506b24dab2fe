//! What heroes can do beside shooting.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Flight, Link, Sweep};

/// What a hero can do beside shooting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ability {
    /// How other files call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// What it does.
    pub act: Act,
    /// Time until a used charge is back.
    #[schemars(range(min = 1, max = 600_000))]
    pub cooldown_ms: u32,
    /// Uses that can be saved up.
    #[schemars(range(min = 1, max = 10))]
    pub charges: u8,
    /// Time between the button and the deed. The charge is spent at the deed.
    #[schemars(range(max = 10_000))]
    #[serde(default)]
    pub cast_ms: u32,
    /// Time that it goes on while the button is held; 0 is done at once. Only areas and effects on oneself go on.
    #[schemars(range(max = 30_000))]
    #[serde(default)]
    pub channel_ms: u32,
    /// Whether a stun or a silence ends its cast or channel.
    pub interruptible: bool,
    /// Multiplies speed during cast and channel.
    #[schemars(range(min = 0, max = 2))]
    pub speed_factor: f32,
    /// Effects that it gives: to whom it hits, or to oneself if it hits nobody by its nature.
    #[schemars(length(max = 4))]
    #[serde(default)]
    pub effects: Vec<Link>,
}

/// What an ability does. Each value but the last is done in [`crate::abilities`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Act {
    /// Throws oneself along the movement, or ahead when standing.
    Dash(Dash),
    /// Raises a wall that stops the shots of enemies.
    ShieldWall(ShieldWall),
    /// Makes a place that gives an effect to those inside.
    Area(Area),
    /// Throws something that may hurt, give effects, and leave an area.
    Throw(Throw),
    /// Hits those in front at once.
    Strike(Strike),
    /// Sets up something that shoots by itself.
    Deploy(Deploy),
    /// Takes harmful effects off oneself and friends near by.
    Cleanse(Cleanse),
    /// Gives oneself the ability's effects.
    Gain,
    /// A studio's own, by name: its plugin takes the uses.
    Custom(String),
}

/// A burst of speed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dash {
    /// Speed while it lasts.
    #[schemars(range(min = 1, max = 60))]
    pub speed: f32,
    /// How long.
    #[schemars(range(min = 20, max = 2000))]
    pub duration_ms: u32,
    /// Whether it follows the look up and down.
    pub vertical: bool,
}

/// A wall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShieldWall {
    /// Across.
    #[schemars(range(min = 0.5, max = 20))]
    pub width: f32,
    /// From the ground up.
    #[schemars(range(min = 0.5, max = 10))]
    pub height: f32,
    /// How far in front it stands.
    #[schemars(range(min = 0.5, max = 20))]
    pub distance: f32,
    /// Hit points that it stops.
    #[schemars(range(min = 1, max = 10_000))]
    pub health: f32,
    /// How long it stands.
    #[schemars(range(min = 100, max = 60_000))]
    pub life_ms: u32,
}

/// Whom something concerns, as seen from its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Side {
    /// Oneself and friends.
    Friends,
    /// Those whom one may hurt.
    Enemies,
    /// Everyone.
    All,
}

/// A place that gives an effect to those inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// How far it reaches from its centre to a player's centre.
    #[schemars(range(min = 0.5, max = 50))]
    pub radius: f32,
    /// How long it lasts; with a channel, at most this.
    #[schemars(range(min = 50, max = 60_000))]
    pub life_ms: u32,
    /// How often it gives its effect.
    #[schemars(range(min = 50, max = 10_000))]
    pub interval_ms: u32,
    /// To whom.
    pub side: Side,
    /// What it gives.
    pub effect: Link,
    /// Whether it moves with its owner.
    #[serde(default)]
    pub follows: bool,
}

/// Something thrown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throw {
    /// How it flies and bursts.
    pub flight: Flight,
    /// Hit points for whom it hits in flight.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default)]
    pub damage: f32,
    /// What it leaves where it bursts.
    #[serde(default)]
    pub area: Option<Area>,
}

/// A blow in front that may give effects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strike {
    /// Whom it meets.
    pub sweep: Sweep,
    /// Hit points.
    #[schemars(range(min = 0, max = 1000))]
    pub damage: f32,
    /// Speed that it gives along the look.
    #[schemars(range(min = 0, max = 50))]
    pub knockback: f32,
}

/// Something that shoots by itself at the nearest enemy in sight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// What it shoots with: a hitscan or projectile weapon. Its magazine does not count.
    pub weapon: Link,
    /// Hit points.
    #[schemars(range(min = 1, max = 5000))]
    pub health: f32,
    /// How long it stands.
    #[schemars(range(min = 500, max = 300_000))]
    pub life_ms: u32,
    /// Time after set-up before it shoots.
    #[schemars(range(max = 10_000))]
    pub setup_ms: u32,
    /// How far it sees.
    #[schemars(range(min = 1, max = 100))]
    pub range: f32,
    /// How fast it turns.
    #[schemars(range(min = 10, max = 3600))]
    pub turn_deg_per_second: f32,
    /// Radius of its body.
    #[schemars(range(min = 0.1, max = 2))]
    pub radius: f32,
    /// Height of its body; it shoots from the top.
    #[schemars(range(min = 0.2, max = 4))]
    pub height: f32,
    /// How far in front it is set up.
    #[schemars(range(min = 0.5, max = 10))]
    pub distance: f32,
    /// How many one player may have; the oldest goes when there is one more.
    #[schemars(range(min = 1, max = 8))]
    pub per_owner_max: u8,
}

/// Takes harmful effects away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cleanse {
    /// Friends as near as this are cleansed too; 0 is only oneself.
    #[schemars(range(min = 0, max = 50))]
    pub radius: f32,
}
