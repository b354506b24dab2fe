//! A client's end: one connection from a connect token.

use core::fmt;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use super::address::is_same_place;
use super::crypto::TAG_BYTES;
use super::packet::{
    self, Associated, CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Header, Kind, REQUEST_BYTES, control, header_bytes,
    read_challenge, read_keep_alive, write_request,
};
use super::private::CHALLENGE_TOKEN_BYTES;
use super::replay::ReplayWindow;
use super::token::{ConnectToken, TokenError};
use super::{DISCONNECT_PACKETS, GLOBAL_SEQUENCE_MIN, KEEP_ALIVE, PAYLOAD_BYTES_MAX, timeout};

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientState {
    /// Shows its token to a server and waits for a challenge.
    Requesting,
    /// Answers a challenge and waits to be let in.
    Responding,
    /// Is in.
    Connected,
    /// Is not, and never will be: another attempt needs another token.
    Ended(EndReason),
}

/// Why a connection ended, or never came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// This end said so.
    Local,
    /// The server said so.
    ByServer,
    /// Nothing was heard of the server for too long.
    TimedOut,
    /// No server of the token answered.
    RequestTimedOut,
    /// The last server asked for an answer and then let nobody in.
    ResponseTimedOut,
    /// The last server has no place.
    Denied,
    /// The token expired before a server let the client in.
    TokenExpired,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "closed by this end",
            Self::ByServer => "the server closed the connection",
            Self::TimedOut => "nothing was heard of the server for too long",
            Self::RequestTimedOut => {
                "no server of the connect token answered: check the address, and that the token was made with the \
                 server's key and not used before"
            }
            Self::ResponseTimedOut => "the server fell silent while it was let know who is there: try again",
            Self::Denied => "the server denied the connection: it is full",
            Self::TokenExpired => "the connect token expired before a server let the client in: get a new one",
        })
    }
}

/// What a datagram was.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientReceived<'a> {
    /// Nothing that the caller needs to know of.
    Nothing,
    /// The server let the client in.
    Connected,
    /// The server has sent 1 to 1,200 bytes. They may overtake each other and be lost, but come once.
    Payload(&'a [u8]),
    /// The server closed the connection.
    Disconnected(EndReason),
}

