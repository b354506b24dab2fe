//! One connection above encryption, the same at both ends: packs a body, acknowledgements and messages into payloads, takes
//! the peer's apart, measures the path and says how much may leave. No socket, no clock, no encryption.
//!
//! Once a tick, at either end: [`Flow::read`] for each payload that has come, [`Flow::advance`], [`Flow::budget`], then
//! [`Flow::write`] with what the tick has to say. Where nothing is said each tick, [`Flow::is_due`] tells when a payload without
//! a body should leave; it falls silent by itself when all is acknowledged.
//!
//! A violation ends a connection: [`Flow::write_farewell`] makes the payload that tells the peer why.

use core::time::Duration;

use crate::PAYLOAD_BYTES_MAX;
use crate::acks::{Arrivals, Departures, Fate, Sent};
use crate::datagram::{
    HEADER_BYTES_MAX, HEADER_BYTES_MIN, Header, KIND_EMPTY, KIND_FAREWELL, NUMBERS, Parts, TIME_MASK,
    read as read_datagram,
};
use crate::guard::{Bucket, Violation};
use crate::link::SendError;
use crate::messages::{Messages, WHOLE_BYTES_MAX};
use crate::path::{Path, PathStats};
use crate::rate::{OVERHEAD_BYTES, Phase, RateConfig, RateControl};

mod said;

pub use said::{Body, FlowEvent, Incoming, WriteError};

/// Largest body: a payload without its largest header.
pub const BODY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - HEADER_BYTES_MAX;

/// An acknowledgement waits for a datagram to ride in, but no longer than this: then it gets one of its own.
pub const ACK_WAIT: Duration = Duration::from_millis(40);

/// A message for which no datagram had room waits no longer than this for one of its own.
const MESSAGE_WAIT_US: u64 = 30_000;
/// The same while the rate allows nothing: a trickle of messages must always get through.
const MESSAGE_STARVED_US: u64 = 100_000;

/// Bytes of a farewell's text.
pub const FAREWELL_BYTES_MAX: usize = 200;

/// What a flow is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlowConfig {
    /// Between which limits its own rate moves.
    pub rate: RateConfig,
    /// Payloads that the peer may send a second, with bursts of half as many; more are dropped, as a network would.
    pub peer_payloads_per_second: f32,
}

impl FlowConfig {
    /// For a server's end: a client sends an input a tick, 128 times a second at most, and all over again after a pause.
    pub fn of_server() -> Self {
        Self { rate: RateConfig::default(), peer_payloads_per_second: 300.0 }
    }

    /// For a client's end: a server sends a snapshot of up to several parts a tick. A client's inputs need
    /// little, but always that.
    pub fn of_client() -> Self {
        Self { rate: RateConfig { floor: 8_000, ceiling: 64_000 }, peer_payloads_per_second: 4_000.0 }
    }
}

/// What a flow has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Payloads and their bytes that were written.
    pub sent: u64,
    /// See [`Self::sent`].
    pub sent_bytes: u64,
    /// Bytes of headers among them.
    pub header_bytes: u64,
    /// Bytes of messages among them.
    pub message_bytes: u64,
    /// Payloads that were taken.
    pub received: u64,
    /// Payloads that were refused or dropped.
    pub refused: u64,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Flow {
    arrivals: Arrivals,
    departures: Departures,
    path: Path,
    messages: Messages,
    rate: RateControl,
    payloads: Bucket,
    now_us: u64,
    /// Since when an acknowledgement waits for a datagram.
    owed_since_us: Option<u64>,
    /// Since when messages wait for room.
    squeezed_since_us: Option<u64>,
    counts: FlowCounts,
}

