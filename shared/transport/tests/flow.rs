//! Contract: a tick costs one datagram each way; bodies are told as delivered or lost; messages arrive once and in order
//! whatever the link does; nobody talks who has nothing to say; and hostile payloads cost their sender at most.

mod stage;

use core::time::Duration;
use std::collections::BTreeSet;

use arbiter_transport::conditioner::{Loss, PERFECT, Profile};
use arbiter_transport::flow::{BODY_BYTES_MAX, Body, Flow, FlowConfig, Incoming, WriteError};
use arbiter_transport::guard::Violation;
use arbiter_transport::messages::WHOLE_BYTES_MAX;
use arbiter_transport::{PAYLOAD_BYTES_MAX, SendError};
use proptest::prelude::*;
use stage::{Pair, TICK};

fn lossy(share: f32) -> Profile {
    Profile {
        delay: Duration::from_millis(25),
        jitter: Duration::from_millis(20),
        loss: Loss::random(share),
        reorder: 0.1,
        reorder_by: Duration::from_millis(30),
        duplicate: 0.05,
        ..PERFECT
    }
}

#[test]
fn a_tick_costs_one_datagram_each_way_with_everything_in_it() {
    let mut pair = Pair::new(Profile { delay: Duration::from_millis(20), ..PERFECT }, 1);
    for tick in 0..600 {
        if tick % 7 == 0 {
            pair.server.flow.send_message(&[1; 40]).expect("sent");
            pair.client.flow.send_message(&[2; 10]).expect("sent");
        }
        pair.play(tick, 20, 90);
        assert!(!pair.server.flow.is_due() && !pair.client.flow.is_due(), "at {tick}");
    }
    for _ in 0..4 {
        pair.tick();
    }
    assert_eq!((pair.server.written, pair.client.written), (600, 600));
    assert_eq!((pair.server.heard.messages.len(), pair.client.heard.messages.len()), (86, 86));
    let counts = pair.server.flow.counts();
    let header = counts.header_bytes as f64 / counts.sent as f64;
    assert!(header < 10.5, "{header} bytes of header on average");
}

#[test]
fn headers_stay_small_where_datagrams_get_lost() {
    let profile = "wifi".parse().expect("known");
    let mut pair = Pair::new(profile, 3);
    for tick in 0..6_000 {
        pair.play(tick, 20, 90);
    }
    let counts = pair.server.flow.counts();
    let header = counts.header_bytes as f64 / counts.sent as f64;
    assert!(header < 11.0, "{header} bytes of header on average");
}

#[test]
fn every_body_is_delivered_or_lost_and_both_are_true() {
    let mut pair = Pair::new(lossy(0.1), 5);
    for tick in 0..5_000 {
        pair.play(tick, 20, 90);
    }
    // The link turns good so that the last ones are acknowledged.
    pair.server.link.set_profile(PERFECT);
    pair.client.link.set_profile(PERFECT);
    for tick in 5_000..5_100 {
        pair.play(tick, 20, 90);
    }
    let heard = &pair.server.heard;
    let delivered: BTreeSet<u32> = heard.delivered.iter().copied().collect();
    let lost: BTreeSet<u32> = heard.lost.iter().copied().collect();
    assert_eq!(delivered.len(), heard.delivered.len(), "told twice");
    let came: BTreeSet<u32> = pair.client.heard.bodies.iter().map(|(sequence, _)| *sequence as u32).collect();
    assert_eq!(pair.client.heard.bodies.len(), came.len(), "a body came twice");
    assert!(delivered.is_subset(&came), "an acknowledgement of what never came");
    for tag in 0..5_000 {
        assert!(delivered.contains(&tag) || lost.contains(&tag), "nothing was told of {tag}");
    }
    let late = delivered.intersection(&lost).count();
    assert!(late < 250, "{late} were given up and came");
    let stats = pair.server.flow.path();
    assert!(stats.loss_out < 0.15, "{stats:?}");
}

