//! What chores that play a fleet share: a game server with a sidecar of its own, and what became of the results that were played.
//!
//! `fleet` plays one server after the other, for `cargo xtask agones`; `tests/rollout` plays two versions at once.

pub mod game_server;
pub mod results;
