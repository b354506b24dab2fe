//! What happens to a state machine, as bytes: each step is a few numbers and stretches of bytes. Where the bytes end, the
//! script does. Every byte string is a script, so that no mutation is wasted.

use core::time::Duration;

/// Reads a script.
#[derive(Debug)]
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    /// The next byte; `None` at the end.
    pub fn step(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, 0 beyond the end.
    pub fn u8(&mut self) -> u8 {
        self.step().unwrap_or(0)
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// A stretch of at most `max` bytes: its length in two bytes, then itself.
    pub fn bytes(&mut self, max: usize) -> &'a [u8] {
        let count = usize::from(self.u16()).min(max).min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// A time from nothing to almost an hour, in one byte: a logarithm.
    pub fn pause(&mut self) -> Duration {
        let byte = self.u8();
        // Powers of two from a microsecond on, with three bits between two of them.
        Duration::from_micros((8 + u64::from(byte & 7)) << (byte >> 3) >> 3)
    }
}

/// Writes a script.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// One byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// Two bytes.
    #[must_use]
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Eight bytes.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A stretch.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.u16(u16::try_from(bytes.len()).expect("a stretch has at most 65,535 bytes"));
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Changes stretches of bytes: an offset in four bytes and what stands there instead. A small script that damages a large
/// file.
pub fn damage(script: &mut Script<'_>, bytes: &mut Vec<u8>) {
    while let Some(how) = script.step() {
        let at = script.u32() as usize % (bytes.len() + 1);
        match how % 4 {
            0 => bytes.truncate(at),
            1 => {
                let with = script.bytes(4_096);
                bytes.splice(at..at, with.iter().copied());
            }
            2 => {
                let count = usize::from(script.u16()).min(bytes.len() - at);
                bytes.drain(at..at + count);
            }
            _ => {
                let with = script.bytes(4_096);
                let count = with.len().min(bytes.len() - at);
                bytes[at..at + count].copy_from_slice(&with[..count]);
            }
        }
    }
}