impl Flow {
    /// A connection that has just been made. Times are of any clock that does not go backwards.
    pub fn new(config: FlowConfig, now: Duration) -> Self {
        let now_us = micros(now);
        Self {
            arrivals: Arrivals::default(),
            departures: Departures::default(),
            path: Path::default(),
            messages: Messages::new(now_us),
            rate: RateControl::new(config.rate, now_us),
            payloads: Bucket::new(config.peer_payloads_per_second, config.peer_payloads_per_second / 2.0),
            now_us,
            owed_since_us: None,
            squeezed_since_us: None,
            counts: FlowCounts::default(),
        }
    }

    /// Queues a reliable message of 1 to [`WHOLE_BYTES_MAX`] bytes for the next datagrams with room. On
    /// [`SendError::QueueFull`] the peer does not listen: end the connection.
    pub fn send_message(&mut self, message: &[u8]) -> Result<(), SendError> {
        if !(1..=WHOLE_BYTES_MAX).contains(&message.len()) {
            return Err(SendError::Size(message.len()));
        }
        if self.messages.send(message) { Ok(()) } else { Err(SendError::QueueFull) }
    }

    /// Whether the peer has every message.
    pub fn is_flushed(&self) -> bool {
        self.messages.is_flushed()
    }

    /// Moves time on: gives up what is lost, adapts the rate, makes ready what has to be repeated. To be called each tick or
    /// more often.
    pub fn advance(&mut self, now: Duration, tell: &mut dyn FnMut(FlowEvent<'_>)) {
        let now_us = self.pass(now);
        self.path.advance(now_us);
        self.give_up(tell);
        let timeout_us = self.path.timeout_us(ACK_WAIT.as_micros() as u64);
        let waiting_since = self.departures.oldest_at_us(now_us);
        self.rate.update(self.path.round_trip_us(), timeout_us, waiting_since, now_us);
        self.messages.advance(timeout_us, now_us);
    }

    fn pass(&mut self, now: Duration) -> u64 {
        let now_us = micros(now).max(self.now_us);
        self.payloads.refill((now_us - self.now_us) as f32 * 1e-6);
        self.now_us = now_us;
        now_us
    }

    /// Whether a payload should leave even without a body: messages are ready, or an acknowledgement has waited for long
    /// enough. To be asked after the bodies of a tick have left, and again after each payload that it asked for.
    pub fn is_due(&mut self) -> bool {
        if self.departures.is_full(self.now_us) {
            return false;
        }
        let acks = self.owed_since_us.is_some_and(|since| self.now_us - since >= ACK_WAIT.as_micros() as u64);
        // What did not fit beside a body waits for the next one, but not for long.
        let waits = self.squeezed_since_us.is_some_and(|since| self.now_us - since < MESSAGE_WAIT_US);
        acks || !waits && self.messages.is_ready(self.now_us) && self.may_carry_messages()
    }

    /// Messages obey the rate; but where bodies take more than there is, a few leave all the same.
    fn may_carry_messages(&mut self) -> bool {
        let starved = self.squeezed_since_us.is_some_and(|since| self.now_us - since >= MESSAGE_STARVED_US);
        starved || self.rate.credit(self.now_us) > 0
    }

    /// Bytes that the bodies of the next tick should have together at most; 0 if the tick should be left out. Counts the
    /// headers of one datagram and what messages will need, but at most half for them.
    pub fn budget(&mut self, ticks_per_second: u32) -> usize {
        let credit = self.rate.credit(self.now_us);
        let around = (OVERHEAD_BYTES + HEADER_BYTES_MAX) as i64;
        let free = (credit - around).max(0) as usize;
        // What was saved up is spent over a few ticks, not in one: it would only queue.
        let tick = self.rate.rate() as usize / ticks_per_second.max(1) as usize;
        let most = (4 * tick).max(PAYLOAD_BYTES_MAX);
        let free = free.min(most);
        free - self.messages.ready_bytes().min(free / 2)
    }

    /// Writes one payload: the header, the body if there is one, and as many messages as fit. Returns its length.
    pub fn write(
        &mut self,
        now: Duration,
        body: Option<Body<'_>>,
        out: &mut [u8; PAYLOAD_BYTES_MAX],
    ) -> Result<usize, WriteError> {
        let (kind, tag, bytes) = match body {
            None => (KIND_EMPTY, None, &[][..]),
            Some(body) => (body.kind, Some(body.tag), body.bytes),
        };
        let fits = match kind {
            KIND_EMPTY => body.is_none(),
            _ => kind < KIND_FAREWELL && (1..=BODY_BYTES_MAX).contains(&bytes.len()),
        };
        if !fits {
            return Err(WriteError::Body(bytes.len()));
        }
        let now_us = self.pass(now);
        if self.departures.is_full(now_us) {
            return Err(WriteError::InFlight);
        }
        self.pack(kind, tag, bytes, out)
    }

    fn pack(
        &mut self,
        kind: u8,
        tag: Option<u32>,
        bytes: &[u8],
        out: &mut [u8; PAYLOAD_BYTES_MAX],
    ) -> Result<usize, WriteError> {
        let now_us = self.now_us;
        let mut header = Header {
            kind,
            sequence: self.departures.next() as u16 % NUMBERS,
            time_us: (now_us & TIME_MASK) as u32,
            ack: self.arrivals.ack(now_us),
            body_len: Some(bytes.len() as u16),
        };
        let start = header.write(out);
        let end = start + bytes.len();
        let (mut message_bytes, mut batch) = (0, None);
        if kind != KIND_FAREWELL && self.may_carry_messages() {
            (message_bytes, batch) = self.messages.place(&mut out[end..], now_us);
        }
        let (mut header_bytes, mut len) = (start, end + message_bytes);
        if message_bytes == 0 {
            header.body_len = None;
            header_bytes = header.write(out);
            len = header_bytes + bytes.len();
        }
        out[header_bytes..header_bytes + bytes.len()].copy_from_slice(bytes);
        self.squeezed_since_us = match self.squeezed_since_us {
            _ if !self.messages.is_ready(now_us) => None,
            Some(since) if message_bytes == 0 => Some(since),
            _ => Some(now_us),
        };
        // Nobody answers a payload that only acknowledges, so that acknowledgements end; nor a farewell.
        let answered = kind != KIND_FAREWELL && (kind != KIND_EMPTY || message_bytes > 0);
        self.departures.push(Sent { at_us: now_us, tag, batch, bytes: len as u16 }, answered);
        self.rate.note_sent(len, now_us);
        self.owed_since_us = None;
        self.counts.sent += 1;
        self.counts.sent_bytes += len as u64;
        self.counts.header_bytes += header_bytes as u64;
        self.counts.message_bytes += message_bytes as u64;
        Ok(len)
    }

    /// Writes the last payload of a connection: why it ends, cut to [`FAREWELL_BYTES_MAX`]. Send it a few times before the
    /// connection is closed, since nobody acknowledges it.
    pub fn write_farewell(
        &mut self,
        now: Duration,
        why: &str,
        out: &mut [u8; PAYLOAD_BYTES_MAX],
    ) -> Result<usize, WriteError> {
        let end = why.floor_char_boundary(FAREWELL_BYTES_MAX);
        let text = if end == 0 { "closed" } else { &why[..end] };
        self.pass(now);
        self.pack(KIND_FAREWELL, None, text.as_bytes(), out)
    }

    /// Takes one payload apart. `tell` hears what became of our own bodies, and messages. After a violation the connection is
    /// to be ended: its state is no longer of use.
    pub fn read<'a>(
        &mut self,
        now: Duration,
        payload: &'a [u8],
        tell: &mut dyn FnMut(FlowEvent<'_>),
    ) -> Result<Incoming<'a>, Violation> {
        let now_us = self.pass(now);
        if !self.payloads.take() {
            self.counts.refused += 1;
            return Ok(Incoming::Dropped);
        }
        let Parts { header, body, messages } = read_datagram(payload)?;
        if !messages.is_empty() && !self.messages.admits(messages)? {
            self.counts.refused += 1;
            return Ok(Incoming::Dropped);
        }
        let arrival = match self.arrivals.take(header.sequence, now_us) {
            Ok(arrival) => arrival,
            Err(refusal) => {
                self.counts.refused += 1;
                return Ok(Incoming::Refused(refusal));
            }
        };
        self.counts.received += 1;
        self.path.note_arrival(header.time_us, arrival.advance, now_us);
        if header.ack.is_some() {
            self.follow_ack(&header, tell)?;
        }
        if header.kind != KIND_EMPTY || !messages.is_empty() {
            self.owed_since_us.get_or_insert(now_us);
        }
        if !messages.is_empty() {
            self.messages.take(messages, &mut |message| tell(FlowEvent::Message(message)))?;
        }
        match header.kind {
            KIND_EMPTY => Ok(Incoming::Empty),
            KIND_FAREWELL if body.len() <= FAREWELL_BYTES_MAX => {
                core::str::from_utf8(body).map(Incoming::Farewell).map_err(|_| Violation::Header)
            }
            KIND_FAREWELL => Err(Violation::Header),
            kind => Ok(Incoming::Body { kind, sequence: arrival.sequence, bytes: body }),
        }
    }

