//! What is done at the desk: a turn decides on what waits, commits once, and answers behind the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use arbiter_eventlog::{Folder, OpenError, Reader, Record};
use arbiter_ledger::{Command, Time};

use super::ahead::Ahead;
use super::figures::DeskFigures;
use super::keeper::Keeper;
use super::{Amended, DeskConfig, DeskError, House, Job, Look, StartError, Tell, events, now};
use crate::catalogue::Catalogue;
use crate::economy::Economy;
use crate::error::CommitFailed;
use crate::tell;

/// A commit that takes no longer is waited for by whoever asks.
const QUICK: Duration = Duration::from_millis(1);

/// Requests of one commit.
pub(super) const JOBS_PER_COMMIT: usize = 1_024;

/// Events of one commit.
const EVENTS_PER_COMMIT: usize = 256;

/// Bytes of events that are read at once.
const EVENTS_BYTES: usize = 1 << 20;

/// Entries after which a snapshot is kept: so many are read again in a second or two.
const SNAPSHOT_EVERY: u64 = 100_000;

/// A snapshot is also kept no sooner than when the log has grown by one part in so many. It holds the whole ledger: with millions of
/// answers every 100,000 entries would be gigabytes each minute, of which a start saves seconds.
const SNAPSHOT_GROWTH: u64 = 8;

/// What is known without a turn.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// Position of the log of events before which everything was consumed.
    pub consumed: AtomicU64,
    /// Why no events are consumed, if none are.
    pub held_up: Mutex<Option<String>>,
    /// Whether the economy's own log takes nothing.
    pub stuck: AtomicBool,
    /// How far the world is told, if it is told at all.
    pub told: Mutex<Option<Arc<tell::Status>>>,
    /// Whether the last commit was quick.
    pub quick: AtomicBool,
    /// Whether the desk is to end.
    pub ending: AtomicBool,
    /// Whether nobody works any more.
    pub ended: AtomicBool,
}

/// What a turn has decided, and who looks at what is so behind it.
struct Turn {
    began: Instant,
    tells: Vec<Tell>,
    reads: Vec<Look>,
}

impl Turn {
    fn begin() -> Self {
        Self { began: Instant::now(), tells: Vec::new(), reads: Vec::new() }
    }
}

/// The economy and what its turns need.
pub(super) struct Work {
    config: DeskConfig,
    catalogue: Arc<Catalogue>,
    disk: Folder,
    /// Not there once its log failed, until it can be opened again.
    house: Option<House>,
    /// Not there until the log of events is.
    events: Option<Reader<Folder>>,
    /// The next one to be looked at; what the ledger has consumed may lie before it, since what is worth nothing leaves no entry.
    next_event: u64,
    /// Entries of the last snapshot, or of the one that is being kept.
    kept: u64,
    keeper: Option<Keeper>,
    ahead: Option<Ahead>,
    figures: Arc<DeskFigures>,
    status: Arc<Status>,
}

impl Work {
    /// Opens the economy, or makes one, and makes the catalogue's assets known.
    pub fn start(
        config: DeskConfig,
        catalogue: Arc<Catalogue>,
        status: Arc<Status>,
        figures: Arc<DeskFigures>,
    ) -> Result<Self, StartError> {
        let disk = Folder::make(&config.folder)?;
        let (mut house, recovered) = Economy::open_in(&disk, config.options.clone())?;
        tracing::info!(?recovered, "the economy is open");
        house.register(&catalogue, now())?;
        house.commit()?;
        let kept = house.acknowledged();
        let ahead = Some(Ahead::start(house.store().preparer())?);
        let (house, events, keeper) = (Some(house), None, None);
        Ok(Self { config, catalogue, disk, house, events, next_event: 0, kept, keeper, ahead, figures, status })
    }

    /// Takes requests, decides on them, commits, and answers; false if the log has to be opened again before.
    pub fn turn(&mut self, jobs: impl FnOnce() -> Vec<Job>) -> bool {
        let Some(mut house) = self.house.take() else { return false };
        let mut turn = Turn::begin();
        self.decide(&mut house, jobs(), &mut turn, now());
        // What became of it was told to whoever asked.
        let _ = self.finish(house, turn);
        true
    }

    /// The same, and consumes some events, brings back holds, has a snapshot kept; whether more events wait. Something is wrong with
    /// the log otherwise, and it is tried again later.
    pub fn turn_with_upkeep(&mut self, jobs: Vec<Job>) -> Result<bool, ()> {
        let Some(mut house) = self.house.take().or_else(|| self.open_again()) else {
            jobs.into_iter().for_each(|job| self.refuse(job));
            return Err(());
        };
        let (now, mut turn) = (now(), Turn::begin());
        self.decide(&mut house, jobs, &mut turn, now);
        let consumed = self.consume(&mut house, now);
        if house.ledger_next_due().is_some_and(|due| due <= now)
            && let Err(error) = house.submit(&Command::Elapse, now)
        {
            tracing::warn!(%error, "holds that are over do not come back yet");
        }
        self.finish(house, turn)?;
        if let Ok(next) = consumed {
            self.next_event = next;
            self.status.consumed.store(next, Ordering::Release);
        }
        self.have_snapshot_kept();
        Ok(self.events.as_ref().is_some_and(|events| self.next_event < events.end()) && consumed.is_ok())
    }

