//! A connection with the socket that it goes over.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;

use arbiter_transport::conditioner::{Conditioner, Profile};
use arbiter_transport::{Body, ClientConnection, ClientEvent, DisconnectReason, SendError};

use crate::client::{ClientCore, ClientError};

/// Datagrams that are received before the next socket has its turn.
const RECEIVE_BURST: usize = 32;

/// See the module.
pub(super) struct Line {
    pub connection: ClientConnection,
    socket: UdpSocket,
    inbound: Conditioner<SocketAddr>,
    outbound: Conditioner<SocketAddr>,
    /// Why it ended, once it has.
    pub ended: Option<DisconnectReason>,
    pub bytes_down: u64,
    pub bytes_up: u64,
}

impl Line {
    /// Over a new socket that can reach `server`, from an address of this machine.
    pub fn open(
        connection: ClientConnection,
        server: SocketAddr,
        source: Ipv4Addr,
        link: Profile,
        seed: u64,
    ) -> io::Result<Self> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (source, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let (inbound, outbound) = (Conditioner::new(link, seed ^ 1), Conditioner::new(link, seed ^ 2));
        Ok(Self { connection, socket, inbound, outbound, ended: None, bytes_down: 0, bytes_up: 0 })
    }

    /// Receives, moves time on, and sends what is due.
    pub fn exchange(&mut self, now: Duration, buffer: &mut [u8], tell: &mut impl FnMut(ClientEvent<'_>)) {
        let Self { connection, socket, inbound, outbound, ended, bytes_down, bytes_up } = self;
        let out = &mut |to: SocketAddr, bytes: &[u8]| send(socket, outbound, bytes_up, now, to, bytes);
        let tell = &mut |event: ClientEvent<'_>| {
            if let ClientEvent::Disconnected(reason) = event {
                *ended = Some(reason);
            }
            tell(event);
        };
        for _ in 0..RECEIVE_BURST {
            let (length, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A refused port shows up here on some systems; the connection's own timeout decides.
                Err(_) => continue,
            };
            *bytes_down += length as u64;
            if inbound.is_perfect() {
                connection.receive(now, from, &mut buffer[..length], out, tell);
            } else {
                inbound.push(now, from, &buffer[..length]);
            }
        }
        inbound.pop(now, &mut |from, bytes| connection.receive(now, from, bytes, out, tell));
        connection.advance(now, out, tell);
        self.flush(now);
    }

    pub fn send_body(&mut self, now: Duration, body: Body<'_>) -> Result<(), SendError> {
        let Self { connection, socket, outbound, bytes_up, .. } = self;
        let sent = connection.send_body(now, body, &mut |to, bytes| send(socket, outbound, bytes_up, now, to, bytes));
        self.flush(now);
        sent
    }

    pub fn disconnect(&mut self, now: Duration) {
        let Self { connection, socket, outbound, bytes_up, .. } = self;
        connection.disconnect(now, &mut |to, bytes| send(socket, outbound, bytes_up, now, to, bytes));
        self.flush(now);
    }

    /// What the conditioner lets go by now.
    fn flush(&mut self, now: Duration) {
        let Self { socket, outbound, .. } = self;
        outbound.pop(now, &mut |to, bytes| {
            // What a full socket drops, the network might have dropped as well.
            let _ = socket.send_to(bytes, to);
        });
    }
}

/// Tells a client what came.
pub(super) fn hear(client: &mut ClientCore, event: ClientEvent<'_>, now: Duration) -> Result<(), ClientError> {
    match event {
        ClientEvent::Connected => {
            client.connected();
            Ok(())
        }
        ClientEvent::Body { kind, bytes } => client.receive_datagram(kind, bytes, now),
        ClientEvent::Message(bytes) => client.receive_message(bytes),
        ClientEvent::Disconnected(_) | ClientEvent::Delivered(_) | ClientEvent::Lost(_) => Ok(()),
    }
}

/// Tells a client what its connection measured.
pub(super) fn heed_path(client: &mut ClientCore, connection: &ClientConnection) {
    let path = connection.path();
    if let Some(round_trip) = path.round_trip {
        client.set_round_trip(round_trip);
        client.set_loss(path.loss_out);
    }
}

/// Over the link at once, or when the conditioner lets it.
fn send(
    socket: &UdpSocket,
    link: &mut Conditioner<SocketAddr>,
    bytes_up: &mut u64,
    now: Duration,
    to: SocketAddr,
    bytes: &[u8],
) {
    *bytes_up += bytes.len() as u64;
    if link.is_perfect() {
        // What a full socket drops, the network might have dropped as well.
        let _ = socket.send_to(bytes, to);
    } else {
        link.push(now, to, bytes);
    }
}
