//! One match after another: inputs in, Tick, recording, snapshots and messages out.

use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arbiter_protocol::{
    Datagram, Goodbye, GoodbyeReason, InputPacket, MatchMessage, Notice, Refused, RefusedReason, ServerMessage,
    SnapshotHeader, TeamScore, Welcome,
};
use arbiter_recording::{End, Header};
use arbiter_schema::StableId;
use arbiter_sim::index::Identity;
use arbiter_sim::modes::MatchState;
use arbiter_sim::simulation::MatchSetup;
use arbiter_sim::{BuildError, Command, DomainEvent, LeaveReason, Loadout, MatchSettings, Outcome, Simulation};
use arbiter_snapshot::{PART_BYTES_MAX, Parts, SnapshotEncoder, Viewer};
use arbiter_transport::{Channel, ClientId, Key};
use crossbeam::channel::{Receiver, Sender, bounded};

use crate::buffer::InputBuffer;
use crate::recorder::{Begin, Entry, Recorder};
use crate::shard::ToSocket;
use crate::stats::{CpuTimer, RoomStats, TickTimes, UnwrittenRecording};
use crate::{OnStop, ROOM_QUEUE_MAX, ServerConfig, Shared, convert};

/// Seconds between two checkpoints: what a replay has to simulate again at most to reach a tick.
const CHECKPOINT_SECONDS: u32 = 5;

/// Full states go out at most so often to a client that has none: they are large, and an acknowledgement takes a round trip.
const FULL_STATES_PER_SECOND: u32 = 10;

/// Seconds after which a player who could not enter is refused.
const ENTER_SECONDS: u32 = 2;

/// Why a match is not recorded, or not to its end.
const BEHIND: &str =
    "the disk is too slow for the recordings of this server; record to a faster one, or host fewer rooms";

/// What the socket thread has for a room.
pub(crate) enum FromSocket {
    Join { client: ClientId, loadout: Loadout },
    Input { client: ClientId, packet: InputPacket, arrived: Instant },
    Left { client: ClientId, reason: LeaveReason },
}

/// What others hold of a room.
pub(crate) struct RoomLink {
    pub queue: Sender<FromSocket>,
    stats: Arc<Mutex<RoomStats>>,
    /// Players that are in or on their way.
    reserved: AtomicU32,
    places: u32,
}

impl RoomLink {
    pub fn new(settings: &MatchSettings) -> (Self, Receiver<FromSocket>) {
        let (queue, inbox) = bounded(ROOM_QUEUE_MAX);
        let places = u32::from(settings.players_max);
        (Self { queue, stats: Arc::default(), reserved: AtomicU32::new(0), places }, inbox)
    }

    pub fn stats(&self) -> RoomStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Relaxed)
    }

    pub fn has_place(&self) -> bool {
        self.reserved() < self.places
    }

    pub fn reserve(&self) {
        self.reserved.fetch_add(1, Ordering::Relaxed);
    }

    fn release(&self) {
        self.reserved.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nobody is sent here any more.
    fn shut(&self) {
        self.reserved.store(u32::MAX / 2, Ordering::Relaxed);
    }
}

/// The seed of the match with this number, from 0.
pub(crate) fn seed(config: &ServerConfig, number: u32) -> u64 {
    match config.seed {
        Some(first) => first.wrapping_add(u64::from(number)),
        None => u64::from_le_bytes(random()),
    }
}

fn random<const N: usize>() -> [u8; N] {
    let bytes = Key::generate().0;
    core::array::from_fn(|at| bytes[at])
}

/// Builds a match.
pub(crate) fn build(config: &ServerConfig, seed: u64) -> Result<Simulation, BuildError> {
    let (rules, map) = (Arc::clone(&config.rules), Arc::clone(&config.map));
    Simulation::with_plugins(rules, map, seed, config.settings.clone(), &*config.plugins)
}

enum Entering {
    /// Its join is a command of the next tick.
    Joining,
    /// Joined at this tick; is welcomed once the simulation knows it.
    Since(u32),
    /// Welcomed.
    In(StableId),
}

