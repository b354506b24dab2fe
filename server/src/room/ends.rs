//! How matches and rooms end.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arbiter_protocol::{Goodbye, GoodbyeReason, ServerMessage};
use arbiter_recording::End;
use arbiter_sim::Outcome;
use arbiter_snapshot::History;

use super::sight::Sight;
use super::suspicion;
use super::{Arrival, Entering, FromSocket, Phase, Room, build_with, random, seed};
use crate::interest::Interest;
use crate::order::Order;
use crate::suspicion::Suspicion;

impl Room {
    pub(super) fn finish_match(&mut self, outcome: Outcome, now: Instant) {
        self.close_recording(outcome.into());
        self.outcome = Some(outcome);
        self.shared.note(|stats| stats.matches_ended += 1);
        self.phase = Phase::Waiting(now + self.shared.config.intermission);
        self.publish();
    }

    /// A match that was ordered, if this room has nobody and nobody is on the way.
    pub(super) fn take_order(&self) -> Option<Order> {
        let may = self.shared.orders.waiting() > 0 && self.slots.is_empty() && !self.link().is_in_use();
        if !may || self.shared.stopping().is_some() || self.shared.outbox_is_stuck() {
            return None;
        }
        self.shared.orders.take()
    }

    /// Starts the next match, the ordered one if there is an order, with whoever is still there; false when there is none.
    pub(super) fn next_match(&mut self, order: Option<Order>) -> bool {
        if !self.shared.may_start_match() {
            if self.is_watched() {
                self.end_for_players();
                self.phase = Phase::Showing;
                return true;
            }
            self.end(GoodbyeReason::MatchOver);
            return false;
        }
        // Whoever comes back to a match that is over joins the next like anybody else.
        self.give_up_lost(|_| true);
        let rooms = u32::from(self.shared.config.rooms.max(1));
        let number = u32::from(self.number) + rooms * self.matches;
        let config = &self.shared.config;
        let (match_id, seed, settings) = match order {
            Some(order) => {
                self.link().order();
                let seed = order.seed.unwrap_or_else(|| u64::from_le_bytes(random()));
                (order.match_id.to_be_bytes(), seed, order.settings)
            }
            None => (random(), seed(config, number), config.settings.clone()),
        };
        match build_with(config, seed, settings) {
            Ok(simulation) => self.simulation = simulation,
            Err(error) => {
                tracing::error!(room = self.number, %error, "the next match cannot be built");
                self.end(GoodbyeReason::Failed);
                return false;
            }
        }
        self.history = History::new(self.simulation.registry());
        self.interest = Interest::new(&self.simulation, self.shared.config.interest);
        self.sight = Sight::new(&self.simulation);
        self.suspicion = Suspicion::new(&self.simulation);
        self.anomalies = suspicion::Told::default();
        self.leaving.clear();
        for seat in self.seats.iter_mut().flatten() {
            seat.entering = Entering::Joining;
            seat.start_over(self.simulation.settings().tick_rate);
        }
        self.phase = Phase::Playing;
        self.begin(match_id);
        true
    }

    /// Says goodbye to all who play, as no match follows.
    fn end_for_players(&mut self) {
        self.link().shut();
        self.dismiss_all(GoodbyeReason::MatchOver);
        self.publish();
    }

    /// Says goodbye to everyone; the room is not ticked again.
    pub(super) fn end(&mut self, reason: GoodbyeReason) {
        self.ended = true;
        self.link().shut();
        // Whoever was sent here in the meantime is told as well.
        let inbox = self.inbox.clone();
        for message in inbox.try_iter() {
            if let FromSocket::Join(Arrival { client, .. }) | FromSocket::Watch { client, .. } = message {
                self.message(client, &ServerMessage::Goodbye(Goodbye { reason }));
                self.close(client);
            }
        }
        self.dismiss_all(reason);
        self.part_all(reason);
        self.publish();
    }

    fn dismiss_all(&mut self, reason: GoodbyeReason) {
        for slot in 0..self.seats.len() {
            if let Some(seat) = self.seats[slot].take() {
                self.message(seat.client, &ServerMessage::Goodbye(Goodbye { reason }));
                self.close(seat.client);
            }
        }
        self.slots.clear();
        self.shared.directory.close(self.number);
    }

    /// After a panic: nothing of the match is looked at any more.
    pub fn fail(&mut self) {
        // Results would have to be looked for in it.
        self.story = None;
        self.close_recording(End::Abandoned);
        self.outcome = Some(Outcome::Abandoned);
        self.ended = true;
        self.link().shut();
        self.shared.directory.close(self.number);
        let stats = Arc::clone(&self.link().stats);
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        (stats.outcome, stats.ended, stats.recording) = (self.outcome, true, None);
        drop(stats);
        for client in core::mem::take(&mut self.slots).into_keys() {
            self.message(client, &ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Failed }));
            self.close(client);
        }
        self.part_all(GoodbyeReason::Failed);
        self.shared.wake_shards();
    }
}
