//! The thread that tells: a log of events that takes nothing must not hold up a purchase.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arbiter_eventlog::{Folder, Masters, Reader};
use arbiter_metrics::Lag;
use arbiter_views::{ApplyError, FollowError, Opened, SayError};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::{Fact, NotBrought, Publisher};
use crate::desk::Counter;
use crate::ledger_view::ViewError;

/// Between two looks for new entries: what is booked meanwhile is told together, so that telling costs the disk 50 flushes a second
/// at most.
const LOOK: Duration = Duration::from_millis(20);

/// Before something that failed is tried again: twice as long each time, as game servers' outboxes do.
const AGAIN_MIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// What telling needs.
#[derive(Debug, Clone)]
pub struct TellConfig {
    /// Folder of the economy's own log, which must be there.
    pub log: PathBuf,
    /// File of the view of what was told.
    pub file: PathBuf,
    /// Keys that seal the log.
    pub masters: Option<Masters>,
}

/// What is known without asking the thread.
#[derive(Debug)]
pub(crate) struct Status {
    entries: AtomicU64,
    why: Mutex<Option<String>>,
    lag: Arc<Lag>,
}

impl Status {
    fn new() -> Self {
        let (entries, why) = (AtomicU64::new(0), Mutex::new(None));
        Self { entries, why, lag: Arc::new(Lag::new(Instant::now())) }
    }

    /// How far it is behind the ledger.
    pub fn lag(&self) -> Arc<Lag> {
        Arc::clone(&self.lag)
    }

    /// Entries of which the world was told.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Acquire)
    }

    /// Whether the world is told; why not, otherwise.
    pub fn ready(&self) -> Result<(), String> {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        why.as_ref().map_or(Ok(()), |why| Err(format!("nobody is told of what is booked: {why}")))
    }

    fn note(&self, entries: u64, why: Option<String>) {
        let mut told = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != why {
            match &why {
                Some(why) => tracing::error!("nobody is told of what is booked: {why}"),
                None => tracing::warn!("what is booked is told again"),
            }
            *told = why;
        }
        // Whoever sees how far it is knows that nothing holds it up, if so.
        self.entries.store(entries, Ordering::Release);
    }
}

/// Tells the world what the economy did, on a thread of its own. Dropping it ends the thread; what was not told by then is told when the
/// economy is started again.
#[derive(Debug)]
pub struct Teller {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    /// Opens the view of what was told, or makes it, and follows the economy's log. `bring` brings events of one batch to the log of
    /// events, waits until all of them are on disk, and says how many were new. The counter says how far it is and, if it is
    /// held up, why.
    ///
    /// # Errors
    /// If the log or the view cannot be opened.
    pub fn start(
        config: TellConfig,
        counter: &Counter,
        bring: impl FnMut(Vec<Fact>) -> Result<usize, NotBrought> + Send + 'static,
    ) -> Result<Self, ViewError> {
        let reader = Reader::open(Folder::at(&config.log)?, config.masters)?;
        let (publisher, opened) = Publisher::open(&config.file, &reader)?;
        match &opened {
            Opened::Again(why) => tracing::warn!(%why, "all is told again, and the log of events knows it"),
            _ => tracing::info!(entries = publisher.entries(), ?opened, "the view of what was told is open"),
        }
        let status = Arc::new(Status::new());
        status.note(publisher.entries(), None);
        counter.is_told(&status);
        let (stop, stopped) = bounded(0);
        let run = move || follow(publisher, reader, bring, &status, &stopped);
        let thread = std::thread::Builder::new().name("telling".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn follow(
    mut publisher: Publisher,
    mut reader: Reader<Folder>,
    mut bring: impl FnMut(Vec<Fact>) -> Result<usize, NotBrought>,
    status: &Status,
    stopped: &Receiver<()>,
) {
    let mut again = AGAIN_MIN;
    loop {
        let looked = Instant::now();
        let told = reader.refresh().map_err(|error| SayError::Follow(error.into()));
        let told = told.and_then(|_| publisher.tell(&reader, &mut bring)).map(|_| ());
        let told = match told {
            Err(SayError::Follow(FollowError::Apply(ApplyError::Damaged(why)))) => {
                tracing::warn!(%why, "the view of what was told is damaged, and built again");
                publisher.begin_anew(&reader).map_err(|error| error.to_string())
            }
            told => told.map_err(|error| error.to_string()),
        };
        let behind = publisher.entries() < reader.end();
        let wait = match &told {
            Ok(()) if behind => Duration::ZERO,
            Ok(()) => LOOK,
            Err(_) => again,
        };
        again = if told.is_ok() { AGAIN_MIN } else { (again * 2).min(AGAIN_MAX) };
        status.lag.note(looked, publisher.entries(), reader.end());
        status.note(publisher.entries(), told.err());
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
}
