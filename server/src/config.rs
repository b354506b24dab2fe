//! What a server is started with, and what it takes unless it is told otherwise.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arbiter_sim::{Map, MatchSettings, Rules, Simulation};
use arbiter_snapshot::Form;
use arbiter_transport::Key;

use crate::agones::Agones;
use crate::interest::InterestSettings;
use crate::resume::freight::ShipTo;
use crate::services::Services;
use crate::shed::Shed;
use crate::socket::SocketKind;
use crate::suspicion::Anomaly;

/// Bytes that a socket keeps in each direction unless told otherwise: two ticks of a thousand players' snapshots, or 20 ms of a
/// flood of 200,000 datagrams a second, each with the system's bookkeeping of some 800 B.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// Kilobits of snapshots a second for a client, unless told otherwise: with all headers a thousand players at 60 Hz stay below
/// 256 kbit/s each. A match of ten needs a third of it.
pub const SNAPSHOT_KBIT_MAX: u32 = 220;

/// Spectators of a room at most: each costs about a third of what a player does, all of it on the room's own thread.
pub const SPECTATORS_MAX: u16 = 256;

/// How long ago it is what spectators are shown, unless told otherwise: long enough that nobody who is told of it can act on it, and
/// what broadcasts of the genre have long used.
pub const SPECTATOR_DELAY: Duration = Duration::from_secs(10);

/// The longest such delay: what tournaments use.
pub const SPECTATOR_DELAY_MAX: Duration = Duration::from_secs(120);

/// The longest kill cam: nobody stays dead for longer.
pub const KILL_CAM_MAX: Duration = Duration::from_secs(15);

/// Bytes of the outbox that are kept of what the services have, unless told otherwise, where their log has no backup: weeks of a
/// busy server's events.
pub const OUTBOX_KEEP: u64 = 1 << 30;

/// How long running matches may take when the server is drained, unless told otherwise: Kubernetes kills after 30 s unless told
/// otherwise, and what was earned must be told before.
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);
/// Adds a studio's own plugins to every simulation.
pub type Plugins = Arc<dyn Fn(&mut bevy_app::App) + Send + Sync>;

/// Is called on the room's thread behind each tick, with the room's number. It must be quick.
pub type Observer = Arc<dyn Fn(u16, &Simulation) + Send + Sync>;

/// Is called with each finished recording, on a thread of its own: the place to verify it. The server does not wait for it
/// when it ends.
pub type OnRecorded = Arc<dyn Fn(&Path) + Send + Sync>;

/// Is called on the room's thread with each anomaly, at most once a minute for each player and detector. It must be quick.
pub type OnAnomaly = Arc<dyn Fn(&Anomaly) + Send + Sync>;

/// What to do with running matches when the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// Play them to their end; nobody joins. Those without a player are abandoned.
    Finish,
    /// Stop them at once; recordings are closed and verify up to the last tick.
    Abandon,
}

