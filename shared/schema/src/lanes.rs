//! A replicated field as integers: every leaf that a client may be told becomes a lane of 32 bits with a known range.
//!
//! `snapshot` sees only lanes, so it does not know which game is played; a client turns lanes back into components.

use glam::{Quat, Vec2, Vec3};

use crate::value::{StableId, Value};

/// Who may be told a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Every client that may know the entity.
    Everyone,
    /// Clients of the entity's team.
    Team,
    /// The client that owns the entity.
    Owner,
}

/// How a lane's next value is best guessed from acknowledged ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Predictor {
    /// It stays as it was.
    Hold,
    /// It goes on changing as it did between the last two known states.
    Linear,
    /// Four lanes of a unit quaternion as its smallest three: which of x, y, z, w is left out as the largest, its sign made
    /// positive, and the other three, each from -1/√2 to 1/√2. It goes on turning as it did.
    Rotation,
    /// Three lanes of a place that nothing pushes for most of the time: it goes on in a straight line, which is laid through
    /// many known states, so that their rounding does not show. For what flies or drifts, not for what is steered.
    Drift,
    /// As `Rotation`, of what turns about one axis at one rate for most of the time, by many known states.
    Spin,
}

/// What is replicated of a field: range and precision per leaf, predictor and audience.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    /// Smallest value that can be told; smaller ones are clamped.
    pub min: f32,
    /// Largest value that can be told; larger ones are clamped.
    pub max: f32,
    /// Distance of two neighbouring values; 1 for integers.
    pub step: f32,
    /// How it is predicted.
    pub predictor: Predictor,
    /// Who may know it.
    pub audience: Audience,
}

impl Spec {
    /// A spec in one line: range, step, predictor, audience.
    pub const fn new(min: f32, max: f32, step: f32, predictor: Predictor, audience: Audience) -> Self {
        Self { min, max, step, predictor, audience }
    }

    fn quantise(&self, value: f32) -> i32 {
        // A NaN compares false with everything, so it falls to the minimum rather than through the cast.
        let clamped = if value >= self.min { value.min(self.max) } else { self.min };
        ((clamped - self.min) / self.step + 0.5) as i32
    }

    fn restore(&self, lane: i32) -> f32 {
        (self.min + lane.max(0) as f32 * self.step).clamp(self.min, self.max)
    }

    /// The largest lane value, inclusive. Lanes begin at 0.
    pub fn lane_max(&self) -> u32 {
        self.quantise(self.max) as u32
    }
}

/// One lane of a replicated component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneDesc {
    /// The field it belongs to.
    pub field: &'static str,
    /// Largest value, inclusive; the smallest is 0.
    pub max: u32,
    /// How it is predicted.
    pub predictor: Predictor,
    /// Who may know it.
    pub audience: Audience,
}

/// A value that can be told to clients as a fixed number of lanes.
pub trait Replicate: Value {
    /// How many lanes it takes.
    const LANES: usize;
    /// The largest value of lane `lane`, inclusive.
    fn lane_max(spec: &Spec, lane: usize) -> u32;
    /// Appends its lanes. Each is in `0..=lane_max`.
    fn to_lanes(&self, spec: &Spec, out: &mut Vec<i32>);
    /// Reads `LANES` lanes back. Anything is accepted: values out of range are clamped.
    fn from_lanes(spec: &Spec, lanes: &[i32]) -> Self;
}

impl Replicate for f32 {
    const LANES: usize = 1;
    fn lane_max(spec: &Spec, _lane: usize) -> u32 {
        spec.lane_max()
    }
    fn to_lanes(&self, spec: &Spec, out: &mut Vec<i32>) {
        out.push(spec.quantise(*self));
    }
    fn from_lanes(spec: &Spec, lanes: &[i32]) -> Self {
        spec.restore(lanes[0])
    }
}

