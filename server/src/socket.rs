//! What a socket thread sees of its socket: datagrams come in batches, leave in batches, and the thread sleeps until one of
//! them or a room wants it.
//!
//! There are two ways to do each. Linux moves a batch with one call into the system (`batched`) and sleeps on the socket and
//! on an event at once; everywhere else, and wherever the configuration asks for it, `portable` does with what the standard
//! library has. What they cost is in `docs/decisions/sockets.md`. No memory is allocated after the start.
//!
//! Next: [`bind`](mod@bind) for how sockets are made, `wait` for how the thread sleeps, `overflow` for what it never sees.

#[cfg(target_os = "linux")]
mod batched;
pub mod bind;
pub(crate) mod overflow;
mod portable;
pub(crate) mod wait;

use core::net::SocketAddr;
use std::io::ErrorKind;
use std::net::UdpSocket;

use arbiter_transport::UDP_BYTES_MAX;

/// Datagrams that one call moves at most. More save nothing that can be measured; the buffers of both ways fit a core's
/// second-level cache.
const BATCH: usize = 64;

/// IP and UDP headers of a datagram over IPv4.
const HEADER_BYTES: u64 = 28;

/// How a server talks to its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SocketKind {
    /// The best that this system has.
    #[default]
    Auto,
    /// What every system has: one call for each datagram, and short sleeps.
    Portable,
}

impl SocketKind {
    /// Whether calls move many datagrams.
    fn is_batched(self) -> bool {
        cfg!(target_os = "linux") && self == Self::Auto
    }
}

/// Datagrams on their way in or out.
struct Batch {
    bytes: Box<[[u8; UDP_BYTES_MAX]]>,
    /// Of whom or to whom, and how long.
    of: [(SocketAddr, usize); BATCH],
    len: usize,
}

impl Batch {
    fn new() -> Self {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { bytes: vec![[0; UDP_BYTES_MAX]; BATCH].into_boxed_slice(), of: [(nobody, 0); BATCH], len: 0 }
    }

    fn get(&self, at: usize) -> (SocketAddr, &[u8]) {
        let (to, len) = self.of[at];
        (to, &self.bytes[at][..len])
    }
}

/// What comes in.
pub struct Incoming<'a> {
    socket: &'a UdpSocket,
    batch: Batch,
    #[cfg(target_os = "linux")]
    headers: Option<batched::Headers>,
    /// Datagrams received.
    pub datagrams: u64,
    /// Bytes received, with IP and UDP headers.
    pub bytes: u64,
    /// Calls that failed for another reason than that nothing was there.
    pub errors: u64,
}

impl<'a> Incoming<'a> {
    /// With memory for a batch.
    pub fn new(socket: &'a UdpSocket, kind: SocketKind) -> Self {
        Self {
            socket,
            batch: Batch::new(),
            #[cfg(target_os = "linux")]
            headers: kind.is_batched().then(batched::Headers::new),
            datagrams: 0,
            bytes: 0,
            errors: 0,
        }
    }

    /// Takes what is there, up to a batch, and says how much; 0 means that nothing is there, [`Self::is_full`] that more may
    /// be.
    pub fn receive(&mut self) -> usize {
        let taken = self.take();
        if let Err(error) = taken {
            // A peer's closed port is told here on some systems; it concerns that peer alone.
            self.errors += u64::from(error.kind() != ErrorKind::WouldBlock && error.kind() != ErrorKind::Interrupted);
        }
        let came = &self.batch.of[..self.batch.len];
        self.datagrams += came.len() as u64;
        self.bytes += came.iter().map(|(_, len)| *len as u64 + HEADER_BYTES).sum::<u64>();
        self.batch.len
    }

    fn take(&mut self) -> std::io::Result<()> {
        self.batch.len = 0;
        #[cfg(target_os = "linux")]
        if let Some(headers) = &mut self.headers {
            return headers.receive(self.socket, &mut self.batch);
        }
        portable::receive(self.socket, &mut self.batch)
    }

    /// Whether the last batch was full.
    pub fn is_full(&self) -> bool {
        self.batch.len == BATCH
    }

    /// A datagram of the last batch.
    pub fn datagram(&mut self, at: usize) -> (SocketAddr, &mut [u8]) {
        let (from, len) = self.batch.of[at];
        (from, &mut self.batch.bytes[at][..len])
    }
}

/// What goes out.
pub struct Outgoing<'a> {
    socket: &'a UdpSocket,
    batch: Batch,
    kind: SocketKind,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Bytes sent, with IP and UDP headers.
    pub bytes: u64,
    /// Datagrams that found the socket's buffer full: they are lost, as a network would lose them.
    pub buffer_full: u64,
    /// Datagrams that the system did not want for another reason, such as no route to the address.
    pub refused: u64,
}

impl<'a> Outgoing<'a> {
    /// With memory for a batch.
    pub fn new(socket: &'a UdpSocket, kind: SocketKind) -> Self {
        Self { socket, batch: Batch::new(), kind, datagrams: 0, bytes: 0, buffer_full: 0, refused: 0 }
    }

