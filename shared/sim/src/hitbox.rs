//! What can be hit, and where: analytic capsules of players at any time that the pose history holds, turrets, shield walls,
//! and the solid world. Hitboxes are not Rapier colliders, so that rewinding time costs nothing but arithmetic.

use arbiter_schema::{StableId, describe};
use arrayvec::ArrayVec;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::DeferredWorld;
use glam::{Quat, Vec3};

use crate::collide::MoverState;
use crate::deployables::{Turret, Wall};
use crate::event::Part;
use crate::index::{Identity, Index, Kind};
use crate::physics::{Place, Solids};
use crate::players::{Controls, Life, PoseHistory, PoseSample};
use crate::rules::{Act, Body as BodyRules, BodyPart, Movement, Rules};
use crate::simulation::{MatchSetup, RulesRef};
use crate::time::Clock;
use crate::told::Told;

/// On whose behalf something happens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Source {
    /// The entity that shows itself doing it: a player or a turret.
    pub id: StableId,
    /// Slot + 1 of the player whose deed it is; 0 is the world's.
    pub owner: u16,
    /// Team; 0 where each plays alone.
    pub team: u8,
}

impl Source {
    /// The slot of the player whose deed it is.
    pub fn slot(&self) -> Option<u16> {
        self.owner.checked_sub(1)
    }

    /// Whether something of `team` and `owner` is an enemy. What is nobody's is everybody's.
    pub fn hostile(&self, team: u8, owner: u16) -> bool {
        if self.team == 0 || team == 0 { self.owner != owner || owner == 0 } else { self.team != team }
    }
}

/// A time in the past that a shooter saw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ViewTime {
    /// The tick.
    pub tick: u32,
    /// 1/256 ticks towards the next.
    pub fraction: u8,
}

impl ViewTime {
    /// The same, but no further back than the rules allow.
    pub fn rewound(self, clock: &Clock, rules: &Rules) -> Self {
        let oldest = clock.tick.saturating_sub(clock.ticks(rules.combat.rewind_max_ms));
        if self.tick < oldest { Self { tick: oldest, fraction: 0 } } else { self }
    }
}

/// One player who may be hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlayerBody {
    /// Who.
    pub id: StableId,
    /// The entity.
    pub entity: Entity,
    /// Slot + 1.
    pub owner: u16,
    /// Team.
    pub team: u8,
    /// Where they are now.
    pub now: PoseSample,
    /// Whether that is where a client shows them, so that there is nothing to rewind.
    pub shown: bool,
}

/// One shield wall.
#[derive(Debug, Clone, Copy)]
pub struct WallBody {
    /// Which.
    pub id: StableId,
    /// Slot + 1 of its owner.
    pub owner: u16,
    /// Team.
    pub team: u8,
    /// Its centre.
    pub centre: Vec3,
    /// How it is turned.
    pub rotation: Quat,
    /// Half of its size.
    pub half: Vec3,
    /// Tick behind which it stood.
    pub raised: u32,
    /// Tick behind which it stood no more; `u32::MAX` while it stands.
    pub fell: u32,
}

impl WallBody {
    /// A wall; `fell` is `u32::MAX` while it stands.
    pub fn new(id: StableId, identity: &Identity, place: &Place, wall: &Wall, fell: u32) -> Self {
        Self {
            id,
            owner: identity.owner,
            team: identity.team,
            centre: place.position,
            rotation: place.rotation,
            half: Vec3::new(wall.width * 0.5, wall.height * 0.5, WALL_HALF_DEPTH),
            raised: wall.raised,
            fell,
        }
    }

    /// Whether it was there at a time that someone saw; now, if nobody looks into the past.
    fn stood(&self, seen: Option<u32>) -> bool {
        seen.map_or(self.fell == u32::MAX, |tick| self.raised <= tick && tick < self.fell)
    }
}

