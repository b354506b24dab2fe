//! Where something may be a moment from now: an upright prism around it, as far as it can move and the map lets it.
//!
//! What a player can do within a horizon follows from the rules of movement: speed and acceleration, a dash if one is ready,
//! a jump from the ground, a fall in the air. What others do to them (a blast, a launch pad) cannot be foreseen: it shows as
//! a jolt, and everything about that player is judged anew.
//!
//! Next: `shaft`, which asks whether anything is to be seen between two such prisms.

use core::f32::consts::FRAC_1_SQRT_2;

use glam::{Vec2, Vec3};

/// Corners of a prism's ring. Eight are enough for a circle: with `ROUND` they contain it, and add 8 % to its radius.
pub const CORNERS: usize = 8;

/// The directions of the corners in the plane of x and z, an eighth of a turn apart.
pub const DIRECTIONS: [Vec2; CORNERS] = [
    Vec2::X,
    Vec2::splat(FRAC_1_SQRT_2),
    Vec2::Y,
    Vec2::new(-FRAC_1_SQRT_2, FRAC_1_SQRT_2),
    Vec2::NEG_X,
    Vec2::splat(-FRAC_1_SQRT_2),
    Vec2::NEG_Y,
    Vec2::new(FRAC_1_SQRT_2, -FRAC_1_SQRT_2),
];

/// 1 / cos(22.5 degrees): corners so much further out contain the circle.
const ROUND: f32 = 1.0824;

/// Metres that the edge of a body is kept off a wall, so that no line begins inside one.
const OFF_WALL: f32 = 0.02;

/// Metres nearer to a wall than its radius that an eye is taken to come: the mover keeps a skin.
const SKIN: f32 = 0.02;

/// What a player can do of their own accord.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gait {
    /// Fastest walk in m/s; 0 stands.
    pub speed_max: f32,
    /// m/s² towards it.
    pub acceleration: f32,
    /// m/s² against the way one goes.
    pub braking: f32,
    /// Speed of a dash that is ready in m/s, or 0.
    pub dash_speed: f32,
    /// Seconds that it lasts.
    pub dash_s: f32,
    /// Speed upwards in m/s that one has or can have at once.
    pub rise_speed: f32,
    /// m/s².
    pub gravity: f32,
    /// Stands on something.
    pub grounded: bool,
}

impl Gait {
    /// Metres that one can get along a unit direction within some seconds at a velocity of now; 0 at least, as one is here.
    fn travel(&self, velocity: Vec2, along: Vec2, seconds: f32) -> f32 {
        let start = velocity.dot(along);
        let walked = if start >= self.speed_max {
            start * seconds
        } else {
            let turn = if start < 0.0 { (-start / self.braking.max(1.0)).min(seconds) } else { 0.0 };
            let (rest, start) = (seconds - turn, start.max(0.0));
            // Coming to a halt only takes one away.
            let gain = ((self.speed_max - start) / self.acceleration.max(1.0)).min(rest);
            start * rest + self.acceleration * gain * (rest - 0.5 * gain)
        };
        walked.max(0.0)
    }

    /// Metres that one can get in any direction with a dash that is ready; 0 without.
    fn dash(&self, seconds: f32) -> f32 {
        let dash = seconds.min(self.dash_s);
        if self.dash_speed > 0.0 { self.dash_speed * dash + self.speed_max * (seconds - dash) } else { 0.0 }
    }

    /// Metres upwards at most.
    pub fn rise(&self, seconds: f32) -> f32 {
        let speed = self.rise_speed.max(0.0);
        let top = seconds.min(speed / self.gravity.max(0.1));
        speed * top - 0.5 * self.gravity * top * top
    }

    /// Metres downwards at most, for one who is in the air.
    fn fall(&self, velocity: f32, seconds: f32) -> f32 {
        if self.grounded { 0.0 } else { (0.5 * self.gravity * seconds * seconds - velocity * seconds).max(0.0) }
    }
}

/// What can be seen, and for a player who sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// The feet of a player, the foot or the middle of anything else.
    pub position: Vec3,
    /// Metres a second.
    pub velocity: Vec3,
    /// Metres from the axis to the edge in each direction.
    pub extent: [f32; CORNERS],
    /// Metres from the axis to the first wall in each direction.
    pub clear: [f32; CORNERS],
    /// Lowest and highest point above `position`.
    pub height: [f32; 2],
    /// Lowest and highest eye above `position`.
    pub eyes: [f32; 2],
    /// Radius that keeps a player's eyes off walls.
    pub radius: f32,
    /// What a player can do; nothing for what only flies on or stands.
    pub gait: Gait,
}

