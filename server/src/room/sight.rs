//! Tells the simulation who was told of whom, so that only those can be hit: see [`arbiter_sim::told`].
//!
//! What clients are told of a tick is known behind it, so it enters the simulation with the next one, before any input that can
//! rest on it. A target that went out of sight is still on screens that are behind, and may be hit for as long as the rules let
//! anybody look back: then its bit is taken back.

use std::collections::VecDeque;

use arbiter_sim::index::Identity;
use arbiter_sim::simulation::View;
use arbiter_sim::told::{GROUP_SLOTS, Told};
use arbiter_sim::{Command, Simulation};

use crate::interest::{News, Watcher};

/// Changes that enter a simulation in one tick. A thousand players who see each other for the first time within a second bring
/// fewer than this; what is more waits for the next tick.
const CHANGES_MAX: usize = 8_192;

/// What the room knows that the simulation is to know.
#[derive(Debug)]
pub(super) struct Sight {
    /// Ticks that a shooter may look back.
    rewind: u32,
    rows: Vec<Row>,
    /// For the next tick.
    changes: Vec<Command>,
}

/// What one client knows; bits by slot, 32 to a group.
#[derive(Debug)]
struct Row {
    /// Whom it knows of, or did a moment ago.
    hits: Vec<u32>,
    /// Who went out of sight, and when; the oldest first.
    fading: VecDeque<(u32, u16)>,
    /// It differs from what the simulation knows.
    changed: bool,
}

impl Sight {
    /// Of a fresh match.
    pub fn new(simulation: &Simulation) -> Self {
        let settings = simulation.settings();
        let groups = usize::from(settings.players_max.div_ceil(GROUP_SLOTS));
        let row = |_| Row { hits: vec![0; groups], fading: VecDeque::new(), changed: false };
        let rewind_ms = simulation.rules().combat.rewind_max_ms;
        Self {
            rewind: (rewind_ms * u32::from(settings.tick_rate)).div_ceil(1_000),
            rows: (0..settings.players_max).map(row).collect(),
            changes: Vec::with_capacity(usize::from(settings.players_max)),
        }
    }

    /// Of a match that has gone on for a while: everybody knows nothing, and keeps the right to hit what the screen may show.
    pub fn of(simulation: &Simulation) -> Self {
        let mut sight = Self::new(simulation);
        let (tick, view) = (simulation.tick(), simulation.view());
        let Some(told) = view.resource::<Told>() else { return sight };
        for (slot, row) in (0..).zip(&mut sight.rows) {
            for (group, bits) in (0..).zip(&mut row.hits) {
                *bits = told.group(slot, group);
            }
            row.forget_all(slot, tick);
        }
        sight
    }

    /// What is to be told to the simulation first in the next tick.
    pub fn changes(&self) -> &[Command] {
        &self.changes
    }

    /// A player takes a slot: from its first input on it hits only whom it knows of.
    pub fn join(&mut self, slot: u16) {
        if let Some(row) = self.rows.get_mut(usize::from(slot)) {
            row.set(slot, true);
        }
    }

    /// A player left, and the simulation forgets it by itself.
    pub fn leave(&mut self, slot: u16) {
        for row in &mut self.rows {
            row.set(slot, false);
            row.fading.retain(|(_, fading)| *fading != slot);
        }
        if let Some(row) = self.rows.get_mut(usize::from(slot)) {
            row.hits.fill(0);
            row.fading.clear();
        }
    }

    /// Takes in what clients were told of a tick, which the simulation has behind it.
    pub fn note(&mut self, tick: u32, view: View<'_>, watchers: &mut [Watcher]) {
        self.changes.clear();
        let Some(told) = view.resource::<Told>() else { return };
        let slot_of = |id| view.get::<Identity>(id).and_then(Identity::slot);
        for ((slot, row), watcher) in (0..).zip(&mut self.rows).zip(watchers) {
            for news in watcher.take_news() {
                match news {
                    News::Told(id) => slot_of(id).into_iter().for_each(|other| row.tell(other)),
                    News::Forgotten(id) => slot_of(id).into_iter().for_each(|other| row.forget(other, tick)),
                    News::Nothing => row.forget_all(slot, tick),
                }
            }
            row.fade(slot, tick.saturating_sub(self.rewind));
            if row.changed {
                row.changed = !compare(slot, &row.hits, told, &mut self.changes);
            }
        }
    }
}

