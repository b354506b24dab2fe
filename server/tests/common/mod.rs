//! A server on a small map and clients with real sockets.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod ground;
pub mod listener;
pub mod remote;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, InputPacket, Join, KIND_INPUT, PROTOCOL_VERSION, Refused,
    ServerMessage, Sound, UserData, Welcome, WireInput,
};
use arbiter_schema::Registry;
use arbiter_server::{Server, ServerConfig, ServerHandle, SocketKind};
use arbiter_sim::map::{Shape, Solid, Spawn, Volume};
use arbiter_sim::{Map, MatchSettings, Rules, Simulation};
use arbiter_snapshot::{Form, Frame, Receiver};
use arbiter_transport::{
    Body, ClientConnection, ClientEvent, DisconnectReason, Key, SendError, UDP_BYTES_MAX, USER_DATA_BYTES, mint_token,
};
use glam::{Quat, Vec3};

/// Longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A floor with walls and spawns for two teams.
pub fn map() -> Arc<Map> {
    let solid = |name: &str, position: Vec3, half: Vec3| Solid {
        name: name.to_owned(),
        shape: Shape::Box { half },
        position,
        rotation: Quat::IDENTITY,
    };
    let spawn = |team: u8, at: f32, z: f32| Spawn { team, position: Vec3::new(at * 4.0 - 10.0, 0.0, z), yaw: 0.0 };
    Arc::new(Map {
        hash: [7; 32],
        solids: vec![
            solid("floor", Vec3::new(0.0, -0.5, 0.0), Vec3::new(30.0, 0.5, 30.0)),
            solid("north", Vec3::new(0.0, 2.0, -30.0), Vec3::new(30.0, 2.0, 0.5)),
        ],
        spawns: (0..6).flat_map(|at| [spawn(1, at as f32, 12.0), spawn(2, at as f32, -12.0)]).collect(),
        ..Map::empty("test", Volume { centre: Vec3::ZERO, half: Vec3::new(32.0, 20.0, 32.0) })
    })
}

/// Two halves that cannot see each other, however high anybody jumps.
pub fn divided() -> Arc<Map> {
    let mut map = Map::clone(&map());
    map.solids.push(Solid {
        name: "divide".to_owned(),
        shape: Shape::Box { half: Vec3::new(30.0, 10.0, 1.0) },
        position: Vec3::new(0.0, 9.0, 0.0),
        rotation: Quat::IDENTITY,
    });
    map.into()
}

pub fn config() -> ServerConfig {
    let settings = MatchSettings { players_max: 4, ..MatchSettings::default() };
    let mut config =
        ServerConfig::new(Key::generate().expect("randomness"), Arc::new(Rules::shipped()), map(), settings);
    config.seed = Some(11);
    // See `portable.rs`.
    if env!("CARGO_CRATE_NAME") == "portable" {
        config.sockets = SocketKind::Portable;
    }
    config
}

/// A match of five seconds.
pub fn short_match() -> ServerConfig {
    let mut config = config();
    config.settings.match_seconds = Some(5);
    let mut rules = Rules::shipped();
    for mode in &mut rules.modes {
        (mode.round_seconds, mode.warmup_seconds, mode.rounds_to_win) = (5, 0, 1);
    }
    config.rules = rules.into();
    config
}

pub fn start(config: &ServerConfig) -> ServerHandle {
    Server::start(config.clone()).expect("the server starts")
}

pub fn registry(config: &ServerConfig) -> Registry {
    let simulation = Simulation::new(Arc::clone(&config.rules), Arc::clone(&config.map), 0, config.settings.clone())
        .expect("builds");
    simulation.registry().clone()
}

fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock behind 1970")
}

/// A token for a server.
pub fn token(user_data: &[u8; USER_DATA_BYTES], key: &Key, server: SocketAddr) -> Vec<u8> {
    // It must not expire before a loaded machine has let its client in.
    mint_token(key, &[server], user_data, 3 * PATIENCE, epoch()).expect("a token").to_vec()
}

