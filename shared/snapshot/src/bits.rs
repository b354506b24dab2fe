//! Bits in order, least significant first, and the variable-length code of numbers.

/// The bytes ended inside a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBits;

/// Where numbers of so many bits go to: a stream of bits, or a range coder.
pub(crate) trait Put {
    /// The low `bits` bits of `value`, at most 32.
    fn put(&mut self, value: u32, bits: u32);

    /// One bit.
    fn flag(&mut self, set: bool) {
        self.put(u32::from(set), 1);
    }
}

/// Where they come from.
pub(crate) trait Get {
    /// The next `bits` bits, at most 32.
    fn get(&mut self, bits: u32) -> Result<u32, OutOfBits>;

    /// One bit.
    fn flag(&mut self) -> Result<bool, OutOfBits> {
        Ok(self.get(1)? != 0)
    }
}

impl Put for BitWriter {
    fn put(&mut self, value: u32, bits: u32) {
        Self::put(self, value, bits);
    }
}

impl Get for BitReader<'_> {
    fn get(&mut self, bits: u32) -> Result<u32, OutOfBits> {
        Self::get(self, bits)
    }
}

/// Appends bits.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    /// Four at a time.
    bytes: Vec<u8>,
    pending: u64,
    /// Below 32.
    pending_bits: u32,
}

impl BitWriter {
    /// Drops everything written; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.pending = 0;
        self.pending_bits = 0;
    }

    /// Bits written.
    pub fn len(&self) -> usize {
        self.bytes.len() * 8 + self.pending_bits as usize
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The low `bits` bits of `value`, at most 32.
    #[inline]
    pub fn put(&mut self, value: u32, bits: u32) {
        debug_assert!(bits == 32 || value < 1 << bits, "{value} does not fit into {bits} bits");
        self.pending |= u64::from(value) << self.pending_bits;
        self.pending_bits += bits;
        if self.pending_bits >= 32 {
            self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.pending_bits -= 32;
        }
    }

    /// One bit.
    #[inline]
    pub fn flag(&mut self, set: bool) {
        self.put(u32::from(set), 1);
    }

    /// Everything that another writer holds.
    pub fn append(&mut self, other: &Self) {
        other.copy(0, other.len(), self);
    }

    /// Puts the bits from `start` to before `end`, both at most [`Self::len`], into another writer.
    pub fn copy(&self, start: usize, end: usize, to: &mut Self) {
        let mut at = start;
        while at < end {
            let bits = (end - at).min(32);
            let value = self.window(at) & ((1_u64 << bits) - 1);
            to.put(value as u32, bits as u32);
            at += bits;
        }
    }

    /// At least 32 bits from `at` on, as far as there are so many.
    #[inline]
    fn window(&self, at: usize) -> u64 {
        let (first, shift) = (at / 8, at % 8);
        if let Some(window) = self.bytes.get(first..).and_then(<[u8]>::first_chunk) {
            return u64::from_le_bytes(*window) >> shift;
        }
        let held = self.bytes.get(first..).unwrap_or_default();
        let mut window = [0; 8];
        window[..held.len()].copy_from_slice(held);
        let pending = match first.checked_sub(self.bytes.len()) {
            Some(behind) => self.pending >> (8 * behind.min(7)),
            None => self.pending << (8 * held.len()),
        };
        (u64::from_le_bytes(window) | pending) >> shift
    }

    /// Appends the bits to `out`, filled up with zeros to a whole byte.
    pub fn finish_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(&self.pending.to_le_bytes()[..self.pending_bits.div_ceil(8) as usize]);
    }
}

/// Reads bits; never past the end.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `bits` bits, at most 32.
    #[inline]
    pub fn get(&mut self, bits: u32) -> Result<u32, OutOfBits> {
        if self.at + bits as usize > self.bytes.len() * 8 {
            return Err(OutOfBits);
        }
        let first = self.at / 8;
        let mut window = [0; 8];
        let held = (self.bytes.len() - first).min(8);
        window[..held].copy_from_slice(&self.bytes[first..first + held]);
        let value = u64::from_le_bytes(window) >> (self.at % 8);
        self.at += bits as usize;
        Ok((value & ((1_u64 << bits) - 1)) as u32)
    }

    /// The next `bits` bits, at most 32, without taking them; zeros stand for those behind the end.
    #[inline]
    pub fn peek(&self, bits: u32) -> u32 {
        let first = (self.at / 8).min(self.bytes.len());
        let mut window = [0; 8];
        let held = (self.bytes.len() - first).min(8);
        window[..held].copy_from_slice(&self.bytes[first..first + held]);
        ((u64::from_le_bytes(window) >> (self.at % 8)) & ((1_u64 << bits) - 1)) as u32
    }

    /// One bit.
    #[inline]
    pub fn flag(&mut self) -> Result<bool, OutOfBits> {
        Ok(self.get(1)? != 0)
    }

    /// Bits not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a writer holds, bit by bit.
    fn bits_of(writer: &BitWriter) -> Vec<bool> {
        let mut bytes = Vec::new();
        writer.finish_into(&mut bytes);
        assert_eq!(bytes.len(), writer.len().div_ceil(8));
        let mut reader = BitReader::new(&bytes);
        (0..writer.len()).map(|_| reader.flag().expect("as many as were written")).collect()
    }

    #[test]
    fn any_run_of_bits_can_be_copied_behind_any_other() {
        let (mut from, mut expected, mut state) = (BitWriter::default(), Vec::new(), 7_u64);
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..40 {
            let bits = next(33) as u32;
            let value = next(1 << bits) as u32;
            from.put(value, bits);
            expected.extend((0..bits).map(|bit| value >> bit & 1 != 0));
            assert_eq!(bits_of(&from), expected);
            for _ in 0..20 {
                let end = next(expected.len() as u64 + 1) as usize;
                let start = next(end as u64 + 1) as usize;
                let (mut to, before) = (BitWriter::default(), next(33) as u32);
                to.put(0, before);
                from.copy(start, end, &mut to);
                let whole = bits_of(&to);
                assert!(whole[..before as usize].iter().all(|bit| !bit));
                assert_eq!(whole[before as usize..], expected[start..end], "{start} to {end}");
            }
        }
    }
}
