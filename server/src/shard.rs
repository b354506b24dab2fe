//! The socket thread: owns the socket, all connections and who belongs to which room.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, Join, PROTOCOL_VERSION, Refused, RefusedReason, ServerMessage,
};
use arbiter_sim::{LeaveReason, Loadout};
use arbiter_transport::{
    CLIENTS_MAX, Channel, ClientId, DisconnectReason, ServerEvent, ServerTransport, ServerTransportConfig,
    UDP_BYTES_MAX,
};
use crossbeam::channel::{Receiver, RecvTimeoutError, TrySendError};

use crate::Shared;
use crate::room::FromSocket;

/// How long the thread waits for rooms before it looks at the socket again. Inputs wait so long at most; a snapshot wakes it.
const WAIT: Duration = Duration::from_micros(500);

/// The same while nobody is connected: a handshake may wait a little.
const WAIT_IDLE: Duration = Duration::from_millis(4);

/// Datagrams taken in one go before rooms get their turn.
const BATCH_MAX: usize = 1_024;

/// Between two rounds of keep-alives, timeouts and repeated messages.
const ADVANCE_EVERY: Duration = Duration::from_millis(5);

/// IP and UDP headers of a datagram over IPv4.
const HEADER_BYTES: usize = 28;

/// For how long messages to leaving clients are repeated before a connection or the server closes.
const LINGER: Duration = Duration::from_millis(400);

/// What a room has for a client.
pub(crate) enum ToSocket {
    /// To be sent.
    Send { client: ClientId, channel: Channel, bytes: Vec<u8> },
    /// To be disconnected once it has what it was sent.
    Close { client: ClientId },
}

enum Place {
    /// Connected; has not said what it wants.
    Lobby,
    /// In a room.
    Room(usize),
    /// Refused or said goodbye to.
    Leaving { until: Instant },
}

struct Shard<'a> {
    shared: &'a Shared,
    transport: ServerTransport,
    places: HashMap<ClientId, Place>,
    /// Leaves that found their room's queue full.
    unsaid: Vec<(usize, FromSocket)>,
    malformed: u64,
    dropped: u64,
}

