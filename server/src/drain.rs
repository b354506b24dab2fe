//! How a process empties itself: no match begins, nobody new comes in, those that run are played to their end or to the end of the
//! time of grace, and nothing that was earned is lost.
//!
//! Whoever wants it asks for it ([`Reason`]); the first reason counts. The thread `watch` starts it for a stuck room and ends it when
//! the time is over. What is flushed behind it stands in [`crate::ServerHandle::join`].

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{OnStop, Shared};

/// Between two looks at the rooms and at the time of grace.
const LOOK: Duration = Duration::from_millis(200);

/// Why a process is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Whoever runs the process, by a signal.
    Told,
    /// An operator, over HTTP.
    Operator,
    /// A room does not advance any more.
    StuckRoom,
    /// Agones has marked it unhealthy, for good.
    Unhealthy,
    /// Agones has begun to delete it.
    Deleted,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Told, Self::Operator, Self::StuckRoom, Self::Unhealthy, Self::Deleted];

    /// In figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Operator => "operator",
            Self::StuckRoom => "stuck_room",
            Self::Unhealthy => "unhealthy",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Told => "it was told to",
            Self::Operator => "an operator wants it",
            Self::StuckRoom => "a room does not advance any more",
            Self::Unhealthy => "Agones has marked it unhealthy",
            Self::Deleted => "Agones deletes it",
        })
    }
}

/// Whether and why the process is drained.
#[derive(Debug, Default)]
pub(crate) struct Drain(Mutex<Option<(Reason, Instant)>>);

impl Drain {
    pub fn reason(&self) -> Option<Reason> {
        self.begun().map(|(reason, _)| reason)
    }

    fn begun(&self) -> Option<(Reason, Instant)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this was the first reason.
    fn begin(&self, reason: Reason) -> bool {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = begun.is_none();
        begun.get_or_insert((reason, Instant::now()));
        first
    }
}

impl Shared {
    /// Begins to drain, unless it has begun.
    pub(crate) fn begin_drain(&self, reason: Reason) {
        if self.drain.begin(reason) {
            let grace = self.config.drain_grace;
            tracing::warn!(?grace, "no match begins any more, and running ones are played to their end: {reason}");
        }
        self.tell_to_stop(OnStop::Finish);
    }

    /// Whether all rooms have ended, or those that have not never will.
    pub(crate) fn is_over(&self) -> bool {
        let beat = self.pulse.feel(&self.rooms);
        beat.running == 0 || self.stopping().is_some() && beat.only_stuck_are_left()
    }
}

/// The thread that watches the rooms; it ends when told to.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let run = move || watch(&shared, &stopped);
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(shared: &Shared, stopped: &Receiver<()>) {
    let mut told: Vec<u16> = Vec::new();
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let is_watched = shared.rooms.iter().any(|room| room.spectators() > 0);
        shared.shed.look(Instant::now(), is_watched);
        let beat = shared.pulse.feel(&shared.rooms);
        let new: Vec<u16> = beat.stuck.into_iter().filter(|room| !told.contains(room)).collect();
        for room in &new {
            tracing::error!(room, "the room does not advance; the process is drained, its other matches go on");
        }
        if !new.is_empty() {
            shared.note(|stats| stats.rooms_stuck += new.len() as u32);
            told.extend(new);
            shared.begin_drain(Reason::StuckRoom);
        }
        let grace = shared.config.drain_grace;
        let is_over = |(_, begun): (Reason, Instant)| !grace.is_zero() && begun.elapsed() >= grace;
        if shared.stopping() == Some(OnStop::Finish) && shared.drain.begun().is_some_and(is_over) {
            tracing::warn!(?grace, "the time of grace is over: matches that still run are abandoned");
            shared.tell_to_stop(OnStop::Abandon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        let drain = Drain::default();
        assert!(drain.begin(Reason::StuckRoom));
        assert!(!drain.begin(Reason::Told));
        assert_eq!(drain.reason(), Some(Reason::StuckRoom));
    }
}
