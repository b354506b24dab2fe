//! When a client looks for a new way to its server, and when it gives up. Knows no socket and no token: whoever owns those
//! asks it, opens a second connection beside the silent one, and goes over to it when Welcome comes on it.
//!
//! The rules are those of "Coming back" in `docs/protocol.md`.

use core::time::Duration;

/// A server owes ten keep-alives in this time.
pub const SILENCE: Duration = Duration::from_secs(1);

/// So long a server keeps the place of whoever was lost.
pub const WINDOW: Duration = Duration::from_secs(30);

/// Between the beginnings of two attempts: a fresh token costs its backend something.
pub const ATTEMPT_EVERY: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The server speaks: an attempt that has not been let in yet is of no use.
    Stay,
    /// It is silent, and an attempt is under way, or was a moment ago.
    Wait,
    /// Get a fresh token for the same player, and connect with it from a new socket.
    Connect,
    /// The place is gone.
    GiveUp,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Comeback {
    tried: Option<Duration>,
}

impl Comeback {
    /// `silence` is for how long nothing was heard of the server on the connection that one plays on.
    pub fn step(&mut self, now: Duration, silence: Duration, is_under_way: bool) -> Step {
        if silence < SILENCE {
            self.tried = None;
            return Step::Stay;
        }
        if silence >= WINDOW {
            return Step::GiveUp;
        }
        if is_under_way || self.tried.is_some_and(|tried| now.saturating_sub(tried) < ATTEMPT_EVERY) {
            return Step::Wait;
        }
        self.tried = Some(now);
        Step::Connect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tries_after_a_second_of_silence_again_after_failures_and_not_for_ever() {
        let mut comeback = Comeback::default();
        let mut step =
            |ms: u64, is_under_way| comeback.step(Duration::from_millis(ms), Duration::from_millis(ms), is_under_way);
        assert_eq!(step(900, false), Step::Stay);
        assert_eq!(step(1_000, false), Step::Connect);
        assert_eq!(step(1_100, true), Step::Wait);
        assert_eq!(step(1_200, false), Step::Wait, "an attempt that failed at once");
        assert_eq!(step(3_000, false), Step::Connect);
        assert_eq!(step(20_000, true), Step::Wait);
        assert_eq!(step(30_000, true), Step::GiveUp);
    }

    #[test]
    fn a_server_that_speaks_again_needs_no_other_way() {
        let mut comeback = Comeback::default();
        let (now, long) = (Duration::from_secs(100), Duration::from_secs(5));
        assert_eq!(comeback.step(now, long, false), Step::Connect);
        assert_eq!(comeback.step(now, Duration::ZERO, true), Step::Stay);
        assert_eq!(comeback.step(now, long, false), Step::Connect, "another silence is another matter");
    }
}
