//! Which datagrams of the peer have come, and what has become of ours. Numbers only: times that follow from them go to
//! [`crate::path`]. Nothing here allocates after it is made.
//!
//! A datagram of ours is *delivered* when an acknowledgement names it. It is *lost* when one that left at least
//! [`REORDER_DATAGRAMS`] later was delivered and a little more than a round trip has passed, when acknowledgements can no
//! longer name it, or when nothing has been heard of it for [`SILENCE_US`]. What was only late may be delivered after it was
//! given up: the caller is then told so too, because it may use it as a baseline.
//!
//! On the wire a number has its low 12 bits alone. Why the whole one is always found: what comes is less than
//! `BEHIND_MAX` behind the newest that came, since netcode's replay window is half of that. Nor is it `AHEAD_MAX` or more
//! ahead: the newest that came is not below the newest that was acknowledged, and a sender that is `UNHEARD_MAX` beyond that
//! one all but stops. So is an acknowledgement: it names nothing that was never sent, and nothing as far behind unless it
//! was under way while hundreds of others left.

use crate::datagram::{Ack, NUMBERS, TOLD_BEFORE, extend};
use crate::guard::Violation;
use crate::netcode::REPLAY_WINDOW;

/// Datagrams that may be unresolved at once; no more leave until some are delivered or given up. 4 s at 128 Hz.
pub const IN_FLIGHT_MAX: usize = 512;

/// One datagram that overtakes is reordering, three are loss (RFC 9002, section 6.1.1).
pub const REORDER_DATAGRAMS: u64 = 3;

/// A datagram of which nothing was heard for so long is given up even if nothing else is delivered.
pub const SILENCE_US: u64 = 1_000_000;

/// How far behind the newest a datagram may come and still be told from a repeated one.
const WINDOW: u64 = 64;

/// How far behind the newest a datagram is looked for, and how far ahead.
const BEHIND_MAX: u64 = 2 * REPLAY_WINDOW;
const AHEAD_MAX: u64 = NUMBERS as u64 - BEHIND_MAX;

/// Datagrams that leave behind the newest that was acknowledged: 24 s at 128 Hz, when most connections have long timed out.
/// Behind them one leaves each [`SILENCE_US`], for links that come back after all.
const UNHEARD_MAX: u64 = 3_072;

/// A farewell is said a few times, whatever was heard; behind it nothing leaves.
const FAREWELLS_MAX: u64 = 8;

/// How far ahead of what was sent an acknowledgement is still seen to be made up.
const UNSENT_SEEN: u64 = 256;

const _: () = assert!(UNHEARD_MAX < AHEAD_MAX - FAREWELLS_MAX && AHEAD_MAX <= NUMBERS as u64 - UNSENT_SEEN);

/// Why a datagram of the peer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has come before.
    Duplicate,
    /// So far behind the newest that it cannot be told from a duplicate.
    Old,
}

/// The peer's datagrams.
#[derive(Debug, Clone)]
pub struct Arrivals {
    /// One more than the newest number; 0 before the first.
    next: u64,
    /// Bit `i` says that number `next - 1 - i` has come. Numbers below 0 count as come.
    seen: u64,
    newest_at_us: u64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { next: 0, seen: u64::MAX, newest_at_us: 0 }
    }
}

/// A datagram that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its whole number.
    pub sequence: u64,
    /// By how many the newest number has risen: 0 for one that came late, more than 1 if some are missing.
    pub advance: u64,
}

impl Arrivals {
    /// Notes a datagram with this number, modulo [`NUMBERS`].
    pub fn take(&mut self, wire: u16, now_us: u64) -> Result<Arrival, Refusal> {
        let sequence = extend(wire, self.next.saturating_sub(BEHIND_MAX));
        if let Some(beyond) = sequence.checked_sub(self.next) {
            let advance = beyond + 1;
            self.seen = if advance < WINDOW { self.seen << advance | 1 } else { 1 };
            self.next = sequence + 1;
            self.newest_at_us = now_us;
            return Ok(Arrival { sequence, advance });
        }
        let behind = self.next - 1 - sequence;
        if behind >= WINDOW {
            return Err(Refusal::Old);
        }
        if self.seen >> behind & 1 == 1 {
            return Err(Refusal::Duplicate);
        }
        self.seen |= 1 << behind;
        Ok(Arrival { sequence, advance: 0 })
    }

    /// What the next header says about them.
    pub fn ack(&self, now_us: u64) -> Option<Ack> {
        let newest = self.next.checked_sub(1)?;
        let held = now_us.saturating_sub(self.newest_at_us);
        Some(Ack {
            newest: newest as u16 % NUMBERS,
            before: (self.seen >> 1) as u32,
            held_us: u32::try_from(held).ok(),
        })
    }
}

