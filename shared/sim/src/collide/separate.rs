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
struct Body<T> {
    id: StableId,
    position: Vec3,
    radius: f32,
    /// By which the caller knows it.
    tag: T,
}

/// A body in its cell, with what most of those who look at it need to know.
#[derive(Debug, Clone, Copy)]
struct Entry {
    cell: (i32, i32),
    body: u32,
    x: f32,
    z: f32,
}

/// Finds the displacements of a tick: `clear`, `push` everyone, `sort`, then ask. Keeps its memory between ticks. The result
/// depends on positions and ids, not on the order of pushing. `T` is what the caller gets back to say where one is seen.
#[derive(Debug, Clone)]
pub struct Separation<T> {
    /// By id once sorted.
    bodies: Vec<Body<T>>,
    /// Sorted.
    cells: Vec<Entry>,
    /// First coordinate of a cell and where its column begins among the cells; sorted. To search all cells anew for each
    /// column costs more than what is found there.
    columns: Vec<(i32, u32)>,
    cell_size: f32,
    radius_max: f32,
}

impl<T> Default for Separation<T> {
    fn default() -> Self {
        Self { bodies: Vec::new(), cells: Vec::new(), columns: Vec::new(), cell_size: 0.0, radius_max: 0.0 }
    }
}

impl<T: Copy> Separation<T> {
    /// Share of an overlap that is removed in one tick, half by each: less than all of it keeps a crowd from trembling.
    const SOFTNESS: f32 = 0.5;
    /// Metres a second that anyone is moved aside at most: slower than a walk, so that nobody is thrown.
    const SPEED_MAX: f32 = 3.0;
    /// Edge of a cell in metres, at least: one looks as far as others may have moved since they were seen, and few wide
    /// columns are found faster than many narrow ones.
    const CELL_MIN: f32 = 2.0;
    /// Feet further apart than this in height, in metres, are over one another rather than in one another.
    const HEIGHT: f32 = 1.6;

    /// Forgets the last tick's.
    pub fn clear(&mut self) {
        self.bodies.clear();
    }

    /// Adds one who wants room, by the feet. A position that is not finite is left out.
    pub fn push(&mut self, id: StableId, position: Vec3, radius: f32, tag: T) {
        if position.is_finite() && radius.is_finite() {
            self.bodies.push(Body { id, position, radius, tag });
        }
    }

    /// Makes it ready to be asked.
    pub fn sort(&mut self) {
        self.bodies.sort_unstable_by_key(|body| body.id);
        self.radius_max = self.bodies.iter().fold(0.0, |most, body| body.radius.max(most));
        self.cell_size = (self.radius_max * 2.0).max(Self::CELL_MIN);
        self.cells.clear();
        let size = self.cell_size;
        let cells = self.bodies.iter().enumerate().map(|(at, body)| {
            let (x, z) = (body.position.x, body.position.z);
            Entry { cell: cell_of(body.position, size), body: at as u32, x, z }
        });
        self.cells.extend(cells);
        self.cells.sort_unstable_by_key(|entry| (entry.cell, entry.body));
        self.columns.clear();
        for (at, entry) in self.cells.iter().enumerate() {
            if self.columns.last().is_none_or(|last| last.0 != entry.cell.0) {
                self.columns.push((entry.cell.0, at as u32));
            }
        }
    }

    /// How far `id` should move aside in a tick of `dt` seconds: horizontal, zero for a stranger. `seen` says where it sees
    /// another, or that it does not; whoever is more than `moved` metres away from there by now may be overlooked.
    pub fn displacement(&self, id: StableId, dt: f32, moved: f32, seen: impl Fn(T) -> Option<Vec3>) -> Vec3 {
        let Ok(at) = self.bodies.binary_search_by_key(&id, |body| body.id) else { return Vec3::ZERO };
        let body = self.bodies[at];
        let reach = body.radius + self.radius_max + moved.max(0.0);
        let side = Vec3::new(reach, 0.0, reach);
        let (low, high) =
            (cell_of(body.position - side, self.cell_size), cell_of(body.position + side, self.cell_size));
        let mut push = Vec3::ZERO;
        for column in self.columns(low.0, high.0) {
            let from = column.partition_point(|entry| entry.cell.1 < low.1);
            for entry in column[from..].iter().take_while(|entry| entry.cell.1 <= high.1) {
                let (x, z) = (entry.x - body.position.x, entry.z - body.position.z);
                if entry.body as usize == at || x * x + z * z > reach * reach {
                    continue;
                }
                let other = &self.bodies[entry.body as usize];
                if let Some(position) = seen(other.tag) {
                    push += Self::pair(&body, &Body { position, ..*other });
                }
            }
        }
        push.clamp_length_max(Self::SPEED_MAX * dt)
    }

    /// The cells of each column from `low` to `high` that has any.
    fn columns(&self, low: i32, high: i32) -> impl Iterator<Item = &[Entry]> {
        let from = self.columns.partition_point(|column| column.0 < low);
        let columns = self.columns[from..].iter().take_while(move |column| column.0 <= high);
        columns.enumerate().map(move |(at, (_, start))| {
            let end = self.columns.get(from + at + 1).map_or(self.cells.len(), |next| next.1 as usize);
            &self.cells[*start as usize..end]
        })
    }

    /// What one of two moves.
    fn pair(body: &Body<T>, other: &Body<T>) -> Vec3 {
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
