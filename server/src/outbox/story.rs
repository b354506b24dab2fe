//! What a match tells the services: its domain events, under names that a replay of the recording gives them again.
//!
//! A fold over the match, tick by tick, that looks at nothing but the commands, the events and the state of the simulation, and
//! at two things that a recording does not hold because they are about people and the world: who plays in a slot, and when the
//! match began. Both stand in the events that are never dropped ([`is_kept`]), so that the others can be told again from them
//! and a recording.

use core::time::Duration;
use std::collections::BTreeMap;

use arbiter_contracts::{Attributes, Envelope, Event, MatchEventId, v1};
use arbiter_sim::index::Identity;
use arbiter_sim::players::{Player, Tally};
use arbiter_sim::{Cause, Command, DomainEvent, LeaveReason, Outcome, Simulation};
use serde::{Deserialize, Serialize};

/// Number of the event that ends a match which the simulation did not end: behind all that a tick can have.
const ABANDONED_INDEX: u32 = u32::MAX;

/// Numbers of what the room found rather than the simulation begin here; no replay tells these again.
const FOUND_INDEX: u32 = 1 << 31;

/// Bits of such a number that count within an epoch of the match; those above say which epoch, so that no two are the same when a
/// tick is played again.
const FOUND_BITS: u32 = 20;

/// Epochs that are told apart by it: far more than a match has.
const EPOCHS: u32 = 1 << (31 - FOUND_BITS);

/// One match, as it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Story {
    match_id: u128,
    /// When tick 0 was, since 1970.
    began: Duration,
    tick_rate: u16,
    next: u64,
    /// How often the match was taken up again, and what was found since.
    epoch: u32,
    found: u32,
    playing: BTreeMap<u16, u64>,
    #[serde(with = "results")]
    left: Vec<v1::PlayerResult>,
    /// Results of those who leave in the tick that is to come: they are gone when it was simulated. None between two ticks.
    #[serde(skip)]
    leaving: BTreeMap<u16, v1::PlayerResult>,
}

/// Results as the contracts write them, in text.
mod results {
    use arbiter_contracts::v1::PlayerResult;
    use prost::Message as _;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub fn serialize<S: Serializer>(results: &[PlayerResult], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<Vec<u8>> = results.iter().map(|result| result.encode_to_vec()).collect();
        bytes.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PlayerResult>, D::Error> {
        let bytes = Vec::<Vec<u8>>::deserialize(from)?;
        bytes.iter().map(|bytes| PlayerResult::decode(&bytes[..]).map_err(D::Error::custom)).collect()
    }
}

/// Whether an event is never dropped: results, and what others are told again with.
pub fn is_kept(event: &Event) -> bool {
    matches!(event, Event::MatchStarted(_) | Event::MatchEnded(_) | Event::PlayerJoined(_) | Event::PlayerLeft(_))
}

impl Story {
    /// Of a match that was just made. `began` is when its tick 0 was, since 1970.
    pub fn new(match_id: u128, began: Duration, tick_rate: u16) -> Self {
        Self {
            match_id,
            began,
            tick_rate,
            next: 0,
            epoch: 0,
            found: 0,
            playing: BTreeMap::new(),
            left: Vec::new(),
            leaving: BTreeMap::new(),
        }
    }

    /// The match's time at a tick.
    pub fn since_tick_0(tick: u32, tick_rate: u16) -> Duration {
        Duration::from_nanos(u64::from(tick) * 1_000_000_000 / u64::from(tick_rate.max(1)))
    }

    /// Before a tick: who leaves in it has done what counts.
    pub fn before(&mut self, commands: &[Command], simulation: &Simulation) {
        for command in commands {
            if let Command::Leave { slot, .. } = command
                && let Some(result) = self.result(*slot, simulation)
            {
                self.leaving.insert(*slot, result);
            }
        }
    }

    /// Behind a tick: what happened in it. `player_in` says who joined in a slot, 0 for a bot or a guest.
    pub fn after(&mut self, simulation: &Simulation, player_in: impl Fn(u16) -> u64) -> Vec<Envelope> {
        let tick = simulation.tick();
        let told = (0..).zip(simulation.events()).filter_map(|(index, event)| {
            let (subject, event) = self.event(event, simulation, &player_in)?;
            Some(self.envelope(tick, index, subject, event))
        });
        let told = told.collect();
        self.leaving.clear();
        told
    }

