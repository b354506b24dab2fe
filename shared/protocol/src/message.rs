//! How messages are told apart: the first byte. Datagrams may be lost, doubled and reordered; the others are reliable and in
//! order. Tags of datagrams begin at 16, because the message layer of the transport uses the numbers below.

use crate::codec::{Decoder, Encoder, ProtocolError};
use crate::input::InputPacket;
use crate::notice::MatchMessage;
use crate::session::{Goodbye, Join, Refused, Welcome};

const TAG_INPUT: u8 = 16;
const TAG_SNAPSHOT: u8 = 17;

const TAG_JOIN: u8 = 1;
const TAG_WELCOME: u8 = 2;
const TAG_REFUSED: u8 = 3;
const TAG_MATCH: u8 = 4;
const TAG_GOODBYE: u8 = 5;

/// What stands before the part of a snapshot: the server's half of clock synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotHeader {
    /// The newest [`InputPacket::sent_us`] that the server has received; 0 with `echo_age_us` at its maximum if none was.
    pub echo_us: u32,
    /// Microseconds between its arrival and this datagram.
    pub echo_age_us: u32,
    /// By how many ticks the newest input was ahead of the tick that needed it: negative if it came too late.
    pub input_margin: i16,
}

impl SnapshotHeader {
    /// `echo_age_us` when nothing has been received that could be echoed.
    pub const NO_ECHO: u32 = u32::MAX;

    /// Bytes of the header with its tag.
    pub const BYTES: usize = 11;
}

/// What goes as a datagram of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// Client to server.
    Input(InputPacket),
    /// Server to client: a part of a snapshot, as the snapshot's own code reads it.
    Snapshot(SnapshotHeader, &'a [u8]),
}

impl<'a> Datagram<'a> {
    /// Appends the datagram's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut to = Encoder::new(out);
        match self {
            Self::Input(packet) => {
                to.u8(TAG_INPUT);
                packet.encode(&mut to);
            }
            Self::Snapshot(header, part) => {
                to.u8(TAG_SNAPSHOT);
                to.u32(header.echo_us);
                to.u32(header.echo_age_us);
                to.u16(header.input_margin as u16);
                to.bytes(part);
            }
        }
    }

    /// Reads a datagram.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut from = Decoder::new(bytes);
        let read = match from.u8()? {
            TAG_INPUT => Self::Input(InputPacket::decode(&mut from)?),
            TAG_SNAPSHOT => {
                let header =
                    SnapshotHeader { echo_us: from.u32()?, echo_age_us: from.u32()?, input_margin: from.u16()? as i16 };
                Self::Snapshot(header, from.rest())
            }
            other => return Err(ProtocolError::Invalid { what: "tag of a datagram", value: u64::from(other) }),
        };
        from.finish()?;
        Ok(read)
    }
}

/// Reliable, client to server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// The first one.
    Join(Join),
    /// The last one.
    Goodbye(Goodbye),
}

impl ClientMessage {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Join(join) => tagged(TAG_JOIN, |to| join.encode(to)),
            Self::Goodbye(goodbye) => tagged(TAG_GOODBYE, |to| goodbye.encode(to)),
        }
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        untagged("tag of a client's message", bytes, |tag, from| {
            Ok(Some(match tag {
                TAG_JOIN => Self::Join(Join::decode(from)?),
                TAG_GOODBYE => Self::Goodbye(Goodbye::decode(from)?),
                _ => return Ok(None),
            }))
        })
    }
}

/// Reliable, server to client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// The player is in.
    Welcome(Welcome),
    /// The player is not let in.
    Refused(Refused),
    /// Something happened.
    Match(MatchMessage),
    /// The last one.
    Goodbye(Goodbye),
}

impl ServerMessage {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Welcome(welcome) => tagged(TAG_WELCOME, |to| welcome.encode(to)),
            Self::Refused(refused) => tagged(TAG_REFUSED, |to| refused.encode(to)),
            Self::Match(message) => tagged(TAG_MATCH, |to| message.encode(to)),
            Self::Goodbye(goodbye) => tagged(TAG_GOODBYE, |to| goodbye.encode(to)),
        }
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        untagged("tag of a server's message", bytes, |tag, from| {
            Ok(Some(match tag {
                TAG_WELCOME => Self::Welcome(Welcome::decode(from)?),
                TAG_REFUSED => Self::Refused(Refused::decode(from)?),
                TAG_MATCH => Self::Match(MatchMessage::decode(from)?),
                TAG_GOODBYE => Self::Goodbye(Goodbye::decode(from)?),
                _ => return Ok(None),
            }))
        })
    }
}

/// A message's bytes: its tag, then its body.
fn tagged(tag: u8, body: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut to = Encoder::new(&mut out);
    to.u8(tag);
    body(&mut to);
    out
}

/// Reads a message of which nothing may be left over. `body` knows the tags; `what` is how errors call one that it does not.
fn untagged<T>(
    what: &'static str,
    bytes: &[u8],
    body: impl FnOnce(u8, &mut Decoder<'_>) -> Result<Option<T>, ProtocolError>,
) -> Result<T, ProtocolError> {
    let mut from = Decoder::new(bytes);
    let tag = from.u8()?;
    let read = body(tag, &mut from)?.ok_or(ProtocolError::Invalid { what, value: u64::from(tag) })?;
    from.finish()?;
    Ok(read)
}
