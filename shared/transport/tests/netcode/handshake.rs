//! From a token to a connection, or to a reason why not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbiter_transport::netcode::{
    Addresses, Client, ClientReceived, ClientState, ConnectToken, EndReason, HandshakeLimiter, HandshakeLimits, Key,
    Rate,
};
use proptest::prelude::*;

use crate::harness::*;

#[test]
fn a_full_server_denies_and_takes_the_next_when_there_is_room() {
    let mut net = Net::new(1);
    let (first, connection) = net.connect();
    let second = net.join();
    net.steps(10);
    assert_eq!(net.clients[second].1.state(), ClientState::Ended(EndReason::Denied));
    assert!(net.clients[first].1.is_connected());
    net.server.disconnect(connection, &mut |_, _| {});
    net.connect();
}

#[test]
fn a_server_that_fills_up_during_a_handshake_denies() {
    let mut net = Net::new(1);
    let (first, second) = (net.join(), net.join());
    // Both are challenged before either answers.
    net.now += STEP;
    for number in [first, second] {
        let request = net.said(number).remove(0);
        let answers = net.hand(address(number as u16), &request);
        net.deliver(&answers);
    }
    assert_eq!((net.server.pending(), net.server.clients()), (2, 0));
    net.steps(3);
    assert!(net.clients[first].1.is_connected());
    assert_eq!(net.clients[second].1.state(), ClientState::Ended(EndReason::Denied));
}

#[test]
fn nothing_that_comes_back_is_longer_than_what_came_in() {
    let mut net = Net::new(1);
    net.join();
    net.join();
    for _ in 0..200 {
        net.now += STEP;
        for number in 0..2 {
            for packet in net.said(number) {
                // Each packet twice, and once from somebody else.
                for from in [address(number as u16), address(number as u16), address(99)] {
                    let answers = net.hand(from, &packet);
                    assert!(answers.len() <= 1);
                    assert!(answers.iter().all(|(to, answer)| *to == from && answer.len() < packet.len()));
                    net.deliver(&answers);
                }
            }
        }
    }
    assert_eq!(net.server.clients(), 1);
}

#[test]
fn a_lost_packet_of_the_handshake_is_made_up_for() {
    for lost in 0..6 {
        let mut net = Net::new(1);
        net.join();
        let mut count = 0;
        net.loses = Box::new(move |_, _| {
            count += 1;
            count - 1 == lost
        });
        net.steps(60);
        assert!(net.clients[0].1.is_connected() && net.server.clients() == 1, "without packet {lost}");
    }
}

fn refused(net: &mut Net, token: ConnectToken) -> arbiter_transport::netcode::Counters {
    net.join_with(token);
    net.loses = Box::new(|is_to_server, _| {
        assert!(is_to_server, "an answer");
        false
    });
    net.step();
    assert_eq!((net.server.clients(), net.server.pending()), (0, 0));
    *net.server.counters()
}

#[test]
fn a_token_for_another_server_is_refused() {
    let mut net = Net::new(1);
    let elsewhere: SocketAddr = "10.0.0.2:7000".parse().unwrap();
    let mut request = request(1);
    request.internal_addresses = Some(Addresses::from_iter([elsewhere]));
    let token = ConnectToken::generate(&request, &net.key, net.now).unwrap();
    assert_eq!(refused(&mut net, token).other_server, 1);
}

#[test]
fn a_token_of_another_protocol_is_refused() {
    let mut net = Net::new(1);
    let mut request = request(1);
    request.protocol_id += 1;
    let token = ConnectToken::generate(&request, &net.key, net.now).unwrap();
    assert_eq!(refused(&mut net, token).other_protocol, 1);
}

#[test]
fn an_expired_token_is_refused() {
    let mut net = Net::new(1);
    let mut token = net.token(1);
    net.now += Duration::from_secs(30);
    assert_eq!(refused(&mut net, token.clone()).expired, 1);
    // Its expiry is signed.
    token.expire_seconds += 100;
    assert_eq!(refused(&mut net, token).forged_tokens, 1);
}

#[test]
fn a_token_that_lives_too_long_is_refused() {
    let mut net = Net::new(1);
    let mut request = request(1);
    request.expire_seconds = 3_601;
    let token = ConnectToken::generate(&request, &net.key, net.now).unwrap();
    assert_eq!(refused(&mut net, token).long_lived, 1);
}

