//! Who stands where a player could shoot: such targets are told every tick.

use arbiter_sim::rules::Behaviour;
use glam::Vec3;

use super::scene::Body;

/// Cosine of half the cone around the look in which a target is aimed at: 12 degrees, further than a hand turns in the
/// time of a round trip while it follows somebody.
pub const CONE_COSINE: f32 = 0.978;

/// Metres within which one is aimed at in whatever way one looks: a step and a swing away.
pub const CLOSE: f32 = 3.0;

/// Metres from the axis of a target to its edge that are looked at: what is wider is not aimed at by its whole width.
pub const EDGE_MAX: f32 = 4.0;

/// What flies reaches no further than this many metres in the time that a target needs to notice it.
const FLIGHT_RANGE_MAX: f32 = 80.0;

/// Metres that a studio's own weapon is taken to reach.
const CUSTOM_RANGE: f32 = 50.0;

/// Metres that a weapon reaches.
pub fn range(behaviour: &Behaviour) -> f32 {
    match behaviour {
        Behaviour::Hitscan(rule) => rule.range,
        Behaviour::Beam(rule) => rule.range,
        Behaviour::Melee(rule) => rule.reach,
        Behaviour::Projectile(rule) => (rule.speed * rule.life_ms as f32 * 0.001).min(FLIGHT_RANGE_MAX),
        Behaviour::Custom(_) => CUSTOM_RANGE,
    }
}

/// Whether `target` is within range and aim cone of a player, walls not considered. `apart` is from the player to it.
pub fn is_aimed_at(me: &Body, target: &Body, apart: Vec3, distance: f32) -> bool {
    let edge = target.shape.extent[0].min(EDGE_MAX);
    if distance > me.weapon_range + edge + CLOSE {
        return false;
    }
    // The cone is around the line to the nearest edge, so that what is near and wide counts as a whole.
    distance < CLOSE || me.look.dot(apart) >= CONE_COSINE * distance - edge
}
