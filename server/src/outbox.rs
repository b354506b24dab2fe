//! Domain events on their way out: a durable log of their own, which services read. Nothing here is on a tick's thread.
//!
//! A room hands what happened to the recorder, behind the commands that led to it. The recorder keeps it until these are on disk,
//! since a match that is resumed from its recording must never contradict what was told; then it comes here, is appended under
//! its name and committed with one fdatasync for all that came meanwhile.
//!
//! All of it is bounded. What [`is_kept`] waits for its place; anything else is left out when a queue is full, counted, and told
//! again from the recording (`arbiter replay events --heal`). While the disk takes nothing no match begins.

pub mod story;

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Attributes, Envelope};
use arbiter_eventlog::{CommitError, Disk, Folder, Log, OpenError, Options, Signer};
use arbiter_metrics::LogFigures;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

pub use story::{Story, is_kept};

/// Letters that may wait to be written: some seconds of the busiest server.
const QUEUE_MAX: usize = 8_192;

/// Of these so many are kept free for what is never left out: the ends of a thousand matches.
const RESERVED: usize = 1_024;

/// Letters of one commit.
const BATCH_MAX: usize = 512;

/// Bytes of a segment: some hours of a busy server, and nothing that a small machine's disk would notice.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Between two attempts to write to a disk that takes nothing.
const AGAIN: Duration = Duration::from_millis(500);

/// So often it is tried when the server ends.
const ENDING_TRIES: u32 = 4;

/// Without anything to write for so long, the log is settled.
const IDLE: Duration = Duration::from_millis(200);

/// Opens the log, and opens it again.
type Open<D> = Box<dyn Fn() -> Result<Log<D>, OpenError> + Send>;

/// An event as the log keeps it.
struct Letter {
    id: u128,
    bytes: Vec<u8>,
}

/// What the outbox keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Events that were dropped since the outbox was made.
    pub dropped: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// When the oldest event that is kept happened, in seconds since 1970; 0 if none is kept.
    pub since_s: u64,
}

/// How the outbox does.
#[derive(Debug, Default)]
pub(crate) struct OutboxStats {
    written: AtomicU64,
    left_out: AtomicU64,
    /// Handed over and not yet written.
    waiting: AtomicU64,
    stuck: AtomicBool,
    /// What writing costs.
    pub log: LogFigures,
    /// Events before this position are not needed any more.
    may_drop: AtomicU64,
    /// Position of the first event that is kept: so many were dropped.
    start: AtomicU64,
    /// Bytes that it takes on disk.
    bytes: AtomicU64,
    /// When the oldest event that is kept happened, in seconds since 1970; 0 if none is kept.
    since: AtomicU64,
}

impl OutboxStats {
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether the disk takes nothing.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Events before this position are not needed any more.
    pub fn may_drop(&self) -> u64 {
        self.may_drop.load(Ordering::Acquire)
    }

    /// Whole segments before this position may go: the services have them, for good.
    pub fn let_go(&self, position: u64) {
        self.may_drop.fetch_max(position, Ordering::AcqRel);
    }

    /// How many events were dropped, bytes that are taken, and since when events are kept.
    pub fn kept(&self) -> Kept {
        let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Kept { dropped: figure(&self.start), bytes: figure(&self.bytes), since_s: figure(&self.since) }
    }

    pub fn leave_out(&self, events: u64) {
        self.left_out.fetch_add(events, Ordering::Relaxed);
    }
}

/// Hands events to the thread.
pub(crate) struct Outbox {
    queue: Sender<Letter>,
    pub stats: Arc<OutboxStats>,
}

impl Outbox {
    /// Opens the log in a folder, or makes one, and starts the thread. What is dropped leaves roots that `signer` signs.
    pub fn start(folder: &Path, signer: Signer) -> Result<(Self, JoinHandle<()>), OpenError> {
        let path = folder.to_owned();
        Self::start_with(Box::new(move || open(Folder::make(&path)?)), folder, signer)
    }

