//! Where game servers bring their events: the services' own log of what happened, which every other service follows.
//!
//! An event is here once, whoever brings it how often, since the log knows it by its name; and it is acknowledged when it is on
//! disk. Nobody looks into an event here: what it means is its consumers' matter, and one of a type that nobody knows yet is
//! kept for those who will.
//!
//! Next: [`Intake`]; [`Bringer`] for services of the same process, `http` for how it is asked, `writer` for how many who bring something share one commit.

mod http;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use arbiter_eventlog::{Disk, Folder, Log, OpenError, Options};
use arbiter_web::Service;
use crossbeam::channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

pub use writer::{Event, Refused, Stored};

use crate::writer::{Job, State, Stir, Writer};

/// Batches that may wait for a commit: each has up to 4 MiB, and is there because somebody waits for its answer.
const JOBS_MAX: usize = 64;

/// The services' log of events. Dropping it ends its thread, behind what was brought.
#[derive(Debug)]
pub struct Intake {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What handlers need.
#[derive(Debug)]
pub(crate) struct Shared {
    jobs: Sender<Job>,
    state: Arc<State>,
}

impl Intake {
    /// Opens the log in a folder, or makes one, and starts its thread.
    pub fn start(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let path = folder.to_owned();
        Self::start_with(move || Ok(Log::open(Folder::make(&path)?, options.clone())?.0))
    }

    /// The same on another disk.
    pub fn start_with<D: Disk + Send + 'static>(
        open: impl Fn() -> Result<Log<D>, OpenError> + Send + 'static,
    ) -> Result<Self, OpenError>
    where
        Log<D>: Send,
    {
        let log = open()?;
        let state = Arc::new(State::default());
        state.note(&log);
        state.note_backup(&log);
        let (jobs, waiting) = bounded(JOBS_MAX);
        let writer = Writer::new(Box::new(open), log, Arc::clone(&state));
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn(move || writer.run(&waiting))?;
        Ok(Self { shared: Arc::new(Shared { jobs, state }), thread: Some(thread) })
    }

    /// For bringing events from a thread of this process, beside HTTP.
    pub fn bringer(&self) -> Bringer {
        Bringer { shared: Arc::clone(&self.shared) }
    }

    /// Calls this whenever something new is on disk, so that who follows the log in the same process need not wait for the next
    /// look. It must not block. Only the first one that is given is called.
    pub fn when_stored(&self, stir: impl Fn() + Send + Sync + 'static) {
        // Full: somebody was told before.
        let _ = self.shared.state.stored.set(Stir(Box::new(stir)));
    }

    /// What it serves: `POST /events` and `GET /events`, for services and game servers.
    pub fn service(&self) -> Service {
        http::service(Arc::clone(&self.shared))
    }
}

/// Brings events from a thread of the same process.
#[derive(Debug, Clone)]
pub struct Bringer {
    shared: Arc<Shared>,
}

impl Bringer {
    /// Brings the events of one batch ([`arbiter_contracts::batch`] has its limits) and waits until they are on disk. Not for
    /// asynchronous code, which it would block.
    ///
    /// # Errors
    /// Nothing is acknowledged: bring all of them again.
    pub fn bring(&self, events: Vec<Event>) -> Result<Stored, Refused> {
        self.shared.hand_in(events)?.blocking_recv().unwrap_or(Err(Refused::Ended))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.shared.state.ending.store(true, Ordering::Release);
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Brings events; answers when they are on disk.
    pub async fn bring(&self, events: Vec<Event>) -> Result<Stored, Refused> {
        self.hand_in(events)?.await.unwrap_or(Err(Refused::Ended))
    }

    fn hand_in(&self, events: Vec<Event>) -> Result<oneshot::Receiver<Result<Stored, Refused>>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { events, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => Refused::Ended,
        })?;
        Ok(answered)
    }
}
