//! Messages without a link: what leaves when, and what never reaches renet.

use super::*;

const TIMEOUT_US: u64 = 100_000;

#[test]
fn numbers_come_back() {
    for value in [0, 63, 64, 16_383, 16_384, 0x3FFF_FFFF, 0x4000_0000, 1 << 61] {
        let mut bytes = Vec::new();
        put_varint(value, &mut bytes);
        assert_eq!(varint(&bytes), Some((value, bytes.len())));
    }
    assert_eq!((varint(&[]), varint(&[0x40]), varint(&[0xC0, 1, 2])), (None, None, None));
}

#[test]
fn a_message_leaves_once_until_it_is_overdue_and_never_again_after_it_came() {
    let mut messages = Messages::new(0);
    let mut room = [0; 1_000];
    assert!(messages.send(b"hello"));
    messages.advance(TIMEOUT_US, 1_000);
    let (len, batch) = messages.place(&mut room, 1_000);
    assert_eq!(&room[..len], b"\0\x06\0hello");
    messages.advance(TIMEOUT_US, 60_000);
    assert_eq!(messages.place(&mut room, 60_000), (0, None));
    messages.advance(TIMEOUT_US, 102_000);
    let (again, second) = messages.place(&mut room, 102_000);
    assert_eq!((again, second), (len, batch.map(|batch| batch + 1)));
    assert!(!messages.is_flushed());
    messages.note_delivered(batch.expect("a batch"));
    assert!(messages.is_flushed());
    messages.note_delivered(second.expect("a batch"));
    messages.advance(TIMEOUT_US, 1_000_000);
    assert_eq!(messages.place(&mut room, 1_000_000), (0, None));
}

#[test]
fn a_message_waits_for_a_datagram_with_room() {
    let mut messages = Messages::new(0);
    assert!(messages.send(&[7; 500]) && messages.send(&[8; 10]));
    messages.advance(TIMEOUT_US, 1);
    assert_eq!(messages.place(&mut [0; 400], 1), (0, None));
    let (len, _) = messages.place(&mut [0; 510], 2);
    assert_eq!(len, 504);
    assert_eq!(messages.place(&mut [0; 400], 3).0, 13);
}

#[test]
fn a_batch_in_several_datagrams_is_acknowledged_when_all_have_come() {
    let mut messages = Messages::new(0);
    assert!(messages.send(&[7; 500]) && messages.send(&[8; 500]));
    messages.advance(TIMEOUT_US, 1);
    let first = messages.place(&mut [0; 600], 1).1.expect("a batch");
    messages.note_delivered(first);
    let second = messages.place(&mut [0; 600], 1).1.expect("a batch");
    assert_eq!(first, second);
    assert!(!messages.is_flushed());
    messages.note_delivered(second);
    assert!(messages.is_flushed());
}

#[test]
fn a_large_message_is_cut_and_put_together() {
    let (mut from, mut to) = (Messages::new(0), Messages::new(0));
    let message: Vec<u8> = (0..WHOLE_BYTES_MAX).map(|at| (at % 251) as u8).collect();
    assert!(from.send(&message));
    let mut got = Vec::new();
    let mut room = [0; 1_000];
    for tick in 1..200 {
        from.advance(TIMEOUT_US, tick * 16_667);
        let (len, batch) = from.place(&mut room, tick * 16_667);
        to.take(&room[..len], &mut |whole| got.push(whole.to_vec())).expect("sound");
        if let Some(batch) = batch {
            from.note_delivered(batch);
        }
    }
    assert_eq!(got, [message]);
    assert!(from.is_flushed());
}

#[test]
fn who_does_not_listen_fills_a_bounded_queue() {
    let mut messages = Messages::new(0);
    let taken = (0..10_000).take_while(|_| messages.send(&[1; 100])).count();
    assert_eq!(taken, BACKLOG_BYTES_MAX / 100);
    let mut messages = Messages::new(0);
    let taken = (0..10_000).take_while(|_| messages.send(&[1])).count();
    assert_eq!(taken, BACKLOG_PIECES_MAX);
    messages.advance(TIMEOUT_US, 10_000_000);
    assert_eq!(messages.next, MESSAGES_IN_FLIGHT_MAX);
}

