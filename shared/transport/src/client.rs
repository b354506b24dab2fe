//! A client's end: one connection.

use core::net::SocketAddr;
use core::time::Duration;

use crate::flow::{Body, Flow, FlowConfig, FlowEvent, Incoming};
use crate::link::{DisconnectReason, SendError};
use crate::netcode::{Client, ClientReceived, ClientState, ConnectToken, TokenError};
use crate::packing::{self, Packet};
use crate::path::PathStats;

/// What happened. Bytes are the server's own: nothing about them is checked but their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// The server has let the client in.
    Connected,
    /// It is over.
    Disconnected(DisconnectReason),
    /// A body came. They may overtake each other, and some never come.
    Body {
        /// What it is, 1 to 6.
        kind: u8,
        /// 1 to [`BODY_BYTES_MAX`](crate::flow::BODY_BYTES_MAX) bytes.
        bytes: &'a [u8],
    },
    /// A reliable message came: each once and in order.
    Message(&'a [u8]),
    /// The server has the body with this tag.
    Delivered(u32),
    /// The body with this tag was given up.
    Lost(u32),
}

/// A connection, without its socket and clock. Times must not go backwards.
#[derive(Debug)]
pub struct ClientConnection {
    netcode: Client,
    flow: Flow,
    farewell: Option<Box<str>>,
    ended: Option<DisconnectReason>,
}

impl ClientConnection {
    /// Begins to connect with the bytes of a token. `now` is the time since the Unix epoch.
    pub fn new(token: &[u8], now: Duration) -> Result<Self, TokenError> {
        let netcode = Client::new(ConnectToken::from_bytes(token)?, now)?;
        Ok(Self { netcode, flow: Flow::new(FlowConfig::of_client(), now), farewell: None, ended: None })
    }

    /// The server that is or will be talked to; changes while the addresses of the token are tried.
    pub fn server_address(&self) -> SocketAddr {
        self.netcode.server_address()
    }

    /// Whether the server has let the client in and nothing ended it.
    pub fn is_connected(&self) -> bool {
        self.ended.is_none() && self.netcode.is_connected()
    }

    /// Why the connection ended, once it has.
    pub fn ended(&self) -> Option<DisconnectReason> {
        self.ended
    }

    /// What the server said when it closed the connection, for a person to read.
    pub fn farewell(&self) -> Option<&str> {
        self.farewell.as_deref()
    }

