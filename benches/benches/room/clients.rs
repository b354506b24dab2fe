//! Players at the other end of links that only delay: sealed inputs up, sealed snapshots down.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arbiter_headless_client::client::ClientCore;
use arbiter_protocol::{Datagram, InputPacket, KIND_INPUT, ServerMessage, Target, UserData, WireInput};
use arbiter_schema::Registry;
use arbiter_server::staged::Staged;
use arbiter_sim::{Input, Loadout};
use arbiter_transport::{Body, ClientConnection, ClientEvent, Key, mint_token};

/// Inputs of a datagram: what a client on a good link repeats.
const INPUTS: usize = 3;

struct Player {
    connection: ClientConnection,
    core: ClientCore,
    is_in: bool,
    /// The match's.
    number: u8,
    inputs: VecDeque<WireInput>,
}

/// A datagram under way.
struct Travelling {
    arrives: u32,
    player: usize,
    bytes: Vec<u8>,
}

/// All players.
pub struct Clients {
    players: Vec<Player>,
    first_spectator: usize,
    server: SocketAddr,
    up: VecDeque<Travelling>,
    down: VecDeque<Travelling>,
    /// Ticks that each way takes.
    delay: u32,
    turn: u32,
    /// Bytes down so far, with UDP and IP headers.
    pub bytes_down: u64,
    /// Datagrams down so far.
    pub datagrams_down: u64,
}

fn address(player: usize) -> SocketAddr {
    ([10, 0, (player >> 8) as u8, player as u8], 40_000).into()
}

fn player(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else { unreachable!("all are IPv4") };
    (ip.to_bits() & 0xFFFF) as usize
}

impl Clients {
    /// Players, and behind them those who watch.
    pub fn new(
        count: u16,
        spectators: Option<u16>,
        server: SocketAddr,
        key: &Key,
        registry: &Registry,
        delay: u32,
        now: Duration,
    ) -> Self {
        let players = (0..count + spectators.unwrap_or(0)).map(|at| {
            let user = UserData { player: 1 + u64::from(at), ..UserData::default() }.encode().expect("it is short");
            let token =
                mint_token(key, &[server], &user, Duration::from_secs(60), now).expect("one address is allowed");
            let connection = ClientConnection::new(&token[..], now).expect("the token is sound");
            let target = |at: u16| if at.is_multiple_of(2) { Target::Free } else { Target::Player(at / 2) };
            let core = match at.checked_sub(count) {
                None => ClientCore::new(registry, Loadout { hero: (at % 4) as u8, team: 0 }),
                Some(at) => ClientCore::spectator(registry, target(at)),
            };
            Player { connection, core, is_in: false, number: 0, inputs: VecDeque::new() }
        });
        let (players, first_spectator) = (players.collect(), usize::from(count));
        let (up, down) = (VecDeque::new(), VecDeque::new());
        Self { players, first_spectator, server, up, down, delay, turn: 0, bytes_down: 0, datagrams_down: 0 }
    }

    /// How many.
    pub fn count(&self) -> f64 {
        self.players.len() as f64
    }

    /// Whether all are in the match.
    pub fn are_in(&self) -> bool {
        self.players.iter().all(|player| player.is_in)
    }

    /// A player's input for the tick in which it will arrive, in place of what the player would do otherwise.
    pub fn push_input(&mut self, player: usize, next: u32, input: Input) {
        let (tick, inputs) = (next + self.delay, &mut self.players[player].inputs);
        inputs.truncate(INPUTS - 1);
        inputs.push_front(WireInput {
            tick,
            buttons: input.buttons,
            move_right: input.move_right.max(-127),
            move_forward: input.move_forward.max(-127),
            yaw: input.yaw,
            pitch: input.pitch,
            // What they see is as old as it takes to come, and the inputs as long again.
            view_tick: next.saturating_sub(self.delay + 1),
            view_fraction: 0,
        });
    }

    /// A tick of every client: what they say goes under way.
    pub fn turn(&mut self, now: Duration) {
        self.turn += 1;
        let Self { players, first_spectator, up, turn, delay, .. } = self;
        // Whoever watches sends what nobody looks at, to say what has come.
        for spectator in &mut players[*first_spectator..] {
            spectator.inputs.clear();
            spectator.inputs.push_front(WireInput { tick: *turn, ..WireInput::default() });
        }
        for (at, player) in players.iter_mut().enumerate() {
            let mut out = |_: SocketAddr, bytes: &[u8]| {
                up.push_back(Travelling { arrives: *turn + *delay, player: at, bytes: bytes.to_vec() });
            };
            let Player { connection, core, is_in, number, inputs } = player;
            connection.advance(now, &mut out, &mut |event| tell(core, is_in, number, event));
            while let Some(message) = core.next_message() {
                connection.send_message(&message).expect("it is connected");
            }
            if *is_in && !inputs.is_empty() {
                let inputs = inputs.iter().copied().collect();
                let packet = InputPacket { inputs, match_number: *number, discarded: None };
                let mut bytes = Vec::new();
                Datagram::Input(packet).encode(&mut bytes);
                let body = Body { kind: KIND_INPUT, tag: 0, bytes: &bytes };
                connection.send_body(now, body, &mut out).expect("an input a tick is no burden");
            }
        }
    }

    /// What arrives at the server now.
    pub fn arriving(&mut self, each: &mut impl FnMut(SocketAddr, &mut [u8])) {
        while let Some(mut first) = self.up.pop_front_if(|first| first.arrives <= self.turn) {
            each(address(first.player), &mut first.bytes);
        }
    }

    /// Takes what the server sends under way, and what arrives of it.
    pub fn exchange(&mut self, now: Duration, stage: &mut Staged) {
        let Self { players, down, server, turn, delay, up, .. } = self;
        for (to, bytes) in stage.datagrams().iter() {
            self.bytes_down += bytes.len() as u64 + 28;
            self.datagrams_down += 1;
            down.push_back(Travelling { arrives: *turn + *delay, player: player(to), bytes: bytes.to_vec() });
        }
        stage.datagrams().clear();
        while let Some(mut first) = down.pop_front_if(|first| first.arrives <= *turn) {
            let Player { connection, core, is_in, number, .. } = &mut players[first.player];
            let mut out = |_: SocketAddr, bytes: &[u8]| {
                up.push_back(Travelling { arrives: *turn + *delay, player: first.player, bytes: bytes.to_vec() });
            };
            connection.receive(now, *server, &mut first.bytes, &mut out, &mut |event| tell(core, is_in, number, event));
        }
    }
}

fn tell(core: &mut ClientCore, is_in: &mut bool, number: &mut u8, event: ClientEvent<'_>) {
    match event {
        ClientEvent::Connected => core.connected(),
        ClientEvent::Message(bytes) => {
            let message = ServerMessage::decode(bytes).expect("the server is ours");
            if let ServerMessage::Welcome(welcome) = &message {
                (*is_in, *number) = (true, welcome.number);
            }
            assert!(!matches!(message, ServerMessage::Refused(_) | ServerMessage::Goodbye(_)), "{message:?}");
        }
        ClientEvent::Disconnected(reason) => panic!("a player was dropped: {reason}"),
        // Decoding for thousands of players is not what is measured here.
        ClientEvent::Body { .. } | ClientEvent::Delivered(_) | ClientEvent::Lost(_) => {}
    }
}
