//! What happened in a match, counted tick by tick from its events and cues.

use std::collections::BTreeSet;

use arbiter_sim::rules::Rules;
use arbiter_sim::{Cause, Cue, DomainEvent, Outcome, Simulation};
use serde::Serialize;

/// Counts of one match.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Ticks simulated.
    pub ticks: u32,
    /// Players killed by players.
    pub kills: u32,
    /// Players that died of anything.
    pub deaths: u32,
    /// Points captured.
    pub captures: u32,
    /// How it ended.
    pub outcome: Option<Outcome>,
    weapons: BTreeSet<u8>,
    abilities: BTreeSet<u8>,
}

/// Names that were used, and all that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// How many were used.
    pub used: usize,
    /// How many there are.
    pub all: usize,
    /// The names of those that nobody used.
    pub unused: Vec<String>,
}

impl Tally {
    /// Counts the last tick of a simulation.
    pub fn note(&mut self, simulation: &Simulation) {
        self.ticks = simulation.tick();
        for event in simulation.events() {
            match event {
                DomainEvent::Killed { killer, cause, .. } => {
                    self.deaths += 1;
                    self.kills += u32::from(killer.is_some());
                    self.note_cause(*cause);
                }
                DomainEvent::PointCaptured { .. } => self.captures += 1,
                DomainEvent::MatchEnded { outcome } => self.outcome = Some(*outcome),
                _ => {}
            }
        }
        for cue in simulation.cues() {
            match cue {
                Cue::Fired { weapon, .. } => {
                    self.weapons.insert(*weapon);
                }
                Cue::AbilityUsed { ability, .. } => {
                    self.abilities.insert(*ability);
                }
                Cue::Hit { cause, .. } | Cue::Exploded { cause, .. } => self.note_cause(*cause),
            }
        }
    }

    fn note_cause(&mut self, cause: Cause) {
        match cause {
            Cause::Weapon(weapon) => self.weapons.insert(weapon),
            Cause::Ability(ability) => self.abilities.insert(ability),
            Cause::Effect(_) | Cause::Prop(_) | Cause::World => false,
        };
    }

    /// Weapons that someone fired.
    pub fn weapons(&self, rules: &Rules) -> Used {
        used(&self.weapons, rules.weapons.iter().map(|weapon| weapon.name.as_str()))
    }

    /// Abilities that someone used.
    pub fn abilities(&self, rules: &Rules) -> Used {
        used(&self.abilities, rules.abilities.iter().map(|ability| ability.name.as_str()))
    }
}

fn used<'a>(seen: &BTreeSet<u8>, names: impl Iterator<Item = &'a str>) -> Used {
    let mut counted = Used { used: 0, all: 0, unused: Vec::new() };
    for (number, name) in names.enumerate() {
        counted.all += 1;
        if u8::try_from(number).is_ok_and(|number| seen.contains(&number)) {
            counted.used += 1;
        } else {
            counted.unused.push(name.to_owned());
        }
    }
    counted
}

/// How a match ended, for people.
pub fn outcome_for_people(outcome: Option<Outcome>, teams: bool) -> String {
    match outcome {
        Some(Outcome::Won(side)) if teams => format!("team {side} wins"),
        Some(Outcome::Won(side)) => format!("{} wins", super::model::callsign(side.saturating_sub(1))),
        Some(Outcome::Draw) => "draw".to_owned(),
        Some(Outcome::Abandoned) | None => "abandoned".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_used_is_named() {
        let counted = used(&BTreeSet::from([0, 2]), ["rifle", "bow", "beam"].into_iter());
        assert_eq!(counted, Used { used: 2, all: 3, unused: vec!["bow".to_owned()] });
    }

    #[test]
    fn a_winner_without_teams_has_a_name() {
        assert_eq!(outcome_for_people(Some(Outcome::Won(2)), false), "Bravo wins");
        assert_eq!(outcome_for_people(Some(Outcome::Won(2)), true), "team 2 wins");
    }
}
