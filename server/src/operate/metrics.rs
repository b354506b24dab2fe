//! A server's figures ([`arbiter_metrics`] has how they are written). No label names a player, a match or an address.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arbiter_metrics::{Histogram, Writer};

use crate::Shared;
use crate::agones::AgonesStats;
use crate::agones::sidecar::State;
use crate::drain::Reason;
use crate::outbox::OutboxStats;
use crate::resume::freight::FreightStats;
use crate::room::{RoomLink, TickPhase};
use crate::services::{RegisterStats, ShipStats};
use crate::shard::ShardLink;
use crate::shed::{ShedStats, Step};
use crate::stats::{RoomStats, ServerStats};
use crate::suspicion::Detector;

/// Everything as text.
pub(super) fn text(shared: &Arc<Shared>) -> String {
    let figures = Figures(Arc::clone(shared));
    arbiter_metrics::text(move |to| figures.write(to))
}

struct Figures(Arc<Shared>);

impl Figures {
    fn write(&self, to: &mut Writer<'_>) -> fmt::Result {
        let shared = &self.0;
        let stats = shared.stats();
        let rooms: Vec<RoomStats> = shared.rooms.iter().map(RoomLink::stats).collect();
        self.rooms(to, &rooms, &stats)?;
        shedding(to, &shared.shed.stats())?;
        inputs_and_snapshots(to, &rooms)?;
        if let Some(outbox) = &shared.outbox {
            events(to, outbox)?;
        }
        if let Some(shipped) = &shared.shipped {
            shipping(to, shipped)?;
        }
        if shared.config.ship_recordings.is_some() {
            freight(to, &shared.freight)?;
        }
        if shared.config.services.is_some() {
            registering(to, &shared.registering)?;
        }
        if shared.config.agones.is_some() {
            agones(to, &shared.agones)?;
        }
        outside(to, shared)?;
        network(to, &stats)?;
        self.queues_and_logs(to)
    }

    fn queues_and_logs(&self, to: &mut Writer<'_>) -> fmt::Result {
        let shared = &self.0;
        let depths = [
            ("rooms", shared.rooms.iter().map(|room| room.queue.len() as u64).sum()),
            ("sockets", shared.shards.iter().map(ShardLink::waiting).sum()),
            ("recorder", shared.recorder_waiting.load(Ordering::Relaxed)),
        ];
        to.gauges("queue_depth", "What waits in a queue", "queue", depths.into_iter())?;
        let outbox = shared.outbox.as_ref().map(|outbox| ("outbox", &outbox.log));
        arbiter_metrics::logs(to, outbox.into_iter().chain([("recordings", &shared.recordings)]))?;
        arbiter_metrics::lines::lines(to)
    }

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
        to.histogram("tick", "CPU time of a room's thread for a whole tick", Some(rate.clone()), &ticks)?;
        let overruns = rooms.iter().map(|room| room.overruns).sum::<u64>();
        let help = "Ticks left out because the one before was late by a whole tick";
        to.counters_of("tick_overruns", help, [(rate, overruns)].into_iter())?;
        let spent = |phase: TickPhase| rooms.iter().map(|room| room.phases_us[phase as usize]).sum::<u64>();
        let phases = TickPhase::ALL.into_iter().map(|phase| (phase.name(), spent(phase)));
        to.seconds_of("tick_phase", "Time by the clock on the wall in a tick's phases", "phase", phases)
    }
}

fn shedding(to: &mut Writer<'_>, stats: &ShedStats) -> fmt::Result {
    to.gauge("shedding_step", "What is left out to save time: 0 nothing, up to 5", stats.step.number().into())?;
    to.ratio("tick_load_ratio", "Share of their time that ticks take, smoothed", stats.load.into())?;
    let spent = Step::ALL.into_iter().zip(stats.spent_us).map(|(step, us)| (step.name(), us));
    to.seconds_of("shedding", "Time spent at each step", "step", spent)?;
    let taken = Step::ALL.into_iter().zip(stats.taken).skip(1).map(|(step, times)| (step.name(), times));
    to.counters("shedding_steps_taken", "How often each step was taken, from below", "step", taken)?;
    to.counters("shed", "What was left out to save time", "what", stats.each().into_iter())
}

/// The circuits to what this server calls.
fn outside(to: &mut Writer<'_>, shared: &Shared) -> fmt::Result {
    let mut parts = Vec::new();
    if let Some(shipped) = &shared.shipped {
        parts.push(("events", &shipped.circuit));
    }
    if shared.config.services.is_some() {
        parts.push(("register", &shared.registering.circuit));
    }
    if shared.config.ship_recordings.is_some() {
        parts.push(("recordings", &shared.freight.circuit));
    }
    if shared.config.agones.is_some() {
        parts.extend([("agones", &shared.agones.circuit), ("agones_watch", &shared.agones.watch_circuit)]);
    }
    let states = parts.iter().map(|(part, circuit)| (*part, circuit.state()));
    to.gauges("outside_circuit", "Calls outside: 0 they are made, 1 one is tried, 2 they wait", "part", states)?;
    let opened = parts.iter().map(|(part, circuit)| (*part, circuit.opened()));
    to.counters("outside_circuit_opened", "How often calls were stopped for a while", "part", opened)
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
    let lag = shipped.lag.seconds(Instant::now());
    to.gauge_of_seconds("services_lag", "Age up to which events may not be with the services yet", lag)?;
    to.counter("services_failures", "Calls that brought no events to the services", figure(&shipped.failures))?;
    let broken = shipped.broken.load(Ordering::Relaxed);
    to.gauge("services_broken", "1 while the last such call failed", broken.into())
}

fn freight(to: &mut Writer<'_>, stats: &FreightStats) -> fmt::Result {
    let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let lag = stats.lag.seconds(Instant::now());
    let help = "For how long a closed block of a recording may have been missing where recordings are shipped to";
    to.gauge_of_seconds("recordings_ship_lag", help, lag)?;
    to.counter("recordings_shipped_bytes", "Bytes of recordings that were shipped", figure(&stats.bytes))?;
    to.counter("recordings_ship_failures", "Tries to ship recordings that failed", figure(&stats.failures))
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
    let all = |of: fn(&RoomStats) -> Histogram| {
        rooms.iter().map(of).fold(Histogram::default(), |mut sum, one| {
            sum += one;
            sum
        })
    };
    to.counter("inputs", "Inputs that ticks were stepped with, made up ones too", sum(|room| room.inputs))?;
    to.histogram("input_delay", "Time that inputs waited for their tick", None, &all(|room| room.input_delays))?;
    let staleness = all(|room| room.staleness);
    to.histogram("snapshot_staleness", "Age of the newest state that a client is known to have", None, &staleness)?;
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
    to.counter("sound_bytes", "Bytes of snapshots that are sounds", sum(|room| room.sound_bytes))?;
    to.gauge("spectator_bytes", "Bytes of what waits to be shown to spectators", sum(|room| room.spectator_bytes))?;
    let held_back = sum(|room| room.held_back);
    to.counter(
        "encodings_shared",
        "Encodings of an entity that were made for another client",
        sum(|room| room.encodings.0),
    )?;
    to.counter("encodings_made", "Encodings of an entity that had to be made", sum(|room| room.encodings.1))?;
    to.counter("entities_told", "Entities told to clients, each once a tick", sum(|room| room.entities.0))?;
    to.counter(
        "entities_told_in_full",
        "Entities told to clients that held nothing of use",
        sum(|room| room.entities.1),
    )?;
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
