//! What may be chosen of interest management, and its limits.

/// Nothing further away than this many metres is told: the longest shot of the shipped rules.
pub const RANGE_M: f32 = 200.0;

/// Milliseconds within which whoever may come into view is told: a round trip of 80 ms, the delay with which others are
/// shown, and a lost snapshot.
pub const HORIZON_MS: u32 = 150;

/// The longest horizon in milliseconds: beyond it the region that a player may reach is most of a room.
pub const HORIZON_MS_MAX: u32 = 300;

/// Milliseconds that a snapshot may be late or lost without an enemy who steps out of cover coming as a surprise: part of every
/// client's horizon, beside the age of what it shows.
pub const HORIZON_SLACK_MS: u32 = 50;

/// Entities of a match that are looked after. What comes beyond is told to everybody.
pub const ENTITIES_MAX: usize = 8_192;

/// What may be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterestSettings {
    /// Metres within which enemies and their things may be told.
    pub range_m: f32,
    /// Milliseconds within which whoever may come into view is told, for clients of which nothing better is known; at most
    /// [`HORIZON_MS_MAX`].
    pub horizon_ms: u32,
    /// Whether an enemy whom one player sees is told to the whole team.
    pub team_sight: bool,
}

impl Default for InterestSettings {
    fn default() -> Self {
        Self { range_m: RANGE_M, horizon_ms: HORIZON_MS, team_sight: false }
    }
}
