//! The client core: what a client says and understands, without a socket and without a clock. Whoever owns the socket
//! passes bytes and times in and takes bytes out; [`crate::runner`] is the one that bots use.
//!
//! Order of a client's life: [`ClientCore::connected`] when the transport is, then messages and datagrams as they come; for
//! each tick of [`ClientCore::next_input`] an input is made from what the client knows and given to
//! [`ClientCore::push_input`]; [`ClientCore::write_datagram`] after that.

use core::time::Duration;
use std::collections::VecDeque;

use arbiter_protocol::input::INPUTS_PER_PACKET_MAX;
use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, InputPacket, Join, KillCamHeader, MatchMessage, PROTOCOL_VERSION,
    ProtocolError, Refused, ServerMessage, SnapshotHeader, Sounds, Target, Watching, Welcome, WireInput,
};
use arbiter_schema::{Registry, StableId};
use arbiter_sim::{Input, Loadout};
use arbiter_snapshot::{Form, Frame, Receiver, SnapshotError};
use thiserror::Error;

use crate::clock::ServerClock;
use crate::freezes::{Freeze, Freezes};
use crate::hearing::{HeardSound, Hearing};
use crate::interpolation::ViewClock;

/// Facts of the match that wait to be read; older ones go first, since only the newest interest somebody who reads so late.
const NOTICES_MAX: usize = 256;
/// States that are kept: a quarter of a second at the highest tick rate, further back than the others are ever shown.
const FRAMES_MAX: usize = 32;
/// Datagrams in which it is said that something could not be kept: half a second, in which one arrives on any link.
const DISCARDED_TOLD: u32 = 30;
/// Inputs in a datagram on a link that loses nothing: two may be lost before one is missing.
const INPUTS_AT_LEAST: usize = 3;
/// Inputs more for each share of loss: all of them from two in a hundred on, since losses come in bursts.
const INPUTS_BY_LOSS: f32 = 250.0;

/// Why bytes from the server were refused. They are dropped; a client goes on.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A message or a datagram is malformed.
    #[error("malformed bytes from the server: {0}; check that both ends are of one version")]
    Protocol(#[from] ProtocolError),
    /// A part of a snapshot makes no sense.
    #[error("bad snapshot: {0}; the client says so and is told anew")]
    Snapshot(#[from] SnapshotError),
    /// Only clients send these.
    #[error("the server sent what only clients send")]
    Direction,
}

/// Where a client is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// The transport is not connected yet.
    Connecting,
    /// The join is sent.
    Joining,
    /// In a match.
    Playing,
    /// The server refused.
    Refused(Refused),
    /// It is over, in good order.
    Over(GoodbyeReason),
}

/// A client.
#[derive(Debug)]
pub struct ClientCore {
    stage: Stage,
    loadout: Loadout,
    /// Whom it wishes to watch, if it does not play.
    watch: Option<Target>,
    watching: Option<Watching>,
    protocol_hash: u64,
    receiver: Receiver,
    /// What was known at each of the last ticks of which anything came, oldest first.
    frames: VecDeque<Frame>,
    /// What the killer was told, until the next death.
    kill_cam: KillCam,
    /// What is heard and waits to be played.
    hearing: Hearing,
    /// The newest tick of which a part was not kept, and in how many datagrams that is still said.
    discarded: Option<(u32, u32)>,
    clock: ServerClock,
    welcome: Option<Welcome>,
    /// Welcomes so far.
    beginnings: u32,
    messages: VecDeque<Vec<u8>>,
    inputs: VecDeque<WireInput>,
    unsent: bool,
    round_trip: Option<Duration>,
    newest_tick: u32,
    view: ViewClock,
    inputs_sent: usize,
    notices: VecDeque<MatchMessage>,
    freezes: Freezes,
    counts: Counts,
}

/// What a killer was told, as whoever was killed is told of it.
#[derive(Debug)]
struct KillCam {
    /// `None` before the first death.
    number: Option<u8>,
    newest: u32,
    receiver: Receiver,
    frame: Frame,
}

/// What a client has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ticks of which anything came.
    pub snapshots: u64,
    /// Bytes of their datagrams.
    pub snapshot_bytes: u64,
    /// Inputs made.
    pub inputs: u64,
    /// Snapshots that told that the newest input had come too late.
    pub late_inputs: u64,
    /// Bytes from the server that made no sense.
    pub malformed: u64,
}

