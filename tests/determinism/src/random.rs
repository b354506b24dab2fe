//! Chance for the generator: SplitMix64 (Steele, Lea, Flood 2014), so that a seed makes the same match everywhere, for ever.

/// A seeded stream.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed for a purpose; streams of different purposes have nothing to do with each other.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let start = purpose.bytes().fold(seed, |state, byte| mix(state ^ u64::from(byte)));
        Self(start)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A whole number in `0..below`; 0 if `below` is 0.
    pub fn below(&mut self, below: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(below)) >> 32) as u32
    }

    /// A number in `low..high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.bits() >> 40) as f32 * (1.0 / 16_777_216.0);
        low + (high - low) * unit
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// One of a list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
}

/// A bijection of 64 bits that spreads every bit over all.
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
