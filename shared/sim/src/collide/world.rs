//! The worlds: what never moves, what moves this tick, and the view of both that queries take.

use std::sync::Arc;

use arbiter_schema::StableId;
use glam::{Quat, Vec3};

use super::bvh::{Aabb, Bvh, Ray};
use super::shape::{ConvexShape, Piece, ShapeError};
use crate::map::{Shape, Solid};

/// A solid of a map that cannot be collided with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("solid `{name}`: {error}")]
pub struct SolidError {
    /// Its node's name.
    pub name: String,
    /// What is wrong and what to do.
    pub error: ShapeError,
}

#[derive(Debug, Default)]
struct Statics {
    pieces: Vec<Piece>,
    tree: Bvh,
}

/// All that never moves. Immutable and cheap to clone: rooms on one map and a client's predictions share it.
#[derive(Debug, Clone, Default)]
pub struct StaticWorld(Arc<Statics>);

impl StaticWorld {
    /// Prepares the solids of a map. Triangles without area are left out; anything else that cannot be collided with is an
    /// error that names the solid.
    pub fn new(solids: &[Solid]) -> Result<Self, SolidError> {
        let mut pieces = Vec::new();
        for solid in solids {
            Self::add(solid, &mut pieces).map_err(|error| SolidError { name: solid.name.clone(), error })?;
        }
        let mut tree = Bvh::default();
        tree.build(pieces.iter().map(Piece::aabb));
        Ok(Self(Arc::new(Statics { pieces, tree })))
    }

    fn add(solid: &Solid, pieces: &mut Vec<Piece>) -> Result<(), ShapeError> {
        let rotation = checked_frame(solid.position, solid.rotation).ok_or(ShapeError::NotFinite)?;
        let Shape::Mesh { vertices, indices } = &solid.shape else {
            pieces.push(Piece::new(ConvexShape::new(&solid.shape)?.form, solid.position, rotation));
            return Ok(());
        };
        if vertices.iter().any(|vertex| !vertex.is_finite()) {
            return Err(ShapeError::NotFinite);
        }
        for triangle in indices {
            let mut corners = [Vec3::ZERO; 3];
            for (corner, index) in corners.iter_mut().zip(triangle) {
                let vertex = vertices.get(*index as usize).ok_or(ShapeError::NoSuchCorner(*index))?;
                *corner = solid.position + rotation * *vertex;
            }
            pieces.extend(Piece::triangle(corners));
        }
        Ok(())
    }

    /// How many convex pieces and triangles it holds.
    pub fn len(&self) -> usize {
        self.0.pieces.len()
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0.pieces
    }

    pub(super) fn tree(&self) -> &Bvh {
        &self.0.tree
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.pieces.is_empty()
    }
}

/// The rotation as a unit quaternion, if position and rotation are usable.
fn checked_frame(position: Vec3, rotation: Quat) -> Option<Quat> {
    let length = rotation.length_squared();
    (position.is_finite() && length.is_finite() && length > 1e-6).then(|| rotation.normalize())
}

/// A convex solid that moves. `position` is where it is now, and the velocities are what it moved with since the last tick:
/// who stood on it then is carried by them.
#[derive(Debug, Clone, Copy)]
pub struct DynSolid {
    /// Whose it is.
    pub id: StableId,
    /// Its frame.
    pub position: Vec3,
    /// How its frame is turned.
    pub rotation: Quat,
    /// Metres a second.
    pub velocity: Vec3,
    /// Radians a second about each axis.
    pub angular_velocity: Vec3,
    /// Whether characters push it; a platform is not movable.
    pub movable: bool,
}

/// How a moving solid moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Motion {
    pub id: StableId,
    pub velocity: Vec3,
    pub angular_velocity: Vec3,
    pub movable: bool,
}

impl Motion {
    /// What never moves.
    pub const STILL: Self =
        Self { id: StableId::NONE, velocity: Vec3::ZERO, angular_velocity: Vec3::ZERO, movable: false };
}

/// What moves this tick. `clear`, `push` all of it, `build`, then query; memory is reused.
#[derive(Debug, Clone, Default)]
pub struct DynamicWorld {
    pieces: Vec<Piece>,
    motions: Vec<Motion>,
    by_id: Vec<(StableId, u32)>,
    tree: Bvh,
}

impl DynamicWorld {
    /// Forgets the last tick's.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.motions.clear();
        self.by_id.clear();
        self.tree.build(std::iter::empty());
    }

    /// Adds one; the order is part of what makes two runs equal. One whose numbers are not finite is left out and `false`
    /// returned: a body that went NaN must not take its neighbours along.
    pub fn push(&mut self, solid: DynSolid, shape: &ConvexShape) -> bool {
        let Some(rotation) = checked_frame(solid.position, solid.rotation) else { return false };
        if !solid.velocity.is_finite() || !solid.angular_velocity.is_finite() {
            return false;
        }
        self.by_id.push((solid.id, self.pieces.len() as u32));
        self.pieces.push(Piece::new(shape.form.clone(), solid.position, rotation));
        self.motions.push(Motion {
            id: solid.id,
            velocity: solid.velocity,
            angular_velocity: solid.angular_velocity,
            movable: solid.movable,
        });
        true
    }

    /// Makes what was pushed findable.
    pub fn build(&mut self) {
        self.tree.build(self.pieces.iter().map(Piece::aabb));
        self.by_id.sort_unstable();
    }

    /// How many it holds.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The position and motion of a solid, by its id.
    pub(super) fn find(&self, id: StableId) -> Option<(Vec3, Motion)> {
        let found = self.by_id.binary_search_by_key(&id, |entry| entry.0).ok()?;
        let index = self.by_id[found].1 as usize;
        Some((self.pieces[index].position, self.motions[index]))
    }
}

