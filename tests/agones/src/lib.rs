//! A double of Agones' sidecar and of what stands behind it: a real HTTP server that answers as `sdk-server` does, and a cluster that
//! does what it is asked some time later, or never.
//!
//! What it does as Agones does, from its source and its documentation (docs/decisions/agones.md says which):
//!
//! - a state that was asked for comes later, in the order asked, through `RequestReady` where that is so; what was asked and not
//!   done yet is forgotten by a sidecar that is started again, what was done stays in the cluster;
//! - health is counted from the first probe of the kubelet on; `Unhealthy` stays whatever is asked;
//! - a watch tells what is at once and then each change, a line of JSON each; a sidecar that is started again drops every connection;
//! - numbers of 64 bits are texts; a name that nobody declared is answered with 500 and words; a ping without a body with 400.
//!
//! Start at [`Double`]. What calls Agones' own conformance mode wants to see stands in [`CONFORMANCE`].

mod cluster;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::wire::Running;

pub use cluster::{Allocation, Cluster, Counter, List};

/// The calls of a conformance run, by the names of Agones: `DEFAULT_CONFORMANCE_TESTS` in its `build/includes/sdk.mk`, and what its
/// test of the REST API calls of counters and lists.
pub const CONFORMANCE: [&str; 17] = [
    "ready",
    "allocate",
    "setlabel",
    "setannotation",
    "gameserver",
    "health",
    "shutdown",
    "watch",
    "reserve",
    "getcounter",
    "updatecounter",
    "setcountcounter",
    "setcapacitycounter",
    "getlist",
    "updatelist",
    "addlistvalue",
    "removelistvalue",
];

/// How slow and how strict it is.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Until what was asked is done: Agones writes once a second.
    pub delay: Duration,
    /// Until any call is answered.
    pub latency: Duration,
    /// Between two counts of missing pings.
    pub health_period: Duration,
    /// So many missing ones make it unhealthy.
    pub health_threshold: u32,
}

impl Default for Manners {
    /// As quick as a test wants it, as strict as Agones is.
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(50),
            latency: Duration::ZERO,
            health_period: Duration::from_secs(5),
            health_threshold: 3,
        }
    }
}

/// What the sidecar and the test share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub manners: Manners,
    pub cluster: Mutex<Cluster>,
    /// Is told of each change of the cluster.
    pub changes: tokio::sync::watch::Sender<u64>,
    /// What was called, by its conformance name, in order.
    pub calls: Mutex<Vec<&'static str>>,
}

impl Shared {
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        // Whatever a failed test left there, others want their message.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let result = change(&mut self.cluster());
        self.changes.send_modify(|version| *version += 1);
        result
    }

    pub fn note(&self, call: &'static str) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// A sidecar that runs; dropping it ends it.
#[derive(Debug)]
pub struct Double {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Option<Running>,
}

impl Double {
    /// Starts one on any free port of this machine.
    pub fn start(manners: Manners) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (changes, _) = tokio::sync::watch::channel(0);
        let cluster = Mutex::new(Cluster::new());
        let shared = Arc::new(Shared { manners, cluster, changes, calls: Mutex::default() });
        let running = Some(wire::serve(listener, Arc::clone(&shared))?);
        Ok(Self { shared, address, running })
    }

    /// What belongs into `AGONES_SDK_HTTP_PORT`.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What was called since the start, by conformance names.
    pub fn calls(&self) -> Vec<&'static str> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often something was called.
    pub fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|made| **made == call).count()
    }

    /// The state that the cluster has.
    pub fn state(&self) -> String {
        self.shared.cluster().state.clone()
    }

    /// Looks at the cluster.
    pub fn look<T>(&self, look: impl FnOnce(&Cluster) -> T) -> T {
        look(&self.shared.cluster())
    }

    /// Changes the cluster from outside, as `kubectl` does.
    pub fn change(&self, change: impl FnOnce(&mut Cluster)) {
        self.shared.change(change);
    }

    /// Allocates as a `GameServerAllocation` does; whether this game server was chosen.
    pub fn allocate(&self, allocation: &Allocation) -> bool {
        self.shared.change(|cluster| cluster.allocate(allocation))
    }

    /// The kubelet's first probe of the sidecar: from now on missing pings are counted.
    pub fn probe(&self) {
        if let Some(running) = &self.running {
            running.handle.spawn(wire::count_pings(Arc::clone(&self.shared)));
        }
    }

    /// Ends the sidecar: connections drop, and what was asked and not done is forgotten.
    pub fn stop(&mut self) {
        drop(self.running.take());
        self.shared.cluster().forget();
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.stop();
        let listener = bind_again(self.address)?;
        self.running = Some(wire::serve(listener, Arc::clone(&self.shared))?);
        Ok(())
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Connections of the one before may linger for a moment.
fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(address) {
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
            bound => return bound,
        }
    }
}
