//! The bytes of a snapshot: the ledger's checkpoint, who waits, payments, and what assets are.

use arbiter_contracts::quarantine::{Quarantine, REASON_BYTES_MAX};
use arbiter_ledger::wire::{Bytes, Wire};
use arbiter_ledger::{Broken, Name, State};

use crate::economy::Books;
use crate::payments::Payments;
use crate::things::Things;

/// The economy's name among the consumers of its log.
pub(crate) const CONSUMER: &str = "economy";

pub(crate) fn write(books: &Books) -> Vec<u8> {
    let mut out = books.ledger.checkpoint();
    // Moved within what is there: a checkpoint may be gigabytes.
    let length = (out.len() as u64).to_le_bytes();
    out.splice(..0, length);
    (books.quarantine.len() as u32).put(&mut out);
    for (source, quarantine) in &books.quarantine {
        source.put(&mut out);
        let players: Vec<_> = quarantine.players().collect();
        (players.len() as u32).put(&mut out);
        for (player, waiting) in players {
            player.put(&mut out);
            waiting.reason.as_bytes().to_vec().put(&mut out);
            waiting.positions.put(&mut out);
        }
    }
    books.payments.put(&mut out);
    books.things.put(&mut out);
    out
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
        let mut bytes = write(&books);
        assert_eq!(read(&bytes).as_ref(), Ok(&books));
        // The empty list of things was not written then.
        bytes.truncate(bytes.len() - 4);
        assert_eq!(read(&bytes), Ok(books));
    }
}
