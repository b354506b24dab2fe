//! Clients with valid tokens that break the rules: each in its own way, again and again.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_protocol::{ClientMessage, Goodbye, GoodbyeReason, Join, KIND_INPUT, PROTOCOL_VERSION, UserData};
use arbiter_transport::{
    Body, ClientConnection, ClientEvent, Key, PAYLOAD_BYTES_MAX, UDP_BYTES_MAX, mint_token, token,
};

use crate::ammunition::{Dice, now};

/// Payloads of one client in a round of all.
const BURST: usize = 8;
/// Datagrams that a client repeats in a round.
const REPLAYED: usize = 16;
/// Between two rounds.
const ROUND: Duration = Duration::from_millis(4);
/// How long an honest client may take to connect during a flood.
const JOIN_MAX: Duration = Duration::from_secs(10);

/// What a client does to a server that has let it in.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Payloads of random bytes.
    Junk,
    /// Headers that are right, with messages that are not.
    Messages,
    /// Far more inputs than anyone honest sends, all of them well-formed payloads.
    Many,
    /// Bodies that are no inputs.
    Bodies,
    /// Acknowledges what was never sent.
    Unsent,
    /// Asks to join as another version.
    Versions,
    /// Comes and goes.
    Churn,
    /// Repeats its own datagrams as they were.
    Replay,
    /// Connects and says no more.
    Silent,
}

const WAYS: [Way; 9] = [
    Way::Junk,
    Way::Messages,
    Way::Many,
    Way::Bodies,
    Way::Unsent,
    Way::Versions,
    Way::Churn,
    Way::Replay,
    Way::Silent,
];

/// What became of them.
#[derive(Debug, Default)]
pub struct Report {
    /// Datagrams that they sent.
    pub sent: u64,
    connections: u64,
    ended: BTreeMap<String, u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets, {} connections", self.sent, self.connections)?;
        self.ended.iter().try_for_each(|(why, count)| write!(f, "; {count} x {why}"))
    }
}

struct Hostile {
    way: Way,
    socket: UdpSocket,
    connection: ClientConnection,
    was_connected: bool,
    said: bool,
    dice: Dice,
    kept: Vec<Vec<u8>>,
}

/// Runs them until they are told to stop. `fired` is told how many packets have left.
pub fn run(server: SocketAddr, key: &Key, count: usize, fired: &AtomicU64, stop: &AtomicBool) -> Result<Report> {
    let mut report = Report::default();
    let mut clients = (0..count).map(|at| Hostile::new(server, key, at)).collect::<Result<Vec<_>>>()?;
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        for (at, client) in clients.iter_mut().enumerate() {
            client.turn(&mut report);
            if client.connection.ended().is_some() {
                // Who writes payloads past its own flow ends by itself too: it is acknowledged what that never sent.
                let told = client.connection.farewell().map(|why| format!("told {why:?}"));
                let ended = told.or_else(|| client.connection.ended().map(|why| format!("ended: {why}")));
                // Whatever number it was: one line for each reason.
                let ended: Vec<String> = ended
                    .unwrap_or_default()
                    .split(' ')
                    .map(|word| if word.parse::<u64>().is_ok() { "N".to_owned() } else { word.to_owned() })
                    .collect();
                let ended = ended.join(" ");
                *report.ended.entry(ended).or_default() += 1;
                *client = Hostile::new(server, key, at)?;
            }
        }
        fired.store(report.sent, Ordering::Relaxed);
        std::thread::sleep(ROUND.saturating_sub(start.elapsed()));
    }
    Ok(report)
}

fn connect(server: SocketAddr, key: &Key, from: Ipv4Addr) -> Result<(UdpSocket, ClientConnection)> {
    let socket = UdpSocket::bind((from, 0)).with_context(|| format!("no socket on {from}"))?;
    socket.set_nonblocking(true)?;
    let token = mint_token(key, &[server], &UserData::default().encode()?, token::LIFETIME, now())?;
    Ok((socket, ClientConnection::new(&token[..], now())?))
}

