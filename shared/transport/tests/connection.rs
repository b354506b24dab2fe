//! Contract: two state machines connected by nothing but bytes and time connect, talk and part; hostile bytes cost their
//! sender at most.

use core::net::SocketAddr;
use core::time::Duration;

use arbiter_transport::guard::Violation;
use arbiter_transport::{
    Channel, ClientConnection, ClientEvent, DisconnectReason, Key, SendError, ServerEvent, ServerTransport,
    ServerTransportConfig, TokenRequest, mint_token,
};
use proptest::prelude::*;

const START: Duration = Duration::from_secs(1_700_000_000);
const STEP: Duration = Duration::from_millis(16);

fn server_address() -> SocketAddr {
    "127.0.0.1:7000".parse().expect("an address")
}

fn client_address(client: usize) -> SocketAddr {
    format!("127.0.0.1:{}", 8_000 + client).parse().expect("an address")
}

struct Net {
    server: ServerTransport,
    clients: Vec<ClientConnection>,
    now: Duration,
    /// Drops each datagram that this says to.
    loses: Box<dyn FnMut() -> bool>,
}

impl Net {
    fn new(clients: usize) -> Self {
        let key = Key::generate();
        let config =
            ServerTransportConfig { key: key.clone(), public_addresses: vec![server_address()], clients_max: 4 };
        let clients = (0..clients).map(|_| {
            let mut request = TokenRequest::new(vec![server_address()]);
            request.user_data[0] = 42;
            let token = mint_token(&key, &request, START).expect("a token");
            ClientConnection::new(&token, START).expect("a connection")
        });
        let clients = clients.collect();
        Self { server: ServerTransport::new(config, START), clients, now: START, loses: Box::new(|| false) }
    }

    fn step(&mut self) {
        self.now += STEP;
        for (at, client) in self.clients.iter_mut().enumerate() {
            client.advance(self.now);
            let (server, loses) = (&mut self.server, &mut self.loses);
            client.transmit(&mut |_, bytes| {
                if !loses() {
                    server.receive(client_address(at), &mut bytes.to_vec());
                }
            });
        }
        self.server.advance(self.now);
        let (clients, loses) = (&mut self.clients, &mut self.loses);
        self.server.transmit(&mut |to, bytes| {
            if !loses() {
                clients[usize::from(to.port()) - 8_000].receive(server_address(), &mut bytes.to_vec());
            }
        });
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    fn connect(clients: usize) -> (Self, Vec<u64>) {
        let mut net = Self::new(clients);
        net.steps(20);
        let mut ids = Vec::new();
        while let Some(event) = net.server.next_event() {
            let ServerEvent::Connected { client, user_data } = event else { panic!("{event:?}") };
            assert_eq!(user_data[0], 42);
            ids.push(client);
        }
        assert_eq!(ids.len(), clients);
        for client in &mut net.clients {
            assert_eq!(client.next_event(), Some(ClientEvent::Connected));
        }
        (net, ids)
    }
}

#[test]
fn both_ends_talk_on_both_channels() {
    let (mut net, ids) = Net::connect(1);
    net.clients[0].send(Channel::Datagram, &[16, 1]).expect("sent");
    net.clients[0].send(Channel::Reliable, b"hello").expect("sent");
    net.server.send(ids[0], Channel::Datagram, &[17, 2]).expect("sent");
    net.server.send(ids[0], Channel::Reliable, &[7; 900]).expect("sent");
    net.steps(3);
    let client = ids[0];
    let received = |channel, bytes: &[u8]| Some(ServerEvent::Received { client, channel, bytes: bytes.to_vec() });
    assert_eq!(net.server.next_event(), received(Channel::Datagram, &[16, 1]));
    assert_eq!(net.server.next_event(), received(Channel::Reliable, b"hello"));
    let received = |channel, bytes: &[u8]| Some(ClientEvent::Received { channel, bytes: bytes.to_vec() });
    assert_eq!(net.clients[0].next_event(), received(Channel::Datagram, &[17, 2]));
    assert_eq!(net.clients[0].next_event(), received(Channel::Reliable, &[7; 900]));
}

#[test]
fn messages_arrive_once_and_in_order_over_a_lossy_link() {
    let (mut net, ids) = Net::connect(1);
    let mut state = 1_u32;
    net.loses = Box::new(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24 < 77
    });
    for number in 0..200_u16 {
        net.server.send(ids[0], Channel::Reliable, &number.to_le_bytes()).expect("sent");
        net.step();
    }
    net.steps(300);
    let mut got = Vec::new();
    while let Some(event) = net.clients[0].next_event() {
        let ClientEvent::Received { bytes, .. } = event else { panic!("{event:?}") };
        got.push(u16::from_le_bytes([bytes[0], bytes[1]]));
    }
    assert_eq!(got, (0..200).collect::<Vec<_>>());
    assert!(net.server.is_flushed(ids[0]));
}

#[test]
fn an_idle_connection_is_quiet() {
    let (mut net, ids) = Net::connect(1);
    net.server.send(ids[0], Channel::Reliable, b"once").expect("sent");
    net.steps(30);
    let mut datagrams = 0;
    for _ in 0..60 {
        net.now += STEP;
        net.server.advance(net.now);
        net.server.transmit(&mut |_, _| datagrams += 1);
    }
    assert!(datagrams <= 5, "{datagrams} datagrams in a second of silence");
}

