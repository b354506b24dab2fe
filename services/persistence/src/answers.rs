//! What is answered, as JSON. Every answer says of which position of the log of events it is: all events before it are
//! in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A player, as others and the player see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProfileAnswer {
    /// The player's number.
    pub player: String,
    /// What others see; not there if the player never said one, or was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Sums over the matches that ended.
    pub progress: Progress,
    /// What only the player and services see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
    /// All events before this position are in the progress.
    pub position: u64,
}

/// Sums over a player's matches that ended, abandoned ones too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// Matches.
    pub matches: i64,
    /// Matches that the player's side won.
    pub wins: i64,
    /// Score by the modes' rules.
    pub score: i64,
    /// Players killed.
    pub kills: i64,
    /// Times died.
    pub deaths: i64,
    /// Kills helped with.
    pub assists: i64,
    /// Ticks between joining and leaving, of all matches.
    pub ticks_played: i64,
}

/// What only the player and services see of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Own {
    /// When the display name was last changed, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_ms: Option<u64>,
    /// When the player's first match ended, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_match_ms: Option<i64>,
    /// When the player's last match ended, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_match_ms: Option<i64>,
    /// Events of the player that wait in quarantine: so much is missing here.
    pub waiting: u64,
}

/// What a player says of themselves. It is not `Debug`, so that no log line can have it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    /// 1 to 32 characters and up to 96 bytes, no control characters, no invisible ones, no space at its ends.
    pub display_name: String,
}

/// A profile as it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProfileChanged {
    /// The player's number.
    pub player: String,
    /// What others see.
    pub display_name: String,
    /// When it was changed, milliseconds since 1970.
    pub changed_ms: u64,
}

/// A match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Match {
    /// Its id, 32 hexadecimal digits.
    #[serde(rename = "match")]
    pub id: String,
    /// Name of the map.
    pub map: String,
    /// Name of the mode.
    pub mode: String,
    /// When it began, milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended; not there while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// `won`, `draw` or `abandoned`; not there while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Side that won, from 1: a team, or slot + 1 where each plays alone; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<i64>,
    /// Ticks that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticks: Option<i64>,
    /// Ticks a second.
    pub tick_rate: i64,
    /// BLAKE3 of the rules, 64 hexadecimal digits.
    pub rules_hash: String,
    /// Chain through the recording, 32 hexadecimal digits: what the result can be proved with. Not there if none was
    /// told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_hash: Option<String>,
}

/// What one player did in a match, between taking a slot and leaving it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatchResult {
    /// The player's number; "0" for a bot or a guest.
    pub player: String,
    /// Slot in the match.
    pub slot: i64,
    /// Team from 1; 0 where each plays alone.
    pub team: i64,
    /// Whether the player's side won.
    pub won: bool,
    /// Score by the mode's rules.
    pub score: i64,
    /// Players killed.
    pub kills: i64,
    /// Times died.
    pub deaths: i64,
    /// Kills helped with.
    pub assists: i64,
    /// Ticks between joining and leaving, or the end.
    pub ticks_played: i64,
}

/// One match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatchAnswer {
    /// The match.
    #[serde(flatten)]
    pub of: Match,
    /// What each did, by slot; only for those who played in it and for services. Results that wait in quarantine are
    /// missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<MatchResult>>,
    /// All events before this position are in it.
    pub position: u64,
}

/// A match that a player was in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlayedMatch {
    /// The match.
    #[serde(flatten)]
    pub of: Match,
    /// What the player did; empty while it runs, more than one for who left and came back.
    pub results: Vec<MatchResult>,
}

/// The matches of a player, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatchesAnswer {
    /// Some of them.
    pub matches: Vec<PlayedMatch>,
    /// Ask for the next ones with this `cursor`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// All events before this position are in it.
    pub position: u64,
}

/// An achievement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Achievement {
    /// Its name in the rules.
    pub achievement: String,
    /// How much was added so far.
    pub progress: i64,
    /// When the player first came closer to it, milliseconds since 1970.
    pub first_ms: i64,
    /// When the player last came closer to it, milliseconds since 1970.
    pub last_ms: i64,
}

/// The achievements of a player, at most 1,024.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AchievementsAnswer {
    /// All of them, by name.
    pub achievements: Vec<Achievement>,
    /// All events before this position are in it.
    pub position: u64,
}

/// How often something killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CauseTally {
    /// `weapon`, `ability`, `effect`, `prop` or `world`.
    pub cause: String,
    /// Its number in the rules; 0 for the world.
    pub number: i64,
    /// How often.
    pub count: i64,
    /// How often the last hit was on the head.
    pub headshots: i64,
}

/// How often something was picked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PickupTally {
    /// Its number in the rules.
    pub pickup: i64,
    /// How often.
    pub count: i64,
}

/// What a player did, by cause. It counts single events, of which a busy server may leave some out; the progress of the
/// profile is exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StatisticsAnswer {
    /// Whom the player killed with what.
    pub kills: Vec<CauseTally>,
    /// What the player died of.
    pub deaths: Vec<CauseTally>,
    /// What the player picked up.
    pub pickups: Vec<PickupTally>,
    /// All events before this position are in it.
    pub position: u64,
}

/// An event of the history.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HistoryEvent {
    /// Where it is in the log of events.
    pub position: u64,
    /// Its type: see docs/events.md.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id, unique together with the source.
    pub id: String,
    /// Who emitted it.
    pub source: String,
    /// When it happened, milliseconds since 1970.
    pub time_ms: u64,
    /// What happened, with the fields of its type.
    #[schema(value_type = Object)]
    pub event: serde_json::Value,
}

/// Events, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HistoryAnswer {
    /// Some of them.
    pub events: Vec<HistoryEvent>,
    /// Ask for the next ones with this `cursor`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// All events before this position are in it.
    pub position: u64,
}

/// A player whose events wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitingPlayer {
    /// The player's number; "0" for what is about nobody, and holds nothing back.
    pub player: String,
    /// Why the first of them could not be applied.
    pub reason: String,
    /// Events that wait.
    pub waiting: u64,
    /// Where the first of them is in the log of events.
    pub first_position: u64,
}

/// The quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuarantineAnswer {
    /// Some of the players whose events wait.
    pub players: Vec<WaitingPlayer>,
    /// Events that wait for all players together, at most 65,536; beyond that the service stops.
    pub waiting: u64,
    /// Ask for the next ones with this `cursor`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// All events before this position were applied or put aside.
    pub position: u64,
}

/// What became of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayAnswer {
    /// Events of the player that are applied now.
    pub applied: u64,
    /// Events that still wait.
    pub waiting: u64,
    /// Why the first of them still does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Position before which the events were tried again.
    pub position: u64,
}
