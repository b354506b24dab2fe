//! What is replicated in the bench `replication`, the same for every peer: a thousand things of seven values that all change in
//! each tick, and clients that know of a half each.

/// Things.
pub const ENTITIES: u32 = 1_000;
/// Each client knows so many, from its first one on, around the end.
pub const RELEVANT: u32 = 500;
/// Ticks a second.
pub const TICK_RATE: u32 = 60;
/// Ticks before anything is measured: every spawn has arrived.
pub const WARM_TICKS: u32 = 120;
/// Ticks that are measured.
pub const TICKS: u32 = 300;
/// One payload of so many is lost.
pub const LOST_ONE_OF: u64 = 50;
/// Numbers of clients that are measured.
pub const CLIENTS: [usize; 3] = [1, 20, 100];

/// Position in metres (each within 64 of the origin), then a unit quaternion.
pub fn motion(entity: u32, tick: u32) -> [f32; 7] {
    let (entity, time) = (entity as f32, tick as f32 / TICK_RATE as f32);
    // Everyone runs on a circle of their own, at 3 to 6 m/s, bobs, and looks around.
    let radius = 2.0 + entity % 13.0;
    let angle = entity * 0.7 + time * (3.0 + entity % 4.0) / radius;
    let centre = (entity % 32.0 - 16.0, (entity / 32.0).floor() - 16.0);
    let (yaw, pitch) = (angle + (time * 0.9 + entity).sin(), 0.4 * (time * 0.6 + entity * 1.3).sin());
    let ((sy, cy), (sp, cp)) = ((yaw * 0.5).sin_cos(), (pitch * 0.5).sin_cos());
    [
        centre.0 * 2.5 + radius * angle.cos(),
        1.0 + 0.5 * (time * 2.0 + entity).sin(),
        centre.1 * 2.5 + radius * angle.sin(),
        cy * sp,
        sy * cp,
        -sy * sp,
        cy * cp,
    ]
}

/// The first thing that a client knows: half of what its neighbour knows, it knows too.
pub fn first_of(client: usize) -> u32 {
    (client as u32 * (RELEVANT / 2)) % ENTITIES
}

/// Whether a client knows a thing.
pub fn knows(first: u32, entity: u32) -> bool {
    (entity + ENTITIES - first) % ENTITIES < RELEVANT
}

/// Ticks that each way takes: round trips from 20 to 200 ms, spread over the clients.
pub fn delay_ticks(client: usize, clients: usize) -> u32 {
    let share = if clients > 1 { client as f64 / (clients - 1) as f64 } else { 0.5 };
    let one_way_s = (20.0 + 180.0 * share) / 2_000.0;
    (one_way_s * f64::from(TICK_RATE)).round().max(1.0) as u32
}

/// Decides what is lost (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// Whether the next payload is lost.
    pub fn loses(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).is_multiple_of(LOST_ONE_OF)
    }
}
