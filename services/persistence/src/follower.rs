//! The thread that follows the log of events: it applies what is new, tries again what was asked for, and builds the
//! view again where its file turns out to be damaged. It is the only one that writes tables and replays.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use arbiter_eventlog::{Folder, Masters, Reader};
use arbiter_views::{ApplyError, FollowError, Moment, Opened, QueryError, View};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::config::PersistenceConfig;
use crate::error::StartError;
use crate::facts::{Facts, waiting};
use crate::replays::{Replay, ReplayError, Replays};
use crate::status::Status;

/// What the thread is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Look at the log and at the status now.
    Wake,
    /// Try again what waits for a player.
    Replay { player: u64, answer: oneshot::Sender<Result<Replayed, NotReplayed>> },
    /// End.
    Stop,
}

/// Orders that wait; beyond that whoever asks is told to come back, and a wake more or less is no loss.
pub(crate) const ORDERS_MAX: usize = 64;

/// What became of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub applied: u64,
    pub waiting: u64,
    pub reason: Option<String>,
    pub position: u64,
}

/// Why nothing was tried again.
#[derive(Debug, Error)]
pub(crate) enum NotReplayed {
    #[error("nothing waits for player {0}")]
    NothingWaits(u64),
    #[error("{0}: try again when the service is ready")]
    NotReady(String),
    #[error(transparent)]
    Replays(#[from] ReplayError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// After something went wrong, until it is tried again: a disk that is full is not fuller for being asked 20 times a
/// second.
const AGAIN: Duration = Duration::from_secs(1);

/// Connections that answer questions: as many as threads that a service has any use for.
pub(crate) const CONNECTIONS: usize = 4;

pub(crate) struct Follower {
    events: std::path::PathBuf,
    masters: Option<Masters>,
    view_path: std::path::PathBuf,
    idle: Duration,
    replays: Replays<Folder>,
    following: Option<Following>,
    status: Arc<Status>,
}

struct Following {
    reader: Reader<Folder>,
    /// When the log's end was last looked at.
    looked: Instant,
    view: View<Facts>,
}

/// Why the view does not go on.
#[derive(Debug, Error)]
enum Stuck {
    #[error("the log of events: {0}")]
    Events(arbiter_eventlog::OpenError),
    #[error("the view of events: {0}")]
    View(#[from] arbiter_views::OpenError),
    #[error("the view of events: {0}")]
    Follow(#[from] FollowError),
}

impl Follower {
    /// Opens what is there. That there is no log of events yet is no error: whoever writes it may start later.
    pub fn open(config: &PersistenceConfig, replays: Replays<Folder>, status: Arc<Status>) -> Result<Self, StartError> {
        let mut follower = Self {
            events: config.events.clone(),
            masters: config.events_masters.clone(),
            view_path: config.view_path(),
            idle: config.idle,
            replays,
            following: None,
            status,
        };
        follower.begin().map_err(|stuck| match stuck {
            Stuck::Events(error) => StartError::Events(error),
            Stuck::View(error) => StartError::View(error),
            Stuck::Follow(error) => StartError::Io(std::io::Error::other(error)),
        })?;
        Ok(follower)
    }

    /// Follows until it is told to stop.
    pub fn run(mut self, orders: &Receiver<Order>) {
        let (mut next, mut stuck) = (Instant::now(), false);
        loop {
            match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Order::Replay { player, answer }) => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.replay(player));
                }
                // New events change nothing about what is wrong.
                Ok(Order::Wake) if stuck && !self.status.is_damaged() => continue,
                Ok(Order::Wake) | Err(RecvTimeoutError::Timeout) => {}
            }
            let stepped = self.step();
            stuck = stepped.is_err();
            let pause = match stepped {
                Ok(true) => Duration::ZERO,
                Ok(false) => {
                    self.status.note(Ok(()));
                    self.idle
                }
                Err(stuck) => {
                    self.status.note(Err(stuck.to_string()));
                    AGAIN
                }
            };
            next = Instant::now() + pause;
        }
        if let Err(error) = self.replays.close() {
            tracing::warn!(%error, "the log of replays was not closed");
        }
    }

    /// Opens log and view if the log is there.
    fn begin(&mut self) -> Result<bool, Stuck> {
        let looked = Instant::now();
        let opened = Folder::at(&self.events).map_err(arbiter_eventlog::OpenError::Io);
        let reader = match opened.and_then(|folder| Reader::open(folder, self.masters.clone())) {
            Ok(reader) => reader,
            Err(arbiter_eventlog::OpenError::NotThere) => return Ok(false),
            Err(arbiter_eventlog::OpenError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(false);
            }
            Err(error) => return Err(Stuck::Events(error)),
        };
        let (view, opened) = View::open(&self.view_path, Facts::new(self.replays.asked()), &reader)?;
        match &opened {
            Opened::Continues => tracing::info!(position = view.position(), "the view of events goes on"),
            Opened::Begun => tracing::info!("the view of events begins"),
            Opened::Again(why) => tracing::warn!(%why, "the view of events is built again"),
        }
        let goes_on = opened == Opened::Continues;
        self.status.opened(view.queries(CONNECTIONS), if goes_on { 0 } else { reader.end() });
        self.following = Some(Following { reader, looked, view });
        Ok(true)
    }

    /// Applies what is new, one batch at most; whether there may be more.
    fn step(&mut self) -> Result<bool, Stuck> {
        if self.following.is_none() && !self.begin()? {
            return Err(Stuck::Events(arbiter_eventlog::OpenError::NotThere));
        }
        let Some(Following { reader, looked, view }) = &mut self.following else { return Ok(false) };
        if self.status.is_damaged() {
            tracing::warn!("the view of events is damaged, and built again");
            view.rebuild(reader)?;
            self.status.building(reader.end());
        }
        if view.position() >= reader.end() {
            *looked = Instant::now();
            reader.refresh().map_err(Stuck::Events)?;
        }
        let followed = view.follow(reader);
        self.status.applied(view.position());
        self.status.followed(*looked, view.position(), reader.end());
        match followed {
            Err(FollowError::Apply(ApplyError::Damaged(error))) => {
                tracing::error!(%error, "the view of events is damaged");
                self.status.note_damage();
                Ok(true)
            }
            followed => Ok(followed? > 0),
        }
    }

    fn replay(&mut self, player: u64) -> Result<Replayed, NotReplayed> {
        let queries = self.status.queries().map_err(NotReplayed::NotReady)?;
        let Some(Following { view, .. }) = &mut self.following else {
            return Err(NotReplayed::NotReady("no log of events is followed".to_owned()));
        };
        let look = |moment: &Moment<'_>| {
            Ok((waiting::count_of(moment.connection, player)?, waiting::why(moment.connection, player)?))
        };
        let (before, _) = queries.read(look)?;
        if before == 0 {
            return Err(NotReplayed::NothingWaits(player));
        }
        let position = view.position();
        self.replays.ask(Replay { at: position, player })?;
        view.apply(&[])?;
        let (waiting, reason) = queries.read(look)?;
        Ok(Replayed { applied: before - waiting.min(before), waiting, reason, position })
    }
}

/// Wakes the thread that follows the log of events.
#[derive(Debug, Clone)]
pub struct Waker(pub(crate) SyncSender<Order>);

impl Waker {
    /// There are new events: whoever writes the log in the same process calls this behind a commit, so that nobody
    /// waits for the next look. It never blocks.
    pub fn wake(&self) {
        // Where so many orders wait it is awake.
        let _ = self.0.try_send(Order::Wake);
    }
}
