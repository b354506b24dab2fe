//! Whether a view says what its log says: it is built again in a scratch file and compared by content.

use std::path::{Path, PathBuf};

use arbiter_eventlog::{OpenError, Record};
use thiserror::Error;

use crate::error::{FollowError, QueryError, ReadError};
use crate::fold::Fold;
use crate::hash::content_hash;
use crate::queries::{Moment, Queries};
use crate::source::Source;
use crate::view::View;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildCheck {
    /// Records before this position are in both.
    pub position: u64,
    /// Content of the view that grew, BLAKE3.
    pub grown: [u8; 32],
    /// Content of the one that was built again.
    pub rebuilt: [u8; 32],
}

impl RebuildCheck {
    /// Whether both are the same. If they are not, throw the view's file away and start the service again, and tell us:
    /// either its disk rots or its fold is not a function of the log.
    pub fn is_same(&self) -> bool {
        self.grown == self.rebuilt
    }
}

/// Why nothing was compared.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The view that is there.
    #[error(transparent)]
    Grown(#[from] QueryError),
    /// The log is shorter than the view.
    #[error("the view has {position} records and the log {end}: start the service, which builds its view again")]
    Short {
        /// Records in the view.
        position: u64,
        /// Records in the log.
        end: u64,
    },
    /// A scratch file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The view that is built again.
    #[error("the view that is built again: {0}")]
    Rebuilt(#[from] crate::error::OpenError),
    /// Following the log.
    #[error("the view that is built again: {0}")]
    Follow(#[from] FollowError),
}

/// The log up to a position.
struct UpTo<'a, S> {
    source: &'a S,
    end: u64,
}

impl<S: Source> Source for UpTo<'_, S> {
    fn id(&self) -> [u8; 16] {
        self.source.id()
    }

    fn start(&self) -> u64 {
        self.source.start()
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        self.source.read(from, bytes, into)?;
        into.retain(|record| record.position < self.end);
        Ok(())
    }
}

/// Removes a scratch file when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", ".lock"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(ending);
            let _ = std::fs::remove_file(Path::new(&name));
        }
    }
}

/// Builds the view of a file again in a scratch file beside it, and compares. Its writer may go on meanwhile, here or in another
/// process. It takes the time and the disk space that the view takes.
///
/// `look` is shown the view at the moment that is compared; with what it says, `begin` gives the fold and the log, which must
/// be opened there, so that it has all that the view has.
///
/// # Errors
/// If there is no view, or no log, or the view cannot be built again.
pub fn rebuild_check<T, F: Fold, S: Source, E: From<CheckError>>(
    path: &Path,
    look: impl FnOnce(&Moment<'_>) -> Result<T, ReadError>,
    begin: impl FnOnce(T) -> Result<(F, S), E>,
) -> Result<RebuildCheck, E> {
    let queries = Queries::open(path, 1);
    let seen = queries.read(|moment| Ok((moment.position, content_hash(moment.connection)?, look(moment)?)));
    let (position, grown, said) = seen.map_err(CheckError::from)?;
    let (fold, source) = begin(said)?;
    Ok(rebuild(path, fold, &source, position).map(|rebuilt| RebuildCheck { position, grown, rebuilt })?)
}

fn rebuild<F: Fold>(path: &Path, fold: F, source: &impl Source, position: u64) -> Result<[u8; 32], CheckError> {
    if source.end() < position {
        return Err(CheckError::Short { position, end: source.end() });
    }
    let number = std::process::id();
    let scratch = Scratch(path.with_extension(format!("check-{number}.sqlite")));
    let source = UpTo { source, end: position };
    let (mut view, _) = View::open(&scratch.0, fold, &source)?;
    while view.follow(&source)? > 0 {}
    view.apply(&[]).map_err(FollowError::from)?;
    Ok(view.queries(1).read(|moment| content_hash(moment.connection))?)
}