#[test]
fn a_token_of_another_key_is_refused() {
    let mut net = Net::new(1);
    let token = ConnectToken::generate(&request(1), &Key::generate().unwrap(), net.now).unwrap();
    assert_eq!(refused(&mut net, token).forged_tokens, 1);
}

#[test]
fn a_request_of_another_version_is_refused() {
    let mut net = Net::new(1);
    net.join();
    net.step();
    let mut other = Client::new(net.token(2), net.now).unwrap();
    let mut packet = Vec::new();
    other.update(net.now, &mut |_, request| packet = request.to_vec());
    packet[11] = b'1';
    assert!(net.hand(address(5), &packet).is_empty());
    assert_eq!(net.server.counters().other_version, 1);
}

#[test]
fn a_second_connection_of_a_client_id_is_refused() {
    let mut net = Net::new(4);
    net.connect();
    let same_id = net.token(1_000);
    net.join_with(same_id);
    net.steps(20);
    assert_eq!((net.server.clients(), net.clients[1].1.state()), (1, ClientState::Requesting));
    assert!(net.server.counters().already_connected > 0);
}

#[test]
fn two_handshakes_of_a_client_id_make_one_connection() {
    let mut net = Net::new(4);
    let tokens = [net.token(5), net.token(5)];
    for token in tokens {
        let number = net.join_with(token);
        let request = net.said(number).remove(0);
        let answers = net.hand(address(number as u16), &request);
        net.deliver(&answers);
    }
    assert_eq!(net.server.pending(), 2);
    net.steps(20);
    assert_eq!(net.server.clients(), 1);
}

#[test]
fn a_flood_of_valid_tokens_fills_a_bounded_table_that_empties_itself() {
    let key = Key::generate().unwrap();
    let mut config = config(&key, 4);
    config.pending_max = 32;
    let mut net = Net::with(config);
    for number in 0..1_000_u16 {
        let mut client = Client::new(net.token(u64::from(number)), net.now).unwrap();
        let mut packet = Vec::new();
        client.update(net.now, &mut |_, request| packet = request.to_vec());
        net.hand(address(1_000 + number), &packet);
        assert!(net.server.pending() <= 32);
    }
    assert_eq!((net.server.pending(), net.server.counters().pending_full), (32, 968));
    net.steps(501);
    assert_eq!((net.server.pending(), net.server.counters().abandoned), (0, 32));
    net.connect();
}

#[test]
fn a_source_over_its_rate_is_not_looked_at_and_others_are() {
    let key = Key::generate().unwrap();
    let mut config = config(&key, 64);
    let limits =
        HandshakeLimits { source: Rate { per_second: 10, burst: 20 }, total: Rate { per_second: 1_000, burst: 1_000 } };
    config.limiter = Arc::new(HandshakeLimiter::new(limits));
    let mut net = Net::with(config);
    let stranger = ConnectToken::generate(&request(1), &Key::generate().unwrap(), net.now).unwrap();
    let mut client = Client::new(stranger, net.now).unwrap();
    let mut packet = Vec::new();
    client.update(net.now, &mut |_, request| packet = request.to_vec());
    for port in 0..500 {
        net.hand(SocketAddr::new(address(9).ip(), 1_000 + port), &packet);
    }
    let counters = *net.server.counters();
    assert_eq!((counters.forged_tokens, counters.source_limited), (20, 480));
    net.connect();
}

#[test]
fn a_new_token_from_an_address_takes_the_place_of_an_unfinished_handshake() {
    let mut net = Net::new(4);
    let first = net.join();
    let request = net.said(first).remove(0);
    net.hand(address(0), &request);
    // The program was started again, at the same port.
    let token = net.token(2);
    net.clients[first].1 = Client::new(token, net.now).unwrap();
    net.steps(5);
    assert!(net.clients[first].1.is_connected());
    assert!(matches!(net.told[..], [Told::Connected(_, 2)]));
}