macro_rules! integer_lanes {
    ($($type:ty),*) => {$(
        impl Replicate for $type {
            const LANES: usize = 1;
            fn lane_max(spec: &Spec, _lane: usize) -> u32 {
                (spec.max as i64 - spec.min as i64) as u32
            }
            fn to_lanes(&self, spec: &Spec, out: &mut Vec<i32>) {
                let (min, max) = (spec.min as i64, spec.max as i64);
                out.push(((*self as i64).clamp(min, max) - min) as i32);
            }
            fn from_lanes(spec: &Spec, lanes: &[i32]) -> Self {
                let (min, max) = (spec.min as i64, spec.max as i64);
                (min + i64::from(lanes[0].max(0))).clamp(min, max) as $type
            }
        }
    )*};
}

integer_lanes!(u8, u16, u32, i8, i16, i32);

impl Replicate for bool {
    const LANES: usize = 1;
    fn lane_max(_spec: &Spec, _lane: usize) -> u32 {
        1
    }
    fn to_lanes(&self, _spec: &Spec, out: &mut Vec<i32>) {
        out.push(i32::from(*self));
    }
    fn from_lanes(_spec: &Spec, lanes: &[i32]) -> Self {
        lanes[0] != 0
    }
}

impl Replicate for StableId {
    const LANES: usize = 1;
    fn lane_max(_spec: &Spec, _lane: usize) -> u32 {
        i32::MAX as u32
    }
    fn to_lanes(&self, _spec: &Spec, out: &mut Vec<i32>) {
        out.push(self.0 as i32);
    }
    fn from_lanes(_spec: &Spec, lanes: &[i32]) -> Self {
        Self(lanes[0].max(0) as u32)
    }
}

macro_rules! axis_lanes {
    ($($type:ident $count:literal),* $(,)?) => {$(
        impl Replicate for $type {
            const LANES: usize = $count;
            fn lane_max(spec: &Spec, _lane: usize) -> u32 {
                spec.lane_max()
            }
            fn to_lanes(&self, spec: &Spec, out: &mut Vec<i32>) {
                out.extend(self.to_array().map(|axis| spec.quantise(axis)));
            }
            fn from_lanes(spec: &Spec, lanes: &[i32]) -> Self {
                let mut axes = [0.0; $count];
                for (axis, lane) in axes.iter_mut().zip(lanes) {
                    *axis = spec.restore(*lane);
                }
                Self::from_array(axes)
            }
        }
    )*};
}

axis_lanes!(Vec2 2, Vec3 3);

impl Replicate for Quat {
    const LANES: usize = 4;
    fn lane_max(spec: &Spec, _lane: usize) -> u32 {
        spec.lane_max()
    }
    fn to_lanes(&self, spec: &Spec, out: &mut Vec<i32>) {
        // q and -q are the same rotation: one sign is told, so that a body at rest has lanes at rest.
        let same = if self.w < 0.0 { -*self } else { *self };
        out.extend(same.to_array().map(|axis| spec.quantise(axis)));
    }
    fn from_lanes(spec: &Spec, lanes: &[i32]) -> Self {
        let mut axes = [0.0; 4];
        for (axis, lane) in axes.iter_mut().zip(lanes) {
            *axis = spec.restore(*lane);
        }
        let read = Self::from_array(axes);
        if read.length_squared() < 1e-6 { Self::IDENTITY } else { read.normalize() }
    }
}

impl<T: Replicate, const N: usize> Replicate for [T; N] {
    const LANES: usize = N * T::LANES;
    fn lane_max(spec: &Spec, lane: usize) -> u32 {
        T::lane_max(spec, lane % T::LANES)
    }
    fn to_lanes(&self, spec: &Spec, out: &mut Vec<i32>) {
        for item in self {
            item.to_lanes(spec, out);
        }
    }
    fn from_lanes(spec: &Spec, lanes: &[i32]) -> Self {
        core::array::from_fn(|index| T::from_lanes(spec, &lanes[index * T::LANES..(index + 1) * T::LANES]))
    }
}
