//! What a client is sent of 250 rigid bodies that drift, turn and collide, 30 times a second, over a link of 50 ms: position to
//! 0.01 m, rotation to 0.001 of a quaternion's part or finer, in the form that all clients share and in the one that is made for
//! each, without loss and with every tenth part lost. Every snapshot that comes is decoded and compared with what was sent.
//!
//! `cargo bench --bench asteroids`.

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_schema::{Audience, Describe as _, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::{Cache, Form, History, Peer, PeerParts, Receiver, Viewer, Wish};
use glam::{Quat, Vec3};
use std::collections::VecDeque;

mod scene;

use scene::{BODIES, Scene, TICK_RATE};

const SEED: u64 = 11;
const SECONDS: u32 = 60;
/// Ticks until an acknowledgement is back: 50 ms, and the tick in which it is used.
const ACK_TICKS: u32 = 2;
const WARM_TICKS: u32 = 60;
/// netcode's prefix, sequence and tag, and the header of a payload.
const OURS_BYTES: f64 = 1.0 + 2.0 + 16.0 + 10.0;
const UDP_BYTES: f64 = 28.0;

const POSITION: Spec = Spec::new(-32.0, 32.0, 0.01, Predictor::Drift, Audience::Everyone);
/// The three smaller parts of a unit quaternion, from -1/√2 to 1/√2 in steps of 0.0007.
const ROTATION: Spec = Spec::new(0.0, ROTATION_MAX, 1.0, Predictor::Spin, Audience::Everyone);
const ROTATION_MAX: f32 = 2_047.0;
const SCALE: Spec = Spec::new(0.0, 1.0, 0.01, Predictor::Hold, Audience::Everyone);

describe! {
    /// A body that drifts.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Asteroid {
        /// Where, in metres.
        pub position: Vec3 => POSITION,
        /// Which way up.
        pub rotation: [u16; 4] => ROTATION,
        /// How large.
        pub scale: f32 => SCALE,
    }
}

/// A run in one form, with so many of 100 parts lost.
struct Run {
    bytes: usize,
    datagrams: usize,
    compared: usize,
    encode: Samples,
    decode: Samples,
}

fn main() {
    println!("machine: {}", machine());
    for (form, loss, name) in [
        (Form::Shared, 0, ""),
        (Form::Shared, 10, ".loss10"),
        (Form::Small, 0, ".small"),
        (Form::Small, 10, ".small.loss10"),
    ] {
        let mut run = play(form, loss);
        let per_second = |bytes: f64| bytes / f64::from(SECONDS) / 1_000.0;
        println!(
            "asteroids{name}: {BODIES} bodies, {} ticks, {} datagrams, {loss} % lost, baselines {ACK_TICKS} ticks old and more, {} \
             states read and compared",
            SECONDS * TICK_RATE,
            run.datagrams,
            run.compared
        );
        figure(&format!("asteroids{name}.goodput"), per_second(run.bytes as f64), "kB/s");
        let overhead = per_second(run.datagrams as f64 * (OURS_BYTES + UDP_BYTES));
        figure(&format!("asteroids{name}.overhead"), overhead, "kB/s");
        figure(&format!("asteroids{name}.encode"), run.encode.percentile_us(0.5), "us_per_tick");
        figure(&format!("asteroids{name}.decode"), run.decode.percentile_us(0.5), "us_per_tick");
    }
}

fn play(form: Form, loss: u64) -> Run {
    let mut registry = Registry::default();
    let component = registry.add::<Asteroid>();
    let mut scene = Scene::new(SEED);
    let (mut history, mut cache) = (History::new(&registry), Cache::default());
    let (mut peer, mut receiver) = (Peer::new(1), Receiver::new(&registry));
    peer.set_form(form);
    receiver.set_form(form);
    let mut parts = PeerParts::default();
    let mut acks: VecDeque<(u32, u32, bool)> = VecDeque::new();
    let wanted: Vec<StableId> = (1..=BODIES as u32).map(StableId).collect();
    let viewer = Viewer { slot: None, team: 0 };
    let ticks = SECONDS * TICK_RATE;
    let samples = || Samples::with_capacity(ticks as usize);
    let mut run = Run { bytes: 0, datagrams: 0, compared: 0, encode: samples(), decode: samples() };
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for tick in 1..=WARM_TICKS + ticks {
        scene.step();
        let rows = lanes(&scene);
        let began = thread_cpu();
        while acks.front().is_some_and(|(due, ..)| *due <= tick) {
            if let Some((_, tag, came)) = acks.pop_front() {
                if came { peer.delivered(tag) } else { peer.lost(tag) }
            }
        }
        history.begin(tick);
        for (at, lanes) in rows.iter().enumerate() {
            history.row(StableId(at as u32 + 1), component, None, 0, lanes);
        }
        history.finish();
        let wish = Wish { wanted: &wanted, gone: &[], always: None, budget_bytes: usize::MAX };
        peer.encode(&history, &mut cache, viewer, &wish, &mut parts);
        let encoded = thread_cpu();
        for (tag, part) in parts.iter() {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let came = dice % 100 >= loss;
            if came {
                receiver.receive(part).expect("nothing is damaged");
            }
            acks.push_back((tick + ACK_TICKS, tag, came));
        }
        let decoded = thread_cpu();
        if tick > WARM_TICKS {
            run.bytes += parts.iter().map(|(_, part)| part.len()).sum::<usize>();
            run.datagrams += parts.iter().count();
            run.encode.push(encoded - began);
            run.decode.push(decoded - encoded);
        }
        for (id, state) in receiver.entities().filter(|(_, state)| state.tick == tick) {
            assert_eq!(state.lanes, rows[id.0 as usize - 1], "{id:?} at tick {tick}");
            run.compared += usize::from(tick > WARM_TICKS);
        }
    }
    run
}

fn lanes(scene: &Scene) -> Vec<Vec<i32>> {
    let of = |at: usize| {
        let (position, rotation) = scene.pose(at);
        let mut lanes = Vec::new();
        Asteroid { position, rotation: smallest_three(rotation), scale: scene.bodies[at].scale }.to_lanes(&mut lanes);
        lanes
    };
    (0..BODIES).map(of).collect()
}

fn smallest_three(rotation: Quat) -> [u16; 4] {
    let parts = rotation.to_array();
    let largest = (0..4).fold(0, |best, at| if parts[at].abs() > parts[best].abs() { at } else { best });
    let sign = parts[largest].signum();
    let told = |part: f32| ((part * sign * core::f32::consts::SQRT_2 + 1.0) / 2.0 * ROTATION_MAX).round() as u16;
    let mut others = (0..4).filter(|at| *at != largest).map(|at| told(parts[at]));
    let mut next = || others.next().unwrap_or(0);
    [largest as u16, next(), next(), next()]
}