struct Seat {
    client: ClientId,
    loadout: Loadout,
    entering: Entering,
    inputs: InputBuffer,
    baseline: Option<u32>,
    team: u8,
    full_sent: Option<u32>,
    echo: Option<(u32, Instant)>,
    margin: i16,
}

enum Phase {
    Playing,
    /// Between two matches.
    Waiting(Instant),
}

/// A room.
pub(crate) struct Room {
    number: u16,
    shared: Arc<Shared>,
    inbox: Receiver<FromSocket>,
    to_socket: Sender<ToSocket>,
    recorder: Recorder,
    recording: Option<PathBuf>,
    /// The recorder fell behind and has not yet taken that the recording ends.
    recording_breaks: bool,
    simulation: Simulation,
    phase: Phase,
    encoder: SnapshotEncoder,
    seats: Vec<Option<Seat>>,
    slots: HashMap<ClientId, u16>,
    leaving: Vec<(u16, LeaveReason)>,
    match_id: [u8; 16],
    commands: Vec<Command>,
    parts: Parts,
    times: TickTimes,
    overruns: u64,
    snapshot_bytes: u64,
    snapshots: u64,
    substituted: u64,
    late: u64,
    matches: u32,
    outcome: Option<Outcome>,
    ended: bool,
}

impl Room {
    pub fn new(
        number: u16,
        shared: Arc<Shared>,
        inbox: Receiver<FromSocket>,
        to_socket: Sender<ToSocket>,
        recorder: Recorder,
    ) -> Result<Self, BuildError> {
        let simulation = build(&shared.config, seed(&shared.config, u32::from(number)))?;
        let encoder = SnapshotEncoder::new(simulation.registry(), PART_BYTES_MAX);
        let seats = (0..shared.config.settings.players_max).map(|_| None).collect();
        // A limit of matches may be below the number of rooms: a room without a match ends with its first tick.
        let ended = !shared.may_start_match();
        let mut room = Self {
            number,
            shared,
            inbox,
            to_socket,
            recorder,
            recording: None,
            recording_breaks: false,
            simulation,
            phase: Phase::Playing,
            encoder,
            seats,
            slots: HashMap::new(),
            leaving: Vec::new(),
            match_id: random(),
            commands: Vec::new(),
            parts: Parts::default(),
            times: TickTimes::default(),
            overruns: 0,
            snapshot_bytes: 0,
            snapshots: 0,
            substituted: 0,
            late: 0,
            matches: 0,
            outcome: None,
            ended,
        };
        if !ended {
            room.begin();
        }
        Ok(room)
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn note_overruns(&mut self, missed: u64) {
        self.overruns += missed;
    }

    fn link(&self) -> &RoomLink {
        &self.shared.rooms[usize::from(self.number)]
    }

    /// Starts the recording of a fresh simulation.
    fn begin(&mut self) {
        self.matches += 1;
        self.match_id = random();
        let Some(folder) = &self.shared.config.record_dir else { return };
        let name: String = self.match_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("{name}.{}", arbiter_recording::EXTENSION));
        let mut tick0 = Vec::new();
        self.simulation.checkpoint(&mut tick0);
        let header = match Header::of(&self.simulation, u128::from_le_bytes(self.match_id)) {
            Ok(header) => header,
            Err(error) => return self.unrecorded(path, &error.to_string()),
        };
        let begin = Begin { path: path.clone(), header, tick0 };
        if self.break_recording() && self.recorder.put(self.number, Entry::Begin(Box::new(begin))) {
            self.recording = Some(path);
        } else {
            self.unrecorded(path, BEHIND);
        }
    }

    fn unrecorded(&self, path: PathBuf, why: &str) {
        let unwritten = UnwrittenRecording { path, why: why.to_owned() };
        tracing::error!(room = self.number, "the match goes on unrecorded: {unwritten}");
        self.shared.note(|stats| stats.note_unwritten(unwritten));
    }

    /// Ends a recording that has a hole, without waiting. Whether that is done, or there is none.
    fn break_recording(&mut self) -> bool {
        if self.recording_breaks {
            self.recording_breaks = !self.recorder.put(self.number, Entry::Finish(End::Abandoned));
        }
        !self.recording_breaks
    }

