//! The rules as data: everything that a designer may change, read from `assets/rules/*.ron`.
//!
//! No code knows a hero, a weapon or an effect by name. Ranges are written once, next to the field: they stand in the JSON
//! schema for editors and are what [`Rules::check`] refuses on. Durations are milliseconds, distances metres, speeds m/s,
//! angles degrees. Reading and checking is in [`crate::rules_load`].

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::rules_load::AssetError;

/// Weapons that one hero may carry: as many as there are buttons.
pub const WEAPONS_PER_HERO_MAX: usize = 3;
/// Abilities that one hero may have: as many as there are buttons.
pub const ABILITIES_PER_HERO_MAX: usize = 4;
/// Effects that one weapon or ability may give: each is one entry in a queue per hit.
pub const EFFECTS_PER_SOURCE_MAX: usize = 4;
/// Different effects that one player may have at a time: they are replicated as a fixed list.
pub const EFFECTS_PER_PLAYER_MAX: usize = 8;

/// A reference to something in another list, written as its name. Its number is found when the rules are checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The name as written.
    pub name: String,
    pub(crate) at: u8,
}

impl Link {
    /// A reference that is not looked up yet.
    pub fn to(name: &str) -> Self {
        Self { name: name.to_owned(), at: 0 }
    }

    /// The number of what is meant in its list.
    pub fn index(&self) -> usize {
        usize::from(self.at)
    }

    /// The same as a component stores it.
    pub fn number(&self) -> u8 {
        self.at
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self { name: String::deserialize(from)?, at: 0 })
    }
}

impl JsonSchema for Link {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Link".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "The name of something in another list." })
    }
}

/// All rules of a match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schemars(!remote)]
pub struct Rules {
    /// Whom one may play: `heroes.ron`.
    #[schemars(length(min = 1, max = 64))]
    pub heroes: Vec<Hero>,
    /// What hurts and heals at a trigger's pull: `weapons.ron`.
    #[schemars(length(min = 1, max = 128))]
    pub weapons: Vec<Weapon>,
    /// What heroes can do beside shooting: `abilities.ron`.
    #[schemars(length(max = 128))]
    pub abilities: Vec<Ability>,
    /// What lasts on a player for a while: `effects.ron`.
    #[schemars(length(max = 128))]
    pub effects: Vec<Effect>,
    /// What lies on the ground: `pickups.ron`.
    #[schemars(length(max = 64))]
    pub pickups: Vec<Pickup>,
    /// Dynamic bodies: `props.ron`.
    #[schemars(length(max = 64))]
    pub props: Vec<Prop>,
    /// How a match is won: `modes.ron`.
    #[schemars(length(min = 1, max = 32))]
    pub modes: Vec<Mode>,
    /// How players move: `movement.ron`.
    pub movement: Movement,
    /// Where players can be hit and how much it counts: `body.ron`.
    pub body: Body,
    /// Rules of damage that belong to nobody in particular: `combat.ron`.
    pub combat: Combat,
}

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

/// What hurts or heals at a trigger's pull.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weapon {
    /// How other files call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// What a pull does.
    pub behaviour: Behaviour,
    /// Hit points per hit, per pellet, or per second for a beam. A healing beam heals as much.
    #[schemars(range(min = 0, max = 1000))]
    pub damage: f32,
    /// Time between two shots while the trigger is held. A beam uses up one round in this time.
    #[schemars(range(min = 1, max = 60_000))]
    pub interval_ms: u32,
    /// Whether it fires on while the trigger is held.
    pub automatic: bool,
    /// Rounds in a full magazine; 0 never needs a reload.
    #[schemars(range(max = 1000))]
    pub magazine: u16,
    /// Rounds carried beside the magazine at spawn, which is also the most; 0 is without end.
    #[schemars(range(max = 10_000))]
    #[serde(default)]
    pub reserve: u16,
    /// Time of a reload.
    #[schemars(range(min = 1, max = 60_000))]
    pub reload_ms: u32,
    /// Time between drawing it and the first shot.
    #[schemars(range(max = 10_000))]
    pub draw_ms: u32,
    /// How damage falls with distance; without it, it does not.
    #[serde(default)]
    pub falloff: Option<Falloff>,
    /// How far shots stray from the aim; without it, they do not.
    #[serde(default)]
    pub spread: Option<Spread>,
    /// Whether the part of the body that is hit counts.
    pub parts: bool,
    /// Speed that a hit gives its target along the shot.
    #[schemars(range(min = 0, max = 50))]
    #[serde(default)]
    pub knockback: f32,
    /// Effects that a hit gives its target.
    #[schemars(length(max = 4))]
    #[serde(default)]
    pub effects: Vec<Link>,
}

