//! How a character moves: walk, slide, step, snap to the ground, jump, fall, crouch, ride, be pushed out.
//!
//! [`move_character`] is the one function that server and clients share. It keeps no state but [`MoverState`] and reads nothing
//! but its arguments. What it promises, and `tests/mover.rs` holds it to: it never passes through a solid, at any speed; it
//! never leaves a character in one by more than [`SKIN`]; it never walks up what is steeper than the limit or higher than
//! a step.
//!
//! The order of a move: ride the ground, get out of what moved in, crouch or stand, find the velocity, slide along it, and
//! stand on what is below.

use arbiter_schema::{Audience, Predictor, Spec, StableId, describe};
use arrayvec::ArrayVec;
use bevy_ecs::component::Component;
use glam::{Quat, Vec3};

use super::bvh::Aabb;
use super::near::{Capsule, Contact, Hit, Near, TOLERANCE};
use super::world::{Motion, World};

/// Outermost part of the capsule, in metres, that may be in touch with solids: contact is a little inside, so that rounding
/// neither opens gaps nor counts as being stuck.
const SKIN: f32 = 0.01;

/// Fastest motion that one move resolves, in metres: 60 m/s at 10 ticks a second and its carrier's as much. More is cut.
const MOTION_MAX: f32 = 12.0;

/// Metres beyond the motion that are gathered: what probes and getting out need.
const MARGIN: f32 = 0.15;

/// Surfaces that one slide follows. Two make a corner, three end it; the rest are for edges that roll under the capsule.
const SLIDES_MAX: usize = 6;

/// Rounds of getting out of what overlaps, each at most [`OUT_MAX`] far.
const OUT_ROUNDS: usize = 4;
const OUT_MAX: f32 = 0.25;

/// How far in from an edge, in metres, and with how small a ball, is felt whether there is ground to stand on.
const PROBE_IN: f32 = 0.03;
const PROBE_RADIUS: f32 = 0.01;
const PROBE_ABOVE: f32 = 0.06;

/// How far below the feet, in metres, ground counts for one who falls.
const LANDING: f32 = 0.02;

/// A fall that gets less than this share of its way with steep surfaces on more than one side is wedged, and stands.
const WEDGED: f32 = 0.1;

const AREA: Spec = Spec::new(-1_024.0, 1_024.0, 1.0 / 256.0, Predictor::Linear, Audience::Everyone);
const SPEED: Spec = Spec::new(-64.0, 64.0, 1.0 / 64.0, Predictor::Hold, Audience::Everyone);
const FLAG: Spec = Spec::new(0.0, 1.0, 1.0, Predictor::Hold, Audience::Everyone);
/// What only the one who predicts the next move must know.
const OWN_SPEED: Spec = Spec::new(-64.0, 64.0, 1.0 / 64.0, Predictor::Hold, Audience::Owner);
const OWN: Spec = Spec::new(0.0, 255.0, 1.0, Predictor::Hold, Audience::Owner);

describe! {
    /// Where a character is and how it moves.
    #[derive(Component, Debug, Clone, Copy, PartialEq)]
    pub struct MoverState {
        /// The feet.
        pub position: Vec3 => AREA,
        /// Metres a second, over what it stands on. Others may write it: upwards takes one off the ground.
        pub velocity: Vec3 => SPEED,
        /// Whether it stands on ground.
        pub grounded: bool => FLAG,
        /// Whether it is crouched: wished, or no room to stand.
        pub crouched: bool => FLAG,
        /// The moving solid that it stands on; none for the map.
        pub ground: StableId => OWN,
        /// How fast the ground moves, in m/s: what one takes along when leaving it.
        pub ground_velocity: Vec3 => OWN_SPEED,
        /// Ticks in which it may still jump although the ground is gone.
        pub coyote: u8 => OWN,
        /// Ticks that a pressed jump still waits for ground.
        pub jump_buffer: u8 => OWN,
        /// Whether jump was held in the last tick: holding it jumps once.
        pub jump_held: bool => OWN,
    }
}

