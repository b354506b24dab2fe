//! The view of this service: what each event does to the tables.
//!
//! An event is taken apart ([`parts`]): one part for its match, one for each player. A part is applied or refused as a
//! whole ([`apply`]); what is refused is put aside for its player, together with all that follows for that player alone
//! ([`waiting`]). The history has every event, whatever became of its parts. An event of a type that this build does
//! not know stops the view.

mod apply;
pub mod parts;
pub mod waiting;

use arbiter_contracts::quarantine::{Quarantine, WAITING_MAX};
use arbiter_contracts::{Attributes, DecodeError, Envelope};
use arbiter_eventlog::Record;
use arbiter_views::rusqlite::{self, Transaction, params};
use arbiter_views::{Fold, FoldError};
use thiserror::Error;

use self::apply::Place;
use crate::replays::Asked;

/// Why a part was not applied.
#[derive(Debug, Error)]
pub enum PartError {
    /// It contradicts what is known; the words say what.
    #[error("{0}")]
    Refused(String),
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The fold.
#[derive(Debug)]
pub struct Facts {
    replays: Asked,
}

impl Facts {
    /// With the replays that were asked for, which are done where they belong.
    pub fn new(replays: Asked) -> Self {
        Self { replays }
    }
}

impl Fold for Facts {
    fn name(&self) -> &'static str {
        "persistence"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> &'static str {
        include_str!("schema.sql")
    }

    fn apply(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(), FoldError> {
        transaction
            .prepare_cached("INSERT INTO events VALUES (?, ?)")?
            .execute(params![record.position.cast_signed(), record.data])?;
        let event = match Envelope::decode(&record.data) {
            Ok(event) => event,
            Err(error @ DecodeError::UnknownType { .. }) => return Err(FoldError::Stopped(error.to_string())),
            Err(error) => {
                // Known by name and wrong inside: that is somebody's fault, and for one player at most.
                let about = Attributes::read(&record.data).map_err(|_| FoldError::Stopped(error.to_string()))?;
                return put_aside(transaction, player_of(&about), record.position, &error.to_string());
            }
        };
        write_history(transaction, &event, record.position)?;
        let place = Place::new(&event, record.position);
        for player in parts::concerned(&event.event) {
            let held = player != 0 && waiting::holds(transaction, player)?;
            let applied =
                if held { Err(PartError::Refused(String::new())) } else { apply::all_of(transaction, &place, player) };
            match applied {
                Ok(()) => {}
                Err(PartError::Refused(reason)) => put_aside(transaction, player, record.position, &reason)?,
                Err(PartError::Sqlite(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn between(&self, transaction: &Transaction<'_>, next: u64) -> Result<(), FoldError> {
        if self.replays.is_empty() {
            return Ok(());
        }
        let mut done = waiting::replayed(transaction)?;
        while let Some(replay) = self.replays.get(done).filter(|replay| replay.at <= next) {
            waiting::replay(transaction, replay.player)?;
            done += 1;
            waiting::note_replayed(transaction, done)?;
        }
        Ok(())
    }
}

fn put_aside(transaction: &Transaction<'_>, player: u64, position: u64, reason: &str) -> Result<(), FoldError> {
    if waiting::count(transaction)? >= WAITING_MAX {
        return Err(FoldError::Stopped(arbiter_contracts::quarantine::Full.to_string()));
    }
    // The contracts say how much of a reason is kept.
    let mut kept = Quarantine::default();
    kept.put(player, position, reason).map_err(|full| FoldError::Stopped(full.to_string()))?;
    let reason = kept.players().next().map(|(_, waiting)| waiting.reason.clone()).unwrap_or_default();
    Ok(waiting::put(transaction, player, position, &reason)?)
}

/// The player that an envelope says it is about; 0 for nobody.
fn player_of(about: &Attributes) -> u64 {
    about.subject.strip_prefix("players/").and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn write_history(transaction: &Transaction<'_>, event: &Envelope, position: u64) -> rusqlite::Result<()> {
    let (position, class) = (position.cast_signed(), event.event.kind().classification as i64);
    let mut history = transaction.prepare_cached("INSERT INTO player_history VALUES (?, ?, ?)")?;
    for player in parts::involved(&event.event) {
        history.execute(params![player.cast_signed(), position, class])?;
    }
    if let Some(id) = parts::match_of(&event.event) {
        transaction
            .prepare_cached("INSERT INTO match_history VALUES (?, ?, ?)")?
            .execute(params![id, position, class])?;
    }
    Ok(())
}