#[test]
fn numbers_wrap_under_loss_and_reordering_without_a_trace() {
    let profile = Profile { duplicate: 0.02, ..lossy(0.05) };
    let mut pair = Pair::new(profile, 9);
    for tick in 0..135_000 {
        if tick % 50 == 0 {
            pair.client.flow.send_message(&u32::to_le_bytes(tick / 50)).expect("sent");
        }
        pair.play(tick, 4, 4);
    }
    let bodies = &pair.server.heard.bodies;
    assert!(bodies.iter().all(|(sequence, body)| *sequence as u8 == body[0]), "a number was taken for another");
    assert!(bodies.iter().any(|(sequence, _)| *sequence > 131_072 + 3_000));
    let heard = &pair.client.heard;
    assert!(heard.delivered.len() + heard.lost.len() >= 134_900);
    assert!((0.90..0.97).contains(&(heard.delivered.len() as f64 / 135_000.0)));
    let messages: Vec<u32> =
        pair.server.heard.messages.iter().map(|m| u32::from_le_bytes(m[..].try_into().unwrap())).collect();
    assert!(messages.len() >= 2_695 && messages.iter().enumerate().all(|(at, number)| at as u32 == *number));
    let round_trip = pair.client.flow.path().round_trip.expect("measured");
    assert!((Duration::from_millis(50)..Duration::from_millis(100)).contains(&round_trip), "{round_trip:?}");
}

#[test]
fn messages_arrive_once_and_in_order_through_a_storm() {
    for seed in 0..4 {
        let mut pair = Pair::new(lossy(0.3), seed);
        let mut sent = Vec::new();
        for tick in 0..3_000 {
            if tick < 400 && tick % 2 == 0 {
                let size = [1, 30, 899, 900, 2_500][tick as usize / 2 % 5];
                let message = vec![tick as u8; size];
                pair.server.flow.send_message(&message).expect("sent");
                pair.client.flow.send_message(&message[..size.min(300)]).expect("sent");
                sent.push(message);
            }
            pair.play(tick, 20, 200);
            let now = pair.now;
            pair.server.write_due(now);
            pair.client.write_due(now);
        }
        let cut: Vec<_> = sent.iter().map(|message| message[..message.len().min(300)].to_vec()).collect();
        assert!(
            pair.server.heard.messages == cut,
            "seed {seed}: {} of {}",
            pair.server.heard.messages.len(),
            cut.len()
        );
        assert!(
            pair.client.heard.messages == sent,
            "seed {seed}: {} of {}",
            pair.client.heard.messages.len(),
            sent.len()
        );
        assert!(pair.server.flow.is_flushed() && pair.client.flow.is_flushed());
    }
}

#[test]
fn a_large_message_arrives_whole_without_a_body_to_ride_on() {
    let mut pair = Pair::new("4g".parse().expect("known"), 2);
    let message: Vec<u8> = (0..WHOLE_BYTES_MAX).map(|at| (at % 253) as u8).collect();
    pair.server.flow.send_message(&message).expect("sent");
    for _ in 0..600 {
        pair.tick();
        let now = pair.now;
        pair.server.write_due(now);
        pair.client.write_due(now);
    }
    assert!(pair.client.heard.messages == [message]);
    assert!(pair.server.flow.is_flushed());
}

#[test]
fn who_has_nothing_to_say_is_silent() {
    let mut pair = Pair::new(Profile { delay: Duration::from_millis(20), ..PERFECT }, 1);
    pair.server.flow.send_message(b"once").expect("sent");
    for _ in 0..300 {
        pair.tick();
        let now = pair.now;
        pair.server.write_due(now);
        pair.client.write_due(now);
    }
    // The message and its acknowledgement: nobody acknowledges an acknowledgement.
    assert_eq!((pair.server.written, pair.client.written), (1, 1));
    assert!(pair.server.flow.is_flushed());
    assert_eq!(pair.client.heard.messages, [b"once"]);
}

#[test]
fn a_lost_acknowledgement_is_made_good() {
    let mut pair = Pair::new(PERFECT, 1);
    pair.client.link.set_profile(Profile { loss: Loss::random(1.0), ..PERFECT });
    pair.server.flow.send_message(b"once").expect("sent");
    for tick in 0..120 {
        if tick == 60 {
            pair.client.link.set_profile(PERFECT);
        }
        pair.tick();
        let now = pair.now;
        pair.server.write_due(now);
        pair.client.write_due(now);
    }
    assert!(pair.server.flow.is_flushed());
    assert_eq!(pair.client.heard.messages.len(), 1);
    assert!(pair.server.written < 20, "{}", pair.server.written);
}

