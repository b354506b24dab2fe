//! Contract: given the same inputs, every byte that we write is the one that the reference implementation in C writes, and we
//! read its bytes back. Where the vectors come from: `tests/vectors/netcode/README.md`.

use std::net::SocketAddr;

use arbiter_transport::netcode::packet::{self, Associated, Header, Kind, Request, header_bytes};
use arbiter_transport::netcode::private::{ChallengeToken, PrivateToken};
use arbiter_transport::netcode::{Addresses, ConnectToken, Key, TAG_BYTES};

const PROTOCOL_ID: u64 = 0x1122_3344_5566_7788;
const CLIENT_ID: u64 = 0x0102_0304_0506_0708;
const TIMEOUT_SECONDS: i32 = 15;
const CREATE_SECONDS: u64 = 1_720_000_000;
const EXPIRE_SECONDS: u64 = 1_720_000_100;
const CHALLENGE_SEQUENCE: u64 = 1_000;
const PACKET_SEQUENCE: u64 = 0x11_2233_4455;
const PRIVATE_KEY: [u8; 32] = [
    0x60, 0x6a, 0xbe, 0x6e, 0xc9, 0x19, 0x10, 0xea, 0x9a, 0x65, 0x62, 0xf6, 0x6f, 0x2b, 0x30, 0xe4, 0x43, 0x71, 0xd6,
    0x2c, 0xd1, 0x99, 0x27, 0x26, 0x6b, 0x3c, 0x60, 0xf4, 0xb7, 0x15, 0xab, 0xa1,
];

const PRIVATE_PLAIN: &[u8; 1_024] =
    include_bytes!("../../../tests/vectors/netcode/private_connect_token_plaintext.bin");
const PRIVATE_SEALED: &[u8; 1_024] =
    include_bytes!("../../../tests/vectors/netcode/private_connect_token_encrypted.bin");
const CONNECT_TOKEN: &[u8; 2_048] = include_bytes!("../../../tests/vectors/netcode/connect_token.bin");
const CHALLENGE_TOKEN: &[u8; 300] = include_bytes!("../../../tests/vectors/netcode/challenge_token_encrypted.bin");
const REQUEST: &[u8; packet::REQUEST_BYTES] = include_bytes!("../../../tests/vectors/netcode/packet_request.bin");
const DENIED: &[u8] = include_bytes!("../../../tests/vectors/netcode/packet_denied.bin");
const CHALLENGE: &[u8] = include_bytes!("../../../tests/vectors/netcode/packet_challenge.bin");
const RESPONSE: &[u8] = include_bytes!("../../../tests/vectors/netcode/packet_response.bin");
const KEEP_ALIVE: &[u8] = include_bytes!("../../../tests/vectors/netcode/packet_keep_alive.bin");
const PAYLOAD: &[u8] = include_bytes!("../../../tests/vectors/netcode/packet_payload.bin");
const DISCONNECT: &[u8] = include_bytes!("../../../tests/vectors/netcode/packet_disconnect.bin");

fn key(byte: impl Fn(usize) -> usize) -> Key {
    Key::from_bytes(std::array::from_fn(|at| byte(at) as u8))
}

fn packet_key() -> Key {
    key(|at| at + 17)
}

fn nonce() -> [u8; 24] {
    std::array::from_fn(|at| 100 + at as u8)
}

fn addresses() -> Addresses {
    ["127.0.0.1:40000", "[::1]:50000"].map(|text| text.parse::<SocketAddr>().unwrap()).into_iter().collect()
}

fn private() -> PrivateToken {
    PrivateToken {
        client_id: CLIENT_ID,
        timeout_seconds: TIMEOUT_SECONDS,
        addresses: addresses(),
        to_server: key(|at| at),
        to_client: key(|at| 255 - at),
        user_data: std::array::from_fn(|at| at as u8),
    }
}

#[test]
fn the_private_part_of_a_token_is_written_as_the_reference_writes_it() {
    let sealed = private().seal(&Key::from_bytes(PRIVATE_KEY), PROTOCOL_ID, EXPIRE_SECONDS, &nonce());
    assert_eq!(*sealed, *PRIVATE_SEALED);
}

