//! Aiming as a person does: late, smoothly, and not quite where one means to.
//!
//! A hand is modelled as a damped spring that turns the look towards where the mind wants it, with a limit on speed, after
//! a reaction time whenever the target is a new one, and with a slow drift of the error (an Ornstein-Uhlenbeck process)
//! that grows with how fast the target crosses the view.

use core::f32::consts::{FRAC_PI_2, PI, TAU};

use arbiter_sim::time::SimRng;
use glam::Vec3;

/// How good a hand is. Numbers are those of ordinary players: simple reaction 180 to 300 ms, flicks of 300 to 700 degrees a
/// second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Skill {
    /// Seconds before a new target is aimed at.
    pub reaction_s: f32,
    /// Fastest turn in radians a second.
    pub turn_max: f32,
    /// Angular frequency of the spring, radians a second: larger is snappier.
    pub stiffness: f32,
    /// Standard deviation of the error on a target at rest, radians.
    pub error: f32,
    /// What crossing adds to the error: radians per radian a second.
    pub error_crossing: f32,
}

impl Skill {
    /// A skill between poor (0) and good (1).
    pub fn of(level: f32) -> Self {
        let level = level.clamp(0.0, 1.0);
        let mix = |poor: f32, good: f32| poor + (good - poor) * level;
        Self {
            reaction_s: mix(0.32, 0.18),
            turn_max: mix(5.0, 11.0),
            stiffness: mix(11.0, 19.0),
            error: mix(0.034, 0.012),
            error_crossing: mix(0.05, 0.02),
        }
    }
}

/// A look that is turned by a hand.
#[derive(Debug)]
pub struct Hand {
    skill: Skill,
    yaw: f32,
    pitch: f32,
    yaw_speed: f32,
    pitch_speed: f32,
    error: [f32; 2],
    target: Option<u32>,
    since_target_s: f32,
    wanted_before: Option<(f32, f32)>,
    followed: [f32; 2],
}

/// A share of how fast the target crosses the view that the hand moves along with by itself: people follow what moves evenly
/// almost without lag, and notice a change of direction late.
const FOLLOWED: f32 = 0.9;
/// Seconds until the hand has got used to a new speed of the target.
const FOLLOW_S: f32 = 0.08;
/// The error forgets itself with this time constant, in seconds: a person corrects about thrice a second.
const ERROR_MEMORY_S: f32 = 0.35;

impl Hand {
    /// A hand that looks along `yaw`.
    pub fn new(skill: Skill, yaw: f32) -> Self {
        Self {
            skill,
            yaw,
            pitch: 0.0,
            yaw_speed: 0.0,
            pitch_speed: 0.0,
            error: [0.0; 2],
            target: None,
            since_target_s: 0.0,
            wanted_before: None,
            followed: [0.0; 2],
        }
    }

    /// Where the player looks, radians.
    pub fn yaw(&self) -> f32 {
        self.yaw
    }

    /// Where the player looks, radians, up positive.
    pub fn pitch(&self) -> f32 {
        self.pitch
    }

    /// The look is set by someone else: on entering and after a respawn.
    pub fn set(&mut self, yaw: f32, pitch: f32) {
        (self.yaw, self.pitch) = (yaw, pitch);
        (self.yaw_speed, self.pitch_speed) = (0.0, 0.0);
        self.wanted_before = None;
    }

    /// Turns towards `direction` for `dt` seconds. `target` tells targets apart: a new one starts the reaction time; `None`
    /// is looking where one walks, which needs neither reaction nor error.
    pub fn turn(&mut self, direction: Vec3, target: Option<u32>, dt: f32, rng: &mut SimRng) {
        if target != self.target {
            self.target = target;
            self.since_target_s = 0.0;
            self.wanted_before = None;
            self.followed = [0.0; 2];
        }
        self.since_target_s += dt;
        let Some((yaw, pitch)) = angles(direction) else {
            return;
        };
        if target.is_some() && self.since_target_s < self.skill.reaction_s {
            self.yaw_speed *= 0.8;
            self.pitch_speed *= 0.8;
            self.advance(dt);
            return;
        }
        let speeds = self.wanted_before.map_or([0.0; 2], |(old_yaw, old_pitch)| {
            [turn_between(old_yaw, yaw), pitch - old_pitch].map(|turned| (turned / dt.max(1e-4)).clamp(-6.0, 6.0))
        });
        self.wanted_before = Some((yaw, pitch));
        let used = (dt / FOLLOW_S).min(1.0);
        for (followed, speed) in self.followed.iter_mut().zip(speeds) {
            *followed += (speed - *followed) * used;
        }
        if target.is_none() {
            self.followed = [0.0; 2];
        }
        let crossing = self.followed[0].abs() + self.followed[1].abs();
        let spread =
            if target.is_some() { self.skill.error + self.skill.error_crossing * crossing.min(4.0) } else { 0.0 };
        let keep = libm::expf(-dt / ERROR_MEMORY_S);
        let kick = spread * libm::sqrtf(1.0 - keep * keep);
        for error in &mut self.error {
            *error = *error * keep + kick * gauss(rng);
        }
        self.spring(turn_between(self.yaw, yaw + self.error[0]), pitch + self.error[1] - self.pitch, dt);
        self.advance(dt);
    }

