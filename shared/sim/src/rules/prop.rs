//! Dynamic bodies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Splash;

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
