//! Random numbers (SplitMix64, Steele and others 2014) and keys of them.

use std::time::{SystemTime, UNIX_EPOCH};

pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A UUID of version 7 with this moment's time.
    pub fn key(&mut self) -> [u8; 16] {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let high = u128::from(self.roll() & 0xFFF);
        let low = u128::from(self.roll() >> 2);
        (time << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low).to_be_bytes()
    }
}
