//! What both ends can guess of a lane from states that both hold.

use super::drift::Older;
use super::numbers::{HALF_ROOT, ONE, Turn, dot, normal, quotient, root, scale, spin};
use super::plan::Group;
use super::tables::{Fit, Tables};

/// States of one entity that the receiver provably holds.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The newest, one as little older as there is, and one about as much older as the newest is old. If there are fewer, the
    /// last one stands for the missing ones.
    pub states: [&'a [i32]; 3],
    /// Ticks from the newest to the one to be told.
    pub age: i64,
    /// Ticks from the second and from the third to the newest; 0 if they are the newest.
    pub gaps: [i64; 2],
    /// States of before the newest, newest first, of which there may be none; for what drifts or spins.
    pub trail: &'a [Older<'a>],
}

/// `value` over `gap` ticks as it would be over `age`, rounded; 0 without a gap.
#[inline]
fn over(value: i64, gap: i64, age: i64) -> i64 {
    if gap == age || gap == 0 {
        return value * i64::from(gap != 0);
    }
    let doubled = 2 * value * age;
    quotient(doubled + gap * doubled.signum(), 2 * gap)
}

impl Past<'_> {
    /// The newest value of a lane.
    #[inline]
    pub fn newest(&self, lane: usize) -> i64 {
        i64::from(self.states[0][lane])
    }

    /// How far a lane last went in one tick.
    #[inline]
    pub fn step(&self, lane: usize) -> i64 {
        over(self.newest(lane) - i64::from(self.states[1][lane]), self.gaps[0], 1)
    }

    /// How far it would go at its last pace.
    #[inline]
    pub fn near(&self, lane: usize) -> i64 {
        over(self.newest(lane) - i64::from(self.states[1][lane]), self.gaps[0], self.age)
    }

    /// How far it would go at its mean pace of late.
    #[inline]
    pub fn far(&self, lane: usize) -> i64 {
        over(self.newest(lane) - i64::from(self.states[2][lane]), self.gaps[1], self.age)
    }

    /// Whether lanes were in motion: they differ among the states.
    #[inline]
    pub fn moves(&self, mut lanes: core::ops::Range<usize>) -> bool {
        let [newest, near, far] = self.states;
        lanes.any(|lane| newest[lane] != near[lane] || newest[lane] != far[lane])
    }
}

/// Lane steps beyond which a miss says nothing of how a body turned: it was put somewhere else.
const PART_MAX: i64 = 1 << 20;

/// The key and the inputs of the fit of an axis.
#[inline]
pub fn axis_inputs(past: &Past<'_>, lane: usize, up: bool) -> (usize, [i64; 3]) {
    let (near, far) = (past.near(lane), past.far(lane));
    let (speed, change) = (scale(far).min(16) as usize, (scale(near - far) / 3).min(7) as usize);
    let fall = if up { past.age * past.age / 4 } else { 0 };
    ((usize::from(up) * 17 + speed) * 8 + change, [near, far, fall])
}

/// How far an axis goes.
#[inline]
pub fn axis(tables: &Tables, past: &Past<'_>, lane: usize, up: bool) -> i64 {
    let (key, inputs) = axis_inputs(past, lane, up);
    tables.fit(Fit::Axis, key, &inputs)
}

/// The rotation of the lanes of `group`.
#[inline]
pub fn turn_of(lanes: &[i32], group: &Group) -> Turn {
    let mut turn = [0; 4];
    let left_out = (lanes[group.at] as usize).min(3);
    let mut sum = 0;
    let mut told = lanes[group.at + 1..group.at + 4].iter();
    for (at, part) in turn.iter_mut().enumerate() {
        if at != left_out
            && let Some(lane) = told.next()
        {
            *part = quotient((2 * i64::from(*lane) - group.max) * HALF_ROOT, group.max.max(1));
            sum += *part * *part;
        }
    }
    turn[left_out] = root(ONE * ONE - sum);
    turn
}

/// The lane that tells a component of a rotation.
#[inline]
pub fn lane_of(part: i64, max: i64) -> i64 {
    ((part * max + HALF_ROOT * max + HALF_ROOT).div_euclid(2 * HALF_ROOT)).clamp(0, max)
}

