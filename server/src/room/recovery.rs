//! A room that panicked is made again: from its last checkpoint and the inputs since, as they were applied.
//!
//! The simulation is thrown away, since nobody knows what the panic left of it. The one that is made instead must have the hash of
//! every tick that was recorded, up to the tick before the panic. That tick is then tried again with the same inputs, since
//! whatever was wrong may have been outside of the match; if it panics again, with neutral inputs, which the recording
//! says; if it panics once more, the match is abandoned with the scores of the tick before. Clients keep their connections, and
//! are told everything anew under another number of the match, so that what is still under way of before is nobody's.
//!
//! It is done in slices between the turns of other rooms. Why it is so: docs/decisions/recovery.md. Next: [`super::journal`].

use core::time::Duration;
use std::time::Instant;

use arbiter_protocol::{MatchMessage, Notice, ServerMessage};
use arbiter_recording::Mark;
use arbiter_sim::{Command, LeaveReason, Outcome};
use arbiter_snapshot::History;

use super::gallery::Gallery;
use super::kill_cam::KillCams;
use super::sight::Sight;
use super::{Entering, Phase, Room, Turn, build_with};
use crate::interest::Interest;
use crate::recorder::Entry;
use crate::suspicion::Suspicion;

/// Recoveries of one match: whatever panics more often than this does so for ever.
pub(super) const RECOVERIES_MAX: u32 = 16;

/// Tries to reach any end at all behind that: of the last tick, then of the last checkpoint.
const LAST_TRIES: u32 = 2;

/// A room that is made again lets others have their turn after so long: a quarter of a tick at 60 Hz.
const SLICE: Duration = Duration::from_millis(4);

/// What a room was at when it panicked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Work {
    /// Not within a tick.
    #[default]
    Between,
    /// The simulation's.
    Stepping,
    /// Behind the simulation; the recording does not have the tick yet.
    Recording,
    /// The recording has the tick.
    Telling,
    /// It was being made again.
    Rebuilding,
}

/// What follows once a room is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next tick.
    GoOn,
    /// The tick that failed, as it was.
    Retry,
    /// The tick that failed, without what players did.
    Blank,
    /// The next tick, in another process than the one before.
    Resume,
    /// The end of the match.
    Abandon,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Rebuild {
    then: Then,
    /// The last tick that is simulated again.
    target: u32,
    /// What happened is told again: another process may not have come to it.
    retells: bool,
    began: Instant,
}

/// What a room remembers of its panics.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub work: Work,
    /// Of this match.
    count: u32,
    /// The tick that panicked last, and how often.
    failing: (u32, u32),
    /// The commands of the next tick are there already.
    pub is_composed: bool,
    /// Ticks that players had seen in another process and that are played again.
    pub lost: u32,
}

impl Recovery {
    /// Another match.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Room {
    /// Behind a panic: begins to make the room again.
    pub fn recover(&mut self) -> Turn {
        let work = core::mem::take(&mut self.recovery.work);
        self.recovery.count += 1;
        let count = self.recovery.count;
        if count > RECOVERIES_MAX + LAST_TRIES {
            return Turn::Failed;
        }
        let (last, from) = (self.journal.last(), self.journal.from);
        let before = match &self.phase {
            Phase::Playing => None,
            Phase::Rebuilding(rebuild) => Some((rebuild.then, rebuild.target)),
            Phase::Waiting(_) | Phase::Showing => {
                // There is no match to be lost.
                self.renew_gallery();
                return Turn::Again;
            }
        };
        let (then, target) = match (before, work) {
            (Some(before), _) => before,
            (None, Work::Stepping | Work::Recording) => {
                let failing = &mut self.recovery.failing;
                *failing = if failing.0 == last + 1 { (failing.0, failing.1 + 1) } else { (last + 1, 1) };
                let then = match failing.1 {
                    1 => Then::Retry,
                    2 => Then::Blank,
                    _ => Then::Abandon,
                };
                (then, last)
            }
            // It had not come to the tick that it was to try again.
            (None, _) if self.recovery.is_composed => (Then::Retry, last),
            (None, _) => (Then::GoOn, last),
        };
        if work == Work::Telling {
            self.renew_gallery();
        }
        tracing::error!(
            room = self.number,
            tick = last + 1,
            ?work,
            ?then,
            count,
            "the room panicked and is made again"
        );
        match count {
            ..=RECOVERIES_MAX => self.begin_rebuild(then, target),
            count if count == RECOVERIES_MAX + 1 => self.begin_rebuild(Then::Abandon, target),
            _ => self.begin_rebuild(Then::Abandon, from),
        }
    }

