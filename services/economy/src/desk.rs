//! The economy at work: one turn at a time decides on what came meanwhile, commits once, and answers behind the commit.
//!
//! Whoever asks while nobody is at work takes the turn on the thread that asks: to hand the request to another thread and be woken
//! by it takes longer than all of its work. Under load a thread of its own takes the turns, one behind the other, and so it does while
//! the disk is slow, so that no more than one of those who ask waits for it. It also consumes results from the log of events, so that
//! effect and cursor are one write, and has snapshots kept beside it.
//!
//! Nothing is read while anything waits for the log: a reader sees what is so. Next: `work` for what a turn does.

mod ahead;
mod figures;
mod keeper;
mod work;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbiter_eventlog::{Folder, Log, Options};
use arbiter_ledger::{Applied, Name, State, Time};
use arbiter_metrics::Lag;
use crossbeam::channel::{Receiver, Sender, bounded};
use thiserror::Error;
use tokio::sync::oneshot;

use self::figures::DeskFigures;
use self::work::{Status, Work};
use crate::catalogue::Catalogue;
use crate::economy::{Economy, Told};
use crate::error::{CommitFailed, OpenFailed};
use crate::store::RegisterError;
use crate::tell;

/// Requests that may wait: each is a few hundred bytes, and somebody who waits for an answer.
const JOBS_MAX: usize = 4_096;

/// Requests that whoever asks does at most, its own and those that came meanwhile; more are the thread's.
const HELPED_MAX: usize = 64;

/// Between two looks for new events, if nobody asks for anything.
const LOOK: Duration = Duration::from_millis(20);

/// Before something that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// The economy's own log on a disk.
pub type House = Economy<Log<Folder>>;

/// Name under which the log of events is consumed.
pub const EVENTS: &str = "events";

/// What the economy is run with.
#[derive(Debug, Clone)]
pub struct DeskConfig {
    /// Folder of the economy's own log.
    pub folder: PathBuf,
    /// How that log is kept.
    pub options: Options,
    /// Folder of the log of events, which somebody else writes; it may appear later.
    pub events: PathBuf,
    /// What there is, what matches are worth, what is for sale.
    pub catalogue: Catalogue,
}

/// Why the economy did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Its log.
    #[error(transparent)]
    Open(#[from] OpenFailed),
    /// The catalogue.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The first entries.
    #[error(transparent)]
    Commit(#[from] CommitFailed),
}

/// Why something was not done, or nobody knows whether it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeskError {
    /// Too much waits.
    #[error("more is asked of the economy than its disk takes: ask again under the same key")]
    Busy,
    /// The log.
    #[error(
        "the economy's log takes nothing now, and nobody knows whether this was done: ask again under the same key ({0})"
    )]
    Log(String),
    /// The end.
    #[error("the economy ends: ask again under the same key")]
    Ended,
}

/// What becomes of a decision once it is known whether it is on disk.
type Tell = Box<dyn FnOnce(Result<(), DeskError>) + Send>;

type Decide = Box<dyn FnOnce(&mut House, &Catalogue, Time) -> Tell + Send>;

type Look = Box<dyn FnOnce(Result<&House, DeskError>, &Catalogue) + Send>;

/// What became of a player's events that waited: how many do not any more, or why none could be tried.
type Amended = Result<usize, String>;

enum Job {
    Write(Decide),
    Read(Look),
    /// Gives a player what waits.
    Amend(u64, oneshot::Sender<Result<Amended, DeskError>>),
}

/// The economy at work. Dropping it ends its thread, behind what was asked.
#[derive(Debug)]
pub struct Desk {
    counter: Counter,
    thread: Option<JoinHandle<()>>,
}

/// Where requests are handed in.
#[derive(Clone)]
pub struct Counter {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    /// Whoever holds it works, and looks behind it whether more waits: nothing that is handed in meanwhile is forgotten.
    work: Mutex<Work>,
    wakes: Sender<()>,
    status: Arc<Status>,
    figures: Arc<DeskFigures>,
    catalogue: Arc<Catalogue>,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counter").field("status", &self.shared.status).finish_non_exhaustive()
    }
}

