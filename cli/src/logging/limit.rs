//! How many lines one place in the program may write: whatever floods a server, each kind of line costs a bounded number a second,
//! and how many were left out is told.
//!
//! The table is as large as it is, and nothing in it is locked: whoever logs on a tick's thread waits for nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arbiter_metrics::lines;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

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

/// Writes lines with another layer, as far as the limit lets them. Not a filter: of a line that one filter lets through and the next
/// does not, the registry never learns that it is done with (`tracing-subscriber` 0.3.23).
#[derive(Debug)]
pub struct Limited<L> {
    writes: L,
    limit: Arc<Limit>,
}

impl<L> Limited<L> {
    /// Writes with a layer.
    pub fn new(writes: L, limit: Arc<Limit>) -> Self {
        Self { writes, limit }
    }
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Limited<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let second = u32::try_from(self.limit.began.elapsed().as_secs()).unwrap_or(u32::MAX);
        if self.limit.takes(event.metadata(), second) {
            self.writes.on_event(event, context);
        }
    }

    // Spans are no lines: what follows is as the other layer has it.

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.writes.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.writes.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.writes.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.writes.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.writes.on_close(id, context);
    }
}
