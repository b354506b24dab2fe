//! The server's end: many connections behind one address.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use renet::RenetServer;
use renetcode::{NetcodeServer, ServerAuthentication, ServerConfig, ServerResult};

use crate::guard::{self, RELIABLE_CHANNEL};
use crate::link::{
    Channel, DisconnectReason, Link, Outgoing, Passed, SendError, check_size, has_waiting, renet_config,
};
use crate::token::{Key, USER_DATA_BYTES};
use crate::{CLIENTS_MAX, PROTOCOL_ID};

/// Identity of a connection, from its token.
pub type ClientId = u64;

/// What a server is made from.
#[derive(Debug, Clone)]
pub struct ServerTransportConfig {
    /// The key that tokens are sealed with.
    pub key: Key,
    /// The addresses under which tokens name this server.
    pub public_addresses: Vec<SocketAddr>,
    /// Most connections, at most [`CLIENTS_MAX`]; clamped.
    pub clients_max: usize,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A client has proven its token.
    Connected {
        /// Which.
        client: ClientId,
        /// What the token carries.
        user_data: Box<[u8; USER_DATA_BYTES]>,
    },
    /// A client is gone.
    Disconnected {
        /// Which.
        client: ClientId,
        /// Why.
        reason: DisconnectReason,
    },
    /// A client sent something.
    Received {
        /// Which.
        client: ClientId,
        /// How.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
}

/// All connections of a server, without its socket and clock.
pub struct ServerTransport {
    netcode: NetcodeServer,
    renet: RenetServer,
    links: BTreeMap<ClientId, Link>,
    events: VecDeque<ServerEvent>,
    outgoing: Outgoing,
    now: Duration,
    implausible: u64,
}

impl core::fmt::Debug for ServerTransport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerTransport")
            .field("clients", &self.links.len())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl ServerTransport {
    /// A server without clients.
    pub fn new(config: ServerTransportConfig, now: Duration) -> Self {
        Self {
            netcode: NetcodeServer::new(ServerConfig {
                current_time: now,
                max_clients: config.clients_max.clamp(1, CLIENTS_MAX),
                protocol_id: PROTOCOL_ID,
                public_addresses: config.public_addresses,
                authentication: ServerAuthentication::Secure { private_key: config.key.0 },
            }),
            renet: RenetServer::new(renet_config()),
            links: BTreeMap::new(),
            events: VecDeque::new(),
            outgoing: Outgoing::default(),
            now,
            implausible: 0,
        }
    }

    /// Takes a datagram from the socket; it is decrypted in place.
    pub fn receive(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        if !guard::is_plausible(datagram) {
            self.implausible += 1;
            return;
        }
        match self.netcode.process_packet(from, datagram) {
            ServerResult::None => {}
            ServerResult::PacketToSend { addr, payload } => self.outgoing.push(addr, payload),
            ServerResult::ClientConnected { client_id, addr, user_data, payload } => {
                self.outgoing.push(addr, payload);
                self.renet.add_connection(client_id);
                self.links.insert(client_id, Link::of_server(self.now));
                self.events.push_back(ServerEvent::Connected { client: client_id, user_data });
            }
            ServerResult::ClientDisconnected { client_id, addr, payload } => {
                if let Some(payload) = payload {
                    self.outgoing.push(addr, payload);
                }
                self.forget(client_id, DisconnectReason::ByPeer);
            }
            ServerResult::Payload { client_id, payload } => {
                let Some(link) = self.links.get_mut(&client_id) else { return };
                match link.pass(payload) {
                    Ok(Passed::Dropped) => {}
                    Ok(Passed::Datagram) => self.events.push_back(ServerEvent::Received {
                        client: client_id,
                        channel: Channel::Datagram,
                        bytes: payload.to_vec(),
                    }),
                    Ok(Passed::Messages) => {
                        // The client is known, so that this cannot fail.
                        let _ = self.renet.process_packet_from(payload, client_id);
                        while let Some(message) = self.renet.receive_message(client_id, RELIABLE_CHANNEL) {
                            link.guard.delivered += 1;
                            self.events.push_back(ServerEvent::Received {
                                client: client_id,
                                channel: Channel::Reliable,
                                bytes: message.to_vec(),
                            });
                        }
                    }
                    Err(violation) => self.close(client_id, DisconnectReason::Violation(violation)),
                }
            }
        }
    }

    /// Moves time on: handshakes and silent clients expire, keep-alives, messages and their repetitions are queued for
    /// [`Self::transmit`]. To be called each tick or more often.
    pub fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        self.netcode.update(passed);
        self.renet.update(passed);
        let clients: Vec<ClientId> = self.links.keys().copied().collect();
        for client in clients {
            match self.netcode.update_client(client) {
                ServerResult::PacketToSend { addr, payload } => self.outgoing.push(addr, payload),
                ServerResult::ClientDisconnected { addr, payload, .. } => {
                    if let Some(payload) = payload {
                        self.outgoing.push(addr, payload);
                    }
                    self.forget(client, DisconnectReason::TimedOut);
                    continue;
                }
                _ => {}
            }
            let Some(link) = self.links.get_mut(&client) else { continue };
            link.refill(passed.as_secs_f32());
            self.speak(client);
        }
    }

