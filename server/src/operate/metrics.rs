//! A server's figures by the conventions of Prometheus: base units, `_total` behind what only grows, and labels whose values are
//! few and known. No label names a player, a match or an address.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::Shared;
use crate::agones::AgonesStats;
use crate::agones::sidecar::State;
use crate::drain::Reason;
use crate::histogram::{BOUNDS_US, Histogram};
use crate::outbox::OutboxStats;
use crate::room::RoomLink;
use crate::services::{RegisterStats, ShipStats};
use crate::stats::{RoomStats, ServerStats};
use crate::suspicion::Detector;

/// Everything as text.
pub(super) fn text(shared: &Arc<Shared>) -> String {
    let mut registry = Registry::with_prefix("arbiter");
    registry.register_collector(Box::new(Figures(Arc::clone(shared))));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

struct Figures(Arc<Shared>);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

/// What is written one by one.
struct Writer<'a>(DescriptorEncoder<'a>);

type Label = [(&'static str, Cow<'static, str>); 1];

impl Writer<'_> {
    fn with(
        &mut self,
        (name, help, unit): (&str, &str, Option<&Unit>),
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(self.0.encode_descriptor(name, help, unit, kind)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.with((name, help, None), MetricType::Gauge, |mut to| to.encode_gauge(&value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.with((name, help, None), MetricType::Counter, |mut to| {
            to.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn seconds(&mut self, name: &str, help: &str, us: u64) -> fmt::Result {
        let seconds = us as f64 / 1e6;
        self.with((name, help, Some(&Unit::Seconds)), MetricType::Counter, |mut to| {
            to.encode_counter::<NoLabelSet, _, u64>(&seconds, None)
        })
    }

    /// One for each value of a label.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        self.with((name, help, None), MetricType::Counter, |mut to| {
            for (value, count) in values {
                let label: Label = [(label, Cow::Borrowed(value))];
                to.encode_family(&label)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
            Ok(())
        })
    }

    /// The same of what goes up and down.
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        self.with((name, help, None), MetricType::Gauge, |mut to| {
            for (value, count) in values {
                let label: Label = [(label, Cow::Borrowed(value))];
                to.encode_family(&label)?.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX))?;
            }
            Ok(())
        })
    }

    fn histogram(&mut self, name: &str, help: &str, label: Option<Label>, histogram: &Histogram) -> fmt::Result {
        self.with((name, help, Some(&Unit::Seconds)), MetricType::Histogram, |mut to| {
            let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts).collect();
            let sum = histogram.sum_us as f64 / 1e6;
            let count = histogram.count();
            match label {
                Some(label) => to.encode_family(&label)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None),
                None => to.encode_histogram::<NoLabelSet>(sum, count, &buckets, None),
            }
        })
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shared = &self.0;
        let stats = shared.stats();
        let rooms: Vec<RoomStats> = shared.rooms.iter().map(RoomLink::stats).collect();
        let mut to = Writer(encoder);
        self.rooms(&mut to, &rooms, &stats)?;
        inputs_and_snapshots(&mut to, &rooms)?;
        if let Some(outbox) = &shared.outbox {
            events(&mut to, outbox)?;
        }
        if let Some(shipped) = &shared.shipped {
            shipping(&mut to, shipped)?;
        }
        if shared.config.services.is_some() {
            registering(&mut to, &shared.registering)?;
        }
        if shared.config.agones.is_some() {
            agones(&mut to, &shared.agones)?;
        }
        network(&mut to, &stats)
    }
}

