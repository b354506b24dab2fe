//! The header of a payload, and the messages behind its body.

use core::time::Duration;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::datagram::{Ack, HEADER_BYTES_MAX, HEADER_BYTES_MIN, Header, read};
use arbiter_transport::messages::{Messages, WHOLE_BYTES_MAX};

use crate::{Example, Script, Target, Writer};

/// The header alone.
pub const HEADER: Target = Target {
    name: "header",
    what: "the header of a payload",
    bytes_max: PAYLOAD_BYTES_MAX + 1,
    allocated_max: 4 << 10,
    run: |bytes| {
        let Ok(parts) = read(bytes) else { return };
        let front = bytes.len() - parts.body.len() - parts.messages.len();
        assert!((HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&front), "a header of {front} bytes");
        // Written again, in its shortest form, it reads the same.
        let mut again = vec![0; HEADER_BYTES_MAX];
        let count = parts.header.write(&mut again);
        assert!(count <= front, "{count} bytes are not the shortest form of {front}");
        again.truncate(count);
        again.extend_from_slice(parts.body);
        again.extend_from_slice(parts.messages);
        assert_eq!(read(&again), Ok(parts));
    },
    examples: || headers().into_iter().map(|(name, header)| (name.to_owned(), payload(header, 30))).collect(),
};

/// A header of each form.
pub fn headers() -> Vec<(&'static str, Header)> {
    let plain = Header { kind: 1, sequence: 0, time_us: 77, ack: None, body_len: None };
    let ack = |before, held_us| Some(Ack { newest: 9, before, held_us });
    vec![
        ("no-ack", plain),
        ("all", Header { sequence: 1, ack: ack(u32::MAX, Some(300)), ..plain }),
        ("run", Header { sequence: 2, ack: ack(!(7 << 4), Some(90_000)), ..plain }),
        ("bits", Header { sequence: 3, ack: ack(0x5555_1111, None), ..plain }),
        ("messages", Header { sequence: 4, body_len: Some(20), ack: ack(u32::MAX, None), ..plain }),
        ("long-body", Header { sequence: 5, body_len: Some(100), ..plain }),
        ("farewell", Header { sequence: 6, kind: 7, ..plain }),
    ]
}

fn payload(header: Header, rest: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES_MAX];
    let count = header.write(&mut bytes);
    bytes.truncate(count);
    bytes.extend((0..rest.max(usize::from(header.body_len.unwrap_or(0)) + 8)).map(|at| at as u8 | 0x20));
    bytes
}

/// Messages behind the guard: renet must never see what hurts it. A script of blocks as they stand behind a body.
pub const MESSAGES: Target = Target {
    name: "messages",
    what: "blocks of messages, through the guard into renet, with an end of our own that acknowledges and sends",
    bytes_max: 16_384,
    // A whole message is put together from pieces that renet has copied, and an attacker may make us do so for each block.
    allocated_max: 16 << 20,
    run: |bytes| {
        let mut now_us = 0;
        let mut messages = Messages::new(now_us);
        let mut script = Script(bytes);
        let mut room = [0; PAYLOAD_BYTES_MAX];
        let mut batches = Vec::new();
        for _ in 0..1_024 {
            let Some(what) = script.step() else { break };
            match what % 8 {
                0..=3 => {
                    let block = script.bytes(PAYLOAD_BYTES_MAX);
                    let taken = messages.take(block, &mut |message| {
                        assert!((1..=WHOLE_BYTES_MAX).contains(&message.len()), "a message of {}", message.len());
                    });
                    if taken.is_err() {
                        return;
                    }
                }
                4 => {
                    let length = usize::from(script.u16()) + 1;
                    messages.send(&vec![what; length]);
                }
                5 => {
                    let length = usize::from(script.u16()) % (room.len() + 1);
                    let (bytes, batch) = messages.place(&mut room[..length], now_us);
                    assert!(bytes <= length);
                    batches.extend(batch);
                }
                6 => messages.note_delivered(batches.get(usize::from(script.u8())).copied().unwrap_or(u32::MAX)),
                _ => {
                    now_us += script.pause().as_micros() as u64;
                    messages.advance(Duration::from_millis(1 + u64::from(script.u8())).as_micros() as u64, now_us);
                }
            }
        }
    },
    examples: messages_examples,
};

fn messages_examples() -> Vec<Example> {
    let block = |script: Writer, bytes: &[u8]| script.u8(0).bytes(bytes);
    let first = block(Writer::default(), &[0, 3, 0, 7, 7]);
    // A message of two pieces, the first of which is full: 900 is 0x4384 as a number of two bytes.
    let mut full = vec![0, 0x43, 0x84, 1];
    full.extend([9; 899]);
    let pieces = block(block(Writer::default(), &full), &[1, 2, 0, 9]);
    let late = block(block(Writer::default(), &[1, 2, 0, 8]), &[0, 2, 0, 9]);
    let sends =
        Writer::default().u8(4).u16(2_000).u8(7).u8(100).u8(20).u8(5).u16(1_100).u8(6).u8(0).u8(7).u8(140).u8(9);
    vec![
        ("one".into(), first.0),
        ("several".into(), block(Writer::default(), &[0, 2, 0, 7, 1, 2, 0, 7, 2, 3, 0, 1, 2]).0),
        ("pieces".into(), pieces.0),
        ("out-of-order".into(), late.0),
        ("far-ahead".into(), block(Writer::default(), &[0x40, 127, 2, 0, 7]).0),
        ("sends".into(), sends.0),
    ]
}
