//! The picture of a map from above: the height of the highest surface under each pixel, shaded.

use arbiter_sim::Map;
use arbiter_sim::map::Shape;
use rapier3d::parry::query::Ray;
use rapier3d::parry::shape::SharedShape;
use rapier3d::prelude::Pose;

use super::model::Ground;

/// A colour as it would be on a screen that shows all of them.
pub type Rgb = [u8; 3];

/// Behind everything.
pub const VOID: Rgb = [13, 15, 20];
const LOW: Rgb = [38, 43, 54];
const HIGH: Rgb = [138, 146, 160];

/// Metres of height over which the shade runs from [`LOW`] to [`HIGH`]; what is higher stays at it.
const SHADE_SPAN_M: f32 = 8.0;

/// What the picture leaves free at each side of the map, as a share of its size.
const MARGIN: f32 = 0.01;

/// How ground becomes pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    centre: Ground,
    size: [u16; 2],
    pixels_per_m: f32,
    /// Whether east is drawn upwards, because the map is long where the picture is wide.
    turned: bool,
}

impl Projection {
    /// Fits a rectangle of ground (centre and half size) into `size` pixels.
    pub fn fit(centre: Ground, half: Ground, size: [u16; 2]) -> Self {
        let [w, h] = [f32::from(size[0].max(1)), f32::from(size[1].max(1))];
        let scale = |half: Ground| (w / half[0].max(0.5)).min(h / half[1].max(0.5)) * 0.5 * (1.0 - MARGIN);
        let (straight, turned) = (scale(half), scale([half[1], half[0]]));
        Self { centre, size, pixels_per_m: straight.max(turned), turned: turned > straight }
    }

    /// The pixel of a place, with fractions.
    pub fn pixel(&self, at: Ground) -> [f32; 2] {
        let [mut right, mut down] = [at[0] - self.centre[0], at[1] - self.centre[1]];
        if self.turned {
            (right, down) = (down, -right);
        }
        [
            right * self.pixels_per_m + f32::from(self.size[0]) * 0.5,
            down * self.pixels_per_m + f32::from(self.size[1]) * 0.5,
        ]
    }

    /// The place under the middle of a pixel.
    pub fn ground(&self, x: u16, y: u16) -> Ground {
        let mut right = (f32::from(x) + 0.5 - f32::from(self.size[0]) * 0.5) / self.pixels_per_m;
        let mut down = (f32::from(y) + 0.5 - f32::from(self.size[1]) * 0.5) / self.pixels_per_m;
        if self.turned {
            (right, down) = (-down, right);
        }
        [self.centre[0] + right, self.centre[1] + down]
    }

    /// The direction on the screen that a yaw looks to: right and down, a unit vector.
    pub fn direction(&self, yaw: f32) -> [f32; 2] {
        let (right, down) = (-yaw.sin(), -yaw.cos());
        if self.turned { [down, -right] } else { [right, down] }
    }

    /// Metres as pixels.
    pub fn length(&self, metres: f32) -> f32 {
        metres * self.pixels_per_m
    }
}

/// A drawn map.
#[derive(Debug, Clone)]
pub struct Terrain {
    /// How it was drawn.
    pub projection: Projection,
    size: [u16; 2],
    pixels: Vec<Rgb>,
}

