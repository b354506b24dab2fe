//! What is checked before the message library sees a byte.
//!
//! renet panics on a slice whose index is not below its count, and keeps any number of empty or far-ahead messages. It is
//! never shown a packet from the wire: its packets are made anew at this end from messages that have passed here.

use thiserror::Error;

/// Messages that a sender may have unacknowledged, so that a receiver never holds more than 128 · 900 B out of order.
pub(crate) const MESSAGES_IN_FLIGHT_MAX: u64 = 128;

/// A message as renet has it, its mark included: what is larger would be sliced by renet, and slices are a way in for attacks.
pub const PIECE_BYTES_MAX: usize = 900;

/// The only channel, reliable and ordered.
pub(crate) const RELIABLE_CHANNEL: u8 = 0;

/// What a peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// The packet ends inside a value.
    #[error("a datagram was cut off")]
    Short,
    /// Sequence or message far ahead.
    #[error("a message or packet too far ahead of its turn")]
    Ahead,
    /// An empty or too long message.
    #[error("a message of {0} bytes")]
    MessageSize(u64),
    /// Acknowledgement ranges too many or inverted.
    #[error("an impossible acknowledgement")]
    Acknowledgement,
    /// A payload that is empty or too long.
    #[error("a payload of {0} bytes")]
    PayloadSize(usize),
    /// More packets than anyone honest sends.
    #[error("too many packets per second")]
    Rate,
    /// A header with reserved bits, a body that does not fit its kind, or messages that are announced and not there.
    #[error("a datagram with an impossible header")]
    Header,
    /// A datagram that was never sent is acknowledged.
    #[error("an acknowledgement of what was never sent")]
    Unsent,
    /// A piece of a message whose mark is unknown, or that makes the message longer than allowed.
    #[error("a piece that belongs to no message")]
    Piece,
    /// The message layer refused what had passed the checks before it.
    #[error("messages that the message layer refuses")]
    Refused,
}

struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    fn bytes(&mut self, count: usize) -> Result<&[u8], Violation> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Violation::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Violation> {
        Ok(self.bytes(1)?[0])
    }

    /// A big-endian number whose two highest bits say that it takes 1, 2, 4 or 8 bytes (RFC 9000, section 16).
    fn varint(&mut self) -> Result<u64, Violation> {
        let first = self.u8()?;
        let mut value = u64::from(first & 0x3F);
        for byte in self.bytes((1 << (first >> 6)) - 1)? {
            value = value << 8 | u64::from(*byte);
        }
        Ok(value)
    }
}

/// Checks the messages behind a body, each a number, a length and bytes, and returns how many there are. `delivered` is the
/// number of the next message that the caller waits for.
pub(crate) fn check_messages(block: &[u8], delivered: u64) -> Result<u16, Violation> {
    let from = &mut Octets(block);
    let mut count = 0;
    while !from.0.is_empty() {
        if from.varint()? >= delivered + MESSAGES_IN_FLIGHT_MAX {
            return Err(Violation::Ahead);
        }
        let len = from.varint()?;
        if !(1..=PIECE_BYTES_MAX as u64).contains(&len) {
            return Err(Violation::MessageSize(len));
        }
        from.bytes(len as usize)?;
        // A payload of 1,200 B has fewer than 2^16.
        count += 1;
    }
    Ok(count)
}

/// A bucket that fills at a rate and empties with each packet.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f32,
    burst: f32,
    per_second: f32,
}

impl Bucket {
    pub fn new(per_second: f32, burst: f32) -> Self {
        Self { tokens: burst, burst, per_second }
    }

    pub fn refill(&mut self, seconds: f32) {
        self.tokens = (self.tokens + self.per_second * seconds).min(self.burst);
    }

    /// Whether so many packets may come at once.
    pub fn has(&self, count: u16) -> bool {
        self.tokens >= f32::from(count)
    }

    pub fn take(&mut self) -> bool {
        let has = self.has(1);
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_message_passes() {
        assert_eq!(check_messages(&[], 0), Ok(0));
        assert_eq!(check_messages(&[0, 2, 7, 7, 1, 1, 7], 0), Ok(2));
    }

    #[test]
    fn an_empty_message_never_passes() {
        // 2.3 MB of them became 460,000 queued entries in renet.
        assert_eq!(check_messages(&[0, 0], 0), Err(Violation::MessageSize(0)));
    }

    #[test]
    fn a_message_far_ahead_never_passes() {
        assert_eq!(check_messages(&[0x40, 0x80, 1, 9], 0), Err(Violation::Ahead));
        assert_eq!(check_messages(&[0x40, 0x80, 1, 9], 1), Ok(1));
    }

    #[test]
    fn a_message_that_is_cut_off_never_passes() {
        assert_eq!(check_messages(&[0, 3, 7, 7], 0), Err(Violation::Short));
        assert_eq!(check_messages(&[0xC0], 0), Err(Violation::Short));
    }
}