    /// Begins to make the room again as it was behind a tick.
    pub(super) fn begin_rebuild(&mut self, then: Then, target: u32) -> Turn {
        let made = build_with(&self.shared.config, self.simulation.seed(), self.simulation.settings().clone())
            .map_err(|error| error.to_string());
        let made = made
            .and_then(|mut made| made.restore(&self.journal.state).map(|()| made).map_err(|error| error.to_string()));
        match made {
            Ok(simulation) => self.simulation = simulation,
            Err(why) => {
                tracing::error!(room = self.number, why, "the room cannot be made again");
                return Turn::Failed;
            }
        }
        self.story = self.journal.story.as_deref().cloned().filter(|_| self.recording.is_some());
        let (retells, began) = match &self.phase {
            Phase::Rebuilding(before) => (before.retells, before.began),
            _ => (then == Then::Resume, Instant::now()),
        };
        self.phase = Phase::Rebuilding(Rebuild { then, target, retells, began });
        Turn::Again
    }

    /// Goes on with it for a slice.
    pub(super) fn rebuild(&mut self, now: Instant) -> Turn {
        let Phase::Rebuilding(Rebuild { then, target, retells, began }) = self.phase else { return Turn::Next };
        self.recovery.work = Work::Rebuilding;
        let until = Instant::now() + SLICE;
        while self.simulation.tick() < target {
            if Instant::now() >= until {
                return Turn::Again;
            }
            let tick = self.simulation.tick() + 1;
            if !self.simulate_again(tick, retells) {
                tracing::error!(
                    room = self.number,
                    tick,
                    "made again, this tick is not what was recorded: the match is abandoned with the tick before"
                );
                return self.begin_rebuild(Then::Abandon, tick - 1);
            }
        }
        self.recovery.work = Work::Between;
        self.phase = Phase::Playing;
        let frozen = began.elapsed();
        tracing::warn!(room = self.number, tick = target, ?then, ?frozen, "the room is made again");
        self.finish_rebuild(then, now);
        Turn::Again
    }

    /// Whether a tick of the journal came out as it was.
    fn simulate_again(&mut self, tick: u32, retells: bool) -> bool {
        let Self { journal, simulation, story, recorder, number, .. } = self;
        let Some((commands, hash)) = journal.tick(tick) else { return false };
        if let Some(story) = story {
            story.before(commands, simulation);
        }
        simulation.step(commands);
        if let Some(story) = story {
            let events = story.after(simulation, |slot| journal.player(tick, slot));
            if retells && !events.is_empty() && simulation.hash() == hash {
                recorder.hand(*number, Entry::Happened { tick, events });
            }
        }
        simulation.hash() == hash
    }

    fn finish_rebuild(&mut self, then: Then, now: Instant) {
        let tick = self.simulation.tick();
        self.epoch += 1;
        self.link().set_epoch(self.epoch);
        if let Some(story) = &mut self.story {
            story.begin_epoch(self.epoch);
        }
        if then == Then::Abandon {
            self.shared.note(|stats| stats.recoveries.abandoned += 1);
            return self.abandon(now);
        }
        let lost = core::mem::take(&mut self.recovery.lost);
        self.mark(if then == Then::Resume { Mark::Resumed { tick } } else { Mark::Rebuilt { tick } });
        if then == Then::Resume {
            self.know_holders();
        }
        self.recovery.is_composed = matches!(then, Then::Retry | Then::Blank);
        if then == Then::Blank {
            self.mark(Mark::Blanked { tick: tick + 1 });
            for command in &mut self.commands {
                if let Command::Input { slot, input, substituted } = command {
                    (*input, *substituted) = (self.journal.neutral(*slot), true);
                }
            }
        }
        self.shared.note(|stats| {
            let recoveries = &mut stats.recoveries;
            *match then {
                Then::Blank => &mut recoveries.blanked,
                Then::Resume => &mut recoveries.resumed,
                _ => &mut recoveries.rebuilt,
            } += 1;
        });
        self.tell_recovered(tick, lost);
        self.renew();
        if let Some(outcome) = self.simulation.ended() {
            self.finish_match(outcome, now);
        }
    }