/// A client that joins, sends inputs at 60 Hz and decodes what it is told.
pub struct Client {
    pub socket: UdpSocket,
    pub connection: ClientConnection,
    receiver: Receiver,
    newest: Frame,
    /// A part came that was not kept.
    discarded: Option<u32>,
    started: Instant,
    epoch: Duration,
    last_input: Instant,
    pub join: Option<Join>,
    pub welcomes: Vec<Welcome>,
    pub messages: Vec<ServerMessage>,
    pub refused: Option<Refused>,
    pub goodbye: Option<GoodbyeReason>,
    pub ended: Option<DisconnectReason>,
    pub snapshots: u32,
    pub margins: Vec<i8>,
    /// What it heard: behind how many welcomes, of which tick, what.
    pub heard: Vec<(usize, u32, Sound)>,
    tick: u32,
    inputs: Vec<WireInput>,
    pub buttons: u16,
}

impl Client {
    /// Of a player without an account.
    pub fn new(server: SocketAddr, key: &Key, registry: &Registry) -> Self {
        Self::of(&UserData::default(), server, key, registry)
    }

    /// With a token that says this of its player.
    pub fn of(user: &UserData, server: SocketAddr, key: &Key, registry: &Registry) -> Self {
        Self::with_user_data(&user.encode().expect("user data"), server, key, registry)
    }

    /// With a token that carries these bytes.
    pub fn with_user_data(
        user_data: &[u8; USER_DATA_BYTES],
        server: SocketAddr,
        key: &Key,
        registry: &Registry,
    ) -> Self {
        Self::with_token(&token(user_data, key, server), registry)
    }

