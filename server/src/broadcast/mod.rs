//! What spectators are shown: the match of some seconds ago, through the same encoding that players are told with.
//!
//! Behind each tick the room writes on a [`Tape`] what there was and who was told of it. [`Stage`] reads the tape when the
//! delay is over, and is to spectators what simulation and interest management are to players: it holds the rows of its tick,
//! and says of each slot what that player had been told then. Nothing here touches the simulation, so that a match is the same
//! with and without spectators; a room that lets nobody watch has neither.
//!
//! `rows` is the state of a tick, `tape` the seconds in between, `stage` the tick that is shown. Who watches, and what each is
//! sent, is `room/gallery.rs`. Why it is so: docs/decisions/spectators.md.

mod rows;
mod stage;
mod tape;

pub(crate) use rows::Row;
pub(crate) use stage::{Shown, Stage};
pub(crate) use tape::{Played, Tape};

/// Spectators are shown at most so many ticks a second: what is recorded and kept is a half or a quarter of the match, and what
/// is shown in between is interpolated as ever.
pub(crate) const TICKS_PER_SECOND: u32 = 32;
