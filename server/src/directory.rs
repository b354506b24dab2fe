//! Which room holds the place of which player: one list for the whole process, because a player may come back over another
//! socket thread. Places are given and taken by rooms; this only says where to ask.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module. Player 0 is whoever has no account, and has no place to come back to.
#[derive(Debug, Default)]
pub(crate) struct Directory(Mutex<HashMap<u64, u16>>);

impl Directory {
    fn list(&self) -> MutexGuard<'_, HashMap<u64, u16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn room_of(&self, player: u64) -> Option<u16> {
        self.list().get(&player).copied()
    }

    /// All places, by player and room.
    pub fn places(&self) -> Vec<(u64, u16)> {
        self.list().iter().map(|(player, room)| (*player, *room)).collect()
    }

    pub fn enter(&self, player: u64, room: u16) {
        if player != 0 {
            self.list().insert(player, room);
        }
    }

    /// Forgets a player, unless another room has them by now.
    pub fn leave(&self, player: u64, room: u16) {
        let mut list = self.list();
        if list.get(&player) == Some(&room) {
            list.remove(&player);
        }
    }

    /// Forgets all players of a room that has ended.
    pub fn close(&self, room: u16) {
        self.list().retain(|_, at| *at != room);
    }
}
