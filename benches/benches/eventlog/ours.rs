//! Our log, one batch after the other and with the next batch ready when the disk is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arbiter_benches::measure::{Samples, thread_cpu};
use arbiter_eventlog::simulated::Dice;
use arbiter_eventlog::{Begun, COMMITS_UNDER_WAY_MAX, Folder, Log, Masters, Options, PendingCommit, WrittenCommit};

use crate::cores::pin;
use crate::{COMMITS, RECORD_BYTES, Way};

/// Bytes of a block that a batch may have beside its records' own, and those of a record.
const BLOCK_HEAD_BYTES: usize = 1024;
const RECORD_HEAD_BYTES: usize = 20;

/// A log, and what is put into it.
pub struct Ours {
    pub log: Log<Folder>,
    data: Vec<u8>,
    /// Names are as good as random to the log, as those of real events are, which are hashes.
    names: Dice,
    batch: Vec<u128>,
}

impl Ours {
    /// All that is to come fits one segment: how long a new one takes to fill with zeros is no matter of a commit.
    pub fn new(folder: Folder, data: &[u8], commits: usize) -> Self {
        let block = data.len() + data.len() / RECORD_BYTES * RECORD_HEAD_BYTES + BLOCK_HEAD_BYTES;
        let segment_bytes = ((block * commits) as u64).max(16 << 20);
        let options = Options { segment_bytes, masters: Some(Masters::from_key([7; 32])), ..Options::default() };
        let (log, _) = Log::open(folder, options).expect("a log");
        let batch = Vec::with_capacity(data.len() / RECORD_BYTES);
        Self { log, data: data.to_vec(), names: Dice::new(commits as u64), batch }
    }

    /// Names a batch, and looks whether any of it is there.
    pub fn look(&mut self) {
        self.batch.clear();
        for _ in 0..self.data.len() / RECORD_BYTES {
            self.batch.push(u128::from(self.names.roll()) << 64 | u128::from(self.names.roll()));
        }
        assert_eq!(self.log.known_among(self.batch.iter().copied()), 0);
    }

    /// Appends that batch.
    pub fn append(&mut self) {
        for (id, data) in self.batch.iter().zip(self.data.chunks_exact(RECORD_BYTES)) {
            self.log.append(*id, data).expect("appended");
        }
    }
}

/// Append, commit, the next batch.
pub struct Alone(Ours);

impl Alone {
    pub fn new(folder: Folder, data: &[u8], commits: usize) -> Self {
        Self(Ours::new(folder, data, commits))
    }
}

impl Way for Alone {
    fn name(&self) -> &'static str {
        "ours.alone"
    }

    fn turn(&mut self, samples: &mut Samples) -> Duration {
        let began = Instant::now();
        for _ in 0..COMMITS {
            let before = Instant::now();
            self.0.look();
            self.0.append();
            self.0.log.commit().expect("on disk");
            samples.push(before.elapsed());
        }
        began.elapsed()
    }
}

/// What the thread beside is told.
#[expect(clippy::large_enum_variant, reason = "nearly all are commits, and a box would be an allocation for each")]
enum Task {
    /// To go to a core.
    Pin(usize),
    /// To write a batch that was begun then.
    Write(Instant, PendingCommit<Folder>),
}

/// The next batch while the last one is written.
pub struct Ahead {
    ours: Ours,
    pending: Option<SyncSender<Task>>,
    written: Receiver<(Duration, WrittenCommit)>,
    disk_cpu_ns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    pub fn new(folder: Folder, data: &[u8], commits: usize) -> Self {
        let (pending, tasks) = sync_channel(COMMITS_UNDER_WAY_MAX as usize);
        let (back, written) = sync_channel(COMMITS_UNDER_WAY_MAX as usize);
        let disk_cpu_ns = Arc::new(AtomicU64::new(0));
        let cpu = Arc::clone(&disk_cpu_ns);
        let thread = std::thread::spawn(move || {
            for task in tasks {
                let (began, commit) = match task {
                    Task::Pin(core) => {
                        pin(core);
                        continue;
                    }
                    Task::Write(began, commit) => (began, commit),
                };
                let written = commit.write();
                // Here whoever waits for it can be told: that the batch's memory goes back to the log later is nobody's loss.
                back.send((began.elapsed(), written)).expect("who takes it back");
                cpu.store(thread_cpu().as_nanos() as u64, Ordering::Relaxed);
            }
        });
        let ours = Ours::new(folder, data, commits);
        Self { ours, pending: Some(pending), written, disk_cpu_ns, thread: Some(thread) }
    }

    fn end(&mut self, (took, written): (Duration, WrittenCommit), samples: &mut Samples) {
        self.ours.log.end_commit(written).expect("on disk");
        samples.push(took);
    }

    fn end_one(&mut self, samples: &mut Samples) {
        let written = self.written.recv().expect("the thread");
        self.end(written, samples);
    }
}

impl Way for Ahead {
    fn name(&self) -> &'static str {
        "ours.ahead"
    }

    fn turn(&mut self, samples: &mut Samples) -> Duration {
        let turn_began = Instant::now();
        for _ in 0..COMMITS {
            let began = Instant::now();
            self.ours.look();
            self.ours.append();
            while let Ok(written) = self.written.try_recv() {
                self.end(written, samples);
            }
            let mut commit = loop {
                match self.ours.log.begin_commit().expect("begun") {
                    Begun::Pending(commit) => break commit,
                    Begun::Later | Begun::Nothing => self.end_one(samples),
                }
            };
            // The more waits for the disk, the more time there is on this side of it.
            match self.ours.log.under_way() {
                1 => (),
                2 => commit.seal(),
                _ => commit.hash(),
            }
            self.pending.as_ref().expect("the thread").send(Task::Write(began, commit)).expect("the thread");
        }
        // A turn is over when all of it is answered.
        while self.ours.log.under_way() > 0 {
            self.end_one(samples);
        }
        turn_began.elapsed()
    }

    fn pin_beside(&mut self, core: usize) {
        self.pending.as_ref().expect("the thread").send(Task::Pin(core)).expect("the thread");
    }

    fn beside_cpu(&self) -> Duration {
        Duration::from_nanos(self.disk_cpu_ns.load(Ordering::Relaxed))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.pending.take());
        // What it panicked with was printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
