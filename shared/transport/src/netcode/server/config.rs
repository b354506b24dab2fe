//! What a server is made from.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::netcode::crypto::Key;
use crate::netcode::history::TokenHistory;
use crate::netcode::limiter::{HandshakeLimiter, HandshakeLimits};

/// What a server is made from.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The key that connect tokens are sealed with.
    pub key: Key,
    /// Which game and generation; tokens and packets of others are refused.
    pub protocol_id: u64,
    /// The addresses under which tokens name this server. A token that names none of them is refused.
    pub addresses: Vec<SocketAddr>,
    /// Number of slots, 1 to 65,536; clamped. Takes about 260 B each.
    pub clients_max: usize,
    /// Most handshakes at a time, 1 to 65,536; clamped. About 450 B each.
    pub pending_max: usize,
    /// Tokens that live longer than this are refused: the history would have to remember them for too long.
    pub token_lifetime_max: Duration,
    /// How many handshake packets are looked at, in all servers that share it.
    pub limiter: Arc<HandshakeLimiter>,
    /// The tokens that were used, shared with all servers of the process that the same tokens may name.
    pub history: Arc<TokenHistory>,
}

impl ServerConfig {
    /// As many handshakes as slots, but at least 64, tokens of at most an hour, and [`HandshakeLimits::default`].
    pub fn new(
        key: Key,
        protocol_id: u64,
        addresses: Vec<SocketAddr>,
        clients_max: usize,
        history: Arc<TokenHistory>,
    ) -> Self {
        Self {
            key,
            protocol_id,
            addresses,
            clients_max,
            pending_max: clients_max.max(64),
            token_lifetime_max: Duration::from_secs(3_600),
            limiter: Arc::new(HandshakeLimiter::new(HandshakeLimits::default())),
            history,
        }
    }
}