    /// The angle in radians between the look and a direction.
    pub fn off(&self, direction: Vec3) -> f32 {
        let Some((yaw, pitch)) = angles(direction) else {
            return 0.0;
        };
        let across = turn_between(self.yaw, yaw) * libm::cosf(pitch);
        libm::hypotf(across, pitch - self.pitch)
    }

    fn spring(&mut self, yaw_left: f32, pitch_left: f32, dt: f32) {
        let stiffness = self.skill.stiffness;
        // Critically damped: it arrives without swinging. Semi-implicit, so that 10 Hz does not blow it up.
        let damp = 1.0 / (1.0 + 2.0 * stiffness * dt + (stiffness * dt) * (stiffness * dt));
        let along = self.followed.map(|speed| speed * FOLLOWED);
        self.yaw_speed = along[0] + (self.yaw_speed - along[0] + stiffness * stiffness * yaw_left * dt) * damp;
        self.pitch_speed = along[1] + (self.pitch_speed - along[1] + stiffness * stiffness * pitch_left * dt) * damp;
        let speed = libm::hypotf(self.yaw_speed, self.pitch_speed);
        if speed > self.skill.turn_max {
            self.yaw_speed *= self.skill.turn_max / speed;
            self.pitch_speed *= self.skill.turn_max / speed;
        }
    }

    fn advance(&mut self, dt: f32) {
        self.yaw = wrap(self.yaw + self.yaw_speed * dt);
        self.pitch = (self.pitch + self.pitch_speed * dt).clamp(-FRAC_PI_2 + 0.01, FRAC_PI_2 - 0.01);
    }
}

/// Yaw and pitch of a direction; `None` if it has none.
pub fn angles(direction: Vec3) -> Option<(f32, f32)> {
    let flat = libm::hypotf(direction.x, direction.z);
    if !direction.is_finite() || (flat < 1e-4 && direction.y.abs() < 1e-4) {
        return None;
    }
    Some((libm::atan2f(-direction.x, -direction.z), libm::atan2f(direction.y, flat)))
}

/// The shortest turn from one yaw to another, in -pi..pi.
pub fn turn_between(from: f32, to: f32) -> f32 {
    wrap(to - from)
}

fn wrap(angle: f32) -> f32 {
    let turned = libm::fmodf(angle, TAU);
    if turned > PI {
        turned - TAU
    } else if turned < -PI {
        turned + TAU
    } else {
        turned
    }
}

/// Roughly normal, deviation 1: the sum of four uniform numbers, cheap and bounded.
fn gauss(rng: &mut SimRng) -> f32 {
    ((0..4).map(|_| rng.unit()).sum::<f32>() - 2.0) * 1.732
}

/// Where to aim so that something that flies at `speed` from `eye` meets `target` moving at `velocity`; `gravity` is how
/// hard it falls (m/s^2, 0 for straight flight). Without a solution the target itself is the answer.
pub fn lead(eye: Vec3, target: Vec3, velocity: Vec3, speed: f32, gravity: f32) -> Vec3 {
    if speed <= 1.0 {
        return target;
    }
    let mut time = eye.distance(target) / speed;
    // Three rounds settle to centimetres, since targets are slower than what is thrown at them.
    for _ in 0..3 {
        time = (eye.distance(target + velocity * time) / speed).min(2.5);
    }
    target + velocity * time + Vec3::Y * (0.5 * gravity * time * time)
}