    fn start_with<D: Disk + Send + 'static>(
        open: Open<D>,
        folder: &Path,
        signer: Signer,
    ) -> Result<(Self, JoinHandle<()>), OpenError>
    where
        Log<D>: Send,
    {
        let log = open()?;
        let (queue, letters) = bounded(QUEUE_MAX);
        let stats = Arc::new(OutboxStats::default());
        let mut posting = Posting {
            folder: folder.to_owned(),
            open,
            log: Some(log),
            batch: Vec::new(),
            stats: Arc::clone(&stats),
            signer,
            looked_at: None,
        };
        posting.look_at_what_is_kept();
        let run = move || posting.run(&letters);
        let thread = std::thread::Builder::new().name("outbox".to_owned()).spawn(run)?;
        Ok((Self { queue, stats }, thread))
    }

    /// Takes an event whose tick is on disk; gives it back if there is no room for it now and it must not be left out.
    pub fn post(&self, envelope: Envelope) -> Option<Envelope> {
        let kept = is_kept(&envelope.event);
        if self.queue.len() >= if kept { QUEUE_MAX } else { QUEUE_MAX - RESERVED } {
            self.stats.leave_out(u64::from(!kept));
            return kept.then_some(envelope);
        }
        let letter = match envelope.encode() {
            Ok(bytes) => Letter { id: log_id(&envelope.attributes.source, &envelope.attributes.id), bytes },
            Err(error) => {
                // A fault of ours: the event would be as wrong the next time.
                tracing::error!(event = envelope.attributes.id, %error, "an event cannot be told");
                self.stats.leave_out(1);
                return None;
            }
        };
        self.stats.waiting.fetch_add(1, Ordering::Relaxed);
        // The recorder is the only one who posts, so that there is room unless the thread is gone.
        if self.queue.try_send(letter).is_err() {
            self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
            self.stats.leave_out(1);
        }
        None
    }
}

fn open<D: Disk>(disk: D) -> Result<Log<D>, OpenError> {
    let (log, recovered) = Log::open(disk, Options { segment_bytes: SEGMENT_BYTES, ..Options::default() })?;
    if !recovered.clean {
        tracing::info!(events = log.acknowledged(), "the outbox was not closed; all that was acknowledged is there");
    }
    Ok(log)
}

/// The state of the thread.
struct Posting<D: Disk> {
    folder: PathBuf,
    open: Open<D>,
    /// Not there once its disk failed, until it can be opened again.
    log: Option<Log<D>>,
    /// Appended or to be appended, and not acknowledged: kept for the case that the log has to be opened again.
    batch: Vec<Letter>,
    stats: Arc<OutboxStats>,
    signer: Signer,
    /// What was dropped and how many segments there were when figures were taken.
    looked_at: Option<(u64, usize)>,
}

