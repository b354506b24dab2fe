//! The rules as data: everything that a designer may change, read from `assets/rules/*.ron`.
//!
//! No code knows a hero, a weapon or an effect by name. Ranges are written once, next to the field: they stand in the JSON
//! schema for editors and are what [`Rules::check`] refuses on. Durations are milliseconds, distances metres, speeds m/s,
//! angles degrees. Reading and checking is in [`crate::rules_load`].

mod ability;
mod body;
mod combat;
mod effect;
mod hero;
mod mode;
mod movement;
mod pickup;
mod prop;
mod weapon;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use ability::{Ability, Act, Area, Cleanse, Dash, Deploy, ShieldWall, Side, Strike, Throw};
pub use body::{Body, BodyPart, Hitbox};
pub use combat::{Combat, Loot};
pub use effect::{Effect, Stacking};
pub use hero::Hero;
pub use mode::{Mode, ModeKind};
pub use movement::Movement;
pub use pickup::{Gift, Pickup};
pub use prop::{Prop, PropShape};
pub use weapon::{Beam, Behaviour, Falloff, Flight, Hitscan, Splash, Spread, Sweep, Weapon};

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
