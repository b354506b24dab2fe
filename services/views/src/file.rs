//! The file of a view: how it is opened, and what it says of itself.
//!
//! WAL with `synchronous=NORMAL`: a commit writes and does not flush, a checkpoint flushes the WAL before it touches
//! the file. After a power loss the last transactions may be gone, wholly, since every frame of the WAL has a checksum;
//! position and tables go together, so the view goes on from an earlier position. `OFF` would save the flushes of
//! checkpoints and leave a file whose pages are of different times, which nothing notices.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::error::OpenError;
use crate::fold::Fold;

/// The table that says what the view is of; its name is not for folds.
pub(crate) const STATE_TABLE: &str = "arbiter_view";

const STATE_SCHEMA: &str = "CREATE TABLE arbiter_view (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL, version INTEGER NOT NULL, schema BLOB NOT NULL, log BLOB NOT NULL,
    position INTEGER NOT NULL, last BLOB NOT NULL
) STRICT, WITHOUT ROWID";

/// KiB of pages that a connection keeps: the tables' inner nodes, and what a batch touches.
const CACHE_KIB: u32 = 8 << 10;

/// Bytes of a WAL that are kept for the next one; a longer one is cut after its checkpoint.
const WAL_BYTES: u32 = 16 << 20;

/// Only checkpoints and the first look at a WAL keep anybody waiting.
const BUSY: Duration = Duration::from_secs(5);

/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 64;

/// What a view says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub name: String,
    pub version: u32,
    /// BLAKE3 of the schema.
    pub schema: [u8; 32],
    /// Id of the log.
    pub log: [u8; 16],
    /// Position of the next record.
    pub position: u64,
    /// Digest of the last record that was applied; zeros if none was.
    pub last: [u8; 32],
}

impl State {
    /// Of a view to which nothing was applied.
    pub fn new(fold: &impl Fold, log: [u8; 16]) -> Self {
        let schema = *blake3::hash(fold.schema().as_bytes()).as_bytes();
        Self { name: fold.name().to_owned(), version: fold.version(), schema, log, position: 0, last: [0; 32] }
    }

    /// What a file says; `None` if it says nothing that could be true.
    pub fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let known = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if connection.query_row(known, [STATE_TABLE], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(None);
        }
        let mut statement =
            connection.prepare_cached("SELECT name, version, schema, log, position, last FROM arbiter_view")?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                name: row.get(0)?,
                version: row.get(1)?,
                schema: row.get(2)?,
                log: row.get(3)?,
                position: row.get::<_, i64>(4)?.cast_unsigned(),
                last: row.get(5)?,
            })
        };
        statement.query_row([], read).optional()
    }

    /// Writes all of it.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { name, version, schema, log, position, last } = self;
        let mut statement =
            connection.prepare_cached("INSERT OR REPLACE INTO arbiter_view VALUES (1, ?, ?, ?, ?, ?, ?)")?;
        statement.execute(params![name, version, schema, log, position.cast_signed(), last]).map(drop)
    }
}

/// Opens the file for its one writer.
pub(crate) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    Ok(connection)
}

/// Opens a file that is there for reading only.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: KiB, not pages.
    connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    // A column of a damaged file must be an error, not a number.
    connection.pragma_update(None, "cell_size_check", true)
}

/// Makes the tables and writes down what they are of.
pub(crate) fn begin(connection: &mut Connection, fold: &impl Fold, state: &State) -> Result<(), OpenError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(STATE_SCHEMA)?;
    transaction.execute_batch(fold.schema())?;
    let mut wrong = transaction.prepare(
        "SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND NOT (wr AND strict)",
    )?;
    if let Some(table) = wrong.query_row([], |row| row.get::<_, String>(0)).optional()? {
        return Err(OpenError::Definition(format!("make the table {table} STRICT and WITHOUT ROWID")));
    }
    drop(wrong);
    state.write(&transaction)?;
    Ok(transaction.commit()?)
}

/// Whether all pages of a file hang together; what is wrong, otherwise. It reads the whole file.
pub(crate) fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if said == "ok" { None } else { Some(said) })
}

/// Removes a view's file and what SQLite keeps beside it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    // The WAL goes first: without its file it would be taken for that of the next one.
    for ending in ["-wal", "-shm", ""] {
        match std::fs::remove_file(beside(path, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The file whose name is a view's with an ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
