//! Our server with its clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbiter_transport::netcode::{
    Client, ConnectToken, ConnectionId, HandshakeLimiter, HandshakeLimits, Key, PACKET_BYTES_MAX, Rate, Received,
    Server, ServerConfig, TokenHistory, TokenRequest,
};

use crate::subject::Peer;
use crate::{PAYLOAD_BYTES, START, TICK};

pub struct Ours {
    server: Server,
    clients: Vec<Client>,
    connections: Vec<ConnectionId>,
    now: Duration,
}

pub fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 40_000 + number as u16))
}

pub fn server(key: &Key, clients_max: usize) -> Server {
    let history = Arc::new(TokenHistory::new(clients_max * 4).expect("the system has randomness"));
    let mut config = ServerConfig::new(key.clone(), 1, vec![server_address()], clients_max, history);
    // All clients with sockets have one address, and connect at once.
    let all = Rate { per_second: 1 << 20, burst: 1 << 20 };
    config.limiter = Arc::new(HandshakeLimiter::new(HandshakeLimits { source: all, total: all }));
    Server::new(config, START).expect("the system has randomness")
}

pub fn server_address() -> SocketAddr {
    SocketAddr::from(([10, 255, 0, 1], 7_000))
}

pub fn token(key: &Key, client_id: u64, now: Duration) -> ConnectToken {
    let mut request = TokenRequest::new(1, client_id, &[server_address()]).expect("one address is allowed");
    // Clients may be silent here for as long as a measurement takes.
    request.timeout_seconds = -1;
    ConnectToken::generate(&request, key, now).expect("the system has randomness")
}

/// Connects a client; `None` if that takes more than four packets each way.
pub fn connect(server: &mut Server, client: &mut Client, from: SocketAddr, now: Duration) -> Option<ConnectionId> {
    let mut connected = None;
    for step in 0..4 {
        let now = now + Duration::from_millis(step);
        let mut answers: Vec<Vec<u8>> = Vec::new();
        client.update(now, &mut |_, packet| {
            let mut answer = |_, packet: &[u8]| answers.push(packet.to_vec());
            if let Received::Connected { connection, .. } = server.receive(now, from, &mut packet.to_vec(), &mut answer)
            {
                connected = Some(connection);
            }
        });
        for mut answer in answers {
            client.receive(now, server_address(), &mut answer);
        }
    }
    connected.filter(|_| client.is_connected())
}

impl Ours {
    pub fn new(addresses: &[SocketAddr]) -> Self {
        let key = Key::generate().expect("the system has randomness");
        let mut server = server(&key, addresses.len());
        let (mut clients, mut connections) = (Vec::new(), Vec::new());
        for (number, from) in addresses.iter().enumerate() {
            let mut client = Client::new(token(&key, number as u64, START), START).expect("the token is sound");
            connections.push(connect(&mut server, &mut client, *from, START).expect("nothing is lost here"));
            clients.push(client);
        }
        Self { server, clients, connections, now: START }
    }
}

impl Peer for Ours {
    fn tick(&mut self) {
        self.now += TICK;
        self.server.update(self.now, &mut |_, _| {}, &mut |_, _| {});
    }

    fn say(&mut self, client: usize, packet: &mut [u8]) -> usize {
        self.clients[client].seal(&[3; PAYLOAD_BYTES], packet).expect("it is connected").1
    }

    fn open(&mut self, from: SocketAddr, packet: &mut [u8]) -> bool {
        let received = self.server.receive(self.now, from, packet, &mut |_, _| {});
        matches!(received, Received::Payload { payload, .. } if payload.len() == PAYLOAD_BYTES)
    }

    fn seal(&mut self, client: usize, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let mut packet = [0; PACKET_BYTES_MAX];
        let connection = self.connections[client];
        if let Some((to, bytes)) = self.server.seal(connection, &[3; PAYLOAD_BYTES], &mut packet, &mut |_, _| {}) {
            out(to, &packet[..bytes]);
        }
    }
}
