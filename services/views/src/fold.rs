//! What a view is: tables, and what one record of the log does to them.

use arbiter_eventlog::Record;
use rusqlite::Transaction;
use thiserror::Error;

/// Letters of a view's name at most: it is the name of a file.
pub const NAME_BYTES_MAX: usize = 32;

/// A view's tables and how records change them.
///
/// The same records in the same order must lead to the same tables, whichever way they are cut into batches: no clock,
/// no random number, no state beside the tables. That is why it has only `&self`.
pub trait Fold: Send + 'static {
    /// Name of the view, 1 to 32 of `a` to `z`, `0` to `9` and `-`.
    fn name(&self) -> &'static str;

    /// Grows whenever [`Self::apply`] would do something else than before; then views of an earlier version are built
    /// again.
    fn version(&self) -> u32;

    /// Makes the tables. All are `STRICT` and `WITHOUT ROWID`, so that rows have an order and values a type; another
    /// schema builds views again too.
    fn schema(&self) -> &'static str;

    /// Applies the record that follows all that were applied.
    ///
    /// # Errors
    /// Nothing of the record is kept then: see [`FoldError`].
    fn apply(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(), FoldError>;

    /// Called before each record and at the end of each batch, with the position of the next record: for what comes
    /// from elsewhere and is known to belong before that position. It must do the same however often it is called.
    ///
    /// # Errors
    /// As [`Self::apply`].
    fn between(&self, transaction: &Transaction<'_>, next: u64) -> Result<(), FoldError> {
        let _ = (transaction, next);
        Ok(())
    }
}

/// A fold that also says something of each record: what the world is to be told of it. What it says follows from the records
/// up to that one and from nothing else, as the tables do, and [`Fold::apply`] does the same and says nothing.
///
/// What is said is heard before the tables that it led to are kept ([`crate::View::follow_and_say`]), so that nothing is left
/// unsaid, whatever fails when. It may be said again, word for word: whoever hears it must know it by its name.
pub trait Saying: Fold {
    /// What is said of one record.
    type Said;

    /// Applies the record that follows all that were applied, as [`Fold::apply`] does, and says something of it.
    ///
    /// # Errors
    /// As [`Fold::apply`].
    fn say(&self, transaction: &Transaction<'_>, record: &Record) -> Result<Self::Said, FoldError>;
}

/// Why a record was not applied.
#[derive(Debug, Error)]
pub enum FoldError {
    /// It can never be applied by this build. The view stops before it and says these words, which name what to do.
    #[error("{0}")]
    Stopped(String),
    /// SQLite said no, perhaps only for now.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}