/// One turret: an upright capsule.
#[derive(Debug, Clone, Copy)]
pub struct TurretBody {
    /// Which.
    pub id: StableId,
    /// Slot + 1 of its owner.
    pub owner: u16,
    /// Team.
    pub team: u8,
    /// Its lowest point.
    pub foot: Vec3,
    /// Its radius.
    pub radius: f32,
    /// Its height.
    pub height: f32,
}

/// Everything that can be hit this tick, side by side in memory: a shot among 1,000 players walks this list once. Derived;
/// made anew each tick.
#[derive(Resource, Debug, Default)]
pub struct Bodies {
    /// Living players by slot.
    pub players: Vec<PlayerBody>,
    /// Where each of them is, for looking who is near a shot's way at all.
    places: Places,
    /// Walls that stand, by id.
    pub walls: Vec<WallBody>,
    /// Walls that fell a moment ago, in that order: who still sees them is stopped by them.
    pub fallen: Vec<WallBody>,
    /// Turrets by id.
    pub turrets: Vec<TurretBody>,
    /// Props and their centres, by id.
    pub props: Vec<(StableId, Vec3)>,
}

impl Bodies {
    /// Living players whose feet may be at most `within` metres from `point`, by slot: some are a little further away.
    pub fn near(&self, point: Vec3, within: f32) -> impl Iterator<Item = &PlayerBody> {
        const ROUNDING: f32 = 0.01;
        let near = self.places.near(point + Vec3::Y, Vec3::ZERO, 0.0, within + ROUNDING);
        near.map(|at| &self.players[at])
    }
}

/// Points in blocks whose coordinates lie side by side, so that several are judged by the instructions of one.
#[derive(Debug, Default)]
struct Places {
    blocks: Vec<[[f32; Self::LANES]; 3]>,
}

impl Places {
    /// So many that the compiler keeps the loop and makes vectors of it.
    const LANES: usize = 32;
    /// Where nothing is near, and a square still finite.
    const NOWHERE: f32 = 1e15;

    /// Puts points in place of those that were there.
    fn fill(&mut self, points: impl Iterator<Item = Vec3>) {
        self.blocks.clear();
        for (at, point) in points.enumerate() {
            let lane = at % Self::LANES;
            if lane == 0 {
                self.blocks.push([[Self::NOWHERE; Self::LANES]; 3]);
            }
            if let Some(block) = self.blocks.last_mut() {
                (block[0][lane], block[1][lane], block[2][lane]) = (point.x, point.y, point.z);
            }
        }
    }

    /// Numbers of the points at most `within` from the way of `max` metres from `from`, in their order.
    fn near(&self, from: Vec3, direction: Vec3, max: f32, within: f32) -> impl Iterator<Item = usize> {
        let within = within * within;
        self.blocks.iter().enumerate().flat_map(move |(number, [xs, ys, zs])| {
            let mut squares = [0.0; Self::LANES];
            let mut count = 0;
            for lane in 0..Self::LANES {
                let (x, y, z) = (xs[lane] - from.x, ys[lane] - from.y, zs[lane] - from.z);
                let along = x * direction.x + y * direction.y + z * direction.z;
                let along = if along > 0.0 { along } else { 0.0 };
                let along = if along < max { along } else { max };
                let (x, y, z) = (x - direction.x * along, y - direction.y * along, z - direction.z * along);
                squares[lane] = x * x + y * y + z * z;
                count += u32::from(squares[lane] <= within);
            }
            let lanes = squares.into_iter().enumerate();
            let near =
                lanes.filter_map(move |(lane, square)| (square <= within).then_some(number * Self::LANES + lane));
            near.take(count as usize)
        })
    }
}