#[test]
fn a_packet_that_would_end_renet_drops_only_its_sender() {
    let (mut net, ids) = Net::connect(2);
    // What renet itself would make of a slice 5 of 1; tags below 16 cannot be sent through the client's face, so the bytes
    // go around it.
    assert_eq!(net.clients[0].send(Channel::Datagram, &[2, 0, 0, 0, 5, 1, 1, 9]), Err(SendError::Size(8)));
    arbiter_transport::client::send_raw_for_tests(&mut net.clients[0], &[2, 0, 0, 0, 5, 1, 1, 9]);
    net.steps(3);
    let mut gone = Vec::new();
    while let Some(event) = net.server.next_event() {
        if let ServerEvent::Disconnected { client, reason } = event {
            gone.push((client, reason));
        }
    }
    assert_eq!(gone, [(ids[0], DisconnectReason::Violation(Violation::Kind(2)))]);
    assert_eq!(net.clients[0].next_event(), Some(ClientEvent::Disconnected(DisconnectReason::ByPeer)));
    assert!(net.clients[1].is_connected());
}

#[test]
fn a_client_says_goodbye_and_is_gone_at_once() {
    let (mut net, ids) = Net::connect(1);
    net.clients[0].send(Channel::Reliable, b"bye").expect("sent");
    net.clients[0].disconnect();
    net.steps(2);
    let client = ids[0];
    let bytes = b"bye".to_vec();
    assert_eq!(net.server.next_event(), Some(ServerEvent::Received { client, channel: Channel::Reliable, bytes }));
    let reason = DisconnectReason::ByPeer;
    assert_eq!(net.server.next_event(), Some(ServerEvent::Disconnected { client, reason }));
}

#[test]
fn silence_times_out_on_both_ends() {
    let (mut net, ids) = Net::connect(1);
    net.loses = Box::new(|| true);
    net.steps(400);
    let (client, reason) = (ids[0], DisconnectReason::TimedOut);
    assert_eq!(net.server.next_event(), Some(ServerEvent::Disconnected { client, reason }));
    assert_eq!(net.clients[0].next_event(), Some(ClientEvent::Disconnected(reason)));
}

#[test]
fn a_token_of_another_key_gets_no_answer() {
    let mut net = Net::new(0);
    let token = mint_token(&Key::generate(), &TokenRequest::new(vec![server_address()]), START).expect("a token");
    net.clients.push(ClientConnection::new(&token, START).expect("a connection"));
    net.steps(700);
    assert_eq!(net.server.next_event(), None);
    assert_eq!(net.clients[0].next_event(), Some(ClientEvent::Disconnected(DisconnectReason::Unreachable)));
}

#[test]
fn a_full_server_denies() {
    let mut net = Net::new(5);
    net.steps(40);
    let denied = net.clients.iter_mut().filter_map(ClientConnection::next_event);
    let denied = denied.filter(|event| *event == ClientEvent::Disconnected(DisconnectReason::Denied)).count();
    assert_eq!((denied, net.server.clients()), (1, 4));
}

#[test]
fn a_client_that_never_acknowledges_is_dropped_before_it_fills_memory() {
    let (mut net, ids) = Net::connect(1);
    let sent = (0..1_000).take_while(|_| net.server.send(ids[0], Channel::Reliable, &[1; 900]).is_ok()).count();
    assert!((100..200).contains(&sent), "{sent} messages were queued");
    let (client, reason) = (ids[0], DisconnectReason::QueueFull);
    assert_eq!(net.server.next_event(), Some(ServerEvent::Disconnected { client, reason }));
}

#[test]
fn a_key_survives_its_file() {
    let key = Key::generate();
    assert_eq!(Key::from_hex(&format!("{}\n", key.to_hex())).expect("a key"), key);
    assert!(Key::from_hex("abc").is_err() && Key::from_hex(&"é".repeat(32)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_does_nothing(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_500), 1..20)) {
        let (mut net, _) = Net::connect(1);
        for datagram in &datagrams {
            // From a stranger, from the client's own address, and from the server's.
            net.server.receive("127.0.0.1:9999".parse().expect("an address"), &mut datagram.clone());
            net.server.receive(client_address(0), &mut datagram.clone());
            net.clients[0].receive(server_address(), &mut datagram.clone());
        }
        net.steps(2);
        prop_assert!(net.clients[0].is_connected());
        prop_assert_eq!(net.server.clients(), 1);
    }

    #[test]
    fn a_hostile_client_costs_only_itself(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..20), kind in 0..6_u8) {
        let (mut net, _) = Net::connect(2);
        for payload in payloads {
            let mut payload = payload;
            payload[0] = kind;
            arbiter_transport::client::send_raw_for_tests(&mut net.clients[0], &payload);
        }
        net.steps(4);
        prop_assert!(net.clients[1].is_connected());
    }

    #[test]
    fn random_bytes_are_no_token(bytes in proptest::collection::vec(any::<u8>(), 0..2_200)) {
        prop_assert!(ClientConnection::new(&bytes, START).is_err());
    }
}