/// What is remembered about a datagram of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// When it left.
    pub at_us: u64,
    /// The caller's mark, such as the tick of a snapshot; `None` for a datagram without a body.
    pub tag: Option<u32>,
    /// Which batch of messages it carries.
    pub batch: Option<u32>,
    /// Bytes of the payload.
    pub bytes: u16,
}

/// What has become of a datagram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has come.
    Delivered,
    /// It was given up.
    Lost,
    /// It was given up and has come after all.
    Late,
}

/// [`Sent`] in 16 bytes: thousands of connections keep hundreds each, and an acknowledgement walks over many.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Low 32 bits of the time: 71 minutes, and nothing is in flight for longer than [`SILENCE_US`].
    at_us: u32,
    tag: u32,
    batch: u32,
    bytes: u16,
    flags: u8,
}

const IN_FLIGHT: u8 = 1;
/// Given up, but may still be delivered.
const GIVEN_UP: u8 = 2;
const HAS_TAG: u8 = 4;
const HAS_BATCH: u8 = 8;

impl Slot {
    fn of(sent: Sent, in_flight: bool) -> Self {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        Self {
            at_us: sent.at_us as u32,
            tag: sent.tag.unwrap_or_default(),
            batch: sent.batch.unwrap_or_default(),
            bytes: sent.bytes,
            flags: flag(in_flight, IN_FLIGHT)
                | flag(sent.tag.is_some(), HAS_TAG)
                | flag(sent.batch.is_some(), HAS_BATCH),
        }
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn age_us(&self, now_us: u64) -> u64 {
        u64::from((now_us as u32).wrapping_sub(self.at_us))
    }

    fn sent(&self, now_us: u64) -> Sent {
        Sent {
            at_us: now_us.saturating_sub(self.age_us(now_us)),
            tag: self.is(HAS_TAG).then_some(self.tag),
            batch: self.is(HAS_BATCH).then_some(self.batch),
            bytes: self.bytes,
        }
    }
}

/// Our datagrams.
#[derive(Debug, Clone)]
pub struct Departures {
    ring: Box<[Slot]>,
    /// The number of the next datagram.
    next: u64,
    /// The oldest that is in flight is not below this.
    oldest: u64,
    /// One more than the newest that was delivered.
    delivered: u64,
    /// One more than the newest that was given up: an acknowledgement has no news of what is below this and [`Self::oldest`].
    given_up: u64,
}

impl Default for Departures {
    fn default() -> Self {
        Self { ring: vec![Slot::default(); IN_FLIGHT_MAX].into(), next: 0, oldest: 0, delivered: 0, given_up: 0 }
    }
}

impl Departures {
    /// The number of the next datagram.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether so many are in flight, or so many have left since the newest that was acknowledged, that no other may leave.
    pub fn is_full(&self, now_us: u64) -> bool {
        let unheard = self.next - self.delivered;
        let rests = || self.ring[index(self.next - 1)].age_us(now_us) < SILENCE_US;
        let waits = unheard >= UNHEARD_MAX && (unheard >= AHEAD_MAX - FAREWELLS_MAX || rests());
        waits || self.next - self.oldest >= IN_FLIGHT_MAX as u64
    }

    /// Whether any is in flight.
    pub fn has_in_flight(&self) -> bool {
        self.oldest < self.next
    }

    /// When the oldest datagram in flight left.
    pub fn oldest_at_us(&self, now_us: u64) -> Option<u64> {
        self.has_in_flight().then(|| now_us.saturating_sub(self.ring[index(self.oldest)].age_us(now_us)))
    }

    /// Notes a datagram that leaves and returns its number. Must not be called while [`Self::is_full`]. Of one that is not
    /// `followed` nothing is told later.
    pub fn push(&mut self, sent: Sent, followed: bool) -> u64 {
        let sequence = self.next;
        self.ring[index(sequence)] = Slot::of(sent, followed);
        self.next += 1;
        self.pass_resolved();
        sequence
    }

