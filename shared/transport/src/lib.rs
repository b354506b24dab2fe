//! Secure datagrams and reliable messages as state machines: bytes in, bytes out, time passed in. No socket, no clock.
//!
//! A connection begins with a connect token (netcode 1.02). After that two kinds of payload travel: datagrams that may be
//! lost, as they are, and reliable ordered messages by renet. The first byte of a payload tells them apart: below 16 it is
//! renet's, from 16 on it is the caller's. Everything that comes out of a socket passes [`guard`] before any library sees it.
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
pub mod path;
pub mod rate;
pub mod server;
pub mod token;

pub use client::{ClientConnection, ClientEvent};
pub use link::{Channel, DisconnectReason, SendError};
pub use server::{ClientId, ServerEvent, ServerTransport, ServerTransportConfig};
pub use token::{Key, TokenError, TokenRequest, USER_DATA_BYTES, mint_token};

/// The netcode protocol id: peers of another game or another generation of this transport are strangers.
pub const PROTOCOL_ID: u64 = 0x4152_4249_5445_5201;

/// Largest payload of one datagram: the limit of the netcode standard, which fits any path.
pub const PAYLOAD_BYTES_MAX: usize = 1_200;

/// Largest reliable message: what is larger would be cut into slices that conforming peers drop.
pub const MESSAGE_BYTES_MAX: usize = 900;

/// First byte of the caller's datagrams, at least.
pub const DATAGRAM_TAG_MIN: u8 = 16;

/// Most clients of one server: the netcode library below stops there.
pub const CLIENTS_MAX: usize = 1_024;

/// Largest UDP payload that any peer may send: netcode's header, sequence and authentication around a payload, or a
/// connection request. Receive buffers of this size cut off only what is refused anyway.
pub const UDP_BYTES_MAX: usize = 1_400;
