//! A bad link, for tests, bots and demonstrations: delays, loses in bursts, reorders, repeats and spoils datagrams, and has a
//! narrow place with a queue in front of it. One direction; a path is two of them. Seeded: the same datagrams at the same times
//! meet the same fate. Times are passed in, and what is under way is bounded.
//!
//! A datagram goes through in this order: loss, the queue of the narrow place, the line at its rate, delay and jitter;
//! some overtake others, come twice or are spoiled. [`Profile`]s have names, which `FromStr` reads.

use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;
use std::collections::BinaryHeap;

mod profile;

pub use profile::{Loss, Narrow, PERFECT, PROFILES, Profile, UnknownLink};

/// Datagrams under way at most: beyond that the last ones are dropped, as from a full queue.
pub const UNDER_WAY_MAX: usize = 4_096;

/// IPv4 and UDP headers of a datagram, which a narrow line carries too.
const HEADER_BYTES: usize = 28;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seedable, good enough for chance on a link.
#[derive(Debug, Clone)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to 1, without 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    fn falls(&mut self, share: f32) -> bool {
        share > 0.0 && self.unit() < share
    }
}

/// A datagram under way; the earliest and then the first sent is the greatest.
#[derive(Debug)]
struct UnderWay<T> {
    order: Reverse<(Duration, u64)>,
    to: T,
    bytes: Vec<u8>,
}

impl<T> PartialEq for UnderWay<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for UnderWay<T> {}

impl<T> PartialOrd for UnderWay<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for UnderWay<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

/// What became of the datagrams of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConditionerCounts {
    /// Put in.
    pub taken: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped because the queue, or the whole link, was full.
    pub overflowed: u64,
    /// Came out, repeated ones included.
    pub delivered: u64,
}

/// One direction of a link. `T` travels with each datagram: an address, for example.
pub struct Conditioner<T = ()> {
    profile: Profile,
    chance: Chance,
    bad: bool,
    /// When the line has sent everything that waits.
    line_free: Duration,
    /// When the last datagram that was not held back is due: jitter alone does not reorder.
    last_due: Duration,
    under_way: BinaryHeap<UnderWay<T>>,
    spare: Vec<Vec<u8>>,
    counts: ConditionerCounts,
}

