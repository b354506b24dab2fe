//! Connect tokens as Arbiter makes them, and the text of keys. The tokens themselves are netcode's: [`crate::netcode::token`].

use core::net::SocketAddr;
use core::time::Duration;

use thiserror::Error;

use crate::PROTOCOL_ID;
use crate::netcode::{ConnectToken, KEY_BYTES, TokenRequest, crypto};

pub use crate::netcode::{CONNECT_TOKEN_BYTES, Key, NoRandomness, TokenError, USER_DATA_BYTES};

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 64 hexadecimal digits, found {0} characters")]
pub struct KeyTextError(usize);

/// A key as 64 hexadecimal digits, for a key file.
pub fn key_to_hex(key: &Key) -> String {
    key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key from 64 hexadecimal digits; white space around them is ignored.
pub fn key_from_hex(text: &str) -> Result<Key, KeyTextError> {
    let text = text.trim();
    let wrong = || KeyTextError(text.chars().count());
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return Err(wrong());
    }
    let mut key = [0; KEY_BYTES];
    for (byte, at) in key.iter_mut().zip((0..2 * KEY_BYTES).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Key::from_bytes(key))
}

/// Random bytes from the system.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    crypto::random(&mut bytes)?;
    Ok(bytes)
}

/// Makes a connect token of this protocol as the bytes that a client is given, for a random client id: netcode ignores a second
/// connection of a known one. `now` is the time since the Unix epoch.
pub fn mint_token(
    key: &Key,
    server_addresses: &[SocketAddr],
    user_data: &[u8; USER_DATA_BYTES],
    lifetime: Duration,
    now: Duration,
) -> Result<Box<[u8; CONNECT_TOKEN_BYTES]>, TokenError> {
    mint_token_of(PROTOCOL_ID, key, server_addresses, user_data, lifetime, now)
}

/// The same for servers that listen for another protocol id than this build: those of another version.
pub fn mint_token_of(
    protocol_id: u64,
    key: &Key,
    server_addresses: &[SocketAddr],
    user_data: &[u8; USER_DATA_BYTES],
    lifetime: Duration,
    now: Duration,
) -> Result<Box<[u8; CONNECT_TOKEN_BYTES]>, TokenError> {
    let client_id = u64::from_le_bytes(random()?);
    let mut request = TokenRequest::new(protocol_id, client_id, server_addresses)?;
    request.expire_seconds = lifetime.as_secs().max(1);
    request.user_data = *user_data;
    Ok(ConnectToken::generate(&request, key, now)?.to_bytes())
}

/// How long the tokens of bots and demos may be used: time enough to start a client.
pub const LIFETIME: Duration = Duration::from_secs(30);
