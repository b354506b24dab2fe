//! What hurts and heals at a trigger's pull, and the shapes of harm that abilities and props share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Link;

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