impl Counts {
    /// Adds what another client has counted.
    pub fn add(&mut self, other: Self) {
        self.snapshots += other.snapshots;
        self.snapshot_bytes += other.snapshot_bytes;
        self.inputs += other.inputs;
        self.late_inputs += other.late_inputs;
        self.malformed += other.malformed;
    }
}

impl ClientCore {
    /// A client for a server with these components that wishes to play as `loadout` says.
    pub fn new(registry: &Registry, loadout: Loadout) -> Self {
        Self {
            stage: Stage::Connecting,
            loadout,
            watch: None,
            watching: None,
            protocol_hash: arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(registry)),
            receiver: Receiver::new(registry),
            frames: VecDeque::with_capacity(FRAMES_MAX),
            kill_cam: KillCam { number: None, newest: 0, receiver: Receiver::new(registry), frame: Frame::default() },
            hearing: Hearing::default(),
            discarded: None,
            clock: ServerClock::new(60),
            welcome: None,
            beginnings: 0,
            messages: VecDeque::new(),
            inputs: VecDeque::with_capacity(INPUTS_PER_PACKET_MAX),
            unsent: false,
            round_trip: None,
            newest_tick: 0,
            view: ViewClock::new(1.0 / 60.0),
            inputs_sent: INPUTS_PER_PACKET_MAX,
            notices: VecDeque::new(),
            freezes: Freezes::default(),
            counts: Counts::default(),
        }
    }

    /// A client that watches and does not play.
    pub fn spectator(registry: &Registry, target: Target) -> Self {
        Self { watch: Some(target), ..Self::new(registry, Loadout::default()) }
    }

    /// Wishes to watch somebody else. The server grants the newest wish, and says so: [`Self::watching`]. Does nothing in a
    /// client that plays.
    pub fn watch(&mut self, target: Target) {
        if self.watch.is_some_and(|old| old != target) {
            self.watch = Some(target);
            if matches!(self.stage, Stage::Joining | Stage::Playing) {
                self.messages.push_back(ClientMessage::Watch(target).encode());
            }
        }
    }

    /// What a spectator is shown, as the server said last.
    pub fn watching(&self) -> Option<&Watching> {
        self.watching.as_ref()
    }

    /// The transport is connected: asks to join.
    pub fn connected(&mut self) {
        if self.stage != Stage::Connecting {
            return;
        }
        self.stage = Stage::Joining;
        self.messages.push_back(self.join());
    }

    /// What a client says first on a connection. One that comes back over another connection sends it there, plays on with the
    /// first one meanwhile, and hands over what the other brings from its Welcome on.
    pub fn join(&self) -> Vec<u8> {
        let join = Join {
            version: PROTOCOL_VERSION,
            protocol_hash: self.protocol_hash,
            hero: self.loadout.hero,
            team: self.loadout.team,
            watch: self.watch,
        };
        ClientMessage::Join(join).encode()
    }

    /// Says goodbye.
    pub fn quit(&mut self) {
        if matches!(self.stage, Stage::Joining | Stage::Playing) {
            self.messages.push_back(ClientMessage::Goodbye(Goodbye { reason: GoodbyeReason::Quit }).encode());
        }
        self.stage = Stage::Over(GoodbyeReason::Quit);
    }

    /// Where the client is in its life.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// What the server said on entering.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// When nothing new was shown for a while, oldest first.
    pub fn freezes(&self) -> &[Freeze] {
        self.freezes.list()
    }

    /// How often the server began to tell everything anew: with each match, with each connection, and when it recovered a match.
    pub fn beginnings(&self) -> u32 {
        self.beginnings
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The round-trip time, once it is known.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The transport's round-trip time, which the clock needs to be ahead of the server by the right amount. To be told after
    /// each datagram.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
        self.clock.set_round_trip(round_trip);
    }

    /// The server's clock as seen from here.
    pub fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// What is known at the newest tick of which anything came.
    pub fn newest(&self) -> Option<&Frame> {
        self.frames.back()
    }

    /// What is known at a tick of which anything came, if it was not long ago.
    pub fn frame(&self, tick: u32) -> Option<&Frame> {
        let at = self.frames.binary_search_by_key(&tick, Frame::tick).ok()?;
        self.frames.get(at)
    }

    /// What the killer knew at the newest tick that was told of it, behind one's own death. It stays until the next match; show
    /// it while dead.
    pub fn kill_cam(&self) -> Option<&Frame> {
        self.kill_cam.number.map(|_| &self.kill_cam.frame)
    }

    /// The next sound of a tick until `ticks`, oldest first: what is heard goes with what is shown, which is the time of
    /// [`Self::view_time`]. Each sound comes once; one that came late is there at once, with the tick at which it sounded.
    pub fn next_sound(&mut self, ticks: f64) -> Option<HeardSound> {
        self.hearing.next(ticks)
    }

    /// The next fact of the match, oldest first.
    pub fn next_notice(&mut self) -> Option<MatchMessage> {
        self.notices.pop_front()
    }

    /// The next reliable message to send.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        self.messages.pop_front()
    }

    /// A reliable message came from the server.
    pub fn receive_message(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let message = ServerMessage::decode(bytes).inspect_err(|_| self.counts.malformed += 1)?;
        match message {
            ServerMessage::Welcome(welcome) => self.enter(welcome),
            ServerMessage::Refused(refused) => self.stage = Stage::Refused(refused),
            ServerMessage::Goodbye(goodbye) => self.stage = Stage::Over(goodbye.reason),
            ServerMessage::Watching(watching) => self.watching = Some(watching),
            ServerMessage::Match(message) => {
                if self.notices.len() == NOTICES_MAX {
                    self.notices.pop_front();
                }
                self.notices.push_back(message);
            }
        }
        Ok(())
    }

    /// A welcome begins a match, or takes one up again; what was known before is void.
    fn enter(&mut self, welcome: Welcome) {
        if self.welcome.as_ref().is_none_or(|before| before.match_id != welcome.match_id) {
            self.freezes.pause();
        }
        self.freezes.pace(Duration::from_secs(1) / u32::from(welcome.tick_rate.max(1)));
        self.receiver.begin(welcome.tick);
        self.receiver.set_form(if welcome.small_parts { Form::Small } else { Form::Shared });
        self.frames.clear();
        self.kill_cam.number = None;
        self.hearing.forget();
        self.clock = ServerClock::new(welcome.tick_rate);
        self.inputs.clear();
        self.unsent = false;
        self.newest_tick = 0;
        self.view = ViewClock::new(self.clock.tick_s());
        self.stage = Stage::Playing;
        self.beginnings += 1;
        self.welcome = Some(welcome);
    }

    /// The body of a payload came from the server at local time `now`.
    pub fn receive_datagram(&mut self, kind: u8, bytes: &[u8], now: Duration) -> Result<(), ClientError> {
        let datagram = Datagram::decode(kind, bytes).inspect_err(|_| self.counts.malformed += 1)?;
        let (header, sounds, part) = match datagram {
            Datagram::Snapshot(header, part) => (header, None, part),
            Datagram::Sounds(header, sounds, part) => (header, Some(sounds), part),
            Datagram::KillCam(header, part) => return self.receive_kill_cam(header, part),
            Datagram::Input(_) => {
                self.counts.malformed += 1;
                return Err(ClientError::Direction);
            }
        };
        let Some(welcome) = self.welcome.as_ref().filter(|_| self.stage == Stage::Playing) else {
            // Parts may overtake the reliable welcome. Without it nobody knows which match they belong to, and the server
            // takes them for known: it has to be told that they are not.
            self.discard(0);
            return Ok(());
        };
        if header.match_number != welcome.number {
            self.discard(0);
            return Ok(());
        }
        let tick = match self.receiver.receive(part) {
            Ok(tick) => tick,
            Err(error) => {
                if let SnapshotError::NotHeld { tick, .. } = error {
                    self.hear(tick, sounds);
                }
                self.refuse(&error, header, now);
                return Err(error.into());
            }
        };
        self.hear(tick, sounds);
        self.counts.snapshot_bytes += bytes.len() as u64;
        if self.show(tick) {
            self.counts.snapshots += 1;
            self.measure(header, tick, now);
        }
        Ok(())
    }

    /// Takes what is heard beside a part of a tick. It rests on nothing that is held, so that it is taken beside a part that
    /// cannot be read for lack of that, too: the server is told that it has come, and does not tell it again.
    fn hear(&mut self, tick: u32, sounds: Option<Sounds<'_>>) {
        if let Some(sounds) = sounds {
            self.hearing.take(tick, sounds);
        }
    }

    /// A part of a kill cam. What cannot be kept is not asked for again: it would be over by then.
    fn receive_kill_cam(&mut self, header: KillCamHeader, part: &[u8]) -> Result<(), ClientError> {
        if self.stage != Stage::Playing || self.welcome.as_ref().map(|it| it.number) != Some(header.match_number) {
            return Ok(());
        }
        let cam = &mut self.kill_cam;
        if cam.number != Some(header.number) {
            // A part of the one before may come late.
            if cam.number.is_some_and(|number| header.number.wrapping_sub(number) & 63 >= 32) {
                return Ok(());
            }
            cam.number = Some(header.number);
            // Its ticks are of a while ago: near enough to be read by their low bits.
            (cam.newest, cam.frame) = (0, Frame::default());
            cam.receiver.begin(self.newest_tick);
        }
        let tick = cam.receiver.receive(part).inspect_err(|_| self.counts.malformed += 1)?;
        cam.newest = cam.newest.max(tick);
        cam.receiver.frame(cam.newest, &mut cam.frame);
        Ok(())
    }

    /// A part cannot be kept. When it came is worth knowing all the same: without a clock there are no inputs, and without
    /// inputs the server does not hear of it.
    fn refuse(&mut self, error: &SnapshotError, header: SnapshotHeader, now: Duration) {
        let tick = match error {
            SnapshotError::Size(_) => {
                self.counts.malformed += 1;
                return;
            }
            SnapshotError::Malformed { tick, .. } => {
                self.counts.malformed += 1;
                *tick
            }
            SnapshotError::NotHeld { tick, .. } | SnapshotError::Unplaced { tick } => {
                self.measure(header, *tick, now);
                *tick
            }
        };
        self.receiver.forget_until(tick);
        self.discard(tick);
    }

    /// Notes that what was told until a tick is not held; 0 for a tick that is not known.
    fn discard(&mut self, tick: u32) {
        self.discarded = Some((self.discarded.map_or(0, |(tick, _)| tick).max(tick), DISCARDED_TOLD));
    }

    /// Makes the frames from a tick on anew, of which a part has come; whether it is the first part of the tick.
    fn show(&mut self, tick: u32) -> bool {
        let at = self.frames.partition_point(|frame| frame.tick() < tick);
        let is_first = self.frames.get(at).is_none_or(|frame| frame.tick() != tick);
        if is_first {
            if at == 0 && self.frames.len() == FRAMES_MAX {
                return false;
            }
            let full = self.frames.len() == FRAMES_MAX;
            let mut frame = if full { self.frames.pop_front() } else { None }.unwrap_or_default();
            self.receiver.frame(tick, &mut frame);
            self.frames.insert(at - usize::from(full), frame);
        }
        let known = self.frames.partition_point(|frame| frame.tick() < tick + u32::from(is_first));
        for frame in self.frames.iter_mut().skip(known) {
            let tick = frame.tick();
            self.receiver.frame(tick, frame);
        }
        is_first
    }

    fn measure(&mut self, header: SnapshotHeader, tick: u32, now: Duration) {
        if tick > self.newest_tick {
            self.clock.snapshot_arrived(tick, now);
            if self.newest_tick > 0 {
                self.view.snapshot_arrived(self.newest_tick, tick, self.clock.arriving(now));
            }
            self.newest_tick = tick;
            self.freezes.note(now);
        }
        if let Some(margin) = header.input_margin {
            self.counts.late_inputs += u64::from(margin < 0);
            self.clock.inputs_arrived_early(i32::from(margin));
        }
    }

    /// The next tick that an input is due for at local time `now`.
    pub fn next_input(&mut self, now: Duration) -> Option<u32> {
        if self.stage == Stage::Playing { self.clock.next_input(now) } else { None }
    }

    /// The input for a tick of [`Self::next_input`]. The last ones go with every datagram, so that a lost one costs nothing.
    pub fn push_input(&mut self, tick: u32, input: Input) {
        // A packet holds consecutive ticks: after a gap the older ones are of no use.
        if self.inputs.front().is_some_and(|last| last.tick.wrapping_add(1) != tick) {
            self.inputs.clear();
        }
        if self.inputs.len() == INPUTS_PER_PACKET_MAX {
            self.inputs.pop_back();
        }
        self.counts.inputs += 1;
        self.unsent = true;
        self.inputs.push_front(WireInput {
            tick,
            buttons: input.buttons,
            move_right: input.move_right.max(-127),
            move_forward: input.move_forward.max(-127),
            yaw: input.yaw,
            pitch: input.pitch,
            view_tick: input.view_tick.min(tick),
            view_fraction: input.view_fraction,
        });
    }

    /// Makes the inputs that are due of a client that watches. They say nothing and the server does not look at them, but what it
    /// is told by them, and by the datagrams that they come in, is what has arrived.
    pub fn idle(&mut self, now: Duration) {
        while let Some(tick) = self.next_input(now) {
            self.push_input(tick, Input { view_tick: tick, ..Input::default() });
        }
    }

    /// Appends the body to send, of kind [`KIND_INPUT`](arbiter_protocol::KIND_INPUT), if an input was pushed since the last
    /// one.
    pub fn write_datagram(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.unsent || self.stage != Stage::Playing {
            return false;
        }
        self.unsent = false;
        let inputs = self.inputs.iter().take(self.inputs_sent).copied().collect();
        let discarded = self.discarded.map(|(tick, _)| tick);
        self.discarded =
            self.discarded.and_then(|(tick, left)| Some((tick, left.checked_sub(1).filter(|left| *left > 0)?)));
        let match_number = self.welcome.as_ref().map_or(0, |welcome| welcome.number);
        Datagram::Input(InputPacket { inputs, match_number, discarded }).encode(out);
        true
    }

    /// The share of its datagrams that is lost, as the transport measures it: how often inputs are repeated follows it.
    pub fn set_loss(&mut self, share: f32) {
        let more = (share.clamp(0.0, 1.0) * INPUTS_BY_LOSS) as usize;
        self.inputs_sent = (INPUTS_AT_LEAST + more).min(INPUTS_PER_PACKET_MAX);
    }

    /// The tick, with its fraction in steps of 1/256, that the others are shown at: far enough behind what arrives that the
    /// next one is there in time, and never going back.
    pub fn view_time(&mut self, now: Duration) -> f64 {
        let arriving = self.clock.arriving(now);
        // What is told of a shot is exactly what was shown.
        (self.view.advance(now, arriving, self.newest_tick) * 256.0).floor() / 256.0
    }

    /// What shows the others.
    pub fn view_clock(&self) -> &ViewClock {
        &self.view
    }

    /// What was known around a time in ticks, and where between the two it lies: before the first or behind the last both are
    /// the same.
    pub fn around(&self, ticks: f64) -> Option<(&Frame, &Frame, f32)> {
        let (before, mut behind) = self.split_at(ticks)?;
        let after = behind.next().unwrap_or(before);
        Some((before, after, share(ticks, before.tick(), after.tick())))
    }

    /// As [`Self::around`], for one entity, of which not each tick tells: between the two states of it that are known.
    pub fn around_entity(&self, id: StableId, ticks: f64) -> Option<(&Frame, &Frame, f32)> {
        let (before, mut behind) = self.split_at(ticks)?;
        let tick_of = |frame: &Frame| frame.entity(id).next().map(|row| row.tick);
        let was = tick_of(before);
        let Some((after, is)) = behind.find_map(|frame| Some((frame, tick_of(frame).filter(|is| Some(*is) != was)?)))
        else {
            return Some((before, before, 0.0));
        };
        Some((before, after, share(ticks, was.unwrap_or(is), is)))
    }

    /// The newest frame until a time, or the first, and those behind it.
    fn split_at(&self, ticks: f64) -> Option<(&Frame, impl Iterator<Item = &Frame>)> {
        let until = self.frames.partition_point(|frame| f64::from(frame.tick()) <= ticks);
        let before = self.frames.get(until.saturating_sub(1))?;
        Some((before, self.frames.iter().skip(until.max(1))))
    }
}

/// Where a time in ticks lies between two ticks.
fn share(ticks: f64, from: u32, to: u32) -> f32 {
    if to <= from {
        return 0.0;
    }
    ((ticks - f64::from(from)) / f64::from(to - from)).clamp(0.0, 1.0) as f32
}
