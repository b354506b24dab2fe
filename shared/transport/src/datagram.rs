//! The header in front of every payload, as bytes: what a datagram is, its number, when it left, and which of the peer's
//! datagrams have come. It holds no state and allocates nothing; [`crate::acks`] gives the numbers their meaning and
//! [`crate::flow`] puts a header, a body and messages together.
//!
//! One header acknowledges 33 datagrams, so that no acknowledgement needs a datagram of its own. The peer's time is echoed as
//! the number of its newest datagram and for how long that was held: the peer knows when it sent it. 7 bytes are usual, and
//! every byte costs 1 kbit/s at 128 Hz: hence numbers of 12 bits, and times in steps that are finer than what jitters anyway.
//! `docs/protocol.md` describes each bit; `tests/vectors/datagram_header.txt` has examples.

use crate::PAYLOAD_BYTES_MAX;
use crate::guard::Violation;

/// Largest header: flags, numbers, time, acknowledgement with 32 bits, and the length of a body.
pub const HEADER_BYTES_MAX: usize = HEADER_BYTES_TYPICAL + 4 + 2;

/// Smallest header: nothing has come from the peer yet.
pub const HEADER_BYTES_MIN: usize = 1 + 2 + 2;

/// A header with an acknowledgement from which nothing is missing: what most datagrams carry.
pub const HEADER_BYTES_TYPICAL: usize = HEADER_BYTES_MIN + 1 + 1;

/// Numbers on the wire count up to this. What of a whole number they leave out follows from what was seen before:
/// [`crate::acks`] proves that it always does.
pub const NUMBERS: u16 = 1 << NUMBER_BITS;
const NUMBER_BITS: u32 = 12;

/// Datagrams before the newest one that an acknowledgement tells of.
pub const TOLD_BEFORE: u64 = 32;

/// What the time of a header counts up to: microseconds modulo 2^22, 4.2 s.
pub const TIME_MASK: u64 = (1 << (16 + STEP_SHIFT)) - 1;

/// Times are told in steps of 64 µs.
const STEP_SHIFT: u32 = 6;

/// A kind of datagram without a body.
pub const KIND_EMPTY: u8 = 0;

/// The last word of a connection: its body is a text that says why it ends.
pub const KIND_FAREWELL: u8 = 7;

const FORM_MASK: u8 = 0b0000_0011;
const FORM_NOTHING: u8 = 0;
const FORM_ALL: u8 = 1;
const FORM_RUN: u8 = 2;
const FORM_BITS: u8 = 3;
const FLAG_MESSAGES: u8 = 0b0000_0100;
const KIND_SHIFT: u8 = 4;
/// Bits 8 and 9 of how long the acknowledged datagram was held; zeros without an acknowledgement.
const HELD_BITS: [u8; 2] = [0b0000_1000, 0b1000_0000];

/// Largest run of missing datagrams that one byte can tell.
const RUN_MAX: u32 = 8;

/// How long a datagram was held, in 10 bits: from which value on, in steps of how many microseconds as a power of 2. What is
/// held for a tick or two is told most finely.
const HELD: [(u16, u32); 3] = [(0, STEP_SHIFT), (512, STEP_SHIFT + 2), (768, STEP_SHIFT + 7)];
const HELD_UNKNOWN: u16 = 1_023;

/// What has come from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The newest number that has come, modulo [`NUMBERS`].
    pub newest: u16,
    /// Bit `i` says that number `newest - 1 - i` has come too. Numbers before the first one count as come.
    pub before: u32,
    /// Microseconds between the arrival of the newest and the departure of this datagram; `None` from 2.1 s on. Told to the
    /// nearest multiple of 64, from 32,768 on of 256, and from 98,304 on of 8,192.
    pub held_us: Option<u32>,
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the body is: [`KIND_EMPTY`], 1 to 6 for the caller's own, or [`KIND_FAREWELL`].
    pub kind: u8,
    /// This datagram's number, modulo [`NUMBERS`]; each direction counts from 0.
    pub sequence: u16,
    /// The sender's clock in microseconds modulo 2^22, told to the multiple of 64 below.
    pub time_us: u32,
    /// What has come from the peer; `None` before anything has.
    pub ack: Option<Ack>,
    /// Bytes of the body if messages follow it; otherwise the body fills the datagram.
    pub body_len: Option<u16>,
}

