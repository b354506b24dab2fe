//! What a shot met on the shooter's screen, to be compared with what the server says of it.

use arbiter_schema::StableId;
use arbiter_sim::hitbox::{PlayerBody, distance_to_segment, hit_body};
use arbiter_sim::prediction::{Prediction, ShownPlayer};
use arbiter_sim::rules::Behaviour;
use arbiter_sim::time::SimRng;
use arbiter_sim::weapons::Pull;
use arrayvec::ArrayVec;
use glam::Vec3;

/// Players that one shot meets at most: nine pellets, or the sweep of a hammer.
pub const TARGETS_MAX: usize = 16;
/// Metres beside a body that are not a clear miss: the width of a hand, and what a place that is told may be rounded by.
const CLOSE: f32 = 0.15;
/// Nobody is told apart at this angle, in radians, at the edge of a sweep.
const CLOSE_ANGLE: f32 = 0.1;

/// A shot as its shooter saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// The tick of the input.
    pub tick: u32,
    /// Weapon by number in the rules.
    pub weapon: u8,
    /// Whether a round was used: always, but for a beam between two rounds.
    pub fresh: bool,
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
        if passes_near(pull, body, prediction) {
            add(&mut shot.near, body.id);
        }
    }
    shot
}

fn passes_near(pull: &Pull, body: &PlayerBody, prediction: &Prediction) -> bool {
    let rules = prediction.rules();
    let Some(weapon) = rules.weapons.get(usize::from(pull.weapon)) else { return false };
    let met = |direction: Vec3, range: f32, radius: f32| {
        let hit = hit_body(&rules.body, &rules.movement, &body.now, pull.from, direction, range, radius + CLOSE);
        hit.is_some_and(|(distance, _)| prediction.sees(pull.from, pull.from + direction * (distance - 0.1).max(0.0)))
    };
    match &weapon.behaviour {
        Behaviour::Hitscan(rule) => {
            let mut any = false;
            // A player's pull carries its own luck, so that the stream is not asked.
            pull.strays(rule.pellets, &mut SimRng::seeded(0), &mut |direction| any |= met(direction, rule.range, 0.0));
            any
        }
        Behaviour::Beam(rule) => met(pull.aim, rule.range, rule.radius),
        Behaviour::Melee(rule) => {
            let height = if body.now.crouched { rules.movement.crouch_height } else { rules.movement.height };
            let feet = body.now.position;
            let apart = distance_to_segment(pull.from, feet, feet + Vec3::Y * height) - rules.movement.radius;
            let way = (feet + Vec3::Y * (height * 0.6) - pull.from).normalize_or(pull.aim);
            let angle = libm::acosf(way.dot(pull.aim).clamp(-1.0, 1.0));
            apart <= rule.reach + CLOSE && (angle <= (rule.arc_deg * 0.5).to_radians() + CLOSE_ANGLE || apart < 0.3)
        }
        _ => false,
    }
}
