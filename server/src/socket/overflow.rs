//! Datagrams that came while a socket's buffer was full: the system alone counts them, and no thread of ours ever sees them.

use std::net::UdpSocket;

/// Which line of the system's tables is a socket's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketId(u64);

/// `None` where the system keeps no such tables.
#[cfg(target_os = "linux")]
pub(crate) fn id(socket: &UdpSocket) -> Option<SocketId> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let of = std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    Some(SocketId(of.ino()))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn id(_: &UdpSocket) -> Option<SocketId> {
    None
}

/// Datagrams that these sockets have lost so far. Reads tables of all sockets of the machine, some milliseconds where there
/// are many: for whoever looks at figures, not for a socket's thread.
pub(crate) fn count(of: impl Iterator<Item = SocketId> + Clone) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines());
    lines
        .filter_map(read)
        .filter(|(socket, _)| of.clone().any(|SocketId(id)| id == *socket))
        .map(|(_, lost)| lost)
        .sum()
}

/// The socket of a line, and what it has lost: the tenth word and the last.
fn read(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    Some((words.nth(9)?.parse().ok()?, words.next_back()?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_finds_a_full_buffer_is_counted_for_its_socket_alone() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has nothing to test there.
            let Ok(full) = UdpSocket::bind(address) else { continue };
            let other = UdpSocket::bind(address).expect("a socket");
            let to = full.local_addr().expect("an address");
            // More than any system keeps for a socket that nobody reads.
            let datagram = [0; 1_200];
            let sent = (0..20_000).filter(|_| other.send_to(&datagram, to).is_ok()).count() as u64;
            let mut buffer = [0; 1_200];
            full.set_nonblocking(true).expect("a socket");
            let lost = count(id(&full).into_iter());
            let mut came = 0;
            while full.recv(&mut buffer).is_ok() {
                came += 1;
            }
            assert!(lost > 0, "{sent} sent, {came} came");
            assert_eq!(lost, sent - came);
            assert_eq!(count(id(&other).into_iter()), 0);
        }
    }
}
