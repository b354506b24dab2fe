//! Contract: two state machines connected by nothing but bytes and time connect, talk and part; hostile bytes cost their
//! sender at most.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use arbiter_transport::flow::BODY_BYTES_MAX;
use arbiter_transport::token::{self, key_from_hex, key_to_hex};
use arbiter_transport::{
    Body, ClientConnection, ClientEvent, ClientId, DisconnectReason, Key, SendError, ServerEvent, ServerTransport,
    ServerTransportConfig, TokenHistory, USER_DATA_BYTES, mint_token,
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

/// What happened at one end, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Happened {
    Connected,
    Disconnected(DisconnectReason),
    Body(u8, Vec<u8>),
    Message(Vec<u8>),
}

type Datagrams = Vec<(SocketAddr, Vec<u8>)>;

fn keep(datagrams: &mut Datagrams) -> impl FnMut(SocketAddr, &[u8]) {
    |to, bytes| datagrams.push((to, bytes.to_vec()))
}

fn at_server(happened: &mut Vec<(ClientId, Happened)>) -> impl FnMut(ServerEvent<'_>) {
    |event| {
        happened.extend(match event {
            ServerEvent::Connected { client, user_data } => {
                assert_eq!(user_data[0], 42);
                Some((client, Happened::Connected))
            }
            ServerEvent::Disconnected { client, reason } => Some((client, Happened::Disconnected(reason))),
            ServerEvent::Body { client, kind, bytes } => Some((client, Happened::Body(kind, bytes.to_vec()))),
            ServerEvent::Message { client, bytes } => Some((client, Happened::Message(bytes.to_vec()))),
            ServerEvent::Delivered { .. } | ServerEvent::Lost { .. } => None,
        });
    }
}

fn at_client(happened: &mut Vec<Happened>) -> impl FnMut(ClientEvent<'_>) {
    |event| {
        happened.extend(match event {
            ClientEvent::Connected => Some(Happened::Connected),
            ClientEvent::Disconnected(reason) => Some(Happened::Disconnected(reason)),
            ClientEvent::Body { kind, bytes } => Some(Happened::Body(kind, bytes.to_vec())),
            ClientEvent::Message(bytes) => Some(Happened::Message(bytes.to_vec())),
            ClientEvent::Delivered(_) | ClientEvent::Lost(_) => None,
        });
    }
}

struct Net {
    server: ServerTransport,
    clients: Vec<ClientConnection>,
    server_heard: Vec<(ClientId, Happened)>,
    clients_heard: Vec<Vec<Happened>>,
    to_clients: Datagrams,
    to_server: Datagrams,
    now: Duration,
    /// Drops each datagram that this says to.
    loses: Box<dyn FnMut() -> bool>,
}

impl Net {
    fn new(clients: usize) -> Self {
        let key = Key::generate().expect("randomness");
        let history = Arc::new(TokenHistory::new(64).expect("randomness"));
        let config = ServerTransportConfig::new(key.clone(), vec![server_address()], 4, history);
        let server = ServerTransport::new(config, START).expect("randomness");
        let mut net = Self {
            server,
            clients: Vec::new(),
            server_heard: Vec::new(),
            clients_heard: Vec::new(),
            to_clients: Vec::new(),
            to_server: Vec::new(),
            now: START,
            loses: Box::new(|| false),
        };
        (0..clients).for_each(|_| net.add_client(&key));
        net
    }

    fn add_client(&mut self, key: &Key) {
        let user_data = [42; USER_DATA_BYTES];
        let token = mint_token(key, &[server_address()], &user_data, token::LIFETIME, self.now).expect("a token");
        self.clients.push(ClientConnection::new(&token[..], self.now).expect("a connection"));
        self.clients_heard.push(Vec::new());
    }