    pub fn with_token(token: &[u8], registry: &Registry) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let epoch = epoch();
        let hash = arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(registry));
        Self {
            socket,
            connection: ClientConnection::new(token, epoch).expect("a connection"),
            receiver: Receiver::new(registry),
            newest: Frame::default(),
            discarded: None,
            started: Instant::now(),
            epoch,
            last_input: Instant::now(),
            join: Some(Join { version: PROTOCOL_VERSION, protocol_hash: hash, hero: 0, team: 0, watch: None }),
            welcomes: Vec::new(),
            messages: Vec::new(),
            refused: None,
            goodbye: None,
            ended: None,
            snapshots: 0,
            margins: Vec::new(),
            heard: Vec::new(),
            tick: 0,
            inputs: Vec::new(),
            buttons: 0,
        }
    }

    /// What it knows at the newest tick.
    pub fn newest(&self) -> &Frame {
        &self.newest
    }

    pub fn step(&mut self) {
        let now = self.epoch + self.started.elapsed();
        let (mut messages, mut bodies, mut connected) = (Vec::new(), Vec::new(), false);
        let (socket, ended) = (&self.socket, &mut self.ended);
        let out = &mut |to: SocketAddr, bytes: &[u8]| {
            let _ = socket.send_to(bytes, to);
        };
        let tell = &mut |event: ClientEvent<'_>| match event {
            ClientEvent::Connected => connected = true,
            ClientEvent::Disconnected(reason) => *ended = Some(reason),
            ClientEvent::Message(bytes) => messages.push(bytes.to_vec()),
            ClientEvent::Body { kind, bytes } => bodies.push((kind, bytes.to_vec())),
            ClientEvent::Delivered(_) | ClientEvent::Lost(_) => {}
        };
        let mut buffer = [0; UDP_BYTES_MAX];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            self.connection.receive(now, from, &mut buffer[..len], out, tell);
        }
        self.connection.advance(now, out, tell);
        if let (true, Some(join)) = (connected, self.join) {
            self.connection.send_message(&ClientMessage::Join(join).encode()).expect("sent");
        }
        for bytes in messages {
            match ServerMessage::decode(&bytes).expect("a message") {
                ServerMessage::Welcome(welcome) => {
                    self.receiver.begin(welcome.tick);
                    self.receiver.set_form(if welcome.small_parts { Form::Small } else { Form::Shared });
                    self.newest = Frame::default();
                    self.tick = welcome.tick + 4;
                    self.welcomes.push(welcome);
                }
                ServerMessage::Refused(refused) => self.refused = Some(refused),
                ServerMessage::Goodbye(goodbye) => self.goodbye = Some(goodbye.reason),
                message => self.messages.push(message),
            }
        }
        for (kind, bytes) in bodies {
            let (header, sounds, part) = match Datagram::decode(kind, &bytes) {
                Ok(Datagram::Snapshot(header, part)) => (header, None, part),
                Ok(Datagram::Sounds(header, sounds, part)) => (header, Some(sounds), part),
                Ok(Datagram::KillCam(..)) => continue,
                _ => panic!("no snapshot"),
            };
            let number = self.welcomes.last().map(|welcome| welcome.number);
            let received = (number == Some(header.match_number)).then(|| self.receiver.receive(part).ok()).flatten();
            let Some(tick) = received else {
                self.discarded = Some(self.discarded.unwrap_or(0));
                continue;
            };
            let beginning = self.welcomes.len();
            let sounds = sounds.into_iter().flat_map(|sounds| sounds.iter());
            self.heard.extend(sounds.map(|(age, sound)| (beginning, tick - u32::from(age), sound)));
            if tick > self.newest.tick() {
                self.margins.extend(header.input_margin);
                self.snapshots += 1;
                // A plain clock: stay four ticks ahead of the newest snapshot.
                self.tick = self.tick.max(tick + 3);
            }
            self.receiver.frame(self.receiver.newest_tick(), &mut self.newest);
        }
        let period = Duration::from_micros(16_667);
        if !self.welcomes.is_empty() && self.last_input.elapsed() >= period && self.connection.is_connected() {
            self.last_input += period;
            self.tick += 1;
            let input =
                WireInput { tick: self.tick, buttons: self.buttons, view_tick: self.tick - 5, ..WireInput::default() };
            self.inputs.insert(0, input);
            if self.inputs.windows(2).any(|pair| pair[0].tick != pair[1].tick + 1) {
                self.inputs.truncate(1);
            }
            self.inputs.truncate(4);
            let inputs = self.inputs.iter().copied().collect();
            let mut bytes = Vec::new();
            let match_number = self.welcomes.last().map_or(0, |welcome| welcome.number);
            Datagram::Input(InputPacket { inputs, match_number, discarded: self.discarded.take() }).encode(&mut bytes);
            self.send(KIND_INPUT, &bytes).expect("sent");
        }
    }

    /// Sends the body of a payload, whatever it is.
    pub fn send(&mut self, kind: u8, bytes: &[u8]) -> Result<(), SendError> {
        let (now, socket) = (self.epoch + self.started.elapsed(), &self.socket);
        self.connection.send_body(now, Body { kind, tag: 0, bytes }, &mut |to, bytes| {
            let _ = socket.send_to(bytes, to);
        })
    }

    /// Sends what no honest client does.
    pub fn send_raw(&mut self, payload: &[u8]) {
        let socket = &self.socket;
        self.connection.send_raw_for_tests(payload, &mut |to, bytes| {
            let _ = socket.send_to(bytes, to);
        });
    }

    pub fn quit(&mut self) {
        let goodbye = ClientMessage::Goodbye(Goodbye { reason: GoodbyeReason::Quit }).encode();
        self.connection.send_message(&goodbye).expect("sent");
        let (now, socket) = (self.epoch + self.started.elapsed(), &self.socket);
        self.connection.disconnect(now, &mut |to, bytes| {
            let _ = socket.send_to(bytes, to);
        });
    }
}

/// Steps the clients until `done`, and fails with `what` if that never happens.
pub fn until(what: &str, clients: &mut [Client], mut done: impl FnMut(&mut [Client]) -> bool) {
    let start = Instant::now();
    while !done(clients) {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        clients.iter_mut().for_each(Client::step);
        std::thread::sleep(Duration::from_millis(1));
    }
}
