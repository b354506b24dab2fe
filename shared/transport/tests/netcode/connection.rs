//! Connected clients.

use arbiter_transport::netcode::packet::{Header, Kind};
use arbiter_transport::netcode::{ClientState, EndReason, GoneReason, HEADER_BYTES_MAX, PACKET_BYTES_MAX, TAG_BYTES};

use crate::harness::*;

#[test]
fn both_ends_get_what_the_other_sends() {
    let mut net = Net::new(4);
    let (client, connection) = net.connect();
    let packet = net.seal_at_client(client, b"to the server");
    net.hand(address(0), &packet);
    assert_eq!(net.told, [Told::Payload(connection, b"to the server".to_vec())]);
    let packets = net.seal_at_server(connection, b"to the client").unwrap();
    net.deliver(&packets);
    assert_eq!(net.payloads, [(client, b"to the client".to_vec())]);
    assert_eq!(net.server.address(connection), Some(address(0)));
}

#[test]
fn a_payload_can_be_sealed_where_it_was_written() {
    let mut net = Net::new(4);
    let (client, connection) = net.connect();
    let mut datagram = [0; PACKET_BYTES_MAX];
    datagram[HEADER_BYTES_MAX..HEADER_BYTES_MAX + 5].copy_from_slice(b"hello");
    let (to, range) = net.server.seal_in_place(connection, &mut datagram, 5, &mut |_, _| {}).unwrap();
    net.deliver(&[(to, datagram[range].to_vec())]);
    assert_eq!(net.payloads, [(client, b"hello".to_vec())]);

    datagram[HEADER_BYTES_MAX..HEADER_BYTES_MAX + 5].copy_from_slice(b"howdy");
    let (_, range) = net.clients[client].1.seal_in_place(&mut datagram, 5).unwrap();
    net.hand(address(0), &datagram[range]);
    assert_eq!(net.told, [Told::Payload(connection, b"howdy".to_vec())]);
}

#[test]
fn a_payload_has_1_to_1200_bytes_and_a_buffer_that_it_fits() {
    let mut net = Net::new(4);
    let (client, connection) = net.connect();
    let mut datagram = [0; 2_000];
    for bytes in [0, 1_201, usize::MAX - 30] {
        assert!(net.server.seal_in_place(connection, &mut datagram, bytes, &mut |_, _| {}).is_none());
        assert!(net.clients[client].1.seal_in_place(&mut datagram, bytes).is_none());
    }
    for payload in [&[][..], &[0; 1_201]] {
        assert!(net.server.seal(connection, payload, &mut datagram, &mut |_, _| {}).is_none());
        assert!(net.clients[client].1.seal(payload, &mut datagram).is_none());
    }
    let mut short = [0; 2 + 100 + TAG_BYTES - 1];
    assert!(net.server.seal(connection, &[0; 100], &mut short, &mut |_, _| {}).is_none());
    assert!(net.clients[client].1.seal(&[0; 100], &mut short).is_none());
    assert!(net.clients[client].1.is_connected() && net.server.is_connected(connection));
}

#[test]
fn silence_is_filled_with_ten_keep_alives_a_second() {
    let mut net = Net::new(4);
    net.connect();
    let (to_server, to_client) = (std::rc::Rc::new(std::cell::Cell::new(0)), std::rc::Rc::new(std::cell::Cell::new(0)));
    let counts = (to_server.clone(), to_client.clone());
    net.loses = Box::new(move |is_to_server, _| {
        let count = if is_to_server { &counts.0 } else { &counts.1 };
        count.set(count.get() + 1);
        false
    });
    net.steps(1_000);
    assert!((95..=101).contains(&to_server.get()), "{} to the server in 10 s", to_server.get());
    assert!((95..=101).contains(&to_client.get()), "{} to the client in 10 s", to_client.get());
}

#[test]
fn no_keep_alives_go_out_while_payloads_do() {
    let mut net = Net::new(4);
    let (client, connection) = net.connect();
    for _ in 0..200 {
        net.now += STEP;
        let packet = net.seal_at_client(client, b"input");
        assert!(net.said(client).is_empty());
        net.hand(address(0), &packet);
        let packets = net.seal_at_server(connection, b"snapshot").unwrap();
        assert_eq!((packets.len(), net.update_server()), (1, vec![]));
        net.deliver(&packets);
    }
}

#[test]
fn until_a_client_was_heard_of_each_payload_has_a_keep_alive_before_it() {
    let mut net = Net::new(4);
    let client = net.join();
    // The first keep-alive, which lets the client in, is lost.
    net.loses = Box::new(|to_server, packet| !to_server && packet[0] & 0xF == Kind::KeepAlive as u8);
    net.steps(5);
    let Some(Told::Connected(connection, _)) = net.told.pop() else { panic!("{:?}", net.told) };
    assert_eq!(net.clients[client].1.state(), ClientState::Responding);
    let packets = net.seal_at_server(connection, b"early").unwrap();
    let kinds: Vec<Kind> = packets.iter().map(|(_, packet)| Header::read(packet).unwrap().kind).collect();
    assert_eq!(kinds, [Kind::KeepAlive, Kind::Payload]);
    net.loses = Box::new(|_, _| false);
    net.deliver(&packets);
    assert_eq!(net.payloads, [(client, b"early".to_vec())]);
    net.steps(20);
    assert_eq!(net.seal_at_server(connection, b"later").unwrap().len(), 1);
}

