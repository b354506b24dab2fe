//! A tape and the stage that it is played on, some turns of the room later.

use core::time::Duration;

use arbiter_protocol::Welcome;
use arbiter_schema::Registry;

use super::stage::Stage;
use super::tape::{Played, Tape};
use super::turns;
use crate::ServerConfig;

/// Clients are shown at most so many ticks a second: what is recorded and kept is a half or a quarter of the match, and what is
/// shown in between is interpolated as ever.
const TICKS_PER_SECOND: u32 = 32;

/// See the module.
pub struct Reel {
    pub tape: Tape,
    pub stage: Stage,
    delay_turns: u64,
    /// Every how many ticks one is shown.
    stride: u32,
    /// Turns of the room so far.
    pub turn: u64,
}

/// What else than ticks is due.
pub enum Due<'a> {
    /// Another match begins.
    Match,
    /// A message to everybody.
    Message(&'a [u8]),
}

impl Reel {
    /// For a room. What is shown is so old, and as many turns more as `late` says; at a delay of zero, what is now.
    pub fn new(config: &ServerConfig, registry: &Registry, delay: Duration, late: u64) -> Self {
        let (rate, slots) = (config.settings.tick_rate, usize::from(config.settings.players_max));
        let (delay_turns, stride) = (turns(delay, rate), u32::from(rate.max(1)).div_ceil(TICKS_PER_SECOND));
        Self {
            tape: Tape::new((delay_turns / u64::from(stride)) as usize, slots),
            stage: Stage::new(registry, slots),
            delay_turns: if delay.is_zero() { 0 } else { delay_turns + late },
            stride,
            turn: 0,
        }
    }

    /// A match begins.
    pub fn begin(&mut self, welcome: Welcome) {
        self.tape.begin(self.turn, welcome);
    }

    /// Where a tick is kept, if it is one that is shown.
    pub fn tape_for(&mut self, tick: u32) -> Option<&mut Tape> {
        tick.is_multiple_of(self.stride).then_some(&mut self.tape)
    }

    /// Bytes of what is shown of a tick at most, by the settings and the rate of the match.
    pub fn budget_max(&self, config: &ServerConfig, tick_rate: u16) -> usize {
        config.snapshot_bytes_max(self.stride, u32::from(tick_rate))
    }

    /// Plays what is due; `each` hears of everything but ticks. Whether a tick is to be told; what is encoded of it is only made
    /// if somebody watches.
    pub fn play(&mut self, is_watched: bool, mut each: impl FnMut(Due<'_>)) -> bool {
        let Some(until) = self.turn.checked_sub(self.delay_turns) else { return false };
        self.stage.hush();
        let mut is_new = false;
        while let Some(played) = self.tape.play(until) {
            match played {
                Played::Match(welcome) => {
                    is_new = false;
                    each(Due::Match);
                    self.stage.begin(welcome);
                }
                Played::Tick(from) => is_new |= self.stage.play(from, is_watched),
                Played::Message(bytes) => each(Due::Message(bytes)),
            }
        }
        is_new
    }
}