impl Desk {
    /// Opens the economy, or makes one, makes the catalogue's assets known and starts the thread.
    pub fn start(config: DeskConfig) -> Result<Self, StartError> {
        let catalogue = Arc::new(config.catalogue.clone());
        let status = Arc::new(Status::default());
        let figures = Arc::new(DeskFigures::default());
        let work = Work::start(config, Arc::clone(&catalogue), Arc::clone(&status), Arc::clone(&figures))?;
        let (jobs, waiting) = bounded(JOBS_MAX);
        // One wake that waits is as good as many.
        let (wakes, woken) = bounded(1);
        let shared = Arc::new(Shared { jobs, waiting, work: Mutex::new(work), wakes, status, figures, catalogue });
        let counter = Counter { shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("economy".to_owned()).spawn(move || shared.run(&woken))?;
        Ok(Self { counter, thread: Some(thread) })
    }

    /// Where requests are handed in.
    pub fn counter(&self) -> Counter {
        self.counter.clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let shared = &self.counter.shared;
        shared.status.ending.store(true, Ordering::Release);
        shared.wake();
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// The thread.
    fn run(&self, woken: &Receiver<()>) {
        let mut wait = Duration::ZERO;
        loop {
            // Woken or not, it looks.
            let _ = woken.recv_timeout(wait);
            let turned = self.work.lock().map(|mut work| {
                let jobs = self.taken(work::JOBS_PER_COMMIT);
                work.turn_with_upkeep(jobs)
            });
            let Ok(turned) = turned else { break };
            if turned.is_err() {
                std::thread::sleep(AGAIN);
            }
            wait = if turned == Ok(true) || !self.waiting.is_empty() { Duration::ZERO } else { LOOK };
            if self.status.ending.load(Ordering::Acquire) && self.waiting.is_empty() {
                break;
            }
        }
        if let Ok(mut work) = self.work.lock() {
            work.end();
        }
        self.status.ended.store(true, Ordering::SeqCst);
        self.forget();
    }

    /// Takes the turn, if nobody does and it is a quick one.
    fn help(&self) {
        if self.status.ended.load(Ordering::SeqCst) {
            return self.forget();
        }
        if self.waiting.len() > HELPED_MAX || !self.status.quick.load(Ordering::Relaxed) {
            return self.wake();
        }
        // Whoever works looks for more behind it; if it failed, the thread sees to that.
        let Ok(mut work) = self.work.try_lock() else { return };
        let turned = work.turn(|| self.taken(HELPED_MAX));
        drop(work);
        if !turned || !self.waiting.is_empty() {
            self.wake();
        }
    }

    fn taken(&self, most: usize) -> Vec<Job> {
        self.waiting.try_iter().take(most).collect()
    }

    fn wake(&self) {
        let _ = self.wakes.try_send(());
    }

    /// Whoever waits learns that nobody works any more.
    fn forget(&self) {
        self.waiting.try_iter().for_each(drop);
    }
}

impl Counter {
    /// Decides on something and says what became of it when that is on disk.
    pub async fn write<E: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut House, &Catalogue, Time) -> Result<Told, E> + Send + 'static,
    ) -> Result<Result<Applied, E>, DeskError> {
        self.decide(|house, catalogue, now| decide(house, catalogue, now).map(|told| told.applied)).await
    }

    /// Decides on many things at once, and says what became of them when that is on disk.
    pub async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut House, &Catalogue, Time) -> T + Send + 'static,
    ) -> Result<T, DeskError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Write(Box::new(move |house, catalogue, now| {
            let decided = decide(house, catalogue, now);
            // Refusals too may rest on what is not on disk yet. Who no longer waits asks again.
            Box::new(move |stored| drop(answer.send(stored.map(|()| decided))))
        }));
        self.hand_in(job, answered).await
    }

    /// Looks at what is on disk.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&House, &State, &Catalogue) -> T + Send + 'static,
    ) -> Result<T, DeskError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Read(Box::new(move |house, catalogue| {
            let seen = house.and_then(|house| {
                let ledger = house.ledger().ok_or_else(|| DeskError::Log("it failed".to_owned()))?;
                Ok(look(house, ledger, catalogue))
            });
            drop(answer.send(seen));
        }));
        self.hand_in(job, answered).await
    }

    /// Gives a player what waits, in its order, up to what still cannot be given; how many events no longer wait.
    pub async fn amend(&self, player: u64) -> Result<Amended, DeskError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Job::Amend(player, answer), answered).await
    }

    /// What is for sale and what there is.
    pub fn catalogue(&self) -> &Catalogue {
        &self.shared.catalogue
    }

    /// How it does.
    pub(crate) fn figures(&self) -> &Arc<DeskFigures> {
        &self.shared.figures
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.shared.waiting.len() as u64
    }

    /// How far behind the world is told, if it is told at all.
    pub(crate) fn told_lag(&self) -> Option<Arc<Lag>> {
        let told = self.shared.status.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref().map(|told| told.lag())
    }

    /// Position of the log of events before which all results have become grants.
    pub fn consumed(&self) -> u64 {
        self.shared.status.consumed.load(Ordering::Acquire)
    }

    /// Entries of the ledger whose events are in the log of events; `None` if nobody is told ([`crate::tell::Teller`]).
    pub fn told(&self) -> Option<u64> {
        let told = self.shared.status.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref().map(|told| told.entries())
    }

    /// Who tells the world says here how far it is.
    pub(crate) fn is_told(&self, status: &Arc<tell::Status>) {
        *self.shared.status.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(status));
    }

    /// Whether it can do its work; why not, otherwise.
    pub fn ready(&self) -> Result<(), String> {
        let status = &self.shared.status;
        if status.ended.load(Ordering::Relaxed) {
            return Err("the economy has ended: see the log for why, and start it again".to_owned());
        }
        if status.stuck.load(Ordering::Relaxed) {
            return Err("the economy's log takes nothing".to_owned());
        }
        let held_up = status.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        held_up.as_ref().map_or(Ok(()), |why| Err(format!("results are not consumed: {why}")))?;
        let told = status.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref().map_or(Ok(()), |told| told.ready())
    }

    async fn hand_in<T>(&self, job: Job, answered: oneshot::Receiver<Result<T, DeskError>>) -> Result<T, DeskError> {
        self.shared.jobs.try_send(job).map_err(|_| DeskError::Busy)?;
        if !arbiter_web::is_alone() {
            // Everything else that has come to this thread is handed in before, and shares the commit.
            tokio::task::yield_now().await;
        }
        self.shared.help();
        answered.await.unwrap_or(Err(DeskError::Ended))
    }
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The ledger's time never goes back, whatever this clock does.
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The name of the log of events among the ledger's sources.
pub fn events() -> Name {
    EVENTS.parse().unwrap_or_else(|_| unreachable!("events is a name"))
}
