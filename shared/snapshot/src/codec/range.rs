//! A range coder: fractions of bits, for servers with few players.
//!
//! After G. N. N. Martin, "Range encoding" (1979), with the carry passed on to bytes that were written already.

use super::tables::{Model, TOTAL, Tables, Tier};
use super::{Coder, Damaged};
use crate::bits::{Get, OutOfBits, Put};

const TOTAL_BITS: u32 = TOTAL.trailing_zeros();

/// The range never falls below this between symbols.
const LEAST: u32 = 1 << 24;

/// Writes into a range.
#[derive(Debug)]
pub struct RangeWriter<'a> {
    tables: &'a Tables,
    tier: Tier,
    to: &'a mut Vec<u8>,
    start: usize,
    low: u32,
    range: u32,
}

impl<'a> RangeWriter<'a> {
    /// Appends to `to`, by the trees of `tier`.
    pub fn new(tables: &'a Tables, tier: Tier, to: &'a mut Vec<u8>) -> Self {
        let start = to.len();
        Self { tables, tier, to, start, low: 0, range: u32::MAX }
    }

    /// Bytes so far, and those that ending the stream may take.
    pub fn bytes_max(&self) -> usize {
        self.to.len() - self.start + 4
    }

    #[inline]
    fn narrow(&mut self, start: u32, share: u32, bits: u32) {
        let step = self.range >> bits;
        let (low, carry) = self.low.overflowing_add(start * step);
        if carry {
            self.carry();
        }
        (self.low, self.range) = (low, step * share);
        while self.range < LEAST {
            self.to.push((self.low >> 24) as u8);
            self.low <<= 8;
            self.range <<= 8;
        }
    }

    fn carry(&mut self) {
        for byte in self.to[self.start..].iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }

    /// Ends the stream with as few bytes as tell it apart; a reader takes zeros for those that are missing.
    pub fn finish(mut self) {
        for kept in [8, 16, 24, 32] {
            let unit = if kept == 32 { 0 } else { u32::MAX >> kept };
            let (up, carry) = self.low.overflowing_add(unit);
            let value = up & !unit;
            if value.wrapping_sub(self.low) < self.range {
                if carry {
                    self.carry();
                }
                self.to.extend_from_slice(&value.to_be_bytes()[..kept / 8]);
                break;
            }
        }
        while self.to.len() > self.start && self.to.last() == Some(&0) {
            self.to.pop();
        }
    }
}

impl Coder for RangeWriter<'_> {
    #[inline]
    fn symbol(&mut self, model: Model, features: &[i32], symbol: u32) -> Result<u32, Damaged> {
        let starts = &self.tables.leaf(self.tier, model, features).starts;
        let start = u32::from(starts[symbol as usize]);
        self.narrow(start, u32::from(starts[symbol as usize + 1]) - start, TOTAL_BITS);
        Ok(symbol)
    }

    #[inline]
    fn raw(&mut self, value: u32, bits: u32) -> Result<u32, Damaged> {
        if bits > 16 {
            self.narrow(value >> 16, 1, bits - 16);
        }
        if bits > 0 {
            self.narrow(value & 0xffff, 1, bits.min(16));
        }
        Ok(value)
    }
}

/// Reads what [`RangeWriter`] wrote.
#[derive(Debug)]
pub struct RangeReader<'a> {
    tables: &'a Tables,
    tier: Tier,
    rest: core::slice::Iter<'a, u8>,
    /// Bytes that were taken beyond the end: an honest stream needs a few.
    missing: u32,
    code: u32,
    range: u32,
}

impl<'a> RangeReader<'a> {
    /// Reads `bytes`, all of which belong to the stream, by the trees of `tier`.
    pub fn new(tables: &'a Tables, tier: Tier, bytes: &'a [u8]) -> Self {
        let mut reader = Self { tables, tier, rest: bytes.iter(), missing: 0, code: 0, range: u32::MAX };
        (0..4).for_each(|_| reader.code = reader.code << 8 | reader.byte());
        reader
    }

    /// Whether all bytes were taken.
    pub fn is_done(&self) -> bool {
        self.rest.len() == 0
    }

    #[inline]
    fn byte(&mut self) -> u32 {
        self.rest.next().map_or_else(
            || {
                self.missing = self.missing.saturating_add(1);
                0
            },
            |byte| u32::from(*byte),
        )
    }

    #[inline]
    fn narrow(&mut self, start: u32, share: u32, step: u32) -> Result<(), Damaged> {
        self.code = self.code.wrapping_sub(start * step);
        self.range = step * share;
        while self.range < LEAST {
            self.code = self.code << 8 | self.byte();
            self.range <<= 8;
        }
        // A writer drops zeros at the end: what could never have been one stops an endless read of nothing.
        if self.missing > MISSING_MAX { Err(Damaged) } else { Ok(()) }
    }
}

/// Zeros that a reader takes behind the end. A packet of many unlikely nothings ends in some.
const MISSING_MAX: u32 = 64;

impl Coder for RangeReader<'_> {
    #[inline]
    fn symbol(&mut self, model: Model, features: &[i32], _symbol: u32) -> Result<u32, Damaged> {
        let starts = &self.tables.leaf(self.tier, model, features).starts;
        let step = self.range >> TOTAL_BITS;
        let share = (self.code / step).min(TOTAL - 1) as u16;
        let symbol = starts.partition_point(|start| *start <= share) - 1;
        let start = u32::from(starts[symbol]);
        self.narrow(start, u32::from(starts[symbol + 1]) - start, step)?;
        Ok(symbol as u32)
    }

    #[inline]
    fn raw(&mut self, _value: u32, bits: u32) -> Result<u32, Damaged> {
        let mut value = 0;
        for bits in [bits.saturating_sub(16), bits.min(16)].into_iter().filter(|bits| *bits > 0) {
            let step = self.range >> bits;
            let part = (self.code / step).min((1 << bits) - 1);
            self.narrow(part, 1, step)?;
            value = value << bits | part;
        }
        Ok(value)
    }
}

impl Put for RangeWriter<'_> {
    fn put(&mut self, value: u32, bits: u32) {
        // A writer cannot fail.
        let _ = self.raw(value, bits);
    }
}

impl Get for RangeReader<'_> {
    fn get(&mut self, bits: u32) -> Result<u32, OutOfBits> {
        self.raw(0, bits).map_err(|_| OutOfBits)
    }
}
