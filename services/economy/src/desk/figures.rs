//! What the economy tells of how it does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arbiter_ledger::{Applied, Why};
use arbiter_metrics::{Lag, LogFigures, Outcomes, SharedHistogram, Writer};
use arbiter_web::Problem;

/// Counted by whoever takes a turn, and by those who ask; read by any thread.
#[derive(Debug)]
pub(crate) struct DeskFigures {
    pub log: Arc<LogFigures>,
    /// Of results that become grants behind the log of events.
    pub grants_lag: Arc<Lag>,
    pub turn: SharedHistogram,
    pub jobs: AtomicU64,
    pub snapshot: SharedHistogram,
    pub snapshots_failed: AtomicU64,
    purchases: Outcomes<12>,
    checkouts: Outcomes<12>,
    grants: Outcomes<5>,
}

impl Default for DeskFigures {
    fn default() -> Self {
        let asked = |done| {
            [
                done,
                "no-such-offer",
                "no-such-product",
                "not-for-sale-now",
                "no-place",
                "not-enough",
                "had-already",
                "sold-out",
                "frozen",
                "key-used",
                "unavailable",
                "other",
            ]
        };
        Self {
            log: Arc::default(),
            grants_lag: Arc::new(Lag::new(Instant::now())),
            turn: SharedHistogram::default(),
            jobs: AtomicU64::new(0),
            snapshot: SharedHistogram::default(),
            snapshots_failed: AtomicU64::new(0),
            purchases: Outcomes::new(asked("bought")),
            checkouts: Outcomes::new(asked("begun")),
            grants: Outcomes::new(["given", "had-already", "aside", "frozen", "other"]),
        }
    }
}

impl DeskFigures {
    /// Somebody asked for an offer.
    pub fn purchased<T>(&self, result: &Result<T, Problem>) {
        self.purchases.note(result.as_ref().map_or_else(Problem::word, |_| "bought"));
    }

    /// Somebody asked to pay.
    pub fn checked_out<T>(&self, result: &Result<T, Problem>) {
        self.checkouts.note(result.as_ref().map_or_else(Problem::word, |_| "begun"));
    }

    /// An event became grants, one for each of its players.
    pub fn granted(&self, applied: &Applied) {
        let Applied::New { entry, .. } = applied else { return };
        for outcome in &entry.orders {
            self.grants.note(match &outcome.result {
                Ok(_) => "given",
                Err(refusal) => match refusal.why {
                    Why::Claimed => "had-already",
                    Why::Aside => "aside",
                    Why::Frozen => "frozen",
                    _ => "other",
                },
            });
        }
    }

    /// Writes what only the economy has.
    pub fn write(&self, to: &mut Writer<'_>) -> fmt::Result {
        to.histogram("desk_turn", "Time of a turn: deciding, one commit, answering", None, &self.turn.read())?;
        to.counter("desk_jobs", "Requests that were decided on in turns", self.jobs.load(Ordering::Relaxed))?;
        to.counters("purchases", "Purchases by what became of them", "outcome", self.purchases.each())?;
        to.counters("checkouts", "Payments that were to be begun", "outcome", self.checkouts.each())?;
        to.counters("grants", "Grants of results by what became of them", "outcome", self.grants.each())?;
        let failed = self.snapshots_failed.load(Ordering::Relaxed);
        to.histogram(
            "ledger_snapshot",
            "Time in which a snapshot of the ledger was kept",
            None,
            &self.snapshot.read(),
        )?;
        to.counter("ledger_snapshots_failed", "Snapshots of the ledger that could not be kept", failed)
    }
}
