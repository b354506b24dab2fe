//! What one connection's path is like: round trip, jitter, loss, and how long datagrams wait in queues in each direction.
//! Everything follows from the headers' times and numbers, in microseconds and not in ticks; nothing allocates.
//!
//! The two clocks are not synchronised, so a one-way delay is known up to a constant: what can be said is by how much it is
//! above the smallest of the last seconds (the queueing delay) and how fast it changes (the trend). Smoothing by time and not by
//! sample makes 30 and 128 datagrams a second agree.

use core::time::Duration;

use crate::datagram::Ack;

mod window;

pub use window::{LossWindow, OneWay};
use window::{Minimum, micros};

/// Share of a new round trip that is believed, and of its deviation (RFC 6298).
const ROUND_TRIP_GAIN: f64 = 1.0 / 8.0;
const DEVIATION_GAIN: f64 = 1.0 / 4.0;

/// Of the first moments nothing is known; a player's round trip is rarely longer.
const ROUND_TRIP_GUESS_US: f64 = 150_000.0;

/// A round trip beyond this is an echo of another age.
const ROUND_TRIP_MAX_US: u64 = 10_000_000;

/// What a path is like at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PathStats {
    /// Round trip without the time that the peer held an acknowledgement, smoothed; `None` before the first.
    pub round_trip: Option<Duration>,
    /// The last one.
    pub round_trip_last: Duration,
    /// The smallest of the last 10 to 20 s.
    pub round_trip_min: Duration,
    /// Mean deviation of the round trip.
    pub round_trip_deviation: Duration,
    /// Jitter of what comes.
    pub jitter_in: Duration,
    /// Jitter of what leaves, as the peer's times tell it.
    pub jitter_out: Duration,
    /// Queueing delay of what comes.
    pub queue_in: Duration,
    /// Queueing delay of what leaves.
    pub queue_out: Duration,
    /// How fast [`Self::queue_in`] grows, in seconds a second.
    pub trend_in: f32,
    /// How fast [`Self::queue_out`] grows, in seconds a second.
    pub trend_out: f32,
    /// Share of the peer's datagrams that are missing, over four seconds.
    pub loss_in: f32,
    /// Share of our datagrams that were lost, over four seconds.
    pub loss_out: f32,
}

/// Measures a path.
#[derive(Debug, Clone, Default)]
pub struct Path {
    smoothed_us: Option<f64>,
    last_us: u64,
    deviation_us: f64,
    smallest_us: Option<Minimum<u64>>,
    inward: OneWay,
    outward: OneWay,
    loss_in: LossWindow,
    loss_out: LossWindow,
}

impl Path {
    /// A datagram came that its sender had stamped with `time_us`; the newest number rose by `advance`.
    pub fn note_arrival(&mut self, time_us: u32, advance: u64, now_us: u64) {
        // What was overtaken says nothing new about the queue, and its transit time is that of the way around.
        if advance > 0 {
            self.inward.sample(u64::from(time_us), now_us, now_us);
            let missing = advance.saturating_sub(1).min(u64::from(u32::MAX)) as u32;
            self.loss_in.add(now_us, missing.saturating_add(1), missing);
        } else {
            self.loss_in.take_back();
        }
    }

    /// A datagram of ours that left at `sent_us` was acknowledged by `ack` in a datagram stamped `time_us`. Returns the
    /// queueing delay that it met on its way, in microseconds, if it can be told.
    pub fn note_echo(&mut self, sent_us: u64, ack: &Ack, time_us: u32, now_us: u64) -> Option<u64> {
        let held = u64::from(ack.held_us?);
        let round_trip = now_us.saturating_sub(sent_us).saturating_sub(held);
        if round_trip > ROUND_TRIP_MAX_US {
            return None;
        }
        self.last_us = round_trip;
        let sample = round_trip as f64;
        match self.smoothed_us {
            None => (self.smoothed_us, self.deviation_us) = (Some(sample), sample / 2.0),
            Some(smoothed) => {
                self.deviation_us += ((sample - smoothed).abs() - self.deviation_us) * DEVIATION_GAIN;
                self.smoothed_us = Some(smoothed + (sample - smoothed) * ROUND_TRIP_GAIN);
            }
        }
        self.smallest_us.get_or_insert(Minimum::new(round_trip, now_us)).put(round_trip, now_us);
        // By the peer's clock ours came when the acknowledgement left, less the time that it was held.
        let came = u64::from(time_us).wrapping_sub(held);
        Some(self.outward.sample(sent_us, came, now_us))
    }

