//! What a room does about [`crate::suspicion`]: shows it the match and the inputs, and tells of what it finds.

use crate::suspicion::{Anomaly, Detector};

use super::Room;

/// Ticks of a second between two lines in the log about anomalies of one room; the next line says how many were left out.
const LOG_EVERY_S: u32 = 1;

/// Ticks in which each player's inputs are looked at once.
const CONDUCT_TICKS: u32 = 16;

/// Seconds behind ticks that the room missed in which nothing is held against anybody's inputs: clocks start anew.
const EXCUSED_S: u32 = 3;

/// What was found, until it is told, and how much of it was told so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    found: Vec<(u16, Detector, i64)>,
    /// Ticks that the room had missed, and until when what clients make of that is excused.
    overruns: u64,
    excused_until: u32,
    logged: Option<u32>,
    unlogged: u64,
}

impl Told {
    /// What clients make of the next seconds is not held against them.
    pub fn excuse(&mut self, tick: u32, tick_rate: u16) {
        self.excused_until = tick + EXCUSED_S * u32::from(tick_rate);
        self.found.clear();
    }
}

impl Room {
    /// Looks at all players behind a tick.
    pub(super) fn suspect(&mut self, tick: u32) {
        let Self { suspicion, simulation, seats, anomalies, overruns, .. } = self;
        let rate = u32::from(simulation.settings().tick_rate).max(1);
        // By turns, since nothing here is of a single tick.
        let turn = (tick % CONDUCT_TICKS) as usize;
        if anomalies.overruns != *overruns {
            anomalies.overruns = *overruns;
            anomalies.excused_until = tick + EXCUSED_S * rate;
        }
        let is_excused = tick < anomalies.excused_until;
        let found = &mut anomalies.found;
        let mut tell = |slot, detector, amount| found.push((slot, detector, amount));
        suspicion.look(simulation, &mut tell);
        for (slot, seat) in (0..).zip(seats).skip(turn).step_by(CONDUCT_TICKS as usize) {
            if let Some(seat) = seat {
                if is_excused {
                    seat.conduct.excuse();
                }
                seat.conduct.look(tick, rate, &mut |finding| suspicion.note(slot, finding, tick, &mut tell));
            }
        }
        while let Some((slot, detector, amount)) = self.anomalies.found.pop() {
            self.tell_anomaly(tick, slot, detector, amount);
        }
    }

    fn tell_anomaly(&mut self, tick: u32, slot: u16, detector: Detector, amount: i64) {
        self.anomaly_counts[detector as usize] += 1;
        let player = self.seats.get(usize::from(slot)).and_then(Option::as_ref).map_or(0, |seat| seat.player);
        let (room, match_id) = (self.number, self.match_id);
        let every = LOG_EVERY_S * u32::from(self.simulation.settings().tick_rate);
        let told = &mut self.anomalies;
        if told.logged.is_none_or(|logged| tick.saturating_sub(logged) >= every) {
            let unlogged = core::mem::take(&mut told.unlogged);
            told.logged = Some(tick);
            let detector = detector.name();
            tracing::warn!(
                room,
                slot,
                player,
                tick,
                detector,
                amount,
                unlogged,
                "a player does what nobody honest does"
            );
        } else {
            told.unlogged += 1;
        }
        if let Some(story) = &mut self.story {
            let event = story.anomaly(tick, slot, detector.name(), amount);
            self.tell_found(tick, event);
        }
        if let Some(tell) = &self.shared.config.on_anomaly {
            tell(&Anomaly { room, match_id, tick, slot, player, detector, amount });
        }
    }
}
