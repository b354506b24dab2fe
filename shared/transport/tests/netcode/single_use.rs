//! A token makes one connection, at one address, at one of the servers that share a history.

use std::sync::Arc;

use arbiter_transport::netcode::packet::Header;
use arbiter_transport::netcode::{Client, ConnectToken, Key, TokenHistory};

use crate::harness::*;

/// Two servers of one process, as two threads behind one address would have them.
fn shards() -> (Net, Net) {
    let key = Key::generate().unwrap();
    let history = Arc::new(TokenHistory::new(64).unwrap());
    let net = || {
        let mut config = config(&key, 4);
        config.history = history.clone();
        Net::with(config)
    };
    (net(), net())
}

fn request_of(token: &ConnectToken, net: &Net) -> Vec<u8> {
    let mut packet = Vec::new();
    Client::new(token.clone(), net.now).unwrap().update(net.now, &mut |_, request| packet = request.to_vec());
    packet
}

#[test]
fn a_token_that_was_shown_from_one_address_is_refused_from_another() {
    let mut net = Net::new(4);
    let request = request_of(&net.token(1), &net);
    assert_eq!(net.hand(address(0), &request).len(), 1);
    assert_eq!(net.hand(address(0), &request).len(), 1);
    assert!(net.hand(address(1), &request).is_empty());
    assert_eq!((net.server.pending(), net.server.counters().reused_tokens), (1, 1));
}

#[test]
fn a_token_that_was_shown_to_one_server_is_refused_from_another_address_by_all() {
    let (mut one, mut other) = shards();
    let request = request_of(&one.token(1), &one);
    assert_eq!(one.hand(address(0), &request).len(), 1);
    assert!(other.hand(address(1), &request).is_empty());
    assert_eq!(other.server.counters().reused_tokens, 1);
}

#[test]
fn a_token_connects_once_even_from_its_own_address() {
    let (mut one, mut other) = shards();
    let token = one.token(1);
    let request = request_of(&token, &one);
    one.join_with(token);
    one.steps(5);
    let Some(Told::Connected(connection, 1)) = one.told.pop() else { panic!("{:?}", one.told) };
    one.server.disconnect(connection, &mut |_, _| {});
    assert!(one.hand(address(0), &request).is_empty());
    assert!(other.hand(address(0), &request).is_empty());
    assert_eq!((one.server.counters().reused_tokens, other.server.counters().reused_tokens), (1, 1));
}

#[test]
fn a_token_that_is_challenged_by_two_servers_connects_to_one() {
    let (mut one, mut other) = shards();
    let token = one.token(1);
    for net in [&mut one, &mut other] {
        net.join_with(token.clone());
        net.now += STEP;
        let request = net.said(0).remove(0);
        let challenge = net.hand(address(0), &request);
        net.deliver(&challenge);
    }
    one.steps(5);
    other.steps(5);
    assert_eq!((one.server.clients(), other.server.clients()), (1, 0));
    assert_eq!(other.server.pending(), 0);
}

#[test]
fn no_two_servers_seal_with_the_same_key_and_sequence() {
    let (mut one, mut other) = shards();
    let request = request_of(&one.token(1), &one);
    let challenges = [one.hand(address(0), &request), other.hand(address(0), &request), one.hand(address(0), &request)];
    let mut sequences = challenges.map(|challenge| Header::read(&challenge[0].1).unwrap().sequence);
    assert!(sequences.iter().all(|sequence| *sequence >= 1 << 63));
    sequences.sort_unstable();
    assert!(sequences[0] < sequences[1] && sequences[1] < sequences[2]);
}

#[test]
fn a_full_history_refuses_new_tokens_and_keeps_old_ones_refused() {
    let key = Key::generate().unwrap();
    let mut config = config(&key, 64);
    config.history = Arc::new(TokenHistory::new(16).unwrap());
    let mut net = Net::with(config);
    let requests: Vec<Vec<u8>> = (0..20).map(|id| request_of(&net.token(id), &net)).collect();
    for (number, request) in requests.iter().enumerate() {
        net.hand(address(number as u16), request);
    }
    assert_eq!((net.server.pending(), net.server.counters().history_full), (16, 4));
    for request in &requests[..16] {
        assert!(net.hand(address(99), request).is_empty());
    }
    assert_eq!(net.server.counters().reused_tokens, 16);
    // They expire, and make room.
    net.now += std::time::Duration::from_secs(40);
    net.step();
    net.connect();
}
