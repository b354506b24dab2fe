//! How one player's inputs come in: how many, for which ticks, and whether they agree with each other.

use arbiter_protocol::InputPacket;

use super::{Detector, Finding};

/// Ticks' worth of seconds between two looks: long enough that a stalled link which lets go at once is no flood.
const LOOK_S: u32 = 2;

/// Rewritten inputs, and views that went back, in one look from which on it speaks against the player. A client whose clock has to
/// start anew, because a link or a machine stood still, does the first for some ticks and the second once.
const REWRITTEN_LEAST: u32 = 8;
const BACKWARDS_LEAST: u32 = 2;

/// Datagrams and ticks that a link which was silent may bring at once, in ticks: a quarter of a second at 60 Hz.
const BURST: u32 = 16;

/// Datagrams of one player that are read between two ticks: what a link brings at once that was silent for half a second at
/// 60 Hz. The others cost their sender, who said the same in the first of them.
const PER_TICK_MAX: u32 = 32;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Conduct {
    /// The tick that is simulated next, and datagrams since the one before.
    now: (u32, u32),
    /// Since the last look.
    packets: u32,
    rewritten: u32,
    backwards: u32,
    /// Tick and newest input of the last look.
    since: Option<(u32, u32)>,
    /// The newest input, and what was seen with it in 1/256 ticks.
    newest: Option<(u32, u64)>,
}

impl Conduct {
    /// A datagram with inputs came before the tick `next`; whether it is to be read.
    pub fn note(&mut self, packet: &InputPacket, next: u32) -> bool {
        self.packets = self.packets.saturating_add(1);
        let before = if self.now.0 == next { self.now.1 } else { 0 };
        self.now = (next, before + 1);
        if before >= PER_TICK_MAX {
            return false;
        }
        for input in packet.inputs.iter().rev() {
            let seen = u64::from(input.view_tick) << 8 | u64::from(input.view_fraction);
            match self.newest {
                Some((newest, _)) if input.tick <= newest => {}
                last => {
                    // Less than a tick may be rounding.
                    let back = last.is_some_and(|(_, last)| seen + 256 < last);
                    self.backwards = self.backwards.saturating_add(u32::from(back));
                    self.newest = Some((input.tick, seen));
                }
            }
        }
        true
    }

    /// Inputs came for ticks that had another one.
    pub fn note_rewritten(&mut self, inputs: u32) {
        self.rewritten = self.rewritten.saturating_add(inputs);
    }

    /// What there is to say behind a tick; nothing most of the time. Need not be asked behind each.
    pub fn look(&mut self, tick: u32, rate: u32, find: &mut impl FnMut(Finding)) {
        let Some((newest, _)) = self.newest else { return };
        let Some((since, newest_then)) = self.since else { return self.begin(tick, newest) };
        let ticks = tick.saturating_sub(since);
        if ticks < LOOK_S * rate {
            return;
        }
        let mut told = |detector, evidence: u32, tried: u32| {
            if evidence > 0 {
                find(Finding { detector, evidence: evidence as f32, tried: tried as f32 });
            }
        };
        let went_on = newest.saturating_sub(newest_then);
        told(Detector::Pace, went_on.min(4 * ticks).saturating_sub(ticks + ticks / 4 + BURST), ticks);
        told(Detector::Flood, self.packets.saturating_sub(2 * ticks + BURST), ticks);
        told(Detector::Rewrite, u32::from(self.rewritten >= REWRITTEN_LEAST), 1);
        told(Detector::View, u32::from(self.backwards >= BACKWARDS_LEAST), 1);
        self.begin(tick, newest);
    }

    /// Counts anew.
    fn begin(&mut self, tick: u32, newest: u32) {
        self.since = Some((tick, newest));
        (self.packets, self.rewritten, self.backwards) = (0, 0, 0);
    }

    /// The server stood still: what clients made of that is not their fault.
    pub fn excuse(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbiter_protocol::WireInput;

    /// Plays ten seconds; `send` says what is sent at a tick.
    fn found(send: impl Fn(u32, &mut dyn FnMut(WireInput))) -> Vec<(Detector, f32)> {
        let (mut conduct, mut all) = (Conduct::default(), Vec::new());
        for tick in 1..=600 {
            send(tick, &mut |input| {
                let inputs = core::iter::once(input).collect();
                conduct.note(&InputPacket { inputs, ..InputPacket::default() }, tick);
            });
            conduct.look(tick, 60, &mut |finding| all.push((finding.detector, finding.evidence)));
        }
        all
    }

    fn input(tick: u32) -> WireInput {
        WireInput { tick, view_tick: tick.saturating_sub(6), ..WireInput::default() }
    }

    fn of(found: &[(Detector, f32)], detector: Detector) -> f32 {
        found.iter().filter(|(by, _)| *by == detector).map(|(_, evidence)| evidence).sum()
    }

    #[test]
    fn an_input_a_tick_is_nothing_to_speak_of() {
        assert_eq!(found(|tick, send| send(input(tick + 3))), []);
    }

    #[test]
    fn a_link_that_stalls_for_half_a_second_is_nothing_to_speak_of() {
        let stalled = found(|tick, send| match tick % 240 {
            200..230 => {}
            230 => (0..31).for_each(|ago| send(input(tick - 30 + ago))),
            _ => send(input(tick)),
        });
        assert_eq!(stalled, []);
    }

    #[test]
    fn of_a_flood_only_the_first_datagrams_of_a_tick_are_read() {
        let mut conduct = Conduct::default();
        let packet = InputPacket { inputs: core::iter::once(input(5)).collect(), ..InputPacket::default() };
        let mut read = |next| (0..100).filter(|_| conduct.note(&packet, next)).count();
        assert_eq!((read(5), read(6)), (PER_TICK_MAX as usize, PER_TICK_MAX as usize));
    }

    #[test]
    fn inputs_for_twice_the_ticks_are_too_fast() {
        let found = found(|tick, send| send(input(2 * tick)));
        assert!(of(&found, Detector::Pace) > 200.0, "{found:?}");
    }

    #[test]
    fn many_datagrams_a_tick_are_a_flood() {
        let found = found(|tick, send| (0..10).for_each(|_| send(input(tick))));
        assert!(of(&found, Detector::Flood) > 3_000.0, "{found:?}");
    }

    #[test]
    fn a_clock_that_starts_anew_once_says_little_and_a_server_that_stood_still_nothing() {
        let mut conduct = Conduct::default();
        let (mut evidence, mut looked) = (0.0, 0);
        for tick in 1..=600 {
            let inputs = core::iter::once(input(tick)).collect();
            conduct.note(&InputPacket { inputs, ..InputPacket::default() }, tick);
            conduct.note_rewritten(if (200..240).contains(&tick) || tick > 500 { 3 } else { 0 });
            if tick > 500 {
                conduct.excuse();
            }
            conduct.look(tick, 60, &mut |finding| (evidence, looked) = (evidence + finding.evidence, looked + 1));
        }
        assert!(evidence <= 2.0 && looked <= 2, "{evidence} in {looked}");
    }

    #[test]
    fn a_view_that_goes_back_in_time_is_noted() {
        let found = found(|tick, send| send(WireInput { view_tick: tick - tick % 10, ..input(tick + 10) }));
        assert_eq!(of(&found, Detector::View), 0.0, "it only stands still");
        let found =
            self::found(|tick, send| send(WireInput { view_tick: tick - tick % 2 * tick.min(9), ..input(tick + 10) }));
        assert_eq!(of(&found, Detector::View), 4.0, "{found:?}");
    }
}