impl Figures {
    fn rooms(&self, to: &mut Writer<'_>, rooms: &[RoomStats], stats: &ServerStats) -> fmt::Result {
        let rate = [("tick_rate", Cow::Owned(self.0.config.settings.tick_rate.to_string()))];
        let running = rooms.iter().filter(|room| !room.ended).count() as u64;
        let mut ticks = Histogram::default();
        rooms.iter().for_each(|room| ticks += room.ticks);
        to.gauge("rooms", "Rooms that have not ended", running)?;
        to.gauge("players", "Players in matches", rooms.iter().map(|room| u64::from(room.players)).sum())?;
        to.gauge("spectators", "Who watches", rooms.iter().map(|room| u64::from(room.spectators)).sum())?;
        to.counter("matches_started", "Matches that began", rooms.iter().map(|room| u64::from(room.matches)).sum())?;
        to.counter("matches_ended", "Matches that came to their end", u64::from(stats.matches_ended))?;
        to.counter(
            "rooms_failed",
            "Rooms that panicked for good; their matches are lost",
            u64::from(stats.rooms_failed),
        )?;
        let recoveries = stats.recoveries;
        let recoveries = [
            ("rebuilt", recoveries.rebuilt),
            ("blanked", recoveries.blanked),
            ("resumed", recoveries.resumed),
            ("abandoned", recoveries.abandoned),
        ];
        to.counters("room_recoveries", "Matches that were taken up again, and how", "how", recoveries.into_iter())?;
        to.counter("rooms_stuck", "Rooms that did not advance any more", u64::from(stats.rooms_stuck))?;
        let reason = self.0.drain.reason();
        let reasons = Reason::ALL.into_iter().map(|known| (known.name(), u64::from(reason == Some(known))));
        to.gauges("draining", "1 at the reason why no match begins any more", "reason", reasons)?;
        to.gauge("recordings_unwritten", "Recordings that are not what was played", stats.unwritten.len() as u64)?;
        to.histogram("tick", "CPU time of a room's thread for a whole tick", Some(rate), &ticks)?;
        let overruns = rooms.iter().map(|room| room.overruns).sum();
        to.counter("tick_overruns", "Ticks left out because the one before was late by a whole tick", overruns)
    }
}

fn events(to: &mut Writer<'_>, outbox: &OutboxStats) -> fmt::Result {
    to.counter("outbox_events", "Domain events that are durable in the outbox", outbox.written())?;
    to.counter("outbox_events_left_out", "Domain events that found no room; recordings have them", outbox.left_out())?;
    to.gauge(
        "outbox_waiting",
        "Domain events whose ticks are on disk, and that are not in the outbox yet",
        outbox.waiting(),
    )?;
    let kept = outbox.kept();
    to.gauge("outbox_bytes", "Bytes that the outbox takes on disk", kept.bytes)?;
    to.gauge(
        "outbox_kept_since_seconds",
        "When its oldest event happened, since 1970; 0 if it has none",
        kept.since_s,
    )?;
    to.counter(
        "outbox_events_dropped",
        "Domain events that the services keep for good, and the outbox no more",
        kept.dropped,
    )?;
    to.gauge("outbox_stuck", "1 while the outbox takes nothing, and no match begins", outbox.is_stuck().into())
}

fn shipping(to: &mut Writer<'_>, shipped: &ShipStats) -> fmt::Result {
    let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let acknowledged = figure(&shipped.acknowledged);
    to.counter("services_events", "Domain events that the services have acknowledged", acknowledged)?;
    to.gauge(
        "services_lag_events",
        "Domain events in the outbox that the services do not have yet",
        shipped.waiting(),
    )?;
    to.counter("services_failures", "Calls that brought no events to the services", figure(&shipped.failures))?;
    let broken = shipped.broken.load(Ordering::Relaxed);
    to.gauge("services_broken", "1 while the last such call failed", broken.into())
}

fn registering(to: &mut Writer<'_>, stats: &RegisterStats) -> fmt::Result {
    let registered = stats.registered.load(Ordering::Relaxed);
    to.gauge("services_registered", "1 while the services know what this server hosts", registered.into())?;
    let failures = stats.failures.load(Ordering::Relaxed);
    to.counter("services_register_failures", "Calls that did not tell the services of this server", failures)
}

