//! What spectators are shown: the match of some seconds ago, through the same encoding that players are told with.
//!
//! Behind each tick the room writes on a [`Tape`] what there was and who was told of it. [`Stage`] reads the tape when the
//! delay is over, and is to spectators what simulation and interest management are to players: it holds the rows of its tick,
//! and says of each slot what that player had been told then. Nothing here touches the simulation, so that a match is the same
//! with and without spectators; a room that lets nobody watch has neither.
//!
//! `rows` is the state of a tick, `tape` the seconds in between, `stage` the tick that is shown, `reel` a tape and its stage,
//! `eye` one client that is shown it. Who watches is `room/gallery.rs`; whoever was killed, `room/kill_cam.rs`. Why it is so: docs/decisions/spectators.md.

use core::time::Duration;

mod eye;
mod reel;
mod rows;
mod stage;
mod tape;

pub(crate) use eye::{Eye, Ink};
pub(crate) use reel::{Due, Reel};
pub(crate) use stage::View;

/// Turns of a room that take so long.
pub(crate) fn turns(time: Duration, tick_rate: u16) -> u64 {
    (time.as_millis() as u64 * u64::from(tick_rate.max(1))).div_ceil(1_000)
}
