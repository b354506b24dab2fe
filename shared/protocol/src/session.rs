//! Joining and leaving: what is checked before a player takes a slot, and why a connection ends.

use core::fmt;

use arbiter_schema::StableId;

use crate::PROTOCOL_VERSION;
use crate::codec::{Decoder, Encoder, ProtocolError};

/// Longest name of a map or a mode in bytes: it is shown in one line.
pub const NAME_BYTES_MAX: u8 = 64;

/// Longest readable reason in bytes: two lines of text.
pub const REASON_BYTES_MAX: u8 = 200;

/// In place of a slot: nobody plays here, but watches.
const WATCHES: u16 = u16::MAX;

/// The first message of a client. The version stands first in every version of the protocol, so that any server can refuse it
/// readably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// The client's [`PROTOCOL_VERSION`].
    pub version: u16,
    /// The client's hash over all replicated components.
    pub protocol_hash: u64,
    /// Wished hero by number; one that does not exist becomes the first.
    pub hero: u8,
    /// Wished team from 1; 0 lets the server choose.
    pub team: u8,
    /// Whom to watch instead of playing; `None` plays. Hero and team say nothing then.
    pub watch: Option<Target>,
}

impl Join {
    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        to.u16(self.version);
        to.u64(self.protocol_hash);
        to.u8(self.hero);
        to.u8(self.team);
        to.u8(u8::from(self.watch.is_some()));
        if let Some(target) = self.watch {
            target.encode(to);
        }
    }

    /// A join of another version is readable as far as its version, whatever follows.
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let version = from.u16()?;
        if version != PROTOCOL_VERSION {
            from.rest();
            return Ok(Self { version, protocol_hash: 0, hero: 0, team: 0, watch: None });
        }
        let (protocol_hash, hero, team) = (from.u64()?, from.u8()?, from.u8()?);
        let watch = if from.bool("whether to watch")? { Some(Target::decode(from)?) } else { None };
        Ok(Self { version, protocol_hash, hero, team, watch })
    }
}

/// Whose match a spectator watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Everybody's.
    Free,
    /// That of the player in this slot, 0 to 65,534: what that player was told.
    Player(u16),
}

impl Target {
    /// A slot or everybody: slots end below 65,535.
    pub(crate) fn encode(self, to: &mut Encoder<'_>) {
        to.u16(match self {
            Self::Free => WATCHES,
            Self::Player(slot) => slot,
        });
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        Ok(match from.u16()? {
            WATCHES => Self::Free,
            slot => Self::Player(slot),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("everybody"),
            Self::Player(slot) => write!(f, "the player in slot {slot}"),
        }
    }
}

/// What a spectator is shown from a tick on: follows each welcome, and each wish that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// Whose match.
    pub target: Target,
    /// The first tick that is shown so, which is as long ago as the server's delay for spectators.
    pub tick: u32,
    /// How long ago that is at least, in milliseconds.
    pub delay_ms: u32,
}

impl Watching {
    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        self.target.encode(to);
        to.u32(self.tick);
        to.u32(self.delay_ms);
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        Ok(Self { target: Target::decode(from)?, tick: from.u32()?, delay_ms: from.u32()? })
    }
}

/// The server's answer: the player is in the match. Comes again when the next match starts on the same connection; everything
/// known of the match before is void then. The match's seed is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The player's slot; [`Self::SPECTATOR`] for whoever watches.
    pub slot: u16,
    /// The player's entity, for the whole match; [`StableId::NONE`] for whoever watches.
    pub player: StableId,
    /// Ticks per second.
    pub tick_rate: u16,
    /// The tick of the simulation when this was written.
    pub tick: u32,
    /// Identity of the match.
    pub match_id: [u8; 16],
    /// Number of the match in its room, modulo 4: snapshots of other matches have another one.
    pub number: u8,
    /// Whether parts of snapshots come in the small form; those of kill cams never do.
    pub small_parts: bool,
    /// Name of the map.
    pub map: String,
    /// Hash of the map's content.
    pub map_hash: [u8; 32],
    /// Hash of the rules' content: a client with other rules cannot predict.
    pub rules_hash: [u8; 32],
    /// Name of the mode.
    pub mode: String,
    /// Number of teams; 0 where each plays alone.
    pub teams: u8,
    /// Number of slots.
    pub players_max: u16,
}

