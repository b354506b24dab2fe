//! Reliable, ordered messages by renet, inside datagrams that leave anyway.
//!
//! renet keeps what is unacknowledged, repeats it and brings it into order; it does not touch the wire. Its packets are taken
//! apart into messages, each of which goes into the next datagram that has room, and a datagram's messages are made one renet
//! packet again at the other end, once [`guard`](crate::guard) has checked them. renet's own acknowledgements never travel:
//! the header of the datagrams acknowledges everything, and when all datagrams of a *batch* have come, renet is told so. So no
//! acknowledgement is ever acknowledged.
//!
//! renet repeats after a fixed time; its clock is made to run so that this is the path's timeout. Messages up to
//! [`WHOLE_BYTES_MAX`] are cut into pieces of [`PIECE_BYTES_MAX`], each with a mark in front that says whether more follow.

use core::time::Duration;
use std::collections::VecDeque;

use renet::{ChannelConfig, ConnectionConfig, RenetClient, SendType};

pub use crate::guard::PIECE_BYTES_MAX;
use crate::guard::{Bucket, MESSAGES_IN_FLIGHT_MAX, RELIABLE_CHANNEL, Violation, check_messages};

/// Largest message: what a match tells on entering fits many times; what is larger belongs into a file.
pub const WHOLE_BYTES_MAX: usize = 65_536;

/// Bytes that may wait in front of renet. Whoever has so much waiting does not listen.
const BACKLOG_BYTES_MAX: usize = 4 * WHOLE_BYTES_MAX;
/// Pieces that may wait: small ones cost more than their bytes.
const BACKLOG_PIECES_MAX: usize = 4_096;

/// Marks in front of a piece.
const MARK_LAST: u8 = 0;
const MARK_MORE: u8 = 1;

/// renet's time until it repeats, by its own clock.
const RENET_RESEND: Duration = Duration::from_millis(100);
/// renet forgets what it sent after this time by its own clock, and no longer understands an acknowledgement of it.
const RENET_REMEMBERS_US: u64 = 3_000_000;
/// renet holds at most what may be in flight, on both sides.
const RENET_BYTES_MAX: usize = MESSAGES_IN_FLIGHT_MAX as usize * PIECE_BYTES_MAX;
/// Bytes that renet hands out when it is asked: about a datagram.
const RENET_ASK_BYTES: usize = 1_100;
/// renet's kinds of packets: the only two that are ever shown to it.
const RENET_MESSAGES: u8 = 0;
const RENET_ACK: u8 = 4;

/// Pieces that one end sends: 90 kB/s, far above what a match tells.
const PIECES_PER_SECOND: f32 = 100.0;
const PIECES_BURST: f32 = 160.0;
/// Pieces that are taken from a peer: what an honest one sends, several times over because lost ones are repeated.
const TAKEN_PER_SECOND: f32 = 600.0;
const TAKEN_BURST: f32 = 1_200.0;

/// Batches whose datagrams are remembered: one a tick, so that a second at 128 Hz may pass before they are acknowledged.
const BATCHES: usize = 128;

/// What renet handed out at one time.
#[derive(Debug, Clone, Copy, Default)]
struct Batch {
    /// renet's packets: the first, and how many follow it.
    first: u64,
    others: u16,
    /// Its messages: bit `i` stands for the one number from `base` on that is `i` modulo 128.
    messages: u128,
    base: u64,
    /// Datagrams with messages of it that have not come.
    missing: u16,
    /// Messages of it have not found a datagram yet.
    open: bool,
    /// When it was made, by renet's clock.
    made_us: u64,
}

