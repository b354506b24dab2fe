//! The view of what was told, and what one entry adds to it.

use std::time::Duration;

use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Attributes, Envelope};
use arbiter_eventlog::Record;
use arbiter_ledger::Entry;
use arbiter_views::rusqlite::Transaction;
use arbiter_views::{Fold, FoldError, Saying};

use super::booking::tell;
use super::tables::Tables;

/// Who says it: `source` of the events' envelopes.
pub const SOURCE: &str = "/services/economy";

/// An event, ready for the log of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name there: [`log_id`] of its source and id.
    pub id: u128,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The fold of the view. It says the events of each entry: their ids are the entry's number and their number in the entry, as
/// `17-0`; their sequence has no gap from the first one on.
#[derive(Debug, Clone, Copy)]
pub struct Telling;

impl Fold for Telling {
    fn name(&self) -> &'static str {
        "told"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn apply(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(), FoldError> {
        self.say(transaction, record).map(drop)
    }
}

impl Saying for Telling {
    type Said = Vec<Fact>;

    fn say(&self, transaction: &Transaction<'_>, record: &Record) -> Result<Vec<Fact>, FoldError> {
        let entry = Entry::from_bytes(&record.data).map_err(|broken| FoldError::Stopped(broken.to_string()))?;
        let tables = Tables(transaction);
        let events = tell(tables, &entry)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let first = tables.take_sequence(events.len())?;
        let facts = (first..).zip(events).enumerate().map(|(index, (sequence, (subject, event)))| {
            let attributes = Attributes {
                id: format!("{}-{index}", entry.number),
                source: SOURCE.to_owned(),
                subject,
                time: Duration::from_millis(entry.time.0),
                sequence,
                ..Attributes::default()
            };
            let id = log_id(SOURCE, &attributes.id);
            let bytes = Envelope { attributes, event }.encode();
            bytes.map(|bytes| Fact { id, bytes }).map_err(|error| FoldError::Stopped(error.to_string()))
        });
        facts.collect()
    }
}