/// Fills [`Bodies`].
#[allow(clippy::too_many_arguments, reason = "a system's parameters are what it touches")]
pub fn gather_bodies(
    index: Res<'_, Index>,
    rules: Res<'_, RulesRef>,
    mut bodies: ResMut<'_, Bodies>,
    fallen: Res<'_, FallenWalls>,
    shown: Option<Res<'_, Shown>>,
    players: Query<'_, '_, (&Identity, &Life, &MoverState, &Controls)>,
    walls: Query<'_, '_, (&Identity, &Place, &Wall)>,
    turrets: Query<'_, '_, (&Identity, &Place, &Turret)>,
    props: Query<'_, '_, &Place>,
) {
    bodies.players.clear();
    bodies.walls.clear();
    bodies.fallen.clear();
    bodies.fallen.extend(fallen.list.iter().map(FallenWall::body));
    bodies.turrets.clear();
    bodies.props.clear();
    for &(id, entity) in index.of(Kind::Prop) {
        if let Ok(place) = props.get(entity) {
            bodies.props.push((id, place.position));
        }
    }
    for (_, id, entity) in index.players() {
        let Ok((identity, life, state, controls)) = players.get(entity) else { continue };
        if life.alive {
            let now =
                PoseSample { position: state.position, yaw: controls.input.yaw, crouched: state.crouched, alive: true };
            let (owner, team) = (identity.owner, identity.team);
            bodies.players.push(PlayerBody { id, entity, owner, team, now, shown: false });
        }
    }
    if let Some(shown) = shown {
        bodies.players.extend(shown.players.iter().map(|player| player.body));
        bodies.walls.extend_from_slice(&shown.walls);
        bodies.turrets.extend_from_slice(&shown.turrets);
    }
    let Bodies { players, places, .. } = &mut *bodies;
    places.fill(players.iter().map(|body| body.now.position + Vec3::Y));
    for &(id, entity) in index.of(Kind::Shield) {
        let Ok((identity, place, wall)) = walls.get(entity) else { continue };
        bodies.walls.push(WallBody::new(id, identity, place, wall, u32::MAX));
    }
    for &(id, entity) in index.of(Kind::Deployable) {
        let Ok((identity, place, turret)) = turrets.get(entity) else { continue };
        let Some(Act::Deploy(rule)) = rules.abilities.get(usize::from(turret.ability)).map(|ability| &ability.act)
        else {
            continue;
        };
        bodies.turrets.push(TurretBody {
            id,
            owner: identity.owner,
            team: identity.team,
            foot: place.position,
            radius: rule.radius,
            height: rule.height,
        });
    }
}

describe! {
    /// A shield wall that fell.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct FallenWall {
        /// Which it was.
        pub id: StableId,
        /// Slot + 1 of its owner.
        pub owner: u16,
        /// Team.
        pub team: u8,
        /// Where it stood.
        pub place: Place,
        /// Half of its size.
        pub half: Vec3,
        /// Tick behind which it stood.
        pub raised: u32,
        /// Tick behind which it stood no more.
        pub fell: u32,
    }

    /// Walls that fell lately, for those who still see them; of too many the one that fell first is forgotten.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct FallenWalls {
        /// In the order of falling.
        pub list: ArrayVec<FallenWall, FALLEN_WALLS_MAX>,
    }
}

/// Walls that are remembered: a fight of ten players has two or three at a time.
pub const FALLEN_WALLS_MAX: usize = 16;

impl FallenWall {
    fn body(&self) -> WallBody {
        WallBody {
            id: self.id,
            owner: self.owner,
            team: self.team,
            centre: self.place.position,
            rotation: self.place.rotation,
            half: self.half,
            raised: self.raised,
            fell: self.fell,
        }
    }
}

/// Remembers a wall that goes, however it went.
pub(crate) fn note_fallen_wall(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    let parts = (world.get::<Wall>(entity), world.get::<Place>(entity), world.get::<Identity>(entity));
    let (Some(wall), Some(place), Some(identity)) = parts else { return };
    let tick = world.resource::<Clock>().tick;
    let body = WallBody::new(identity.id, identity, place, wall, tick);
    let fallen = FallenWall {
        id: body.id,
        owner: body.owner,
        team: body.team,
        place: *place,
        half: body.half,
        raised: body.raised,
        fell: body.fell,
    };
    // Room that is made before the first tick is no wall.
    let real = wall.width > 0.0;
    let list = &mut world.resource_mut::<FallenWalls>().list;
    if real {
        if list.is_full() {
            list.remove(0);
        }
        list.push(fallen);
    }
}

