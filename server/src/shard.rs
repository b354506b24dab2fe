//! A socket thread: owns a socket, its connections and who belongs to which room.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_protocol::{
    ClientMessage, Datagram, Goodbye, GoodbyeReason, Join, KIND_SNAPSHOT, PROTOCOL_VERSION, Refused, RefusedReason,
    ServerMessage,
};
use arbiter_sim::{LeaveReason, Loadout};
use arbiter_transport::{Body, ClientId, DisconnectReason, SendError, ServerEvent, ServerTransport, UDP_BYTES_MAX};
use crossbeam::channel::{Receiver, RecvTimeoutError, TrySendError};

use crate::Shared;
use crate::room::{FromSocket, Line};

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

/// What a client that was said goodbye to is told by the transport, should the goodbye itself be lost.
const FAREWELL: &str = "the server has said goodbye";

/// What a room has for a client.
pub(crate) enum ToSocket {
    /// A part of a snapshot, to be sent at once or never.
    Snapshot { client: ClientId, tick: u32, bytes: Vec<u8> },
    /// A message that must arrive.
    Message { client: ClientId, bytes: Vec<u8> },
    /// To be disconnected once it has what it was sent.
    Close { client: ClientId },
}

enum Stage {
    /// Connected; has not said what it wants.
    Lobby,
    /// In a room.
    Room(usize),
    /// Refused or said goodbye to.
    Leaving { until: Instant },
}

struct Place {
    stage: Stage,
    line: Arc<Line>,
}

/// What has to be done once the transport has told everything that a datagram brought.
enum Answer {
    Message(ClientId, ServerMessage),
    Disconnect(ClientId, &'static str),
}

/// Who is where, and what they say.
struct Desk<'a> {
    shared: &'a Shared,
    places: HashMap<ClientId, Place>,
    answers: Vec<Answer>,
    /// Leaves that found their room's queue full.
    unsaid: Vec<(usize, FromSocket)>,
    malformed: u64,
    dropped: u64,
}

/// The socket, with what went through it.
struct Wire<'a> {
    socket: &'a UdpSocket,
    datagrams_in: u64,
    bytes_in: u64,
    datagrams_out: u64,
    bytes_out: u64,
}

impl Wire<'_> {
    fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.datagrams_out += 1;
        self.bytes_out += (bytes.len() + HEADER_BYTES) as u64;
        // A full socket buffer is loss like any other.
        let _ = self.socket.send_to(bytes, to);
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((len, from)) => {
                    self.datagrams_in += 1;
                    self.bytes_in += (len + HEADER_BYTES) as u64;
                    return Some((len, from));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // A peer's closed port is told here on some systems; it concerns that peer alone.
                Err(_) => {}
            }
        }
    }
}

struct Shard<'a> {
    desk: Desk<'a>,
    transport: ServerTransport,
    wire: Wire<'a>,
    started: Instant,
    epoch: Duration,
    tick_rate: u32,
}

/// The system's clock at the start of a server. One before 1970 only makes every token expired.
pub(crate) fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub(crate) fn run(
    shared: &Shared,
    socket: &UdpSocket,
    transport: ServerTransport,
    epoch: Duration,
    from_rooms: &Receiver<ToSocket>,
) {
    let desk =
        Desk { shared, places: HashMap::new(), answers: Vec::new(), unsaid: Vec::new(), malformed: 0, dropped: 0 };
    let wire = Wire { socket, datagrams_in: 0, bytes_in: 0, datagrams_out: 0, bytes_out: 0 };
    let (started, tick_rate) = (Instant::now(), u32::from(shared.config.settings.tick_rate));
    let mut shard = Shard { desk, transport, wire, started, epoch, tick_rate };
    let mut buffer = [0; UDP_BYTES_MAX];
    let mut advanced = started;
    let mut closing_at = None;
    loop {
        for _ in 0..BATCH_MAX {
            let Some((len, from)) = shard.wire.receive(&mut buffer) else { break };
            shard.hear(from, &mut buffer[..len]);
        }
        while let Ok(order) = from_rooms.try_recv() {
            shard.obey(order);
        }
        let now = Instant::now();
        if now - advanced >= ADVANCE_EVERY {
            advanced = now;
            shard.advance(now);
        }
        if shared.closing.load(Ordering::Acquire) {
            let until = *closing_at.get_or_insert(now + LINGER);
            if now >= until || shard.desk.places.is_empty() {
                shard.disconnect_all();
                return;
            }
        }
        match from_rooms.recv_timeout(if shard.desk.places.is_empty() { WAIT_IDLE } else { WAIT }) {
            Ok(order) => shard.obey(order),
            Err(RecvTimeoutError::Timeout) => {}
            // All rooms have ended: the queue no longer waits by itself.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(WAIT),
        }
    }
}

