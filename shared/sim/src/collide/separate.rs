//! Players who stand in one another: how far each should move aside this tick.
//!
//! Each makes room for the others where that one sees them, which over a network is not where they are by now: only so can
//! a client foresee how it is moved.
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
}

/// Finds the displacements of a tick: `clear`, `push` everyone, `sort`, then ask. Keeps its memory between ticks. The result
/// depends on positions and ids, not on the order of pushing.
#[derive(Debug, Clone, Default)]
pub struct Separation {
    /// By id once sorted.
    bodies: Vec<Body>,
    /// Cell and index into the bodies; sorted.
    cells: Vec<((i32, i32), u32)>,
    cell_size: f32,
    radius_max: f32,
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
            self.bodies.push(Body { id, position, radius });
        }
    }

    /// Makes it ready to be asked.
    pub fn sort(&mut self) {
        self.bodies.sort_unstable_by_key(|body| body.id);
        self.radius_max = self.bodies.iter().fold(0.0, |most, body| body.radius.max(most));
        self.cell_size = (self.radius_max * 2.0).max(0.25);
        self.cells.clear();
        let size = self.cell_size;
        let cells = self.bodies.iter().enumerate().map(|(at, body)| (cell_of(body.position, size), at as u32));
        self.cells.extend(cells);
        self.cells.sort_unstable();
    }

    /// How far `id` should move aside in a tick of `dt` seconds: horizontal, zero for a stranger. `seen` says where it sees
    /// another, or that it does not; whoever is more than `moved` metres away from there by now may be overlooked.
    pub fn displacement(&self, id: StableId, dt: f32, moved: f32, seen: impl Fn(StableId) -> Option<Vec3>) -> Vec3 {
        let Ok(at) = self.bodies.binary_search_by_key(&id, |body| body.id) else { return Vec3::ZERO };
        let body = self.bodies[at];
        let reach = body.radius + self.radius_max + moved.max(0.0);
        let side = Vec3::new(reach, 0.0, reach);
        let (low, high) =
            (cell_of(body.position - side, self.cell_size), cell_of(body.position + side, self.cell_size));
        let mut push = Vec3::ZERO;
        for column in low.0..=high.0 {
            let from = self.cells.partition_point(|entry| entry.0 < (column, low.1));
            for (_, other) in self.cells[from..].iter().take_while(|entry| entry.0 <= (column, high.1)) {
                let other = &self.bodies[*other as usize];
                let apart = (other.position - body.position).with_y(0.0);
                if other.id == id || apart.length_squared() > reach * reach {
                    continue;
                }
                if let Some(position) = seen(other.id) {
                    push += Self::pair(&body, &Body { position, ..*other });
                }
            }
        }
        push.clamp_length_max(Self::SPEED_MAX * dt)
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

fn cell_of(position: Vec3, size: f32) -> (i32, i32) {
    let cell = |axis: f32| libm::floorf(axis / size) as i32;
    (cell(position.x), cell(position.z))
}
