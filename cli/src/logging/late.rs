//! What a span says is written down when the first line needs it, not when the span begins: a tick has eight spans, and hardly ever a
//! line. Until then numbers stand in a table beside the spans, which is as large as it is, and in which nothing is locked and nothing
//! allocated. A span that says more than some numbers is written down at once, as any layer would.

use std::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayVec;
use tracing::field::{Field, Value, ValueSet, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Fields of a span that are kept: a tick's has two.
const FIELDS_MAX: usize = 4;

/// Spans whose fields are kept at once: each room that is in a tick has one. Those beyond are written down at once.
const SPANS_MAX: usize = 512;

/// Neighbours that are looked at for a place, and for a span.
const PROBES: usize = 8;

/// The number of no span, and of one that is being put into its place: the registry counts from 1, in fewer bits.
const FREE: u64 = 0;
const TAKEN: u64 = u64::MAX;

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Unsigned(u64),
    Signed(i64),
    Bool(bool),
    Float(f64),
}

impl Number {
    fn to_bits(self) -> (u8, u64) {
        match self {
            Self::Unsigned(value) => (0, value),
            Self::Signed(value) => (1, value.cast_unsigned()),
            Self::Bool(value) => (2, value.into()),
            Self::Float(value) => (3, value.to_bits()),
        }
    }

    fn from_bits(kind: u8, bits: u64) -> Self {
        match kind {
            0 => Self::Unsigned(bits),
            1 => Self::Signed(bits.cast_signed()),
            2 => Self::Bool(bits != 0),
            _ => Self::Float(f64::from_bits(bits)),
        }
    }

    fn value(&self) -> &dyn Value {
        match self {
            Self::Unsigned(value) => value,
            Self::Signed(value) => value,
            Self::Bool(value) => value,
            Self::Float(value) => value,
        }
    }
}

/// The fields of a span that are numbers, each with its place among all fields, and whether that is all.
#[derive(Debug, Default)]
struct Numbers {
    found: ArrayVec<(u8, Number), FIELDS_MAX>,
    has_more: bool,
}

impl Numbers {
    fn add(&mut self, field: &Field, number: Number) {
        let at = u8::try_from(field.index()).ok().filter(|at| *at < u8::MAX);
        self.has_more |= at.is_none_or(|at| self.found.try_push((at, number)).is_err());
    }
}

impl Visit for Numbers {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Number::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Number::Signed(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Number::Bool(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Number::Float(value));
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {
        self.has_more = true;
    }
}

/// The fields of one span.
#[derive(Debug, Default)]
struct Place {
    span: AtomicU64,
    /// Of each field a byte with one more than its place and a byte with its kind.
    what: AtomicU64,
    values: [AtomicU64; FIELDS_MAX],
}

/// The fields of all spans that have any and are not written down.
#[derive(Debug)]
struct Places(Box<[Place]>);

impl Places {
    /// Where a span may stand. Numbers of spans that are there at once differ in their lowest bits, unless threads are many.
    fn probed(&self, span: u64) -> impl Iterator<Item = &Place> {
        let first = (span ^ (span >> 32)) as usize;
        (0..PROBES).map(move |probe| &self.0[first.wrapping_add(probe) % SPANS_MAX])
    }

    /// Keeps the fields of a span that begins; `false` if they cannot be kept.
    fn keep(&self, span: u64, attributes: &Attributes<'_>) -> bool {
        let mut numbers = Numbers::default();
        attributes.record(&mut numbers);
        if numbers.has_more || numbers.found.is_empty() {
            return !numbers.has_more;
        }
        let take =
            |place: &&Place| place.span.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let Some(place) = self.probed(span).find(take) else { return false };
        let mut what = 0;
        for (number, (at, value)) in numbers.found.into_iter().enumerate() {
            let (kind, bits) = value.to_bits();
            what |= u64::from(u16::from_le_bytes([kind, at + 1])) << (16 * number);
            place.values[number].store(bits, Ordering::Relaxed);
        }
        place.what.store(what, Ordering::Relaxed);
        // Whoever finds the span finds its fields.
        place.span.store(span, Ordering::Release);
        true
    }

    /// The fields that are kept of a span, which nobody closes meanwhile.
    fn of(&self, span: u64) -> ArrayVec<(u8, Number), FIELDS_MAX> {
        let Some(place) = self.probed(span).find(|place| place.span.load(Ordering::Acquire) == span) else {
            return ArrayVec::new();
        };
        let what = place.what.load(Ordering::Relaxed).to_le_bytes();
        let fields = what.chunks_exact(2).zip(&place.values).filter(|(what, _)| what[1] > 0);
        fields.map(|(what, bits)| (what[1] - 1, Number::from_bits(what[0], bits.load(Ordering::Relaxed)))).collect()
    }

    fn forget(&self, span: u64) {
        let place = self.probed(span).find(|place| place.span.load(Ordering::Relaxed) == span);
        if let Some(place) = place {
            place.span.store(FREE, Ordering::Release);
        }
    }
}

/// Writes lines with another layer, which hears of a span when its first line comes.
#[derive(Debug)]
pub struct Late<L> {
    writes: L,
    places: Places,
}

impl<L> Late<L> {
    /// Writes with a layer.
    pub fn new(writes: L) -> Self {
        Self { writes, places: Places((0..SPANS_MAX).map(|_| Place::default()).collect()) }
    }

    /// Tells the other layer of a span that it does not know yet; one that it knows stays as it is.
    fn write_down<S>(&self, span: &SpanRef<'_, S>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        let (id, metadata) = (span.id(), span.metadata());
        let kept = self.places.of(id.into_u64());
        let fields = kept.iter().filter_map(|(at, _)| metadata.fields().iter().nth(usize::from(*at)));
        let fields: ArrayVec<Field, FIELDS_MAX> = fields.collect();
        let tell =
            |values: &ValueSet<'_>| self.writes.on_new_span(&Attributes::new(metadata, values), &id, context.clone());
        let Some(first) = fields.first() else { return tell(&metadata.fields().value_set(&[])) };
        let mut values = [(first, None); FIELDS_MAX];
        for (value, (field, (_, number))) in values.iter_mut().zip(fields.iter().zip(&kept)) {
            *value = (field, Some(number.value()));
        }
        tell(&metadata.fields().value_set(&values));
    }
}

impl<S, L> Layer<S> for Late<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.places.keep(id.into_u64(), attributes) {
            self.writes.on_new_span(attributes, id, context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        // What is said later stands behind what was said first.
        if let Some(span) = context.span(id) {
            self.write_down(&span, &context);
        }
        self.writes.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // JSON lists the spans that one is in, even if the line says that it belongs to others.
        let others = if event.is_contextual() { None } else { context.event_span(event) };
        for span in context.lookup_current().into_iter().chain(others).flat_map(|span| span.scope()) {
            self.write_down(&span, &context);
        }
        self.writes.on_event(event, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.places.forget(id.into_u64());
        self.writes.on_close(id, context);
    }

    // The other layer writes no line when a span is entered or left.
}