#[test]
fn nothing_over_a_payload_ever_leaves() {
    let mut pair = Pair::new(PERFECT, 1);
    for tick in 0..400_u32 {
        let _ = pair.server.flow.send_message(&vec![1; 1 + tick as usize * 7]);
        pair.tick();
        let body = vec![2; 1 + (tick as usize * 13) % BODY_BYTES_MAX];
        let len = pair.server.write(pair.now, Some(Body { kind: 1, tag: tick, bytes: &body }));
        assert!(len <= PAYLOAD_BYTES_MAX);
        pair.client.write_due(pair.now);
    }
    let mut out = [0; PAYLOAD_BYTES_MAX];
    let mut write = |kind, len: usize| {
        pair.server.flow.write(pair.now, Some(Body { kind, tag: 0, bytes: &vec![0; len] }), &mut out)
    };
    assert_eq!(write(1, 0), Err(WriteError::Body(0)));
    assert_eq!(write(1, BODY_BYTES_MAX + 1), Err(WriteError::Body(BODY_BYTES_MAX + 1)));
    assert_eq!(write(0, 5), Err(WriteError::Body(5)));
    assert_eq!(write(7, 5), Err(WriteError::Body(5)));
    assert_eq!(pair.client.flow.send_message(&[]), Err(SendError::Size(0)));
    assert_eq!(pair.client.flow.send_message(&vec![0; WHOLE_BYTES_MAX + 1]), Err(SendError::Size(WHOLE_BYTES_MAX + 1)));
}

#[test]
fn a_round_trip_has_no_tick_in_it() {
    let mut pair = Pair::new(Profile { delay: Duration::from_micros(23_456), ..PERFECT }, 1);
    for tick in 0..120 {
        pair.play(tick, 20, 90);
    }
    for end in [&pair.server, &pair.client] {
        let round_trip = end.flow.path().round_trip.expect("it is measured");
        // How long a datagram was held is told in steps of 64 µs.
        assert!(round_trip.abs_diff(Duration::from_micros(46_912)) <= Duration::from_micros(32), "{round_trip:?}");
    }
}

#[test]
fn an_outage_ends_and_everything_goes_on() {
    let mut pair = Pair::new(PERFECT, 1);
    pair.server.flow.send_message(b"before").expect("sent");
    for tick in 0..900 {
        match tick {
            100 => {
                pair.server.link.set_profile(Profile { loss: Loss::random(1.0), ..PERFECT });
                pair.client.link.set_profile(Profile { loss: Loss::random(1.0), ..PERFECT });
                pair.server.flow.send_message(b"into the dark").expect("sent");
            }
            400 => {
                pair.server.link.set_profile(PERFECT);
                pair.client.link.set_profile(PERFECT);
            }
            _ => {}
        }
        pair.play(tick, 20, 90);
    }
    assert_eq!(pair.client.heard.messages, [b"before".to_vec(), b"into the dark".to_vec()]);
    // What came just before the outage may have had its acknowledgement lost.
    assert!((300..=301).contains(&pair.server.heard.lost.len()));
    assert_eq!(pair.server.flow.path().loss_out, 0.0);
}

#[test]
fn what_a_link_held_back_for_seconds_does_no_harm() {
    let good = Profile { delay: Duration::from_millis(10), ..PERFECT };
    // A phone changes its cell: what leaves is kept for a while and then delivered, again and again. Few messages keep the
    // memory of batches long, many overrun it.
    for (held, every) in [(1_300, 60), (1_600, 100), (4_000, 3)] {
        let mut pair = Pair::new(good, 1);
        for tick in 0..7_000 {
            let hold = tick < 6_000 && tick % 900 >= 300;
            let profile = if hold { Profile { delay: Duration::from_millis(held), ..PERFECT } } else { good };
            for end in [&mut pair.server, &mut pair.client] {
                end.link.set_profile(profile);
                if tick < 6_000 && tick % every == 0 {
                    end.flow.send_message(&u32::to_le_bytes(tick)).expect("sent");
                }
            }
            pair.play(tick, 20, 90);
        }
        for end in [&pair.server, &pair.client] {
            let came = end.heard.messages.iter().map(|m| u32::from_le_bytes(m[..].try_into().expect("four bytes")));
            assert!(came.eq((0..6_000).step_by(every as usize)), "{} came", end.heard.messages.len());
            assert!(end.flow.is_flushed());
        }
    }
}