/// What a pull of the trigger does. Each value but the last is a system in [`crate::weapons`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Behaviour {
    /// Hits at once along a ray.
    Hitscan(Hitscan),
    /// Sends something that flies.
    Projectile(Flight),
    /// Sweeps what is near.
    Melee(Sweep),
    /// Hurts or heals steadily along a thick ray while the trigger is held.
    Beam(Beam),
    /// A studio's own, by name: its plugin takes the pulls.
    Custom(String),
}

/// A ray.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hitscan {
    /// How far it reaches.
    #[schemars(range(min = 1, max = 1000))]
    pub range: f32,
    /// Rays of one shot; each strays by itself and deals the weapon's damage.
    #[schemars(range(min = 1, max = 32))]
    pub pellets: u8,
}

/// Something that flies: a swept ball.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flight {
    /// Speed at the muzzle.
    #[schemars(range(min = 1, max = 300))]
    pub speed: f32,
    /// Its radius against players and walls.
    #[schemars(range(min = 0.01, max = 1))]
    pub radius: f32,
    /// Multiplies gravity: 0 flies straight, 1 falls like a player.
    #[schemars(range(min = 0, max = 4))]
    pub gravity_factor: f32,
    /// Degrees above the aim at which it leaves, so that it can be lobbed.
    #[schemars(range(min = 0, max = 60))]
    #[serde(default)]
    pub lift_deg: f32,
    /// It bursts after this time.
    #[schemars(range(min = 50, max = 30_000))]
    pub life_ms: u32,
    /// Walls that it bounces off before it bursts at one.
    #[schemars(range(max = 20))]
    #[serde(default)]
    pub bounces: u8,
    /// Share of its speed that a bounce keeps.
    #[schemars(range(min = 0, max = 1))]
    #[serde(default)]
    pub bounce_keep: f32,
    /// What its burst does around; without it only what is hit is hurt.
    #[serde(default)]
    pub splash: Option<Splash>,
}

/// A burst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Splash {
    /// How far it reaches.
    #[schemars(range(min = 0.1, max = 50))]
    pub radius: f32,
    /// Hit points at the centre.
    #[schemars(range(min = 0, max = 1000))]
    pub damage: f32,
    /// Share of damage and push that is left at the edge; between, it falls evenly.
    #[schemars(range(min = 0, max = 1))]
    pub edge_factor: f32,
    /// Share of the damage that hurts the one who caused it.
    #[schemars(range(min = 0, max = 1))]
    pub self_factor: f32,
    /// Speed that it gives players at the centre, the causer too.
    #[schemars(range(min = 0, max = 50))]
    pub knockback: f32,
    /// Newton seconds that it gives props at the centre.
    #[schemars(range(min = 0, max = 20_000))]
    pub impulse: f32,
}

/// A sweep in front.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// How far it reaches from the eye to the surface of the target.
    #[schemars(range(min = 0.5, max = 20))]
    pub reach: f32,
    /// The whole angle that it sweeps, across.
    #[schemars(range(min = 5, max = 360))]
    pub arc_deg: f32,
    /// Targets that one sweep may hit, nearest first.
    #[schemars(range(min = 1, max = 16))]
    pub targets_max: u8,
}

/// A steady ray.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beam {
    /// How far it reaches.
    #[schemars(range(min = 1, max = 200))]
    pub range: f32,
    /// How far beside the target one may aim.
    #[schemars(range(min = 0, max = 2))]
    pub radius: f32,
    /// Whether it heals friends instead of hurting enemies.
    pub heals: bool,
}

