//! Walking: the map's waypoints as a graph, the shortest way over it, and a walker that follows a way and notices when it
//! is stuck. Knows no fight; [`super::brain`] says where to go.

use std::collections::BinaryHeap;

use arbiter_sim::Map;
use glam::Vec3;

/// Cells of the lookup grid are this wide, in metres: a few waypoints lie in each on maps made for people.
const CELL: f32 = 8.0;
/// A waypoint counts as reached within this many metres on the ground.
const REACHED: f32 = 0.9;
/// A waypoint on another floor is not reached by standing under it: metres of height.
const FLOOR: f32 = 1.6;
/// A walker that gained less than this many metres in [`STUCK_S`] seconds is stuck.
const STUCK_GAIN: f32 = 0.35;
/// See [`STUCK_GAIN`].
const STUCK_S: f32 = 0.6;
/// Times that a walker may be stuck on one way before it looks for another.
const STUCK_TIMES_MAX: u32 = 3;
/// A way longer than this many waypoints is cut: it will be stale before its end.
const WAY_MAX: usize = 256;

/// The waypoints of a map, made once and shared by all bots.
#[derive(Debug)]
pub struct Graph {
    positions: Vec<Vec3>,
    links: Vec<Vec<u16>>,
    origin: Vec3,
    columns: usize,
    rows: usize,
    cells: Vec<Vec<u16>>,
}

impl Graph {
    /// The graph of a map. Links to waypoints that do not exist are left out.
    pub fn new(map: &Map) -> Self {
        let count = map.waypoints.len().min(usize::from(u16::MAX));
        let positions: Vec<Vec3> = map.waypoints[..count].iter().map(|waypoint| waypoint.position).collect();
        let links = map.waypoints[..count]
            .iter()
            .map(|waypoint| waypoint.links.iter().copied().filter(|link| usize::from(*link) < count).collect())
            .collect();
        let (low, high) = bounds(&positions);
        let columns = ((high.x - low.x) / CELL) as usize + 1;
        let rows = ((high.z - low.z) / CELL) as usize + 1;
        let mut graph = Self { positions, links, origin: low, columns, rows, cells: vec![Vec::new(); columns * rows] };
        for index in 0..count {
            let (column, row) = graph.cell(graph.positions[index]);
            graph.cells[row * columns + column].push(index as u16);
        }
        graph
    }

    /// How many waypoints there are.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether the map has no waypoints: bots then walk straight.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Where a waypoint is.
    pub fn position(&self, waypoint: u16) -> Option<Vec3> {
        self.positions.get(usize::from(waypoint)).copied()
    }

    fn cell(&self, at: Vec3) -> (usize, usize) {
        let column = ((at.x - self.origin.x) / CELL).max(0.0) as usize;
        let row = ((at.z - self.origin.z) / CELL).max(0.0) as usize;
        (column.min(self.columns - 1), row.min(self.rows - 1))
    }

    /// The waypoint nearest to a place; height counts thrice, since the right floor matters more than the distance.
    pub fn nearest(&self, to: Vec3) -> Option<u16> {
        if self.is_empty() {
            return None;
        }
        let cost = |index: u16| {
            let apart = self.positions[usize::from(index)] - to;
            (apart * Vec3::new(1.0, 3.0, 1.0)).length_squared()
        };
        let (column, row) = self.cell(to);
        let mut best: Option<(f32, u16)> = None;
        for ring in 0..self.columns.max(self.rows) {
            for (x, z) in ring_cells(column, row, ring, self.columns, self.rows) {
                for &index in &self.cells[z * self.columns + x] {
                    let found = cost(index);
                    if best.is_none_or(|(least, _)| found < least) {
                        best = Some((found, index));
                    }
                }
            }
            // Whatever lies further out is at least `ring` whole cells away.
            if best.is_some_and(|(least, _)| least <= (ring as f32 * CELL).powi(2)) {
                break;
            }
        }
        best.map(|(_, index)| index)
    }