    /// Does what is due; false when the room has ended for good.
    pub fn tick(&mut self, now: Instant) -> bool {
        if self.ended {
            self.end(GoodbyeReason::MatchOver);
            return false;
        }
        let timer = CpuTimer::start();
        self.read_inbox(now);
        match self.phase {
            Phase::Playing => {
                // A match that nobody plays has nobody to be finished for.
                let deserted = self.slots.is_empty() && self.shared.stopping().is_some();
                if deserted || self.shared.stopping() == Some(OnStop::Abandon) {
                    self.close_recording(End::Abandoned);
                    self.outcome = Some(Outcome::Abandoned);
                    self.end(GoodbyeReason::Stopping);
                    return false;
                }
                let step_us = self.play(now);
                self.times.note(timer.elapsed_us(), step_us);
            }
            Phase::Waiting(until) => {
                if self.shared.stopping().is_some() {
                    self.end(GoodbyeReason::Stopping);
                    return false;
                }
                if now >= until && !self.next_match() {
                    return false;
                }
            }
        }
        if self.times.is_due() {
            self.publish();
        }
        true
    }

    fn publish(&mut self) {
        let stats = Arc::clone(&self.link().stats);
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.times.publish(&mut stats);
        stats.matches = self.matches;
        stats.tick = self.simulation.tick();
        stats.players = self.slots.len() as u16;
        stats.overruns = self.overruns;
        (stats.snapshot_bytes, stats.snapshots) = (self.snapshot_bytes, self.snapshots);
        let seats = self.seats.iter().flatten();
        let (substituted, late) =
            seats.fold((0, 0), |(made, late), seat| (made + seat.inputs.substituted, late + seat.inputs.late));
        stats.inputs_substituted = self.substituted + substituted;
        stats.inputs_late = self.late + late;
        stats.recording.clone_from(&self.recording);
        stats.outcome = self.outcome;
        stats.ended = self.ended;
    }

    fn read_inbox(&mut self, now: Instant) {
        let next = self.simulation.tick() + 1;
        // No more than what can wait: a flood must not hold the tick.
        for _ in 0..ROOM_QUEUE_MAX {
            let Ok(message) = self.inbox.try_recv() else { return };
            match message {
                FromSocket::Join { client, loadout } => self.join(client, loadout),
                FromSocket::Left { client, reason } => {
                    if let Some(slot) = self.slots.get(&client) {
                        self.vacate(*slot, reason);
                    }
                }
                FromSocket::Input { client, packet, arrived } => {
                    let slot = self.slots.get(&client).copied();
                    let Some(seat) = slot.and_then(|slot| self.seats[usize::from(slot)].as_mut()) else { continue };
                    if !matches!(seat.entering, Entering::In(_)) {
                        continue;
                    }
                    let newer = seat.echo.is_none_or(|(sent, _)| packet.sent_us.wrapping_sub(sent) < u32::MAX / 2);
                    if newer {
                        seat.echo = Some((packet.sent_us, arrived.min(now)));
                        seat.baseline = packet.ack.map(|ack| ack.tick).filter(|tick| *tick < next);
                        if let Some(newest) = packet.inputs.first() {
                            let margin = i64::from(newest.tick) - i64::from(next);
                            seat.margin = margin.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
                        }
                    }
                    seat.inputs.push(&packet.inputs, next);
                }
            }
        }
    }

    fn join(&mut self, client: ClientId, loadout: Loadout) {
        // A slot whose player leaves with this tick is free with the next.
        let free = |(slot, seat): &(usize, &Option<Seat>)| {
            seat.is_none() && self.leaving.iter().all(|(leaving, _)| usize::from(*leaving) != *slot)
        };
        let Some((slot, _)) = self.seats.iter().enumerate().find(free) else {
            self.link().release();
            self.message(client, &ServerMessage::Refused(Refused::from(RefusedReason::Full)));
            self.send(ToSocket::Close { client });
            return;
        };
        self.seats[slot] = Some(Seat {
            client,
            loadout,
            entering: Entering::Joining,
            inputs: InputBuffer::new(self.simulation.settings().tick_rate),
            baseline: None,
            team: 0,
            full_sent: None,
            echo: None,
            margin: 0,
        });
        self.slots.insert(client, slot as u16);
    }

