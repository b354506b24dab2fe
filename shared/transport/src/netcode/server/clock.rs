//! Time as the caller passes it in.

use core::time::Duration;

/// The latest time that was passed in: it never goes backwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    now: Duration,
    start: Duration,
}

impl Clock {
    pub fn new(now: Duration) -> Self {
        Self { now, start: now }
    }

    pub fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    pub fn now(self) -> Duration {
        self.now
    }

    /// Since the Unix epoch.
    pub fn seconds(self) -> u64 {
        self.now.as_secs()
    }

    /// Milliseconds since the start, for differences only: they wrap after 49 days, and no timeout is longer than one.
    pub fn ms(self) -> u32 {
        (self.now - self.start).as_millis() as u32
    }
}