    /// Follows an acknowledgement: `tell` hears of each datagram that it resolves, the newest first. Returns the newest one
    /// if this is the first to name it, for measuring.
    pub fn acknowledge(
        &mut self,
        ack: &Ack,
        now_us: u64,
        tell: &mut dyn FnMut(Fate, &Sent),
    ) -> Result<Option<Sent>, Violation> {
        // The peer cannot know of more than was sent, and what is older than the window has long been resolved.
        let newest = extend(ack.newest, self.next.saturating_sub(u64::from(NUMBERS) - UNSENT_SEEN));
        if newest >= self.next {
            return Err(Violation::Unsent);
        }
        let told = newest.saturating_sub(TOLD_BEFORE);
        // What was given up is worth a look only as far back as an acknowledgement tells.
        let known = if self.given_up > told { told } else { self.oldest.max(told) };
        // Far behind, the ring holds others under the same number.
        let first = known.max(self.next.saturating_sub(IN_FLIGHT_MAX as u64));
        let bits = u64::from(ack.before) << 1 | 1;
        let mut named = None;
        for sequence in (first..=newest).rev().filter(|sequence| bits >> (newest - sequence) & 1 == 1) {
            let slot = &mut self.ring[index(sequence)];
            if !slot.is(IN_FLIGHT | GIVEN_UP) {
                continue;
            }
            let fate = if slot.is(IN_FLIGHT) { Fate::Delivered } else { Fate::Late };
            slot.flags &= !(IN_FLIGHT | GIVEN_UP);
            let sent = slot.sent(now_us);
            tell(fate, &sent);
            if sequence == newest {
                named = Some(sent);
            }
        }
        self.delivered = self.delivered.max(newest + 1);
        self.pass_resolved();
        Ok(named)
    }

    /// Gives up what is lost by now. `reorder_us` is how long after it left a datagram may still be overtaken.
    pub fn give_up(&mut self, now_us: u64, reorder_us: u64, tell: &mut dyn FnMut(Fate, &Sent)) {
        for sequence in self.oldest..self.next {
            let slot = &mut self.ring[index(sequence)];
            let age = slot.age_us(now_us);
            let behind = self.delivered.saturating_sub(sequence + 1);
            let lost = behind > TOLD_BEFORE || behind >= REORDER_DATAGRAMS && age >= reorder_us || age >= SILENCE_US;
            // Whatever left after this one is neither older nor further behind.
            if !lost {
                break;
            }
            if slot.is(IN_FLIGHT) {
                slot.flags ^= IN_FLIGHT | GIVEN_UP;
                self.given_up = sequence + 1;
                tell(Fate::Lost, &slot.sent(now_us));
            }
        }
        self.pass_resolved();
    }

