//! Tokens, packets and the two state machines of netcode: everything that a stranger, a client with a token and a false
//! server can send. Keys are fixed, so that what is sealed here opens there.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use arbiter_transport::netcode::packet::{self, Associated, Header, Kind, Request, read_challenge, read_keep_alive};
use arbiter_transport::netcode::private::{PRIVATE_BYTES, PrivateToken};
use arbiter_transport::netcode::token::Addresses;
use arbiter_transport::netcode::{
    Client, ClientReceived, ConnectToken, Counters, KEY_BYTES, Key, PACKET_BYTES_MAX, Received, Server, ServerConfig,
    TOKEN_NONCE_BYTES, TokenHistory, USER_DATA_BYTES,
};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use crate::{Example, Script, Target, Writer};

const PROTOCOL_ID: u64 = 7;
const NOW: Duration = Duration::from_secs(1_700_000_000);
const EXPIRY_SECONDS: u64 = NOW.as_secs() + 30;
const KEY: [u8; KEY_BYTES] = [1; KEY_BYTES];
const TO_SERVER: [u8; KEY_BYTES] = [2; KEY_BYTES];
const TO_CLIENT: [u8; KEY_BYTES] = [3; KEY_BYTES];
const KINDS: [Kind; 6] =
    [Kind::Denied, Kind::Challenge, Kind::Response, Kind::KeepAlive, Kind::Payload, Kind::Disconnect];
/// Largest datagram that a socket hands over.
const DATAGRAM_BYTES_MAX: usize = 1_400;
/// Steps of a script: an hour of pauses in each would only take time.
const STEPS_MAX: usize = 256;

fn server_address() -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, 1), 7_000).into()
}

fn client_address(number: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 1, 0, number), 9_000).into()
}

/// A token whose keys depend on its number alone.
fn token(number: u8) -> ConnectToken {
    let addresses: Addresses = core::iter::once(server_address()).collect();
    let private = PrivateToken {
        client_id: u64::from(number),
        timeout_seconds: 5,
        addresses: addresses.clone(),
        to_server: Key::from_bytes(TO_SERVER),
        to_client: Key::from_bytes(TO_CLIENT),
        user_data: [number; USER_DATA_BYTES],
    };
    let nonce = [number; TOKEN_NONCE_BYTES];
    ConnectToken {
        protocol_id: PROTOCOL_ID,
        create_seconds: NOW.as_secs(),
        expire_seconds: EXPIRY_SECONDS,
        nonce,
        private: private.seal(&Key::from_bytes(KEY), PROTOCOL_ID, EXPIRY_SECONDS, &nonce),
        timeout_seconds: 5,
        addresses,
        to_server: private.to_server.clone(),
        to_client: private.to_client.clone(),
    }
}

fn request(token: &ConnectToken) -> [u8; packet::REQUEST_BYTES] {
    let mut bytes = [0; packet::REQUEST_BYTES];
    packet::write_request(&mut bytes, PROTOCOL_ID, token.expire_seconds, &token.nonce, &token.private);
    bytes
}

/// Seals a private part that says anything at all: what only the maker of tokens could, if the key were lost.
fn seal_anything(plain: &[u8], nonce: &[u8; TOKEN_NONCE_BYTES]) -> Box<[u8; PRIVATE_BYTES]> {
    let mut bytes = Box::new([0; PRIVATE_BYTES]);
    let (text, tag) = bytes.split_last_chunk_mut::<16>().expect("it has 1,024 bytes");
    let count = plain.len().min(text.len());
    text[..count].copy_from_slice(&plain[..count]);
    let associated = [&b"NETCODE 1.02\0"[..], &PROTOCOL_ID.to_le_bytes(), &EXPIRY_SECONDS.to_le_bytes()].concat();
    let cipher = XChaCha20Poly1305::new(&KEY.into());
    let sealed = cipher.encrypt_inout_detached(nonce.into(), &associated, text.into()).expect("1,008 bytes are few");
    tag.copy_from_slice(&sealed);
    bytes
}

