//! What a shot met on the shooter's screen, to be compared with what the server says of it.

use arbiter_schema::StableId;
use arbiter_sim::hitbox::{PlayerBody, distance_to_segment, hit_body};
use arbiter_sim::players::PoseSample;
use arbiter_sim::prediction::{Prediction, ShownPlayer};
use arbiter_sim::rules::{Behaviour, Rules};
use arbiter_sim::time::SimRng;
use arbiter_sim::weapons::Pull;
use arrayvec::ArrayVec;
use glam::Vec3;

/// Players that one shot meets at most: nine pellets, or the sweep of a hammer.
pub const TARGETS_MAX: usize = 16;
/// What is not a clear miss: the width of a hand, and what a place that is told may be rounded by; at the edge of a sweep an angle at
/// which nobody is told apart.
const CLOSE: Slack = Slack { metres: 0.15, radians: 0.1, beside: 0.3 };

/// A shot as its shooter saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// The tick of the input.
    pub tick: u32,
    /// Weapon by number in the rules.
    pub weapon: u8,
    /// Whether a round was used: always, but for a beam between two rounds.
    pub fresh: bool,
    /// Whether a correction brought it: it was shown when the server had told of what made it possible.
    pub late: bool,
    /// Players that it hit on the screen.
    pub hit: ArrayVec<StableId, TARGETS_MAX>,
    /// Players that it hit or did not clearly miss.
    pub near: ArrayVec<StableId, TARGETS_MAX>,
    /// What was pulled.
    pub pull: Pull,
    /// Those that it hit, as they were shown.
    pub shown: Vec<ShownPlayer>,
}

/// What a pull of the last step met.
pub fn shot_of(tick: u32, pull: &Pull, prediction: &Prediction) -> Shot {
    let mut shot = Shot {
        tick,
        weapon: pull.weapon,
        fresh: pull.fresh,
        late: false,
        hit: ArrayVec::new(),
        near: ArrayVec::new(),
        pull: *pull,
        shown: Vec::new(),
    };
    let add = |list: &mut ArrayVec<StableId, TARGETS_MAX>, id| {
        if !list.contains(&id) {
            let _ = list.try_push(id);
        }
    };
    let cause = arbiter_sim::Cause::Weapon(pull.weapon);
    let bodies: ArrayVec<PlayerBody, 64> = prediction.bodies().take(64).collect();
    for hit in prediction.hits().filter(|hit| hit.cause == cause) {
        if bodies.iter().any(|body| body.id == hit.target) {
            add(&mut shot.hit, hit.target);
            add(&mut shot.near, hit.target);
        }
    }
    let hit = |shown: &&ShownPlayer| shot.hit.contains(&shown.body.id);
    shot.shown = prediction.shown_players().iter().filter(hit).copied().collect();
    for body in &bodies {
        let sees = |place| prediction.sees(pull.from, place);
        if meets(prediction.rules(), pull, &body.now, CLOSE, sees) == Some(true) {
            add(&mut shot.near, body.id);
        }
    }
    shot
}

/// How far beside a body a pull may pass and still meets it.
#[derive(Debug, Clone, Copy)]
pub struct Slack {
    /// Metres beside a ray, and beyond the reach of a sweep.
    pub metres: f32,
    /// Radians beside the edge of a sweep.
    pub radians: f32,
    /// Metres within which a sweep meets whoever is beside the shooter, wherever it goes.
    pub beside: f32,
}

/// Whether a pull meets a body at a place that `sees` takes as one that is not behind anything; `None` if what the weapon shoots
/// flies there.
pub fn meets(rules: &Rules, pull: &Pull, pose: &PoseSample, slack: Slack, sees: impl Fn(Vec3) -> bool) -> Option<bool> {
    let (body, movement) = (&rules.body, &rules.movement);
    let met = |direction: Vec3, range: f32, radius: f32| {
        let hit = hit_body(body, movement, pose, pull.from, direction, range, radius + slack.metres);
        hit.is_some_and(|(distance, _)| sees(pull.from + direction * (distance - 0.1).max(0.0)))
    };
    match &rules.weapons.get(usize::from(pull.weapon))?.behaviour {
        Behaviour::Hitscan(rule) => {
            let mut any = false;
            // A player's pull carries its own luck, so that the stream is not asked.
            pull.strays(rule.pellets, &mut SimRng::seeded(0), &mut |direction| any |= met(direction, rule.range, 0.0));
            Some(any)
        }
        Behaviour::Beam(rule) => Some(met(pull.aim, rule.range, rule.radius)),
        Behaviour::Melee(rule) => {
            let height = if pose.crouched { movement.crouch_height } else { movement.height };
            let feet = pose.position;
            let apart = distance_to_segment(pull.from, feet, feet + Vec3::Y * height) - movement.radius;
            let way = (feet + Vec3::Y * (height * 0.6) - pull.from).normalize_or(pull.aim);
            let angle = libm::acosf(way.dot(pull.aim).clamp(-1.0, 1.0));
            let swept = angle <= (rule.arc_deg * 0.5).to_radians() + slack.radians;
            Some(apart <= rule.reach + slack.metres && (swept || apart <= slack.beside))
        }
        _ => None,
    }
}
