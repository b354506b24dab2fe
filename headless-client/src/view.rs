//! What a player knows of the match, as the client last showed it: positions are interpolated at the view time, the own
//! state is the newest there is. Everything a bot decides comes from here, from the map and from the rules.

use arbiter_protocol::{Noise, Sound};
use arbiter_schema::StableId;
use glam::Vec3;

/// A player, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlayerView {
    /// Who.
    pub id: StableId,
    /// Slot, if it is told.
    pub slot: Option<u16>,
    /// Team from 1; 0 plays alone.
    pub team: u8,
    /// Hero by number in the rules.
    pub hero: u8,
    /// The feet.
    pub position: Vec3,
    /// Metres a second.
    pub velocity: Vec3,
    /// Height of the eyes above the feet.
    pub eye: f32,
    /// Look, radians.
    pub yaw: f32,
    /// Look, radians.
    pub pitch: f32,
    /// Hit points.
    pub health: f32,
    /// Hit points when unhurt.
    pub health_max: f32,
    /// Whether they live.
    pub alive: bool,
    /// Whether they crouch.
    pub crouching: bool,
    /// Whether they stand on something.
    pub grounded: bool,
    /// Weapon in hand: its place in the hero's list.
    pub weapon: u8,
}

impl PlayerView {
    /// The middle of the trunk, which one aims at.
    pub fn middle(&self) -> Vec3 {
        self.position + Vec3::Y * (self.eye * 0.68)
    }

    /// Where they look from.
    pub fn eyes(&self) -> Vec3 {
        self.position + Vec3::Y * self.eye
    }

    /// Health from 0 to 1.
    pub fn health_share(&self) -> f32 {
        if self.health_max > 0.0 { self.health / self.health_max } else { 0.0 }
    }
}

/// What only oneself knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnView {
    /// Rounds in each weapon, in the order of the hero's list; `None` where a weapon needs none.
    pub ammo: [Option<u16>; 3],
    /// Whether the weapon in hand is being reloaded.
    pub reloading: bool,
    /// Whether each ability may be used now.
    pub ability_ready: [bool; 4],
    /// Whether something is being cast or channelled.
    pub casting: bool,
    /// Whether one can act: not stunned.
    pub able: bool,
}

/// Something that flies, lies or stands about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThingView {
    /// Which.
    pub id: StableId,
    /// Its number in the list of the rules that it belongs to.
    pub kind: u8,
    /// Team from 1; 0 belongs to nobody.
    pub team: u8,
    /// Slot of the player that it belongs to.
    pub owner: Option<u16>,
    /// Where: the foot of what stands, the middle of everything else.
    pub position: Vec3,
    /// Metres a second, as between two snapshots; only of what flies.
    pub velocity: Vec3,
    /// Metres that it stands tall; 0 for what only has a middle.
    pub height: f32,
    /// Metres around it that it acts on: of an area, and of the burst of what flies.
    pub reach: f32,
    /// Whether it is meant to do harm there to the enemies of its owner.
    pub harms: bool,
    /// Its health where it has one; for a pickup, 1 if it can be taken and 0 if it will be back later.
    pub health: f32,
}

/// Where a sound comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SoundOrigin {
    /// From there.
    At(Vec3),
    /// From somewhere in a cube: its middle, and metres of its side.
    Around(Vec3, f32),
    /// It is not known (any more).
    Unknown,
}

/// Something that is heard at the moment that is shown. Steps, and who of those that are shown was hurt, are heard from how they
/// move and from their health: nothing is told of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoundView {
    /// The tick at which it sounded; before that of the moment that is shown if it came late.
    pub tick: u32,
    /// What it sounds like.
    pub noise: Noise,
    /// Where it comes from.
    pub origin: SoundOrigin,
    /// Who made it, if one knows them.
    pub by: Option<StableId>,
    /// Who was hurt, if it is a hit that one dealt or took.
    pub target: Option<StableId>,
    /// Number of the weapon or ability in the rules, if it is known whose it is.
    pub number: Option<u8>,
    /// Whether the head was hit.
    pub head: bool,
    /// As the server told it; `None` for what one made oneself, which is predicted.
    pub told: Option<Sound>,
}

/// A control point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointView {
    /// Which, in the map's order.
    pub number: u8,
    /// Team that holds it; 0 is nobody.
    pub team: u8,
    /// How far it is taken, 0 to 1.
    pub progress: f32,
    /// Whether it can be taken now.
    pub open: bool,
}

/// The match as a whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatchView {
    /// Whether the round runs.
    pub running: bool,
    /// Whether it is over for good.
    pub over: bool,
    /// Points by team from 1.
    pub score: Vec<u32>,
    /// Seconds until it ends.
    pub seconds_left: f32,
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct WorldView {
    /// Tick of the newest snapshot.
    pub tick: u32,
    /// The moment in ticks that the others are shown at: `view_tick` and `view_fraction`.
    pub view_ticks: f64,
    /// Tick that the positions of others are shown at, and 1/256 ticks more.
    pub view_tick: u32,
    /// See `view_tick`.
    pub view_fraction: u8,
    /// Seconds that the positions of others are behind the tick for which the next input is made.
    pub view_lag_s: f32,
    /// Oneself, as predicted, else from the newest snapshot; `None` before entering.
    pub me: Option<PlayerView>,
    /// What only oneself knows.
    pub own: OwnView,
    /// The other players that one may know of, by stable id.
    pub others: Vec<PlayerView>,
    /// What flies.
    pub projectiles: Vec<ThingView>,
    /// What lies to be picked up.
    pub pickups: Vec<ThingView>,
    /// Turrets and the like.
    pub deployables: Vec<ThingView>,
    /// Walls that stop shots.
    pub shields: Vec<ThingView>,
    /// Volumes with an effect.
    pub areas: Vec<ThingView>,
    /// Bodies that can be pushed.
    pub props: Vec<ThingView>,
    /// Control points in the map's order.
    pub points: Vec<PointView>,
    /// What is heard since this was made last.
    pub sounds: Vec<SoundView>,
    /// The match.
    pub game: MatchView,
}

impl WorldView {
    /// Whether a player of `team` is an enemy. Without teams everyone is.
    pub fn hostile(&self, team: u8) -> bool {
        self.me.is_none_or(|me| me.team == 0 || team != me.team)
    }

    /// Whether a thing belongs to an enemy. Without teams everything does that is not one's own.
    pub fn hostile_thing(&self, thing: &ThingView) -> bool {
        let own = thing.owner.is_some() && self.me.is_some_and(|me| me.slot == thing.owner);
        !own && thing.owner.is_some() && self.hostile(thing.team)
    }
}