#[test]
fn the_private_part_of_a_token_by_the_reference_is_read() {
    let mut bytes = *PRIVATE_SEALED;
    let key = Key::from_bytes(PRIVATE_KEY);
    let read = PrivateToken::open(&key, PROTOCOL_ID, EXPIRE_SECONDS, &nonce(), &mut bytes).unwrap();
    assert_eq!(bytes[..1_008], PRIVATE_PLAIN[..1_008]);
    let made = private();
    assert_eq!((read.client_id, read.timeout_seconds), (CLIENT_ID, TIMEOUT_SECONDS));
    assert_eq!((read.addresses, read.user_data), (made.addresses, made.user_data));
    assert_eq!(read.to_server.as_bytes(), made.to_server.as_bytes());
    assert_eq!(read.to_client.as_bytes(), made.to_client.as_bytes());
}

#[test]
fn a_connect_token_is_written_and_read_as_the_reference_does() {
    let made = private();
    let token = ConnectToken {
        protocol_id: PROTOCOL_ID,
        create_seconds: CREATE_SECONDS,
        expire_seconds: EXPIRE_SECONDS,
        nonce: nonce(),
        private: Box::new(*PRIVATE_SEALED),
        timeout_seconds: TIMEOUT_SECONDS,
        addresses: made.addresses,
        to_server: made.to_server,
        to_client: made.to_client,
    };
    assert_eq!(*token.to_bytes(), *CONNECT_TOKEN);
    assert_eq!(*ConnectToken::from_bytes(CONNECT_TOKEN).unwrap().to_bytes(), *CONNECT_TOKEN);
}

#[test]
fn a_challenge_token_is_written_and_read_as_the_reference_does() {
    let key = key(|at| at * 2);
    let user_data = private().user_data;
    let token = ChallengeToken { client_id: CLIENT_ID, user_data: &user_data };
    let mut bytes = [0; 300];
    assert!(token.seal(&key, CHALLENGE_SEQUENCE, &mut bytes));
    assert_eq!(bytes, *CHALLENGE_TOKEN);
    assert_eq!(ChallengeToken::open(&key, CHALLENGE_SEQUENCE, &mut bytes), Some(token));
}

#[test]
fn a_request_is_written_and_read_as_the_reference_does() {
    let mut bytes = [0; packet::REQUEST_BYTES];
    packet::write_request(&mut bytes, PROTOCOL_ID, EXPIRE_SECONDS, &nonce(), PRIVATE_SEALED);
    assert_eq!(bytes, *REQUEST);
    let request = Request::read(&mut bytes, PROTOCOL_ID).unwrap();
    assert_eq!((request.expire_seconds, *request.nonce, *request.private), (EXPIRE_SECONDS, nonce(), *PRIVATE_SEALED));
}

#[test]
fn every_sealed_packet_is_written_and_read_as_the_reference_does() {
    let challenge = [&CHALLENGE_SEQUENCE.to_le_bytes()[..], CHALLENGE_TOKEN].concat();
    let slot_7_of_32 = [&7_u32.to_le_bytes()[..], &32_u32.to_le_bytes()].concat();
    let payload: Vec<u8> = (0..1_200).map(|at| at as u8).collect();
    let associated = Associated::new(PROTOCOL_ID);
    for (kind, body, vector) in [
        (Kind::Denied, &[][..], DENIED),
        (Kind::Challenge, &challenge, CHALLENGE),
        (Kind::Response, &challenge, RESPONSE),
        (Kind::KeepAlive, &slot_7_of_32, KEEP_ALIVE),
        (Kind::Payload, &payload, PAYLOAD),
        (Kind::Disconnect, &[], DISCONNECT),
    ] {
        let header = header_bytes(PACKET_SEQUENCE);
        let mut bytes = vec![0; header + body.len() + TAG_BYTES];
        bytes[header..header + body.len()].copy_from_slice(body);
        assert!(packet::seal(&mut bytes, kind, PACKET_SEQUENCE, &packet_key(), &associated));
        assert_eq!(bytes, vector, "{kind:?}");

        let read = Header::read(&bytes).unwrap();
        assert_eq!((read.kind, read.sequence), (kind, PACKET_SEQUENCE));
        assert_eq!(read.open(&mut bytes, &packet_key(), &associated).unwrap(), body, "{kind:?}");
    }
}
