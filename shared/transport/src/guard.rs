//! What is checked before a library sees a byte.
//!
//! The netcode library panics on a sequence longer than eight bytes or near 2^64 and on a packet too short for its
//! authentication; renet panics on a slice whose index is not below its count and keeps any number of empty or far-ahead
//! messages. Neither kind of packet is ever made by an honest peer, so neither passes.

use thiserror::Error;

use crate::MESSAGE_BYTES_MAX;

/// Bytes that authenticate a netcode packet.
const AUTHENTICATION_BYTES: usize = 16;

/// Bytes of a netcode connection request: type, version, protocol id, expiry, nonce and the sealed token.
const REQUEST_BYTES: usize = 1 + 13 + 8 + 8 + 24 + 1_024;

/// Types of a netcode packet, from a connection request at 0.
const NETCODE_TYPES: u8 = 7;

/// The standard's server counts its global sequence from 2^63; nobody gets as far as 2^62 beyond that.
const SEQUENCE_MAX: u64 = (1 << 63) + (1 << 62);

/// Reliable messages that may be ahead of the one that is waited for: an honest peer sends a few a second.
const MESSAGES_AHEAD_MAX: u64 = 256;

/// renet packets that may be ahead of the newest one seen.
const PACKETS_AHEAD_MAX: u64 = 4_096;

/// Messages that a sender may have unacknowledged, so that a receiver never holds more than 128 · 900 B out of order.
pub(crate) const MESSAGES_IN_FLIGHT_MAX: u64 = 128;

/// A message as renet has it, its mark included: what is larger would be sliced by renet, and slices are a way in for attacks.
pub const PIECE_BYTES_MAX: usize = 900;

/// Ranges in one acknowledgement: each is a gap of lost packets. An honest peer has a handful.
const ACK_RANGES_MAX: u64 = 128;

/// The only channel, reliable and ordered.
pub(crate) const RELIABLE_CHANNEL: u8 = 0;

/// Whether a datagram has the shape of a netcode packet. Says nothing about its authenticity.
pub fn is_plausible(datagram: &[u8]) -> bool {
    let Some(prefix) = datagram.first() else { return false };
    let (kind, sequence_bytes) = (prefix & 0x0F, usize::from(prefix >> 4));
    if kind == 0 {
        return *prefix == 0 && datagram.len() == REQUEST_BYTES;
    }
    if kind >= NETCODE_TYPES || sequence_bytes > 8 || datagram.len() > crate::UDP_BYTES_MAX {
        return false;
    }
    if datagram.len() < 1 + sequence_bytes + AUTHENTICATION_BYTES || datagram.len() < 2 + AUTHENTICATION_BYTES {
        return false;
    }
    let mut sequence = [0; 8];
    sequence[..sequence_bytes].copy_from_slice(&datagram[1..1 + sequence_bytes]);
    u64::from_le_bytes(sequence) < SEQUENCE_MAX
}

/// What a peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// The packet ends inside a value.
    #[error("a datagram was cut off")]
    Short,
    /// Bytes behind the packet.
    #[error("bytes were left behind a message packet")]
    Trailing,
    /// Slices and unreliable packets of renet are never sent.
    #[error("a message packet of kind {0}, which is not in use")]
    Kind(u8),
    /// An unknown channel.
    #[error("a message on channel {0}, which does not exist")]
    Channel(u8),
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

/// Follows one peer's renet packets and lets through only what cannot hurt.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageGuard {
    /// Messages that the reliable channel has handed out: the number of the next one.
    pub delivered: u64,
    newest_sequence: u64,
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

/// What a sound packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    Messages,
    Acknowledgement,
}

impl MessageGuard {
    pub fn check(&mut self, packet: &[u8]) -> Result<Sound, Violation> {
        let from = &mut Octets(packet);
        let kind = from.u8()?;
        if kind != 0 && kind != 4 {
            return Err(Violation::Kind(kind));
        }
        let sequence = from.varint()?;
        if sequence > self.newest_sequence + PACKETS_AHEAD_MAX {
            return Err(Violation::Ahead);
        }
        let sound = if kind == 0 { self.messages(from)? } else { acknowledgement(from)? };
        if !from.0.is_empty() {
            return Err(Violation::Trailing);
        }
        self.newest_sequence = self.newest_sequence.max(sequence);
        Ok(sound)
    }