    /// Sends a datagram with the batch that it makes full, or with the next [`Self::flush`].
    pub fn push(&mut self, to: SocketAddr, bytes: &[u8]) {
        // Nothing that the transport makes is longer.
        let Some(room) = self.batch.bytes[self.batch.len].get_mut(..bytes.len()) else { return };
        room.copy_from_slice(bytes);
        self.batch.of[self.batch.len] = (to, bytes.len());
        self.batch.len += 1;
        if self.batch.len == BATCH {
            self.flush();
        }
    }

    /// Sends what has been pushed.
    pub fn flush(&mut self) {
        let mut at = 0;
        while at < self.batch.len {
            match self.send_from(at) {
                Ok(sent) => {
                    let gone = &self.batch.of[at..at + sent];
                    self.datagrams += sent as u64;
                    self.bytes += gone.iter().map(|(_, len)| *len as u64 + HEADER_BYTES).sum::<u64>();
                    at += sent;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        self.buffer_full += (self.batch.len - at) as u64;
                        break;
                    }
                    // It concerns this datagram, and the next may go elsewhere.
                    _ => {
                        self.refused += 1;
                        at += 1;
                    }
                },
            }
        }
        self.batch.len = 0;
    }

    /// Sends from the batch, from `at` on; returns how many went, at least one.
    fn send_from(&self, at: usize) -> std::io::Result<usize> {
        #[cfg(target_os = "linux")]
        if self.kind.is_batched() && self.batch.len - at > 1 {
            return batched::send(self.socket, &self.batch, at);
        }
        let (to, bytes) = self.batch.get(at);
        self.socket.send_to(bytes, to).map(|_| 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::wait::{Wake, waiting};
    use core::time::Duration;

    const KINDS: [SocketKind; 2] = [SocketKind::Auto, SocketKind::Portable];

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        socket
    }

    #[test]
    fn batches_arrive_whole_and_in_order() {
        for kind in KINDS {
            let (one, other) = (socket(), socket());
            let to = other.local_addr().expect("an address");
            let (mut out, mut incoming) = (Outgoing::new(&one, kind), Incoming::new(&other, kind));
            for number in 0..100_u8 {
                out.push(to, &vec![number; 1 + usize::from(number) * 12]);
            }
            out.flush();
            assert_eq!((out.datagrams, out.buffer_full, out.refused), (100, 0, 0), "{kind:?}");
            let mut came = 0;
            while came < 100 {
                for at in 0..incoming.receive() {
                    let (from, bytes) = incoming.datagram(at);
                    assert_eq!(from, one.local_addr().expect("an address"));
                    assert_eq!(bytes, vec![came; 1 + usize::from(came) * 12], "{kind:?}");
                    came += 1;
                }
            }
            assert_eq!((incoming.receive(), incoming.errors), (0, 0), "{kind:?}");
            assert_eq!((incoming.datagrams, incoming.bytes), (out.datagrams, out.bytes), "{kind:?}");
        }
    }

    #[test]
    fn ipv6_addresses_survive_both_ways() {
        for kind in KINDS {
            // A machine without IPv6 has nothing to test.
            let Ok(other) = UdpSocket::bind("[::1]:0") else { return };
            let one = UdpSocket::bind("[::1]:0").expect("a socket");
            other.set_nonblocking(true).expect("a socket");
            let to = other.local_addr().expect("an address");
            let (mut out, mut incoming) = (Outgoing::new(&one, kind), Incoming::new(&other, kind));
            (0..3).for_each(|_| out.push(to, b"hello"));
            out.flush();
            while incoming.datagrams < 3 {
                for at in 0..incoming.receive() {
                    let (from, bytes) = incoming.datagram(at);
                    assert_eq!((from, &*bytes), (one.local_addr().expect("an address"), &b"hello"[..]));
                }
            }
        }
    }

    #[test]
    fn what_the_system_refuses_does_not_hold_up_the_rest() {
        for kind in KINDS {
            let (one, other) = (socket(), socket());
            let to = other.local_addr().expect("an address");
            let mut out = Outgoing::new(&one, kind);
            out.push(to, b"first");
            // No IPv4 socket reaches there.
            out.push("[::1]:9".parse().expect("an address"), b"nowhere");
            out.push(to, b"last");
            out.flush();
            assert_eq!((out.datagrams, out.refused), (2, 1), "{kind:?}");
        }
    }

    #[test]
    fn a_sleeper_wakes_for_a_room_for_a_datagram_and_in_time() {
        for kind in KINDS {
            let (one, other) = (socket(), socket());
            let (sleeper, waker) = waiting(kind).expect("an event");
            // Not yet asleep: nothing is written.
            waker.wake();
            let long = Duration::from_secs(600);
            std::thread::scope(|scope| {
                let wakes = scope.spawn(|| sleeper.sleep(&one, long, || false));
                while !wakes.is_finished() {
                    waker.wake();
                    std::thread::yield_now();
                }
            });
            assert_eq!(sleeper.sleep(&one, long, || true), Wake::NotAsleep);
            other.send_to(b"input", one.local_addr().expect("an address")).expect("sent");
            if kind.is_batched() {
                while sleeper.sleep(&one, long, || false) != Wake::Socket {
                    // A call that was still under way ends a sleep too.
                }
            }
            sleeper.sleep(&other, Duration::from_millis(1), || false);
        }
    }
}
