//! Connect tokens: what whoever lets players in gives to a client, 2,048 bytes.
//!
//! The outer part tells the client where to go and which keys to use; the private part inside, sealed with a key that only
//! the token's maker and the server have, tells the server the same and who the client is. See [`private`](super::private).

use core::net::SocketAddr;
use core::time::Duration;

use arrayvec::ArrayVec;
use thiserror::Error;
use zeroize::Zeroize;

use super::VERSION;
use super::bytes::{Reader, Writer};
use super::crypto::{Key, NoRandomness, TOKEN_NONCE_BYTES, random};
use super::private::{PRIVATE_BYTES, PrivateToken, USER_DATA_BYTES};

/// Bytes of a connect token.
pub const CONNECT_TOKEN_BYTES: usize = 2_048;

/// Most server addresses in a token.
pub const ADDRESSES_MAX: usize = 32;

/// The server addresses of a token, 1 to [`ADDRESSES_MAX`], in the order to try.
pub type Addresses = ArrayVec<SocketAddr, ADDRESSES_MAX>;

/// Why a token cannot be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not as long as a token.
    #[error("a connect token has {CONNECT_TOKEN_BYTES} bytes, found {0}")]
    Length(usize),
    /// Not a token, or one of another version.
    #[error("the connect token does not begin with \"NETCODE 1.02\": it is of another version, or none")]
    Version,
    /// None, too many or of an unknown kind.
    #[error("a connect token needs 1 to {ADDRESSES_MAX} IPv4 or IPv6 server addresses")]
    Addresses,
    /// It expires before it begins.
    #[error("the connect token expires before it was created: check the clock of whoever made it")]
    Times,
    /// Sealed with another key, for another protocol, or changed on its way.
    #[error("the private part of the connect token does not open: another key, another protocol id, or it was changed")]
    Sealed,
    /// Keys cannot be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What a token is made from.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Which game and generation: a server takes only tokens of its own.
    pub protocol_id: u64,
    /// Identity of the connection. A server refuses a second connection of one that is connected.
    pub client_id: u64,
    /// Where the client finds the servers, in the order to try: 1 to [`ADDRESSES_MAX`].
    pub addresses: Addresses,
    /// By which addresses the servers know themselves, if they differ (a load balancer); else as `addresses`.
    pub internal_addresses: Option<Addresses>,
    /// Seconds from now in which the token may be used to connect.
    pub expire_seconds: u64,
    /// Seconds of silence after which both ends give the connection up. Zero or less means never, which is for debuggers.
    pub timeout_seconds: i32,
    /// The caller's own, signed with the token; the server is told of it when the client connects.
    pub user_data: [u8; USER_DATA_BYTES],
}

impl TokenRequest {
    /// A request without user data that expires in 30 s and times out after 5 s.
    pub fn new(protocol_id: u64, client_id: u64, addresses: &[SocketAddr]) -> Result<Self, TokenError> {
        let addresses = Addresses::try_from(addresses).map_err(|_| TokenError::Addresses)?;
        Ok(Self {
            protocol_id,
            client_id,
            addresses,
            internal_addresses: None,
            expire_seconds: 30,
            timeout_seconds: 5,
            user_data: [0; USER_DATA_BYTES],
        })
    }
}

/// A connect token as its client sees it.
#[derive(Debug, Clone)]
pub struct ConnectToken {
    /// Which game and generation.
    pub protocol_id: u64,
    /// When it was made, in seconds since the Unix epoch.
    pub create_seconds: u64,
    /// From when on no server takes it, in seconds since the Unix epoch.
    pub expire_seconds: u64,
    /// The nonce of the private part.
    pub nonce: [u8; TOKEN_NONCE_BYTES],
    /// The sealed private part, for the server.
    pub private: Box<[u8; PRIVATE_BYTES]>,
    /// Seconds of silence after which the connection is given up; zero or less means never.
    pub timeout_seconds: i32,
    /// Where to find the servers, in the order to try.
    pub addresses: Addresses,
    /// Seals what the client sends.
    pub to_server: Key,
    /// Seals what the server sends.
    pub to_client: Key,
}