#[test]
fn a_challenge_answers_for_its_own_token_only() {
    let mut net = Net::new(4);
    let tokens = [net.token(1), net.token(2)];
    let mut challenges = Vec::new();
    for token in &tokens {
        let number = net.join_with(token.clone());
        let request = net.said(number).remove(0);
        challenges.push(net.hand(address(number as u16), &request).remove(0).1);
    }
    // The bearer of both opens the first one's challenge and answers it as the second.
    let associated = arbiter_transport::netcode::packet::Associated::new(PROTOCOL_ID);
    let mut first = challenges.remove(0);
    let header = arbiter_transport::netcode::packet::Header::read(&first).unwrap();
    let body = header.open(&mut first, &tokens[0].to_client, &associated).unwrap().to_vec();
    let kind = arbiter_transport::netcode::packet::Kind::Response;
    let mut response = [&[0; 2], &body[..], &[0; 16]].concat();
    assert!(arbiter_transport::netcode::packet::seal(&mut response, kind, 0, &tokens[1].to_server, &associated));
    assert!(net.hand(address(1), &response).is_empty());
    assert_eq!((net.server.clients(), net.server.counters().forged_challenges), (0, 1));
    let mut response = [&[0; 2], &body[..], &[0; 16]].concat();
    assert!(arbiter_transport::netcode::packet::seal(&mut response, kind, 0, &tokens[0].to_server, &associated));
    net.hand(address(0), &response);
    assert_eq!(net.server.clients(), 1);
}

#[test]
fn a_client_tries_the_addresses_of_its_token_in_turn() {
    let mut net = Net::new(1);
    let others: Vec<SocketAddr> = (1..4).map(|port| SocketAddr::from(([10, 9, 9, 9], port))).collect();
    let addresses = [&others[..], &[server_address()]].concat();
    let mut request = arbiter_transport::netcode::TokenRequest::new(PROTOCOL_ID, 1, &addresses).unwrap();
    request.timeout_seconds = 1;
    let token = ConnectToken::generate(&request, &net.key, net.now).unwrap();
    let mut client = Client::new(token, net.now).unwrap();
    let mut tried = Vec::new();
    for _ in 0..320 {
        net.now += STEP;
        let mut packets = Vec::new();
        client.update(net.now, &mut |to, packet| packets.push((to, packet.to_vec())));
        for (to, packet) in packets {
            if tried.last() != Some(&to) {
                tried.push(to);
            }
            if to == server_address() {
                for (_, mut answer) in net.hand(address(0), &packet) {
                    client.receive(net.now, server_address(), &mut answer);
                }
            }
        }
    }
    assert_eq!(tried, addresses);
    assert!(client.is_connected());
}

#[test]
fn a_client_gives_up_when_its_token_expires_whatever_addresses_are_left() {
    let net = Net::new(1);
    let addresses: Vec<SocketAddr> = (1..=32).map(|port| SocketAddr::from(([10, 9, 9, 9], port))).collect();
    let request = arbiter_transport::netcode::TokenRequest::new(PROTOCOL_ID, 1, &addresses).unwrap();
    let token = ConnectToken::generate(&request, &net.key, net.now).unwrap();
    // The client's clock is an hour off; only durations count.
    let start = net.now + Duration::from_secs(3_600);
    let mut client = Client::new(token, start).unwrap();
    for ms in (0..29_900).step_by(100) {
        client.update(start + Duration::from_millis(ms), &mut |_, _| {});
    }
    assert_eq!(client.state(), ClientState::Requesting);
    client.update(start + Duration::from_secs(30), &mut |_, _| {});
    assert_eq!(client.state(), ClientState::Ended(EndReason::TokenExpired));
}

#[test]
fn a_client_listens_to_its_server_only() {
    let mut net = Net::new(1);
    let client = net.join();
    let request = net.said(client).remove(0);
    let answers = net.hand(address(0), &request);
    let now = net.now;
    let client = &mut net.clients[client].1;
    let mut challenge = answers[0].1.clone();
    let received = client.receive(now, "10.0.0.1:7001".parse().unwrap(), &mut challenge);
    assert_eq!((received, client.state()), (ClientReceived::Nothing, ClientState::Requesting));
    // The same place, as a socket for both families reports it.
    client.receive(now, "[::ffff:10.0.0.1]:7000".parse().unwrap(), &mut challenge);
    assert_eq!(client.state(), ClientState::Responding);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is lost, client and server agree in the end.
    #[test]
    fn a_lossy_link_connects_or_times_out_at_both_ends(seed in any::<u32>()) {
        let mut net = Net::new(1);
        net.join();
        let mut state = seed;
        net.loses = Box::new(move |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24 < 128
        });
        net.steps(400);
        prop_assert_eq!(net.clients[0].1.is_connected(), net.server.clients() == 1);
    }
}