/// How damage falls with distance: whole up to `near`, evenly less to `far`, and `factor` of it beyond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Falloff {
    /// Up to here damage is whole.
    #[schemars(range(min = 0, max = 1000))]
    pub near: f32,
    /// From here on it is `factor`; at least `near`.
    #[schemars(range(min = 0, max = 1000))]
    pub far: f32,
    /// What is left of it.
    #[schemars(range(min = 0, max = 1))]
    pub factor: f32,
}

/// How far shots stray: half the angle of a cone around the aim.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Of the first shot, standing.
    #[schemars(range(min = 0, max = 30))]
    pub base_deg: f32,
    /// Each shot adds this.
    #[schemars(range(min = 0, max = 30))]
    pub per_shot_deg: f32,
    /// What shots can add together at most.
    #[schemars(range(min = 0, max = 45))]
    pub bloom_max_deg: f32,
    /// What is taken off what shots have added, per second.
    #[schemars(range(min = 0, max = 360))]
    pub recover_deg_per_second: f32,
    /// Added at full speed, less when slower.
    #[schemars(range(min = 0, max = 30))]
    #[serde(default)]
    pub moving_deg: f32,
    /// Added in the air.
    #[schemars(range(min = 0, max = 30))]
    #[serde(default)]
    pub airborne_deg: f32,
    /// Multiplies everything while crouched.
    #[schemars(range(min = 0, max = 1))]
    pub crouch_factor: f32,
}

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

/// A dynamic body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prop {
    /// How maps call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// Its shape.
    pub shape: PropShape,
    /// Its mass in kg.
    #[schemars(range(min = 0.5, max = 5000))]
    pub mass: f32,
    /// Coulomb friction.
    #[schemars(range(min = 0, max = 2))]
    pub friction: f32,
    /// Share of speed that a bounce keeps.
    #[schemars(range(min = 0, max = 1))]
    pub restitution: f32,
    /// Hit points; 0 cannot be broken.
    #[schemars(range(min = 0, max = 10_000))]
    #[serde(default)]
    pub health: f32,
    /// What it does when it breaks.
    #[serde(default)]
    pub blast: Option<Splash>,
}

/// The shape of a prop, y up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum PropShape {
    /// A box.
    Box {
        /// Half of its size.
        half: [f32; 3],
    },
    /// A ball.
    Ball {
        /// Its radius.
        #[schemars(range(min = 0.05, max = 5))]
        radius: f32,
    },
    /// A cylinder along y.
    Cylinder {
        /// Its radius.
        #[schemars(range(min = 0.05, max = 5))]
        radius: f32,
        /// Half of its height.
        #[schemars(range(min = 0.05, max = 5))]
        half_height: f32,
    },
}

/// How a match is won.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// How settings call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// What counts.
    pub kind: ModeKind,
    /// Teams; settings may ask for another number. Free-for-all ignores it.
    #[schemars(range(min = 1, max = 16))]
    pub teams: u8,
    /// Score that wins a round; 0 lets only the clock decide.
    #[schemars(range(max = 100_000))]
    pub score_limit: u32,
    /// Rounds that a side must win to win the match.
    #[schemars(range(min = 1, max = 50))]
    pub rounds_to_win: u8,
    /// Rounds that are played at most; then whoever has won most wins.
    #[schemars(range(min = 1, max = 99))]
    pub rounds_max: u8,
    /// Length of a round.
    #[schemars(range(min = 5, max = 7200))]
    pub round_seconds: u32,
    /// Time before the first round, in which nobody can be hurt.
    #[schemars(range(max = 600))]
    pub warmup_seconds: u32,
    /// Time between rounds.
    #[schemars(range(max = 120))]
    pub break_seconds: u32,
    /// Most that a round goes on when its time is over and it is not decided.
    #[schemars(range(max = 600))]
    pub overtime_seconds: u32,
    /// Time between two waves of respawns; the dead wait for the next.
    #[schemars(range(min = 1, max = 120_000))]
    pub respawn_wave_ms: u32,
    /// Time after a respawn in which one cannot be hurt, ended by one's own shot.
    #[schemars(range(max = 30_000))]
    pub spawn_protection_ms: u32,
    /// Share of damage that reaches friends; 0 is friendly fire off.
    #[schemars(range(min = 0, max = 1))]
    pub friendly_fire: f32,
    /// Points for a kill.
    #[schemars(range(max = 1000))]
    pub kill_points: u32,
    /// Points taken for a team kill or a death by oneself or the world.
    #[schemars(range(max = 1000))]
    #[serde(default)]
    pub suicide_points: u32,
    /// Seconds without input after which a player is idle; 0 never.
    #[schemars(range(max = 3600))]
    pub idle_kick_seconds: u32,
    /// Whether players may join when the match runs.
    pub backfill: bool,
    /// Whether an administrator may pause it.
    pub pause: bool,
}