/// What a server is started with.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes any.
    pub bind: SocketAddr,
    /// Under which addresses tokens name this server; empty means the bound one, or what Agones says if that is any.
    pub public_addresses: Vec<SocketAddr>,
    /// What this build is called, where operators and players are told: up to 32 bytes without control characters.
    pub build: String,
    /// The key that tokens are sealed with.
    pub key: Key,
    /// Where health and metrics are served over HTTP; `None` serves none, port 0 takes any.
    pub operate: Option<SocketAddr>,
    /// Rooms, at least 1.
    pub rooms: u16,
    /// How the socket threads talk to their sockets.
    pub sockets: SocketKind,
    /// Socket threads, each with a socket of its own on the same address; 0 takes one for each four cores, at least one.
    /// More than one needs Linux.
    pub socket_threads: u16,
    /// Bytes that the system should keep for each socket in each direction while the thread is busy, if it may.
    pub socket_buffer: usize,
    /// Threads that step rooms; 0 takes one per core, never more than rooms.
    pub threads: u16,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The map.
    pub map: Arc<Map>,
    /// Settings of each match.
    pub settings: MatchSettings,
    /// Who is told what.
    pub interest: InterestSettings,
    /// Kilobits of snapshots a second that a client is sent at most, whatever its link carries.
    pub snapshot_kbit_max: u32,
    /// The form of what players are sent of each tick.
    pub snapshot_form: Form,
    /// Spectators that a room lets in, at most [`SPECTATORS_MAX`]; 0 lets nobody watch, and costs nothing.
    pub spectators_max: u16,
    /// How long ago it is what they are shown, at most [`SPECTATOR_DELAY_MAX`].
    pub spectator_delay: Duration,
    /// How long whoever was killed is shown what the killer saw, at most [`KILL_CAM_MAX`]; zero shows nothing, and costs nothing.
    pub kill_cam: Duration,
    /// Seed of the first match; each further one counts up. `None` draws one for each.
    pub seed: Option<u64>,
    /// Where recordings go; `None` records nothing.
    pub record_dir: Option<PathBuf>,
    /// Where copies of running recordings go, for another machine to go on with; `None` copies nothing. Needs [`Self::record_dir`].
    pub ship_recordings: Option<ShipTo>,
    /// Where the log of domain events is kept; `None` tells nobody. Needs [`Self::record_dir`]: nothing is told of a tick whose
    /// inputs are not on disk.
    pub outbox_dir: Option<PathBuf>,
    /// Bytes of the outbox that are kept of what the services have, where their log has no backup; where it has one, that
    /// says what is kept. What they do not have is always kept.
    pub outbox_keep: u64,
    /// Where the services are, which are brought what is in the outbox and told what this server hosts; `None` tells them nothing.
    pub services: Option<Services>,
    /// The sidecar of Agones; `None` is a server of its own.
    pub agones: Option<Agones>,
    /// What stands behind `Bearer ` in requests that change something at [`Self::operate`]; a secret. `None` lets nobody.
    pub operate_bearer: Option<String>,
    /// How long running matches may take once the server is drained; they are abandoned then. Zero is as long as they take.
    pub drain_grace: Duration,
    /// Whether load is shed while there is more to do than time.
    pub shed: Shed,
    /// Stop after so many matches in all; 0 goes on.
    pub matches: u32,
    /// Between the end of a match and the start of the next.
    pub intermission: Duration,
    /// A studio's own plugins.
    pub plugins: Plugins,
    /// Watches every tick.
    pub observer: Option<Observer>,
    /// Takes finished recordings.
    pub on_recorded: Option<OnRecorded>,
    /// Is told who plays as nobody honest plays.
    pub on_anomaly: Option<OnAnomaly>,
    /// For load tests: instead of playing, let everyone in and send each so many bytes a tick.
    #[doc(hidden)]
    pub scripted_bytes: Option<usize>,
}

impl core::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerConfig").field("bind", &self.bind).field("rooms", &self.rooms).finish_non_exhaustive()
    }
}

impl ServerConfig {
    /// Bytes of snapshots that a client is sent at most in so many ticks.
    pub(crate) fn snapshot_bytes_max(&self, ticks: u32, tick_rate: u32) -> usize {
        self.snapshot_kbit_max as usize * 125 * ticks as usize / tick_rate.max(1) as usize
    }

    /// One room on any free port of this machine, unrecorded, endless, which sheds nothing.
    pub fn new(key: Key, rules: Arc<Rules>, map: Arc<Map>, settings: MatchSettings) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_addresses: Vec::new(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            key,
            operate: None,
            rooms: 1,
            sockets: SocketKind::Auto,
            socket_threads: 1,
            socket_buffer: SOCKET_BUFFER,
            threads: 0,
            rules,
            map,
            settings,
            interest: InterestSettings::default(),
            snapshot_kbit_max: SNAPSHOT_KBIT_MAX,
            snapshot_form: Form::Shared,
            spectators_max: 0,
            spectator_delay: SPECTATOR_DELAY,
            kill_cam: Duration::ZERO,
            seed: None,
            record_dir: None,
            ship_recordings: None,
            outbox_dir: None,
            outbox_keep: OUTBOX_KEEP,
            services: None,
            agones: None,
            operate_bearer: None,
            drain_grace: DRAIN_GRACE,
            shed: Shed::Off,
            matches: 0,
            intermission: Duration::from_secs(3),
            plugins: Arc::new(|_| ()),
            observer: None,
            on_recorded: None,
            on_anomaly: None,
            scripted_bytes: None,
        }
    }
}
