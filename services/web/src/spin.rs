//! Looking for what comes next for a while, instead of sleeping at once: to be woken takes a thread 5 to 60 us on a virtual machine, which
//! is much beside a flush of 0.1 ms. It costs a core for as long, behind each answer, so that it is off unless somebody wants it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long one thread looks at most behind an answer: beyond that it would be a core that does nothing else.
pub const SPIN_MAX: Duration = Duration::from_millis(1);

/// Of one thread that answers.
#[derive(Debug, Clone)]
pub(crate) struct Spin {
    time: Duration,
    answered: Arc<Notify>,
}

impl Spin {
    pub fn new(time: Duration) -> Self {
        Self { time: time.min(SPIN_MAX), answered: Arc::new(Notify::new()) }
    }

    /// Somebody was answered, and may ask again.
    pub fn answered(&self) {
        if !self.time.is_zero() {
            self.answered.notify_one();
        }
    }

    /// Keeps the thread's runtime from sleeping for as long as it was told to behind each answer.
    pub async fn run(self) {
        loop {
            self.answered.notified().await;
            let until = Instant::now() + self.time;
            while Instant::now() < until {
                // The runtime looks at its sockets, and does what there is to be done, before it comes back here.
                tokio::task::yield_now().await;
            }
        }
    }
}
