//! What a room keeps in memory to be made again: its last checkpoint, and what every tick since was stepped with.
//!
//! Bounded by the interval of checkpoints, and without allocation once the room is warm. The checkpoint is the one that the
//! recording has; it is encoded once. Next: [`super::recovery`] for what is made of it.

use std::sync::Arc;

use arbiter_sim::{Command, Input, Simulation};

use crate::outbox::Story;

/// See the module.
#[derive(Default)]
pub(crate) struct Journal {
    /// The tick of the checkpoint.
    pub from: u32,
    pub state: Arc<Vec<u8>>,
    /// What was told until there.
    pub story: Option<Arc<Story>>,
    /// The checkpoint before, whose memory the next one takes.
    spare: Arc<Vec<u8>>,
    commands: Vec<Command>,
    /// Of each tick since: where its commands end, and the hash of the state behind it.
    ticks: Vec<(usize, u64)>,
    /// Who joined since: tick, slot, player.
    joined: Vec<(u32, u16, u64)>,
}

impl Journal {
    /// Keeps the state of now; what led to it is not needed any more.
    pub fn checkpoint(&mut self, simulation: &Simulation, story: Option<&Story>) {
        let mut spare = core::mem::take(&mut self.spare);
        // The recorder is done with it, but for a disk that hangs.
        if Arc::get_mut(&mut spare).is_none() {
            spare = Arc::default();
        }
        if let Some(state) = Arc::get_mut(&mut spare) {
            state.clear();
            simulation.checkpoint(state);
        }
        self.begin(simulation.tick(), spare, story.cloned().map(Arc::new));
    }

    /// Begins with a state that is there already.
    pub fn begin(&mut self, from: u32, state: Arc<Vec<u8>>, story: Option<Arc<Story>>) {
        self.spare = core::mem::replace(&mut self.state, state);
        (self.from, self.story) = (from, story);
        self.commands.clear();
        self.ticks.clear();
        self.joined.clear();
    }

    /// Keeps a tick, which must be the next.
    pub fn push(&mut self, commands: &[Command], hash: u64) {
        self.commands.extend_from_slice(commands);
        self.ticks.push((self.commands.len(), hash));
    }

    /// Somebody joins in a slot with a tick.
    pub fn join(&mut self, tick: u32, slot: u16, player: u64) {
        self.joined.push((tick, slot, player));
    }

    /// Who joined with a tick: slot and player.
    pub fn joined(&self, tick: u32) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.joined.iter().filter(move |(at, _, _)| *at == tick).map(|(_, slot, player)| (*slot, *player))
    }

    /// Who joined in a slot with a tick; 0 for nobody that is known.
    pub fn player(&self, tick: u32, slot: u16) -> u64 {
        let mut joined = self.joined.iter().rev();
        joined.find(|(at, in_slot, _)| (*at, *in_slot) == (tick, slot)).map_or(0, |(_, _, player)| *player)
    }

    /// The last tick that is kept.
    pub fn last(&self) -> u32 {
        self.from + self.ticks.len() as u32
    }

    /// What a tick was stepped with, and the hash of the state behind it.
    pub fn tick(&self, tick: u32) -> Option<(&[Command], u64)> {
        let at = tick.checked_sub(self.from + 1)? as usize;
        let (end, hash) = *self.ticks.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ticks[before].0);
        Some((&self.commands[start..end], hash))
    }

    /// What does nothing in the tick that is next: the player in a slot stands still and looks where it looked.
    pub fn neutral(&self, slot: u16) -> Input {
        let last = self.tick(self.last()).map_or(&[][..], |(commands, _)| commands);
        let before = last.iter().find_map(|command| match command {
            Command::Input { slot: of, input, .. } if *of == slot => Some(*input),
            _ => None,
        });
        let before = before.unwrap_or_default();
        Input { yaw: before.yaw, pitch: before.pitch, view_tick: self.last(), ..Input::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(slot: u16) -> Command {
        Command::Leave { slot, reason: arbiter_sim::LeaveReason::Quit }
    }

    #[test]
    fn each_tick_comes_back_with_its_own_commands_and_hash() {
        let mut journal = Journal::default();
        journal.begin(10, Arc::default(), None);
        journal.push(&[leave(1), leave(2)], 7);
        journal.push(&[], 8);
        journal.push(&[leave(3)], 9);
        assert_eq!((journal.last(), journal.tick(10), journal.tick(14)), (13, None, None));
        assert_eq!(journal.tick(11), Some((&[leave(1), leave(2)][..], 7)));
        assert_eq!(journal.tick(12), Some((&[][..], 8)));
        assert_eq!(journal.tick(13), Some((&[leave(3)][..], 9)));
    }

    #[test]
    fn who_stands_still_looks_where_it_looked() {
        let mut journal = Journal::default();
        let input = Input { buttons: 7, move_forward: 3, yaw: 5, pitch: 6, ..Input::default() };
        journal.push(&[Command::Input { slot: 4, input, substituted: false }], 1);
        assert_eq!(journal.neutral(4), Input { yaw: 5, pitch: 6, view_tick: 1, ..Input::default() });
        assert_eq!(journal.neutral(5), Input { view_tick: 1, ..Input::default() });
    }
}
