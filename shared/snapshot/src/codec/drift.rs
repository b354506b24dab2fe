//! Guesses of what nothing pushes: a straight line, or a turn about one axis, through many states that the receiver holds.
//!
//! A state is rounded to whole lanes. Through two of them a line is off by several steps soon; through seventeen it is off by a
//! tenth of one. What was pushed meanwhile is found by what does not lie on the line: states from before count for nothing.

use super::numbers::{Turn, root};
use super::plan::Group;
use super::predict::Past;

/// How many ticks before the newest state others are looked for: close by, where a push is told soonest, and far off, where a
/// line is held longest.
pub const TRAIL: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32];

/// A state of before the newest.
#[derive(Debug, Clone, Copy)]
pub struct Older<'a> {
    /// Ticks from it to the newest.
    pub gap: i64,
    /// Its lanes.
    pub lanes: &'a [i32],
}

/// Parts of a lane's step that guesses are calculated in.
pub const FINE: i64 = 256;

/// 1 in the fixed point that turns are calculated in here, and 1 over the root of 2. Finer than that of other rotations: what
/// is lost by rounding must not show beside a tenth of a step.
const ONE_BITS: u32 = 24;
const ONE: i64 = 1 << ONE_BITS;
const HALF_ROOT: i64 = 11_863_283;

/// Lane steps beyond which a state lies on no line: it was put somewhere else.
const WAY_MAX: i64 = 1 << 20;

/// Squares of the miss of three axes, in those that rounding alone would leave, from which on a state lies on no line. Three
/// are to be expected, and one of a thousand is beyond 11.
const OFF_LINE: i64 = 11;

/// Steps beyond which a miss is not looked at more closely.
const MISS_MAX: i64 = 1 << 10;

/// A line through the newest states, at the tick to be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Where it leads to, from the newest state, in [`FINE`].
    pub goes: [i64; 3],
    /// By how much that is off, in [`FINE`], if nothing pushes: the standard deviation that rounding leaves.
    pub spread: i32,
    /// How many states lie on it.
    pub states: i32,
    /// By how much the first one that does not missed it, in lane steps; 0 if all do.
    pub off: i32,
}

/// Sums of the samples on a line.
struct Sums {
    count: i64,
    time: i64,
    square: i64,
    way: [i64; 3],
    time_way: [i64; 3],
}

impl Sums {
    fn scale(&self) -> i64 {
        self.count * self.square - self.time * self.time
    }

    /// Where the line is at `time`, times [`Self::scale`].
    fn at(&self, time: i64, axis: usize) -> i64 {
        (self.square * self.way[axis] - self.time * self.time_way[axis])
            + time * (self.count * self.time_way[axis] - self.time * self.way[axis])
    }

    /// The squares of the samples' distances in time, times the count: what their rounding does to the line there.
    fn lever(&self, time: i64) -> i64 {
        self.square - 2 * time * self.time + self.count * time * time
    }

    fn add(&mut self, time: i64, way: [i64; 3]) {
        self.count += 1;
        self.time += time;
        self.square += time * time;
        for (axis, way) in way.into_iter().enumerate() {
            self.way[axis] += way;
            self.time_way[axis] += time * way;
        }
    }
}

/// Lays a line through samples, the newest of which is at 0: ticks before it, and where each was from there, in [`FINE`].
fn line(age: i64, samples: impl Iterator<Item = (i64, Option<[i64; 3]>)>) -> Line {
    let mut sums = Sums { count: 1, time: 0, square: 0, way: [0; 3], time_way: [0; 3] };
    let mut off = 0;
    for (gap, way) in samples {
        let Some(way) = way.filter(|way| way.iter().all(|way| way.abs() <= WAY_MAX * FINE)) else {
            off = MISS_MAX;
            break;
        };
        let scale = sums.scale();
        if scale > 0 {
            // In eighths of a step, times the scale.
            let miss = |axis: usize| (way[axis] * scale - sums.at(-gap, axis)) / (FINE / 8);
            let limit = 8 * MISS_MAX * scale;
            let miss = [0, 1, 2].map(|axis| miss(axis).clamp(-limit, limit));
            let squares: i64 = miss.iter().map(|miss| miss * miss).sum();
            if 12 * squares > 64 * OFF_LINE * scale * (scale + sums.lever(-gap)) {
                off = miss.iter().map(|miss| miss.abs()).sum::<i64>() / (8 * scale);
                break;
            }
        }
        sums.add(-gap, way);
    }
    let scale = sums.scale();
    if scale == 0 {
        return Line { spread: (8 * FINE) as i32, states: 1, off: off as i32, ..Line::default() };
    }
    Line {
        goes: [0, 1, 2].map(|axis| (2 * sums.at(age, axis) + scale).div_euclid(2 * scale)),
        spread: root(FINE * FINE * sums.lever(age) / (12 * scale)) as i32,
        states: sums.count as i32,
        off: off as i32,
    }
}

/// The guess of a group that drifts or spins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight {
    /// The line that it is taken from.
    pub line: Line,
    /// The lanes, in [`FINE`]: of a place all three, of a rotation those that are told.
    pub fine: [i64; 3],
    /// Which component of a rotation is left out.
    pub left_out: usize,
}

