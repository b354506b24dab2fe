//! What is told of a match as it happens: kills, scores, rounds, the end. Reliable and in order.

use crate::codec::{Decoder, Encoder, ProtocolError};

/// Teams in one score message: 8 bytes each have to fit into one message of 900 bytes beside the rest. A match with more
/// sides tells its scores in several messages.
pub const SCORES_MAX: usize = 64;

/// Where damage came from: a number in one of the rules' lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A weapon.
    Weapon(u8),
    /// An ability.
    Ability(u8),
    /// An effect that ticked.
    Effect(u8),
    /// A prop that burst.
    Prop(u8),
    /// The world itself.
    World,
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

/// Why a player left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// Said so.
    Quit,
    /// Was heard of no more.
    TimedOut,
    /// Idle for longer than the rules allow.
    Idle,
    /// Removed.
    Kicked,
}

/// The score of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamScore {
    /// Team from 1, or slot + 1 where each plays alone.
    pub team: u16,
    /// Points.
    pub points: i32,
}

/// A fact of the match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
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
    /// Scores have changed; at most [`SCORES_MAX`] of them. Sides that are not named stand as they stood.
    Score {
        /// The scores.
        scores: Vec<TeamScore>,
    },
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
    /// The match ended; another one follows with a new welcome, or a goodbye.
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
    /// A control point changed hands.
    PointCaptured {
        /// Number of the point.
        point: u8,
        /// Team from 1.
        team: u8,
    },
    /// A player reached a number of kills without dying.
    Streak {
        /// Slot.
        slot: u16,
        /// How many.
        kills: u16,
    },
    /// A studio's own.
    Custom {
        /// Their own number.
        kind: u16,
        /// Their own meaning.
        a: i32,
        /// Their own meaning.
        b: i32,
    },
}

/// A notice with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchMessage {
    /// The tick at which it happened.
    pub tick: u32,
    /// What happened.
    pub notice: Notice,
}

fn invalid<T>(what: &'static str, value: u8) -> Result<T, ProtocolError> {
    Err(ProtocolError::Invalid { what, value: u64::from(value) })
}

/// A slot or none: slots end below 65,535, which therefore means none.
const NOBODY: u16 = u16::MAX;

fn write_slot(slot: Option<u16>, to: &mut Encoder<'_>) {
    to.u16(slot.unwrap_or(NOBODY));
}

fn read_slot(from: &mut Decoder<'_>) -> Result<Option<u16>, ProtocolError> {
    Ok(Some(from.u16()?).filter(|slot| *slot != NOBODY))
}

impl Cause {
    /// Its kind, 0 to 4, and its number.
    pub(crate) fn numbers(self) -> (u8, u8) {
        match self {
            Self::Weapon(number) => (0, number),
            Self::Ability(number) => (1, number),
            Self::Effect(number) => (2, number),
            Self::Prop(number) => (3, number),
            Self::World => (4, 0),
        }
    }

    /// The one of a kind with a number; `None` if there is no such kind.
    pub(crate) fn of(kind: u8, number: u8) -> Option<Self> {
        Some(match kind {
            0 => Self::Weapon(number),
            1 => Self::Ability(number),
            2 => Self::Effect(number),
            3 => Self::Prop(number),
            4 => Self::World,
            _ => return None,
        })
    }
}

fn write_cause(cause: Cause, to: &mut Encoder<'_>) {
    let (kind, number) = cause.numbers();
    to.u8(kind);
    to.u8(number);
}

fn read_cause(from: &mut Decoder<'_>) -> Result<Cause, ProtocolError> {
    let (kind, number) = (from.u8()?, from.u8()?);
    Cause::of(kind, number).map_or_else(|| invalid("kind of cause", kind), Ok)
}

fn write_outcome(outcome: Outcome, to: &mut Encoder<'_>) {
    let (kind, team) = match outcome {
        Outcome::Won(team) => (0, team),
        Outcome::Draw => (1, 0),
        Outcome::Abandoned => (2, 0),
    };
    to.u8(kind);
    to.u16(team);
}

