//! A match on one clock: clients without sockets, and a room whose turns are called.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use arbiter_protocol::{
    ClientMessage, Datagram, InputPacket, Join, KIND_INPUT, PROTOCOL_VERSION, ServerMessage, Target, UserData,
    WireInput,
};
use arbiter_recording::Reader;
use arbiter_server::ServerConfig;
use arbiter_server::staged::Staged;
use arbiter_sim::Command;
use arbiter_transport::{Body, ClientConnection, ClientEvent};

pub const SERVER: ([u8; 4], u16) = ([10, 255, 0, 1], 7_000);
pub const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// A connection without a socket and without a clock.
pub struct Wire {
    connection: ClientConnection,
    join: Join,
    /// Datagrams that are ready to leave.
    pub out: Vec<Vec<u8>>,
}

impl Wire {
    /// Of a player, or of somebody who watches.
    pub fn new(now: Duration, config: &ServerConfig, protocol_hash: u64, player: u64, watch: Option<Target>) -> Self {
        let user = UserData { player, ..UserData::default() }.encode().expect("user data");
        let token = arbiter_transport::mint_token(&config.key, &[SERVER.into()], &user, Duration::from_secs(60), now);
        let connection = ClientConnection::new(&token.expect("a token")[..], now).expect("a connection");
        let join = Join { version: PROTOCOL_VERSION, protocol_hash, hero: 0, team: 0, watch };
        Self { connection, join, out: Vec::new() }
    }

    /// Receives a datagram, or only moves on. Asks to be let in once it is connected.
    pub fn step(&mut self, now: Duration, datagram: Option<&mut Vec<u8>>, tell: &mut dyn FnMut(ClientEvent<'_>)) {
        let Self { connection, out, .. } = self;
        let mut connected = false;
        let mut send = |_: SocketAddr, bytes: &[u8]| out.push(bytes.to_vec());
        let mut tell = |event: ClientEvent<'_>| match event {
            ClientEvent::Connected => connected = true,
            event => tell(event),
        };
        match datagram {
            Some(datagram) => connection.receive(now, SERVER.into(), datagram, &mut send, &mut tell),
            None => connection.advance(now, &mut send, &mut tell),
        }
        if connected {
            self.say(&ClientMessage::Join(self.join));
        }
    }

    pub fn say(&mut self, message: &ClientMessage) {
        self.connection.send_message(&message.encode()).expect("sent");
    }

    pub fn send_input(&mut self, now: Duration, input: WireInput, match_number: u8, discarded: Option<u32>) {
        let mut bytes = Vec::new();
        let inputs = [input].into_iter().collect();
        Datagram::Input(InputPacket { inputs, match_number, discarded }).encode(&mut bytes);
        let Self { connection, out, .. } = self;
        let body = Body { kind: KIND_INPUT, tag: 0, bytes: &bytes };
        // Whoever was let go says nothing more.
        let _ = connection.send_body(now, body, &mut |_, bytes| out.push(bytes.to_vec()));
    }
}

/// A client that knows only whether it is in and whether it is told something.
struct Remote {
    wire: Wire,
    number: Option<u8>,
    tick: u32,
    /// Whether something was told of a match since this was last asked.
    is_told: bool,
}

impl Remote {
    fn new(config: &ServerConfig, protocol_hash: u64, watch: Option<Target>) -> Self {
        let wire = Wire::new(EPOCH, config, protocol_hash, UserData::default().player, watch);
        Self { wire, number: None, tick: 0, is_told: false }
    }

    /// Receives a datagram, or only moves on.
    fn step(&mut self, now: Duration, datagram: Option<&mut Vec<u8>>) {
        let Self { wire, number, is_told, .. } = self;
        wire.step(now, datagram, &mut |event| match event {
            ClientEvent::Message(bytes) => {
                if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(bytes) {
                    *number = Some(welcome.number);
                }
            }
            ClientEvent::Body { .. } => *is_told = true,
            _ => {}
        });
    }

    /// Walks and shoots.
    fn act(&mut self, now: Duration, tick: u32) {
        let (Some(match_number), true) = (self.number, tick > self.tick) else { return };
        self.tick = tick;
        let input = WireInput {
            tick,
            buttons: (tick / 7 % 16) as u16,
            move_forward: 127,
            yaw: (tick * 331) as u16,
            view_tick: tick.saturating_sub(4),
            ..WireInput::default()
        };
        // Every now and then, that nothing could be read.
        let discarded = tick.is_multiple_of(50).then_some(tick.saturating_sub(3));
        self.wire.send_input(now, input, match_number, discarded);
    }
}

/// Hash and commands of each tick, as they were recorded.
pub type Ticks = Vec<(u64, Vec<Command>)>;

/// Plays the match of a configuration to its end with two who do the same each time, and those who watch; returns what was recorded, and
/// for each of them the ticks behind which it was told something.
pub fn recorded(config: &ServerConfig, watch: &[Target]) -> (Ticks, Vec<Vec<u32>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = ServerConfig { record_dir: Some(folder.path().to_owned()), matches: 1, ..config.clone() };
    let mut room = Staged::new(config.clone(), SERVER.into(), EPOCH).expect("the room starts");
    let hash = arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(room.simulation().registry()));
    let mut remotes: Vec<_> = (0..2).map(|_| Remote::new(&config, hash, None)).collect();
    remotes.extend(watch.iter().map(|target| Remote::new(&config, hash, Some(*target))));
    let mut told = vec![Vec::new(); remotes.len()];
    let address = |at: usize| SocketAddr::from(([10, 0, 0, at as u8], 40_000));
    let addresses: HashMap<_, _> = (0..remotes.len()).map(|at| (address(at), at)).collect();
    let mut now = EPOCH;
    let mut playing = true;
    while playing {
        now += Duration::from_micros(16_667);
        for (at, remote) in remotes.iter_mut().enumerate() {
            remote.step(now, None);
            remote.act(now, room.simulation().tick() + 2);
            for mut datagram in remote.wire.out.drain(..) {
                room.hear(now, address(at), &mut datagram);
            }
        }
        room.advance(now);
        playing = room.tick(now);
        room.send(now);
        let sent: Vec<_> = room.datagrams().iter().map(|(to, bytes)| (addresses[&to], bytes.to_vec())).collect();
        room.datagrams().clear();
        if playing {
            sent.into_iter().for_each(|(at, mut bytes)| remotes[at].step(now, Some(&mut bytes)));
        }
        for (remote, told) in remotes.iter_mut().zip(&mut told) {
            if core::mem::take(&mut remote.is_told) {
                told.push(room.simulation().tick());
            }
        }
    }
    let began = Instant::now();
    while room.stats().recordings.is_empty() {
        assert!(began.elapsed() < super::PATIENCE, "the recording is never closed");
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut reader = Reader::open(&room.stats().recordings[0]).expect("a recording");
    let ticks = reader.ticks(0).map(|tick| tick.expect("it is whole"));
    (ticks.map(|tick| (tick.hash, tick.commands)).collect(), told)
}