    /// The shortest way between two waypoints by A*, both ends included; empty if there is none. `shunned` is a waypoint
    /// to go around where possible.
    pub fn way(&self, from: u16, to: u16, shunned: Option<u16>, scratch: &mut Scratch) -> Vec<u16> {
        let count = self.len();
        if usize::from(from) >= count || usize::from(to) >= count {
            return Vec::new();
        }
        scratch.start(count);
        let goal = self.positions[usize::from(to)];
        scratch.open(from, from, 0.0, self.positions[usize::from(from)].distance(goal));
        while let Some(Candidate { waypoint, cost, .. }) = scratch.heap.pop() {
            if waypoint == to {
                return scratch.trace(from, to);
            }
            if cost > scratch.cost[usize::from(waypoint)] {
                continue;
            }
            for &next in &self.links[usize::from(waypoint)] {
                let here = self.positions[usize::from(waypoint)];
                let there = self.positions[usize::from(next)];
                // Climbing is slower than walking, and a shunned waypoint costs a long detour.
                let mut step = here.distance(there) + (there.y - here.y).max(0.0);
                if shunned == Some(next) {
                    step += 40.0;
                }
                scratch.open(waypoint, next, cost + step, there.distance(goal));
            }
        }
        Vec::new()
    }
}

fn bounds(positions: &[Vec3]) -> (Vec3, Vec3) {
    let Some(&first) = positions.first() else {
        return (Vec3::ZERO, Vec3::ZERO);
    };
    positions.iter().fold((first, first), |(low, high), at| (low.min(*at), high.max(*at)))
}

/// The cells at Chebyshev distance `ring` of a cell, inside the grid.
fn ring_cells(
    column: usize,
    row: usize,
    ring: usize,
    columns: usize,
    rows: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let (x0, z0) = (column as i64, row as i64);
    let ring = ring as i64;
    let (columns, rows) = (columns as i64, rows as i64);
    (-ring..=ring).flat_map(move |dz| {
        let whole = dz.abs() == ring;
        let step = if whole || ring == 0 { 1 } else { 2 * ring };
        (0..)
            .map(move |at| -ring + at * step)
            .take_while(move |dx| *dx <= ring)
            .map(move |dx| (x0 + dx, z0 + dz))
            .filter(move |(x, z)| (0..columns).contains(x) && (0..rows).contains(z))
            .map(|(x, z)| (x as usize, z as usize))
    })
}

#[derive(Debug, PartialEq)]
struct Candidate {
    guess: f32,
    cost: f32,
    waypoint: u16,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        // The heap gives the largest: the smallest guess must be it, and equal ones go by number for the seed's sake.
        other.guess.total_cmp(&self.guess).then(other.waypoint.cmp(&self.waypoint))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What a search writes on; kept by whoever searches, so that a search allocates nothing once warm.
#[derive(Debug, Default)]
pub struct Scratch {
    cost: Vec<f32>,
    before: Vec<u16>,
    heap: BinaryHeap<Candidate>,
}

impl Scratch {
    fn start(&mut self, count: usize) {
        self.cost.clear();
        self.cost.resize(count, f32::INFINITY);
        self.before.clear();
        self.before.resize(count, u16::MAX);
        self.heap.clear();
    }

    fn open(&mut self, from: u16, to: u16, cost: f32, left: f32) {
        let at = usize::from(to);
        if cost < self.cost[at] {
            self.cost[at] = cost;
            self.before[at] = from;
            self.heap.push(Candidate { guess: cost + left, cost, waypoint: to });
        }
    }

    fn trace(&self, from: u16, to: u16) -> Vec<u16> {
        let mut way = vec![to];
        let mut at = to;
        while at != from {
            at = self.before[usize::from(at)];
            way.push(at);
        }
        way.reverse();
        way.truncate(WAY_MAX);
        way
    }
}

/// Where the walker wants to go this tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Horizontal unit vector, or zero on arrival.
    pub direction: Vec3,
    /// Whether a jump may help.
    pub jump: bool,
    /// Whether the goal is reached.
    pub arrived: bool,
}

