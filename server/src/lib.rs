//! The server: a socket, rooms on a pool of threads, a recorder. Start one with [`Server::start`].
//!
//! Socket threads own the sockets (`socket`) and every connection (`shard`). A room is one match: its simulation, its players'
//! input buffers, its replication ([`room`]); a pool of threads steps rooms by absolute deadlines ([`pool`]). One thread
//! writes all recordings (`recorder`). Between them are bounded queues; what happens when one is full is written where it
//! is filled:
//!
//! | queue | full |
//! | --- | --- |
//! | socket to room | inputs are dropped as a network would; joins are refused; leaves wait |
//! | room to socket | snapshots are dropped as a network would; a client that missed a message is disconnected |
//! | room to recorder | the recording ends there and the match goes on unrecorded: the Tick never waits |

pub mod agones;
mod broadcast;
pub mod buffer;
mod config;
mod convert;
mod directory;
pub mod drain;
mod handle;
pub mod interest;
mod operate;
pub mod order;
pub mod outbox;
mod outward;
pub mod pool;
mod pulse;
mod recorder;
mod resume;
pub mod room;
pub mod services;
mod shard;
mod shared;
pub mod shed;
pub mod socket;
mod sounds;
mod spare;
#[doc(hidden)]
pub mod staged;
mod start;
pub mod stats;
pub mod suspicion;

pub use arbiter_metrics::histogram;

pub use crate::config::{
    DRAIN_GRACE, KILL_CAM_MAX, OUTBOX_KEEP, Observer, OnAnomaly, OnRecorded, OnStop, Plugins, SNAPSHOT_KBIT_MAX,
    SOCKET_BUFFER, SPECTATOR_DELAY, SPECTATOR_DELAY_MAX, SPECTATORS_MAX, ServerConfig,
};
pub use crate::handle::ServerHandle;
pub use crate::resume::freight::fetch::{FetchError, Fetched, fetch as fetch_recordings};
pub use crate::resume::freight::{DepotAddress, DepotError, ShipTo};
pub use crate::socket::SocketKind;
pub use crate::start::{Server, StartError};

use crate::shared::Shared;

/// Messages from the socket that may wait for a room: a tick of a thousand players with some to spare.
pub(crate) const ROOM_QUEUE_MAX: usize = 8_192;

/// What may wait for the socket: some ticks of a thousand players' snapshots.
pub(crate) const SOCKET_QUEUE_MAX: usize = 65_536;
