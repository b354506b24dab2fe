//! What the log of record costs beside the disk itself: the same bytes in the same run, written by our log, with chain,
//! seal and acknowledged position, and by a bare loop of write and fdatasync into a file that was filled with zeros before.
//!
//! Wall time, since it is the disk that is waited for. The two take turns commit by commit, so that what else the
//! disk does meets both. Payloads are random: nothing compresses them.

use std::path::Path;
use std::time::{Duration, Instant};

use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_eventlog::{Disk, DiskFile, Folder, Log, Masters, Options};

/// Bytes of a record: an event of a match with its envelope.
const RECORD_BYTES: usize = 256;
/// Records that are committed together.
const BATCHES: [usize; 3] = [1, 16, 256];
/// Turns of each, and commits in one.
const ROUNDS: usize = 1500;
const COMMITS: usize = 1;
/// Commits of each before anything is counted.
const WARMING: usize = 50;
const SEGMENT_BYTES: u64 = 128 << 20;

/// A file as the log's, and nothing but the disk's own calls.
struct Bare {
    file: std::fs::File,
    offset: u64,
    bytes: Vec<u8>,
}

impl Bare {
    fn new(folder: &Folder, bytes: Vec<u8>) -> Self {
        let file = folder.create("bare").expect("a file");
        let zeros = vec![0; 1 << 20];
        (0..SEGMENT_BYTES / zeros.len() as u64).for_each(|at| file.write_at(&zeros, at << 20).expect("zeros"));
        file.sync_data().expect("flushed");
        Self { file, offset: 0, bytes }
    }

    fn commit(&mut self) {
        // As the log's own offsets: from a sector's border on.
        self.file.write_at(&self.bytes, self.offset).expect("written");
        self.file.sync_data().expect("flushed");
        self.offset += self.bytes.len().next_multiple_of(512) as u64;
    }
}

struct Ours {
    log: Log<Folder>,
    data: Vec<u8>,
    next: u128,
}

impl Ours {
    fn commit(&mut self, batch: usize) {
        for index in 0..batch {
            let data = &self.data[index * RECORD_BYTES..][..RECORD_BYTES];
            self.log.append(self.next, data).expect("appended");
            self.next += 1;
        }
        self.log.commit().expect("on disk");
    }
}

fn time(samples: &mut Samples, mut commit: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..COMMITS {
        let before = Instant::now();
        commit();
        samples.push(before.elapsed());
    }
    began.elapsed()
}

fn random(bytes: usize) -> Vec<u8> {
    let mut dice = arbiter_eventlog::simulated::Dice::new(20_261_121);
    (0..bytes).map(|_| dice.roll() as u8).collect()
}

/// Ours over bare in records a second, of one batch size.
fn compare(path: &Path, batch: usize) -> f64 {
    let folder = Folder::make(&path.join(format!("batch-{batch}"))).expect("a folder");
    let options =
        Options { segment_bytes: SEGMENT_BYTES, masters: Some(Masters::from_key([7; 32])), ..Options::default() };
    let (log, _) = Log::open(folder, options).expect("a log");
    let data = random(batch * RECORD_BYTES);
    let mut ours = Ours { log, data: data.clone(), next: 0 };
    let bare_folder = Folder::make(&path.join(format!("bare-{batch}"))).expect("a folder");
    let mut bare = Bare::new(&bare_folder, data);
    let mut samples = [Samples::with_capacity(ROUNDS * COMMITS), Samples::with_capacity(ROUNDS * COMMITS)];
    // Warm both, uncounted.
    (0..WARMING).for_each(|_| bare.commit());
    (0..WARMING).for_each(|_| ours.commit(batch));
    let (mut total, mut cpu) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    for round in 0..ROUNDS {
        // Who begins changes, so that neither always follows the other.
        for who in [round % 2, (round + 1) % 2] {
            let before = thread_cpu();
            total[who] += match who {
                0 => time(&mut samples[0], || bare.commit()),
                _ => time(&mut samples[1], || ours.commit(batch)),
            };
            cpu[who] += thread_cpu() - before;
        }
    }
    let commits = (ROUNDS * COMMITS) as f64;
    for (((name, total), cpu), samples) in ["bare", "ours"].into_iter().zip(total).zip(cpu).zip(&mut samples) {
        figure(&format!("eventlog.batch{batch}.{name}.cpu"), cpu.as_secs_f64() * 1e6 / commits, "us_per_commit");
        figure(&format!("eventlog.batch{batch}.{name}"), commits * batch as f64 / total.as_secs_f64(), "records_per_s");
        figure(&format!("eventlog.batch{batch}.{name}.p50"), samples.percentile_us(0.5), "us");
        figure(&format!("eventlog.batch{batch}.{name}.p99"), samples.percentile_us(0.99), "us");
    }
    let share = 100.0 * total[0].as_secs_f64() / total[1].as_secs_f64();
    figure(&format!("eventlog.batch{batch}.share_of_disk"), share, "percent");
    let medians = samples.each_mut().map(|samples| samples.percentile_us(0.5));
    figure(&format!("eventlog.batch{batch}.share_of_disk_p50"), 100.0 * medians[0] / medians[1], "percent");
    share
}

fn main() {
    println!("eventlog: {RECORD_BYTES} B records, {ROUNDS} turns of {COMMITS} commits each, wall time, {}", machine());
    // Beside the build's output, which is on the disk that people mean; the system's temporary folder may be in memory.
    let place = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    std::fs::create_dir_all(&place).expect("a folder for the build");
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let worst = BATCHES.map(|batch| compare(folder.path(), batch)).into_iter().fold(f64::INFINITY, f64::min);
    figure("eventlog.share_of_disk", worst, "percent");
}
