//! Whether anything of one prism can be seen from anywhere in another, with walls in between.
//!
//! Every line from inside one convex prism into another leaves the first through the side that faces the second and enters
//! the second through the side that faces the first. What is asked is therefore about two surfaces, four numbers in all: a
//! *shaft* is a range of each. One convex piece of the map that stands on the lines between all corners of a shaft stands
//! on every line in it: a plane between the piece and a line that misses it would have a corner of either end on the line's
//! side, and their line would miss it as well. A shaft that no single piece fills is halved, down to [`GAP_M`]. So the
//! answer is wrong only where one looks through a gap that is smaller, and a clear line ends the search at once.

use arbiter_sim::collide::{SightLine, StaticWorld};
use arrayvec::ArrayVec;
use glam::{Vec2, Vec3, Vec3Swizzles};

use super::above::{Region, Tangents, hides};
use super::reach::{CORNERS, Prism};

/// Metres below which a shaft is not halved any more. A gap that is smaller, and on no line between corners, may be missed;
/// every corner that was tried on the way down is nearer than this to it.
pub const GAP_M: f32 = 0.25;

/// Lines that one judgement of a player may cost, walks through the tree counted `WALK_COST` times; beyond them it is not
/// sure.
pub const COST_MAX: u32 = 2_000;

/// The same for a thing.
pub const THING_COST_MAX: u32 = 120;

/// A walk through the tree beside a look at one piece.
const WALK_COST: u32 = 8;

/// Corners of the side that faces the other prism, at most: once around.
const FRONT_MAX: usize = CORNERS + 1;

/// One box seen from above beside a look at one line: tangents, and the box.
const GLANCE_COST: u32 = 6;

/// The same for a shaft, which has four corners.
const SHAFT_GLANCE_COST: u32 = 3;

/// Shafts that wait to be judged: the first ones, and one for each halving on the way down.
const SHAFTS_MAX: usize = 160;

/// What a judgement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is a clear line.
    Seen,
    /// Nothing can be seen.
    Hidden,
    /// It would have cost too much to find out: to be taken as seen.
    Unsure,
}

/// What is remembered between two judgements of the same pair; [`Self::default`] knows nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// The piece that stood in the way.
    pub piece: u32,
    /// Where a clear line was at either end; before there was one, the middle.
    pub clear: Option<[Spot; 2]>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { piece: StaticWorld::NOTHING, clear: None }
    }
}

/// A place on the side of a prism, whatever it is seen from: found again without a look at which side faces what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// Around, in parts of an edge.
    along: u8,
    /// From `Spot::LOW` at the foot to `Spot::HIGH` at the top, and as far beyond as a front may be higher than its prism.
    up: u8,
}

impl Spot {
    /// Parts of an edge, so that once around is once through all numbers.
    const PARTS: f32 = 256.0 / CORNERS as f32;
    const LOW: f32 = 64.0;
    const HIGH: f32 = 192.0;

    /// Corners behind the first, and the height as a part of the prism's.
    fn new(along: f32, up: f32) -> Self {
        let along = (along * Self::PARTS).round() as u32 as u8;
        Self { along, up: (Self::LOW + up * (Self::HIGH - Self::LOW)).round() as u8 }
    }

    fn on(self, prism: &Prism) -> Vec3 {
        let (at, between) = (f32::from(self.along) / Self::PARTS, f32::from(self.up) - Self::LOW);
        let corner = at as usize;
        let flat = prism.ring[corner].lerp(prism.ring[(corner + 1) % CORNERS], at - corner as f32);
        Vec3::new(flat.x, prism.low + (prism.high - prism.low) * (between / (Self::HIGH - Self::LOW)), flat.y)
    }
}

impl Memory {
    /// The line that is most likely clear.
    fn line(&self, eyes: &Prism, body: &Prism) -> SightLine {
        let upper = |prism: &Prism| prism.low + 0.6 * (prism.high - prism.low);
        let middle = |prism: &Prism| Vec3::new(prism.centre.x, upper(prism), prism.centre.y);
        match self.clear {
            Some([from, to]) => SightLine::between(from.on(eyes), to.on(body)),
            None => SightLine::between(middle(eyes), middle(body)),
        }
    }
}

