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

/// A client without a socket and without a clock.
struct Remote {
    connection: ClientConnection,
    join: Join,
    number: Option<u8>,
    tick: u32,
    /// Whether something was told of a match since this was last asked.
    is_told: bool,
    out: Vec<Vec<u8>>,
}

const SERVER: ([u8; 4], u16) = ([10, 255, 0, 1], 7_000);
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

impl Remote {
    fn new(config: &ServerConfig, protocol_hash: u64, watch: Option<Target>) -> Self {
        Self::at(EPOCH, config, protocol_hash, watch)
    }

    fn at(now: Duration, config: &ServerConfig, protocol_hash: u64, watch: Option<Target>) -> Self {
        let user = UserData::default().encode().expect("user data");
        let token = arbiter_transport::mint_token(&config.key, &[SERVER.into()], &user, Duration::from_secs(60), now);
        let connection = ClientConnection::new(&token.expect("a token")[..], now).expect("a connection");
        let join = Join { version: PROTOCOL_VERSION, protocol_hash, hero: 0, team: 0, watch };
        Self { connection, join, number: None, tick: 0, is_told: false, out: Vec::new() }
    }

    /// Receives a datagram, or only moves on.
    fn step(&mut self, now: Duration, datagram: Option<&mut Vec<u8>>) {
        let Self { connection, join, number, is_told, out, .. } = self;
        let mut connected = false;
        let mut send = |_: SocketAddr, bytes: &[u8]| out.push(bytes.to_vec());
        let mut tell = |event: ClientEvent<'_>| match event {
            ClientEvent::Connected => connected = true,
            ClientEvent::Message(bytes) => {
                if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(bytes) {
                    *number = Some(welcome.number);
                }
            }
            ClientEvent::Body { .. } => *is_told = true,
            ClientEvent::Disconnected(_) | ClientEvent::Delivered(_) | ClientEvent::Lost(_) => {}
        };
        match datagram {
            Some(datagram) => connection.receive(now, SERVER.into(), datagram, &mut send, &mut tell),
            None => connection.advance(now, &mut send, &mut tell),
        }
        if connected {
            connection.send_message(&ClientMessage::Join(*join).encode()).expect("sent");
        }
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
        let mut bytes = Vec::new();
        let inputs = [input].into_iter().collect();
        // Every now and then, that nothing could be read.
        let discarded = tick.is_multiple_of(50).then_some(tick.saturating_sub(3));
        Datagram::Input(InputPacket { inputs, match_number, discarded }).encode(&mut bytes);
        let Self { connection, out, .. } = self;
        let body = Body { kind: KIND_INPUT, tag: 0, bytes: &bytes };
        // Whoever was let go says nothing more.
        let _ = connection.send_body(now, body, &mut |_, bytes| out.push(bytes.to_vec()));
    }
}

/// More inputs than wait for a room.
const INPUTS_THAT_WAIT: u32 = 8_400;

/// One plays on while the room stands still, until the room's queue is full of inputs; then another comes, and the room goes on. Returns
/// whether that one is in within a second.
pub fn is_let_in_behind_a_full_queue(config: &ServerConfig) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let config = ServerConfig { record_dir: Some(folder.path().to_owned()), ..config.clone() };
    let mut room = Staged::new(config.clone(), SERVER.into(), EPOCH).expect("the room starts");
    let hash = arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(room.simulation().registry()));
    let mut remotes = vec![Remote::new(&config, hash, None)];
    let (mut now, mut next, mut since) = (EPOCH, 0, 0);
    loop {
        now += Duration::from_micros(16_667);
        let is_in = remotes[0].number.is_some();
        let is_full = next > INPUTS_THAT_WAIT;
        next = if is_in { (next + 1).max(room.simulation().tick() + 2) } else { 0 };
        for (at, remote) in remotes.iter_mut().enumerate() {
            remote.step(now, None);
            remote.act(now, next);
            for mut datagram in remote.out.drain(..) {
                room.hear(now, ([10, 0, 0, at as u8], 40_000).into(), &mut datagram);
            }
        }
        room.advance(now);
        if is_full && remotes.len() == 1 {
            remotes.push(Remote::at(now, &config, hash, None));
        }
        // The other one has asked to be let in while there was no room for it.
        let has_asked = remotes.get(1).is_some_and(|remote| remote.connection.is_connected());
        since += u32::from(has_asked);
        if !is_in || since > 2 {
            room.tick(now);
        }
        room.send(now);
        let sent: Vec<_> = room.datagrams().iter().map(|(to, bytes)| (to, bytes.to_vec())).collect();
        room.datagrams().clear();
        for (to, mut bytes) in sent {
            let at = if to.ip() == std::net::IpAddr::from([10, 0, 0, 0]) { 0 } else { 1 };
            remotes[at].step(now, Some(&mut bytes));
        }
        if since > 60 || remotes.get(1).is_some_and(|remote| remote.number.is_some()) {
            return remotes[1].number.is_some();
        }
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
            for mut datagram in remote.out.drain(..) {
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
