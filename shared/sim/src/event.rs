//! What a tick did that others may act on: domain events (facts of the match) and cues (what one sees and hears).
//!
//! An event's identity is (match, tick, index in the tick), so that a replay tells the same story under the same names.

use arbiter_schema::StableId;
use glam::Vec3;

use crate::input::LeaveReason;

/// Where damage or healing came from: a number in one of the rules' lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A weapon.
    Weapon(u8),
    /// An ability.
    Ability(u8),
    /// An effect that ticked.
    Effect(u8),
    /// A prop that burst.
    Prop(u8),
    /// A kill volume, a fall or the administrator.
    World,
}

/// Which part of the body was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The head.
    Head,
    /// The trunk.
    Body,
    /// Arms and legs.
    Limb,
}

/// How a match or a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A team won: from 1, or slot + 1 where each plays alone.
    Won(u16),
    /// Nobody did.
    Draw,
    /// It was stopped.
    Abandoned,
}

/// Facts of a match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DomainEvent {
    /// The match began.
    MatchStarted,
    /// A round began.
    RoundStarted {
        /// From 1.
        round: u16,
    },
    /// A round ended.
    RoundEnded {
        /// From 1.
        round: u16,
        /// How.
        outcome: Outcome,
    },
    /// The match ended. Nothing is simulated behind this tick.
    MatchEnded {
        /// How.
        outcome: Outcome,
    },
    /// A player joined.
    PlayerJoined {
        /// Slot.
        slot: u16,
        /// Team from 1; 0 where each plays alone.
        team: u8,
        /// Hero by number.
        hero: u8,
    },
    /// A player left.
    PlayerLeft {
        /// Slot.
        slot: u16,
        /// Why.
        reason: LeaveReason,
    },
    /// A player died.
    Killed {
        /// Slot of the dead.
        victim: u16,
        /// Slot of who did it; `None` for the world.
        killer: Option<u16>,
        /// Slot of who helped most.
        assist: Option<u16>,
        /// With what.
        cause: Cause,
        /// Whether the last hit was on the head.
        headshot: bool,
    },
    /// A control point changed hands.
    PointCaptured {
        /// Number of the point.
        point: u8,
        /// Team from 1.
        team: u8,
    },
    /// A player picked something up.
    Looted {
        /// Slot.
        slot: u16,
        /// Pickup by number in the rules.
        pickup: u8,
    },
    /// A player reached a number of kills without dying: 3, 5, 10.
    Streak {
        /// Slot.
        slot: u16,
        /// How many.
        kills: u16,
    },
    /// A player is idle and is to be removed by the room.
    IdleDetected {
        /// Slot.
        slot: u16,
    },
    /// A body of the physics world became infinite or not a number and was put away.
    BodyQuarantined {
        /// Its entity.
        id: StableId,
    },
    /// For a studio's own modes and plugins.
    Custom {
        /// Their own number.
        kind: u16,
        /// Their own meaning.
        a: i32,
        /// Their own meaning.
        b: i32,
    },
}

/// What one sees and hears in one tick; nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cue {
    /// A weapon was fired.
    Fired {
        /// Who: a player or a deployable.
        by: StableId,
        /// Weapon by number.
        weapon: u8,
        /// From where.
        from: Vec3,
        /// To where it went, for hitscan and beams; else along the look.
        to: Vec3,
    },
    /// An ability began.
    AbilityUsed {
        /// Who.
        by: StableId,
        /// Ability by number.
        ability: u8,
    },
    /// Someone was hurt or, with a negative amount, healed.
    Hit {
        /// Whom.
        target: StableId,
        /// By whom; none for the world.
        by: StableId,
        /// Hit points.
        amount: f32,
        /// Where on the body.
        part: Part,
        /// With what.
        cause: Cause,
    },
    /// Something burst.
    Exploded {
        /// Where.
        at: Vec3,
        /// How far it reached.
        radius: f32,
        /// What.
        cause: Cause,
    },
}
