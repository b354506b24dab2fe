//! How long a client was shown nothing new: the time from one new tick to the next, across connections, as long as it is the same
//! match. Knows no clock: time is passed in.

use core::time::Duration;

/// What is shorter is no freeze: a lost datagram or two at 60 Hz.
pub const FREEZE_MIN: Duration = Duration::from_millis(50);

/// As many ticks are none either, where ticks are longer.
const TICKS_MIN: u32 = 3;

/// Freezes that are remembered: some hours of a bad link.
const FREEZES_MAX: usize = 1_024;

/// Nothing new was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// When the last tick before it came, on the clock of whoever runs the client.
    pub from: Duration,
    /// Until the next one came.
    pub lasted: Duration,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Freezes {
    last: Option<Duration>,
    tick: Duration,
    list: Vec<Freeze>,
}

impl Freezes {
    /// A tick came that is newer than any before, or the first one told anew.
    pub fn note(&mut self, now: Duration) {
        if let Some(from) = self.last.replace(now) {
            let lasted = now.saturating_sub(from);
            if lasted >= FREEZE_MIN.max(self.tick * TICKS_MIN) && self.list.len() < FREEZES_MAX {
                self.list.push(Freeze { from, lasted });
            }
        }
    }

    /// Ticks come so far apart from now on.
    pub fn pace(&mut self, tick: Duration) {
        self.tick = tick;
    }

    /// Another match: nothing is owed in between.
    pub fn pause(&mut self) {
        self.last = None;
    }

    /// All of them, oldest first.
    pub fn list(&self) -> &[Freeze] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_ticks_are_long_one_that_is_late_is_no_freeze() {
        let mut freezes = Freezes::default();
        let ms = Duration::from_millis;
        freezes.pace(ms(100));
        [0, 100, 200, 420, 900].map(ms).into_iter().for_each(|at| freezes.note(at));
        assert_eq!(freezes.list(), [Freeze { from: ms(420), lasted: ms(480) }]);
    }

    #[test]
    fn a_freeze_is_told_with_its_length_and_a_pause_is_none() {
        let mut freezes = Freezes::default();
        let ms = Duration::from_millis;
        for at in [0, 16, 33, 233, 250] {
            freezes.note(ms(at));
        }
        freezes.pause();
        freezes.note(ms(5_000));
        assert_eq!(freezes.list(), [Freeze { from: ms(33), lasted: ms(200) }]);
    }
}
