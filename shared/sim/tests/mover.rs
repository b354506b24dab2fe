//! Contract of the mover: it never ends in a solid by more than a slop, never crosses one at any speed, never sticks, never
//! climbs what it may not, and makes the same bits from the same arguments.
//!
//! Clutter is random but seeded: a failure names its case, and the same case comes again.

use arbiter_schema::{ByteSink, StableId, Value as _};
use arbiter_sim::collide::{
    ConvexShape, DynSolid, DynamicWorld, MoverParams, MoverState, MoverWish, Push, Separation, StaticWorld, World,
    move_character,
};
use arbiter_sim::map::{Shape, Solid};
use arrayvec::ArrayVec;
use glam::{Quat, Vec3};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// Metres that a character may be in a solid: the mover's skin and a little rounding.
const SLOP: f32 = 0.02;
const DT: f32 = 1.0 / 60.0;

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(0x000A_4B17_E401), failure_persistence: None, ..Config::default() }
}

/// PCG: chance of our own, so that a case does not change with a library.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        let old = self.0;
        self.0 = old.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (((old >> 18) ^ old) >> 27) as u32;
        (mixed.rotate_right((old >> 59) as u32) >> 8) as f32 / 16_777_216.0
    }
    fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }
    fn vector(&mut self, size: f32) -> Vec3 {
        Vec3::new(self.range(-size, size), self.range(-size, size), self.range(-size, size))
    }
    fn turn(&mut self) -> Quat {
        Quat::from_xyzw(self.range(-1.0, 1.0), self.range(-1.0, 1.0), self.range(-1.0, 1.0), self.range(0.1, 1.0))
            .normalize()
    }
    fn heading(&mut self) -> Vec3 {
        heading(self.range(0.0, core::f32::consts::TAU))
    }
}

fn heading(angle: f32) -> Vec3 {
    let (sin, cos) = libm::sincosf(angle);
    Vec3::new(cos, 0.0, sin)
}

fn solid(shape: Shape, position: Vec3, rotation: Quat) -> Solid {
    Solid { name: "test".into(), shape, position, rotation }
}

fn block(position: Vec3, half: Vec3) -> Solid {
    solid(Shape::Box { half }, position, Quat::IDENTITY)
}

fn floor() -> Solid {
    block(Vec3::new(0.0, -1.0, 0.0), Vec3::new(60.0, 1.0, 60.0))
}

/// Its upper face goes up towards +x from the origin.
fn ramp(degrees: f32) -> Solid {
    let rotation = Quat::from_rotation_z(degrees.to_radians());
    solid(Shape::Box { half: Vec3::new(20.0, 1.0, 5.0) }, rotation * Vec3::new(20.0, -1.0, 0.0), rotation)
}

/// Walls of a closed room of half size 5 and height 6: thin boxes, or two triangles each.
fn room(triangles: bool) -> Vec<Solid> {
    let mut solids = Vec::new();
    for (normal, distance) in
        [(Vec3::X, 5.0), (Vec3::NEG_X, 5.0), (Vec3::Z, 5.0), (Vec3::NEG_Z, 5.0), (Vec3::Y, 6.0), (Vec3::NEG_Y, 0.0)]
    {
        let across = if normal.x == 0.0 { Vec3::X } else { Vec3::Z };
        let up = normal.cross(across);
        let centre = if normal.y == 0.0 { normal * distance + Vec3::Y * 3.0 } else { normal * distance };
        if triangles {
            let at = |a: f32, b: f32| centre + (across * a + up * b) * 6.0;
            let vertices = vec![at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)];
            let indices = vec![[0, 2, 1], [0, 3, 2]];
            solids.push(solid(Shape::Mesh { vertices, indices }, Vec3::ZERO, Quat::IDENTITY));
        } else {
            let half = (across.abs() + up.abs()) * 6.0 + normal.abs() * 0.02;
            solids.push(block(centre + normal * 0.02, half));
        }
    }
    solids
}