/// One end's messages of one connection.
#[derive(Debug)]
pub struct Messages {
    renet: RenetClient,
    backlog: VecDeque<Vec<u8>>,
    backlog_bytes: usize,
    pace: Bucket,
    taken: Bucket,
    /// Messages below `base` are acknowledged, and above it those whose bit (modulo 128) is set.
    base: u64,
    acknowledged: u128,
    /// The number of the next message that renet is given.
    next: u64,
    /// What renet handed out and no datagram had room for: messages from `placed` on.
    pending: Vec<u8>,
    placed: usize,
    batches: Box<[Batch]>,
    batch: u32,
    asked_us: u64,
    /// renet has something that it was not asked for yet.
    fresh: bool,
    updated_us: u64,
    /// renet's clock.
    renet_us: u64,
    /// Messages that came in order: the number of the next one.
    delivered: u64,
    scratch: Vec<u8>,
    whole: Vec<u8>,
}

impl Messages {
    /// Without any.
    pub fn new(now_us: u64) -> Self {
        let channel = ChannelConfig {
            channel_id: RELIABLE_CHANNEL,
            max_memory_usage_bytes: RENET_BYTES_MAX,
            send_type: SendType::ReliableOrdered { resend_time: RENET_RESEND },
        };
        let mut renet = RenetClient::new(ConnectionConfig {
            available_bytes_per_tick: RENET_ASK_BYTES as u64,
            server_channels_config: vec![channel.clone()],
            client_channels_config: vec![channel],
        });
        renet.set_connected();
        Self {
            renet,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            pace: Bucket::new(PIECES_PER_SECOND, PIECES_BURST),
            taken: Bucket::new(TAKEN_PER_SECOND, TAKEN_BURST),
            base: 0,
            acknowledged: 0,
            next: 0,
            pending: Vec::new(),
            placed: 0,
            batches: vec![Batch::default(); BATCHES].into(),
            batch: 0,
            asked_us: now_us,
            fresh: false,
            updated_us: now_us,
            renet_us: 0,
            delivered: 0,
            scratch: Vec::new(),
            whole: Vec::new(),
        }
    }

    /// Queues a message; `false` if the queue is full, which means that the peer does not listen: end the connection. The
    /// message must have 1 to [`WHOLE_BYTES_MAX`] bytes.
    pub fn send(&mut self, message: &[u8]) -> bool {
        debug_assert!((1..=WHOLE_BYTES_MAX).contains(&message.len()));
        let pieces = message.len().div_ceil(PIECE_BYTES_MAX - 1);
        if self.backlog_bytes + message.len() > BACKLOG_BYTES_MAX || self.backlog.len() + pieces > BACKLOG_PIECES_MAX {
            return false;
        }
        for (at, piece) in message.chunks(PIECE_BYTES_MAX - 1).enumerate() {
            let mut marked = Vec::with_capacity(piece.len() + 1);
            marked.push(if at + 1 == pieces { MARK_LAST } else { MARK_MORE });
            marked.extend_from_slice(piece);
            self.backlog_bytes += piece.len();
            self.backlog.push_back(marked);
        }
        true
    }

    /// Whether every message has been acknowledged.
    pub fn is_flushed(&self) -> bool {
        self.base == self.next && self.backlog.is_empty()
    }

    /// Bytes that want to leave with the next datagrams, at most about one datagram's.
    pub fn ready_bytes(&self) -> usize {
        (self.pending.len() - self.placed + self.backlog_bytes).min(RENET_ASK_BYTES)
    }

    /// Whether the next datagram would carry a message if it had room; asks renet if need be.
    pub fn is_ready(&mut self, now_us: u64) -> bool {
        if self.placed == self.pending.len() && self.fresh {
            self.ask(now_us);
        }
        self.placed < self.pending.len()
    }

