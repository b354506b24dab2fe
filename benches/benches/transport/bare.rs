//! ring's open and seal and nothing around them: the floor.

use std::net::SocketAddr;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::PAYLOAD_BYTES;
use crate::subject::Peer;

const SEALED_BYTES: usize = PAYLOAD_BYTES + 16;
/// As long as what netcode signs beside a payload.
const ASSOCIATED: [u8; 22] = [1; 22];

pub struct Bare {
    key: LessSafeKey,
    addresses: Vec<SocketAddr>,
    /// Of the next packet that a client seals, that is opened, and that the server seals.
    said: u64,
    opened: u64,
    sealed: u64,
}

impl Bare {
    pub fn new(addresses: &[SocketAddr]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).expect("32 bytes are a key");
        Self { key: LessSafeKey::new(key), addresses: addresses.to_vec(), said: 0, opened: 0, sealed: 1 << 63 }
    }

    fn seal_packet(&self, sequence: u64, packet: &mut [u8]) {
        let (text, tag) = packet.split_at_mut(PAYLOAD_BYTES);
        let sealed = self.key.seal_in_place_separate_tag(nonce(sequence), Aad::from(&ASSOCIATED), text);
        tag.copy_from_slice(sealed.expect("it is short").as_ref());
    }
}

fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&sequence.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Peer for Bare {
    fn tick(&mut self) {}

    fn say(&mut self, _: usize, packet: &mut [u8]) -> usize {
        packet[..SEALED_BYTES].fill(3);
        self.seal_packet(self.said, &mut packet[..SEALED_BYTES]);
        self.said += 1;
        SEALED_BYTES
    }

    fn open(&mut self, _: SocketAddr, packet: &mut [u8]) -> bool {
        // Packets come in the order in which they were said.
        let opened = self.key.open_in_place(nonce(self.opened), Aad::from(&ASSOCIATED), packet);
        self.opened += 1;
        opened.is_ok()
    }

    fn seal(&mut self, client: usize, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let mut packet = [3; SEALED_BYTES];
        self.seal_packet(self.sealed, &mut packet);
        self.sealed += 1;
        out(self.addresses[client], &packet);
    }
}
