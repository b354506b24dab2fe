//! Shapes prepared for queries: convex ones, and triangles of a mesh. What can be computed once is computed here, at load.
//!
//! Next: [`super::distance`] for the arithmetic on them.

use std::sync::Arc;

use glam::{Mat3, Quat, Vec3};

use super::bvh::Aabb;
use crate::map::Shape;

/// Why a shape cannot be collided with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A number is NaN or infinite.
    #[error("a number of it is not finite: write finite sizes, positions and rotations")]
    NotFinite,
    /// A size is 0, negative or beyond [`ConvexShape::SIZE_MAX`].
    #[error("a size of it is not within 0.001 to {} m: resize or split it", ConvexShape::SIZE_MAX)]
    Size,
    /// Too many corners.
    #[error("a hull of {0} points has more than {max}: simplify it or split it", max = Shape::HULL_POINTS_MAX)]
    TooManyPoints(usize),
    /// All corners are on a line.
    #[error("the corners of a hull lie on a line: give it a volume")]
    Flat,
    /// A triangle names a corner that is not there.
    #[error("a triangle names corner {0}, which is not there: export the mesh again")]
    NoSuchCorner(u32),
    /// A mesh where only convex shapes may be.
    #[error("a mesh may not move: use a box, ball, cylinder or hull")]
    MeshMoves,
}

/// A triangle of a hull's surface.
#[derive(Debug, Clone, Copy)]
pub(super) struct HullTriangle {
    pub corners: [Vec3; 3],
    pub face: u32,
}

/// A convex polyhedron.
#[derive(Debug)]
pub(super) struct Hull {
    pub points: Vec<Vec3>,
    /// Outward normals and offsets: inside is where `normal . x <= offset` for each.
    pub faces: Vec<(Vec3, f32)>,
    /// The faces cut into triangles, in order of faces.
    pub triangles: Vec<HullTriangle>,
    /// Distinct directions of edges.
    pub edges: Vec<Vec3>,
}

impl Hull {
    /// Planes nearer than this, for a hull of unit size, are one: rounding of exporters stays below it.
    const FLATNESS: f32 = 1e-4;

    /// Tries every plane through three points. O(n^4), but n is at most [`Shape::HULL_POINTS_MAX`], it runs at load, and it
    /// has none of the special cases that a fast one has on coplanar points.
    fn new(points: &[Vec3]) -> Result<Self, ShapeError> {
        if points.len() > Shape::HULL_POINTS_MAX {
            return Err(ShapeError::TooManyPoints(points.len()));
        }
        let bounds = points.iter().fold(Aabb::EMPTY, |sum, point| sum.with(*point));
        let size = (bounds.max - bounds.min).max_element();
        let flatness = size * Self::FLATNESS;
        let mut unique: Vec<Vec3> = Vec::with_capacity(points.len());
        for point in points {
            if unique.iter().all(|known| known.distance(*point) > flatness) {
                unique.push(*point);
            }
        }
        let points = unique;
        let mut hull = Self { points: points.clone(), faces: Vec::new(), triangles: Vec::new(), edges: Vec::new() };
        for i in 0..points.len() {
            for j in i + 1..points.len() {
                for k in j + 1..points.len() {
                    let cross = (points[j] - points[i]).cross(points[k] - points[i]);
                    // Slivers have no reliable normal, and a better triple of the same face exists.
                    if cross.length() <= size * flatness {
                        continue;
                    }
                    let normal = cross.normalize();
                    hull.face(normal, points[i], flatness);
                    hull.face(-normal, points[i], flatness);
                }
            }
        }
        if hull.faces.len() < 2 { Err(ShapeError::Flat) } else { Ok(hull) }
    }

    /// Adds the plane as a face if all points are behind it and it is new.
    fn face(&mut self, normal: Vec3, through: Vec3, flatness: f32) {
        let offset = normal.dot(through);
        if self.points.iter().any(|point| normal.dot(*point) > offset + flatness)
            || self.faces.iter().any(|known| known.0.dot(normal) > 1.0 - 1e-5)
        {
            return;
        }
        // The true support, so that no corner sticks out of the face by rounding.
        let offset = self.points.iter().fold(f32::NEG_INFINITY, |most, point| most.max(normal.dot(*point)));
        let mut ring: Vec<Vec3> =
            self.points.iter().copied().filter(|point| normal.dot(*point) >= offset - 2.0 * flatness).collect();
        let middle = ring.iter().sum::<Vec3>() / ring.len() as f32;
        let across = (ring[0] - middle).normalize_or(normal.any_orthonormal_vector());
        let along = normal.cross(across);
        let angle = |point: &Vec3| libm::atan2f((*point - middle).dot(along), (*point - middle).dot(across));
        ring.sort_by(|a, b| angle(a).total_cmp(&angle(b)));
        let face = self.faces.len() as u32;
        self.faces.push((normal, offset));
        for pair in 1..ring.len() - 1 {
            self.triangles.push(HullTriangle { corners: [ring[0], ring[pair], ring[pair + 1]], face });
        }
        for (index, corner) in ring.iter().enumerate() {
            let edge = (ring[(index + 1) % ring.len()] - *corner).normalize_or_zero();
            if self.edges.iter().all(|known| known.dot(edge).abs() < 1.0 - 1e-5) {
                self.edges.push(edge);
            }
        }
    }
}

/// The form of a piece, in its own frame.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Box {
        half: Vec3,
    },
    Ball {
        radius: f32,
    },
    Cylinder {
        radius: f32,
        half_height: f32,
    },
    Hull(Arc<Hull>),
    /// From the origin to `b` and `c`, counter-clockwise from outside.
    Triangle {
        b: Vec3,
        c: Vec3,
        normal: Vec3,
    },
}

