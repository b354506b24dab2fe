//! SIGTERM and Ctrl-C as something that can be asked and waited for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

/// Whether the process was told to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    told: Arc<(Mutex<u32>, Condvar)>,
}

impl Stop {
    /// Listens to SIGTERM, SIGHUP and Ctrl-C from now on. Only the first call in a process can.
    pub fn listen() -> Result<Self> {
        let stop = Self::default();
        let heard = stop.clone();
        ctrlc::set_handler(move || heard.tell()).context("cannot listen to SIGTERM and Ctrl-C")?;
        Ok(stop)
    }

    /// Tells it to stop.
    pub fn tell(&self) {
        *self.told.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.told.1.notify_all();
    }

    /// Whether it was told to.
    pub fn asked(&self) -> bool {
        self.times() > 0
    }

    /// How often it was told to: who says it twice is in a hurry.
    pub fn times(&self) -> u32 {
        *self.told.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is told to stop once more, or until `limit` has passed.
    pub fn wait(&self, limit: Duration) {
        let told = self.told.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *told;
        let result = self.told.1.wait_timeout_while(told, limit, |told| *told == before);
        drop(result);
    }
}
