//! What both ends say to each other, byte by byte: inputs, joining, and what is told about a match.
//!
//! This room turns messages into bytes and back. It knows no socket and no simulation; a room translates between these types
//! and the simulation's. Everything that is read here came from outside: a decoder answers malformed bytes with an error,
//! reserves no memory for lengths that the bytes cannot hold, and never panics. `docs/protocol.md` describes the same bytes
//! in words.
//!
//! Next: [`codec`] for how numbers are laid out, [`input`] for what a client sends each tick, [`session`] for joining and
//! leaving, [`notice`] for what is told of a match, [`sound`] for what is heard of it, [`message`] for how they are told apart, [`user_data`] for what a connect
//! token says of its player.

pub mod codec;
pub mod input;
pub mod message;
pub mod notice;
pub mod session;
pub mod sound;
pub mod user_data;

pub use codec::{Decoder, Encoder, ProtocolError};
pub use input::{InputPacket, WireInput};
pub use message::{
    ClientMessage, Datagram, KIND_INPUT, KIND_KILL_CAM, KIND_SNAPSHOT, KIND_SOUNDS, KillCamHeader, ServerMessage,
    SnapshotHeader,
};
pub use notice::{Cause, LeaveReason, MatchMessage, Notice, Outcome, TeamScore};
pub use session::{Goodbye, GoodbyeReason, Join, Refused, RefusedReason, Target, Watching, Welcome};
pub use sound::{Noise, Sound, SoundList, Sounds};
pub use user_data::{Role, USER_DATA_BYTES, UserData, UserDataError};

/// The version of this protocol. Raised whenever a byte changes its meaning; a server refuses other versions readably.
pub const PROTOCOL_VERSION: u16 = 6;

/// The last version that the hash of what is replicated says nothing of: what was built with it must not look like another one.
const LAST_UNMIXED: u16 = 4;

/// What two ends must have alike to play together, as one number: the hash of what is replicated, with the version of this protocol in
/// it. Whoever sends a client to a server compares these, before either has said a word.
pub fn agreement(replicated: u64) -> u64 {
    mix(replicated, PROTOCOL_VERSION)
}

fn mix(replicated: u64, version: u16) -> u64 {
    // Multiplied by an odd number, so that no two versions are the same.
    replicated ^ u64::from(version.wrapping_sub(LAST_UNMIXED)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Largest datagram that this protocol hands to the transport, in bytes. Below the transport's own limit of 1,200 by what
/// the headers of the transport may take.
pub const DATAGRAM_BYTES_MAX: usize = 1_150;

/// Largest reliable message in bytes: each fits one piece of the message layer below, and so one datagram.
pub const MESSAGE_BYTES_MAX: usize = 900;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_other_versions_do_not_agree_though_they_replicate_the_same() {
        assert_eq!(mix(0x00c0_ffee, 4), 0x00c0_ffee, "what was built before reads the same");
        assert_ne!(mix(0x00c0_ffee, 5), mix(0x00c0_ffee, 4));
        assert_ne!(mix(0x00c0_ffee, 5), mix(0x00c0_ffee, 6));
    }
}
