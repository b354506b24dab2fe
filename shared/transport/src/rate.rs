//! How many bytes a second may leave on one connection: between a floor, below which a match cannot be played, and a ceiling.
//!
//! The law, with its formulas, sources and what was weighed, is in `docs/decisions/rate.md`. In short, once an interval of a
//! round trip:
//!
//! - *Free*: as long as datagrams wait less than [`TARGET_US`] in queues, the rate grows by a share that shrinks as the queue
//!   grows; quickly until the first sign of a queue, and back to where it was after an outage.
//! - *Overused*: beyond the target it falls to a little less than what was delivered, and the queue drains.
//! - *Contested*: if the queue does not drain though this end has fallen back, somebody else fills it. Then the rate rises by
//!   an amount and falls by a share on loss, as half a TCP flow would, so that neither starves the other.
//! - *Loss* by itself slows nothing up to 5 % (wireless links lose that at random), stops growth up to 10 % and lowers the rate
//!   beyond: the backstop for links that drop instead of queueing.
//! - *Silence*: while nothing is acknowledged the rate halves down to the floor.

use crate::PAYLOAD_BYTES_MAX;

/// Queueing delay that is aimed at: less than three ticks, and above the jitter of most links. LEDBAT (RFC 6817) allows 100 ms,
/// which a player would feel.
pub const TARGET_US: u64 = 40_000;

/// IPv4 and UDP headers (28), and netcode's type, sequence and authentication (20): what every payload costs besides itself.
pub const OVERHEAD_BYTES: usize = 48;

/// An interval is a round trip, but has at least a few datagrams and is at most a moment.
const INTERVAL_MIN_US: u64 = 100_000;
const INTERVAL_MAX_US: u64 = 250_000;

/// Growth a second while no queue is seen, as a share of the rate.
const GROWTH_PER_S: f64 = 0.8;
/// The same before the first queue and after an outage: doubled in a quarter of a second.
const GROWTH_FAST_PER_S: f64 = 4.0;

/// An overused link falls to this share of what it delivers (as in GCC): the queue drains within seven times its delay.
const BACK_OFF: f64 = 0.85;
/// One decision does not take more than this.
const BACK_OFF_MOST: f64 = 0.5;

/// A queue that has not been half empty for so long, through at least [`CONTESTED_BACK_OFFS`] falls, is somebody else's.
const CONTESTED_AFTER_US: u64 = 2_500_000;
const CONTESTED_BACK_OFFS: u32 = 3;
/// Bytes a round trip that a contested rate rises by each round trip: half a TCP segment.
const CONTESTED_STEP: f64 = 730.0;
/// What is left of a contested rate after loss (CUBIC's factor, RFC 9438).
const CONTESTED_BACK_OFF: f64 = 0.7;

/// Shares of loss that stop growth and that lower the rate.
const LOSS_HOLDS: f64 = 0.05;
const LOSS_LOWERS: f64 = 0.10;
/// Loss is judged when so many datagrams are resolved: one lost among fewer says nothing.
const LOSS_SAMPLE: u32 = 40;

/// Delivered and sent bytes are counted in slices of this length, over this many.
const SLICE_US: u64 = 50_000;
const SLICES: usize = 10;

/// An unused allowance is kept for so long.
const CREDIT_US: f64 = 100_000.0;

/// Between which limits a rate moves, in bytes a second with all headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateConfig {
    /// Never less: below it a match cannot be played.
    pub floor: u32,
    /// Never more.
    pub ceiling: u32,
}

impl Default for RateConfig {
    fn default() -> Self {
        // 32 kbit/s keeps inputs and the nearest players going; 2 Mbit/s is a hundred players at 60 Hz.
        Self { floor: 4_000, ceiling: 250_000 }
    }
}

/// Where new connections begin: a match of ten needs half of it.
const BEGIN: f64 = 16_000.0;

/// How a rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rises quickly: no queue was seen yet, or an outage is over.
    Fast,
    /// Rises and falls with the queue.
    Free,
    /// Shares a queue that somebody else keeps full.
    Contested,
    /// Nothing is acknowledged.
    Silent,
}

/// Bytes of the last half second.
#[derive(Debug, Clone, Default)]
struct Meter {
    slices: [u64; SLICES],
    at: u64,
}

impl Meter {
    fn add(&mut self, now_us: u64, bytes: usize) {
        self.pass(now_us);
        self.slices[self.at as usize % SLICES] += bytes as u64;
    }

    fn pass(&mut self, now_us: u64) {
        let now = now_us / SLICE_US;
        for past in 0..now.saturating_sub(self.at).min(SLICES as u64) {
            self.slices[(now - past) as usize % SLICES] = 0;
        }
        self.at = self.at.max(now);
    }