/// Follows ways over a graph.
#[derive(Debug, Default)]
pub struct Walker {
    way: Vec<u16>,
    next: usize,
    goal: Option<Vec3>,
    shunned: Option<u16>,
    stuck_times: u32,
    since_check_s: f32,
    checked_at: Vec3,
    sidestep_s: f32,
    sidestep_left: bool,
}

impl Walker {
    /// Forgets the way: after a death or a teleport.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The step from `at` (the feet) towards `goal`, `dt` seconds after the last one.
    pub fn step(&mut self, graph: &Graph, scratch: &mut Scratch, at: Vec3, goal: Vec3, dt: f32) -> Step {
        // A goal that moves a little keeps its way: only its last stretch changes.
        if self.goal.is_none_or(|old| old.distance_squared(goal) > 9.0) {
            self.plan(graph, scratch, at, goal);
        }
        let stuck = self.notice_stuck(at, dt);
        if stuck && self.stuck_times >= STUCK_TIMES_MAX {
            self.shunned = self.way.get(self.next).copied();
            self.plan(graph, scratch, at, goal);
        }
        let target = self.target(graph, at, goal);
        let flat = (target - at).with_y(0.0);
        let apart = (goal - at).with_y(0.0).length();
        if apart < REACHED && (goal.y - at.y).abs() < FLOOR {
            self.checked_at = Vec3::MAX;
            return Step { direction: Vec3::ZERO, jump: false, arrived: true };
        }
        let mut direction = flat.normalize_or_zero();
        if self.sidestep_s > 0.0 {
            self.sidestep_s -= dt;
            let left = Vec3::new(direction.z, 0.0, -direction.x);
            direction = (direction * 0.4 + if self.sidestep_left { left } else { -left }).normalize_or_zero();
        }
        let climb = target.y - at.y > 0.6 && flat.length() < 2.5;
        Step { direction, jump: stuck || climb, arrived: false }
    }

    fn plan(&mut self, graph: &Graph, scratch: &mut Scratch, at: Vec3, goal: Vec3) {
        self.goal = Some(goal);
        self.stuck_times = 0;
        self.next = 0;
        self.way = match (graph.nearest(at), graph.nearest(goal)) {
            (Some(from), Some(to)) => graph.way(from, to, self.shunned, scratch),
            _ => Vec::new(),
        };
        // Walking back to the nearest waypoint looks foolish when the second one is ahead already.
        if let [first, second, ..] = self.way[..] {
            let (first, second) = (graph.positions[usize::from(first)], graph.positions[usize::from(second)]);
            if at.distance(second) < first.distance(second) && (at.y - second.y).abs() < FLOOR {
                self.next = 1;
            }
        }
    }

    fn target(&mut self, graph: &Graph, at: Vec3, goal: Vec3) -> Vec3 {
        while let Some(next) = self.way.get(self.next).and_then(|next| graph.position(*next)) {
            let apart = next - at;
            if apart.with_y(0.0).length() > REACHED || apart.y.abs() > FLOOR {
                return next;
            }
            self.next += 1;
            self.stuck_times = 0;
            self.shunned = None;
        }
        goal
    }

    fn notice_stuck(&mut self, at: Vec3, dt: f32) -> bool {
        self.since_check_s += dt;
        if self.since_check_s < STUCK_S {
            return false;
        }
        let stuck = at.distance(self.checked_at) < STUCK_GAIN;
        self.since_check_s = 0.0;
        self.checked_at = at;
        if stuck {
            self.stuck_times += 1;
            self.sidestep_s = 0.35;
            self.sidestep_left = !self.sidestep_left;
        }
        stuck
    }
}
