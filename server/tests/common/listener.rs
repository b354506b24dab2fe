//! Clients of a match on one clock that note what they hear, over links that lose what a test wants.

use std::net::SocketAddr;
use std::time::Duration;

use arbiter_protocol::{ClientMessage, Datagram, ServerMessage, Sound, Target, Welcome, WireInput};
use arbiter_server::ServerConfig;
use arbiter_server::staged::Staged;
use arbiter_snapshot::Receiver;
use arbiter_transport::ClientEvent;

use super::remote::{EPOCH, SERVER, Wire};

pub const TICK: Duration = Duration::from_micros(16_667);

/// Who it is.
pub struct Listener {
    wire: Wire,
    receiver: Receiver,
    /// Newest last.
    pub welcomes: Vec<Welcome>,
    /// What is pressed and where one looks.
    pub input: WireInput,
    newest: u32,
    tick: u32,
    /// A part came that was not kept.
    discarded: Option<u32>,
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
        self.clients.push(Listener {
            wire: Wire::new(self.now, &self.config, protocol_hash, player, watch),
            receiver: Receiver::new(registry),
            welcomes: Vec::new(),
            input: WireInput::default(),
            newest: 0,
            tick: 0,
            discarded: None,
            heard: Vec::new(),
            loses: Box::new(|_| false),
            came: 0,
        });
    }

    /// A tick of the match.
    pub fn step(&mut self) {
        self.turn(true);
    }

    /// The time of a tick in which the room cannot keep up, while clients go on.
    pub fn stall(&mut self) {
        self.turn(false);
    }

    fn turn(&mut self, ticks: bool) {
        let Self { room, clients, now, .. } = self;
        *now += TICK;
        let address = |at: usize| SocketAddr::from(([10, 0, 0, at as u8], 40_000));
        for (at, client) in clients.iter_mut().enumerate() {
            client.take(*now, None);
            let due = room.simulation().tick() + 2;
            client.act(*now, if ticks { due } else { due.max(client.tick + 1) });
            for mut datagram in client.wire.out.drain(..) {
                room.hear(*now, address(at), &mut datagram);
            }
        }
        room.advance(*now);
        assert!(!ticks || room.tick(*now), "the match goes on");
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
        let Self { wire, receiver, welcomes, newest, discarded, heard, .. } = self;
        wire.step(now, datagram, &mut |event| match event {
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
            _ => {}
        });
    }

    fn act(&mut self, now: Duration, tick: u32) {
        let Some(welcome) = self.welcomes.last().filter(|_| tick > self.tick) else { return };
        self.tick = tick;
        let input = WireInput { tick, view_tick: tick.saturating_sub(4), ..self.input };
        self.wire.send_input(now, input, welcome.number, self.discarded.take());
    }

    /// Wishes to watch somebody else.
    pub fn watch(&mut self, target: Target) {
        self.wire.say(&ClientMessage::Watch(target));
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
