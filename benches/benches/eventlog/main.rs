//! What the log of record costs beside the disk itself: the same bytes in the same run, written by our log, with chain, seal
//! and acknowledged position, and by a bare loop into a file that was filled with zeros before.
//!
//! What each side does, so that nobody need guess:
//!
//! - `bare.cache`: one thread; write at the next sector, fdatasync, the next one.
//! - `bare.direct`: one thread; one write past the system's cache that returns when it is on disk (`O_DIRECT | O_DSYNC`), the
//!   next one. Memory and file are aligned to pages or, where the bytes are fewer, to sectors.
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
//! Wall time, since it is the disk that is waited for. All take turns, the first changes, and what is compared is the middle turn:
//! a virtual disk that is out of tokens answers in milliseconds for a while. Such a while is waited for between two rounds.
//! `apart` is what the steps of a commit take one after the other, on one thread and behind all turns.
//! Payloads are random: nothing compresses them. A latency is from a batch's first record until it is answered.

mod apart;
mod bare;
mod ours;

use std::path::Path;
use std::time::Duration;

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_eventlog::Folder;

use crate::bare::{Bare, Look};
use crate::ours::{Ahead, Alone};

/// Bytes of a record: an event of a match with its envelope.
const RECORD_BYTES: usize = 256;
/// Records that are committed together.
const BATCHES: [usize; 3] = [1, 16, 256];
/// Turns of each, and commits in one.
const ROUNDS: usize = 60;
const COMMITS: usize = 16;
/// Turns of each before anything is counted.
const WARMING: usize = 4;

/// One way to bring batches to the disk.
trait Way {
    /// Its name among the figures.
    fn name(&self) -> &'static str;
    /// Brings [`COMMITS`] batches to the disk; returns how long that took.
    fn turn(&mut self, samples: &mut Samples) -> Duration;
    /// CPU time so far of threads beside the one that takes the turn.
    fn beside_cpu(&self) -> Duration {
        Duration::ZERO
    }
}

fn random(bytes: usize) -> Vec<u8> {
    let mut dice = arbiter_eventlog::simulated::Dice::new(20_261_121);
    (0..bytes).map(|_| dice.roll() as u8).collect()
}

/// Ours over write and fdatasync, and over the direct loop, of one batch size.
fn compare(path: &Path, batch: usize) -> [f64; 2] {
    let data = random(batch * RECORD_BYTES);
    let folder = |name: &str| Folder::make(&path.join(format!("{name}-{batch}"))).expect("a folder");
    let commits = (ROUNDS + WARMING) * COMMITS;
    let mut ways: [Box<dyn Way>; 4] = [
        Box::new(Bare::new("bare.cache", &folder("cache"), &data, commits, false)),
        Box::new(Bare::new("bare.direct", &folder("direct"), &data, commits, true)),
        Box::new(Alone::new(folder("alone"), &data, commits)),
        Box::new(Ahead::new(folder("ahead"), &data, commits)),
    ];
    let mut look = Look::new(&folder("look"));
    for way in &mut ways {
        (0..WARMING).for_each(|_| _ = way.turn(&mut Samples::default()));
    }
    let mut turns = [(); 4].map(|()| Samples::with_capacity(ROUNDS));
    let mut samples = [(); 4].map(|()| Samples::with_capacity(ROUNDS * COMMITS));
    let mut cpu = [Duration::ZERO; 4];
    for round in 0..ROUNDS {
        look.rest();
        for who in (0..4).map(|turn| (turn + round) % 4) {
            let before = thread_cpu() + ways[who].beside_cpu();
            turns[who].push(ways[who].turn(&mut samples[who]));
            cpu[who] += thread_cpu() + ways[who].beside_cpu() - before;
        }
    }
    let middle = turns.each_mut().map(|turns| turns.percentile_us(0.5) / COMMITS as f64);
    for (((way, cpu), middle), samples) in ways.iter().zip(cpu).zip(middle).zip(&mut samples) {
        let name = format!("eventlog.batch{batch}.{}", way.name());
        figure(&format!("{name}.cpu"), cpu.as_secs_f64() * 1e6 / (ROUNDS * COMMITS) as f64, "us_per_commit");
        figure(&name, batch as f64 / middle * 1e6, "records_per_s");
        figure(&format!("{name}.p50"), samples.percentile_us(0.5), "us");
        figure(&format!("{name}.p99"), samples.percentile_us(0.99), "us");
    }
    apart::figures(folder("apart"), &data, batch, commits);
    let [cache, direct, alone, ahead] = middle;
    let shares = [cache, direct].map(|bare| 100.0 * bare / alone.min(ahead));
    figure(&format!("eventlog.batch{batch}.share_of_disk"), shares[0], "percent");
    figure(&format!("eventlog.batch{batch}.share_of_direct"), shares[1], "percent");
    shares
}

fn main() {
    println!("eventlog: {RECORD_BYTES} B records, {ROUNDS} turns of {COMMITS} commits each, wall time, {}", machine());
    // Beside the build's output, which is on the disk that people mean; the system's temporary folder may be in memory.
    let place = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    std::fs::create_dir_all(&place).expect("a folder for the build");
    let mut worst = [f64::INFINITY; 2];
    for batch in BATCHES {
        let folder = tempfile::tempdir_in(&place).expect("a temporary folder");
        let shares = compare(folder.path(), batch);
        worst = [worst[0].min(shares[0]), worst[1].min(shares[1])];
    }
    figure("eventlog.share_of_disk", worst[0], "percent");
    figure("eventlog.share_of_direct", worst[1], "percent");
}
