//! The arithmetic: how far an upright segment is from a piece, and where a ray enters one.
//!
//! A [`Plane`] is a plane with the piece behind it. Whatever the search inside left inexact, that plane is a true
//! support of the piece, so the distance that it gives is never more than the real one: a cast that trusts it cannot tunnel.

use glam::Vec3;

use super::shape::{Form, Hull, Piece};

/// A plane between a segment and a piece: the piece lies where `normal . x <= offset`, x from the piece's position in the
/// world's axes. The segment is on the other side by its distance, or, where they overlap, `normal` is the shortest way out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane {
    pub normal: Vec3,
    pub offset: f32,
    /// The nearest point of the piece, from its position.
    pub point: Vec3,
}

/// Below this distance in metres the direction between the nearest points is noise: treat as overlapping.
const TOUCH: f32 = 1e-5;
const TOUCH_SQUARED: f32 = TOUCH * TOUCH;

/// A point on the segment and the nearest one on the piece, or none when they overlap.
type Pair = Option<(Vec3, Vec3)>;

impl Piece {
    /// The separation of the upright segment that begins at `foot`, from the piece's position, and is `length` long; a
    /// length of 0 is a point.
    #[inline]
    pub fn separation(&self, foot: Vec3, length: f32) -> Plane {
        let from = self.to_local(foot);
        let along = self.up * length;
        let pair = match &self.form {
            Form::Box { half } => box_pair(*half, from, along),
            Form::Ball { .. } => return self.ball_separation(foot, length),
            Form::Cylinder { radius, half_height } => cylinder_pair(*radius, *half_height, from, along),
            Form::Hull(hull) => hull_pair(hull, from, along),
            Form::Triangle { b, c, normal } => {
                triangle_pair([Vec3::ZERO, *b, *c], *normal, from, from + along).map(|found| (found.0, found.1))
            }
        };
        if let Some((near, point)) = pair {
            let apart = near - point;
            let squared = apart.length_squared();
            if squared > TOUCH_SQUARED {
                let normal = apart * (1.0 / squared.sqrt());
                return Plane { normal: self.basis * normal, offset: normal.dot(point), point: self.basis * point };
            }
        }
        self.way_out(from, along)
    }

    fn ball_separation(&self, foot: Vec3, length: f32) -> Plane {
        let Form::Ball { radius } = self.form else { return self.way_out(self.to_local(foot), self.up * length) };
        let near = foot + Vec3::Y * (-foot.y).clamp(0.0, length);
        let normal = near.normalize_or(Vec3::Y);
        Plane { normal, offset: radius, point: normal * radius }
    }

    /// The shortest way out for a segment that overlaps the piece.
    #[cold]
    fn way_out(&self, from: Vec3, along: Vec3) -> Plane {
        let to = from + along;
        let middle = from + along * 0.5;
        let mut best = (f32::NEG_INFINITY, Vec3::Y, 0.0);
        let mut consider = |normal: Vec3, offset: f32| {
            let apart = normal.dot(from).min(normal.dot(to)) - offset;
            if apart > best.0 {
                best = (apart, normal, offset);
            }
        };
        match &self.form {
            Form::Box { half } => {
                for axis in [Vec3::X, Vec3::Y, Vec3::Z] {
                    let normal = axis * sign(middle.dot(axis));
                    consider(normal, half.dot(axis));
                    if let Some(cross) = along.cross(axis).try_normalize() {
                        let normal = cross * sign(middle.dot(cross));
                        consider(normal, half.dot(normal.abs()));
                    }
                }
            }
            Form::Ball { radius } => consider(middle.normalize_or(Vec3::Y), *radius),
            Form::Cylinder { radius, half_height } => {
                consider(Vec3::Y * sign(middle.y), *half_height);
                let flat = |v: Vec3| Vec3::new(v.x, 0.0, v.z);
                let sideways = [flat(middle), flat(from), flat(to), flat(along.cross(Vec3::Y))];
                for normal in sideways.into_iter().filter_map(Vec3::try_normalize) {
                    consider(normal * sign(middle.dot(normal)), *radius);
                }
                if sideways.iter().all(|v| *v == Vec3::ZERO) {
                    consider(Vec3::X, *radius);
                }
            }
            Form::Hull(hull) => {
                for (normal, offset) in &hull.faces {
                    consider(*normal, *offset);
                }
                for edge in &hull.edges {
                    if let Some(cross) = along.cross(*edge).try_normalize() {
                        for normal in [cross, -cross] {
                            consider(normal, hull.points.iter().fold(f32::MIN, |m, p| m.max(normal.dot(*p))));
                        }
                    }
                }
            }
            // A mesh has an outside: through a triangle, the way out is there.
            Form::Triangle { normal, .. } => consider(*normal, 0.0),
        }
        let (_, normal, offset) = best;
        let deep = if normal.dot(along) > 0.0 { from } else { to };
        let point = deep + normal * (offset - normal.dot(deep));
        Plane { normal: self.basis * normal, offset, point: self.basis * point }
    }