impl Hostile {
    fn new(server: SocketAddr, key: &Key, at: usize) -> Result<Self> {
        let (socket, connection) = connect(server, key, Ipv4Addr::new(127, 200, 0, at as u8 + 1))?;
        let (way, dice) = (WAYS[at % WAYS.len()], Dice(at as u64));
        Ok(Self { way, socket, connection, was_connected: false, said: false, dice, kept: Vec::new() })
    }

    fn turn(&mut self, report: &mut Report) {
        let Self { way, socket, connection, was_connected, said, dice, kept } = self;
        let keeps = matches!(way, Way::Replay);
        let out = &mut |to: SocketAddr, datagram: &[u8]| {
            report.sent += 1;
            if keeps && kept.len() < REPLAYED {
                kept.push(datagram.to_vec());
            }
            // A full socket is loss.
            let _ = socket.send_to(datagram, to);
        };
        let mut buffer = [0; UDP_BYTES_MAX];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            connection.receive(now(), from, &mut buffer[..count], out, &mut |_| {});
        }
        connection.advance(now(), out, &mut |_| {});
        if !connection.is_connected() {
            return;
        }
        report.connections += u64::from(!*was_connected);
        *was_connected = true;
        for _ in 0..BURST {
            way.strike(connection, dice, said, out);
        }
        if keeps {
            let to = connection.server_address();
            for datagram in &self.kept {
                report.sent += 1;
                let _ = self.socket.send_to(datagram, to);
            }
        }
    }
}

impl Way {
    fn strike(
        self,
        connection: &mut ClientConnection,
        dice: &mut Dice,
        said: &mut bool,
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) {
        let count = 1 + dice.below(PAYLOAD_BYTES_MAX);
        match self {
            Self::Junk => connection.send_raw_for_tests(&dice.bytes(count), out),
            Self::Messages => {
                let mut payload = vec![0x04, dice.next() as u8, 0, 0, 0, 0];
                payload.extend(dice.bytes(count.min(1_000)));
                connection.send_raw_for_tests(&payload, out);
            }
            Self::Many => {
                let body = Body { kind: KIND_INPUT, tag: 0, bytes: &[1, 0, 9, 9, 9, 0, 0] };
                // A full flow is its own limit.
                let _ = connection.send_body(now(), body, out);
            }
            Self::Bodies => {
                let bytes = dice.bytes(count.min(200));
                let body = Body { kind: 1 + dice.below(6) as u8, tag: 0, bytes: &bytes };
                let _ = connection.send_body(now(), body, out);
            }
            Self::Unsent => {
                let mut payload = vec![0x13, dice.next() as u8, 0x70, 0, 0, 0x77, 1];
                payload.extend(dice.bytes(20));
                connection.send_raw_for_tests(&payload, out);
            }
            Self::Versions if !*said => {
                let version = PROTOCOL_VERSION + 1 + dice.below(9) as u16;
                let join =
                    ClientMessage::Join(Join { version, protocol_hash: dice.next(), hero: 200, team: 99, watch: None });
                let _ = connection.send_message(&join.encode());
                *said = true;
            }
            Self::Churn => {
                let goodbye = ClientMessage::Goodbye(Goodbye { reason: GoodbyeReason::Quit });
                let _ = connection.send_message(&goodbye.encode());
                connection.disconnect(now(), out);
            }
            Self::Versions | Self::Replay | Self::Silent => {}
        }
    }
}

/// How long an honest client takes to connect, now.
pub fn join(server: SocketAddr, key: &Key) -> Result<Duration> {
    let start = Instant::now();
    let (socket, mut connection) = connect(server, key, Ipv4Addr::LOCALHOST)?;
    let mut out = |to: SocketAddr, datagram: &[u8]| drop(socket.send_to(datagram, to));
    let mut buffer = [0; UDP_BYTES_MAX];
    let mut connected = false;
    while start.elapsed() < JOIN_MAX {
        let mut tell = |event: ClientEvent<'_>| connected |= matches!(event, ClientEvent::Connected);
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            connection.receive(now(), from, &mut buffer[..count], &mut out, &mut tell);
        }
        connection.advance(now(), &mut out, &mut tell);
        if connected {
            let took = start.elapsed();
            connection.disconnect(now(), &mut out);
            return Ok(took);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("an honest client could not connect within {JOIN_MAX:?} during the flood")
}
