//! The bytes of every packet.
//!
//! ```text
//! request    0 | version (13) | protocol id (8) | expiry (8) | nonce (24) | private part (1,024)
//! all others prefix | sequence (1 to 8) | sealed body | tag (16)
//! ```
//!
//! The prefix holds the kind in its low four bits and the number of sequence bytes in its high four. Version, protocol id
//! and prefix are signed with the body. Nothing here allocates.

use zeroize::Zeroize;

use super::bytes::{Reader, Writer};
use super::crypto::{self, Key, TAG_BYTES, TOKEN_NONCE_BYTES};
use super::private::{CHALLENGE_TOKEN_BYTES, PRIVATE_BYTES};
use super::{PAYLOAD_BYTES_MAX, VERSION};

/// Bytes of a connection request.
pub const REQUEST_BYTES: usize = 1 + 13 + 8 + 8 + TOKEN_NONCE_BYTES + PRIVATE_BYTES;

/// Bytes of the longest header: prefix and eight bytes of sequence.
pub const HEADER_BYTES_MAX: usize = 9;

/// Most bytes that a packet has more than its payload.
pub const OVERHEAD_BYTES_MAX: usize = HEADER_BYTES_MAX + TAG_BYTES;

/// Bytes of the longest packet.
pub const PACKET_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + OVERHEAD_BYTES_MAX;

/// Bytes of the longest packet that the state machines make on their own.
pub(crate) const CONTROL_BYTES_MAX: usize = 8 + CHALLENGE_TOKEN_BYTES + OVERHEAD_BYTES_MAX;

/// The kinds of sealed packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// From a full server.
    Denied = 1,
    /// The server's answer to a request.
    Challenge = 2,
    /// The client's answer to a challenge.
    Response = 3,
    /// I am here; from the server also: you are in.
    KeepAlive = 4,
    /// The caller's bytes.
    Payload = 5,
    /// I am going.
    Disconnect = 6,
}

impl Kind {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Denied,
            2 => Self::Challenge,
            3 => Self::Response,
            4 => Self::KeepAlive,
            5 => Self::Payload,
            6 => Self::Disconnect,
            _ => return None,
        })
    }

    fn fits(self, body_bytes: usize) -> bool {
        match self {
            Self::Denied | Self::Disconnect => body_bytes == 0,
            Self::Challenge | Self::Response => body_bytes == 8 + CHALLENGE_TOKEN_BYTES,
            Self::KeepAlive => body_bytes == 8,
            Self::Payload => (1..=PAYLOAD_BYTES_MAX).contains(&body_bytes),
        }
    }
}

/// What is signed with every sealed packet of a protocol, but for the prefix.
#[derive(Debug, Clone, Copy)]
pub struct Associated([u8; 22]);

impl Associated {
    /// For a protocol.
    pub fn new(protocol_id: u64) -> Self {
        let mut bytes = [0; 22];
        let mut writer = Writer::new(&mut bytes);
        writer.put(VERSION);
        writer.put(&protocol_id.to_le_bytes());
        Self(bytes)
    }

    fn with(mut self, prefix: u8) -> [u8; 22] {
        self.0[21] = prefix;
        self.0
    }
}

/// What stands in clear at the front of a sealed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Of which kind it says it is.
    pub kind: Kind,
    /// Which packet of its sender it says it is.
    pub sequence: u64,
    prefix: u8,
}

impl Header {
    /// Reads it, and checks everything that can be checked without a key: kind, number of sequence bytes, and that the body
    /// has a length that the kind may have. `None` if anything is wrong.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let prefix = *packet.first()?;
        let kind = Kind::from_bits(prefix & 0x0F)?;
        let sequence_bytes = usize::from(prefix >> 4);
        if !(1..=8).contains(&sequence_bytes) {
            return None;
        }
        let body_bytes = packet.len().checked_sub(1 + sequence_bytes + TAG_BYTES)?;
        if !kind.fits(body_bytes) {
            return None;
        }
        let mut sequence = [0; 8];
        sequence[..sequence_bytes].copy_from_slice(&packet[1..1 + sequence_bytes]);
        Some(Self { kind, sequence: u64::from_le_bytes(sequence), prefix })
    }

    fn bytes(self) -> usize {
        1 + usize::from(self.prefix >> 4)
    }

    /// Opens the packet that this is the header of, in place, and returns its body; `None` if it is not authentic.
    pub fn open<'a>(self, packet: &'a mut [u8], key: &Key, associated: &Associated) -> Option<&'a mut [u8]> {
        let sealed = packet.get_mut(self.bytes()..)?;
        crypto::open(key, self.sequence, &associated.with(self.prefix), sealed)
    }
}

