//! A client that does what a connection needs, and nothing else.

use std::net::{SocketAddr, UdpSocket};
use std::ops::Add;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, InputPacket, Join, KIND_INPUT, KIND_SNAPSHOT, PROTOCOL_VERSION,
    ServerMessage, Target, UserData, WireInput,
};
use arbiter_transport::{Body, ClientConnection, ClientEvent, DisconnectReason, Key, UDP_BYTES_MAX, mint_token, token};

/// Inputs in a datagram, as the real client repeats them.
const INPUTS: usize = 4;

/// Inputs are made for so many ticks after that of Welcome: time enough to arrive.
const LEAD_TICKS: u32 = 6;

/// What clients have seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Players welcomed by the room.
    pub welcomed: u32,
    /// Ended, whatever the reason.
    pub ended: u32,
    /// Snapshots that players received.
    pub snapshots: u64,
    /// And those who watch.
    pub shown: u64,
    /// Those who watched and were told that the server is overloaded.
    pub let_go: u32,
    /// Inputs sent.
    pub inputs: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            welcomed: self.welcomed + other.welcomed,
            ended: self.ended + other.ended,
            snapshots: self.snapshots + other.snapshots,
            shown: self.shown + other.shown,
            let_go: self.let_go + other.let_go,
            inputs: self.inputs + other.inputs,
        }
    }
}

/// See the module.
pub struct Light {
    socket: UdpSocket,
    connection: ClientConnection,
    epoch: Duration,
    started: Instant,
    join: Join,
    joined: bool,
    /// Welcomed.
    is_in: bool,
    ended: Option<DisconnectReason>,
    /// The newest input's.
    tick: u32,
    /// The match's.
    number: u8,
    bytes: Vec<u8>,
    tally: Tally,
}

impl Light {
    /// Begins to connect.
    pub fn connect(server: SocketAddr, key: &Key, protocol_hash: u64) -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock behind 1970");
        let user_data = UserData::default().encode().expect("user data");
        let token = mint_token(key, &[server], &user_data, token::LIFETIME, epoch).expect("a token");
        let socket = UdpSocket::bind("127.0.0.1:0");
        let socket = socket.unwrap_or_else(|error| panic!("no socket: {error}; raise `ulimit -n`"));
        socket.set_nonblocking(true).expect("a socket");
        Self {
            socket,
            connection: ClientConnection::new(&token[..], epoch).expect("a token of ours"),
            epoch,
            started: Instant::now(),
            join: Join { version: PROTOCOL_VERSION, protocol_hash, hero: 0, team: 0, watch: None },
            joined: false,
            is_in: false,
            ended: None,
            tick: 0,
            number: 0,
            bytes: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// The same, to watch everybody.
    #[allow(dead_code, reason = "of the benches only overload has spectators")]
    pub fn watch(server: SocketAddr, key: &Key, protocol_hash: u64) -> Self {
        let mut light = Self::connect(server, key, protocol_hash);
        light.join.watch = Some(Target::Free);
        light
    }

    /// Hears what has come and sends an input.
    pub fn tick(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let now = self.epoch + self.started.elapsed();
        let Self { socket, connection, ended, tally, tick, number, join, is_in, .. } = self;
        let watches = join.watch.is_some();
        let out = &mut |to: SocketAddr, bytes: &[u8]| drop(socket.send_to(bytes, to));
        let tell = &mut |event: ClientEvent<'_>| match event {
            ClientEvent::Body { kind: KIND_SNAPSHOT, .. } if watches => tally.shown += 1,
            ClientEvent::Body { kind: KIND_SNAPSHOT, .. } => tally.snapshots += 1,
            ClientEvent::Message(bytes) => match ServerMessage::decode(bytes) {
                Ok(ServerMessage::Welcome(welcome)) => {
                    (*is_in, *tick, *number) = (true, welcome.tick + LEAD_TICKS, welcome.number);
                    tally.welcomed = u32::from(!watches);
                }
                Ok(ServerMessage::Match(_) | ServerMessage::Watching(_)) => {}
                Ok(ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Overloaded })) => tally.let_go = 1,
                told => println!("a client was told {told:?}"),
            },
            ClientEvent::Disconnected(reason) => {
                if tally.let_go == 0 {
                    println!("a client was disconnected: {reason}");
                }
                (*ended, tally.ended) = (Some(reason), 1);
            }
            _ => {}
        };
        let mut buffer = [0; UDP_BYTES_MAX];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            connection.receive(now, from, &mut buffer[..len], out, tell);
        }
        if self.is_in && self.ended.is_none() {
            self.send_input(now);
        }
        // Behind the input, which carries the acknowledgements that would need a datagram of their own otherwise.
        let Self { socket, connection, ended, tally, .. } = self;
        let out = &mut |to: SocketAddr, bytes: &[u8]| drop(socket.send_to(bytes, to));
        connection.advance(now, out, &mut |event| {
            if let ClientEvent::Disconnected(reason) = event {
                println!("a client was disconnected: {reason}");
                (*ended, tally.ended) = (Some(reason), 1);
            }
        });
        if !self.joined && self.connection.is_connected() {
            self.joined = self.connection.send_message(&ClientMessage::Join(self.join).encode()).is_ok();
        }
    }

    fn send_input(&mut self, now: Duration) {
        self.tick += 1;
        let newest = self.tick;
        // Turns and walks in circles.
        let input = |tick: u32| WireInput {
            tick,
            view_tick: tick - LEAD_TICKS,
            yaw: (tick * 600) as u16,
            move_forward: 127,
            buttons: (tick / 30 % 2) as u16,
            ..WireInput::default()
        };
        let inputs = (0..INPUTS as u32).map(|back| input(newest - back)).collect();
        self.bytes.clear();
        Datagram::Input(InputPacket { inputs, match_number: self.number, discarded: None }).encode(&mut self.bytes);
        let Self { socket, connection, bytes, tally, .. } = self;
        let body = Body { kind: KIND_INPUT, tag: 0, bytes };
        let sent = connection.send_body(now, body, &mut |to, bytes| drop(socket.send_to(bytes, to)));
        tally.inputs += u64::from(sent.is_ok());
    }

    /// Says goodbye.
    pub fn leave(&mut self) {
        let now = self.epoch + self.started.elapsed();
        let socket = &self.socket;
        self.connection.disconnect(now, &mut |to, bytes| drop(socket.send_to(bytes, to)));
    }

    /// What it has seen.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}
