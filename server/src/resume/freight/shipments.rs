//! What of which recording is at a depot, and what comes next. Nothing waits in memory but the part that is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use arbiter_recording::BlockHeader;
use arbiter_recording::block::{FRAME_BYTES, PREAMBLE_BYTES};
use thiserror::Error;

use super::depot::{Depot, DepotError};
use super::manifest::{self, Manifest, PART_BYTES, RUNNING, Running, VERSION};
use super::{FreightStats, files};
use crate::resume::companion;

/// Calls at a time: a store answers in 20 ms, and 256 rooms close a block each two seconds.
const CALLS_MAX: usize = 4;

/// Matches of other servers that stay in the list of those that run, for whoever fetches them.
const OTHERS_MAX: usize = 1_024;

/// What parts are.
const PART_TYPE: &str = "application/octet-stream";
const JSON_TYPE: &str = "application/json";

/// Why something was not shipped.
#[derive(Debug, Error)]
pub(super) enum ShipError {
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{RUNNING} is not what this build writes: {0}; choose another address with --ship-recordings")]
    Running(String),
}

/// A recording that is being shipped.
#[derive(Debug, Default)]
struct Shipment {
    /// What is there, of whole blocks, and of how many parts.
    bytes: u64,
    parts: u32,
    /// What the manifest says of it.
    told: Option<(u64, bool)>,
}

/// See the module.
pub(super) struct Shipments {
    from: PathBuf,
    depot: Depot,
    stats: Arc<FreightStats>,
    generation: String,
    /// By the match's name.
    open: BTreeMap<String, Shipment>,
    /// What [`RUNNING`] says; `None` before it was asked for.
    listed: Option<BTreeSet<String>>,
}

impl Shipments {
    pub fn new(from: &Path, depot: Depot, stats: Arc<FreightStats>) -> Self {
        // A system without randomness has made no keys either, so that no server runs on it.
        let generation = format!("{:016x}", getrandom::u64().unwrap_or(0));
        Self { from: from.to_owned(), depot, stats, generation, open: BTreeMap::new(), listed: None }
    }

    /// Ships what is new.
    pub fn carry(&mut self) -> Result<(), ShipError> {
        self.depot.read_headers()?;
        let running = self.running().map_err(|error| ShipError::File { path: self.from.clone(), error })?;
        self.list(&running)?;
        for name in &running {
            self.open.entry(name.clone()).or_default();
        }
        self.ship(&running)?;
        // Behind their last manifest: whoever lost sight of this server must find them until then.
        self.open.retain(|name, shipment| running.contains(name) || shipment.told.is_none_or(|(_, over)| !over));
        self.list(&running)
    }

    /// Matches that run, and those that a process before this one left behind.
    fn running(&self) -> io::Result<BTreeSet<String>> {
        let mut running = BTreeSet::new();
        for entry in std::fs::read_dir(&self.from)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == companion::EXTENSION)
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
                && manifest::is_match(name)
            {
                running.insert(name.to_owned());
            }
        }
        Ok(running)
    }

    /// Says which matches run, before they are shipped and once they are over.
    fn list(&mut self, running: &BTreeSet<String>) -> Result<(), ShipError> {
        let known = match self.listed.take() {
            Some(known) => known,
            None => self.adopt()?,
        };
        let here = |name: &String| files(&self.from, name).0.exists();
        let others = known.iter().filter(|name| !here(name)).take(OTHERS_MAX);
        let wanted: BTreeSet<String> = running.iter().chain(self.open.keys()).chain(others).cloned().collect();
        if wanted != known {
            let body = Running { version: VERSION, matches: wanted.iter().cloned().collect() };
            // A list of texts: it can always be written.
            let body = serde_json::to_vec(&body).unwrap_or_default();
            let put = self.depot.put(RUNNING, JSON_TYPE, &body);
            if let Err(error) = put {
                self.listed = Some(known);
                return Err(error.into());
            }
        }
        self.listed = Some(wanted);
        Ok(())
    }

    /// Asks what a process before this one said, and goes on with what it had not shipped to its end.
    fn adopt(&mut self) -> Result<BTreeSet<String>, ShipError> {
        let Some(bytes) = self.depot.get(RUNNING, manifest::BYTES_MAX)? else { return Ok(BTreeSet::new()) };
        let found: Running = serde_json::from_slice(&bytes).map_err(|error| ShipError::Running(error.to_string()))?;
        if found.version != VERSION {
            return Err(ShipError::Running(format!("version {}, not {VERSION}", found.version)));
        }
        let names = found.matches.into_iter().filter(|name| manifest::is_match(name));
        let known: BTreeSet<String> = names.collect();
        for name in known.iter().filter(|name| files(&self.from, name).0.exists()) {
            self.open.entry(name.clone()).or_default();
        }
        Ok(known)
    }

    /// Ships what is new of each recording, some of them at a time.
    fn ship(&mut self, running: &BTreeSet<String>) -> Result<(), ShipError> {
        let Self { from, depot, stats, generation, open, .. } = self;
        let shipper = Shipper { from, depot, stats, generation };
        let calls = CALLS_MAX.min(open.len());
        let work = Mutex::new(open.iter_mut());
        let (failed, first) = (AtomicBool::new(false), Mutex::new(None));
        let next = || work.lock().ok().filter(|_| !failed.load(Ordering::Relaxed))?.next();
        let ship = || {
            while let Some((name, shipment)) = next() {
                if let Err(error) = shipper.ship(name, shipment, running.contains(name)) {
                    // Where one call failed the next would: whoever waits for all of them waits long.
                    failed.store(true, Ordering::Relaxed);
                    if let Ok(mut first) = first.lock() {
                        first.get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..calls {
                scope.spawn(ship);
            }
            ship();
        });
        first.into_inner().ok().flatten().map_or(Ok(()), Err)
    }
}

/// Ships one recording at a time.
struct Shipper<'a> {
    from: &'a Path,
    depot: &'a Depot,
    stats: &'a FreightStats,
    generation: &'a str,
}