/// A player as a client shows them to its own shots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShownPlayer {
    /// Who, and where they are shown.
    pub body: PlayerBody,
    /// Where they are in one's way: as shown, but never further back than the rules rewind.
    pub stands: Vec3,
    /// Ticks of the two states between which they are drawn; one and the same if nothing newer is known.
    pub drawn: (u32, u32),
}

/// What a client shows of the others. Only where one player is predicted: see [`crate::prediction`].
#[derive(Resource, Debug, Default)]
pub struct Shown {
    /// The living others, by stable id.
    pub players: Vec<ShownPlayer>,
    /// Their walls.
    pub walls: Vec<WallBody>,
    /// Their turrets.
    pub turrets: Vec<TurretBody>,
}

/// Half of a shield wall's thickness in metres: thick enough that nothing starts inside by rounding.
const WALL_HALF_DEPTH: f32 = 0.05;

/// What a trace met first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Met {
    /// A solid; none for the map, else a prop or a platform.
    Solid(StableId),
    /// A player.
    Player(StableId, Entity, Part),
    /// A turret.
    Turret(StableId),
    /// An enemy's shield wall.
    Wall(StableId),
}

/// Where a trace met it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trace {
    /// Metres along.
    pub distance: f32,
    /// Away from what was met; only right for solids.
    pub normal: Vec3,
    /// What.
    pub met: Met,
}

/// All that a shot, a sweep or a projectile asks of the world.
#[derive(SystemParam)]
pub struct Scene<'w, 's> {
    /// What can be hit.
    pub bodies: Res<'w, Bodies>,
    /// What is solid.
    pub solids: Res<'w, Solids>,
    /// The rules.
    pub rules: Res<'w, RulesRef>,
    /// The match.
    pub setup: Res<'w, MatchSetup>,
    /// The time.
    pub clock: Res<'w, Clock>,
    /// Who was told of whom.
    pub told: Res<'w, Told>,
    histories: Query<'w, 's, &'static PoseHistory>,
}

impl Scene<'_, '_> {
    /// Where a player was at a time that someone saw, never further back than the rules allow. `None` if dead then.
    pub fn pose(&self, body: &PlayerBody, seen: Option<ViewTime>) -> Option<PoseSample> {
        let (Some((tick, fraction)), false) = (self.rewound(seen), body.shown) else { return Some(body.now) };
        let now = self.clock.tick;
        let pose = self.histories.get(body.entity).ok().and_then(|history| history.at(tick, fraction, now));
        pose.filter(|pose| pose.alive)
    }

    /// A time that someone saw, as far back as the rules allow.
    fn rewound(&self, seen: Option<ViewTime>) -> Option<(u32, u8)> {
        seen.map(|seen| seen.rewound(&self.clock, &self.rules)).map(|seen| (seen.tick, seen.fraction))
    }

    /// Whether shots of `source` at what it saw meet a player: never oneself; friends only where they can be hurt; nobody of
    /// whom the shooter was not told ([`crate::told`]).
    pub fn shootable(&self, source: &Source, body: &PlayerBody, seen: Option<ViewTime>) -> bool {
        body.owner != source.owner
            && (self.setup.friendly_fire > 0.0 || source.hostile(body.team, body.owner))
            && self.told.allows(source, body, seen)
    }