/// What counts in a mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ModeKind {
    /// Kills of a team.
    TeamDeathmatch,
    /// Kills of a player; everyone is everyone's enemy.
    FreeForAll,
    /// Holding the map's points.
    ControlPoint {
        /// Seconds that one player needs to take a point that nobody contests.
        #[schemars(range(min = 0.5, max = 120))]
        capture_seconds: f32,
        /// Each further player adds this share of speed.
        #[schemars(range(min = 0, max = 1))]
        helper_share: f32,
        /// Helpers beyond this many add nothing.
        #[schemars(range(min = 1, max = 20))]
        helpers_max: u8,
        /// Points per second for each point that one holds.
        #[schemars(range(min = 0, max = 100))]
        points_per_second: f32,
    },
    /// A studio's own, by name: its plugin counts.
    Custom(String),
}

/// How players move. Acceleration and friction follow Quake's model: friction slows what is on the ground, acceleration
/// adds speed along the wish up to the wished speed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// Radius of the capsule.
    #[schemars(range(min = 0.1, max = 1))]
    pub radius: f32,
    /// Height standing; at least twice the radius.
    #[schemars(range(min = 0.4, max = 4))]
    pub height: f32,
    /// Height crouched; at least twice the radius, at most `height`.
    #[schemars(range(min = 0.4, max = 4))]
    pub crouch_height: f32,
    /// How far below the top the eye is.
    #[schemars(range(min = 0, max = 1))]
    pub eye_below_top: f32,
    /// Speed on the ground.
    #[schemars(range(min = 0.5, max = 30))]
    pub max_speed: f32,
    /// Multiplies speed while crouched.
    #[schemars(range(min = 0.1, max = 1))]
    pub crouch_speed_factor: f32,
    /// How quickly the wished speed is reached on the ground, as m/s per second.
    #[schemars(range(min = 1, max = 1000))]
    pub acceleration: f32,
    /// What slows on the ground, per second.
    #[schemars(range(min = 0, max = 50))]
    pub friction: f32,
    /// Friction acts as if one were at least this fast, so that one stops.
    #[schemars(range(min = 0, max = 20))]
    pub stop_speed: f32,
    /// Share of `acceleration` that one has in the air.
    #[schemars(range(min = 0, max = 1))]
    pub air_control: f32,
    /// Pull downwards in m/s².
    #[schemars(range(min = 0.1, max = 100))]
    pub gravity: f32,
    /// Speed upwards of a jump.
    #[schemars(range(min = 0, max = 30))]
    pub jump_speed: f32,
    /// Fastest fall.
    #[schemars(range(min = 5, max = 200))]
    pub fall_speed_max: f32,
    /// Highest step that is walked up.
    #[schemars(range(min = 0, max = 1))]
    pub step_height: f32,
    /// Steepest ground that one can stand on.
    #[schemars(range(min = 0, max = 80))]
    pub slope_max_deg: f32,
    /// How far below the feet ground pulls one to it when walking down.
    #[schemars(range(min = 0, max = 1))]
    pub ground_snap: f32,
    /// How long a jump still counts after the ground is gone: people press late.
    #[schemars(range(max = 500))]
    pub coyote_ms: u32,
    /// How long a jump that is pressed in the air waits for the ground: people press early.
    #[schemars(range(max = 500))]
    pub jump_buffer_ms: u32,
    /// Mass in kg, for pushing props.
    #[schemars(range(min = 1, max = 1000))]
    pub mass: f32,
    /// Largest push that a player gives a prop, in newtons.
    #[schemars(range(min = 0, max = 10_000))]
    pub push_force_max: f32,
    /// Falls slower than this do not hurt.
    #[schemars(range(min = 1, max = 200))]
    pub fall_damage_speed: f32,
    /// Hit points per m/s of landing above `fall_damage_speed`.
    #[schemars(range(min = 0, max = 1000))]
    pub fall_damage_per_speed: f32,
}