/// Appends what the simulation does not know yet; false if there is no room.
fn compare(slot: u16, hits: &[u32], told: &Told, changes: &mut Vec<Command>) -> bool {
    for (group, bits) in (0..).zip(hits) {
        let toggled = bits ^ told.group(slot, group);
        if toggled == 0 {
            continue;
        }
        if changes.len() >= CHANGES_MAX {
            return false;
        }
        changes.push(Command::Told { slot, group, toggled });
    }
    true
}

impl Row {
    fn set(&mut self, slot: u16, hits: bool) {
        if let Some(group) = self.hits.get_mut(usize::from(slot / GROUP_SLOTS)) {
            let bit = 1 << (slot % GROUP_SLOTS);
            let before = *group;
            *group = if hits { before | bit } else { before & !bit };
            self.changed |= *group != before;
        }
    }

    fn tell(&mut self, slot: u16) {
        self.fading.retain(|(_, fading)| *fading != slot);
        self.set(slot, true);
    }

    fn forget(&mut self, slot: u16, tick: u32) {
        self.fading.push_back((tick, slot));
    }

    fn forget_all(&mut self, own: u16, tick: u32) {
        for slot in 0..(self.hits.len() as u16 * GROUP_SLOTS) {
            let knows = self.hits[usize::from(slot / GROUP_SLOTS)] >> (slot % GROUP_SLOTS) & 1 != 0;
            if knows && slot != own && self.fading.iter().all(|(_, fading)| *fading != slot) {
                self.forget(slot, tick);
            }
        }
    }

    /// Takes back what went out of sight at `before` or earlier.
    fn fade(&mut self, own: u16, before: u32) {
        while let Some((_, slot)) = self.fading.pop_front_if(|(tick, _)| *tick <= before) {
            // Who may not know of itself plays no more.
            self.set(slot, slot == own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row { hits: vec![0; 2], fading: VecDeque::new(), changed: false }
    }

    #[test]
    fn who_went_out_of_sight_may_be_hit_as_long_as_a_screen_may_show_them() {
        let mut row = row();
        row.tell(40);
        row.forget(40, 100);
        row.fade(0, 99);
        assert_eq!(row.hits, [0, 1 << 8]);
        row.fade(0, 100);
        assert_eq!(row.hits, [0, 0]);
    }

    #[test]
    fn who_is_told_of_again_in_the_meantime_stays() {
        let mut row = row();
        row.tell(3);
        row.forget(3, 100);
        row.tell(3);
        row.fade(0, 200);
        assert_eq!(row.hits, [1 << 3, 0]);
        // Out of sight again: the time begins anew.
        row.forget(3, 210);
        row.fade(0, 209);
        assert_eq!(row.hits, [1 << 3, 0]);
    }

    #[test]
    fn who_comes_back_with_nothing_keeps_the_right_to_what_its_screen_shows_and_itself() {
        let mut row = row();
        (0..3).for_each(|slot| row.tell(slot));
        row.forget(1, 90);
        row.forget_all(2, 100);
        row.fade(2, 90);
        assert_eq!(row.hits, [0b101, 0]);
        row.fade(2, 100);
        assert_eq!(row.hits, [0b100, 0]);
    }

    #[test]
    fn only_what_differs_is_told() {
        let mut told = Told::new(64);
        told.toggle(5, 1, 0b10);
        let mut changes = Vec::new();
        assert!(compare(5, &[0, 0b11], &told, &mut changes));
        assert_eq!(changes, [Command::Told { slot: 5, group: 1, toggled: 1 }]);
    }

    #[test]
    fn what_does_not_fit_into_a_tick_waits() {
        let mut changes = vec![Command::Told { slot: 0, group: 0, toggled: 1 }; CHANGES_MAX];
        assert!(!compare(5, &[1], &Told::new(10), &mut changes));
        assert!(compare(5, &[0], &Told::new(10), &mut changes));
        assert_eq!(changes.len(), CHANGES_MAX);
    }
}
