//! What moved against what the world was told: each booking that moved something is told in one event, with the same postings.
//! Both stand in the same order in their logs, so that they are read side by side, and nothing of them is kept.

use std::collections::VecDeque;

use arbiter_contracts::{Envelope, Event, v1};
use arbiter_ledger::{Booking, Effect, Entry};
use arbiter_views::Source;

use super::{Compare, READ_BYTES, ReconcileError, What};
use crate::tell::SOURCE;

/// Bookings of a log that moved something, with the numbers of their entries, in their order.
struct Bookings<'a, L: Source> {
    ledger: &'a L,
    next: u64,
    ready: VecDeque<(u64, Booking)>,
}

impl<L: Source> Bookings<'_, L> {
    fn first(&mut self) -> Result<Option<&(u64, Booking)>, ReconcileError> {
        let mut records = Vec::new();
        while self.ready.is_empty() && self.next < self.ledger.end() {
            records.clear();
            self.ledger.read(self.next, READ_BYTES, &mut records)?;
            self.next = records.last().map_or(self.ledger.end(), |record| record.position + 1);
            // All of them were read and done again before.
            let entries = records.iter().filter_map(|record| Entry::from_bytes(&record.data).ok());
            for entry in entries {
                let moved = entry.bookings().filter(|booking| postings(booking).next().is_some());
                self.ready.extend(moved.map(|booking| (entry.number, booking.clone())));
            }
        }
        Ok(self.ready.front())
    }
}

fn postings(booking: &Booking) -> impl Iterator<Item = v1::Posting> {
    booking.effects.iter().filter_map(|effect| {
        let Effect::Moved { account, amount, balance } = effect else { return None };
        let (owner, asset, bucket) = (account.owner, account.asset.to_string(), account.bucket.to_string());
        Some(v1::Posting { account: Some(v1::Account { owner, asset, bucket }), amount: *amount, balance: *balance })
    })
}

/// The entry that an event of the economy names.
fn entry_of(id: &str) -> Option<u64> {
    id.split_once('-').and_then(|(entry, _)| entry.parse().ok())
}

impl<E: Source> Compare<'_, E> {
    /// Compares what the ledger's entries moved with what the log of events has of it. What is not told yet is counted.
    pub(super) fn told(&mut self, ledger: &impl Source) -> Result<(), ReconcileError> {
        let mut bookings = Bookings { ledger, next: 0, ready: VecDeque::new() };
        let (mut next, mut sequence, mut records) = (0, 0, Vec::new());
        while next < self.events.end() {
            records.clear();
            self.events.read(next, READ_BYTES, &mut records)?;
            next = records.last().map_or(self.events.end(), |record| record.position + 1);
            for record in &records {
                // Who cannot be read was named before.
                let Ok(event) = Envelope::decode(&record.data) else { continue };
                if event.attributes.source == SOURCE {
                    self.told_by(&event, record.position, &mut sequence, &mut bookings)?;
                }
            }
        }
        while bookings.first()?.is_some() {
            self.report.untold += 1;
            bookings.ready.pop_front();
        }
        Ok(())
    }

    fn told_by(
        &mut self,
        event: &Envelope,
        position: u64,
        sequence: &mut u64,
        bookings: &mut Bookings<'_, impl Source>,
    ) -> Result<(), ReconcileError> {
        let Some(entry) = entry_of(&event.attributes.id).filter(|entry| *entry < bookings.ledger.end()) else {
            // Booked since the ledger's log was opened.
            return Ok(());
        };
        if event.attributes.sequence != *sequence {
            self.differs(Some(position), Some(entry), None, What::NotInSequence(*sequence));
        }
        *sequence = event.attributes.sequence.saturating_add(1);
        let Event::WalletChanged(changed) = &event.event else { return Ok(()) };
        while let Some((number, booking)) = bookings.first()? {
            if booking.transfer < changed.transfer {
                let number = *number;
                self.differs(None, Some(number), None, What::NotTold);
                bookings.ready.pop_front();
                continue;
            }
            if booking.transfer > changed.transfer {
                break;
            }
            let same =
                booking.reason.as_str() == changed.reason && postings(booking).eq(changed.postings.iter().cloned());
            bookings.ready.pop_front();
            match same {
                true => self.report.told += 1,
                false => self.differs(Some(position), Some(entry), None, What::ToldOtherwise),
            }
            return Ok(());
        }
        self.differs(Some(position), Some(entry), None, What::NotMoved);
        Ok(())
    }
}