fn agones(to: &mut Writer<'_>, stats: &AgonesStats) -> fmt::Result {
    let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let connected = stats.connected.load(Ordering::Relaxed);
    to.gauge("agones_connected", "1 while Agones tells what it holds of this server", connected.into())?;
    let state = stats.state();
    let states = State::ALL.into_iter().map(|known| (known.name(), u64::from(state == Some(known))));
    to.gauges("agones_state", "1 at the state that Agones told last", "state", states)?;
    to.counter("agones_pings", "Health pings that Agones took", figure(&stats.pings))?;
    to.counter("agones_watches", "Times that Agones began to tell of this server", figure(&stats.watches))?;
    to.counter("agones_failures", "Calls to Agones that failed, ends of the watch too", figure(&stats.failures))?;
    let orders = [("taken", figure(&stats.orders)), ("refused", figure(&stats.orders_refused))];
    to.counters("agones_orders", "Matches that allocations ordered", "outcome", orders.into_iter())
}

fn inputs_and_snapshots(to: &mut Writer<'_>, rooms: &[RoomStats]) -> fmt::Result {
    let sum = |of: fn(&RoomStats) -> u64| rooms.iter().map(of).sum::<u64>();
    let missed = [
        ("substituted", sum(|room| room.inputs_substituted)),
        // Among the substituted, those that came after all.
        ("late", sum(|room| room.inputs_late)),
    ];
    to.counters(
        "inputs_missed",
        "Inputs made up because none was there, and those that came too late",
        "how",
        missed.into_iter(),
    )?;
    let anomalies = Detector::ALL
        .into_iter()
        .map(|detector| (detector.name(), rooms.iter().map(|room| room.anomalies[detector as usize]).sum::<u64>()));
    to.counters("anomalies", "Players who did what nobody honest does, by what was found", "detector", anomalies)?;
    to.counter("snapshots", "Snapshots handed to socket threads", sum(|room| room.snapshots))?;
    to.counter("snapshot_bytes", "Bytes of snapshots handed to socket threads", sum(|room| room.snapshot_bytes))?;
    to.gauge("spectator_bytes", "Bytes of what waits to be shown to spectators", sum(|room| room.spectator_bytes))?;
    let held_back = sum(|room| room.held_back);
    to.counter(
        "encodings_shared",
        "Encodings of an entity that were made for another client",
        sum(|room| room.encodings.0),
    )?;
    to.counter("encodings_made", "Encodings of an entity that had to be made", sum(|room| room.encodings.1))?;
    to.counter(
        "spectator_ticks_left_out",
        "Ticks not shown to spectators, since what waits for them has taken its memory",
        sum(|room| room.spectator_ticks_left_out),
    )?;
    to.counter("snapshots_held_back", "Snapshots left out because a client's link carries no more", held_back)
}

fn network(to: &mut Writer<'_>, stats: &ServerStats) -> fmt::Result {
    let drops = stats.drops;
    let drops = [
        ("input_queue", drops.inputs),
        ("snapshot_queue", drops.snapshots),
        ("message_queue", drops.messages),
        ("receive_buffer", drops.receive_buffer_full),
        ("send_buffer", drops.send_buffer_full),
        ("send_refused", drops.send_refused),
    ];
    to.gauge("clients", "Connections", stats.clients as u64)?;
    to.counter("datagrams_received", "Datagrams received, junk too", stats.datagrams_in)?;
    to.counter("datagrams_sent", "Datagrams sent", stats.datagrams_out)?;
    to.counter("received_bytes", "Bytes received, with IP and UDP headers", stats.bytes_in)?;
    to.counter("sent_bytes", "Bytes sent, with IP and UDP headers", stats.bytes_out)?;
    let outcomes = stats.packets.each().filter(|(name, _)| *name != "received");
    to.counters("packets", "What became of each datagram that came, handshakes included", "outcome", outcomes)?;
    to.counters(
        "dropped",
        "What did not get where it should; a server that keeps up drops nothing",
        "reason",
        drops.into_iter(),
    )?;
    to.counter("violations", "Clients expelled because they broke the rules of the transport", stats.violations)?;
    to.seconds("socket_cpu", "CPU time of all socket threads", stats.sockets_cpu_us)?;
    to.histogram("round_trip", "Round trips to clients, one of each client and second", None, &stats.round_trips)
}