impl Shard<'_> {
    fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }

    fn hear(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let now = self.now();
        let Self { transport, desk, wire, .. } = self;
        transport.receive(now, from, datagram, &mut |to, bytes| wire.send(to, bytes), &mut |event| desk.hear(event));
        self.answer();
    }

    /// Keep-alives, timeouts, repeated messages, whose time to leave has come, and what the others see of this thread.
    fn advance(&mut self, at: Instant) {
        let now = self.now();
        let Self { transport, desk, wire, tick_rate, .. } = self;
        transport.advance(now, &mut |to, bytes| wire.send(to, bytes), &mut |event| desk.hear(event));
        for (client, place) in &desk.places {
            place.line.set_budget(transport.budget(*client, *tick_rate));
        }
        self.close_leaving(at);
        self.answer();
        self.desk.say_unsaid();
        let Self { transport, desk, wire, .. } = self;
        let counters = transport.counters();
        let malformed = desk.malformed + counters.malformed + transport.violations();
        let dropped = core::mem::take(&mut desk.dropped);
        let clients = transport.clients();
        desk.shared.note(|stats| {
            (stats.clients, stats.malformed) = (clients, malformed);
            (stats.datagrams_in, stats.bytes_in) = (wire.datagrams_in, wire.bytes_in);
            (stats.datagrams_out, stats.bytes_out) = (wire.datagrams_out, wire.bytes_out);
            stats.dropped += dropped;
        });
    }

    fn obey(&mut self, order: ToSocket) {
        match order {
            ToSocket::Snapshot { client, tick, bytes } => {
                let now = self.now();
                let Self { transport, desk, wire, tick_rate, .. } = self;
                let body = Body { kind: KIND_SNAPSHOT, tag: tick, bytes: &bytes };
                // Whoever is gone by now needs nothing, and what cannot leave now is lost like any other.
                let _ = transport.send_body(now, client, body, &mut |to, bytes| wire.send(to, bytes));
                if let Some(place) = desk.places.get(&client) {
                    place.line.set_budget(transport.budget(client, *tick_rate));
                }
            }
            ToSocket::Message { client, bytes } => {
                self.message(client, &bytes);
                self.answer();
            }
            ToSocket::Close { client } => self.desk.leave(client),
        }
    }

    fn message(&mut self, client: ClientId, bytes: &[u8]) {
        if self.transport.send_message(client, bytes) == Err(SendError::QueueFull) {
            self.desk.hear(ServerEvent::Disconnected { client, reason: DisconnectReason::QueueFull });
            self.desk.answers.push(Answer::Disconnect(client, "you acknowledge nothing of what you are sent"));
        }
    }

    fn answer(&mut self) {
        // A message that finds its queue full adds one more answer, which adds none.
        while let Some(answer) = self.desk.answers.pop() {
            match answer {
                Answer::Message(client, message) => self.message(client, &message.encode()),
                Answer::Disconnect(client, why) => self.disconnect(client, why),
            }
        }
    }

    fn disconnect(&mut self, client: ClientId, why: &str) {
        let now = self.now();
        let Self { transport, wire, .. } = self;
        transport.disconnect(now, client, why, &mut |to, bytes| wire.send(to, bytes));
    }

    fn close_leaving(&mut self, now: Instant) {
        let Self { desk, transport, .. } = self;
        desk.places.retain(|client, place| {
            let Stage::Leaving { until } = place.stage else { return true };
            // A flushed client has everything but needs a moment to read it before the connection ends.
            let is_done = now >= until || (now + LINGER / 2 >= until && transport.is_flushed(*client));
            if is_done {
                desk.answers.push(Answer::Disconnect(*client, FAREWELL));
            }
            !is_done
        });
    }

    fn disconnect_all(&mut self) {
        for client in core::mem::take(&mut self.desk.places).into_keys() {
            self.disconnect(client, FAREWELL);
        }
    }
}

