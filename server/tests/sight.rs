//! Walls at random: whatever a dense set of rays sees is never called hidden.

use arbiter_server::interest::reach::{CORNERS, Gait, Prism, Shape};
use arbiter_server::interest::shaft::{Memory, Verdict, judge};
use arbiter_sim::collide::{SightLine, StaticWorld};
use arbiter_sim::map::{Shape as SolidShape, Solid};
use arbiter_sim::time::SimRng;
use glam::{Quat, Vec2, Vec3};
use proptest::prelude::*;

const HORIZON_S: f32 = 0.15;
/// Lines that a judgement may cost here: more than in a match, where what is not sure counts as seen.
const COST: u32 = 6_000;
const RAYS: usize = 2_000;
/// Fewer clear rays than this in [`RAYS`] are a crack: judgements look no closer than `shaft::GAP_M`.
const CRACK: usize = 40;

fn between(rng: &mut SimRng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.unit()
}

/// Walls, pillars and heaps between two players.
fn world(rng: &mut SimRng) -> StaticWorld {
    let count = 1 + rng.below(14);
    let solid = |rng: &mut SimRng| {
        let shape = match rng.below(4) {
            0 => SolidShape::Cylinder { radius: between(rng, 0.3, 1.5), half_height: between(rng, 0.5, 3.0) },
            1 => SolidShape::Ball { radius: between(rng, 0.4, 2.0) },
            _ => SolidShape::Box {
                half: Vec3::new(between(rng, 0.1, 4.0), between(rng, 0.5, 3.0), between(rng, 0.1, 4.0)),
            },
        };
        let position = Vec3::new(between(rng, -9.0, 9.0), between(rng, 0.0, 2.5), between(rng, -6.0, 6.0));
        let turn = if rng.below(2) == 0 { 0.0 } else { between(rng, 0.0, core::f32::consts::TAU) };
        Solid { name: "solid".to_owned(), shape, position, rotation: Quat::from_rotation_y(turn) }
    };
    let solids: Vec<Solid> = (0..count).map(|_| solid(rng)).collect();
    StaticWorld::new(&solids).unwrap()
}

fn player(rng: &mut SimRng, x: f32) -> Shape {
    let gait = Gait {
        speed_max: 6.0,
        acceleration: 60.0,
        braking: 100.0,
        dash_speed: if rng.below(4) == 0 { 22.0 } else { 0.0 },
        dash_s: 0.18,
        rise_speed: 7.2,
        gravity: 20.0,
        grounded: true,
    };
    let position = Vec3::new(x + between(rng, -3.0, 3.0), 0.0, between(rng, -5.0, 5.0));
    let velocity = Vec3::new(between(rng, -6.0, 6.0), 0.0, between(rng, -6.0, 6.0));
    Shape { velocity, gait, eyes: [1.05, 1.65], radius: 0.35, ..Shape::still(position, 0.39, [0.05, 1.79]) }
}

/// A point inside a prism.
fn inside(rng: &mut SimRng, prism: &Prism) -> Vec3 {
    let at = rng.below(CORNERS as u32) as usize;
    let (a, b) = (prism.ring[at], prism.ring[(at + 1) % CORNERS]);
    let (mut u, mut v) = (rng.unit(), rng.unit());
    if u + v > 1.0 {
        (u, v) = (1.0 - u, 1.0 - v);
    }
    let flat: Vec2 = prism.centre + (a - prism.centre) * u + (b - prism.centre) * v;
    Vec3::new(flat.x, between(rng, prism.low, prism.high), flat.y)
}

fn clear_rays(rng: &mut SimRng, world: &StaticWorld, eyes: &Prism, body: &Prism) -> usize {
    let mut ray = || {
        let line = SightLine::between(inside(rng, eyes), inside(rng, body));
        world.blocker(&line) == StaticWorld::NOTHING
    };
    (0..RAYS).filter(|_| ray()).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whoever_dense_rays_see_is_never_called_hidden(seed in any::<u64>()) {
        let mut rng = SimRng::seeded(seed);
        let world = world(&mut rng);
        let dash = seed % 3 == 0;
        let (eyes, body) = (player(&mut rng, -12.0).eyes_within(HORIZON_S, dash), player(&mut rng, 12.0).body_within(HORIZON_S, dash));
        // Nobody's eyes are inside a wall.
        if eyes.ring.iter().all(|corner| corner.distance(eyes.centre) < 0.3) {
            return Ok(());
        }
        let (verdict, cost) = judge(&world, &eyes, &body, &mut Memory::default(), COST);
        let clear = clear_rays(&mut rng, &world, &eyes, &body);
        prop_assert!(verdict != Verdict::Hidden || clear < CRACK, "{clear} rays of {RAYS} are clear");
        // What no ray sees may be judged seen, by a ray that was not cast; but a wall in between is enough.
        prop_assert!(verdict != Verdict::Seen || clear > 0 || cost > 0);
    }

    #[test]
    fn a_wall_that_is_large_enough_hides(seed in any::<u64>()) {
        let mut rng = SimRng::seeded(seed);
        let shape = SolidShape::Box { half: Vec3::new(0.2, 6.0, 40.0) };
        let wall = Solid { name: "wall".to_owned(), shape, position: Vec3::ZERO, rotation: Quat::IDENTITY };
        let world = StaticWorld::new(&[wall]).unwrap();
        let dash = false;
        let (eyes, body) = (player(&mut rng, -12.0).eyes_within(HORIZON_S, dash), player(&mut rng, 12.0).body_within(HORIZON_S, dash));
        let verdict = judge(&world, &eyes, &body, &mut Memory::default(), COST).0;
        prop_assert_eq!(verdict, Verdict::Hidden);
    }
}

#[test]
fn a_wall_in_two_pieces_hides_as_one_does() {
    let piece = |z: f32| Solid {
        name: "piece".to_owned(),
        shape: SolidShape::Box { half: Vec3::new(0.2, 6.0, 10.0) },
        position: Vec3::new(0.0, 0.0, z),
        rotation: Quat::IDENTITY,
    };
    let mut rng = SimRng::seeded(3);
    let mut at = |x: f32| {
        let mut shape = player(&mut rng, x);
        shape.position.z = -1.0;
        shape
    };
    let dash = false;
    let (eyes, body) = (at(-12.0).eyes_within(HORIZON_S, dash), at(12.0).body_within(HORIZON_S, dash));
    let judged = |gap: f32| {
        let world = StaticWorld::new(&[piece(-10.0 - gap), piece(10.0)]).unwrap();
        judge(&world, &eyes, &body, &mut Memory::default(), COST).0
    };
    assert_eq!(judged(0.0), Verdict::Hidden);
    assert_eq!(judged(2.0), Verdict::Seen);
}

#[test]
fn the_random_walls_hide_some_and_show_some_and_hardly_any_judgement_is_unsure() {
    let judged = |seed: u64| {
        let mut rng = SimRng::seeded(seed);
        let world = world(&mut rng);
        let (from, to) = (player(&mut rng, -12.0), player(&mut rng, 12.0));
        let dash = false;
        let (eyes, body) = (from.eyes_within(HORIZON_S, dash), to.body_within(HORIZON_S, dash));
        judge(&world, &eyes, &body, &mut Memory::default(), COST).0
    };
    let verdicts: Vec<Verdict> = (0..2_000).map(judged).collect();
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let (hidden, seen, unsure) = (count(Verdict::Hidden), count(Verdict::Seen), count(Verdict::Unsure));
    assert!(hidden > 200 && seen > 200 && unsure < 20, "{hidden} hidden, {seen} seen, {unsure} unsure");
}
