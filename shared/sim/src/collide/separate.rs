//! Players who stand in one another: how far each should move aside this tick.
//!
//! The result is a wish, not a move: it goes into [`super::MoverWish::displacement`], so that the mover resolves it among
//! walls like any other motion and nobody is pushed through one.

use arbiter_schema::StableId;
use glam::Vec3;

/// One who wants room.
#[derive(Debug, Clone, Copy)]
struct Body {
    id: StableId,
    position: Vec3,
    radius: f32,
    displacement: Vec3,
}

/// Finds the displacements of a tick: `clear`, `push` everyone, `solve`, then ask. Keeps its memory between ticks. The result
/// depends on positions and ids, not on the order of pushing.
#[derive(Debug, Clone, Default)]
pub struct Separation {
    /// Sorted by id once solved.
    bodies: Vec<Body>,
    /// Cell and index into the bodies; sorted.
    cells: Vec<((i32, i32), u32)>,
}

impl Separation {
    /// Share of an overlap that is removed in one tick, half by each: less than all of it keeps a crowd from trembling.
    const SOFTNESS: f32 = 0.5;
    /// Metres a second that anyone is moved aside at most: slower than a walk, so that nobody is thrown.
    const SPEED_MAX: f32 = 3.0;
    /// Feet further apart than this in height, in metres, are over one another rather than in one another.
    const HEIGHT: f32 = 1.6;

    /// Forgets the last tick's.
    pub fn clear(&mut self) {
        self.bodies.clear();
    }

    /// Adds one who wants room, by the feet. A position that is not finite is left out.
    pub fn push(&mut self, id: StableId, position: Vec3, radius: f32) {
        if position.is_finite() && radius.is_finite() {
            self.bodies.push(Body { id, position, radius, displacement: Vec3::ZERO });
        }
    }

    /// Finds how far each should move aside in a tick of `dt` seconds.
    pub fn solve(&mut self, dt: f32) {
        self.bodies.sort_unstable_by_key(|body| body.id);
        let cell_size = self.bodies.iter().fold(0.25_f32, |most, body| most.max(body.radius * 2.0));
        let cell = |axis: f32| libm::floorf(axis / cell_size) as i32;
        self.cells.clear();
        let cells = self.bodies.iter().enumerate();
        self.cells.extend(cells.map(|(at, body)| ((cell(body.position.x), cell(body.position.z)), at as u32)));
        self.cells.sort_unstable();
        for &((x, z), index) in &self.cells {
            let body = self.bodies[index as usize];
            let mut push = Vec3::ZERO;
            for column in [x.saturating_sub(1), x, x.saturating_add(1)] {
                let first = (column, z.saturating_sub(1));
                let last = (column, z.saturating_add(1));
                let from = self.cells.partition_point(|entry| entry.0 < first);
                for (_, other) in self.cells[from..].iter().take_while(|entry| entry.0 <= last) {
                    if *other != index {
                        push += Self::pair(&body, &self.bodies[*other as usize]);
                    }
                }
            }
            self.bodies[index as usize].displacement = push.clamp_length_max(Self::SPEED_MAX * dt);
        }
    }

    /// How far `id` should move aside: horizontal, zero for a stranger.
    pub fn displacement(&self, id: StableId) -> Vec3 {
        let found = self.bodies.binary_search_by_key(&id, |body| body.id);
        found.map_or(Vec3::ZERO, |at| self.bodies[at].displacement)
    }

    /// What one of two moves.
    fn pair(body: &Body, other: &Body) -> Vec3 {
        let apart = body.position - other.position;
        if apart.y.abs() > Self::HEIGHT {
            return Vec3::ZERO;
        }
        let apart = Vec3::new(apart.x, 0.0, apart.z);
        let overlap = body.radius + other.radius - apart.length();
        if overlap <= 0.0 {
            return Vec3::ZERO;
        }
        let away = apart.try_normalize().unwrap_or_else(|| Self::parting(body.id, other.id));
        away * (overlap * 0.5 * Self::SOFTNESS)
    }

    /// Which way to go for one who stands exactly in another: opposite ways for the two, spread over a crowd.
    fn parting(id: StableId, other: StableId) -> Vec3 {
        const D: f32 = core::f32::consts::FRAC_1_SQRT_2;
        const WAYS: [(f32, f32); 4] = [(1.0, 0.0), (D, D), (0.0, 1.0), (-D, D)];
        let (x, z) = WAYS[((id.0 ^ other.0) % 4) as usize];
        if id < other { Vec3::new(x, 0.0, z) } else { Vec3::new(-x, 0.0, -z) }
    }
}