/// The numbers of movement, from the rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MoverParams {
    /// Radius of the capsule in metres.
    pub radius: f32,
    /// Height standing, at least twice the radius.
    pub height: f32,
    /// Height crouched, at least twice the radius.
    pub crouch_height: f32,
    /// How quickly the wished velocity is reached on the ground, m/s per second.
    pub acceleration: f32,
    /// What slows one who is faster than wished on the ground, per second.
    pub friction: f32,
    /// Friction acts as if one were at least this fast, in m/s, so that one stops.
    pub stop_speed: f32,
    /// Share of `acceleration` in the air.
    pub air_control: f32,
    /// m/s² downwards.
    pub gravity: f32,
    /// m/s upwards of a jump.
    pub jump_speed: f32,
    /// Fastest fall in m/s.
    pub fall_speed_max: f32,
    /// Highest step in metres that is walked up.
    pub step_height: f32,
    /// Steepest ground to stand on, in radians from level.
    pub slope_max: f32,
    /// How far below the feet, in metres, ground holds one who walks.
    pub ground_snap: f32,
    /// Seconds after the ground is lost in which a jump still counts. People press late.
    pub coyote: f32,
    /// Seconds that a jump pressed in the air waits for the ground. People press early.
    pub jump_buffer: f32,
}

impl Default for MoverParams {
    /// A grown person, a little quicker than life.
    fn default() -> Self {
        Self {
            radius: 0.4,
            height: 1.8,
            crouch_height: 1.2,
            acceleration: 60.0,
            friction: 8.0,
            stop_speed: 2.0,
            air_control: 0.3,
            gravity: 20.0,
            jump_speed: 7.0,
            fall_speed_max: 50.0,
            step_height: 0.4,
            slope_max: 50.0 * (core::f32::consts::PI / 180.0),
            ground_snap: 0.3,
            coyote: 0.1,
            jump_buffer: 0.1,
        }
    }
}

/// What a character is to do this tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MoverWish {
    /// The wished velocity over the ground, m/s; its y is ignored.
    pub velocity: Vec3,
    /// Jump is held.
    pub jump: bool,
    /// Crouch is held.
    pub crouch: bool,
    /// Metres to move aside besides, for room among players; its y is ignored.
    pub displacement: Vec3,
    /// This velocity instead of all intention and gravity: a dash.
    pub forced: Option<Vec3>,
}

/// A character ran into something that can be pushed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Push {
    /// What.
    pub id: StableId,
    /// Where they touch.
    pub point: Vec3,
    /// How fast the character ran into it, m/s, straight into the surface. Times a mass it is an impulse.
    pub velocity: Vec3,
}

/// Moves a character by one tick of `dt` seconds. Appends at most one push for each movable solid that it ran into; what does
/// not fit is left out. A state that is not finite is put to rest where it is, if that is known.
pub fn move_character<const N: usize>(
    world: &World<'_>,
    params: &MoverParams,
    state: &mut MoverState,
    wish: &MoverWish,
    dt: f32,
    pushes: &mut ArrayVec<Push, N>,
) {
    if !(state.position.is_finite() && dt > 0.0 && dt.is_finite()) {
        return;
    }
    if !state.velocity.is_finite() {
        state.velocity = Vec3::ZERO;
    }
    if !state.ground_velocity.is_finite() {
        state.ground_velocity = Vec3::ZERO;
    }
    let ride = ride(world, state, dt);
    let jumped = prepare(params, state, wish, dt);
    let aside = flat(finite(wish.displacement));
    let motion = (state.velocity * dt + aside).clamp_length_max(MOTION_MAX);

    let mut walk = Walk::new(world, params, state, ride, motion, pushes);
    walk.ride(ride);
    walk.get_out();
    walk.crouch(wish.crouch, state);
    let before = walk.feet;
    let on_ground = state.grounded && !jumped;
    walk.grounded = on_ground;
    walk.slide(motion);
    walk.stand(on_ground, motion, before);
    walk.finish(state, on_ground);
}

/// How far the ground carried the character since its last move. Leaves the ground's velocity in the state.
fn ride(world: &World<'_>, state: &mut MoverState, dt: f32) -> Vec3 {
    let found = if state.grounded && state.ground.is_some() { world.dynamics.find(state.ground) } else { None };
    let Some((centre, motion)) = found else {
        if state.grounded {
            state.ground_velocity = Vec3::ZERO;
        }
        return Vec3::ZERO;
    };
    let old_centre = centre - motion.velocity * dt;
    let arm = state.position - old_centre;
    let turned = if motion.angular_velocity == Vec3::ZERO {
        arm
    } else {
        Quat::from_scaled_axis(motion.angular_velocity * dt) * arm
    };
    let carried = (centre + turned - state.position).clamp_length_max(MOTION_MAX);
    state.ground_velocity = carried / dt;
    carried
}