    /// For how long nothing authentic was heard of the server. A server that is connected speaks ten times a second.
    pub fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.netcode.heard())
    }

    /// Takes a datagram from the socket and opens it in place. What does not come from the server is ignored.
    pub fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &mut [u8],
        out: &mut impl FnMut(SocketAddr, &[u8]),
        tell: &mut impl FnMut(ClientEvent<'_>),
    ) {
        if self.ended.is_some() {
            return;
        }
        let violation = match self.netcode.receive(now, from, datagram) {
            ClientReceived::Nothing => return,
            ClientReceived::Connected => {
                // The wait for the server's answer was no path of ours.
                self.flow = Flow::new(FlowConfig::of_client(), now);
                return tell(ClientEvent::Connected);
            }
            ClientReceived::Disconnected(reason) => return self.end(reason.into(), tell),
            ClientReceived::Payload(payload) => match self.flow.read(now, payload, &mut |event| tell(of_flow(event))) {
                Ok(Incoming::Body { kind, bytes, .. }) => return tell(ClientEvent::Body { kind, bytes }),
                Ok(Incoming::Farewell(text)) => {
                    self.farewell = Some(text.into());
                    return;
                }
                Ok(Incoming::Empty | Incoming::Refused(_) | Incoming::Dropped) => return,
                Err(violation) => violation,
            },
        };
        let reason = DisconnectReason::Violation(violation);
        self.close(now, reason, &reason.to_string(), out);
        tell(ClientEvent::Disconnected(reason));
    }

    /// Moves time on: handshake, keep-alives, what must leave although no body did. To be called each tick or more often.
    pub fn advance(
        &mut self,
        now: Duration,
        out: &mut impl FnMut(SocketAddr, &[u8]),
        tell: &mut impl FnMut(ClientEvent<'_>),
    ) {
        if self.ended.is_some() {
            return;
        }
        self.netcode.update(now, out);
        match self.netcode.state() {
            ClientState::Requesting | ClientState::Responding => {}
            ClientState::Ended(reason) => self.end(reason.into(), tell),
            ClientState::Connected => {
                let Self { netcode, flow, .. } = self;
                flow.advance(now, &mut |event| tell(of_flow(event)));
                packing::flush(flow, now, |packet, len| seal(netcode, packet, len, out));
            }
        }
    }

    fn end(&mut self, reason: DisconnectReason, tell: &mut impl FnMut(ClientEvent<'_>)) {
        self.ended = Some(reason);
        tell(ClientEvent::Disconnected(reason));
    }

    /// Sends a body at once, with acknowledgements and as many messages as fit beside it.
    pub fn send_body(
        &mut self,
        now: Duration,
        body: Body<'_>,
        out: &mut impl FnMut(SocketAddr, &[u8]),
    ) -> Result<(), SendError> {
        if !self.is_connected() {
            return Err(SendError::NotConnected);
        }
        let Self { netcode, flow, .. } = self;
        packing::send_body(flow, now, body, |packet, len| seal(netcode, packet, len, out))
    }

    /// Queues a message for the next payloads with room.
    pub fn send_message(&mut self, message: &[u8]) -> Result<(), SendError> {
        if self.is_connected() { self.flow.send_message(message) } else { Err(SendError::NotConnected) }
    }

    /// Ends the connection. Messages that are ready are sent once more but not awaited.
    pub fn disconnect(&mut self, now: Duration, out: &mut impl FnMut(SocketAddr, &[u8])) {
        if self.is_connected() {
            let Self { netcode, flow, .. } = self;
            packing::flush(flow, now, |packet, len| seal(netcode, packet, len, out));
        }
        self.close(now, DisconnectReason::Local, "", out);
    }

    fn close(&mut self, now: Duration, reason: DisconnectReason, why: &str, out: &mut impl FnMut(SocketAddr, &[u8])) {
        if self.ended.is_some() {
            return;
        }
        let Self { netcode, flow, .. } = self;
        if netcode.is_connected() && !why.is_empty() {
            packing::say_farewell(flow, now, why, |packet, len| seal(netcode, packet, len, out));
        }
        netcode.disconnect(out);
        self.ended = Some(reason);
    }

    /// What the path to the server is like.
    pub fn path(&self) -> PathStats {
        self.flow.path()
    }

    /// Seals any payload, what an honest client never sends too: for tests of the other end's guard.
    #[doc(hidden)]
    pub fn send_raw_for_tests(&mut self, payload: &[u8], out: &mut impl FnMut(SocketAddr, &[u8])) {
        let mut packet = [0; size_of::<Packet>()];
        if let Some((to, len)) = self.netcode.seal(payload, &mut packet) {
            out(to, &packet[..len]);
        }
    }
}

fn seal(netcode: &mut Client, packet: &mut Packet, len: usize, out: &mut impl FnMut(SocketAddr, &[u8])) -> bool {
    let sealed = netcode.seal_in_place(packet, len);
    if let Some((to, range)) = sealed.as_ref() {
        out(*to, &packet[range.clone()]);
    }
    sealed.is_some()
}

fn of_flow(event: FlowEvent<'_>) -> ClientEvent<'_> {
    match event {
        FlowEvent::Message(bytes) => ClientEvent::Message(bytes),
        FlowEvent::Delivered(tag) => ClientEvent::Delivered(tag),
        FlowEvent::Lost(tag) => ClientEvent::Lost(tag),
    }
}
