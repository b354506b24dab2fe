//! Brings what is in the outbox to the services' log, in order, and remembers how far they have acknowledged it.
//!
//! A thread follows the outbox as any reader does and sends what is new in batches. The cursor `services` in the outbox's folder
//! moves when the services say that a batch is on their disk, never before: what it has passed is final, and what it has not is
//! sent again after any crash. The services know events by their names, so that twice is once.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_contracts::batch;
use arbiter_contracts::outward::Policy;
use arbiter_eventlog::{Cursor, Folder, OpenError, Reader, Record};
use arbiter_metrics::Lag;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde::Deserialize;

use super::retention::{LOOK_FOR_BACKUP, Retention};
use super::{Client, Services};
use crate::outbox::OutboxStats;
use crate::outward::{CircuitFigures, OPEN_AFTER, Patience};

/// The cursor's name among the outbox's consumers.
const CURSOR: &str = "services";

/// Bytes of events that are read for one batch; a single event may have more, and goes alone.
pub(super) const BATCH_BYTES: usize = 256 << 10;

/// Between two looks for something new.
const LOOK: Duration = Duration::from_millis(50);

/// Events wait on disk: there is no hurry, and services that were away have many servers' to take.
const POLICY: Policy = Policy {
    connect_max: Duration::from_secs(2),
    call_max: Duration::from_secs(5),
    wait_min: Duration::from_millis(100),
    wait_max: Duration::from_secs(10),
    open_after: OPEN_AFTER,
};

/// When the server ends, what is left is tried for so long; the rest goes out with the next start.
const ENDING: Duration = Duration::from_secs(10);

/// How shipping does.
#[derive(Debug)]
pub(crate) struct ShipStats {
    /// Position behind the last event that the services have.
    pub acknowledged: AtomicU64,
    /// Position behind the last event in the outbox.
    pub end: AtomicU64,
    pub failures: AtomicU64,
    /// Whether the last call failed.
    pub broken: AtomicBool,
    pub lag: Lag,
    pub circuit: CircuitFigures,
}

impl ShipStats {
    fn new() -> Self {
        let (acknowledged, end, failures) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (broken, lag, circuit) = (AtomicBool::new(false), Lag::new(Instant::now()), CircuitFigures::default());
        Self { acknowledged, end, failures, broken, lag, circuit }
    }

    /// Events that the services do not have yet.
    pub fn waiting(&self) -> u64 {
        self.end.load(Ordering::Relaxed).saturating_sub(self.acknowledged.load(Ordering::Relaxed))
    }
}

