//! What a process of services tells of how it does: what each service brings, written together, since a family of figures that two
//! services share stands in the text once.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arbiter_metrics::{Lag, LogFigures, Writer};

use crate::requests::Requests;
use crate::server::Ready;

/// How much waits somewhere.
pub type Depth = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Writes figures that no other service has.
pub type Own = Arc<dyn Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync>;

/// What one service tells. Names are a label's values: few and known.
#[derive(Clone, Default)]
pub struct Figures {
    /// Logs that it writes, by name.
    pub logs: Vec<(&'static str, Arc<LogFigures>)>,
    /// What follows a log, by name.
    pub views: Vec<(&'static str, Arc<Lag>)>,
    /// Its queues, by name.
    pub queues: Vec<(&'static str, Depth)>,
    /// What only this service has.
    pub own: Vec<Own>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").field("logs", &self.logs).field("views", &self.views).finish_non_exhaustive()
    }
}

/// What is told of all services of an address.
pub(crate) struct Told {
    pub ready: Vec<(&'static str, Ready)>,
    pub figures: Vec<Figures>,
    pub requests: Arc<Requests>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("figures", &self.figures).finish_non_exhaustive()
    }
}

impl Told {
    /// Writes all of it.
    pub fn write(&self, to: &mut Writer<'_>) -> fmt::Result {
        self.requests.write(to)?;
        let ready = self.ready.iter().map(|(name, ready)| (*name, u64::from(ready().is_ok())));
        to.gauges("service_ready", "1 while a service can do its work", "service", ready)?;
        let logs = self.figures.iter().flat_map(|of| &of.logs).map(|(name, log)| (*name, &**log));
        arbiter_metrics::logs(to, logs)?;
        let views = self.figures.iter().flat_map(|of| &of.views).map(|(name, lag)| (*name, &**lag));
        arbiter_metrics::lags(to, Instant::now(), views)?;
        let queues = self.figures.iter().flat_map(|of| &of.queues).map(|(name, depth)| (*name, depth()));
        to.gauges("queue_depth", "What waits in a queue", "queue", queues)?;
        self.figures.iter().flat_map(|of| &of.own).try_for_each(|own| own(to))?;
        arbiter_metrics::lines::lines(to)
    }
}
