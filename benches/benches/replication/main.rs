//! 1,000 entities of seven values that all change, for 1, 20 and 100 clients with round trips of 20 to 200 ms, 2 % loss and
//! relevant sets that overlap by half: thread CPU time of telling all clients of a tick, and bytes for each. Everything is
//! decoded and compared. Beside it bevy_replicon on the same scene, as a program of its own (`benches/peers/`), which is built on
//! first use: minutes, and a gigabyte of `target/`.
//!
//! `cargo bench --bench replication`, or with `--alone` behind `--` without the peer.

use std::path::Path;
use std::process::Command;

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_schema::{Audience, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::{Cache, History, Peer, PeerParts, Receiver, Viewer, Wish};

#[path = "../../peers/scene.rs"]
mod scene;

use scene::{CLIENTS, Dice, ENTITIES, RELEVANT, TICK_RATE, TICKS, WARM_TICKS, delay_ticks, first_of, knows, motion};

/// More than any client needs: bytes are measured, not cut.
const BUDGET_BYTES: usize = 1 << 20;
/// Clients' baselines meet on every fourth tick.
const LADDER: u32 = 4;

describe! {
    /// Place in 1/100 m, rotation in 1/1000 or finer. bevy_replicon tells the same as seven f32.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Body {
        /// Within 64 m.
        pub place: [i32; 3] => Spec::new(0.0, 12_800.0, 1.0, Predictor::Linear, Audience::Everyone),
        /// Smallest three.
        pub turn: [u16; 4] => Spec::new(0.0, 2_047.0, 1.0, Predictor::Rotation, Audience::Everyone),
    }
}

fn lanes(entity: u32, tick: u32) -> [i32; 7] {
    let [x, y, z, turn @ ..] = motion(entity, tick);
    let [x, y, z] = [x, y, z].map(|at| ((at + 64.0) * 100.0).round() as i32);
    let largest = (0..4).fold(0, |best, at| if turn[at].abs() > turn[best].abs() { at } else { best });
    let sign = turn[largest].signum();
    let part = |at: usize| ((turn[at] * sign * core::f32::consts::SQRT_2 + 1.0) / 2.0 * 2_047.0).round() as i32;
    let mut told = (0..4).filter(|at| *at != largest).map(part);
    let mut next = || told.next().unwrap_or(0).clamp(0, 2_047);
    [x, y, z, largest as i32, next(), next(), next()]
}

struct Client {
    peer: Peer,
    receiver: Receiver,
    wanted: Vec<StableId>,
    delay_ticks: u32,
    /// When the server hears of it, tag, whether it came.
    acknowledgements: Vec<(u32, u32, bool)>,
}

/// Microseconds of the middle tick.
fn run(count: usize, dice: &mut Dice) -> Result<f64, String> {
    let mut registry = Registry::default();
    registry.add::<Body>();
    let client = |at: usize| Client {
        peer: Peer::new(LADDER),
        receiver: Receiver::new(&registry),
        wanted: (0..ENTITIES)
            .filter(|entity| knows(first_of(at), *entity))
            .map(|entity| StableId(entity + 1))
            .collect(),
        // There and back.
        delay_ticks: 2 * delay_ticks(at, count),
        acknowledgements: Vec::new(),
    };
    let mut clients: Vec<Client> = (0..count).map(client).collect();
    let (mut history, mut cache, mut parts) = (History::new(&registry), Cache::default(), PeerParts::default());
    let (mut samples, mut bytes, mut before) = (Samples::with_capacity(TICKS as usize), 0, (0, 0));
    for tick in 1..=WARM_TICKS + TICKS {
        if tick == WARM_TICKS + 1 {
            (bytes, before) = (0, cache.counts());
        }
        let rows: Vec<[i32; 7]> = (0..ENTITIES).map(|entity| lanes(entity, tick)).collect();
        let start = thread_cpu();
        history.begin(tick);
        for (id, row) in (1..).zip(&rows) {
            history.row(StableId(id), 0, None, 0, row);
        }
        history.finish();
        let mut spent = thread_cpu() - start;
        for client in &mut clients {
            let start = thread_cpu();
            let viewer = Viewer { slot: None, team: 0 };
            let wish = Wish { wanted: &client.wanted, gone: &[], always: None, budget_bytes: BUDGET_BYTES };
            client.peer.encode(&history, &mut cache, viewer, &wish, &mut parts);
            spent += thread_cpu() - start;
            for (tag, part) in parts.iter() {
                bytes += part.len();
                let came = !dice.loses();
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
        if tick > WARM_TICKS {
            samples.push(spent);
        }
        for client in &clients {
            let newest = client.receiver.entities().filter(|(_, state)| state.tick == tick);
            newest.for_each(|(id, state)| assert_eq!(state.lanes, rows[id.0 as usize - 1], "{id:?} at tick {tick}"));
        }
    }
    let (hits, misses) = (cache.counts().0 - before.0, cache.counts().1 - before.1);
    let middle = samples.percentile_us(0.5);
    figure(&format!("replication.ours_{count}"), middle, "us_per_tick");
    figure(
        &format!("replication.ours_{count}.bytes"),
        bytes as f64 / f64::from(TICKS) / count as f64,
        "per_client_and_tick",
    );
    if count == 100 {
        figure("replication.shared_hits", hits as f64 * 100.0 / (hits + misses).max(1) as f64, "percent");
    }
    Ok(middle)
}

fn main() -> Result<(), String> {
    println!("{ENTITIES} entities of 7 values, {RELEVANT} seen by each client, {TICK_RATE} Hz; {}", machine());
    let mut dice = Dice(7);
    let mut ours = Vec::new();
    for count in CLIENTS {
        ours.push(run(count, &mut dice)?);
    }
    if std::env::args().any(|argument| argument == "--alone") {
        return Ok(());
    }
    println!("bevy_replicon 0.42.3 on the same scene; it is built first");
    for (line, ours) in peer()?.lines().zip(ours) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, count, middle, bytes] = words[..] else { return Err(format!("the peer said {line:?}")) };
        let number = |word: &str| word.parse::<f64>().map_err(|error| format!("{word}: {error}"));
        let (theirs, bytes) = (number(middle)?, number(bytes)?);
        figure(&format!("replication.replicon_{count}"), theirs, "us_per_tick");
        figure(&format!("replication.replicon_{count}.bytes"), bytes, "per_client_and_tick");
        figure(&format!("replication.replicon_over_ours_{count}"), theirs / ours, "ratio");
    }
    Ok(())
}

/// What the peer prints.
fn peer() -> Result<String, String> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| peers.join("../../target"), Into::into);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--release", "--quiet", "--locked", "--package", "arbiter-peer-replicon", "--target-dir"]);
    cargo.arg(target.join("peers")).current_dir(&peers).stderr(std::process::Stdio::inherit());
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("the peer ended with {}", output.status))
    }
}
