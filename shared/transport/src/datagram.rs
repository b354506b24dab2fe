//! The header in front of every payload, as bytes: what a datagram is, its number, when it left, and which of the peer's
//! datagrams have come. It holds no state and allocates nothing; [`crate::acks`] gives the numbers their meaning and
//! [`crate::flow`] puts a header, a body and messages together.
//!
//! One header acknowledges 33 datagrams, so that no acknowledgement needs a datagram of its own. The peer's time is echoed as
//! the number of its newest datagram and for how long that was held: the peer knows when it sent it. 10 bytes are usual, and
//! every byte costs 0.5 kbit/s at 60 Hz. `docs/protocol.md` describes each bit; `tests/vectors/datagram_header.txt` has examples.

use crate::PAYLOAD_BYTES_MAX;
use crate::guard::Violation;

/// Largest header: flags, number, time, acknowledgement with 32 bits, and the length of a body.
pub const HEADER_BYTES_MAX: usize = 1 + 2 + 3 + 2 + 2 + 4 + 2;

/// Smallest header: nothing has come from the peer yet.
pub const HEADER_BYTES_MIN: usize = 1 + 2 + 3;

/// A header with an acknowledgement from which nothing is missing: what most datagrams carry.
pub const HEADER_BYTES_TYPICAL: usize = HEADER_BYTES_MIN + 2 + 2;

/// Datagrams before the newest one that an acknowledgement tells of.
pub const TOLD_BEFORE: u64 = 32;

/// What the time of a header counts up to: microseconds modulo 2^24, 16.8 s.
pub const TIME_MASK: u64 = (1 << 24) - 1;

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
const RESERVED: u8 = 0b1000_1000;

/// Largest run of missing datagrams that one byte can tell.
const RUN_MAX: u32 = 8;

const HELD_COARSE: u16 = 1 << 15;
const HELD_SHIFT: u32 = 6;
const HELD_UNKNOWN: u16 = u16::MAX;

/// What has come from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The low 16 bits of the newest number that has come.
    pub newest: u16,
    /// Bit `i` says that number `newest - 1 - i` has come too. Numbers before the first one count as come.
    pub before: u32,
    /// Microseconds between the arrival of the newest and the departure of this datagram; `None` from 2.1 s on. From 32,768
    /// on it is a multiple of 64.
    pub held_us: Option<u32>,
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the body is: [`KIND_EMPTY`], 1 to 6 for the caller's own, or [`KIND_FAREWELL`].
    pub kind: u8,
    /// The low 16 bits of this datagram's number; each direction counts from 0.
    pub sequence: u16,
    /// The sender's clock in microseconds modulo 2^24.
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
        debug_assert!(self.kind <= KIND_FAREWELL && u64::from(self.time_us) <= TIME_MASK);
        let mut to = Writer { out, len: 1 };
        to.put(&self.sequence.to_le_bytes());
        to.put(&self.time_us.to_le_bytes()[..3]);
        let mut flags = self.kind << KIND_SHIFT;
        if let Some(ack) = self.ack {
            to.put(&ack.newest.to_le_bytes());
            to.put(&pack_held(ack.held_us).to_le_bytes());
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
    if flags & RESERVED != 0 {
        return Err(Violation::Header);
    }
    let kind = flags >> KIND_SHIFT;
    let sequence = from.u16()?;
    let [a, b, c] = from.array()?;
    let time_us = u32::from_le_bytes([a, b, c, 0]);
    let form = flags & FORM_MASK;
    let ack = if form == FORM_NOTHING { None } else { Some(read_ack(form, &mut from)?) };
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

fn read_ack(form: u8, from: &mut Reader<'_>) -> Result<Ack, Violation> {
    let newest = from.u16()?;
    let held_us = unpack_held(from.u16()?);
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

/// Two bytes: below 32,768 µs exactly, beyond in steps of 64 µs, and all ones for what is too long to measure with.
fn pack_held(held_us: Option<u32>) -> u16 {
    match held_us {
        Some(held) if held < u32::from(HELD_COARSE) => held as u16,
        Some(held) if held >> HELD_SHIFT < u32::from(HELD_UNKNOWN ^ HELD_COARSE) => {
            (held >> HELD_SHIFT) as u16 | HELD_COARSE
        }
        _ => HELD_UNKNOWN,
    }
}

fn unpack_held(held: u16) -> Option<u32> {
    match held {
        HELD_UNKNOWN => None,
        coarse if coarse & HELD_COARSE != 0 => Some(u32::from(coarse ^ HELD_COARSE) << HELD_SHIFT),
        exact => Some(u32::from(exact)),
    }
}

/// The number near `near` whose low 16 bits are `wire`; `None` if that would be below 0. Right as long as the two are less than
/// 32,768 apart: four minutes at 128 Hz.
pub fn extend(wire: u16, near: u64) -> Option<u64> {
    let apart = wire.wrapping_sub(near as u16) as i16;
    near.checked_add_signed(i64::from(apart))
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
        assert_eq!(extend(5, 0), Some(5));
        assert_eq!(extend(0xFFFF, 0), None, "before the first");
        assert_eq!(extend(3, 0xFFFE), Some(0x1_0003));
        assert_eq!(extend(0xFFFE, 0x1_0003), Some(0xFFFE));
        assert_eq!(extend(7, 131_070), Some(131_079));
    }

    #[test]
    fn a_held_time_loses_little() {
        for held in [0, 1, 16_667, 32_767, 32_768, 40_000, 1_000_000, 2_097_023] {
            let back = unpack_held(pack_held(Some(held))).expect("a time");
            assert!(back <= held && held - back < 64, "{held} came back as {back}");
        }
        assert_eq!(unpack_held(pack_held(Some(2_097_152))), None);
        assert_eq!(unpack_held(pack_held(None)), None);
    }
}