    fn step(&mut self) {
        self.now += STEP;
        let now = self.now;
        for (at, client) in self.clients.iter_mut().enumerate() {
            client.advance(now, &mut keep(&mut self.to_server), &mut at_client(&mut self.clients_heard[at]));
            for (_, mut bytes) in self.to_server.drain(..).filter(|_| !(self.loses)()) {
                let (out, tell) = (&mut keep(&mut self.to_clients), &mut at_server(&mut self.server_heard));
                self.server.receive(now, client_address(at), &mut bytes, out, tell);
            }
        }
        self.server.advance(now, &mut keep(&mut self.to_clients), &mut at_server(&mut self.server_heard));
        for (to, mut bytes) in self.to_clients.drain(..).filter(|_| !(self.loses)()) {
            let at = usize::from(to.port()) - 8_000;
            let (out, tell) = (&mut keep(&mut self.to_server), &mut at_client(&mut self.clients_heard[at]));
            self.clients[at].receive(now, server_address(), &mut bytes, out, tell);
        }
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    fn connect(clients: usize) -> (Self, Vec<ClientId>) {
        let mut net = Self::new(clients);
        net.steps(20);
        let heard = core::mem::take(&mut net.server_heard);
        let ids: Vec<_> = heard.iter().map(|(client, _)| *client).collect();
        assert_eq!(heard.iter().filter(|(_, what)| *what == Happened::Connected).count(), clients);
        for heard in &mut net.clients_heard {
            assert_eq!(core::mem::take(heard), [Happened::Connected]);
        }
        (net, ids)
    }

    fn client_sends(&mut self, at: usize, kind: u8, bytes: &[u8]) -> Result<(), SendError> {
        let body = Body { kind, tag: 0, bytes };
        self.clients[at].send_body(self.now, body, &mut keep(&mut self.to_server))
    }

    fn server_sends(&mut self, client: ClientId, kind: u8, bytes: &[u8]) -> Result<(), SendError> {
        self.server.send_body(self.now, client, Body { kind, tag: 0, bytes }, &mut keep(&mut self.to_clients))
    }
}

#[test]
fn both_ends_send_bodies_and_messages() {
    let (mut net, ids) = Net::connect(1);
    net.client_sends(0, 1, &[1]).expect("sent");
    net.clients[0].send_message(b"hello").expect("sent");
    net.server_sends(ids[0], 2, &[2; BODY_BYTES_MAX]).expect("sent");
    net.server.send_message(ids[0], &[7; 10_000]).expect("sent");
    net.steps(200);
    let heard = [Happened::Body(1, vec![1]), Happened::Message(b"hello".to_vec())];
    assert_eq!(net.server_heard, heard.map(|what| (ids[0], what)));
    let heard = [Happened::Body(2, vec![2; BODY_BYTES_MAX]), Happened::Message(vec![7; 10_000])];
    assert!(net.clients_heard[0] == heard, "a body and a message of 10,000 B");
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let (mut net, ids) = Net::connect(1);
    assert_eq!(net.server_sends(ids[0], 1, &[]), Err(SendError::Size(0)));
    assert_eq!(net.server_sends(ids[0], 7, &[1]), Err(SendError::Size(1)));
    assert_eq!(net.server_sends(ids[0], 1, &[1; BODY_BYTES_MAX + 1]), Err(SendError::Size(BODY_BYTES_MAX + 1)));
    assert_eq!(net.server.send_message(ids[0], &[]), Err(SendError::Size(0)));
}

#[test]
fn a_tick_costs_one_datagram_each_way() {
    let (mut net, ids) = Net::connect(1);
    let (mut up, mut down) = (0, 0);
    for tick in 0..120_u8 {
        net.client_sends(0, 1, &[tick; 40]).expect("sent");
        net.server_sends(ids[0], 2, &[tick; 300]).expect("sent");
        if tick % 20 == 0 {
            net.server.send_message(ids[0], &[tick; 100]).expect("sent");
        }
        (up, down) = (up + net.to_server.len(), down + net.to_clients.len());
        net.step();
    }
    // A message that is due before a body may be given one of its own.
    assert!(up <= 121 && down <= 130, "{up} up and {down} down in 120 ticks");
    let messages = net.clients_heard[0].iter().filter(|what| matches!(what, Happened::Message(_))).count();
    assert_eq!(messages, 6);
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
        net.server.send_message(ids[0], &number.to_le_bytes()).expect("sent");
        net.step();
    }
    net.steps(600);
    let expected: Vec<_> = (0..200_u16).map(|number| Happened::Message(number.to_le_bytes().to_vec())).collect();
    assert_eq!(net.clients_heard[0], expected);
    assert!(net.server.is_flushed(ids[0]));
}

#[test]
fn an_idle_connection_is_quiet() {
    let (mut net, ids) = Net::connect(1);
    net.server.send_message(ids[0], b"once").expect("sent");
    net.steps(60);
    let mut datagrams = 0;
    for _ in 0..60 {
        net.now += STEP;
        net.server.advance(net.now, &mut |_, _| datagrams += 1, &mut |_| ());
    }
    assert!(datagrams <= 10, "{datagrams} datagrams in a second of silence: netcode's keep-alives are 10");
}

#[test]
fn a_packet_that_would_end_renet_drops_only_its_sender_and_tells_it_why() {
    let (mut net, ids) = Net::connect(2);
    // A slice 5 of 1 as renet itself would make it; its one byte is no acknowledgement either.
    net.clients[0].send_raw_for_tests(&[2, 0, 0, 0, 5, 1, 1, 0x3F], &mut keep(&mut net.to_server));
    net.steps(3);
    let gone: Vec<_> = net.server_heard.iter().filter(|(_, what)| matches!(what, Happened::Disconnected(_))).collect();
    assert!(
        matches!(gone[..], [(client, Happened::Disconnected(DisconnectReason::Violation(_)))] if *client == ids[0])
    );
    assert_eq!(net.clients_heard[0].last(), Some(&Happened::Disconnected(DisconnectReason::ByPeer)));
    let told = net.clients[0].farewell().expect("the server says why");
    assert!(told.starts_with("the other end broke the rules of the transport: "), "{told}");
    assert!(net.clients[1].is_connected());
}