#[test]
fn what_would_hurt_renet_never_reaches_it() {
    let hostile: [(&[u8], Violation); 7] = [
        (&[0], Violation::Short),
        (&[0, 0], Violation::MessageSize(0)),
        (&[0, 5, 0, 1], Violation::Short),
        (&[0x40, 0x80, 1, 0], Violation::Ahead),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0], Violation::Ahead),
        (&[0, 2, 2, 0], Violation::Piece),
        (&[0, 2, MARK_MORE, 0], Violation::Piece),
    ];
    for (block, violation) in hostile {
        let told = Messages::new(0).take(block, &mut |_| panic!("nothing to tell"));
        assert_eq!(told, Err(violation), "{block:?}");
    }
    let mut large = vec![0, 0x43, 0x85];
    large.resize(3 + 901, 0);
    assert_eq!(Messages::new(0).take(&large, &mut |_| ()), Err(Violation::MessageSize(901)));
}

#[test]
fn a_message_that_never_ends_is_a_violation() {
    let mut messages = Messages::new(0);
    let mut block = [MARK_MORE; 2 + 2 + PIECE_BYTES_MAX];
    block[2..4].copy_from_slice(&(0x4000 | PIECE_BYTES_MAX as u16).to_be_bytes());
    let mut pieces = (0_u16..80).map(|number| {
        block[..2].copy_from_slice(&(0x4000 | number).to_be_bytes());
        messages.take(&block, &mut |_| panic!("it never ends"))
    });
    assert_eq!(pieces.find(Result::is_err), Some(Err(Violation::Piece)));
}

#[test]
fn too_many_messages_are_a_violation() {
    let mut messages = Messages::new(0);
    let broke = (0..2_000).map(|_| messages.take(&[0, 2, 0, 9], &mut |_| ())).find(Result::is_err);
    assert_eq!(broke, Some(Err(Violation::Rate)));
}

#[test]
fn what_is_far_ahead_and_repeated_fills_a_bounded_memory() {
    let mut messages = Messages::new(0);
    let mut block = [MARK_LAST; 2 + 2 + PIECE_BYTES_MAX];
    block[2..4].copy_from_slice(&(0x4000 | PIECE_BYTES_MAX as u16).to_be_bytes());
    for round in 0..4 {
        // All but the one that is waited for.
        for number in 1..MESSAGES_IN_FLIGHT_MAX as u16 {
            block[..2].copy_from_slice(&(0x4000 | number).to_be_bytes());
            let told = messages.take(&block, &mut |_| panic!("the first is missing"));
            assert_eq!(told, Ok(()), "number {number} in round {round}");
        }
    }
    let mut told = 0;
    block[..2].copy_from_slice(&0x4000_u16.to_be_bytes());
    messages.take(&block, &mut |_| told += 1).expect("sound");
    assert_eq!(told, MESSAGES_IN_FLIGHT_MAX);
}

#[test]
fn an_acknowledgement_that_renet_has_forgotten_does_not_count() {
    let mut messages = Messages::new(0);
    let mut room = [0; 1_000];
    assert!(messages.send(b"hello"));
    messages.advance(TIMEOUT_US, 1_000);
    let first = messages.place(&mut room, 1_000).1.expect("a batch");
    let mut last = first;
    for now_us in (2_000..4_000_000).step_by(16_667) {
        messages.advance(TIMEOUT_US, now_us);
        last = messages.place(&mut room, now_us).1.unwrap_or(last);
    }
    messages.note_delivered(first);
    assert!(!messages.is_flushed(), "renet would repeat it for ever");
    messages.note_delivered(last);
    assert!(messages.is_flushed());
}
