//! Where a consumer is, for consumers that keep no state of their own to write it next to. One that does keep state writes
//! the position with it, in one write; a cursor beside it could only ever say something else.

use crate::disk::Disk;
use crate::error::OpenError;
use crate::frame::long;
use crate::slots::{CONTENT_BYTES, Slots};

pub(crate) const PREFIX: &str = "cursor-";

/// Letters that a name may have at most.
pub const NAME_BYTES_MAX: usize = 32;

/// A durable position: everything before it was consumed.
#[derive(Debug)]
pub struct Cursor<D: Disk> {
    slots: Slots<D::File>,
    position: u64,
}

/// Whether a name may be a consumer's: lower-case letters, digits and `-`, up to 32.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits)
}

fn content(position: u64) -> [u8; CONTENT_BYTES] {
    let mut out = [0; CONTENT_BYTES];
    out[..8].copy_from_slice(&position.to_le_bytes());
    out
}

impl<D: Disk> Cursor<D> {
    /// Opens a consumer's cursor, or makes it at position 0.
    pub fn open(disk: &D, name: &str) -> Result<Self, OpenError> {
        if !is_name(name) {
            return Err(OpenError::Options("a consumer's name is of a to z, 0 to 9 and -, up to 32 of them"));
        }
        let file = format!("{PREFIX}{name}");
        match Slots::open(disk, &file) {
            Ok((slots, content)) => Ok(Self { slots, position: long(&content, 0) }),
            Err(OpenError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { slots: Slots::make(disk, &file, &content(0))?, position: 0 })
            }
            Err(error) => Err(error),
        }
    }

    /// The position of the first record that was not consumed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Moves it and returns when that is on disk. After an error, open it again: nobody knows which of both it is.
    pub fn advance(&mut self, position: u64) -> std::io::Result<()> {
        self.slots.write(&content(position))?;
        self.slots.sync()?;
        self.position = position;
        Ok(())
    }
}

/// Where a consumer is, if it ever was anywhere.
pub(crate) fn position<D: Disk>(disk: &D, name: &str) -> Result<Option<u64>, OpenError> {
    match Slots::<D::File>::open(disk, &format!("{PREFIX}{name}")) {
        Ok((_, content)) => Ok(Some(long(&content, 0))),
        Err(OpenError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// All cursors of a log with their positions, by name.
pub fn all<D: Disk>(disk: &D) -> Result<Vec<(String, u64)>, OpenError> {
    let mut found = Vec::new();
    for file in disk.names()? {
        if let Some(name) = file.strip_prefix(PREFIX).filter(|name| is_name(name)) {
            let (_, content) = Slots::<D::File>::open(disk, &file)?;
            found.push((name.to_owned(), long(&content, 0)));
        }
    }
    Ok(found)
}

/// Makes a cursor at a position in a copy of a log.
pub(crate) fn put<D: Disk>(disk: &D, name: &str, position: u64) -> Result<(), OpenError> {
    Slots::make(disk, &format!("{PREFIX}{name}"), &content(position))?;
    Ok(())
}
