//! What an event store is to those who stand on it, whichever it is: this log, or a server's on another machine. Every one of
//! them passes [`conformance`]; what it may promise beyond that, nobody relies on.

use crate::disk::Disk;
use crate::error::{AppendError, CommitError, OpenError};
use crate::log::{Appended, Log};
use crate::record::Record;

/// An ordered store of facts: appended once by id, acknowledged when they are durable, never changed.
pub trait EventStore {
    /// Adds a record to the open batch: see [`Log::append`].
    fn append(&mut self, id: u128, data: &[u8]) -> Result<Appended, AppendError>;
    /// Makes the open batch durable and returns the position behind it: see [`Log::commit`].
    fn commit(&mut self) -> Result<u64, CommitError>;
    /// Position behind the last durable record.
    fn acknowledged(&self) -> u64;
    /// Position of the first record that is kept.
    fn start(&self) -> u64;
    /// Reads acknowledged records from a position on: see [`Log::read`].
    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError>;
}

impl<D: Disk> EventStore for Log<D> {
    fn append(&mut self, id: u128, data: &[u8]) -> Result<Appended, AppendError> {
        Log::append(self, id, data)
    }

    fn commit(&mut self) -> Result<u64, CommitError> {
        Log::commit(self)
    }

    fn acknowledged(&self) -> u64 {
        Log::acknowledged(self)
    }

    fn start(&self) -> u64 {
        Log::start(self)
    }

    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        Log::read(self, from, bytes, into)
    }
}

/// What every store must do. `open` opens the same store again, after the one before was dropped without a goodbye; the first
/// one is empty.
///
/// # Errors
/// What the store did, and what it should have done.
pub fn conformance<S: EventStore>(mut open: impl FnMut() -> S) -> Result<(), String> {
    let mut store = open();
    want("an empty store's end", &store.acknowledged(), &0)?;
    for id in 1..=20_u128 {
        want("a new record", &store.append(id, &data(id)), &Ok(Appended::New(id as u64 - 1)))?;
        want(
            "the same record again, before its commit",
            &store.append(id, &data(id)),
            &Ok(Appended::Known(id as u64 - 1)),
        )?;
        if id % 5 == 0 {
            want("a commit", &store.commit().map_err(|error| error.to_string()), &Ok(id as u64))?;
        }
    }
    want("a commit of nothing", &store.commit().map_err(|error| error.to_string()), &Ok(20))?;
    // Never committed, so that nobody may see it, now or later.
    want("a record without a commit", &store.append(99, b"lost"), &Ok(Appended::New(20)))?;
    want("the end before its commit", &store.acknowledged(), &20)?;
    holds(&store)?;
    drop(store);
    let mut store = open();
    want("the end after opening again", &store.acknowledged(), &20)?;
    holds(&store)?;
    for id in 1..=20_u128 {
        want("a record told again", &store.append(id, &data(id)), &Ok(Appended::Known(id as u64 - 1)))?;
    }
    let conflict = Err(AppendError::Conflict { id: 7, position: 6 });
    want("another fact under a known id", &store.append(7, b"other"), &conflict)?;
    want("what was lost, appended again", &store.append(99, b"found"), &Ok(Appended::New(20)))?;
    want("its commit", &store.commit().map_err(|error| error.to_string()), &Ok(21))
}

fn data(id: u128) -> Vec<u8> {
    vec![id as u8; id as usize * 11]
}

fn want<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, and {expected:?} belongs there")) }
}

fn holds(store: &impl EventStore) -> Result<(), String> {
    for from in [0, 3, 7, 19, 20] {
        let (mut next, mut records) = (from, Vec::new());
        while next < store.acknowledged() {
            records.clear();
            store.read(next, 1, &mut records).map_err(|error| error.to_string())?;
            want("a read below the end gives something", &records.is_empty(), &false)?;
            for record in &records {
                let id = u128::from(next) + 1;
                want("a record", record, &Record { position: next, id, data: data(id) })?;
                next += 1;
            }
        }
        records.clear();
        store.read(store.acknowledged(), 1, &mut records).map_err(|error| error.to_string())?;
        want("a read at the end", &records, &Vec::new())?;
    }
    Ok(())
}