    /// The first thing on the way of a ball of `radius` (0 is a ray). `direction` is a unit vector. `meets` chooses players.
    pub fn trace(
        &self,
        source: &Source,
        (from, direction): (Vec3, Vec3),
        max: f32,
        radius: f32,
        seen: Option<ViewTime>,
        meets: &dyn Fn(&PlayerBody) -> bool,
    ) -> Option<Trace> {
        let world = self.solids.world();
        let solid = if radius > 0.0 {
            world.sphere_cast(from, direction, max, radius)
        } else {
            world.ray(from, direction, max)
        };
        let mut best = solid.map(|hit| Trace { distance: hit.distance, normal: hit.normal, met: Met::Solid(hit.id) });
        let reach = |best: &Option<Trace>| best.map_or(max, |trace| trace.distance);
        // On a client what is shown is what was seen.
        let then = self.rewound(seen).map(|(tick, _)| tick);
        for wall in self.bodies.walls.iter().chain(&self.bodies.fallen) {
            if !source.hostile(wall.team, wall.owner) || !wall.stood(then) {
                continue;
            }
            if let Some(distance) = ray_box(from, direction, reach(&best), wall, radius) {
                best = Some(Trace { distance, normal: -direction, met: Met::Wall(wall.id) });
            }
        }
        for turret in &self.bodies.turrets {
            if !source.hostile(turret.team, turret.owner) || turret.id == source.id {
                continue;
            }
            let low = turret.foot + Vec3::Y * turret.radius.min(turret.height * 0.5);
            let high = turret.foot + Vec3::Y * (turret.height - turret.radius).max(turret.height * 0.5);
            if let Some(distance) = ray_capsule(from, direction, reach(&best), low, high, turret.radius + radius) {
                best = Some(Trace { distance, normal: -direction, met: Met::Turret(turret.id) });
            }
        }
        let reach = best.map_or(max, |trace| trace.distance);
        self.trace_players((from, direction), reach, radius, seen, meets).or(best)
    }

    /// The first player alone, whatever is in the way.
    pub fn trace_players(
        &self,
        (from, direction): (Vec3, Vec3),
        max: f32,
        radius: f32,
        seen: Option<ViewTime>,
        meets: &dyn Fn(&PlayerBody) -> bool,
    ) -> Option<Trace> {
        let mut best: Option<Trace> = None;
        let reach = |best: &Option<Trace>| best.map_or(max, |trace| trace.distance);
        // How far from their place of now players may have been then: nobody is faster than the fastest fall.
        let back = seen.map_or(0, |seen| self.clock.tick.saturating_sub(seen.tick));
        let back = (back as f32 * self.clock.dt).min(self.rules.combat.rewind_max_ms as f32 * 0.001);
        let slack = BODY_RADIUS + radius + back * self.rules.movement.fall_speed_max;
        for at in self.bodies.places.near(from, direction, max, slack) {
            let body = &self.bodies.players[at];
            if !meets(body) {
                continue;
            }
            let Some(pose) = self.pose(body, seen) else { continue };
            let centre = pose.position + Vec3::Y - from;
            let along = centre.dot(direction).clamp(0.0, reach(&best));
            let apart = BODY_RADIUS + radius;
            // In a crowd most of those who may have been near were not.
            if (centre - direction * along).length_squared() > apart * apart {
                continue;
            }
            let hit = hit_body(&self.rules.body, &self.rules.movement, &pose, from, direction, reach(&best), radius);
            if let Some((distance, part)) = hit {
                best = Some(Trace { distance, normal: -direction, met: Met::Player(body.id, body.entity, part) });
            }
        }
        best
    }
}

/// No hitbox reaches further from a point one metre above the feet.
const BODY_RADIUS: f32 = 1.6;

/// The first capsule of a body on the way of a ball, with its part. Of equal distances the first in the rules counts.
pub fn hit_body(
    rules: &BodyRules,
    movement: &Movement,
    pose: &PoseSample,
    from: Vec3,
    direction: Vec3,
    max: f32,
    radius: f32,
) -> Option<(f32, Part)> {
    let (sin, cos) = libm::sincosf(f32::from(pose.yaw) * (core::f32::consts::TAU / 65_536.0));
    let squash = if pose.crouched { movement.crouch_height / movement.height } else { 1.0 };
    let place = |point: [f32; 3]| {
        let [x, y, z] = point;
        pose.position + Vec3::new(x * cos + z * sin, y * squash, -x * sin + z * cos)
    };
    let mut best: Option<(f32, Part)> = None;
    for hitbox in &rules.hitboxes {
        let reach = best.map_or(max, |(distance, _)| distance);
        let hit = ray_capsule(from, direction, reach, place(hitbox.from), place(hitbox.to), hitbox.radius + radius);
        if let Some(distance) = hit
            && best.is_none_or(|(nearest, _)| distance < nearest)
        {
            best = Some((distance, part_of(hitbox.part)));
        }
    }
    best
}

