//! The phases of a tick: a span around each for whoever traces, and where the time goes for whoever looks at figures.
//!
//! Spans are of the level debug, so that a tick of a server that nobody traces allocates nothing; `--log info,arbiter_server=debug`
//! turns them on, and each line of a tick then says which room, which tick and which phase it is from.

use std::time::{Duration, Instant};

use tracing::Span;
use tracing::span::EnteredSpan;

use super::Room;

/// What a tick does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickPhase {
    /// What came from socket threads, and whose place is kept.
    Inbox,
    /// The simulation's step.
    Simulation,
    /// Handing the tick to the recorder, with its hash.
    Recording,
    /// Messages to players.
    Messages,
    /// Snapshots to players.
    Replication,
    /// Looking at what players do.
    Suspicion,
    /// Spectators and kill cams.
    Spectators,
}

impl TickPhase {
    /// All of them, in their order.
    pub const ALL: [Self; PHASES] = [
        Self::Inbox,
        Self::Simulation,
        Self::Recording,
        Self::Messages,
        Self::Replication,
        Self::Suspicion,
        Self::Spectators,
    ];

    /// As figures name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Simulation => "simulation",
            Self::Recording => "recording",
            Self::Messages => "messages",
            Self::Replication => "replication",
            Self::Suspicion => "suspicion",
            Self::Spectators => "spectators",
        }
    }

    /// Names of spans are fixed where they are made.
    fn span(self) -> Span {
        match self {
            Self::Inbox => tracing::debug_span!("inbox"),
            Self::Simulation => tracing::debug_span!("simulation"),
            Self::Recording => tracing::debug_span!("recording"),
            Self::Messages => tracing::debug_span!("messages"),
            Self::Replication => tracing::debug_span!("replication"),
            Self::Suspicion => tracing::debug_span!("suspicion"),
            Self::Spectators => tracing::debug_span!("spectators"),
        }
    }
}

/// How many there are.
pub const PHASES: usize = 7;

/// Time by the clock on the wall that a room has spent in each phase so far: several threads may work in one, and one may wait.
#[derive(Debug)]
pub(super) struct PhaseTimes {
    /// Whether anybody looks at figures.
    is_wanted: bool,
    spent: [Duration; PHASES],
}

impl PhaseTimes {
    /// Nothing spent yet.
    pub fn new(is_wanted: bool) -> Self {
        Self { is_wanted, spent: [Duration::ZERO; PHASES] }
    }

    /// In microseconds, in the order of [`TickPhase::ALL`].
    pub fn us(&self) -> [u64; PHASES] {
        self.spent.map(|spent| u64::try_from(spent.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Room {
    /// The span of a tick, entered.
    pub(super) fn tick_span(&self) -> EnteredSpan {
        tracing::debug_span!("tick", room = self.number, tick = self.simulation.tick() + 1).entered()
    }

    /// Does a phase's work.
    pub(super) fn in_phase<T>(&mut self, phase: TickPhase, work: impl FnOnce(&mut Self) -> T) -> T {
        let span = phase.span().entered();
        let began = self.phases.is_wanted.then(Instant::now);
        let done = work(self);
        if let Some(began) = began {
            self.phases.spent[phase as usize] += began.elapsed();
        }
        drop(span);
        done
    }
}
