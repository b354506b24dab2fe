//! Where one player aims, and what that player could know: behind each tick, against the enemies as they stood in the time that
//! the player saw.
//!
//! Everything comes from the simulation: the inputs as they were applied, the history of poses, the pulls of triggers, and who
//! was told of whom. What a screen shows is a little more than what rays to head, middle and feet find, so that whoever is just
//! coming round a corner counts as hidden for some hundredths of a second more; the limits leave room for that.

use arbiter_schema::StableId;
use arbiter_sim::Simulation;
use arbiter_sim::collide::MoverState;
use arbiter_sim::hitbox::{Bodies, PlayerBody, Source, ViewTime};
use arbiter_sim::index::{Identity, Index};
use arbiter_sim::physics::Solids;
use arbiter_sim::players::{Controls, Life, PoseHistory, PoseSample};
use arbiter_sim::rules::Movement;
use arbiter_sim::simulation::View;
use arbiter_sim::time::Clock;
use arbiter_sim::told::Told;
use arbiter_sim::weapons::{Pulls, eye};
use glam::Vec3;

use super::{Detector, Finding};
use crate::interest::hearing::{SHOT_M, STEPS_M};

/// Cosine of 30 degrees: whom one does not even look at is not looked after.
const FOCUS_COSINE: f32 = 0.866;
/// Nearer than this many metres everybody is on target.
const NEAR_M: f32 = 5.0;
/// Metres from the axis of a body within which one aims at it.
const ON_BODY_M: f32 = 0.5;
/// Degrees a second of a turn that is looked at.
const SNAP_DEG_PER_S: f32 = 900.0;
/// What is turned in the tick before or after a snap, as a share of it: hands speed up and slow down.
const SNAP_REST: f32 = 0.25;
/// Metres from the axis of a body within which a snap has landed.
const SNAP_M: f32 = 0.2;
/// Milliseconds after which nobody reacts yet: the fastest take 130 to 150, and the screen comes on top.
const REACTION_MS: u32 = 80;
/// A burst begins with the first shot after a pause of so many milliseconds.
const PAUSE_MS: u32 = 300;
/// Metres a second across the line of sight from which following somebody is an art.
const CROSSING: f32 = 1.5;
/// Metres beside the axis of a body within which a shot at somebody who crosses is perfect. In the middle of ten bots' matches 85 to
/// 98 % of a perfect aimer's shots are, for what is shown lies between what was told, and at most 44 % of those of honest bots.
const PERFECT_M: f32 = 0.12;
/// Milliseconds behind a shot for which one may look where it came from.
const HEARD_MS: u32 = 1_500;
/// Milliseconds for which an enemy must be hidden and aimed at before that is knowledge and no memory.
const MEMORY_MS: u32 = 500;
/// Degrees that the aim must have followed in that time, and each second from then on.
const FOLLOWED_DEG: f32 = 6.0;

/// What is looked at behind a tick, found once for all players.
pub struct Looked<'a> {
    view: &'a View<'a>,
    index: &'a Index,
    clock: &'a Clock,
    bodies: &'a Bodies,
    pulls: &'a Pulls,
    solids: &'a Solids,
    told: &'a Told,
    movement: &'a Movement,
    /// By slot, the last shot.
    shots: &'a [Option<u32>],
}

impl<'a> Looked<'a> {
    /// Of a simulation behind a tick, where players fired last at these ticks. `None` while the match stands still.
    pub fn of(simulation: &'a Simulation, view: &'a View<'a>, shots: &'a [Option<u32>]) -> Option<Self> {
        let clock = view.resource::<Clock>().filter(|clock| !clock.stands())?;
        Some(Self {
            index: view.resource()?,
            clock,
            bodies: view.resource()?,
            pulls: view.resource()?,
            solids: view.resource()?,
            told: view.resource()?,
            movement: &simulation.rules().movement,
            view,
            shots,
        })
    }

