//! One thread writes: it takes all that was brought meanwhile and commits it at once, so that a hundred servers cost one fdatasync.
//!
//! After a flush failed only opening the log again says what is on disk. Until that succeeds everybody is told to come again, and
//! nobody is told that something is stored.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arbiter_eventlog::{AppendError, CommitError, Disk, Log, OpenError};
use arbiter_metrics::LogFigures;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use thiserror::Error;
use tokio::sync::oneshot;

/// Batches of one commit.
const JOBS_PER_COMMIT: usize = 32;

/// Without anything to write for so long, the log is settled and its next segment made.
const IDLE: Duration = Duration::from_millis(200);

/// Between two looks how far the last backup reaches.
const LOOK_FOR_BACKUP: Duration = Duration::from_secs(1);

/// An event as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// [`arbiter_contracts::event_id::log_id`] of its source and id.
    pub id: u128,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What was brought is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Position behind the last of the events that were brought: views that have applied the log so far know all of them.
    pub behind: u64,
    /// How many of them were not there before.
    pub new: usize,
    /// Position up to which the last backup of the log reaches; `None` if it never had one.
    pub backed_up: Option<u64>,
}

/// Why nothing is acknowledged. Some of the events may be stored nevertheless: bring all of them again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Too much waits.
    #[error("more is brought than the disk takes: bring it again")]
    Busy,
    /// The service ends.
    #[error("the service ends: bring it again when it is back")]
    Ended,
    /// The disk.
    #[error("the log of events takes nothing: {0}")]
    Disk(String),
    /// An event is not the one that is known under its name.
    #[error(
        "event {number} of the batch is another one than position {position} of the log has under the same source and id: one of \
         both is wrong; compare them with `arbiter log dump`, and heal the outbox from its recording"
    )]
    Conflict {
        /// Its number in the batch, from 0.
        number: usize,
        /// Where the other one is.
        position: u64,
    },
    /// The log can never take it.
    #[error("event {number} of the batch: {error}")]
    Event {
        /// Its number in the batch, from 0.
        number: usize,
        /// Why.
        error: AppendError,
    },
}

/// What somebody brought, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub events: Vec<Event>,
    pub answer: oneshot::Sender<Result<Stored, Refused>>,
}

/// What is known without asking the thread.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub start: AtomicU64,
    pub acknowledged: AtomicU64,
    /// How far the last backup reaches, and one; 0 if there never was one.
    backed_up: AtomicU64,
    pub stuck: AtomicBool,
    /// Nothing more is taken.
    pub ending: AtomicBool,
    /// Events that came again.
    pub known: AtomicU64,
    pub figures: Arc<LogFigures>,
    /// Called when something new is on disk.
    pub stored: OnceLock<Stir>,
}

/// Tells somebody that there is something new.
pub(crate) struct Stir(pub Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Stir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stir")
    }
}

impl State {
    pub fn note<D: Disk>(&self, log: &Log<D>) {
        self.start.store(log.start(), Ordering::Relaxed);
        self.acknowledged.store(log.acknowledged(), Ordering::Release);
    }

    /// Position up to which the last backup of the log reaches, as it was a moment ago.
    pub fn backed_up(&self) -> Option<u64> {
        self.backed_up.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Looks how far the last backup reaches. What cannot be read now is looked for again.
    pub fn note_backup<D: Disk>(&self, log: &Log<D>) {
        match log.backed_up() {
            Ok(position) => self.backed_up.store(position.map_or(0, |position| position + 1), Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "how far the last backup of the log of events reaches cannot be read"),
        }
    }
}

/// Opens the log, and opens it again.
type Open<D> = Box<dyn Fn() -> Result<Log<D>, OpenError> + Send>;

pub(crate) struct Writer<D: Disk> {
    open: Open<D>,
    /// Not there once its disk failed, until it can be opened again.
    log: Option<Log<D>>,
    state: Arc<State>,
    looked_for_backup: Instant,
}

impl<D: Disk> Writer<D> {
    pub fn new(open: Open<D>, log: Log<D>, state: Arc<State>) -> Self {
        Self { open, log: Some(log), state, looked_for_backup: Instant::now() }
    }

