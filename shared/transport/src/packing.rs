//! A payload of a flow, written where netcode seals it.

use core::time::Duration;

use crate::PAYLOAD_BYTES_MAX;
use crate::flow::{Body, Flow, WriteError};
use crate::link::SendError;
use crate::netcode::{HEADER_BYTES_MAX, PACKET_BYTES_MAX, TAG_BYTES};

/// A farewell is said so often, because nobody acknowledges it.
const FAREWELLS: usize = 3;

/// Payloads without a body that one flow may send in a row: more messages than that wait for the next time.
const FLUSH_MAX: usize = 8;

/// One packet under way to the socket.
pub(crate) type Packet = [u8; HEADER_BYTES_MAX + PAYLOAD_BYTES_MAX + TAG_BYTES];

const _: () = assert!(HEADER_BYTES_MAX + PAYLOAD_BYTES_MAX + TAG_BYTES <= PACKET_BYTES_MAX);

fn payload(packet: &mut Packet) -> &mut [u8; PAYLOAD_BYTES_MAX] {
    let (_, rest) = packet.split_at_mut(HEADER_BYTES_MAX);
    rest.first_chunk_mut().expect("a packet holds the largest payload")
}

/// Hands each payload, by its packet and its length, to `seal`, which says whether the connection is still there.
pub(crate) trait Seal: FnMut(&mut Packet, usize) -> bool {}

impl<F: FnMut(&mut Packet, usize) -> bool> Seal for F {}

/// Writes a payload with a body.
pub(crate) fn send_body(flow: &mut Flow, now: Duration, body: Body<'_>, mut seal: impl Seal) -> Result<(), SendError> {
    let mut packet = [0; size_of::<Packet>()];
    let len = flow.write(now, Some(body), payload(&mut packet)).map_err(|error| match error {
        WriteError::Body(len) => SendError::Size(len),
        WriteError::InFlight => SendError::InFlight,
    })?;
    if seal(&mut packet, len) { Ok(()) } else { Err(SendError::NotConnected) }
}

/// Writes what must leave although no body did.
pub(crate) fn flush(flow: &mut Flow, now: Duration, mut seal: impl Seal) {
    for _ in 0..FLUSH_MAX {
        if !flow.is_due() {
            return;
        }
        let mut packet = [0; size_of::<Packet>()];
        let Ok(len) = flow.write(now, None, payload(&mut packet)) else { return };
        if !seal(&mut packet, len) {
            return;
        }
    }
}

/// Tells the peer why the connection ends.
pub(crate) fn say_farewell(flow: &mut Flow, now: Duration, why: &str, mut seal: impl Seal) {
    for _ in 0..FAREWELLS {
        let mut packet = [0; size_of::<Packet>()];
        let Ok(len) = flow.write_farewell(now, why, payload(&mut packet)) else { return };
        if !seal(&mut packet, len) {
            return;
        }
    }
}
