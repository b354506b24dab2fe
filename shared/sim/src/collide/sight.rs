//! Lines of sight through what never moves: asked by the thousand each tick, so that nothing is looked for that is not asked.
//!
//! A line that a large wall blocked is most likely blocked by it again: whoever asks keeps the piece and names it the next
//! time, which saves the walk through the tree.

use glam::{Vec2, Vec3, Vec3Swizzles as _};

use super::bvh::{Aabb, Ray};
use super::shape::{Form, Piece};
use super::world::StaticWorld;

/// The straight line between two points.
#[derive(Debug, Clone, Copy)]
pub struct SightLine {
    from: Vec3,
    to: Vec3,
}

impl SightLine {
    /// From one point to another, both finite.
    #[inline(always)]
    pub fn between(from: Vec3, to: Vec3) -> Self {
        Self { from, to }
    }
}

/// A box that stands upright, seen from above: x and z of the world are x and y here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UprightBox {
    /// Its middle.
    pub centre: Vec2,
    /// The direction of its first side; a quarter of a turn on is that of the second.
    pub along: Vec2,
    /// Half its sides.
    pub half: Vec2,
    /// The lowest y in it.
    pub low: f32,
    /// The highest y in it.
    pub high: f32,
}

impl UprightBox {
    /// Lowers what is known of the way from a point along each of some directions, as far as the box stands in it.
    #[inline]
    fn shorten<const N: usize>(&self, from: Vec2, ways: &[Vec2; N], clear: &mut [f32; N]) {
        let across = self.along.perp();
        let local = |vector: Vec2| [self.along.dot(vector), across.dot(vector)];
        let (from, half) = (local(from - self.centre), self.half.to_array());
        // No branch on what one direction meets, so that several are looked at by one instruction.
        for (way, clear) in ways.iter().zip(clear) {
            let (mut enter, mut leave) = (0.0_f32, *clear);
            for ((way, from), half) in local(*way).into_iter().zip(from).zip(half) {
                // As good as parallel, and finite.
                let inverse = if way.abs() < 1e-18 { 1e18 } else { 1.0 / way };
                let [one, other] = [-half, half].map(|face| (face - from) * inverse);
                let (first, last) = if one < other { (one, other) } else { (other, one) };
                enter = if first > enter { first } else { enter };
                leave = if last < leave { last } else { leave };
            }
            *clear = if enter <= leave { enter } else { *clear };
        }
    }
}

/// What keeps the test of axes safe from rounding where a line runs along a box's edge.
const PARALLEL: f32 = 1e-6;

impl Piece {
    /// Whether a line touches the piece. Without a division for boxes, which most pieces are.
    #[inline]
    fn touches(&self, line: &SightLine) -> bool {
        let (from, along) = (line.from - self.position, line.to - line.from);
        match &self.form {
            Form::Box { half } => {
                // After Ericson, Real-Time Collision Detection, 5.3.3: a line and a box are apart if they are along one of
                // six axes.
                let reach = self.to_local(along) * 0.5;
                let middle = self.to_local(from) + reach;
                let length = reach.abs() + Vec3::splat(PARALLEL);
                let apart = middle.abs().cmpgt(*half + length).any();
                let around = middle.cross(reach).abs();
                let (x, y, z) = (length.x, length.y, length.z);
                !apart
                    && around.x <= half.y * z + half.z * y
                    && around.y <= half.z * x + half.x * z
                    && around.z <= half.x * y + half.y * x
            }
            Form::Ball { radius } => {
                let length = along.length_squared();
                let at = if length > 0.0 { (-from.dot(along) / length).clamp(0.0, 1.0) } else { 0.0 };
                (from + along * at).length_squared() <= radius * radius
            }
            Form::Hull(hull) => {
                let (from, along) = (self.to_local(from), self.to_local(along));
                // How much of the line is inside of all faces that were looked at. Most lines pass by, and end with the first face
                // that they are outside of: what a ray does for a normal and a distance is not done here.
                let (mut enter, mut leave) = (0.0_f32, 1.0_f32);
                for (normal, offset) in &hull.faces {
                    let start = normal.dot(from) - offset;
                    let end = start + normal.dot(along);
                    if start > 0.0 && end > 0.0 {
                        return false;
                    }
                    if start > 0.0 {
                        enter = enter.max(start / (start - end));
                    } else if end > 0.0 {
                        leave = leave.min(start / (start - end));
                    }
                }
                enter <= leave
            }
            // In multiples of the line: none of these needs a unit direction.
            _ => self.ray(from, along, 1.0).is_some(),
        }
    }
}