impl<D: Disk> Posting<D> {
    fn run(mut self, letters: &Receiver<Letter>) {
        loop {
            match letters.recv_timeout(IDLE) {
                Ok(letter) => self.batch.push(letter),
                Err(RecvTimeoutError::Timeout) => self.settle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.batch.extend(letters.try_iter().take(BATCH_MAX - 1));
            self.write_all(letters);
            self.drop_old();
            self.look_at_what_is_kept();
        }
        if let Some(log) = self.log.take()
            && let Err(error) = log.close()
        {
            tracing::error!(%error, "the outbox could not be closed; it recovers when it is opened");
        }
    }

    /// Writes what waits, however long the disk takes nothing, unless the server ends meanwhile.
    fn write_all(&mut self, letters: &Receiver<Letter>) {
        let mut tries = 0;
        while let Err(why) = self.write() {
            if !self.stats.stuck.swap(true, Ordering::Relaxed) {
                let folder = self.folder.display();
                tracing::error!("{folder}: the outbox takes nothing, and no match begins until it does: {why}");
            }
            tries += 1;
            if tries >= ENDING_TRIES && is_over(letters) {
                let events = self.batch.len();
                tracing::error!(
                    events,
                    "events were not written; they are in the recordings: arbiter replay events --heal"
                );
                self.batch.clear();
                return;
            }
            std::thread::sleep(AGAIN);
        }
        if self.stats.stuck.swap(false, Ordering::Relaxed) {
            tracing::warn!("the outbox is written again; nothing that must be told is missing");
        }
    }

    fn write(&mut self) -> Result<(), String> {
        let mut log = match self.log.take() {
            Some(log) => log,
            None => (self.open)().map_err(|error| error.to_string())?,
        };
        let (mut refused, began) = (0, Instant::now());
        let written = log.append_all(self.batch.iter().map(|letter| (letter.id, &letter.bytes[..])), |error| {
            refused += 1;
            tracing::error!(%error, "an event was not taken into the outbox");
        });
        match written {
            Ok(_) => {
                let events = self.batch.len() as u64;
                self.batch.clear();
                self.stats.log.committed(events - refused, began.elapsed());
                self.stats.leave_out(refused);
                self.stats.written.fetch_add(events - refused, Ordering::Relaxed);
                self.stats.waiting.fetch_sub(events, Ordering::Relaxed);
                self.log = Some(log);
                Ok(())
            }
            Err(error) => {
                // Only opening a log whose disk failed says what is on it.
                if !matches!(error, CommitError::Disk(..) | CommitError::Failed) {
                    self.log = Some(log);
                }
                Err(error.to_string())
            }
        }
    }

    /// Drops what is not needed any more.
    fn drop_old(&mut self) {
        let to = self.stats.may_drop();
        let Some(log) = self.log.as_mut().filter(|log| log.start() < to) else { return };
        match log.retain_from(to, &self.signer) {
            Ok(left) => {
                if let Some(root) = left.last() {
                    tracing::info!(
                        segments = left.len(),
                        position = root.end,
                        "the outbox dropped what the services keep"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the outbox could not drop what the services keep; it is opened again");
                self.log = None;
            }
        }
    }

    /// Takes the figures of what is kept, where a segment came or went.
    fn look_at_what_is_kept(&mut self) {
        let Some(log) = &self.log else { return };
        let stands = (log.start(), log.segments_count());
        let is_empty = self.stats.since.load(Ordering::Relaxed) == 0 && log.acknowledged() > log.start();
        if self.looked_at == Some(stands) && !is_empty {
            return;
        }
        let mut oldest = Vec::new();
        let read = log.segments().and_then(|segments| log.read(log.start(), 1, &mut oldest).map(|()| segments));
        match read {
            Ok(segments) => {
                self.looked_at = Some(stands);
                // What is there and cannot be read has some time too.
                let time_of = |bytes: &[u8]| Attributes::read(bytes).map_or(1, |found| found.time.as_secs().max(1));
                let since_s = oldest.first().map_or(0, |record| time_of(&record.data));
                self.stats.start.store(log.start(), Ordering::Relaxed);
                self.stats.bytes.store(segments.iter().map(|segment| segment.bytes).sum(), Ordering::Relaxed);
                self.stats.since.store(since_s, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "what the outbox keeps cannot be looked at"),
        }
    }

    fn settle(&mut self) {
        if self.log.as_mut().is_some_and(|log| log.settle().is_err()) {
            self.log = None;
        }
    }
}

/// Whether nothing comes any more.
fn is_over(letters: &Receiver<Letter>) -> bool {
    letters.is_empty() && matches!(letters.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected))
}

#[cfg(test)]
mod tests {
    use arbiter_contracts::{Attributes, Event, v1};
    use arbiter_eventlog::simulated::{Faults, SimulatedDisk};

    use super::*;

    fn event(number: u32, event: impl Into<Event>) -> Envelope {
        let attributes = Attributes {
            id: number.to_string(),
            source: "/matches/0".to_owned(),
            sequence: number.into(),
            ..Attributes::default()
        };
        Envelope { attributes, event: event.into() }
    }

    fn signer() -> Signer {
        Signer::from_seed(&[5; 32]).unwrap()
    }

    fn small() -> Options {
        Options { segment_bytes: 16 << 10, batch_bytes: 2 << 10, ..Options::default() }
    }

    /// A log of small segments: as many as a test needs.
    fn filled(disk: &SimulatedDisk, events: u32) -> u64 {
        let (mut log, _) = Log::open(disk.clone(), small()).unwrap();
        for number in 0..events {
            let bytes = event(number, v1::RoundStarted { r#match: vec![7; 300], round: number }).encode().unwrap();
            log.append(number.into(), &bytes).unwrap();
            log.commit().unwrap();
        }
        log.close().unwrap()
    }

    /// Starts an outbox that may drop all, ends it, and returns what it kept.
    fn dropped(disk: &SimulatedDisk, to: u64) -> Kept {
        let opened = disk.clone();
        let open_it: Open<SimulatedDisk> = Box::new(move || open(opened.clone()));
        let (outbox, thread) = Outbox::start_with(open_it, Path::new("simulated"), signer()).unwrap();
        outbox.stats.let_go(to);
        // Whatever is told makes it look.
        assert_eq!(outbox.post(event(1_000_000, v1::RoundStarted::default())), None);
        let stats = Arc::clone(&outbox.stats);
        drop(outbox);
        thread.join().unwrap();
        stats.kept()
    }

    #[test]
    fn whole_segments_are_dropped_up_to_where_they_may_be_and_leave_signed_roots() {
        let disk = SimulatedDisk::direct();
        let events = filled(&disk, 200);
        assert_eq!(dropped(&disk, 0).dropped, 0);
        let kept = dropped(&disk, events / 2);
        assert!(kept.dropped > 0 && kept.dropped <= events / 2, "{kept:?}");
        let roots = arbiter_eventlog::roots::read(&disk).unwrap();
        assert!(roots.iter().all(|root| root.is_signed() && root.public_key == signer().public_key()));
        assert_eq!(roots.last().unwrap().end, kept.dropped);
        assert_eq!(arbiter_eventlog::verify(&disk, None).unwrap().damages, []);
    }

    #[test]
    fn power_may_fail_at_every_write_while_segments_are_dropped() {
        let mut dice = arbiter_eventlog::simulated::Dice::new(1);
        for at in 0..40 {
            let disk = SimulatedDisk::direct();
            let events = filled(&disk, 200);
            let (mut log, _) = Log::open(disk.clone(), small()).unwrap();
            disk.set_faults(Faults { power_loss_at: Some(at), ..Faults::default() });
            let _ = log.retain_from(events / 2, &signer());
            drop(log);
            disk.restart(&mut dice);
            let (mut log, _) = Log::open(disk.clone(), small()).unwrap();
            assert!(log.start() <= events / 2 && log.acknowledged() == events, "power loss at {at}");
            log.retain_from(events / 2, &signer()).unwrap();
            assert!(log.start() > 0 && log.start() <= events / 2, "power loss at {at}");
            assert_eq!(arbiter_eventlog::verify(&disk, None).unwrap().damages, [], "power loss at {at}");
        }
    }

    #[test]
    fn what_was_posted_is_there_once_after_the_server_ended() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (outbox, thread) = Outbox::start(folder.path(), signer()).unwrap();
            for number in 0..50 {
                assert_eq!(outbox.post(event(number, v1::RoundStarted::default())), None);
            }
            drop(outbox);
            thread.join().unwrap();
        }
        let log = open(Folder::at(folder.path()).unwrap()).unwrap();
        assert_eq!(log.acknowledged(), 50);
    }

    /// Posts to a disk with faults, mends it once the outbox is stuck, and counts what is there in the end.
    fn told_through(faults: Faults) -> u64 {
        let disk = SimulatedDisk::default();
        let opened = disk.clone();
        let open_it: Open<SimulatedDisk> = Box::new(move || open(opened.clone()));
        let (outbox, thread) = Outbox::start_with(open_it, Path::new("simulated"), signer()).unwrap();
        disk.set_faults(faults);
        for number in 0..50 {
            assert_eq!(outbox.post(event(number, v1::MatchEnded::default())), None);
        }
        while !outbox.stats.is_stuck() {
            std::thread::yield_now();
        }
        disk.set_faults(Faults::default());
        let stats = Arc::clone(&outbox.stats);
        drop(outbox);
        thread.join().unwrap();
        assert!(!stats.is_stuck());
        assert_eq!((stats.waiting(), stats.left_out()), (0, 0));
        open(disk).unwrap().acknowledged()
    }

    #[test]
    fn a_flush_that_failed_leaves_nothing_out_and_nothing_twice() {
        assert_eq!(told_through(Faults { syncs_fail: true, ..Faults::default() }), 50);
    }

    #[test]
    fn lesser_events_are_left_out_and_results_wait_when_nothing_is_written() {
        let (queue, letters) = bounded(QUEUE_MAX);
        let outbox = Outbox { queue, stats: Arc::default() };
        for number in 0..QUEUE_MAX as u32 {
            assert_eq!(outbox.post(event(number, v1::RoundStarted::default())), None);
        }
        assert_eq!(outbox.stats.left_out(), RESERVED as u64);
        for number in 0..RESERVED as u32 {
            assert_eq!(outbox.post(event(number, v1::MatchEnded::default())), None);
        }
        let last = event(0, v1::MatchEnded::default());
        assert_eq!(outbox.post(last.clone()), Some(last));
        assert_eq!((outbox.stats.left_out(), letters.len()), (RESERVED as u64, QUEUE_MAX));
    }
}
