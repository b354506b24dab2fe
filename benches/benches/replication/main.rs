//! 1,000 entities of seven values that all change, for 1, 20 and 100 clients with round trips of 20 to 200 ms, 2 % loss and
//! relevant sets that overlap by half: thread CPU time of telling all clients of a tick, and bytes for each.
//!
//! `cargo bench --bench replication`. Our own side alone: peers are not beside it yet, so that no ratio is printed.

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_schema::{Audience, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::Viewer;
use arbiter_snapshot::exchange::{Cache, History, Peer, PeerParts, Receiver};

const ENTITIES: u32 = 1_000;
/// Entities that one client sees.
const SEEN: u32 = 500;
const RATE: f64 = 60.0;
const TICKS: u32 = 180;
/// Ticks before the measurement: all clients hold what they see.
const WARM: u32 = 60;
const LOSS_PERCENT: u64 = 2;
/// More than any client needs: bytes are measured, not cut.
const BUDGET_BYTES: usize = 1 << 20;
/// Clients' baselines meet on every fourth tick.
const LADDER: u32 = 4;

describe! {
    /// Place in 1/100 m, rotation in 1/1000 or finer.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Body {
        /// Within 327 m.
        pub place: [i32; 3] => Spec::new(0.0, 65_535.0, 1.0, Predictor::Linear, Audience::Everyone),
        /// Smallest three.
        pub turn: [u16; 4] => Spec::new(0.0, 2_047.0, 1.0, Predictor::Rotation, Audience::Everyone),
    }
}

/// Everybody walks a circle of its own and turns along.
fn lanes(entity: u32, tick: u32) -> [i32; 7] {
    let (phase, speed) = (f64::from(entity) * 2.399, 0.3 + f64::from(entity % 17) * 0.1);
    let radius = 200.0 + f64::from(entity % 31) * 40.0;
    let angle = phase + f64::from(tick) / RATE * speed;
    let centre = [f64::from(entity % 32) * 1_900.0 + 3_000.0, f64::from(entity / 32) * 1_900.0 + 3_000.0];
    let height = 3_000.0 + 100.0 * libm::sin(angle * 3.0);
    let place = [centre[0] + radius * libm::cos(angle), height, centre[1] + radius * libm::sin(angle)];
    let half = [0.0, libm::sin(-angle / 2.0), 0.0, libm::cos(-angle / 2.0)];
    let largest = if half[1].abs() > half[3].abs() { 1 } else { 3 };
    let sign = half[largest].signum();
    let part = |at: usize| ((half[at] * sign * core::f64::consts::SQRT_2 + 1.0) / 2.0 * 2_047.0).round() as i32;
    let mut told = (0..4).filter(|at| *at != largest).map(part);
    let mut next = || told.next().unwrap_or(0);
    [place[0] as i32, place[1] as i32, place[2] as i32, largest as i32, next(), next(), next()]
}

struct Client {
    peer: Peer,
    receiver: Receiver,
    wanted: Vec<StableId>,
    delay_ticks: u32,
    /// When the server hears of it, tag, whether it came.
    acknowledgements: Vec<(u32, u32, bool)>,
}

fn run(count: u32, dice: &mut impl FnMut() -> u64) -> Result<(), String> {
    let mut registry = Registry::default();
    registry.add::<Body>();
    let client = |at: u32| Client {
        peer: Peer::new(LADDER),
        receiver: Receiver::new(&registry),
        wanted: {
            let mut wanted: Vec<u32> = (0..SEEN).map(|seen| 1 + (at * SEEN / 2 + seen) % ENTITIES).collect();
            wanted.sort_unstable();
            wanted.into_iter().map(StableId).collect()
        },
        // 20 to 200 ms and half a tick until the acknowledgement is read.
        delay_ticks: 2 + at * 11 / count.max(1),
        acknowledgements: Vec::new(),
    };
    let mut clients: Vec<Client> = (0..count).map(client).collect();
    let (mut history, mut cache, mut parts) = (History::new(&registry), Cache::default(), PeerParts::default());
    let (mut samples, mut bytes, mut before) = (Samples::with_capacity(TICKS as usize), 0, (0, 0));
    for tick in 1..=WARM + TICKS {
        if tick == WARM + 1 {
            (bytes, before) = (0, cache.counts());
        }
        let rows: Vec<[i32; 7]> = (0..ENTITIES).map(|entity| lanes(entity, tick)).collect();
        let start = thread_cpu();
        history.begin(tick);
        for (id, row) in (1..).zip(&rows) {
            history.row(StableId(id), 0, None, 0, row);
        }
        let mut spent = thread_cpu() - start;
        for client in &mut clients {
            let start = thread_cpu();
            let viewer = Viewer { slot: None, team: 0 };
            client.peer.encode(&mut history, &mut cache, viewer, &client.wanted, &[], BUDGET_BYTES, &mut parts);
            spent += thread_cpu() - start;
            for (tag, part) in parts.iter() {
                bytes += part.len();
                let came = dice() % 100 >= LOSS_PERCENT;
                if came {
                    client.receiver.receive(part).map_err(|error| error.to_string())?;
                }
                client.acknowledgements.push((tick + client.delay_ticks, tag, came));
            }
            let start = thread_cpu();
            client.acknowledgements.retain(|(due, tag, came)| {
                let heard = *due <= tick;
                match (heard, came) {
                    (true, true) => client.peer.delivered(*tag),
                    (true, false) => client.peer.lost(*tag),
                    _ => {}
                }
                !heard
            });
            spent += thread_cpu() - start;
        }
        if tick > WARM {
            samples.push(spent);
        }
        for client in &clients {
            let newest = client.receiver.entities().filter(|(_, state)| state.tick == tick);
            newest.for_each(|(id, state)| assert_eq!(state.lanes, rows[id.0 as usize - 1], "{id:?} at tick {tick}"));
        }
    }
    let (hits, misses) = (cache.counts().0 - before.0, cache.counts().1 - before.1);
    figure(&format!("replication.ours_{count}"), samples.mean_us(), "us_per_tick");
    let kbits = bytes as f64 * 8.0 * RATE / f64::from(TICKS) / f64::from(count) / 1e3;
    figure(&format!("replication.down_{count}"), kbits, "kbit/s");
    if count == 100 {
        figure("replication.shared_hits", hits as f64 * 100.0 / (hits + misses).max(1) as f64, "percent");
    }
    Ok(())
}

fn main() -> Result<(), String> {
    println!("{ENTITIES} entities of 7 values, {SEEN} seen by each client, {RATE} Hz; {}", machine());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut dice = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for count in [1, 20, 100] {
        run(count, &mut dice)?;
    }
    Ok(())
}