impl StaticWorld {
    /// Stands for no piece.
    pub const NOTHING: u32 = u32::MAX;

    /// Whether one piece stands on a line; a piece that is not there does not. Pieces are numbered from 0 to
    /// [`Self::len`], and each is convex: one that stands on all lines between two sets of points stands on all lines
    /// between their convex hulls.
    #[inline]
    pub fn stands_on(&self, piece: u32, line: &SightLine) -> bool {
        self.pieces().get(piece as usize).is_some_and(|piece| piece.touches(line))
    }

    /// A piece as seen from above, if it is a box that stands upright.
    pub fn upright(&self, piece: u32) -> Option<UprightBox> {
        let piece = self.pieces().get(piece as usize)?;
        let Form::Box { half } = &piece.form else { return None };
        (piece.basis.y_axis == Vec3::Y).then(|| UprightBox {
            centre: Vec2::new(piece.position.x, piece.position.z),
            along: Vec2::new(piece.basis.x_axis.x, piece.basis.x_axis.z),
            half: Vec2::new(half.x, half.z),
            low: piece.position.y - half.y,
            high: piece.position.y + half.y,
        })
    }

    /// A piece that stands on a line, not always the nearest; [`Self::NOTHING`] if it is clear.
    pub fn blocker(&self, line: &SightLine) -> u32 {
        let ray = Ray::new(line.from, line.to - line.from, 0.0);
        self.tree().any_along(&ray, 1.0, |item| self.stands_on(item, line)).unwrap_or(Self::NOTHING)
    }

    /// Metres from a point along a unit direction to the first piece, at most `max`; 0 inside one.
    pub fn clearance(&self, from: Vec3, direction: Vec3, max: f32) -> f32 {
        let ray = Ray::new(from, direction, 0.0);
        let mut best = max;
        self.tree().along(&ray, &mut best, |item, best| {
            let piece = &self.pieces()[item as usize];
            if let Some((distance, _)) = piece.ray(from - piece.position, direction, *best) {
                *best = best.min(distance);
            }
        });
        best
    }