/// The part as events tell it.
pub fn part_of(part: BodyPart) -> Part {
    match part {
        BodyPart::Head => Part::Head,
        BodyPart::Body => Part::Body,
        BodyPart::Limb => Part::Limb,
    }
}

/// Metres along a ray to a capsule between `a` and `b`; 0 from inside. After Inigo Quilez, "Capsule intersection".
pub fn ray_capsule(from: Vec3, direction: Vec3, max: f32, a: Vec3, b: Vec3, radius: f32) -> Option<f32> {
    if distance_to_segment(from, a, b) <= radius {
        return Some(0.0);
    }
    let axis = b - a;
    let offset = from - a;
    let (axis_axis, axis_ray, axis_offset) = (axis.dot(axis), axis.dot(direction), axis.dot(offset));
    let (ray_offset, offset_offset) = (direction.dot(offset), offset.dot(offset));
    let square = axis_axis - axis_ray * axis_ray;
    let mut nearest = f32::INFINITY;
    if square > 1e-9 {
        let half = axis_axis * ray_offset - axis_offset * axis_ray;
        let rest = axis_axis * offset_offset - axis_offset * axis_offset - radius * radius * axis_axis;
        let root = half * half - square * rest;
        if root >= 0.0 {
            let distance = (-half - root.sqrt()) / square;
            let height = axis_offset + distance * axis_ray;
            if height > 0.0 && height < axis_axis && distance >= 0.0 {
                nearest = distance;
            }
        }
    }
    for end in [a, b] {
        if let Some(distance) = ray_ball(from, direction, end, radius) {
            nearest = nearest.min(distance);
        }
    }
    (nearest <= max).then_some(nearest)
}

/// Metres along a ray to a ball.
pub fn ray_ball(from: Vec3, direction: Vec3, centre: Vec3, radius: f32) -> Option<f32> {
    let offset = from - centre;
    let half = direction.dot(offset);
    let root = half * half - (offset.dot(offset) - radius * radius);
    if root < 0.0 {
        return None;
    }
    let distance = -half - root.sqrt();
    (distance >= 0.0).then_some(distance)
}

/// Metres between a point and a segment.
pub fn distance_to_segment(point: Vec3, a: Vec3, b: Vec3) -> f32 {
    let axis = b - a;
    let length = axis.dot(axis);
    let part = if length > 0.0 { ((point - a).dot(axis) / length).clamp(0.0, 1.0) } else { 0.0 };
    point.distance(a + axis * part)
}