impl<T> fmt::Debug for Conditioner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditioner")
            .field("profile", &self.profile)
            .field("under_way", &self.under_way.len())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<T: Clone> Conditioner<T> {
    /// A link of this profile; the same seed gives the same luck.
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            profile,
            chance: Chance(seed),
            bad: false,
            line_free: Duration::ZERO,
            last_due: Duration::ZERO,
            under_way: BinaryHeap::new(),
            spare: Vec::new(),
            counts: ConditionerCounts::default(),
        }
    }

    /// Whether nothing ever happens to a datagram, so that a caller may go around the link.
    pub fn is_perfect(&self) -> bool {
        self.profile == PERFECT
    }

    /// Changes what the link does from now on; what is under way stays so.
    pub fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// What became of the datagrams.
    pub fn counts(&self) -> ConditionerCounts {
        self.counts
    }

    /// Puts a datagram in at `now`.
    pub fn push(&mut self, now: Duration, to: T, bytes: &[u8]) {
        self.counts.taken += 1;
        let Loss { good, bad, turns_bad, turns_good } = self.profile.loss;
        let turns = if self.bad { turns_good } else { turns_bad };
        self.bad ^= self.chance.falls(turns);
        if self.chance.falls(if self.bad { bad } else { good }) {
            self.counts.lost += 1;
            return;
        }
        let Some(left) = self.pass_line(now, bytes.len() + HEADER_BYTES) else {
            self.counts.overflowed += 1;
            return;
        };
        let copies = 1 + usize::from(self.chance.falls(self.profile.duplicate));
        for _ in 0..copies {
            // The square makes small values usual and large ones rare, as waiting for airtime does.
            let jitter = self.profile.jitter.mul_f32(self.chance.unit().powi(2));
            let mut due = left + self.profile.delay + jitter;
            if self.chance.falls(self.profile.reorder) {
                due += self.profile.reorder_by;
            } else {
                due = due.max(self.last_due);
                self.last_due = due;
            }
            self.launch(due, to.clone(), bytes);
        }
    }

    /// When a datagram has left the narrow place; `None` if its queue is full.
    fn pass_line(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let Some(Narrow { bytes_per_second, queue_bytes }) = self.profile.narrow else { return Some(now) };
        let rate = f64::from(bytes_per_second.max(1));
        let waiting = self.line_free.saturating_sub(now).as_secs_f64() * rate;
        if waiting + bytes as f64 > f64::from(queue_bytes) + 1_500.0 {
            return None;
        }
        self.line_free = self.line_free.max(now) + Duration::from_secs_f64(bytes as f64 / rate);
        Some(self.line_free)
    }

    fn launch(&mut self, due: Duration, to: T, bytes: &[u8]) {
        if self.under_way.len() == UNDER_WAY_MAX {
            self.counts.overflowed += 1;
            return;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(bytes);
        if self.chance.falls(self.profile.corrupt) && !copy.is_empty() {
            let bit = self.chance.next() as usize % (copy.len() * 8);
            copy[bit / 8] ^= 1 << (bit % 8);
        }
        // What is due at the same time comes out as it was put in.
        let order = Reverse((due, self.counts.taken));
        self.under_way.push(UnderWay { order, to, bytes: copy });
    }

    /// When the next datagram comes out.
    pub fn next_due(&self) -> Option<Duration> {
        self.under_way.peek().map(|next| next.order.0.0)
    }

    /// Hands out everything that is due by `now`, in order.
    pub fn pop(&mut self, now: Duration, take: &mut dyn FnMut(T, &mut [u8])) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(UnderWay { to, mut bytes, .. }) = self.under_way.pop() else { return };
            self.counts.delivered += 1;
            take(to, &mut bytes);
            self.spare.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_micros(16_667);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What comes out of a link when `count` numbered datagrams go in, one a tick: when, and which.
    fn run(profile: Profile, count: u32, bytes: usize) -> (Vec<(Duration, u32)>, ConditionerCounts) {
        let mut link = Conditioner::new(profile, 7);
        let mut out = Vec::new();
        for tick in 0..count + 600 {
            let now = TICK * tick;
            while let Some(due) = link.next_due().filter(|due| *due <= now) {
                link.pop(due, &mut |(), datagram| {
                    out.push((due, u32::from_le_bytes(datagram[..4].try_into().expect("four bytes"))));
                });
            }
            if tick < count {
                let mut datagram = vec![0; bytes];
                datagram[..4].copy_from_slice(&tick.to_le_bytes());
                link.push(now, (), &datagram);
            }
        }
        (out, link.counts())
    }

    #[test]
    fn a_perfect_link_does_nothing() {
        let (out, counts) = run("perfect".parse().expect("known"), 100, 50);
        assert!(out.iter().enumerate().all(|(at, (due, number))| at as u32 == *number && *due == TICK * *number));
        assert_eq!((counts.delivered, counts.lost), (100, 0));
    }

    #[test]
    fn the_same_seed_has_the_same_luck() {
        let lossy = "lossy".parse().expect("known");
        assert_eq!(run(lossy, 2_000, 100), run(lossy, 2_000, 100));
    }

    #[test]
    fn loss_comes_in_bursts_and_at_its_mean() {
        for (name, profile) in PROFILES {
            let profile = Profile { narrow: None, duplicate: 0.0, ..profile };
            let (_, counts) = run(profile, 60_000, 100);
            let (share, mean) = (counts.lost as f32 / counts.taken as f32, profile.loss.mean());
            assert!((share - mean).abs() <= mean * 0.15 + 1e-4, "{name}: {share} instead of {mean}");
        }
        let bursts = Profile { loss: Loss { good: 0.0, bad: 1.0, turns_bad: 0.01, turns_good: 0.25 }, ..PERFECT };
        let (out, counts) = run(bursts, 60_000, 10);
        let gaps = out.windows(2).filter(|pair| pair[1].1 > pair[0].1 + 1).count() as f32;
        let mean = counts.lost as f32 / gaps;
        assert!((3.5..4.5).contains(&mean), "bursts of {mean}");
    }

    #[test]
    fn delay_and_jitter_stay_within_their_bounds_and_in_order() {
        let profile = Profile { delay: ms(30), jitter: ms(40), ..PERFECT };
        let (out, _) = run(profile, 5_000, 100);
        let late = |(due, number): &(Duration, u32)| *due - TICK * *number;
        assert!(out.iter().all(|entry| (ms(30)..=ms(70)).contains(&late(entry))));
        assert!(out.is_sorted(), "jitter alone overtakes nobody");
        let mean = out.iter().map(late).sum::<Duration>() / out.len() as u32;
        assert!((ms(40)..ms(50)).contains(&mean), "{mean:?}");
    }

    #[test]
    fn some_are_overtaken_and_some_come_twice() {
        let profile = Profile { reorder: 0.1, reorder_by: ms(60), duplicate: 0.05, ..PERFECT };
        let (out, counts) = run(profile, 5_000, 100);
        let overtaken = out.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        assert!((300..700).contains(&overtaken), "{overtaken} overtaken");
        assert!((5_150..5_350).contains(&counts.delivered), "{counts:?}");
    }

    #[test]
    fn a_narrow_line_carries_its_rate_and_drops_what_its_queue_cannot_hold() {
        let narrow = "dialup128".parse::<Profile>().expect("known");
        // 60 kB/s into 16 kB/s.
        let (out, counts) = run(narrow, 600, 972);
        let seconds = (out[out.len() - 1].0 - out[0].0).as_secs_f64();
        let rate = (out.len() - 1) as f64 * 1_000.0 / seconds;
        assert!((15_900.0..16_100.0).contains(&rate), "{rate} bytes a second");
        let worst = out.iter().map(|(due, number)| *due - TICK * *number).max().expect("some");
        assert!((ms(225)..ms(340)).contains(&worst), "{worst:?}");
        assert_eq!(counts.taken, counts.delivered + counts.overflowed);
    }

    #[test]
    fn a_spoiled_datagram_differs_in_one_bit() {
        let mut link = Conditioner::new(Profile { corrupt: 1.0, ..PERFECT }, 1);
        link.push(TICK, (), &[0; 64]);
        link.pop(TICK, &mut |(), bytes| {
            assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        });
        assert_eq!(link.counts().delivered, 1);
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let mut link = Conditioner::new(Profile { delay: ms(1_000), ..PERFECT }, 1);
        for _ in 0..2 * UNDER_WAY_MAX {
            link.push(TICK, (), &[1]);
        }
        assert_eq!(link.counts().overflowed, UNDER_WAY_MAX as u64);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let told = "5g".parse::<Profile>().expect_err("unknown").to_string();
        assert!(told.contains("\"5g\"") && PROFILES.iter().all(|(name, _)| told.contains(name)), "{told}");
    }
}
