//! A view of the economy's log: what moved on each player's accounts, newest last. Nothing in it is worth keeping, since the log has
//! all of it.

use arbiter_eventlog::Record;
use arbiter_ledger::{Booking, Cause, Effect, Entry};
use arbiter_views::rusqlite::{Connection, Transaction, params};
use arbiter_views::{Fold, FoldError};

/// The fold of the view.
#[derive(Debug, Clone, Copy)]
pub struct Transactions;

/// One movement on one of a player's accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Number of the entry, and of the movement in it.
    pub at: (u64, u32),
    /// Number of the booking: all that moved at once.
    pub transaction: u64,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// Short name of the reason.
    pub reason: String,
    /// What moved.
    pub asset: String,
    /// Between which of the player's buckets and the rest of the world.
    pub bucket: String,
    /// Added; negative for taken.
    pub amount: i64,
    /// What was there then.
    pub balance: i64,
    /// What led to it: a position of the log of events, if that did.
    pub event: Option<u64>,
}

impl Fold for Transactions {
    fn name(&self) -> &'static str {
        "transactions"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> &'static str {
        // A player of 64 bits is kept as the same bits, signed.
        "CREATE TABLE movements (
            player INTEGER NOT NULL, entry INTEGER NOT NULL, number INTEGER NOT NULL, booking INTEGER NOT NULL,
            time INTEGER NOT NULL, reason TEXT NOT NULL, asset TEXT NOT NULL, bucket TEXT NOT NULL,
            amount INTEGER NOT NULL, balance INTEGER NOT NULL, event INTEGER,
            PRIMARY KEY (player, entry, number)
        ) STRICT, WITHOUT ROWID;"
    }

    fn apply(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(), FoldError> {
        let entry = Entry::from_bytes(&record.data).map_err(|broken| FoldError::Stopped(broken.to_string()))?;
        let mut number = 0_u32;
        for booking in entry.bookings() {
            movements(transaction, &entry, booking, &mut number)?;
        }
        Ok(())
    }
}

fn movements(
    transaction: &Transaction<'_>,
    entry: &Entry,
    booking: &Booking,
    number: &mut u32,
) -> Result<(), FoldError> {
    let event = match &entry.cause {
        Cause::Consumed { position, .. } | Cause::Amended { position, .. } => Some(*position),
        Cause::Requested { .. } | Cause::Elapsed => None,
    };
    let mut insert =
        transaction.prepare_cached("INSERT INTO movements VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?;
    for effect in &booking.effects {
        let Effect::Moved { account, amount, balance } = effect else { continue };
        insert.execute(params![
            account.owner.cast_signed(),
            entry.number.cast_signed(),
            *number,
            booking.transfer.cast_signed(),
            entry.time.0.cast_signed(),
            booking.reason.as_str(),
            account.asset.as_str(),
            account.bucket.as_str(),
            amount,
            balance,
            event.map(u64::cast_signed),
        ])?;
        *number += 1;
    }
    Ok(())
}

/// A player's movements before one, the newest first.
pub fn before(
    connection: &Connection,
    player: u64,
    before: Option<(u64, u32)>,
    limit: usize,
) -> arbiter_views::rusqlite::Result<Vec<Movement>> {
    let (entry, number) = before.unwrap_or((u64::MAX >> 1, u32::MAX));
    let mut rows = connection.prepare_cached(
        "SELECT entry, number, booking, time, reason, asset, bucket, amount, balance, event FROM movements
         WHERE player = ?1 AND (entry, number) < (?2, ?3) ORDER BY entry DESC, number DESC LIMIT ?4",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = rows.query_map(params![player.cast_signed(), entry.cast_signed(), number, limit], |row| {
        Ok(Movement {
            at: (row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?),
            transaction: row.get::<_, i64>(2)?.cast_unsigned(),
            time: row.get::<_, i64>(3)?.cast_unsigned(),
            reason: row.get(4)?,
            asset: row.get(5)?,
            bucket: row.get(6)?,
            amount: row.get(7)?,
            balance: row.get(8)?,
            event: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
        })
    })?;
    found.collect()
}