/// The side of a prism that faces another one: all edges through which a line into the other can leave it.
struct Front {
    /// The corner of the prism with which it begins.
    first: usize,
    corners: ArrayVec<Vec2, FRONT_MAX>,
    low: f32,
    high: f32,
    /// Lowest y of the prism, and how high that is.
    prism: [f32; 2],
}

impl Front {
    fn of(prism: &Prism, other: &Prism) -> Self {
        let corner = |at: usize| prism.ring[at % CORNERS];
        let faces = |at: usize| {
            let edge = corner(at + 1) - corner(at);
            let outwards = Vec2::new(edge.y, -edge.x);
            other.ring.iter().any(|point| outwards.dot(*point - corner(at)) > 0.0)
        };
        let facing: [bool; CORNERS] = core::array::from_fn(faces);
        // All but the longest run of edges that look away.
        let away = |start: usize| (0..CORNERS).take_while(|at| !facing[(start + at) % CORNERS]).count();
        let back = (0..CORNERS).max_by_key(|start| away(*start)).unwrap_or(0);
        let hidden = away(back).min(CORNERS - 1);
        let corners = (back + hidden..=back + CORNERS).map(corner).collect();
        // A line to something higher may pass above the upper end of the side, at most as far as it rises within the prism.
        let way = (other.centre - prism.centre).normalize_or_zero();
        let reach = |prism: &Prism, way: Vec2, end: Vec2| {
            prism.ring.iter().map(|point| (*point - end).dot(way)).fold(0.0, f32::max)
        };
        let (near, far) = (reach(prism, way, prism.centre), reach(prism, -way, prism.centre));
        let between = (other.centre - prism.centre).dot(way) - near - reach(other, -way, other.centre);
        let within = (near + far) / (near + far + between.max(0.0)).max(f32::MIN_POSITIVE);
        Self {
            first: back + hidden,
            corners,
            prism: [prism.low, prism.high - prism.low],
            low: prism.low - (prism.low - other.low).max(0.0) * within,
            high: prism.high + (other.high - prism.high).max(0.0) * within,
        }
    }

    /// All corners: 2i is the lower and 2i + 1 the upper end of edge i.
    fn points(&self) -> ArrayVec<Vec3, { 2 * FRONT_MAX }> {
        let ends = |corner: &Vec2| [self.low, self.high].map(|up| Vec3::new(corner.x, up, corner.y));
        self.corners.iter().flat_map(ends).collect()
    }

    /// The corners of a range of each: bit 0 chooses the end of the first, bit 1 that of the second.
    fn corners_of(&self, ranges: [[f32; 2]; 2]) -> [Vec3; 4] {
        let [along, up] = ranges;
        [0, 1, 2, 3].map(|corner| self.point(along[corner & 1], up[corner >> 1]))
    }

    fn edges(&self) -> usize {
        self.corners.len() - 1
    }

    /// `along` from 0 to the number of edges, `up` from 0 to 1.
    fn point(&self, along: f32, up: f32) -> Vec3 {
        let at = (along as usize).min(self.edges() - 1);
        let flat = self.corners[at].lerp(self.corners[at + 1], along - at as f32);
        Vec3::new(flat.x, self.low + (self.high - self.low) * up, flat.y)
    }

    /// A place on it, to be found again.
    fn spot(&self, along: f32, up: f32) -> Spot {
        let [low, height] = self.prism;
        let above = self.low + (self.high - self.low) * up - low;
        Spot::new(self.first as f32 + along, above / height.max(f32::MIN_POSITIVE))
    }

    /// Metres of a range along and up.
    fn extent(&self, range: [[f32; 2]; 2]) -> [f32; 2] {
        let [along, up] = range;
        let at = (along[0] as usize).min(self.edges() - 1);
        let edge = self.corners[at].distance(self.corners[at + 1]);
        [(along[1] - along[0]) * edge, (up[1] - up[0]) * (self.high - self.low)]
    }
}

