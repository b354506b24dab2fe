//! Double entry without a disk: who has how much of what, as a function of the commands that came and the times at which they
//! came. No I/O, no clock, no threads; whoever stands above writes what comes out to a log and answers only when it is there.
//!
//! [`apply()`] decides: a [`Command`] and a [`Time`] become an [`Entry`], which says all that changed, or nothing if the command
//! was here before. [`State::redo`] does what an entry says, without deciding anything again, so that a rule that changes
//! tomorrow does not change yesterday. Both go through the same few functions: what they build has the same [`State::hash`].
//!
//! What always holds, and what [`State::audit`] proves: every asset sums to zero over all accounts; only the issuer of an asset
//! and `debt` buckets are below zero; what lies in a `held` bucket is what open holds say, no more and no less.
//!
//! Next: [`command`] for what can be asked, [`mod@apply`] for the rules, [`state`] for what is kept, [`entry`] for what is
//! written, [`refusal`] for every no. The shapes are written down in `docs/economy.md`.

pub mod account;
pub mod apply;
pub mod command;
pub mod entry;
pub mod key;
pub mod map;
pub mod name;
pub mod refusal;
pub mod state;
mod transaction;
pub mod wire;

pub use account::{Account, Balance};
pub use apply::{Applied, apply};
pub use command::{Claim, Command, Order, Step};
pub use entry::{Answer, Booking, Cause, Effect, Entry, Receipt};
pub use key::Key;
pub use map::Map;
pub use name::Name;
pub use refusal::{Broken, Refusal, Unanswered, Why};
pub use state::{Asset, Hold, State};

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// A time that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// This much later; never beyond [`Self::NEVER`].
    pub fn after(self, milliseconds: u64) -> Time {
        Time(self.0.saturating_add(milliseconds))
    }
}
