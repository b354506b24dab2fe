//! Both implementations' ends at their sockets, and time in steps.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbiter_transport::netcode::{
    Client, ClientReceived, ConnectToken, ConnectionId, GoneReason, Key, OVERHEAD_BYTES_MAX, PACKET_BYTES_MAX,
    PAYLOAD_BYTES_MAX, Received, Server, ServerConfig, TokenHistory, TokenRequest, USER_DATA_BYTES,
};

pub const PROTOCOL_ID: u64 = 0xA2B1_7E20_0000_0001;
pub const STEP: Duration = Duration::from_millis(20);
/// Steps that suffice for anything; most things take a handful.
pub const STEPS_MAX: usize = 3_000;
pub const TIMEOUT_SECONDS: i32 = 5;
pub const USER_DATA: [u8; USER_DATA_BYTES] = [0x5A; USER_DATA_BYTES];

pub const IPV4: &str = "127.0.0.1:0";
pub const IPV6: &str = "[::1]:0";

/// Real time at first, because theirs reads the wall clock for tokens; then in steps.
pub struct Time {
    pub now: Duration,
    pub start: Duration,
}

impl Time {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self { now, start: now }
    }

    pub fn step(&mut self) {
        self.now += STEP;
        // Loopback delivers within a system call; this is for the scheduler of a busy machine.
        sleep(Duration::from_micros(200));
    }

    pub fn theirs(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }
}

pub fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

pub fn each_datagram(socket: &UdpSocket, mut take: impl FnMut(SocketAddr, &mut [u8])) {
    let mut buffer = [0; 2_048];
    while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
        take(from, &mut buffer[..bytes]);
    }
}

pub fn send(socket: &UdpSocket) -> impl FnMut(SocketAddr, &[u8]) {
    |to, packet| {
        let _ = socket.send_to(packet, to);
    }
}

/// Our client at its socket.
pub struct OurClient {
    pub client: Client,
    pub socket: UdpSocket,
    pub received: Vec<Vec<u8>>,
    pub tried: Vec<SocketAddr>,
}

impl OurClient {
    pub fn new(token: &[u8], bind: &str, time: &Time) -> Self {
        let client = Client::new(ConnectToken::from_bytes(token).unwrap(), time.now).unwrap();
        Self { client, socket: socket(bind), received: Vec::new(), tried: Vec::new() }
    }

    pub fn step(&mut self, time: &Time) {
        each_datagram(&self.socket, |from, datagram| {
            if let ClientReceived::Payload(payload) = self.client.receive(time.now, from, datagram) {
                self.received.push(payload.to_vec());
            }
        });
        let tried = &mut self.tried;
        self.client.update(time.now, &mut |to, packet| {
            tried.push(to);
            send(&self.socket)(to, packet);
        });
    }

    pub fn send(&mut self, payload: &[u8]) {
        let mut datagram = [0; PAYLOAD_BYTES_MAX + OVERHEAD_BYTES_MAX];
        let (to, bytes) = self.client.seal(payload, &mut datagram).unwrap();
        self.socket.send_to(&datagram[..bytes], to).unwrap();
    }
}

/// Our server at its socket.
pub struct OurServer {
    pub server: Server,
    pub socket: UdpSocket,
    pub address: SocketAddr,
    pub key: Key,
    pub connected: Vec<(ConnectionId, u64, [u8; USER_DATA_BYTES])>,
    pub gone: Vec<(ConnectionId, GoneReason)>,
    pub echoes: bool,
}

impl OurServer {
    pub fn new(bind: &str, clients_max: usize, time: &Time) -> Self {
        let socket = socket(bind);
        let address = socket.local_addr().unwrap();
        let key = Key::generate().unwrap();
        let history = Arc::new(TokenHistory::new(64).unwrap());
        let config = ServerConfig::new(key.clone(), PROTOCOL_ID, vec![address], clients_max, history);
        let server = Server::new(config, time.now).unwrap();
        Self { server, socket, address, key, connected: Vec::new(), gone: Vec::new(), echoes: false }
    }