/// Connect tokens, from outside and inside.
pub const TOKEN: Target = Target {
    name: "token",
    what: "connect tokens and their private part",
    bytes_max: 2_100,
    allocated_max: 16 << 10,
    run: |bytes| {
        if let Ok(token) = ConnectToken::from_bytes(bytes) {
            let again = ConnectToken::from_bytes(&token.to_bytes()[..]).expect("what was read can be written and read");
            assert_eq!(token.to_bytes(), again.to_bytes());
            let _ = token.open_private(&Key::from_bytes(KEY));
            let mut client = Client::new(token, NOW).expect("a token that was read has an address");
            client.update(NOW, &mut |_, _| {});
            client.update(NOW + Duration::from_secs(3_600), &mut |_, _| {});
        }
        let nonce = [9; TOKEN_NONCE_BYTES];
        let mut private = seal_anything(bytes, &nonce);
        let key = Key::from_bytes(KEY);
        if let Some(read) = PrivateToken::open(&key, PROTOCOL_ID, EXPIRY_SECONDS, &nonce, &mut private) {
            let mut again = read.seal(&key, PROTOCOL_ID, EXPIRY_SECONDS, &nonce);
            assert!(PrivateToken::open(&key, PROTOCOL_ID, EXPIRY_SECONDS, &nonce, &mut again).is_some());
        }
    },
    examples: || {
        let mut two = token(2);
        two.addresses.push("[2001:db8::1]:7000".parse().expect("an address"));
        let mut private = two.private.clone();
        let key = Key::from_bytes(KEY);
        PrivateToken::open(&key, PROTOCOL_ID, EXPIRY_SECONDS, &two.nonce, &mut private).expect("it is ours");
        let mut many = private.clone();
        many[12] = 32;
        (0..32).for_each(|at| many[16 + at * 7..][..7].copy_from_slice(&[1, 10, 0, 0, at as u8, 1, 2]));
        vec![
            ("ipv4".into(), token(1).to_bytes().to_vec()),
            ("ipv4-and-ipv6".into(), two.to_bytes().to_vec()),
            ("private".into(), private.to_vec()),
            ("private-32-addresses".into(), many.to_vec()),
        ]
    },
};

/// Packets and requests, each for itself.
pub const PACKET: Target = Target {
    name: "packet",
    what: "netcode packets, requests, challenges and keep-alives",
    bytes_max: DATAGRAM_BYTES_MAX,
    allocated_max: 8 << 10,
    run: |bytes| {
        let mut copy = bytes.to_vec();
        if let Ok(request) = Request::read(&mut copy, PROTOCOL_ID) {
            let _ = (request.expire_seconds, request.nonce, request.private.len());
        }
        let associated = Associated::new(PROTOCOL_ID);
        if let Some(header) = Header::read(bytes) {
            assert!(header.open(&mut bytes.to_vec(), &Key::from_bytes(TO_CLIENT), &associated).is_none());
        }
        let _ = (read_challenge(&mut bytes.to_vec()), read_keep_alive(bytes));
        // As a body of each kind, sealed and opened again: any length that the kind may have comes back as it was.
        let mut script = Script(bytes);
        let (kind, sequence) = (KINDS[usize::from(script.u8()) % KINDS.len()], script.u64());
        let Some(mut packet) = sealed(kind, sequence, &TO_SERVER, script.0) else { return };
        let header = Header::read(&packet).expect("what was sealed has a header");
        assert_eq!((header.kind, header.sequence), (kind, sequence));
        let opened = header.open(&mut packet, &Key::from_bytes(TO_SERVER), &associated).expect("it opens");
        assert_eq!(opened, script.0);
    },
    examples: || {
        let body =
            |kind: u8, bytes: &[u8]| Writer::default().u8(kind).u64(300).0.into_iter().chain(bytes.to_vec()).collect();
        let mut examples: Vec<Example> = vec![("request".into(), request(&token(1)).to_vec())];
        for (kind, len) in [(0, 0), (1, 308), (2, 308), (3, 8), (4, 200), (5, 0)] {
            examples.push((format!("body-{kind}"), body(kind, &vec![5; len])));
        }
        examples.push(("sealed".into(), sealed(Kind::Payload, 5, &TO_SERVER, &[7; 40]).expect("it fits")));
        examples
    },
};

/// A packet with this body; `None` if the kind may not have one of this length.
fn sealed(kind: Kind, sequence: u64, key: &[u8; KEY_BYTES], body: &[u8]) -> Option<Vec<u8>> {
    let header = packet::header_bytes(sequence);
    let mut packet = vec![0; header + body.len() + 16];
    packet[header..header + body.len()].copy_from_slice(body);
    packet::seal(&mut packet, kind, sequence, &Key::from_bytes(*key), &Associated::new(PROTOCOL_ID)).then_some(packet)
}

/// What became of a datagram: the sum must be the number of them.
fn outcomes(counters: &Counters) -> u64 {
    [
        counters.payloads,
        counters.keep_alives,
        counters.disconnects,
        counters.challenges,
        counters.connects,
        counters.denials,
        counters.malformed,
        counters.strangers,
        counters.replays,
        counters.forgeries,
        counters.untimely,
        counters.other_version,
        counters.other_protocol,
        counters.expired,
        counters.long_lived,
        counters.source_limited,
        counters.total_limited,
        counters.forged_tokens,
        counters.other_server,
        counters.already_connected,
        counters.reused_tokens,
        counters.history_full,
        counters.pending_full,
        counters.forged_challenges,
    ]
    .iter()
    .sum()
}

