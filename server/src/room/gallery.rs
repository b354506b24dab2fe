//! Those who watch: let in, told what the [`Stage`](crate::broadcast::Stage) shows, and let go. They are no part of the match:
//! nothing that they send gets further than this file, and the simulation cannot know of them.
//!
//! [`Room::show`] is the last that a turn of the room does, behind everything that players wait for: whoever must save time may
//! leave it out, and spectators see fewer pictures.

use core::time::Duration;
use std::sync::Arc;

use arbiter_protocol::{
    Datagram, Goodbye, GoodbyeReason, Refused, RefusedReason, ServerMessage, SnapshotHeader, Sounds, Target, Watching,
    Welcome,
};
use arbiter_schema::{Registry, StableId};
use arrayvec::ArrayVec;

use super::replication::with_sounds;
use super::{Landed, Line, Room, messages};
use crate::broadcast::{Due, Eye, Ink, Reel, View, turns};
use crate::shard::{Remote, ToSocket};
use crate::shed::{SPECTATORS_EVERY, Step};
use crate::{SPECTATOR_DELAY_MAX, ServerConfig, Shared};

/// A spectator changes whom to watch at most so often, since each time costs a state in full.
const CHANGE_EVERY: Duration = Duration::from_millis(250);

/// One who watches.
struct Spectator {
    client: Remote,
    line: Arc<Line>,
    eye: Eye,
    /// Was told which match it is.
    is_in: bool,
    target: Target,
    /// The turn from which on it may be shown another view.
    change_from: u64,
    /// See `Seat`.
    restarted: Option<u32>,
}

/// See the module.
pub(super) struct Gallery {
    pub reel: Reel,
    spectators: Vec<Spectator>,
    delay: Duration,
    ladder: u32,
    change_turns: u64,
    /// Ticks that were due to be shown.
    due: u64,
    /// Ticks that were shown, and bytes of them.
    pub snapshots: u64,
    pub snapshot_bytes: u64,
    pub held_back: u64,
    ink: Ink,
}

impl Gallery {
    /// For a room; `None` if nobody may watch.
    pub fn new(config: &ServerConfig, registry: &Registry, ladder: u32) -> Option<Box<Self>> {
        if config.spectators_max == 0 {
            return None;
        }
        let delay = config.spectator_delay.min(SPECTATOR_DELAY_MAX);
        Some(Box::new(Self {
            // One turn more, as a turn may have been late by less than that.
            reel: Reel::new(config, registry, delay, 1),
            spectators: Vec::new(),
            delay,
            ladder,
            change_turns: turns(CHANGE_EVERY, config.settings.tick_rate),
            due: 0,
            snapshots: 0,
            snapshot_bytes: 0,
            held_back: 0,
            ink: Ink::default(),
        }))
    }

    pub fn len(&self) -> usize {
        self.spectators.len()
    }

    pub fn left_out(&self) -> u64 {
        self.reel.tape.left_out()
    }

    /// Bytes of what waits to be shown.
    pub fn waiting_bytes(&self) -> u64 {
        self.reel.tape.used() as u64
    }

    fn is_waited_for(&self) -> bool {
        !self.spectators.is_empty() && !self.reel.tape.is_empty()
    }

    fn find(&mut self, client: Remote) -> Option<&mut Spectator> {
        self.spectators.iter_mut().find(|spectator| spectator.client == client)
    }

    /// What became of parts, and the tick of which nothing could be read.
    pub fn land(&mut self, client: Remote, landed: &Landed, discarded: Option<(u32, u8)>) {
        let shown = self.reel.stage.welcome().map(|(tick, welcome)| (tick, welcome.number));
        let Some(spectator) = self.find(client) else { return };
        for (tag, came) in landed {
            spectator.eye.land(*tag, *came);
        }
        if let (Some((discarded, number)), Some((tick, shown))) = (discarded, shown)
            && number == shown
            && spectator.restarted.is_none_or(|restarted| discarded >= restarted)
        {
            spectator.restarted = Some(tick);
            spectator.eye.restart(tick);
        }
    }

