//! The server's end: many connections behind one socket.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::flow::{Body, Flow, FlowConfig, FlowEvent, Incoming};
use crate::guard::Violation;
use crate::link::{DisconnectReason, SendError};
use crate::netcode::{
    ConnectionId, Counters, HandshakeLimiter, HandshakeLimits, NoRandomness, Received, Server, ServerConfig,
    TokenHistory,
};
use crate::packing::{self, Packet};
use crate::path::PathStats;
use crate::token::{Key, USER_DATA_BYTES};
use crate::{CLIENTS_MAX, PROTOCOL_ID};

/// Identity of a connection: never mistaken for a later one in the same slot.
pub type ClientId = ConnectionId;

/// What a server is made from.
#[derive(Debug, Clone)]
pub struct ServerTransportConfig {
    /// The key that tokens are sealed with.
    pub key: Key,
    /// The addresses under which tokens name this server.
    pub public_addresses: Vec<SocketAddr>,
    /// Most connections, 1 to [`CLIENTS_MAX`]; clamped.
    pub clients_max: usize,
    /// Tokens that were used, shared by all that answer under the same addresses.
    pub history: Arc<TokenHistory>,
    /// How many handshakes are looked at, in all that are made from this configuration together.
    pub handshakes: Arc<HandshakeLimiter>,
    /// Rates of a connection.
    pub flow: FlowConfig,
}

impl ServerTransportConfig {
    /// With the usual limits and rates.
    pub fn new(key: Key, public_addresses: Vec<SocketAddr>, clients_max: usize, history: Arc<TokenHistory>) -> Self {
        let (handshakes, flow) = (HandshakeLimiter::new(HandshakeLimits::default()), FlowConfig::of_server());
        Self { key, public_addresses, clients_max, history, handshakes: Arc::new(handshakes), flow }
    }
}

/// What happened. Bytes are the client's own: nothing about them is checked but their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerEvent<'a> {
    /// A client has proven its token.
    Connected {
        /// Which.
        client: ClientId,
        /// What the token carries.
        user_data: &'a [u8; USER_DATA_BYTES],
    },
    /// A client is gone.
    Disconnected {
        /// Which.
        client: ClientId,
        /// Why.
        reason: DisconnectReason,
    },
    /// A body came. They may overtake each other, and some never come.
    Body {
        /// From whom.
        client: ClientId,
        /// What it is, 1 to 6.
        kind: u8,
        /// 1 to [`BODY_BYTES_MAX`](crate::flow::BODY_BYTES_MAX) bytes.
        bytes: &'a [u8],
    },
    /// A reliable message came: each once and in order.
    Message {
        /// From whom.
        client: ClientId,
        /// 1 to [`WHOLE_BYTES_MAX`](crate::messages::WHOLE_BYTES_MAX) bytes.
        bytes: &'a [u8],
    },
    /// The client has the body with this tag.
    Delivered {
        /// Who.
        client: ClientId,
        /// The tag that it was sent with.
        tag: u32,
    },
    /// The body with this tag was given up.
    Lost {
        /// Whose.
        client: ClientId,
        /// The tag that it was sent with.
        tag: u32,
    },
}

/// All connections of a socket, without the socket and a clock. Times must not go backwards.
#[derive(Debug)]
pub struct ServerTransport {
    netcode: Server,
    /// By slot.
    flows: Vec<Option<Box<Flow>>>,
    flow: FlowConfig,
    violations: u64,
}

impl ServerTransport {
    /// A server without clients.
    pub fn new(config: ServerTransportConfig, now: Duration) -> Result<Self, NoRandomness> {
        let clients_max = config.clients_max.clamp(1, CLIENTS_MAX);
        let addresses = config.public_addresses;
        let mut netcode = ServerConfig::new(config.key, PROTOCOL_ID, addresses, clients_max, config.history);
        netcode.limiter = config.handshakes;
        let flows = (0..clients_max).map(|_| None).collect();
        Ok(Self { netcode: Server::new(netcode, now)?, flows, flow: config.flow, violations: 0 })
    }

    /// Takes a datagram from the socket and opens it in place. `out` is given what must be sent in answer, `tell` what it
    /// brought.
    pub fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &mut [u8],
        out: &mut impl FnMut(SocketAddr, &[u8]),
        tell: &mut impl FnMut(ServerEvent<'_>),
    ) {
        let (client, violation) = match self.netcode.receive(now, from, datagram, out) {
            Received::Nothing => return,
            Received::Connected { connection: client, user_data, .. } => {
                self.flows[client.slot()] = Some(Box::new(Flow::new(self.flow, now)));
                return tell(ServerEvent::Connected { client, user_data });
            }
            Received::Disconnected { connection: client, reason } => {
                self.flows[client.slot()] = None;
                return tell(ServerEvent::Disconnected { client, reason: reason.into() });
            }
            Received::Payload { connection: client, payload } => {
                let Some(flow) = &mut self.flows[client.slot()] else { return };
                match flow.read(now, payload, &mut |event| tell(of_flow(client, event))) {
                    Ok(Incoming::Body { kind, bytes, .. }) => {
                        return tell(ServerEvent::Body { client, kind, bytes });
                    }
                    // A client that says why it goes says goodbye in netcode's way too.
                    Ok(Incoming::Empty | Incoming::Farewell(_) | Incoming::Refused(_) | Incoming::Dropped) => return,
                    Err(violation) => (client, violation),
                }
            }
        };
        self.violations += 1;
        self.expel(now, client, violation, out, tell);
    }

