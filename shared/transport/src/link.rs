//! What both ends of a connection share: renet's settings, when it may speak, and what leaves.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use renet::{ChannelConfig, ConnectionConfig, SendType};
use thiserror::Error;

use crate::guard::{Bucket, MessageGuard, RELIABLE_CHANNEL, Sound, Violation};
use crate::{DATAGRAM_TAG_MIN, MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// After this long an unacknowledged message is sent again. Longer than most round trips, shorter than anyone notices.
const RESEND: Duration = Duration::from_millis(120);

/// Between two packets of acknowledgements or repeated messages. renet answers acknowledgements with acknowledgements when it
/// is asked each tick.
const QUIET: Duration = Duration::from_millis(40);

/// Bytes of unacknowledged messages: a peer that lets so many wait is gone or hostile. A match tells 2 kB a second at most.
const QUEUE_BYTES_MAX: usize = 128 * 1_024;

/// Bytes of messages in one renet packet: what is around them fits into a payload.
const PACKET_MESSAGE_BYTES: u64 = 1_000;

/// A peer's message packets: acknowledgements come at most each [`QUIET`], messages are few.
const MESSAGE_PACKETS_PER_SECOND: f32 = 120.0;

/// A peer's datagrams: one a tick at the highest rate in one direction, a snapshot of many parts in the other.
const DATAGRAMS_PER_SECOND: f32 = 12_000.0;
const CLIENT_DATAGRAMS_PER_SECOND: f32 = 300.0;

/// How a payload is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// May be lost, doubled or overtaken. The first byte is at least [`DATAGRAM_TAG_MIN`].
    Datagram,
    /// Arrives once and in order, or the connection ends.
    Reliable,
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no such connection (any more).
    #[error("the peer is not connected")]
    NotConnected,
    /// Empty, too long, or a datagram with a tag below 16.
    #[error("a payload of {0} bytes cannot be sent on this channel")]
    Size(usize),
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
    /// The message layer gave up.
    Messages,
    /// The server has no place, or knows the client already.
    Denied,
    /// The token expired before a server answered.
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
            Self::Messages => f.write_str("the message layer gave up"),
            Self::Denied => f.write_str("the server denied the connection: it is full"),
            Self::TokenExpired => f.write_str("the connect token expired before a server answered: get a new one"),
            Self::Unreachable => f.write_str(
                "no server of the connect token answered: check the address, and that the token was made with the \
                 server's key and not used before",
            ),
        }
    }
}

pub(crate) fn renet_config() -> ConnectionConfig {
    let channel = ChannelConfig {
        channel_id: RELIABLE_CHANNEL,
        max_memory_usage_bytes: QUEUE_BYTES_MAX,
        send_type: SendType::ReliableOrdered { resend_time: RESEND },
    };
    ConnectionConfig {
        available_bytes_per_tick: PACKET_MESSAGE_BYTES,
        server_channels_config: vec![channel.clone()],
        client_channels_config: vec![channel],
    }
}

/// One end's bookkeeping beside renet's.
#[derive(Debug)]
pub(crate) struct Link {
    pub guard: MessageGuard,
    datagrams: Bucket,
    packets: Bucket,
    /// Messages were queued, or came, since renet was last asked.
    queued: bool,
    heard: bool,
    asked: Duration,
}

/// What a payload is, once it has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    Datagram,
    Messages,
    /// Over its rate: dropped without consequence, as a network would.
    Dropped,
}

impl Link {
    pub fn of_server(now: Duration) -> Self {
        Self::new(now, CLIENT_DATAGRAMS_PER_SECOND)
    }

    pub fn of_client(now: Duration) -> Self {
        Self::new(now, DATAGRAMS_PER_SECOND)
    }

    fn new(now: Duration, datagrams_per_second: f32) -> Self {
        Self {
            guard: MessageGuard::default(),
            datagrams: Bucket::new(datagrams_per_second, datagrams_per_second),
            packets: Bucket::new(MESSAGE_PACKETS_PER_SECOND, MESSAGE_PACKETS_PER_SECOND),
            queued: false,
            heard: false,
            asked: now,
        }
    }

    pub fn pass(&mut self, payload: &[u8]) -> Result<Passed, Violation> {
        let len = payload.len();
        let first = *payload.first().ok_or(Violation::PayloadSize(0))?;
        // renet's own packets may exceed the limit of the standard by a few bytes.
        if len > PAYLOAD_BYTES_MAX + 64 {
            return Err(Violation::PayloadSize(len));
        }
        if first >= DATAGRAM_TAG_MIN {
            return Ok(if self.datagrams.take() { Passed::Datagram } else { Passed::Dropped });
        }
        if !self.packets.take() {
            return Err(Violation::Rate);
        }
        if self.guard.check(payload)? == Sound::Messages {
            self.heard = true;
        }
        Ok(Passed::Messages)
    }

    pub fn refill(&mut self, seconds: f32) {
        self.datagrams.refill(seconds);
        self.packets.refill(seconds);
    }

    pub fn note_queued(&mut self) {
        self.queued = true;
    }

    /// Whether renet should be asked for packets now. `waiting` says whether messages are unacknowledged.
    pub fn may_speak(&mut self, now: Duration, waiting: bool) -> bool {
        let quiet = now.saturating_sub(self.asked) >= QUIET;
        if !(self.queued || quiet && (self.heard || waiting)) {
            return false;
        }
        (self.queued, self.heard, self.asked) = (false, false, now);
        true
    }
}

pub(crate) fn check_size(channel: Channel, bytes: &[u8]) -> Result<(), SendError> {
    let fits = match channel {
        Channel::Datagram => {
            bytes.first().is_some_and(|tag| *tag >= DATAGRAM_TAG_MIN) && bytes.len() <= PAYLOAD_BYTES_MAX
        }
        Channel::Reliable => (1..=MESSAGE_BYTES_MAX).contains(&bytes.len()),
    };
    if fits { Ok(()) } else { Err(SendError::Size(bytes.len())) }
}

/// Whether messages wait for their acknowledgement.
pub(crate) fn has_waiting(available_memory: usize) -> bool {
    available_memory < QUEUE_BYTES_MAX
}

/// Sealed datagrams that wait for the socket.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    ends: Vec<(SocketAddr, usize)>,
}

impl Outgoing {
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.ends.push((to, self.bytes.len()));
    }

    pub fn drain(&mut self, send: &mut dyn FnMut(SocketAddr, &[u8])) {
        let mut start = 0;
        for (to, end) in self.ends.drain(..) {
            send(to, &self.bytes[start..end]);
            start = end;
        }
        self.bytes.clear();
    }
}
