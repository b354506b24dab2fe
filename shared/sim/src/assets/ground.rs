//! What a person can stand on and walk along in a map, asked with rays against its solids.
//!
//! Used while a map is loaded (to link waypoints) and by its tests; never during a tick.

use crate::map::{Shape, Solid, Waypoint};
use glam::Vec3;
use rapier3d::parry::math::{Pose, Rotation};
use rapier3d::parry::query::Ray;
use rapier3d::parry::shape::SharedShape;
use rapier3d::parry::transformation::try_convex_hull;

/// Height of the ground that a walker takes without jumping, in metres: below the mover's own step height.
pub const STEP_MAX: f32 = 0.35;
/// Metres between two looks at the floor along a link: half of the narrowest gap that a walker would fall into.
const SAMPLE_M: f32 = 0.25;
/// Steepest link, as rise over run: 45 degrees, which every mover climbs.
const SLOPE_MAX: f32 = 1.0;
/// Metres beside the straight line that must be free: a body's radius.
const BESIDE_M: f32 = 0.35;
/// Heights in metres at which the line must be free: above a step, at the chest and at the head of someone who stands. A
/// tunnel that must be crept through is linked by hand, since only whoever crouches gets along there.
const CLEAR_HEIGHTS: [f32; 3] = [0.5, 1.0, 1.75];
/// Metres above the feet from where the floor is looked for: under a tunnel's roof, above a step.
const LOOK_FROM: f32 = 0.9;
/// Links of one waypoint: more than any walker chooses between.
pub const LINKS_MAX: usize = 16;

#[derive(Clone)]
struct Piece {
    shape: SharedShape,
    pose: Pose,
    low: Vec3,
    high: Vec3,
}

/// The solids of a map, ready for rays.
pub struct Ground {
    pieces: Vec<Piece>,
}

impl Ground {
    /// Prepares the solids. A hull or mesh that has no surface is left out.
    pub fn new(solids: &[Solid]) -> Self {
        let pieces = solids.iter().filter_map(|solid| {
            let shape = match &solid.shape {
                Shape::Box { half } => SharedShape::cuboid(half.x, half.y, half.z),
                Shape::Ball { radius } => SharedShape::ball(*radius),
                Shape::Cylinder { radius, half_height } => SharedShape::cylinder(*half_height, *radius),
                // As triangles, because rays against a parry hull are iterative and less exact.
                Shape::Hull { points } => {
                    let (vertices, indices) = try_convex_hull(points).ok()?;
                    SharedShape::trimesh(vertices, indices).ok()?
                }
                Shape::Mesh { vertices, indices } => SharedShape::trimesh(vertices.clone(), indices.clone()).ok()?,
            };
            let pose = Pose::from_parts(solid.position, Rotation::from(solid.rotation));
            let aabb = shape.compute_aabb(&pose);
            Some(Piece { shape, pose, low: aabb.mins, high: aabb.maxs })
        });
        Self { pieces: pieces.collect() }
    }

    /// Only the solids that reach into a box: for many rays in one place.
    fn near(&self, low: Vec3, high: Vec3) -> Self {
        let reaches = |piece: &&Piece| piece.low.cmple(high).all() && piece.high.cmpge(low).all();
        Self { pieces: self.pieces.iter().filter(reaches).cloned().collect() }
    }

    /// Metres along the ray to the first solid, if it comes before `length`. `direction` has length 1; a ray that starts
    /// inside a solid hits it at 0.
    pub fn hit(&self, origin: Vec3, direction: Vec3, length: f32) -> Option<f32> {
        let end = origin + direction * length;
        let (low, high) = (origin.min(end), origin.max(end));
        let ray = Ray::new(origin, direction);
        self.pieces
            .iter()
            .filter(|piece| piece.low.cmple(high).all() && piece.high.cmpge(low).all())
            .filter_map(|piece| piece.shape.cast_ray(&piece.pose, &ray, length, true))
            .reduce(f32::min)
    }

    /// Whether the straight line between two places is free.
    pub fn clear(&self, from: Vec3, to: Vec3) -> bool {
        let length = from.distance(to);
        length < 1e-4 || self.hit(from, (to - from) / length, length).is_none()
    }

    /// Height of the floor under a place, looked for from `above` metres above it down to `below` metres under it.
    pub fn floor(&self, feet: Vec3, above: f32, below: f32) -> Option<f32> {
        let origin = feet + Vec3::Y * above;
        self.hit(origin, Vec3::NEG_Y, above + below).filter(|distance| *distance > 0.0).map(|d| origin.y - d)
    }

    /// Whether a body of this radius and height has room with its feet here (a star of rays in every direction).
    pub fn room(&self, feet: Vec3, radius: f32, height: f32) -> bool {
        [0.4, 0.7, 1.0].into_iter().all(|part| {
            let middle = feet + Vec3::Y * (height * part);
            [Vec3::X, Vec3::NEG_X, Vec3::Z, Vec3::NEG_Z]
                .into_iter()
                .all(|side| self.hit(middle, side, radius).is_none())
        }) && self.clear(feet + Vec3::Y * 0.2, feet + Vec3::Y * height)
    }

    /// Whether a person can walk straight from one place to the other and back: free at body width, floor all the way, no
    /// step above [`STEP_MAX`].
    pub fn walkable(&self, from: Vec3, to: Vec3) -> bool {
        let along = to - from;
        let flat = Vec3::new(along.x, 0.0, along.z).length();
        if flat < 1e-3 || along.y.abs() > flat * SLOPE_MAX {
            return false;
        }
        let margin = Vec3::new(1.0, 3.0, 1.0);
        let near = self.near(from.min(to) - margin, from.max(to) + margin);
        let side = Vec3::new(-along.z, 0.0, along.x) / flat;
        let count = (flat / SAMPLE_M).ceil().max(1.0);
        let mut feet = from;
        let Some(start) = near.floor(from, LOOK_FROM, 0.6) else { return false };
        feet.y = start;
        for index in 1..=count as u32 {
            let mut next = from + along * (index as f32 / count);
            next.y = feet.y;
            let Some(floor) = near.floor(next, LOOK_FROM, 0.6) else { return false };
            if (floor - feet.y).abs() > STEP_MAX {
                return false;
            }
            next.y = floor;
            let free = CLEAR_HEIGHTS.into_iter().all(|height| {
                let up = Vec3::Y * height;
                [-BESIDE_M, 0.0, BESIDE_M]
                    .into_iter()
                    .all(|beside| near.clear(feet + up + side * beside, next + up + side * beside))
            });
            if !free {
                return false;
            }
            feet = next;
        }
        (feet.y - to.y).abs() <= STEP_MAX + 0.2
    }

    /// Links every two waypoints that are at most `range` metres apart and can be walked between, nearest first and at most
    /// [`LINKS_MAX`] for each.
    pub fn link(&self, waypoints: &mut [Waypoint], range: f32) {
        let mut pairs = Vec::new();
        for (a, first) in waypoints.iter().enumerate() {
            for (b, second) in waypoints.iter().enumerate().skip(a + 1) {
                let distance = first.position.distance_squared(second.position);
                if distance <= range * range {
                    pairs.push((distance, a, b));
                }
            }
        }
        pairs.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        for (_, a, b) in pairs {
            let full = waypoints[a].links.len() >= LINKS_MAX || waypoints[b].links.len() >= LINKS_MAX;
            if !full && self.walkable(waypoints[a].position, waypoints[b].position) {
                waypoints[a].links.push(b as u16);
                waypoints[b].links.push(a as u16);
            }
        }
        for waypoint in waypoints {
            waypoint.links.sort_unstable();
        }
    }
}
