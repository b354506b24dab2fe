//! ring's open and seal and nothing around them: the floor.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::{PACKETS, PAYLOAD_BYTES, Subject};

const TAG_BYTES: usize = 16;
/// As long as what netcode signs beside a payload.
const ASSOCIATED: [u8; 22] = [1; 22];

pub struct Bare {
    key: LessSafeKey,
    sequence: u64,
    batch: Vec<[u8; PAYLOAD_BYTES + TAG_BYTES]>,
    first: u64,
    packets: usize,
}

impl Bare {
    pub fn new() -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).expect("32 bytes are a key");
        let batch = vec![[0; PAYLOAD_BYTES + TAG_BYTES]; PACKETS];
        Self { key: LessSafeKey::new(key), sequence: 0, batch, first: 0, packets: 0 }
    }
}

fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&sequence.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn seal(key: &LessSafeKey, sequence: u64, packet: &mut [u8; PAYLOAD_BYTES + TAG_BYTES]) {
    let (text, tag) = packet.split_at_mut(PAYLOAD_BYTES);
    let sealed = key.seal_in_place_separate_tag(nonce(sequence), Aad::from(&ASSOCIATED), text).expect("it is short");
    tag.copy_from_slice(sealed.as_ref());
}

impl Subject for Bare {
    fn prepare(&mut self, order: &[usize]) {
        (self.first, self.packets) = (self.sequence, order.len());
        for packet in &mut self.batch[..self.packets] {
            packet.fill(3);
            seal(&self.key, self.sequence, packet);
            self.sequence += 1;
        }
    }

    fn open(&mut self) -> usize {
        let numbered = (self.first..).zip(&mut self.batch[..self.packets]);
        numbered
            .filter_map(|(sequence, packet)| {
                self.key.open_in_place(nonce(sequence), Aad::from(&ASSOCIATED), &mut packet[..]).ok()
            })
            .count()
    }

    fn seal(&mut self) -> usize {
        let mut packet = [3; PAYLOAD_BYTES + TAG_BYTES];
        for _ in 0..self.packets {
            seal(&self.key, self.sequence, &mut packet);
            self.sequence += 1;
        }
        std::hint::black_box(packet);
        self.packets
    }
}
