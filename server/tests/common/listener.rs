//! Clients of a match on one clock that note what they hear, over links that lose what a test wants.

use std::net::SocketAddr;
use std::time::Duration;

use arbiter_protocol::{
    ClientMessage, Datagram, InputPacket, Join, KIND_INPUT, PROTOCOL_VERSION, ServerMessage, Sound, Target, UserData,
    Welcome, WireInput,
};
use arbiter_server::ServerConfig;
use arbiter_server::staged::Staged;
use arbiter_snapshot::Receiver;
use arbiter_transport::{Body, ClientConnection, ClientEvent};

const SERVER: ([u8; 4], u16) = ([10, 255, 0, 1], 7_000);
const EPOCH: Duration = Duration::from_secs(1_800_000_000);
pub const TICK: Duration = Duration::from_micros(16_667);

/// Who it is.
pub struct Listener {
    connection: ClientConnection,
    join: Join,
    receiver: Receiver,
    /// Newest last.
    pub welcomes: Vec<Welcome>,
    /// What is pressed and where one looks.
    pub input: WireInput,
    newest: u32,
    tick: u32,
    /// A part came that was not kept.
    discarded: Option<u32>,
    out: Vec<Vec<u8>>,
    /// Each sound as it came, with its tick and that of the part that brought it.
    pub heard: Vec<(u32, u32, Sound)>,
    /// Whether a datagram from the server is lost, by its number.
    pub loses: Box<dyn FnMut(u32) -> bool>,
    came: u32,
}

/// A match and its clients.
pub struct Hall {
    pub room: Staged,
    config: ServerConfig,
    pub clients: Vec<Listener>,
    now: Duration,
}

impl Hall {
    pub fn new(config: &ServerConfig) -> Self {
        let room = Staged::new(config.clone(), SERVER.into(), EPOCH).expect("the room starts");
        Self { room, config: config.clone(), clients: Vec::new(), now: EPOCH }
    }

    /// A client of a player, or one that watches.
    pub fn enter(&mut self, player: u64, watch: Option<Target>) {
        let registry = self.room.simulation().registry();
        let protocol_hash = arbiter_protocol::agreement(arbiter_snapshot::protocol_hash(registry));
        let user = UserData { player, ..UserData::default() }.encode().expect("user data");
        let life = Duration::from_secs(60);
        let token = arbiter_transport::mint_token(&self.config.key, &[SERVER.into()], &user, life, self.now);
        self.clients.push(Listener {
            connection: ClientConnection::new(&token.expect("a token")[..], self.now).expect("a connection"),
            join: Join { version: PROTOCOL_VERSION, protocol_hash, hero: 0, team: 0, watch },
            receiver: Receiver::new(registry),
            welcomes: Vec::new(),
            input: WireInput::default(),
            newest: 0,
            tick: 0,
            discarded: None,
            out: Vec::new(),
            heard: Vec::new(),
            loses: Box::new(|_| false),
            came: 0,
        });
    }

    /// A tick of the match.
    pub fn step(&mut self) {
        let Self { room, clients, now, .. } = self;
        *now += TICK;
        let address = |at: usize| SocketAddr::from(([10, 0, 0, at as u8], 40_000));
        for (at, client) in clients.iter_mut().enumerate() {
            client.take(*now, None);
            client.act(*now, room.simulation().tick() + 2);
            for mut datagram in client.out.drain(..) {
                room.hear(*now, address(at), &mut datagram);
            }
        }
        room.advance(*now);
        assert!(room.tick(*now), "the match goes on");
        room.send(*now);
        let sent: Vec<_> = room.datagrams().iter().map(|(to, bytes)| (to, bytes.to_vec())).collect();
        room.datagrams().clear();
        for (to, mut bytes) in sent {
            let at = (0..clients.len()).find(|at| address(*at) == to).expect("a client");
            clients[at].came += 1;
            let number = clients[at].came;
            if !(clients[at].loses)(number) {
                clients[at].take(*now, Some(&mut bytes));
            }
        }
    }

    /// Until all are in the match.
    pub fn settle(&mut self) {
        for _ in 0..600 {
            self.step();
            if self.clients.iter().all(|client| client.newest > 0) {
                return;
            }
        }
        panic!("somebody never got in");
    }
}

impl Listener {
    fn take(&mut self, now: Duration, datagram: Option<&mut Vec<u8>>) {
        let Self { connection, join, receiver, welcomes, newest, discarded, out, heard, .. } = self;
        let mut connected = false;
        let mut send = |_: SocketAddr, bytes: &[u8]| out.push(bytes.to_vec());
        let mut tell = |event: ClientEvent<'_>| match event {
            ClientEvent::Connected => connected = true,
            ClientEvent::Message(bytes) => {
                if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(bytes) {
                    receiver.begin(welcome.tick);
                    welcomes.push(welcome);
                }
            }
            ClientEvent::Body { kind, bytes } => {
                let (header, sounds, part) = match Datagram::decode(kind, bytes).expect("a body") {
                    Datagram::Snapshot(header, part) => (header, None, part),
                    Datagram::Sounds(header, sounds, part) => (header, Some(sounds), part),
                    other => panic!("{other:?}"),
                };
                let is_ours = welcomes.last().is_some_and(|welcome| welcome.number == header.match_number);
                let Some(tick) = is_ours.then(|| receiver.receive(part).ok()).flatten() else {
                    *discarded = Some(*newest);
                    return;
                };
                *newest = tick.max(*newest);
                let sounds = sounds.into_iter().flat_map(|sounds| sounds.iter());
                heard.extend(sounds.map(|(age, sound)| (tick - u32::from(age), tick, sound)));
            }
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

    fn act(&mut self, now: Duration, tick: u32) {
        let Some(welcome) = self.welcomes.last().filter(|_| tick > self.tick) else { return };
        self.tick = tick;
        let input = WireInput { tick, view_tick: tick.saturating_sub(4), ..self.input };
        let mut bytes = Vec::new();
        let inputs = [input].into_iter().collect();
        Datagram::Input(InputPacket { inputs, match_number: welcome.number, discarded: self.discarded.take() })
            .encode(&mut bytes);
        let Self { connection, out, .. } = self;
        let body = Body { kind: KIND_INPUT, tag: 0, bytes: &bytes };
        let _ = connection.send_body(now, body, &mut |_, bytes| out.push(bytes.to_vec()));
    }

    /// Wishes to watch somebody else.
    pub fn watch(&mut self, target: Target) {
        self.connection.send_message(&ClientMessage::Watch(target).encode()).expect("sent");
    }

    /// What it heard, each tick once: whoever is told a tick twice is told the same.
    pub fn once(&self) -> Vec<(u32, Sound)> {
        let mut ticks: Vec<u32> = self.heard.iter().map(|entry| entry.0).collect();
        ticks.sort_unstable();
        ticks.dedup();
        let of = |tick: u32| {
            let mut parts: Vec<u32> = self.heard.iter().filter(|entry| entry.0 == tick).map(|entry| entry.1).collect();
            parts.dedup();
            let told = |part: u32| self.heard.iter().filter(move |it| (it.0, it.1) == (tick, part)).map(|it| it.2);
            let first: Vec<Sound> = told(parts[0]).collect();
            assert!(parts.iter().all(|part| told(*part).eq(first.iter().copied())), "tick {tick} is told in two ways");
            first.into_iter().map(move |sound| (tick, sound))
        };
        ticks.into_iter().flat_map(of).collect()
    }
}
