//! A room and a socket thread whose turns are called, not timed, and whose datagrams stay in memory. For benches and tests of
//! a whole tick: all between a player's sealed input and a player's sealed snapshot is what a server runs; sockets, threads and
//! pace are not there. Recordings are written by the server's own thread.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use arbiter_sim::{BuildError, Simulation};
use arbiter_transport::ServerTransport;
use crossbeam::channel::Receiver;

use crate::operate::Operate;
use crate::recorder::Recorder;
use crate::room::{Room, Turn};
use crate::shard::{Out, Shard, ShardLink, ToSocket};
use crate::shed::ShedStats;
use crate::socket::wait::waiting;
use crate::start::transport;
use crate::stats::{RoomStats, ServerStats};
use crate::{ServerConfig, Shared, StartError};

/// Datagrams that wait to be taken.
#[derive(Debug, Default)]
pub struct Datagrams {
    bytes: Vec<u8>,
    /// To whom, and where in the bytes it ends.
    ends: Vec<(SocketAddr, usize)>,
}

impl Datagrams {
    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let starts = core::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (to, end))| (*to, &self.bytes[start..*end]))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets them; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Out for Datagrams {
    fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.ends.push((to, self.bytes.len()));
    }
}

/// See the module. Its memory is never given back: it is made for programs that measure and end.
pub struct Staged {
    room: Room,
    shard: Shard<'static, Datagrams>,
    orders: Receiver<ToSocket>,
    shared: &'static Shared,
    operate: Option<Operate>,
    began: Instant,
    epoch: Duration,
}

impl Staged {
    /// The first room of a server with this configuration, at a time since the Unix epoch. Clients know it as `address`.
    pub fn new(config: ServerConfig, address: SocketAddr, epoch: Duration) -> Result<Self, StartError> {
        let (_, waker) = waiting(config.sockets).map_err(StartError::Thread)?;
        let (link, orders) = ShardLink::new(waker, None);
        let server = ServerTransport::new(transport(&config, vec![address])?, epoch)?;
        let (shared, queues) = Shared::new(ServerConfig { rooms: 1, ..config }, vec![link], None, None)?;
        let (recorder, _) = Recorder::start(Arc::clone(&shared), None).map_err(StartError::Thread)?;
        let rooms = queues.into_iter().map(|queue| Room::new(0, Arc::clone(&shared), queue, recorder.clone(), None));
        let mut rooms = rooms.collect::<Result<Vec<Room>, BuildError>>()?;
        let room = rooms.remove(0);
        let operate = shared.config.operate.map(|address| {
            let error = |error| StartError::Operate { address, error };
            Operate::start(Arc::clone(&shared), address).map_err(error)
        });
        let operate = operate.transpose()?;
        let shared: &'static Shared = Box::leak(Box::new(shared));
        let shard = Shard::new(shared, 0, server, epoch, Datagrams::default());
        Ok(Self { room, shard, orders, shared, operate, began: Instant::now(), epoch })
    }

    /// A datagram comes from a client. Times are since the Unix epoch, as in all that follows, and do not go back.
    pub fn hear(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        self.shard.hear(now, from, datagram);
    }

    /// What the socket thread does each 5 ms.
    pub fn advance(&mut self, now: Duration) {
        self.shard.move_on(now);
    }

    /// The room does a tick: inputs, simulation, recording, replication. False once it has ended.
    pub fn tick(&mut self, now: Duration) -> bool {
        matches!(self.room.tick(self.began + now.saturating_sub(self.epoch)), Turn::Next | Turn::Again)
    }

    /// The socket thread packs and seals what the room has for its clients.
    pub fn send(&mut self, now: Duration) {
        while let Ok(order) = self.orders.try_recv() {
            self.shard.obey(now, order);
        }
    }

    /// What is ready to leave. Clear it once it has left.
    pub fn datagrams(&mut self) -> &mut Datagrams {
        &mut self.shard.out
    }

    /// Where health and figures are served, if that was asked for.
    pub fn operate_address(&self) -> Option<SocketAddr> {
        self.operate.as_ref().map(|operate| operate.address)
    }

    /// The match.
    pub fn simulation(&self) -> &Simulation {
        self.room.simulation()
    }

    /// How the server does; nothing of its sockets.
    pub fn stats(&self) -> ServerStats {
        self.shared.stats()
    }

    /// What was left out to save time.
    pub fn shed_stats(&self) -> ShedStats {
        self.shared.shed.stats()
    }

    /// How the room does.
    pub fn room_stats(&self) -> RoomStats {
        self.shared.rooms[0].stats()
    }
}
