//! Calls to what is outside of the process: how long one may take, when it is tried again, and when the other side is left alone.
//! One state machine for all of them, [`Circuit`]; no socket, no thread, no clock, no randomness: time and luck are passed in.
//!
//! A call that fails is tried again behind a wait that doubles up to a limit, of which chance takes any part (full jitter, Brooker,
//! *Exponential Backoff And Jitter*, AWS 2015): whoever failed together does not come back together. After some failures in a row the
//! circuit opens (Nygard, *Release It!*): nothing is called but one trial from time to time, so that a part that is ill is not kept ill,
//! and nobody waits for it in vain. Who calls what, and what happens meanwhile, stands in docs/decisions/outward.md.

use core::time::Duration;
use std::time::Instant;

/// How one outside part is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Until a connection stands.
    pub connect_max: Duration,
    /// Until a call is over, connecting included, whatever the other side does.
    pub call_max: Duration,
    /// The longest wait behind a first failure; it doubles with each further one.
    pub wait_min: Duration,
    /// The longest wait of all.
    pub wait_max: Duration,
    /// Failures in a row that open the circuit, at least 1.
    pub open_after: u32,
}

/// What the circuit lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Everything.
    #[default]
    Closed,
    /// One trial, which is under way.
    HalfOpen,
    /// Nothing for now.
    Open,
}

impl State {
    /// As figures have it: 0 closed, 1 half-open, 2 open.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// The circuit to one outside part. Whoever makes one call at a time waits as long as [`Self::failed`] says; whoever makes several asks
/// [`Self::may_call`] before each.
#[derive(Debug, Clone)]
pub struct Circuit {
    policy: Policy,
    /// Failures since a call went well.
    failures: u32,
    /// How often it opened.
    opened: u64,
    state: State,
    /// Open: when a trial may be made. Half-open: until when the trial is waited for.
    until: Option<Instant>,
}

impl Circuit {
    /// A closed one.
    pub fn new(policy: Policy) -> Self {
        Self { policy, failures: 0, opened: 0, state: State::Closed, until: None }
    }

    /// What it lets through.
    pub fn state(&self) -> State {
        self.state
    }

    /// Failures since a call went well.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How often it opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Whether a call may be made now; how long to wait, otherwise. Whoever may must say how it went: an open circuit lets nobody else
    /// through before, or before the trial must be over.
    pub fn may_call(&mut self, now: Instant) -> Result<(), Duration> {
        if self.state == State::Closed {
            return Ok(());
        }
        if let Some(left) = self.until.map(|until| until.saturating_duration_since(now))
            && !left.is_zero()
        {
            return Err(left);
        }
        self.state = State::HalfOpen;
        self.until = Some(now + self.policy.call_max);
        Ok(())
    }

    /// A call went well.
    pub fn succeeded(&mut self) {
        (self.state, self.failures, self.until) = (State::Closed, 0, None);
    }

    /// A call did not; how long to wait before the next. `draw` is any number, each as likely as any other.
    pub fn failed(&mut self, now: Instant, draw: u32) -> Duration {
        let before = self.failures;
        self.failures = before.saturating_add(1);
        if self.failures < self.policy.open_after {
            return jittered(longest(&self.policy, before), draw);
        }
        // Not less than half: a trial that may come at once protects nobody.
        let half = self.policy.wait_max / 2;
        let wait = half + jittered(half, draw);
        self.opened += u64::from(self.state == State::Closed);
        (self.state, self.until) = (State::Open, Some(now + wait));
        wait
    }
}

/// Longest wait behind so many failures and one more.
fn longest(policy: &Policy, failures: u32) -> Duration {
    policy.wait_min.saturating_mul(1 << failures.min(16)).min(policy.wait_max)
}

/// Any part of a time.
fn jittered(longest: Duration, draw: u32) -> Duration {
    longest.mul_f64(f64::from(draw) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy {
        connect_max: Duration::from_secs(1),
        call_max: Duration::from_secs(5),
        wait_min: Duration::from_millis(100),
        wait_max: Duration::from_secs(10),
        open_after: 5,
    };

    /// One that has just failed so often.
    fn failed(times: u32, now: Instant) -> Circuit {
        let mut circuit = Circuit::new(POLICY);
        for _ in 0..times {
            circuit.failed(now, u32::MAX);
        }
        circuit
    }

    #[test]
    fn waits_double_up_to_their_limit_and_chance_takes_any_part_of_them() {
        let now = Instant::now();
        for (failures, longest_ms) in [(0, 100), (1, 200), (2, 400), (3, 800)] {
            let wait = |draw| failed(failures, now).failed(now, draw);
            assert_eq!((wait(0), wait(u32::MAX)), (Duration::ZERO, Duration::from_millis(longest_ms)));
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let now = Instant::now();
        let mut circuit = failed(4, now);
        assert_eq!((circuit.state(), circuit.may_call(now)), (State::Closed, Ok(())));
        circuit.succeeded();
        let mut circuit = failed(5, now);
        assert_eq!((circuit.state(), circuit.opened()), (State::Open, 1));
        assert_eq!(circuit.may_call(now), Err(POLICY.wait_max));
    }

    #[test]
    fn one_trial_goes_through_and_all_others_wait_for_what_becomes_of_it() {
        let now = Instant::now();
        let mut circuit = failed(5, now);
        let later = now + POLICY.wait_max;
        assert_eq!((circuit.may_call(later), circuit.state()), (Ok(()), State::HalfOpen));
        assert_eq!(circuit.may_call(later), Err(POLICY.call_max));
        circuit.failed(later, 0);
        assert_eq!((circuit.state(), circuit.opened()), (State::Open, 1), "it was not closed in between");
        assert_eq!(circuit.may_call(later), Err(POLICY.wait_max / 2));
        assert_eq!(circuit.may_call(later + POLICY.wait_max), Ok(()));
        circuit.succeeded();
        assert_eq!((circuit.state(), circuit.failures(), circuit.may_call(later)), (State::Closed, 0, Ok(())));
    }

    #[test]
    fn a_trial_of_which_nothing_is_heard_does_not_block_it_for_ever() {
        let now = Instant::now();
        let mut circuit = failed(5, now);
        let later = now + POLICY.wait_max;
        assert_eq!(circuit.may_call(later), Ok(()));
        assert_eq!(circuit.may_call(later + POLICY.call_max), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_happens_no_wait_is_longer_than_the_longest(
            steps in prop::collection::vec((any::<bool>(), any::<u32>(), 0_u64..20_000), 1..200),
        ) {
            let (mut circuit, mut now) = (Circuit::new(POLICY), Instant::now());
            for (is_well, draw, ms) in steps {
                now += Duration::from_millis(ms);
                match circuit.may_call(now) {
                    Ok(()) if is_well => circuit.succeeded(),
                    Ok(()) => prop_assert!(circuit.failed(now, draw) <= POLICY.wait_max),
                    Err(wait) => prop_assert!(wait <= POLICY.wait_max),
                }
                prop_assert_eq!(circuit.state() == State::Open, circuit.failures() >= POLICY.open_after);
            }
        }
    }
}
