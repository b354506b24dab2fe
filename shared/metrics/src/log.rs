//! What a log of record costs whoever writes it: the batch in memory, and the write with its fdatasync.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::histogram::{Histogram, SharedHistogram};
use crate::writer::{Label, Writer};

/// How one log does, noted by its writer and read by any thread.
#[derive(Debug, Default)]
pub struct LogFigures {
    append: SharedHistogram,
    commit: SharedHistogram,
    records: AtomicU64,
    stuck: AtomicBool,
}

impl LogFigures {
    /// A batch was appended in memory.
    pub fn appended(&self, took: Duration) {
        self.append.note(took);
    }

    /// A batch is on disk: one write and one fdatasync.
    pub fn committed(&self, records: u64, took: Duration) {
        self.commit.note(took);
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// Whether the disk takes nothing.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }
}

/// Writes the logs of a process, by name.
pub fn logs<'a>(to: &mut Writer<'_>, of: impl Iterator<Item = (&'static str, &'a LogFigures)> + Clone) -> fmt::Result {
    let each = |histogram: fn(&LogFigures) -> Histogram| {
        of.clone()
            .map(move |(log, figures)| -> (Label, Histogram) { ([("log", Cow::Borrowed(log))], histogram(figures)) })
    };
    // Not everybody appends and commits apart.
    let appended = each(|it| it.append.read()).filter(|(_, histogram)| histogram.count() > 0);
    to.histograms("log_append", "Time in which a batch was made ready for a log", appended)?;
    to.histograms("log_commit", "Time of a log's write and fdatasync", each(|it| it.commit.read()))?;
    let records = of.clone().map(|(log, figures)| (log, figures.records.load(Ordering::Relaxed)));
    to.counters("log_records", "Records that were committed since the process began", "log", records)?;
    let stuck = of.map(|(log, figures)| (log, figures.stuck.load(Ordering::Relaxed).into()));
    to.gauges("log_stuck", "1 while a log takes nothing", "log", stuck)
}
