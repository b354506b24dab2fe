//! The seam to whoever can make connect tokens. A service knows neither transport nor protocol: the program that hosts it hands
//! the mint in.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// Bytes of a connect token of netcode 1.02.
pub const CONNECT_TOKEN_BYTES: usize = 2_048;

/// What somebody does in a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Play.
    #[default]
    Player,
    /// Watch.
    Spectator,
}

/// What a connect token is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MintRequest<'a> {
    /// Where the server is, 1 to 32 addresses in the order to try.
    pub addresses: &'a [SocketAddr],
    /// The netcode protocol id that the server listens for: one of another version may have another.
    pub protocol_id: u64,
    /// The player, from 1.
    pub player: u64,
    /// The room on the server.
    pub room: u16,
    /// The team, from 1; 0 leaves it to the client.
    pub team: u8,
    /// What it may be used for.
    pub role: Role,
    /// Build of the client, up to 32 bytes without control characters.
    pub build: &'a str,
    /// How long it may be used.
    pub lifetime: Duration,
}

/// Why there is no connect token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no connect token could be made: {0}")]
pub struct MintError(pub String);

/// Makes connect tokens. Called on a thread that answers requests: it must not wait for anything.
pub trait Mint: Send + Sync + 'static {
    /// A token for one connection.
    fn mint(&self, request: &MintRequest<'_>) -> Result<Box<[u8; CONNECT_TOKEN_BYTES]>, MintError>;
}

impl<F> Mint for F
where
    F: Fn(&MintRequest<'_>) -> Result<Box<[u8; CONNECT_TOKEN_BYTES]>, MintError> + Send + Sync + 'static,
{
    fn mint(&self, request: &MintRequest<'_>) -> Result<Box<[u8; CONNECT_TOKEN_BYTES]>, MintError> {
        self(request)
    }
}