    /// Moves time on. `timeout_us` is after how long an acknowledgement is overdue.
    pub fn advance(&mut self, timeout_us: u64, now_us: u64) {
        let passed = now_us.saturating_sub(self.updated_us).min(10_000_000);
        self.updated_us = self.updated_us.max(now_us);
        let seconds = passed as f32 * 1e-6;
        self.pace.refill(seconds);
        self.taken.refill(seconds);
        // So that renet's fixed time until it repeats is the path's timeout. Without anything to repeat its clock stands.
        if self.base < self.next {
            let renet_us = passed.saturating_mul(RENET_RESEND.as_micros() as u64) / timeout_us.max(1);
            self.renet.update(Duration::from_micros(renet_us));
            self.renet_us += renet_us;
        }
        while self.next - self.base < MESSAGES_IN_FLIGHT_MAX && !self.backlog.is_empty() && self.pace.take() {
            let Some(piece) = self.backlog.pop_front() else { break };
            self.backlog_bytes -= piece.len() - 1;
            self.renet.send_message(RELIABLE_CHANNEL, piece);
            self.next += 1;
            self.fresh = true;
        }
        let unacknowledged = self.base < self.next;
        // What renet repeats is seen within a quarter of the time after which it does.
        if unacknowledged && now_us.saturating_sub(self.asked_us) >= timeout_us / 4 {
            self.fresh = true;
        }
    }

    /// Puts as many messages into `room` as fit. Returns the bytes and the batch that they belong to.
    pub fn place(&mut self, room: &mut [u8], now_us: u64) -> (usize, Option<u32>) {
        if !self.is_ready(now_us) {
            return (0, None);
        }
        let mut len = 0;
        while let Some((message, size)) = entry(&self.pending[self.placed..]) {
            let Some(to) = room.get_mut(len..len + size) else { break };
            to.copy_from_slice(&self.pending[self.placed..self.placed + size]);
            self.placed += size;
            len += size;
            self.batches[self.batch as usize % BATCHES].messages |= 1 << (message % MESSAGES_IN_FLIGHT_MAX);
        }
        if len == 0 {
            return (0, None);
        }
        let batch = &mut self.batches[self.batch as usize % BATCHES];
        batch.missing += 1;
        batch.open = self.placed < self.pending.len();
        (len, Some(self.batch))
    }

    /// Asks renet what is to be sent or repeated.
    fn ask(&mut self, now_us: u64) {
        (self.asked_us, self.fresh) = (now_us, false);
        self.pending.clear();
        self.placed = 0;
        let mut packets: Option<(u64, u16)> = None;
        for packet in self.renet.get_packets_to_send() {
            // Its own acknowledgements stay here; everything that it sends is messages of at most 900 B.
            let Some((&kind, rest)) = packet.split_first() else { continue };
            let Some((sequence, number_bytes)) = varint(rest) else { continue };
            if let (RENET_MESSAGES, Some(entries)) = (kind, rest.get(number_bytes + 3..)) {
                self.pending.extend_from_slice(entries);
            }
            packets = Some(packets.map_or((sequence, 0), |(first, others)| (first, others + 1)));
        }
        if self.pending.is_empty() {
            return;
        }
        // A full hand means that there may be more.
        self.fresh = self.pending.len() + PIECE_BYTES_MAX > RENET_ASK_BYTES;
        self.batch = self.batch.wrapping_add(1);
        let (first, others) = packets.unwrap_or_default();
        self.batches[self.batch as usize % BATCHES] =
            Batch { first, others, messages: 0, base: self.base, missing: 0, open: true, made_us: self.renet_us };
    }