    pub fn step(&mut self, time: &Time) {
        let mut echoes: Vec<(ConnectionId, Vec<u8>)> = Vec::new();
        each_datagram(&self.socket, |from, datagram| {
            match self.server.receive(time.now, from, datagram, &mut send(&self.socket)) {
                Received::Nothing => {}
                Received::Connected { connection, client_id, user_data } => {
                    self.connected.push((connection, client_id, *user_data));
                }
                Received::Payload { connection, payload } => echoes.push((connection, payload.to_vec())),
                Received::Disconnected { connection, reason } => self.gone.push((connection, reason)),
            }
        });
        if self.echoes {
            echoes.iter().for_each(|(connection, payload)| self.send(*connection, payload));
        }
        let gone = &mut self.gone;
        self.server
            .update(time.now, &mut send(&self.socket), &mut |connection, reason| gone.push((connection, reason)));
    }

    pub fn send(&mut self, connection: ConnectionId, payload: &[u8]) {
        let mut datagram = [0; PACKET_BYTES_MAX];
        let sealed = self.server.seal(connection, payload, &mut datagram, &mut send(&self.socket));
        let (to, bytes) = sealed.unwrap();
        self.socket.send_to(&datagram[..bytes], to).unwrap();
    }
}

pub fn their_server(bind: &str, key: &Key, clients_max: usize) -> netcode::Server {
    let mut server = netcode::Server::new(bind.parse().unwrap(), PROTOCOL_ID, key.as_bytes(), 0.0).unwrap();
    server.start(clients_max).unwrap();
    server
}

pub fn their_client(bind: &str) -> netcode::Client {
    netcode::Client::new(bind.parse().unwrap(), 0.0).unwrap()
}

pub fn our_token(key: &Key, client_id: u64, addresses: &[SocketAddr], time: &Time) -> [u8; 2_048] {
    let mut request = TokenRequest::new(PROTOCOL_ID, client_id, addresses).unwrap();
    request.user_data = USER_DATA;
    request.timeout_seconds = TIMEOUT_SECONDS;
    *ConnectToken::generate(&request, key, time.now).unwrap().to_bytes()
}

pub fn their_token(key: &Key, client_id: u64, addresses: &[SocketAddr]) -> [u8; 2_048] {
    let (expire, timeout) = (30, TIMEOUT_SECONDS);
    let key = key.as_bytes();
    netcode::generate_connect_token(addresses, addresses, expire, timeout, client_id, PROTOCOL_ID, key, &USER_DATA)
        .unwrap()
}

/// Steps both ends until `done`.
pub fn until<A, B>(
    time: &mut Time,
    a: &mut A,
    b: &mut B,
    step: impl Fn(&mut A, &mut B, &Time),
    done: impl Fn(&A, &B) -> bool,
) {
    for _ in 0..STEPS_MAX {
        if done(a, b) {
            return;
        }
        step(a, b, time);
        time.step();
    }
    panic!("nothing came of {STEPS_MAX} steps");
}

pub fn ours_to_theirs(client: &mut OurClient, server: &mut netcode::Server, time: &Time) {
    client.step(time);
    server.update(time.theirs());
}

pub fn theirs_to_ours(client: &mut netcode::Client, server: &mut OurServer, time: &Time) {
    client.update(time.theirs());
    server.step(time);
}

/// Our client, connected to their server with a token of ours.
pub fn connect_ours(bind: &str) -> (Time, OurClient, netcode::Server, Key) {
    let (mut time, key) = (Time::new(), Key::generate().unwrap());
    let mut server = their_server(bind, &key, 4);
    let mut client = OurClient::new(&our_token(&key, 77, &[server.address()], &time), bind, &time);
    until(&mut time, &mut client, &mut server, ours_to_theirs, |client, server| {
        client.client.is_connected() && server.client_connected(0)
    });
    (time, client, server, key)
}

/// Their client, connected to our server with a token of theirs.
pub fn connect_theirs(bind: &str) -> (Time, netcode::Client, OurServer) {
    let mut time = Time::new();
    let mut server = OurServer::new(bind, 4, &time);
    let mut client = their_client(bind);
    client.connect(&their_token(&server.key, 77, &[server.address])).unwrap();
    until(&mut time, &mut client, &mut server, theirs_to_ours, |client, server| {
        client.state() == netcode::ClientState::Connected && server.connected.len() == 1
    });
    (time, client, server)
}

pub fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + bytes) as u8).collect()
}

/// An address that was free a moment ago and that nobody answers at.
pub fn dead_address(bind: &str) -> SocketAddr {
    UdpSocket::bind(bind).unwrap().local_addr().unwrap()
}
