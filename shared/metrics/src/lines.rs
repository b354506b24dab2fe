//! What became of log lines, in the whole process: the one place that whoever writes lines and whoever tells figures both know.

use core::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::writer::Writer;

/// Lines that were written.
pub static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Lines left out because their place in the program had written enough in that second.
pub static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines lost because they came faster than what reads them takes them.
pub static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes them.
pub fn lines(to: &mut Writer<'_>) -> fmt::Result {
    let counts = [("written", &WRITTEN), ("left_out", &LEFT_OUT), ("lost", &LOST)];
    let counts = counts.into_iter().map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)));
    to.counters("log_lines", "Lines for the log, by what became of them", "fate", counts)
}