    /// Where a ray from `from` (from the piece's position) along a unit `direction` enters, and the normal there. A ray
    /// that starts inside a convex piece hits it at once, head on.
    pub fn ray(&self, from: Vec3, direction: Vec3, max: f32) -> Option<(f32, Vec3)> {
        let (from, along) = (self.to_local(from), self.to_local(direction));
        let (at, normal) = match &self.form {
            Form::Box { half } => slabs(&[(Vec3::X, half.x), (Vec3::Y, half.y), (Vec3::Z, half.z)], from, along)?,
            Form::Ball { radius } => ball_ray(*radius, from, along)?,
            Form::Cylinder { radius, half_height } => cylinder_ray(*radius, *half_height, from, along)?,
            Form::Hull(hull) => planes(hull.faces.iter().copied(), from, along)?,
            Form::Triangle { b, c, normal } => triangle_ray(*b, *c, *normal, from, along)?,
        };
        (at <= max).then(|| (at, if normal == Vec3::ZERO { -direction } else { self.basis * normal }))
    }
}

fn sign(value: f32) -> f32 {
    if value < 0.0 { -1.0 } else { 1.0 }
}

/// The squared distance from a box is convex along the segment and its slope is linear between the places where the
/// segment crosses a face plane: halve the range at those, then solve the last piece. Exact, without iteration.
#[inline]
fn box_pair(half: Vec3, from: Vec3, along: Vec3) -> Pair {
    let slope = |t: f32| {
        let at = from + along * t;
        (at - at.clamp(-half, half)).dot(along)
    };
    let mut low = (0.0, slope(0.0));
    let t = if low.1 >= 0.0 {
        0.0
    } else {
        let mut high = (1.0, slope(1.0));
        if high.1 <= 0.0 {
            1.0
        } else {
            for axis in 0..3 {
                if along[axis].abs() < 1e-9 {
                    continue;
                }
                let inverse = 1.0 / along[axis];
                for face in [-half[axis], half[axis]] {
                    let t = (face - from[axis]) * inverse;
                    if t > low.0 && t < high.0 {
                        let value = slope(t);
                        if value > 0.0 {
                            high = (t, value);
                        } else {
                            low = (t, value);
                        }
                    }
                }
            }
            let rise = high.1 - low.1;
            if rise > 0.0 { low.0 - (high.0 - low.0) * low.1 / rise } else { low.0 }
        }
    };
    let near = from + along * t;
    Some((near, near.clamp(-half, half)))
}

fn cylinder_nearest(radius: f32, half_height: f32, at: Vec3) -> Vec3 {
    let across = (at.x * at.x + at.z * at.z).sqrt();
    let shrink = if across > radius { radius / across } else { 1.0 };
    Vec3::new(at.x * shrink, at.y.clamp(-half_height, half_height), at.z * shrink)
}

