//! Simulating a recording again, without a network: verify every tick, go to any tick, look at state, compare.
//!
//! Start at [`Replay`]; [`fn@verify`] is what `arbiter replay verify` does, [`compare`] says what differs between two states
//! or two recordings.

pub mod compare;
pub mod replay;
pub mod verify;

pub use compare::{Difference, RecordingDiff, diff, differences};
pub use replay::{Assets, EmbeddedOnly, Options, Replay, ReplayError};
pub use verify::{Divergence, VerifyReport, verify, verify_many};