/// How a body turns: everything that both ends know of it.
#[derive(Debug, Clone, Copy)]
pub struct Turning {
    /// The newest rotation.
    pub newest: Turn,
    /// How it would go on at its last pace, as a tangent.
    pub near: Turn,
    /// The same at its mean pace of late.
    pub far: Turn,
    /// Steps of a lane that its components went in the last tick, in all.
    pub step: i64,
    /// The same at its mean pace, over the whole age.
    pub reach: i64,
}

impl Turning {
    /// Of the lanes of `group`.
    pub fn new(past: &Past<'_>, group: &Group) -> Self {
        let newest = turn_of(past.states[0], group);
        let tangent = |state: usize| {
            let old = turn_of(past.states[state], group);
            let along = dot(&newest, &old);
            let sign = if along < 0 { -1 } else { 1 };
            let mut tangent = [0; 4];
            let mut apart = 0;
            for at in 0..4 {
                tangent[at] = along.abs() * newest[at] / ONE - sign * old[at];
                apart += (newest[at] - sign * old[at]).abs();
            }
            (tangent, apart * group.max / (2 * HALF_ROOT))
        };
        let ((near, step), (far, reach)) = (tangent(1), tangent(2));
        let (mut near_parts, mut far_parts) = (near, far);
        for at in 0..4 {
            near_parts[at] = over(near[at], past.gaps[0], past.age);
            far_parts[at] = over(far[at], past.gaps[1], past.age);
        }
        Self {
            newest,
            near: near_parts,
            far: far_parts,
            step: over(step, past.gaps[0], 1),
            reach: over(reach, past.gaps[1], past.age),
        }
    }

    /// The key of its fit.
    #[inline]
    pub fn key(&self) -> usize {
        scale(self.reach).min(16) as usize * 13 + scale(self.step).min(12) as usize
    }

    /// Where it turns to: the tangent is fitted, and walked along the circle.
    pub fn guess(&self, tables: &Tables) -> (Turn, Turn) {
        let key = self.key();
        let mut way = [0; 4];
        for (at, way) in way.iter_mut().enumerate() {
            *way = tables.fit(Fit::Turn, key, &[self.near[at], self.far[at]]);
        }
        // Angles beyond 2 are noise: nothing is gained by a guess that goes further round.
        let square = dot(&way, &way).min(4 * ONE);
        let fourth = square * square / ONE;
        let (cosine, slope) = (ONE - square / 2 + fourth / 24, ONE - square / 6 + fourth / 120);
        let mut guess = [0; 4];
        for (at, guess) in guess.iter_mut().enumerate() {
            *guess = (cosine * self.newest[at] + slope * way[at]) / ONE;
        }
        (normal(guess), way)
    }

    /// The key and inputs, by component, of how a body turns further when it went further than guessed by `missed`: it rolls
    /// over the ground, gets ahead on its way, lifts itself, swerves.
    pub fn rolled(&self, way: &Turn, went: [i64; 3], missed: [i64; 3]) -> (usize, [[i64; 4]; 4]) {
        let [missed, went] = [missed, went].map(|it| it.map(|part| part.clamp(-PART_MAX, PART_MAX)));
        let amount: i64 = missed.iter().map(|part| part.abs()).sum();
        let key = (scale(self.reach) / 2).min(9) as usize * 10 + (scale(amount) / 2).min(9) as usize;
        let rolls = spin([missed[2], 0, -missed[0]], &self.newest);
        let square: i64 = went.iter().map(|part| part * part).sum::<i64>() + 64;
        let along: i64 = went.iter().zip(missed).map(|(went, missed)| went * missed).sum();
        let ahead = quotient(along * 256, square).clamp(-512, 512);
        let length = root(way.iter().map(|part| part * part).sum()).max(1);
        let speed = root(square);
        let across = |a: usize, b: usize| quotient(went[a] * missed[b] - went[b] * missed[a], speed);
        let swerves = spin([across(1, 2), across(2, 0), across(0, 1)], &self.newest);
        let inputs =
            |at: usize| [rolls[at], way[at] * ahead * 16, quotient(way[at] * ONE, length) * missed[1], swerves[at]];
        (key, [inputs(0), inputs(1), inputs(2), inputs(3)])
    }
}