impl Desk<'_> {
    fn hear(&mut self, event: ServerEvent<'_>) {
        match event {
            ServerEvent::Connected { client, .. } => {
                self.places.insert(client, Place { stage: Stage::Lobby, line: Arc::default() });
            }
            ServerEvent::Disconnected { client, reason } => {
                if let Some(Place { stage: Stage::Room(room), .. }) = self.places.remove(&client) {
                    let reason = match reason {
                        DisconnectReason::ByPeer => LeaveReason::Quit,
                        DisconnectReason::Violation(_) => LeaveReason::Kicked,
                        _ => LeaveReason::TimedOut,
                    };
                    self.tell(room, FromSocket::Left { client, reason });
                }
                if let DisconnectReason::Violation(violation) = reason {
                    tracing::warn!(?client, %violation, "a client broke the rules of the transport");
                }
            }
            ServerEvent::Body { client, kind, bytes } => {
                let Some(Place { stage: Stage::Room(room), .. }) = self.places.get(&client) else { return };
                let room = *room;
                match Datagram::decode(kind, bytes) {
                    Ok(Datagram::Input(packet)) => self.tell(room, FromSocket::Input { client, packet }),
                    _ => self.malformed += 1,
                }
            }
            ServerEvent::Message { client, bytes } => self.message(client, bytes),
            ServerEvent::Delivered { .. } | ServerEvent::Lost { .. } => {}
        }
    }

    fn message(&mut self, client: ClientId, bytes: &[u8]) {
        match (self.places.get(&client).map(|place| &place.stage), ClientMessage::decode(bytes)) {
            (Some(Stage::Lobby), Ok(ClientMessage::Join(join))) => self.join(client, join),
            (Some(Stage::Room(room)), Ok(ClientMessage::Goodbye(_))) => {
                let room = *room;
                self.tell(room, FromSocket::Left { client, reason: LeaveReason::Quit });
                self.leave(client);
            }
            (Some(Stage::Lobby), Ok(ClientMessage::Goodbye(_))) => self.leave(client),
            (Some(Stage::Lobby), Err(_)) => {
                self.malformed += 1;
                self.refuse(client, RefusedReason::Malformed);
            }
            (Some(Stage::Room(room)), _) => {
                let room = *room;
                self.malformed += 1;
                let goodbye = ServerMessage::Goodbye(Goodbye { reason: GoodbyeReason::Protocol });
                self.answers.push(Answer::Message(client, goodbye));
                self.tell(room, FromSocket::Left { client, reason: LeaveReason::Kicked });
                self.leave(client);
            }
            (Some(Stage::Leaving { .. }) | None, _) => {}
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
        let line: Arc<Line> = Arc::default();
        match room.queue.try_send(FromSocket::Join { client, loadout, line: Arc::clone(&line) }) {
            Ok(()) => {
                room.reserve();
                self.places.insert(client, Place { stage: Stage::Room(at), line });
            }
            Err(_) => self.refuse(client, RefusedReason::Full),
        }
    }

    fn refuse(&mut self, client: ClientId, reason: RefusedReason) {
        self.answers.push(Answer::Message(client, ServerMessage::Refused(Refused::from(reason))));
        self.leave(client);
    }

    fn leave(&mut self, client: ClientId) {
        if let Some(place) = self.places.get_mut(&client) {
            place.stage = Stage::Leaving { until: Instant::now() + LINGER };
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
