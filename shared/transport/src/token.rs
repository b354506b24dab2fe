//! Connect tokens: the short-lived permission to join, sealed with a key that the server and whoever lets players in share.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use renetcode::ConnectToken;
use thiserror::Error;

use crate::PROTOCOL_ID;

/// Bytes of the caller's own in a token, signed with it.
pub const USER_DATA_BYTES: usize = 256;

/// Seconds without a packet after which a connection is given up, unless a token says otherwise.
pub const TIMEOUT_SECONDS: i32 = 5;

/// Why a token or a key is no good.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The token cannot be made.
    #[error("the connect token cannot be made: {0}; give 1 to 32 server addresses")]
    Generate(renetcode::TokenGenerationError),
    /// The bytes are no token.
    #[error("these {0} bytes are not a connect token: get one from whoever runs the server, or make one with its key")]
    Malformed(usize),
    /// The text is no key.
    #[error("a key is 64 hexadecimal digits, found {0} characters")]
    Key(usize),
}

/// A private key of 32 bytes. Whoever has it can let anyone in.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key must not reach a log.
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A new one from the system's randomness.
    pub fn generate() -> Self {
        Self(renetcode::generate_random_bytes())
    }

    /// As 64 hexadecimal digits, for a key file.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From 64 hexadecimal digits; white space around them is ignored.
    pub fn from_hex(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let wrong = || TokenError::Key(text.chars().count());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut key = [0; 32];
        for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(key))
    }
}

/// What a token is made from.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Identity of the connection: random for each token, because netcode ignores a second connection of a known one.
    pub client_id: u64,
    /// Where the server can be reached, in the order to try: 1 to 32.
    pub server_addresses: Vec<SocketAddr>,
    /// The caller's own.
    pub user_data: [u8; USER_DATA_BYTES],
    /// How long it may be used to connect, in seconds.
    pub expire_seconds: u64,
}

impl TokenRequest {
    /// A request for a random identity, without user data, that expires in 30 seconds: time enough to start a client.
    pub fn new(server_addresses: Vec<SocketAddr>) -> Self {
        Self {
            client_id: u64::from_le_bytes(renetcode::generate_random_bytes()),
            server_addresses,
            user_data: [0; USER_DATA_BYTES],
            expire_seconds: 30,
        }
    }
}

/// Makes a connect token as the bytes that a client is given. `now` is the time since the Unix epoch.
pub fn mint_token(key: &Key, request: &TokenRequest, now: Duration) -> Result<Vec<u8>, TokenError> {
    let token = ConnectToken::generate(
        now,
        PROTOCOL_ID,
        request.expire_seconds,
        request.client_id,
        TIMEOUT_SECONDS,
        request.server_addresses.clone(),
        Some(&request.user_data),
        &key.0,
    )
    .map_err(TokenError::Generate)?;
    let mut bytes = Vec::new();
    token.write(&mut bytes).map_err(|_| TokenError::Malformed(0))?;
    Ok(bytes)
}

/// Reads a token. What the library below would trip over is refused here.
pub(crate) fn read_token(bytes: &[u8]) -> Result<ConnectToken, TokenError> {
    let token = ConnectToken::read(&mut &bytes[..]).map_err(|_| TokenError::Malformed(bytes.len()))?;
    let sound = token.server_addresses[0].is_some() && token.expire_timestamp >= token.create_timestamp;
    if sound { Ok(token) } else { Err(TokenError::Malformed(bytes.len())) }
}