/// Where a ray or cast hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RayHit {
    /// Metres along the direction.
    pub distance: f32,
    /// Away from what was hit, a unit vector.
    pub normal: Vec3,
    /// What was hit; none for the map.
    pub id: StableId,
}

/// Both worlds, for queries.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// What never moves.
    pub statics: &'a StaticWorld,
    /// What moves this tick, built.
    pub dynamics: &'a DynamicWorld,
}

impl<'a> World<'a> {
    /// The first solid along a ray of at most `max` metres. `direction` is a unit vector. Inside a solid it hits at 0.
    pub fn ray(&self, from: Vec3, direction: Vec3, max: f32) -> Option<RayHit> {
        self.first(from, direction, max, 0.0, |piece, best| piece.ray(from - piece.position, direction, best))
    }

    /// Whether nothing solid is between two points.
    pub fn sees(&self, from: Vec3, to: Vec3) -> bool {
        let apart = to - from;
        let distance = apart.length();
        // What it looks at may stand on the end itself.
        distance <= LOOK_SLACK || self.ray(from, apart / distance, distance - LOOK_SLACK).is_none()
    }

    /// The first solid that a ball of `radius` touches on a way of at most `max` metres along a unit `direction`. A ball
    /// that starts in touch and moves deeper hits at 0; one that moves out does not hit.
    pub fn sphere_cast(&self, from: Vec3, direction: Vec3, max: f32, radius: f32) -> Option<RayHit> {
        self.first(from, direction, max, radius, |piece, best| {
            sphere_cast(piece, from - piece.position, direction, best, radius)
        })
    }

    /// Calls `visit` with every solid that a ball touches: none for the map, at most once.
    pub fn overlap_sphere(&self, centre: Vec3, radius: f32, mut visit: impl FnMut(StableId)) {
        let reach = Aabb::around(centre, Vec3::splat(radius));
        let touches = |piece: &Piece| {
            let foot = centre - piece.position;
            let found = piece.separation(foot, 0.0);
            found.normal.dot(foot) - found.offset <= radius
        };
        let statics = &*self.statics.0;
        let mut map_touched = false;
        statics.tree.overlapping(&reach, |item, _| {
            map_touched = map_touched || touches(&statics.pieces[item as usize]);
        });
        if map_touched {
            visit(StableId::NONE);
        }
        self.dynamics.tree.overlapping(&reach, |item, _| {
            if touches(&self.dynamics.pieces[item as usize]) {
                visit(self.dynamics.motions[item as usize].id);
            }
        });
    }

    /// The nearest hit of `test` over both worlds, which gets each piece that may be in the way and the best so far.
    fn first(
        &self,
        from: Vec3,
        direction: Vec3,
        max: f32,
        radius: f32,
        test: impl Fn(&Piece, f32) -> Option<(f32, Vec3)>,
    ) -> Option<RayHit> {
        if !(from.is_finite() && direction.is_finite() && max >= 0.0) {
            return None;
        }
        let ray = Ray::new(from, direction, radius);
        let mut best = max;
        let mut hit = None;
        let statics = &*self.statics.0;
        statics.tree.along(&ray, &mut best, |item, best| {
            if let Some((distance, normal)) = test(&statics.pieces[item as usize], *best)
                && (distance < *best || hit.is_none())
            {
                *best = distance;
                hit = Some(RayHit { distance, normal, id: StableId::NONE });
            }
        });
        self.dynamics.tree.along(&ray, &mut best, |item, best| {
            if let Some((distance, normal)) = test(&self.dynamics.pieces[item as usize], *best)
                && (distance < *best || hit.is_none())
            {
                *best = distance;
                hit = Some(RayHit { distance, normal, id: self.dynamics.motions[item as usize].id });
            }
        });
        hit
    }

    /// Every piece whose box overlaps `aabb`, with its box and how it moves.
    #[inline]
    pub(super) fn gather(&self, aabb: &Aabb, mut visit: impl FnMut(&'a Piece, &Aabb, Motion)) {
        let statics = &*self.statics.0;
        statics.tree.overlapping(aabb, |item, at| visit(&statics.pieces[item as usize], at, Motion::STILL));
        let dynamics = self.dynamics;
        dynamics.tree.overlapping(aabb, |item, at| {
            visit(&dynamics.pieces[item as usize], at, dynamics.motions[item as usize]);
        });
    }
}

/// Sight may end this much, in metres, before what is looked at.
const LOOK_SLACK: f32 = 0.01;

/// Steps of a ball's cast against one piece: Newton's way on a convex distance, so it ends in a few; where it does not, it
/// stops short, which is safe.
const CAST_STEPS: usize = 24;

/// Metres within which a ball counts as touching.
const CAST_TOLERANCE: f32 = 5e-4;

fn sphere_cast(piece: &Piece, from: Vec3, direction: Vec3, max: f32, radius: f32) -> Option<(f32, Vec3)> {
    let mut at = 0.0;
    let mut normal = Vec3::ZERO;
    for _ in 0..CAST_STEPS {
        let here = from + direction * at;
        let found = piece.separation(here, 0.0);
        normal = found.normal;
        let gap = normal.dot(here) - found.offset - radius;
        let rate = normal.dot(direction);
        if rate >= -1e-6 {
            return None;
        }
        if gap <= CAST_TOLERANCE {
            return Some((at, normal));
        }
        at += gap / -rate;
        if at > max {
            return None;
        }
    }
    Some((at, normal))
}