#[test]
fn a_goodbye_of_the_client_frees_its_slot_at_once() {
    let mut net = Net::new(1);
    let (client, connection) = net.connect();
    let mut packets = Vec::new();
    net.clients[client].1.disconnect(&mut |_, packet| packets.push(packet.to_vec()));
    assert_eq!(packets.len(), 10);
    // The last of ten suffices; the others find nobody.
    for packet in packets.iter().rev() {
        net.hand(address(0), packet);
    }
    assert_eq!(net.told, [Told::Gone(connection, GoneReason::ByPeer)]);
    assert_eq!((net.server.clients(), net.server.counters().strangers), (0, 9));
}

#[test]
fn a_goodbye_of_the_server_reaches_the_client_if_one_of_ten_does() {
    let mut net = Net::new(1);
    let (client, connection) = net.connect();
    let mut packets = Vec::new();
    assert!(net.server.disconnect(connection, &mut |to, packet| packets.push((to, packet.to_vec()))));
    assert_eq!(packets.len(), 10);
    net.deliver(&packets[7..8]);
    assert_eq!(net.clients[client].1.state(), ClientState::Ended(EndReason::ByServer));
    assert!(!net.server.disconnect(connection, &mut |_, _| panic!("said twice")));
}

#[test]
fn silence_ends_a_connection_at_both_ends_after_the_tokens_timeout() {
    let mut net = Net::new(1);
    let (client, connection) = net.connect();
    net.loses = Box::new(|_, _| true);
    net.steps(490);
    assert!(net.told.is_empty() && net.clients[client].1.is_connected());
    net.steps(20);
    assert_eq!(net.told, [Told::Gone(connection, GoneReason::TimedOut)]);
    assert_eq!(net.clients[client].1.state(), ClientState::Ended(EndReason::TimedOut));
}

#[test]
fn a_token_without_a_timeout_keeps_a_silent_connection() {
    let mut net = Net::new(1);
    let mut request = request(1);
    request.timeout_seconds = -1;
    let token = arbiter_transport::netcode::ConnectToken::generate(&request, &net.key, net.now).unwrap();
    net.join_with(token);
    net.steps(10);
    net.loses = Box::new(|_, _| true);
    net.now += std::time::Duration::from_secs(100 * 86_400);
    net.steps(10);
    assert!(net.clients[0].1.is_connected() && net.server.clients() == 1);
}

#[test]
fn the_id_of_a_gone_client_never_means_the_next_tenant_of_its_slot() {
    let mut net = Net::new(1);
    let (_, first) = net.connect();
    net.server.disconnect(first, &mut |_, _| {});
    let (_, second) = net.connect();
    assert_eq!((first.slot(), second.slot()), (0, 0));
    assert!(first != second && !net.server.is_connected(first) && net.server.address(first).is_none());
    assert!(net.seal_at_server(first, b"stale").is_none());
    assert!(!net.server.disconnect(first, &mut |_, _| {}));
    assert!(net.server.is_connected(second));
}

#[test]
fn slots_are_used_again_many_times() {
    let mut net = Net::new(2);
    for round in 0..50 {
        let (client, connection) = net.connect();
        assert_eq!((connection.slot(), net.server.clients()), (0, 1), "round {round}");
        let mut packets = Vec::new();
        net.clients[client].1.disconnect(&mut |_, packet| packets.push(packet.to_vec()));
        net.hand(address(client as u16), &packets[0]);
        assert!(matches!(net.told.pop(), Some(Told::Gone(_, GoneReason::ByPeer))));
    }
    assert_eq!((net.server.clients(), net.server.pending()), (0, 0));
}

#[test]
fn time_that_goes_backwards_ends_nothing() {
    let mut net = Net::new(1);
    let (client, _) = net.connect();
    net.now -= std::time::Duration::from_secs(1_000);
    net.steps(200);
    assert!(net.clients[client].1.is_connected() && net.told.is_empty());
}

#[test]
fn all_connections_can_be_listed_and_ended() {
    let mut net = Net::new(70);
    let mut connected: Vec<_> = (0..66).map(|_| net.connect().1).collect();
    connected.sort();
    assert_eq!(net.server.connections().collect::<Vec<_>>(), connected);
    net.server.disconnect_all(&mut |_, _| {});
    assert_eq!((net.server.clients(), net.server.connections().count()), (0, 0));
}
