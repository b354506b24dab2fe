//! The server's end: all connections behind one socket.

use core::fmt;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::sync::Arc;

use self::clock::Clock;
use self::peers::{Peer, Peers};
use super::address::AddressKey;
use super::crypto::{Key, NoRandomness, TAG_BYTES};
use super::history::TokenHistory;
use super::limiter::HandshakeLimiter;
use super::packet::{self, Associated, CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Header, Kind, control, header_bytes};
use super::private::USER_DATA_BYTES;
use super::{Counters, DISCONNECT_PACKETS, GLOBAL_SEQUENCE_MIN, KEEP_ALIVE, PAYLOAD_BYTES_MAX};

mod bits;
mod clock;
mod config;
mod handshake;
mod peers;

pub use config::ServerConfig;
pub use peers::ConnectionId;

/// Most slots of one server: more than one thread can serve.
const SLOTS_MAX: usize = 1 << 16;

/// Between two walks over all clients for keep-alives and timeouts. A loop around a socket may call [`Server::update`] much
/// more often.
const WALK_MS: u32 = 5;

/// What a datagram was.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Nothing that the caller needs to know of; [`Server::counters`] says what.
    Nothing,
    /// A client has proven its token and its address.
    Connected {
        /// Its connection from now on.
        connection: ConnectionId,
        /// From its token.
        client_id: u64,
        /// From its token.
        user_data: &'a [u8; USER_DATA_BYTES],
    },
    /// A client has sent 1 to 1,200 bytes. They may overtake each other and be lost, but come once.
    Payload {
        /// Whose.
        connection: ConnectionId,
        /// What, within the datagram.
        payload: &'a [u8],
    },
    /// A client has gone. Its id is stale from now on.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: GoneReason,
    },
}

/// Why a connection ended without the server's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneReason {
    /// The client said so.
    ByPeer,
    /// It was silent for longer than its token allows.
    TimedOut,
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByPeer => "the client closed the connection",
            Self::TimedOut => "nothing was heard of the client for too long",
        })
    }
}

/// A server without its socket and clock. See the [module](super).
///
/// All its memory is allocated in [`Server::new`]. Times are since the Unix epoch; one that goes backwards is taken for the
/// latest before it.
pub struct Server {
    key: Key,
    protocol_id: u64,
    associated: Associated,
    addresses: Vec<SocketAddr>,
    token_seconds_max: u64,
    clock: Clock,
    walked_ms: u32,
    peers: Peers,
    challenge_key: Key,
    challenge_sequence: u64,
    history: Arc<TokenHistory>,
    limiter: Arc<HandshakeLimiter>,
    counters: Counters,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .field("clients", &self.clients())
            .field("pending", &self.pending())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server without clients.
    pub fn new(config: ServerConfig, now: Duration) -> Result<Self, NoRandomness> {
        let clock = Clock::new(now);
        let clients_max = config.clients_max.clamp(1, SLOTS_MAX);
        Ok(Self {
            key: config.key,
            protocol_id: config.protocol_id,
            associated: Associated::new(config.protocol_id),
            addresses: config.addresses,
            token_seconds_max: config.token_lifetime_max.as_secs(),
            clock,
            walked_ms: clock.ms(),
            peers: Peers::new(clients_max, config.pending_max.clamp(1, SLOTS_MAX)),
            challenge_key: Key::generate()?,
            challenge_sequence: 0,
            history: config.history,
            limiter: config.limiter,
            counters: Counters::default(),
        })
    }

