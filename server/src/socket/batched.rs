//! Datagrams of Linux: `recvmmsg` and `sendmmsg`, a call for a batch.
//!
//! The wrappers of two crates, because neither is good for both: `rustix` has no `recvmmsg`, and what `nix` returns of
//! `sendmmsg` can only be counted by reading addresses that were never written.

use core::net::SocketAddr;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use arrayvec::ArrayVec;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use super::{BATCH, Batch};

/// What the system writes senders to. Belongs to one thread.
pub(super) struct Headers(MultiHeaders<SockaddrStorage>);

impl Headers {
    pub fn new() -> Self {
        Self(MultiHeaders::preallocate(BATCH, None))
    }

    /// Takes what is there, up to a batch.
    pub fn receive(&mut self, socket: &UdpSocket, batch: &mut Batch) -> io::Result<()> {
        let mut bytes = batch.bytes.iter_mut();
        let mut buffers: [[IoSliceMut<'_>; 1]; BATCH] =
            core::array::from_fn(|_| [IoSliceMut::new(bytes.next().map_or(&mut [], |bytes| &mut bytes[..]))]);
        let came = recvmmsg(socket.as_raw_fd(), &mut self.0, buffers.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut len = 0;
        for message in came {
            // A sender without an address is none that could be answered; there is none on an internet socket.
            let Some(from) = message.address.as_ref().and_then(address) else { continue };
            batch.of[len] = (from, message.bytes);
            len += 1;
        }
        batch.len = len;
        Ok(())
    }
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|it| SocketAddr::from(*it));
    v4.or_else(|| of.as_sockaddr_in6().map(|it| SocketAddr::from(*it)))
}

/// Sends from the batch, from `at` on; returns how many went, at least one.
pub(super) fn send(socket: &UdpSocket, batch: &Batch, at: usize) -> io::Result<usize> {
    let these = at..batch.len;
    let to: ArrayVec<SocketAddrAny, BATCH> = these.clone().map(|at| SocketAddrAny::from(batch.get(at).0)).collect();
    let bytes: ArrayVec<[IoSlice<'_>; 1], BATCH> = these.clone().map(|at| [IoSlice::new(batch.get(at).1)]).collect();
    let mut controls: ArrayVec<SendAncillaryBuffer<'_, '_, '_>, BATCH> =
        these.map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: ArrayVec<MMsgHdr<'_>, BATCH> = (to.iter().zip(&bytes).zip(&mut controls))
        .map(|((to, bytes), control)| MMsgHdr::new_with_addr(to, bytes, control))
        .collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::DONTWAIT)?)
}