    /// Shows the same spectators what another one has for them.
    pub fn renew(&mut self, fresh: Self) {
        let mut spectators = core::mem::take(&mut self.spectators);
        for spectator in &mut spectators {
            spectator.leave_match();
            // Turns are counted anew.
            spectator.change_from = 0;
        }
        *self = Self { spectators, ..fresh };
    }

    fn turn(&mut self, shared: &Shared, room: u16) {
        let is_due = self.play(shared, room);
        for spectator in self.spectators.iter_mut().filter(|spectator| spectator.is_in) {
            spectator.eye.hear(&self.reel.stage, View::of(spectator.target));
        }
        if is_due {
            self.due += 1;
            if shared.shed.lets_watch() || self.due.is_multiple_of(SPECTATORS_EVERY) {
                // Players do not wait for those who watch.
                shared.wake_shards();
                self.tell(shared, room);
            } else if !self.spectators.is_empty() {
                shared.shed.note(|stats| stats.spectator_snapshots += self.spectators.len() as u64);
            }
        }
        self.reel.turn += 1;
    }

    /// Plays what is due. Whether a tick is to be told.
    fn play(&mut self, shared: &Shared, room: u16) -> bool {
        let Self { reel, spectators, .. } = self;
        reel.play(!spectators.is_empty(), |due| match due {
            Due::Match => spectators.iter_mut().for_each(Spectator::leave_match),
            Due::Message(bytes) => {
                for spectator in spectators.iter().filter(|spectator| spectator.is_in) {
                    let bytes = bytes.to_vec();
                    let message = |client| ToSocket::Message { client, bytes };
                    messages::send(shared, room, spectator.client, message);
                }
            }
        })
    }

    fn tell(&mut self, shared: &Shared, room: u16) {
        let Self { reel, spectators, ink, change_turns, delay, .. } = self;
        let (stage, turn) = (&reel.stage, reel.turn);
        let Some((tick, welcome)) = stage.welcome() else { return };
        let say = |client: Remote, message: &ServerMessage| {
            messages::send(shared, room, client, |client| ToSocket::Message { client, bytes: message.encode() });
        };
        let budget_max = reel.budget_max(&shared.config, welcome.tick_rate);
        for spectator in spectators {
            let wish = spectator.line.wish();
            let may_change = spectator.target != wish && turn >= spectator.change_from;
            if may_change {
                spectator.target = wish;
            }
            if !spectator.is_in {
                say(spectator.client, &ServerMessage::Welcome(Welcome { tick, ..welcome.clone() }));
            }
            if may_change || !spectator.is_in {
                spectator.eye.turn_away(welcome.tick_rate);
                (spectator.is_in, spectator.change_from) = (true, turn + *change_turns);
                let watching = Watching { target: spectator.target, tick, delay_ms: delay.as_millis() as u32 };
                say(spectator.client, &ServerMessage::Watching(watching));
            }
            let budget_bytes = spectator.line.budget().min(budget_max);
            if budget_bytes == 0 {
                self.held_back += 1;
                continue;
            }
            let part = |tag, sounds: Option<Sounds<'_>>, part: &[u8]| {
                let (body, bytes) = with_sounds(SnapshotHeader::new(None, welcome.number), sounds, part);
                self.snapshot_bytes += bytes as u64;
                offer(shared, spectator.client, tag, &body)
            };
            spectator.eye.tell(stage, tick, View::of(spectator.target), budget_bytes, ink, part);
            self.snapshots += 1;
        }
    }
}

impl Spectator {
    fn leave_match(&mut self) {
        self.is_in = false;
        self.eye.reset();
        self.restarted = None;
    }
}

impl Room {
    /// Lets a spectator in. It is told the match with the next tick that is shown.
    pub(super) fn admit(&mut self, client: Remote, line: Arc<Line>) {
        let lets_watch = self.shared.shed.lets_watch();
        let Some(gallery) = self.gallery.as_mut().filter(|_| lets_watch) else {
            let reason = if lets_watch { RefusedReason::NoSpectators } else { self.shared.refuse_spectator() };
            self.link().release_spectator();
            self.message(client, &ServerMessage::Refused(Refused::from(reason)));
            return self.close(client);
        };
        gallery.spectators.push(Spectator {
            client,
            target: line.wish(),
            line,
            eye: Eye::new(gallery.ladder),
            is_in: false,
            change_from: 0,
            restarted: None,
        });
    }