/// A payload taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Its header.
    pub header: Header,
    /// The caller's bytes.
    pub body: &'a [u8],
    /// Messages, not yet checked; empty if there are none.
    pub messages: &'a [u8],
}

impl Header {
    /// Writes the header to the front of `out` in its shortest form and returns its length. `out` must have
    /// [`HEADER_BYTES_MAX`] bytes, and a body that messages follow may not be longer than a payload.
    pub fn write(&self, out: &mut [u8]) -> usize {
        debug_assert!(self.kind <= KIND_FAREWELL && u64::from(self.time_us) <= TIME_MASK && self.sequence < NUMBERS);
        let mut to = Writer { out, len: 1 };
        let mut flags = self.kind << KIND_SHIFT;
        let newest = self.ack.map_or(0, |ack| ack.newest);
        debug_assert!(newest < NUMBERS);
        to.put(&(self.sequence | newest >> 8 << NUMBER_BITS).to_le_bytes());
        to.put(&((self.time_us >> STEP_SHIFT) as u16).to_le_bytes());
        if let Some(ack) = self.ack {
            let [low, high] = pack_held(ack.held_us).to_le_bytes();
            to.put(&[newest as u8, low]);
            flags |= ((high & 1) * HELD_BITS[0]) | ((high >> 1) * HELD_BITS[1]);
            let missing = !ack.before;
            let (start, length) = (missing.trailing_zeros(), missing.count_ones());
            if missing == 0 {
                flags |= FORM_ALL;
            } else if length <= RUN_MAX && missing >> start == (1 << length) - 1 {
                flags |= FORM_RUN;
                to.put(&[start as u8 | (length as u8 - 1) << 5]);
            } else {
                flags |= FORM_BITS;
                to.put(&ack.before.to_le_bytes());
            }
        }
        if let Some(body_len) = self.body_len {
            flags |= FLAG_MESSAGES;
            match body_len {
                0..64 => to.put(&[body_len as u8]),
                _ => to.put(&(body_len | 0x4000).to_be_bytes()),
            }
        }
        let len = to.len;
        out[0] = flags;
        len
    }
}

/// Takes a payload apart. Nothing in it is trusted: what is not exactly as described is a violation.
pub fn read(payload: &[u8]) -> Result<Parts<'_>, Violation> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Violation::PayloadSize(payload.len()));
    }
    let mut from = Reader(payload);
    let flags = from.u8()?;
    let kind = flags >> KIND_SHIFT & KIND_FAREWELL;
    let numbers = from.u16()?;
    let (sequence, newest_high) = (numbers % NUMBERS, numbers >> NUMBER_BITS << 8);
    let time_us = u32::from(from.u16()?) << STEP_SHIFT;
    let form = flags & FORM_MASK;
    let held_high = HELD_BITS.map(|bit| u16::from(flags & bit != 0));
    let held_high = held_high[0] << 8 | held_high[1] << 9;
    let ack = match form {
        FORM_NOTHING if newest_high | held_high != 0 => return Err(Violation::Header),
        FORM_NOTHING => None,
        _ => Some(read_ack(form, newest_high, held_high, &mut from)?),
    };
    if flags & FLAG_MESSAGES == 0 {
        let header = Header { kind, sequence, time_us, ack, body_len: None };
        return check_kind(Parts { header, body: from.0, messages: &[] });
    }
    let body_len = from.short_varint()?;
    let body = from.bytes(usize::from(body_len))?;
    if from.0.is_empty() {
        return Err(Violation::Header);
    }
    let header = Header { kind, sequence, time_us, ack, body_len: Some(body_len) };
    check_kind(Parts { header, body, messages: from.0 })
}

