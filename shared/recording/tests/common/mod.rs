//! A small match to record: joins, noisy aim, checkpoints.
#![allow(dead_code)]

use arbiter_recording::{End, Header, Stamp, Writer, header::Part};
use arbiter_sim::{Command, Input, Loadout};

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Roughly normal with a deviation of 1.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.next() >> 40) as f32 / 16_777_216.0).sum::<f32>() - 6.0
    }
}

pub fn header() -> Header {
    let part = Part::of(&"rules").expect("packs");
    Header {
        stamp: Stamp::current(7),
        match_id: 42,
        seed: 1,
        tick_rate: 60,
        settings: part.clone(),
        rules_hash: [1; 32],
        rules: part,
        map_name: "arena".to_owned(),
        map_hash: [2; 32],
        map: None,
        tick0_hash: 9,
        tick0_digest: [0; 16],
    }
}

pub fn tick0() -> Vec<u8> {
    let mut random = Random(99);
    (0..2_000).map(|_| random.next() as u8).collect()
}

/// Players who turn towards targets, overshoot, tremble, and press keys now and then.
pub struct Players {
    random: Random,
    aim: Vec<[f32; 5]>,
    inputs: Vec<Input>,
}

impl Players {
    pub fn new(count: usize, seed: u64) -> Self {
        let input =
            Input { buttons: 0, move_right: 0, move_forward: 127, yaw: 0, pitch: 0, view_tick: 0, view_fraction: 0 };
        Self { random: Random(seed), aim: vec![[0.0; 5]; count], inputs: vec![input; count] }
    }

    pub fn commands(&mut self, tick: u32) -> Vec<Command> {
        let random = &mut self.random;
        let mut out = Vec::new();
        for (slot, (aim, input)) in self.aim.iter_mut().zip(&mut self.inputs).enumerate() {
            if tick == 1 {
                out.push(Command::Join { slot: slot as u16, loadout: Loadout { hero: slot as u8 % 4, team: 0 } });
            }
            let [yaw, pitch, velocity, target_yaw, target_pitch] = aim;
            if random.next().is_multiple_of(40) {
                *target_yaw += random.normal() * 8_000.0;
                *target_pitch = random.normal() * 1_500.0;
            }
            *velocity = *velocity * 0.7 + (*target_yaw - *yaw) * 0.06;
            *yaw += *velocity + random.normal() * 12.0;
            *pitch += (*target_pitch - *pitch) * 0.15 + random.normal() * 8.0;
            input.yaw = *yaw as i64 as u16;
            input.pitch = *pitch as i16;
            if random.next().is_multiple_of(15) {
                input.buttons ^= 1 << (random.next() % 12);
            }
            if random.next().is_multiple_of(20) {
                input.move_right = [-127, 0, 127][(random.next() % 3) as usize];
                input.move_forward = [-127, 0, 127][(random.next() % 3) as usize];
            }
            // 100 ms of delay and a clock that is steered a little.
            let view = (tick + 100) * 256 - 1_600 - (slot as u32 * 37) + (random.next() % 4) as u32;
            (input.view_tick, input.view_fraction) = (view >> 8, view as u8);
            let substituted = random.next().is_multiple_of(200);
            out.push(Command::Input { slot: slot as u16, input: *input, substituted });
        }
        out
    }
}

/// A finished recording, with a checkpoint every `every` ticks.
pub fn record(players: usize, ticks: u32, every: u32) -> Vec<u8> {
    let mut players = Players::new(players, 5);
    let mut random = Random(3);
    let mut writer = Writer::to(Vec::new(), header(), tick0()).expect("begins");
    for tick in 1..=ticks {
        writer.push_tick(tick, &players.commands(tick), random.next()).expect("takes a tick");
        if tick.is_multiple_of(every) {
            let mut state = tick0();
            state[tick as usize % 2_000] ^= 1;
            writer.push_checkpoint(tick, &state).expect("takes a checkpoint");
        }
    }
    writer.finish(End::Won(1)).expect("finishes");
    writer.into_store()
}
