//! What a connect token says of its player: the 256 bytes of netcode's user data, which only whoever has the key can write.
//!
//! A studio's backend writes them when it lets a player in, the server reads them when the client connects, and the client
//! never sees them. They stand in the sealed part of the token, so that what they say is as trustworthy as the key is secret.

use thiserror::Error;

use crate::codec::{Decoder, Encoder, ProtocolError};

/// Bytes of user data in a connect token, as netcode 1.02 has them.
pub const USER_DATA_BYTES: usize = 256;

/// The version of this layout: the first byte. Zeros, which is what a token without user data carries, are none.
pub const USER_DATA_VERSION: u8 = 1;

/// Longest text of a client's build in bytes: a version and half a hash.
pub const BUILD_BYTES_MAX: u8 = 32;

/// Stands for no room: rooms end below it.
const NO_ROOM: u16 = u16::MAX;

/// Who connects, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// The player, the same in every token of theirs; 0 for nobody in particular, who cannot come back to a place.
    pub player: u64,
    /// The room to be put into, 0 to 65,534; `None` lets the server choose.
    pub room: Option<u16>,
    /// The team to be put into, from 1; 0 leaves it to the client's wish.
    pub team: u8,
    /// Which build of the client the token was made for, for logs and statistics: at most [`BUILD_BYTES_MAX`] bytes without
    /// control characters.
    pub build: String,
    /// What the token is for.
    pub role: Role,
}

/// What whoever holds a token may do with it. Whether a server lets anybody watch at all is its own setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Play or watch, as the client asks.
    #[default]
    Any,
    /// Play, and not watch.
    Player,
    /// Watch, and not play: what may be given to anybody.
    Spectator,
}

impl Role {
    const ALL: [Self; 3] = [Self::Any, Self::Player, Self::Spectator];

    /// Whether it lets a client watch, or play.
    pub fn allows(self, watch: bool) -> bool {
        self == Self::Any || (self == Self::Spectator) == watch
    }
}

impl core::fmt::Display for Role {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Player => "player",
            Self::Spectator => "spectator",
        })
    }
}

/// Why bytes are no user data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UserDataError {
    /// Nothing was written into the token.
    #[error("the connect token names no player: its maker has left the user data empty")]
    Empty,
    /// Of a later layout, or not of ours.
    #[error("the connect token's user data have version {0}, known is {USER_DATA_VERSION}: update server and backend")]
    Version(u8),
    /// The number that stands for no room.
    #[error("room {NO_ROOM} stands for none: rooms are 0 to 65,534")]
    Room,
    /// The text of the build is too long, not UTF-8, or not to be printed.
    #[error("the build in the user data of the connect token is not a text of at most {BUILD_BYTES_MAX} bytes")]
    Build,
    /// What the token is for has a number that means nothing.
    #[error("the connect token is for something that is not known here, {0}: update the server")]
    Role(u8),
    /// Something stands where nothing may.
    #[error("byte {0} of the connect token's user data is not 0")]
    Reserved(usize),
}

impl UserData {
    /// The bytes for a token. Fails if the build is not as [`Self::build`] says, or the room is 65,535.
    pub fn encode(&self) -> Result<[u8; USER_DATA_BYTES], UserDataError> {
        if !is_build(&self.build) {
            return Err(UserDataError::Build);
        }
        if self.room == Some(NO_ROOM) {
            return Err(UserDataError::Room);
        }
        let mut out = Vec::with_capacity(USER_DATA_BYTES);
        let mut to = Encoder::new(&mut out);
        to.u8(USER_DATA_VERSION);
        to.u64(self.player);
        to.u16(self.room.unwrap_or(NO_ROOM));
        to.u8(self.team);
        to.text(&self.build, BUILD_BYTES_MAX);
        to.u8(self.role as u8);
        let mut bytes = [0; USER_DATA_BYTES];
        bytes[..out.len()].copy_from_slice(&out);
        Ok(bytes)
    }

    /// Reads what a token carries. There is one way to write each content: whatever else is refused.
    pub fn decode(bytes: &[u8; USER_DATA_BYTES]) -> Result<Self, UserDataError> {
        if *bytes == [0; USER_DATA_BYTES] {
            return Err(UserDataError::Empty);
        }
        if bytes[0] != USER_DATA_VERSION {
            return Err(UserDataError::Version(bytes[0]));
        }
        // Only a text can fail: the fields and the longest text are shorter than the whole.
        let mut from = Decoder::new(&bytes[1..]);
        let (mut read, role) = Self::read(&mut from).map_err(|_| UserDataError::Build)?;
        if !is_build(&read.build) {
            return Err(UserDataError::Build);
        }
        read.role = Role::ALL.get(usize::from(role)).copied().ok_or(UserDataError::Role(role))?;
        let rest = from.rest();
        match rest.iter().position(|byte| *byte != 0) {
            Some(at) => Err(UserDataError::Reserved(USER_DATA_BYTES - rest.len() + at)),
            None => Ok(read),
        }
    }

    /// With the number of the role.
    fn read(from: &mut Decoder<'_>) -> Result<(Self, u8), ProtocolError> {
        let (player, room, team) = (from.u64()?, from.u16()?, from.u8()?);
        let (build, role) = (from.text("build", BUILD_BYTES_MAX)?, from.u8()?);
        let room = Some(room).filter(|room| *room != NO_ROOM);
        Ok((Self { player, room, team, build, role: Role::Any }, role))
    }
}

/// A build goes into logs: what is not to be printed there is refused.
fn is_build(text: &str) -> bool {
    text.len() <= usize::from(BUILD_BYTES_MAX) && !text.chars().any(char::is_control)
}
