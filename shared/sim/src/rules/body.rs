//! Where players can be hit and how much it counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
