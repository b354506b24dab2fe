//! A part outside that handlers ask while somebody waits for the answer: a payment provider, whoever says who somebody is.
//!
//! Each part has places of its own (a bulkhead), so that one that is slow takes no thread from anybody else; a time after which its
//! answer is not waited for any more; and a circuit, so that while it fails nobody waits for it at all. It is not tried again here:
//! whoever asked is told when to ask again, and asks under the same key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arbiter_contracts::outward::{Circuit, Policy, State};
use tokio::sync::Semaphore;

use crate::Problem;

/// So many ask one part at once: each holds a thread, and what comes beyond is told to come again.
const PLACES: usize = 64;

/// Failures in a row behind which nobody asks for a while.
const OPEN_AFTER: u32 = 5;

/// How long a part that fails is left alone, at first and at most.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Clone)]
pub struct Outside {
    /// How it is called in problems and log lines.
    name: Arc<str>,
    policy: Policy,
    places: Arc<Semaphore>,
    circuit: Arc<Mutex<Circuit>>,
}

impl Outside {
    /// A part of this name, whose answers are waited for this long: less than a request to us may take. How long connecting may take is
    /// the caller's own matter.
    pub fn new(name: &str, call_max: Duration) -> Self {
        let (wait_min, wait_max, open_after) = (WAIT_MIN, WAIT_MAX, OPEN_AFTER);
        Self::with(name, Policy { connect_max: call_max, call_max, wait_min, wait_max, open_after }, PLACES)
    }

    fn with(name: &str, policy: Policy, places: usize) -> Self {
        let circuit = Arc::new(Mutex::new(Circuit::new(policy)));
        Self { name: name.into(), policy, places: Arc::new(Semaphore::new(places)), circuit }
    }

    /// What is let through now, for figures.
    pub fn state(&self) -> State {
        self.circuit().state()
    }

    /// Makes a call that may block, on a thread that may wait. `is_failure` says of an error whether the part itself fails; whatever else
    /// it says is an answer.
    ///
    /// # Errors
    /// 503: all places are taken, the part fails and is left alone, or it takes too long. The call may have been made in the last case.
    pub async fn ask<T, E>(
        &self,
        call: impl FnOnce() -> Result<T, E> + Send + 'static,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<Result<T, E>, Problem>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let Self { name, places, .. } = self;
        let busy = |_| Problem::unavailable(format!("{name}: too many are asking: ask again"), 1);
        let place = Arc::clone(places).try_acquire_owned().map_err(busy)?;
        let resting = |wait: Duration| {
            let seconds = wait.as_secs().saturating_add(1).min(u64::from(u32::MAX)) as u32;
            Problem::unavailable(
                format!("{name} does not answer, and is left alone for a while: ask again then"),
                seconds,
            )
        };
        self.circuit().may_call(Instant::now()).map_err(resting)?;
        let asked = tokio::task::spawn_blocking(move || {
            let answer = call();
            // Not before: a thread that waits holds its place, however long nobody waits for it any more.
            drop(place);
            answer
        });
        let late = || Problem::unavailable(format!("{name} takes too long: ask again"), 1);
        let Ok(Ok(answer)) = tokio::time::timeout(self.policy.call_max, asked).await else {
            self.failed();
            return Err(late());
        };
        if answer.as_ref().is_err_and(is_failure) {
            self.failed();
        } else {
            self.circuit().succeeded();
        }
        Ok(answer)
    }

    fn failed(&self) {
        let mut circuit = self.circuit();
        let before = circuit.opened();
        // Without randomness all come at once, which is worse, not wrong.
        circuit.failed(Instant::now(), getrandom::u32().unwrap_or(u32::MAX));
        let (opened, failures) = (circuit.opened(), circuit.failures());
        drop(circuit);
        if opened != before {
            tracing::error!(part = &*self.name, failures, "a part outside fails, and is tried from time to time only");
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Numbers stay numbers, whatever panicked while it held them.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        connect_max: Duration::from_secs(60),
        call_max: Duration::from_secs(60),
        wait_min: Duration::ZERO,
        wait_max: Duration::from_secs(3_600),
        open_after: 3,
    };

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn one_that_fails_is_left_alone_and_one_that_says_no_is_not() {
        let part = Outside::with("the provider", POLICY, 8);
        block_on(async {
            for _ in 0..10 {
                assert_eq!(part.ask(|| Err::<(), _>("no such payment"), |_| false).await, Ok(Err("no such payment")));
            }
            assert_eq!(part.state(), State::Closed);
            for _ in 0..3 {
                assert_eq!(part.ask(|| Err::<(), _>("down"), |_| true).await, Ok(Err("down")));
            }
            let problem = part.ask(|| -> Result<(), &str> { panic!("it is left alone") }, |_| true).await;
            let problem = problem.expect_err("refused at once");
            assert_eq!((part.state(), problem.status), (State::Open, 503));
            assert!(problem.retry_after >= Some(1_800) && problem.detail.contains("the provider"), "{problem:?}");
        });
    }

    #[test]
    fn one_that_never_answers_takes_its_own_places_and_nobody_elses() {
        let policy = Policy { call_max: Duration::from_millis(1), open_after: u32::MAX, ..POLICY };
        let (slow, quick) = (Outside::with("slow", policy, 2), Outside::with("quick", POLICY, 2));
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        block_on(async {
            for _ in 0..2 {
                let held = Arc::clone(&held);
                // Ends when the test does.
                let wait = move || held.lock().map(|held| held.recv().is_err()).map_err(|_| ());
                assert!(slow.ask(wait, |()| true).await.expect_err("late").detail.contains("takes too long"));
            }
            let problem = slow.ask(|| Ok::<_, ()>(()), |()| true).await.expect_err("no place");
            assert!(problem.detail.contains("too many"), "{problem:?}");
            assert_eq!(quick.ask(|| Ok::<_, ()>(7), |()| true).await, Ok(Ok(7)));
            drop(hold);
        });
    }

    #[test]
    fn one_that_answers_again_is_asked_again() {
        let part = Outside::with("the provider", Policy { wait_max: Duration::ZERO, ..POLICY }, 8);
        block_on(async {
            for _ in 0..5 {
                assert_eq!(part.ask(|| Err::<(), _>("down"), |_| true).await, Ok(Err("down")));
            }
            assert_eq!(part.ask(|| Ok::<_, &str>(1), |_| true).await, Ok(Ok(1)));
            assert_eq!(part.state(), State::Closed);
        });
    }
}