/// A server that all addresses of a script send to.
struct Attacked {
    server: Server,
    now: Duration,
    answers: Vec<(SocketAddr, Vec<u8>)>,
}

impl Attacked {
    fn receive(&mut self, from: SocketAddr, mut datagram: Vec<u8>) {
        let (bytes, answered) = (datagram.len(), self.answers.len());
        let answers = &mut self.answers;
        let received =
            self.server.receive(self.now, from, &mut datagram, &mut |to, answer| answers.push((to, answer.to_vec())));
        if let Received::Payload { payload, .. } = received {
            assert!((1..=1_200).contains(&payload.len()));
        }
        let new = &self.answers[answered..];
        assert!(new.len() <= 1, "one answer at most");
        for (to, answer) in new {
            assert!(*to == from && answer.len() < bytes, "{} bytes were answered with {} to {to}", bytes, answer.len());
        }
        assert_eq!(outcomes(self.server.counters()), self.server.counters().received, "each datagram has an outcome");
    }

    /// An honest handshake with the token of a number, as far as the server lets it.
    fn connect(&mut self, number: u8) {
        let from = client_address(number);
        let mut client = Client::new(token(number), self.now).expect("our token");
        for _ in 0..2 {
            let mut sent = Vec::new();
            client.update(self.now, &mut |_, datagram| sent.push(datagram.to_vec()));
            let answered = self.answers.len();
            sent.into_iter().for_each(|datagram| self.receive(from, datagram));
            for (_, mut answer) in self.answers.split_off(answered) {
                client.receive(self.now, server_address(), &mut answer);
            }
        }
    }
}

/// A server, against strangers and bearers of tokens.
pub const SERVER: Target = Target {
    name: "server",
    what: "the server's end of netcode, against any order of datagrams, from strangers and from clients",
    bytes_max: 8_192,
    allocated_max: 4 << 20,
    run: |bytes| {
        let history = Arc::new(TokenHistory::new(16).expect("the system has randomness"));
        let mut config = ServerConfig::new(Key::from_bytes(KEY), PROTOCOL_ID, vec![server_address()], 3, history);
        config.pending_max = 4;
        let server = Server::new(config, NOW).expect("the system has randomness");
        let mut all = Attacked { server, now: NOW, answers: Vec::new() };
        let mut script = Script(bytes);
        for _ in 0..STEPS_MAX {
            let Some(what) = script.step() else { break };
            let number = what >> 4 & 7;
            let from = client_address(number);
            match what & 15 {
                0 | 1 => all.receive(from, script.bytes(DATAGRAM_BYTES_MAX).to_vec()),
                2 => all.connect(number),
                3 => all.receive(from, request(&token(script.u8())).to_vec()),
                // A request whose private part opens, and says anything.
                4 => {
                    let nonce = [script.u8(); TOKEN_NONCE_BYTES];
                    let private = seal_anything(script.bytes(PRIVATE_BYTES), &nonce);
                    let mut datagram = [0; packet::REQUEST_BYTES];
                    packet::write_request(&mut datagram, PROTOCOL_ID, EXPIRY_SECONDS, &nonce, &private);
                    all.receive(from, datagram.to_vec());
                }
                // What the bearer of a token can seal: any kind, number and body.
                5..=9 => {
                    let (kind, sequence) = (KINDS[usize::from(script.u8()) % KINDS.len()], script.u64());
                    if let Some(datagram) = sealed(kind, sequence, &TO_SERVER, script.bytes(1_200)) {
                        all.receive(from, datagram);
                    }
                }
                // What the server itself has sent, sent back.
                10 => {
                    if let Some((_, answer)) = all.answers.pop() {
                        all.receive(from, answer);
                    }
                }
                11 => {
                    if let Some(connection) = all.server.connection(usize::from(number)) {
                        let mut datagram = [0; PACKET_BYTES_MAX];
                        let _ = all.server.seal(connection, script.bytes(1_201), &mut datagram, &mut |_, _| {});
                    }
                }
                12 => {
                    if let Some(connection) = all.server.connection(usize::from(number)) {
                        all.server.disconnect(connection, &mut |_, _| {});
                        assert!(!all.server.is_connected(connection));
                    }
                }
                _ => {
                    all.now += script.pause();
                    all.server.update(all.now, &mut |_, _| {}, &mut |_, _| {});
                }
            }
            assert!(all.server.clients() <= 3 && all.server.pending() <= 4);
            assert_eq!(all.server.connections().count(), all.server.clients());
        }
    },
    examples: server_examples,
};