/// Tilted boxes, balls, cylinders and hulls on a floor.
fn clutter(random: &mut Random, count: usize, spread: f32, clear: f32) -> Vec<Solid> {
    let mut solids = vec![floor()];
    while solids.len() <= count {
        let position = Vec3::new(random.range(-spread, spread), random.range(0.0, 1.2), random.range(-spread, spread));
        let size = random.range(0.2, 0.9);
        if Vec3::new(position.x, 0.0, position.z).length() < clear + size * 1.8 {
            continue;
        }
        let shape = match solids.len() % 6 {
            0 => Shape::Ball { radius: size },
            1 => Shape::Cylinder { radius: size * 0.6, half_height: size },
            2 => Shape::Hull { points: (0..9).map(|_| random.vector(size)).collect() },
            _ => Shape::Box { half: Vec3::new(size, random.range(0.1, 0.9), random.range(0.1, 0.9)) },
        };
        solids.push(solid(shape, position, random.turn()));
    }
    solids
}

struct Scene {
    statics: StaticWorld,
    dynamics: DynamicWorld,
    params: MoverParams,
}

impl Scene {
    fn new(solids: &[Solid]) -> Self {
        let mut dynamics = DynamicWorld::default();
        dynamics.build();
        Self { statics: StaticWorld::new(solids).unwrap(), dynamics, params: MoverParams::default() }
    }

    fn world(&self) -> World<'_> {
        World { statics: &self.statics, dynamics: &self.dynamics }
    }

    fn tick(&self, state: &mut MoverState, wish: &MoverWish, dt: f32) -> ArrayVec<Push, 16> {
        let mut pushes = ArrayVec::new();
        move_character(&self.world(), &self.params, state, wish, dt, &mut pushes);
        pushes
    }

    fn walk(&self, state: &mut MoverState, velocity: Vec3, ticks: usize) {
        let wish = MoverWish { velocity, ..MoverWish::default() };
        for _ in 0..ticks {
            self.tick(state, &wish, DT);
        }
    }

    /// Whether the character is in a solid by more than the slop, by balls along its axis.
    fn inside(&self, state: &MoverState) -> bool {
        let radius = self.params.radius;
        let height = if state.crouched { self.params.crouch_height } else { self.params.height };
        let mut touched = false;
        for step in 0..=12 {
            let up = radius + (height - radius * 2.0) * step as f32 / 12.0;
            self.world().overlap_sphere(state.position + Vec3::Y * up, radius - SLOP, |_| touched = true);
        }
        touched
    }

    fn place(&mut self, solids: &[(DynSolid, ConvexShape)]) {
        self.dynamics.clear();
        for (solid, shape) in solids {
            assert!(self.dynamics.push(*solid, shape));
        }
        self.dynamics.build();
    }
}

fn at(position: Vec3) -> MoverState {
    MoverState { position, ..MoverState::default() }
}

fn standing(position: Vec3) -> MoverState {
    MoverState { position, grounded: true, ..MoverState::default() }
}

fn moving(id: u32, position: Vec3, velocity: Vec3, movable: bool) -> DynSolid {
    let rotation = Quat::IDENTITY;
    DynSolid { id: StableId(id), position, rotation, velocity, angular_velocity: Vec3::ZERO, movable }
}