pub(crate) fn run(shared: &Shared, socket: &UdpSocket, local: SocketAddr, from_rooms: &Receiver<ToSocket>) {
    let started = Instant::now();
    // A clock before 1970 only makes every token expired.
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut public_addresses = shared.config.public_addresses.clone();
    if public_addresses.is_empty() {
        public_addresses.push(local);
    }
    let config = ServerTransportConfig { key: shared.config.key.clone(), public_addresses, clients_max: CLIENTS_MAX };
    let mut shard = Shard {
        shared,
        transport: ServerTransport::new(config, epoch),
        places: HashMap::new(),
        unsaid: Vec::new(),
        malformed: 0,
        dropped: 0,
    };
    let mut buffer = [0; UDP_BYTES_MAX];
    let mut advanced = started;
    let mut closing_at = None;
    let (mut datagrams_in, mut bytes_in, mut datagrams_out, mut bytes_out) = (0_u64, 0_u64, 0_u64, 0_u64);
    loop {
        for _ in 0..BATCH_MAX {
            match socket.recv_from(&mut buffer) {
                Ok((len, from)) => {
                    datagrams_in += 1;
                    bytes_in += (len + HEADER_BYTES) as u64;
                    shard.transport.receive(from, &mut buffer[..len]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A peer's closed port is told here on some systems; it concerns that peer alone.
                Err(_) => continue,
            }
        }
        shard.handle_events();
        while let Ok(order) = from_rooms.try_recv() {
            shard.obey(order);
        }
        let now = Instant::now();
        if now - advanced >= ADVANCE_EVERY {
            advanced = now;
            shard.transport.advance(epoch + (now - started));
            shard.close_leaving(now);
            shard.handle_events();
            shard.say_unsaid();
            let clients = shard.transport.clients();
            let malformed = shard.malformed + shard.transport.implausible();
            let dropped = core::mem::take(&mut shard.dropped);
            shared.note(|stats| {
                (stats.clients, stats.malformed) = (clients, malformed);
                (stats.datagrams_in, stats.bytes_in) = (datagrams_in, bytes_in);
                (stats.datagrams_out, stats.bytes_out) = (datagrams_out, bytes_out);
                stats.dropped += dropped;
            });
        }
        shard.transport.transmit(&mut |to, bytes| {
            datagrams_out += 1;
            bytes_out += (bytes.len() + HEADER_BYTES) as u64;
            // A full socket buffer is loss like any other.
            let _ = socket.send_to(bytes, to);
        });
        if shared.closing.load(Ordering::Acquire) {
            let until = *closing_at.get_or_insert(now + LINGER);
            if now >= until || shard.places.is_empty() {
                shard.disconnect_all();
                shard.transport.transmit(&mut |to, bytes| {
                    let _ = socket.send_to(bytes, to);
                });
                return;
            }
        }
        match from_rooms.recv_timeout(if shard.places.is_empty() { WAIT_IDLE } else { WAIT }) {
            Ok(order) => shard.obey(order),
            Err(RecvTimeoutError::Timeout) => {}
            // All rooms have ended: the queue no longer waits by itself.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(WAIT),
        }
    }
}

impl Shard<'_> {
    fn obey(&mut self, order: ToSocket) {
        match order {
            ToSocket::Send { client, channel, bytes } => {
                // Whoever is gone by now needs nothing.
                let _ = self.transport.send(client, channel, &bytes);
            }
            ToSocket::Close { client } => {
                if let Some(place) = self.places.get_mut(&client) {
                    *place = Place::Leaving { until: Instant::now() + LINGER };
                }
            }
        }
    }

    fn handle_events(&mut self) {
        while let Some(event) = self.transport.next_event() {
            match event {
                ServerEvent::Connected { client, .. } => {
                    self.places.insert(client, Place::Lobby);
                }
                ServerEvent::Disconnected { client, reason } => {
                    if let Some(Place::Room(room)) = self.places.remove(&client) {
                        let reason = match reason {
                            DisconnectReason::ByPeer => LeaveReason::Quit,
                            DisconnectReason::Violation(_) => LeaveReason::Kicked,
                            _ => LeaveReason::TimedOut,
                        };
                        self.tell(room, FromSocket::Left { client, reason });
                    }
                    if let DisconnectReason::Violation(violation) = reason {
                        tracing::warn!(client, %violation, "a client broke the rules of the transport");
                    }
                }
                ServerEvent::Received { client, channel: Channel::Datagram, bytes } => {
                    let Some(Place::Room(room)) = self.places.get(&client) else { continue };
                    match Datagram::decode(&bytes) {
                        Ok(Datagram::Input(packet)) => {
                            self.tell(*room, FromSocket::Input { client, packet, arrived: Instant::now() });
                        }
                        _ => self.malformed += 1,
                    }
                }
                ServerEvent::Received { client, channel: Channel::Reliable, bytes } => self.message(client, &bytes),
            }
        }
    }

    fn message(&mut self, client: ClientId, bytes: &[u8]) {
        match (self.places.get(&client), ClientMessage::decode(bytes)) {
            (Some(Place::Lobby), Ok(ClientMessage::Join(join))) => self.join(client, join),
            (Some(Place::Room(room)), Ok(ClientMessage::Goodbye(_))) => {
                let room = *room;
                self.tell(room, FromSocket::Left { client, reason: LeaveReason::Quit });
                self.leave(client);
            }
            (Some(Place::Lobby), Ok(ClientMessage::Goodbye(_))) => self.leave(client),
            (Some(Place::Lobby), Err(_)) => {
                self.malformed += 1;
                self.refuse(client, RefusedReason::Malformed);
            }
            (Some(Place::Room(room)), _) => {
                let room = *room;
                self.malformed += 1;
                let goodbye = ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Protocol });
                let _ = self.transport.send(client, Channel::Reliable, &goodbye.encode());
                self.tell(room, FromSocket::Left { client, reason: LeaveReason::Kicked });
                self.leave(client);
            }
            (Some(Place::Leaving { .. }) | None, _) => {}
        }
    }

    fn join(&mut self, client: ClientId, join: Join) {
        if join.version != PROTOCOL_VERSION {
            return self.refuse(client, RefusedReason::Version { server: PROTOCOL_VERSION, client: join.version });
        }
        let server = self.shared.protocol_hash;
        if join.protocol_hash != server {
            return self.refuse(client, RefusedReason::ProtocolHash { server, client: join.protocol_hash });
        }
        if self.shared.stopping().is_some() {
            return self.refuse(client, RefusedReason::Stopping);
        }
        // The fullest room that has a place: a match is more fun than three beginnings of one.
        let rooms = self.shared.rooms.iter().enumerate();
        let open =
            rooms.filter(|(_, room)| room.has_place()).max_by_key(|(at, room)| (room.reserved(), usize::MAX - at));
        let Some((at, room)) = open else { return self.refuse(client, RefusedReason::Full) };
        let loadout = Loadout { hero: join.hero, team: join.team };
        match room.queue.try_send(FromSocket::Join { client, loadout }) {
            Ok(()) => {
                room.reserve();
                self.places.insert(client, Place::Room(at));
            }
            Err(_) => self.refuse(client, RefusedReason::Full),
        }
    }

    fn refuse(&mut self, client: ClientId, reason: RefusedReason) {
        let refused = ServerMessage::Refused(Refused::from(reason));
        let _ = self.transport.send(client, Channel::Reliable, &refused.encode());
        self.leave(client);
    }

    fn leave(&mut self, client: ClientId) {
        self.places.insert(client, Place::Leaving { until: Instant::now() + LINGER });
    }

    fn close_leaving(&mut self, now: Instant) {
        let transport = &self.transport;
        let done: Vec<ClientId> = self
            .places
            .iter()
            .filter(|(client, place)| match place {
                // A flushed client has everything but needs a moment to read it before the connection ends.
                Place::Leaving { until } => {
                    now >= *until || (now + LINGER / 2 >= *until && transport.is_flushed(**client))
                }
                _ => false,
            })
            .map(|(client, _)| *client)
            .collect();
        for client in done {
            self.places.remove(&client);
            self.transport.disconnect(client);
        }
    }

    fn disconnect_all(&mut self) {
        for client in core::mem::take(&mut self.places).into_keys() {
            self.transport.disconnect(client);
        }
    }

    /// An input that finds no room is dropped: the next datagram repeats it. A leave is said again until it is heard.
    fn tell(&mut self, room: usize, what: FromSocket) {
        match self.shared.rooms[room].queue.try_send(what) {
            Ok(()) => {}
            Err(TrySendError::Full(what @ FromSocket::Left { .. })) => self.unsaid.push((room, what)),
            Err(_) => self.dropped += 1,
        }
    }

    fn say_unsaid(&mut self) {
        for (room, what) in core::mem::take(&mut self.unsaid) {
            self.tell(room, what);
        }
    }
}
