//! The rules of combat: one deterministic Tick, a Bevy plugin per domain. No sockets, threads, files or clock.

pub mod event;
pub mod input;
pub mod map;

pub use event::{Cause, Cue, DomainEvent, Outcome, Part};
pub use input::{Admin, Command, Input, Knob, LeaveReason, Loadout, button};
pub use map::Map;
