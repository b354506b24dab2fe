//! Snapshots of the economy, which are made beside it: a clone of all that is kept costs microseconds, since it shares what it has
//! ([`arbiter_ledger::Map`]), and is written while the writer goes on. What was cloned is what was on disk at one position, and nothing
//! that happens later can be in it.
//!
//! The bytes of one: the ledger's checkpoint, who waits, payments, and what assets are.

use arbiter_contracts::quarantine::{Quarantine, REASON_BYTES_MAX};
use arbiter_eventlog::snapshot::Draft;
use arbiter_eventlog::{Disk, OpenError};
use arbiter_ledger::wire::{Bytes, Parts, Wire};
use arbiter_ledger::{Broken, Name, State};

use crate::economy::Books;
use crate::payments::Payments;
use crate::things::Things;

/// The economy's name among the consumers of its log.
pub(crate) const CONSUMER: &str = "economy";

/// All that was on disk of an economy at one moment, to be kept while it goes on.
#[derive(Debug)]
pub struct Frozen {
    books: Books,
    chain: [u8; 32],
}

/// Why writing ended early.
enum Stop {
    GivenUp,
    Failed(OpenError),
}

impl Frozen {
    /// The books at a position whose chain is given.
    pub(crate) fn new(books: Books, chain: [u8; 32]) -> Self {
        Self { books, chain }
    }

    /// Entries that are in it.
    pub fn entries(&self) -> u64 {
        self.books.ledger.entries()
    }

    /// The ledger as it was.
    pub fn ledger(&self) -> &State {
        &self.books.ledger
    }

    /// Keeps it as a snapshot. It is gone through twice, first for its length, and written and flushed in parts of so many bytes;
    /// behind each part of either, `goes_on` may take its time, and gives it up by saying no. Returns whether it was kept.
    ///
    /// # Errors
    /// Those of the disk. The last snapshot that was kept is there.
    pub fn keep<D: Disk>(
        &self,
        disk: &D,
        part_bytes: usize,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<bool, OpenError> {
        let mut draft = Draft::begin(disk, CONSUMER, self.entries(), self.chain)?;
        let mut goes_on = || if goes_on() { Ok(()) } else { Err(Stop::GivenUp) };
        let mut ledger_bytes = 0;
        let mut count = |part: &[u8]| {
            ledger_bytes += part.len() as u64;
            goes_on()
        };
        let mut counted = Parts::new(part_bytes, &mut count);
        let counted = self.books.ledger.put_parts(&mut counted).and_then(|()| counted.end());
        let mut keep = |part: &[u8]| {
            draft.write(part).map_err(Stop::Failed)?;
            goes_on()
        };
        let written = counted.and_then(|()| {
            let mut parts = Parts::new(part_bytes, &mut keep);
            write(&self.books, ledger_bytes, &mut parts)?;
            parts.end()
        });
        match written {
            Ok(()) => draft.keep().map(|()| true),
            Err(Stop::GivenUp) => Ok(false),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

fn write<E>(books: &Books, ledger_bytes: u64, parts: &mut Parts<'_, E>) -> Result<(), E> {
    parts.put(&ledger_bytes)?;
    books.ledger.put_parts(parts)?;
    parts.put(&(books.quarantine.len() as u32))?;
    for (source, quarantine) in &books.quarantine {
        parts.put(source)?;
        parts.put(&(quarantine.players().count() as u32))?;
        for (player, waiting) in quarantine.players() {
            parts.put(&player)?;
            parts.put(&waiting.reason.as_bytes().to_vec())?;
            parts.put(&waiting.positions)?;
        }
    }
    books.payments.put_parts(parts)?;
    parts.put(&books.things)
}

pub(crate) fn read(bytes: &[u8]) -> Result<Books, Broken> {
    let mut head = Bytes::new(bytes);
    let length = usize::try_from(u64::take(&mut head)?).map_err(|_| head.broken())?;
    let rest = &bytes[8..];
    if length > rest.len() {
        return Err(head.broken());
    }
    let (checkpoint, waiting) = rest.split_at(length);
    let mut books = Books { ledger: State::restore(checkpoint)?, ..Books::default() };
    let mut from = Bytes::new(waiting);
    for _ in 0..u32::take(&mut from)? {
        let source = Name::take(&mut from)?;
        let quarantine = read_quarantine(&mut from)?;
        books.quarantine.insert(source, quarantine);
    }
    books.payments = Payments::take(&mut from)?;
    // A snapshot of a release before notes of what assets are ends here: none was noted yet.
    if from.end().is_err() {
        books.things = Things::take(&mut from)?;
    }
    from.end()?;
    Ok(books)
}

fn read_quarantine(from: &mut Bytes<'_>) -> Result<Quarantine, Broken> {
    let mut quarantine = Quarantine::default();
    for _ in 0..u32::take(from)? {
        let player = u64::take(from)?;
        let reason: Vec<u8> = Wire::take(from)?;
        let positions: Vec<u64> = Wire::take(from)?;
        if reason.len() > REASON_BYTES_MAX {
            return Err(from.broken());
        }
        let reason = String::from_utf8(reason).map_err(|_| from.broken())?;
        for position in positions {
            quarantine.put(player, position, &reason).map_err(|_| from.broken())?;
        }
    }
    Ok(quarantine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_a_release_before_notes_of_what_assets_are_is_read() {
        let books = Books::default();
        let mut bytes = Vec::new();
        let mut keep = |part: &[u8]| -> Result<(), std::convert::Infallible> {
            bytes.extend_from_slice(part);
            Ok(())
        };
        let (mut parts, ledger_bytes) = (Parts::new(1, &mut keep), books.ledger.checkpoint().len() as u64);
        let Ok(()) = write(&books, ledger_bytes, &mut parts).and_then(|()| parts.end());
        assert_eq!(read(&bytes).as_ref(), Ok(&books));
        // The empty list of things was not written then.
        bytes.truncate(bytes.len() - 4);
        assert_eq!(read(&bytes), Ok(books));
    }
}