impl ConnectToken {
    /// Makes a token with new keys and seals it with `key`. `now` is the time since the Unix epoch.
    pub fn generate(request: &TokenRequest, key: &Key, now: Duration) -> Result<Self, TokenError> {
        let internal = request.internal_addresses.as_ref().unwrap_or(&request.addresses);
        if request.addresses.is_empty() || internal.is_empty() {
            return Err(TokenError::Addresses);
        }
        let private = PrivateToken {
            client_id: request.client_id,
            timeout_seconds: request.timeout_seconds,
            addresses: internal.clone(),
            to_server: Key::generate()?,
            to_client: Key::generate()?,
            user_data: request.user_data,
        };
        let mut nonce = [0; TOKEN_NONCE_BYTES];
        random(&mut nonce)?;
        let expire_seconds = now.as_secs().saturating_add(request.expire_seconds);
        Ok(Self {
            protocol_id: request.protocol_id,
            create_seconds: now.as_secs(),
            expire_seconds,
            nonce,
            private: private.seal(key, request.protocol_id, expire_seconds, &nonce),
            timeout_seconds: request.timeout_seconds,
            addresses: request.addresses.clone(),
            to_server: private.to_server.clone(),
            to_client: private.to_client.clone(),
        })
    }

    /// The [`CONNECT_TOKEN_BYTES`] that a client is given. They hold its keys: they travel encrypted, and are worth clearing.
    pub fn to_bytes(&self) -> Box<[u8; CONNECT_TOKEN_BYTES]> {
        let mut bytes = Box::new([0; CONNECT_TOKEN_BYTES]);
        let mut writer = Writer::new(&mut bytes[..]);
        writer.put(VERSION);
        writer.put(&self.protocol_id.to_le_bytes());
        writer.put(&self.create_seconds.to_le_bytes());
        writer.put(&self.expire_seconds.to_le_bytes());
        writer.put(&self.nonce);
        writer.put(&self.private[..]);
        writer.put(&self.timeout_seconds.to_le_bytes());
        write_addresses(&mut writer, &self.addresses);
        writer.put(self.to_server.as_bytes());
        writer.put(self.to_client.as_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`], or any conforming implementation, has written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        let bytes: &[u8; CONNECT_TOKEN_BYTES] = bytes.try_into().map_err(|_| TokenError::Length(bytes.len()))?;
        let mut reader = Reader(bytes);
        if reader.array() != Some(VERSION) {
            return Err(TokenError::Version);
        }
        // All fields fit with the most addresses of the longest kind: a read can only fail for an address.
        let token = Self::read(&mut reader).ok_or(TokenError::Addresses)?;
        if token.create_seconds > token.expire_seconds { Err(TokenError::Times) } else { Ok(token) }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            protocol_id: reader.u64()?,
            create_seconds: reader.u64()?,
            expire_seconds: reader.u64()?,
            nonce: *reader.array()?,
            private: Box::new(*reader.array()?),
            timeout_seconds: i32::from_le_bytes(*reader.array()?),
            addresses: read_addresses(reader)?,
            to_server: Key::from_bytes(*reader.array()?),
            to_client: Key::from_bytes(*reader.array()?),
        })
    }

    /// Opens the private part, to look at a token with the server's key.
    pub fn open_private(&self, key: &Key) -> Result<PrivateToken, TokenError> {
        let mut bytes = self.private.clone();
        let token = PrivateToken::open(key, self.protocol_id, self.expire_seconds, &self.nonce, &mut bytes);
        bytes.zeroize();
        token.ok_or(TokenError::Sealed)
    }
}

pub(crate) fn write_addresses(writer: &mut Writer<'_>, addresses: &Addresses) {
    // At most 32.
    writer.put(&(addresses.len() as u32).to_le_bytes());
    addresses.iter().for_each(|address| writer.address(address));
}

pub(crate) fn read_addresses(reader: &mut Reader<'_>) -> Option<Addresses> {
    let count = reader.u32()?;
    if !(1..=ADDRESSES_MAX as u32).contains(&count) {
        return None;
    }
    (0..count).map(|_| reader.address()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn request(count: usize) -> TokenRequest {
        let addresses: Vec<SocketAddr> = (0..count)
            .map(|at| if at % 2 == 0 { format!("[2001:db8::{at}]:4{at:03}") } else { format!("10.0.0.{at}:4{at:03}") })
            .map(|address| address.parse().unwrap())
            .collect();
        let mut request = TokenRequest::new(7, 9, &addresses).unwrap();
        request.user_data = core::array::from_fn(|at| at as u8);
        request
    }

    #[test]
    fn a_token_survives_its_bytes_with_1_to_32_addresses() {
        let key = Key::generate().unwrap();
        for count in 1..=ADDRESSES_MAX {
            let request = request(count);
            let token = ConnectToken::generate(&request, &key, NOW).unwrap();
            let read = ConnectToken::from_bytes(&token.to_bytes()[..]).unwrap();
            assert_eq!(read.addresses, request.addresses);
            assert_eq!(read.to_bytes(), token.to_bytes());
            let private = read.open_private(&key).unwrap();
            assert_eq!((private.client_id, private.timeout_seconds), (9, 5));
            assert_eq!((private.addresses, private.user_data), (request.addresses, request.user_data));
            assert_eq!(private.to_server.as_bytes(), read.to_server.as_bytes());
            assert_eq!(private.to_client.as_bytes(), read.to_client.as_bytes());
        }
    }

    #[test]
    fn a_token_without_or_with_too_many_addresses_is_refused() {
        let mut none = request(1);
        none.addresses.clear();
        let key = Key::generate().unwrap();
        assert_eq!(ConnectToken::generate(&none, &key, NOW).unwrap_err(), TokenError::Addresses);
        let many: Vec<SocketAddr> = vec!["10.0.0.1:1".parse().unwrap(); 33];
        assert_eq!(TokenRequest::new(7, 9, &many).unwrap_err(), TokenError::Addresses);
    }

    #[test]
    fn a_token_that_lies_about_itself_is_refused_with_a_reason() {
        let key = Key::generate().unwrap();
        let bytes = ConnectToken::generate(&request(1), &key, NOW).unwrap().to_bytes();
        let with = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            ConnectToken::from_bytes(&bytes[..])
        };
        let counts_at = 13 + 8 * 3 + 24 + 1_024 + 4;
        assert_eq!(with(11, b'1').unwrap_err(), TokenError::Version);
        assert_eq!(with(counts_at, 0).unwrap_err(), TokenError::Addresses);
        assert_eq!(with(counts_at, 33).unwrap_err(), TokenError::Addresses);
        assert_eq!(with(counts_at + 4, 0).unwrap_err(), TokenError::Addresses);
        assert_eq!(with(13 + 8 + 7, 255).unwrap_err(), TokenError::Times);
        assert_eq!(ConnectToken::from_bytes(&bytes[1..]).unwrap_err(), TokenError::Length(2_047));
        // The expiry is signed: a token cannot be made to live longer.
        let longer = with(13 + 8 + 8, bytes[13 + 8 + 8].wrapping_add(1)).unwrap();
        assert_eq!(longer.open_private(&key).unwrap_err(), TokenError::Sealed);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), CONNECT_TOKEN_BYTES), addresses in 0..40_u8) {
            bytes[..13].copy_from_slice(VERSION);
            bytes[13 + 8 + 7] = 0;
            bytes[13 + 8 * 3 + 24 + 1_024 + 4..][..4].copy_from_slice(&[addresses, 0, 0, 0]);
            let _ = ConnectToken::from_bytes(&bytes);
        }
    }
}
