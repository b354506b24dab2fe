//! What this process calls outside of itself, and how it waits for it: a thread of its own for each part ([`crate::services`],
//! [`crate::agones`]), which alone waits, and one [`Circuit`] for each, whose state is a figure. The table of all of them stands in
//! docs/decisions/outward.md.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use arbiter_contracts::outward::{Circuit, Policy};

/// Failures in a row that open a circuit. An operator is told with it, and then at each doubling.
pub(crate) const OPEN_AFTER: u32 = 4;

/// What others may read of a circuit.
#[derive(Debug, Clone, Default)]
pub(crate) struct CircuitFigures(Arc<Figures>);

#[derive(Debug, Default)]
struct Figures {
    state: AtomicU8,
    opened: AtomicU64,
}

impl CircuitFigures {
    /// 0 closed, 1 half-open, 2 open.
    pub fn state(&self) -> u64 {
        self.0.state.load(Ordering::Relaxed).into()
    }

    /// How often it opened.
    pub fn opened(&self) -> u64 {
        self.0.opened.load(Ordering::Relaxed)
    }
}

/// A thread's patience with one part outside.
#[derive(Debug)]
pub(crate) struct Patience {
    circuit: Circuit,
    figures: CircuitFigures,
}

impl Patience {
    pub fn new(policy: Policy, figures: &CircuitFigures) -> Self {
        Self { circuit: Circuit::new(policy), figures: figures.clone() }
    }

    /// Before a call, which comes when the wait is over: of an open circuit it is the trial.
    pub fn begin(&mut self) {
        // Whoever is early by a rounding is told so, and calls all the same: there is nobody else who could.
        let _ = self.circuit.may_call(Instant::now());
        self.publish();
    }

    /// Behind a call that went well.
    pub fn reset(&mut self) {
        self.circuit.succeeded();
        self.publish();
    }

    /// Behind one that did not: how long to wait before the next.
    pub fn wait(&mut self) -> Duration {
        // Without randomness all come at once, which is worse, not wrong.
        let draw = getrandom::u32().unwrap_or(u32::MAX);
        let wait = self.circuit.failed(Instant::now(), draw);
        self.publish();
        wait
    }

    /// Failures since a call went well.
    pub fn failures(&self) -> u32 {
        self.circuit.failures()
    }

    /// Whether an operator is told of this failure.
    pub fn is_told(&self) -> bool {
        self.failures() >= OPEN_AFTER && self.failures().is_power_of_two()
    }

    /// Whether an operator was told of a failure, and should be told that it is over.
    pub fn was_told(&self) -> bool {
        self.failures() >= OPEN_AFTER
    }

    fn publish(&self) {
        self.figures.0.state.store(self.circuit.state().number(), Ordering::Relaxed);
        self.figures.0.opened.store(self.circuit.opened(), Ordering::Relaxed);
    }
}