#[test]
fn a_peer_reads_why_it_has_to_go() {
    let mut pair = Pair::new(PERFECT, 1);
    let mut out = [0; PAYLOAD_BYTES_MAX];
    for (why, told) in [("too many packets per second", "too many packets per second"), ("", "closed")] {
        let len = pair.server.flow.write_farewell(pair.now, why, &mut out).expect("written");
        let read = pair.client.flow.read(pair.now, &out[..len], &mut |_| ());
        assert_eq!(read, Ok(Incoming::Farewell(told)));
    }
    let len = pair.server.flow.write_farewell(pair.now, &"ä".repeat(400), &mut out).expect("written");
    assert!(matches!(pair.client.flow.read(pair.now, &out[..len], &mut |_| ()), Ok(Incoming::Farewell(_))));
}

#[test]
fn who_sends_too_much_is_not_heard() {
    let mut flow = Flow::new(FlowConfig::of_server(), Duration::ZERO);
    let mut dropped = 0;
    for sequence in 0..1_000_u16 {
        let [low, high] = sequence.to_le_bytes();
        let payload = [0x10, low, high, 0, 0, 0, 1];
        let read = flow.read(TICK, &payload, &mut |_| ());
        dropped += u32::from(read == Ok(Incoming::Dropped));
    }
    assert!((845..=855).contains(&dropped), "{dropped} dropped");
}

#[test]
fn acknowledging_what_was_never_sent_is_a_violation() {
    let mut flow = Flow::new(FlowConfig::of_server(), Duration::ZERO);
    let read = flow.read(TICK, &[0x01, 0, 0, 0, 0, 5, 0], &mut |_| ());
    assert_eq!(read, Err(Violation::Unsent));
}

#[test]
fn so_much_in_flight_and_no_more() {
    let mut pair = Pair::new(PERFECT, 1);
    pair.server.link.set_profile(Profile { loss: Loss::random(1.0), ..PERFECT });
    let mut out = [0; PAYLOAD_BYTES_MAX];
    let body = Some(Body { kind: 1, tag: 0, bytes: &[1] });
    let written = (0..2_000).take_while(|_| pair.server.flow.write(pair.now, body, &mut out).is_ok()).count();
    assert_eq!(written, arbiter_transport::acks::IN_FLIGHT_MAX);
    assert_eq!(pair.server.flow.write(pair.now, body, &mut out), Err(WriteError::InFlight));
    for _ in 0..62 {
        pair.tick();
    }
    assert_eq!(pair.server.heard.lost.len(), written);
    assert!(pair.server.flow.write(pair.now, body, &mut out).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_payloads_are_read_or_refused(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..40)) {
        let mut pair = Pair::new(PERFECT, 1);
        for tick in 0..3 {
            pair.server.flow.send_message(b"real").expect("sent");
            pair.play(tick, 5, 5);
        }
        for payload in &payloads {
            pair.tick();
            let _ = pair.server.flow.read(pair.now, payload, &mut |_| ());
            let mut out = [0; PAYLOAD_BYTES_MAX];
            let _ = pair.server.flow.write(pair.now, None, &mut out);
        }
    }

    #[test]
    fn honest_payloads_with_turned_bits_never_panic(seed in any::<u64>(), share in 0.05..1.0_f32) {
        let spoil = Profile { corrupt: share, duplicate: 0.1, ..lossy(0.1) };
        let mut pair = Pair::new(lossy(0.1), seed);
        let mut link = arbiter_transport::conditioner::Conditioner::new(spoil, seed);
        for tick in 0..60 {
            pair.server.flow.send_message(&[tick as u8; 50]).expect("sent");
            pair.tick();
            let mut out = [0; PAYLOAD_BYTES_MAX];
            let now = pair.now + Duration::from_secs(1_700_000_000);
            let Ok(len) = pair.server.flow.write(now, Some(Body { kind: 2, tag: tick, bytes: &[7; 60] }), &mut out) else { break };
            link.push(pair.now, (), &out[..len]);
            let (client, at) = (&mut pair.client.flow, pair.now);
            let mut broken = false;
            link.pop(at, &mut |(), payload| broken |= client.read(at, payload, &mut |_| ()).is_err());
            if broken {
                break;
            }
            let Ok(len) = client.write(at, Some(Body { kind: 1, tag: tick, bytes: &[8; 20] }), &mut out) else { break };
            let _ = pair.server.flow.read(now, &out[..len], &mut |_| ());
        }
    }
}