/// Finds this tick's velocity and whether it begins with a jump.
fn prepare(params: &MoverParams, state: &mut MoverState, wish: &MoverWish, dt: f32) -> bool {
    if state.grounded && state.velocity.y > 0.0 {
        leave_ground(state);
    }
    if state.grounded {
        state.velocity.y = 0.0;
        state.coyote = ticks(params.coyote, dt);
    } else {
        state.coyote = state.coyote.saturating_sub(1);
    }
    state.jump_buffer = match wish.jump && !state.jump_held {
        // The tick in which it is pressed counts, however short the rules make the wait.
        true => ticks(params.jump_buffer, dt).max(1),
        false => state.jump_buffer.saturating_sub(1),
    };
    state.jump_held = wish.jump;
    if let Some(forced) = wish.forced.map(finite) {
        if state.grounded && forced.y > 0.0 {
            leave_ground(state);
        }
        state.velocity = if state.grounded { flat(forced) } else { forced };
        return false;
    }
    let level = flat(state.velocity);
    let target = flat(finite(wish.velocity));
    let speed = level.length();
    let change = if !state.grounded {
        // In the air nothing slows: who wishes nothing flies on, and a wish turns rather than brakes.
        if target == Vec3::ZERO { 0.0 } else { params.acceleration * params.air_control }
    } else if speed * speed > target.length_squared() * 1.001 + 1e-6 {
        params.friction * speed.max(params.stop_speed)
    } else {
        params.acceleration
    };
    let level = level + (target - level).clamp_length_max(change.max(0.0) * dt);
    state.velocity = Vec3::new(level.x, state.velocity.y, level.z);
    if state.jump_buffer > 0 && (state.grounded || state.coyote > 0) {
        if state.grounded {
            leave_ground(state);
        }
        state.velocity.y = params.jump_speed + state.velocity.y.max(0.0);
        state.jump_buffer = 0;
        state.coyote = 0;
        return true;
    }
    if !state.grounded {
        state.velocity.y = (state.velocity.y - params.gravity * dt).max(-params.fall_speed_max);
    }
    false
}

/// Whole ticks of a time in seconds.
fn ticks(seconds: f32, dt: f32) -> u8 {
    libm::roundf(seconds / dt) as u8
}

/// Who leaves the ground keeps its velocity.
fn leave_ground(state: &mut MoverState) {
    state.velocity += state.ground_velocity;
    state.ground_velocity = Vec3::ZERO;
    state.grounded = false;
    state.coyote = 0;
    state.ground = StableId::NONE;
}

fn flat(vector: Vec3) -> Vec3 {
    Vec3::new(vector.x, 0.0, vector.z)
}

fn finite(vector: Vec3) -> Vec3 {
    if vector.is_finite() { vector } else { Vec3::ZERO }
}

/// `motion` without what goes into the surface.
fn clip(motion: Vec3, normal: Vec3) -> Vec3 {
    motion - normal * motion.dot(normal).min(0.0)
}

/// The motion over level ground `level`, lifted or lowered to follow ground with this normal.
fn along_ground(level: Vec3, normal: Vec3) -> Vec3 {
    Vec3::new(level.x, -(level.x * normal.x + level.z * normal.z) / normal.y, level.z)
}

fn anything(_: &Motion) -> bool {
    true
}

/// One move in progress. All places are from `origin`, where the character was: near it, single precision is fine.
struct Walk<'a, 'w, const N: usize> {
    world: &'a World<'w>,
    params: &'a MoverParams,
    near: Near<'w>,
    pushes: &'a mut ArrayVec<Push, N>,
    origin: Vec3,
    feet: Vec3,
    height: f32,
    velocity: Vec3,
    grounded: bool,
    /// Where it stands and on what.
    ground: Option<(Vec3, Motion)>,
    ground_id: StableId,
    slope_cos: f32,
    /// How far slides may go, in metres: what was gathered.
    reach: f32,
    /// Steep surfaces that the fall met.
    steep: u32,
}

impl<'a, 'w, const N: usize> Walk<'a, 'w, N> {
    fn new(
        world: &'a World<'w>,
        params: &'a MoverParams,
        state: &MoverState,
        ride: Vec3,
        motion: Vec3,
        pushes: &'a mut ArrayVec<Push, N>,
    ) -> Self {
        let mut walk = Self {
            world,
            params,
            near: Near::new(),
            pushes,
            origin: state.position,
            feet: Vec3::ZERO,
            height: if state.crouched { params.crouch_height } else { params.height }.max(params.radius * 2.0),
            velocity: state.velocity,
            grounded: state.grounded,
            ground: None,
            ground_id: state.ground,
            slope_cos: libm::cosf(params.slope_max),
            // A way up a slope is longer than the level motion; twice is 60 degrees.
            reach: motion.length() * 2.0 + ride.length(),
            steep: 0,
        };
        walk.gather();
        walk
    }

