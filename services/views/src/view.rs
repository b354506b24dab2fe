//! The one writer of a view: it applies records in the order of the log, and writes tables and position in one
//! transaction.

use std::convert::Infallible;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arbiter_eventlog::Record;
use rusqlite::{Connection, Transaction};
use thiserror::Error;

use crate::error::{ApplyError, FollowError, OpenError, SayError, is_damage};
use crate::file::{self, State};
use crate::fold::{Fold, FoldError, NAME_BYTES_MAX, Saying};
use crate::queries::{Queries, Shared};
use crate::source::Source;

/// Bytes of records that [`View::follow`] reads and applies at once: some thousand events, so that a commit costs
/// little of it. The log gives whole blocks, so that it may be one block more.
pub const BATCH_BYTES: usize = 1 << 20;

/// What was found when a view was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It fits and goes on where it was.
    Continues,
    /// There was none: it begins at 0.
    Begun,
    /// There was one that does not do, and it was thrown away: it begins at 0.
    Again(Unfit),
}

/// Why a view that was found does not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Made by another fold, or by another version of it.
    #[error("it was made by another version of this build")]
    Version,
    /// Of another log.
    #[error("it was made from another log")]
    OtherLog,
    /// The log has something else, or nothing, where the view's last record was.
    #[error("the log does not have the last record that was applied")]
    OtherHistory,
    /// Not whole.
    #[error("its file is damaged ({0})")]
    Damaged(String),
}

/// A view that is being written.
#[derive(Debug)]
pub struct View<F: Fold> {
    fold: F,
    path: PathBuf,
    connection: Connection,
    state: State,
    shared: Arc<Shared>,
    _lock: File,
}

