//! Time as it is handed in, so that tests need not wait for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Says how long ago 1970 began.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clock of this machine. One that stands before 1970 lets nobody in: no token would be of the past.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