    /// A spectator is gone.
    pub(super) fn part(&mut self, client: Remote) {
        let Some(gallery) = &mut self.gallery else { return };
        if let Some(at) = gallery.spectators.iter().position(|spectator| spectator.client == client) {
            gallery.spectators.swap_remove(at);
            self.link().release_spectator();
        }
    }

    /// Whether anybody watches what has not been shown yet.
    pub(super) fn is_watched(&self) -> bool {
        self.gallery.as_ref().is_some_and(|gallery| gallery.is_waited_for())
    }

    /// Says goodbye to all who watch.
    pub(super) fn part_all(&mut self, reason: GoodbyeReason) {
        let Some(gallery) = &mut self.gallery else { return };
        for spectator in core::mem::take(&mut gallery.spectators) {
            self.link().release_spectator();
            self.message(spectator.client, &ServerMessage::Goodbye(Goodbye { reason }));
            self.close(spectator.client);
        }
    }

    /// A match begins, which those who watch will be told in time.
    pub(super) fn announce(&mut self) {
        if self.gallery.is_none() && self.kill_cams.is_none() {
            return;
        }
        let welcome = self.welcome_of(Welcome::SPECTATOR, StableId::NONE, 0);
        self.interest.keep_watched();
        if let Some(cams) = &mut self.kill_cams {
            cams.stop_all();
            cams.reel.begin(welcome.clone());
        }
        if let Some(gallery) = &mut self.gallery {
            gallery.reel.begin(welcome);
        }
    }

    /// Keeps a message to everybody for spectators.
    pub(super) fn keep_message(&mut self, bytes: &[u8]) {
        if let Some(gallery) = &mut self.gallery {
            gallery.reel.tape.message(gallery.reel.turn, bytes);
        }
    }

    /// Keeps a tick for those who watch, of which the rows have been given already, if it is one that is shown.
    pub(super) fn keep_tick(&mut self, tick: u32) {
        let Self { gallery, kill_cams, interest, watched, .. } = self;
        let reels = [gallery.as_mut().map(|it| &mut it.reel), kill_cams.as_mut().map(|it| &mut it.reel)];
        let tapes = reels.into_iter().flatten().filter_map(|reel| {
            let turn = reel.turn;
            reel.tape_for(tick).map(|tape| (tape, turn))
        });
        let mut tapes: ArrayVec<_, 2> = tapes.collect();
        if tapes.is_empty() {
            return;
        }
        // What is said once too often changes nothing.
        let again = tapes.iter_mut().fold(false, |again, (tape, _)| tape.take_torn() || again);
        watched.clear();
        watched.extend(interest.take_watched(again));
        for (tape, turn) in tapes {
            tape.tick(turn, tick, watched.iter().copied());
        }
    }

    /// Ends a turn: tells spectators what was a while ago.
    pub(super) fn show(&mut self) {
        let watching = self.gallery.as_ref().map_or(0, |gallery| gallery.len() as u64);
        if watching > 0 && self.shared.shed.step() >= Step::SpectatorsGone {
            tracing::warn!(room = self.number, watching, "there is more to do than time: nobody may watch");
            self.shared.shed.note(|stats| stats.spectators_let_go += watching);
            self.part_all(GoodbyeReason::Overloaded);
        }
        if let Some(gallery) = &mut self.gallery {
            gallery.turn(&self.shared, self.number);
        }
    }
}

/// Hands a part to the socket thread, and notes if that has no room; false then.
pub(super) fn offer(shared: &Shared, to: Remote, tag: u32, body: &Datagram<'_>) -> bool {
    let is_taken = messages::offer(shared, to, tag, body);
    if !is_taken {
        shared.note(|stats| stats.drops.snapshots += 1);
    }
    is_taken
}
