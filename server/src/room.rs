//! One match after another: inputs in, Tick, recording, snapshots and messages out.
//!
//! Who is in and what is due when stands here; `recording`, `replication` and `messages` are what goes out behind a
//! tick, `ends` is how matches and rooms end, `link` is what others hold of a room.

mod ends;
mod gallery;
mod journal;
mod kill_cam;
mod link;
mod messages;
mod phase;
mod places;
mod recording;
mod recovery;
mod replication;
mod resumption;
mod scripted;
mod sight;
mod suspicion;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arbiter_protocol::{GoodbyeReason, InputPacket, SoundList};
use arbiter_recording::End;
use arbiter_schema::StableId;
use arbiter_sim::{BuildError, Command, LeaveReason, Loadout, MatchSettings, Outcome, Simulation};
use arbiter_snapshot::{History, Peer};
use crossbeam::channel::Receiver;

use self::gallery::Gallery;
use self::kill_cam::KillCams;
use self::phase::PhaseTimes;
use self::recovery::{Rebuild, Recovery, Work};
use self::replication::Teller;
use self::sight::Sight;
use crate::buffer::InputBuffer;
use crate::histogram::Histogram;
use crate::interest::{Interest, News};
use crate::outbox::Story;
use crate::recorder::Recorder;
use crate::resume::Resumed;
use crate::shard::Remote;
use crate::sounds::{self, SoundQueue};
use crate::stats::{CpuTimer, TickTimes};
use crate::suspicion::conduct::Conduct;
use crate::suspicion::{DETECTORS, Suspicion};
use crate::{OnStop, ROOM_QUEUE_MAX, ServerConfig, Shared};

pub use self::phase::{PHASES, TickPhase};
pub(crate) use journal::Journal;
pub(crate) use link::{Arrival, FromSocket, Landed, Line, RoomLink};
pub(crate) use scripted::Scripted;

/// The seed of the match with this number, from 0.
pub(crate) fn seed(config: &ServerConfig, number: u32) -> u64 {
    match config.seed {
        Some(first) => first.wrapping_add(u64::from(number)),
        None => u64::from_le_bytes(random()),
    }
}

fn random<const N: usize>() -> [u8; N] {
    // A system without randomness has made no keys either, so that no server runs on it.
    arbiter_transport::token::random().unwrap_or([0; N])
}

/// Builds a match.
pub(crate) fn build(config: &ServerConfig, seed: u64) -> Result<Simulation, BuildError> {
    build_with(config, seed, config.settings.clone())
}

/// Builds a match with other settings.
pub(crate) fn build_with(config: &ServerConfig, seed: u64, settings: MatchSettings) -> Result<Simulation, BuildError> {
    let (rules, map) = (Arc::clone(&config.rules), Arc::clone(&config.map));
    Simulation::with_plugins(rules, map, seed, settings, &*config.plugins)
}

/// Parts that landed wait for the next tick, unless there are more: then no tick may be told for a while.
const LANDED_MAX: usize = 64;

enum Entering {
    /// Its join is a command of the next tick.
    Joining,
    /// Joined at this tick; is welcomed once the simulation knows it.
    Since(u32),
    /// Welcomed.
    In(StableId),
}

struct Seat {
    client: Remote,
    loadout: Loadout,
    entering: Entering,
    inputs: InputBuffer,
    /// How they come in.
    conduct: Conduct,
    /// What the client holds.
    peer: Peer,
    /// What it has yet to hear.
    sounds: SoundQueue,
    /// Parts that came or are lost, of which neither of the two above knows yet.
    landed: Vec<(u32, bool)>,
    /// What those hear of this tick who watch it.
    watched: SoundList,
    /// At this tick the client last began anew, since it could not read what it was told before.
    restarted: Option<u32>,
    /// By how many ticks the newest input lay ahead of what the player saw then.
    view_lag: Option<u16>,
    /// Tick of the newest input, and by how many ticks it was early.
    newest: Option<(u32, i8)>,
    line: Arc<Line>,
    /// Who it is, by the token; 0 for whoever has no account.
    player: u64,
    /// Since when this connection has the place.
    since: Instant,
    /// The connection was lost at this time, and the place is kept.
    lost: Option<Instant>,
}

