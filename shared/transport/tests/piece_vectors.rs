//! Contract: messages behind a body are written and read as `tests/vectors/pieces.txt` says.

use arbiter_transport::messages::Messages;

#[path = "../../../tests/vectors/lines.rs"]
mod lines;
use lines::{READ_ONLY, bytes, hex, vectors};

const PIECES: &str = include_str!("../../../tests/vectors/pieces.txt");

/// What a receiver hands out, or why it refuses.
fn read(block: &[u8]) -> String {
    let mut told = Vec::new();
    match Messages::new(0).take(block, &mut |message| told.push(format!("[{}]", hex(message)))) {
        Ok(()) => told.join(" "),
        Err(violation) => format!("refused: {violation}"),
    }
}

/// What a sender puts behind a body for these messages; as much as is ready at once.
fn write(meaning: &str) -> Vec<u8> {
    let mut messages = Messages::new(0);
    for message in meaning.split(' ') {
        assert!(messages.send(&bytes(message.trim_matches(['[', ']']))));
    }
    messages.advance(100_000, 0);
    let mut block = Vec::new();
    loop {
        let mut room = [0; 1_200];
        let (len, _) = messages.place(&mut room, 0);
        if len == 0 {
            return block;
        }
        block.extend_from_slice(&room[..len]);
    }
}

#[test]
fn pieces_are_read_as_the_vectors_say() {
    for (block, meaning) in vectors(PIECES) {
        assert_eq!(read(&block), meaning.strip_prefix(READ_ONLY).unwrap_or(meaning).trim(), "{}", hex(&block));
    }
}

#[test]
fn pieces_are_written_as_the_vectors_say() {
    let written = vectors(PIECES).filter(|(_, meaning)| meaning.starts_with('['));
    for (block, meaning) in written {
        assert_eq!(hex(&write(meaning)), hex(&block), "{meaning}");
    }
}
