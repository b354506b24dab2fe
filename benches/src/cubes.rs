//! A trace of cubes in the format of Glenn Fiedler's snapshot compression data, as lanes of a described component.

use std::path::Path;

use arbiter_schema::{Audience, Describe, Predictor, Spec, describe};
use arbiter_snapshot::codec::{Past, Plan};

/// Cubes of a frame.
pub const CUBES: usize = 901;

/// Lanes of a cube.
pub const LANES: usize = 8;

/// Frames a second.
pub const RATE: f64 = 60.0;

/// Ticks between a frame and the newest that is acknowledged.
pub const AGE: usize = 6;

describe! {
    /// A cube of the trace. Axes are turned so that the second is up, as in our own worlds: the trace's y, z, x.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Cube {
        /// In 1/512 m, within 32 m of the origin.
        pub position: [i32; 3] => Spec::new(-16_384.0, 16_384.0, 1.0, Predictor::Linear, Audience::Everyone),
        /// Smallest three, 9 bits each.
        pub rotation: [u16; 4] => Spec::new(0.0, 511.0, 1.0, Predictor::Rotation, Audience::Everyone),
        /// Whether the player's cube pulls at it.
        pub interacting: bool => Spec::new(0.0, 1.0, 1.0, Predictor::Hold, Audience::Everyone),
    }
}

/// The lanes of all cubes in each frame.
#[derive(Debug)]
pub struct Trace {
    lanes: Vec<i32>,
}

/// Where our axis x, y, z, w is in the trace.
const AXES: [usize; 4] = [1, 2, 0, 3];

impl Trace {
    /// Reads a file of little-endian i32: for each frame and cube `largest, a, b, c, x, y, z, interacting`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let record = LANES * 4;
        if bytes.is_empty() || !bytes.len().is_multiple_of(CUBES * record) {
            return Err(format!("{}: not whole frames of {CUBES} cubes of {record} bytes", path.display()));
        }
        let mut lanes = Vec::with_capacity(bytes.len() / 4);
        for cube in bytes.chunks_exact(record) {
            let value =
                |at: usize| i32::from_le_bytes([cube[4 * at], cube[4 * at + 1], cube[4 * at + 2], cube[4 * at + 3]]);
            let largest = usize::try_from(value(0)).ok().filter(|it| *it < 4).ok_or("a largest component above 3")?;
            for axis in &AXES[..3] {
                let place = value(4 + axis) + 16_384;
                if !(0..=32_768).contains(&place) {
                    return Err(format!("{}: a cube is {place} steps from the corner", path.display()));
                }
                lanes.push(place);
            }
            lanes.push(AXES.iter().position(|axis| *axis == largest).unwrap_or(0) as i32);
            for axis in AXES.into_iter().filter(|axis| *axis != largest) {
                lanes.push(value(1 + axis - usize::from(axis > largest)).clamp(0, 511));
            }
            lanes.push(value(7).clamp(0, 1));
        }
        Ok(Self { lanes })
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.lanes.len() / (CUBES * LANES)
    }

    /// The lanes of all cubes in a frame.
    pub fn frame(&self, number: usize) -> &[i32] {
        &self.lanes[number * CUBES * LANES..][..CUBES * LANES]
    }
}

/// Which of its lanes belong together.
pub fn plan() -> Plan {
    Plan::new(&Cube::lane_descs())
}

/// The frames that a frame is told against: the newest that is held, as little older as there is, about twice as old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bases(pub [usize; 3]);

impl Bases {
    /// Of `frame`, where all frames up to [`AGE`] before it are held.
    pub fn of(frame: usize) -> Self {
        Self([frame - AGE, (frame - AGE).saturating_sub(1), frame.saturating_sub(2 * AGE)])
    }

    /// Of `frame`, where those frames are held for which `held` says so; `None` if there are none.
    pub fn among(frame: usize, oldest: usize, held: impl Fn(usize) -> bool) -> Option<Self> {
        let newest = (oldest..=frame - AGE).rev().find(|at| held(*at))?;
        let near = (oldest..newest).rev().find(|at| held(*at)).unwrap_or(newest);
        let wanted = (newest * 2).saturating_sub(frame);
        let far = (oldest..=near).filter(|at| held(*at)).min_by_key(|at| (at.abs_diff(wanted), *at)).unwrap_or(near);
        Some(Self([newest, near, far]))
    }

    /// What is held of each cube.
    pub fn pasts<'a>(self, frame: usize, state: impl Fn(usize) -> &'a [i32], to: &mut Vec<Past<'a>>) {
        let [newest, near, far] = self.0;
        let states = self.0.map(state);
        let (age, gaps) = ((frame - newest) as i64, [(newest - near) as i64, (newest - far) as i64]);
        to.clear();
        to.extend((0..CUBES).map(|cube| Past {
            states: states.map(|lanes| &lanes[cube * LANES..][..LANES]),
            age,
            gaps,
            trail: &[],
        }));
    }
}