    fn vacate(&mut self, slot: u16, reason: LeaveReason) {
        let Some(seat) = self.seats[usize::from(slot)].take() else { return };
        self.slots.remove(&seat.client);
        self.substituted += seat.inputs.substituted;
        self.late += seat.inputs.late;
        self.link().release();
        if !matches!(seat.entering, Entering::Joining) {
            self.leaving.push((slot, reason));
        }
    }

    fn dismiss(&mut self, slot: u16, leave: LeaveReason, reason: GoodbyeReason) {
        let Some(client) = self.seats[usize::from(slot)].as_ref().map(|seat| seat.client) else { return };
        self.message(client, &ServerMessage::Goodbye(Goodbye { reason }));
        self.send(ToSocket::Close { client });
        self.vacate(slot, leave);
    }

    /// One tick of the match; returns the thread CPU of the simulation in microseconds.
    fn play(&mut self, now: Instant) -> u64 {
        let tick = self.simulation.tick() + 1;
        self.commands.clear();
        self.commands.extend(self.leaving.drain(..).map(|(slot, reason)| Command::Leave { slot, reason }));
        for (slot, seat) in (0..).zip(&mut self.seats) {
            let Some(seat) = seat else { continue };
            match seat.entering {
                Entering::Joining => {
                    self.commands.push(Command::Join { slot, loadout: seat.loadout });
                    seat.entering = Entering::Since(tick);
                }
                Entering::Since(_) => {}
                Entering::In(_) => {
                    if let Some((input, substituted)) = seat.inputs.take(tick) {
                        self.commands.push(Command::Input { slot, input, substituted });
                    }
                }
            }
        }
        let timer = CpuTimer::start();
        self.simulation.step(&self.commands);
        let step_us = timer.elapsed_us();
        self.record(tick);
        if let Some(observer) = &self.shared.config.observer {
            observer(self.number, &self.simulation);
        }
        self.tell_events(tick);
        self.welcome(tick);
        self.replicate(tick, now);
        if let Some(outcome) = self.simulation.ended() {
            self.finish_match(outcome, now);
        }
        step_us
    }

    fn record(&mut self, tick: u32) {
        self.break_recording();
        if self.recording.is_none() {
            return;
        }
        let hash = self.simulation.hash();
        let mut taken = self.recorder.put(self.number, Entry::Tick { tick, commands: self.commands.clone(), hash });
        let every = u32::from(self.simulation.settings().tick_rate) * CHECKPOINT_SECONDS;
        // Rooms take turns, so that they do not all write at once.
        if taken && tick % every == (u32::from(self.number) * 37) % every {
            let mut bytes = Vec::new();
            self.simulation.checkpoint(&mut bytes);
            taken = self.recorder.put(self.number, Entry::Checkpoint { tick, bytes });
        }
        if !taken && let Some(path) = self.recording.take() {
            self.recording_breaks = true;
            self.unrecorded(path, BEHIND);
        }
    }

    fn close_recording(&mut self, end: End) {
        if self.recording.take().is_some() {
            self.recorder.finish(self.number, end);
        }
    }

    fn tell_events(&mut self, tick: u32) {
        let mut idle = Vec::new();
        let mut notices = Vec::new();
        for event in self.simulation.events() {
            if let DomainEvent::IdleDetected { slot } = event {
                idle.push(*slot);
            }
            if matches!(event, DomainEvent::RoundEnded { .. } | DomainEvent::MatchEnded { .. }) {
                notices.extend(self.scores().map(|scores| Notice::Score { scores }));
            }
            notices.extend(convert::notice(event));
        }
        for notice in notices {
            self.broadcast(&ServerMessage::Match(MatchMessage { tick, notice }));
        }
        idle.retain(|slot| usize::from(*slot) < self.seats.len());
        for slot in idle {
            self.dismiss(slot, LeaveReason::Idle, GoodbyeReason::Idle);
        }
    }

