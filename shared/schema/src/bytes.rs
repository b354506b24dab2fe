//! Reading state back from bytes: little endian, no padding, every length checked.

use thiserror::Error;

/// Why bytes could not be read as state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("the bytes end at offset {at} inside a value of {wanted} bytes")]
    Short {
        /// Offset in bytes at which the value began.
        at: usize,
        /// Bytes that the value needs.
        wanted: usize,
    },
    /// A value that this type cannot hold.
    #[error("{value} at offset {at} is not a valid {what}")]
    Invalid {
        /// Offset in bytes behind the value.
        at: usize,
        /// The type that was read.
        what: &'static str,
        /// The value found.
        value: u64,
    },
}

/// A cursor over bytes that never reads past the end.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if self.remaining() < count {
            return Err(DecodeError::Short { at: self.at, wanted: count });
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// An error about the value that was just read.
    pub fn invalid(&self, what: &'static str, value: u64) -> DecodeError {
        DecodeError::Invalid { at: self.at, what, value }
    }
}