/// Ranges along and up of the eyes' front, then of the body's front; and what blocks the lines between its corners: bit i of
/// a corner's number chooses the end of range i.
#[derive(Clone, Copy)]
struct Shaft {
    ranges: [[f32; 2]; 4],
    blockers: [u32; 16],
}

/// What stands on the lines between the corners of two fronts; of each only as many as the front has.
type Grid = [[u32; 2 * FRONT_MAX]; 2 * FRONT_MAX];

/// One judgement.
struct Search<'a> {
    statics: &'a StaticWorld,
    eyes: Front,
    body: Front,
    memory: &'a mut Memory,
    cost: u32,
    cost_max: u32,
}

/// Judges whether from anywhere in `eyes` anything in `body` can be seen, at a cost of at most about `cost_max` lines.
/// Returns what it cost too.
pub fn judge(statics: &StaticWorld, eyes: &Prism, body: &Prism, memory: &mut Memory, cost_max: u32) -> (Verdict, u32) {
    let (verdict, cost) = glance(statics, eyes, body, memory);
    if verdict != Verdict::Unsure || cost_max == 0 {
        return (verdict, cost);
    }
    let (from, to) = (Front::of(eyes, body), Front::of(body, eyes));
    let mut search = Search { statics, eyes: from, body: to, memory, cost, cost_max };
    (search.run(), search.cost)
}

/// What takes hardly any time: the line that was clear, and whether one upright box hides all.
fn glance(statics: &StaticWorld, eyes: &Prism, body: &Prism, memory: &mut Memory) -> (Verdict, u32) {
    let (line, hint) = (memory.line(eyes, body), memory.piece);
    let (mut cost, mut found) = (1, hint);
    if !statics.stands_on(hint, &line) {
        cost += WALK_COST;
        found = statics.blocker(&line);
        if found == StaticWorld::NOTHING {
            return (Verdict::Seen, cost);
        }
    }
    cost += GLANCE_COST;
    let Some(tangents) = Tangents::of(&eyes.ring, &body.ring) else { return (Verdict::Unsure, cost) };
    let (from, to) = (region(eyes), region(body));
    let hides_all = |piece: u32| statics.upright(piece).is_some_and(|wall| hides(&wall, &tangents, &from, &to));
    let pieces = if found == hint { &[hint][..] } else { &[hint, found] };
    match pieces.iter().find(|piece| hides_all(**piece)) {
        Some(piece) => {
            memory.piece = *piece;
            (Verdict::Hidden, cost)
        }
        None => (Verdict::Unsure, cost),
    }
}

fn region(prism: &Prism) -> Region<'_> {
    Region { corners: &prism.ring, low: prism.low, high: prism.high }
}

