//! What the log of record costs beside the disk itself: the same bytes in the same run, written by our log, with chain, seal
//! and acknowledged position, and by a bare loop into a file that was filled with zeros before.
//!
//! What each side does, so that nobody need guess:
//!
//! - `bare.cache`: one thread; write at the next sector, fdatasync, the next one.
//! - `bare.direct`: one thread; one write past the system's cache that returns when it is on disk (`O_DIRECT | O_DSYNC`), the
//!   next one. Memory and file are aligned to pages or, where the bytes are fewer, to sectors; the cache has nothing of the file.
//! - `ours.alone`: one thread; append each record, `commit`, the next batch: nobody has another batch before this one is answered.
//! - `ours.ahead`: the next batch is appended while a thread of the bench's own writes the last one (`begin_commit`, `write`,
//!   `end_commit`), and is sealed and hashed on whichever of the two threads has time. A batch is answered by the thread that wrote it
//!   when it is on disk, and begins to be written when the one before is; until then it waits for up to two others.
//!
//! All four flush the disk's own cache for each batch, and no batch is written before the one before it is on disk. Ours seals,
//! hashes, looks for each record's id among all, keeps the acknowledged position, and writes 20 B for each record and 112 for
//! each batch more; it writes past the cache too. Small batches are quicker alone, large ones ahead, and whoever uses the log may
//! choose: the better of ours counts. `share_of_disk` is ours over write and fdatasync, `share_of_direct` over the direct loop.
//!
//! Wall time, since it is the disk that is waited for. A virtual disk may be a third slower for one core than for another, as one core
//! takes all of its interrupts; left to itself the system puts a thread on either, and who is compared with whom then changes from
//! run to run. So each way takes each of its turns on two cores, pinned: its own thread on one and, if it has another thread, that on the other one,
//! and then the other way round. Each way is judged by the place that suits it best, the bare loops too.
//!
//! All take turns, of some milliseconds so that all see the same disk, the first changes. A turn begins with nothing under way and with whatever
//! the others have left in the processor's caches, and ends with all of it answered, which costs who is ahead the time of two or three batches; a share is taken of two turns of one round, and the middle round counts:
//! a virtual disk that is out of tokens answers in milliseconds for a while. Such a while is waited for between two rounds.
//! `apart` is what the steps of a commit take one after the other, on one thread and behind all turns.
//! Payloads are random: nothing compresses them. A latency is from a batch's first record until it is answered.

mod apart;
mod bare;
mod cores;
mod ours;

use std::path::Path;
use std::time::Duration;

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_eventlog::Folder;

use crate::bare::{Bare, Look};
use crate::cores::Cores;
use crate::ours::{Ahead, Alone};

/// Bytes of a record: an event of a match with its envelope.
const RECORD_BYTES: usize = 256;
/// Records that are committed together.
const BATCHES: [usize; 3] = [1, 16, 256];
/// Turns of each in each place, and commits in one.
const ROUNDS: usize = 25;
const COMMITS: usize = 48;
/// Turns of each in each place before anything is counted.
const WARMING: usize = 2;

/// One way to bring batches to the disk.
trait Way {
    /// Its name among the figures.
    fn name(&self) -> &'static str;
    /// Brings [`COMMITS`] batches to the disk; returns how long that took.
    fn turn(&mut self, samples: &mut Samples) -> Duration;
    /// Puts threads beside the one that takes the turn on this core.
    fn pin_beside(&mut self, _core: usize) {}
    /// CPU time so far of threads beside the one that takes the turn.
    fn beside_cpu(&self) -> Duration {
        Duration::ZERO
    }
}

/// What one way did in one place.
struct Place {
    cores: Cores,
    /// Of each round, how long a commit took in the mean, in microseconds.
    rounds: Vec<f64>,
    samples: Samples,
    cpu: Duration,
}

impl Place {
    fn new(cores: Cores) -> Self {
        let samples = Samples::with_capacity(ROUNDS * COMMITS);
        Self { cores, rounds: Vec::with_capacity(ROUNDS), samples, cpu: Duration::ZERO }
    }

    fn turn(&mut self, way: &mut dyn Way) {
        self.cores.take(way);
        let before = thread_cpu() + way.beside_cpu();
        let took = way.turn(&mut self.samples);
        self.cpu += thread_cpu() + way.beside_cpu() - before;
        self.rounds.push(took.as_secs_f64() * 1e6 / COMMITS as f64);
    }