/// Where players can be hit and how much it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Capsules in the frame of the feet of someone who stands and looks along -z. Crouched, y shrinks with the height.
    #[schemars(length(min = 1, max = 12))]
    pub hitboxes: Vec<Hitbox>,
    /// Multiplies damage to the head.
    #[schemars(range(min = 0, max = 10))]
    pub head_factor: f32,
    /// Multiplies damage to the trunk.
    #[schemars(range(min = 0, max = 10))]
    pub body_factor: f32,
    /// Multiplies damage to arms and legs.
    #[schemars(range(min = 0, max = 10))]
    pub limb_factor: f32,
}

/// A part of the body, as rules write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BodyPart {
    /// The head.
    Head,
    /// The trunk.
    Body,
    /// Arms and legs.
    Limb,
}

/// One capsule of the body.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hitbox {
    /// Which part it is.
    pub part: BodyPart,
    /// Centre of one end; the same as `to` makes a ball.
    pub from: [f32; 3],
    /// Centre of the other end.
    pub to: [f32; 3],
    /// Its radius.
    #[schemars(range(min = 0.02, max = 1))]
    pub radius: f32,
}

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

/// What is chosen for one match. What is `None` stays as the mode has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatchSettings {
    /// Name of the mode.
    pub mode: String,
    /// Ticks a second.
    #[schemars(range(min = 10, max = 128))]
    pub tick_rate: u16,
    /// Teams; 0 is as many as the mode has.
    #[schemars(range(max = 16))]
    pub teams: u8,
    /// Slots for players.
    #[schemars(range(min = 1, max = 1000))]
    pub players_max: u16,
    /// Length of a round in seconds.
    #[schemars(range(min = 5, max = 7200))]
    pub match_seconds: Option<u32>,
    /// Whether friends can be hurt: all of the damage, or none.
    pub friendly_fire: Option<bool>,
}

impl Default for MatchSettings {
    fn default() -> Self {
        Self {
            mode: "team_deathmatch".to_owned(),
            tick_rate: 60,
            teams: 0,
            players_max: 10,
            match_seconds: None,
            friendly_fire: None,
        }
    }
}

macro_rules! named {
    ($($type:ident $list:ident $find:ident),* $(,)?) => {
        impl Rules {
            $(
                #[doc = concat!("The number of the one in `", stringify!($list), "` with this name.")]
                pub fn $find(&self, name: &str) -> Option<u8> {
                    self.$list.iter().position(|item| item.name == name).map(|at| at as u8)
                }
            )*
        }
    };
}

named! {
    Hero heroes hero_named,
    Weapon weapons weapon_named,
    Ability abilities ability_named,
    Effect effects effect_named,
    Pickup pickups pickup_named,
    Prop props prop_named,
    Mode modes mode_named,
}

impl Rules {
    /// The hero with this number; the first if there is none, so that a loadout from outside cannot fail.
    pub fn hero(&self, number: u8) -> &Hero {
        self.heroes.get(usize::from(number)).unwrap_or(&self.heroes[0])
    }

    /// What multiplies damage to a part of the body.
    pub fn part_factor(&self, part: BodyPart) -> f32 {
        match part {
            BodyPart::Head => self.body.head_factor,
            BodyPart::Body => self.body.body_factor,
            BodyPart::Limb => self.body.limb_factor,
        }
    }
}