    /// Whether one may have heard where somebody is: steps near by, or a shot a moment ago.
    fn is_heard(&self, focus: &Focus<'_>) -> bool {
        let slot = focus.body.owner.checked_sub(1).map(usize::from);
        let shot = slot.and_then(|slot| self.shots.get(slot).copied().flatten());
        let is_recent = shot.is_some_and(|shot| self.clock.number.saturating_sub(shot) <= self.ticks(HEARD_MS));
        focus.distance < STEPS_M || (is_recent && focus.distance <= SHOT_M)
    }

    fn ticks(&self, ms: u32) -> u32 {
        self.clock.ticks(ms)
    }

    fn pose(&self, body: &PlayerBody, seen: ViewTime, earlier: u32) -> Option<PoseSample> {
        let history = self.view.component::<PoseHistory>(body.entity)?;
        history.at(seen.tick.checked_sub(earlier)?, seen.fraction, self.clock.tick).filter(|pose| pose.alive)
    }

    fn height(&self, pose: &PoseSample) -> f32 {
        if pose.crouched { self.movement.crouch_height } else { self.movement.height }
    }

    /// Whether head, middle or feet are in sight.
    fn sees(&self, from: Vec3, pose: &PoseSample) -> bool {
        let height = self.height(pose);
        let world = self.solids.world();
        [height - 0.15, height * 0.6, 0.3].iter().any(|up| world.sees(from, pose.position + Vec3::Y * *up))
    }
}

/// What is remembered of one player's aim.
#[derive(Debug, Clone, Default)]
pub struct Gaze {
    /// Where the player looked in the last ticks, newest first.
    looks: [Option<Vec3>; 3],
    /// Tick of the last shot.
    fired: Option<u32>,
    hidden: Option<Hidden>,
}

/// Somebody hidden who is aimed at.
#[derive(Debug, Clone, Copy)]
struct Hidden {
    id: StableId,
    ticks: u32,
    /// Towards them, a tick ago.
    towards: Vec3,
    /// Radians that the aim followed them.
    followed: f32,
}

/// The player who aims.
struct Aim {
    source: Source,
    from: Vec3,
    look: Vec3,
    seen: ViewTime,
    entity: bevy_ecs::entity::Entity,
}

/// Whom the player aims at, most nearly.
struct Focus<'a> {
    body: &'a PlayerBody,
    pose: PoseSample,
    distance: f32,
    /// Metres between the line of the look and the axis of the body.
    off: f32,
}

impl Gaze {
    /// Looks at one player's aim behind a tick.
    pub fn look(&mut self, looked: &Looked<'_>, slot: u16, find: &mut impl FnMut(Finding)) {
        let Some(aim) = aim_of(looked, slot) else {
            *self = Self::default();
            return;
        };
        self.looks = [Some(aim.look), self.looks[0], self.looks[1]];
        let focus = focus_of(looked, &aim);
        self.snapped(looked, &aim, find);
        let fired = looked.pulls.0.iter().find(|pull| pull.source.id == aim.source.id && pull.fresh).is_some();
        if fired && let Some(focus) = &focus {
            self.shot(looked, &aim, focus, find);
        }
        if fired {
            self.fired = Some(looked.clock.tick);
        }
        self.follow(looked, &aim, focus.as_ref(), find);
    }

    /// The turn of the last tick, now that it is known whether it stopped there.
    fn snapped(&mut self, looked: &Looked<'_>, aim: &Aim, find: &mut impl FnMut(Finding)) {
        let [Some(now), Some(last), Some(before)] = self.looks else { return };
        let (turn, rest) = (last.angle_between(before), now.angle_between(last));
        if turn < (SNAP_DEG_PER_S * looked.clock.dt).to_radians() || rest > turn * SNAP_REST {
            return;
        }
        let beside = |look: Vec3| {
            let was = Aim { look, seen: ViewTime { tick: aim.seen.tick.saturating_sub(1), ..aim.seen }, ..*aim };
            focus_of(looked, &was).map(|focus| (focus.off, focus.distance))
        };
        let landed = beside(last).is_some_and(|(off, distance)| off <= SNAP_M && distance >= NEAR_M);
        // Whoever was aimed at before did not have to be found.
        let from_afar = beside(before).is_none_or(|(off, _)| off > 4.0 * ON_BODY_M);
        let evidence = if landed && from_afar { 1.0 } else { 0.0 };
        find(Finding { detector: Detector::Snap, evidence, tried: 1.0 });
    }

