//! Their client, our server.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ends::*;
use arbiter_transport::netcode::{GoneReason, Key, PAYLOAD_BYTES_MAX};

fn connects_and_hands_over_its_user_data(bind: &str, token: impl Fn(&Key, SocketAddr, &Time) -> [u8; 2_048]) {
    let mut time = Time::new();
    let mut server = OurServer::new(bind, 4, &time);
    let mut client = their_client(bind);
    client.connect(&token(&server.key, server.address, &time)).unwrap();
    until(&mut time, &mut client, &mut server, theirs_to_ours, |client, _| {
        client.state() == netcode::ClientState::Connected
    });
    let (connection, client_id, user_data) = server.connected[0];
    assert_eq!((connection.slot(), client_id, user_data), (0, 77, USER_DATA));
    assert_eq!((client.client_index(), client.max_clients()), (0, 4));
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
    let (mut time, mut client, mut server) = connect_theirs(bind);
    server.echoes = true;
    for bytes in 1..=PAYLOAD_BYTES_MAX {
        client.send_packet(&payload(bytes)).unwrap();
        let echo = (0..STEPS_MAX).find_map(|_| {
            theirs_to_ours(&mut client, &mut server, &time);
            time.step();
            client.receive_packet()
        });
        assert_eq!(echo.map(|(echo, _)| echo), Some(payload(bytes)));
    }
    assert_eq!(server.server.counters().payloads, PAYLOAD_BYTES_MAX as u64);
    assert_eq!(client.receive_packet(), None);
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
    let (mut time, mut client, mut server) = connect_theirs(IPV4);
    for _ in 0..3 * TIMEOUT_SECONDS * 50 {
        theirs_to_ours(&mut client, &mut server, &time);
        time.step();
    }
    assert_eq!(client.state(), netcode::ClientState::Connected);
    assert_eq!((server.server.clients(), server.gone.len()), (1, 0));
}

#[test]
fn says_goodbye() {
    let (mut time, mut client, mut server) = connect_theirs(IPV6);
    client.disconnect();
    until(&mut time, &mut client, &mut server, theirs_to_ours, |_, server| server.server.clients() == 0);
    assert_eq!(server.gone, [(server.connected[0].0, GoneReason::ByPeer)]);
}

#[test]
fn is_told_goodbye() {
    let (mut time, mut client, mut server) = connect_theirs(IPV4);
    assert!(server.server.disconnect(server.connected[0].0, &mut send(&server.socket)));
    until(&mut time, &mut client, &mut server, theirs_to_ours, |client, _| {
        client.state() == netcode::ClientState::Disconnected
    });
    assert!(time.theirs() < f64::from(TIMEOUT_SECONDS));
}

#[test]
fn is_denied_when_the_server_is_full() {
    let mut time = Time::new();
    let mut server = OurServer::new(IPV6, 1, &time);
    let mut clients = [1, 2].map(|id| {
        let mut client = their_client(IPV6);
        client.connect(&their_token(&server.key, id, &[server.address])).unwrap();
        client
    });
    let step = |clients: &mut [netcode::Client; 2], server: &mut OurServer, time: &Time| {
        clients.iter_mut().for_each(|client| client.update(time.theirs()));
        server.step(time);
    };
    until(&mut time, &mut clients, &mut server, step, |clients, _| {
        let states = clients.each_ref().map(netcode::Client::state);
        states.contains(&netcode::ClientState::ConnectionDenied) && states.contains(&netcode::ClientState::Connected)
    });
}

#[test]
fn gives_up_with_a_token_that_has_expired() {
    let mut time = Time::new();
    let mut server = OurServer::new(IPV4, 1, &time);
    let past = Time { now: time.now - Duration::from_secs(60), start: time.start };
    let mut client = their_client(IPV4);
    client.connect(&our_token(&server.key, 1, &[server.address], &past)).unwrap();
    until(&mut time, &mut client, &mut server, theirs_to_ours, |client, _| {
        client.state() == netcode::ClientState::ConnectionRequestTimedOut
    });
    let counters = server.server.counters();
    assert!(counters.expired > 0 && counters.expired == counters.received);
}

#[test]
fn gives_up_with_a_token_that_was_tampered_with() {
    let mut time = Time::new();
    let mut server = OurServer::new(IPV4, 1, &time);
    let mut token = their_token(&server.key, 1, &[server.address]);
    token[200] ^= 1;
    let mut client = their_client(IPV4);
    client.connect(&token).unwrap();
    until(&mut time, &mut client, &mut server, theirs_to_ours, |client, _| {
        client.state() == netcode::ClientState::ConnectionRequestTimedOut
    });
    let counters = server.server.counters();
    assert!(counters.forged_tokens > 0 && counters.forged_tokens == counters.received);
}

#[test]
fn is_refused_with_a_token_that_another_address_has_used() {
    let mut time = Time::new();
    let mut server = OurServer::new(IPV4, 2, &time);
    let token = their_token(&server.key, 1, &[server.address]);
    let mut first = their_client(IPV4);
    first.connect(&token).unwrap();
    until(&mut time, &mut first, &mut server, theirs_to_ours, |_, server| server.connected.len() == 1);
    first.disconnect();
    until(&mut time, &mut first, &mut server, theirs_to_ours, |_, server| server.gone.len() == 1);
    let mut thief = their_client(IPV4);
    thief.connect(&token).unwrap();
    until(&mut time, &mut thief, &mut server, theirs_to_ours, |client, _| {
        client.state() == netcode::ClientState::ConnectionRequestTimedOut
    });
    assert_eq!(server.connected.len(), 1);
    assert!(server.server.counters().reused_tokens > 0);
}

#[test]
fn finds_the_second_address_of_its_token_when_the_first_is_dead() {
    let mut time = Time::new();
    let mut server = OurServer::new(IPV4, 1, &time);
    let dead = dead_address(IPV4);
    let mut client = their_client(IPV4);
    client.connect(&our_token(&server.key, 1, &[dead, server.address], &time)).unwrap();
    until(&mut time, &mut client, &mut server, theirs_to_ours, |client, _| {
        client.state() == netcode::ClientState::Connected
    });
    assert_eq!(client.server_address(), Some(server.address));
}

#[test]
fn times_out_when_the_server_dies() {
    let (mut time, mut client, server) = connect_theirs(IPV4);
    drop(server);
    until(
        &mut time,
        &mut client,
        &mut (),
        |client, (), time| client.update(time.theirs()),
        |client, ()| client.state() == netcode::ClientState::ConnectionTimedOut,
    );
}

#[test]
fn is_given_up_when_it_dies() {
    let (mut time, client, mut server) = connect_theirs(IPV4);
    // Dropped, it says goodbye; what it says is not read.
    drop(client);
    each_datagram(&server.socket, |_, _| {});
    until(
        &mut time,
        &mut (),
        &mut server,
        |(), server, time| server.step(time),
        |(), server| server.gone == [(server.connected[0].0, GoneReason::TimedOut)],
    );
}