    fn decide(&mut self, house: &mut House, jobs: Vec<Job>, turn: &mut Turn, now: Time) {
        self.figures.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        for job in jobs {
            match job {
                Job::Write(decide) => turn.tells.push(decide(house, &self.catalogue, now)),
                Job::Read(look) => turn.reads.push(look),
                Job::Amend(player, answer) => {
                    let amended = self.amend(house, player, now);
                    turn.tells.push(Box::new(move |stored| drop(answer.send(stored.map(|()| amended)))));
                }
            }
        }
    }

    /// Commits and answers.
    fn finish(&mut self, mut house: House, turn: Turn) -> Result<(), ()> {
        let (before, decided) = (house.acknowledged(), turn.began.elapsed());
        let is_asked = !turn.tells.is_empty() || !turn.reads.is_empty();
        let (stored, for_good) = self.commit(&mut house);
        for tell in turn.tells {
            tell(stored.clone());
        }
        for look in turn.reads {
            look(stored.clone().map(|()| &house), &self.catalogue);
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.look(house.acknowledged());
        }
        // Most turns of an idle house only look.
        if house.acknowledged() > before {
            self.figures.log.appended(decided);
        }
        if is_asked || house.acknowledged() > before {
            self.figures.turn.note(turn.began.elapsed());
        }
        // Only opening the log again says what is on its disk.
        self.house = Some(house).filter(|_| !for_good);
        stored.map_err(drop)
    }

    /// Keeps all there is as a snapshot, and closes the log.
    pub fn end(&mut self) {
        // What it keeps is older than what there is now.
        let is_open = self.keeper.take().is_some_and(|keeper| !keeper.is_done());
        if let Some(house) = self.house.as_ref().filter(|house| is_open || house.acknowledged() > self.kept)
            && let Err(error) = house.keep_snapshot(&self.disk)
        {
            tracing::warn!(%error, "no snapshot of the economy was kept; starting will take longer");
        }
        // Before the log is given back: what it makes would be in the way of the next writer.
        drop(self.ahead.take());
        let Some(house) = self.house.take() else { return };
        if let Err(error) = house.close() {
            tracing::error!(%error, "the economy's log could not be closed; it recovers when it is opened");
        }
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
        let (before, began) = (house.acknowledged(), Instant::now());
        let committed = house.commit();
        if house.acknowledged() > before {
            self.figures.log.committed(house.acknowledged() - before, began.elapsed());
            self.status.quick.store(began.elapsed() <= QUICK, Ordering::Relaxed);
        }
        let stuck = committed.is_err();
        self.figures.log.set_stuck(stuck);
        if self.status.stuck.swap(stuck, Ordering::Relaxed) != stuck && !stuck {
            tracing::warn!("the economy's log is written again");
        }
        let Err(error) = committed else { return (Ok(()), false) };
        tracing::error!("{error}");
        (Err(DeskError::Log(error.to_string())), !matches!(error, CommitFailed::Waits(_)))
    }

    fn open_again(&mut self) -> Option<House> {
        self.next_event = 0;
        // Nobody else may touch what is read now.
        drop(self.keeper.take());
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
        let looked = Instant::now();
        let Some(reader) = self.reader()? else {
            self.figures.grants_lag.note(looked, 0, 0);
            return Ok(self.next_event);
        };
        let mut records: Vec<Record> = Vec::new();
        let end = reader.refresh().map_err(|error| error.to_string())?;
        let next = self.next_event.max(house.cursor(&source));
        // What is taken in now counts at the next look, when it is on disk.
        self.figures.grants_lag.note(looked, next, end);
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
            let told = consumed.map_err(|error| error.to_string())?;
            told.iter().for_each(|told| self.figures.granted(&told.applied));
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
            let told = house.amend(&source, record, player, rewards, now).map_err(|error| error.to_string())?;
            self.figures.granted(&told.applied);
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

    /// Begins a snapshot beside the desk if it is time for one, and the last one is done with.
    fn have_snapshot_kept(&mut self) {
        let Some(house) = &self.house else { return };
        let (entries, every) = (house.acknowledged(), SNAPSHOT_EVERY.max(self.kept / SNAPSHOT_GROWTH));
        if entries < self.kept.saturating_add(every) || self.keeper.as_ref().is_some_and(|keeper| !keeper.is_done()) {
            return;
        }
        let Some(frozen) = house.freeze() else { return };
        // Whether it can be kept or not: to try with every commit would be to do nothing else.
        self.kept = entries;
        match Keeper::start(self.disk.clone(), frozen, Arc::clone(&self.figures)) {
            Ok(keeper) => self.keeper = Some(keeper),
            // The log has all of it.
            Err(error) => {
                self.figures.snapshots_failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "no snapshot of the economy was kept; starting will take longer");
            }
        }
    }
}