    fn mark(&mut self, mark: Mark) {
        if self.recording.is_some() && !self.recorder.put(self.number, Entry::Mark(mark, self.epoch)) {
            // The tick that follows finds the queue full as well, and says so.
            tracing::debug!(room = self.number, ?mark, "the recording does not say it");
        }
    }

    /// Tells the services. `lost` is how many ticks players had seen that are played again.
    pub(super) fn tell_recovered(&mut self, tick: u32, lost: u32) {
        if let Some(story) = &mut self.story {
            let event = story.recovered(tick, lost);
            self.tell_found(tick, event);
        }
    }

    /// Ends the match with what is provable of it.
    fn abandon(&mut self, now: Instant) {
        let notice = Notice::MatchEnded { outcome: arbiter_protocol::Outcome::Abandoned };
        let message = ServerMessage::Match(MatchMessage { tick: self.simulation.tick(), notice });
        self.keep_message(&message.encode());
        // Those too who were told nothing since the room was last made again.
        for seat in self.seats.iter().flatten().filter(|seat| seat.lost.is_none()) {
            if !matches!(seat.entering, Entering::Joining) {
                self.message(seat.client, &message);
            }
        }
        self.finish_match(Outcome::Abandoned, now);
    }

    /// Everything beside the simulation begins anew, for a match that has gone on for a while: what is still under way between
    /// the room and its clients is of the number before.
    pub(super) fn renew(&mut self) {
        let tick = self.simulation.tick();
        self.number_again();
        self.history = History::new(self.simulation.registry());
        self.interest = Interest::new(&self.simulation, self.shared.config.interest);
        self.sight = Sight::of(&self.simulation);
        self.suspicion = Suspicion::new(&self.simulation);
        self.anomalies.excuse(tick, self.simulation.settings().tick_rate);
        self.watched.clear();
        self.renew_seats(tick);
        self.announce();
    }

    /// Brings together who has a seat and who is in the simulation.
    fn renew_seats(&mut self, tick: u32) {
        let Self { seats, commands, leaving, recovery, sight, simulation, .. } = self;
        let (view, rate) = (simulation.view(), simulation.settings().tick_rate);
        let composed = if recovery.is_composed { &commands[..] } else { &[] };
        for command in composed {
            match command {
                Command::Join { slot, .. } => sight.join(*slot),
                Command::Leave { slot, .. } => sight.leave(*slot),
                _ => {}
            }
        }
        let joins = |slot: u16| composed.iter().any(|it| matches!(it, Command::Join { slot: of, .. } if *of == slot));
        let leaves = |slot: u16| composed.iter().any(|it| matches!(it, Command::Leave { slot: of, .. } if *of == slot));
        for (slot, seat) in (0..).zip(seats.iter_mut()) {
            match (seat, view.player(slot)) {
                (Some(seat), Some(player)) => {
                    seat.start_over(rate);
                    seat.entering = if seat.lost.is_some() { Entering::In(player) } else { Entering::Since(tick) };
                }
                (Some(seat), None) => {
                    seat.start_over(rate);
                    seat.entering = if joins(slot) { Entering::Since(tick + 1) } else { Entering::Joining };
                }
                (None, Some(_)) => {
                    if !leaves(slot) && leaving.iter().all(|(leaving, _)| *leaving != slot) {
                        leaving.push((slot, LeaveReason::TimedOut));
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Those who watch and those who are shown how they died: shown anew, by something that did not panic.
    fn renew_gallery(&mut self) {
        let (registry, ladder) = (self.simulation.registry(), self.ladder());
        let fresh = Gallery::new(&self.shared.config, registry, ladder);
        self.kill_cams = KillCams::new(&self.shared.config, registry, ladder);
        if let (Some(gallery), Some(fresh)) = (&mut self.gallery, fresh) {
            gallery.renew(*fresh);
        }
    }
}
