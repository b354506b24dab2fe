//! The neighbourhood of one move: the pieces within its reach, gathered once, and casts of an upright capsule among them.

use arrayvec::ArrayVec;
use glam::Vec3;

use super::bvh::Aabb;
use super::shape::Piece;
use super::world::{Motion, World};

/// Pieces that a move considers. A character in the densest clutter has some ten; a finely triangulated ground some fifty.
/// What does not fit shortens the move so that it cannot be reached: see [`Near::free`].
const PIECES_MAX: usize = 128;

/// Metres within which two things count as touching.
pub(super) const TOLERANCE: f32 = 5e-4;

/// Steps of a cast against one piece. It ends in two or three; where it does not, the cast stops short, which is safe.
const CAST_STEPS: usize = 24;

/// A piece with the last plane found between it and the capsule. A plane stays true wherever the capsule goes: it only gets
/// less telling, and then is replaced.
struct Neighbour<'w> {
    piece: &'w Piece,
    motion: Motion,
    /// From the piece's position to the origin of the move.
    from_piece: Vec3,
    normal: Vec3,
    /// The piece lies where `normal . x <= offset`, x from the origin of the move.
    offset: f32,
}

/// A capsule: the lower end of its axis from the origin of the move, the length of the axis and the radius.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capsule {
    pub foot: Vec3,
    pub length: f32,
    pub radius: f32,
}

impl Capsule {
    /// Signed distance of the capsule from a plane.
    #[inline(always)]
    fn gap(&self, normal: Vec3, offset: f32) -> f32 {
        normal.dot(self.foot) + (normal.y * self.length).min(0.0) - offset - self.radius
    }

    #[inline(always)]
    pub fn moved(self, by: Vec3) -> Self {
        Self { foot: self.foot + by, ..self }
    }
}

/// What a cast hit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Fraction of the motion.
    pub at: f32,
    /// Away from the piece.
    pub normal: Vec3,
    /// Where they touch, from the origin of the move.
    pub point: Vec3,
    pub motion: Motion,
}

/// A piece that overlaps the capsule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contact {
    pub normal: Vec3,
    pub gap: f32,
    pub motion: Motion,
}

/// The neighbourhood.
pub(super) struct Near<'w> {
    neighbours: ArrayVec<Neighbour<'w>, PIECES_MAX>,
    /// Metres that the capsule may move without meeting a piece that did not fit; infinite when all fit.
    pub free: f32,
}

impl<'w> Near<'w> {
    pub fn new() -> Self {
        Self { neighbours: ArrayVec::new(), free: f32::INFINITY }
    }

    /// Gathers what is within `reach`, a box around `capsule` in the world; the capsule is given from `origin`.
    pub fn gather(&mut self, world: &World<'w>, origin: Vec3, reach: Aabb, capsule: Capsule) {
        self.neighbours.clear();
        self.free = f32::INFINITY;
        let body = Aabb {
            min: origin + capsule.foot - Vec3::splat(capsule.radius),
            max: origin + capsule.foot + Vec3::Y * capsule.length + Vec3::splat(capsule.radius),
        };
        // How far the capsule can get from where it is: pieces further away by their real distance are left out.
        let far = (body.min - reach.min).max(reach.max - body.max).length();
        let neighbours = &mut self.neighbours;
        let free = &mut self.free;
        world.gather(&reach, |piece, aabb, motion| {
            let from_piece = origin - piece.position;
            let found = piece.separation(from_piece + capsule.foot, capsule.length);
            let offset = found.offset - found.normal.dot(from_piece);
            let gap = capsule.gap(found.normal, offset);
            if gap > far {
                return;
            }
            let neighbour = Neighbour { piece, motion, from_piece, normal: found.normal, offset };
            if let Err(refused) = neighbours.try_push(neighbour) {
                Self::replace(neighbours, free, refused.element(), gap.max(aabb.distance(&body)), &capsule);
            }
        });
    }

    /// Keeps the nearest when there are too many, and remembers how near the nearest of the others is.
    #[cold]
    fn replace(
        neighbours: &mut ArrayVec<Neighbour<'w>, PIECES_MAX>,
        free: &mut f32,
        one: Neighbour<'w>,
        gap: f32,
        capsule: &Capsule,
    ) {
        let mut furthest = (gap, None);
        for (index, known) in neighbours.iter().enumerate() {
            let known_gap = capsule.gap(known.normal, known.offset);
            if known_gap > furthest.0 {
                furthest = (known_gap, Some(index));
            }
        }
        *free = free.min(furthest.0.max(0.0));
        if let Some(index) = furthest.1 {
            neighbours[index] = one;
        }
    }

    /// The first piece for which `solid` holds that the capsule touches while it moves by `motion`. A piece that it touches
    /// at the start and does not move deeper into is no hit.
    #[inline]
    pub fn cast(&mut self, capsule: Capsule, motion: Vec3, solid: impl Fn(&Motion) -> bool) -> Option<Hit> {
        let mut best: Option<(f32, usize)> = None;
        let mut limit = 1.0;
        // Rates below this are rounding of a motion along the surface.
        let still = -1e-5 * motion.length();
        for (index, near) in self.neighbours.iter_mut().enumerate() {
            if !solid(&near.motion) {
                continue;
            }
            let mut at = 0.0;
            let mut fresh = false;
            for _ in 0..CAST_STEPS {
                let here = capsule.moved(motion * at);
                let gap = here.gap(near.normal, near.offset);
                let rate = near.normal.dot(motion);
                if rate >= still && (fresh || gap > 0.0) {
                    at = f32::INFINITY;
                    break;
                }
                if gap > TOLERANCE {
                    at += gap / -rate;
                    if at >= limit {
                        break;
                    }
                    fresh = false;
                } else if fresh {
                    break;
                }
                if !fresh {
                    near.look(&capsule.moved(motion * at));
                    fresh = true;
                }
            }
            if at < limit {
                limit = at;
                best = Some((at, index));
            }
        }
        let (at, index) = best?;
        let near = &mut self.neighbours[index];
        let here = capsule.moved(motion * at);
        let point = near.look(&here);
        Some(Hit { at, normal: near.normal, point, motion: near.motion })
    }

    /// Every piece that the capsule is deeper in than `slop` metres.
    pub fn overlaps<const N: usize>(&mut self, capsule: Capsule, slop: f32, into: &mut ArrayVec<Contact, N>) {
        for near in &mut self.neighbours {
            if capsule.gap(near.normal, near.offset) >= -slop {
                continue;
            }
            near.look(&capsule);
            let gap = capsule.gap(near.normal, near.offset);
            if gap < -slop && into.try_push(Contact { normal: near.normal, gap, motion: near.motion }).is_err() {
                return;
            }
        }
    }
}

impl Neighbour<'_> {
    /// Finds the plane anew for this capsule; returns the nearest point of the piece.
    #[inline]
    fn look(&mut self, capsule: &Capsule) -> Vec3 {
        let found = self.piece.separation(self.from_piece + capsule.foot, capsule.length);
        self.normal = found.normal;
        self.offset = found.offset - found.normal.dot(self.from_piece);
        found.point - self.from_piece
    }
}