/// The thread; it ends once told to, after what it still can send.
#[derive(Debug)]
pub(crate) struct Shipping {
    pub stats: Arc<ShipStats>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shipping {
    /// Starts shipping the outbox in a folder, which must be there, and tells whoever writes it what may be dropped. Where the
    /// services' log has no backup, `keep_bytes` of it are kept.
    pub fn start(
        folder: &Path,
        services: &Services,
        outbox: Arc<OutboxStats>,
        keep_bytes: u64,
    ) -> Result<Self, OpenError> {
        let disk = Folder::at(folder)?;
        let (reader, cursor) = (Reader::open(disk.clone(), None)?, Cursor::open(&disk, CURSOR)?);
        let stats = Arc::new(ShipStats::new());
        stats.acknowledged.store(cursor.position(), Ordering::Relaxed);
        stats.end.store(reader.end(), Ordering::Relaxed);
        let (stop, stopped) = bounded(0);
        let ship = Ship {
            folder: folder.to_owned(),
            reader,
            cursor,
            client: Client::new(services, &POLICY),
            patience: Patience::new(POLICY, &stats.circuit),
            stats: Arc::clone(&stats),
            retention: Retention::new(outbox, keep_bytes),
            looked_for_backup: Instant::now(),
        };
        let run = move || ship.run(&stopped);
        let thread = std::thread::Builder::new().name("ship".to_owned()).spawn(run)?;
        Ok(Self { stats, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Shipping {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Ship {
    folder: PathBuf,
    reader: Reader<Folder>,
    cursor: Cursor<Folder>,
    client: Client,
    patience: Patience,
    stats: Arc<ShipStats>,
    retention: Retention,
    looked_for_backup: Instant,
}

/// What the services say to events that they were brought.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Acknowledged {
    /// Position of their log behind the last of these events.
    pub position: u64,
    /// How many of them were new.
    pub new: u64,
    /// Position of their log up to which its last backup reaches; `None` if there never was one.
    pub backed_up: Option<u64>,
}

/// Brings events to the services.
pub(super) fn bring(client: &Client, records: &[Record]) -> Result<Acknowledged, String> {
    let body = batch::encode(records.iter().map(|record| &record.data[..]));
    let answer = client.call("POST", "/events", batch::CONTENT_TYPE, &body)?;
    serde_json::from_slice(&answer).map_err(|error| format!("POST /events: an answer that nobody can read: {error}"))
}

/// Reads what is to be brought together, from a position on and before another one.
pub(super) fn read(reader: &Reader<Folder>, from: u64, until: u64) -> Result<Vec<Record>, OpenError> {
    let mut records = Vec::new();
    reader.read(from, BATCH_BYTES, &mut records)?;
    records.truncate(records.partition_point(|record| record.position < until));
    let fits = batch::fitting(records.iter().map(|record| record.data.len()));
    records.truncate(fits);
    Ok(records)
}

impl Ship {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut wait = Duration::ZERO;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = match self.send() {
                Ok(true) => Duration::ZERO,
                Ok(false) => LOOK,
                Err(why) => self.failed(&why),
            };
            if wait <= LOOK && self.looked_for_backup.elapsed() >= LOOK_FOR_BACKUP {
                self.looked_for_backup = Instant::now();
                if let Err(why) = self.retention.look(&self.reader, &self.client, &mut self.cursor) {
                    wait = self.failed(&why);
                }
            }
        }
        // The outbox was closed before this was told to end: what is in it now is all.
        let until = Instant::now() + ENDING;
        while Instant::now() < until {
            match self.send() {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    let left = until.saturating_duration_since(std::time::Instant::now());
                    std::thread::sleep(self.failed(&why).min(left));
                }
            }
        }
        let waiting = self.stats.waiting();
        tracing::error!(waiting, "events are not with the services yet; they are sent when this server starts again");
    }

    /// Sends the next batch; whether there was one.
    fn send(&mut self) -> Result<bool, String> {
        let text = |error: OpenError| format!("{}: {error}", self.folder.display());
        let looked = Instant::now();
        let end = self.reader.refresh().map_err(text)?;
        self.stats.end.store(end, Ordering::Relaxed);
        let from = self.cursor.position().max(self.reader.start());
        self.stats.lag.note(looked, from, end);
        if from >= end {
            return Ok(false);
        }
        let records = read(&self.reader, from, end).map_err(text)?;
        let Some(last) = records.last() else { return Ok(false) };
        let next = last.position + 1;
        self.patience.begin();
        bring(&self.client, &records)?;
        self.cursor.advance(next).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        self.stats.acknowledged.store(next, Ordering::Relaxed);
        self.stats.lag.note(looked, next, end);
        if self.stats.broken.swap(false, Ordering::Relaxed) && self.patience.was_told() {
            tracing::warn!("the services take events again");
        }
        self.patience.reset();
        Ok(true)
    }

    fn failed(&mut self, why: &str) -> Duration {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        self.stats.broken.store(true, Ordering::Relaxed);
        let wait = self.patience.wait();
        if self.patience.is_told() {
            let (failures, waiting) = (self.patience.failures(), self.stats.waiting());
            tracing::error!(failures, waiting, "the services do not take events, which wait in the outbox: {why}");
        }
        wait
    }
}
