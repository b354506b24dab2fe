//! Who has which place: coming, going, and coming back to a place whose connection was lost or is replaced.

use core::time::Duration;
use std::time::Instant;

use arbiter_protocol::{Goodbye, GoodbyeReason, Refused, RefusedReason, ServerMessage, SoundList};
use arbiter_sim::LeaveReason;

use super::{Arrival, Entering, LANDED_MAX, Phase, Room, Seat};
use crate::buffer::InputBuffer;
use crate::shard::Remote;
use crate::sounds::SoundQueue;
use crate::suspicion::conduct::Conduct;

/// A place whose connection was lost is kept for so long: time for a phone to change networks or for a client to start again.
const KEPT: Duration = Duration::from_secs(30);

/// A place changes hands at most once in this time, because each time costs a full state.
const CHANGE_EVERY: Duration = Duration::from_secs(1);

impl Room {
    /// Gives a player a place, or their own one back.
    pub(super) fn arrive(&mut self, arrival: Arrival, now: Instant) {
        if matches!(self.phase, Phase::Showing) {
            // It was on its way when the last match was over.
            self.message(arrival.client, &ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::MatchOver }));
            return self.close(arrival.client);
        }
        let own = |seat: &Option<Seat>| seat.as_ref().is_some_and(|seat| seat.player == arrival.player);
        if arrival.player != 0
            && let Some(slot) = self.seats.iter().position(own)
        {
            return self.take_over(slot, arrival, now);
        }
        let Arrival { client, loadout, line, player, reserved } = arrival;
        if !reserved {
            // The socket thread knew of a place that is gone by now.
            self.link().reserve();
        }
        // A slot whose player leaves with this tick is free with the next.
        let free = |(slot, seat): &(usize, &Option<Seat>)| {
            seat.is_none() && self.leaving.iter().all(|(leaving, _)| usize::from(*leaving) != *slot)
        };
        let Some((slot, _)) = self.seats.iter().enumerate().find(free) else {
            self.link().release();
            self.shared.directory.leave(player, self.number);
            self.message(client, &ServerMessage::Refused(Refused::from(RefusedReason::Full)));
            self.close(client);
            return;
        };
        self.shared.directory.enter(player, self.number);
        self.seats[slot] = Some(Seat {
            client,
            loadout,
            entering: Entering::Joining,
            inputs: InputBuffer::new(self.simulation.settings().tick_rate),
            conduct: Conduct::default(),
            peer: self.new_peer(),
            sounds: SoundQueue::new(self.simulation.settings().tick_rate),
            landed: Vec::with_capacity(LANDED_MAX),
            watched: SoundList::default(),
            restarted: None,
            view_lag: None,
            newest: None,
            line,
            player,
            since: now,
            lost: None,
        });
        self.slots.insert(client, slot as u16);
    }

    /// The newest connection of a player wins. The simulation is told nothing: slot and entity stay.
    fn take_over(&mut self, slot: usize, arrival: Arrival, now: Instant) {
        let (tick, rate) = (self.simulation.tick(), self.simulation.settings().tick_rate);
        let Some(seat) = &mut self.seats[slot] else { return };
        if now.saturating_duration_since(seat.since) < CHANGE_EVERY && seat.lost.is_none() {
            self.waiting.push(arrival);
            return;
        }
        let old = core::mem::replace(&mut seat.client, arrival.client);
        let was_lost = seat.lost.take().is_some();
        if let Entering::In(_) = seat.entering {
            seat.entering = Entering::Since(tick);
        }
        self.substituted += seat.inputs.substituted;
        self.late += seat.inputs.late;
        seat.start_over(rate);
        if let Some(cams) = &mut self.kill_cams {
            cams.stop(slot as u16);
        }
        (seat.line, seat.since) = (arrival.line, now);
        if let Some(watcher) = self.interest.watcher(slot as u16) {
            watcher.reset();
        }
        if arrival.reserved {
            // One place is enough.
            self.link().release();
        }
        self.slots.remove(&old);
        self.slots.insert(arrival.client, slot as u16);
        if !was_lost {
            self.message(old, &ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::TakenOver }));
            self.close(old);
        }
    }

    /// A connection ended. A place that was lost is kept for whoever can prove that it is theirs.
    pub(super) fn depart(&mut self, client: Remote, reason: LeaveReason, now: Instant) {
        self.waiting.retain(|arrival| arrival.client != client);
        let Some(slot) = self.slots.get(&client).copied() else { return self.part(client) };
        match &mut self.seats[usize::from(slot)] {
            Some(seat) if reason == LeaveReason::TimedOut && seat.player != 0 => {
                seat.lost = Some(now);
                self.slots.remove(&client);
            }
            _ => self.vacate(slot, reason),
        }
    }

    /// Gives up places that were kept for long enough, and lets in who had to wait.
    pub(super) fn keep_places(&mut self, now: Instant) {
        self.give_up_lost(|lost| now.saturating_duration_since(lost) >= KEPT);
        for arrival in core::mem::take(&mut self.waiting) {
            self.arrive(arrival, now);
        }
    }

    /// Gives up kept places.
    pub(super) fn give_up_lost(&mut self, is_over: impl Fn(Instant) -> bool) {
        for slot in 0..self.seats.len() {
            let lost = self.seats[slot].as_ref().and_then(|seat| seat.lost);
            if lost.is_some_and(&is_over) {
                self.vacate(slot as u16, LeaveReason::TimedOut);
            }
        }
    }

    pub(super) fn vacate(&mut self, slot: u16, reason: LeaveReason) {
        let Some(seat) = self.seats[usize::from(slot)].take() else { return };
        if let Some(cams) = &mut self.kill_cams {
            cams.stop(slot);
        }
        self.slots.remove(&seat.client);
        self.substituted += seat.inputs.substituted;
        self.late += seat.inputs.late;
        self.link().release();
        self.shared.directory.leave(seat.player, self.number);
        if !matches!(seat.entering, Entering::Joining) {
            self.leaving.push((slot, reason));
        }
    }

    pub(super) fn dismiss(&mut self, slot: u16, leave: LeaveReason, reason: GoodbyeReason) {
        let Some(client) = self.seats[usize::from(slot)].as_ref().map(|seat| seat.client) else { return };
        self.message(client, &ServerMessage::Goodbye(Goodbye { reason }));
        self.close(client);
        self.vacate(slot, leave);
    }
}
