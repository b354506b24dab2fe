//! Brings running matches back from a depot into a folder of recordings, for a server that is started with it to go on with.
//!
//! Which server does so, and that the first one is really dead, is for whoever calls this to know.

use core::time::Duration;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::depot::{Depot, DepotAddress, DepotError};
use super::files;
use super::manifest::{self, Manifest, PART_BYTES_MAX, RUNNING, Running, VERSION};
use crate::resume::RESUME_WITHIN;

/// Why a match is not brought.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The depot does not give it.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The folder does not take it.
    #[error("{path}: {error}; choose an empty folder that this user may write to")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is there.
    #[error("{0} is there already; choose another folder")]
    Exists(PathBuf),
    /// What lies there is something else.
    #[error(
        "{name}: {why}; check that the address is what a server was given with --ship-recordings, and that both are of one version"
    )]
    Content {
        /// Below the address.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// What became of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is in the folder; bytes of its recording.
    Brought(PathBuf, u64),
    /// It is over, or was last written so long ago that no server takes it up again.
    Left(String, &'static str),
}

/// Brings all matches that run, those too that no server would take up again if `old` says so.
pub fn fetch(from: &DepotAddress, to: &Path, old: bool) -> Result<Vec<Fetched>, FetchError> {
    let depot = Depot::new(from)?;
    std::fs::create_dir_all(to).map_err(|error| FetchError::File { path: to.to_owned(), error })?;
    let running: Running = read(&depot, RUNNING)?.ok_or_else(|| content(RUNNING, "nothing lies there"))?;
    if running.version != VERSION {
        return Err(content(RUNNING, &format!("version {}, not {VERSION}", running.version)));
    }
    running.matches.iter().map(|name| bring(&depot, name, to, old)).collect()
}

fn bring(depot: &Depot, name: &str, to: &Path, old: bool) -> Result<Fetched, FetchError> {
    if !manifest::is_match(name) {
        return Err(content(RUNNING, &format!("{name:?} is no name of a match")));
    }
    let left = |why| Ok(Fetched::Left(name.to_owned(), why));
    let Some(manifest) = read::<Manifest>(depot, &manifest::manifest_of(name))? else {
        return left("it had only begun");
    };
    let Some(notes) = &manifest.notes else { return left("it is over") };
    let written = UNIX_EPOCH + Duration::from_secs(manifest.written);
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    if age > RESUME_WITHIN && !old {
        return left("it was last written so long ago that no server takes it up again");
    }
    let (recording, beside) = files(to, name);
    let error = |path: &Path| {
        let path = path.to_owned();
        move |error| FetchError::File { path, error }
    };
    if recording.exists() || beside.exists() {
        return Err(FetchError::Exists(recording));
    }
    let fresh = recording.with_extension("arbrec-new");
    let mut file = File::create(&fresh).map_err(error(&fresh))?;
    write_parts(depot, name, &manifest, &mut file)?.map_err(error(&fresh))?;
    // How long ago it was played is told by the file's time.
    file.set_modified(written).and_then(|()| file.sync_all()).map_err(error(&fresh))?;
    std::fs::rename(&fresh, &recording).map_err(error(&recording))?;
    // Last: what is beside it is what makes a server look at it.
    let fresh = beside.with_extension("resume-new");
    std::fs::write(&fresh, notes).map_err(error(&fresh))?;
    std::fs::rename(&fresh, &beside).map_err(error(&beside))?;
    Ok(Fetched::Brought(recording, manifest.bytes))
}

fn write_parts(
    depot: &Depot,
    name: &str,
    manifest: &Manifest,
    file: &mut File,
) -> Result<Result<(), io::Error>, FetchError> {
    let mut bytes = 0;
    for number in 0..manifest.parts {
        let part_name = manifest::part_of(name, &manifest.generation, number);
        let part = depot.get(&part_name, PART_BYTES_MAX)?.ok_or_else(|| content(&part_name, "it is missing"))?;
        bytes += part.len() as u64;
        if bytes > manifest.bytes {
            break;
        }
        if let Err(error) = file.write_all(&part) {
            return Ok(Err(error));
        }
    }
    if bytes == manifest.bytes {
        return Ok(Ok(()));
    }
    let why = format!("its parts have {bytes} bytes, not {}", manifest.bytes);
    Err(content(&manifest::manifest_of(name), &why))
}

fn read<T: serde::de::DeserializeOwned>(depot: &Depot, name: &str) -> Result<Option<T>, FetchError> {
    let Some(bytes) = depot.get(name, manifest::BYTES_MAX)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| content(name, &error.to_string()))
}

fn content(name: &str, why: &str) -> FetchError {
    FetchError::Content { name: name.to_owned(), why: why.to_owned() }
}
