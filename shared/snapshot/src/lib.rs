//! Replicated state as bits: what a client is told of a tick, as the difference to a tick that it is known to have.
//!
//! The server hands rows of (stable id, component, quantised integers) to a [`History`], which keeps the last ticks once for
//! all clients. For each client a [`Peer`] knows what that client provably holds of each entity, and tells it what it may
//! know, entity by entity, as the difference to that; encodings are shared through a [`Cache`]. A [`Receiver`] turns the parts
//! back into states, and these into a [`Frame`]. This room does not know which game is played.
//!
//! Laws of the format: nothing adapts across packets; every part is read against states that were acknowledged and nothing
//! else, so that no loss stops what was not lost; a client that holds nothing of use is told entities in full, as many as its
//! budget carries.
//!
//! Next: [`exchange`] for both ends, [`codec`] for the predictive coder with trained tables, [`layout`] for what both ends
//! know of the lanes, [`frame`] for the state of a tick, [`bits`] for how numbers are packed.

pub mod bits;
pub mod codec;
pub mod exchange;
pub mod frame;
pub mod layout;

use arbiter_schema::Registry;

pub use exchange::{AGE_MAX, Cache, Form, History, Peer, PeerParts, Receiver, SnapshotError, State, Wish};
pub use frame::{Frame, FrameRow};
pub use layout::{Known, Layout, Viewer};

/// Largest part in bytes: with the headers in front of it, it fits into one datagram on any path.
pub const PART_BYTES_MAX: usize = 1_100;

/// Ticks that the server remembers: one second at the highest tick rate.
pub const HISTORY_TICKS: usize = 128;

/// What client and server compare before anything else: the described components, and the tables that code them.
pub fn protocol_hash(registry: &Registry) -> u64 {
    // Multiplied by an odd number so that neither hides in the other.
    registry.protocol_hash() ^ codec::Tables::frozen_hash().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
