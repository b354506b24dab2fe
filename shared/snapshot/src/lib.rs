//! Replicated state as bits: what a client is told of a tick, as the difference to a tick that it is known to have.
//!
//! The server hands rows of (stable id, component, quantised integers) to a [`SnapshotEncoder`], which keeps the last ticks
//! once for all clients and encodes each client's difference against its own baseline, leaving out what that client may not
//! know. A [`SnapshotDecoder`] turns the parts back into a [`Frame`]. This room does not know which game is played.
//!
//! Laws of the format: nothing adapts across packets; every part is read against the same baseline and nothing else; a client
//! without a baseline is sent everything, in bounded parts.
//!
//! Next: [`bits`] for how numbers are packed, [`layout`] for what both ends know of the lanes, [`frame`] for the state of a
//! tick, [`encode`] and [`decode`]; [`codec`] for the predictive coder with trained tables.

pub mod bits;
pub mod codec;
pub mod decode;
pub mod encode;
pub mod exchange;
pub mod frame;
pub mod layout;

pub use decode::{Received, SnapshotDecoder, SnapshotError};
pub use encode::{Parts, SnapshotEncoder, Viewer};
pub use frame::{Frame, FrameRow};
pub use layout::{Known, Layout};

/// Largest part in bytes: with the headers in front of it, it fits into one datagram on any path.
pub const PART_BYTES_MAX: usize = 1_100;

/// Smallest allowed part budget in bytes: the widest component must fit into an empty part.
pub const PART_BYTES_MIN: usize = 1_000;

/// Most parts of one snapshot: the number is a byte on the wire. 281 kB hold the full state of a thousand players.
pub const PARTS_MAX: usize = 256;

/// Ticks that the server remembers as possible baselines: one second at the highest tick rate. The age is a byte on the wire.
pub const HISTORY_TICKS: usize = 128;
