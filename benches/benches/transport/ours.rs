//! Our server with its clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbiter_transport::netcode::{
    Client, ConnectToken, ConnectionId, Key, PACKET_BYTES_MAX, Received, Server, ServerConfig, TokenHistory,
    TokenRequest,
};

use crate::{PACKETS, PAYLOAD_BYTES, START, Subject};

/// Bytes between the packets of a batch: a payload, all around it, and whole cache lines.
const STRIDE: usize = 256;

pub struct Ours {
    server: Server,
    clients: Vec<Client>,
    addresses: Vec<SocketAddr>,
    connections: Vec<ConnectionId>,
    batch: Vec<u8>,
    /// Of each packet in the batch: from where, and how many bytes.
    packets: Vec<(SocketAddr, usize)>,
    /// To whom each packet goes.
    targets: Vec<ConnectionId>,
    now: Duration,
}

pub fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 40_000 + number as u16))
}

pub fn server(key: &Key, clients_max: usize) -> Server {
    let history = Arc::new(TokenHistory::new(clients_max * 4).expect("the system has randomness"));
    let config = ServerConfig::new(key.clone(), 1, vec![server_address()], clients_max, history);
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
    pub fn new(clients: usize) -> Self {
        let key = Key::generate().expect("the system has randomness");
        let mut server = server(&key, clients);
        let addresses: Vec<SocketAddr> = (0..clients).map(address).collect();
        let (mut all, mut connections) = (Vec::new(), Vec::new());
        for (number, from) in addresses.iter().enumerate() {
            let mut client = Client::new(token(&key, number as u64, START), START).expect("the token is sound");
            connections.push(connect(&mut server, &mut client, *from, START).expect("nothing is lost here"));
            all.push(client);
        }
        let (batch, packets) = (vec![0; PACKETS * STRIDE], Vec::with_capacity(PACKETS));
        let targets = Vec::with_capacity(PACKETS);
        Self { server, clients: all, addresses, connections, batch, packets, targets, now: START }
    }
}

impl Subject for Ours {
    fn prepare(&mut self, order: &[usize]) {
        // A tick later.
        self.now += Duration::from_millis(16);
        self.server.update(self.now, &mut |_, _| {}, &mut |_, _| {});
        self.packets.clear();
        self.targets.clear();
        self.targets.extend(order.iter().map(|client| self.connections[*client]));
        for (at, client) in order.iter().enumerate() {
            let packet = &mut self.batch[at * STRIDE..][..STRIDE];
            let (_, bytes) = self.clients[*client].seal(&[3; PAYLOAD_BYTES], packet).expect("it is connected");
            self.packets.push((self.addresses[*client], bytes));
        }
    }

    fn open(&mut self) -> usize {
        let mut opened = 0;
        for ((from, bytes), packet) in self.packets.iter().zip(self.batch.chunks_exact_mut(STRIDE)) {
            if let Received::Payload { payload, .. } =
                self.server.receive(self.now, *from, &mut packet[..*bytes], &mut |_, _| {})
            {
                opened += usize::from(payload.len() == PAYLOAD_BYTES);
            }
        }
        opened
    }

    fn seal(&mut self) -> usize {
        let mut datagram = [0; PACKET_BYTES_MAX];
        let mut sealed = 0;
        for connection in &self.targets {
            let packet = self.server.seal(*connection, &[3; PAYLOAD_BYTES], &mut datagram, &mut |_, _| {});
            sealed += usize::from(std::hint::black_box(packet).is_some());
        }
        sealed
    }
}