    fn pass_resolved(&mut self) {
        while self.oldest < self.next && !self.ring[index(self.oldest)].is(IN_FLIGHT) {
            self.oldest += 1;
        }
    }
}

fn index(sequence: u64) -> usize {
    sequence as usize % IN_FLIGHT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(tag: u32, at_us: u64) -> Sent {
        Sent { at_us, tag: Some(tag), batch: None, bytes: 100 }
    }

    fn ack(newest: u64, before: u32) -> Ack {
        Ack { newest: newest as u16 % NUMBERS, before, held_us: Some(0) }
    }

    #[test]
    fn repeated_and_old_datagrams_are_refused() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.take(0, 0), Ok(Arrival { sequence: 0, advance: 1 }));
        assert_eq!(arrivals.take(0, 0), Err(Refusal::Duplicate));
        assert_eq!(arrivals.take(5, 0), Ok(Arrival { sequence: 5, advance: 5 }));
        assert_eq!(arrivals.take(3, 0), Ok(Arrival { sequence: 3, advance: 0 }));
        assert_eq!(arrivals.take(3, 0), Err(Refusal::Duplicate));
        assert_eq!(arrivals.take(100, 0).map(|arrival| arrival.advance), Ok(95));
        assert_eq!(arrivals.take(36, 0), Err(Refusal::Old));
        assert_eq!(arrivals.take(37, 0), Ok(Arrival { sequence: 37, advance: 0 }));
        assert_eq!(arrivals.take(100, 0), Err(Refusal::Duplicate));
    }

    #[test]
    fn what_never_came_is_never_acknowledged() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.ack(0), None);
        arrivals.take(4, 10).expect("taken");
        let told = arrivals.ack(25).expect("an acknowledgement");
        assert_eq!((told.newest, told.before, told.held_us), (4, !0b1111, Some(15)));
        arrivals.take(2, 30).expect("taken");
        let told = arrivals.ack(40).expect("an acknowledgement");
        assert_eq!((told.newest, told.before, told.held_us), (4, !0b1101, Some(30)));
        arrivals.take(200, 50).expect("taken");
        assert_eq!(arrivals.ack(50).expect("an acknowledgement").before, 0);
    }

    #[test]
    fn an_overtaken_datagram_is_lost_after_a_round_trip_and_late_if_it_comes() {
        let mut departures = Departures::default();
        for tag in 0..5 {
            departures.push(sent(tag, 0), true);
        }
        let mut told = Vec::new();
        departures.acknowledge(&ack(4, 0b1101), 0, &mut |fate, sent| told.push((fate, sent.tag))).expect("sound");
        departures.give_up(99, 100, &mut |fate, sent| told.push((fate, sent.tag)));
        assert_eq!(told.len(), 4, "{told:?}");
        departures.give_up(100, 100, &mut |fate, sent| told.push((fate, sent.tag)));
        assert_eq!(told.len(), 4, "two overtook it, which is reordering: {told:?}");
        departures.push(sent(5, 0), true);
        departures.acknowledge(&ack(5, 0b11011), 0, &mut |fate, sent| told.push((fate, sent.tag))).expect("sound");
        departures.give_up(100, 100, &mut |fate, sent| told.push((fate, sent.tag)));
        assert_eq!(told[5], (Fate::Lost, Some(2)));
        departures.acknowledge(&ack(5, 0b11111), 0, &mut |fate, sent| told.push((fate, sent.tag))).expect("sound");
        assert_eq!(told[6..], [(Fate::Late, Some(2))]);
        assert!(!departures.has_in_flight());
    }

    #[test]
    fn silence_resolves_everything_and_makes_room() {
        let mut departures = Departures::default();
        while !departures.is_full(7) {
            departures.push(sent(1, 7), true);
        }
        assert_eq!(departures.next(), IN_FLIGHT_MAX as u64);
        let mut lost = 0;
        departures.give_up(SILENCE_US + 6, u64::MAX, &mut |_, _| lost += 1);
        assert_eq!(lost, 0);
        departures.give_up(SILENCE_US + 7, u64::MAX, &mut |_, _| lost += 1);
        assert_eq!((lost, departures.is_full(SILENCE_US + 7)), (IN_FLIGHT_MAX, false));
    }

    #[test]
    fn numbers_are_whole_again_after_any_outage_that_a_connection_outlives() {
        let (mut departures, mut arrivals, mut now_us) = (Departures::default(), Arrivals::default(), 0);
        for outage in [0, 1, 63, 64, 512, 2_047, 2_048, 3_000, 10_000] {
            let mut left = 0;
            while left < outage {
                // 512 a second: as often as anything leaves while nothing is heard.
                now_us += 1_953;
                departures.give_up(now_us, u64::MAX, &mut |_, _| {});
                if departures.is_full(now_us) {
                    left += 1;
                    continue;
                }
                departures.push(sent(7, now_us), true);
                left += 1;
            }
            while departures.is_full(now_us) {
                now_us += 1_953;
                departures.give_up(now_us, u64::MAX, &mut |_, _| {});
            }
            let sequence = departures.push(sent(9, now_us), true);
            let arrival = arrivals.take(sequence as u16 % NUMBERS, now_us).expect("it is new");
            assert_eq!(arrival.sequence, sequence, "after {outage}");
            let told = arrivals.ack(now_us).expect("an acknowledgement");
            let named = departures.acknowledge(&told, now_us, &mut |_, _| {}).expect("sound").expect("it is named");
            assert_eq!(named.tag, Some(9), "after {outage}");
        }
        assert!(departures.next() > u64::from(NUMBERS) * 2, "numbers came round: {}", departures.next());
    }

    #[test]
    fn whoever_is_not_heard_falls_silent_before_numbers_repeat() {
        let (mut departures, mut now_us) = (Departures::default(), 0);
        for _ in 0..2_000_000 {
            now_us += 1_953;
            departures.give_up(now_us, u64::MAX, &mut |_, _| {});
            if !departures.is_full(now_us) {
                departures.push(sent(7, now_us), true);
            }
        }
        assert_eq!(departures.next(), AHEAD_MAX - FAREWELLS_MAX);
        let made_up = ack(departures.next(), u32::MAX);
        assert_eq!(departures.acknowledge(&made_up, now_us, &mut |_, _| {}), Err(Violation::Unsent));
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut departures = Departures::default();
        assert_eq!(departures.acknowledge(&ack(0, u32::MAX), 0, &mut |_, _| ()), Err(Violation::Unsent));
        departures.push(sent(0, 0), true);
        assert_eq!(departures.acknowledge(&ack(1, u32::MAX), 0, &mut |_, _| ()), Err(Violation::Unsent));
        assert_eq!(departures.acknowledge(&ack(40_000, u32::MAX), 0, &mut |_, _| ()), Err(Violation::Unsent));
        assert!(departures.acknowledge(&ack(0, u32::MAX), 0, &mut |_, _| ()).is_ok());
    }
}
