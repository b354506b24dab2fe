//! Where bodies are: a grid over the map's bounds, filled anew each tick by counting, without a search and without an
//! allocation. Bodies of a cell stand in the order of their ids.

use arbiter_sim::map::Volume;
use glam::Vec3;

use super::scene::Body;
use super::settings::ENTITIES_MAX;

/// Metres of a cell's side: a few dozen cells cover what is near a player.
const CELL_M: f32 = 8.0;

/// Cells along one side at most; on a larger map cells are larger.
const SIDE_MAX: usize = 128;

/// See the module.
#[derive(Debug)]
pub struct Grid {
    origin: [f32; 2],
    cell: f32,
    sides: [usize; 2],
    /// Where each cell begins in `items`; one more than there are cells.
    starts: Vec<u32>,
    /// Places in the list of bodies.
    items: Vec<u32>,
}

impl Grid {
    /// Over the bounds of a map. What is outside counts to the nearest cell.
    pub fn new(bounds: &Volume) -> Self {
        let size =
            [bounds.half.x * 2.0, bounds.half.z * 2.0].map(|size| if size.is_finite() { size.max(1.0) } else { 1.0 });
        let cell = CELL_M.max(size[0].max(size[1]) / SIDE_MAX as f32);
        let sides = size.map(|size| ((size / cell) as usize + 1).min(SIDE_MAX));
        let origin = [bounds.centre.x - bounds.half.x, bounds.centre.z - bounds.half.z];
        Self { origin, cell, sides, starts: vec![0; sides[0] * sides[1] + 1], items: Vec::with_capacity(ENTITIES_MAX) }
    }

    /// The column or row of a coordinate, the nearest one if it is outside.
    fn along(&self, axis: usize, at: f32) -> usize {
        // A cast clamps what is negative, infinite or no number.
        (((at - self.origin[axis]) / self.cell) as usize).min(self.sides[axis] - 1)
    }

    fn cell_of(&self, at: Vec3) -> usize {
        self.along(1, at.z) * self.sides[0] + self.along(0, at.x)
    }

    /// Takes in the bodies of a tick, in their order. Those without a place are left out.
    pub fn fill(&mut self, bodies: &[Body]) {
        self.starts.fill(0);
        let placed = || bodies.iter().zip(0_u32..).filter(|(body, _)| body.placed);
        for (body, _) in placed() {
            let cell = self.cell_of(body.shape.position);
            self.starts[cell] += 1;
        }
        let mut sum = 0;
        for start in &mut self.starts {
            sum += core::mem::replace(start, sum);
        }
        self.items.clear();
        self.items.resize(sum as usize, 0);
        for (body, at) in placed() {
            let cell = self.cell_of(body.shape.position);
            self.items[self.starts[cell] as usize] = at;
            self.starts[cell] += 1;
        }
        // Each cell now begins where the one before it began.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// Calls `visit` with the place of every body that may be within `radius` metres, row by row, in the order of ids in
    /// each cell.
    pub fn near(&self, at: Vec3, radius: f32, mut visit: impl FnMut(usize)) {
        let (left, right) = (self.along(0, at.x - radius), self.along(0, at.x + radius));
        let (top, bottom) = (self.along(1, at.z - radius), self.along(1, at.z + radius));
        for row in top..=bottom {
            let cells = row * self.sides[0];
            let (from, to) = (self.starts[cells + left] as usize, self.starts[cells + right + 1] as usize);
            self.items[from..to].iter().for_each(|item| visit(*item as usize));
        }
    }
}