    fn messages(&self, from: &mut Octets<'_>) -> Result<Sound, Violation> {
        let channel = from.u8()?;
        if channel != RELIABLE_CHANNEL {
            return Err(Violation::Channel(channel));
        }
        let count = u16::from_be_bytes([from.u8()?, from.u8()?]);
        for _ in 0..count {
            let message = from.varint()?;
            if message >= self.delivered + MESSAGES_AHEAD_MAX {
                return Err(Violation::Ahead);
            }
            let len = from.varint()?;
            if !(1..=MESSAGE_BYTES_MAX as u64).contains(&len) {
                return Err(Violation::MessageSize(len));
            }
            from.bytes(len as usize)?;
        }
        Ok(Sound::Messages)
    }
}

fn acknowledgement(from: &mut Octets<'_>) -> Result<Sound, Violation> {
    let (end, size, ranges) = (from.varint()?, from.varint()?, from.varint()?);
    let mut start = end.checked_sub(size).ok_or(Violation::Acknowledgement)?;
    if ranges > ACK_RANGES_MAX {
        return Err(Violation::Acknowledgement);
    }
    for _ in 0..ranges {
        let (gap, size) = (from.varint()?, from.varint()?);
        let end = start.checked_sub(gap + 2).ok_or(Violation::Acknowledgement)?;
        start = end.checked_sub(size).ok_or(Violation::Acknowledgement)?;
    }
    Ok(Sound::Acknowledgement)
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

    pub fn take(&mut self) -> bool {
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packet: &[u8]) -> Result<Sound, Violation> {
        MessageGuard::default().check(packet)
    }

    #[test]
    fn a_slice_never_passes() {
        // Kind 2, sequence 0, channel 0, message 0, slice 5 of 1, one byte: the packet that ends a renet process.
        assert_eq!(check(&[2, 0, 0, 0, 5, 1, 1, 9]), Err(Violation::Kind(2)));
        assert_eq!(check(&[3, 0, 0, 0, 5, 1, 1, 9]), Err(Violation::Kind(3)));
    }

    #[test]
    fn an_empty_message_never_passes() {
        assert_eq!(check(&[0, 0, 0, 0, 1, 0, 0]), Err(Violation::MessageSize(0)));
    }

    #[test]
    fn a_message_far_ahead_never_passes() {
        assert_eq!(check(&[0, 0, 0, 0, 1, 0x7F, 0xFF, 1, 9]), Err(Violation::Ahead));
    }

    #[test]
    fn an_inverted_acknowledgement_never_passes() {
        assert_eq!(check(&[4, 0, 1, 2, 0]), Err(Violation::Acknowledgement));
        assert_eq!(check(&[4, 0, 9, 2, 1, 6, 0]), Err(Violation::Acknowledgement));
    }

    #[test]
    fn an_honest_message_passes() {
        assert_eq!(check(&[0, 0, 0, 0, 1, 0, 2, 7, 7]), Ok(Sound::Messages));
        assert_eq!(check(&[4, 0, 9, 2, 1, 1, 0]), Ok(Sound::Acknowledgement));
    }

    #[test]
    fn a_netcode_packet_with_a_sequence_of_more_than_eight_bytes_is_implausible() {
        assert!(!is_plausible(&[0xF5; 40]));
        assert!(!is_plausible(&[0x85; 20]), "too short for sequence and authentication");
        let mut far = [0xFF; 40];
        far[0] = 0x85;
        assert!(!is_plausible(&far));
        assert!(is_plausible(&[0x15; 40]));
        assert!(!is_plausible(&[0x17; 40]) && !is_plausible(&[0; 40]) && !is_plausible(&[]));
    }
}
