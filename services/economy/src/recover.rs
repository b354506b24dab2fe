//! Opening: the newest snapshot that is of this log's history, then every entry behind it. A snapshot only saves time: one that
//! is ahead of the log, or of another history, is left alone and the log is read from its start.

use arbiter_eventlog::{Disk, EventStore, Log, OpenError, Options, Record};
use arbiter_ledger::{Broken, Entry};

use crate::economy::{Books, Economy};
use crate::error::OpenFailed;
use crate::snapshot::{self, Frozen};

/// Bytes of a snapshot that are written at once when nobody waits.
const PART_BYTES: usize = 8 << 20;

/// Bytes of records that are read at once.
const READ_BYTES: usize = 1 << 20;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Entries that came out of a snapshot.
    pub from_snapshot: u64,
    /// Entries that were read from the log.
    pub replayed: u64,
    /// Whether there was a snapshot that does not fit the log.
    pub snapshot_refused: bool,
}

impl<S: EventStore> Economy<S> {
    /// Rebuilds the economy from a store, and from a snapshot's state if there is one.
    pub fn open(store: S, snapshot: Option<&[u8]>) -> Result<(Self, Recovered), OpenFailed> {
        let books = match snapshot.map(snapshot::read) {
            Some(Ok(books)) if fits(&store, &books)? => Some(books),
            _ => None,
        };
        let from_snapshot = books.as_ref().map_or(0, |books| books.ledger.entries());
        let snapshot_refused = snapshot.is_some() && books.is_none();
        let mut books = books.unwrap_or_default();
        replay(&store, &mut books)?;
        books.ledger.audit().map_err(OpenFailed::Unsound)?;
        let replayed = books.ledger.entries() - from_snapshot;
        Ok((Self::with(store, books), Recovered { from_snapshot, replayed, snapshot_refused }))
    }
}

impl<D: Disk> Economy<Log<D>> {
    /// Opens the economy's log in a folder, or makes one, and rebuilds the economy from its newest snapshot and its entries.
    pub fn open_in(disk: &D, options: Options) -> Result<(Self, Recovered), OpenFailed> {
        let (log, _) = Log::open(disk.clone(), options)?;
        let snapshot = arbiter_eventlog::snapshot::latest(disk, snapshot::CONSUMER)?;
        Self::open(log, snapshot.as_ref().map(|snapshot| snapshot.state.as_slice()))
    }

    /// All that is on disk, to be kept while this goes on; `None` while anything waits. It takes microseconds, whatever there is.
    pub fn freeze(&self) -> Option<Frozen> {
        self.ledger().map(|_| Frozen::new(self.books.clone(), self.store.chain()))
    }

    /// Keeps a snapshot of all that is on disk, and returns when it is there; `false` while anything waits.
    pub fn keep_snapshot(&self, disk: &D) -> Result<bool, OpenError> {
        self.freeze().map_or(Ok(false), |frozen| frozen.keep(disk, PART_BYTES, || true))
    }

    /// Commits what waits and closes the log.
    pub fn close(mut self) -> Result<u64, crate::CommitFailed> {
        self.commit()?;
        self.into_store().close().map_err(crate::CommitFailed::Log)
    }
}

/// Whether a snapshot is of this log's history.
fn fits<S: EventStore>(store: &S, books: &Books) -> Result<bool, OpenFailed> {
    let (entries, start) = (books.ledger.entries(), store.start());
    if entries > store.acknowledged() || entries < start {
        return Ok(false);
    }
    if entries == start {
        // The entry before it is gone; the one behind it names its history itself.
        return Ok(true);
    }
    let mut records = Vec::new();
    store.read(entries - 1, 1, &mut records)?;
    Ok(records.first().is_some_and(|record| books.ledger.follows(&record.data)))
}

fn replay<S: EventStore>(store: &S, books: &mut Books) -> Result<(), OpenFailed> {
    if books.ledger.entries() < store.start() {
        return Err(OpenFailed::Gap { start: store.start() });
    }
    let mut records: Vec<Record> = Vec::new();
    while books.ledger.entries() < store.acknowledged() {
        let next = books.ledger.entries();
        records.clear();
        store.read(next, READ_BYTES, &mut records)?;
        if records.is_empty() {
            return Err(OpenFailed::Gap { start: next });
        }
        for record in &records {
            let broken = |broken: Broken| OpenFailed::Broken { position: record.position, broken };
            let entry = Entry::from_bytes(&record.data).map_err(broken)?;
            books.ledger.redo(&entry).map_err(broken)?;
            books.note(&entry).map_err(broken)?;
        }
    }
    Ok(())
}