impl<F: Fold> View<F> {
    /// Opens the view in a file, or makes it. One that does not fit the fold or the log, or is damaged, is thrown away
    /// and begins anew. It reads the whole file to see whether it is whole.
    ///
    /// # Errors
    /// If somebody else writes it, the disk or the log fails, or the view would have to be built from records that the
    /// log no longer has; then the file is left as it is.
    pub fn open(path: &Path, fold: F, source: &impl Source) -> Result<(Self, Opened), OpenError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if fold.name().is_empty() || fold.name().len() > NAME_BYTES_MAX || !fold.name().bytes().all(fits) {
            return Err(OpenError::Definition("a name is 1 to 32 of a to z, 0 to 9 and -".to_owned()));
        }
        let lock = lock(path)?;
        let was_there = path.exists();
        let found = if was_there { find(path, &fold, source)? } else { Err(None) };
        let (connection, state, opened) = match found {
            Ok((connection, state)) => {
                // What follows is dropped, and the view would have to begin with it.
                if state.position < source.start() {
                    let why = "its log has dropped what follows".to_owned();
                    return Err(OpenError::Gap { position: state.position, start: source.start(), why });
                }
                (connection, state, Opened::Continues)
            }
            Err(unfit) => {
                let why = unfit.as_ref().map_or("there is no view".to_owned(), ToString::to_string);
                let (connection, state) = begin(path, &fold, source, why)?;
                (connection, state, unfit.map_or(Opened::Begun, Opened::Again))
            }
        };
        let shared = Shared::new(state.position);
        Ok((Self { fold, path: path.to_owned(), connection, state, shared, _lock: lock }, opened))
    }

    /// Position of the next record.
    pub fn position(&self) -> u64 {
        self.state.position
    }

    /// Where the tables are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For reading it over at most so many connections, 1 to 16. They see what was applied before a question begins,
    /// also after this view was built again.
    pub fn queries(&self, connections: usize) -> Queries {
        Queries::with(&self.path, connections, Arc::clone(&self.shared))
    }

    /// Applies the records that follow, in one transaction. Returns the position behind the last of them. None is fine
    /// too: then only [`Fold::between`] is called.
    ///
    /// # Errors
    /// After [`ApplyError::Stopped`] all before the named position is applied, else nothing of the batch is.
    pub fn apply(&mut self, records: &[Record]) -> Result<u64, ApplyError> {
        let silent = |_| Ok::<(), Infallible>(());
        self.apply_with(records, F::apply, silent).map_err(|failed| match failed {
            Unapplied::Apply(error) => error,
            Unapplied::NotHeard(never) => match never {},
        })
    }

    /// Reads what follows from the log and applies it, one batch at most. Returns how many records there were; 0 if the
    /// view has all that the log has.
    ///
    /// # Errors
    /// Those of the log and of [`Self::apply`].
    pub fn follow(&mut self, source: &impl Source) -> Result<usize, FollowError> {
        let records = self.read_next(source, BATCH_BYTES)?;
        if !records.is_empty() {
            self.apply(&records)?;
        }
        Ok(records.len())
    }

    fn read_next(&self, source: &impl Source, bytes: usize) -> Result<Vec<Record>, FollowError> {
        let (position, mut records) = (self.state.position, Vec::new());
        if position < source.start() {
            return Err(FollowError::Gap { position, start: source.start() });
        }
        if position < source.end() {
            source.read(position, bytes, &mut records)?;
        }
        Ok(records)
    }

    /// Throws the file away and begins anew at 0.
    ///
    /// # Errors
    /// As [`Self::open`]; nothing is thrown away if the log no longer has its first record. After any other error there
    /// is no view: try again.
    pub fn rebuild(&mut self, source: &impl Source) -> Result<(), OpenError> {
        let why = "it is to be built again".to_owned();
        if source.start() > 0 {
            return Err(OpenError::Gap { position: 0, start: source.start(), why });
        }
        // Closed before its files are removed: what it still did to them would hit the new ones, which have the same
        // names.
        self.connection = Connection::open_in_memory()?;
        let (connection, state) = begin(&self.path, &self.fold, source, why)?;
        (self.connection, self.state) = (connection, state);
        self.shared.generation.fetch_add(1, Ordering::Release);
        self.shared.applied.send_replace(0);
        Ok(())
    }

    /// Applies records with `apply`, has all that it gave heard, and only then keeps it.
    fn apply_with<S, E>(
        &mut self,
        records: &[Record],
        apply: impl Fn(&F, &Transaction<'_>, &Record) -> Result<S, FoldError>,
        mut hear: impl FnMut(Vec<S>) -> Result<(), E>,
    ) -> Result<u64, Unapplied<E>> {
        let expected = (self.state.position..).take(records.len());
        if let Some((record, expected)) = records.iter().zip(expected).find(|(record, at)| record.position != *at) {
            return Err(ApplyError::OutOfOrder { expected, found: record.position }.into());
        }
        match self.transact(records, true, &apply, &mut hear) {
            Err(Failed::At(position, reason)) => {
                let before = position.saturating_sub(self.state.position) as usize;
                // Once more without what cannot be applied: cheaper than a way back behind every record.
                if before > 0 {
                    self.transact(&records[..before.min(records.len())], false, &apply, &mut hear)?;
                }
                Err(ApplyError::Stopped { position, reason }.into())
            }
            done => Ok(done?),
        }
    }

    fn transact<S, E>(
        &mut self,
        records: &[Record],
        settled: bool,
        apply: &impl Fn(&F, &Transaction<'_>, &Record) -> Result<S, FoldError>,
        hear: &mut impl FnMut(Vec<S>) -> Result<(), E>,
    ) -> Result<u64, Failed<E>> {
        let mut state = self.state.clone();
        let transaction = self.connection.transaction()?;
        let mut said = Vec::with_capacity(records.len());
        for record in records {
            at(record.position, self.fold.between(&transaction, record.position))?;
            said.push(at(record.position, apply(&self.fold, &transaction, record))?);
            state.position = record.position + 1;
        }
        if settled {
            at(state.position, self.fold.between(&transaction, state.position))?;
        }
        if let Some(last) = records.last() {
            state.last = digest(last);
        }
        hear(said).map_err(Failed::NotHeard)?;
        commit(transaction, &state)?;
        self.state = state;
        self.shared.applied.send_if_modified(|applied| {
            let is_new = *applied != self.state.position;
            *applied = self.state.position;
            is_new
        });
        Ok(self.state.position)
    }
}

impl<F: Saying> View<F> {
    /// Reads what follows from the log, applies it and has `hear` hear what the fold says of it, record by record, before
    /// anything of it is kept. About `bytes` of records at once, a block of the log at least. Returns how many records there were;
    /// 0 if all was said.
    ///
    /// # Errors
    /// Those of [`Self::follow`]; and what `hear` says, after which the same is said again.
    pub fn follow_and_say<E>(
        &mut self,
        source: &impl Source,
        bytes: usize,
        hear: impl FnMut(Vec<F::Said>) -> Result<(), E>,
    ) -> Result<usize, SayError<E>> {
        let records = self.read_next(source, bytes)?;
        if !records.is_empty() {
            self.apply_with(&records, F::say, hear).map_err(|failed| match failed {
                Unapplied::Apply(error) => SayError::Follow(error.into()),
                Unapplied::NotHeard(error) => SayError::NotHeard(error),
            })?;
        }
        Ok(records.len())
    }
}

enum Failed<E> {
    At(u64, String),
    Sqlite(rusqlite::Error),
    NotHeard(E),
}

impl<E> From<rusqlite::Error> for Failed<E> {
    fn from(error: rusqlite::Error) -> Self {
        Failed::Sqlite(error)
    }
}

enum Unapplied<E> {
    Apply(ApplyError),
    NotHeard(E),
}

impl<E> From<ApplyError> for Unapplied<E> {
    fn from(error: ApplyError) -> Self {
        Unapplied::Apply(error)
    }
}

impl<E> From<Failed<E>> for Unapplied<E> {
    fn from(failed: Failed<E>) -> Self {
        match failed {
            Failed::At(position, reason) => Unapplied::Apply(ApplyError::Stopped { position, reason }),
            Failed::Sqlite(error) => Unapplied::Apply(error.into()),
            Failed::NotHeard(error) => Unapplied::NotHeard(error),
        }
    }
}

fn at<S, E>(position: u64, done: Result<S, FoldError>) -> Result<S, Failed<E>> {
    done.map_err(|error| match error {
        FoldError::Stopped(reason) => Failed::At(position, reason),
        FoldError::Sqlite(error) => Failed::Sqlite(error),
    })
}

fn commit(transaction: Transaction<'_>, state: &State) -> rusqlite::Result<()> {
    state.write(&transaction)?;
    transaction.commit()
}

/// What stands for a record and, because ids are unique, for the history that led to it.
fn digest(record: &Record) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("arbiter views 1 last record");
    hasher.update(&record.position.to_le_bytes()).update(&record.id.to_le_bytes()).update(&record.data);
    *hasher.finalize().as_bytes()
}

