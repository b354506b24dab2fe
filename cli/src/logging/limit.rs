//! How many lines one place in the program may write: whatever floods a server, each kind of line costs a bounded number a second,
//! and how many were left out is told.
//!
//! The table is as large as it is, and nothing in it is locked: whoever logs on a tick's thread waits for nobody.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arbiter_metrics::lines;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

/// Lines that one place may write in a second: enough to see what goes on, few enough for any disk.
pub const LINES_PER_SECOND: u32 = 10;

/// Places that are told apart, several times as many as there are; those beyond share the last ones.
const PLACES: usize = 2_048;

/// Neighbours that are looked at before places share.
const PROBES: usize = 32;

/// One place in the program.
#[derive(Debug, Default)]
struct Place {
    of: OnceLock<&'static Metadata<'static>>,
    /// The second, and how many lines were written in it: 32 bits each.
    window: AtomicU64,
    left_out: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub struct Limit {
    began: Instant,
    places: Box<[Place]>,
}

impl Default for Limit {
    fn default() -> Self {
        Self { began: Instant::now(), places: (0..PLACES).map(|_| Place::default()).collect() }
    }
}

impl Limit {
    /// Whether a place may write one more line in this second.
    fn takes(&self, metadata: &'static Metadata<'static>, second: u32) -> bool {
        let place = self.place(metadata);
        let second = u64::from(second) << 32;
        let counted = place.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            let lines = if window & !u64::from(u32::MAX) == second { window & u64::from(u32::MAX) } else { 0 };
            (lines < u64::from(LINES_PER_SECOND)).then_some(second | (lines + 1))
        });
        if counted.is_err() {
            place.left_out.fetch_add(1, Ordering::Relaxed);
            lines::LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        counted.is_ok()
    }

    fn place(&self, metadata: &'static Metadata<'static>) -> &Place {
        // Metadata are aligned: the lowest bits say nothing.
        let first = std::ptr::from_ref(metadata).addr() >> 4;
        let probed = (0..PROBES).map(|probe| &self.places[(first + probe) % PLACES]);
        let mut last = &self.places[first % PLACES];
        for place in probed {
            last = place;
            if std::ptr::eq(*place.of.get_or_init(|| metadata), metadata) {
                return place;
            }
        }
        last
    }

    /// Says of each place how many lines were left out since it was last asked, and forgets them.
    pub fn left_out(&self, mut tell: impl FnMut(&'static Metadata<'static>, u64)) {
        for place in &self.places {
            let count = place.left_out.swap(0, Ordering::Relaxed);
            if let Some(metadata) = place.of.get().filter(|_| count > 0) {
                tell(metadata, count);
            }
        }
    }
}

/// The limit as a filter of lines; spans are no lines.
#[derive(Debug)]
pub struct Limited(pub std::sync::Arc<Limit>);

impl<S> Filter<S> for Limited {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let second = self.0.began.elapsed().as_secs();
        self.0.takes(event.metadata(), u32::try_from(second).unwrap_or(u32::MAX))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}