    fn figures(&mut self, name: &str, batch: usize) {
        figure(&format!("{name}.cpu"), self.cpu.as_secs_f64() * 1e6 / (ROUNDS * COMMITS) as f64, "us_per_commit");
        figure(name, batch as f64 / middle(self.rounds.iter().copied()) * 1e6, "records_per_s");
        figure(&format!("{name}.p50"), self.samples.percentile_us(0.5), "us");
        figure(&format!("{name}.p99"), self.samples.percentile_us(0.99), "us");
    }
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn random(bytes: usize) -> Vec<u8> {
    let mut dice = arbiter_eventlog::simulated::Dice::new(20_261_121);
    (0..bytes).map(|_| dice.roll() as u8).collect()
}

/// Ours over write and fdatasync, and over the direct loop, of one batch size.
fn compare(path: &Path, batch: usize, cores: &[Cores]) -> [f64; 2] {
    let data = random(batch * RECORD_BYTES);
    let folder = |name: &str| Folder::make(&path.join(format!("{name}-{batch}"))).expect("a folder");
    let commits = (ROUNDS + WARMING) * COMMITS * cores.len();
    let mut ways: [Box<dyn Way>; 4] = [
        Box::new(Bare::new("bare.cache", &folder("cache"), &data, commits, false)),
        Box::new(Bare::new("bare.direct", &folder("direct"), &data, commits, true)),
        Box::new(Alone::new(folder("alone"), &data, commits)),
        Box::new(Ahead::new(folder("ahead"), &data, commits)),
    ];
    let mut look = Look::new(&folder("look"));
    for cores in cores {
        for way in &mut ways {
            cores.take(&mut **way);
            (0..WARMING).for_each(|_| _ = way.turn(&mut Samples::default()));
        }
    }
    let mut places = [(); 4].map(|()| cores.iter().copied().map(Place::new).collect::<Vec<_>>());
    for (round, at) in (0..ROUNDS).flat_map(|round| (0..cores.len()).map(move |at| (round, at))) {
        look.rest();
        for who in (0..4).map(|turn| (turn + round) % 4) {
            places[who][at].turn(&mut *ways[who]);
        }
    }
    let mut best = Vec::with_capacity(4);
    for (way, places) in ways.iter().zip(&mut places) {
        let name = format!("eventlog.batch{batch}.{}", way.name());
        places
            .sort_by(|one, other| middle(one.rounds.iter().copied()).total_cmp(&middle(other.rounds.iter().copied())));
        for (place, suffix) in places.iter_mut().zip(["", ".otherwise"]) {
            println!("{name}{suffix}: {}", place.cores);
            place.figures(&format!("{name}{suffix}"), batch);
        }
        best.push(places.swap_remove(0));
    }
    let [cache, direct, alone, ahead] = &best[..] else { unreachable!("there are four ways") };
    alone.cores.take(&mut *ways[2]);
    apart::figures(folder("apart"), &data, batch, ROUNDS * COMMITS);
    let total = |place: &Place| middle(place.rounds.iter().copied());
    let ours = if total(alone) <= total(ahead) { alone } else { ahead };
    let shares = [cache, direct]
        .map(|bare| 100.0 * middle(bare.rounds.iter().zip(&ours.rounds).map(|(bare, ours)| bare / ours)));
    figure(&format!("eventlog.batch{batch}.share_of_disk"), shares[0], "percent");
    figure(&format!("eventlog.batch{batch}.share_of_direct"), shares[1], "percent");
    shares
}

fn main() {
    println!(
        "eventlog: {RECORD_BYTES} B records, {ROUNDS} turns of {COMMITS} commits each in each place, wall time, {}",
        machine()
    );
    // Beside the build's output, which is on the disk that people mean; the system's temporary folder may be in memory.
    let place = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    std::fs::create_dir_all(&place).expect("a folder for the build");
    // Asked before this thread is put on one of them.
    let cores = Cores::to_try();
    let mut worst = [f64::INFINITY; 2];
    for batch in BATCHES {
        let folder = tempfile::tempdir_in(&place).expect("a temporary folder");
        let shares = compare(folder.path(), batch, &cores);
        worst = [worst[0].min(shares[0]), worst[1].min(shares[1])];
    }
    figure("eventlog.share_of_disk", worst[0], "percent");
    figure("eventlog.share_of_direct", worst[1], "percent");
}