/// A connection without its socket and clock. See the [module](super).
///
/// Times are since the Unix epoch; one that goes backwards is taken for the latest before it.
pub struct Client {
    token: ConnectToken,
    associated: Associated,
    state: ClientState,
    /// Which address of the token is tried.
    server: usize,
    /// Of the next packet. Never begins again: the keys are the same for all servers of the token.
    sequence: u64,
    replay: ReplayWindow,
    challenge: (u64, [u8; CHALLENGE_TOKEN_BYTES]),
    /// A server said that it is full.
    was_denied: bool,
    slot: u32,
    clients_max: u32,
    now: Duration,
    began: Duration,
    heard: Duration,
    sent: Option<Duration>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &self.state)
            .field("server", &self.server_address())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins to connect with a token. Nothing is sent before the first [`Self::update`]. Fails if the token's list of
    /// addresses is empty.
    pub fn new(token: ConnectToken, now: Duration) -> Result<Self, TokenError> {
        if token.addresses.is_empty() {
            return Err(TokenError::Addresses);
        }
        Ok(Self {
            associated: Associated::new(token.protocol_id),
            token,
            state: ClientState::Requesting,
            server: 0,
            sequence: 0,
            replay: ReplayWindow::default(),
            challenge: (0, [0; CHALLENGE_TOKEN_BYTES]),
            was_denied: false,
            slot: 0,
            clients_max: 0,
            now,
            began: now,
            heard: now,
            sent: None,
        })
    }

    /// When the server was last heard of; before that, when connecting to it began.
    pub fn heard(&self) -> Duration {
        self.heard
    }

    /// Takes a datagram from the socket and opens it in place. What does not come from the server is ignored.
    pub fn receive<'a>(&mut self, now: Duration, from: SocketAddr, datagram: &'a mut [u8]) -> ClientReceived<'a> {
        self.now = self.now.max(now);
        if matches!(self.state, ClientState::Ended(_)) || !is_same_place(&from, &self.server_address()) {
            return ClientReceived::Nothing;
        }
        let Some(header) = Header::read(datagram) else { return ClientReceived::Nothing };
        let is_protected = matches!(header.kind, Kind::KeepAlive | Kind::Payload | Kind::Disconnect);
        if header.kind == Kind::Response || is_protected && self.replay.is_known(header.sequence) {
            return ClientReceived::Nothing;
        }
        let Some(body) = header.open(datagram, &self.token.to_client, &self.associated) else {
            return ClientReceived::Nothing;
        };
        if is_protected {
            self.replay.note(header.sequence);
        }
        self.on_packet(header.kind, body)
    }

    /// What an authentic packet does. What has no meaning in a state does nothing in it.
    fn on_packet<'a>(&mut self, kind: Kind, body: &'a mut [u8]) -> ClientReceived<'a> {
        match (kind, self.state) {
            (Kind::Denied, ClientState::Requesting | ClientState::Responding) => self.was_denied = true,
            (Kind::Challenge, ClientState::Requesting) => {
                if let Some((sequence, token)) = read_challenge(body) {
                    self.challenge = (sequence, *token);
                    self.state = ClientState::Responding;
                    self.heard = self.now;
                    // The response goes out with the next update.
                    self.sent = None;
                }
            }
            (Kind::KeepAlive, ClientState::Responding) => {
                if let Some((slot, clients_max)) = read_keep_alive(body) {
                    (self.slot, self.clients_max) = (slot, clients_max);
                    self.state = ClientState::Connected;
                    self.heard = self.now;
                    return ClientReceived::Connected;
                }
            }
            (Kind::KeepAlive, ClientState::Connected) => self.heard = self.now,
            (Kind::Payload, ClientState::Connected) => {
                self.heard = self.now;
                return ClientReceived::Payload(body);
            }
            (Kind::Disconnect, ClientState::Connected) => {
                self.state = ClientState::Ended(EndReason::ByServer);
                return ClientReceived::Disconnected(EndReason::ByServer);
            }
            _ => {}
        }
        ClientReceived::Nothing
    }

    /// Moves time on: gives up what has failed, tries the token's next address, and gives `out` what is due, at most one
    /// packet. To be called each tick or more often, and after [`Self::receive`]; [`Self::state`] tells what became of it.
    pub fn update(&mut self, now: Duration, out: &mut impl FnMut(SocketAddr, &[u8])) {
        self.now = self.now.max(now);
        if matches!(self.state, ClientState::Ended(_)) {
            return;
        }
        self.give_up();
        if self.sent.is_none_or(|sent| self.now - sent >= KEEP_ALIVE) {
            self.speak(out);
        }
    }

    fn give_up(&mut self) {
        let is_silent = timeout(self.token.timeout_seconds).is_some_and(|timeout| self.now - self.heard >= timeout);
        let failed = match self.state {
            ClientState::Connected if is_silent => return self.state = ClientState::Ended(EndReason::TimedOut),
            ClientState::Connected | ClientState::Ended(_) => return,
            // The clocks of the token's maker and of this machine may differ: its lifetime is what counts.
            _ if self.now - self.began >= self.lifetime() => {
                return self.state = ClientState::Ended(EndReason::TokenExpired);
            }
            _ if self.was_denied => EndReason::Denied,
            ClientState::Requesting if is_silent => EndReason::RequestTimedOut,
            ClientState::Responding if is_silent => EndReason::ResponseTimedOut,
            _ => return,
        };
        if self.server + 1 == self.token.addresses.len() {
            self.state = ClientState::Ended(failed);
            return;
        }
        self.server += 1;
        self.state = ClientState::Requesting;
        self.replay = ReplayWindow::default();
        self.was_denied = false;
        self.heard = self.now;
        self.sent = None;
    }

    fn lifetime(&self) -> Duration {
        Duration::from_secs(self.token.expire_seconds.saturating_sub(self.token.create_seconds))
    }

    fn speak(&mut self, out: &mut impl FnMut(SocketAddr, &[u8])) {
        match self.state {
            ClientState::Requesting => {
                let mut packet = [0; REQUEST_BYTES];
                let token = &self.token;
                write_request(&mut packet, token.protocol_id, token.expire_seconds, &token.nonce, &token.private);
                self.sent = Some(self.now);
                out(self.server_address(), &packet);
            }
            ClientState::Responding => {
                let (sequence, token) = self.challenge;
                self.control(Kind::Response, &[&sequence.to_le_bytes(), &token], out);
            }
            ClientState::Connected => self.control(Kind::KeepAlive, &[&[0; 8]], out),
            ClientState::Ended(_) => {}
        }
    }

    fn control(&mut self, kind: Kind, body: &[&[u8]], out: &mut impl FnMut(SocketAddr, &[u8])) {
        let Some(sequence) = self.next_sequence() else { return };
        let mut buffer = [0; CONTROL_BYTES_MAX];
        if let Some(packet) = control(&mut buffer, kind, body, sequence, &self.token.to_server, &self.associated) {
            out(self.server_address(), packet);
        }
        self.sent = Some(self.now);
    }

    fn next_sequence(&mut self) -> Option<u64> {
        let sequence = self.sequence;
        self.sequence = sequence.checked_add(1).filter(|next| *next <= GLOBAL_SEQUENCE_MIN)?;
        Some(sequence)
    }

    /// Seals 1 to 1,200 bytes for the server at the front of `datagram`, which must be longer by
    /// [`OVERHEAD_BYTES_MAX`](super::OVERHEAD_BYTES_MAX); returns where to send them and how many bytes the packet has. `None`
    /// if the client is not connected or a length is wrong.
    pub fn seal(&mut self, payload: &[u8], datagram: &mut [u8]) -> Option<(SocketAddr, usize)> {
        let header = header_bytes(self.sequence);
        let packet = datagram.get_mut(..header + payload.len() + TAG_BYTES)?;
        packet[header..header + payload.len()].copy_from_slice(payload);
        let to = self.seal_packet(packet, payload.len())?;
        Some((to, packet.len()))
    }

    /// [`Self::seal`] without a copy: the payload has been written to `datagram[HEADER_BYTES_MAX..]`
    /// ([`HEADER_BYTES_MAX`]), with [`TAG_BYTES`] to spare behind it. Returns which part of `datagram` is the packet.
    pub fn seal_in_place(&mut self, datagram: &mut [u8], payload_bytes: usize) -> Option<(SocketAddr, Range<usize>)> {
        let start = HEADER_BYTES_MAX - header_bytes(self.sequence);
        let range = start..HEADER_BYTES_MAX.checked_add(payload_bytes)?.checked_add(TAG_BYTES)?;
        let to = self.seal_packet(datagram.get_mut(range.clone())?, payload_bytes)?;
        Some((to, range))
    }

    fn seal_packet(&mut self, packet: &mut [u8], payload_bytes: usize) -> Option<SocketAddr> {
        if self.state != ClientState::Connected || !(1..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
            return None;
        }
        let sequence = self.next_sequence()?;
        let sealed = packet::seal(packet, Kind::Payload, sequence, &self.token.to_server, &self.associated);
        self.sent = Some(self.now);
        sealed.then(|| self.server_address())
    }

    /// Ends the connection, and tells the server ten times if there is one.
    pub fn disconnect(&mut self, out: &mut impl FnMut(SocketAddr, &[u8])) {
        match self.state {
            ClientState::Ended(_) => return,
            // The server may have let the client in without the client knowing yet.
            ClientState::Responding | ClientState::Connected => {
                (0..DISCONNECT_PACKETS).for_each(|_| self.control(Kind::Disconnect, &[], out));
            }
            ClientState::Requesting => {}
        }
        self.state = ClientState::Ended(EndReason::Local);
    }

    /// Where it stands.
    pub fn state(&self) -> ClientState {
        self.state
    }

    /// Whether the server has let the client in and nothing ended it.
    pub fn is_connected(&self) -> bool {
        self.state == ClientState::Connected
    }

    /// The server that is or will be talked to; changes while the addresses of the token are tried.
    pub fn server_address(&self) -> SocketAddr {
        self.token.addresses[self.server]
    }

    /// Which slot the server gave, of how many; meaningless before the client is connected.
    pub fn slot(&self) -> (u32, u32) {
        (self.slot, self.clients_max)
    }
}