    /// A datagram of ours was delivered or lost.
    pub fn note_fate(&mut self, lost: bool, now_us: u64) {
        self.loss_out.add(now_us, 1, u32::from(lost));
    }

    /// A datagram of ours that was counted as lost was only late.
    pub fn note_late(&mut self) {
        self.loss_out.take_back();
    }

    /// Slices of time pass even if nothing else happens.
    pub fn advance(&mut self, now_us: u64) {
        self.loss_in.slice(now_us);
        self.loss_out.slice(now_us);
    }

    /// The smoothed round trip in microseconds, or a guess before the first.
    pub fn round_trip_us(&self) -> u64 {
        self.smoothed_us.unwrap_or(ROUND_TRIP_GUESS_US) as u64
    }

    /// How long after it left a datagram may still be overtaken by others instead of being lost: 9/8 of a round trip
    /// (RFC 9002, section 6.1.2), and its deviation for a link that jitters.
    pub fn reorder_us(&self) -> u64 {
        (self.smoothed_us.unwrap_or(ROUND_TRIP_GUESS_US) * 1.125 + self.deviation_us) as u64
    }

    /// After this long an acknowledgement is overdue. `held_us` is how long a peer may hold one.
    pub fn timeout_us(&self, held_us: u64) -> u64 {
        let spread = (4.0 * self.deviation_us).max(10_000.0);
        let smoothed = self.smoothed_us.unwrap_or(ROUND_TRIP_GUESS_US);
        ((smoothed + spread) as u64 + held_us).clamp(60_000, 1_000_000)
    }

    /// Everything at once.
    pub fn stats(&self) -> PathStats {
        let smallest = self.smallest_us.map_or(0, |smallest| smallest.get());
        PathStats {
            round_trip: self.smoothed_us.map(micros),
            round_trip_last: Duration::from_micros(self.last_us),
            round_trip_min: Duration::from_micros(smallest),
            round_trip_deviation: micros(self.deviation_us),
            jitter_in: self.inward.jitter(),
            jitter_out: self.outward.jitter(),
            queue_in: self.inward.queue(),
            queue_out: self.outward.queue(),
            trend_in: self.inward.trend(),
            trend_out: self.outward.trend(),
            loss_in: self.loss_in.share(),
            loss_out: self.loss_out.share(),
        }
    }

