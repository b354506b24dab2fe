//! Contract: a header is read as it was written, in the form that docs/protocol.md describes and tests/vectors/ fixes, and no
//! bytes whatever do more than be refused.

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::datagram::{
    Ack, HEADER_BYTES_MAX, HEADER_BYTES_TYPICAL, Header, KIND_EMPTY, KIND_FAREWELL, NUMBERS, read,
};
use proptest::prelude::*;

#[path = "../../../tests/vectors/lines.rs"]
mod lines;
use lines::{hex, vectors};

const VECTORS: &str = include_str!("../../../tests/vectors/datagram_header.txt");

fn describe(payload: &[u8]) -> String {
    let parts = match read(payload) {
        Ok(parts) => parts,
        Err(violation) => return format!("refused: {violation}"),
    };
    let Header { kind, sequence, time_us, ack, .. } = parts.header;
    let ack = ack.map_or("none".to_owned(), |Ack { newest, before, held_us }| {
        let held = held_us.map_or("unknown".to_owned(), |held| held.to_string());
        format!("{newest} before {before:08x} held {held}")
    });
    format!(
        "kind {kind} sequence {sequence} time {time_us} ack {ack} body [{}] messages [{}]",
        hex(parts.body),
        hex(parts.messages)
    )
}

#[test]
fn the_vectors_are_read_as_they_say() {
    let mut count = 0;
    for (payload, meaning) in vectors(VECTORS) {
        assert_eq!(describe(&payload), meaning, "{payload:02x?}");
        count += 1;
    }
    assert!(count >= 16, "{count} vectors");
}

#[test]
fn the_vectors_are_written_as_they_stand() {
    let mut out = [0; HEADER_BYTES_MAX];
    for (payload, meaning) in vectors(VECTORS) {
        let Ok(parts) = read(&payload) else { continue };
        let len = parts.header.write(&mut out);
        assert_eq!(out[..len], payload[..len], "{meaning}");
    }
}

#[test]
fn a_usual_header_takes_seven_bytes() {
    let ack = Some(Ack { newest: 77, before: u32::MAX, held_us: Some(8_000) });
    let header = Header { kind: 2, sequence: 1, time_us: 9, ack, body_len: None };
    assert_eq!((header.write(&mut [0; HEADER_BYTES_MAX]), HEADER_BYTES_TYPICAL), (7, 7));
}

fn any_ack() -> impl Strategy<Value = Ack> {
    let before = prop_oneof![
        Just(u32::MAX),
        any::<u32>(),
        (0..32_u32, 1..9_u32).prop_map(|(start, length)| !(((1 << length) - 1) << start)),
    ];
    let held = prop_oneof![
        Just(None),
        (0..512_u32).prop_map(|steps| Some(steps * 64)),
        (0..256_u32).prop_map(|steps| Some(32_768 + steps * 256)),
        (0..255_u32).prop_map(|steps| Some(98_304 + steps * 8_192)),
    ];
    (0..NUMBERS, before, held).prop_map(|(newest, before, held_us)| Ack { newest, before, held_us })
}

fn any_header() -> impl Strategy<Value = (Header, Vec<u8>, Vec<u8>)> {
    let times = (0..1_u32 << 16).prop_map(|steps| steps * 64);
    let numbers = (0..NUMBERS, times, proptest::option::of(any_ack()));
    let bodies = (1..=KIND_FAREWELL, proptest::collection::vec(any::<u8>(), 0..1_000));
    let messages = proptest::option::of(proptest::collection::vec(any::<u8>(), 1..100));
    (numbers, bodies, messages).prop_map(|((sequence, time_us, ack), (kind, body), messages)| {
        let kind = if body.is_empty() { KIND_EMPTY } else { kind };
        let body_len = messages.is_some().then_some(body.len() as u16);
        (Header { kind, sequence, time_us, ack, body_len }, body, messages.unwrap_or_default())
    })
}

proptest! {
    #[test]
    fn a_header_comes_back((header, body, messages) in any_header()) {
        let mut payload = vec![0; HEADER_BYTES_MAX];
        let len = header.write(&mut payload);
        payload.truncate(len);
        payload.extend_from_slice(&body);
        payload.extend_from_slice(&messages);
        let parts = read(&payload).expect("what was written");
        prop_assert_eq!(parts.header, header);
        prop_assert_eq!(parts.body, &body[..]);
        prop_assert_eq!(parts.messages, &messages[..]);
    }

    #[test]
    fn any_bytes_are_read_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..PAYLOAD_BYTES_MAX + 9)) {
        if let Ok(parts) = read(&payload) {
            // What was read can be written: a reader never invents a header.
            let mut out = [0; HEADER_BYTES_MAX];
            let len = parts.header.write(&mut out);
            let mut again = out[..len].to_vec();
            again.extend_from_slice(parts.body);
            again.extend_from_slice(parts.messages);
            prop_assert_eq!(read(&again), Ok(parts));
        }
    }
}
