//! `--ship-recordings`: copies of running matches on another machine, so that a match can go on there when this one is lost. Blocks
//! are copied as they are closed, with what stands beside the recording, on a thread of its own: whatever the other side does,
//! nothing here waits for it. What could not be copied waits where it is anyway, on the disk.
//!
//! A copy is a folder of recordings like any other ([`folder`]), or lies with whatever takes files over HTTP ([`shipments`]), from
//! where [`fetch`] brings it back. A server that is started with such a folder takes its matches up.

mod depot;
pub(crate) mod fetch;
mod folder;
mod manifest;
mod shipments;
mod trust;

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arbiter_metrics::Lag;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use self::depot::Depot;
pub use self::depot::{DepotAddress, DepotError};
use self::folder::FolderCarrier;
use self::shipments::Shipments;
use crate::outward::{CircuitFigures, Patience};
use crate::{ServerConfig, StartError};

/// Between two looks for something new: what is lost with a machine beside the block that was not closed.
const LOOK: Duration = Duration::from_millis(250);

/// When the server ends, what is left is tried for so long; what is not there then goes out with the next start.
const ENDING: Duration = Duration::from_secs(10);

/// Where copies of running recordings go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipTo {
    /// A folder, on another machine's disk.
    Folder(PathBuf),
    /// Whatever takes files over HTTP.
    Depot(DepotAddress),
}

/// How shipping recordings does.
#[derive(Debug)]
pub(crate) struct FreightStats {
    /// For how long something may have been closed that is not there yet.
    pub lag: Lag,
    pub bytes: AtomicU64,
    pub failures: AtomicU64,
    pub circuit: CircuitFigures,
}

impl Default for FreightStats {
    fn default() -> Self {
        Self {
            lag: Lag::new(Instant::now()),
            bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            circuit: CircuitFigures::default(),
        }
    }
}

impl FreightStats {
    fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The thread; it copies what is left when it is dropped.
#[derive(Debug)]
pub(crate) struct Freight {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Freight {
    /// Begins to copy recordings, if it is wished.
    pub fn start(config: &ServerConfig, stats: Arc<FreightStats>) -> Result<Option<Self>, StartError> {
        let (Some(from), Some(to)) = (&config.record_dir, &config.ship_recordings) else { return Ok(None) };
        let carrier = match to {
            ShipTo::Folder(path) => {
                let error = |error| StartError::ShipRecordings { path: path.clone(), error };
                std::fs::create_dir_all(path).map_err(error)?;
                Carrier::Folder(FolderCarrier::new(from, path, Arc::clone(&stats)))
            }
            ShipTo::Depot(address) => Carrier::Depot(Shipments::new(from, Depot::new(address)?, Arc::clone(&stats))),
        };
        let (stop, stopped) = bounded(0);
        let patience = Patience::new(depot::POLICY, &stats.circuit);
        let carting = Carting { carrier, stats, patience };
        let run = move || carting.run(&stopped);
        let thread = std::thread::Builder::new().name("freight".to_owned()).spawn(run).map_err(StartError::Thread)?;
        Ok(Some(Self { stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for Freight {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

enum Carrier {
    Folder(FolderCarrier),
    Depot(Shipments),
}

impl Carrier {
    /// Copies what is new; why not, otherwise, for a log line.
    fn carry(&mut self) -> Result<(), String> {
        match self {
            Self::Folder(folder) => folder.carry().map_err(|error| format!("{}: {error}", folder.to().display())),
            Self::Depot(shipments) => shipments.carry().map_err(|error| error.to_string()),
        }
    }
}

struct Carting {
    carrier: Carrier,
    stats: Arc<FreightStats>,
    patience: Patience,
}

impl Carting {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut wait = Duration::ZERO;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = self.carry().unwrap_or(LOOK);
        }
        // The recorder has ended: what is on the disk now is all.
        let until = Instant::now() + ENDING;
        while let Some(wait) = self.carry() {
            if Instant::now() + wait >= until {
                tracing::error!(
                    "the last blocks of recordings are not copied; they go out when this server starts again"
                );
                return;
            }
            std::thread::sleep(wait);
        }
    }

    /// Copies what is new; how long to wait if that failed.
    fn carry(&mut self) -> Option<Duration> {
        let at = Instant::now();
        self.patience.begin();
        let Err(why) = self.carrier.carry() else {
            if self.patience.was_told() {
                tracing::warn!("recordings are copied again; nothing is missing");
            }
            self.patience.reset();
            // What waits is blocks of open files, which nobody counts: all that was closed at this time is there.
            self.stats.lag.note(at, 0, 0);
            return None;
        };
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        let wait = self.patience.wait();
        if self.patience.is_told() {
            tracing::error!(
                "recordings are not copied, and could not go on elsewhere if this machine were lost: {why}"
            );
        }
        Some(wait)
    }
}

/// What a running recording and what stands beside it are called in a folder.
fn files(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let of = |extension| folder.join(format!("{name}.{extension}"));
    (of(arbiter_recording::EXTENSION), of(super::companion::EXTENSION))
}