/// Beside the number of a match: parts come in the small form.
const SMALL_PARTS: u8 = 1 << 2;

impl Welcome {
    /// The slot of whoever watches: none.
    pub const SPECTATOR: u16 = WATCHES;

    /// Whether it is for a spectator.
    pub fn is_spectators(&self) -> bool {
        self.slot == Self::SPECTATOR
    }

    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        to.u16(self.slot);
        to.u32(self.player.0);
        to.u16(self.tick_rate);
        to.u32(self.tick);
        to.bytes(&self.match_id);
        to.u8(self.number | if self.small_parts { SMALL_PARTS } else { 0 });
        to.text(&self.map, NAME_BYTES_MAX);
        to.bytes(&self.map_hash);
        to.bytes(&self.rules_hash);
        to.text(&self.mode, NAME_BYTES_MAX);
        to.u8(self.teams);
        to.u16(self.players_max);
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let mut welcome = Self {
            slot: from.u16()?,
            player: StableId(from.u32()?),
            tick_rate: from.u16()?,
            tick: from.u32()?,
            match_id: from.array()?,
            number: from.u8()?,
            small_parts: false,
            map: from.text("map name", NAME_BYTES_MAX)?,
            map_hash: from.array()?,
            rules_hash: from.array()?,
            mode: from.text("mode name", NAME_BYTES_MAX)?,
            teams: from.u8()?,
            players_max: from.u16()?,
        };
        if !(1..=1_000).contains(&welcome.tick_rate) {
            return Err(ProtocolError::Invalid { what: "tick rate", value: u64::from(welcome.tick_rate) });
        }
        welcome.small_parts = welcome.number & SMALL_PARTS != 0;
        welcome.number &= !SMALL_PARTS;
        if welcome.number > 3 {
            return Err(ProtocolError::Invalid { what: "number of a match", value: u64::from(welcome.number) });
        }
        Ok(welcome)
    }
}

/// Why a join was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedReason {
    /// Client and server speak different versions.
    Version {
        /// The server's.
        server: u16,
        /// The client's.
        client: u16,
    },
    /// Same version, but the replicated components differ.
    ProtocolHash {
        /// The server's.
        server: u64,
        /// The client's.
        client: u64,
    },
    /// Every slot is taken.
    Full,
    /// The server is stopping.
    Stopping,
    /// The message was not a join.
    Malformed,
    /// The connect token does not say who connects: its user data cannot be read.
    Token,
    /// The connect token names a room that the server does not have.
    NoRoom,
    /// As many watch already as the server lets in, which may be nobody.
    NoSpectators,
    /// The connect token is only for playing, or only for watching.
    Role,
    /// The server has more to do than time, and lets nobody watch.
    Overloaded {
        /// Seconds after which it is worth another try.
        retry_s: u16,
    },
    /// A reason that this version does not know; the text says it.
    Other(u8),
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { server, client } => {
                let who = if client < server { "the client" } else { "the server" };
                write!(f, "the server speaks protocol version {server}, the client version {client}: update {who}")
            }
            Self::ProtocolHash { server, client } => write!(
                f,
                "the server's components have the hash {server:016x}, the client's {client:016x}: build both from the same \
                 rules and plugins"
            ),
            Self::Full => f.write_str("every slot of the match is taken: try again later"),
            Self::Stopping => f.write_str("the server is stopping: join another one"),
            Self::Malformed => f.write_str("the first message was not a join of this protocol"),
            Self::Token => f.write_str("the connect token does not say who you are: get another one"),
            Self::NoRoom => f.write_str("the room of the connect token is not here: get another token"),
            Self::NoSpectators => {
                f.write_str("no more spectators are let in here: try again later, or ask the operator to let in more")
            }
            Self::Role => {
                f.write_str("the connect token is not for this: get one that lets you play, or watch, as you wish to")
            }
            Self::Overloaded { retry_s } => {
                write!(f, "the server is overloaded and lets nobody watch: try again in {retry_s} s")
            }
            Self::Other(code) => write!(f, "refused with code {code}"),
        }
    }
}

