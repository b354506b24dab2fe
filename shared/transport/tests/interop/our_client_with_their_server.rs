//! Our client, their server.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ends::*;
use arbiter_transport::netcode::{ClientState, EndReason, Key, PAYLOAD_BYTES_MAX};

fn connects_and_hands_over_its_user_data(bind: &str, token: impl Fn(&Key, SocketAddr, &Time) -> [u8; 2_048]) {
    let (mut time, key) = (Time::new(), Key::generate().unwrap());
    let mut server = their_server(bind, &key, 4);
    let mut client = OurClient::new(&token(&key, server.address(), &time), bind, &time);
    until(&mut time, &mut client, &mut server, ours_to_theirs, |client, _| client.client.is_connected());
    assert_eq!((server.client_id(0), server.client_user_data(0)), (77, Some(&USER_DATA)));
    assert_eq!(client.client.slot(), (0, 4));
}

#[test]
fn connects_with_our_token_on_ipv4() {
    connects_and_hands_over_its_user_data(IPV4, |key, at, time| our_token(key, 77, &[at], time));
}

#[test]
fn connects_with_our_token_on_ipv6() {
    connects_and_hands_over_its_user_data(IPV6, |key, at, time| our_token(key, 77, &[at], time));
}

#[test]
fn connects_with_their_token_on_ipv4() {
    connects_and_hands_over_its_user_data(IPV4, |key, at, _| their_token(key, 77, &[at]));
}

#[test]
fn connects_with_their_token_on_ipv6() {
    connects_and_hands_over_its_user_data(IPV6, |key, at, _| their_token(key, 77, &[at]));
}

fn gets_back_payloads_of_every_size(bind: &str) {
    let (mut time, mut client, mut server, _) = connect_ours(bind);
    for bytes in 1..=PAYLOAD_BYTES_MAX {
        client.send(&payload(bytes));
        until(
            &mut time,
            &mut client,
            &mut server,
            |client, server, time| {
                ours_to_theirs(client, server, time);
                while let Some((echo, _)) = server.receive_packet(0) {
                    server.send_packet(0, &echo).unwrap();
                }
            },
            |client, _| !client.received.is_empty(),
        );
        assert_eq!(client.received, [payload(bytes)]);
        client.received.clear();
    }
}

#[test]
fn gets_back_payloads_of_every_size_on_ipv4() {
    gets_back_payloads_of_every_size(IPV4);
}

#[test]
fn gets_back_payloads_of_every_size_on_ipv6() {
    gets_back_payloads_of_every_size(IPV6);
}

#[test]
fn stays_connected_through_silence() {
    let (mut time, mut client, mut server, _) = connect_ours(IPV4);
    for _ in 0..3 * TIMEOUT_SECONDS * 50 {
        ours_to_theirs(&mut client, &mut server, &time);
        time.step();
    }
    assert!(client.client.is_connected() && server.client_connected(0));
}

#[test]
fn says_goodbye() {
    let (mut time, mut client, mut server, _) = connect_ours(IPV4);
    client.client.disconnect(&mut send(&client.socket));
    assert_eq!(client.client.state(), ClientState::Ended(EndReason::Local));
    until(&mut time, &mut client, &mut server, ours_to_theirs, |_, server| !server.client_connected(0));
    // Not by its timeout.
    assert!(time.theirs() < f64::from(TIMEOUT_SECONDS));
}

#[test]
fn is_told_goodbye() {
    let (mut time, mut client, mut server, _) = connect_ours(IPV6);
    server.disconnect_client(0);
    until(&mut time, &mut client, &mut server, ours_to_theirs, |client, _| !client.client.is_connected());
    assert_eq!(client.client.state(), ClientState::Ended(EndReason::ByServer));
}

#[test]
fn is_denied_when_the_server_is_full() {
    let (mut time, key) = (Time::new(), Key::generate().unwrap());
    let mut server = their_server(IPV4, &key, 1);
    let address = server.address();
    let mut clients = [1, 2].map(|id| OurClient::new(&our_token(&key, id, &[address], &time), IPV4, &time));
    let step = |clients: &mut [OurClient; 2], server: &mut netcode::Server, time: &Time| {
        clients.iter_mut().for_each(|client| client.step(time));
        server.update(time.theirs());
    };
    until(&mut time, &mut clients, &mut server, step, |clients, _| {
        clients.iter().any(|client| client.client.state() == ClientState::Ended(EndReason::Denied))
            && clients.iter().any(|client| client.client.is_connected())
    });
}

#[test]
fn gives_up_with_a_token_that_has_expired() {
    let (mut time, key) = (Time::new(), Key::generate().unwrap());
    let mut server = their_server(IPV4, &key, 1);
    let past = Time { now: time.now - Duration::from_secs(60), start: time.start };
    let mut client = OurClient::new(&our_token(&key, 1, &[server.address()], &past), IPV4, &time);
    until(&mut time, &mut client, &mut server, ours_to_theirs, |client, _| {
        client.client.state() == ClientState::Ended(EndReason::RequestTimedOut)
    });
    assert_eq!(server.num_connected_clients(), 0);
}

#[test]
fn gives_up_with_a_token_that_was_tampered_with() {
    let (mut time, key) = (Time::new(), Key::generate().unwrap());
    let mut server = their_server(IPV4, &key, 1);
    let mut token = our_token(&key, 1, &[server.address()], &time);
    token[200] ^= 1;
    let mut client = OurClient::new(&token, IPV4, &time);
    until(&mut time, &mut client, &mut server, ours_to_theirs, |client, _| {
        client.client.state() == ClientState::Ended(EndReason::RequestTimedOut)
    });
    assert_eq!(server.num_connected_clients(), 0);
}

#[test]
fn is_refused_with_a_token_that_another_address_has_used() {
    let (mut time, first, mut server, key) = connect_ours(IPV4);
    let token = our_token(&key, 78, &[server.address()], &time);
    let mut second = OurClient::new(&token, IPV4, &time);
    until(&mut time, &mut second, &mut server, ours_to_theirs, |client, _| client.client.is_connected());
    second.client.disconnect(&mut send(&second.socket));
    let mut thief = OurClient::new(&token, IPV4, &time);
    until(&mut time, &mut thief, &mut server, ours_to_theirs, |client, _| {
        client.client.state() == ClientState::Ended(EndReason::RequestTimedOut)
    });
    drop(first);
}

#[test]
fn finds_the_second_address_of_its_token_when_the_first_is_dead() {
    let (mut time, key) = (Time::new(), Key::generate().unwrap());
    let mut server = their_server(IPV4, &key, 1);
    let dead = dead_address(IPV4);
    let mut client = OurClient::new(&our_token(&key, 1, &[dead, server.address()], &time), IPV4, &time);
    until(&mut time, &mut client, &mut server, ours_to_theirs, |client, _| client.client.is_connected());
    assert_eq!((client.tried[0], client.client.server_address()), (dead, server.address()));
}

#[test]
fn times_out_when_the_server_dies() {
    let (mut time, mut client, server, _) = connect_ours(IPV4);
    // Without a goodbye: what it says while it is dropped is not read.
    drop(server);
    each_datagram(&client.socket, |_, _| {});
    until(
        &mut time,
        &mut client,
        &mut (),
        |client, (), time| client.step(time),
        |client, ()| client.client.state() == ClientState::Ended(EndReason::TimedOut),
    );
}
