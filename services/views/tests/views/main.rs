//! Views over real logs and files: they go on where they were, they are built again where they do not fit, and what is
//! in them depends on the log and on nothing else.

mod fits;
mod grows;
mod killed;
mod reads;
mod says;

use std::path::{Path, PathBuf};

use arbiter_eventlog::{Folder, Log, Options, Record};
use arbiter_views::rusqlite::{Transaction, params};
use arbiter_views::{Fold, FoldError, Opened, View};

/// Counts words, and keeps the last record of each length in full.
#[derive(Debug, Clone, Copy)]
struct Words {
    version: u32,
}

/// The record that no version knows.
const UNKNOWN: &[u8] = b"unknown";

impl Fold for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn schema(&self) -> &'static str {
        "CREATE TABLE words (word BLOB PRIMARY KEY, count INTEGER NOT NULL, share REAL) STRICT, WITHOUT ROWID;
         CREATE TABLE lengths (length INTEGER, at INTEGER, text TEXT, PRIMARY KEY (length, at)) STRICT, WITHOUT ROWID;
         CREATE INDEX by_count ON words (count);"
    }

    fn apply(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(), FoldError> {
        if record.data == UNKNOWN {
            return Err(FoldError::Stopped("this needs version 2".to_owned()));
        }
        let share = (!record.data.len().is_multiple_of(3)).then(|| 1.0 / (record.data.len() as f64));
        transaction
            .prepare_cached(
                "INSERT INTO words VALUES (?, 1, ?)
                 ON CONFLICT DO UPDATE SET count = count + 1, share = excluded.share",
            )?
            .execute(params![record.data, share])?;
        let (length, text) = (record.data.len() as i64, String::from_utf8_lossy(&record.data));
        transaction.prepare_cached("DELETE FROM lengths WHERE length = ?")?.execute([length])?;
        transaction.prepare_cached("INSERT INTO lengths VALUES (?, ?, ?)")?.execute(params![
            length,
            record.position.cast_signed(),
            text
        ])?;
        Ok(())
    }
}

const WORDS: Words = Words { version: 1 };

fn options() -> Options {
    Options { segment_bytes: 64 << 10, batch_bytes: 8 << 10, ids_max: 1 << 20, masters: None }
}

fn log(path: &Path) -> Log<Folder> {
    Log::open(Folder::make(path).expect("a folder"), options()).expect("a log").0
}

/// Appends words under ids that follow those in the log, one commit for each three.
fn fill<'a>(log: &mut Log<Folder>, words: impl IntoIterator<Item = &'a [u8]>) {
    for word in words {
        let id = u128::from(log.next_position());
        log.append(id, word).expect("appended");
        if id % 3 == 2 {
            log.commit().expect("committed");
        }
    }
    log.commit().expect("committed");
}

fn some_words(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("word {}", number * number % 17).into_bytes()).collect()
}

/// A folder with a log of some words, and where a view of it belongs.
struct Place {
    folder: tempfile::TempDir,
    log: Log<Folder>,
}

impl Place {
    fn with(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = log(&folder.path().join("log"));
        fill(&mut log, some_words(count).iter().map(Vec::as_slice));
        Self { folder, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) -> (View<Words>, Opened) {
        View::open(&self.path("words.sqlite"), WORDS, &self.log).expect("a view")
    }

    /// The hash of a view that is built in one go from the whole log.
    fn rebuilt(&self) -> [u8; 32] {
        let path = self.path("scratch.sqlite");
        let (mut view, _) = View::open(&path, WORDS, &self.log).expect("a view");
        if view.position() > 0 {
            view.rebuild(&self.log).expect("thrown away");
        }
        follow(&mut view, &self.log);
        hash(&view)
    }
}

fn follow(view: &mut View<Words>, log: &Log<Folder>) {
    while view.follow(log).expect("it follows") > 0 {}
}

fn hash(view: &View<Words>) -> [u8; 32] {
    view.queries(1).read(|moment| arbiter_views::content_hash(moment.connection)).expect("a hash")
}

/// All records of a log.
fn records(log: &Log<Folder>) -> Vec<Record> {
    let mut all = Vec::new();
    log.read(0, usize::MAX, &mut all).expect("read");
    all
}
