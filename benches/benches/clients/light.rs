//! A client that does what a connection needs, and nothing else; a crowd of them, and the server that they play on.

use std::net::{SocketAddr, UdpSocket};
use std::ops::Add;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arbiter_cli::assets::Assets;
use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, InputPacket, Join, KIND_INPUT, KIND_SNAPSHOT, KIND_SOUNDS,
    PROTOCOL_VERSION, ServerMessage, Target, UserData, WireInput,
};
use arbiter_server::{Server, ServerConfig, ServerHandle};
use arbiter_sim::MatchSettings;
use arbiter_transport::{Body, ClientConnection, ClientEvent, DisconnectReason, Key, UDP_BYTES_MAX, mint_token, token};

/// Of rooms and clients.
pub const TICK_RATE: u16 = 60;

/// Threads of a crowd. They share the machine with the server.
const THREADS: usize = 2;

/// Clients are spread over the tick, as they are in the world.
const SLICES: u32 = 8;

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
            ClientEvent::Body { kind: KIND_SNAPSHOT | KIND_SOUNDS, .. } if watches => tally.shown += 1,
            ClientEvent::Body { kind: KIND_SNAPSHOT | KIND_SOUNDS, .. } => tally.snapshots += 1,
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

/// Starts a server on the arena, set up as it is asked for.
pub fn start(players_max: u16, set_up: impl FnOnce(&mut ServerConfig)) -> (ServerHandle, Key) {
    let assets = Assets::embedded();
    let rules = Arc::new(assets.rules().expect("built-in rules are valid"));
    let map = Arc::new(assets.map("arena").expect("built-in maps are valid"));
    let settings = MatchSettings { tick_rate: TICK_RATE, players_max, ..MatchSettings::default() };
    let key = Key::generate().expect("randomness");
    let mut config = ServerConfig::new(key.clone(), rules, map, settings);
    set_up(&mut config);
    (Server::start(config).expect("the server starts"), key)
}

/// Many light clients.
pub struct Crowd {
    /// Who plays.
    pub players: u32,
    /// Who watches; they come when all players are on their way.
    pub watching: u32,
    /// Of both, until all are there: the server must not be overloaded by that alone.
    pub connects_per_second: u32,
}

impl Crowd {
    /// Is on a server, from threads of its own, for as long as the work takes, which may ask what the clients have seen so far.
    pub fn during<T>(&self, server: &ServerHandle, key: &Key, work: impl FnOnce(&dyn Fn() -> Tally) -> T) -> T {
        let (stop, tallies) = (AtomicBool::new(false), Mutex::new([Tally::default(); THREADS]));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (stop, tallies) = (&stop, &tallies);
                let tell = move |tally| tallies.lock().expect("nobody panics with it")[thread] = tally;
                scope.spawn(move || self.play(thread as u32, server, key, stop, tell));
            }
            // Though the work panics: nobody would wait for its message otherwise.
            let _stop = Stop(&stop);
            work(&|| tallies.lock().expect("nobody panics with it").iter().fold(Tally::default(), |sum, it| sum + *it))
        })
    }

    /// One thread's share, from connecting to leaving.
    fn play(&self, thread: u32, server: &ServerHandle, key: &Key, stop: &AtomicBool, tell: impl Fn(Tally)) {
        let threads = THREADS as u32;
        let share = |all: u32| ((all + threads - 1 - thread) / threads) as usize;
        let (players, all) = (share(self.players), share(self.players) + share(self.watching));
        let start = Instant::now();
        let mut lights: Vec<Light> = Vec::with_capacity(all);
        let period = Duration::from_secs(1) / u32::from(TICK_RATE);
        let mut round = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            let due = start.elapsed().as_secs_f64() * f64::from(self.connects_per_second) / f64::from(threads);
            while lights.len() < all.min(due as usize + 1) {
                let connect = if lights.len() < players { Light::connect } else { Light::watch };
                lights.push(connect(server.local_address(), key, server.protocol_hash()));
            }
            let slice = lights.iter_mut().skip((round % SLICES) as usize);
            slice.step_by(SLICES as usize).for_each(Light::tick);
            round += 1;
            if round.is_multiple_of(SLICES) {
                tell(lights.iter().fold(Tally::default(), |sum, light| sum + light.tally()));
            }
            let next = start + period * round / SLICES;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        lights.iter_mut().for_each(Light::leave);
    }
}

/// Tells the threads of a crowd to stop when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
