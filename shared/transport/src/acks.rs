//! Which datagrams of the peer have come, and what has become of ours. Numbers only: times that follow from them go to
//! [`crate::path`]. Nothing here allocates after it is made.
//!
//! A datagram of ours is *delivered* when an acknowledgement names it. It is *lost* when one that left at least
//! [`REORDER_DATAGRAMS`] later was delivered and a little more than a round trip has passed, when acknowledgements can no
//! longer name it, or when nothing has been heard of it for [`SILENCE_US`]. What was only late may be delivered after it was
//! given up: the caller is then told so too, because it may use it as a baseline.

use crate::datagram::{Ack, TOLD_BEFORE, extend};
use crate::guard::Violation;

/// Datagrams that may be unresolved at once; no more leave until some are delivered or given up. 4 s at 128 Hz.
pub const IN_FLIGHT_MAX: usize = 512;

/// One datagram that overtakes is reordering, three are loss (RFC 9002, section 6.1.1).
pub const REORDER_DATAGRAMS: u64 = 3;

/// A datagram of which nothing was heard for so long is given up even if nothing else is delivered.
pub const SILENCE_US: u64 = 1_000_000;

/// How far behind the newest a datagram may come and still be told from a repeated one.
const WINDOW: u64 = 64;

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
    /// Notes a datagram with these low 16 bits of its number.
    pub fn take(&mut self, wire: u16, now_us: u64) -> Result<Arrival, Refusal> {
        let sequence = extend(wire, self.next).ok_or(Refusal::Old)?;
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
        Some(Ack { newest: newest as u16, before: (self.seen >> 1) as u32, held_us: u32::try_from(held).ok() })
    }
}

/// How a sent datagram stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Resolved, or never sent.
    #[default]
    Done,
    InFlight,
    /// Given up, but may still be delivered.
    GivenUp,
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

/// Our datagrams.
#[derive(Debug, Clone)]
pub struct Departures {
    ring: Box<[(State, Sent)]>,
    /// The number of the next datagram.
    next: u64,
    /// The oldest that is in flight is not below this.
    oldest: u64,
    /// One more than the newest that was delivered.
    delivered: u64,
}

impl Default for Departures {
    fn default() -> Self {
        Self { ring: vec![Default::default(); IN_FLIGHT_MAX].into(), next: 0, oldest: 0, delivered: 0 }
    }
}

impl Departures {
    /// The number of the next datagram.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether so many are in flight that no other may leave.
    pub fn is_full(&self) -> bool {
        self.next - self.oldest >= IN_FLIGHT_MAX as u64
    }

    /// Whether any is in flight.
    pub fn has_in_flight(&self) -> bool {
        self.oldest < self.next
    }

    /// When the oldest datagram in flight left.
    pub fn oldest_at_us(&self) -> Option<u64> {
        self.has_in_flight().then(|| self.ring[index(self.oldest)].1.at_us)
    }

    /// Notes a datagram that leaves and returns its number. Must not be called while [`Self::is_full`]. Of one that is not
    /// `followed` nothing is told later.
    pub fn push(&mut self, sent: Sent, followed: bool) -> u64 {
        let sequence = self.next;
        self.ring[index(sequence)] = (if followed { State::InFlight } else { State::Done }, sent);
        self.next += 1;
        self.pass_resolved();
        sequence
    }

    /// Follows an acknowledgement: `tell` hears of each datagram that it resolves, oldest number last. Returns the newest one
    /// if this is the first to name it, for measuring.
    pub fn acknowledge(
        &mut self,
        ack: &Ack,
        tell: &mut dyn FnMut(Fate, &Sent),
    ) -> Result<Option<(u64, Sent)>, Violation> {
        // The peer cannot know of more than was sent, and what is older than the window has long been resolved.
        let newest = extend(ack.newest, self.next).ok_or(Violation::Unsent)?;
        if newest >= self.next {
            return Err(Violation::Unsent);
        }
        let mut named = None;
        let bits = u64::from(ack.before) << 1 | 1;
        for behind in (0..=TOLD_BEFORE.min(newest)).filter(|behind| bits >> behind & 1 == 1) {
            let sequence = newest - behind;
            if sequence + (IN_FLIGHT_MAX as u64) < self.next {
                break;
            }
            let (state, sent) = &mut self.ring[index(sequence)];
            let fate = match state {
                State::Done => continue,
                State::InFlight => Fate::Delivered,
                State::GivenUp => Fate::Late,
            };
            *state = State::Done;
            tell(fate, sent);
            if behind == 0 {
                named = Some((sequence, *sent));
            }
        }
        self.delivered = self.delivered.max(newest + 1);
        self.pass_resolved();
        Ok(named)
    }

