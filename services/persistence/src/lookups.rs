//! Questions to the tables, each over an index, each with a limit.

use arbiter_contracts::{Classification, Envelope};
use arbiter_views::rusqlite::types::{Type, Value};
use arbiter_views::rusqlite::{self, Connection, OptionalExtension as _, Row, params};

use crate::answers::{
    Achievement, CauseTally, HistoryEvent, Match, MatchResult, PickupTally, PlayedMatch, Progress, WaitingPlayer,
};
use crate::facts::waiting;
use crate::told::{cause, hex, number, outcome, told};

/// Sums of a player, and when the first and the last match ended.
pub type Known = (Progress, i64, i64);

/// What is known of a player; `None` if no match of the player ended.
pub fn progress(connection: &Connection, player: u64) -> rusqlite::Result<Option<Known>> {
    let all = "SELECT matches, wins, score, kills, deaths, assists, ticks_played, first_ms, last_ms
        FROM players WHERE player = ?";
    let read = |row: &Row<'_>| {
        let progress = Progress {
            matches: row.get(0)?,
            wins: row.get(1)?,
            score: row.get(2)?,
            kills: row.get(3)?,
            deaths: row.get(4)?,
            assists: row.get(5)?,
            ticks_played: row.get(6)?,
        };
        Ok((progress, row.get(7)?, row.get(8)?))
    };
    connection.prepare_cached(all)?.query_row([player.cast_signed()], read).optional()
}

const MATCH: &str = "m.match, m.map, m.mode, m.tick_rate, m.rules_hash, m.started_ms, m.ended_ms, m.outcome, m.winner,
    m.ticks, m.recording_hash";

fn read_match(row: &Row<'_>) -> rusqlite::Result<Match> {
    let recording: Option<Vec<u8>> = row.get(10)?;
    Ok(Match {
        id: hex(&row.get::<_, Vec<u8>>(0)?),
        map: row.get(1)?,
        mode: row.get(2)?,
        tick_rate: row.get(3)?,
        rules_hash: hex(&row.get::<_, Vec<u8>>(4)?),
        started_ms: row.get(5)?,
        ended_ms: row.get(6)?,
        outcome: row.get::<_, Option<i32>>(7)?.map(|number| outcome(number).to_owned()),
        winner: row.get(8)?,
        ticks: row.get(9)?,
        recording_hash: recording.filter(|hash| !hash.is_empty()).map(|hash| hex(&hash)),
    })
}

/// A match.
pub fn match_of(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<Option<Match>> {
    let one = format!("SELECT {MATCH} FROM matches m WHERE m.match = ?");
    connection.prepare_cached(&one)?.query_row([id], read_match).optional()
}

/// Whether a player was in a match.
pub fn was_in(connection: &Connection, player: u64, id: &[u8; 16]) -> rusqlite::Result<bool> {
    let any = "SELECT EXISTS (SELECT 1 FROM played WHERE player = ? AND match = ?)";
    connection.prepare_cached(any)?.query_row(params![player.cast_signed(), id], |row| row.get(0))
}

/// What was done in a match: by all, or by one player. There are as many as an event of 256 KiB holds.
pub fn results(connection: &Connection, id: &[u8], player: Option<u64>) -> rusqlite::Result<Vec<MatchResult>> {
    let all = "SELECT player, slot, team, won, score, kills, deaths, assists, ticks_played FROM results
        WHERE match = ?1 AND (?2 IS NULL OR player = ?2) ORDER BY slot, number";
    let read = |row: &Row<'_>| {
        Ok(MatchResult {
            player: number(row.get::<_, i64>(0)?.cast_unsigned()),
            slot: row.get(1)?,
            team: row.get(2)?,
            won: row.get(3)?,
            score: row.get(4)?,
            kills: row.get(5)?,
            deaths: row.get(6)?,
            assists: row.get(7)?,
            ticks_played: row.get(8)?,
        })
    };
    let mut statement = connection.prepare_cached(all)?;
    statement.query_map(params![id, player.map(u64::cast_signed)], read)?.collect()
}

/// Matches of a player that were first told of before a position, newest first, with those positions.
pub fn matches(
    connection: &Connection,
    player: u64,
    before: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, PlayedMatch)>> {
    // Several players may be told of by one event, but of one player's matches only one.
    let all = format!(
        "SELECT {MATCH}, p.at FROM played p JOIN matches m ON m.match = p.match
         WHERE p.player = ? AND p.at < ? ORDER BY p.at DESC LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&all)?;
    let mut rows = statement.query(params![player.cast_signed(), before.cast_signed(), limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: Vec<u8> = row.get(0)?;
        let results = results(connection, &id, Some(player))?;
        found.push((row.get::<_, i64>(11)?.cast_unsigned(), PlayedMatch { of: read_match(row)?, results }));
    }
    Ok(found)
}

/// All achievements of a player; the tables hold 1,024 at most.
pub fn achievements(connection: &Connection, player: u64) -> rusqlite::Result<Vec<Achievement>> {
    let all = "SELECT achievement, progress, first_ms, last_ms FROM achievements WHERE player = ? ORDER BY achievement";
    let read = |row: &Row<'_>| {
        Ok(Achievement { achievement: row.get(0)?, progress: row.get(1)?, first_ms: row.get(2)?, last_ms: row.get(3)? })
    };
    let mut statement = connection.prepare_cached(all)?;
    statement.query_map([player.cast_signed()], read)?.collect()
}

