//! Connect tokens for the service that sends players to servers: it knows neither transport nor protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbiter_join::{CONNECT_TOKEN_BYTES, Mint, MintError, MintRequest, Role};
use arbiter_protocol::UserData;
use arbiter_transport::{Key, mint_token_of};

/// Makes connect tokens with the key that game servers have too.
pub struct KeyMint(Key);

impl KeyMint {
    /// With a key.
    pub fn new(key: Key) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for KeyMint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyMint(..)")
    }
}

impl Mint for KeyMint {
    fn mint(&self, request: &MintRequest<'_>) -> Result<Box<[u8; CONNECT_TOKEN_BYTES]>, MintError> {
        let MintRequest { addresses, protocol_id, player, room, team, role, build, lifetime } = *request;
        let role = match role {
            Role::Player => arbiter_protocol::Role::Player,
            Role::Spectator => arbiter_protocol::Role::Spectator,
        };
        let user = UserData { player, room: Some(room), team, build: build.to_owned(), role };
        let user = user.encode().map_err(|error| MintError(error.to_string()))?;
        mint_token_of(protocol_id, &self.0, addresses, &user, lifetime, now()?)
            .map_err(|error| MintError(error.to_string()))
    }
}

/// Since 1970.
fn now() -> Result<Duration, MintError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_err(|_| MintError("the clock of this machine stands before 1970; set it".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbiter_transport::PROTOCOL_ID;
    use arbiter_transport::netcode::ConnectToken;

    #[test]
    fn a_token_says_what_was_asked_for() {
        let key = Key::from_bytes([9; 32]);
        let addresses = ["192.0.2.1:7777".parse().expect("an address"), "[2001:db8::7]:1".parse().expect("an address")];
        let (player, room, lifetime) = (u64::MAX, 65_534, Duration::from_secs(30));
        let role = Role::Spectator;
        let request = MintRequest {
            addresses: &addresses,
            protocol_id: 0x5202,
            player,
            room,
            team: 2,
            role,
            build: "1.4.0",
            lifetime,
        };
        let bytes = KeyMint::new(key.clone()).mint(&request).expect("minted");
        let token = ConnectToken::from_bytes(&bytes[..]).expect("a token");
        assert_eq!((token.addresses.as_slice(), token.expire_seconds - token.create_seconds), (&addresses[..], 30));
        assert_eq!(token.protocol_id, 0x5202);
        let sealed = token.open_private(&key).expect("it opens");
        let said = UserData::decode(&sealed.user_data).expect("user data");
        let role = arbiter_protocol::Role::Spectator;
        assert_eq!(said, UserData { player, room: Some(room), team: 2, build: "1.4.0".into(), role });
    }

    #[test]
    fn what_no_token_can_say_is_an_error() {
        let addresses = ["192.0.2.1:7777".parse().expect("an address")];
        let lifetime = Duration::from_secs(30);
        let role = Role::Player;
        let mint = KeyMint::new(Key::from_bytes([9; 32]));
        let (addresses, protocol_id) = (&addresses[..], PROTOCOL_ID);
        let request = MintRequest { addresses, protocol_id, player: 7, room: 0, team: 0, role, build: "", lifetime };
        assert!(mint.mint(&request).is_ok());
        assert!(mint.mint(&MintRequest { build: "a\n", ..request }).is_err());
        assert!(mint.mint(&MintRequest { room: u16::MAX, ..request }).is_err());
        assert!(mint.mint(&MintRequest { addresses: &[], ..request }).is_err());
    }
}