    /// Gives up what is lost by now. `reorder_us` is how long after it left a datagram may still be overtaken.
    pub fn give_up(&mut self, now_us: u64, reorder_us: u64, tell: &mut dyn FnMut(Fate, &Sent)) {
        for sequence in self.oldest..self.next {
            let (state, sent) = &mut self.ring[index(sequence)];
            let age = now_us.saturating_sub(sent.at_us);
            let behind = self.delivered.saturating_sub(sequence + 1);
            let lost = behind > TOLD_BEFORE || behind >= REORDER_DATAGRAMS && age >= reorder_us || age >= SILENCE_US;
            if lost && *state == State::InFlight {
                *state = State::GivenUp;
                tell(Fate::Lost, sent);
            }
            // Whatever left after this one is neither older nor further behind.
            if !lost {
                break;
            }
        }
        self.pass_resolved();
    }

    fn pass_resolved(&mut self) {
        while self.oldest < self.next && self.ring[index(self.oldest)].0 != State::InFlight {
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
        Ack { newest: newest as u16, before, held_us: Some(0) }
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
        assert_eq!(arrivals.take(0xFFFF, 0), Err(Refusal::Old), "before the first");
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
        departures.acknowledge(&ack(4, 0b1101), &mut |fate, sent| told.push((fate, sent.tag))).expect("sound");
        departures.give_up(99, 100, &mut |fate, sent| told.push((fate, sent.tag)));
        assert_eq!(told.len(), 4, "{told:?}");
        departures.give_up(100, 100, &mut |fate, sent| told.push((fate, sent.tag)));
        assert_eq!(told.len(), 4, "two overtook it, which is reordering: {told:?}");
        departures.push(sent(5, 0), true);
        departures.acknowledge(&ack(5, 0b11011), &mut |fate, sent| told.push((fate, sent.tag))).expect("sound");
        departures.give_up(100, 100, &mut |fate, sent| told.push((fate, sent.tag)));
        assert_eq!(told[5], (Fate::Lost, Some(2)));
        departures.acknowledge(&ack(5, 0b11111), &mut |fate, sent| told.push((fate, sent.tag))).expect("sound");
        assert_eq!(told[6..], [(Fate::Late, Some(2))]);
        assert!(!departures.has_in_flight());
    }

    #[test]
    fn silence_resolves_everything_and_makes_room() {
        let mut departures = Departures::default();
        while !departures.is_full() {
            departures.push(sent(1, 7), true);
        }
        assert_eq!(departures.next(), IN_FLIGHT_MAX as u64);
        let mut lost = 0;
        departures.give_up(SILENCE_US + 6, u64::MAX, &mut |_, _| lost += 1);
        assert_eq!(lost, 0);
        departures.give_up(SILENCE_US + 7, u64::MAX, &mut |_, _| lost += 1);
        assert_eq!((lost, departures.is_full()), (IN_FLIGHT_MAX, false));
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut departures = Departures::default();
        assert_eq!(departures.acknowledge(&ack(0, u32::MAX), &mut |_, _| ()), Err(Violation::Unsent));
        departures.push(sent(0, 0), true);
        assert_eq!(departures.acknowledge(&ack(1, u32::MAX), &mut |_, _| ()), Err(Violation::Unsent));
        assert_eq!(departures.acknowledge(&ack(40_000, u32::MAX), &mut |_, _| ()), Err(Violation::Unsent));
        assert!(departures.acknowledge(&ack(0, u32::MAX), &mut |_, _| ()).is_ok());
    }
}