    fn scores(&self) -> Option<Vec<TeamScore>> {
        let view = self.simulation.view();
        let (state, setup) = (view.resource::<MatchState>()?, view.resource::<MatchSetup>()?);
        let teams = usize::from(setup.teams).min(state.scores.len());
        let scores = state.scores[..teams].iter().zip(1..);
        Some(scores.map(|(points, team)| TeamScore { team, points: *points }).collect())
    }

    fn welcome(&mut self, tick: u32) {
        let patience = u32::from(self.simulation.settings().tick_rate) * ENTER_SECONDS;
        for slot in 0..self.seats.len() as u16 {
            let Some(seat) = &self.seats[usize::from(slot)] else { continue };
            let Entering::Since(since) = seat.entering else { continue };
            let client = seat.client;
            match self.simulation.view().player(slot) {
                Some(player) => {
                    let setup = self.simulation.view().resource::<MatchSetup>().map_or(0, |setup| setup.teams);
                    let settings = self.simulation.settings();
                    let welcome = Welcome {
                        slot,
                        player,
                        tick_rate: settings.tick_rate,
                        tick,
                        match_id: self.match_id,
                        map: self.simulation.map().name.clone(),
                        map_hash: self.simulation.map().hash,
                        rules_hash: self.simulation.rules().hash(),
                        mode: settings.mode.clone(),
                        teams: setup,
                        players_max: settings.players_max,
                    };
                    self.message(client, &ServerMessage::Welcome(welcome));
                    if let Some(seat) = &mut self.seats[usize::from(slot)] {
                        seat.entering = Entering::In(player);
                    }
                }
                None if tick - since > patience => {
                    self.message(client, &ServerMessage::Refused(Refused::from(RefusedReason::Full)));
                    self.send(ToSocket::Close { client });
                    self.vacate(slot, LeaveReason::Kicked);
                }
                None => {}
            }
        }
    }

    /// Tells each client what it may know of this tick.
    fn replicate(&mut self, tick: u32, now: Instant) {
        self.encoder.begin(tick);
        let view = self.simulation.view();
        let encoder = &mut self.encoder;
        view.for_each_row(&mut |row| encoder.row(row.id, row.component, row.owner, row.team, row.lanes));
        let full_every = (u32::from(self.simulation.settings().tick_rate) / FULL_STATES_PER_SECOND).max(1);
        let mut dropped = 0;
        for (slot, seat) in (0_u16..).zip(&mut self.seats) {
            let Some(seat) = seat else { continue };
            let Entering::In(player) = seat.entering else { continue };
            let team = view.get::<Identity>(player).map_or(0, |identity| identity.team);
            if team != seat.team {
                // What it knew of its baseline is judged by its team of now: it starts afresh.
                (seat.team, seat.baseline) = (team, None);
            }
            let baseline = seat.baseline.filter(|baseline| self.encoder.holds(*baseline));
            if baseline.is_none() {
                if seat.full_sent.is_some_and(|sent| tick.wrapping_sub(sent) < full_every) {
                    continue;
                }
                seat.full_sent = Some(tick);
            }
            let viewer = Viewer { slot: Some(slot), team };
            if !self.encoder.encode(baseline, viewer, &mut self.parts) {
                tracing::warn!(room = self.number, tick, "the state does not fit into a snapshot");
                continue;
            }
            let (echo_us, echo_age_us) = seat.echo.map_or((0, SnapshotHeader::NO_ECHO), |(sent, arrived)| {
                let age = now.saturating_duration_since(arrived).as_micros();
                (sent, u32::try_from(age).unwrap_or(u32::MAX - 1))
            });
            let header = SnapshotHeader { echo_us, echo_age_us, input_margin: seat.margin };
            for part in self.parts.iter() {
                let mut bytes = Vec::with_capacity(SnapshotHeader::BYTES + part.len());
                Datagram::Snapshot(header, part).encode(&mut bytes);
                self.snapshot_bytes += bytes.len() as u64;
                let send = ToSocket::Send { client: seat.client, channel: Channel::Datagram, bytes };
                dropped += u64::from(self.to_socket.try_send(send).is_err());
            }
            self.snapshots += 1;
        }
        if dropped > 0 {
            self.shared.note(|stats| stats.dropped += dropped);
        }
    }

