//! Keys of clients: who asks, and a UUID of version 7 that names the request. The time in it says how long it is remembered,
//! so that a key is either known or refused, and never forgotten in between.

use std::fmt;

use crate::Time;

/// How long the answer to a key is kept, from the time in the key; after that the key is refused. 30 days.
pub const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// How far a key may be ahead of the ledger's time: clocks of backends differ by seconds, and what comes from the future would
/// be kept for too long. 5 minutes.
pub const AHEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// The name of a client's request. Two owners may use the same UUID without learning of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    // First, so that keys stand in the order of their times.
    uuid: u128,
    owner: u64,
}

impl Key {
    /// A key of an owner; `None` if the number is no UUID of version 7 (RFC 9562).
    pub fn new(owner: u64, uuid: u128) -> Option<Self> {
        let (version, variant) = (uuid >> 76 & 0xF, uuid >> 62 & 0b11);
        (version == 7 && variant == 0b10).then_some(Self { uuid, owner })
    }

    /// A key made of a time and 74 other bits, for those who make keys.
    pub fn of(owner: u64, time: Time, other: u128) -> Self {
        let (high, low) = (other >> 62 & 0xFFF, other & ((1 << 62) - 1));
        let time = u128::from(time.0 & ((1 << 48) - 1));
        Self { uuid: time << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low, owner }
    }

    /// Who asks.
    pub fn owner(self) -> u64 {
        self.owner
    }

    /// The UUID.
    pub fn uuid(self) -> u128 {
        self.uuid
    }

    /// The time in it.
    pub fn time(self) -> Time {
        Time((self.uuid >> 80) as u64)
    }

    /// When it is forgotten, and refused from then on.
    pub fn forgotten_at(self) -> Time {
        self.time().after(KEPT_MS)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x} of {}", self.uuid, self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_a_key_of_its_time() {
        // RFC 9562, appendix A.6: 2022-02-22 14:22:22.00 in New York.
        let key = Key::new(7, 0x017F_22E2_79B0_7CC3_98C4_DC0C_0C07_398F).expect("version 7");
        assert_eq!((key.time(), key.owner()), (Time(1_645_557_742_000), 7));
    }

    #[test]
    fn other_versions_and_variants_are_no_keys() {
        let key = 0x017F_22E2_79B0_7CC3_98C4_DC0C_0C07_398F_u128;
        assert_eq!(Key::new(7, key ^ 3 << 76), None);
        assert_eq!(Key::new(7, key ^ 1 << 62), None);
    }

    #[test]
    fn a_key_that_was_made_is_one() {
        let key = Key::of(9, Time(1_800_000_000_000), u128::MAX);
        assert_eq!(Key::new(9, key.uuid()), Some(key));
        assert_eq!(key.time(), Time(1_800_000_000_000));
    }
}