/// A convex shape prepared for queries. Cheap to clone: what is large is shared.
#[derive(Debug, Clone)]
pub struct ConvexShape {
    pub(super) form: Form,
}

impl ConvexShape {
    /// Longest side of a shape, in metres: beyond it single precision cannot hold the mover's skin.
    pub const SIZE_MAX: f32 = 4096.0;
    /// Shortest side of a shape, in metres.
    const SIZE_MIN: f32 = 0.001;

    /// Prepares a shape of a map. A mesh is an error: it is not convex.
    pub fn new(shape: &Shape) -> Result<Self, ShapeError> {
        let finite = match shape {
            Shape::Box { half } => half.is_finite(),
            Shape::Ball { radius } => radius.is_finite(),
            Shape::Cylinder { radius, half_height } => radius.is_finite() && half_height.is_finite(),
            Shape::Hull { points } => points.iter().all(|point| point.is_finite()),
            Shape::Mesh { .. } => return Err(ShapeError::MeshMoves),
        };
        if !finite {
            return Err(ShapeError::NotFinite);
        }
        let sized = |size: f32| (Self::SIZE_MIN..=Self::SIZE_MAX).contains(&size);
        let fits = match shape {
            Shape::Box { half } => half.to_array().into_iter().all(|half| sized(half * 2.0)),
            Shape::Ball { radius } => sized(radius * 2.0),
            Shape::Cylinder { radius, half_height } => sized(radius * 2.0) && sized(half_height * 2.0),
            Shape::Hull { points } => points.iter().all(|point| point.abs().max_element() <= Self::SIZE_MAX),
            Shape::Mesh { .. } => false,
        };
        if !fits {
            return Err(ShapeError::Size);
        }
        let form = match shape {
            Shape::Box { half } => Form::Box { half: *half },
            Shape::Ball { radius } => Form::Ball { radius: *radius },
            Shape::Cylinder { radius, half_height } => Form::Cylinder { radius: *radius, half_height: *half_height },
            Shape::Hull { points } => Form::Hull(Arc::new(Hull::new(points)?)),
            Shape::Mesh { .. } => return Err(ShapeError::MeshMoves),
        };
        Ok(Self { form })
    }
}

/// One convex shape or triangle where it stands in the world.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub position: Vec3,
    /// Its axes in the world.
    pub basis: Mat3,
    /// The world's up in its frame: where a character's axis points.
    pub up: Vec3,
    pub form: Form,
}

impl Piece {
    pub fn new(form: Form, position: Vec3, rotation: Quat) -> Self {
        let basis = Mat3::from_quat(rotation);
        let up = Vec3::new(basis.x_axis.y, basis.y_axis.y, basis.z_axis.y);
        Self { position, basis, up, form }
    }

    /// The triangle with these corners in the world; `None` when it has no area to stand on.
    pub fn triangle(corners: [Vec3; 3]) -> Option<Self> {
        let (b, c) = (corners[1] - corners[0], corners[2] - corners[0]);
        let normal = b.cross(c).try_normalize()?;
        Some(Self::new(Form::Triangle { b, c, normal }, corners[0], Quat::IDENTITY))
    }

    /// A vector of the world in the piece's frame.
    #[inline(always)]
    pub fn to_local(&self, vector: Vec3) -> Vec3 {
        Vec3::new(self.basis.x_axis.dot(vector), self.basis.y_axis.dot(vector), self.basis.z_axis.dot(vector))
    }

    pub fn aabb(&self) -> Aabb {
        let axes = [self.basis.x_axis, self.basis.y_axis, self.basis.z_axis];
        match &self.form {
            Form::Box { half } => {
                let reach = axes[0].abs() * half.x + axes[1].abs() * half.y + axes[2].abs() * half.z;
                Aabb::around(self.position, reach)
            }
            Form::Ball { radius } => Aabb::around(self.position, Vec3::splat(*radius)),
            Form::Cylinder { radius, half_height } => {
                let axis = axes[1];
                let rim = (Vec3::ONE - axis * axis).max(Vec3::ZERO);
                let rim = Vec3::new(rim.x.sqrt(), rim.y.sqrt(), rim.z.sqrt());
                Aabb::around(self.position, axis.abs() * *half_height + rim * *radius)
            }
            Form::Hull(hull) => {
                hull.points.iter().fold(Aabb::EMPTY, |sum, point| sum.with(self.position + self.basis * *point))
            }
            Form::Triangle { b, c, .. } => {
                Aabb::EMPTY.with(self.position).with(self.position + *b).with(self.position + *c)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_of_a_cube_has_six_faces_three_edge_directions_and_twelve_triangles() {
        let mut points: Vec<Vec3> =
            (0..8).map(|i| Vec3::new((i & 1) as f32, (i >> 1 & 1) as f32, (i >> 2) as f32)).collect();
        points.push(Vec3::splat(0.5));
        let hull = Hull::new(&points).unwrap();
        assert_eq!((hull.faces.len(), hull.edges.len(), hull.triangles.len()), (6, 3, 12));
        for triangle in &hull.triangles {
            let [a, b, c] = triangle.corners;
            assert!((b - a).cross(c - a).dot(hull.faces[triangle.face as usize].0) > 0.0, "counter-clockwise outside");
        }
    }

    #[test]
    fn a_hull_without_extent_is_refused() {
        let points = [Vec3::ZERO, Vec3::X, Vec3::X * 2.0, Vec3::X * 3.0].to_vec();
        assert_eq!(ConvexShape::new(&Shape::Hull { points }).unwrap_err(), ShapeError::Flat);
    }
}
