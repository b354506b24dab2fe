//! Law 1 put to the test: generated matches, played in ways that must not matter, compared bit for bit.
//!
//! The contract: a match is its rules, map, seed, settings and command stream, and nothing else. Whatever plays it (debug or
//! release, any x86-64 or aarch64, one thread or many, from the start or from a checkpoint, with entities and archetypes laid
//! out in any order) ends each tick with the same hash.
//!
//! [`plan`] makes a match from a seed, [`players`] its commands, [`disturb`] shuffles what must not matter, [`run`] plays
//! it. The program `determinism-leg` prints what was played, and `cargo xtask determinism` compares what it printed on
//! different builds and machines. This package stands on `schema` and `sim` only, so that it cross-compiles.

pub mod disturb;
pub mod plan;
pub mod players;
pub mod random;
pub mod run;

pub use plan::Plan;
pub use run::{Cuts, Match, Way};
