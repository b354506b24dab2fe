//! Figures as OpenMetrics text. A family is written once, with all of its labels: twice would be no OpenMetrics any more.

use core::fmt;
use std::borrow::Cow;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::histogram::{BOUNDS_US, Histogram};

/// What the text is, for HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label and its value.
pub type Label = [(&'static str, Cow<'static, str>); 1];

/// All that is written, as text. Names begin with `arbiter_`.
pub fn text(write: impl Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync + 'static) -> String {
    let mut registry = Registry::with_prefix("arbiter");
    registry.register_collector(Box::new(Figures(write)));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

struct Figures<F>(F);

impl<F> fmt::Debug for Figures<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl<F: Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Figures<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Writer(encoder))
    }
}

/// What is written one by one.
pub struct Writer<'a>(DescriptorEncoder<'a>);

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// As a gauge has it.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Values of one label as sets of labels.
fn labelled<V>(
    label: &'static str,
    values: impl Iterator<Item = (&'static str, V)>,
) -> impl Iterator<Item = (Label, V)> {
    values.map(move |(value, figure)| ([(label, Cow::Borrowed(value))], figure))
}

impl Writer<'_> {
    fn with(
        &mut self,
        (name, help, unit): (&str, &str, Option<&Unit>),
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(self.0.encode_descriptor(name, help, unit, kind)?)
    }

    /// What goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.with((name, help, None), MetricType::Gauge, |mut to| to.encode_gauge(&signed(value)))
    }

    /// What only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.with((name, help, None), MetricType::Counter, |mut to| {
            to.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// Time that only grows, given in microseconds.
    pub fn seconds(&mut self, name: &str, help: &str, us: u64) -> fmt::Result {
        let seconds = us as f64 / 1e6;
        self.with((name, help, Some(&Unit::Seconds)), MetricType::Counter, |mut to| {
            to.encode_counter::<NoLabelSet, _, u64>(&seconds, None)
        })
    }

    /// One figure for each set of labels.
    fn family<L: EncodeLabelSet, V>(
        &mut self,
        about: (&str, &str, Option<&Unit>),
        kind: MetricType,
        values: impl Iterator<Item = (L, V)>,
        encode: impl Fn(MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        self.with(about, kind, |mut to| {
            for (labels, value) in values {
                encode(to.encode_family(&labels)?, value)?;
            }
            Ok(())
        })
    }

    /// A counter with labels.
    pub fn counters_of<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.family((name, help, None), MetricType::Counter, values, |mut to, count| {
            to.encode_counter::<NoLabelSet, _, u64>(&count, None)
        })
    }

    /// One for each value of a label.
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        self.counters_of(name, help, labelled(label, values))
    }

    /// The same of time in microseconds.
    pub fn seconds_of(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let about = (name, help, Some(&Unit::Seconds));
        self.family(about, MetricType::Counter, labelled(label, values), |mut to, us| {
            to.encode_counter::<NoLabelSet, _, u64>(&(us as f64 / 1e6), None)
        })
    }

    /// The same of what goes up and down.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        self.family((name, help, None), MetricType::Gauge, labelled(label, values), |mut to, value| {
            to.encode_gauge(&signed(value))
        })
    }

    /// The same of seconds.
    pub fn gauges_of_seconds(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, f64)>,
    ) -> fmt::Result {
        let about = (name, help, Some(&Unit::Seconds));
        self.family(about, MetricType::Gauge, labelled(label, values), |mut to, seconds| to.encode_gauge(&seconds))
    }

    /// A share of something.
    pub fn ratio(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.with((name, help, None), MetricType::Gauge, |mut to| to.encode_gauge(&value))
    }

    /// Seconds that go up and down.
    pub fn gauge_of_seconds(&mut self, name: &str, help: &str, seconds: f64) -> fmt::Result {
        self.with((name, help, Some(&Unit::Seconds)), MetricType::Gauge, |mut to| to.encode_gauge(&seconds))
    }

    /// Durations.
    pub fn histogram(&mut self, name: &str, help: &str, label: Option<Label>, of: &Histogram) -> fmt::Result {
        match label {
            Some(label) => self.histograms(name, help, core::iter::once((label, *of))),
            None => self.with((name, help, Some(&Unit::Seconds)), MetricType::Histogram, |to| encode(to, of)),
        }
    }

    /// Durations, for each value of a label.
    pub fn histograms(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Label, Histogram)>,
    ) -> fmt::Result {
        let about = (name, help, Some(&Unit::Seconds));
        self.family(about, MetricType::Histogram, values, |to, histogram| encode(to, &histogram))
    }
}

fn encode(mut to: MetricEncoder<'_>, of: &Histogram) -> fmt::Result {
    let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(of.counts).collect();
    to.encode_histogram::<NoLabelSet>(of.sum_us as f64 / 1e6, of.count(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_unit_and_what_grows_its_ending() {
        let mut durations = Histogram::default();
        durations.note(700);
        let text = text(move |to| {
            to.gauge("rooms", "Rooms", 3)?;
            to.counters("dropped", "Dropped", "reason", [("queue", 5)].into_iter())?;
            to.gauges_of_seconds("lag", "Lag", "view", [("told", 0.25)].into_iter())?;
            to.histogram("tick", "Ticks", None, &durations)
        });
        for line in [
            "# TYPE arbiter_rooms gauge",
            "arbiter_rooms 3",
            "arbiter_dropped_total{reason=\"queue\"} 5",
            "arbiter_lag_seconds{view=\"told\"} 0.25",
            "arbiter_tick_seconds_bucket{le=\"0.001\"} 1",
            "arbiter_tick_seconds_bucket{le=\"+Inf\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