    fn speak(&mut self, client: ClientId) {
        let waiting = has_waiting(self.renet.channel_available_memory(client, RELIABLE_CHANNEL));
        let Some(link) = self.links.get_mut(&client) else { return };
        if !self.renet.is_connected(client) {
            return self.close(client, DisconnectReason::Messages);
        }
        if !link.may_speak(self.now, waiting) {
            return;
        }
        for packet in self.renet.get_packets_to_send(client).unwrap_or_default() {
            if let Ok((addr, sealed)) = self.netcode.generate_payload_packet(client, &packet) {
                self.outgoing.push(addr, sealed);
            }
        }
    }

    /// Queues bytes for a client. A datagram is sealed at once, messages with the next [`Self::advance`].
    pub fn send(&mut self, client: ClientId, channel: Channel, bytes: &[u8]) -> Result<(), SendError> {
        check_size(channel, bytes)?;
        let link = self.links.get_mut(&client).ok_or(SendError::NotConnected)?;
        match channel {
            Channel::Datagram => {
                let (addr, sealed) =
                    self.netcode.generate_payload_packet(client, bytes).map_err(|_| SendError::NotConnected)?;
                self.outgoing.push(addr, sealed);
            }
            Channel::Reliable => {
                if !self.renet.can_send_message(client, RELIABLE_CHANNEL, bytes.len()) {
                    self.close(client, DisconnectReason::QueueFull);
                    return Err(SendError::QueueFull);
                }
                link.note_queued();
                self.renet.send_message(client, RELIABLE_CHANNEL, bytes.to_vec());
            }
        }
        Ok(())
    }

    /// Ends a connection; messages queued before are sent once more but not awaited.
    pub fn disconnect(&mut self, client: ClientId) {
        if let Some(link) = self.links.get_mut(&client) {
            link.note_queued();
            self.speak(client);
            self.close(client, DisconnectReason::Local);
        }
    }

    fn close(&mut self, client: ClientId, reason: DisconnectReason) {
        if let ServerResult::ClientDisconnected { addr, payload: Some(payload), .. } = self.netcode.disconnect(client) {
            // The standard sends it several times, because nobody acknowledges it.
            for _ in 0..10 {
                self.outgoing.push(addr, payload);
            }
        }
        self.forget(client, reason);
    }

    fn forget(&mut self, client: ClientId, reason: DisconnectReason) {
        self.renet.remove_connection(client);
        // renet tells of every connection; this end has told it already.
        while self.renet.get_event().is_some() {}
        if self.links.remove(&client).is_some() {
            self.events.push_back(ServerEvent::Disconnected { client, reason });
        }
    }

    /// What happened since it was last asked, oldest first.
    pub fn next_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Hands everything that waits to `send`.
    pub fn transmit(&mut self, send: &mut dyn FnMut(SocketAddr, &[u8])) {
        self.outgoing.drain(send);
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.links.len()
    }

    /// Datagrams so far that had not even the shape of a packet.
    pub fn implausible(&self) -> u64 {
        self.implausible
    }

    /// Whether everything that a client was sent reliably has been acknowledged.
    pub fn is_flushed(&self, client: ClientId) -> bool {
        !self.links.contains_key(&client) || !has_waiting(self.renet.channel_available_memory(client, RELIABLE_CHANNEL))
    }
}