    fn shot(&self, looked: &Looked<'_>, aim: &Aim, focus: &Focus<'_>, find: &mut impl FnMut(Finding)) {
        if focus.distance < NEAR_M || focus.off > 2.0 * ON_BODY_M {
            return;
        }
        let pause = looked.ticks(PAUSE_MS);
        let begins = self.fired.is_none_or(|fired| looked.clock.tick.saturating_sub(fired) > pause);
        if begins && looked.sees(aim.from, &focus.pose) {
            let unseen = is_new(looked, aim, focus.body);
            find(Finding { detector: Detector::Reaction, evidence: f32::from(u8::from(unseen)), tried: 1.0 });
        }
        let Some(before) = looked.pose(focus.body, aim.seen, 3) else { return };
        let moved = (focus.pose.position - before.position) / (3.0 * looked.clock.dt);
        let ahead = aim.look.with_y(0.0).normalize_or_zero();
        let crossing = (moved.with_y(0.0) - ahead * moved.dot(ahead)).length();
        if crossing >= CROSSING && ahead != Vec3::ZERO {
            let apart = (focus.pose.position - aim.from).with_y(0.0);
            let off = (apart - ahead * apart.dot(ahead)).length();
            let perfect = f32::from(u8::from(off <= PERFECT_M));
            find(Finding { detector: Detector::Precision, evidence: perfect, tried: 1.0 });
        }
    }

    /// Somebody whom the player cannot see is followed by the aim.
    fn follow(&mut self, looked: &Looked<'_>, aim: &Aim, focus: Option<&Focus<'_>>, find: &mut impl FnMut(Finding)) {
        let aimed = |focus: &&Focus<'_>| focus.off <= ON_BODY_M && !looked.is_heard(focus);
        let Some(focus) = focus.filter(aimed).filter(|focus| !looked.sees(aim.from, &focus.pose)) else {
            self.hidden = None;
            return;
        };
        let towards = (focus.pose.position + Vec3::Y - aim.from).normalize_or(aim.look);
        let known = self.hidden.filter(|hidden| hidden.id == focus.body.id);
        let mut hidden = known.unwrap_or(Hidden { id: focus.body.id, ticks: 0, towards, followed: 0.0 });
        hidden.ticks += 1;
        hidden.followed += hidden.towards.angle_between(towards);
        hidden.towards = towards;
        self.hidden = Some(hidden);
        let memory = looked.ticks(MEMORY_MS).max(1);
        // The longer it lasts, the further it must have followed: who stands still may be aimed at by chance.
        let enough = FOLLOWED_DEG.to_radians() * (hidden.ticks / memory) as f32 * 0.5;
        if hidden.ticks < memory || hidden.followed < enough.max(FOLLOWED_DEG.to_radians()) {
            return;
        }
        let ms = looked.clock.dt * 1_000.0;
        find(Finding { detector: Detector::Hidden, evidence: ms, tried: ms });
        let target = focus.body.owner.checked_sub(1);
        if let (Some(slot), Some(target)) = (aim.source.slot(), target)
            && !looked.told.may_hit(slot, target)
        {
            find(Finding { detector: Detector::Untold, evidence: ms, tried: ms });
        }
    }
}

