//! What a character's move costs: ours beside Rapier's `KinematicCharacterController`, autostep and snap on, on the same maps.
//!
//! Clutter: 200 tilted boxes around 100 characters that change direction twice a second. Flat: the same without boxes. Each
//! mover walks its own way from the same places with the same wishes; then Rapier walks ours again, move by move from our
//! poses, so that neither gains by standing somewhere easier. Only the moves are timed, in thread CPU time: for ours that is
//! all of a character's tick (acceleration, gravity, jump, crouch, slide, step, snap), for Rapier's `move_shape` alone.
//! Rapier is built as the game builds it (enhanced-determinism).

use arbiter_sim::collide::{
    DynamicWorld, MoverParams, MoverState, MoverWish, Push, StaticWorld, World, move_character,
};
use arbiter_sim::map::{Shape, Solid};
use arrayvec::ArrayVec;
use glam::{Quat, Vec3};
use rapier3d::control::{CharacterAutostep, CharacterLength, KinematicCharacterController};
use rapier3d::prelude::{Capsule, ColliderBuilder, PhysicsWorld, Pose};
use rustix::time::{ClockId, clock_gettime};

const SEED: u64 = 20_261_121;
const CHARACTERS: usize = 100;
const BOXES: usize = 200;
/// Half of the side of the square that they share, in metres.
const SPREAD: f32 = 12.0;
const TICKS: usize = 300;
const TICKS_A_LEG: usize = 30;
const DT: f32 = 1.0 / 60.0;
const SPEED: f32 = 6.0;
/// Times that everything is run; the quickest of each counts, which other processes disturbed least.
const ROUNDS: usize = 5;

fn cpu_us() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 * 1e-3
}

/// PCG, so that the seed names the map for good.
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
}

fn map(boxes: usize) -> Vec<Solid> {
    let mut random = Random(SEED);
    let floor = Shape::Box { half: Vec3::new(100.0, 1.0, 100.0) };
    let mut solids =
        vec![Solid { name: "floor".into(), shape: floor, position: Vec3::NEG_Y, rotation: Quat::IDENTITY }];
    for number in 0..boxes {
        let mut size = || random.range(0.2, 0.8);
        let half = Vec3::new(size(), size(), size());
        let position = Vec3::new(random.range(-SPREAD, SPREAD), random.range(0.0, 1.0), random.range(-SPREAD, SPREAD));
        let mut axis = || random.range(-1.0, 1.0);
        let rotation = Quat::from_xyzw(axis(), axis(), axis(), axis() + 1.1).normalize();
        solids.push(Solid { name: format!("box {number}"), shape: Shape::Box { half }, position, rotation });
    }
    solids
}

/// Where they start, none in a box, and where each wishes to go in each leg.
fn characters(world: &World<'_>, params: &MoverParams) -> (Vec<Vec3>, Vec<Vec<Vec3>>) {
    let mut random = Random(SEED + 1);
    let mut starts = Vec::new();
    while starts.len() < CHARACTERS {
        let feet = Vec3::new(random.range(-SPREAD, SPREAD), 0.02, random.range(-SPREAD, SPREAD));
        let mut free = true;
        for up in [0.4, 0.7, 1.0, 1.4] {
            world.overlap_sphere(feet + Vec3::Y * (up + 0.02), params.radius, |_| free = false);
        }
        if free {
            starts.push(feet);
        }
    }
    let wishes = (0..CHARACTERS)
        .map(|_| {
            (0..TICKS / TICKS_A_LEG)
                .map(|_| {
                    let (sin, cos) = libm::sincosf(random.range(0.0, core::f32::consts::TAU));
                    Vec3::new(cos, 0.0, sin) * SPEED
                })
                .collect()
        })
        .collect();
    (starts, wishes)
}

struct Run {
    /// Microseconds of CPU a move.
    us: f64,
    /// Metres walked over the ground by all.
    metres: f64,
}

/// Each move of ours: from where, and how far it meant to go.
type Moves = Vec<(Vec3, Vec3)>;

fn ours(world: &World<'_>, params: &MoverParams, starts: &[Vec3], wishes: &[Vec<Vec3>], moves: &mut Moves) -> Run {
    let mut states: Vec<MoverState> =
        starts.iter().map(|start| MoverState { position: *start, ..MoverState::default() }).collect();
    let mut run = Run { us: 0.0, metres: 0.0 };
    let mut pushes: ArrayVec<Push, 16> = ArrayVec::new();
    let mut befores = vec![Vec3::ZERO; states.len()];
    moves.clear();
    for tick in 0..TICKS {
        for (before, state) in befores.iter_mut().zip(&states) {
            *before = state.position;
        }
        let began = cpu_us();
        for (state, wish) in states.iter_mut().zip(wishes) {
            let wish = MoverWish { velocity: wish[tick / TICKS_A_LEG], ..MoverWish::default() };
            pushes.clear();
            move_character(world, params, state, &wish, DT, &mut pushes);
        }
        run.us += cpu_us() - began;
        for (number, state) in states.iter().enumerate() {
            let fall = if state.grounded { 0.0 } else { state.velocity.y };
            let wish = wishes[number][tick / TICKS_A_LEG];
            moves.push((befores[number], Vec3::new(wish.x, fall, wish.z) * DT));
            let moved = state.position - befores[number];
            run.metres += f64::from(Vec3::new(moved.x, 0.0, moved.z).length());
        }
    }
    run.us /= (TICKS * CHARACTERS) as f64;
    run
}

struct Rapier {
    world: PhysicsWorld,
    controller: KinematicCharacterController,
    capsule: Capsule,
    middle: Vec3,
    gravity: f32,
}