/// Bytes of the header of a packet with this sequence, 2 to [`HEADER_BYTES_MAX`].
pub fn header_bytes(sequence: u64) -> usize {
    1 + sequence_bytes(sequence)
}

fn sequence_bytes(sequence: u64) -> usize {
    // Leading zero bytes are left out, but one byte always stands.
    8 - (sequence | 1).leading_zeros() as usize / 8
}

/// Writes the header and seals a packet in place: `packet` is as long as the whole, with the body already where it belongs,
/// behind [`header_bytes`]. False, and nothing of use in it, if the length does not fit the kind.
#[must_use]
pub fn seal(packet: &mut [u8], kind: Kind, sequence: u64, key: &Key, associated: &Associated) -> bool {
    let header = header_bytes(sequence);
    let Some(body_bytes) = packet.len().checked_sub(header + TAG_BYTES) else { return false };
    if !kind.fits(body_bytes) {
        return false;
    }
    let prefix = kind as u8 | ((header - 1) as u8) << 4;
    packet[0] = prefix;
    packet[1..header].copy_from_slice(&sequence.to_le_bytes()[..header - 1]);
    crypto::seal(key, sequence, &associated.with(prefix), &mut packet[header..])
}

/// Writes, seals and returns a packet that the state machines make on their own: `parts` one after the other are its body.
pub(crate) fn control<'a>(
    buffer: &'a mut [u8; CONTROL_BYTES_MAX],
    kind: Kind,
    parts: &[&[u8]],
    sequence: u64,
    key: &Key,
    associated: &Associated,
) -> Option<&'a [u8]> {
    let header = header_bytes(sequence);
    let mut writer = Writer::new(&mut buffer[header..]);
    parts.iter().for_each(|part| writer.put(part));
    let bytes = header + parts.iter().map(|part| part.len()).sum::<usize>() + TAG_BYTES;
    let packet = &mut buffer[..bytes];
    if seal(packet, kind, sequence, key, associated) {
        Some(packet)
    } else {
        packet.zeroize();
        None
    }
}

/// The body of a challenge or a response: the challenge's sequence and the sealed challenge token.
pub fn read_challenge(body: &mut [u8]) -> Option<(u64, &mut [u8; CHALLENGE_TOKEN_BYTES])> {
    let (sequence, token) = body.split_first_chunk_mut()?;
    Some((u64::from_le_bytes(*sequence), token.try_into().ok()?))
}

/// The body of a server's keep-alive: which slot the client has, of how many.
pub fn read_keep_alive(body: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader(body);
    Some((reader.u32()?, reader.u32()?))
}

/// A connection request, in clear but for the private part.
#[derive(Debug)]
pub struct Request<'a> {
    /// When the token expires, in seconds since the Unix epoch.
    pub expire_seconds: u64,
    /// The nonce of the private part.
    pub nonce: &'a [u8; TOKEN_NONCE_BYTES],
    /// The sealed private part.
    pub private: &'a mut [u8; PRIVATE_BYTES],
}

/// What a connection request is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRequest {
    /// Wrong length or prefix.
    Shape,
    /// Of another version of the standard.
    Version,
    /// Of another protocol.
    Protocol,
}

impl<'a> Request<'a> {
    /// Reads one of the given protocol, in the standard's order of checks.
    pub fn read(packet: &'a mut [u8], protocol_id: u64) -> Result<Self, NoRequest> {
        let packet: &mut [u8; REQUEST_BYTES] = packet.try_into().map_err(|_| NoRequest::Shape)?;
        let (front, private) = packet.split_last_chunk_mut::<PRIVATE_BYTES>().ok_or(NoRequest::Shape)?;
        let mut reader = Reader(front);
        if reader.u8() != Some(0) {
            return Err(NoRequest::Shape);
        }
        if reader.array() != Some(VERSION) {
            return Err(NoRequest::Version);
        }
        if reader.u64() != Some(protocol_id) {
            return Err(NoRequest::Protocol);
        }
        let (Some(expire_seconds), Some(nonce)) = (reader.u64(), reader.array()) else { return Err(NoRequest::Shape) };
        Ok(Self { expire_seconds, nonce, private })
    }
}

/// Writes a connection request.
pub fn write_request(
    packet: &mut [u8; REQUEST_BYTES],
    protocol_id: u64,
    expire_seconds: u64,
    nonce: &[u8; TOKEN_NONCE_BYTES],
    private: &[u8; PRIVATE_BYTES],
) {
    let mut writer = Writer::new(packet);
    writer.put(&[0]);
    writer.put(VERSION);
    writer.put(&protocol_id.to_le_bytes());
    writer.put(&expire_seconds.to_le_bytes());
    writer.put(nonce);
    writer.put(private);
}

#[cfg(test)]
mod tests;