    /// Takes a datagram from the socket and opens it in place. What must be sent in answer is given to `out`: at most one
    /// packet, shorter than the datagram.
    pub fn receive<'a>(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &'a mut [u8],
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Received<'a> {
        self.clock.advance(now);
        self.counters.received += 1;
        if datagram.first() == Some(&0) {
            self.on_request(from, datagram, out);
            return Received::Nothing;
        }
        let Some(header) = Header::read(datagram) else {
            self.counters.malformed += 1;
            return Received::Nothing;
        };
        match (self.peers.find(AddressKey::new(from)), header.kind) {
            (_, Kind::Challenge | Kind::Denied) => self.counters.malformed += 1,
            (None, _) => self.counters.strangers += 1,
            (Some(Peer::Client(_)), Kind::Response) => self.counters.already_connected += 1,
            (Some(Peer::Client(at)), _) => return self.on_packet(at, header, datagram),
            (Some(Peer::Pending(at)), Kind::Response) => return self.on_response(from, at, header, datagram, out),
            (Some(Peer::Pending(_)), _) => self.counters.untimely += 1,
        }
        Received::Nothing
    }

    /// A packet from a client's address.
    fn on_packet<'a>(&mut self, at: usize, header: Header, datagram: &'a mut [u8]) -> Received<'a> {
        let (slot, vitals) = self.peers.client(at);
        if slot.received.is_known(vitals.newest, header.sequence) {
            self.counters.replays += 1;
            return Received::Nothing;
        }
        let Some(body) = header.open(datagram, &slot.to_server, &self.associated) else {
            self.counters.forgeries += 1;
            return Received::Nothing;
        };
        slot.received.note(&mut vitals.newest, header.sequence);
        vitals.heard_ms = self.clock.ms();
        vitals.is_confirmed = true;
        let connection = self.peers.id(at);
        if header.kind == Kind::Disconnect {
            self.counters.disconnects += 1;
            self.peers.release(at);
            return Received::Disconnected { connection, reason: GoneReason::ByPeer };
        }
        if header.kind == Kind::Payload {
            self.counters.payloads += 1;
            return Received::Payload { connection, payload: body };
        }
        self.counters.keep_alives += 1;
        Received::Nothing
    }

    /// Seals 1 to 1,200 bytes for a client at the front of `datagram`, which must be longer by
    /// [`OVERHEAD_BYTES_MAX`](super::OVERHEAD_BYTES_MAX); returns where to send them and how many bytes the packet has.
    ///
    /// `None` if the connection is gone or a length is wrong. Until the client has been heard of, a keep-alive is given to
    /// `out`, to be sent before: without one, it would not know yet that it is connected, and drop the payload.
    pub fn seal(
        &mut self,
        connection: ConnectionId,
        payload: &[u8],
        datagram: &mut [u8],
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Option<(SocketAddr, usize)> {
        let at = self.ready(connection, payload.len(), out)?;
        let header = header_bytes(self.peers.client(at).0.sequence);
        let packet = datagram.get_mut(..header + payload.len() + TAG_BYTES)?;
        packet[header..header + payload.len()].copy_from_slice(payload);
        let to = self.seal_packet(at, packet)?;
        Some((to, packet.len()))
    }

    /// [`Self::seal`] without a copy: the payload has been written to `datagram[HEADER_BYTES_MAX..]`
    /// ([`HEADER_BYTES_MAX`]), with [`TAG_BYTES`] to spare behind it. Returns which part of `datagram` is the packet.
    pub fn seal_in_place(
        &mut self,
        connection: ConnectionId,
        datagram: &mut [u8],
        payload_bytes: usize,
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Option<(SocketAddr, Range<usize>)> {
        let at = self.ready(connection, payload_bytes, out)?;
        let start = HEADER_BYTES_MAX - header_bytes(self.peers.client(at).0.sequence);
        let range = start..HEADER_BYTES_MAX + payload_bytes + TAG_BYTES;
        let to = self.seal_packet(at, datagram.get_mut(range.clone())?)?;
        Some((to, range))
    }

    /// The slot of a connection that a payload of this length may be sent to.
    fn ready(
        &mut self,
        connection: ConnectionId,
        payload_bytes: usize,
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Option<usize> {
        let at = self.peers.resolve(connection)?;
        if !(1..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
            return None;
        }
        if !self.peers.vitals(at).is_confirmed {
            self.keep_alive(at, out);
        }
        Some(at)
    }

    fn seal_packet(&mut self, at: usize, packet: &mut [u8]) -> Option<SocketAddr> {
        let (slot, vitals) = self.peers.client(at);
        let sequence = slot.sequence;
        // Nobody gets there in any lifetime; beyond it, nonces of other packets with the same key begin.
        if sequence >= GLOBAL_SEQUENCE_MIN {
            return None;
        }
        slot.sequence += 1;
        vitals.sent_ms = self.clock.ms();
        let sealed = packet::seal(packet, Kind::Payload, sequence, &slot.to_client, &self.associated);
        sealed.then(|| slot.address.address())
    }

    /// Sends a client a packet that is not a payload.
    fn control(&mut self, at: usize, kind: Kind, body: &[&[u8]], out: &mut impl FnMut(SocketAddr, &[u8])) {
        let (slot, vitals) = self.peers.client(at);
        let sequence = slot.sequence;
        if sequence >= GLOBAL_SEQUENCE_MIN {
            return;
        }
        slot.sequence += 1;
        vitals.sent_ms = self.clock.ms();
        let mut buffer = [0; CONTROL_BYTES_MAX];
        if let Some(packet) = control(&mut buffer, kind, body, sequence, &slot.to_client, &self.associated) {
            out(slot.address.address(), packet);
        }
    }

    fn keep_alive(&mut self, at: usize, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let clients_max = self.peers.clients_max() as u32;
        self.control(at, Kind::KeepAlive, &[&(at as u32).to_le_bytes(), &clients_max.to_le_bytes()], out);
    }

    /// Moves time on: keep-alives go to clients that nothing was sent to, silent clients and old handshakes are given up.
    /// `gone` is told of each client that was, once. To be called at least each 100 ms; the work depends on the number of
    /// clients, but is done at most 200 times a second.
    pub fn update(
        &mut self,
        now: Duration,
        out: &mut impl FnMut(SocketAddr, &[u8]),
        gone: &mut impl FnMut(ConnectionId, GoneReason),
    ) {
        self.clock.advance(now);
        let now_ms = self.clock.ms();
        if now_ms.wrapping_sub(self.walked_ms) < WALK_MS {
            return;
        }
        self.walked_ms = now_ms;
        self.counters.abandoned += self.peers.forget_old(now_ms);
        let mut from = 0;
        while let Some(at) = self.peers.next_client(from) {
            from = at + 1;
            let vitals = self.peers.vitals(at);
            let silent_ms = now_ms.wrapping_sub(vitals.heard_ms);
            // No timeout is below a second.
            if silent_ms >= 1_000 {
                let timeout_ms = self.peers.timeout_ms(at);
                if timeout_ms != 0 && silent_ms >= timeout_ms {
                    self.counters.timeouts += 1;
                    let connection = self.peers.id(at);
                    self.peers.release(at);
                    gone(connection, GoneReason::TimedOut);
                    continue;
                }
            }
            if now_ms.wrapping_sub(self.peers.vitals(at).sent_ms) >= KEEP_ALIVE.as_millis() as u32 {
                self.keep_alive(at, out);
            }
        }
    }

    /// Ends a connection and tells the client ten times. False if it was gone already.
    pub fn disconnect(&mut self, connection: ConnectionId, out: &mut impl FnMut(SocketAddr, &[u8])) -> bool {
        let Some(at) = self.peers.resolve(connection) else { return false };
        for _ in 0..DISCONNECT_PACKETS {
            self.control(at, Kind::Disconnect, &[], out);
        }
        self.peers.release(at);
        true
    }

    /// Ends all connections.
    pub fn disconnect_all(&mut self, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let mut from = 0;
        while let Some(at) = self.peers.next_client(from) {
            from = at + 1;
            self.disconnect(self.peers.id(at), out);
        }
    }

    /// All connections, by slot.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        let mut from = 0;
        core::iter::from_fn(move || {
            let at = self.peers.next_client(from)?;
            from = at + 1;
            Some(self.peers.id(at))
        })
    }

    /// The connection in a slot, if there is one.
    pub fn connection(&self, slot: usize) -> Option<ConnectionId> {
        (self.peers.next_client(slot)? == slot).then(|| self.peers.id(slot))
    }

    /// Where a client is; `None` if it is gone.
    pub fn address(&self, connection: ConnectionId) -> Option<SocketAddr> {
        Some(self.peers.address(self.peers.resolve(connection)?))
    }

    /// Whether a connection is not gone.
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.peers.resolve(connection).is_some()
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.peers.clients()
    }

    /// Number of slots.
    pub fn clients_max(&self) -> usize {
        self.peers.clients_max()
    }

    /// Number of handshakes that are under way.
    pub fn pending(&self) -> usize {
        self.peers.pendings()
    }

    /// What became of everything that arrived.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
