//! How a match is won.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a match is won.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// How settings call it.
    #[schemars(length(min = 1, max = 48))]
    pub name: String,
    /// How people call it.
    #[schemars(length(min = 1, max = 48))]
    pub title: String,
    /// What counts.
    pub kind: ModeKind,
    /// Teams; settings may ask for another number. Free-for-all ignores it.
    #[schemars(range(min = 1, max = 16))]
    pub teams: u8,
    /// Score that wins a round; 0 lets only the clock decide.
    #[schemars(range(max = 100_000))]
    pub score_limit: u32,
    /// Rounds that a side must win to win the match.
    #[schemars(range(min = 1, max = 50))]
    pub rounds_to_win: u8,
    /// Rounds that are played at most; then whoever has won most wins.
    #[schemars(range(min = 1, max = 99))]
    pub rounds_max: u8,
    /// Length of a round.
    #[schemars(range(min = 5, max = 7200))]
    pub round_seconds: u32,
    /// Time before the first round, in which nobody can be hurt.
    #[schemars(range(max = 600))]
    pub warmup_seconds: u32,
    /// Time between rounds.
    #[schemars(range(max = 120))]
    pub break_seconds: u32,
    /// Most that a round goes on when its time is over and it is not decided.
    #[schemars(range(max = 600))]
    pub overtime_seconds: u32,
    /// Time between two waves of respawns; the dead wait for the next.
    #[schemars(range(min = 1, max = 120_000))]
    pub respawn_wave_ms: u32,
    /// Time after a respawn in which one cannot be hurt, ended by one's own shot.
    #[schemars(range(max = 30_000))]
    pub spawn_protection_ms: u32,
    /// Share of damage that reaches friends; 0 is friendly fire off.
    #[schemars(range(min = 0, max = 1))]
    pub friendly_fire: f32,
    /// Points for a kill.
    #[schemars(range(max = 1000))]
    pub kill_points: u32,
    /// Points taken for a team kill or a death by oneself or the world.
    #[schemars(range(max = 1000))]
    #[serde(default)]
    pub suicide_points: u32,
    /// Seconds without input after which a player is idle; 0 never.
    #[schemars(range(max = 3600))]
    pub idle_kick_seconds: u32,
    /// Whether players may join when the match runs.
    pub backfill: bool,
    /// Whether an administrator may pause it.
    pub pause: bool,
}

/// What counts in a mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ModeKind {
    /// Kills of a team.
    TeamDeathmatch,
    /// Kills of a player; everyone is everyone's enemy.
    FreeForAll,
    /// Holding the map's points.
    ControlPoint {
        /// Seconds that one player needs to take a point that nobody contests.
        #[schemars(range(min = 0.5, max = 120))]
        capture_seconds: f32,
        /// Each further player adds this share of speed.
        #[schemars(range(min = 0, max = 1))]
        helper_share: f32,
        /// Helpers beyond this many add nothing.
        #[schemars(range(min = 1, max = 20))]
        helpers_max: u8,
        /// Points per second for each point that one holds.
        #[schemars(range(min = 0, max = 100))]
        points_per_second: f32,
    },
    /// A studio's own, by name: its plugin counts.
    Custom(String),
}