    /// Bytes a second over the whole slices.
    fn per_second(&self) -> f64 {
        let whole = self.slices.iter().sum::<u64>() - self.slices[self.at as usize % SLICES];
        whole as f64 * 1e6 / (SLICE_US * (SLICES as u64 - 1)) as f64
    }
}

/// One connection's send rate.
#[derive(Debug, Clone)]
pub struct RateControl {
    config: RateConfig,
    rate: f64,
    phase: Phase,
    /// [`Phase::Fast`] ends here at the latest.
    fast_until: f64,
    sent: Meter,
    delivered: Meter,
    /// The smallest queueing delay of this interval.
    queue_us: Option<u64>,
    interval_since_us: u64,
    /// No fall before this: the last one has not shown yet.
    settled_at_us: u64,
    /// When the queue was last seen half empty, and falls since.
    drained_at_us: u64,
    back_offs: u32,
    /// Datagrams resolved and lost since loss was last judged.
    resolved: u32,
    lost: u32,
    growth_held: bool,
    lost_in_interval: bool,
    heard_at_us: u64,
    /// Losses of what left before this are those of an outage.
    resumed_at_us: u64,
    credit: f64,
    credit_at_us: u64,
}

impl RateControl {
    /// A rate for a new connection.
    pub fn new(config: RateConfig, now_us: u64) -> Self {
        let (floor, ceiling) = (f64::from(config.floor), f64::from(config.ceiling.max(config.floor)));
        Self {
            config: RateConfig { ceiling: config.ceiling.max(config.floor), ..config },
            rate: BEGIN.clamp(floor, ceiling),
            phase: Phase::Fast,
            fast_until: f64::INFINITY,
            sent: Meter::default(),
            delivered: Meter::default(),
            queue_us: None,
            interval_since_us: now_us,
            settled_at_us: now_us,
            drained_at_us: now_us,
            back_offs: 0,
            resolved: 0,
            lost: 0,
            growth_held: false,
            lost_in_interval: false,
            heard_at_us: now_us,
            resumed_at_us: now_us,
            credit: PAYLOAD_BYTES_MAX as f64,
            credit_at_us: now_us,
        }
    }

    /// Bytes a second that may leave now, with all headers.
    pub fn rate(&self) -> u32 {
        self.rate as u32
    }

    /// How it moves.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// A payload of `bytes` left.
    pub fn note_sent(&mut self, bytes: usize, now_us: u64) {
        self.refill(now_us);
        let whole = bytes + OVERHEAD_BYTES;
        self.credit -= whole as f64;
        self.sent.add(now_us, whole);
    }

    /// A payload of `bytes` was delivered.
    pub fn note_delivered(&mut self, bytes: usize, now_us: u64) {
        self.delivered.add(now_us, bytes + OVERHEAD_BYTES);
        self.heard_at_us = now_us;
        self.resolved = self.resolved.saturating_add(1);
    }

    /// A datagram that was delivered had waited for so long in queues.
    pub fn note_queue(&mut self, queue_us: u64) {
        self.queue_us = Some(self.queue_us.map_or(queue_us, |smallest| smallest.min(queue_us)));
    }

    /// A datagram that left at `sent_us` was lost.
    pub fn note_lost(&mut self, sent_us: u64) {
        if sent_us >= self.resumed_at_us {
            self.resolved = self.resolved.saturating_add(1);
            self.lost = self.lost.saturating_add(1);
            self.lost_in_interval = true;
        }
    }

    /// Moves time on. `round_trip_us` is the smoothed one, `timeout_us` is after how long an acknowledgement is overdue, and
    /// `waiting_since_us` is when the oldest datagram left that is not acknowledged.
    pub fn update(&mut self, round_trip_us: u64, timeout_us: u64, waiting_since_us: Option<u64>, now_us: u64) {
        self.sent.pass(now_us);
        self.delivered.pass(now_us);
        let interval = round_trip_us.clamp(INTERVAL_MIN_US, INTERVAL_MAX_US);
        let passed = now_us.saturating_sub(self.interval_since_us);
        if passed < interval {
            return;
        }
        self.interval_since_us = now_us;
        let queue = self.queue_us.take();
        let lost = core::mem::take(&mut self.lost_in_interval);
        self.judge_loss();
        let silent = waiting_since_us.is_some_and(|since| {
            now_us.saturating_sub(since.max(self.heard_at_us)) > timeout_us.saturating_mul(2).max(300_000)
        });
        if silent {
            self.fall_silent();
        } else if let Some(queue) = queue {
            self.resume(now_us);
            // A caller that comes late does not make up for it in one step.
            let seconds = passed.min(2 * interval) as f64 * 1e-6;
            self.follow(queue, lost, seconds, round_trip_us, now_us);
        }
        self.rate = self.rate.clamp(f64::from(self.config.floor), f64::from(self.config.ceiling));
    }