fn random_wish(random: &mut Random) -> MoverWish {
    MoverWish {
        velocity: random.heading() * random.range(0.0, 8.0),
        jump: random.unit() < 0.2,
        crouch: random.unit() < 0.2,
        ..MoverWish::default()
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn a_character_never_ends_inside_a_solid(seed in any::<u64>()) {
        let mut random = Random(seed);
        let scene = Scene::new(&clutter(&mut random, 90, 6.0, 1.0));
        let mut state = at(Vec3::new(0.0, 0.5, 0.0));
        let mut wish = MoverWish::default();
        for tick in 0..400 {
            if tick % 10 == 0 {
                wish = random_wish(&mut random);
            }
            if tick % 50 == 49 {
                state.velocity += random.vector(30.0);
            }
            scene.tick(&mut state, &wish, DT);
            prop_assert!(!scene.inside(&state), "tick {tick}: {state:?}");
        }
    }

    #[test]
    fn a_character_never_crosses_a_wall_at_any_speed(seed in any::<u64>(), triangles in any::<bool>(), rate in 10u16..=128) {
        let mut random = Random(seed);
        let scene = Scene::new(&room(triangles));
        let mut state = at(Vec3::new(0.0, 1.0, 0.0));
        for tick in 0..200 {
            state.velocity = random.vector(1.0).normalize_or(Vec3::X) * random.range(0.0, 60.0);
            let mut wish = random_wish(&mut random);
            wish.displacement = random.vector(0.1);
            scene.tick(&mut state, &wish, 1.0 / f32::from(rate));
            let reach = 5.0 - scene.params.radius + SLOP;
            let inside = state.position.x.abs() < reach && state.position.z.abs() < reach;
            prop_assert!(inside && state.position.y > -SLOP && state.position.y < 6.0, "tick {tick}: {state:?}");
        }
    }

    #[test]
    fn a_character_that_changes_direction_does_not_get_stuck(seed in any::<u64>()) {
        let mut random = Random(seed);
        let scene = Scene::new(&clutter(&mut random, 60, 8.0, 1.0));
        let mut state = standing(Vec3::ZERO);
        for leg in 0..40 {
            // Eight ways around the compass, jumping in the second half of each: one of them must lead somewhere.
            let start = state.position;
            let first = random.range(0.0, 1.0);
            let mut furthest = 0.0_f32;
            for way in 0..8 {
                let velocity = heading(first + way as f32 * core::f32::consts::FRAC_PI_4) * 6.0;
                for tick in 0..30 {
                    scene.tick(&mut state, &MoverWish { velocity, jump: tick > 15, ..MoverWish::default() }, DT);
                    furthest = furthest.max((state.position - start).length());
                }
            }
            prop_assert!(furthest > 0.5, "leg {leg}: {furthest} m from {start} to {state:?}");
        }
    }

    #[test]
    fn no_walk_leads_up_a_slope_steeper_than_the_limit(seed in any::<u64>(), degrees in 52.0f32..88.0) {
        let mut random = Random(seed);
        let scene = Scene::new(&[floor(), ramp(degrees)]);
        let mut state = standing(Vec3::new(-2.0, 0.0, 0.0));
        for tick in 0..600 {
            let turn = random.range(-1.2, 1.2);
            scene.tick(&mut state, &MoverWish { velocity: heading(turn) * 7.0, ..MoverWish::default() }, DT);
            state.position.z = state.position.z.clamp(-4.0, 4.0);
            prop_assert!(state.position.y < 0.1, "tick {tick}: climbed to {state:?}");
        }
    }

    #[test]
    fn no_jump_leads_up_a_slope_steeper_than_the_limit(seed in any::<u64>(), degrees in 52.0f32..88.0) {
        let mut random = Random(seed);
        let scene = Scene::new(&[floor(), ramp(degrees)]);
        let mut state = standing(Vec3::new(-2.0, 0.0, 0.0));
        let jump = scene.params.jump_speed;
        let highest = jump * jump / (2.0 * scene.params.gravity) + 0.1;
        for tick in 0..600 {
            let velocity = heading(random.range(-1.2, 1.2)) * 7.0;
            scene.tick(&mut state, &MoverWish { velocity, jump: random.unit() < 0.5, ..MoverWish::default() }, DT);
            state.position.z = state.position.z.clamp(-4.0, 4.0);
            prop_assert!(state.position.y < highest, "tick {tick}: climbed to {state:?}");
        }
    }

    #[test]
    fn slopes_within_the_limit_are_walked_up_and_down_on_the_ground(degrees in 5.0f32..48.0, speed in 2.0f32..10.0) {
        let scene = Scene::new(&[floor(), ramp(degrees)]);
        let mut state = standing(Vec3::new(-1.0, 0.0, 0.0));
        scene.walk(&mut state, Vec3::X * speed, 90);
        prop_assert!(state.grounded);
        let tan = libm::tanf(degrees.to_radians());
        prop_assert!(state.position.y > (state.position.x - 0.5) * tan - 0.1 && state.position.x > 1.0, "{state:?}");
        for _ in 0..40 {
            scene.walk(&mut state, Vec3::NEG_X * speed, 1);
            prop_assert!(state.grounded, "lost the ground: {state:?}");
        }
    }

    #[test]
    fn steps_up_to_the_limit_are_walked_and_higher_ones_are_not(
        height in 0.05f32..1.0,
        speed in 1.0f32..9.0,
        turn in -0.6f32..0.6,
    ) {
        let scene = Scene::new(&[floor(), block(Vec3::new(6.0, height - 1.0, 0.0), Vec3::new(5.0, 1.0, 40.0))]);
        let limit = scene.params.step_height;
        prop_assume!((height - limit).abs() > 0.02);
        let mut state = standing(Vec3::ZERO);
        let mut highest = 0.0_f32;
        for _ in 0..(5.0 / speed / DT) as usize {
            scene.walk(&mut state, heading(turn) * speed, 1);
            highest = highest.max(state.position.y);
        }
        if height < limit {
            prop_assert!(state.grounded && (state.position.y - height).abs() < 0.02, "{state:?}");
        } else {
            prop_assert!(highest < 0.05 && state.grounded, "climbed {highest} of {height}: {state:?}");
        }
    }

    /// With cells of 0.12 m more triangles are near than a move considers.
    #[test]
    fn a_character_walks_on_triangles_and_never_falls_through(seed in any::<u64>(), cell in 0.12f32..1.5) {
        let mut random = Random(seed);
        let side = 60;
        let corner = |x: usize, z: usize| Vec3::new(x as f32 - 30.0, 0.0, z as f32 - 30.0) * cell;
        let mut vertices = Vec::new();
        for z in 0..=side {
            vertices.extend((0..=side).map(|x| corner(x, z) + Vec3::Y * random.range(-0.3, 0.3) * cell));
        }
        let mut indices = Vec::new();
        for z in 0..side as u32 {
            for x in 0..side as u32 {
                let (a, b) = (z * 61 + x, (z + 1) * 61 + x);
                indices.extend([[a, b, a + 1], [a + 1, b, b + 1]]);
            }
        }
        let scene = Scene::new(&[solid(Shape::Mesh { vertices, indices }, Vec3::ZERO, Quat::IDENTITY)]);
        let mut state = at(Vec3::new(0.0, 1.0, 0.0));
        let (mut walked, mut wish) = (0.0, MoverWish::default());
        for tick in 0..200 {
            if tick % 25 == 0 {
                // Back towards the middle, more or less: the ground has an end.
                let home = -state.position.with_y(0.0).normalize_or_zero();
                wish = MoverWish { velocity: (home + random.heading()) * 2.0, jump: tick % 75 == 0, ..wish };
            }
            let before = state.position;
            scene.tick(&mut state, &wish, DT);
            walked += (state.position - before).with_y(0.0).length();
            prop_assert!(!scene.inside(&state) && state.position.y > -0.3 * cell - SLOP, "tick {tick}: {state:?}");
        }
        prop_assert!(walked > 2.0, "walked {walked} m");
    }

    #[test]
    fn the_same_arguments_make_the_same_bits(seed in any::<u64>()) {
        let run = || {
            let mut random = Random(seed);
            let scene = Scene::new(&clutter(&mut random, 60, 6.0, 1.0));
            let mut state = at(Vec3::new(0.0, 1.0, 0.0));
            let mut bytes = Vec::new();
            for _ in 0..200 {
                let wish = random_wish(&mut random);
                scene.tick(&mut state, &wish, DT);
                state.write(&mut ByteSink(&mut bytes));
            }
            bytes
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_crowd_is_parted_alike_in_any_order_and_through_no_wall(seed in any::<u64>()) {
        let mut random = Random(seed);
        let scene = Scene::new(&room(false));
        let mut bodies: Vec<MoverState> =
            (0..40).map(|_| standing(Vec3::new(random.range(3.0, 4.5), 0.0, random.range(-1.0, 1.0)))).collect();
        bodies[1] = bodies[0];
        let (mut forwards, mut backwards) = (Separation::default(), Separation::default());
        for _ in 0..180 {
            forwards.clear();
            backwards.clear();
            for (id, body) in bodies.iter().enumerate() {
                forwards.push(StableId(id as u32 + 1), body.position, scene.params.radius, id);
            }
            for (id, body) in bodies.iter().enumerate().rev() {
                backwards.push(StableId(id as u32 + 1), body.position, scene.params.radius, id);
            }
            forwards.sort();
            backwards.sort();
            let places: Vec<Vec3> = bodies.iter().map(|body| body.position).collect();
            let seen = |other: usize| places.get(other).copied();
            for (id, body) in bodies.iter_mut().enumerate() {
                let id = StableId(id as u32 + 1);
                let displacement = forwards.displacement(id, DT, 0.0, seen);
                prop_assert_eq!(displacement, backwards.displacement(id, DT, 0.0, seen));
                scene.tick(body, &MoverWish { displacement, ..MoverWish::default() }, DT);
                prop_assert!(body.position.x < 5.0 - scene.params.radius + SLOP && body.position.y > -SLOP);
            }
        }
        for (one, body) in bodies.iter().enumerate() {
            for other in &bodies[one + 1..] {
                prop_assert!(body.position.distance(other.position) > 0.5, "{} {}", body.position, other.position);
            }
        }
    }
}

#[test]
fn a_character_falls_lands_and_stands() {
    let scene = Scene::new(&[floor()]);
    let mut state = at(Vec3::new(0.0, 3.0, 0.0));
    scene.walk(&mut state, Vec3::ZERO, 90);
    assert!(state.grounded && state.position.y.abs() < 0.01 && state.velocity == Vec3::ZERO, "{state:?}");
}

#[test]
fn a_jump_reaches_its_height_and_needs_a_new_press() {
    let scene = Scene::new(&[floor()]);
    let mut state = standing(Vec3::ZERO);
    let mut jumps = 0;
    let mut highest = 0.0_f32;
    for _ in 0..240 {
        let was = state.grounded;
        scene.tick(&mut state, &MoverWish { jump: true, ..MoverWish::default() }, DT);
        jumps += usize::from(was && !state.grounded);
        highest = highest.max(state.position.y);
    }
    assert_eq!(jumps, 1);
    assert!((highest - 1.225).abs() < 0.1, "{highest}");
}

#[test]
fn a_jump_shortly_after_the_ledge_still_counts() {
    let scene = Scene::new(&[block(Vec3::new(-5.0, -1.0, 0.0), Vec3::new(5.0, 1.0, 5.0))]);
    let mut state = standing(Vec3::new(-1.0, 0.0, 0.0));
    while state.grounded {
        scene.walk(&mut state, Vec3::X * 6.0, 1);
    }
    scene.walk(&mut state, Vec3::X * 6.0, 2);
    scene.tick(&mut state, &MoverWish { jump: true, ..MoverWish::default() }, DT);
    assert!(state.velocity.y > 6.0, "{state:?}");
}

#[test]
fn who_crouches_under_a_low_ceiling_stands_up_only_outside() {
    let scene = Scene::new(&[floor(), block(Vec3::new(5.0, 2.4, 0.0), Vec3::new(4.0, 1.0, 4.0))]);
    let mut state = standing(Vec3::ZERO);
    scene.walk(&mut state, Vec3::X * 4.0, 60);
    assert!(state.position.x < 0.8, "1.4 m is too low to stand: {state:?}");
    for _ in 0..60 {
        scene.tick(&mut state, &MoverWish { velocity: Vec3::X * 4.0, crouch: true, ..MoverWish::default() }, DT);
    }
    assert!(state.position.x > 2.0 && state.crouched, "{state:?}");
    scene.walk(&mut state, Vec3::ZERO, 10);
    assert!(state.crouched && !scene.inside(&state), "no room to stand: {state:?}");
    scene.walk(&mut state, Vec3::NEG_X * 4.0, 120);
    assert!(!state.crouched && state.position.x < 0.0, "{state:?}");
}

#[test]
fn a_platform_carries_and_is_left_with_its_velocity() {
    let shape = ConvexShape::new(&Shape::Box { half: Vec3::new(2.0, 0.25, 2.0) }).unwrap();
    for velocity in [Vec3::X * 3.0, Vec3::Y * 2.0, Vec3::new(1.0, -2.0, 2.0)] {
        let mut scene = Scene::new(&[]);
        let mut centre = Vec3::new(0.0, -0.25, 0.0);
        let mut state = standing(Vec3::ZERO);
        scene.place(&[(moving(7, centre, Vec3::ZERO, false), shape.clone())]);
        scene.walk(&mut state, Vec3::ZERO, 2);
        for _ in 0..60 {
            centre += velocity * DT;
            scene.place(&[(moving(7, centre, velocity, false), shape.clone())]);
            scene.walk(&mut state, Vec3::ZERO, 1);
            assert!(state.grounded && state.ground == StableId(7), "{velocity}: {state:?}");
        }
        assert!((state.position - velocity).length() < 0.05, "{velocity}: {state:?}");
        centre += velocity * DT;
        scene.place(&[(moving(7, centre, velocity, false), shape.clone())]);
        scene.tick(&mut state, &MoverWish { jump: true, ..MoverWish::default() }, DT);
        assert!((state.velocity.x - velocity.x).abs() < 0.01, "{velocity}: {state:?}");
    }
}

#[test]
fn a_turning_platform_carries_round() {
    let shape = ConvexShape::new(&Shape::Box { half: Vec3::new(2.0, 0.25, 2.0) }).unwrap();
    let mut scene = Scene::new(&[]);
    let mut state = standing(Vec3::X);
    for step in 0..=60 {
        let rotation = Quat::from_rotation_y(step as f32 * DT * core::f32::consts::PI);
        let spin = Vec3::Y * if step == 0 { 0.0 } else { core::f32::consts::PI };
        let solid = DynSolid { rotation, angular_velocity: spin, ..moving(7, Vec3::NEG_Y * 0.25, Vec3::ZERO, false) };
        scene.place(&[(solid, shape.clone())]);
        scene.walk(&mut state, Vec3::ZERO, 1);
    }
    assert!((state.position - Vec3::NEG_X).length() < 0.05, "half a turn: {state:?}");
}

#[test]
fn a_wall_that_moves_in_pushes_out_but_not_through_another() {
    let shape = ConvexShape::new(&Shape::Box { half: Vec3::new(0.5, 2.0, 2.0) }).unwrap();
    let mut scene = Scene::new(&room(false));
    let mut state = standing(Vec3::new(2.0, 0.0, 0.0));
    for step in 0..240 {
        let x = step as f32 * DT * 2.0;
        scene.place(&[(moving(3, Vec3::new(x, 2.1, 0.0), Vec3::X * 2.0, false), shape.clone())]);
        scene.walk(&mut state, Vec3::ZERO, 1);
        assert!(state.position.x < 5.0 - 0.4 + SLOP, "step {step}: {state:?}");
        if x < 3.0 {
            assert!(state.position.x > x + 0.9 - 0.05, "step {step}: {state:?}");
        }
    }
}

#[test]
fn who_runs_into_a_crate_pushes_it() {
    let shape = ConvexShape::new(&Shape::Box { half: Vec3::splat(0.5) }).unwrap();
    let mut scene = Scene::new(&[floor()]);
    scene.place(&[(moving(9, Vec3::new(2.0, 0.5, 0.0), Vec3::ZERO, true), shape)]);
    let mut state = standing(Vec3::ZERO);
    let mut first = None;
    for _ in 0..60 {
        let pushes = scene.tick(&mut state, &MoverWish { velocity: Vec3::X * 5.0, ..MoverWish::default() }, DT);
        assert!(pushes.len() <= 1);
        first = first.or(pushes.first().copied());
    }
    let push = first.expect("it is in the way");
    assert_eq!(push.id, StableId(9));
    assert!((push.velocity - Vec3::X * 5.0).length() < 0.1 && (push.point.x - 1.5).abs() < 0.02, "{push:?}");
    assert!(state.position.x < 1.12, "{state:?}");
}

#[test]
fn queries_find_the_nearest_of_both_worlds() {
    let mut scene = Scene::new(&[floor(), block(Vec3::new(5.0, 1.0, 0.0), Vec3::splat(1.0))]);
    let shape = ConvexShape::new(&Shape::Ball { radius: 0.5 }).unwrap();
    scene.place(&[(moving(4, Vec3::new(2.0, 1.0, 0.0), Vec3::ZERO, true), shape)]);
    let world = scene.world();
    let hit = world.ray(Vec3::Y, Vec3::X, 100.0).unwrap();
    assert_eq!((hit.id, hit.normal), (StableId(4), Vec3::NEG_X));
    assert!((hit.distance - 1.5).abs() < 1e-5);
    let hit = world.ray(Vec3::new(0.0, 1.6, 0.0), Vec3::X, 100.0).unwrap();
    assert_eq!((hit.id, hit.distance), (StableId::NONE, 4.0));
    assert_eq!(world.ray(Vec3::new(0.0, 1.6, 0.0), Vec3::X, 3.9), None);
    let hit = world.sphere_cast(Vec3::Y, Vec3::X, 100.0, 0.25).unwrap();
    assert!((hit.distance - 1.25).abs() < 1e-3 && hit.id == StableId(4), "{hit:?}");
    assert!(!world.sees(Vec3::Y, Vec3::new(3.9, 1.0, 0.0)));
    assert!(world.sees(Vec3::new(0.0, 1.6, 0.0), Vec3::new(4.0, 1.6, 0.0)));
    let mut found = Vec::new();
    world.overlap_sphere(Vec3::new(2.0, 0.3, 0.0), 0.5, |id| found.push(id));
    assert_eq!(found, [StableId::NONE, StableId(4)]);
}
