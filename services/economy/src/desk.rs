//! The economy at work: one thread that owns it, takes what came meanwhile, commits once, and answers behind the commit.
//!
//! It is the only place of this crate with a thread and a clock. It consumes results from the log of events as it serves requests,
//! so that effect and cursor stay one write. Nothing is read while anything waits for the log: a reader sees what is so.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbiter_eventlog::{Folder, Log, OpenError, Options, Preparer, Reader, Record};
use arbiter_ledger::{Applied, Command, Name, State, Time};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::catalogue::Catalogue;
use crate::economy::{Economy, Told};
use crate::error::{CommitFailed, OpenFailed};
use crate::store::RegisterError;

/// Requests that may wait: each is a few hundred bytes, and somebody who waits for an answer.
const JOBS_MAX: usize = 4_096;

/// Requests of one commit.
const JOBS_PER_COMMIT: usize = 1_024;

/// Events of one commit.
const EVENTS_PER_COMMIT: usize = 256;

/// Bytes of events that are read at once.
const EVENTS_BYTES: usize = 1 << 20;

/// Between two looks for new events, if nobody asks for anything.
const LOOK: Duration = Duration::from_millis(20);

/// Before something that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Entries after which a snapshot is kept: so many are read again in a second or two.
const SNAPSHOT_EVERY: u64 = 100_000;

/// A snapshot is also kept no sooner than when the log has grown by one part in so many. It holds the whole ledger, and nobody is
/// answered while it is written: with millions of answers every 100,000 entries would be seconds out of every ten.
const SNAPSHOT_GROWTH: u64 = 8;

/// Entries between two looks whether the next segment is made: a small part of the smallest one that is sensible.
const AHEAD_EVERY: u64 = 8_192;

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

/// What is known without asking the thread.
#[derive(Debug, Default)]
struct Status {
    /// Position of the log of events before which everything was consumed.
    consumed: AtomicU64,
    /// Why no events are consumed, if none are.
    held_up: Mutex<Option<String>>,
    /// Whether the economy's own log takes nothing.
    stuck: AtomicBool,
    ending: AtomicBool,
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
    jobs: Sender<Job>,
    status: Arc<Status>,
    catalogue: Arc<Catalogue>,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counter").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Desk {
    /// Opens the economy, or makes one, makes the catalogue's assets known and starts the thread.
    pub fn start(config: DeskConfig) -> Result<Self, StartError> {
        let disk = Folder::make(&config.folder)?;
        let (mut house, recovered) = Economy::open_in(&disk, config.options.clone())?;
        tracing::info!(?recovered, "the economy is open");
        house.register(&config.catalogue, now())?;
        house.commit()?;
        let (jobs, waiting) = bounded(JOBS_MAX);
        let status = Arc::new(Status::default());
        let catalogue = Arc::new(config.catalogue.clone());
        let counter = Counter { jobs, status: Arc::clone(&status), catalogue: Arc::clone(&catalogue) };
        let kept = house.acknowledged();
        let ahead = Ahead::start(house.store().preparer())?;
        let work =
            Work { config, catalogue, disk, house: Some(house), events: None, next_event: 0, kept, ahead, status };
        let thread = std::thread::Builder::new().name("economy".to_owned()).spawn(move || work.run(&waiting))?;
        Ok(Self { counter, thread: Some(thread) })
    }

    /// Where requests are handed in.
    pub fn counter(&self) -> Counter {
        self.counter.clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.counter.status.ending.store(true, Ordering::Release);
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Counter {
    /// Decides on something and says what became of it when that is on disk.
    pub async fn write<E: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut House, &Catalogue, Time) -> Result<Told, E> + Send + 'static,
    ) -> Result<Result<Applied, E>, DeskError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Job::Write(Box::new(move |house, catalogue, now| {
            let decided = decide(house, catalogue, now).map(|told| told.applied);
            // Refusals too may rest on what is not on disk yet. Who no longer waits asks again.
            Box::new(move |stored| drop(answer.send(stored.map(|()| decided))))
        })))?;
        answered.await.unwrap_or(Err(DeskError::Ended))
    }

    /// Looks at what is on disk.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&House, &State, &Catalogue) -> T + Send + 'static,
    ) -> Result<T, DeskError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Job::Read(Box::new(move |house, catalogue| {
            let seen = house.and_then(|house| {
                let ledger = house.ledger().ok_or_else(|| DeskError::Log("it failed".to_owned()))?;
                Ok(look(house, ledger, catalogue))
            });
            drop(answer.send(seen));
        })))?;
        answered.await.unwrap_or(Err(DeskError::Ended))
    }

    /// Gives a player what waits, in its order, up to what still cannot be given; how many events no longer wait.
    pub async fn amend(&self, player: u64) -> Result<Amended, DeskError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Job::Amend(player, answer))?;
        answered.await.unwrap_or(Err(DeskError::Ended))
    }

    /// What is for sale and what there is.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Position of the log of events before which all results have become grants.
    pub fn consumed(&self) -> u64 {
        self.status.consumed.load(Ordering::Acquire)
    }

    /// Whether it can do its work; why not, otherwise.
    pub fn ready(&self) -> Result<(), String> {
        if self.status.stuck.load(Ordering::Relaxed) {
            return Err("the economy's log takes nothing".to_owned());
        }
        let held_up = self.status.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        held_up.as_ref().map_or(Ok(()), |why| Err(format!("results are not consumed: {why}")))
    }

    fn hand_in(&self, job: Job) -> Result<(), DeskError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DeskError::Busy,
            TrySendError::Disconnected(_) => DeskError::Ended,
        })
    }
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The ledger's time never goes back, whatever this clock does.
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The state of the thread.
struct Work {
    config: DeskConfig,
    catalogue: Arc<Catalogue>,
    disk: Folder,
    /// Not there once its log failed, until it can be opened again.
    house: Option<House>,
    /// Not there until the log of events is.
    events: Option<Reader<Folder>>,
    /// The next one to be looked at; what the ledger has consumed may lie before it, since what is worth nothing leaves no entry.
    next_event: u64,
    /// Entries of the last snapshot.
    kept: u64,
    ahead: Ahead,
    status: Arc<Status>,
}

