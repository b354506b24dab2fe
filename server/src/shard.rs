//! A socket thread, a shard of the server: owns a socket, its connections and who belongs to which room.
//!
//! The system hands each client's datagrams to one shard, by the client's address and port; nothing of a connection is known
//! to another shard but that its token is used. A round of the thread is: datagrams, up to a limit; what rooms have queued, up
//! to a limit; what is due; then it sends, and sleeps unless something was left over. The limits are what keeps a flood of
//! datagrams from holding up snapshots, and the other way round.
//!
//! Next: [`desk`] for what clients say, [`link`] for what rooms hold of a shard.

mod desk;
pub(crate) mod link;

use core::net::SocketAddr;
use core::time::Duration;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_transport::{Body, ClientId, DisconnectReason, SendError, ServerEvent, ServerTransport};
use crossbeam::channel::Receiver;

use self::desk::{Answer, Desk, Stage};
use crate::Shared;
use crate::histogram::Histogram;
use crate::socket::wait::Sleeper;
use crate::socket::{Incoming, Outgoing};
use crate::stats::{CpuTimer, SocketStats};

pub(crate) use link::{Remote, ShardLink, ToSocket};

/// Datagrams are taken for this long before rooms get their turn: a flood takes half of the thread's time at most while
/// rooms want the other half, and a snapshot waits little.
const HEAR_MAX: Duration = Duration::from_millis(1);

/// What rooms queued is done up to so much before the socket gets its turn; about a millisecond.
const ORDERS_MAX: usize = 1_024;

/// Between two rounds of keep-alives, timeouts and repeated messages.
const ADVANCE_EVERY: Duration = Duration::from_millis(5);

/// The same while nobody is connected. The transport wants it at least each 100 ms.
const ADVANCE_EVERY_IDLE: Duration = Duration::from_millis(50);

/// For how long messages to leaving clients are repeated before a connection or the server closes.
const LINGER: Duration = Duration::from_millis(400);

/// After a failed call the socket is left alone for this long: one that stays broken must not take a core.
const AFTER_ERROR: Duration = Duration::from_millis(1);

/// Between two looks at the round trips of all clients.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Between two lines about clients that were expelled.
const ACCUSE_EVERY: Duration = Duration::from_secs(10);

/// What a client that was said goodbye to is told by the transport, should the goodbye itself be lost.
const FAREWELL: &str = "the server has said goodbye";

/// What a shard is made of.
pub(crate) struct Parts {
    pub number: u16,
    pub socket: UdpSocket,
    pub sleeper: Sleeper,
    pub orders: Receiver<ToSocket>,
    pub transport: ServerTransport,
    /// The time of day at which the transport was made.
    pub epoch: Duration,
}

/// Where datagrams go.
pub(crate) trait Out {
    /// Sends one, now or with others soon.
    fn push(&mut self, to: SocketAddr, datagram: &[u8]);
}

impl Out for Outgoing<'_> {
    fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        Outgoing::push(self, to, datagram);
    }
}

/// A socket thread without its socket.
pub(crate) struct Shard<'a, O> {
    number: u16,
    desk: Desk<'a>,
    transport: ServerTransport,
    pub out: O,
    started: Instant,
    epoch: Duration,
    tick_rate: u32,
    cpu: CpuTimer,
    /// See [`SocketStats::round_trips`].
    round_trips: Histogram,
    /// When those were last looked at.
    sampled: Duration,
    /// When a line about expelled clients was last written.
    accused: Option<Instant>,
}

/// The system's clock at the start of a server. One before 1970 only makes every token expired.
pub(crate) fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Serves a socket until the server closes.
pub(crate) fn run(shared: &Shared, parts: Parts) {
    let Parts { number, socket, sleeper, orders, transport, epoch } = parts;
    let kind = shared.config.sockets;
    let (mut incoming, out) = (Incoming::new(&socket, kind), Outgoing::new(&socket, kind));
    let mut shard = Shard::new(shared, number, transport, epoch, out);
    let mut advanced = shard.started;
    let mut closing_at = None;
    loop {
        let is_drained = shard.hear_all(&mut incoming);
        for order in orders.try_iter().take(ORDERS_MAX) {
            shard.obey(shard.now(), order);
        }
        let now = Instant::now();
        let every = if shard.desk.places.is_empty() { ADVANCE_EVERY_IDLE } else { ADVANCE_EVERY };
        if now - advanced >= every {
            advanced = now;
            shard.advance(now);
            shard.publish(&incoming);
        }
        shard.out.flush();
        if shared.closing.load(Ordering::Acquire) {
            let until = *closing_at.get_or_insert(now + LINGER);
            if orders.is_empty() && (now >= until || shard.desk.places.is_empty()) {
                shard.disconnect_all();
                shard.out.flush();
                shard.publish(&incoming);
                return;
            }
        }
        if is_drained {
            let until = if closing_at.is_some() { advanced + ADVANCE_EVERY } else { advanced + every };
            sleeper.sleep(&socket, until.saturating_duration_since(now), || !orders.is_empty());
        }
    }
}

