//! What a link does to datagrams, and the links that have names.

use core::str::FromStr;
use core::time::Duration;

use thiserror::Error;

/// Loss in bursts (Gilbert 1960, Elliott 1963): a link is good or bad, and changes with each datagram by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    /// Share that is lost while the link is good, 0 to 1.
    pub good: f32,
    /// Share that is lost while it is bad, 0 to 1.
    pub bad: f32,
    /// Chance that a good link turns bad at a datagram.
    pub turns_bad: f32,
    /// Chance that a bad link turns good: bursts are its inverse long on average.
    pub turns_good: f32,
}

impl Loss {
    /// Each datagram by itself.
    pub const fn random(share: f32) -> Self {
        Self { good: share, bad: share, turns_bad: 0.0, turns_good: 1.0 }
    }

    /// The share that is lost in the long run.
    pub fn mean(&self) -> f32 {
        let changes = self.turns_bad + self.turns_good;
        let bad = if changes > 0.0 { self.turns_bad / changes } else { 0.0 };
        self.bad * bad + self.good * (1.0 - bad)
    }
}

/// The narrow place of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Narrow {
    /// Bytes a second, IP and UDP headers included.
    pub bytes_per_second: u32,
    /// Bytes that wait in front of it; what does not fit is dropped.
    pub queue_bytes: u32,
}

/// What one direction of a link does to datagrams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Every datagram is this much later.
    pub delay: Duration,
    /// And by up to this much more: drawn for each so that small values are usual, without overtaking.
    pub jitter: Duration,
    /// Loss.
    pub loss: Loss,
    /// Share that is held back by another delay of [`Self::reorder_by`], so that later ones overtake it.
    pub reorder: f32,
    /// See [`Self::reorder`].
    pub reorder_by: Duration,
    /// Share that comes twice.
    pub duplicate: f32,
    /// Share of which one bit is turned.
    pub corrupt: f32,
    /// The narrow place, if there is one.
    pub narrow: Option<Narrow>,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn narrow(kbit_per_s: u32, queue_ms: u32) -> Option<Narrow> {
    let bytes_per_second = kbit_per_s * 125;
    Some(Narrow { bytes_per_second, queue_bytes: (bytes_per_second as u64 * queue_ms as u64 / 1_000) as u32 })
}

/// Nothing happens at all.
pub const PERFECT: Profile = Profile {
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
    loss: Loss::random(0.0),
    reorder: 0.0,
    reorder_by: Duration::ZERO,
    duplicate: 0.0,
    corrupt: 0.0,
    narrow: None,
};

impl Default for Profile {
    fn default() -> Self {
        PERFECT
    }
}

/// The links that have names. Each is one direction: a round trip has twice the delay.
///
/// The figures are in the range of what is published, not those of one network: fixed broadband answers within 10 to 25 ms
/// (FCC, Measuring Broadband America); mobile 4G takes about 50 ms a round trip and more under load, loses some per mille
/// (Opensignal's reports; Loadero's 4G profile: 45 ms, 5 to 15 ms of jitter, 0.2 %); London to New York is 70 to 76 ms a round
/// trip (operators guarantee 90 ms); Wi-Fi loses in short bursts after its own repetitions and jitters with its airtime; queues
/// of home routers hold 100 ms and more (Gettys and Nichols, "Bufferbloat", 2011); ISDN on both channels carries 128 kbit/s.
pub const PROFILES: [(&str, Profile); 8] = [
    ("perfect", PERFECT),
    // Fixed broadband by cable: 20 ms a round trip.
    (
        "broadband",
        Profile { delay: ms(10), jitter: ms(2), loss: Loss::random(0.000_5), narrow: narrow(20_000, 100), ..PERFECT },
    ),
    // Broadband behind a home's Wi-Fi with neighbours: 1 % in bursts of three.
    (
        "wifi",
        Profile {
            delay: ms(12),
            jitter: ms(15),
            loss: Loss { good: 0.001, bad: 0.6, turns_bad: 0.005, turns_good: 0.33 },
            reorder: 0.001,
            reorder_by: ms(5),
            narrow: narrow(20_000, 100),
            ..PERFECT
        },
    ),
    // Mobile in a city: 60 ms a round trip, jitter from the scheduler, a deep queue.
    (
        "4g",
        Profile {
            delay: ms(30),
            jitter: ms(20),
            loss: Loss { good: 0.001, bad: 0.4, turns_bad: 0.002, turns_good: 0.2 },
            reorder: 0.001,
            reorder_by: ms(8),
            narrow: narrow(10_000, 300),
            ..PERFECT
        },
    ),
    // Good broadband on both sides of the Atlantic: 90 ms a round trip.
    (
        "transatlantic",
        Profile {
            delay: ms(45),
            jitter: ms(3),
            loss: Loss::random(0.002),
            reorder: 0.001,
            reorder_by: ms(3),
            narrow: narrow(20_000, 100),
            ..PERFECT
        },
    ),
    // What a game must survive: 5 % in bursts of four, overtaking, repeats.
    (
        "lossy",
        Profile {
            delay: ms(40),
            jitter: ms(30),
            loss: Loss { good: 0.01, bad: 0.7, turns_bad: 0.015, turns_good: 0.25 },
            reorder: 0.02,
            reorder_by: ms(20),
            duplicate: 0.01,
            corrupt: 0.001,
            narrow: narrow(5_000, 200),
        },
    ),
    // A geostationary satellite: 600 ms a round trip.
    (
        "satellite",
        Profile { delay: ms(300), jitter: ms(20), loss: Loss::random(0.005), narrow: narrow(10_000, 300), ..PERFECT },
    ),
    // The narrowest line that a match should still work on.
    (
        "dialup128",
        Profile { delay: ms(25), jitter: ms(3), loss: Loss::random(0.0), narrow: narrow(128, 200), ..PERFECT },
    ),
];

/// No link has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no link {0:?}; known are perfect, broadband, wifi, 4g, transatlantic, lossy, satellite, dialup128")]
pub struct UnknownLink(pub String);

impl FromStr for Profile {
    type Err = UnknownLink;

    fn from_str(name: &str) -> Result<Self, UnknownLink> {
        let known = PROFILES.iter().find(|(known, _)| *known == name);
        known.map(|(_, profile)| *profile).ok_or_else(|| UnknownLink(name.to_owned()))
    }
}