fn check_kind(parts: Parts<'_>) -> Result<Parts<'_>, Violation> {
    let empty = parts.header.kind == KIND_EMPTY;
    if empty == parts.body.is_empty() { Ok(parts) } else { Err(Violation::Header) }
}

fn read_ack(form: u8, newest_high: u16, held_high: u16, from: &mut Reader<'_>) -> Result<Ack, Violation> {
    let newest = newest_high | u16::from(from.u8()?);
    let held_us = unpack_held(held_high | u16::from(from.u8()?));
    let before = match form {
        FORM_ALL => u32::MAX,
        FORM_RUN => {
            let run = u32::from(from.u8()?);
            let (start, length) = (run & 31, (run >> 5) + 1);
            if start + length > u32::BITS {
                return Err(Violation::Acknowledgement);
            }
            !(((1 << length) - 1) << start)
        }
        _ => u32::from_le_bytes(from.array()?),
    };
    Ok(Ack { newest, before, held_us })
}

/// Ten bits: finer for what is short, and all ones for what is too long to measure with.
fn pack_held(held_us: Option<u32>) -> u16 {
    let Some(held_us) = held_us else { return HELD_UNKNOWN };
    let ends = [HELD[1].0, HELD[2].0, HELD_UNKNOWN];
    for ((first, shift), end) in HELD.into_iter().zip(ends) {
        // The nearest step, so that round trips are not too long in the mean.
        let beyond = held_us.saturating_sub(held_start_us(first));
        let steps = (u64::from(beyond) + (1 << (shift - 1))) >> shift;
        if steps < u64::from(end - first) {
            return first + steps as u16;
        }
    }
    HELD_UNKNOWN
}

fn unpack_held(held: u16) -> Option<u32> {
    let (first, shift) = *HELD.iter().rev().find(|(first, _)| held >= *first)?;
    (held < HELD_UNKNOWN).then(|| held_start_us(first) + (u32::from(held - first) << shift))
}

/// What the first value of a range of [`HELD`] stands for: what lies below it, each step as long as it is.
fn held_start_us(first: u16) -> u32 {
    let ranges = HELD.iter().zip(&HELD[1..]).take_while(|(_, (next, _))| *next <= first);
    ranges.map(|((from, shift), (next, _))| u32::from(next - from) << shift).sum()
}

/// The number from `first` on that is `wire` modulo [`NUMBERS`].
pub fn extend(wire: u16, first: u64) -> u64 {
    first + u64::from(wire.wrapping_sub(first as u16) % NUMBERS)
}

/// Writes front to back; a caller gives room enough.
struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// Reads front to back and never beyond the end.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Violation::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Violation::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Violation> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Violation> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A length of one or two bytes, as RFC 9000, section 16, writes numbers.
    fn short_varint(&mut self) -> Result<u16, Violation> {
        let first = self.u8()?;
        match first >> 6 {
            0 => Ok(u16::from(first)),
            1 => Ok(u16::from_be_bytes([first & 0x3F, self.u8()?])),
            _ => Err(Violation::Header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_from_its_low_bits() {
        assert_eq!(extend(5, 0), 5);
        assert_eq!(extend(4_095, 0), 4_095);
        assert_eq!(extend(3, 0xFFE), 0x1003);
        assert_eq!(extend(0xFFD, 0xFFE), 0x1FFD, "the last one");
        assert_eq!(extend(7, 131_070), 131_079);
    }

    #[test]
    fn a_held_time_loses_little() {
        let mut before = 0;
        for held in (0..200_000).chain((200_000..2_182_000).step_by(997)) {
            let packed = pack_held(Some(held));
            let back = unpack_held(packed).expect("a time");
            let step = if held < 32_736 {
                64
            } else if held < 98_176 {
                256
            } else {
                8_192
            };
            assert!(back.abs_diff(held) <= step / 2, "{held} came back as {back}");
            assert!(packed >= before, "{held} is told as less than what is shorter");
            assert_eq!(pack_held(Some(back)), packed);
            before = packed;
        }
        assert_eq!(unpack_held(pack_held(Some(2_190_000))), None);
        assert_eq!(unpack_held(pack_held(Some(u32::MAX))), None);
        assert_eq!(unpack_held(pack_held(None)), None);
    }
}