/// As for the box, but the slope is curved: close in on its zero. Twenty halvings of 2 m are 2 micrometres.
fn cylinder_pair(radius: f32, half_height: f32, from: Vec3, along: Vec3) -> Pair {
    let slope = |t: f32| {
        let at = from + along * t;
        (at - cylinder_nearest(radius, half_height, at)).dot(along)
    };
    let t = if slope(0.0) >= 0.0 {
        0.0
    } else if slope(1.0) <= 0.0 {
        1.0
    } else {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..20 {
            let middle = (low + high) * 0.5;
            if slope(middle) > 0.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
        (low + high) * 0.5
    };
    let near = from + along * t;
    Some((near, cylinder_nearest(radius, half_height, near)))
}

/// The nearest of the triangles that have a part of the segment in front. None when the segment reaches inside.
fn hull_pair(hull: &Hull, from: Vec3, along: Vec3) -> Pair {
    let to = from + along;
    let mut best: Option<(Vec3, Vec3, f32)> = None;
    for triangle in &hull.triangles {
        let (normal, offset) = hull.faces[triangle.face as usize];
        let (low, high) = (normal.dot(from) - offset, normal.dot(to) - offset);
        if low.max(high) <= 0.0 {
            continue;
        }
        let bound = low.min(high).max(0.0);
        if best.is_some_and(|known| known.2 <= bound * bound) {
            continue;
        }
        let found = triangle_pair(triangle.corners, normal, from, to)?;
        if best.is_none_or(|known| found.2 < known.2) {
            best = Some(found);
        }
    }
    best.map(|found| (found.0, found.1))
}

/// Nearest points of the segment and a triangle, and their squared distance; none when the segment goes through.
fn triangle_pair(corners: [Vec3; 3], normal: Vec3, from: Vec3, to: Vec3) -> Option<(Vec3, Vec3, f32)> {
    let [a, b, c] = corners;
    let above = |point: Vec3| {
        normal.cross(b - a).dot(point - a) >= 0.0
            && normal.cross(c - b).dot(point - b) >= 0.0
            && normal.cross(a - c).dot(point - c) >= 0.0
    };
    let (low, high) = (normal.dot(from - a), normal.dot(to - a));
    if low * high <= 0.0 && low != high {
        let through = from + (to - from) * (low / (low - high));
        if above(through) {
            return None;
        }
    } else {
        // The end nearest to the plane, if it is over the triangle, cannot be beaten.
        let (end, distance) = if low.abs() <= high.abs() { (from, low) } else { (to, high) };
        if above(end) {
            return Some((end, end - normal * distance, distance * distance));
        }
    }
    let mut best = (from, a, f32::INFINITY);
    for (end, distance) in [(from, low), (to, high)] {
        if distance * distance < best.2 && above(end) {
            best = (end, end - normal * distance, distance * distance);
        }
    }
    for (start, end) in [(a, b), (b, c), (c, a)] {
        let (near, point) = segments_pair(from, to - from, start, end - start);
        let squared = near.distance_squared(point);
        if squared < best.2 {
            best = (near, point, squared);
        }
    }
    Some(best)
}

/// Nearest points of two segments. After Ericson, Real-Time Collision Detection, 5.1.9.
fn segments_pair(p: Vec3, d: Vec3, q: Vec3, e: Vec3) -> (Vec3, Vec3) {
    let r = p - q;
    let (dd, ee, de) = (d.dot(d), e.dot(e), d.dot(e));
    let (dr, er) = (d.dot(r), e.dot(r));
    let s;
    let t;
    if dd <= 1e-12 {
        s = 0.0;
        t = if ee > 0.0 { (er / ee).clamp(0.0, 1.0) } else { 0.0 };
    } else if ee <= 1e-12 {
        t = 0.0;
        s = (-dr / dd).clamp(0.0, 1.0);
    } else {
        let spread = dd * ee - de * de;
        let first = if spread > 1e-9 * dd * ee { ((de * er - dr * ee) / spread).clamp(0.0, 1.0) } else { 0.0 };
        let on_other = (de * first + er) / ee;
        if on_other < 0.0 {
            t = 0.0;
            s = (-dr / dd).clamp(0.0, 1.0);
        } else if on_other > 1.0 {
            t = 1.0;
            s = ((de - dr) / dd).clamp(0.0, 1.0);
        } else {
            t = on_other;
            s = first;
        }
    }
    (p + d * s, q + e * t)
}

/// A ray against pairs of opposite planes. A zero normal means that it starts inside.
fn slabs(axes: &[(Vec3, f32); 3], from: Vec3, along: Vec3) -> Option<(f32, Vec3)> {
    planes(axes.iter().flat_map(|(axis, half)| [(*axis, *half), (-*axis, *half)]), from, along)
}

/// A ray against the inside of planes. A zero normal means that it starts inside.
fn planes(faces: impl Iterator<Item = (Vec3, f32)>, from: Vec3, along: Vec3) -> Option<(f32, Vec3)> {
    let (mut enter, mut leave) = ((0.0_f32, Vec3::ZERO), f32::INFINITY);
    for (normal, offset) in faces {
        let apart = normal.dot(from) - offset;
        let rate = normal.dot(along);
        if rate.abs() < 1e-12 {
            if apart > 0.0 {
                return None;
            }
        } else if rate < 0.0 {
            let at = apart / -rate;
            if at > enter.0 || (at == 0.0 && enter.1 == Vec3::ZERO) {
                enter = (at, normal);
            }
        } else {
            leave = leave.min(-apart / rate);
        }
    }
    (enter.0 <= leave).then_some(enter)
}

fn ball_ray(radius: f32, from: Vec3, along: Vec3) -> Option<(f32, Vec3)> {
    let excess = from.length_squared() - radius * radius;
    if excess <= 0.0 {
        return Some((0.0, Vec3::ZERO));
    }
    let towards = -from.dot(along);
    // From the point nearest to the centre: the plain discriminant cancels for a far ball.
    let aside = (from + along * towards).length_squared();
    let inside = radius * radius - aside;
    if towards < 0.0 || inside < 0.0 {
        return None;
    }
    let at = (towards - inside.sqrt()).max(0.0);
    Some((at, (from + along * at) / radius))
}

fn cylinder_ray(radius: f32, half_height: f32, from: Vec3, along: Vec3) -> Option<(f32, Vec3)> {
    let (mut enter, mut leave) = ((0.0_f32, Vec3::ZERO), f32::INFINITY);
    if along.y.abs() < 1e-12 {
        if from.y.abs() > half_height {
            return None;
        }
    } else {
        let side = -sign(along.y);
        let at = (side * half_height - from.y) / along.y;
        if at >= 0.0 {
            enter = (at, Vec3::Y * side);
        }
        leave = (-side * half_height - from.y) / along.y;
    }
    let a = along.x * along.x + along.z * along.z;
    let b = from.x * along.x + from.z * along.z;
    let c = from.x * from.x + from.z * from.z - radius * radius;
    if a < 1e-12 {
        if c > 0.0 {
            return None;
        }
    } else {
        let discriminant = b * b - a * c;
        if discriminant < 0.0 {
            return None;
        }
        let root = discriminant.sqrt();
        let at = (-b - root) / a;
        leave = leave.min((-b + root) / a);
        if at >= enter.0 {
            let hit = from + along * at;
            enter = (at, Vec3::new(hit.x, 0.0, hit.z) / radius);
        }
    }
    (enter.0 <= leave && leave >= 0.0).then_some(enter)
}

/// After Moeller and Trumbore; both sides stop a ray.
fn triangle_ray(b: Vec3, c: Vec3, normal: Vec3, from: Vec3, along: Vec3) -> Option<(f32, Vec3)> {
    let p = along.cross(c);
    let determinant = b.dot(p);
    if determinant.abs() < 1e-12 {
        return None;
    }
    let inverse = 1.0 / determinant;
    let u = from.dot(p) * inverse;
    let q = from.cross(b);
    let v = along.dot(q) * inverse;
    let at = c.dot(q) * inverse;
    if u < 0.0 || v < 0.0 || u + v > 1.0 || at < 0.0 {
        return None;
    }
    Some((at, normal * -sign(normal.dot(along))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collide::ConvexShape;
    use crate::map::Shape;
    use glam::Quat;

    /// A step of a small generator: tests need spread, not quality.
    fn random(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 40) as f32) / (1u64 << 24) as f32 * 2.0 - 1.0
    }

    fn corners(half: Vec3) -> Vec<Vec3> {
        let side = |i: usize, bit: usize| if i >> bit & 1 == 0 { -1.0 } else { 1.0 };
        (0..8).map(|i| half * Vec3::new(side(i, 0), side(i, 1), side(i, 2))).collect()
    }

    /// Boxes go by closed form and hulls by triangles: on the same body the two must agree.
    #[test]
    fn a_box_and_the_hull_of_its_corners_are_equally_far() {
        let mut seed = 5;
        let mut r = || random(&mut seed);
        for _ in 0..4_000 {
            let half = Vec3::new(r().abs() + 0.05, r().abs() + 0.05, r().abs() + 0.05);
            let turn = Quat::from_xyzw(r(), r(), r(), r() + 0.01).normalize();
            let as_box = ConvexShape::new(&Shape::Box { half }).unwrap();
            let as_hull = ConvexShape::new(&Shape::Hull { points: corners(half) }).unwrap();
            let foot = Vec3::new(r(), r(), r()) * 3.0;
            let length = r().abs() * 2.0 + 0.01;
            let far = |convex: &ConvexShape| {
                let found = Piece::new(convex.form.clone(), Vec3::ZERO, turn).separation(foot, length);
                found.normal.dot(foot).min(found.normal.dot(foot + Vec3::Y * length)) - found.offset
            };
            let (one, other) = (far(&as_box), far(&as_hull));
            assert!((one - other).abs() < 2e-4, "{one} {other} half {half} foot {foot} length {length}");
        }
    }

    /// The plane's distance must equal the distance of the nearest of many sampled points.
    #[test]
    fn a_separation_is_never_more_than_the_distance_of_any_sampled_point() {
        let mut seed = 9;
        let mut r = || random(&mut seed);
        for round in 0..2_000 {
            let shape = match round % 3 {
                0 => Shape::Box { half: Vec3::new(r().abs() + 0.1, r().abs() + 0.1, r().abs() + 0.1) },
                1 => Shape::Cylinder { radius: r().abs() + 0.1, half_height: r().abs() + 0.1 },
                _ => Shape::Ball { radius: r().abs() + 0.1 },
            };
            let turn = Quat::from_xyzw(r(), r(), r(), r() + 0.01).normalize();
            let piece = Piece::new(ConvexShape::new(&shape).unwrap().form, Vec3::ZERO, turn);
            let foot = Vec3::new(r(), r(), r()) * 3.0;
            let found = piece.separation(foot, 1.0);
            let apart = found.normal.dot(foot).min(found.normal.dot(foot + Vec3::Y)) - found.offset;
            let mut nearest = f32::INFINITY;
            for step in 0..=64 {
                let at = foot + Vec3::Y * (step as f32 / 64.0);
                nearest = nearest.min(at.distance(found.point));
                // Rays towards the origin enter at the surface: a sampled point of the piece.
                if let Some((hit, _)) = piece.ray(at, -at.normalize(), 10.0) {
                    assert!(hit >= apart - 1e-4, "{shape:?}: {hit} < {apart}");
                }
            }
            if apart > 0.0 {
                assert!((nearest - apart).abs() < 0.02, "{shape:?}: {nearest} {apart}");
            }
        }
    }

    #[test]
    fn a_ray_that_starts_inside_hits_at_once_and_one_that_passes_does_not() {
        let piece =
            Piece::new(ConvexShape::new(&Shape::Box { half: Vec3::ONE }).unwrap().form, Vec3::ZERO, Quat::IDENTITY);
        assert_eq!(piece.ray(Vec3::ZERO, Vec3::X, 5.0), Some((0.0, Vec3::NEG_X)));
        assert_eq!(piece.ray(Vec3::new(-3.0, 0.0, 0.0), Vec3::X, 5.0), Some((2.0, Vec3::NEG_X)));
        assert_eq!(piece.ray(Vec3::new(-3.0, 1.5, 0.0), Vec3::X, 5.0), None);
        assert_eq!(piece.ray(Vec3::new(-3.0, 0.0, 0.0), Vec3::X, 1.5), None);
    }
}
