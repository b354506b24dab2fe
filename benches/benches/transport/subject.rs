//! A server with its clients, and the two ways in which packets get from one to the other: through memory and through sockets.

use std::net::{SocketAddr, UdpSocket};

use arbiter_server::SocketKind;
use arbiter_server::socket::bind::bind;
use arbiter_server::socket::{Incoming, Outgoing};

use crate::PACKETS;

/// Bytes between the packets of a batch: a payload, all around it, and whole cache lines.
const STRIDE: usize = 256;
/// Datagrams that wait in a socket at most: fewer than the smallest buffer of any system holds.
const IN_SOCKET: usize = 200;
/// What the sockets are given, as a server's are.
const BUFFER_BYTES: usize = 4 << 20;

/// A server, or what stands for one, and its clients.
pub trait Peer {
    /// A tick passes.
    fn tick(&mut self);
    /// A client seals a payload to the front of `packet`; how many bytes.
    fn say(&mut self, client: usize, packet: &mut [u8]) -> usize;
    /// The server opens a packet; whether it is a payload.
    fn open(&mut self, from: SocketAddr, packet: &mut [u8]) -> bool;
    /// The server seals a payload for a client.
    fn seal(&mut self, client: usize, out: &mut impl FnMut(SocketAddr, &[u8]));
}

/// A peer with what packets travel by.
pub trait Subject {
    /// Packets of a batch at most.
    fn batch_max(&self) -> usize;
    /// A tick passes.
    fn tick(&mut self);
    /// Makes a batch, from these clients in this order; not measured.
    fn prepare(&mut self, order: &[usize]);
    /// Opens the batch; how many payloads came out.
    fn open(&mut self) -> usize;
    /// Seals a payload for each client of the batch, in the same order; how many packets came out.
    fn seal(&mut self) -> usize;
}

/// Packets that lie in memory.
pub struct InMemory<P> {
    peer: P,
    addresses: Vec<SocketAddr>,
    batch: Vec<u8>,
    /// Of each packet in the batch: from whom, and how many bytes.
    packets: Vec<(usize, usize)>,
}

impl<P: Peer> InMemory<P> {
    pub fn new(addresses: &[SocketAddr], make: impl FnOnce(&[SocketAddr]) -> P) -> Self {
        let (batch, packets) = (vec![0; PACKETS * STRIDE], Vec::with_capacity(PACKETS));
        Self { peer: make(addresses), addresses: addresses.to_vec(), batch, packets }
    }
}

impl<P: Peer> Subject for InMemory<P> {
    fn batch_max(&self) -> usize {
        PACKETS
    }

    fn tick(&mut self) {
        self.peer.tick();
    }

    fn prepare(&mut self, order: &[usize]) {
        let Self { peer, batch, packets, .. } = self;
        packets.clear();
        for (client, packet) in order.iter().zip(batch.chunks_exact_mut(STRIDE)) {
            packets.push((*client, peer.say(*client, packet)));
        }
    }

    fn open(&mut self) -> usize {
        let Self { peer, addresses, batch, packets } = self;
        let all = packets.iter().zip(batch.chunks_exact_mut(STRIDE));
        all.filter_map(|((client, bytes), packet)| peer.open(addresses[*client], &mut packet[..*bytes]).then_some(()))
            .count()
    }

    fn seal(&mut self) -> usize {
        let mut sealed = 0;
        for (client, _) in &self.packets {
            self.peer.seal(*client, &mut |_, packet| {
                std::hint::black_box(packet);
                sealed += 1;
            });
        }
        sealed
    }
}

/// Packets that go over loopback: a socket for each client, and one for the server.
pub struct Socketed<P> {
    peer: P,
    clients: Vec<UdpSocket>,
    incoming: Incoming<'static>,
    outgoing: Outgoing<'static>,
    server: SocketAddr,
    order: Vec<usize>,
}

impl<P: Peer> Socketed<P> {
    /// `kind` is how the server talks to its socket.
    pub fn new(clients: usize, kind: SocketKind, make: impl FnOnce(&[SocketAddr]) -> P) -> Self {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let sockets = bind(any, 1, BUFFER_BYTES).expect("a socket");
        // Lives as long as the bench.
        let socket: &'static UdpSocket = Box::leak(Box::new(sockets)).first().expect("it was asked for");
        let server = socket.local_addr().expect("it is bound");
        let clients: Vec<UdpSocket> =
            (0..clients).map(|_| UdpSocket::bind(any).expect("more open files: ulimit -n 20000")).collect();
        clients.iter().for_each(|client| client.set_nonblocking(true).expect("it is open"));
        let addresses: Vec<SocketAddr> = clients.iter().map(|it| it.local_addr().expect("it is bound")).collect();
        let (incoming, outgoing) = (Incoming::new(socket, kind), Outgoing::new(socket, kind));
        Self { peer: make(&addresses), clients, incoming, outgoing, server, order: Vec::with_capacity(IN_SOCKET) }
    }
}

impl<P: Peer> Subject for Socketed<P> {
    fn batch_max(&self) -> usize {
        IN_SOCKET
    }

    fn tick(&mut self) {
        self.peer.tick();
    }

    fn prepare(&mut self, order: &[usize]) {
        let mut packet = [0; STRIDE];
        // What came with the batch before is read, or sockets would fill.
        for client in self.order.drain(..) {
            while self.clients[client].recv(&mut packet).is_ok() {}
        }
        self.order.extend_from_slice(order);
        for client in order {
            let bytes = self.peer.say(*client, &mut packet);
            self.clients[*client].send_to(&packet[..bytes], self.server).expect("loopback takes it");
        }
    }

    fn open(&mut self) -> usize {
        let mut opened = 0;
        loop {
            let count = self.incoming.receive();
            for at in 0..count {
                let (from, packet) = self.incoming.datagram(at);
                opened += usize::from(self.peer.open(from, packet));
            }
            if !self.incoming.is_full() {
                return opened;
            }
        }
    }

    fn seal(&mut self) -> usize {
        let Self { peer, outgoing, order, .. } = self;
        let before = outgoing.datagrams;
        for client in &*order {
            peer.seal(*client, &mut |to, packet| outgoing.push(to, packet));
        }
        outgoing.flush();
        (outgoing.datagrams - before) as usize
    }
}