    /// Gathers what the rest of the move can touch.
    fn gather(&mut self) {
        self.origin += self.feet;
        self.feet = Vec3::ZERO;
        let radius = self.params.radius;
        let side = radius + self.reach + MARGIN;
        let down = self.reach + self.snap() + MARGIN;
        let up = self.params.height.max(self.height) + self.reach + self.params.step_height + MARGIN;
        let reach =
            Aabb { min: self.origin - Vec3::new(side, down, side), max: self.origin + Vec3::new(side, up, side) };
        let capsule = self.capsule();
        self.near.gather(self.world, self.origin, reach, capsule);
    }

    fn capsule(&self) -> Capsule {
        let radius = self.params.radius;
        Capsule { foot: self.feet + Vec3::Y * radius, length: self.height - radius * 2.0, radius }
    }

    /// How far down ground holds one who walks: it must reach the ground of the steepest slope walked down in a tick.
    fn snap(&self) -> f32 {
        self.params.ground_snap.max(self.reach)
    }

    fn walkable(&self, normal: Vec3) -> bool {
        normal.y >= self.slope_cos
    }

    /// Moves by `motion` until something stops it. Never further than the neighbourhood is known.
    fn advance(&mut self, motion: Vec3, solid: impl Fn(&Motion) -> bool) -> Option<Hit> {
        let hit = self.near.cast(self.capsule(), motion, solid);
        let mut moved = motion * hit.as_ref().map_or(1.0, |hit| hit.at);
        // Only when more pieces were near than fit: what is not known is as good as a wall.
        if self.near.free < f32::INFINITY {
            moved = moved.clamp_length_max((self.near.free - self.feet.length()).max(0.0));
        }
        self.feet += moved;
        hit
    }

    /// Goes with the ground. The ground itself is where it is already, so it is not in the way.
    fn ride(&mut self, ride: Vec3) {
        if ride == Vec3::ZERO {
            return;
        }
        let ground = self.ground_id;
        let mut rest = ride;
        for _ in 0..2 {
            let Some(hit) = self.advance(rest, |motion| motion.id != ground) else { break };
            rest = clip(rest * (1.0 - hit.at), hit.normal);
        }
    }

    /// Moves out of what overlaps: what moved in, or where another put the character.
    fn get_out(&mut self) {
        let mut contacts: ArrayVec<Contact, 16> = ArrayVec::new();
        for _ in 0..OUT_ROUNDS {
            contacts.clear();
            let capsule = self.capsule();
            self.near.overlaps(capsule, SKIN, &mut contacts);
            if contacts.is_empty() {
                return;
            }
            // What never moves comes last in each pass: between a platform and a wall, the wall wins.
            contacts.sort_by_key(|contact| contact.motion.id == StableId::NONE);
            let mut out = Vec3::ZERO;
            for _ in 0..4 {
                for contact in &contacts {
                    let deep = -contact.gap - out.dot(contact.normal) - SKIN * 0.5;
                    if deep > 0.0 {
                        out += contact.normal * deep;
                    }
                }
            }
            let out = out.clamp_length_max(OUT_MAX);
            // A piece it is in already stops it only from going deeper; the others stop it as always. From the map it must get
            // out even where a moving thing is in the way.
            let free = contacts.iter().any(|contact| contact.motion.id == StableId::NONE);
            self.advance(out, |motion| !(free && motion.id.is_some()));
            if self.feet.length() + out.length() > MARGIN {
                self.gather();
            }
        }
    }

    fn crouch(&mut self, wished: bool, state: &mut MoverState) {
        let radius = self.params.radius;
        let (tall, low) = (self.params.height.max(radius * 2.0), self.params.crouch_height.max(radius * 2.0));
        if wished {
            state.crouched = true;
            self.height = low.min(tall);
        } else if state.crouched && tall > self.height {
            let up = tall - self.height;
            let room = self.near.free > up && self.near.cast(self.capsule(), Vec3::Y * up, anything).is_none();
            if room {
                self.height = tall;
            }
            state.crouched = !room;
        } else {
            state.crouched = false;
            self.height = tall;
        }
    }