    /// The same from a point along level directions of unit length, at each of some heights above it: the shortest for each direction.
    pub fn clearances<const N: usize>(&self, from: Vec3, heights: &[f32], ways: &[Vec2; N], max: f32) -> [f32; N] {
        let mut clear = [max; N];
        let levels = heights.iter().map(|height| from.with_y(from.y + height));
        let reach = Vec3::new(max, 0.0, max);
        let around =
            levels.clone().map(|level| Aabb::around(level, reach)).fold(Aabb::EMPTY, |sum, level| sum.union(level));
        self.tree().overlapping(&around, |item, bounds| {
            if let Some(upright) = self.upright(item) {
                if levels.clone().any(|level| (upright.low..=upright.high).contains(&level.y)) {
                    upright.shorten(from.xz(), ways, &mut clear);
                }
                return;
            }
            let piece = &self.pieces()[item as usize];
            for level in levels.clone() {
                for (way, clear) in ways.iter().zip(&mut clear) {
                    let along = Vec3::new(way.x, 0.0, way.y);
                    if bounds.entry(&Ray::new(level, along, 0.0), *clear).is_some()
                        && let Some((distance, _)) = piece.ray(level - piece.position, along, *clear)
                    {
                        *clear = distance;
                    }
                }
            }
        });
        clear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::{Shape, Solid};
    use crate::time::SimRng;
    use glam::Quat;

    fn wall_at(x: f32) -> Solid {
        let shape = Shape::Box { half: Vec3::new(0.1, 2.0, 3.0) };
        Solid { name: "wall".to_owned(), shape, position: Vec3::new(x, 2.0, 0.0), rotation: Quat::IDENTITY }
    }

    /// Of a box.
    fn corners(half: Vec3) -> Vec<Vec3> {
        let corner =
            |at: usize| half * Vec3::from_array([0, 1, 2].map(|axis| if at >> axis & 1 == 0 { -1.0 } else { 1.0 }));
        (0..8).map(corner).collect()
    }

    #[test]
    fn a_wall_stands_on_lines_that_cross_it_and_on_no_other() {
        let world = StaticWorld::new(&[wall_at(5.0), wall_at(9.0)]).unwrap();
        let eye = Vec3::new(0.0, 1.6, 0.0);
        let line = |x: f32, y: f32| SightLine::between(eye, Vec3::new(x, y, 0.0));
        assert_eq!(world.blocker(&line(7.0, 1.0)), 0);
        assert_eq!(world.blocker(&line(4.0, 1.0)), StaticWorld::NOTHING);
        assert_eq!(world.blocker(&line(5.2, 9.0)), StaticWorld::NOTHING);
        assert!(world.stands_on(1, &line(12.0, 1.0)) && !world.stands_on(1, &line(7.0, 1.0)));
        assert!(!world.stands_on(7, &line(12.0, 1.0)), "no such piece");
    }

    #[test]
    fn a_hull_stands_on_the_lines_that_a_box_of_its_form_stands_on() {
        let half = Vec3::new(1.0, 2.0, 3.0);
        let turned = |shape: Shape, size: f32| {
            let rotation = Quat::from_rotation_y(0.7) * Quat::from_rotation_x(0.3);
            let shape = match shape {
                Shape::Box { half } => Shape::Box { half: half * size },
                other => other,
            };
            let solid = Solid { name: "solid".to_owned(), shape, position: Vec3::new(1.0, -2.0, 0.5), rotation };
            StaticWorld::new(&[solid]).unwrap()
        };
        let hull = turned(Shape::Hull { points: corners(half) }, 1.0);
        let [smaller, larger] = [0.999, 1.001].map(|size| turned(Shape::Box { half }, size));
        let mut rng = SimRng::seeded(7);
        let mut point = || Vec3::from_array([0; 3].map(|_| rng.unit() * 12.0 - 6.0));
        let mut counts = [0; 2];
        for _ in 0..20_000 {
            let line = SightLine::between(point(), point());
            let stands = [&smaller, &larger].map(|world| world.stands_on(0, &line));
            // The others graze the surface.
            if stands[0] == stands[1] {
                assert_eq!(hull.stands_on(0, &line), stands[0], "{line:?}");
                counts[usize::from(stands[0])] += 1;
            }
        }
        assert!(counts[0] > 10_000 && counts[1] > 1_000, "{counts:?}");
    }

    #[test]
    fn clearance_ends_at_the_first_piece() {
        let world = StaticWorld::new(&[wall_at(9.0), wall_at(5.0)]).unwrap();
        let clear = |direction| world.clearance(Vec3::new(0.0, 1.0, 0.0), direction, 20.0);
        assert!((clear(Vec3::X) - 4.9).abs() < 1e-4);
        assert_eq!(clear(Vec3::NEG_X), 20.0);
    }

    #[test]
    fn clearances_are_those_of_each_direction_and_height_alone() {
        let mut rng = SimRng::seeded(3);
        let mut within = |low: f32, high: f32| low + rng.unit() * (high - low);
        let solids: Vec<Solid> = (0..60)
            .map(|at| {
                let half = Vec3::new(within(0.1, 3.0), within(0.1, 3.0), within(0.1, 3.0));
                let shape = match at % 5 {
                    0 | 1 => Shape::Box { half },
                    2 => Shape::Ball { radius: half.x },
                    3 => Shape::Cylinder { radius: half.x, half_height: half.y },
                    _ => Shape::Hull { points: corners(half) },
                };
                let tilt = if at % 2 == 0 { 0.0 } else { within(-0.5, 0.5) };
                let rotation = Quat::from_rotation_y(within(-3.0, 3.0)) * Quat::from_rotation_x(tilt);
                let position = Vec3::new(within(-15.0, 15.0), within(-2.0, 4.0), within(-15.0, 15.0));
                Solid { name: format!("solid{at}"), shape, position, rotation }
            })
            .collect();
        let world = StaticWorld::new(&solids).unwrap();
        let ways = [Vec2::X, Vec2::Y, Vec2::NEG_X, Vec2::new(0.6, 0.8), Vec2::new(-0.8, 0.6)];
        let mut shortened = 0;
        for _ in 0..500 {
            let from = Vec3::new(within(-15.0, 15.0), within(-1.0, 1.0), within(-15.0, 15.0));
            let heights = [within(0.3, 0.9), 1.6];
            let found = world.clearances(from, &heights, &ways, 12.0);
            for (way, found) in ways.iter().zip(found) {
                let clear = |height| world.clearance(from + Vec3::Y * height, Vec3::new(way.x, 0.0, way.y), 12.0);
                let expected = heights.map(clear).into_iter().fold(12.0, f32::min);
                assert!((found - expected).abs() < 1e-3, "{from} {way}: {found}, not {expected}");
                shortened += usize::from(found < 12.0);
            }
        }
        assert!(shortened > 500, "{shortened}");
    }
}
