//! The service: its files, its thread, its state for handlers.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arbiter_eventlog::Folder;
use arbiter_metrics::LogFigures;
use arbiter_views::RebuildCheck;
use arbiter_web::Service;
use tokio::sync::Semaphore;

use crate::check::rebuild_check;
use crate::config::PersistenceConfig;
use crate::error::{CheckError, StartError};
use crate::follower::{CONNECTIONS, Follower, ORDERS_MAX, Order, Waker};
use crate::http;
use crate::profiles::Profiles;
use crate::replays::Replays;
use crate::status::Status;

/// What handlers share.
pub(crate) struct App {
    pub status: Arc<Status>,
    pub profiles: Arc<Mutex<Option<Profiles<Folder>>>>,
    /// What writing them costs.
    pub profiles_log: Arc<LogFigures>,
    pub orders: SyncSender<Order>,
    /// For questions that block a thread: as many as there are connections, and one for profiles.
    pub places: Arc<Semaphore>,
}

/// The running service. Dropping it stops its thread and closes its logs.
#[derive(Debug)]
pub struct Persistence {
    config: PersistenceConfig,
    app: Arc<App>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Persistence {
    /// Opens what is in the folders and follows the log from then on, on a thread of its own.
    ///
    /// # Errors
    /// See [`StartError`]. That there is no log of events yet is none: readiness says so until it is there.
    pub fn start(config: PersistenceConfig) -> Result<Self, StartError> {
        let profiles = Folder::make(&config.profiles_path())?;
        let profiles = Profiles::open(&profiles, &config.master)?;
        let replays = Replays::open(Folder::make(&config.replays_path())?)?;
        let status = Arc::new(Status::new());
        let follower = Follower::open(&config, replays, Arc::clone(&status))?;
        let (orders, inbox) = sync_channel(ORDERS_MAX);
        let thread = std::thread::Builder::new().name("persistence".to_owned()).spawn(move || follower.run(&inbox))?;
        let app = App {
            status,
            profiles: Arc::new(Mutex::new(Some(profiles))),
            profiles_log: Arc::default(),
            orders,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        };
        Ok(Self { config, app: Arc::new(app), thread: Some(thread) })
    }

    /// What it serves.
    pub fn service(&self) -> Service {
        http::service(Arc::clone(&self.app))
    }

    /// For whoever writes the log of events in the same process.
    pub fn waker(&self) -> Waker {
        Waker(self.app.orders.clone())
    }

    /// All events before this position are in the view.
    pub fn position(&self) -> u64 {
        self.app.status.queries().map_or(0, |queries| queries.applied())
    }

    /// Builds the view again in a scratch file and compares: see [`rebuild_check`].
    ///
    /// # Errors
    /// See [`CheckError`].
    pub fn rebuild_check(&self) -> Result<RebuildCheck, CheckError> {
        rebuild_check(&self.config)
    }
}

impl Drop for Persistence {
    fn drop(&mut self) {
        // It waits in line behind other orders, or the thread has ended by itself.
        let _ = self.app.orders.send(Order::Stop);
        let _ = self.thread.take().map(JoinHandle::join);
        let profiles = self.app.profiles.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = profiles.map(Profiles::close) {
            tracing::warn!(%error, "the log of profiles was not closed");
        }
    }
}