/// Makes the log's next segment on a thread of its own, so that no commit waits for one to be filled with zeros. Dropping it
/// ends the thread behind the segment that it makes.
struct Ahead {
    looks: Option<Sender<()>>,
    /// Entries at the last look.
    at: u64,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    fn start(preparer: Preparer<Folder>) -> std::io::Result<Self> {
        // One look that waits is as good as many.
        let (looks, waiting) = bounded(1);
        let run = move || {
            for () in waiting {
                if let Err(error) = preparer.prepare() {
                    // Whoever needs the segment tries again, and waits for it.
                    tracing::warn!(%error, "the next segment of the economy's log could not be made ahead");
                }
            }
        };
        let thread = std::thread::Builder::new().name("segments".to_owned()).spawn(run)?;
        Ok(Self { looks: Some(looks), at: 0, thread: Some(thread) })
    }

    fn look(&mut self, entries: u64) {
        if entries >= self.at.saturating_add(AHEAD_EVERY) {
            self.at = entries;
            let _ = self.looks.as_ref().map(|looks| looks.try_send(()));
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.looks.take());
        // It has nothing to say.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Work {
    fn run(mut self, waiting: &Receiver<Job>) {
        let mut wait = Duration::ZERO;
        loop {
            let first = match waiting.recv_timeout(wait) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let jobs: Vec<Job> = first.into_iter().chain(waiting.try_iter().take(JOBS_PER_COMMIT)).collect();
            let more = self.turn(jobs);
            wait = if more { Duration::ZERO } else { LOOK };
            if self.status.ending.load(Ordering::Acquire) && waiting.is_empty() {
                break;
            }
        }
        let Some(house) = self.house.take() else { return };
        self.keep_snapshot(&house, 1);
        // Before the log is given back: what it makes would be in the way of the next writer.
        drop(self.ahead);
        if let Err(error) = house.close() {
            tracing::error!(%error, "the economy's log could not be closed; it recovers when it is opened");
        }
    }

    /// Decides on requests and some events, commits, and answers; whether more events wait.
    fn turn(&mut self, jobs: Vec<Job>) -> bool {
        let Some(mut house) = self.house.take().or_else(|| self.open_again()) else {
            jobs.into_iter().for_each(|job| self.refuse(job));
            std::thread::sleep(AGAIN);
            return false;
        };
        let now = now();
        let (mut tells, mut reads): (Vec<Tell>, Vec<Look>) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Write(decide) => tells.push(decide(&mut house, &self.catalogue, now)),
                Job::Read(look) => reads.push(look),
                Job::Amend(player, answer) => {
                    let amended = self.amend(&mut house, player, now);
                    tells.push(Box::new(move |stored| drop(answer.send(stored.map(|()| amended)))));
                }
            }
        }
        let consumed = self.consume(&mut house, now);
        if house.ledger_next_due().is_some_and(|due| due <= now)
            && let Err(error) = house.submit(&Command::Elapse, now)
        {
            tracing::warn!(%error, "holds that are over do not come back yet");
        }
        let (stored, for_good) = self.commit(&mut house);
        for tell in tells {
            tell(stored.clone());
        }
        for look in reads {
            look(stored.clone().map(|()| &house), &self.catalogue);
        }
        if stored.is_err() {
            // Only opening the log again says what is on its disk.
            self.house = Some(house).filter(|_| !for_good);
            std::thread::sleep(AGAIN);
            return false;
        }
        if let Ok(next) = consumed {
            self.next_event = next;
            self.status.consumed.store(next, Ordering::Release);
        }
        self.ahead.look(house.acknowledged());
        self.keep_snapshot(&house, SNAPSHOT_EVERY.max(self.kept / SNAPSHOT_GROWTH));
        self.house = Some(house);
        self.events.as_ref().is_some_and(|events| self.next_event < events.end()) && consumed.is_ok()
    }

    fn refuse(&self, job: Job) {
        let why = DeskError::Log("it failed and cannot be opened again".to_owned());
        match job {
            // What it would have been decided on is not there: dropping it tells whoever waits.
            Job::Write(decide) => drop(decide),
            Job::Read(look) => look(Err(why), &self.catalogue),
            Job::Amend(_, answer) => drop(answer.send(Err(why))),
        }
    }

    /// Makes everything durable; the second value says whether the log has failed for good.
    fn commit(&mut self, house: &mut House) -> (Result<(), DeskError>, bool) {
        let committed = house.commit();
        let stuck = committed.is_err();
        if self.status.stuck.swap(stuck, Ordering::Relaxed) != stuck && !stuck {
            tracing::warn!("the economy's log is written again");
        }
        let Err(error) = committed else { return (Ok(()), false) };
        tracing::error!("{error}");
        (Err(DeskError::Log(error.to_string())), !matches!(error, CommitFailed::Waits(_)))
    }

    fn open_again(&mut self) -> Option<House> {
        self.next_event = 0;
        match Economy::open_in(&self.disk, self.config.options.clone()) {
            Ok((house, _)) => Some(house),
            Err(error) => {
                tracing::error!("the economy cannot be opened again: {error}");
                None
            }
        }
    }

    /// Consumes what is new among the events, up to a limit; the position behind it.
    fn consume(&mut self, house: &mut House, now: Time) -> Result<u64, ()> {
        let consumed = self.try_consume(house, now);
        let held_up = consumed.as_ref().err().cloned();
        let mut told = self.status.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != held_up {
            if let Some(why) = &held_up {
                tracing::error!("no results are consumed: {why}");
            }
            *told = held_up;
        }
        consumed.map_err(drop)
    }

    fn try_consume(&mut self, house: &mut House, now: Time) -> Result<u64, String> {
        let source = events();
        let Some(reader) = self.reader()? else { return Ok(self.next_event) };
        let mut records: Vec<Record> = Vec::new();
        let end = reader.refresh().map_err(|error| error.to_string())?;
        let next = self.next_event.max(house.cursor(&source));
        let Some(reader) = self.events.as_ref().filter(|_| next < end) else { return Ok(next) };
        if next < reader.start() {
            return Err(format!(
                "the log of events begins at {}, and {next} was not consumed yet: put its segments back from a backup",
                reader.start()
            ));
        }
        reader.read(next, EVENTS_BYTES, &mut records).map_err(|error| error.to_string())?;
        for record in records.iter().take(EVENTS_PER_COMMIT) {
            let consumed = house.consume(&source, record, &self.catalogue.rewards, now);
            consumed.map_err(|error| error.to_string())?;
        }
        Ok(records.iter().take(EVENTS_PER_COMMIT).next_back().map_or(next, |record| record.position + 1))
    }

    fn amend(&mut self, house: &mut House, player: u64, now: Time) -> Amended {
        let source = events();
        let rewards = &self.catalogue.rewards;
        let Some(reader) = &self.events else { return Err("the log of events is not there".to_owned()) };
        let first = |house: &House| {
            let waiting = house.waiting(&source).find(|(waits, _)| *waits == player);
            waiting.and_then(|(_, waiting)| Some((*waiting.positions.first()?, waiting.positions.len())))
        };
        let Some((_, before)) = first(house) else { return Ok(0) };
        let mut left = before;
        while let Some((position, waiting)) = first(house) {
            let mut records = Vec::new();
            reader.read(position, 1, &mut records).map_err(|error| error.to_string())?;
            let record = records.first().filter(|record| record.position == position);
            let record = record.ok_or_else(|| format!("the log of events no longer has position {position}"))?;
            house.amend(&source, record, player, rewards, now).map_err(|error| error.to_string())?;
            left = first(house).map_or(0, |(_, waiting)| waiting);
            if left == waiting {
                break;
            }
        }
        Ok(before - left)
    }

    /// The log of events, once it is there.
    fn reader(&mut self) -> Result<Option<&mut Reader<Folder>>, String> {
        if self.events.is_none() {
            let opened = Folder::at(&self.config.events).map_err(OpenError::from);
            match opened.and_then(|disk| Reader::open(disk, self.config.options.masters.clone())) {
                Ok(reader) => self.events = Some(reader),
                Err(OpenError::NotThere) => return Ok(None),
                Err(OpenError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(format!("{}: {error}", self.config.events.display())),
            }
        }
        Ok(self.events.as_mut())
    }

    fn keep_snapshot(&mut self, house: &House, every: u64) {
        let entries = house.acknowledged();
        if entries < self.kept.saturating_add(every) {
            return;
        }
        // Whether it could be kept or not: to try with every commit would be to do nothing else.
        self.kept = entries;
        if let Err(error) = house.keep_snapshot(&self.disk) {
            // The log has all of it.
            tracing::warn!(%error, "no snapshot of the economy was kept; starting will take longer");
        }
    }
}

/// The name of the log of events among the ledger's sources.
pub fn events() -> Name {
    EVENTS.parse().unwrap_or_else(|_| unreachable!("events is a name"))
}
