//! Entity by entity: each is told against what that client provably holds of that very entity, so that no lost datagram
//! stops the others.
//!
//! The server keeps the rows of the last ticks once in a [`History`], the encodings of the current tick in a [`Cache`], and
//! for each client a [`Peer`]: what it holds, what is under way. A [`Receiver`] applies each part by itself.
//!
//! Laws: a part is read against states that were acknowledged, and nothing else; an entity that comes into sight, or leaves
//! it, is told again until that is acknowledged; a client that holds nothing of use is told entities in full, as many as its
//! budget carries.
//!
//! Next: [`Peer`], then [`Receiver`]. Not wired into the room yet: it stands beside [`crate::SnapshotEncoder`].

mod acked;
mod cache;
mod history;
mod peer;
mod receive;
mod shape;

pub use cache::Cache;
pub use history::History;
pub use peer::{Peer, PeerParts};
pub use receive::{Receiver, State};
pub use shape::{Shape, Shapes};

/// Ticks that a state may be old to be told against; an entity that does not change is told again before it is that old.
pub const AGE_MAX: u32 = 64;

/// Ticks after which an entity is told again although it did not change: twice within [`AGE_MAX`], so that one loss is
/// survived.
pub const REFRESH_TICKS: u32 = 24;

/// Ticks behind its newest state that a client keeps of an entity: [`AGE_MAX`], and what reordering takes.
pub const KEEP_TICKS: u32 = 96;

/// Entities that a client keeps.
pub const ENTITIES_MAX: usize = 16_384;

/// Tick u32, then age of the newest base and gaps to the two older ones, a byte each.
pub(crate) const HEADER_BYTES: usize = 7;

/// How an entity is told: two bits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Against the bases of the part.
    Usual,
    /// Against bases of its own, which follow.
    Own,
    /// In full.
    Full,
    /// Out of sight.
    Gone,
}

impl How {
    pub(crate) const ALL: [Self; 4] = [Self::Usual, Self::Own, Self::Full, Self::Gone];
}

/// The three ticks that an entity is told against, as bytes: age of the newest, gaps from it to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub(crate) struct Bases(pub [u8; 3]);

impl Bases {
    /// The ticks, newest first; `None` if they lie before the match or are not older than `tick`.
    pub(crate) fn ticks(self, tick: u32) -> Option<[u32; 3]> {
        let [age, near, far] = self.0.map(u32::from);
        let newest = tick.checked_sub(age).filter(|_| age > 0)?;
        Some([newest, newest.checked_sub(near)?, newest.checked_sub(far)?])
    }
}