fn server_examples() -> Vec<Example> {
    let connect = |number: u8| Writer::default().u8(2 | number << 4);
    let raw = |bytes: &[u8]| Writer::default().u8(0).bytes(bytes).0;
    let seal = |script: Writer, kind: u8, sequence: u64, body: &[u8]| script.u8(5).u8(kind).u64(sequence).bytes(body);
    let mut private = token(1).private;
    let key = Key::from_bytes(KEY);
    PrivateToken::open(&key, PROTOCOL_ID, EXPIRY_SECONDS, &[1; 24], &mut private).expect("it is ours");
    let full = (0..5).fold(Writer::default(), |script, number| script.u8(2 | number << 4));
    let replay = seal(seal(connect(0), 4, 9, &[1; 30]), 4, 9, &[1; 30]);
    vec![
        ("request".into(), raw(&request(&token(1)))),
        ("connect".into(), connect(0).0),
        ("connect-full".into(), full.0),
        ("payloads".into(), seal(seal(connect(0), 4, 5, &[1; 200]), 4, 6, &[1; 1_200]).0),
        ("replayed".into(), replay.0),
        ("keep-alive".into(), seal(connect(0), 3, 5, &[0; 8]).0),
        ("disconnect".into(), seal(connect(0), 5, 5, &[]).u8(2).0),
        ("timed-out".into(), connect(0).u8(13).u8(24 << 3).u8(13).u8(25 << 3).u8(2).0),
        ("kicked".into(), connect(0).u8(12).u8(2).0),
        ("sends".into(), connect(0).u8(11).bytes(&[4; 100]).0),
        ("private".into(), Writer::default().u8(4).u8(7).bytes(&private[..]).u8(10).0),
        ("another-response".into(), seal(Writer::default().u8(3).u8(1), 2, 1, &[0; 308]).0),
    ]
}

/// A client, against a server that has its keys and means no good.
pub const CLIENT: Target = Target {
    name: "client",
    what: "the client's end of netcode, against any order of datagrams that its server may seal",
    bytes_max: 8_192,
    allocated_max: 1 << 20,
    run: |bytes| {
        let mut client = Client::new(token(1), NOW).expect("our token");
        let (mut now, mut script) = (NOW, Script(bytes));
        let receive = |client: &mut Client, now, mut datagram: Vec<u8>| {
            if let ClientReceived::Payload(payload) = client.receive(now, server_address(), &mut datagram) {
                assert!((1..=1_200).contains(&payload.len()));
            }
        };
        for _ in 0..STEPS_MAX {
            let Some(what) = script.step() else { break };
            match what % 8 {
                0 => receive(&mut client, now, script.bytes(DATAGRAM_BYTES_MAX).to_vec()),
                1..=4 => {
                    let (kind, sequence) = (KINDS[usize::from(script.u8()) % KINDS.len()], script.u64());
                    if let Some(datagram) = sealed(kind, sequence, &TO_CLIENT, script.bytes(1_200)) {
                        receive(&mut client, now, datagram);
                    }
                }
                5 => {
                    let mut datagram = [0; PACKET_BYTES_MAX];
                    let _ = client.seal(script.bytes(1_201), &mut datagram);
                }
                6 => client.disconnect(&mut |_, _| {}),
                _ => {
                    now += script.pause();
                    client.update(now, &mut |_, datagram| assert!(datagram.len() <= PACKET_BYTES_MAX));
                }
            }
        }
    },
    examples: || {
        let seal =
            |script: Writer, kind: u8, sequence: u64, body: &[u8]| script.u8(1).u8(kind).u64(sequence).bytes(body);
        let challenged = || seal(Writer::default().u8(7).u8(0), 1, 1 << 63, &[6; 308]).u8(7).u8(100);
        let connected = || seal(challenged(), 3, 0, &[0, 0, 0, 0, 3, 0, 0, 0]);
        vec![
            ("challenged".into(), challenged().0),
            ("denied".into(), seal(Writer::default(), 0, 1 << 63, &[]).u8(7).u8(250).0),
            ("connected".into(), connected().0),
            ("payloads".into(), seal(seal(connected(), 4, 1, &[1; 300]), 4, 2, &[1; 1_200]).u8(5).bytes(&[3; 90]).0),
            ("disconnected".into(), seal(connected(), 5, 3, &[]).u8(7).u8(120).0),
            ("timed-out".into(), connected().u8(7).u8(24 << 3).u8(7).u8(25 << 3).0),
        ]
    },
};
