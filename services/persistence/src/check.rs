//! Whether the view says what the log says: it is built again in a scratch file and compared by content.

use std::path::{Path, PathBuf};

use arbiter_eventlog::{Folder, OpenError, Reader, Record};
use arbiter_views::{Queries, Source, View, content_hash};

use crate::config::PersistenceConfig;
use crate::error::CheckError;
use crate::facts::{Facts, waiting};
use crate::replays::Asked;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildCheck {
    /// Events before this position are in both.
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

/// The log up to a position.
struct UpTo<'a> {
    reader: &'a Reader<Folder>,
    end: u64,
}

impl Source for UpTo<'_> {
    fn id(&self) -> [u8; 16] {
        self.reader.id()
    }

    fn start(&self) -> u64 {
        self.reader.start()
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        self.reader.read(from, bytes, into)?;
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

/// Builds the view again in a scratch file beside it, and compares. The service may run meanwhile, here or in another
/// process. It takes the time and the disk space that the view takes.
///
/// # Errors
/// If there is no view, or no log, or the view cannot be built again.
pub fn rebuild_check(config: &PersistenceConfig) -> Result<RebuildCheck, CheckError> {
    let path = config.view_path();
    let queries = Queries::open(&path, 1);
    let (position, grown, replayed) = queries.read(|moment| {
        Ok((moment.position, content_hash(moment.connection)?, waiting::replayed(moment.connection)?))
    })?;
    // What is asked for from now on is not in the view that was hashed.
    let replays = match Folder::at(&config.replays_path()) {
        Ok(folder) => Asked::read(folder)?.first(replayed),
        Err(_) => Asked::default(),
    };
    let reader = Reader::open(Folder::at(&config.events)?, config.events_masters.clone())?;
    if reader.end() < position {
        return Err(CheckError::Short { position, end: reader.end() });
    }
    let number = getrandom::u64().map_err(std::io::Error::other)?;
    let scratch = Scratch(path.with_file_name(format!("check-{number:016x}.sqlite")));
    let source = UpTo { reader: &reader, end: position };
    let (mut view, _) = View::open(&scratch.0, Facts::new(replays), &source)?;
    while view.follow(&source)? > 0 {}
    view.apply(&[])?;
    let rebuilt = view.queries(1).read(|moment| content_hash(moment.connection))?;
    drop(view);
    Ok(RebuildCheck { position, grown, rebuilt })
}