    /// Follows the motion along what it meets.
    fn slide(&mut self, motion: Vec3) {
        let mut motion = motion;
        let mut met: ArrayVec<Vec3, SLIDES_MAX> = ArrayVec::new();
        let mut budget = self.reach;
        let falls = motion.y < 0.0;
        for _ in 0..SLIDES_MAX {
            if motion.length_squared() < 1e-10 {
                return;
            }
            let Some(hit) = self.advance(motion, anything) else { return };
            budget -= motion.length() * hit.at;
            motion *= 1.0 - hit.at;
            self.push(&hit);
            let normal = hit.normal;
            let before = motion;
            if self.walkable(normal) {
                if self.grounded || self.velocity.y <= 0.0 {
                    self.land(&hit);
                    motion = along_ground(flat(motion), normal);
                } else {
                    motion = clip(motion, normal);
                    self.velocity = clip(self.velocity, normal);
                }
            } else if self.grounded {
                let Some(wall) = flat(normal).try_normalize() else { return };
                if normal.y > -0.1 && self.step(flat(motion), &hit) {
                    return;
                }
                self.stop_at(wall, &hit.motion);
                let ground = self.ground.map_or(Vec3::Y, |ground| ground.0);
                let ground = if self.walkable(ground) { ground } else { Vec3::Y };
                let level = clip(flat(motion), wall);
                // Into a corner: two walls leave no level way.
                if met.iter().any(|known| flat(*known) != Vec3::ZERO && level.dot(*known) < -1e-5) {
                    return;
                }
                motion = along_ground(level, ground);
                met.push(wall);
            } else {
                if normal.y > 0.0 {
                    self.steep += 1;
                }
                let side = flat(normal).normalize_or_zero();
                motion = self.deflect(motion, normal, side);
                let velocity = self.deflect(self.velocity, normal, side);
                self.velocity = velocity;
                for known in &met {
                    if motion.dot(*known) < -1e-5 {
                        // Between two surfaces the way is their crease; a third ends it.
                        let crease = normal.cross(*known).normalize_or_zero();
                        motion = crease * crease.dot(before);
                        if met.iter().any(|third| motion.dot(*third) < -1e-4) {
                            return;
                        }
                        break;
                    }
                }
                // A steep surface may lead down, never up.
                if motion.y > before.y.max(0.0) {
                    motion.y = before.y.max(0.0);
                }
                if falls && motion.y > 0.0 {
                    motion.y = 0.0;
                }
                met.push(normal);
            }
            motion = motion.clamp_length_max(budget.max(0.0));
        }
    }

    /// A flight's motion at a steep surface: what goes level stops at it as at a wall, what falls slides down it.
    fn deflect(&self, motion: Vec3, normal: Vec3, side: Vec3) -> Vec3 {
        if normal.y <= 0.0 {
            return clip(motion, normal);
        }
        let level = clip(flat(motion), side);
        if motion.y >= 0.0 { level + Vec3::Y * motion.y } else { level + clip(Vec3::Y * motion.y, normal) }
    }

    /// The velocity at a wall: not into it, but as fast as a wall that gives way.
    fn stop_at(&mut self, wall: Vec3, motion: &Motion) {
        let yields = motion.velocity.dot(wall).min(0.0);
        let into = self.velocity.dot(wall) - yields;
        if into < 0.0 {
            self.velocity -= wall * into;
        }
    }

    fn land(&mut self, hit: &Hit) {
        self.grounded = true;
        self.velocity.y = 0.0;
        self.ground = Some((hit.normal, hit.motion));
    }

    /// Notes a push of what can be pushed, at most one each, the hardest.
    fn push(&mut self, hit: &Hit) {
        let motion = &hit.motion;
        if !motion.movable || self.walkable(hit.normal) {
            return;
        }
        let into = (motion.velocity - self.velocity).dot(hit.normal);
        if into <= 0.0 {
            return;
        }
        let push = Push { id: motion.id, point: self.origin + hit.point, velocity: hit.normal * -into };
        match self.pushes.iter_mut().find(|known| known.id == push.id) {
            Some(known) if known.velocity.length_squared() < push.velocity.length_squared() => *known = push,
            Some(_) => {}
            None => {
                let _full = self.pushes.try_push(push);
            }
        }
    }