fn aim_of(looked: &Looked<'_>, slot: u16) -> Option<Aim> {
    let entity = looked.index.slot(slot)?;
    let life = looked.view.component::<Life>(entity)?;
    let (identity, controls) = (looked.view.component::<Identity>(entity)?, looked.view.component::<Controls>(entity)?);
    let state = looked.view.component::<MoverState>(entity)?;
    // What the server made up says nothing of the player; and a new life begins with another look.
    let fresh = looked.clock.tick.saturating_sub(life.spawned_tick) < looked.ticks(PAUSE_MS);
    (life.alive && !controls.substituted && !fresh).then(|| Aim {
        source: Source { id: identity.id, owner: identity.owner, team: identity.team },
        from: eye(looked.movement, state.position, state.crouched),
        look: controls.input.look(),
        seen: ViewTime { tick: controls.input.view_tick, fraction: controls.input.view_fraction },
        entity,
    })
}

/// The enemy nearest to where the player looks.
fn focus_of<'a>(looked: &Looked<'a>, aim: &Aim) -> Option<Focus<'a>> {
    let mut best: Option<(f32, &PlayerBody)> = None;
    for body in &looked.bodies.players {
        let apart = body.now.position + Vec3::Y - aim.from;
        let along = apart.dot(aim.look);
        // Squares keep the order and need no root for each.
        let share = along * along / apart.length_squared().max(0.01);
        if along > 0.0 && best.is_none_or(|(most, _)| share > most) && aim.source.hostile(body.team, body.owner) {
            best = Some((share, body));
        }
    }
    let (_, body) = best.filter(|(share, _)| *share >= FOCUS_COSINE * FOCUS_COSINE)?;
    let pose = looked.pose(body, aim.seen, 0)?;
    let distance = (pose.position + Vec3::Y - aim.from).length();
    let (low, high) = (pose.position + Vec3::Y * 0.25, pose.position + Vec3::Y * (looked.height(&pose) - 0.15));
    Some(Focus { body, pose, distance, off: line_to_segment(aim.from, aim.look, low, high) })
}

/// Whether somebody who is in sight was not a moment ago, as the player saw it.
fn is_new(looked: &Looked<'_>, aim: &Aim, body: &PlayerBody) -> bool {
    let earlier = looked.ticks(REACTION_MS);
    let now = looked.clock.tick;
    let own = looked.view.component::<PoseHistory>(aim.entity);
    let own = own.and_then(|history| history.at(now.checked_sub(earlier)?, 0, now)).filter(|pose| pose.alive);
    let (Some(own), Some(pose)) = (own, looked.pose(body, aim.seen, earlier)) else { return false };
    !looked.sees(eye(looked.movement, own.position, own.crouched), &pose)
}

/// Metres between a ray along a unit vector and a segment.
fn line_to_segment(from: Vec3, along: Vec3, a: Vec3, b: Vec3) -> f32 {
    let axis = b - a;
    let offset = a - from;
    let (axis_axis, axis_along) = (axis.dot(axis), axis.dot(along));
    let square = axis_axis - axis_along * axis_along;
    // Nearly along the line every point is as near.
    let part = if square > 1e-6 { (axis_along * offset.dot(along) - axis.dot(offset)) / square } else { 0.0 };
    let point = a + axis * part.clamp(0.0, 1.0);
    let ahead = (point - from).dot(along).max(0.0);
    point.distance(from + along * ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_passes_a_segment_at_its_distance() {
        let (a, b) = (Vec3::new(1.0, -1.0, -10.0), Vec3::new(1.0, 1.0, -10.0));
        assert!((line_to_segment(Vec3::ZERO, Vec3::NEG_Z, a, b) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn what_is_above_the_end_of_a_segment_is_measured_to_the_end() {
        let (a, b) = (Vec3::new(0.0, -3.0, -10.0), Vec3::new(0.0, -2.0, -10.0));
        assert!((line_to_segment(Vec3::ZERO, Vec3::NEG_Z, a, b) - 2.0).abs() < 1e-5);
    }

    #[test]
    fn what_is_behind_is_as_far_as_it_is() {
        let (a, b) = (Vec3::new(0.0, 0.0, 5.0), Vec3::new(0.0, 1.0, 5.0));
        assert!((line_to_segment(Vec3::ZERO, Vec3::NEG_Z, a, b) - 5.0).abs() < 1e-5);
    }
}
