//! Figures of a process by the conventions of Prometheus: base units, `_total` behind what only grows, and labels whose values are
//! few and known. Servers and services write theirs with this, so that the same thing has the same name in both.
//!
//! Nothing here opens a socket, spawns a thread or reads a clock: whoever measures brings the time. Next: [`Writer`] for how figures
//! are written, [`histogram`] for durations, [`LogFigures`] and [`Lag`] for what has a log or follows one, [`lines`] for what
//! became of log lines.

pub mod histogram;
mod lag;
pub mod lines;
mod log;
mod outcomes;
mod writer;

pub use histogram::{Histogram, SharedHistogram};
pub use lag::{Lag, lags};
pub use log::{LogFigures, logs};
pub use outcomes::Outcomes;
pub use writer::{CONTENT_TYPE, Label, Writer, text};
