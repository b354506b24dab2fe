//! The quarantine in tables: which events wait for which player, and how they are tried again.
//!
//! It follows the rules of [`arbiter_contracts::quarantine`], with one addition: what is about nobody (player 0) holds
//! back nothing, so there each event waits alone. Whether and when something is tried again is no accident of time: a
//! replay is asked for at a position and kept ([`crate::replays`]), so that a view that is built again does it at the
//! same place.

use arbiter_contracts::Envelope;
use arbiter_contracts::quarantine::Quarantine;
use arbiter_views::rusqlite::{self, Connection, OptionalExtension as _, Transaction, params};

use super::PartError;
use super::apply::{self, Place};

/// Whether a player's next event must wait.
pub fn holds(connection: &Connection, player: u64) -> rusqlite::Result<bool> {
    let mut any = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM waiting WHERE player = ?)")?;
    any.query_row([player.cast_signed()], |row| row.get(0))
}

/// Events that wait, for all players together.
pub fn count(connection: &Connection) -> rusqlite::Result<usize> {
    let mut all = connection.prepare_cached("SELECT waiting FROM counts")?;
    all.query_row([], |row| row.get::<_, i64>(0)).map(|count| count as usize)
}

/// Events that wait for one player.
pub fn count_of(connection: &Connection, player: u64) -> rusqlite::Result<u64> {
    let mut own = connection.prepare_cached("SELECT count(*) FROM waiting WHERE player = ?")?;
    own.query_row([player.cast_signed()], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// Why the first event of a player waits.
pub fn why(connection: &Connection, player: u64) -> rusqlite::Result<Option<String>> {
    let mut why = connection.prepare_cached("SELECT reason FROM waiting_why WHERE player = ?")?;
    why.query_row([player.cast_signed()], |row| row.get(0)).optional()
}

/// Puts an event aside.
pub fn put(transaction: &Transaction<'_>, player: u64, position: u64, reason: &str) -> rusqlite::Result<()> {
    let player = player.cast_signed();
    let mut waiting = transaction.prepare_cached("INSERT INTO waiting VALUES (?, ?) ON CONFLICT DO NOTHING")?;
    let added = waiting.execute(params![player, position.cast_signed()])?;
    transaction.prepare_cached("UPDATE counts SET waiting = waiting + ?")?.execute([added as i64])?;
    let mut why = transaction.prepare_cached("INSERT INTO waiting_why VALUES (?, ?) ON CONFLICT DO NOTHING")?;
    why.execute(params![player, reason])?;
    Ok(())
}

/// How many of the replays that were asked for are done.
pub fn replayed(connection: &Connection) -> rusqlite::Result<usize> {
    let mut done = connection.prepare_cached("SELECT replayed FROM counts")?;
    done.query_row([], |row| row.get::<_, i64>(0)).map(|count| count as usize)
}

/// Notes that so many are done.
pub fn note_replayed(transaction: &Transaction<'_>, done: usize) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE counts SET replayed = ?")?.execute([done as i64]).map(drop)
}

/// Tries again what waits for nobody, since players' events may need it, and then what waits for a player.
pub fn replay(transaction: &Transaction<'_>, player: u64) -> rusqlite::Result<()> {
    for position in positions(transaction, 0)? {
        replay_some(transaction, 0, &[position])?;
    }
    if player != 0 {
        let all = positions(transaction, player)?;
        replay_some(transaction, player, &all)?;
    }
    Ok(())
}

fn positions(transaction: &Transaction<'_>, player: u64) -> rusqlite::Result<Vec<u64>> {
    let mut own = transaction.prepare_cached("SELECT position FROM waiting WHERE player = ? ORDER BY position")?;
    let rows = own.query_map([player.cast_signed()], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?;
    rows.collect()
}

/// Tries positions in their order, up to the first that still cannot be applied.
fn replay_some(transaction: &Transaction<'_>, player: u64, waiting: &[u64]) -> rusqlite::Result<()> {
    let mut quarantine = Quarantine::default();
    for position in waiting {
        // There are no more than were let in.
        let _ = quarantine.put(player, *position, "");
    }
    let (mut failed, mut reason) = (None, None);
    let mut fewer = transaction.prepare_cached("UPDATE counts SET waiting = waiting - ?")?;
    let mut gone = transaction.prepare_cached("DELETE FROM waiting WHERE player = ? AND position = ?")?;
    quarantine.replay(player, |position| {
        let applied = apply_again(transaction, player, position).and_then(|()| {
            let removed = gone.execute(params![player.cast_signed(), position.cast_signed()])?;
            fewer.execute([removed as i64])?;
            Ok(())
        });
        applied.map_err(|error| {
            let words = error.to_string();
            match error {
                PartError::Refused(_) => reason = Some(words.clone()),
                PartError::Sqlite(error) => failed = Some(error),
            }
            words
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if !holds(transaction, player)? {
        transaction.prepare_cached("DELETE FROM waiting_why WHERE player = ?")?.execute([player.cast_signed()])?;
    } else if let Some(reason) = reason {
        let mut why = transaction.prepare_cached("INSERT OR REPLACE INTO waiting_why VALUES (?, ?)")?;
        why.execute(params![player.cast_signed(), reason])?;
    }
    Ok(())
}

fn apply_again(transaction: &Transaction<'_>, player: u64, position: u64) -> Result<(), PartError> {
    let mut record = transaction.prepare_cached("SELECT record FROM events WHERE position = ?")?;
    let record: Vec<u8> = record.query_row([position.cast_signed()], |row| row.get(0))?;
    let event = Envelope::decode(&record).map_err(|error| PartError::Refused(error.to_string()))?;
    apply::all_of(transaction, &Place::new(&event, position), player)
}
