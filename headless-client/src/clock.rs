//! What tick it is on the server, as far as one can tell from here, and for which tick the next input must be made so that
//! it arrives just in time. Knows no clock: time is passed in.

use core::time::Duration;

/// The server is asked to have an input this many ticks before it needs it: one tick of jitter and one of scheduling.
pub const LEAD_TICKS: f64 = 2.0;
/// Jitter is covered up to this many deviations: 2.5 cover 99 percent of an ordinary distribution.
const JITTER_DEVIATIONS: f64 = 2.5;
/// A lead larger than this many ticks helps nobody: the server throws away what lies too far ahead.
const LEAD_TICKS_MAX: f64 = 24.0;
/// A share of the error that each snapshot corrects. Small, since single arrivals jitter.
const GAIN: f64 = 0.05;
/// An error of more ticks than this is not jitter but a pause or a jump: start anew.
const JUMP_TICKS: f64 = 12.0;
/// Snapshots before the estimate counts.
const SAMPLES_MIN: u32 = 4;

/// An estimate of the server's tick.
#[derive(Debug, Clone)]
pub struct ServerClock {
    tick_s: f64,
    /// Tick that arrives at local time 0, so that `offset + now / tick_s` is the tick that arrives now.
    offset: f64,
    deviation: f64,
    samples: u32,
    round_trip: Duration,
    extra_lead: f64,
    last_input: u32,
}

impl ServerClock {
    /// A clock for a server of this many ticks a second (at least 1).
    pub fn new(tick_rate: u16) -> Self {
        Self {
            tick_s: 1.0 / f64::from(tick_rate.max(1)),
            offset: 0.0,
            deviation: 0.5,
            samples: 0,
            round_trip: Duration::ZERO,
            extra_lead: 0.0,
            last_input: 0,
        }
    }

    /// Seconds of a tick.
    pub fn tick_s(&self) -> f64 {
        self.tick_s
    }

    /// A snapshot of `tick` arrived at local time `now`.
    pub fn snapshot_arrived(&mut self, tick: u32, now: Duration) {
        let offset = f64::from(tick) - now.as_secs_f64() / self.tick_s;
        let error = offset - self.offset;
        if self.samples == 0 || error.abs() > JUMP_TICKS {
            self.offset = offset;
            self.deviation = 0.5;
            self.samples = 1;
            self.last_input = 0;
            return;
        }
        self.samples = self.samples.saturating_add(1);
        // Arrivals early on settle faster: a mean first, then a slow filter.
        let gain = GAIN.max(1.0 / f64::from(self.samples));
        self.offset += error * gain;
        self.deviation += (error.abs() - self.deviation) * GAIN;
    }

    /// What the transport measured.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// The server says how many ticks before their use inputs arrive; negative is too late.
    pub fn inputs_arrived_early(&mut self, ticks: i32) {
        // Too late hurts at once, too early only costs latency: rise fast, fall slowly.
        let wanted = LEAD_TICKS - f64::from(ticks.clamp(-64, 64));
        self.extra_lead += if wanted > 0.0 { wanted.min(4.0) * 0.1 } else { wanted.max(-4.0) * 0.01 };
        self.extra_lead = self.extra_lead.clamp(-LEAD_TICKS, LEAD_TICKS_MAX);
    }

    /// Whether enough was heard to make inputs.
    pub fn ready(&self) -> bool {
        self.samples >= SAMPLES_MIN
    }

    /// The tick whose snapshot arrives now, as a fraction.
    pub fn arriving(&self, now: Duration) -> f64 {
        self.offset + now.as_secs_f64() / self.tick_s
    }

    /// How many ticks snapshots stray from their time.
    pub fn jitter_ticks(&self) -> f64 {
        self.deviation * JITTER_DEVIATIONS
    }

    /// The tick that an input sent now must be for.
    pub fn input_tick(&self, now: Duration) -> u32 {
        let round_trip = self.round_trip.as_secs_f64() / self.tick_s;
        let lead = (round_trip + LEAD_TICKS + self.jitter_ticks() + self.extra_lead).clamp(1.0, LEAD_TICKS_MAX);
        (self.arriving(now) + lead).max(0.0) as u32
    }

    /// The next tick to make an input for, if one is due: every tick once, in order. After a gap of more than a few ticks
    /// it goes on from the present, since inputs for the past are thrown away.
    pub fn next_input(&mut self, now: Duration) -> Option<u32> {
        if !self.ready() {
            return None;
        }
        let due = self.input_tick(now);
        if due <= self.last_input {
            return None;
        }
        let next = if due - self.last_input > INPUTS_BEHIND_MAX { due } else { self.last_input + 1 };
        self.last_input = next;
        Some(next)
    }
}

/// Inputs that are made in one go after a hiccup; more would only repeat the same one.
const INPUTS_BEHIND_MAX: u32 = 4;
