//! The tick as a clock, and the one source of chance.

use arbiter_schema::{Audience, Predictor, Spec, describe};
use bevy_ecs::prelude::*;

const TICKS: Spec = Spec::new(0.0, 2_000_000_000.0, 1.0, Predictor::Hold, Audience::Everyone);

describe! {
    /// Which tick it is. All durations are whole ticks.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct Clock {
        /// Number of the tick that runs or has just run, as everybody outside counts it; 0 before the first.
        pub number: u32,
        /// The same less the ticks that the match stood still: all timers of the simulation count these.
        pub tick: u32,
        /// Ticks that it stood still.
        pub stood: u32 => TICKS,
        /// Ticks in a second.
        pub rate: u16,
        /// Seconds of one tick.
        pub dt: f32,
        /// Whether the match is paused.
        pub paused: bool => TICKS,
        /// Whether the match has ended.
        pub over: bool => TICKS,
    }

    /// The seeded random stream: PCG-XSH-RR 64/32 (O'Neill 2014). Whoever draws must draw in stable order.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct SimRng {
        /// State of the generator.
        pub state: u64,
    }
}

impl Clock {
    /// Whether nothing moves.
    pub fn stands(&self) -> bool {
        self.paused || self.over
    }

    /// Ticks in `ms` milliseconds, rounded up, so that nothing that takes time takes none.
    pub fn ticks(&self, ms: u32) -> u32 {
        (u64::from(ms) * u64::from(self.rate)).div_ceil(1000) as u32
    }
}

impl SimRng {
    /// Starts a stream.
    pub fn seeded(seed: u64) -> Self {
        let mut rng = Self { state: seed.wrapping_add(0x9E37_79B9_7F4A_7C15) };
        rng.next_u32();
        rng
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (((old >> 18) ^ old) >> 27) as u32;
        mixed.rotate_right((old >> 59) as u32)
    }

    /// A number in 0..1 with 24 bits.
    pub fn unit(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// A whole number in `0..below`; 0 if `below` is 0.
    pub fn below(&mut self, below: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(below)) >> 32) as u32
    }
}
