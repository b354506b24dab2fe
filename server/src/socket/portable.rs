//! Datagrams with the standard library alone: a call for each.

use std::io;
use std::net::UdpSocket;

use super::{BATCH, Batch};

/// Takes what is there, up to a batch.
pub(super) fn receive(socket: &UdpSocket, batch: &mut Batch) -> io::Result<()> {
    while batch.len < BATCH {
        match socket.recv_from(&mut batch.bytes[batch.len]) {
            Ok((len, from)) => {
                batch.of[batch.len] = (from, len);
                batch.len += 1;
            }
            // What came before the error is good; the error is told with the next batch if it stays.
            Err(_) if batch.len > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