    /// A datagram with messages of this batch was delivered.
    pub fn note_delivered(&mut self, batch: u32) {
        // What has been overwritten since is repeated, which does no harm.
        if self.batch.wrapping_sub(batch) >= BATCHES as u32 {
            return;
        }
        let batch = &mut self.batches[batch as usize % BATCHES];
        batch.missing = batch.missing.saturating_sub(1);
        // So is what renet has forgotten: taken for acknowledged here, it would be repeated for ever there.
        if batch.missing > 0 || batch.open || self.renet_us - batch.made_us >= RENET_REMEMBERS_US {
            return;
        }
        let Batch { first, others, messages, base, .. } = *batch;
        self.scratch.clear();
        // renet takes this for an acknowledgement that came in the peer's packet 0.
        self.scratch.extend_from_slice(&[RENET_ACK, 0]);
        for number in [first + u64::from(others), u64::from(others), 0] {
            put_varint(number, &mut self.scratch);
        }
        self.renet.process_packet(&self.scratch);
        for bit in (0..MESSAGES_IN_FLIGHT_MAX).filter(|bit| messages >> bit & 1 == 1) {
            // The one number from `base` on with these low bits.
            let message = base + bit.wrapping_sub(base) % MESSAGES_IN_FLIGHT_MAX;
            if message >= self.base {
                self.acknowledged |= 1 << (message % MESSAGES_IN_FLIGHT_MAX);
            }
        }
        while self.base < self.next && self.acknowledged >> (self.base % MESSAGES_IN_FLIGHT_MAX) & 1 == 1 {
            self.acknowledged &= !(1 << (self.base % MESSAGES_IN_FLIGHT_MAX));
            self.base += 1;
        }
    }

    /// Whether the peer may send the messages of a datagram now. If not, the datagram is to be dropped as a network would, and
    /// before it is acknowledged: an honest peer whose acknowledgements were lost for a second repeats all that it has in
    /// flight at every timeout, and would be taken for an attacker.
    pub fn admits(&self, block: &[u8]) -> Result<bool, Violation> {
        Ok(self.taken.has(check_messages(block, self.delivered)?))
    }

    /// Takes the messages of a datagram, which are to be [admitted](Self::admits) before. `tell` hears of each whole one, once and in order.
    pub fn take(&mut self, block: &[u8], tell: &mut dyn FnMut(&[u8])) -> Result<(), Violation> {
        let count = check_messages(block, self.delivered)?;
        if !(0..count).all(|_| self.taken.take()) {
            return Err(Violation::Rate);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&[RENET_MESSAGES, 0, RELIABLE_CHANNEL]);
        self.scratch.extend_from_slice(&count.to_be_bytes());
        self.scratch.extend_from_slice(block);
        self.renet.process_packet(&self.scratch);
        if self.renet.is_disconnected() {
            return Err(Violation::Refused);
        }
        while let Some(piece) = self.renet.receive_message(RELIABLE_CHANNEL) {
            self.delivered += 1;
            self.join(&piece, tell)?;
        }
        Ok(())
    }

    /// Puts pieces together.
    fn join(&mut self, piece: &[u8], tell: &mut dyn FnMut(&[u8])) -> Result<(), Violation> {
        let Some((&mark, bytes)) = piece.split_first() else { return Err(Violation::Piece) };
        // Only full pieces have others behind them: whoever sends small ones wants to waste somebody's time.
        let sound = match mark {
            MARK_LAST => !bytes.is_empty(),
            MARK_MORE => piece.len() == PIECE_BYTES_MAX,
            _ => false,
        };
        if !sound || self.whole.len() + bytes.len() > WHOLE_BYTES_MAX {
            return Err(Violation::Piece);
        }
        if mark == MARK_LAST && self.whole.is_empty() {
            tell(bytes);
            return Ok(());
        }
        self.whole.extend_from_slice(bytes);
        if mark == MARK_LAST {
            tell(&self.whole);
            self.whole.clear();
            // A large message is rare, and many connections that keep its room are not.
            self.whole.shrink_to(PIECE_BYTES_MAX);
        }
        Ok(())
    }
}

/// The number of the first message and the size of all that belongs to it.
fn entry(pending: &[u8]) -> Option<(u64, usize)> {
    let (message, number_bytes) = varint(pending)?;
    let (len, len_bytes) = varint(&pending[number_bytes..])?;
    Some((message, number_bytes + len_bytes + len as usize))
}

/// A number as RFC 9000, section 16, writes it, and its size.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let size = 1 << (first >> 6);
    let rest = bytes.get(1..size)?;
    Some((rest.iter().fold(u64::from(first & 0x3F), |value, byte| value << 8 | u64::from(*byte)), size))
}

fn put_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests;