impl Seat {
    /// Forgets what the client has and what came from it: its connection or its match is another one from now on.
    fn start_over(&mut self, tick_rate: u16) {
        self.inputs = InputBuffer::new(tick_rate);
        self.conduct = Conduct::default();
        self.peer.reset();
        self.sounds.begin(tick_rate);
        self.landed.clear();
        (self.restarted, self.view_lag, self.newest) = (None, None, None);
    }

    /// Parts have come or are lost: looked at when the next tick is told, which large rooms do on several threads.
    fn land(&mut self, landed: &Landed) {
        self.landed.extend(landed.iter().filter(|(tag, _)| tag & kill_cam::TAGS == 0));
        if self.landed.len() > LANDED_MAX {
            self.take_in();
        }
    }

    /// Looks at what landed.
    fn take_in(&mut self) {
        for (tag, came) in self.landed.drain(..) {
            sounds::land(&mut self.peer, &mut self.sounds, tag, came);
        }
    }

    /// Inputs came; `next` is the tick that is simulated next. For how many ticks the newest will wait, if it is new and in time.
    fn hear(&mut self, packet: &InputPacket, next: u32) -> Option<u32> {
        let newest = packet.inputs.first()?;
        if !self.conduct.note(packet, next) {
            return None;
        }
        let is_new = self.newest.is_none_or(|(last, _)| newest.tick > last);
        if is_new {
            let margin = (i64::from(newest.tick) - i64::from(next)).clamp(-127, 127);
            self.newest = Some((newest.tick, margin as i8));
            self.view_lag = u16::try_from(newest.tick.saturating_sub(newest.view_tick)).ok();
        }
        if let Some(tick) = packet.discarded
            && self.restarted.is_none_or(|restarted| tick >= restarted)
        {
            self.restarted = Some(next);
            self.peer.restart(next);
        }
        self.conduct.note_rewritten(self.inputs.push(&packet.inputs, next));
        newest.tick.checked_sub(next).filter(|_| is_new)
    }
}

/// Microseconds of so many ticks.
fn us_of(ticks: u32, tick_rate: u16) -> u64 {
    u64::from(ticks) * 1_000_000 / u64::from(tick_rate.max(1))
}

/// How a turn of a room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The next one is due with the next tick.
    Next,
    /// It has more to do, once whoever is due had their turn.
    Again,
    /// The room has ended.
    Over,
    /// It panicked, and cannot go on.
    Failed,
}

enum Phase {
    Playing,
    /// Being made again, behind a panic.
    Rebuilding(Rebuild),
    /// Between two matches.
    Waiting(Instant),
    /// Behind the last match: those who watch see its end.
    Showing,
}

