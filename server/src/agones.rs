//! A server in an Agones fleet: ready when its rooms can be joined, never deleted while it is played on, gone when it is drained.
//! Without Agones nothing of this runs, and everything else does the same.
//!
//! Two threads: `watch` reads what the sidecar tells of this game server; `agones` pings, asks and tells. Any of it may fail at
//! any time, and the sidecar may be started again: both begin anew, and everything is told again. Nothing here makes a tick wait.
//!
//! | file | what |
//! | --- | --- |
//! | [`sidecar`] | the calls |
//! | [`lifecycle`] | which state is wanted, and when it is asked for |
//! | [`tallies`] | counters and lists |
//! | `keeper` | the thread that does it |
//! | `fetch` | the settings of matches that are ordered by id |
//!
//! What an allocation can order stands in [`crate::order`].

mod fetch;
mod keeper;
pub mod lifecycle;
pub mod sidecar;
pub mod tallies;

use core::net::SocketAddr;
use core::time::Duration;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_contracts::servers::ADDRESSES_MAX;
use crossbeam::channel::{SendTimeoutError, Sender, bounded};

use self::fetch::Fetching;
use self::keeper::Keeper;
pub(crate) use self::keeper::Word;
use self::sidecar::{GameServer, POLICY, Sidecar, SidecarError, State};
use crate::outward::{CircuitFigures, Patience};
use crate::{Shared, StartError};

/// How this server talks to Agones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agones {
    /// Where the sidecar listens on this machine.
    pub port: u16,
    /// The server does not start unless the sidecar answers within this time; `None` lets it come whenever it does.
    pub answers_within: Option<Duration>,
}

/// Words of operators that may wait: each is done within seconds.
const WORDS_MAX: usize = 16;

/// The port of the spec that players use, if there are several.
pub const GAME_PORT: &str = "game";

/// Agones knows where a server is before its container starts; the sidecar may be later.
const ADDRESS_WITHIN: Duration = Duration::from_secs(30);

/// A busy thread that is told that the watch is gone has heard it by then, or will find out.
const LOST_WITHIN: Duration = Duration::from_secs(2);

/// How it goes with Agones.
#[derive(Debug, Default)]
pub(crate) struct AgonesStats {
    /// Whether the watch stands.
    pub connected: AtomicBool,
    /// The state that the watch told last: a place in [`State::ALL`] and 1 more; 0 if none was told.
    state: AtomicU8,
    /// Health pings that were taken.
    pub pings: AtomicU64,
    /// Watches that began to tell.
    pub watches: AtomicU64,
    /// Calls that failed, those of the watch too.
    pub failures: AtomicU64,
    /// Orders that were taken, and that were refused.
    pub orders: AtomicU64,
    pub orders_refused: AtomicU64,
    pub circuit: CircuitFigures,
    pub watch_circuit: CircuitFigures,
}

impl AgonesStats {
    pub fn state(&self) -> Option<State> {
        let at = self.state.load(Ordering::Relaxed).checked_sub(1)?;
        State::ALL.get(usize::from(at)).copied()
    }

    fn set_state(&self, state: State) {
        let at = State::ALL.iter().position(|known| *known == state).unwrap_or(0);
        self.state.store(at as u8 + 1, Ordering::Relaxed);
    }
}