#[test]
fn a_client_says_goodbye_and_is_gone_at_once() {
    let (mut net, ids) = Net::connect(1);
    net.clients[0].send_message(b"bye").expect("sent");
    net.now += STEP;
    net.clients[0].advance(net.now, &mut keep(&mut net.to_server), &mut |_| ());
    net.clients[0].disconnect(net.now, &mut keep(&mut net.to_server));
    net.steps(2);
    let heard = [Happened::Message(b"bye".to_vec()), Happened::Disconnected(DisconnectReason::ByPeer)];
    assert_eq!(net.server_heard, heard.map(|what| (ids[0], what)));
}

#[test]
fn a_server_that_ends_a_connection_tells_why_and_forgets_the_client() {
    let (mut net, ids) = Net::connect(1);
    net.server.disconnect(net.now, ids[0], "the match is over", &mut keep(&mut net.to_clients));
    net.steps(1);
    assert_eq!(net.clients[0].farewell(), Some("the match is over"));
    assert_eq!(net.clients[0].ended(), Some(DisconnectReason::ByPeer));
    assert_eq!(net.server_sends(ids[0], 1, &[1]), Err(SendError::NotConnected));
    assert_eq!(net.server.clients(), 0);
}

#[test]
fn silence_times_out_on_both_ends() {
    let (mut net, ids) = Net::connect(1);
    net.loses = Box::new(|| true);
    net.steps(400);
    assert_eq!(net.server_heard, [(ids[0], Happened::Disconnected(DisconnectReason::TimedOut))]);
    assert_eq!(net.clients_heard[0], [Happened::Disconnected(DisconnectReason::TimedOut)]);
}

#[test]
fn a_token_of_another_key_gets_no_answer() {
    let mut net = Net::new(0);
    net.add_client(&Key::generate().expect("randomness"));
    net.steps(700);
    assert_eq!(net.server_heard, []);
    assert_eq!(net.clients_heard[0], [Happened::Disconnected(DisconnectReason::Unreachable)]);
}

#[test]
fn a_full_server_denies() {
    let mut net = Net::new(5);
    net.steps(40);
    let denied = Happened::Disconnected(DisconnectReason::Denied);
    assert_eq!(net.clients_heard.iter().flatten().filter(|what| **what == denied).count(), 1);
    assert_eq!(net.server.clients(), 4);
}

#[test]
fn a_client_that_never_acknowledges_is_noticed_before_it_fills_memory() {
    let (mut net, ids) = Net::connect(1);
    let sent = (0..10_000).take_while(|_| net.server.send_message(ids[0], &[1; 900]).is_ok()).count();
    assert!((100..1_000).contains(&sent), "{sent} messages were queued");
    assert_eq!(net.server.send_message(ids[0], &[1; 900]), Err(SendError::QueueFull));
}

#[test]
fn a_key_survives_its_file() {
    let key = Key::generate().expect("randomness");
    let read = key_from_hex(&format!("{}\n", key_to_hex(&key))).expect("a key");
    assert_eq!(read.as_bytes(), key.as_bytes());
    assert!(key_from_hex("abc").is_err() && key_from_hex(&"é".repeat(32)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_does_nothing(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_500), 1..20)) {
        let (mut net, _) = Net::connect(1);
        for datagram in &datagrams {
            // From a stranger, from the client's own address, and from the server's.
            for from in ["127.0.0.1:9999".parse().expect("an address"), client_address(0)] {
                net.server.receive(net.now, from, &mut datagram.clone(), &mut |_, _| (), &mut |_| ());
            }
            net.clients[0].receive(net.now, server_address(), &mut datagram.clone(), &mut |_, _| (), &mut |_| ());
        }
        net.steps(2);
        prop_assert!(net.clients[0].is_connected());
        prop_assert_eq!(net.server.clients(), 1);
    }

    #[test]
    fn a_hostile_client_costs_only_itself(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..20)) {
        let (mut net, _) = Net::connect(2);
        for payload in payloads {
            net.clients[0].send_raw_for_tests(&payload, &mut keep(&mut net.to_server));
        }
        net.steps(4);
        prop_assert!(net.clients[1].is_connected());
    }

    #[test]
    fn random_bytes_are_no_token(bytes in proptest::collection::vec(any::<u8>(), 0..2_200)) {
        prop_assert!(ClientConnection::new(&bytes, START).is_err());
    }
}
