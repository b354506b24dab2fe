//! Reading a view while it is written: a few connections that only read, each question at one moment of the view.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use crate::error::{NotYet, QueryError, ReadError};
use crate::file::{self, State};

/// Connections that read at most: each may keep 8 MiB of pages.
pub const CONNECTIONS_MAX: usize = 16;

/// How long a question waits for a connection. Questions take a millisecond, so whoever waits longer is better told.
pub const WAIT: Duration = Duration::from_secs(1);

/// What writer and readers of one view share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Grows when the file is thrown away, so that connections to it are too.
    pub generation: AtomicU64,
    /// Position of the next record.
    pub applied: watch::Sender<u64>,
}

impl Shared {
    pub fn new(position: u64) -> Arc<Self> {
        Arc::new(Self { generation: AtomicU64::new(0), applied: watch::Sender::new(position) })
    }
}

#[derive(Debug, Default)]
struct Pool {
    /// Open and not in use, with the file's generation.
    free: Vec<(u64, Connection)>,
    in_use: usize,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    most: usize,
    shared: Arc<Shared>,
    pool: Mutex<Pool>,
    given_back: Condvar,
}

/// Connections that read one view. Clones share them.
#[derive(Debug, Clone)]
pub struct Queries(Arc<Inner>);

/// A view as it was at one moment.
#[derive(Debug)]
pub struct Moment<'a> {
    /// For reading.
    pub connection: &'a Connection,
    /// All records before this position are in it.
    pub position: u64,
}

impl Queries {
    /// Reads a view that perhaps another process writes, over 1 to 16 connections. Waiting for a position is for those
    /// who got this from [`crate::View::queries`]; here nobody tells how far the view is.
    pub fn open(path: &Path, connections: usize) -> Self {
        Self::with(path, connections, Shared::new(0))
    }

    pub(crate) fn with(path: &Path, connections: usize, shared: Arc<Shared>) -> Self {
        let (path, most) = (path.to_owned(), connections.clamp(1, CONNECTIONS_MAX));
        Self(Arc::new(Inner { path, most, shared, pool: Mutex::default(), given_back: Condvar::new() }))
    }

    /// Asks something at one moment of the view: what is written meanwhile is not seen. It blocks its thread, up to a
    /// second for a connection and then as long as the question takes; keep that short, since the WAL grows meanwhile.
    ///
    /// # Errors
    /// If no connection came free, or the view cannot be read.
    pub fn read<T>(&self, ask: impl FnOnce(&Moment<'_>) -> Result<T, ReadError>) -> Result<T, QueryError> {
        let (mut place, mut connection) = self.connection()?;
        let answer = (|| {
            let transaction = connection.transaction()?;
            let state = State::read(&transaction)?.ok_or(ReadError::NotThere)?;
            ask(&Moment { connection: &transaction, position: state.position })
        })();
        // A connection that met something wrong may have kept it in its pages.
        if answer.is_ok() {
            place.kept = Some((place.generation, connection));
        }
        Ok(answer?)
    }

    /// How far the view was applied: all records before this position are in it.
    pub fn applied(&self) -> u64 {
        *self.0.shared.applied.borrow()
    }

    /// Waits until all records before a position are in the view, at most so long; returns how far it is applied then.
    ///
    /// # Errors
    /// If it is not in time.
    pub async fn reached(&self, position: u64, timeout: Duration) -> Result<u64, NotYet> {
        let mut applied = self.0.shared.applied.subscribe();
        let reached = tokio::time::timeout(timeout, applied.wait_for(|next| *next >= position)).await;
        match reached {
            Ok(Ok(next)) => Ok(*next),
            _ => Err(NotYet { wanted: position, applied: self.applied() }),
        }
    }

    fn connection(&self) -> Result<(Place<'_>, Connection), QueryError> {
        let inner = &*self.0;
        let generation = inner.shared.generation.load(Ordering::Acquire);
        let mut pool = inner.lock();
        let until = Instant::now() + WAIT;
        while pool.in_use >= inner.most {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(QueryError::Busy);
            }
            let waited = inner.given_back.wait_timeout(pool, left);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        pool.free.retain(|(of, _)| *of == generation);
        pool.in_use += 1;
        let free = pool.free.pop();
        drop(pool);
        let place = Place { inner, generation, kept: None };
        let opened = free.map_or_else(|| file::reader(&inner.path), |(_, connection)| Ok(connection));
        opened.map(|connection| (place, connection)).map_err(|error| {
            let missing = error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen);
            QueryError::Read(if missing { ReadError::NotThere } else { error.into() })
        })
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        // What it holds is whole between any two statements.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that may be in use, given back when it is dropped.
struct Place<'a> {
    inner: &'a Inner,
    generation: u64,
    kept: Option<(u64, Connection)>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pool = self.inner.lock();
        pool.in_use -= 1;
        pool.free.extend(self.kept.take());
        self.inner.given_back.notify_one();
    }
}
