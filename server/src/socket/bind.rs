//! How the sockets of a server are made: one for each socket thread, all on the same address.
//!
//! The system hands a datagram to one of them by its sender's address and port (`SO_REUSEPORT` of Linux), so that a client
//! stays with one thread for as long as its address stays.

use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;

/// Makes the sockets, with buffers of at least so many bytes where the system gives them. They do not block.
pub fn bind(address: SocketAddr, count: usize, buffer_bytes: usize) -> io::Result<Vec<UdpSocket>> {
    // Alone at first: a second server on the address must fail, not take a half of the first one's players.
    let first = UdpSocket::bind(address)?;
    let mut sockets = vec![first];
    if count > 1 {
        let address = sockets[0].local_addr()?;
        share(&sockets[0])?;
        for _ in 1..count {
            sockets.push(another(address)?);
        }
    }
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    let given = sockets.iter().map(|socket| raise_buffers(socket, buffer_bytes)).min();
    if let Some(given) = given.filter(|given| *given < buffer_bytes) {
        tracing::warn!(
            wanted = buffer_bytes,
            given,
            "the system gives sockets smaller buffers than wanted, and bursts may be lost; raise net.core.rmem_max and \
             net.core.wmem_max (sysctl -w net.core.rmem_max={buffer_bytes} net.core.wmem_max={buffer_bytes}), or ask for less with \
             --socket-buffer"
        );
    }
    Ok(sockets)
}

/// Raises both buffers; returns what the smaller one has now.
#[cfg(target_os = "linux")]
fn raise_buffers(socket: &UdpSocket, bytes: usize) -> usize {
    use rustix::net::sockopt;

    // The system gives what it may and says nothing; what it gave is asked behind it.
    let _ = sockopt::set_socket_recv_buffer_size(socket, bytes);
    let _ = sockopt::set_socket_send_buffer_size(socket, bytes);
    let receive = sockopt::socket_recv_buffer_size(socket).unwrap_or(0);
    let send = sockopt::socket_send_buffer_size(socket).unwrap_or(0);
    // Linux counts its own bookkeeping in, and so tells twice what was asked for.
    receive.min(send) / 2
}

/// The standard library cannot ask for buffers: the system's must do.
#[cfg(not(target_os = "linux"))]
fn raise_buffers(_: &UdpSocket, bytes: usize) -> usize {
    bytes
}

/// Lets others on the address. It may be said of a socket that is bound already, since Linux 4.6.
#[cfg(target_os = "linux")]
fn share(socket: &UdpSocket) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_reuseport(socket, true)?)
}

#[cfg(target_os = "linux")]
fn another(address: SocketAddr) -> io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

/// See [`bind`]: other systems' `SO_REUSEPORT` does not spread datagrams by their sender.
#[cfg(not(target_os = "linux"))]
fn share(_: &UdpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "several socket threads need Linux; set --socket-threads 1"))
}

#[cfg(not(target_os = "linux"))]
fn another(_: SocketAddr) -> io::Result<UdpSocket> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn a_sender_always_finds_the_same_of_several_sockets_and_all_are_found() {
        let sockets = bind(ANY, 4, 1 << 16).expect("sockets");
        let to = sockets[0].local_addr().expect("an address");
        let mut found = [0; 4];
        for _ in 0..64 {
            let sender = UdpSocket::bind(ANY).expect("a socket");
            (0..3).for_each(|_| assert_eq!(sender.send_to(b"x", to).expect("sent"), 1));
            // Loopback delivers before it returns.
            let came = sockets.each_came();
            assert_eq!(came.iter().filter(|count| **count > 0).count(), 1, "{came:?}");
            found.iter_mut().zip(came).for_each(|(sum, count)| *sum += count);
        }
        assert!(found.iter().all(|count| *count > 0), "{found:?}");
        assert_eq!(found.iter().sum::<u32>(), 192);
    }

    #[test]
    fn a_second_server_does_not_share_the_address_of_the_first() {
        let sockets = bind(ANY, 2, 1 << 16).expect("sockets");
        let taken = sockets[0].local_addr().expect("an address");
        assert_eq!(bind(taken, 2, 1 << 16).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind(taken, 1, 1 << 16).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }

    trait EachCame {
        fn each_came(&self) -> [u32; 4];
    }

    impl EachCame for Vec<UdpSocket> {
        fn each_came(&self) -> [u32; 4] {
            core::array::from_fn(|at| {
                let mut count = 0;
                while self[at].recv_from(&mut [0; 8]).is_ok() {
                    count += 1;
                }
                count
            })
        }
    }
}