/// Metres along a ray to a wall grown by `radius`. From inside or behind its front it is not met: one may shoot out of it.
fn ray_box(from: Vec3, direction: Vec3, max: f32, wall: &WallBody, radius: f32) -> Option<f32> {
    let back = wall.rotation.conjugate();
    let (from, direction) = (back * (from - wall.centre), back * direction);
    let half = wall.half + Vec3::splat(radius);
    let (mut enter, mut leave) = (0.0f32, max);
    for axis in 0..3 {
        if direction[axis].abs() < 1e-9 {
            if from[axis].abs() > half[axis] {
                return None;
            }
            continue;
        }
        let one = (-half[axis] - from[axis]) / direction[axis];
        let two = (half[axis] - from[axis]) / direction[axis];
        enter = enter.max(one.min(two));
        leave = leave.min(one.max(two));
    }
    (enter <= leave && enter > 0.0).then_some(enter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn a_ray_meets_a_capsule_at_its_surface() {
        let hit = ray_capsule(Vec3::new(0.0, 1.0, 5.0), Vec3::NEG_Z, 10.0, Vec3::ZERO, Vec3::Y * 2.0, 0.5);
        assert_eq!(hit, Some(4.5));
    }

    #[test]
    fn a_ray_along_the_axis_meets_the_cap() {
        let hit = ray_capsule(Vec3::Y * 5.0, Vec3::NEG_Y, 10.0, Vec3::ZERO, Vec3::Y * 2.0, 0.5);
        assert_eq!(hit, Some(2.5));
    }

    #[test]
    fn a_ray_that_starts_inside_meets_at_once() {
        assert_eq!(ray_capsule(Vec3::Y, Vec3::X, 10.0, Vec3::ZERO, Vec3::Y * 2.0, 0.5), Some(0.0));
    }

    #[test]
    fn a_ray_does_not_meet_what_is_behind_or_too_far() {
        let capsule = |from, direction, max| ray_capsule(from, direction, max, Vec3::ZERO, Vec3::Y, 0.5);
        assert_eq!(capsule(Vec3::Z * 5.0, Vec3::Z, 10.0), None);
        assert_eq!(capsule(Vec3::Z * 5.0, Vec3::NEG_Z, 4.0), None);
    }

    fn aim_at(height: f32, crouched: bool) -> Option<Part> {
        let rules = Rules::shipped();
        let pose = PoseSample { crouched, alive: true, ..PoseSample::default() };
        let from = Vec3::new(0.0, height, 10.0);
        hit_body(&rules.body, &rules.movement, &pose, from, Vec3::NEG_Z, 20.0, 0.0).map(|hit| hit.1)
    }

    #[test]
    fn a_shot_at_eye_height_hits_the_head() {
        assert_eq!(aim_at(1.65, false), Some(Part::Head));
    }

    #[test]
    fn a_shot_at_chest_height_hits_the_trunk() {
        assert_eq!(aim_at(1.2, false), Some(Part::Body));
    }

    #[test]
    fn a_shot_over_someone_crouched_hits_nothing() {
        assert_eq!(aim_at(1.65, true), None);
    }

    #[test]
    fn hitboxes_turn_with_the_look() {
        let rules = Rules::shipped();
        // An arm is at x = 0.3; after a quarter turn it is at z = -0.3, so a ray beside the trunk misses.
        let shot = |yaw| {
            let pose = PoseSample { yaw, alive: true, ..PoseSample::default() };
            let from = Vec3::new(0.32, 1.2, 10.0);
            hit_body(&rules.body, &rules.movement, &pose, from, Vec3::NEG_Z, 20.0, 0.0)
        };
        assert!(shot(0).is_some());
        assert!(shot(16_384).is_none());
    }

    #[test]
    fn a_wall_stops_from_outside_and_lets_out_from_inside() {
        let wall = WallBody {
            id: StableId(1),
            owner: 1,
            team: 1,
            centre: Vec3::Y,
            rotation: Quat::IDENTITY,
            half: Vec3::new(2.0, 1.0, 0.05),
            raised: 0,
            fell: u32::MAX,
        };
        assert_eq!(ray_box(Vec3::new(0.0, 1.0, 2.05), Vec3::NEG_Z, 10.0, &wall, 0.0), Some(2.0));
        assert_eq!(ray_box(Vec3::Y, Vec3::NEG_Z, 10.0, &wall, 0.0), None);
        assert_eq!(ray_box(Vec3::new(3.0, 1.0, 2.0), Vec3::NEG_Z, 10.0, &wall, 0.0), None);
    }

    #[test]
    fn without_teams_everyone_but_oneself_is_hostile() {
        let me = Source { id: StableId(1), owner: 1, team: 0 };
        assert!(me.hostile(0, 2));
        assert!(!me.hostile(0, 1));
    }
}
