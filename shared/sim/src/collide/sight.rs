//! Lines of sight through what never moves: asked by the thousand each tick, so that nothing is looked for that is not asked.
//!
//! A line that a large wall blocked is most likely blocked by it again: whoever asks keeps the piece and names it the next
//! time, which saves the walk through the tree.

use glam::{Vec2, Vec3};

use super::bvh::Ray;
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
        let corner =
            |at: usize| half * Vec3::from_array([0, 1, 2].map(|axis| if at >> axis & 1 == 0 { -1.0 } else { 1.0 }));
        let hull = turned(Shape::Hull { points: (0..8).map(corner).collect() }, 1.0);
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
}
