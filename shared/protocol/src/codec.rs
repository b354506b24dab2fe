//! How numbers, texts and lists are laid out: little endian, no padding, lengths in front, everything bounded.

use thiserror::Error;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The bytes ended inside a message.
    #[error(
        "the message ends at byte {at}, inside a value of {wanted} bytes: it was cut off or comes from another version"
    )]
    Short {
        /// Offset at which the value began.
        at: usize,
        /// Bytes that it needs.
        wanted: usize,
    },
    /// Bytes were left over.
    #[error("{extra} bytes are left behind the message: it comes from another version")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// A value that the protocol does not know or allow.
    #[error("{value} is not a valid {what}: it comes from another version or a broken client")]
    Invalid {
        /// What was read.
        what: &'static str,
        /// The value found.
        value: u64,
    },
    /// A text or list longer than its limit.
    #[error("{what} has a length of {len}, the limit is {max}")]
    TooLong {
        /// What was read.
        what: &'static str,
        /// The length found.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A text that is not UTF-8.
    #[error("{what} is not UTF-8 text")]
    Text {
        /// What was read.
        what: &'static str,
    },
}

/// Appends values to bytes.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes, two's complement, little endian.
    pub fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, value: &[u8]) {
        self.out.extend_from_slice(value);
    }

    /// A length byte and that many bytes of UTF-8; a longer text is cut at a character.
    pub fn text(&mut self, value: &str, max: u8) {
        let mut end = value.len().min(usize::from(max));
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        self.u8(end as u8);
        self.bytes(&value.as_bytes()[..end]);
    }
}

/// Reads values from bytes; never past the end.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let taken = self.bytes[self.at..].get(..count).ok_or(ProtocolError::Short { at: self.at, wanted: count })?;
        self.at += count;
        Ok(taken)
    }

    /// Bytes that were read so far.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, ProtocolError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, ProtocolError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, ProtocolError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, ProtocolError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Four bytes, two's complement.
    pub fn i32(&mut self) -> Result<i32, ProtocolError> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// One byte that is 0 or 1.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, ProtocolError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(ProtocolError::Invalid { what, value: u64::from(other) }),
        }
    }

    /// A text of at most `max` bytes.
    pub fn text(&mut self, what: &'static str, max: u8) -> Result<String, ProtocolError> {
        let len = self.u8()?;
        if len > max {
            return Err(ProtocolError::TooLong { what, len: usize::from(len), max: usize::from(max) });
        }
        let bytes = self.take(usize::from(len))?;
        core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtocolError::Text { what })
    }

    /// Refuses bytes behind the message.
    pub fn finish(self) -> Result<(), ProtocolError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(ProtocolError::Trailing { extra }),
        }
    }
}