/// The server's refusal. Code and text stand at the same place in every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: RefusedReason,
    /// The same for a person.
    pub text: String,
}

impl From<RefusedReason> for Refused {
    fn from(reason: RefusedReason) -> Self {
        Self { reason, text: reason.to_string() }
    }
}

impl Refused {
    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        to.u8(match self.reason {
            RefusedReason::Version { .. } => 1,
            RefusedReason::ProtocolHash { .. } => 2,
            RefusedReason::Full => 3,
            RefusedReason::Stopping => 4,
            RefusedReason::Malformed => 5,
            RefusedReason::Token => 6,
            RefusedReason::NoRoom => 7,
            RefusedReason::NoSpectators => 8,
            RefusedReason::Role => 9,
            RefusedReason::Overloaded { .. } => 10,
            RefusedReason::Other(code) => code,
        });
        to.text(&self.text, REASON_BYTES_MAX);
        match self.reason {
            RefusedReason::Version { server, client } => {
                to.u16(server);
                to.u16(client);
            }
            RefusedReason::ProtocolHash { server, client } => {
                to.u64(server);
                to.u64(client);
            }
            RefusedReason::Overloaded { retry_s } => to.u16(retry_s),
            _ => {}
        }
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let code = from.u8()?;
        let text = from.text("reason", REASON_BYTES_MAX)?;
        let reason = match code {
            1 => RefusedReason::Version { server: from.u16()?, client: from.u16()? },
            2 => RefusedReason::ProtocolHash { server: from.u64()?, client: from.u64()? },
            3 => RefusedReason::Full,
            4 => RefusedReason::Stopping,
            5 => RefusedReason::Malformed,
            6 => RefusedReason::Token,
            7 => RefusedReason::NoRoom,
            8 => RefusedReason::NoSpectators,
            9 => RefusedReason::Role,
            10 => RefusedReason::Overloaded { retry_s: from.u16()? },
            other => {
                from.rest();
                RefusedReason::Other(other)
            }
        };
        Ok(Self { reason, text })
    }
}

/// Why a connection ends in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoodbyeReason {
    /// The player quits.
    Quit,
    /// The player was idle for longer than the rules allow.
    Idle,
    /// An administrator removed the player.
    Kicked,
    /// The client broke the protocol.
    Protocol,
    /// The match is over and no other follows.
    MatchOver,
    /// The server is stopping.
    Stopping,
    /// The room failed.
    Failed,
    /// The same player has connected anew and now has the place. A client that is told so does not connect again by itself:
    /// two of them would take it from each other for ever.
    TakenOver,
    /// The server has more to do than time, and nobody may watch for a while.
    Overloaded,
}

impl GoodbyeReason {
    const ALL: [Self; 9] = [
        Self::Quit,
        Self::Idle,
        Self::Kicked,
        Self::Protocol,
        Self::MatchOver,
        Self::Stopping,
        Self::Failed,
        Self::TakenOver,
        Self::Overloaded,
    ];
}

impl fmt::Display for GoodbyeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quit => "the player quit",
            Self::Idle => "idle for longer than the rules allow",
            Self::Kicked => "removed by an administrator",
            Self::Protocol => "the client broke the protocol",
            Self::MatchOver => "the match is over",
            Self::Stopping => "the server is stopping",
            Self::Failed => "the room failed; the match is lost",
            Self::TakenOver => "the player has connected from elsewhere",
            Self::Overloaded => "the server is overloaded and lets nobody watch: try again in a while",
        })
    }
}

/// The last message of either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye {
    /// Why.
    pub reason: GoodbyeReason,
}

impl Goodbye {
    pub(crate) fn encode(&self, to: &mut Encoder<'_>) {
        to.u8(GoodbyeReason::ALL.iter().position(|reason| *reason == self.reason).unwrap_or(0) as u8);
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, ProtocolError> {
        let code = from.u8()?;
        let reason = GoodbyeReason::ALL.get(usize::from(code)).copied();
        reason
            .map(|reason| Self { reason })
            .ok_or(ProtocolError::Invalid { what: "reason of a goodbye", value: u64::from(code) })
    }
}