impl Shape {
    /// Something that stands still and is alike in all directions.
    pub fn still(position: Vec3, radius: f32, height: [f32; 2]) -> Self {
        Self {
            position,
            velocity: Vec3::ZERO,
            extent: [radius; CORNERS],
            clear: [f32::INFINITY; CORNERS],
            height,
            eyes: height,
            radius: 0.0,
            gait: Gait::default(),
        }
    }

    /// Whether it can be judged at all.
    pub fn is_finite(&self) -> bool {
        self.position.is_finite() && self.velocity.is_finite()
    }

    /// Metres that it can get within some seconds in its fastest direction, edges not counted.
    pub fn travel_max(&self, seconds: f32) -> f32 {
        let flat = Vec2::new(self.velocity.x, self.velocity.z);
        let along = flat.normalize_or(Vec2::X);
        self.gait.travel(flat, along, seconds).max(self.gait.dash(seconds))
    }

    /// Whether a dash is ready, which gets one further than legs do.
    pub fn dashes(&self) -> bool {
        self.gait.dash_speed > 0.0
    }

    /// Where its eyes may be within some seconds, on foot or by a dash.
    pub fn eyes_within(&self, seconds: f32, dash: bool) -> Prism {
        let reach = |at: usize, travel: f32| travel.min(self.clear[at] - self.radius + SKIN).max(0.0);
        self.prism(self.eyes, seconds, dash, reach)
    }

    /// Where any part of it may be within some seconds, on foot or by a dash.
    pub fn body_within(&self, seconds: f32, dash: bool) -> Prism {
        let reach = |at: usize, travel: f32| (travel + self.extent[at]).min(self.clear[at] - OFF_WALL).max(0.0);
        self.prism(self.height, seconds, dash, reach)
    }

    fn prism(&self, [low, high]: [f32; 2], seconds: f32, dash: bool, reach: impl Fn(usize, f32) -> f32) -> Prism {
        let (x, y, z) = (self.position.x, self.position.y, self.position.z);
        let flat = Vec2::new(self.velocity.x, self.velocity.z);
        let centre = Vec2::new(x, z);
        let dashed = self.gait.dash(seconds);
        let ring = core::array::from_fn(|at| {
            let travel = if dash { dashed } else { self.gait.travel(flat, DIRECTIONS[at], seconds) };
            centre + DIRECTIONS[at] * reach(at, travel * ROUND)
        });
        // A dash goes straight on: nobody rises or falls in one.
        let (fall, rise) =
            if dash { (0.0, 0.0) } else { (self.gait.fall(self.velocity.y, seconds), self.gait.rise(seconds)) };
        Prism { centre, ring, low: y + low - fall, high: y + high + rise }
    }
}

/// An upright prism: a ring of corners in the directions of [`DIRECTIONS`] around a centre, from low to high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prism {
    /// The centre in x and z.
    pub centre: Vec2,
    /// The corners in x and z.
    pub ring: [Vec2; CORNERS],
    /// Lowest y.
    pub low: f32,
    /// Highest y.
    pub high: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walker(velocity: Vec3) -> Shape {
        let gait = Gait {
            speed_max: 6.0,
            acceleration: 60.0,
            braking: 60.0,
            rise_speed: 7.0,
            gravity: 20.0,
            grounded: true,
            ..Gait::default()
        };
        Shape { velocity, gait, eyes: [1.05, 1.65], ..Shape::still(Vec3::ZERO, 0.35, [0.0, 1.8]) }
    }

    #[test]
    fn one_who_runs_gets_further_ahead_than_back() {
        let eyes = walker(Vec3::X * 6.0).eyes_within(0.15, false);
        assert!((eyes.ring[0].x - 0.9 * ROUND).abs() < 1e-3, "{}", eyes.ring[0].x);
        assert!(eyes.ring[4].x > -0.2, "{}", eyes.ring[4].x);
    }

    #[test]
    fn a_wall_keeps_eyes_and_body_on_this_side() {
        let mut shape = walker(Vec3::X * 6.0);
        shape.radius = 0.35;
        shape.clear[0] = 0.6;
        assert!(shape.eyes_within(0.15, false).ring[0].x < 0.3);
        assert!(shape.body_within(0.15, false).ring[0].x < 0.6);
    }

    #[test]
    fn a_dash_that_is_ready_counts_in_all_directions() {
        let mut shape = walker(Vec3::X * 6.0);
        (shape.gait.dash_speed, shape.gait.dash_s) = (22.0, 0.18);
        assert!(shape.eyes_within(0.15, true).ring[4].x <= -3.3);
    }

    #[test]
    fn a_longer_horizon_contains_a_shorter_one() {
        let shape = walker(Vec3::new(-2.0, 0.0, 3.0));
        let (near, far) = (shape.body_within(0.1, false), shape.body_within(0.2, false));
        for at in 0..CORNERS {
            assert!(far.ring[at].length() >= near.ring[at].length());
        }
        assert!(far.low <= near.low && far.high >= near.high);
    }
}
