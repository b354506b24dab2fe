//! What only the server reads: the private part of a connect token, and the challenge token that it makes itself.

use zeroize::Zeroize;

use super::VERSION;
use super::bytes::{Reader, Writer};
use super::crypto::{self, Key, TAG_BYTES, TOKEN_NONCE_BYTES};
use super::token::{Addresses, read_addresses, write_addresses};

/// Bytes of the caller's own in a token.
pub const USER_DATA_BYTES: usize = 256;

/// Bytes of the private part of a connect token, its tag included.
pub const PRIVATE_BYTES: usize = 1_024;

/// Bytes of a challenge token, its tag included.
pub const CHALLENGE_TOKEN_BYTES: usize = 300;

/// The private part of a connect token.
#[derive(Debug, Clone)]
pub struct PrivateToken {
    /// Identity of the connection.
    pub client_id: u64,
    /// Seconds of silence after which the connection is given up; zero or less means never.
    pub timeout_seconds: i32,
    /// The servers that may take the token, by the addresses that they know themselves by.
    pub addresses: Addresses,
    /// Seals what the client sends.
    pub to_server: Key,
    /// Seals what the server sends.
    pub to_client: Key,
    /// The caller's own.
    pub user_data: [u8; USER_DATA_BYTES],
}

impl PrivateToken {
    /// Seals it as [`PRIVATE_BYTES`] bytes, bound to a protocol and an expiry in seconds since the Unix epoch.
    ///
    /// `nonce` must be random for each token.
    pub fn seal(
        &self,
        key: &Key,
        protocol_id: u64,
        expire_seconds: u64,
        nonce: &[u8; TOKEN_NONCE_BYTES],
    ) -> Box<[u8; PRIVATE_BYTES]> {
        let mut bytes = Box::new([0; PRIVATE_BYTES]);
        let mut writer = Writer::new(&mut bytes[..]);
        writer.put(&self.client_id.to_le_bytes());
        writer.put(&self.timeout_seconds.to_le_bytes());
        write_addresses(&mut writer, &self.addresses);
        writer.put(self.to_server.as_bytes());
        writer.put(self.to_client.as_bytes());
        writer.put(&self.user_data);
        let sealed = crypto::seal_token(key, nonce, &associated(protocol_id, expire_seconds), &mut bytes[..]);
        // 1,008 bytes are far from any limit of the cipher; if it failed nonetheless, the keys must not leave in clear.
        assert!(sealed, "the cipher refused 1,008 bytes");
        bytes
    }

    /// Opens and reads a private part, in place; only its tag stays in `bytes` as it was, which holds keys afterwards.
    /// `None` if it is not authentic or not well-formed.
    pub fn open(
        key: &Key,
        protocol_id: u64,
        expire_seconds: u64,
        nonce: &[u8; TOKEN_NONCE_BYTES],
        bytes: &mut [u8; PRIVATE_BYTES],
    ) -> Option<Self> {
        if !crypto::open_token(key, nonce, &associated(protocol_id, expire_seconds), bytes) {
            return None;
        }
        let mut reader = Reader(&bytes[..PRIVATE_BYTES - TAG_BYTES]);
        Some(Self {
            client_id: reader.u64()?,
            timeout_seconds: i32::from_le_bytes(*reader.array()?),
            addresses: read_addresses(&mut reader)?,
            to_server: Key::from_bytes(*reader.array()?),
            to_client: Key::from_bytes(*reader.array()?),
            user_data: *reader.array()?,
        })
    }
}

fn associated(protocol_id: u64, expire_seconds: u64) -> [u8; 29] {
    let mut bytes = [0; 29];
    let mut writer = Writer::new(&mut bytes);
    writer.put(VERSION);
    writer.put(&protocol_id.to_le_bytes());
    writer.put(&expire_seconds.to_le_bytes());
    bytes
}

/// What a client must send back to show that it can be reached where it says: sealed with a key that only this server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChallengeToken<'a> {
    /// Identity of the connection.
    pub client_id: u64,
    /// From the connect token.
    pub user_data: &'a [u8; USER_DATA_BYTES],
}

impl<'a> ChallengeToken<'a> {
    /// Writes and seals it. `sequence` must be new for the key. False if the cipher failed.
    #[must_use]
    pub fn seal(&self, key: &Key, sequence: u64, bytes: &mut [u8; CHALLENGE_TOKEN_BYTES]) -> bool {
        bytes.fill(0);
        let mut writer = Writer::new(bytes);
        writer.put(&self.client_id.to_le_bytes());
        writer.put(self.user_data);
        let sealed = crypto::seal(key, sequence, &[], bytes);
        if !sealed {
            bytes.zeroize();
        }
        sealed
    }

    /// Opens it in place; `None` if it is not one of this key's and sequence.
    pub fn open(key: &Key, sequence: u64, bytes: &'a mut [u8; CHALLENGE_TOKEN_BYTES]) -> Option<Self> {
        let mut reader = Reader(crypto::open(key, sequence, &[], bytes)?);
        Some(Self { client_id: reader.u64()?, user_data: reader.array()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_opens_with_its_own_sequence_only() {
        let key = Key::generate().unwrap();
        let token = ChallengeToken { client_id: 5, user_data: &[3; USER_DATA_BYTES] };
        let mut bytes = [0; CHALLENGE_TOKEN_BYTES];
        assert!(token.seal(&key, 11, &mut bytes));
        assert_eq!(ChallengeToken::open(&key, 12, &mut bytes.clone()), None);
        assert_eq!(ChallengeToken::open(&key, 11, &mut bytes.clone()), Some(token));
    }
}
