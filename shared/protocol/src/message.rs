//! How messages are told apart: the first byte. They are reliable and in order; what may be lost goes as the body of a
//! transport's payload, told apart by the payload's kind.

use crate::codec::{Decoder, Encoder, ProtocolError};
use crate::input::InputPacket;
use crate::notice::MatchMessage;
use crate::session::{Goodbye, Join, Refused, Target, Watching, Welcome};
use crate::sound::Sounds;

/// Kind of the body of a transport's payload: an input.
pub const KIND_INPUT: u8 = 1;
/// Kind of the body of a transport's payload: a part of a snapshot.
pub const KIND_SNAPSHOT: u8 = 2;

/// Kind of the body of a transport's payload: a part of what a killer was told.
pub const KIND_KILL_CAM: u8 = 3;

/// Kind of the body of a transport's payload: sounds, and a part of a snapshot.
pub const KIND_SOUNDS: u8 = 4;

const TAG_JOIN: u8 = 1;
const TAG_WELCOME: u8 = 2;
const TAG_REFUSED: u8 = 3;
const TAG_MATCH: u8 = 4;
const TAG_GOODBYE: u8 = 5;
const TAG_WATCH: u8 = 6;
const TAG_WATCHING: u8 = 7;

/// What stands before the part of a snapshot: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotHeader {
    /// By how many ticks the newest input was ahead of the tick that needed it, within +-[`Self::MARGIN_MAX`]: negative if it
    /// came too late. `None` before the first input.
    pub input_margin: Option<i8>,
    /// Which match of the room it is of, as [`Welcome::number`]: 0 to 3.
    pub match_number: u8,
}

impl SnapshotHeader {
    /// Its bytes.
    pub const BYTES: usize = 1;

    /// What is more is told as this.
    pub const MARGIN_MAX: i8 = 31;

    /// A header, with what is told of its numbers.
    pub fn new(input_margin: Option<i8>, match_number: u8) -> Self {
        let clamp = |margin: i8| margin.clamp(-Self::MARGIN_MAX, Self::MARGIN_MAX);
        Self { input_margin: input_margin.map(clamp), match_number: match_number & 3 }
    }

    /// Lowest six bits: 0 for no input, or the margin and 32; then two of the match.
    fn to_byte(self) -> u8 {
        let Self { input_margin, match_number } = Self::new(self.input_margin, self.match_number);
        input_margin.map_or(0, |margin| (margin + 32) as u8) | match_number << 6
    }

    fn from_byte(byte: u8) -> Self {
        let margin = (byte & 63) as i8;
        Self { input_margin: (margin != 0).then(|| margin - 32), match_number: byte >> 6 }
    }
}

/// What stands before a part of a kill cam: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KillCamHeader {
    /// Which kill cam of this client it is of, 0 to 63: it goes on by one with each, and behind 63 with 0.
    pub number: u8,
    /// As [`SnapshotHeader::match_number`].
    pub match_number: u8,
}

impl KillCamHeader {
    /// Its bytes.
    pub const BYTES: usize = 1;

    fn to_byte(self) -> u8 {
        self.number & 63 | self.match_number << 6
    }

    fn from_byte(byte: u8) -> Self {
        Self { number: byte & 63, match_number: byte >> 6 }
    }
}

/// The body of a transport's payload. Which it is stands outside, in the payload's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// Client to server.
    Input(InputPacket),
    /// Server to client: a part of a snapshot, as the snapshot's own code reads it.
    Snapshot(SnapshotHeader, &'a [u8]),
    /// Server to client: a part of what its killer was told, read like that of a snapshot and apart from those.
    KillCam(KillCamHeader, &'a [u8]),
    /// Server to client: the same as a snapshot, and what is heard.
    Sounds(SnapshotHeader, Sounds<'a>, &'a [u8]),
}

impl<'a> Datagram<'a> {
    /// The kind of the body.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Input(_) => KIND_INPUT,
            Self::Snapshot(..) => KIND_SNAPSHOT,
            Self::KillCam(..) => KIND_KILL_CAM,
            Self::Sounds(..) => KIND_SOUNDS,
        }
    }

    /// Appends the body's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut to = Encoder::new(out);
        match self {
            Self::Input(packet) => packet.encode(&mut to),
            Self::Snapshot(header, part) => {
                to.u8(header.to_byte());
                to.bytes(part);
            }
            Self::KillCam(header, part) => {
                to.u8(header.to_byte());
                to.bytes(part);
            }
            Self::Sounds(header, sounds, part) => {
                to.u8(header.to_byte());
                sounds.encode(&mut to);
                to.bytes(part);
            }
        }
    }

    /// Reads a body.
    pub fn decode(kind: u8, bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut from = Decoder::new(bytes);
        let read = match kind {
            KIND_INPUT => Self::Input(InputPacket::decode(&mut from)?),
            KIND_SNAPSHOT => Self::Snapshot(SnapshotHeader::from_byte(from.u8()?), from.rest()),
            KIND_KILL_CAM => Self::KillCam(KillCamHeader::from_byte(from.u8()?), from.rest()),
            KIND_SOUNDS => {
                let header = SnapshotHeader::from_byte(from.u8()?);
                Self::Sounds(header, Sounds::decode(&mut from)?, from.rest())
            }
            other => return Err(ProtocolError::Invalid { what: "kind of a body", value: u64::from(other) }),
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
    /// A spectator wishes to watch somebody else.
    Watch(Target),
    /// The last one.
    Goodbye(Goodbye),
}

impl ClientMessage {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Join(join) => tagged(TAG_JOIN, |to| join.encode(to)),
            Self::Watch(target) => tagged(TAG_WATCH, |to| target.encode(to)),
            Self::Goodbye(goodbye) => tagged(TAG_GOODBYE, |to| goodbye.encode(to)),
        }
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        untagged("tag of a client's message", bytes, |tag, from| {
            Ok(Some(match tag {
                TAG_JOIN => Self::Join(Join::decode(from)?),
                TAG_WATCH => Self::Watch(Target::decode(from)?),
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
    /// What a spectator is shown.
    Watching(Watching),
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
            Self::Watching(watching) => tagged(TAG_WATCHING, |to| watching.encode(to)),
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
                TAG_WATCHING => Self::Watching(Watching::decode(from)?),
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
