//! Keeps the view of transactions behind the log, on a thread of its own: a slow view must not hold up a commit.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arbiter_eventlog::{Folder, Masters, OpenError, Reader};
use arbiter_metrics::Lag;
use arbiter_views::{ApplyError, FollowError, Queries, RebuildCheck, View};
use thiserror::Error;

use crate::transactions::Transactions;

/// Between two looks for new entries.
const LOOK: Duration = Duration::from_millis(20);

/// Before something that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Connections for reading.
const CONNECTIONS: usize = 4;

/// Why a view of the economy's log cannot be kept.
#[derive(Debug, Error)]
pub enum ViewError {
    /// The log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The view.
    #[error(transparent)]
    View(#[from] arbiter_views::OpenError),
    /// The system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Why the view could not be compared with what the log says.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The view, as it is or as it is built again.
    #[error(transparent)]
    View(#[from] arbiter_views::CheckError),
    /// The folder.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Builds the view in a file again beside it, from the log in a folder, and compares: see [`arbiter_views::check`].
pub fn rebuild_check(log: &Path, file: &Path, masters: Option<Masters>) -> Result<RebuildCheck, CheckError> {
    arbiter_views::rebuild_check(file, |_| Ok(()), |()| Ok((Transactions, Reader::open(Folder::at(log)?, masters)?)))
}

/// The view and its thread. Dropping it ends the thread.
#[derive(Debug)]
pub struct LedgerView {
    queries: Queries,
    status: Arc<Status>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Status {
    ending: AtomicBool,
    why: Mutex<Option<String>>,
    lag: Arc<Lag>,
}

impl Status {
    fn new() -> Self {
        let (ending, why) = (AtomicBool::new(false), Mutex::new(None));
        Self { ending, why, lag: Arc::new(Lag::new(Instant::now())) }
    }
}

impl LedgerView {
    /// Opens the view in a file, or makes it, and follows the economy's log in a folder, which must be there.
    pub fn start(log: &Path, file: PathBuf, masters: Option<Masters>) -> Result<Self, ViewError> {
        let reader = Reader::open(Folder::at(log)?, masters)?;
        let (view, opened) = View::open(&file, Transactions, &reader)?;
        tracing::info!(?opened, "the view of transactions is open");
        let (queries, status) = (view.queries(CONNECTIONS), Arc::new(Status::new()));
        let told = Arc::clone(&status);
        let run = move || follow(view, reader, &told);
        let thread = std::thread::Builder::new().name("transactions".to_owned()).spawn(run)?;
        Ok(Self { queries, status, thread: Some(thread) })
    }

    /// For reading it.
    pub fn queries(&self) -> Queries {
        self.queries.clone()
    }

    /// How far it is behind the log.
    pub(crate) fn lag(&self) -> Arc<Lag> {
        Arc::clone(&self.status.lag)
    }

    /// Whether it follows the log; why not, otherwise.
    pub fn ready(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let status = Arc::clone(&self.status);
        move || {
            let why = status.why.lock().unwrap_or_else(PoisonError::into_inner);
            why.as_ref().map_or(Ok(()), |why| Err(format!("transactions are not shown: {why}")))
        }
    }
}

impl Drop for LedgerView {
    fn drop(&mut self) {
        self.status.ending.store(true, Ordering::Release);
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn follow(mut view: View<Transactions>, mut reader: Reader<Folder>, status: &Status) {
    while !status.ending.load(Ordering::Acquire) {
        let looked = Instant::now();
        let followed = reader.refresh().map_err(FollowError::from).and_then(|_| view.follow(&reader));
        if followed.is_ok() {
            status.lag.note(looked, view.position(), reader.end());
        }
        let (wait, why) = match followed {
            Ok(0) => (LOOK, None),
            Ok(_) => (Duration::ZERO, None),
            Err(FollowError::Apply(ApplyError::Damaged(why))) => {
                tracing::warn!(%why, "the view of transactions is damaged, and built again");
                let rebuilt = view.rebuild(&reader).map_err(|error| error.to_string());
                (Duration::ZERO, rebuilt.err())
            }
            Err(error) => (AGAIN, Some(error.to_string())),
        };
        let mut told = status.why.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != why {
            if let Some(why) = &why {
                tracing::error!("transactions are not shown: {why}");
            }
            *told = why;
        }
        drop(told);
        std::thread::sleep(wait);
    }
}
