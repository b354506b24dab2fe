//! One player's inputs, between the network that delivers them in bursts and the Tick that needs one each.
//!
//! Inputs name the tick that they are meant for. What is missing when its tick comes is made up from the last one, so that a
//! player runs on through a lost datagram; what presses a button once is not repeated. What comes too late is dropped, but a
//! button that it pressed is pressed with the next input instead of being swallowed.

use arbiter_protocol::WireInput;
use arbiter_sim::{Input, button};

/// Inputs that may wait: half a second at the highest rate. A client that sends further ahead is not waited for.
pub const AHEAD_MAX: u32 = 64;

/// Buttons that act when they go down; a made-up input does not press them.
const EDGES: u16 = button::JUMP
    | button::RELOAD
    | button::USE
    | button::ABILITY[0]
    | button::ABILITY[1]
    | button::ABILITY[2]
    | button::ABILITY[3]
    | button::WEAPON[0]
    | button::WEAPON[1]
    | button::WEAPON[2];

/// Buttons that are pressed with the next input if the one that pressed them came too late: a weapon that fires once for each
/// pull has its trigger among them.
const LATE: u16 = EDGES | button::FIRE;

/// How far back a player may have seen, in milliseconds: beyond that others would be hit long behind their cover.
pub const VIEW_MS_MAX: u32 = 250;

/// For how long inputs are made up, in milliseconds: then the player stands still.
const SUBSTITUTE_MS_MAX: u32 = 500;

/// Inputs of one player.
#[derive(Debug, Clone)]
pub struct InputBuffer {
    waiting: [Option<WireInput>; AHEAD_MAX as usize],
    last: Option<Input>,
    late_edges: u16,
    /// The newest tick that an input came for.
    heard: u32,
    made_up: u32,
    substitute_max: u32,
    view_max: u32,
    /// Inputs that were made up so far.
    pub substituted: u64,
    /// Inputs that came too late so far.
    pub late: u64,
}

impl InputBuffer {
    /// An empty one for a tick rate.
    pub fn new(tick_rate: u16) -> Self {
        let ticks = |ms: u32| ms * u32::from(tick_rate) / 1_000;
        Self {
            waiting: [None; AHEAD_MAX as usize],
            last: None,
            late_edges: 0,
            heard: 0,
            made_up: 0,
            substitute_max: ticks(SUBSTITUTE_MS_MAX),
            view_max: ticks(VIEW_MS_MAX).max(1),
            substituted: 0,
            late: 0,
        }
    }

    /// Takes inputs, newest first; `next` is the tick that will be stepped next. The same input may come many times; of those
    /// that differ the first one counts, so that nobody can wait and see what to have done. Returns how many came to a tick
    /// that had another one.
    pub fn push(&mut self, inputs: &[WireInput], next: u32) -> u32 {
        let mut rewritten = 0;
        for input in inputs {
            if input.tick < next {
                continue;
            }
            if input.tick - next < AHEAD_MAX {
                match &mut self.waiting[(input.tick % AHEAD_MAX) as usize] {
                    Some(first) if first.tick == input.tick => rewritten += u32::from(first != input),
                    place => *place = Some(*input),
                }
            }
        }
        let held = self.last.map_or(0, |last| last.buttons);
        // What came before is in most datagrams again.
        for late in inputs.iter().filter(|input| input.tick < next && input.tick > self.heard && self.last.is_some()) {
            self.late += 1;
            self.late_edges |= late.buttons & LATE & !held;
        }
        self.heard = inputs.first().map_or(self.heard, |newest| newest.tick.max(self.heard));
        rewritten
    }

    /// The input for tick `tick`, and whether it was made up. `None` before the first one has come.
    pub fn take(&mut self, tick: u32) -> Option<(Input, bool)> {
        let slot = &mut self.waiting[(tick % AHEAD_MAX) as usize];
        let found = slot.take_if(|input| input.tick <= tick).filter(|input| input.tick == tick);
        let (mut input, substituted) = match (found, self.last) {
            (Some(wire), _) => {
                self.made_up = 0;
                (applied(&wire), false)
            }
            (None, Some(last)) => {
                self.made_up = self.made_up.saturating_add(1);
                self.substituted += 1;
                let mut input = Input { buttons: last.buttons & !EDGES, ..last };
                if self.made_up > self.substitute_max {
                    (input.buttons, input.move_right, input.move_forward) = (0, 0, 0);
                }
                // The world that was seen moves on with time.
                input.view_tick = input.view_tick.saturating_add(1);
                (input, true)
            }
            (None, None) => return None,
        };
        input.buttons |= core::mem::take(&mut self.late_edges);
        self.clamp_view(&mut input, tick);
        self.last = Some(input);
        Some((input, substituted))
    }

