//! netcode 1.02: connections over UDP that only bearers of a connect token can make, and that only their two ends can read
//! or write. State machines: bytes in, bytes out, time passed in. No socket, no clock, no thread.
//!
//! The standard: STANDARD.md of <https://github.com/mas-bandwidth/netcode>. What we made of its open points, and where we are
//! stricter, is in `docs/decisions/netcode.md`.
//!
//! ```text
//! client                                        server
//! request: the sealed token, every 100 ms  ->   opens the token, remembers the keys for the address
//!                                          <-   challenge: sealed by the server for itself
//! response: the challenge, every 100 ms    ->   the address is proven: a slot, a ConnectionId
//!                                          <-   keep-alive: you have slot n of m
//! payloads, or keep-alives every 100 ms   <->   until ten disconnect packets, or silence
//! ```
//!
//! What a stranger sends costs the server a bounded amount of work and no memory; what anyone sends is answered with less
//! than it was. Work for a packet does not depend on the number of clients, and allocates nothing.
//!
//! Next: [`Server`] and [`Client`], [`ConnectToken`] for the permission to join, [`packet`] for the bytes.

mod address;
mod bytes;
mod client;
mod counters;
pub(crate) mod crypto;
mod history;
mod index;
mod limiter;
pub mod packet;
pub mod private;
mod replay;
mod server;
pub mod token;

pub use client::{Client, ClientReceived, ClientState, EndReason};
pub use counters::Counters;
pub use crypto::{KEY_BYTES, Key, NoRandomness, TAG_BYTES, TOKEN_NONCE_BYTES};
pub use history::TokenHistory;
pub use limiter::{HandshakeLimiter, HandshakeLimits, Rate};
pub use packet::{HEADER_BYTES_MAX, OVERHEAD_BYTES_MAX, PACKET_BYTES_MAX};
pub use private::USER_DATA_BYTES;
pub use replay::{REPLAY_WINDOW, ReplayWindow};
pub use server::{ConnectionId, GoneReason, Received, Server, ServerConfig};
pub use token::{Addresses, CONNECT_TOKEN_BYTES, ConnectToken, TokenError, TokenRequest};

use core::time::Duration;

/// What every token and request begins with, and every packet is signed with.
pub(crate) const VERSION: &[u8; 13] = b"NETCODE 1.02\0";

/// Largest payload of a packet; the smallest is 1 byte.
pub const PAYLOAD_BYTES_MAX: usize = 1_200;

/// Where the sequence of packets outside of a connection begins. Those of a connection are sealed with the same keys, begin
/// at 0 and never get here.
pub(crate) const GLOBAL_SEQUENCE_MIN: u64 = 1 << 63;

/// After so long without anything sent, a keep-alive is. The standard's 10 a second.
pub const KEEP_ALIVE: Duration = Duration::from_millis(100);

/// How often a goodbye is said, because nobody acknowledges it.
pub(crate) const DISCONNECT_PACKETS: usize = 10;

/// Longest timeout that is kept to, in seconds: a day. Times are kept in 32 bits of milliseconds.
pub(crate) const TIMEOUT_SECONDS_MAX: i32 = 86_400;

/// A token's timeout: `None` means never.
pub(crate) fn timeout(seconds: i32) -> Option<Duration> {
    u64::try_from(seconds.min(TIMEOUT_SECONDS_MAX)).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}
