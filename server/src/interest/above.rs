//! Whether an upright box hides one region from another, seen from above: some 7 lines' work instead of 118
//! between all corners, and what most walls of a map are.
//!
//! The hull of two regions is bounded by two tangents. A box that both cross, between the regions, holds the chord from one
//! crossing to the other, and every line from one region to the other crosses that chord. What is left is whether all of them
//! do so between the box's foot and its top.

use arbiter_sim::collide::UprightBox;
use glam::Vec2;

/// A convex region and the heights in it.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    /// Its corners; their order makes no difference.
    pub corners: &'a [Vec2],
    /// Lowest y.
    pub low: f32,
    /// Highest y.
    pub high: f32,
}

/// The two tangents that bound the hull of two regions, each from the first to the second.
#[derive(Debug, Clone, Copy)]
pub struct Tangents([[Vec2; 2]; 2]);

/// A gap between a box and what stands on it that is not seen through, in metres.
const CRACK_M: f32 = 0.01;

/// More steps than this no search for a tangent takes unless regions overlap: they have at most eight corners.
const STEPS_MAX: usize = 16;

impl Tangents {
    /// Of two regions; `None` if they overlap or nearly so.
    pub fn of(from: &[Vec2], to: &[Vec2]) -> Option<Self> {
        let way = to.first()? - from.first()?;
        Some(Self([Self::on_side(from, to, way, 1.0)?, Self::on_side(from, to, way, -1.0)?]))
    }

    /// The tangent that leaves everything on its right, or for a `side` of -1 on its left.
    fn on_side(from: &[Vec2], to: &[Vec2], way: Vec2, side: f32) -> Option<[Vec2; 2]> {
        let outwards = way.perp() * side;
        let outermost =
            |corners: &[Vec2]| corners.iter().copied().max_by(|a, b| outwards.dot(*a).total_cmp(&outwards.dot(*b)));
        let (mut start, mut end) = (outermost(from)?, outermost(to)?);
        for _ in 0..STEPS_MAX {
            let along = end - start;
            let beyond = |corner: &&Vec2| along.perp_dot(**corner - start) * side > 1e-5 * along.length_squared();
            if let Some(corner) = from.iter().find(beyond) {
                start = *corner;
            } else if let Some(corner) = to.iter().find(beyond) {
                end = *corner;
            } else {
                return Some([start, end]);
            }
        }
        None
    }
}

/// Whether a box stands on every line from one region to the other.
pub fn hides(wall: &UprightBox, tangents: &Tangents, from: &Region<'_>, to: &Region<'_>) -> bool {
    let Some([left, right]) = chord(wall, tangents) else { return false };
    let normal = (right - left).perp();
    let distances = |corners: &[Vec2]| {
        let all = corners.iter().map(|corner| normal.dot(*corner - left));
        all.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)))
    };
    let ((from_low, from_high), (to_low, to_high)) = (distances(from.corners), distances(to.corners));
    // One on either side of the chord; how far the nearest and the furthest are.
    let (near, far) = if from_low > 0.0 && to_high < 0.0 {
        ([from_low, from_high], [-to_high, -to_low])
    } else if from_high < 0.0 && to_low > 0.0 {
        ([-from_high, -from_low], [to_low, to_high])
    } else {
        return false;
    };
    // Where on a line the chord may be crossed, from 0 at its start to 1 at its end.
    let crossings = [near[0] / (near[0] + far[1]), near[1] / (near[1] + far[0])];
    let at = |start: f32, end: f32| crossings.map(|crossing| start + (end - start) * crossing);
    let (lowest, highest) = (at(from.low, to.low), at(from.high, to.high));
    lowest[0].min(lowest[1]) >= wall.low - CRACK_M && highest[0].max(highest[1]) <= wall.high
}

/// Where the two tangents cross a box: a point within it on each.
fn chord(wall: &UprightBox, tangents: &Tangents) -> Option<[Vec2; 2]> {
    let crossing = |[start, end]: [Vec2; 2]| {
        let local = |point: Vec2| {
            let from_centre = point - wall.centre;
            Vec2::new(wall.along.dot(from_centre), wall.along.perp().dot(from_centre))
        };
        let (from, along) = (local(start), local(end) - local(start));
        // Where the line is between both pairs of sides. Division by 0 gives infinities of the right sign.
        let inverse = along.recip();
        let (one, other) = ((-wall.half - from) * inverse, (wall.half - from) * inverse);
        let enter = one.min(other).max_element().max(0.0);
        let leave = one.max(other).min_element().min(1.0);
        (enter < leave).then(|| start + (end - start) * (0.5 * (enter + leave)))
    };
    let [left, right] = tangents.0;
    Some([crossing(left)?, crossing(right)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: UprightBox =
        UprightBox { centre: Vec2::ZERO, along: Vec2::X, half: Vec2::new(0.2, 3.0), low: 0.0, high: 3.0 };

    fn square(centre: Vec2) -> [Vec2; 4] {
        [Vec2::new(1.0, 1.0), Vec2::new(1.0, -1.0), Vec2::new(-1.0, -1.0), Vec2::new(-1.0, 1.0)].map(|to| centre + to)
    }

    fn is_hidden(wall: &UprightBox, from: Vec2, to: Vec2, high: f32) -> bool {
        let (from, to) = (square(from), square(to));
        let region = |corners| Region { corners, low: 0.0, high };
        let tangents = Tangents::of(&from, &to);
        tangents.is_some_and(|tangents| hides(wall, &tangents, &region(&from), &region(&to)))
    }

    #[test]
    fn a_wall_hides_what_is_behind_it_and_not_what_looks_over_it_or_past_it() {
        let (here, there) = (Vec2::new(-8.0, 0.0), Vec2::new(6.0, 0.5));
        assert!(is_hidden(&WALL, here, there, 2.0) && is_hidden(&WALL, there, here, 2.0));
        assert!(!is_hidden(&WALL, here, there, 3.1), "over it");
        assert!(!is_hidden(&WALL, here, Vec2::new(6.0, 5.0), 2.0), "past it");
        assert!(!is_hidden(&WALL, here, Vec2::new(-4.0, 0.0), 2.0), "in front of it");
        assert!(!is_hidden(&WALL, here, Vec2::new(0.5, 0.0), 2.0), "half inside it");
        assert!(!is_hidden(&WALL, here, here, 2.0), "in the same place");
    }

    #[test]
    fn a_wall_that_hangs_in_the_air_hides_nothing_on_the_ground() {
        let hung = UprightBox { low: 1.0, ..WALL };
        assert!(!is_hidden(&hung, Vec2::new(-8.0, 0.0), Vec2::new(6.0, 0.5), 2.0));
    }

    #[test]
    fn a_wall_that_is_turned_hides_what_it_hid() {
        let turn = Vec2::from_angle(0.7);
        let turned = UprightBox { along: turn, ..WALL };
        for (from, to) in [((-8.0, 0.0), (6.0, 0.5)), ((-8.0, 0.0), (6.0, 5.0))] {
            let ends = [from, to].map(Vec2::from);
            let hid = is_hidden(&WALL, ends[0], ends[1], 2.0);
            let squares = ends.map(|end| square(end).map(|corner| turn.rotate(corner)));
            let region = |corners| Region { corners, low: 0.0, high: 2.0 };
            let tangents = Tangents::of(&squares[0], &squares[1]).unwrap();
            assert_eq!(hides(&turned, &tangents, &region(&squares[0]), &region(&squares[1])), hid);
        }
    }
}
