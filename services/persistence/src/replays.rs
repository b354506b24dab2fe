//! Which replays of the quarantine were asked for, and before which event: a small log of its own.
//!
//! Without it a view that is built again would differ from one that grew, because somebody's hand is in one of them. A
//! record is format (1 byte, now 1), position of the log of events (8), player (8), little endian; its id is its
//! number.

use std::sync::{Arc, PoisonError, RwLock};

use arbiter_eventlog::{AppendError, CommitError, Disk, Log, OpenError, Options, Reader, Record};
use thiserror::Error;

/// Replays that may ever be asked for: each is somebody's hand, and a view that is built again does them all.
pub const REPLAYS_MAX: usize = 65_536;

const FORMAT: u8 = 1;
const RECORD_BYTES: usize = 17;

/// A replay that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// It is done before the event at this position.
    pub at: u64,
    /// Whose events are tried again.
    pub player: u64,
}

/// All that were asked for, in order; clones share the list.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<RwLock<Vec<Replay>>>);

impl Asked {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The replay of a number.
    pub fn get(&self, number: usize) -> Option<Replay> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(number).copied()
    }

    /// A list of its own of the first of these.
    pub fn first(&self, count: usize) -> Self {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Self(Arc::new(RwLock::new(all.iter().take(count).copied().collect())))
    }

    fn push(&self, replay: Replay) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(replay);
    }

    fn note(&self, record: &Record) -> Result<(), ReplayError> {
        let bytes: &[u8; RECORD_BYTES] =
            record.data.as_slice().try_into().map_err(|_| ReplayError::Unknown(record.position))?;
        let [FORMAT, at @ .., _, _, _, _, _, _, _, _] = bytes else {
            return Err(ReplayError::Unknown(record.position));
        };
        let mut player = [0; 8];
        player.copy_from_slice(&bytes[9..]);
        self.push(Replay { at: u64::from_le_bytes(*at), player: u64::from_le_bytes(player) });
        Ok(())
    }

    /// Reads them beside whoever writes them; none if there is no log.
    ///
    /// # Errors
    /// Those of the log.
    pub fn read<D: Disk>(disk: D) -> Result<Self, ReplayError> {
        let all = Self::default();
        match Reader::open(disk, None) {
            Ok(reader) => read_all(&all, reader.end(), |from, records| reader.read(from, READ_BYTES, records))?,
            Err(OpenError::NotThere) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(all)
    }
}

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

fn read_all(
    all: &Asked,
    end: u64,
    read: impl Fn(u64, &mut Vec<Record>) -> Result<(), OpenError>,
) -> Result<(), ReplayError> {
    let (mut position, mut records) = (0, Vec::new());
    while position < end {
        records.clear();
        read(position, &mut records)?;
        for record in &records {
            all.note(record)?;
            position = record.position + 1;
        }
    }
    Ok(())
}

/// Why a replay could not be asked for.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The log could not be opened or read.
    #[error("the log of replays: {0}")]
    Log(#[from] OpenError),
    /// It could not be written.
    #[error("the log of replays: {0}")]
    Append(#[from] AppendError),
    /// What was written is perhaps not on disk.
    #[error("the log of replays: {0}; start again to find out what is on disk")]
    Commit(#[from] CommitError),
    /// A record of another kind.
    #[error("the record at {0} of the log of replays is none that this build knows: use the release that wrote it")]
    Unknown(u64),
    /// The log failed before.
    #[error("no replay can be asked for since their log failed: start again to find out what is on disk")]
    Stopped,
    /// As many as may be.
    #[error("{REPLAYS_MAX} replays were asked for, which is the limit: put right why events do not apply")]
    Full,
}

/// The one writer of the log.
#[derive(Debug)]
pub struct Replays<D: Disk> {
    log: Log<D>,
    asked: Asked,
    stopped: bool,
}

impl<D: Disk> Replays<D> {
    /// Opens the log, or makes one.
    ///
    /// # Errors
    /// Those of the log.
    pub fn open(disk: D) -> Result<Self, ReplayError> {
        let options = Options { segment_bytes: 1 << 20, batch_bytes: 4 << 10, ..Options::default() };
        let (log, _) = Log::open(disk, options)?;
        let asked = Asked::default();
        read_all(&asked, log.acknowledged(), |from, records| log.read(from, READ_BYTES, records))?;
        Ok(Self { log, asked, stopped: false })
    }

    /// The list, which grows with what is asked for.
    pub fn asked(&self) -> Asked {
        self.asked.clone()
    }

    /// Asks for one, and returns when that is on disk.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn ask(&mut self, replay: Replay) -> Result<(), ReplayError> {
        if self.stopped {
            return Err(ReplayError::Stopped);
        }
        let number = self.log.next_position();
        if number >= REPLAYS_MAX as u64 {
            return Err(ReplayError::Full);
        }
        let record = [&[FORMAT][..], &replay.at.to_le_bytes(), &replay.player.to_le_bytes()].concat();
        // Until it is known to be on disk; what the list and the log have must not come apart.
        self.stopped = true;
        self.log.append(number.into(), &record)?;
        self.log.commit()?;
        self.asked.push(replay);
        self.stopped = false;
        Ok(())
    }

    /// Closes the log, so that the next writer goes on in the same segment.
    ///
    /// # Errors
    /// If the disk fails; then the log is opened as after a crash.
    pub fn close(self) -> Result<(), CommitError> {
        self.log.close().map(drop)
    }
}
