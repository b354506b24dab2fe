//! How far whoever follows a log is behind it. Records that wait say little, since some always do on a busy machine; how old the
//! oldest of them can be says all.

use core::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::writer::Writer;

/// One follower's lag, noted by its thread and read by any.
#[derive(Debug)]
pub struct Lag {
    began: Instant,
    records: AtomicU64,
    /// Everything that was in the log so many microseconds after `began` has been followed.
    fresh_us: AtomicU64,
}

impl Lag {
    /// Of a follower that begins now.
    pub fn new(now: Instant) -> Self {
        Self { began: now, records: AtomicU64::new(0), fresh_us: AtomicU64::new(0) }
    }

    /// The log had this end when it was looked at, and all before `position` has been followed since.
    pub fn note(&self, looked: Instant, position: u64, end: u64) {
        self.records.store(end.saturating_sub(position), Ordering::Relaxed);
        if position >= end {
            let fresh = looked.saturating_duration_since(self.began).as_micros();
            self.fresh_us.store(u64::try_from(fresh).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Records that waited at the last look.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Everything older than this has been followed.
    pub fn seconds(&self, now: Instant) -> f64 {
        let now = now.saturating_duration_since(self.began).as_secs_f64();
        (now - self.fresh_us.load(Ordering::Relaxed) as f64 / 1e6).max(0.0)
    }
}

/// Writes the lags of a process's views, by name.
pub fn lags<'a>(
    to: &mut Writer<'_>,
    now: Instant,
    of: impl Iterator<Item = (&'static str, &'a Lag)> + Clone,
) -> fmt::Result {
    let records = of.clone().map(|(view, lag)| (view, lag.records()));
    to.gauges("view_lag_records", "Records of its log that a view has not followed yet", "view", records)?;
    let seconds = of.map(|(view, lag)| (view, lag.seconds(now)));
    to.gauges_of_seconds("view_lag", "Age up to which a view may not know a record of its log", "view", seconds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_always_has_some_to_do_but_keeps_up_is_not_behind() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let lag = Lag::new(began);
        for turn in 1..100 {
            // Each look finds five new records, and ends with those followed that it found.
            lag.note(at(turn * 20), turn * 5, turn * 5);
        }
        lag.note(at(2_000), 495, 505);
        assert_eq!(lag.records(), 10);
        assert!((lag.seconds(at(2_000)) - 0.02).abs() < 1e-6, "{}", lag.seconds(at(2_000)));
    }

    #[test]
    fn whoever_stands_still_falls_behind_with_time() {
        let began = Instant::now();
        let lag = Lag::new(began);
        lag.note(began, 0, 1);
        assert!(lag.seconds(began + Duration::from_secs(30)) >= 30.0);
    }
}
