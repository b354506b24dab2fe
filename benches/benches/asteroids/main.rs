//! What a client is sent of 250 rigid bodies that drift, turn and collide, 30 times a second, over a link of 50 ms: position to
//! 0.01 m, rotation to 0.001 of a quaternion's part. Every snapshot is decoded and compared with what was sent.
//!
//! `cargo bench --bench asteroids`.

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_schema::{Audience, Describe as _, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::{PART_BYTES_MAX, Parts, Received, SnapshotDecoder, SnapshotEncoder, Viewer};
use glam::{Quat, Vec3};
use std::collections::VecDeque;

mod scene;

use scene::{BODIES, Scene, TICK_RATE};

const SEED: u64 = 11;
const SECONDS: u32 = 60;
/// Ticks until an acknowledgement is back: 50 ms, and the tick in which it is used.
const ACK_TICKS: usize = 2;
const WARM_TICKS: u32 = 60;
/// netcode's prefix, sequence and tag, and the header of a payload.
const OURS_BYTES: f64 = 1.0 + 2.0 + 16.0 + 10.0;
const UDP_BYTES: f64 = 28.0;

const POSITION: Spec = Spec::new(-32.0, 32.0, 0.01, Predictor::Linear, Audience::Everyone);
const ROTATION: Spec = Spec::new(-1.0, 1.0, 0.001, Predictor::Linear, Audience::Everyone);
const SCALE: Spec = Spec::new(0.0, 1.0, 0.01, Predictor::Hold, Audience::Everyone);

describe! {
    /// A body that drifts.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Asteroid {
        /// Where, in metres.
        pub position: Vec3 => POSITION,
        /// Which way up.
        pub rotation: Quat => ROTATION,
        /// How large.
        pub scale: f32 => SCALE,
    }
}

fn main() {
    println!("machine: {}", machine());
    let mut registry = Registry::default();
    let component = registry.add::<Asteroid>();
    let mut scene = Scene::new(SEED);
    let mut encoder = SnapshotEncoder::new(&registry, PART_BYTES_MAX);
    let mut decoder = SnapshotDecoder::new(&registry);
    let mut parts = Parts::default();
    let mut acks: VecDeque<u32> = VecDeque::new();
    let viewer = Viewer { slot: None, team: 0 };
    let ticks = SECONDS * TICK_RATE;
    let (mut bytes, mut datagrams) = (0, 0);
    let (mut encode, mut decode) = (Samples::with_capacity(ticks as usize), Samples::with_capacity(ticks as usize));
    for tick in 1..=WARM_TICKS + ticks {
        scene.step();
        let rows = lanes(&scene);
        let began = thread_cpu();
        encoder.begin(tick);
        for (at, lanes) in rows.iter().enumerate() {
            encoder.row(StableId(at as u32 + 1), component, None, 0, lanes);
        }
        let baseline = if acks.len() > ACK_TICKS { acks.pop_front() } else { None };
        assert!(encoder.encode(baseline, viewer, &mut parts), "the state fits");
        let encoded = thread_cpu();
        for part in parts.iter() {
            if decoder.receive(part).expect("nothing is damaged") == Received::Complete(tick) {
                acks.push_back(tick);
            }
        }
        let decoded = thread_cpu();
        if tick > WARM_TICKS {
            bytes += parts.iter().map(<[u8]>::len).sum::<usize>();
            datagrams += parts.len();
            encode.push(encoded - began);
            decode.push(decoded - encoded);
        }
        let newest = decoder.newest().expect("there is a state");
        for (at, lanes) in rows.iter().enumerate() {
            assert_eq!(newest.lanes(StableId(at as u32 + 1), component), Some(&lanes[..]), "body {at} at tick {tick}");
        }
    }
    let per_second = |bytes: f64| bytes / f64::from(SECONDS) / 1_000.0;
    println!(
        "asteroids: {BODIES} bodies, {ticks} ticks, {datagrams} datagrams, baselines {ACK_TICKS} ticks old and more"
    );
    figure("asteroids.goodput", per_second(bytes as f64), "kB/s");
    figure("asteroids.overhead", per_second(datagrams as f64 * (OURS_BYTES + UDP_BYTES)), "kB/s");
    figure("asteroids.encode", encode.percentile_us(0.5), "us_per_tick");
    figure("asteroids.decode", decode.percentile_us(0.5), "us_per_tick");
}

fn lanes(scene: &Scene) -> Vec<Vec<i32>> {
    let of = |at: usize| {
        let (position, rotation) = scene.pose(at);
        let mut lanes = Vec::new();
        Asteroid { position, rotation, scale: scene.bodies[at].scale }.to_lanes(&mut lanes);
        lanes
    };
    (0..BODIES).map(of).collect()
}
