//! A server, clients at made-up addresses, and time by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbiter_transport::netcode::{
    Client, ClientReceived, ConnectToken, ConnectionId, GoneReason, Key, PACKET_BYTES_MAX, Received, Server,
    ServerConfig, TokenHistory, TokenRequest,
};

pub const START: Duration = Duration::from_secs(1_700_000_000);
pub const STEP: Duration = Duration::from_millis(10);
pub const PROTOCOL_ID: u64 = 7;

/// A datagram on its way to somewhere, or from it.
pub type Datagram = (SocketAddr, Vec<u8>);

/// What is lost on its way, from whether it goes to the server and its bytes.
pub type Loses = Box<dyn FnMut(bool, &[u8]) -> bool>;

/// What a server has told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Connected(ConnectionId, u64),
    Payload(ConnectionId, Vec<u8>),
    Gone(ConnectionId, GoneReason),
}

pub fn server_address() -> SocketAddr {
    "10.0.0.1:7000".parse().unwrap()
}

pub fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 9_000))
}

pub fn config(key: &Key, clients_max: usize) -> ServerConfig {
    let history = Arc::new(TokenHistory::new(4_096).unwrap());
    ServerConfig::new(key.clone(), PROTOCOL_ID, vec![server_address()], clients_max, history)
}

pub fn request(client_id: u64) -> TokenRequest {
    TokenRequest::new(PROTOCOL_ID, client_id, &[server_address()]).unwrap()
}

pub struct Net {
    pub server: Server,
    pub key: Key,
    pub clients: Vec<(SocketAddr, Client)>,
    pub now: Duration,
    pub told: Vec<Told>,
    pub payloads: Vec<(usize, Vec<u8>)>,
    pub loses: Loses,
}

impl Net {
    pub fn new(clients_max: usize) -> Self {
        let key = Key::generate().unwrap();
        Self::with(config(&key, clients_max))
    }

    pub fn with(config: ServerConfig) -> Self {
        let key = config.key.clone();
        let server = Server::new(config, START).unwrap();
        let loses = Box::new(|_, _: &[u8]| false);
        Self { server, key, clients: Vec::new(), now: START, told: Vec::new(), payloads: Vec::new(), loses }
    }

    pub fn token(&self, client_id: u64) -> ConnectToken {
        ConnectToken::generate(&request(client_id), &self.key, self.now).unwrap()
    }

    /// A client with its own token and address; its number.
    pub fn join(&mut self) -> usize {
        let number = self.clients.len();
        self.join_with(self.token(1_000 + number as u64))
    }

    pub fn join_with(&mut self, token: ConnectToken) -> usize {
        let number = self.clients.len();
        self.clients.push((address(number as u16), Client::new(token, self.now).unwrap()));
        number
    }

    pub fn connect(&mut self) -> (usize, ConnectionId) {
        let number = self.join();
        for _ in 0..50 {
            self.step();
            if let Some(Told::Connected(connection, _)) = self.told.pop() {
                self.steps(3);
                assert!(self.clients[number].1.is_connected());
                return (number, connection);
            }
        }
        panic!("client {number} does not connect: {:?}", self.server);
    }

    /// Hands the server a datagram; what it answers.
    pub fn hand(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Datagram> {
        let mut answers = Vec::new();
        let mut datagram = datagram.to_vec();
        let out = &mut |to: SocketAddr, packet: &[u8]| answers.push((to, packet.to_vec()));
        match self.server.receive(self.now, from, &mut datagram, out) {
            Received::Nothing => {}
            Received::Connected { connection, client_id, .. } => self.told.push(Told::Connected(connection, client_id)),
            Received::Payload { connection, payload } => self.told.push(Told::Payload(connection, payload.to_vec())),
            Received::Disconnected { connection, reason } => self.told.push(Told::Gone(connection, reason)),
        }
        answers
    }

    pub fn deliver(&mut self, answers: &[Datagram]) {
        for (to, packet) in answers {
            if (self.loses)(false, packet) {
                continue;
            }
            for (number, (address, client)) in self.clients.iter_mut().enumerate() {
                if address == to
                    && let ClientReceived::Payload(payload) =
                        client.receive(self.now, server_address(), &mut packet.clone())
                {
                    self.payloads.push((number, payload.to_vec()));
                }
            }
        }
    }

    /// What a client has to say now.
    pub fn said(&mut self, number: usize) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        self.clients[number].1.update(self.now, &mut |_, packet| said.push(packet.to_vec()));
        said
    }

    pub fn update_server(&mut self) -> Vec<Datagram> {
        let mut answers = Vec::new();
        let told = &mut self.told;
        self.server.update(
            self.now,
            &mut |to, packet| answers.push((to, packet.to_vec())),
            &mut |connection, reason| {
                told.push(Told::Gone(connection, reason));
            },
        );
        answers
    }

    pub fn step(&mut self) {
        self.now += STEP;
        for number in 0..self.clients.len() {
            for packet in self.said(number) {
                if !(self.loses)(true, &packet) {
                    let answers = self.hand(self.clients[number].0, &packet);
                    self.deliver(&answers);
                }
            }
        }
        let answers = self.update_server();
        self.deliver(&answers);
    }

    pub fn steps(&mut self, count: usize) {
        (0..count).for_each(|_| self.step());
    }

    pub fn seal_at_client(&mut self, number: usize, payload: &[u8]) -> Vec<u8> {
        let mut datagram = [0; PACKET_BYTES_MAX];
        let (_, bytes) = self.clients[number].1.seal(payload, &mut datagram).unwrap();
        datagram[..bytes].to_vec()
    }

    /// A sealed payload, after whatever must go before it.
    pub fn seal_at_server(&mut self, connection: ConnectionId, payload: &[u8]) -> Option<Vec<Datagram>> {
        let mut datagram = [0; PACKET_BYTES_MAX];
        let mut packets = Vec::new();
        let out = &mut |to: SocketAddr, packet: &[u8]| packets.push((to, packet.to_vec()));
        let (to, bytes) = self.server.seal(connection, payload, &mut datagram, out)?;
        packets.push((to, datagram[..bytes].to_vec()));
        Some(packets)
    }
}
