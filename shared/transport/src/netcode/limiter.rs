//! How many handshake packets are worth their cryptography: per source, and in all.

use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::hash::RandomState;

use super::address::AddressKey;

/// Sources that are told apart. Two that share a place share a limit; which do is random and cannot be found out, and with
/// so many places a flood from forged addresses takes little of any one honest source's share.
const SOURCES: usize = 4_096;

/// A rate of packets, and how many may come at once after silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Packets a second, at least 1.
    pub per_second: u32,
    /// Packets at once, at least 1.
    pub burst: u32,
}

/// The limits on handshake packets, counted together: connection requests that have passed all checks that need no key, and
/// responses to challenges.
///
/// Opening a token takes about 2 µs, so that the defaults bound what one source costs to 0.1 % of a core, and all together
/// to 4 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Of one IPv4 address or IPv6 /64 network. A whole office, or a load test, may stand behind one.
    pub source: Rate,
    /// Of all.
    pub total: Rate,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { source: Rate { per_second: 512, burst: 1_024 }, total: Rate { per_second: 16_384, burst: 16_384 } }
    }
}

/// What the limits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    SourceLimited,
    TotalLimited,
}

/// A token bucket in one number: the time (ns) at which it will be full again.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    interval_ns: u64,
    depth_ns: u64,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let interval_ns = 1_000_000_000 / u64::from(rate.per_second.max(1));
        Self { interval_ns, depth_ns: interval_ns * u64::from(rate.burst.max(1)) }
    }

    fn take(self, full_at_ns: &AtomicU64, now_ns: u64) -> bool {
        let take = |full_at_ns: u64| {
            let after = full_at_ns.max(now_ns).saturating_add(self.interval_ns);
            (after - now_ns <= self.depth_ns).then_some(after)
        };
        full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Counts handshake packets of all servers that share it, which may be on different threads. 32 KB, allocated once.
#[derive(Debug)]
pub struct HandshakeLimiter {
    hasher: RandomState,
    source: Bucket,
    total: Bucket,
    sources: Box<[AtomicU64]>,
    all: AtomicU64,
}

impl HandshakeLimiter {
    /// With nothing counted.
    pub fn new(limits: HandshakeLimits) -> Self {
        Self {
            hasher: RandomState::new(),
            source: Bucket::new(limits.source),
            total: Bucket::new(limits.total),
            sources: (0..SOURCES).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
        }
    }

    /// Counts a packet, and says whether it is worth its cryptography. What the limit of all together turns away still counts
    /// for its source. `now` may have any origin, the same for all.
    pub(crate) fn admit(&self, from: AddressKey, now: Duration) -> Admission {
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if !self.source.take(&self.sources[self.hasher.hash_one(from.source()) as usize % SOURCES], now_ns) {
            return Admission::SourceLimited;
        }
        if !self.total.take(&self.all, now_ns) {
            return Admission::TotalLimited;
        }
        Admission::Admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HandshakeLimits =
        HandshakeLimits { source: Rate { per_second: 10, burst: 20 }, total: Rate { per_second: 100, burst: 50 } };

    fn admitted(limiter: &HandshakeLimiter, hosts: core::ops::Range<u32>, now_ms: u64) -> usize {
        hosts
            .map(|host| AddressKey::new((core::net::Ipv4Addr::from_bits(host), 1).into()))
            .filter(|from| limiter.admit(*from, Duration::from_millis(now_ms)) == Admission::Admitted)
            .count()
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let limiter = HandshakeLimiter::new(LIMITS);
        assert_eq!((0..100).map(|_| admitted(&limiter, 0..1, 1_000)).sum::<usize>(), 20);
        assert_eq!((0..100).map(|_| admitted(&limiter, 0..1, 1_500)).sum::<usize>(), 5);
    }

    #[test]
    fn all_sources_together_have_a_burst_and_a_rate() {
        let limiter = HandshakeLimiter::new(LIMITS);
        assert_eq!(admitted(&limiter, 0..5_000, 1_000), 50);
        assert_eq!(admitted(&limiter, 5_000..10_000, 1_100), 10);
    }
}