impl Rapier {
    fn new(solids: &[Solid], params: &MoverParams) -> Self {
        let mut world = PhysicsWorld::new();
        for solid in solids {
            let Shape::Box { half } = solid.shape else { continue };
            let pose = Pose::from_parts(solid.position, solid.rotation);
            world.insert_collider(ColliderBuilder::cuboid(half.x, half.y, half.z).position(pose), None);
        }
        // The broad phase learns of colliders in a step.
        world.step();
        let controller = KinematicCharacterController {
            autostep: Some(CharacterAutostep {
                max_height: CharacterLength::Absolute(params.step_height),
                min_width: CharacterLength::Absolute(0.1),
                include_dynamic_bodies: true,
            }),
            snap_to_ground: Some(CharacterLength::Absolute(params.ground_snap)),
            max_slope_climb_angle: params.slope_max,
            min_slope_slide_angle: params.slope_max,
            offset: CharacterLength::Absolute(0.01),
            ..KinematicCharacterController::default()
        };
        let capsule = Capsule::new_y(params.height * 0.5 - params.radius, params.radius);
        Self { world, controller, capsule, middle: Vec3::Y * (params.height * 0.5), gravity: params.gravity }
    }

    fn walk(&self, starts: &[Vec3], wishes: &[Vec<Vec3>]) -> Run {
        let queries = self.world.query_pipeline();
        // Its gap to the ground is outside of the capsule.
        let mut states: Vec<(Vec3, f32)> = starts.iter().map(|start| (*start + self.middle, 0.0)).collect();
        let mut run = Run { us: 0.0, metres: 0.0 };
        for tick in 0..TICKS {
            let began = cpu_us();
            for ((position, fall), wish) in states.iter_mut().zip(wishes) {
                *fall -= self.gravity * DT;
                let wish = wish[tick / TICKS_A_LEG];
                let desired = Vec3::new(wish.x, *fall, wish.z) * DT;
                let pose = Pose::from_translation(*position);
                let moved = self.controller.move_shape(DT, &queries, &self.capsule, &pose, desired, |_| {});
                *position += moved.translation;
                if moved.grounded {
                    *fall = 0.0;
                }
                run.metres += f64::from(Vec3::new(moved.translation.x, 0.0, moved.translation.z).length());
            }
            run.us += cpu_us() - began;
        }
        run.us /= (TICKS * CHARACTERS) as f64;
        run
    }

    fn walk_again(&self, moves: &Moves) -> Run {
        let queries = self.world.query_pipeline();
        let mut run = Run { us: 0.0, metres: 0.0 };
        let began = cpu_us();
        for (feet, desired) in moves {
            // As far from the ground as its own gap would leave it.
            let pose = Pose::from_translation(*feet + self.middle + Vec3::Y * 0.01);
            let moved = self.controller.move_shape(DT, &queries, &self.capsule, &pose, *desired, |_| {});
            run.metres += f64::from(Vec3::new(moved.translation.x, 0.0, moved.translation.z).length());
        }
        run.us = (cpu_us() - began) / moves.len() as f64;
        run
    }
}

fn quicker(best: Option<Run>, run: Run) -> Option<Run> {
    match best {
        Some(known) if known.us <= run.us => Some(known),
        _ => Some(run),
    }
}

/// Runs one map; returns Rapier's cost over ours: on its own way, and on ours.
fn compare(name: &str, boxes: usize) -> Option<(f64, f64)> {
    let solids = map(boxes);
    let statics = StaticWorld::new(&solids).expect("the map is made of sound boxes");
    let mut dynamics = DynamicWorld::default();
    dynamics.build();
    let world = World { statics: &statics, dynamics: &dynamics };
    let params = MoverParams::default();
    let (starts, wishes) = characters(&world, &params);
    let rapier = Rapier::new(&solids, &params);
    let (mut best_ours, mut best_theirs, mut best_again) = (None, None, None);
    let mut moves = Moves::new();
    for _ in 0..ROUNDS {
        best_ours = quicker(best_ours, ours(&world, &params, &starts, &wishes, &mut moves));
        best_theirs = quicker(best_theirs, rapier.walk(&starts, &wishes));
        best_again = quicker(best_again, rapier.walk_again(&moves));
    }
    let (ours, theirs, again) = (best_ours?, best_theirs?, best_again?);
    println!(
        "{name}: each walked {:.1} m (ours), {:.1} m (rapier), {:.1} m (rapier from our poses)",
        ours.metres / CHARACTERS as f64,
        theirs.metres / CHARACTERS as f64,
        again.metres / CHARACTERS as f64,
    );
    println!("figure mover.{name}.ours {:.2} us_per_character", ours.us);
    println!("figure mover.{name}.rapier {:.2} us_per_character", theirs.us);
    println!("figure mover.{name}.rapier_from_our_poses {:.2} us_per_character", again.us);
    Some((theirs.us / ours.us, again.us / ours.us))
}

fn main() {
    println!(
        "mover: {BOXES} tilted boxes around {CHARACTERS} characters, seed {SEED}, {TICKS} ticks at 60 Hz, thread CPU"
    );
    let clutter = compare("clutter", BOXES);
    let flat = compare("flat", 0);
    if let (Some((own, same)), Some((flat, _))) = (clutter, flat) {
        println!("figure mover.rapier_over_ours {own:.2} ratio");
        println!("figure mover.rapier_over_ours_same_poses {same:.2} ratio");
        println!("figure mover.flat.rapier_over_ours {flat:.2} ratio");
    }
}
