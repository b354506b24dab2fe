//! What a player would say of how it felt, to be compared with what the server knows: only kept where it is asked for.

use core::time::Duration;

use arbiter_schema::StableId;

use crate::bots::Bot;
use crate::prediction::{Correction, PredictionCounts};
use crate::shots::Shot;

/// Shots that are kept: an hour of a held trigger; more are not.
const SHOTS_MAX: usize = 65_536;
/// Corrections that are kept: an hour of ten a second.
const CORRECTIONS_MAX: usize = 36_000;
/// Longer than a frame of a slow screen.
pub const HITCH: Duration = Duration::from_millis(34);
/// Ticks between two notes of what was pressed and shown.
const NOTE_TICKS: u32 = 15;
/// Notes that are kept, of each kind.
const NOTES_MAX: usize = 65_536;

/// One player's log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeelLog {
    /// Whose.
    pub player: StableId,
    /// Every pull of a trigger as it was shown.
    pub shots: Vec<Shot>,
    /// Every move of one's own hero that was not one's own.
    pub corrections: Vec<Correction>,
    /// Ticks and the local time at which their input was made.
    pub pressed: Vec<(u32, Duration)>,
    /// Moments in ticks and the local time at which the others were shown as then.
    pub shown: Vec<(f64, Duration)>,
    /// What the prediction came to.
    pub predicted: PredictionCounts,
    /// How often there was nothing left to show of the others.
    pub freezes: u64,
    /// Ticks that the others are shown behind what arrives, at the end.
    pub delay_ticks: f64,
    /// Ticks, summed over [`Self::pressed`], by which what is shown of oneself lagged behind the input that was just made.
    pub own_lag: u64,
    /// How often it had no turn for longer than [`HITCH`]: then the machine was too busy, and what is measured is that.
    pub hitches: u64,
    last: Duration,
    /// How long it played.
    pub played: Duration,
    began: Option<Duration>,
}

impl FeelLog {
    /// Notes what has happened. To be called behind each turn of the bot.
    pub fn note(&mut self, bot: &mut Bot, now: Duration) {
        while let Some(shot) = bot.own.next_shot() {
            if self.shots.len() < SHOTS_MAX {
                let at = self.shots.partition_point(|other| other.tick <= shot.tick);
                self.shots.insert(at, shot);
            }
        }
        while let Some(correction) = bot.own.next_correction() {
            if self.corrections.len() < CORRECTIONS_MAX {
                self.corrections.push(correction);
            }
        }
        let Some(welcome) = bot.client.welcome() else { return };
        self.player = welcome.player;
        let (tick, shown) = (bot.last_input(), bot.view().view_ticks);
        if tick == 0 {
            return;
        }
        let waited = now.saturating_sub(core::mem::replace(&mut self.last, now));
        self.hitches += u64::from(self.began.is_some() && waited > HITCH);
        self.played = now.saturating_sub(*self.began.get_or_insert(now));
        self.predicted = bot.own.counts();
        (self.freezes, self.delay_ticks) = (bot.client.view_clock().freezes(), bot.client.view_clock().delay());
        let due = |last: Option<u32>| last.is_none_or(|last| tick >= last + NOTE_TICKS);
        if self.pressed.len() < NOTES_MAX && due(self.pressed.last().map(|pressed| pressed.0)) {
            self.pressed.push((tick, now));
            let own = bot.own.predicted().map_or(0, |predicted| predicted.tick());
            self.own_lag += u64::from(tick.saturating_sub(own));
            self.shown.push((shown, now));
        }
    }
}