impl Sight {
    /// Of the place in the lanes of `group`.
    pub fn drift(past: &Past<'_>, group: &Group) -> Self {
        let axis = |lanes: &[i32], axis: usize| i64::from(lanes[group.at + axis]);
        let newest = [0, 1, 2].map(|at| axis(past.states[0], at));
        let sample =
            |older: &Older<'_>| (older.gap, Some([0, 1, 2].map(|at| (axis(older.lanes, at) - newest[at]) * FINE)));
        let line = line(past.age, past.trail.iter().map(sample));
        let fine = [0, 1, 2].map(|at| newest[at] * FINE + line.goes[at]);
        Self { line, fine, left_out: 0 }
    }

    /// Of the rotation in the lanes of `group`.
    pub fn spin(past: &Past<'_>, group: &Group) -> Self {
        let step = step_of(group);
        let newest = turn_of(past.states[0], group, step);
        let sample = |older: &Older<'_>| (older.gap, way(&newest, &turn_of(older.lanes, group, step), group.max));
        let line = line(past.age, past.trail.iter().map(sample));
        let guess = turned(&newest, line.goes, group.max);
        let left_out = (0..4).fold(0, |best, at| if guess[at].abs() > guess[best].abs() { at } else { best });
        Self { line, fine: told(&guess, left_out, group.max), left_out }
    }

    /// The lanes that another component left out would lead to.
    pub fn leaving_out(&mut self, left_out: usize, past: &Past<'_>, group: &Group) {
        if left_out != self.left_out {
            let guess = turned(&turn_of(past.states[0], group, step_of(group)), self.line.goes, group.max);
            (self.fine, self.left_out) = (told(&guess, left_out, group.max), left_out);
        }
    }
}

/// Half a lane's step of a rotation, in 2^-20 of the fixed point: one division for all of its states.
fn step_of(group: &Group) -> i64 {
    (HALF_ROOT << STEP_BITS) / group.max.max(1)
}

const STEP_BITS: u32 = 20;

/// The rotation of the lanes of `group`: x, y, z, w.
fn turn_of(lanes: &[i32], group: &Group, step: i64) -> Turn {
    let left_out = (lanes[group.at] as usize).min(3);
    let mut turn = [0; 4];
    let mut sum = 0;
    let mut told = lanes[group.at + 1..group.at + 4].iter();
    for (at, part) in turn.iter_mut().enumerate() {
        if at != left_out
            && let Some(lane) = told.next()
        {
            *part = ((2 * i64::from(*lane) - group.max) * step) >> STEP_BITS;
            sum += *part * *part;
        }
    }
    turn[left_out] = root(ONE * ONE - sum);
    turn
}

/// The product of two rotations.
fn product(a: &Turn, b: &Turn) -> Turn {
    let [ax, ay, az, aw] = *a;
    let [bx, by, bz, bw] = *b;
    [
        (aw * bx + ax * bw + ay * bz - az * by) >> ONE_BITS,
        (aw * by - ax * bz + ay * bw + az * bx) >> ONE_BITS,
        (aw * bz + ax * by - ay * bx + az * bw) >> ONE_BITS,
        (aw * bw - ax * bx - ay * by - az * bz) >> ONE_BITS,
    ]
}

/// The half turn vector that leads from `newest` to `old`, in [`FINE`] of a lane's step: the logarithm of their quotient. None if
/// it is so long that it says little of the way between.
fn way(newest: &Turn, old: &Turn, max: i64) -> Option<[i64; 3]> {
    let [x, y, z, w] = product(old, &[-newest[0], -newest[1], -newest[2], newest[3]]);
    let sign = if w < 0 { -1 } else { 1 };
    let square = (x * x + y * y + z * z) >> ONE_BITS;
    if square > ONE / 4 {
        return None;
    }
    // The arcus sine over the sine, by the square of the sine.
    let second = (square * square) >> ONE_BITS;
    let third = (second * square) >> ONE_BITS;
    let fourth = (second * second) >> ONE_BITS;
    let longer = ONE + square / 6 + 3 * second / 40 + 5 * third / 112 + 35 * fourth / 1_152;
    Some([x, y, z].map(|part| ((sign * part * longer) >> ONE_BITS) * max * (FINE / 2) / HALF_ROOT))
}

/// `newest`, turned on by a half turn vector; one that is longer than 1 is noise.
fn turned(newest: &Turn, goes: [i64; 3], max: i64) -> Turn {
    let goes = goes.map(|part| part.clamp(-WAY_MAX * FINE, WAY_MAX * FINE) * HALF_ROOT / (FINE / 2 * max.max(1)));
    if goes.iter().any(|part| part.abs() > ONE) {
        return *newest;
    }
    let square = goes.iter().map(|part| part * part).sum::<i64>() >> ONE_BITS;
    if square > ONE {
        return *newest;
    }
    let second = (square * square) >> ONE_BITS;
    let third = (second * square) >> ONE_BITS;
    let fourth = (second * second) >> ONE_BITS;
    let cosine = ONE - square / 2 + second / 24 - third / 720 + fourth / 40_320;
    let shorter = ONE - square / 6 + second / 120 - third / 5_040 + fourth / 362_880;
    let [x, y, z] = goes.map(|part| (part * shorter) >> ONE_BITS);
    product(&[x, y, z, cosine], newest)
}

/// The lanes of the components but for the one that is left out, whose sign becomes positive.
fn told(turn: &Turn, left_out: usize, max: i64) -> [i64; 3] {
    let sign = if turn[left_out] < 0 { -1 } else { 1 };
    let mut parts = (0..4).filter(|at| *at != left_out).map(|at| sign * turn[at]);
    [0; 3].map(|_: i64| {
        let part = parts.next().unwrap_or(0);
        ((part + HALF_ROOT) * max * FINE).div_euclid(2 * HALF_ROOT)
    })
}