/// A room.
pub(crate) struct Room {
    number: u16,
    shared: Arc<Shared>,
    inbox: Receiver<FromSocket>,
    recorder: Recorder,
    recording: Option<PathBuf>,
    /// What services are told of the match; only while it is recorded.
    story: Option<Story>,
    /// The recorder fell behind and has not yet taken that the recording ends.
    recording_breaks: bool,
    simulation: Simulation,
    phase: Phase,
    /// What it can be made again from.
    journal: Journal,
    recovery: Recovery,
    /// How often the match was taken up again.
    epoch: u32,
    /// Matches of this room and recoveries of them: the lowest bits are on the wire.
    eras: u32,
    history: History,
    interest: Interest,
    sight: Sight,
    suspicion: Suspicion,
    anomalies: suspicion::Told,
    /// By detector.
    anomaly_counts: [u64; DETECTORS],
    /// One for each thread that tells clients.
    tellers: Vec<Teller>,
    seats: Vec<Option<Seat>>,
    slots: HashMap<Remote, u16>,
    /// Those who watch; `None` if nobody may.
    gallery: Option<Box<Gallery>>,
    /// `None` if there are none.
    kill_cams: Option<Box<KillCams>>,
    /// What players were told of since a tick was last kept for either.
    watched: Vec<(u16, News)>,
    leaving: Vec<(u16, LeaveReason)>,
    /// Who came back to a place that changed hands a moment ago.
    waiting: Vec<Arrival>,
    match_id: [u8; 16],
    commands: Vec<Command>,
    times: TickTimes,
    phases: PhaseTimes,
    overruns: u64,
    inputs: u64,
    input_delays: Histogram,
    staleness: Histogram,
    snapshot_bytes: u64,
    sound_bytes: u64,
    snapshots: u64,
    held_back: u64,
    entities: (u64, u64),
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
        recorder: Recorder,
        resumed: Option<(Simulation, Resumed)>,
    ) -> Result<Self, BuildError> {
        let (simulation, resumed) = match resumed {
            Some((simulation, resumed)) => (simulation, Some(resumed)),
            None => (build(&shared.config, seed(&shared.config, u32::from(number)))?, None),
        };
        let history = History::new(simulation.registry());
        let interest = Interest::new(&simulation, shared.config.interest);
        let phases = PhaseTimes::new(shared.config.operate.is_some());
        let (sight, suspicion) = (Sight::new(&simulation), Suspicion::new(&simulation));
        let tellers = Self::tellers(&shared);
        let seats = (0..shared.config.settings.players_max).map(|_| None).collect();
        // A limit of matches may be below the number of rooms: a room without a match ends with its first tick.
        // What another process began goes on in any case.
        let ended = !shared.may_start_match() && resumed.is_none();
        let mut room = Self {
            number,
            shared,
            inbox,
            recorder,
            recording: None,
            story: None,
            recording_breaks: false,
            simulation,
            phase: Phase::Playing,
            journal: Journal::default(),
            recovery: Recovery::default(),
            epoch: 0,
            eras: 0,
            history,
            interest,
            sight,
            suspicion,
            anomalies: suspicion::Told::default(),
            anomaly_counts: [0; DETECTORS],
            tellers,
            seats,
            slots: HashMap::new(),
            gallery: None,
            kill_cams: None,
            watched: Vec::new(),
            leaving: Vec::new(),
            waiting: Vec::new(),
            match_id: random(),
            commands: Vec::new(),
            times: TickTimes::default(),
            phases,
            overruns: 0,
            inputs: 0,
            input_delays: Histogram::default(),
            staleness: Histogram::default(),
            snapshot_bytes: 0,
            sound_bytes: 0,
            snapshots: 0,
            held_back: 0,
            entities: (0, 0),
            substituted: 0,
            late: 0,
            matches: 0,
            outcome: None,
            ended,
        };
        let (registry, ladder) = (room.simulation.registry(), room.ladder());
        room.gallery = Gallery::new(&room.shared.config, registry, ladder);
        room.kill_cams = KillCams::new(&room.shared.config, registry, ladder);
        match resumed {
            Some(resumed) => room.take_up(resumed),
            None if !ended => room.begin(random()),
            None => {}
        }
        Ok(room)
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn note_overruns(&mut self, missed: u64) {
        self.overruns += missed;
    }

    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    fn link(&self) -> &RoomLink {
        &self.shared.rooms[usize::from(self.number)]
    }

    /// Starts what a fresh simulation needs.
    fn begin(&mut self, match_id: [u8; 16]) {
        self.matches += 1;
        self.match_id = match_id;
        self.recovery.reset();
        self.epoch = 0;
        self.link().set_epoch(0);
        self.number_again();
        self.link().set_match_id(u128::from_be_bytes(match_id));
        self.link().set_mode(&self.simulation.settings().mode);
        self.journal.checkpoint(&self.simulation, None);
        self.begin_recording();
        self.announce();
    }

    /// What tells datagrams of now from those of before.
    fn number_again(&mut self) {
        self.eras = self.eras.wrapping_add(1);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Turn {
        let turn = if matches!(self.phase, Phase::Rebuilding(_)) {
            self.rebuild(now)
        } else if self.work(now) {
            Turn::Next
        } else {
            Turn::Over
        };
        self.link().turn();
        self.shared.wake_shards();
        turn
    }

    /// False when the room has ended for good.
    fn work(&mut self, now: Instant) -> bool {
        if self.ended {
            self.end(GoodbyeReason::MatchOver);
            return false;
        }
        let timer = CpuTimer::start();
        let _span = self.tick_span();
        self.in_phase(TickPhase::Inbox, |room| {
            room.read_inbox(now);
            room.keep_places(now);
        });
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
                if let Some(order) = self.take_order() {
                    self.close_recording(End::Abandoned);
                    return self.next_match(Some(order));
                }
                let step_us = self.play(now);
                self.in_phase(TickPhase::Spectators, |room| {
                    room.show_kills();
                    room.show();
                });
                self.times.note(timer.elapsed_us(), step_us);
            }
            Phase::Rebuilding(_) => {}
            Phase::Waiting(until) => {
                self.show();
                if self.shared.stopping().is_some() {
                    self.end(GoodbyeReason::Stopping);
                    return false;
                }
                if let Some(order) = self.take_order() {
                    return self.next_match(Some(order));
                }
                // What players earned could not be told.
                if now >= until && !self.shared.outbox_is_stuck() && !self.next_match(None) {
                    return false;
                }
            }
            Phase::Showing => {
                self.show();
                if !self.is_watched() || self.shared.stopping().is_some() {
                    self.end(GoodbyeReason::MatchOver);
                    return false;
                }
            }
        }
        if self.times.is_due() {
            self.note_staleness();
            self.publish();
        }
        true
    }

    /// How old what each client is known to have is.
    fn note_staleness(&mut self) {
        let (tick, rate) = (self.simulation.tick(), self.simulation.settings().tick_rate);
        let told =
            self.seats.iter().flatten().filter(|seat| matches!(seat.entering, Entering::In(_)) && seat.lost.is_none());
        for held in told.map(|seat| seat.peer.newest_held()).filter(|held| *held > 0) {
            self.staleness.note(us_of(tick.saturating_sub(held), rate));
        }
    }

    fn publish(&mut self) {
        let stats = Arc::clone(&self.link().stats);
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.times.publish(&mut stats);
        stats.matches = self.matches;
        stats.tick = self.simulation.tick();
        stats.players = self.slots.len() as u16;
        stats.overruns = self.overruns;
        stats.phases_us = self.phases.us();
        (stats.inputs, stats.input_delays, stats.staleness) = (self.inputs, self.input_delays, self.staleness);
        (stats.snapshot_bytes, stats.snapshots, stats.held_back) =
            (self.snapshot_bytes, self.snapshots, self.held_back);
        stats.sound_bytes = self.sound_bytes;
        if let Some(gallery) = &self.gallery {
            (stats.spectators, stats.spectator_ticks_left_out) = (gallery.len() as u16, gallery.left_out());
            stats.spectator_bytes = gallery.waiting_bytes();
            stats.snapshot_bytes += gallery.snapshot_bytes;
            stats.snapshots += gallery.snapshots;
            stats.held_back += gallery.held_back;
        }
        if let Some(cams) = &self.kill_cams {
            stats.snapshot_bytes += cams.snapshot_bytes;
        }
        (stats.encodings, stats.entities) = (self.encodings(), self.entities);
        let seats = self.seats.iter().flatten();
        let (substituted, late) =
            seats.fold((0, 0), |(made, late), seat| (made + seat.inputs.substituted, late + seat.inputs.late));
        stats.inputs_substituted = self.substituted + substituted;
        (stats.anomalies, stats.suspicion) = (self.anomaly_counts, self.suspicion.peaks());
        stats.inputs_late = self.late + late;
        stats.recording.clone_from(&self.recording);
        stats.outcome = self.outcome;
        stats.ended = self.ended;
    }

    fn read_inbox(&mut self, now: Instant) {
        let (next, rate) = (self.simulation.tick() + 1, self.simulation.settings().tick_rate);
        // No more than what can wait: a flood must not hold the tick.
        for _ in 0..ROOM_QUEUE_MAX {
            let Ok(message) = self.inbox.try_recv() else { return };
            match message {
                FromSocket::Join(arrival) => self.arrive(arrival, now),
                FromSocket::Watch { client, line } => self.admit(client, line),
                FromSocket::Left { client, reason } => self.depart(client, reason, now),
                FromSocket::Landed { client, landed } => {
                    self.land_kill_cam(client, &landed);
                    if let Some(seat) = self.seat_of(client) {
                        seat.land(&landed);
                    } else if let Some(gallery) = &mut self.gallery {
                        gallery.land(client, &landed, None);
                    }
                }
                FromSocket::Input { client, packet, landed } => {
                    let number = self.match_number();
                    self.land_kill_cam(client, &landed);
                    let Some(seat) = self.seat_of(client) else {
                        if let Some(gallery) = &mut self.gallery {
                            // Inputs of whoever watches are not looked at.
                            let discarded = packet.discarded.map(|tick| (tick, packet.match_number));
                            gallery.land(client, &landed, discarded);
                        }
                        continue;
                    };
                    seat.land(&landed);
                    // Inputs for the match before may still be under way.
                    if matches!(seat.entering, Entering::In(_)) && packet.match_number == number {
                        let waits = seat.hear(&packet, next);
                        waits.into_iter().for_each(|ticks| self.input_delays.note(us_of(ticks, rate)));
                    }
                }
            }
        }
    }

    fn land_kill_cam(&mut self, client: Remote, landed: &Landed) {
        if let (Some(cams), Some(slot)) = (&mut self.kill_cams, self.slots.get(&client)) {
            cams.land(*slot, landed);
        }
    }

    fn seat_of(&mut self, client: Remote) -> Option<&mut Seat> {
        let slot = self.slots.get(&client).copied()?;
        self.seats[usize::from(slot)].as_mut()
    }

    /// One tick of the match; returns the thread CPU of the simulation in microseconds.
    fn play(&mut self, now: Instant) -> u64 {
        let tick = self.simulation.tick() + 1;
        if !core::mem::take(&mut self.recovery.is_composed) {
            self.in_phase(TickPhase::Inbox, |room| room.compose(tick));
        }
        self.recovery.work = Work::Stepping;
        if let Some(story) = &mut self.story {
            story.before(&self.commands, &self.simulation);
        }
        let timer = CpuTimer::start();
        self.in_phase(TickPhase::Simulation, |room| room.simulation.step(&room.commands));
        let step_us = timer.elapsed_us();
        self.recovery.work = Work::Recording;
        self.in_phase(TickPhase::Recording, |room| room.record(tick));
        self.recovery.work = Work::Telling;
        if let Some(observer) = &self.shared.config.observer {
            observer(self.number, &self.simulation);
        }
        self.in_phase(TickPhase::Messages, |room| {
            room.tell_events(tick);
            room.welcome(tick);
        });
        self.in_phase(TickPhase::Replication, |room| room.replicate(tick));
        self.in_phase(TickPhase::Spectators, |room| room.keep_tick(tick));
        self.in_phase(TickPhase::Suspicion, |room| room.suspect(tick));
        if let Some(outcome) = self.simulation.ended() {
            self.finish_match(outcome, now);
        }
        self.recovery.work = Work::Between;
        step_us
    }

    /// What a tick is stepped with.
    fn compose(&mut self, tick: u32) {
        self.commands.clear();
        self.commands.extend_from_slice(self.sight.changes());
        for (slot, reason) in self.leaving.drain(..) {
            self.commands.push(Command::Leave { slot, reason });
            self.sight.leave(slot);
            self.suspicion.forget(slot);
        }
        for (slot, seat) in (0..).zip(&mut self.seats) {
            let Some(seat) = seat else { continue };
            match seat.entering {
                Entering::Joining => {
                    self.commands.push(Command::Join { slot, loadout: seat.loadout });
                    self.journal.join(tick, slot, seat.player);
                    self.sight.join(slot);
                    seat.entering = Entering::Since(tick);
                }
                Entering::Since(_) => {}
                Entering::In(_) => {
                    if let Some((input, substituted)) = seat.inputs.take(tick) {
                        self.commands.push(Command::Input { slot, input, substituted });
                        self.inputs += 1;
                    }
                }
            }
        }
    }
}
