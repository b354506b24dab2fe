//! Whether rooms advance: the one place that says so. Health over HTTP, registration with the services, pings to Agones and the
//! drain of a process with a stuck room all ask here.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::room::RoomLink;

/// A room that has not turned for so long is stuck: 50 ticks at the lowest rate.
pub(crate) const STUCK: Duration = Duration::from_secs(5);

/// When each room was last seen to advance. A room is as old as the last time that somebody asked, so somebody must ask often:
/// the thread `watch` does.
pub(crate) struct Pulse(Mutex<Seen>);

struct Seen {
    /// Of each room: its turns when it was last seen to advance, and when that was.
    turns: Vec<(u64, Instant)>,
    /// When somebody last looked.
    looked: Instant,
}

/// What was seen of all rooms at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Beat {
    /// By room: whether it has advanced a moment ago. Of one that has ended it says nothing.
    pub advances: Vec<bool>,
    /// Rooms that should advance and do not.
    pub stuck: Vec<u16>,
    /// Rooms that have not ended.
    pub running: usize,
}

impl Beat {
    /// Whether any room advances, or none has to any more.
    pub fn lives(&self) -> bool {
        self.running == 0 || self.stuck.len() < self.running
    }

    /// Whether nothing is left but rooms that will not end by themselves.
    pub fn only_stuck_are_left(&self) -> bool {
        self.running > 0 && self.stuck.len() == self.running
    }
}

impl Pulse {
    pub fn new(rooms: u16) -> Self {
        let now = Instant::now();
        Self(Mutex::new(Seen { turns: vec![(0, now); usize::from(rooms)], looked: now }))
    }

    /// Looks at all rooms.
    pub fn feel(&self, rooms: &[RoomLink]) -> Beat {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Nobody looked for so long because the whole process was held: that says nothing of its rooms.
        let held = now.saturating_duration_since(seen.looked) > STUCK / 2;
        seen.looked = now;
        let mut beat = Beat::default();
        for ((number, room), (turns, since)) in (0..).zip(rooms).zip(seen.turns.iter_mut()) {
            if held || room.turns() != *turns {
                (*turns, *since) = (room.turns(), now);
            }
            let advances = now.saturating_duration_since(*since) < STUCK;
            beat.advances.push(advances);
            if !room.has_ended() {
                beat.running += 1;
                if !advances {
                    beat.stuck.push(number);
                }
            }
        }
        beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_while_one_of_its_rooms_does() {
        let one_of_two = Beat { advances: vec![true, false], stuck: vec![1], running: 2 };
        assert!(one_of_two.lives() && !one_of_two.only_stuck_are_left());
    }

    #[test]
    fn a_process_whose_last_room_is_stuck_does_not_live() {
        let last = Beat { advances: vec![false, false], stuck: vec![1], running: 1 };
        assert!(!last.lives() && last.only_stuck_are_left());
    }

    #[test]
    fn a_process_whose_rooms_have_ended_lives() {
        let ended = Beat { advances: vec![false], stuck: Vec::new(), running: 0 };
        assert!(ended.lives() && !ended.only_stuck_are_left());
    }
}
