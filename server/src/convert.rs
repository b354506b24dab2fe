//! The simulation's facts as the protocol tells them. The two are separate types, so that neither room knows the other.

use arbiter_protocol as wire;
use arbiter_sim::{Cause, DomainEvent, LeaveReason, Outcome};

/// With what.
pub fn cause(cause: Cause) -> wire::Cause {
    match cause {
        Cause::Weapon(number) => wire::Cause::Weapon(number),
        Cause::Ability(number) => wire::Cause::Ability(number),
        Cause::Effect(number) => wire::Cause::Effect(number),
        Cause::Prop(number) => wire::Cause::Prop(number),
        Cause::World => wire::Cause::World,
    }
}

fn outcome(outcome: Outcome) -> wire::Outcome {
    match outcome {
        Outcome::Won(team) => wire::Outcome::Won(team),
        Outcome::Draw => wire::Outcome::Draw,
        Outcome::Abandoned => wire::Outcome::Abandoned,
    }
}

fn leave(reason: LeaveReason) -> wire::LeaveReason {
    match reason {
        LeaveReason::Quit => wire::LeaveReason::Quit,
        LeaveReason::TimedOut => wire::LeaveReason::TimedOut,
        LeaveReason::Idle => wire::LeaveReason::Idle,
        LeaveReason::Kicked => wire::LeaveReason::Kicked,
    }
}

/// What everyone in the match is told of an event; `None` for what is the server's own or would give someone away.
pub fn notice(event: &DomainEvent) -> Option<wire::Notice> {
    Some(match *event {
        DomainEvent::Killed { victim, killer, assist, cause: with, headshot } => {
            wire::Notice::Killed { victim, killer, assist, cause: cause(with), headshot }
        }
        DomainEvent::RoundStarted { round } => wire::Notice::RoundStarted { round },
        DomainEvent::RoundEnded { round, outcome: how } => wire::Notice::RoundEnded { round, outcome: outcome(how) },
        DomainEvent::MatchEnded { outcome: how } => wire::Notice::MatchEnded { outcome: outcome(how) },
        DomainEvent::PlayerJoined { slot, team, hero } => wire::Notice::PlayerJoined { slot, team, hero },
        DomainEvent::PlayerLeft { slot, reason } => wire::Notice::PlayerLeft { slot, reason: leave(reason) },
        DomainEvent::PointCaptured { point, team } => wire::Notice::PointCaptured { point, team },
        DomainEvent::Streak { slot, kills } => wire::Notice::Streak { slot, kills },
        DomainEvent::Custom { kind, a, b } => wire::Notice::Custom { kind, a, b },
        // What one picks up is one's own business, and where; the rest is the server's.
        DomainEvent::Looted { .. }
        | DomainEvent::MatchStarted
        | DomainEvent::IdleDetected { .. }
        | DomainEvent::BodyQuarantined { .. } => return None,
    })
}