    pub fn run(mut self, waiting: &Receiver<Job>) {
        loop {
            match waiting.recv_timeout(IDLE) {
                Ok(first) => {
                    let jobs = std::iter::once(first).chain(waiting.try_iter().take(JOBS_PER_COMMIT - 1)).collect();
                    self.store(jobs);
                }
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_for_backup();
            if self.state.ending.load(Ordering::Acquire) && waiting.is_empty() {
                break;
            }
        }
        if let Some(log) = self.log.take()
            && let Err(error) = log.close()
        {
            tracing::error!(%error, "the log of events could not be closed; it recovers when it is opened");
        }
    }

    fn store(&mut self, jobs: Vec<Job>) {
        let stored = self.try_store(&jobs);
        let stuck = stored.is_err();
        self.state.figures.set_stuck(stuck);
        if self.state.stuck.swap(stuck, Ordering::Relaxed) != stuck {
            match &stored {
                Err(why) => tracing::error!("{why}; nothing is acknowledged until it does"),
                Ok(_) => tracing::warn!("the log of events is written again"),
            }
        }
        match stored {
            Ok(answers) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    // Who no longer waits brings it again.
                    let _ = job.answer.send(answer);
                }
            }
            Err(why) => jobs.into_iter().for_each(|job| drop(job.answer.send(Err(why.clone())))),
        }
    }

    /// Appends all and commits; an answer for each job, if all that was appended is on disk.
    fn try_store(&mut self, jobs: &[Job]) -> Result<Vec<Result<Stored, Refused>>, Refused> {
        let mut log = match self.log.take() {
            Some(log) => log,
            None => (self.open)().map_err(|error| Refused::Disk(error.to_string()))?,
        };
        let mut answers = Vec::with_capacity(jobs.len());
        let (mut result, began, before) = (Ok(()), Instant::now(), log.acknowledged());
        for job in jobs {
            match append(&mut log, &job.events, self.state.backed_up()) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let (appended, committing) = (began.elapsed(), Instant::now());
        match result.and_then(|()| log.commit()) {
            Ok(end) => {
                self.count(&answers, jobs);
                if end > before {
                    self.state.figures.appended(appended);
                    self.state.figures.committed(end - before, committing.elapsed());
                }
                self.state.note(&log);
                if let Some(Stir(stir)) = self.state.stored.get().filter(|_| end > before) {
                    stir();
                }
                self.log = Some(log);
                Ok(answers)
            }
            Err(error) => {
                let why = Refused::Disk(error.to_string());
                // Only opening a log whose disk failed says what is on it.
                if !matches!(error, CommitError::Disk(..) | CommitError::Failed) {
                    self.log = Some(log);
                }
                Err(why)
            }
        }
    }

    fn count(&self, answers: &[Result<Stored, Refused>], jobs: &[Job]) {
        let stored = answers.iter().zip(jobs).filter_map(|(answer, job)| Some((answer.as_ref().ok()?, job)));
        let known: usize = stored.map(|(stored, job)| job.events.len().saturating_sub(stored.new)).sum();
        self.state.known.fetch_add(known as u64, Ordering::Relaxed);
    }

    fn look_for_backup(&mut self) {
        if let Some(log) = self.log.as_ref().filter(|_| self.looked_for_backup.elapsed() >= LOOK_FOR_BACKUP) {
            self.state.note_backup(log);
            self.looked_for_backup = Instant::now();
        }
    }

    fn idle(&mut self) {
        let Some(log) = &mut self.log else { return };
        if log.settle().is_err() {
            self.log = None;
        } else if let Err(error) = log.preparer().prepare() {
            tracing::warn!(%error, "the next segment of the log of events could not be made ahead");
        }
    }
}

/// Appends one job's events; the inner error is the job's own fault.
fn append<D: Disk>(
    log: &mut Log<D>,
    events: &[Event],
    backed_up: Option<u64>,
) -> Result<Result<Stored, Refused>, CommitError> {
    let (mut behind, start) = (0, log.next_position());
    // All are looked for at once, which is quicker than one after the other.
    log.known_among(events.iter().map(|event| event.id));
    for (number, event) in events.iter().enumerate() {
        let mut appended = log.append(event.id, &event.bytes);
        if appended == Err(AppendError::BatchFull) {
            log.commit()?;
            appended = log.append(event.id, &event.bytes);
        }
        match appended {
            Ok(appended) => behind = behind.max(appended.position() + 1),
            Err(AppendError::Failed) => return Err(CommitError::Failed),
            Err(AppendError::Conflict { position, .. }) => return Ok(Err(Refused::Conflict { number, position })),
            Err(error) => return Ok(Err(Refused::Event { number, error })),
        }
    }
    let new = usize::try_from(log.next_position() - start).unwrap_or(usize::MAX);
    Ok(Ok(Stored { behind, new, backed_up }))
}
