//! What both ends of a connection share: why something is not sent, and why a connection ended.

use core::fmt;

use thiserror::Error;

use crate::guard::Violation;
use crate::netcode::{EndReason, GoneReason};

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no such connection (any more).
    #[error("the peer is not connected")]
    NotConnected,
    /// Empty, too long, or of a kind that is not the caller's.
    #[error("{0} bytes cannot be sent like this")]
    Size(usize),
    /// So much is unacknowledged that nothing more may leave for now.
    #[error("too much is unacknowledged; send again after the next advance")]
    InFlight,
    /// The peer acknowledges nothing; the connection ends.
    #[error("the peer has let its queue of reliable messages fill up")]
    QueueFull,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// Nothing was heard for too long.
    TimedOut,
    /// The other end said so.
    ByPeer,
    /// This end said so.
    Local,
    /// The other end broke the rules.
    Violation(Violation),
    /// The other end does not acknowledge.
    QueueFull,
    /// The server has no place.
    Denied,
    /// The token expired before a server let the client in.
    TokenExpired,
    /// No server of the token answered.
    Unreachable,
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("nothing was heard for too long"),
            Self::ByPeer => f.write_str("the other end closed the connection"),
            Self::Local => f.write_str("closed by this end"),
            Self::Violation(violation) => write!(f, "the other end broke the rules of the transport: {violation}"),
            Self::QueueFull => f.write_str("the other end does not acknowledge what it is sent"),
            Self::Denied => EndReason::Denied.fmt(f),
            Self::TokenExpired => EndReason::TokenExpired.fmt(f),
            Self::Unreachable => EndReason::RequestTimedOut.fmt(f),
        }
    }
}

impl From<GoneReason> for DisconnectReason {
    fn from(reason: GoneReason) -> Self {
        match reason {
            GoneReason::ByPeer => Self::ByPeer,
            GoneReason::TimedOut => Self::TimedOut,
        }
    }
}

impl From<EndReason> for DisconnectReason {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Local => Self::Local,
            EndReason::ByServer => Self::ByPeer,
            EndReason::TimedOut => Self::TimedOut,
            EndReason::RequestTimedOut | EndReason::ResponseTimedOut => Self::Unreachable,
            EndReason::Denied => Self::Denied,
            EndReason::TokenExpired => Self::TokenExpired,
        }
    }
}
