//! What the terminal shows of a match, as plain values: made by [`super::watch`], drawn by [`super::view`].

use std::collections::VecDeque;
use std::sync::Arc;

use arbiter_sim::Map;

/// Kills that the feed remembers; a terminal shows fewer.
pub const FEED_MAX: usize = 64;

/// A place on the ground: metres east and metres south (x and z).
pub type Ground = [f32; 2];

/// Everything on the screen.
#[derive(Debug, Clone)]
pub struct ViewModel {
    /// The map, for its picture from above.
    pub map: Arc<Map>,
    /// The mode's name for people.
    pub mode: String,
    /// Seconds since the match began.
    pub elapsed_s: f32,
    /// Seconds until it ends, where that is known.
    pub left_s: Option<f32>,
    /// Number of the tick.
    pub tick: u32,
    /// Ticks in a second.
    pub tick_rate: u16,
    /// Everybody, by slot.
    pub players: Vec<PlayerView>,
    /// Everything else that lies or flies around.
    pub marks: Vec<Mark>,
    /// Control points.
    pub points: Vec<PointView>,
    /// What was shot lately.
    pub shots: Vec<Shot>,
    /// What burst lately.
    pub bursts: Vec<Burst>,
    /// Score of each team; empty where each plays alone.
    pub scores: Vec<Score>,
    /// The last kills, newest first.
    pub feed: VecDeque<FeedLine>,
    /// What it costs.
    pub cost: Cost,
    /// How it ended.
    pub result: Option<String>,
    /// Whom it shows, where it is what a spectator is told; what it costs is not known then.
    pub watched: Option<String>,
}

impl ViewModel {
    /// A match before its first tick.
    pub fn new(map: Arc<Map>, mode: String, tick_rate: u16) -> Self {
        Self {
            map,
            mode,
            elapsed_s: 0.0,
            left_s: None,
            tick: 0,
            tick_rate,
            players: Vec::new(),
            marks: Vec::new(),
            points: Vec::new(),
            shots: Vec::new(),
            bursts: Vec::new(),
            scores: Vec::new(),
            feed: VecDeque::new(),
            cost: Cost::default(),
            result: None,
            watched: None,
        }
    }
}

/// One player.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerView {
    /// Slot in the match.
    pub slot: u16,
    /// Name for people.
    pub name: String,
    /// Hero for people; its first letter is the glyph on the map.
    pub hero: String,
    /// Team from 1; 0 where each plays alone.
    pub team: u8,
    /// Where.
    pub at: Ground,
    /// Radians; 0 looks north (-z), a quarter turn west.
    pub yaw: f32,
    /// Hit points.
    pub health: f32,
    /// Hit points when unhurt.
    pub health_max: f32,
    /// Whether alive.
    pub alive: bool,
    /// Kills so far.
    pub kills: u32,
    /// Deaths so far.
    pub deaths: u32,
}

/// A small thing on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// What.
    pub kind: MarkKind,
    /// Team from 1; 0 belongs to nobody.
    pub team: u8,
    /// Where.
    pub at: Ground,
}

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// A crate or barrel.
    Prop,
    /// Something to pick up.
    Pickup,
    /// Something that flies.
    Projectile,
    /// A turret or the like.
    Deployable,
    /// A wall that stops shots.
    Shield,
    /// A volume with an effect.
    Area,
    /// A moving platform.
    Platform,
}

/// A control point.
#[derive(Debug, Clone, PartialEq)]
pub struct PointView {
    /// Its middle.
    pub at: Ground,
    /// Half of its size.
    pub half: Ground,
    /// Team that holds it; 0 nobody.
    pub team: u8,
}

/// The way of a shot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shot {
    /// From where.
    pub from: Ground,
    /// To where.
    pub to: Ground,
    /// Team of who fired; 0 where each plays alone.
    pub team: u8,
    /// 0 when fresh, 1 when it fades out.
    pub age: f32,
}

/// Something that burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Where.
    pub at: Ground,
    /// How far it reached.
    pub radius: f32,
    /// 0 when fresh, 1 when it fades out.
    pub age: f32,
}

/// The score of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// Team from 1.
    pub team: u8,
    /// Its points.
    pub points: i32,
}

/// A kill.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedLine {
    /// Second of the match.
    pub at_s: f32,
    /// Who did it and their team; `None` for the world.
    pub killer: Option<(String, u8)>,
    /// Who died and their team.
    pub victim: (String, u8),
    /// With what.
    pub cause: String,
    /// Whether the last hit was on the head.
    pub headshot: bool,
}

/// What the match costs the machine and the network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// Middle tick, µs.
    pub tick_p50_us: f32,
    /// One tick in a hundred takes longer, µs.
    pub tick_p99_us: f32,
    /// The last ticks, µs, oldest first.
    pub tick_history_us: VecDeque<u64>,
    /// Ticks that began late.
    pub overruns: u64,
    /// To each client, kbit/s with IP and UDP headers.
    pub down_kbit_s: f32,
    /// From each client, kbit/s with IP and UDP headers.
    pub up_kbit_s: f32,
    /// Recorded so far, bytes.
    pub recorded_bytes: u64,
}

/// A short name for the player in a slot: the spelling alphabet, with a number from the second round on.
pub fn callsign(slot: u16) -> String {
    const WORDS: [&str; 26] = [
        "Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima",
        "Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey",
        "Xray", "Yankee", "Zulu",
    ];
    let (round, word) = (usize::from(slot) / WORDS.len(), WORDS[usize::from(slot) % WORDS.len()]);
    if round == 0 { word.to_owned() } else { format!("{word} {}", round + 1) }
}

/// `team_deathmatch` as people write it.
pub fn for_people(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_a_full_match_has_its_own_name() {
        let names: std::collections::HashSet<String> = (0..1000).map(callsign).collect();
        assert_eq!(names.len(), 1000);
    }
}
