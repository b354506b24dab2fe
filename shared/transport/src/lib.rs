//! Secure datagrams and reliable messages as state machines: bytes in, bytes out, time passed in. No socket, no clock.
//!
//! A connection begins with a connect token ([`netcode`], version 1.02 of the standard), which also encrypts. Inside each of its
//! payloads a [`flow`] carries what a tick has to say, acknowledgements, times and reliable messages in one [`datagram`], measures
//! the [`path`] and keeps to a [`rate`]. Messages are kept, repeated and ordered by renet; [`guard`] checks what comes before.
//!
//! Times are [`Duration`](core::time::Duration)s since the Unix epoch: tokens expire by that clock. They must not go
//! backwards; a caller measures from a start with a monotonic clock.
//!
//! Next: [`token`] for the permission to join, [`server`] and [`client`] for the two ends.

pub mod acks;
pub mod client;
pub mod conditioner;
pub mod datagram;
pub mod flow;
pub mod guard;
mod link;
pub mod messages;
pub mod netcode;
mod packing;
pub mod path;
pub mod rate;
pub mod server;
pub mod token;

pub use client::{ClientConnection, ClientEvent};
pub use flow::Body;
pub use link::{DisconnectReason, SendError};
pub use netcode::{Counters, HandshakeLimiter, HandshakeLimits, NoRandomness, TokenHistory};
pub use path::PathStats;
pub use server::{ClientId, ServerEvent, ServerTransport, ServerTransportConfig};
pub use token::{Key, TokenError, USER_DATA_BYTES, mint_token, mint_token_of};

/// The netcode protocol id: peers of another game or another generation of this transport are strangers.
pub const PROTOCOL_ID: u64 = 0x4152_4249_5445_5203;

/// Largest payload of one datagram: the limit of the netcode standard, which fits any path.
pub const PAYLOAD_BYTES_MAX: usize = netcode::PAYLOAD_BYTES_MAX;

/// Most clients of one server: one thread can serve about as many.
pub const CLIENTS_MAX: usize = 8_192;

/// Largest UDP payload that any peer may send. Receive buffers of this size cut off only what is refused anyway.
pub const UDP_BYTES_MAX: usize = 1_400;
