//! Which moment of the others is shown. They are shown so far behind what arrives that almost every snapshot is there in time:
//! the delay follows what was measured, and the clock runs a little faster or slower to get there, so that nobody jumps.

use core::time::Duration;

/// Share of ticks that are to be there when they are shown. The rest is extrapolated: to wait for the last of a burst of
/// losses would show everyone later all the time.
const IN_TIME: f64 = 0.98;
/// Ticks that the delay learns by each tick: a burst of losses moves it by a third of a tick, and half a minute forgets it.
const LEARN: f64 = 0.1;
/// One tick is interpolated towards, and so much of another is for what the mean of arrivals does not tell.
const BASE_TICKS: f64 = 1.25;
/// The world is never shown further back than this many ticks behind what arrives, however bad the link.
const DELAY_TICKS_MAX: f64 = 12.0;
/// The clock runs faster or slower by at most this share: nobody sees it.
const PACE: f64 = 0.08;
/// And by this share of a tick a tick that it is off.
const GAIN: f64 = 0.05;
/// Seconds from which it is no use to hurry.
const JUMP_S: f64 = 0.25;
/// Seconds that others are moved on along their velocity when nothing new has come; then they stand.
pub const EXTRAPOLATED_MAX_S: f64 = 0.1;

/// See the module.
#[derive(Debug, Clone)]
pub struct ViewClock {
    tick_s: f64,
    late: f64,
    shown: f64,
    at: Option<Duration>,
    frozen: bool,
    freezes: u64,
}

impl ViewClock {
    /// For a server of ticks of this many seconds.
    pub fn new(tick_s: f64) -> Self {
        Self { tick_s, late: 0.5, shown: 0.0, at: None, frozen: false, freezes: 0 }
    }

    /// Ticks behind `before` up to `tick` became known when the clock expected `arriving`.
    pub fn snapshot_arrived(&mut self, before: u32, tick: u32, arriving: f64) {
        for known in (before.max(tick.saturating_sub(DELAY_TICKS_MAX as u32)) + 1)..=tick {
            let late = arriving - f64::from(known);
            // Follows the quantile that it is to be: up and down in such shares that both balance there.
            self.late += if late > self.late { LEARN * IN_TIME * 3.0 } else { -LEARN * (1.0 - IN_TIME) * 3.0 };
        }
        self.late = self.late.clamp(0.0, DELAY_TICKS_MAX - BASE_TICKS);
    }

    /// Ticks that the world is shown behind what arrives.
    pub fn delay(&self) -> f64 {
        self.late + BASE_TICKS
    }

    /// The moment, in ticks, that is shown at local time `now`, when `arriving` is expected and `newest` is known. Never goes
    /// back.
    pub fn advance(&mut self, now: Duration, arriving: f64, newest: u32) -> f64 {
        let wanted = (arriving - self.delay()).max(0.0);
        let passed = self.at.map_or(0.0, |at| now.saturating_sub(at).as_secs_f64() / self.tick_s);
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
        let next = self.shown + passed;
        let off = wanted - next;
        if self.shown == 0.0 || off.abs() * self.tick_s > JUMP_S {
            self.shown = self.shown.max(wanted);
        } else {
            self.shown = next + (off * GAIN).clamp(-PACE, PACE) * passed;
        }
        let frozen = (self.shown - f64::from(newest)) * self.tick_s > EXTRAPOLATED_MAX_S;
        self.freezes += u64::from(frozen && !self.frozen);
        self.frozen = frozen;
        self.shown
    }

    /// How often there was nothing left to show: from the last word on until the next.
    pub fn freezes(&self) -> u64 {
        self.freezes
    }
}
