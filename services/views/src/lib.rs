//! What services look things up in: tables in SQLite that are made from a log, and can be thrown away and made again.
//!
//! The log is the truth. A view is a name, a version, tables and a [`Fold`], which says what one record does to them. A
//! [`View`] applies records and writes down how far it came, both in one transaction; whatever file does not fit the
//! log or the fold is thrown away and built again, so that there is nothing to migrate. [`content_hash`] is the same
//! for a view that grew and for one that was rebuilt. No thread and no clock is here, but for how long a reader waits.
//!
//! Next: [`fold`] for what a view is, [`View`] to write one, [`Queries`] to read it. Why it is so stands in
//! `docs/decisions/views.md`.

pub mod check;
pub mod error;
mod file;
pub mod fold;
pub mod hash;
pub mod queries;
pub mod source;
pub mod view;

pub use check::{CheckError, RebuildCheck, rebuild_check};
pub use error::{ApplyError, FollowError, NotYet, OpenError, QueryError, ReadError, SayError};
pub use fold::{Fold, FoldError, Saying};
pub use hash::content_hash;
pub use queries::{Moment, Queries};
pub use rusqlite;
pub use source::Source;
pub use view::{Opened, Unfit, View};