    /// The match is over although the simulation did not end it.
    pub fn abandon(&mut self, simulation: &Simulation) -> Envelope {
        let event = self.ended(Outcome::Abandoned, simulation);
        self.envelope(simulation.tick(), ABANDONED_INDEX, None, event)
    }

    /// A player plays as nobody honest plays.
    pub fn anomaly(&mut self, tick: u32, slot: u16, kind: &str, amount: i64) -> Envelope {
        let player = self.player(slot);
        let event = v1::AnomalyDetected { r#match: self.id(), player, kind: kind.to_owned(), amount };
        self.found(tick, Some(player), event.into())
    }

    /// The match was taken up again behind a tick. `lost` is how many ticks players had seen that are played again.
    pub fn recovered(&mut self, tick: u32, lost: u32) -> Envelope {
        let event = v1::RoomRecovered { r#match: self.id(), resumed_at_tick: tick, ticks_replayed: lost };
        self.found(tick, None, event.into())
    }

    /// The match was taken up again so often: what is found from now on has names of its own.
    pub fn begin_epoch(&mut self, epoch: u32) {
        (self.epoch, self.found) = (epoch, 0);
    }

    /// Of a source of its own: the numbers of what the simulation tells must not depend on what was found beside it.
    fn found(&mut self, tick: u32, player: Option<u64>, event: Event) -> Envelope {
        let (match_id, epoch, found) = (self.match_id, self.epoch, self.found);
        self.found = (found + 1) % (1 << FOUND_BITS);
        let index = FOUND_INDEX | (epoch % EPOCHS) << FOUND_BITS | found;
        self.sealed(format!("/matches/{match_id:032x}/epochs/{epoch}"), found.into(), (tick, index), player, event)
    }

    fn envelope(&mut self, tick: u32, index: u32, player: Option<u64>, event: Event) -> Envelope {
        let sequence = self.next;
        self.next += 1;
        self.sealed(format!("/matches/{:032x}", self.match_id), sequence, (tick, index), player, event)
    }

    fn sealed(
        &self,
        source: String,
        sequence: u64,
        (tick, index): (u32, u32),
        player: Option<u64>,
        event: Event,
    ) -> Envelope {
        let match_id = self.match_id;
        let attributes = Attributes {
            id: MatchEventId { match_id, tick, index }.to_string(),
            source,
            subject: match player {
                Some(player) => format!("players/{player}"),
                None => format!("matches/{match_id:032x}"),
            },
            time: self.began + Self::since_tick_0(tick, self.tick_rate),
            sequence,
            traceparent: String::new(),
        };
        Envelope { attributes, event }
    }

    fn id(&self) -> Vec<u8> {
        self.match_id.to_be_bytes().to_vec()
    }

    fn player(&self, slot: u16) -> u64 {
        self.playing.get(&slot).copied().unwrap_or(0)
    }

    /// The payload and whom it is about; `None` for what only the room has to know.
    fn event(
        &mut self,
        event: &DomainEvent,
        simulation: &Simulation,
        player_in: &impl Fn(u16) -> u64,
    ) -> Option<(Option<u64>, Event)> {
        let id = self.id();
        let about = |player: u64, event: Event| Some((Some(player), event));
        match *event {
            DomainEvent::MatchStarted => {
                let started = v1::MatchStarted {
                    r#match: id,
                    map: simulation.map().name.clone(),
                    mode: simulation.settings().mode.clone(),
                    tick_rate: self.tick_rate.into(),
                    rules_hash: simulation.rules().hash().to_vec(),
                };
                Some((None, started.into()))
            }
            DomainEvent::RoundStarted { round } => {
                Some((None, v1::RoundStarted { r#match: id, round: round.into() }.into()))
            }
            DomainEvent::RoundEnded { round, outcome } => {
                let (outcome, winner) = told_outcome(outcome);
                Some((None, v1::RoundEnded { r#match: id, round: round.into(), outcome, winner }.into()))
            }
            DomainEvent::MatchEnded { outcome } => Some((None, self.ended(outcome, simulation))),
            DomainEvent::PlayerJoined { slot, team, hero } => {
                let player = player_in(slot);
                self.playing.insert(slot, player);
                let (slot, team, hero) = (slot.into(), team.into(), hero.into());
                about(player, v1::PlayerJoined { r#match: id, player, slot, team, hero }.into())
            }
            DomainEvent::PlayerLeft { slot, reason } => {
                self.left.extend(self.leaving.remove(&slot));
                let player = self.playing.remove(&slot).unwrap_or(0);
                let reason = told_reason(reason).into();
                about(player, v1::PlayerLeft { r#match: id, player, slot: slot.into(), reason }.into())
            }
            DomainEvent::Killed { victim, killer, assist, cause, headshot } => {
                let (cause, cause_number) = told_cause(cause);
                let dead = self.player(victim);
                let killed = v1::PlayerKilled {
                    r#match: id,
                    victim: dead,
                    victim_slot: victim.into(),
                    killer: killer.map_or(0, |slot| self.player(slot)),
                    killer_slot: killer.map(u32::from),
                    assist_slot: assist.map(u32::from),
                    cause: cause.into(),
                    cause_number,
                    headshot,
                };
                about(dead, killed.into())
            }
            DomainEvent::PointCaptured { point, team } => {
                let captured = v1::ObjectiveCaptured { r#match: id, objective: point.into(), team: team.into() };
                Some((None, captured.into()))
            }
            DomainEvent::Looted { slot, pickup } => {
                let player = self.player(slot);
                let taken = v1::LootTaken { r#match: id, player, slot: slot.into(), pickup: pickup.into() };
                about(player, taken.into())
            }
            DomainEvent::BodyQuarantined { id: entity } => {
                Some((None, v1::BodyQuarantined { r#match: id, entity: entity.0 }.into()))
            }
            DomainEvent::Custom { kind, a, b } => {
                Some((None, v1::Custom { r#match: id, kind: kind.into(), a, b }.into()))
            }
            // A streak can be told from kills; who is idle is the room's to remove.
            DomainEvent::Streak { .. } | DomainEvent::IdleDetected { .. } => None,
        }
    }

    fn ended(&self, outcome: Outcome, simulation: &Simulation) -> Event {
        let mut results = self.left.clone();
        results.extend(self.playing.keys().filter_map(|slot| self.result(*slot, simulation)));
        results.sort_by_key(|result| result.slot);
        let (told, winner) = told_outcome(outcome);
        for result in &mut results {
            // Where each plays alone, a side is a slot and one.
            let side = if result.team == 0 { result.slot + 1 } else { result.team };
            result.won = winner != 0 && side == winner;
        }
        v1::MatchEnded {
            r#match: self.id(),
            outcome: told,
            winner,
            ticks: simulation.tick(),
            results,
            // Known to whoever writes the recording.
            recording_hash: Vec::new(),
        }
        .into()
    }

    /// What the player in a slot did so far.
    fn result(&self, slot: u16, simulation: &Simulation) -> Option<v1::PlayerResult> {
        let view = simulation.view();
        let id = view.player(slot)?;
        let (tally, player) = (view.get::<Tally>(id)?, view.get::<Player>(id)?);
        Some(v1::PlayerResult {
            player: self.player(slot),
            slot: slot.into(),
            team: view.get::<Identity>(id)?.team.into(),
            won: false,
            score: tally.score.into(),
            kills: tally.kills.into(),
            deaths: tally.deaths.into(),
            assists: tally.assists.into(),
            ticks_played: simulation.tick().saturating_sub(player.joined_tick),
        })
    }
}

fn told_outcome(outcome: Outcome) -> (i32, u32) {
    match outcome {
        Outcome::Won(side) => (v1::Outcome::Won.into(), side.into()),
        Outcome::Draw => (v1::Outcome::Draw.into(), 0),
        Outcome::Abandoned => (v1::Outcome::Abandoned.into(), 0),
    }
}

fn told_reason(reason: LeaveReason) -> v1::LeaveReason {
    match reason {
        LeaveReason::Quit => v1::LeaveReason::Left,
        LeaveReason::TimedOut => v1::LeaveReason::Timeout,
        LeaveReason::Idle | LeaveReason::Kicked => v1::LeaveReason::Kicked,
    }
}

fn told_cause(cause: Cause) -> (v1::CauseKind, u32) {
    match cause {
        Cause::Weapon(number) => (v1::CauseKind::Weapon, number.into()),
        Cause::Ability(number) => (v1::CauseKind::Ability, number.into()),
        Cause::Effect(number) => (v1::CauseKind::Effect, number.into()),
        Cause::Prop(number) => (v1::CauseKind::Prop, number.into()),
        Cause::World => (v1::CauseKind::World, 0),
    }
}
