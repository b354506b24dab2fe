//! Bytes that no honest peer sends.

use arbiter_transport::netcode::packet::{self, Associated, Kind, header_bytes};
use arbiter_transport::netcode::{ClientReceived, ConnectToken, Key, TAG_BYTES};
use proptest::prelude::*;

use crate::harness::*;

/// What a client could send that has been changed.
fn sealed(kind: Kind, body: &[u8], sequence: u64, key: &Key) -> Vec<u8> {
    let mut bytes = [&vec![0; header_bytes(sequence)][..], body, &[0; TAG_BYTES]].concat();
    assert!(packet::seal(&mut bytes, kind, sequence, key, &Associated::new(PROTOCOL_ID)));
    bytes
}

fn connected_with_token() -> (Net, ConnectToken) {
    let mut net = Net::new(2);
    let token = net.token(1);
    net.join_with(token.clone());
    net.steps(5);
    assert!(matches!(net.told.pop(), Some(Told::Connected(..))));
    (net, token)
}

#[test]
fn a_payload_that_comes_again_is_refused() {
    let mut net = Net::new(1);
    let (client, connection) = net.connect();
    let packets: Vec<Vec<u8>> = (0..300).map(|_| net.seal_at_client(client, b"once")).collect();
    for _ in 0..2 {
        packets.iter().for_each(|packet| assert!(net.hand(address(0), packet).is_empty()));
    }
    assert_eq!((net.told.len(), net.server.counters().replays), (300, 300));
    assert!(net.told.iter().all(|told| *told == Told::Payload(connection, b"once".to_vec())));
}

#[test]
fn a_payload_from_another_address_is_refused() {
    let mut net = Net::new(2);
    net.connect();
    let (client, _) = net.connect();
    let packet = net.seal_at_client(client, b"mine");
    net.hand(address(0), &packet);
    net.hand(address(77), &packet);
    assert_eq!((net.server.counters().forgeries, net.server.counters().strangers), (1, 1));
    assert!(net.told.is_empty());
}

#[test]
fn the_highest_sequences_are_taken_once_and_break_nothing() {
    let (mut net, token) = connected_with_token();
    for sequence in [u64::MAX - 256, u64::MAX - 1, u64::MAX, u64::MAX - 255] {
        let packet = sealed(Kind::Payload, b"far", sequence, &token.to_server);
        net.hand(address(0), &packet);
        net.hand(address(0), &packet);
    }
    assert_eq!((net.told.len(), net.server.counters().replays), (4, 4));
    // The client has shut itself out: what it says below is old.
    net.hand(address(0), &sealed(Kind::Payload, b"near", 100, &token.to_server));
    assert_eq!((net.told.len(), net.server.clients()), (4, 1));
}

#[test]
fn a_client_survives_the_highest_sequences_of_its_server() {
    let (mut net, token) = connected_with_token();
    let now = net.now;
    for (sequence, is_new) in [(u64::MAX, true), (u64::MAX, false), (u64::MAX - 1, true), (9, false)] {
        let mut packet = sealed(Kind::Payload, b"far", sequence, &token.to_client);
        let received = net.clients[0].1.receive(now, server_address(), &mut packet);
        assert_eq!(received == ClientReceived::Payload(b"far"), is_new, "{sequence}");
    }
}

#[test]
fn kinds_that_only_a_server_sends_do_nothing_at_a_server() {
    let (mut net, token) = connected_with_token();
    for (kind, bytes) in [(Kind::Challenge, 308), (Kind::Denied, 0)] {
        net.hand(address(0), &sealed(kind, &vec![0; bytes], 1_000, &token.to_server));
    }
    assert_eq!((net.server.clients(), net.server.counters().malformed), (1, 2));
}

#[test]
fn a_late_handshake_of_a_connected_client_does_nothing() {
    let (mut net, token) = connected_with_token();
    net.hand(address(0), &sealed(Kind::Response, &[0; 308], 1_000, &token.to_server));
    let mut again = arbiter_transport::netcode::Client::new(token, net.now).unwrap();
    let mut request = Vec::new();
    again.update(net.now, &mut |_, packet| request = packet.to_vec());
    assert!(net.hand(address(0), &request).is_empty());
    assert_eq!((net.server.clients(), net.server.counters().already_connected), (1, 2));
}

#[test]
fn no_bit_of_a_request_or_response_can_be_changed() {
    let mut net = Net::new(1);
    let client = net.join();
    let request = net.said(client).remove(0);
    // Each bit in turn would take the rate limit's time; a prime step visits every field.
    for bit in (0..request.len() * 8).step_by(23) {
        let mut changed = request.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(net.hand(address(0), &changed).is_empty(), "bit {bit}");
    }
    assert_eq!(net.server.pending(), 0);
    let challenge = net.hand(address(0), &request);
    net.deliver(&challenge);
    net.now += STEP;
    let response = net.said(client).remove(0);
    for bit in (0..response.len() * 8).step_by(23) {
        let mut changed = response.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(net.hand(address(0), &changed).is_empty(), "bit {bit}");
    }
    for bytes in 0..response.len() {
        assert!(net.hand(address(0), &response[..bytes]).is_empty(), "{bytes} bytes");
    }
    assert_eq!(net.server.clients(), 0);
    net.now += std::time::Duration::from_secs(2);
    net.hand(address(0), &response);
    assert_eq!(net.server.clients(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_from_anywhere_does_nothing(
        datagrams in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..1_500)), 1..20),
    ) {
        let mut net = Net::new(2);
        net.connect();
        let pending = net.join();
        let request = net.said(pending).remove(0);
        net.hand(address(1), &request);
        for (prefix, mut datagram) in datagrams {
            if let Some(first) = datagram.first_mut() {
                *first = prefix;
            }
            for from in [address(0), address(1), address(2), "[2001:db8::1]:5".parse().unwrap()] {
                prop_assert!(net.hand(from, &datagram).is_empty());
            }
            let now = net.now;
            for (_, client) in &mut net.clients {
                let mut datagram = datagram.clone();
                prop_assert_eq!(client.receive(now, server_address(), &mut datagram), ClientReceived::Nothing);
            }
        }
        prop_assert_eq!((net.server.clients(), net.server.pending(), net.told.len()), (1, 1, 0));
    }

    /// Whoever has keys can send any body under any sequence; it is passed on or dropped, and nothing else.
    #[test]
    fn a_hostile_client_costs_only_itself(
        packets in proptest::collection::vec((4..7_u8, any::<u64>(), 0..64, proptest::collection::vec(any::<u8>(), 0..1_210)), 1..30),
    ) {
        let (mut net, token) = connected_with_token();
        let (_, honest) = net.connect();
        for (kind, sequence, shift, body) in packets {
            let kind = [Kind::KeepAlive, Kind::Payload, Kind::Disconnect][usize::from(kind) - 4];
            let sequence = sequence >> shift;
            let mut packet = [&vec![0; header_bytes(sequence)][..], &body, &[0; TAG_BYTES]].concat();
            let _ = packet::seal(&mut packet, kind, sequence, &token.to_server, &Associated::new(PROTOCOL_ID));
            prop_assert!(net.hand(address(0), &packet).is_empty());
        }
        prop_assert!(net.server.is_connected(honest));
    }
}