fn read_outcome(from: &mut Decoder<'_>) -> Result<Outcome, ProtocolError> {
    let (kind, team) = (from.u8()?, from.u16()?);
    Ok(match kind {
        0 => Outcome::Won(team),
        1 => Outcome::Draw,
        2 => Outcome::Abandoned,
        other => return invalid("outcome", other),
    })
}

impl MatchMessage {
    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        to.u32(self.tick);
        match &self.notice {
            Notice::Killed { victim, killer, assist, cause, headshot } => {
                to.u8(0);
                to.u16(*victim);
                write_slot(*killer, to);
                write_slot(*assist, to);
                write_cause(*cause, to);
                to.u8(u8::from(*headshot));
            }
            Notice::Score { scores } => {
                debug_assert!(scores.len() <= SCORES_MAX, "more scores than fit into one message");
                let scores = &scores[..scores.len().min(SCORES_MAX)];
                to.u8(1);
                to.u8(scores.len() as u8);
                for score in scores {
                    to.u16(score.team);
                    to.i32(score.points);
                }
            }
            Notice::RoundStarted { round } => {
                to.u8(2);
                to.u16(*round);
            }
            Notice::RoundEnded { round, outcome } => {
                to.u8(3);
                to.u16(*round);
                write_outcome(*outcome, to);
            }
            Notice::MatchEnded { outcome } => {
                to.u8(4);
                write_outcome(*outcome, to);
            }
            Notice::PlayerJoined { slot, team, hero } => {
                to.u8(5);
                to.u16(*slot);
                to.u8(*team);
                to.u8(*hero);
            }
            Notice::PlayerLeft { slot, reason } => {
                to.u8(6);
                to.u16(*slot);
                to.u8(*reason as u8);
            }
            Notice::PointCaptured { point, team } => {
                to.u8(7);
                to.u8(*point);
                to.u8(*team);
            }
            Notice::Streak { slot, kills } => {
                to.u8(8);
                to.u16(*slot);
                to.u16(*kills);
            }
            Notice::Custom { kind, a, b } => {
                to.u8(9);
                to.u16(*kind);
                to.i32(*a);
                to.i32(*b);
            }
        }
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let tick = from.u32()?;
        let notice = match from.u8()? {
            0 => Notice::Killed {
                victim: from.u16()?,
                killer: read_slot(from)?,
                assist: read_slot(from)?,
                cause: read_cause(from)?,
                headshot: from.bool("headshot")?,
            },
            1 => {
                let count = usize::from(from.u8()?);
                if count > SCORES_MAX {
                    return Err(ProtocolError::TooLong { what: "list of scores", len: count, max: SCORES_MAX });
                }
                let mut scores = Vec::with_capacity(count);
                for _ in 0..count {
                    scores.push(TeamScore { team: from.u16()?, points: from.i32()? });
                }
                Notice::Score { scores }
            }
            2 => Notice::RoundStarted { round: from.u16()? },
            3 => Notice::RoundEnded { round: from.u16()?, outcome: read_outcome(from)? },
            4 => Notice::MatchEnded { outcome: read_outcome(from)? },
            5 => Notice::PlayerJoined { slot: from.u16()?, team: from.u8()?, hero: from.u8()? },
            6 => Notice::PlayerLeft {
                slot: from.u16()?,
                reason: match from.u8()? {
                    0 => LeaveReason::Quit,
                    1 => LeaveReason::TimedOut,
                    2 => LeaveReason::Idle,
                    3 => LeaveReason::Kicked,
                    other => return invalid("reason of leaving", other),
                },
            },
            7 => Notice::PointCaptured { point: from.u8()?, team: from.u8()? },
            8 => Notice::Streak { slot: from.u16()?, kills: from.u16()? },
            9 => Notice::Custom { kind: from.u16()?, a: from.i32()?, b: from.i32()? },
            other => return invalid("kind of notice", other),
        };
        Ok(Self { tick, notice })
    }
}