fn lock(path: &Path) -> Result<File, OpenError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = File::options().create(true).append(true).open(file::beside(path, ".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

type Found = Result<(Connection, State), Option<Unfit>>;

/// A view that is there and fits, or why it does not.
fn find(path: &Path, fold: &impl Fold, source: &impl Source) -> Result<Found, OpenError> {
    let unfit = |unfit| Ok(Err(Some(unfit)));
    let looked = (|| {
        let connection = file::writer(path)?;
        let damage = file::check(&connection)?;
        let state = if damage.is_none() { State::read(&connection)? } else { None };
        Ok((connection, damage, state))
    })();
    let (connection, state) = match looked {
        Ok((_, Some(damage), _)) => return unfit(Unfit::Damaged(damage)),
        Ok((connection, None, Some(state))) => (connection, state),
        Ok((_, None, None)) => return unfit(Unfit::Damaged("it does not say what it is".to_owned())),
        Err(error) if is_damage(&error) || says_nonsense(&error) => return unfit(Unfit::Damaged(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let new = State::new(fold, source.id());
    if (&state.name, state.version, state.schema) != (&new.name, new.version, new.schema) {
        return unfit(Unfit::Version);
    }
    if state.log != new.log {
        return unfit(Unfit::OtherLog);
    }
    if state.position > source.end() {
        return unfit(Unfit::OtherHistory);
    }
    // What was dropped cannot be compared; the log's id has to do.
    if state.position > source.start() {
        let mut records = Vec::new();
        source.read(state.position - 1, 1, &mut records)?;
        if records.first().map(digest) != Some(state.last) {
            return unfit(Unfit::OtherHistory);
        }
    }
    Ok(Ok((connection, state)))
}

/// A column of another type, or of another length, than was written.
fn says_nonsense(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    let own_table = error.to_string().contains(file::STATE_TABLE);
    let conversion = matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    );
    conversion || own_table
}

/// A view of which nothing was applied, in the place of whatever is there.
fn begin(path: &Path, fold: &impl Fold, source: &impl Source, why: String) -> Result<(Connection, State), OpenError> {
    if source.start() > 0 {
        return Err(OpenError::Gap { position: 0, start: source.start(), why });
    }
    file::remove(path)?;
    let mut connection = file::writer(path)?;
    let state = State::new(fold, source.id());
    file::begin(&mut connection, fold, &state)?;
    Ok((connection, state))
}
