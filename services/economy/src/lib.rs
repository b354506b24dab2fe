//! What a player earns and keeps. One writer decides on commands with `arbiter-ledger`, writes what it decided to the log of
//! record, and tells nobody before the log has acknowledged it.
//!
//! One truth, the log: each record of it is an entry of the ledger, at the position that is the entry's number, and says
//! which position of which source it consumed, so that effect and cursor are one write. All that is in memory, and every
//! snapshot, is made from it and can be thrown away. Threads, sockets and clocks are in
//! [`desk`] and [`http`] alone: everything else is passed its times.
//!
//! Next: [`Economy`] for the writer, [`rewards`] for what match results are worth,
//! [`catalogue`] and [`store`] for what is for sale, [`payments`] for money of the real world, [`error`] for what can go wrong. Shapes and
//! limits stand in `docs/economy.md`, why it is so in `docs/decisions/ledger.md`.

pub mod catalogue;
pub mod desk;
mod digest;
pub mod economy;
pub mod error;
pub mod http;
pub mod inventory;
mod ledger_view;
mod notes;
pub mod payments;
pub mod reconcile;
mod recover;
pub mod rewards;
mod snapshot;
pub mod store;
pub mod tell;
mod things;
pub mod transactions;
mod uuid;

pub use catalogue::Catalogue;
pub use economy::{Economy, Told};
pub use error::{CommitFailed, ConsumeError, OpenFailed, SubmitError};
pub use inventory::Inventory;
pub use ledger_view::{CheckError, LedgerView, ViewError, rebuild_check};
pub use recover::Recovered;
pub use rewards::{Reward, Rewards, When, Window};
pub use snapshot::Frozen;