    fn follow_ack(&mut self, header: &Header, tell: &mut dyn FnMut(FlowEvent<'_>)) -> Result<(), Violation> {
        let Some(ack) = &header.ack else { return Ok(()) };
        let Self { departures, path, rate, messages, now_us, .. } = self;
        let named = departures.acknowledge(ack, *now_us, &mut |fate, sent| {
            settle(fate, sent, *now_us, path, rate, messages, tell);
        })?;
        if let Some(sent) = named
            && let Some(queue_us) = path.note_echo(sent.at_us, ack, header.time_us, *now_us)
        {
            rate.note_queue(queue_us);
        }
        self.give_up(tell);
        Ok(())
    }

    fn give_up(&mut self, tell: &mut dyn FnMut(FlowEvent<'_>)) {
        let Self { departures, path, rate, messages, now_us, .. } = self;
        let reorder_us = path.reorder_us();
        departures.give_up(*now_us, reorder_us, &mut |fate, sent| {
            settle(fate, sent, *now_us, path, rate, messages, tell);
        });
    }

    /// What the path is like.
    pub fn path(&self) -> PathStats {
        self.path.stats()
    }

    /// Bytes a second that may leave, with all headers.
    pub fn rate(&self) -> u32 {
        self.rate.rate()
    }

    /// How the rate moves.
    pub fn rate_phase(&self) -> Phase {
        self.rate.phase()
    }

    /// What was counted so far.
    pub fn counts(&self) -> FlowCounts {
        self.counts
    }
}

/// Spreads the word about a datagram of ours.
fn settle(
    fate: Fate,
    sent: &Sent,
    now_us: u64,
    path: &mut Path,
    rate: &mut RateControl,
    messages: &mut Messages,
    tell: &mut dyn FnMut(FlowEvent<'_>),
) {
    match fate {
        Fate::Delivered => path.note_fate(false, now_us),
        Fate::Late => path.note_late(),
        Fate::Lost => {
            path.note_fate(true, now_us);
            rate.note_lost(sent.at_us);
            if let Some(tag) = sent.tag {
                tell(FlowEvent::Lost(tag));
            }
            return;
        }
    }
    rate.note_delivered(usize::from(sent.bytes), now_us);
    if let Some(batch) = sent.batch {
        messages.note_delivered(batch);
    }
    if let Some(tag) = sent.tag {
        tell(FlowEvent::Delivered(tag));
    }
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

// A header without an acknowledgement is smaller than one with, so that a body that fits the largest fits all.
const _: () = assert!(HEADER_BYTES_MIN < HEADER_BYTES_MAX && BODY_BYTES_MAX == 1_187);
