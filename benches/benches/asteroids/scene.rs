//! Bodies that drift through a sphere around a small static one: seeded directions, each steers back to its own speed, all turn
//! where they meet and at the bound. By Rapier with its bits fixed, and libm: the same everywhere.

use glam::{Quat, Vec3};
use rapier3d::prelude::{ColliderBuilder, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle};

pub const BODIES: usize = 250;
pub const TICK_RATE: u32 = 30;
/// Metres from the middle that no body's surface leaves.
const BOUND_M: f32 = 31.5;
const STATIC_RADIUS_M: f32 = 1.5;
const SCALE: (f32, f32) = (0.25, 1.0);
const SPEED: (f32, f32) = (1.0, 4.0);
const TURN_MAX: f32 = 45.0 * core::f32::consts::PI / 180.0;
/// How fast a body gets back to its speed, m/s².
const STEER: f32 = 2.0;

pub struct Body {
    handle: RigidBodyHandle,
    pub scale: f32,
    speed: f32,
    spin: f32,
}

pub struct Scene {
    world: PhysicsWorld,
    pub bodies: Vec<Body>,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn share(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn between(&mut self, (low, high): (f32, f32)) -> f32 {
        low + self.share() * (high - low)
    }

    /// Evenly on the unit sphere.
    fn direction(&mut self) -> Vec3 {
        let (turn, y) = (self.share() * core::f32::consts::TAU, self.share() * 2.0 - 1.0);
        let around = (1.0 - y * y).max(0.0).sqrt();
        Vec3::new(around * libm::cosf(turn), y, around * libm::sinf(turn))
    }
}

impl Scene {
    pub fn new(seed: u64) -> Self {
        let mut world = PhysicsWorld::new();
        world.gravity = Vec3::ZERO;
        world.integration_parameters.dt = 1.0 / TICK_RATE as f32;
        let middle = world.insert_body(RigidBodyBuilder::fixed());
        world.insert_collider(ColliderBuilder::ball(STATIC_RADIUS_M).restitution(1.0), Some(middle));
        let mut random = Random(seed);
        let mut placed: Vec<(Vec3, f32)> = vec![(Vec3::ZERO, STATIC_RADIUS_M)];
        let bodies = (0..BODIES).map(|_| {
            let scale = random.between(SCALE);
            // Not inside of another.
            let position = loop {
                let at = random.direction() * random.between((STATIC_RADIUS_M, BOUND_M - 2.0));
                if placed.iter().all(|(other, radius)| other.distance(at) > radius + scale + 0.1) {
                    break at;
                }
            };
            placed.push((position, scale));
            let (speed, spin) = (random.between(SPEED), random.between((0.0, TURN_MAX)));
            let body = RigidBodyBuilder::dynamic()
                .translation(position)
                .linvel(random.direction() * speed)
                .angvel(random.direction() * spin)
                .can_sleep(false);
            let handle = world.insert_body(body);
            // Stones, not perfect balls: they roll off one another.
            world.insert_collider(
                ColliderBuilder::cuboid(scale * 0.6, scale * 0.5, scale * 0.55).restitution(0.9),
                Some(handle),
            );
            Body { handle, scale, speed, spin }
        });
        let bodies = bodies.collect();
        Self { world, bodies }
    }

    pub fn step(&mut self) {
        for body in &self.bodies {
            let Some(rigid) = self.world.bodies.get_mut(body.handle) else { continue };
            let (at, mut velocity, mut spin) = (rigid.translation(), rigid.linvel(), rigid.angvel());
            let out = at.normalize_or_zero();
            if at.length() + body.scale > BOUND_M && velocity.dot(out) > 0.0 {
                velocity -= 2.0 * velocity.dot(out) * out;
            }
            let (speed, step) = (velocity.length(), STEER / TICK_RATE as f32);
            if speed > 1e-3 {
                velocity *= (speed + (body.speed - speed).clamp(-step, step)) / speed;
            }
            let turning = spin.length();
            if turning > 1e-3 {
                spin *= (turning + (body.spin - turning).clamp(-0.05, 0.05)).min(TURN_MAX) / turning;
            }
            rigid.set_linvel(velocity, true);
            rigid.set_angvel(spin, true);
        }
        self.world.step();
    }

    /// Where a body is.
    pub fn pose(&self, number: usize) -> (Vec3, Quat) {
        let body = self.world.bodies.get(self.bodies[number].handle);
        body.map_or((Vec3::ZERO, Quat::IDENTITY), |body| (body.translation(), *body.rotation()))
    }
}