    /// Tries to walk over what stopped it: up, on, down onto ground. Stays where it was if there is no such way.
    fn step(&mut self, level: Vec3, blocker: &Hit) -> bool {
        let length = level.length();
        let up = self.params.step_height;
        // What touches higher than a step cannot be walked over; the foot of the capsule is round.
        if up <= 0.0 || length < 1e-4 || blocker.point.y - self.feet.y > up + SKIN {
            return false;
        }
        let start = self.feet;
        self.advance(Vec3::Y * up, anything);
        let lifted = self.feet.y - start.y;
        if lifted < 0.02 {
            self.feet = start;
            return false;
        }
        let mut rest = level;
        let mut wall = None;
        for _ in 0..2 {
            let Some(hit) = self.advance(rest, anything) else { break };
            let Some(side) = flat(hit.normal).try_normalize() else { break };
            wall = Some((side, hit.motion));
            rest = clip(rest * (1.0 - hit.at), side);
        }
        let gained = flat(self.feet - start).dot(level) / length;
        if gained < length * 0.05 {
            self.feet = start;
            return false;
        }
        let down = lifted + LANDING;
        match self.advance(Vec3::NEG_Y * down, anything) {
            // The round foot may rest on an edge that is higher than a step: then it is no step, nor half of a higher one.
            Some(hit)
                if hit.point.y - start.y <= up + SKIN && (self.walkable(hit.normal) || self.edge_of_ground(&hit)) =>
            {
                self.feet.y = self.feet.y.min(start.y + up);
                self.ground = Some((hit.normal, hit.motion));
                if let Some((side, motion)) = wall {
                    self.stop_at(side, &motion);
                }
                true
            }
            _ => {
                self.feet = start;
                false
            }
        }
    }

    /// Whether a contact too steep to stand on is the edge of ground that is not: felt with a small ball, a little further in.
    fn edge_of_ground(&mut self, hit: &Hit) -> bool {
        let Some(inward) = flat(-hit.normal).try_normalize() else { return false };
        // From below, or from beside, an edge holds nobody.
        if hit.normal.y < 0.05 {
            return false;
        }
        let ball = Capsule {
            foot: hit.point + inward * PROBE_IN + Vec3::Y * (PROBE_ABOVE + PROBE_RADIUS),
            length: 0.0,
            radius: PROBE_RADIUS,
        };
        let felt = self.near.cast(ball, Vec3::NEG_Y * (PROBE_ABOVE * 2.0), anything);
        felt.is_some_and(|felt| felt.at > 0.0 && self.walkable(felt.normal))
    }

    /// Finds the ground below after the slide.
    fn stand(&mut self, on_ground: bool, motion: Vec3, before: Vec3) {
        if !self.grounded && self.velocity.y > 0.0 {
            return;
        }
        let down = if on_ground { self.snap() } else { LANDING };
        let start = self.feet;
        if let Some(hit) = self.advance(Vec3::NEG_Y * down, anything) {
            let level = self.walkable(hit.normal);
            if level || self.edge_of_ground(&hit) {
                self.land(&hit);
                return;
            }
            self.steep += 1;
        }
        self.feet = start;
        self.grounded = false;
        self.ground = None;
        // Held up on several sides by what is too steep to stand on, one stands after all; or nobody could ever leave.
        let fell = before.y - self.feet.y;
        let wished = -motion.y;
        if self.steep > 1 && wished > TOLERANCE * 2.0 && fell < wished * WEDGED && self.held() {
            self.grounded = true;
            self.velocity.y = 0.0;
        }
    }

    /// Whether a fall with any level help is stopped: one steep surface leads down, a wedge does not.
    fn held(&mut self) -> bool {
        let start = self.feet;
        let mut motion = Vec3::NEG_Y * LANDING;
        for _ in 0..3 {
            let Some(hit) = self.near.cast(self.capsule(), motion, anything) else { return false };
            if hit.at > WEDGED {
                return false;
            }
            let before = motion;
            motion = clip(motion, hit.normal);
            if motion.y > before.y * 0.05 {
                return self.feet == start;
            }
        }
        true
    }

    fn finish(self, state: &mut MoverState, was_grounded: bool) {
        state.position = self.origin + self.feet;
        state.velocity = self.velocity;
        let ground_before = state.ground_velocity;
        if self.grounded {
            let motion = self.ground.map_or(Motion::STILL, |ground| ground.1);
            if !was_grounded {
                // Landing: speed counts over the new ground from now on.
                state.velocity -= flat(motion.velocity);
            }
            state.ground = motion.id;
            state.ground_velocity = motion.velocity;
        } else {
            if was_grounded {
                // Walked off: takes the ground's velocity along.
                state.velocity += ground_before;
            }
            state.ground = StableId::NONE;
            state.ground_velocity = Vec3::ZERO;
        }
        state.grounded = self.grounded;
    }
}
