//! What players say of themselves: the only personal data of the house, and no view but a truth of its own.
//!
//! Each change is a sealed record of a log; the player's key is in a small store beside it, wrapped by a master key
//! that touches no disk of ours. To erase a player is to destroy the key: what was sealed with it, in this log or in
//! any copy of it, is noise from then on. Next: [`keys`] for the store of keys, [`sealed`] for a record, [`store`] for
//! both together, [`name`] for what a display name may be.

pub mod keys;
pub mod name;
mod sealed;
pub mod store;

pub use name::DisplayName;
pub use store::{ProfileError, Profiles};
