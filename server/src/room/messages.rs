//! What players are told reliably: welcomes, what happened, goodbyes.

use core::time::Duration;

use arbiter_protocol::{
    Datagram, GoodbyeReason, MatchMessage, Notice, Refused, RefusedReason, ServerMessage, TeamScore, Welcome,
};
use arbiter_schema::StableId;
use arbiter_sim::modes::MatchState;
use arbiter_sim::simulation::MatchSetup;
use arbiter_sim::{DomainEvent, LeaveReason};
use arbiter_snapshot::Form;
use arbiter_transport::ClientId;

use super::{Entering, Room};
use crate::Shared;
use crate::convert;
use crate::shard::{Remote, ToSocket};
use crate::shed::Step;

/// Seconds after which a player who could not enter is refused.
const ENTER_SECONDS: u32 = 2;

impl Room {
    pub(super) fn tell_events(&mut self, tick: u32) {
        let mut idle = Vec::new();
        let mut notices = Vec::new();
        for event in self.simulation.events() {
            if let DomainEvent::IdleDetected { slot } = event {
                idle.push(*slot);
            }
            if let (DomainEvent::Killed { victim, killer: Some(killer), .. }, Some(cams)) = (event, &mut self.kill_cams)
            {
                if self.shared.shed.step() < Step::FarDetail {
                    cams.start(*victim, *killer, tick);
                } else {
                    self.shared.shed.note(|stats| stats.kill_cams += 1);
                }
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

    pub(super) fn welcome(&mut self, tick: u32) {
        let patience = u32::from(self.simulation.settings().tick_rate) * ENTER_SECONDS;
        for slot in 0..self.seats.len() as u16 {
            let Some(seat) = &self.seats[usize::from(slot)] else { continue };
            let Entering::Since(since) = seat.entering else { continue };
            let client = seat.client;
            match self.simulation.view().player(slot) {
                Some(player) => {
                    let welcome = self.welcome_of(slot, player, tick);
                    self.message(client, &ServerMessage::Welcome(welcome));
                    if let Some(seat) = &mut self.seats[usize::from(slot)] {
                        seat.entering = Entering::In(player);
                    }
                }
                None if tick - since > patience => {
                    self.message(client, &ServerMessage::Refused(Refused::from(RefusedReason::Full)));
                    self.close(client);
                    self.vacate(slot, LeaveReason::Kicked);
                }
                None => {}
            }
        }
    }

    /// What whoever is in a slot, or none, is told of the match at a tick.
    pub(super) fn welcome_of(&self, slot: u16, player: StableId, tick: u32) -> Welcome {
        let settings = self.simulation.settings();
        Welcome {
            slot,
            player,
            tick_rate: settings.tick_rate,
            tick,
            match_id: self.match_id,
            number: self.match_number(),
            // Who watches is told what was encoded once for all of them.
            small_parts: slot != Welcome::SPECTATOR && self.shared.config.snapshot_form == Form::Small,
            map: self.simulation.map().name.clone(),
            map_hash: self.simulation.map().hash,
            rules_hash: self.simulation.rules().hash(),
            mode: settings.mode.clone(),
            teams: self.simulation.view().resource::<MatchSetup>().map_or(0, |setup| setup.teams),
            players_max: settings.players_max,
        }
    }

    fn broadcast(&mut self, message: &ServerMessage) {
        let bytes = message.encode();
        self.keep_message(&bytes);
        for seat in self.seats.iter().flatten() {
            if matches!(seat.entering, Entering::In(_)) {
                let (client, bytes) = (seat.client, bytes.clone());
                self.send(client, |client| ToSocket::Message { client, bytes });
            }
        }
    }

    pub(super) fn message(&self, client: Remote, message: &ServerMessage) {
        self.send(client, |client| ToSocket::Message { client, bytes: message.encode() });
    }

    pub(super) fn close(&self, client: Remote) {
        self.send(client, |client| ToSocket::Close { client });
    }

    fn send(&self, to: Remote, order: impl FnOnce(ClientId) -> ToSocket) {
        send(&self.shared, self.number, to, order);
    }
}

/// Hands something that must arrive to the socket thread. It empties its queue thousands of times a second; if it does
/// not, waiting a moment for it is the lesser evil, and a client that then misses a message finds out by its timeout.
pub(super) fn send(shared: &Shared, room: u16, to: Remote, order: impl FnOnce(ClientId) -> ToSocket) {
    const PATIENCE: Duration = Duration::from_millis(2);
    if !shared.shards[usize::from(to.shard)].send(order(to.client), PATIENCE) {
        tracing::error!(room, "the socket thread is behind; a message was lost");
        shared.note(|stats| stats.drops.messages += 1);
    }
}

/// Hands a part to the socket thread; false if it has no room.
pub(super) fn offer(shared: &Shared, to: Remote, tag: u32, body: &Datagram<'_>) -> bool {
    let link = &shared.shards[usize::from(to.shard)];
    let mut bytes = link.buffer();
    body.encode(&mut bytes);
    link.offer(ToSocket::Snapshot { client: to.client, kind: body.kind(), tag, bytes })
}
