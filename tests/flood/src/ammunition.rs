//! Packets that whoever knows the address of a server can send to it, made before the flood so that sending is all it does.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use arbiter_transport::netcode::packet::{REQUEST_BYTES, write_request};
use arbiter_transport::netcode::{ConnectToken, PACKET_BYTES_MAX};
use arbiter_transport::{Body, ClientConnection, Key, PROTOCOL_ID, USER_DATA_BYTES, mint_token};

/// Packets of which each sender sends one after the other.
const PACKETS: usize = 8_192;
/// Tokens that are shown and never used further.
const TOKENS: usize = 512;
/// How long they live: beyond the longest usual flood, so that what they cost is not cut short by expiry.
const LIFETIME: Duration = Duration::from_secs(120);
/// Datagrams of a real connection, taken from the wire as an eavesdropper would.
const CAPTURED: usize = 64;

/// What is fired.
pub struct Ammunition {
    /// At whom.
    pub server: SocketAddr,
    /// In this order.
    pub packets: Vec<Vec<u8>>,
    kinds: BTreeMap<&'static str, usize>,
}

impl Ammunition {
    /// How many of each kind.
    pub fn summary(&self) -> String {
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        kinds.join(", ")
    }
}

/// The time by which tokens expire.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A small random stream: the same flood each time.
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }

    /// A number below another.
    pub fn below(&mut self, below: usize) -> usize {
        self.next() as usize % below
    }

    /// Random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Makes packets of every kind.
pub fn make(server: SocketAddr, key: &Key) -> Result<Ammunition> {
    let mut dice = Dice(11);
    let requests = (0..TOKENS).map(|_| request(server, key)).collect::<Result<Vec<_>>>()?;
    let captured = capture(server, key)?;
    let mut kinds = BTreeMap::new();
    let packets = (0..PACKETS)
        .map(|at| {
            let request = &requests[at % requests.len()];
            let (kind, packet) = match at % 16 {
                0..=3 => {
                    let count = 1 + dice.below(1_400);
                    ("junk", dice.bytes(count))
                }
                // Looks like a payload of somebody: only the address tells that nobody is known there.
                4..=6 => {
                    let count = 18 + dice.below(400);
                    let mut packet = dice.bytes(count);
                    packet[0] = 0x15;
                    ("strangers' payloads", packet)
                }
                7 | 8 => ("truncated", request[..dice.below(request.len())].to_vec()),
                // Passes every check that needs no key, and costs a decryption each.
                9..=11 => {
                    let mut packet = request.clone();
                    let private = packet.len() - 1_024;
                    packet[private..].copy_from_slice(&dice.bytes(1_024));
                    ("forged requests", packet)
                }
                // From any number of sources, none of which answers the challenge.
                12 | 13 => ("unfinished handshakes", request.clone()),
                _ => ("replayed", captured[dice.below(captured.len())].clone()),
            };
            *kinds.entry(kind).or_insert(0) += 1;
            packet
        })
        .collect();
    Ok(Ammunition { server, packets, kinds })
}

/// A connection request with a token of its own.
fn request(server: SocketAddr, key: &Key) -> Result<Vec<u8>> {
    let token = mint_token(key, &[server], &[0; USER_DATA_BYTES], LIFETIME, now())?;
    let token = ConnectToken::from_bytes(&token[..])?;
    let mut packet = [0; REQUEST_BYTES];
    write_request(&mut packet, PROTOCOL_ID, token.expire_seconds, &token.nonce, &token.private);
    Ok(packet.to_vec())
}

/// What an honest client sends while it connects and stays for a moment.
fn capture(server: SocketAddr, key: &Key) -> Result<Vec<Vec<u8>>> {
    let token = mint_token(key, &[server], &[0; USER_DATA_BYTES], LIFETIME, now())?;
    let mut connection = ClientConnection::new(&token[..], now())?;
    let socket = UdpSocket::bind("127.99.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(5)))?;
    let mut captured = Vec::new();
    let mut buffer = [0; PACKET_BYTES_MAX];
    let until = now() + Duration::from_secs(5);
    while captured.len() < CAPTURED && now() < until {
        let mut out = |to: SocketAddr, datagram: &[u8]| {
            captured.push(datagram.to_vec());
            // What does not leave is captured all the same.
            let _ = socket.send_to(datagram, to);
        };
        if let Ok((count, from)) = socket.recv_from(&mut buffer) {
            connection.receive(now(), from, &mut buffer[..count], &mut out, &mut |_| {});
        }
        connection.advance(now(), &mut out, &mut |_| {});
        if connection.is_connected() {
            let body = Body { kind: 2, tag: 0, bytes: &[9; 30] };
            // What the rate does not allow yet is sent in the next round.
            let _ = connection.send_body(now(), body, &mut out);
        }
    }
    connection.disconnect(now(), &mut |to, datagram| drop(socket.send_to(datagram, to)));
    Ok(captured)
}