/// Kills or deaths of a player; the tables hold 4,096 tallies at most.
pub fn causes(connection: &Connection, player: u64, what: i64) -> rusqlite::Result<Vec<CauseTally>> {
    let all =
        "SELECT cause, number, count, headshots FROM tallies WHERE player = ? AND what = ? ORDER BY cause, number";
    let read = |row: &Row<'_>| {
        let cause = cause(row.get(0)?).to_owned();
        Ok(CauseTally { cause, number: row.get(1)?, count: row.get(2)?, headshots: row.get(3)? })
    };
    let mut statement = connection.prepare_cached(all)?;
    statement.query_map(params![player.cast_signed(), what], read)?.collect()
}

/// What a player picked up.
pub fn pickups(connection: &Connection, player: u64, what: i64) -> rusqlite::Result<Vec<PickupTally>> {
    let all = "SELECT number, count FROM tallies WHERE player = ? AND what = ? ORDER BY number";
    let read = |row: &Row<'_>| Ok(PickupTally { pickup: row.get(0)?, count: row.get(1)? });
    let mut statement = connection.prepare_cached(all)?;
    statement.query_map(params![player.cast_signed(), what], read)?.collect()
}

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// A player's.
    Player(u64),
    /// A match's.
    Match([u8; 16]),
}

/// Bytes of events that one answer tells at most, less the last: results of large matches are larger than other events.
const PAGE_BYTES_MAX: usize = 512 << 10;

/// Events before a position, newest first, of classes up to one; and whether there are more.
pub fn history(
    connection: &Connection,
    subject: Subject,
    class: Classification,
    before: u64,
    limit: usize,
) -> rusqlite::Result<(Vec<HistoryEvent>, bool)> {
    let (table, column, value) = match subject {
        Subject::Player(player) => ("player_history", "player", Value::Integer(player.cast_signed())),
        Subject::Match(id) => ("match_history", "match", Value::Blob(id.to_vec())),
    };
    let all = format!(
        "SELECT h.position, e.record FROM {table} h JOIN events e ON e.position = h.position
         WHERE h.{column} = ? AND h.position < ? AND h.class <= ? ORDER BY h.position DESC"
    );
    let mut statement = connection.prepare_cached(&all)?;
    let mut rows = statement.query(params![value, before.cast_signed(), class as i64])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if found.len() >= limit || bytes >= PAGE_BYTES_MAX {
            return Ok((found, true));
        }
        let record: Vec<u8> = row.get(1)?;
        bytes += record.len();
        found.push(read_event(row.get::<_, i64>(0)?.cast_unsigned(), &record)?);
    }
    Ok((found, false))
}

fn read_event(position: u64, record: &[u8]) -> rusqlite::Result<HistoryEvent> {
    // Only what could be read got a history.
    let event = Envelope::decode(record)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Blob, Box::new(error)))?;
    let attributes = event.attributes;
    Ok(HistoryEvent {
        position,
        kind: event.event.type_name().to_owned(),
        id: attributes.id,
        source: attributes.source,
        time_ms: u64::try_from(attributes.time.as_millis()).unwrap_or(u64::MAX),
        event: told(&event.event),
    })
}

/// Players whose events wait, behind one of them, in the order of their numbers as the tables have them.
pub fn waiting_players(
    connection: &Connection,
    behind: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<WaitingPlayer>> {
    let all = "SELECT player, reason FROM waiting_why WHERE ?1 IS NULL OR player > ?1 ORDER BY player LIMIT ?2";
    let mut statement = connection.prepare_cached(all)?;
    let mut rows = statement.query(params![behind.map(u64::cast_signed), limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let player: i64 = row.get(0)?;
        let first = "SELECT min(position) FROM waiting WHERE player = ?";
        let first: i64 = connection.prepare_cached(first)?.query_row([player], |row| row.get(0))?;
        found.push(WaitingPlayer {
            player: number(player.cast_unsigned()),
            reason: row.get(1)?,
            waiting: waiting::count_of(connection, player.cast_unsigned())?,
            first_position: first.cast_unsigned(),
        });
    }
    Ok(found)
}
