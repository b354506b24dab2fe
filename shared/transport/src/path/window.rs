//! Delay and loss over the last seconds.

use core::time::Duration;

use crate::datagram::TIME_MASK;

/// Share of a new difference of transit times that is believed (RFC 3550, section 6.4.1).
const JITTER_GAIN: f64 = 1.0 / 16.0;

/// Bits of a number above those that a time has.
const ABOVE: u32 = TIME_MASK.leading_zeros();

/// A smallest value is forgotten after one to two of these: long enough to see an empty queue, short enough for clocks that
/// drift by 50 µs a second and for a route that has become longer.
const MINIMUM_WINDOW_US: u64 = 10_000_000;

/// Time constants of the two averages whose difference is the trend.
const FAST_US: f64 = 100_000.0;
const SLOW_US: f64 = 400_000.0;

/// Loss is counted in slices of this length...
const LOSS_SLICE_US: u64 = 500_000;
/// ...over this many of them: 4 s, 240 datagrams at 60 Hz.
const LOSS_SLICES: usize = 8;

/// The smallest of the last one to two windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minimum<T> {
    current: T,
    previous: T,
    since_us: u64,
}

impl<T: Copy + Ord> Minimum<T> {
    pub fn new(first: T, now_us: u64) -> Self {
        Self { current: first, previous: first, since_us: now_us }
    }

    pub fn put(&mut self, value: T, now_us: u64) {
        if now_us.saturating_sub(self.since_us) >= MINIMUM_WINDOW_US {
            (self.previous, self.current, self.since_us) = (self.current, value, now_us);
        }
        self.current = self.current.min(value);
    }

    pub fn get(&self) -> T {
        self.current.min(self.previous)
    }
}

/// The delay of one direction above its smallest.
#[derive(Debug, Clone, Default)]
pub struct OneWay {
    state: Option<OneWayState>,
}

#[derive(Debug, Clone)]
struct OneWayState {
    /// Transit time plus the unknown difference of the clocks, without wrapping.
    transit_us: i64,
    base_us: Minimum<i64>,
    fast_us: f64,
    slow_us: f64,
    jitter_us: f64,
    at_us: u64,
}

impl OneWay {
    /// A datagram left at `from_us` by the one clock and came at `to_us` by the other, both modulo 2^22. `now_us` orders
    /// samples. Returns the queueing delay of this datagram in microseconds.
    pub(super) fn sample(&mut self, from_us: u64, to_us: u64, now_us: u64) -> u64 {
        let wrapped = to_us.wrapping_sub(from_us) & TIME_MASK;
        let Some(state) = &mut self.state else {
            let transit_us = wrapped as i64;
            let base_us = Minimum::new(transit_us, now_us);
            let state = OneWayState { transit_us, base_us, fast_us: 0.0, slow_us: 0.0, jitter_us: 0.0, at_us: now_us };
            self.state = Some(state);
            return 0;
        };
        // Sign-extended from 22 bits: transit times of datagrams that follow each other differ by less than 2 s. Of those that
        // waited for longer the first ones look early, which is over once the others have come.
        let change = ((wrapped.wrapping_sub(state.transit_us as u64) << ABOVE) as i64) >> ABOVE;
        state.transit_us = state.transit_us.saturating_add(change);
        let base_before = state.base_us.get();
        state.base_us.put(state.transit_us, now_us);
        let base = state.base_us.get();
        // The averages are above the base: when it moves, they do not.
        let moved = (base_before - base) as f64;
        state.fast_us += moved;
        state.slow_us += moved;
        let queue_us = (state.transit_us - base) as f64;
        let passed = now_us.saturating_sub(state.at_us) as f64;
        state.at_us = state.at_us.max(now_us);
        // The implicit form of an exponential average: stable for any step, and without an exponential for each datagram.
        state.fast_us += (queue_us - state.fast_us) * passed / (passed + FAST_US);
        state.slow_us += (queue_us - state.slow_us) * passed / (passed + SLOW_US);
        state.jitter_us += ((change as f64).abs() - state.jitter_us) * JITTER_GAIN;
        queue_us as u64
    }

    /// By how much datagrams are slower than the fastest of the last seconds, averaged over 0.1 s.
    pub fn queue(&self) -> Duration {
        micros(self.state.as_ref().map_or(0.0, |state| state.fast_us))
    }

    /// How fast that grows, in seconds a second: above 0 a queue fills. A ramp of slope k keeps an average of time constant τ
    /// k·τ behind, so the difference of two averages over the difference of their time constants is k.
    pub fn trend(&self) -> f32 {
        self.state.as_ref().map_or(0.0, |state| ((state.fast_us - state.slow_us) / (SLOW_US - FAST_US)) as f32)
    }

    /// Mean difference of the transit times of datagrams that follow each other (RFC 3550).
    pub fn jitter(&self) -> Duration {
        micros(self.state.as_ref().map_or(0.0, |state| state.jitter_us))
    }
}

/// Loss of the last seconds.
#[derive(Debug, Clone, Default)]
pub struct LossWindow {
    /// Of each slice: datagrams, and lost ones.
    slices: [(u32, u32); LOSS_SLICES],
    at: u64,
}

impl LossWindow {
    pub(super) fn slice(&mut self, now_us: u64) -> &mut (u32, u32) {
        let now = now_us / LOSS_SLICE_US;
        let passed = now.saturating_sub(self.at).min(LOSS_SLICES as u64);
        for past in 0..passed {
            self.slices[(now - past) as usize % LOSS_SLICES] = (0, 0);
        }
        self.at = self.at.max(now);
        &mut self.slices[self.at as usize % LOSS_SLICES]
    }

    pub(super) fn add(&mut self, now_us: u64, datagrams: u32, lost: u32) {
        let slice = self.slice(now_us);
        *slice = (slice.0.saturating_add(datagrams), slice.1.saturating_add(lost));
    }

    /// One that was counted as lost was only late.
    pub(super) fn take_back(&mut self) {
        if let Some(slice) = self.slices.iter_mut().find(|slice| slice.1 > 0) {
            slice.1 -= 1;
        }
    }

    /// Datagrams of the last four seconds and how many of them were lost.
    pub fn counts(&self) -> (u32, u32) {
        self.slices
            .iter()
            .fold((0_u32, 0_u32), |sum, slice| (sum.0.saturating_add(slice.0), sum.1.saturating_add(slice.1)))
    }

    /// Share of datagrams that were lost, 0 to 1.
    pub fn share(&self) -> f32 {
        let (datagrams, lost) = self.counts();
        if datagrams == 0 { 0.0 } else { (lost as f32 / datagrams as f32).min(1.0) }
    }
}

pub(super) fn micros(us: f64) -> Duration {
    Duration::from_micros(us.max(0.0) as u64)
}