    /// Loss of our datagrams.
    pub fn loss_out(&self) -> &LossWindow {
        &self.loss_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::TIME_MASK;

    const TICK_US: u64 = 16_667;

    fn ack(held_us: u32) -> Ack {
        Ack { newest: 0, before: u32::MAX, held_us: Some(held_us) }
    }

    /// Sends a datagram each tick for `ticks` over a path of these one-way delays; the peer's clock is `offset` ahead.
    fn run(
        path: &mut Path,
        from: u64,
        ticks: u64,
        offset: u64,
        out_us: impl Fn(u64) -> u64,
        in_us: impl Fn(u64) -> u64,
    ) {
        for tick in from..from + ticks {
            let sent = 1_700_000_000_000_000 + tick * TICK_US;
            let held = 5_000;
            let left = sent + out_us(tick) + held;
            let now = left + in_us(tick);
            let time = ((left + offset) & TIME_MASK) as u32;
            path.note_echo(sent, &ack(held as u32), time, now);
            path.note_arrival(time, 1, now);
        }
    }

    #[test]
    fn a_round_trip_is_measured_to_the_microsecond_without_what_was_held() {
        let mut path = Path::default();
        run(&mut path, 0, 100, 12_345_678, |_| 21_003, |_| 19_004);
        let stats = path.stats();
        assert_eq!(stats.round_trip_last, Duration::from_micros(40_007));
        assert_eq!(stats.round_trip_min, Duration::from_micros(40_007));
        assert_eq!(stats.round_trip.map(|round_trip| round_trip.as_micros()), Some(40_007));
        assert_eq!((stats.jitter_in, stats.queue_in, stats.queue_out), Default::default());
    }

    #[test]
    fn a_queue_is_seen_in_its_direction_only() {
        let mut path = Path::default();
        run(&mut path, 0, 120, 99, |_| 20_000, |_| 30_000);
        // Two milliseconds more each tick: 0.12 s a second.
        run(&mut path, 120, 60, 99, |tick| 20_000 + (tick - 120) * 2_000, |_| 30_000);
        let stats = path.stats();
        assert!((0.08..0.13).contains(&stats.trend_out), "{stats:?}");
        assert!(stats.queue_out > Duration::from_millis(90), "{stats:?}");
        assert!(stats.trend_in.abs() < 1e-3 && stats.queue_in.is_zero(), "{stats:?}");
    }

    #[test]
    fn times_wrap_without_a_trace() {
        let mut path = Path::default();
        // A minute is fourteen wraps of 2^22 µs.
        run(&mut path, 0, 3_600, 16_777_000, |tick| 20_000 + tick % 3 * 100, |_| 30_000);
        let stats = path.stats();
        assert!(stats.queue_out <= Duration::from_micros(200) && stats.queue_in.is_zero(), "{stats:?}");
        assert!(stats.jitter_out > Duration::from_micros(50) && stats.jitter_out < Duration::from_micros(200));
    }

    #[test]
    fn a_longer_route_is_taken_for_the_route_after_a_while() {
        let mut path = Path::default();
        run(&mut path, 0, 600, 0, |_| 20_000, |_| 20_000);
        run(&mut path, 600, 60, 0, |_| 60_000, |_| 20_000);
        assert!(path.stats().queue_out > Duration::from_millis(39));
        run(&mut path, 660, 60 * 25, 0, |_| 60_000, |_| 20_000);
        assert_eq!(path.stats().queue_out, Duration::ZERO);
        assert_eq!(path.stats().round_trip_min, Duration::from_micros(80_000));
    }

    #[test]
    fn loss_is_that_of_the_last_seconds() {
        let mut path = Path::default();
        for tick in 0..600_u64 {
            path.note_fate(tick % 10 == 0, tick * TICK_US);
        }
        assert!((0.09..0.11).contains(&path.stats().loss_out));
        path.note_late();
        for tick in 600..900_u64 {
            path.note_fate(false, tick * TICK_US);
        }
        assert_eq!(path.stats().loss_out, 0.0);
        path.note_arrival(0, 4, 0);
        assert_eq!(path.stats().loss_in, 0.75);
        path.note_arrival(0, 0, 0);
        assert_eq!(path.stats().loss_in, 0.5);
        path.advance(100_000_000);
        assert_eq!(path.stats().loss_in, 0.0);
    }

    #[test]
    fn hostile_times_harm_only_the_measurement() {
        let mut path = Path::default();
        for tick in 0..1_000_u64 {
            let wild = (tick.wrapping_mul(0x9E37_79B9) & TIME_MASK) as u32;
            path.note_arrival(wild, tick % 70, tick);
            path.note_echo(u64::MAX - tick, &ack(wild), wild, tick);
            path.note_echo(0, &ack(wild), wild, u64::MAX - tick);
        }
        let stats = path.stats();
        assert!(stats.trend_in.is_finite() && stats.trend_out.is_finite());
        assert!((60_000..=1_000_000).contains(&path.timeout_us(0)));
    }
}
