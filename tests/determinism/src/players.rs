//! The command stream of a generated match: players who join, wander, fight and leave, administration, re-tuning, and what
//! only a hostile client or a broken server would send.
//!
//! The stream depends on the seed and the tick alone, never on the state, so that every leg gets the same one, also behind
//! a restore.

use arbiter_sim::{Admin, Command, Input, Knob, LeaveReason, Loadout, button};

use crate::random::Random;

/// What one player does for a while.
#[derive(Debug, Clone, Copy)]
struct Intent {
    input: Input,
    turn: i16,
    ticks_left: u32,
}

/// The source of a match's commands.
#[derive(Debug, Clone)]
pub struct Players {
    random: Random,
    slots: Vec<Option<Intent>>,
    tick: u32,
    paused_until: u32,
}

const NEUTRAL: Input =
    Input { buttons: 0, move_right: 0, move_forward: 0, yaw: 0, pitch: 0, view_tick: 0, view_fraction: 0 };

impl Players {
    /// The players of a match with this many slots.
    pub fn new(seed: u64, slots: u16) -> Self {
        let slots = vec![None; usize::from(slots)];
        Self { random: Random::new(seed, "players"), slots, tick: 0, paused_until: 0 }
    }

    /// The commands of the next tick.
    pub fn next(&mut self, commands: &mut Vec<Command>) {
        commands.clear();
        self.tick += 1;
        self.tell(commands);
        self.come_and_go(commands);
        for slot in 0..self.slots.len() {
            if let Some(mut intent) = self.slots[slot] {
                let input = self.play(&mut intent);
                self.slots[slot] = Some(intent);
                // One in fifty did not arrive in time: the server repeats it or leaves it out.
                let substituted = self.random.once_in(50);
                if !(substituted && self.random.once_in(2)) {
                    commands.push(Command::Input { slot: slot as u16, input, substituted });
                }
            }
        }
        self.administer(commands);
        if self.random.once_in(20) {
            self.be_hostile(commands);
        }
    }

    /// Some are told of others, and not any more: it decides whom they may hit.
    fn tell(&mut self, commands: &mut Vec<Command>) {
        let slots = self.slots.len() as u32;
        if self.random.once_in(4) {
            let (slot, other) = (self.random.below(slots) as u16, self.random.below(slots.min(32)));
            commands.push(Command::Told { slot, group: 0, toggled: 1 << other });
        }
    }

    fn come_and_go(&mut self, commands: &mut Vec<Command>) {
        for slot in 0..self.slots.len() {
            let number = slot as u16;
            match self.slots[slot] {
                // Most are there from the first second; backfill comes later.
                None if self.random.once_in(if self.tick < 30 { 12 } else { 300 }) => {
                    let loadout = Loadout { hero: self.random.below(8) as u8, team: self.random.below(4) as u8 };
                    commands.push(Command::Join { slot: number, loadout });
                    self.slots[slot] = Some(Intent { input: NEUTRAL, turn: 0, ticks_left: 0 });
                }
                Some(_) if self.random.once_in(2_500) => {
                    let reason = self.random.pick(LeaveReason::ALL);
                    commands.push(Command::Leave { slot: number, reason });
                    self.slots[slot] = None;
                }
                _ => (),
            }
        }
    }

    fn play(&mut self, intent: &mut Intent) -> Input {
        let random = &mut self.random;
        if intent.ticks_left == 0 {
            intent.ticks_left = 5 + random.below(60);
            intent.turn = random.between(-700.0, 700.0) as i16;
            let input = &mut intent.input;
            input.move_forward = random.pick(&[127, 127, 127, 60, 0, -127]);
            input.move_right = random.pick(&[0, 0, 127, -127, 40]);
            input.pitch = random.between(-2_500.0, 1_500.0) as i16;
            input.buttons = if random.once_in(3) { 0 } else { button::FIRE };
            if random.once_in(5) {
                input.buttons |= button::CROUCH;
            }
            // A cast or a channel needs its button held.
            if random.once_in(3) {
                input.buttons |= random.pick(&button::ABILITY);
            }
        }
        intent.ticks_left -= 1;
        intent.input.yaw = intent.input.yaw.wrapping_add_signed(intent.turn);
        let mut input = intent.input;
        // Single presses.
        for bits in
            [button::JUMP, button::RELOAD, button::USE, random.pick(&button::WEAPON), random.pick(&button::ABILITY)]
        {
            if random.once_in(70) {
                input.buttons |= bits;
            }
        }
        input.view_tick = self.tick.saturating_sub(random.below(12));
        input.view_fraction = random.below(256) as u8;
        input
    }

    fn administer(&mut self, commands: &mut Vec<Command>) {
        let random = &mut self.random;
        if self.paused_until == self.tick {
            commands.push(Command::Admin(Admin::Resume));
        }
        if random.once_in(900) {
            commands.push(Command::Admin(Admin::Pause));
            self.paused_until = self.tick + 1 + random.below(40);
        }
        if random.once_in(400) {
            let points = random.below(7) as i32 - 3;
            commands.push(Command::Admin(Admin::AddScore { team: random.below(4) as u16, points }));
        }
        if random.once_in(200) {
            let (knob, value) = (random.pick(Knob::ALL), random.between(0.0, 3.0));
            commands.push(Command::Retune { knob, value });
        }
    }

    /// What must be ignored or clamped, and must be so alike everywhere.
    fn be_hostile(&mut self, commands: &mut Vec<Command>) {
        let random = &mut self.random;
        let slots = self.slots.len() as u32;
        let anywhere = random.pick(&[random_slot(slots), slots as u16, 999, 1_000, u16::MAX]);
        let bits = random.bits();
        let nonsense = Input {
            buttons: bits as u16,
            move_right: (bits >> 16) as i8,
            move_forward: random.pick(&[i8::MIN, i8::MAX, 0]),
            yaw: (bits >> 24) as u16,
            pitch: random.pick(&[i16::MIN, i16::MAX, (bits >> 40) as i16]),
            view_tick: random.pick(&[0, u32::MAX, self.tick + 1_000, (bits >> 32) as u32]),
            view_fraction: bits as u8,
        };
        match random.below(9) {
            0 => commands.push(Command::Join { slot: anywhere, loadout: Loadout { hero: 255, team: 255 } }),
            1 => commands.push(Command::Leave { slot: anywhere.max(slots as u16), reason: LeaveReason::Kicked }),
            // Twice in a tick, or for a slot that nobody has.
            2 | 3 => commands.push(Command::Input { slot: anywhere, input: nonsense, substituted: false }),
            4 => commands.insert(0, Command::Input { slot: 0, input: nonsense, substituted: true }),
            5 => {
                let value = random.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1e30, f32::MIN_POSITIVE]);
                commands.push(Command::Retune { knob: random.pick(Knob::ALL), value });
                // Back to something playable, in the same tick.
                commands.push(Command::Retune { knob: Knob::GravityScale, value: 1.0 });
            }
            6 => {
                let points = random.pick(&[i32::MIN, -1_000_000, 0]);
                commands.push(Command::Admin(Admin::AddScore { team: u16::MAX, points }));
            }
            7 => commands.insert(0, Command::Told { slot: anywhere, group: bits as u8, toggled: (bits >> 8) as u32 }),
            _ => commands.push(Command::Admin(Admin::Resume)),
        }
    }
}

/// The middle slot: surely taken by somebody most of the time.
fn random_slot(slots: u32) -> u16 {
    (slots / 2) as u16
}
