//! Counts of durations in fixed ranges, as metrics want them: sums of many are sums of each.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper ends of the ranges in microseconds, from a fast tick to a long path; what is longer than the last is counted too.
pub const BOUNDS_US: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 33_000, 66_000, 125_000, 250_000, 500_000];

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many were in each range, the last one open.
    pub counts: [u64; BOUNDS_US.len() + 1],
    /// All together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Counts one.
    pub fn note(&mut self, us: u64) {
        self.counts[BOUNDS_US.partition_point(|bound| *bound < us)] += 1;
        self.sum_us += us;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl core::ops::AddAssign for Histogram {
    fn add_assign(&mut self, other: Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, count)| *sum += count);
        self.sum_us += other.sum_us;
    }
}

/// One that many threads note in.
#[derive(Debug, Default)]
pub struct SharedHistogram {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl SharedHistogram {
    /// Counts one.
    pub fn note(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[BOUNDS_US.partition_point(|bound| *bound < us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Histogram {
        let counts = core::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed));
        Histogram { counts, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_range_and_nothing_is_left_out() {
        let mut histogram = Histogram::default();
        for us in [0, 50, 51, 500_000, 500_001, u64::from(u32::MAX)] {
            histogram.note(us);
        }
        assert_eq!(
            (histogram.counts[0], histogram.counts[1], histogram.counts[13], histogram.counts[14]),
            (2, 1, 1, 2)
        );
        assert_eq!(histogram.count(), 6);
    }
}
