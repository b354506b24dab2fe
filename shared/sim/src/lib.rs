//! The rules of combat: one deterministic Tick, a Bevy plugin per domain. No sockets, threads, files or clock.
//!
//! Start at [`tick`] for the order of everything, at [`state`] for what counts as state, at [`input`] and [`event`] for what
//! goes in and comes out.

pub mod event;
pub mod index;
pub mod input;
pub mod map;
pub mod rules;
pub mod rules_load;
pub mod state;
pub mod tick;
pub mod time;

pub use event::{Cause, Cue, DomainEvent, Outcome, Part};
pub use input::{Admin, Command, Input, Knob, LeaveReason, Loadout, button};
pub use map::Map;
pub use rules::{AssetError, MatchSettings, Rules};