    fn expel(
        &mut self,
        now: Duration,
        client: ClientId,
        violation: Violation,
        out: &mut impl FnMut(SocketAddr, &[u8]),
        tell: &mut impl FnMut(ServerEvent<'_>),
    ) {
        let reason = DisconnectReason::Violation(violation);
        self.disconnect(now, client, &reason.to_string(), out);
        tell(ServerEvent::Disconnected { client, reason });
    }

    /// Moves time on: what is lost is given up, what must leave although no body did leaves, silent clients are given up. To
    /// be called at least each 100 ms; the work depends on the number of clients.
    pub fn advance(
        &mut self,
        now: Duration,
        out: &mut impl FnMut(SocketAddr, &[u8]),
        tell: &mut impl FnMut(ServerEvent<'_>),
    ) {
        let Self { netcode, flows, .. } = self;
        netcode.update(now, out, &mut |client, reason| {
            flows[client.slot()] = None;
            tell(ServerEvent::Disconnected { client, reason: reason.into() });
        });
        for (slot, flow) in flows.iter_mut().enumerate() {
            let Some(flow) = flow else { continue };
            let Some(client) = netcode.connection(slot) else { continue };
            flow.advance(now, &mut |event| tell(of_flow(client, event)));
            packing::flush(flow, now, |packet, len| seal(netcode, client, packet, len, out));
        }
    }

    /// Sends a body at once, with acknowledgements and as many messages as fit beside it.
    pub fn send_body(
        &mut self,
        now: Duration,
        client: ClientId,
        body: Body<'_>,
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Result<(), SendError> {
        let Self { netcode, flows, .. } = self;
        let flow = flow(netcode, flows, client).ok_or(SendError::NotConnected)?;
        packing::send_body(flow, now, body, |packet, len| seal(netcode, client, packet, len, out))
    }

    /// Queues a message for the next payloads with room.
    pub fn send_message(&mut self, client: ClientId, message: &[u8]) -> Result<(), SendError> {
        let flow = flow(&self.netcode, &mut self.flows, client).ok_or(SendError::NotConnected)?;
        flow.send_message(message)
    }

    /// Bytes that the bodies of the next tick should have together at most; 0 if it should be left out.
    pub fn budget(&mut self, client: ClientId, ticks_per_second: u32) -> usize {
        flow(&self.netcode, &mut self.flows, client).map_or(0, |flow| flow.budget(ticks_per_second))
    }

    /// What the path to a client is like.
    pub fn path(&self, client: ClientId) -> Option<PathStats> {
        self.known(client).map(Flow::path)
    }

    /// Whether a client has every message.
    pub fn is_flushed(&self, client: ClientId) -> bool {
        self.known(client).is_none_or(Flow::is_flushed)
    }

    fn known(&self, client: ClientId) -> Option<&Flow> {
        let flow = self.flows.get(client.slot())?.as_deref()?;
        self.netcode.is_connected(client).then_some(flow)
    }

    /// Tells a client why, and ends its connection. Nothing happens if it is gone; nobody is told of it here.
    pub fn disconnect(&mut self, now: Duration, client: ClientId, why: &str, out: &mut impl FnMut(SocketAddr, &[u8])) {
        let Self { netcode, flows, .. } = self;
        if let Some(flow) = flow(netcode, flows, client) {
            packing::say_farewell(flow, now, why, |packet, len| seal(netcode, client, packet, len, out));
        }
        if netcode.disconnect(client, out) {
            flows[client.slot()] = None;
        }
    }

    /// Number of connections.
    pub fn clients(&self) -> usize {
        self.netcode.clients()
    }

    /// What became of everything that came.
    pub fn counters(&self) -> &Counters {
        self.netcode.counters()
    }

    /// Clients that were expelled because they broke the rules.
    pub fn violations(&self) -> u64 {
        self.violations
    }
}

fn flow<'a>(netcode: &Server, flows: &'a mut [Option<Box<Flow>>], client: ClientId) -> Option<&'a mut Flow> {
    let flow = flows.get_mut(client.slot())?.as_deref_mut()?;
    netcode.is_connected(client).then_some(flow)
}

fn seal(
    netcode: &mut Server,
    client: ClientId,
    packet: &mut Packet,
    len: usize,
    out: &mut impl FnMut(SocketAddr, &[u8]),
) -> bool {
    let sealed = netcode.seal_in_place(client, packet, len, out);
    if let Some((to, range)) = sealed.as_ref() {
        out(*to, &packet[range.clone()]);
    }
    sealed.is_some()
}

fn of_flow(client: ClientId, event: FlowEvent<'_>) -> ServerEvent<'_> {
    match event {
        FlowEvent::Message(bytes) => ServerEvent::Message { client, bytes },
        FlowEvent::Delivered(tag) => ServerEvent::Delivered { client, tag },
        FlowEvent::Lost(tag) => ServerEvent::Lost { client, tag },
    }
}
