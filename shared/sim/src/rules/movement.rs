//! How players move.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