impl Shard<'_, Outgoing<'_>> {
    /// Takes datagrams until none is left, which it says, or its time is up.
    fn hear_all(&mut self, incoming: &mut Incoming<'_>) -> bool {
        let until = Instant::now() + HEAR_MAX;
        loop {
            let errors = incoming.errors;
            let count = incoming.receive();
            // They have all come by now: one look at the clock is right for the whole batch.
            let now = self.now();
            for at in 0..count {
                let (from, datagram) = incoming.datagram(at);
                self.hear(now, from, datagram);
            }
            if incoming.errors != errors {
                std::thread::sleep(AFTER_ERROR);
            }
            if !incoming.is_full() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    fn publish(&self, incoming: &Incoming<'_>) {
        let Self { transport, desk, out, .. } = self;
        let counters = *transport.counters();
        desk.shared.shards[usize::from(self.number)].publish(SocketStats {
            clients: transport.clients(),
            datagrams_in: incoming.datagrams,
            bytes_in: incoming.bytes,
            receive_errors: incoming.errors,
            datagrams_out: out.datagrams,
            bytes_out: out.bytes,
            send_buffer_full: out.buffer_full,
            send_refused: out.refused,
            malformed: desk.malformed + counters.malformed + transport.violations(),
            violations: transport.violations(),
            inputs_dropped: desk.inputs_dropped,
            cpu_us: self.cpu.elapsed_us(),
            packets: counters,
            round_trips: self.round_trips,
        });
    }
}

impl<'a, O: Out> Shard<'a, O> {
    pub fn new(shared: &'a Shared, number: u16, transport: ServerTransport, epoch: Duration, out: O) -> Self {
        let (started, tick_rate) = (Instant::now(), u32::from(shared.config.settings.tick_rate));
        let (desk, cpu) = (Desk::new(shared, number), CpuTimer::start());
        Self {
            number,
            desk,
            transport,
            out,
            started,
            epoch,
            tick_rate,
            cpu,
            round_trips: Histogram::default(),
            sampled: epoch,
            accused: None,
        }
    }

    fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }

    pub fn hear(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        let Self { transport, desk, out, .. } = self;
        transport.receive(now, from, datagram, &mut |to, bytes| out.push(to, bytes), &mut |event| desk.hear(event));
        self.answer();
    }

    /// Keep-alives, timeouts, repeated messages, and whose time to leave has come.
    fn advance(&mut self, at: Instant) {
        self.move_on(self.now());
        self.sample_round_trips(self.now());
        self.close_leaving(at);
        self.answer();
        self.accuse(at);
    }

    /// What follows from the time alone.
    pub fn move_on(&mut self, now: Duration) {
        let Self { transport, desk, out, tick_rate, .. } = self;
        transport.advance(now, &mut |to, bytes| out.push(to, bytes), &mut |event| desk.hear(event));
        for (client, place) in &desk.places {
            place.line.set_budget(transport.budget(*client, *tick_rate));
        }
        desk.say_unsaid();
    }

    /// Once a second is enough for metrics, and costs nothing that could be seen.
    fn sample_round_trips(&mut self, now: Duration) {
        if now.saturating_sub(self.sampled) < SAMPLE_EVERY {
            return;
        }
        self.sampled = now;
        for client in self.desk.places.keys() {
            if let Some(round_trip) = self.transport.path(*client).and_then(|path| path.round_trip) {
                self.round_trips.note(round_trip.as_micros() as u64);
            }
        }
    }

    /// Whoever has many tokens could write a line with each: a line has to do for all of some seconds.
    fn accuse(&mut self, now: Instant) {
        if self.accused.is_some_and(|last| now - last < ACCUSE_EVERY) {
            return;
        }
        let Some(violation) = self.desk.expelled.take() else { return };
        self.accused = Some(now);
        let expelled = self.transport.violations();
        tracing::warn!(expelled, last = %violation, "clients broke the rules of the transport and were expelled");
    }

    pub fn obey(&mut self, now: Duration, order: ToSocket) {
        match order {
            ToSocket::Snapshot { client, kind, tag, bytes } => {
                let Self { transport, desk, out, tick_rate, number, .. } = self;
                let body = Body { kind, tag, bytes: &bytes };
                if transport.send_body(now, client, body, &mut |to, bytes| out.push(to, bytes)).is_err() {
                    // What cannot leave now is lost like any other.
                    desk.land(client, tag, false);
                }
                desk.shared.shards[usize::from(*number)].reuse(bytes);
                if let Some(place) = desk.places.get(&client) {
                    place.line.set_budget(transport.budget(client, *tick_rate));
                }
            }
            ToSocket::Message { client, bytes } => {
                self.message(client, &bytes);
                self.answer();
            }
            ToSocket::Close { client } => self.desk.leave(client),
        }
    }

    fn message(&mut self, client: ClientId, bytes: &[u8]) {
        if self.transport.send_message(client, bytes) == Err(SendError::QueueFull) {
            self.desk.hear(ServerEvent::Disconnected { client, reason: DisconnectReason::QueueFull });
            self.desk.answers.push_back(Answer::Disconnect(client, "you acknowledge nothing of what you are sent"));
        }
    }

    fn answer(&mut self) {
        // A message that finds its queue full adds one more answer, which adds none.
        while let Some(answer) = self.desk.answers.pop_front() {
            match answer {
                Answer::Message(client, message) => self.message(client, &message.encode()),
                Answer::Disconnect(client, why) => self.disconnect(client, why),
            }
        }
    }

    fn disconnect(&mut self, client: ClientId, why: &str) {
        let now = self.now();
        let Self { transport, out, .. } = self;
        transport.disconnect(now, client, why, &mut |to, bytes| out.push(to, bytes));
    }

    fn close_leaving(&mut self, now: Instant) {
        let Self { desk, transport, .. } = self;
        desk.places.retain(|client, place| {
            let Stage::Leaving { until } = place.stage else { return true };
            // A flushed client has everything but needs a moment to read it before the connection ends.
            let is_done = now >= until || (now + LINGER / 2 >= until && transport.is_flushed(*client));
            if is_done {
                desk.answers.push_back(Answer::Disconnect(*client, FAREWELL));
            }
            !is_done
        });
    }

    fn disconnect_all(&mut self) {
        for client in core::mem::take(&mut self.desk.places).into_keys() {
            self.disconnect(client, FAREWELL);
        }
    }
}