    fn finish_match(&mut self, outcome: Outcome, now: Instant) {
        self.close_recording(outcome.into());
        self.outcome = Some(outcome);
        self.shared.note(|stats| stats.matches_ended += 1);
        self.phase = Phase::Waiting(now + self.shared.config.intermission);
        self.publish();
    }

    /// Starts the next match with whoever is still there; false when there is none.
    fn next_match(&mut self) -> bool {
        if !self.shared.may_start_match() {
            self.end(GoodbyeReason::MatchOver);
            return false;
        }
        let rooms = u32::from(self.shared.config.rooms.max(1));
        let number = u32::from(self.number) + rooms * self.matches;
        match build(&self.shared.config, seed(&self.shared.config, number)) {
            Ok(simulation) => self.simulation = simulation,
            Err(error) => {
                tracing::error!(room = self.number, %error, "the next match cannot be built");
                self.end(GoodbyeReason::Failed);
                return false;
            }
        }
        self.encoder = SnapshotEncoder::new(self.simulation.registry(), PART_BYTES_MAX);
        self.leaving.clear();
        for seat in self.seats.iter_mut().flatten() {
            seat.entering = Entering::Joining;
            seat.inputs = InputBuffer::new(self.simulation.settings().tick_rate);
            (seat.baseline, seat.full_sent, seat.team) = (None, None, 0);
        }
        self.phase = Phase::Playing;
        self.begin();
        true
    }

    /// Says goodbye to everyone; the room is not ticked again.
    fn end(&mut self, reason: GoodbyeReason) {
        self.ended = true;
        self.link().shut();
        // Whoever was sent here in the meantime is told as well.
        let inbox = self.inbox.clone();
        for message in inbox.try_iter() {
            if let FromSocket::Join { client, .. } = message {
                self.message(client, &ServerMessage::Goodbye(Goodbye { reason }));
                self.send(ToSocket::Close { client });
            }
        }
        for slot in 0..self.seats.len() {
            if let Some(seat) = self.seats[slot].take() {
                self.message(seat.client, &ServerMessage::Goodbye(Goodbye { reason }));
                self.send(ToSocket::Close { client: seat.client });
            }
        }
        self.slots.clear();
        self.publish();
    }

    /// After a panic: nothing of the match is looked at any more.
    pub fn fail(&mut self) {
        self.close_recording(End::Abandoned);
        self.outcome = Some(Outcome::Abandoned);
        self.ended = true;
        self.link().shut();
        let stats = Arc::clone(&self.link().stats);
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        (stats.outcome, stats.ended, stats.recording) = (self.outcome, true, None);
        drop(stats);
        for client in core::mem::take(&mut self.slots).into_keys() {
            self.message(client, &ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Failed }));
            self.send(ToSocket::Close { client });
        }
    }

    fn broadcast(&self, message: &ServerMessage) {
        let bytes = message.encode();
        for seat in self.seats.iter().flatten() {
            if matches!(seat.entering, Entering::In(_)) {
                let (client, bytes) = (seat.client, bytes.clone());
                self.send(ToSocket::Send { client, channel: Channel::Reliable, bytes });
            }
        }
    }

    fn message(&self, client: ClientId, message: &ServerMessage) {
        self.send(ToSocket::Send { client, channel: Channel::Reliable, bytes: message.encode() });
    }

    /// Hands something that must arrive to the socket thread. It empties its queue thousands of times a second; if it does
    /// not, waiting a moment for it is the lesser evil, and a client that then misses a message finds out by its timeout.
    fn send(&self, order: ToSocket) {
        const PATIENCE: Duration = Duration::from_millis(2);
        if self.to_socket.send_timeout(order, PATIENCE).is_err() {
            tracing::error!(room = self.number, "the socket thread is behind; a message was lost");
            self.shared.note(|stats| stats.dropped += 1);
        }
    }
}
