//! A client's end: one connection from a token.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use renet::RenetClient;
use renetcode::{ClientAuthentication, DisconnectReason as NetcodeReason, NetcodeClient};

use crate::guard::{self, RELIABLE_CHANNEL};
use crate::link::{
    Channel, DisconnectReason, Link, Outgoing, Passed, SendError, check_size, has_waiting, renet_config,
};
use crate::token::{TokenError, read_token};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The server let the client in.
    Connected,
    /// The connection ended or never came to be. Nothing follows.
    Disconnected(DisconnectReason),
    /// The server sent something.
    Received {
        /// How.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
}

/// A connection, without its socket and clock.
#[derive(Debug)]
pub struct ClientConnection {
    netcode: NetcodeClient,
    renet: RenetClient,
    link: Link,
    events: VecDeque<ClientEvent>,
    outgoing: Outgoing,
    now: Duration,
    was_connected: bool,
    ended: bool,
}

impl ClientConnection {
    /// Begins to connect with the bytes of a token. `now` is the time since the Unix epoch.
    pub fn new(token: &[u8], now: Duration) -> Result<Self, TokenError> {
        let connect_token = read_token(token)?;
        let netcode = NetcodeClient::new(now, ClientAuthentication::Secure { connect_token })
            .map_err(|_| TokenError::Malformed(token.len()))?;
        Ok(Self {
            netcode,
            renet: RenetClient::new(renet_config()),
            link: Link::of_client(now),
            events: VecDeque::new(),
            outgoing: Outgoing::default(),
            now,
            was_connected: false,
            ended: false,
        })
    }

    /// The server that is or will be talked to; changes while the addresses of the token are tried.
    pub fn server_address(&self) -> SocketAddr {
        self.netcode.server_addr()
    }

    /// Whether the server has let the client in and nothing ended it.
    pub fn is_connected(&self) -> bool {
        !self.ended && self.netcode.is_connected()
    }

    /// Whether the connection has ended.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Takes a datagram from the socket; it is decrypted in place. What does not come from the server's address is ignored.
    pub fn receive(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        if self.ended || from != self.netcode.server_addr() || !guard::is_plausible(datagram) {
            return;
        }
        if let Some(payload) = self.netcode.process_packet(datagram) {
            match self.link.pass(payload) {
                Ok(Passed::Dropped) => {}
                Ok(Passed::Datagram) => {
                    let bytes = payload.to_vec();
                    self.events.push_back(ClientEvent::Received { channel: Channel::Datagram, bytes });
                }
                Ok(Passed::Messages) => {
                    self.renet.process_packet(payload);
                    while let Some(message) = self.renet.receive_message(RELIABLE_CHANNEL) {
                        self.link.guard.delivered += 1;
                        let bytes = message.to_vec();
                        self.events.push_back(ClientEvent::Received { channel: Channel::Reliable, bytes });
                    }
                }
                Err(violation) => self.close(DisconnectReason::Violation(violation)),
            }
        }
        self.follow();
    }

    /// Moves time on and queues what has to be sent for [`Self::transmit`]. To be called each tick or more often.
    pub fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        if self.ended {
            return;
        }
        if let Some((datagram, to)) = self.netcode.update(passed) {
            self.outgoing.push(to, datagram);
        }
        self.renet.update(passed);
        self.link.refill(passed.as_secs_f32());
        self.follow();
        if self.is_connected() {
            self.speak();
        }
    }

    fn speak(&mut self) {
        if self.renet.is_disconnected() {
            return self.close(DisconnectReason::Messages);
        }
        let waiting = has_waiting(self.renet.channel_available_memory(RELIABLE_CHANNEL));
        if !self.link.may_speak(self.now, waiting) {
            return;
        }
        for packet in self.renet.get_packets_to_send() {
            if let Ok((to, sealed)) = self.netcode.generate_payload_packet(&packet) {
                self.outgoing.push(to, sealed);
            }
        }
    }

    /// Tells what has become of the connection.
    fn follow(&mut self) {
        if self.ended {
            return;
        }
        if self.netcode.is_connected() && !self.was_connected {
            self.was_connected = true;
            self.renet.set_connected();
            // Before anything that came with the last datagram.
            self.events.push_front(ClientEvent::Connected);
        }
        if let Some(reason) = self.netcode.disconnect_reason() {
            let reason = match reason {
                NetcodeReason::ConnectTokenExpired => DisconnectReason::TokenExpired,
                NetcodeReason::ConnectionTimedOut => DisconnectReason::TimedOut,
                NetcodeReason::ConnectionResponseTimedOut | NetcodeReason::ConnectionRequestTimedOut => {
                    DisconnectReason::Unreachable
                }
                NetcodeReason::ConnectionDenied => DisconnectReason::Denied,
                NetcodeReason::DisconnectedByClient => DisconnectReason::Local,
                NetcodeReason::DisconnectedByServer => DisconnectReason::ByPeer,
            };
            self.end(reason);
        }
    }

    /// Queues bytes for the server. A datagram is sealed at once, messages with the next [`Self::advance`]; messages may be
    /// queued before the connection stands.
    pub fn send(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), SendError> {
        check_size(channel, bytes)?;
        if self.ended {
            return Err(SendError::NotConnected);
        }
        match channel {
            Channel::Datagram => {
                let (to, sealed) = self.netcode.generate_payload_packet(bytes).map_err(|_| SendError::NotConnected)?;
                self.outgoing.push(to, sealed);
            }
            Channel::Reliable => {
                if !self.renet.can_send_message(RELIABLE_CHANNEL, bytes.len()) {
                    self.close(DisconnectReason::QueueFull);
                    return Err(SendError::QueueFull);
                }
                self.link.note_queued();
                self.renet.send_message(RELIABLE_CHANNEL, bytes.to_vec());
            }
        }
        Ok(())
    }

    /// Ends the connection; messages queued before are sent once more but not awaited.
    pub fn disconnect(&mut self) {
        if self.is_connected() {
            self.link.note_queued();
            self.speak();
        }
        self.close(DisconnectReason::Local);
    }

    fn close(&mut self, reason: DisconnectReason) {
        if self.ended {
            return;
        }
        if self.netcode.is_connected()
            && let Ok((to, sealed)) = self.netcode.disconnect()
        {
            // The standard sends it several times, because nobody acknowledges it.
            for _ in 0..10 {
                self.outgoing.push(to, sealed);
            }
        }
        self.end(reason);
    }

    fn end(&mut self, reason: DisconnectReason) {
        self.ended = true;
        self.events.push_back(ClientEvent::Disconnected(reason));
    }

    /// What happened since it was last asked, oldest first.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Hands everything that waits to `send`.
    pub fn transmit(&mut self, send: &mut dyn FnMut(SocketAddr, &[u8])) {
        self.outgoing.drain(send);
    }
}

/// Seals any payload, what an honest client never sends too: for tests of the other end's guard.
#[doc(hidden)]
pub fn send_raw_for_tests(connection: &mut ClientConnection, payload: &[u8]) {
    if let Ok((to, sealed)) = connection.netcode.generate_payload_packet(payload) {
        connection.outgoing.push(to, sealed);
    }
}
