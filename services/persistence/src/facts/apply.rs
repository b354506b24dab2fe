//! What a part does to the tables. Each looks first and writes then, so that one that is refused has changed nothing.

use arbiter_contracts::v1::{
    AchievementProgressed, LootTaken, MatchEnded, MatchStarted, Outcome, PlayerJoined, PlayerKilled, PlayerResult,
};
use arbiter_contracts::{Envelope, Event};
use arbiter_views::rusqlite::{OptionalExtension as _, Transaction, params};

use super::PartError;
use super::parts::{self, DEATHS, KILLS, LOOT, MATCH_BYTES, Part};

/// Achievements of one player at most: what the rules of a game name, with room.
pub const ACHIEVEMENTS_MAX: i64 = 1_024;

/// Causes of death and kinds of things that are counted for one player at most.
pub const TALLIES_MAX: i64 = 4_096;

/// Bytes of the name of a map, a mode or an achievement.
pub const NAME_BYTES_MAX: usize = 128;

/// Bytes of the hash of rules.
const RULES_HASH_BYTES: usize = 32;

/// Bytes of the chain through a recording.
const RECORDING_HASH_BYTES: usize = 16;

/// An event, and where and when it is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    event: &'a Event,
    position: u64,
    /// Milliseconds since 1970; `None` if they do not fit.
    time_ms: Option<i64>,
}

impl<'a> Place<'a> {
    pub fn new(envelope: &'a Envelope, position: u64) -> Self {
        let time_ms = i64::try_from(envelope.attributes.time.as_millis()).ok();
        Self { event: &envelope.event, position, time_ms }
    }
}

fn refused<T>(reason: impl Into<String>) -> Result<T, PartError> {
    Err(PartError::Refused(reason.into()))
}

/// Applies all parts of an event that are a player's, or the match's if the player is 0.
pub fn all_of(transaction: &Transaction<'_>, place: &Place<'_>, player: u64) -> Result<(), PartError> {
    if parts::malformed_match(place.event) {
        return refused(format!("the match's id must have {MATCH_BYTES} bytes"));
    }
    let Some(time_ms) = place.time_ms else { return refused("the time is too far in the future") };
    let at = At { transaction, position: place.position.cast_signed(), time_ms, player: player.cast_signed() };
    for part in parts::parts(place.event, player) {
        match part {
            Part::Started(started) => at.started(started)?,
            Part::Ended(ended) => at.ended(ended)?,
            Part::Result(ended) => at.result(ended, player)?,
            Part::Joined(joined) => at.joined(joined)?,
            Part::Died(killed) => at.tally(DEATHS, cause(killed), killed.headshot)?,
            Part::Killed(killed) => at.tally(KILLS, cause(killed), killed.headshot)?,
            Part::Looted(LootTaken { pickup, .. }) => at.tally(LOOT, (0, i64::from(*pickup)), false)?,
            Part::Progressed(progressed) => at.progressed(progressed)?,
        }
    }
    Ok(())
}

/// Whether a match was given up before it began: nobody has anything of it.
fn never_began(ended: &MatchEnded) -> bool {
    ended.outcome() == Outcome::Abandoned
}

fn cause(killed: &PlayerKilled) -> (i64, i64) {
    (killed.cause.into(), killed.cause_number.into())
}

/// Where a part is applied, and for whom.
struct At<'a> {
    transaction: &'a Transaction<'a>,
    position: i64,
    time_ms: i64,
    player: i64,
}

/// Sums of a player.
const SUMS: usize = 7;