/// The threads. Dropping it tells Agones that the process ends, and waits until Agones has heard it.
#[derive(Debug)]
pub(crate) struct Fleet {
    words: Option<Sender<Word>>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Starts telling Agones of a server, whose words come through the queue.
    pub fn start(shared: &Arc<Shared>, agones: Agones) -> Result<Self, StartError> {
        let sidecar = Sidecar::new(agones.port);
        let (words, heard) = bounded(WORDS_MAX);
        // The only one who sets it.
        let _ = shared.agones_words.set(words.clone());
        let (watching, shared_too, tell) = (sidecar.clone(), Arc::clone(shared), words.clone());
        let watch = move || watch(&watching, &shared_too, &tell);
        // Nobody waits for it: it may be reading from a sidecar that says nothing.
        std::thread::Builder::new().name("agones-watch".to_owned()).spawn(watch).map_err(StartError::Thread)?;
        let services = shared.config.services.as_ref();
        let fetching = services.map(|services| Fetching::start(shared, services, words.clone())).transpose();
        let keeper = Keeper::new(Arc::clone(shared), sidecar, fetching.map_err(StartError::Thread)?);
        let keep = move || keeper.run(&heard);
        let thread = std::thread::Builder::new().name("agones".to_owned()).spawn(keep).map_err(StartError::Thread)?;
        Ok(Self { words: Some(words), thread: Some(thread) })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.words.take().map(|words| words.send(Word::End));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Keeps the server for so many seconds, unless it has players; false if there is no Agones to be told.
    pub(crate) fn reserve(&self, seconds: u32) -> bool {
        self.agones_words.get().is_some_and(|words| words.try_send(Word::Reserve(seconds)).is_ok())
    }
}

/// Waits until the sidecar answers, if it must.
pub(crate) fn wait_for(agones: Agones) -> Result<(), SidecarError> {
    let Some(time) = agones.answers_within else { return Ok(()) };
    let sidecar = Sidecar::new(agones.port);
    let (until, mut patience) = (Instant::now() + time, Patience::new(POLICY, &CircuitFigures::default()));
    loop {
        let Err(error) = sidecar.game_server() else { return Ok(()) };
        let wait = patience.wait();
        if Instant::now() + wait >= until {
            return Err(error);
        }
        std::thread::sleep(wait);
    }
}

/// Where players reach this server, as Agones says it: it chooses the node and its port.
pub(crate) fn public_addresses(agones: Agones) -> Result<Vec<SocketAddr>, String> {
    let sidecar = Sidecar::new(agones.port);
    let (until, mut patience) = (Instant::now() + ADDRESS_WITHIN, Patience::new(POLICY, &CircuitFigures::default()));
    loop {
        let why = match sidecar.game_server() {
            Ok(told) => match addresses_of(&told) {
                Ok(addresses) => return Ok(addresses),
                Err(why) => why,
            },
            Err(error) => error.to_string(),
        };
        let wait = patience.wait();
        if Instant::now() + wait >= until {
            return Err(why);
        }
        std::thread::sleep(wait);
    }
}

fn addresses_of(told: &GameServer) -> Result<Vec<SocketAddr>, String> {
    let named = told.ports.iter().find(|(name, _)| name == GAME_PORT).or(told.ports.first());
    let (_, port) = named.ok_or("the game server has no port; declare one in its spec")?;
    let found =
        (told.address.as_str(), *port).to_socket_addrs().map_err(|error| format!("{:?}: {error}", told.address))?;
    let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() { Err(format!("{:?} is no address", told.address)) } else { Ok(addresses) }
}

/// Watches until nobody listens any more.
fn watch(sidecar: &Sidecar, shared: &Shared, words: &Sender<Word>) {
    let stats = &shared.agones;
    let mut patience = Patience::new(POLICY, &stats.watch_circuit);
    // Whether it may be another sidecar.
    let mut anew = true;
    loop {
        let mut listens = true;
        patience.begin();
        let result = sidecar.watch(|told| {
            if core::mem::take(&mut anew) {
                stats.watches.fetch_add(1, Ordering::Relaxed);
                patience.reset();
                listens = words.send(Word::Connected).is_ok();
            }
            stats.connected.store(true, Ordering::Relaxed);
            listens = listens && words.send(Word::Told(Box::new(told))).is_ok();
            listens
        });
        if !listens {
            return;
        }
        // Over its time, it is begun anew without a word.
        let Err(error) = result else { continue };
        anew = true;
        stats.connected.store(false, Ordering::Relaxed);
        stats.failures.fetch_add(1, Ordering::Relaxed);
        tracing::debug!("the watch of Agones begins anew: {error}");
        // Full: the thread is busy, and will find out.
        if matches!(words.send_timeout(Word::Lost, LOST_WITHIN), Err(SendTimeoutError::Disconnected(_))) {
            return;
        }
        std::thread::sleep(patience.wait());
    }
}