impl Shipper<'_> {
    /// Ships what is new of a recording, then says so.
    fn ship(&self, name: &str, shipment: &mut Shipment, is_running: bool) -> Result<(), ShipError> {
        let (path, beside) = files(self.from, name);
        let error = |error| ShipError::File { path: path.clone(), error };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                // Somebody removed it: there is nothing left to ship.
                shipment.told = Some((0, true));
                return Ok(());
            }
            Err(other) => return Err(error(other)),
        };
        let length = file.metadata().map_err(error)?.len();
        let mut until = end_of_part(&mut file, shipment.bytes, length, is_running).map_err(error)?;
        if until == shipment.bytes && shipment.told == Some((until, !is_running)) {
            return Ok(());
        }
        // Behind the length of the recording: who joined in any of its ticks is in it.
        let notes = is_running.then(|| companion::condensed(&beside)).transpose();
        let Ok(notes) = notes else {
            // It ended a moment ago: the next look ships its end.
            return Ok(());
        };
        while until > shipment.bytes {
            let part = read_part(&mut file, shipment.bytes, until).map_err(error)?;
            self.depot.put(&manifest::part_of(name, self.generation, shipment.parts), PART_TYPE, &part)?;
            self.stats.sent(part.len() as u64);
            (shipment.bytes, shipment.parts) = (until, shipment.parts + 1);
            until = end_of_part(&mut file, until, length, is_running).map_err(error)?;
        }
        if shipment.parts > 0 && shipment.told != Some((shipment.bytes, !is_running)) {
            let written = file.metadata().and_then(|it| it.modified()).map_err(error)?;
            let written = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let (generation, parts, bytes) = (self.generation.to_owned(), shipment.parts, shipment.bytes);
            let manifest = Manifest { version: VERSION, generation, parts, bytes, written, notes };
            let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
            self.depot.put(&manifest::manifest_of(name), JSON_TYPE, &manifest)?;
            shipment.told = Some((bytes, !is_running));
        }
        Ok(())
    }
}

/// Where the part that begins at `from` ends: behind whole blocks, and of a recording that is over anywhere.
fn end_of_part(file: &mut File, from: u64, length: u64, is_running: bool) -> io::Result<u64> {
    if !is_running {
        return Ok(length.max(from).min(from + PART_BYTES));
    }
    let mut until = from;
    let mut at = from.max(PREAMBLE_BYTES as u64);
    while until < from + PART_BYTES && at + FRAME_BYTES as u64 <= length {
        let mut frame = [0; FRAME_BYTES];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut frame)?;
        // A torn one is cut off by whoever goes on with the recording.
        let Some(block) = BlockHeader::from_bytes(&frame) else { break };
        at += FRAME_BYTES as u64 + u64::from(block.payload_bytes);
        if at > length {
            break;
        }
        until = at;
    }
    Ok(until)
}

fn read_part(file: &mut File, from: u64, until: u64) -> io::Result<Vec<u8>> {
    let mut part = vec![0; (until - from) as usize];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut part)?;
    Ok(part)
}