impl At<'_> {
    fn started(&self, started: &MatchStarted) -> Result<(), PartError> {
        if started.rules_hash.len() != RULES_HASH_BYTES {
            return refused(format!("the hash of the rules must have {RULES_HASH_BYTES} bytes"));
        }
        if started.map.len() > NAME_BYTES_MAX || started.mode.len() > NAME_BYTES_MAX {
            return refused(format!("names of maps and modes have at most {NAME_BYTES_MAX} bytes"));
        }
        if let Some((known, _)) = self.match_at(&started.r#match)? {
            return refused(format!("the match began already, at position {known}"));
        }
        let all = "INSERT INTO matches (match, map, mode, tick_rate, rules_hash, started_ms, started_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        let MatchStarted { r#match, map, mode, tick_rate, rules_hash } = started;
        let values = params![r#match, map, mode, tick_rate, rules_hash, self.time_ms, self.position];
        self.transaction.prepare_cached(all)?.execute(values)?;
        Ok(())
    }

    fn ended(&self, ended: &MatchEnded) -> Result<(), PartError> {
        if ended.outcome() == Outcome::Unspecified {
            return refused("the outcome is not said, or is one that this build does not know");
        }
        if ![0, RECORDING_HASH_BYTES].contains(&ended.recording_hash.len()) {
            return refused(format!("the hash of the recording must have {RECORDING_HASH_BYTES} bytes, or none"));
        }
        match self.match_at(&ended.r#match)? {
            None if never_began(ended) => return Ok(()),
            None => return refused("the match never began: its first event is missing"),
            Some((_, Some(known))) => return refused(format!("the match ended already, at position {known}")),
            Some((_, None)) => {}
        }
        let all =
            "UPDATE matches SET ended_ms = ?, ended_at = ?, outcome = ?, winner = ?, ticks = ?, recording_hash = ?
            WHERE match = ?";
        let MatchEnded { r#match, outcome, winner, ticks, recording_hash, .. } = ended;
        let values = params![self.time_ms, self.position, outcome, winner, ticks, recording_hash, r#match];
        self.transaction.prepare_cached(all)?.execute(values)?;
        self.write_results(ended, 0)
    }

    fn result(&self, ended: &MatchEnded, player: u64) -> Result<(), PartError> {
        match self.match_at(&ended.r#match)? {
            Some((_, Some(at))) if at == self.position => {}
            None if never_began(ended) => return Ok(()),
            _ => return refused("the end of the match is not known: it waits itself"),
        }
        // Who left and came back has more than one result, of one match.
        let own = || ended.results.iter().filter(|result| result.player == player);
        let mut sums = self.sums()?;
        let added = own().try_fold([1, i64::from(own().any(|result| result.won)), 0, 0, 0, 0, 0], |sum, result| {
            let PlayerResult { score, kills, deaths, assists, ticks_played, .. } = *result;
            let more = [0, 0, score, kills.into(), deaths.into(), assists.into(), ticks_played.into()];
            plus(sum, more)
        });
        let Some(new) = added.and_then(|added| plus(sums.0, added)) else {
            return refused("the player's sums would be larger than a number can be");
        };
        sums.0 = new;
        self.write_results(ended, player)?;
        self.was_in(&ended.r#match)?;
        let [matches, wins, score, kills, deaths, assists, ticks_played] = sums.0;
        let (first, last) = (sums.1.min(self.time_ms), sums.2.max(self.time_ms));
        let all = "INSERT OR REPLACE INTO players VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![self.player, matches, wins, score, kills, deaths, assists, ticks_played, first, last];
        self.transaction.prepare_cached(all)?.execute(values)?;
        Ok(())
    }

    fn joined(&self, joined: &PlayerJoined) -> Result<(), PartError> {
        // Players come while a match waits for them, before it begins.
        self.was_in(&joined.r#match)
    }

    fn tally(&self, what: i64, (cause, number): (i64, i64), headshot: bool) -> Result<(), PartError> {
        let known = "SELECT count, headshots FROM tallies WHERE player = ? AND what = ? AND cause = ? AND number = ?";
        let mut known = self.transaction.prepare_cached(known)?;
        let row = known
            .query_row(params![self.player, what, cause, number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if row.is_none() {
            self.room("SELECT count(*) FROM tallies WHERE player = ?", TALLIES_MAX, "causes and things are counted")?;
        }
        let (count, headshots): (i64, i64) = row.unwrap_or_default();
        let (Some(count), Some(headshots)) = (count.checked_add(1), headshots.checked_add(headshot.into())) else {
            return refused("the player's tally would be larger than a number can be");
        };
        let all = "INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?)";
        let values = params![self.player, what, cause, number, count, headshots];
        self.transaction.prepare_cached(all)?.execute(values)?;
        Ok(())
    }

    fn progressed(&self, progressed: &AchievementProgressed) -> Result<(), PartError> {
        let AchievementProgressed { achievement, added, .. } = progressed;
        if achievement.is_empty() || achievement.len() > NAME_BYTES_MAX {
            return refused(format!("names of achievements have 1 to {NAME_BYTES_MAX} bytes"));
        }
        let known = "SELECT progress, first_ms, last_ms FROM achievements WHERE player = ? AND achievement = ?";
        let mut known = self.transaction.prepare_cached(known)?;
        let row = known
            .query_row(params![self.player, achievement], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        if row.is_none() {
            self.room("SELECT count(*) FROM achievements WHERE player = ?", ACHIEVEMENTS_MAX, "achievements are kept")?;
        }
        let (progress, first, last): (i64, i64, i64) = row.unwrap_or((0, self.time_ms, self.time_ms));
        let Some(progress) = progress.checked_add((*added).into()) else {
            return refused("the progress would be larger than a number can be");
        };
        let all = "INSERT OR REPLACE INTO achievements VALUES (?, ?, ?, ?, ?)";
        let values = params![self.player, achievement, progress, first.min(self.time_ms), last.max(self.time_ms)];
        self.transaction.prepare_cached(all)?.execute(values)?;
        Ok(())
    }

    /// Where a match began and, if it did, ended.
    fn match_at(&self, id: &[u8]) -> Result<Option<(i64, Option<i64>)>, PartError> {
        let known = "SELECT started_at, ended_at FROM matches WHERE match = ?";
        let mut known = self.transaction.prepare_cached(known)?;
        Ok(known.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    fn was_in(&self, id: &[u8]) -> Result<(), PartError> {
        let all = "INSERT INTO played VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        self.transaction.prepare_cached(all)?.execute(params![self.player, id, self.position])?;
        Ok(())
    }

    fn write_results(&self, ended: &MatchEnded, player: u64) -> Result<(), PartError> {
        let mut all =
            self.transaction.prepare_cached("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        for (number, result) in ended.results.iter().enumerate().filter(|(_, result)| result.player == player) {
            let PlayerResult { slot, team, won, score, kills, deaths, assists, ticks_played, .. } = *result;
            let (number, player) = (number as i64, player.cast_signed());
            all.execute(params![
                ended.r#match,
                number,
                player,
                slot,
                team,
                won,
                score,
                kills,
                deaths,
                assists,
                ticks_played
            ])?;
        }
        Ok(())
    }

    /// A player's sums, and when the first and the last match ended.
    fn sums(&self) -> Result<([i64; SUMS], i64, i64), PartError> {
        let known = "SELECT matches, wins, score, kills, deaths, assists, ticks_played, first_ms, last_ms
            FROM players WHERE player = ?";
        let read = |row: &arbiter_views::rusqlite::Row<'_>| {
            let mut sums = [0; SUMS];
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum = row.get(column)?;
            }
            Ok((sums, row.get(SUMS)?, row.get(SUMS + 1)?))
        };
        let row = self.transaction.prepare_cached(known)?.query_row([self.player], read).optional()?;
        Ok(row.unwrap_or(([0; SUMS], self.time_ms, self.time_ms)))
    }

    fn room(&self, count: &str, most: i64, what: &str) -> Result<(), PartError> {
        let found: i64 = self.transaction.prepare_cached(count)?.query_row([self.player], |row| row.get(0))?;
        if found >= most { refused(format!("{most} {what} for one player, which is the limit")) } else { Ok(()) }
    }
}

fn plus(mut sums: [i64; SUMS], added: [i64; SUMS]) -> Option<[i64; SUMS]> {
    for (sum, more) in sums.iter_mut().zip(added) {
        *sum = sum.checked_add(more)?;
    }
    Some(sums)
}
