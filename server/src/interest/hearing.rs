//! Who hears what. A sound tells where somebody is, so that it is told only as well as one could hear it: whoever may know
//! its source is told all of it; whoever is near enough hears from roughly where it comes, and not who it was; nobody else is
//! told anything.

use arbiter_schema::StableId;
use arbiter_sim::Cue;
use glam::Vec3;

use super::scene::Scene;
use super::watcher::Watcher;

/// Metres that a shot is heard.
pub const SHOT_M: f32 = 60.0;
/// Metres that an ability is heard.
pub const ABILITY_M: f32 = 25.0;
/// Metres that a hit is heard.
pub const HIT_M: f32 = 15.0;
/// Metres that a burst is heard beyond what it reaches.
pub const BURST_M: f32 = 80.0;
/// Where an unseen sound comes from is told in steps of this many metres: a room, not a place in it.
pub const COARSE_M: f32 = 8.0;

/// What one client may be told of a cue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// That it sounded, and roughly where; not who it was nor whom it met.
    From(Vec3),
    /// All of it.
    All,
}

/// What the client of `watcher` may be told of a cue of this tick.
pub fn heard(scene: &Scene, watcher: &Watcher, slot: u16, cue: &Cue) -> Heard {
    let Some(me) = scene.player(slot) else { return Heard::Nothing };
    let known = |id: StableId| id == me.id || watcher.may_know(scene, id);
    let at = |id: StableId| scene.body(id).map(|body| body.shape.position);
    let (known, at, reach) = match *cue {
        Cue::Fired { by, from, .. } => (known(by), Some(from), SHOT_M),
        Cue::AbilityUsed { by, .. } => (known(by), at(by), ABILITY_M),
        // Whoever is hit feels it, and not by whom.
        Cue::Hit { target, by, .. } => (known(target) && (!by.is_some() || known(by)), at(target), HIT_M),
        // A burst is seen where it is; what it was belongs to the kind of sound.
        Cue::Exploded { at, radius, .. } => (false, Some(at), BURST_M + radius),
    };
    match at {
        _ if known => Heard::All,
        Some(at) if at.distance(me.shape.position) <= reach => {
            Heard::From((at / COARSE_M).floor() * COARSE_M + Vec3::splat(COARSE_M * 0.5))
        }
        _ => Heard::Nothing,
    }
}