impl Search<'_> {
    fn line(&self, at: [f32; 4]) -> SightLine {
        SightLine::between(self.eyes.point(at[0], at[1]), self.body.point(at[2], at[3]))
    }

    /// What stands on a line; the piece that is thought to is asked first.
    fn blocker(&mut self, at: [f32; 4], hint: u32) -> u32 {
        let line = self.line(at);
        self.blocker_of(&line, at, hint)
    }

    /// The same where the line is there already.
    fn blocker_of(&mut self, line: &SightLine, at: [f32; 4], hint: u32) -> u32 {
        self.cost += 1;
        if self.statics.stands_on(hint, line) {
            return hint;
        }
        self.cost += WALK_COST;
        let found = self.statics.blocker(line);
        if found == StaticWorld::NOTHING {
            self.memory.clear = Some([self.eyes.spot(at[0], at[1]), self.body.spot(at[2], at[3])]);
        }
        found
    }

    fn run(&mut self) -> Verdict {
        let Some(grid) = self.grid() else { return Verdict::Seen };
        let (from, to) = (2 * self.eyes.edges() + 1, 2 * self.body.edges() + 1);
        for piece in [grid[0][0], grid[from][to], grid[0][to]] {
            if self.fills_all(&grid, piece) {
                self.memory.piece = piece;
                return Verdict::Hidden;
            }
        }
        self.memory.piece = grid[0][0];
        self.halve_all(&grid)
    }

    /// Whether one piece stands on the lines between all corners of both fronts.
    fn fills_all(&mut self, grid: &Grid, piece: u32) -> bool {
        let (eyes, bodies) = (self.eyes.points(), self.body.points());
        let mut lines = (0..eyes.len()).flat_map(|from| (0..bodies.len()).map(move |to| (from, to)));
        lines.all(|(from, to)| {
            grid[from][to] == piece || {
                self.cost += 1;
                self.statics.stands_on(piece, &SightLine::between(eyes[from], bodies[to]))
            }
        })
    }

    /// What stands on the lines between all corners of both fronts, or nothing if one is clear. Corner 2i is the lower
    /// and 2i + 1 the upper end of edge i.
    fn grid(&mut self) -> Option<Grid> {
        let mut grid = [[StaticWorld::NOTHING; 2 * FRONT_MAX]; 2 * FRONT_MAX];
        let mut hint = self.memory.piece;
        // Upper ends first: more is seen from above.
        let (eyes, bodies) = (self.eyes.points(), self.body.points());
        for (from, eye) in eyes.iter().enumerate().rev() {
            for (to, body) in bodies.iter().enumerate().rev() {
                let at = [(from / 2) as f32, (from % 2) as f32, (to / 2) as f32, (to % 2) as f32];
                hint = self.blocker_of(&SightLine::between(*eye, *body), at, hint);
                if hint == StaticWorld::NOTHING {
                    return None;
                }
                grid[from][to] = hint;
            }
        }
        Some(grid)
    }

    fn halve_all(&mut self, grid: &Grid) -> Verdict {
        let mut waiting = [Shaft { ranges: [[0.0; 2]; 4], blockers: [0; 16] }; SHAFTS_MAX];
        let mut count = 0;
        for from in 0..self.eyes.edges() {
            for to in 0..self.body.edges() {
                let edge = |at: usize| [at as f32, (at + 1) as f32];
                let blockers = core::array::from_fn(|corner: usize| {
                    let bit = |number: usize| corner >> number & 1;
                    grid[2 * (from + bit(0)) + bit(1)][2 * (to + bit(2)) + bit(3)]
                });
                waiting[count] = Shaft { ranges: [edge(from), [0.0, 1.0], edge(to), [0.0, 1.0]], blockers };
                count += 1;
            }
        }
        while count > 0 {
            count -= 1;
            let shaft = waiting[count];
            if self.is_filled(&shaft) {
                continue;
            }
            let Some(range) = self.range_to_halve(&shaft) else {
                // Too small to be halved: the line through the middle stands for it.
                if self.blocker(Self::middle(&shaft), shaft.blockers[0]) == StaticWorld::NOTHING {
                    return Verdict::Seen;
                }
                continue;
            };
            if self.cost > self.cost_max || count + 2 > SHAFTS_MAX {
                return Verdict::Unsure;
            }
            match self.halve(&shaft, range) {
                Some(halves) => {
                    waiting[count..count + 2].copy_from_slice(&halves);
                    count += 2;
                }
                None => return Verdict::Seen,
            }
        }
        Verdict::Hidden
    }

    fn corner(shaft: &Shaft, corner: usize) -> [f32; 4] {
        core::array::from_fn(|range| shaft.ranges[range][corner >> range & 1])
    }

    fn middle(shaft: &Shaft) -> [f32; 4] {
        core::array::from_fn(|range| 0.5 * (shaft.ranges[range][0] + shaft.ranges[range][1]))
    }

    /// Whether one piece stands on the lines between all corners.
    fn is_filled(&mut self, shaft: &Shaft) -> bool {
        let [a, b, c, d] = shaft.ranges;
        let (eyes, bodies) = (self.eyes.corners_of([a, b]), self.body.corners_of([c, d]));
        let (from, to) = ([eyes[0], eyes[1]].map(Vec3::xz), [bodies[0], bodies[1]].map(Vec3::xz));
        let tangents = Tangents::of(&from, &to);
        let from = Region { corners: &from, low: eyes[0].y, high: eyes[3].y };
        let to = Region { corners: &to, low: bodies[0].y, high: bodies[3].y };
        let mut tried = [StaticWorld::NOTHING; 2];
        for at in 0..tried.len() {
            let fresh = |blocker: &&u32| !tried[..at].contains(*blocker);
            let Some(piece) = shaft.blockers.iter().find(fresh).copied() else { return false };
            tried[at] = piece;
            if let (Some(wall), Some(tangents)) = (self.statics.upright(piece), &tangents) {
                self.cost += SHAFT_GLANCE_COST;
                if hides(&wall, tangents, &from, &to) {
                    return true;
                }
                continue;
            }
            let stands = |search: &mut Self, corner: usize| {
                search.cost += 1;
                search.statics.stands_on(piece, &SightLine::between(eyes[corner & 3], bodies[corner >> 2]))
            };
            if (0..16).all(|corner| shaft.blockers[corner] == piece || stands(self, corner)) {
                return true;
            }
        }
        false
    }

    /// The longest range across which what blocks is not the same; `None` if all such ranges are short.
    fn range_to_halve(&self, shaft: &Shaft) -> Option<usize> {
        let [r0, r1, r2, r3] = shaft.ranges;
        let ([a, b], [c, d]) = (self.eyes.extent([r0, r1]), self.body.extent([r2, r3]));
        let lengths = [a, b, c, d];
        let differs =
            |range: usize| (0..16_usize).any(|corner| shaft.blockers[corner] != shaft.blockers[corner ^ (1 << range)]);
        let long = (0..4).filter(|range| lengths[*range] > GAP_M && differs(*range));
        long.max_by(|a, b| lengths[*a].total_cmp(&lengths[*b]))
    }

    /// The two halves, or nothing if a line between them is clear.
    fn halve(&mut self, shaft: &Shaft, range: usize) -> Option<[Shaft; 2]> {
        let middle = 0.5 * (shaft.ranges[range][0] + shaft.ranges[range][1]);
        let (mut low, mut high) = (*shaft, *shaft);
        (low.ranges[range][1], high.ranges[range][0]) = (middle, middle);
        for corner in 0..16_usize {
            if corner >> range & 1 == 1 {
                let other = corner ^ (1 << range);
                let blocker = self.blocker(Self::corner(&low, corner), shaft.blockers[corner]);
                if blocker == StaticWorld::NOTHING {
                    return None;
                }
                (low.blockers[corner], high.blockers[other]) = (blocker, blocker);
            }
        }
        Some([low, high])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interest::reach::DIRECTIONS;

    #[test]
    fn a_place_on_a_front_is_found_again_from_anywhere() {
        let around = |centre: Vec2, radius: f32| Prism {
            centre,
            ring: DIRECTIONS.map(|way| centre + way * radius * (1.5 + way.x)),
            low: 1.0,
            high: 3.0,
        };
        let prism = around(Vec2::new(4.0, -2.0), 1.0);
        for way in DIRECTIONS {
            let other = Prism { low: 0.5, high: 5.0, ..around(Vec2::new(4.0, -2.0) + way * 20.0, 2.0) };
            let front = Front::of(&prism, &other);
            for (corner, part) in (0..front.edges()).flat_map(|at| [0.0, 0.25, 0.5, 1.0].map(|part| (at, part))) {
                for up in [0.0, 0.4, 1.0] {
                    let along = corner as f32 + part;
                    let (is, found) = (front.point(along, up), front.spot(along, up).on(&prism));
                    assert!(is.distance(found) < 0.02, "{is} {found}");
                }
            }
        }
    }
}
