//! A room goes on with a match that another process began: see [`crate::resume`]. It is made again as behind a panic; those who
//! played have a place that is kept for them, as if they had lost their connection when this process began.

use std::time::Instant;

use arbiter_protocol::SoundList;
use arbiter_schema::StableId;
use arbiter_sim::players::Player;
use arbiter_sim::{Loadout, Simulation};
use arbiter_transport::ClientId;

use super::recovery::Then;
use super::{Entering, LANDED_MAX, Line, Room, Seat, Turn};
use crate::buffer::InputBuffer;
use crate::recorder::{Entry, Resume};
use crate::resume::Resumed;
use crate::shard::Remote;
use crate::sounds::SoundQueue;
use crate::suspicion::conduct::Conduct;

/// Whoever is not there.
const NOBODY: Remote = Remote { shard: 0, client: ClientId::NOBODY };

impl Room {
    /// Begins to go on with a match.
    pub(super) fn take_up(&mut self, resumed: Resumed) {
        let Resumed { path, match_id, journal, epoch, holders, lost, writer, companion } = resumed;
        self.matches += 1;
        self.match_id = match_id.to_be_bytes();
        self.link().set_match_id(match_id);
        self.link().set_mode(&self.simulation.settings().mode);
        // The rebuild counts one more.
        self.epoch = epoch - 1;
        self.journal = journal;
        self.recorder.hand(self.number, Entry::Resume(Box::new(Resume { path: path.clone(), writer, companion })));
        self.recording = Some(path);
        self.keep_places_of(&holders);
        let last = self.journal.last();
        tracing::warn!(room = self.number, tick = last, epoch, lost, "a match is taken up again");
        self.recovery.lost = lost;
        if self.begin_rebuild(Then::Resume, last) == Turn::Failed {
            self.fail();
        }
    }

    /// Before anybody can ask for a place: whoever played here must come back here.
    fn keep_places_of(&mut self, holders: &[(u16, u64)]) {
        let (now, rate) = (Instant::now(), self.simulation.settings().tick_rate);
        for (slot, player) in holders.iter().copied().filter(|(_, player)| *player != 0) {
            let peer = self.new_peer();
            let Some(seat) = self.seats.get_mut(usize::from(slot)) else { continue };
            *seat = Some(Seat {
                client: NOBODY,
                loadout: Loadout::default(),
                // Which entity it is turns out once the match is made again.
                entering: Entering::In(StableId::NONE),
                inputs: InputBuffer::new(rate),
                conduct: Conduct::default(),
                peer,
                sounds: SoundQueue::new(rate),
                landed: Vec::with_capacity(LANDED_MAX),
                watched: SoundList::default(),
                restarted: None,
                view_lag: None,
                newest: None,
                line: std::sync::Arc::<Line>::default(),
                player,
                since: now,
                lost: Some(now),
            });
            self.shared.directory.enter(player, self.number);
            self.link().reserve();
        }
    }

    /// The match is made again: who had left before gives the place up, the others are who they were.
    pub(super) fn know_holders(&mut self) {
        for slot in 0..self.seats.len() {
            let hero = hero_in(&self.simulation, slot as u16);
            match (&mut self.seats[slot], hero) {
                (Some(seat), Some(hero)) => seat.loadout.hero = hero,
                (seat, None) => {
                    if let Some(seat) = seat.take() {
                        self.link().release();
                        self.shared.directory.leave(seat.player, self.number);
                    }
                }
                (None, Some(_)) => {}
            }
        }
    }
}

fn hero_in(simulation: &Simulation, slot: u16) -> Option<u8> {
    let view = simulation.view();
    view.get::<Player>(view.player(slot)?).map(|player| player.hero)
}
