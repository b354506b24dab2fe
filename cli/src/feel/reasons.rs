//! Why a hit on a shooter's screen was not confirmed.

use core::fmt;
use std::collections::BTreeMap;

use arbiter_headless_client::shots::{Shot, Slack, meets};
use arbiter_schema::StableId;
use arbiter_sim::hitbox::ViewTime;
use arbiter_sim::players::PoseSample;
use arbiter_sim::prediction::ShownPlayer;
use arbiter_sim::rules::Rules;
use arbiter_sim::weapons::Pull;

use super::truth::Truth;

/// Ticks before a shot in which an input that was missing may be why it was not made.
const BEFORE_TICKS: u32 = 30;
/// Metres that make no difference.
const SAME: f32 = 0.005;
/// A pull meets what it meets.
const EXACT: Slack = Slack { metres: 0.0, radians: 0.0, beside: 0.1 };

/// The first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The input of the shot was not there in time.
    LateInput,
    /// One shortly before was not there in time, and so there was no shot.
    EarlierLate,
    /// Somebody else had just stunned the shooter, or done something else to them.
    Afflicted,
    /// The server's weapon did not fire for another reason.
    NoShot,
    /// The target was shown longer ago than the rules rewind.
    Clamped,
    /// The target was dead on the server at the time that was shown.
    Dead,
    /// Nothing newer was known of the target, which was moved on along its velocity.
    MovedOn,
    /// The target was drawn between two states with others between them that were lost.
    Bridged,
    /// The target was elsewhere, though nothing was lost.
    Elsewhere,
    /// The shooter stood elsewhere.
    Shooter,
    /// The shot strayed elsewhere.
    Strayed,
    /// Something was in the way.
    InTheWay,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LateInput => "late_input",
            Self::EarlierLate => "earlier_late",
            Self::Afflicted => "afflicted",
            Self::NoShot => "no_shot",
            Self::Clamped => "clamped",
            Self::Dead => "dead",
            Self::MovedOn => "moved_on",
            Self::Bridged => "bridged",
            Self::Elsewhere => "elsewhere",
            Self::Shooter => "shooter",
            Self::Strayed => "strayed",
            Self::InTheWay => "in_the_way",
        })
    }
}

/// How many of each.
pub type Reasons = BTreeMap<Reason, u32>;

/// What there is to judge by.
pub struct Case<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// Ticks that the rules rewind at most.
    pub rewind_ticks: u32,
    /// What the server decided.
    pub truth: &'a Truth,
    /// Whose shot.
    pub player: StableId,
    /// The shot.
    pub shot: &'a Shot,
    /// Whom it hit.
    pub target: StableId,
}

impl Case<'_> {
    /// Why the server did not decide it.
    pub fn reason(&self) -> Reason {
        let Self { truth, player, shot, .. } = self;
        let lacks = |tick: u32| truth.tick(tick).is_some_and(|truth| truth.lacks_input(*player));
        if lacks(shot.tick) {
            return Reason::LateInput;
        }
        let Some(pull) = truth.tick(shot.tick).and_then(|now| now.pull(*player, shot.weapon)) else {
            let before = shot.tick.saturating_sub(BEFORE_TICKS)..shot.tick;
            return match () {
                () if before.clone().any(lacks) => Reason::EarlierLate,
                () if truth.afflicted(*player, before) => Reason::Afflicted,
                () => Reason::NoShot,
            };
        };
        let shown = shot.shown.iter().find(|shown| shown.body.id == self.target);
        match (pull.seen, shown) {
            (Some(seen), Some(shown)) => self.compare(pull, seen, shown),
            _ => Reason::InTheWay,
        }
    }

    fn compare(&self, pull: &Pull, seen: ViewTime, shown: &ShownPlayer) -> Reason {
        let (shot, oldest) = (&self.shot, self.shot.tick.saturating_sub(self.rewind_ticks));
        let clamped = seen.tick < oldest || shot.pull.seen != Some(seen);
        let at = if seen.tick < oldest { (oldest, 0) } else { (seen.tick, seen.fraction) };
        let Some(pose) = self.rewound(at).filter(|pose| pose.alive) else { return Reason::Dead };
        let apart = pose.position.distance(shown.body.now.position);
        let moved = pull.from.distance(shot.pull.from);
        let by_target = !self.meets(&shot.pull, &pose);
        let by_shooter = !self.meets(pull, &shown.body.now);
        if by_target && !(by_shooter && moved > apart) {
            return match shown.drawn {
                _ if clamped => Reason::Clamped,
                (before, after) if after <= before => Reason::MovedOn,
                (before, after) if after - before > 1 => Reason::Bridged,
                _ => Reason::Elsewhere,
            };
        }
        match by_shooter {
            true if moved > SAME => Reason::Shooter,
            true => Reason::Strayed,
            false => Reason::InTheWay,
        }
    }

    /// The target at a time, as lag compensation has it.
    fn rewound(&self, (tick, fraction): (u32, u8)) -> Option<PoseSample> {
        let one = self.truth.tick(tick)?.pose(self.target)?;
        let Some(two) = self.truth.tick(tick + 1).and_then(|next| next.pose(self.target)) else { return Some(*one) };
        Some(one.towards(two, fraction))
    }

    /// Whether a pull meets a body, whatever is in the way. What flies may meet anybody.
    fn meets(&self, pull: &Pull, pose: &PoseSample) -> bool {
        meets(self.rules, pull, pose, EXACT, |_| true) != Some(false)
    }
}
