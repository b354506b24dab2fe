//! Records inside of a block: length, id, bytes, one behind the other; sealed as a whole if the log is encrypted.

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::error::Fault;
use crate::frame::{Frame, array, word};
use crate::keys::Keys;

/// Bytes before each record's own.
pub const RECORD_HEAD_BYTES: usize = 20;

/// Bytes that one record may have: an event is some hundred, and a whole match's result some ten thousand.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// One record as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the log, from 0.
    pub position: u64,
    /// What names the fact: the same for ever, however often it was appended.
    pub id: u128,
    /// What was appended.
    pub data: Vec<u8>,
}

/// What stands before a record's bytes in a payload.
pub(crate) fn head(id: u128, data: &[u8]) -> [u8; RECORD_HEAD_BYTES] {
    let mut head = [0; RECORD_HEAD_BYTES];
    head[..4].copy_from_slice(&(data.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&id.to_le_bytes());
    head
}

/// Opens payloads; keeps the memory and the last key for the next one.
#[derive(Default)]
pub(crate) struct Opener {
    plain: Vec<u8>,
    cipher: Option<(u32, LessSafeKey)>,
}

impl Opener {
    /// Calls `each` with position, id and bytes of all records of a block, in order.
    pub fn records(
        &mut self,
        keys: &Keys,
        epoch: u32,
        frame: &Frame,
        payload: &[u8],
        mut each: impl FnMut(u64, u128, &[u8]),
    ) -> Result<(), Fault> {
        let mut rest = self.open(keys, epoch, frame, payload)?;
        for index in 0..frame.count {
            if rest.len() < RECORD_HEAD_BYTES {
                return Err(Fault::Content);
            }
            let (head, tail) = rest.split_at(RECORD_HEAD_BYTES);
            let length = word(head, 0) as usize;
            if length > tail.len() || length > RECORD_BYTES_MAX {
                return Err(Fault::Content);
            }
            let (data, behind) = tail.split_at(length);
            each(frame.first + u64::from(index), u128::from_le_bytes(array(head, 4)), data);
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(Fault::Content) }
    }

    fn open<'a>(&'a mut self, keys: &Keys, epoch: u32, frame: &Frame, payload: &'a [u8]) -> Result<&'a [u8], Fault> {
        if epoch == 0 {
            return Ok(payload);
        }
        if self.cipher.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.cipher = Some((epoch, keys.cipher(epoch).ok_or(Fault::Content)?));
        }
        let Some((_, cipher)) = &self.cipher else { return Err(Fault::Content) };
        self.plain.clear();
        self.plain.extend_from_slice(payload);
        let nonce = Nonce::assume_unique_for_key(frame.nonce);
        let plain = cipher.open_in_place(nonce, Aad::from(identity(frame)), &mut self.plain);
        plain.map(|plain| &*plain).map_err(|_| Fault::Content)
    }
}

/// What a seal covers beside the records: which block it is. The stored length is in it, so that it cannot be cut.
pub(crate) fn identity(frame: &Frame) -> [u8; 32] {
    frame.identity()
}