    /// Nobody sees the future, nor further back than the limit.
    fn clamp_view(&self, input: &mut Input, tick: u32) {
        let now = tick.saturating_sub(1);
        let oldest = now.saturating_sub(self.view_max);
        if input.view_tick >= now {
            (input.view_tick, input.view_fraction) = (now, 0);
        } else if input.view_tick < oldest {
            (input.view_tick, input.view_fraction) = (oldest, 0);
        }
    }
}

fn applied(wire: &WireInput) -> Input {
    Input {
        buttons: wire.buttons,
        move_right: wire.move_right,
        move_forward: wire.move_forward,
        yaw: wire.yaw,
        pitch: wire.pitch,
        view_tick: wire.view_tick,
        view_fraction: wire.view_fraction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(tick: u32, buttons: u16) -> WireInput {
        WireInput { tick, buttons, move_forward: 127, view_tick: tick.saturating_sub(5), ..WireInput::default() }
    }

    #[test]
    fn inputs_are_applied_at_their_tick_in_whatever_order_they_come() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[wire(12, 3)], 10);
        buffer.push(&[wire(11, 2), wire(10, 1)], 10);
        let taken: Vec<_> =
            (10..13).filter_map(|tick| buffer.take(tick)).map(|(input, made)| (input.buttons, made)).collect();
        assert_eq!(taken, [(1, false), (2, false), (3, false)]);
    }

    #[test]
    fn the_first_input_for_a_tick_counts() {
        let mut buffer = InputBuffer::new(60);
        assert_eq!(buffer.push(&[wire(10, 1)], 10), 0);
        assert_eq!(buffer.push(&[wire(11, 4), wire(10, 2)], 10), 1);
        assert_eq!(buffer.push(&[wire(11, 4), wire(10, 1)], 10), 0);
        assert_eq!(buffer.take(10).unwrap().0.buttons, 1);
    }

    #[test]
    fn a_missing_input_repeats_the_last_one_without_what_is_pressed_once() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[wire(10, button::FIRE | button::JUMP | button::RELOAD)], 10);
        buffer.take(10);
        let (input, made_up) = buffer.take(11).unwrap();
        assert_eq!((input.buttons, input.move_forward, made_up), (button::FIRE, 127, true));
    }

    #[test]
    fn a_button_in_a_late_input_is_pressed_with_the_next() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[wire(10, 0)], 10);
        buffer.take(10);
        buffer.take(11);
        buffer.push(&[wire(11, button::ABILITY[1])], 12);
        assert!(buffer.take(12).unwrap().0.holds(button::ABILITY[1]));
        assert!(!buffer.take(13).unwrap().0.holds(button::ABILITY[1]));
    }

    #[test]
    fn a_pull_of_the_trigger_in_a_late_input_is_made_up_for_once() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[wire(10, 0)], 10);
        for tick in 10..13 {
            buffer.take(tick);
        }
        // The datagram of the pull was lost; a later one brings it among others.
        let datagram = [wire(13, 0), wire(12, 0), wire(11, button::FIRE), wire(10, 0)];
        buffer.push(&datagram, 13);
        assert!(buffer.take(13).unwrap().0.holds(button::FIRE));
        buffer.push(&datagram, 14);
        buffer.push(&[wire(14, 0)], 14);
        assert!(!buffer.take(14).unwrap().0.holds(button::FIRE));
    }

    #[test]
    fn a_silent_player_stands_still_after_half_a_second() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[wire(1, button::FIRE)], 1);
        let last = (1..40).filter_map(|tick| buffer.take(tick)).last().unwrap().0;
        assert_eq!((last.buttons, last.move_forward), (0, 0));
    }

    #[test]
    fn the_view_is_clamped_to_a_quarter_of_a_second_and_never_the_future() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[WireInput { view_tick: 0, view_fraction: 9, ..wire(100, 0) }], 100);
        let input = buffer.take(100).unwrap().0;
        assert_eq!((input.view_tick, input.view_fraction), (84, 0));
        buffer.push(&[WireInput { view_tick: 500, view_fraction: 9, ..wire(101, 0) }], 101);
        let input = buffer.take(101).unwrap().0;
        assert_eq!((input.view_tick, input.view_fraction), (100, 0));
    }

    #[test]
    fn an_input_far_ahead_is_not_kept() {
        let mut buffer = InputBuffer::new(60);
        buffer.push(&[wire(u32::MAX, 1), wire(10 + AHEAD_MAX, 1)], 10);
        assert!(buffer.take(10).is_none());
        assert!(buffer.take(11).is_none());
    }
}