impl Terrain {
    /// Draws a map into `size` pixels.
    pub fn draw(map: &Map, size: [u16; 2]) -> Self {
        let (bounds, pieces) = (map.bounds, Piece::all(map));
        // Bounds reach far beyond the walls of some maps: fit what there is to see.
        let seen = pieces.iter().fold(None, |seen: Option<[f32; 4]>, piece| {
            let [a, b, c, d] = piece.rectangle;
            Some(seen.map_or([a, b, c, d], |s| [s[0].min(a), s[1].min(b), s[2].max(c), s[3].max(d)]))
        });
        let [left, top, right, bottom] = seen.unwrap_or([-1.0, -1.0, 1.0, 1.0]);
        let left = left.max(bounds.centre.x - bounds.half.x);
        let right = right.min(bounds.centre.x + bounds.half.x);
        let top = top.max(bounds.centre.z - bounds.half.z);
        let bottom = bottom.min(bounds.centre.z + bounds.half.z);
        let projection = Projection::fit(
            [(left + right) * 0.5, (top + bottom) * 0.5],
            [(right - left) * 0.5, (bottom - top) * 0.5],
            size,
        );
        let sky = bounds.centre.y + bounds.half.y + 1.0;
        let heights: Vec<Option<f32>> = (0..size[1])
            .flat_map(|y| (0..size[0]).map(move |x| (x, y)))
            .map(|(x, y)| {
                let at = projection.ground(x, y);
                pieces.iter().filter_map(|piece| piece.top(at, sky)).reduce(f32::max)
            })
            .collect();
        let floor = common_floor(&heights);
        let width = usize::from(size[0]);
        let at = |x: usize, y: usize| heights.get(y * width + x).copied().flatten();
        let pixels = (0..heights.len())
            .map(|i| {
                let (x, y) = (i % width, i / width);
                let Some(height) = heights[i] else { return VOID };
                // Light from the upper left: an edge that faces it is brighter, one that turns away darker.
                let behind = if x > 0 && y > 0 { at(x - 1, y - 1).unwrap_or(height) } else { height };
                let light = (height - behind).clamp(-1.5, 1.5) * 0.12;
                let share = ((height - floor) / SHADE_SPAN_M).clamp(-0.25, 1.0);
                let base = if share < 0.0 { blend(LOW, VOID, -share * 2.4) } else { blend(LOW, HIGH, share.sqrt()) };
                if light >= 0.0 { blend(base, [235, 238, 245], light) } else { blend(base, VOID, -light * 2.0) }
            })
            .collect();
        Self { projection, size, pixels }
    }

    /// Its size in pixels.
    pub fn size(&self) -> [u16; 2] {
        self.size
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[Rgb] {
        &self.pixels
    }
}

/// Mixes `share` of `b` into `a`.
pub fn blend(a: Rgb, b: Rgb, share: f32) -> Rgb {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * share) as u8)
}

/// The height, in half metres, that most of the map has: where people walk.
fn common_floor(heights: &[Option<f32>]) -> f32 {
    let mut steps: Vec<i32> = heights.iter().flatten().map(|height| (height * 2.0).round() as i32).collect();
    steps.sort_unstable();
    let runs = steps.chunk_by(|a, b| a == b);
    runs.max_by_key(|run| run.len()).map_or(0.0, |run| run[0] as f32 * 0.5)
}

/// A solid that can be looked at from above.
struct Piece {
    shape: SharedShape,
    pose: Pose,
    /// Left, top, right and bottom on the ground.
    rectangle: [f32; 4],
}

impl Piece {
    fn all(map: &Map) -> Vec<Self> {
        let solids = map.solids.iter().filter_map(|solid| {
            let shape = match &solid.shape {
                Shape::Box { half } => SharedShape::cuboid(half.x, half.y, half.z),
                Shape::Ball { radius } => SharedShape::ball(*radius),
                Shape::Cylinder { radius, half_height } => SharedShape::cylinder(*half_height, *radius),
                Shape::Hull { points } => SharedShape::convex_hull(points)?,
                Shape::Mesh { vertices, indices } => SharedShape::trimesh(vertices.clone(), indices.clone()).ok()?,
            };
            let pose = Pose::from_parts(solid.position, solid.rotation);
            let aabb = shape.compute_aabb(&pose);
            Some(Self { shape, pose, rectangle: [aabb.mins.x, aabb.mins.z, aabb.maxs.x, aabb.maxs.z] })
        });
        solids.collect()
    }

    fn top(&self, at: Ground, sky: f32) -> Option<f32> {
        let [left, top, right, bottom] = self.rectangle;
        if at[0] < left || at[0] > right || at[1] < top || at[1] > bottom {
            return None;
        }
        let ray = Ray::new([at[0], sky, at[1]].into(), [0.0, -1.0, 0.0].into());
        let down = self.shape.cast_ray(&self.pose, &ray, f32::MAX, true)?;
        Some(sky - down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_and_the_ground_under_it_are_inverse() {
        for half in [[40.0, 20.0], [20.0, 40.0]] {
            let projection = Projection::fit([3.0, -5.0], half, [120, 60]);
            for (x, y) in [(0, 0), (60, 30), (119, 59)] {
                let [px, py] = projection.pixel(projection.ground(x, y));
                assert!((px - f32::from(x) - 0.5).abs() < 1e-3 && (py - f32::from(y) - 0.5).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn who_looks_north_looks_up_on_a_wide_map() {
        let projection = Projection::fit([0.0, 0.0], [40.0, 20.0], [120, 60]);
        let [right, down] = projection.direction(0.0);
        assert!(right.abs() < 1e-6 && down < -0.99);
        let [right, _] = projection.direction(std::f32::consts::FRAC_PI_2);
        assert!(right < -0.99, "a quarter turn is to the left");
    }
}
