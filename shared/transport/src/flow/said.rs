//! What goes into a flow and what comes out of it.

use crate::acks::Refusal;

/// What one tick has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    /// What it is, 1 to 6: the caller's own numbers, in the first byte of the payload.
    pub kind: u8,
    /// The caller's mark, which comes back in [`FlowEvent`]: the tick of a snapshot, for example.
    pub tag: u32,
    /// At most [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX), at least one.
    pub bytes: &'a [u8],
}

/// What a payload brought besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEvent<'a> {
    /// The peer has the body with this tag. May follow a [`Self::Lost`] of a body that was only late.
    Delivered(u32),
    /// The body with this tag was given up.
    Lost(u32),
    /// A reliable message: each once and in order.
    Message(&'a [u8]),
}

/// What a payload was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// It has a body. Bodies are told as they come: they may overtake each other, and some never come.
    Body {
        /// What it is, 1 to 6.
        kind: u8,
        /// Its whole number.
        sequence: u64,
        /// The peer's bytes: nothing about them is checked.
        bytes: &'a [u8],
    },
    /// Acknowledgements and messages, if anything.
    Empty,
    /// The peer ends the connection and says why.
    Farewell(&'a str),
    /// A repeated or very old payload.
    Refused(Refusal),
    /// More than the peer may send.
    Dropped,
}

/// Why a payload was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The body is empty, too long or of a kind that is not the caller's.
    #[error("a body of {0} bytes cannot be sent: 1 to 1,187 bytes of a kind from 1 to 6 can")]
    Body(usize),
    /// So much is unacknowledged that nothing more may leave until some of it is given up.
    #[error("too much is unacknowledged; send again after the next advance")]
    InFlight,
}
