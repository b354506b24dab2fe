//! What a consumer does with an event that it cannot apply: put it aside, visibly, with everything that follows for the same
//! player, and go on for all others. Put right, a player's events are applied in the order in which they came.
//!
//! This is state without I/O: a consumer keeps it in the same write as its own, with positions instead of events, since the
//! events are in the log.

use std::collections::BTreeMap;

use thiserror::Error;

/// Events that may wait for all players together: beyond that something is wrong with the consumer, not with an event.
pub const WAITING_MAX: usize = 65_536;

/// Bytes of a reason that are kept.
pub const REASON_BYTES_MAX: usize = 256;

/// Why a player's events wait, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why the first could not be applied.
    pub reason: String,
    /// Positions in the log, in order.
    pub positions: Vec<u64>,
}

/// As much waits as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{WAITING_MAX} events wait in quarantine, which is the limit: stop this consumer and put right why they do not apply"
)]
pub struct Full;

/// All players whose events wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quarantine {
    players: BTreeMap<u64, Waiting>,
    count: usize,
}

impl Quarantine {
    /// Whether a player's next event must wait.
    pub fn holds(&self, player: u64) -> bool {
        self.players.contains_key(&player)
    }

    /// Puts an event aside that was not applied, or that follows one. A reason is kept with the first only.
    pub fn put(&mut self, player: u64, position: u64, reason: &str) -> Result<(), Full> {
        if self.count >= WAITING_MAX {
            return Err(Full);
        }
        let waiting = self.players.entry(player).or_insert_with(|| {
            let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
            Waiting { reason: reason[..end.unwrap_or(0)].to_owned(), positions: Vec::new() }
        });
        // Told twice is put aside once.
        if waiting.positions.last().is_none_or(|last| *last < position) {
            waiting.positions.push(position);
            self.count += 1;
        }
        Ok(())
    }

    /// Applies a player's events again, from the first on; stops at the first that still does not apply and keeps it with all
    /// behind it. Returns how many were applied.
    pub fn replay(&mut self, player: u64, mut apply: impl FnMut(u64) -> Result<(), String>) -> usize {
        let Some(mut waiting) = self.players.remove(&player) else { return 0 };
        let mut applied = 0;
        for position in &waiting.positions {
            if let Err(reason) = apply(*position) {
                waiting.positions.drain(..applied);
                waiting.reason = reason;
                self.players.insert(player, waiting);
                break;
            }
            applied += 1;
        }
        self.count -= applied;
        applied
    }

    /// All players whose events wait, by number.
    pub fn players(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        self.players.iter().map(|(player, waiting)| (*player, waiting))
    }

    /// Events that wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_holds_back_its_players_later_ones_and_nobody_elses() {
        let mut quarantine = Quarantine::default();
        quarantine.put(7, 10, "no such item").expect("room");
        assert!(quarantine.holds(7) && !quarantine.holds(8));
    }

    #[test]
    fn what_waits_is_applied_in_order_and_stops_at_what_still_fails() {
        let mut quarantine = Quarantine::default();
        for position in [10, 12, 15, 15] {
            quarantine.put(7, position, "no such item").expect("room");
        }
        let mut applied = Vec::new();
        let some = quarantine.replay(7, |position| {
            applied.push(position);
            if position == 12 { Err("still not".to_owned()) } else { Ok(()) }
        });
        assert_eq!((some, applied), (1, vec![10, 12]));
        let left: Vec<_> = quarantine.players().map(|(player, waiting)| (player, waiting.clone())).collect();
        assert_eq!(left, [(7, Waiting { reason: "still not".to_owned(), positions: vec![12, 15] })]);
        assert_eq!((quarantine.replay(7, |_| Ok(())), quarantine.is_empty()), (2, true));
    }

    #[test]
    fn a_full_quarantine_stops_the_consumer() {
        let mut quarantine = Quarantine::default();
        (0..WAITING_MAX as u64).for_each(|at| quarantine.put(at % 3, at, "").expect("room"));
        assert_eq!(quarantine.put(4, 1 << 40, ""), Err(Full));
    }
}