    fn fall_silent(&mut self) {
        if self.phase != Phase::Silent {
            // Most of what was good before will be good again.
            self.fast_until = self.rate * CONTESTED_BACK_OFF;
            self.phase = Phase::Silent;
        }
        self.rate *= 0.5;
    }

    fn resume(&mut self, now_us: u64) {
        if self.phase == Phase::Silent {
            self.phase = Phase::Fast;
            (self.resumed_at_us, self.settled_at_us, self.drained_at_us) = (now_us, now_us, now_us);
            (self.resolved, self.lost, self.growth_held) = (0, 0, false);
        }
    }

    fn follow(&mut self, queue_us: u64, lost: bool, seconds: f64, round_trip_us: u64, now_us: u64) {
        if queue_us < TARGET_US / 2 {
            (self.drained_at_us, self.back_offs) = (now_us, 0);
            if self.phase == Phase::Contested {
                self.phase = Phase::Free;
            }
        }
        let undrained = now_us.saturating_sub(self.drained_at_us) >= CONTESTED_AFTER_US;
        if self.phase != Phase::Contested && undrained && self.back_offs >= CONTESTED_BACK_OFFS {
            self.phase = Phase::Contested;
        }
        if self.phase == Phase::Contested {
            return self.contest(lost, seconds, round_trip_us, now_us);
        }
        if queue_us > TARGET_US {
            return self.back_off(queue_us, round_trip_us, now_us);
        }
        if self.phase == Phase::Fast && (queue_us > TARGET_US / 2 || self.growth_held || self.rate >= self.fast_until) {
            self.phase = Phase::Free;
        }
        if !self.growth_held && self.is_used() {
            let share = if self.phase == Phase::Fast { GROWTH_FAST_PER_S } else { GROWTH_PER_S };
            let room = 1.0 - queue_us as f64 / TARGET_US as f64;
            self.rate *= 1.0 + share * seconds * room;
        }
    }

    /// What the caller does not use says nothing about the link: no growth beyond twice of what leaves.
    fn is_used(&self) -> bool {
        self.rate < 2.0 * self.sent.per_second()
    }

    fn back_off(&mut self, queue_us: u64, round_trip_us: u64, now_us: u64) {
        if now_us < self.settled_at_us {
            return;
        }
        self.phase = Phase::Free;
        let delivered = BACK_OFF * self.delivered.per_second();
        self.rate = delivered.clamp(self.rate * BACK_OFF_MOST, self.rate * BACK_OFF);
        self.back_offs += 1;
        // The fall shows after a round trip, and the queue needs time to drain at what was left free.
        let drain = (queue_us as f64 / (1.0 - BACK_OFF)) as u64;
        self.settled_at_us = now_us + round_trip_us + drain.min(500_000);
    }

    fn contest(&mut self, lost: bool, seconds: f64, round_trip_us: u64, now_us: u64) {
        if lost {
            if now_us >= self.settled_at_us {
                self.rate *= CONTESTED_BACK_OFF;
                self.settled_at_us = now_us + round_trip_us;
            }
            return;
        }
        if self.is_used() {
            let round_trip_s = round_trip_us.max(10_000) as f64 * 1e-6;
            self.rate += CONTESTED_STEP / (round_trip_s * round_trip_s) * seconds;
        }
    }

    fn judge_loss(&mut self) {
        if self.resolved < LOSS_SAMPLE {
            return;
        }
        let share = f64::from(self.lost) / f64::from(self.resolved);
        self.growth_held = share > LOSS_HOLDS;
        if share > LOSS_LOWERS && self.phase != Phase::Contested {
            self.rate *= 1.0 - 0.5 * share;
            if self.phase == Phase::Fast {
                self.phase = Phase::Free;
            }
        }
        (self.resolved, self.lost) = (0, 0);
    }

    fn refill(&mut self, now_us: u64) {
        let passed = now_us.saturating_sub(self.credit_at_us) as f64;
        self.credit_at_us = self.credit_at_us.max(now_us);
        let most = (self.rate * CREDIT_US * 1e-6).max((PAYLOAD_BYTES_MAX + OVERHEAD_BYTES) as f64);
        self.credit = (self.credit + self.rate * passed * 1e-6).min(most);
    }

    /// Bytes that may leave at this moment, with all headers; below 0 if too much has left.
    pub fn credit(&mut self, now_us: u64) -> i64 {
        self.refill(now_us);
        self.credit as i64
    }
}
