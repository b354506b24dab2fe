//! What characters collide with, and how they move: the one function that server and clients share.
//!
//! A [`StaticWorld`] is made once from a map and shared; a [`DynamicWorld`] is filled anew each tick with what moves (props,
//! doors, platforms, shields); a [`World`] is the view of both that queries and [`move_character`] take. Nothing here knows
//! the ECS or Rapier, so that a client predicts with the same code, and nothing here uses the platform's maths library, so
//! that it predicts the same bits.
//!
//! Capsules are always upright, which makes every question one about an upright segment and a convex piece. A move gathers
//! the pieces within its reach once, with a separating plane for each (`near`); casts are then conservative advancement
//! that looks at a piece again only where its last plane is crossed.
//!
//! Next: `mover` for the rules of movement, `separate` for players who stand in one another, `distance` for the arithmetic.

mod bvh;
mod distance;
mod mover;
mod near;
mod separate;
mod shape;
mod sight;
mod world;

pub use mover::{MoverParams, MoverState, MoverWish, Push, move_character};
pub use separate::Separation;
pub use shape::{ConvexShape, ShapeError};
pub use sight::{SightLine, UprightBox};
pub use world::{DynSolid, DynamicWorld, RayHit, SolidError, StaticWorld, World};
