//! Copies to a folder: what is new at the end of each recording, and what stands beside it.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FreightStats;
use crate::resume::companion::EXTENSION;

/// See the module.
pub(super) struct FolderCarrier {
    from: PathBuf,
    to: PathBuf,
    /// Bytes of each recording that are there.
    copied: HashMap<PathBuf, u64>,
    stats: Arc<FreightStats>,
}

impl FolderCarrier {
    pub fn new(from: &Path, to: &Path, stats: Arc<FreightStats>) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), copied: HashMap::new(), stats }
    }

    /// Where copies go.
    pub fn to(&self) -> &Path {
        &self.to
    }

    /// Copies what is new.
    pub fn carry(&mut self) -> io::Result<()> {
        let mut running = HashSet::new();
        let mut recordings = Vec::new();
        for entry in std::fs::read_dir(&self.from)? {
            let path = entry?.path();
            match path.extension().and_then(|end| end.to_str()) {
                Some(EXTENSION) => {
                    running.insert(path.with_extension(arbiter_recording::EXTENSION));
                }
                Some(arbiter_recording::EXTENSION) => recordings.push(path),
                _ => {}
            }
        }
        for path in &recordings {
            self.carry_one(path, running.contains(path))?;
        }
        self.copied.retain(|path, _| recordings.contains(path));
        Ok(())
    }

    fn carry_one(&mut self, path: &Path, is_running: bool) -> io::Result<()> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let (to, length) = (self.to.join(name), std::fs::metadata(path)?.len());
        let beside = to.with_extension(EXTENSION);
        let known = self.copied.get(path).copied();
        // One that was finished before this process began is there already.
        let there = || std::fs::metadata(&to).map(|there| there.len()).ok();
        if known == Some(length) || known.is_none() && !is_running && there() == Some(length) {
            if !is_running && beside.exists() {
                std::fs::remove_file(&beside)?;
            }
            self.copied.insert(path.to_owned(), length);
            return Ok(());
        }
        // Behind the length of the recording: who joined in any of its ticks is in it.
        let notes = is_running.then(|| std::fs::read(path.with_extension(EXTENSION))).transpose();
        match known {
            Some(known) => append(path, &to, known, length)?,
            None => {
                // What another process copied stays whole until this copy is.
                let fresh = to.with_extension("arbrec-new");
                append(path, &fresh, 0, length)?;
                std::fs::rename(&fresh, &to)?;
            }
        }
        self.stats.sent(length.saturating_sub(known.unwrap_or(0)));
        // Without them it ended a moment ago: the next look copies its end.
        if let Ok(Some(notes)) = notes {
            let fresh = beside.with_extension("resume-new");
            std::fs::write(&fresh, notes)?;
            std::fs::rename(&fresh, &beside)?;
        }
        self.copied.insert(path.to_owned(), length);
        Ok(())
    }
}

/// Makes the copy as long as this, from where it is known to be the same.
fn append(from: &Path, to: &Path, known: u64, length: u64) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create(true).truncate(false).open(to)?;
    target.set_len(known)?;
    source.seek(SeekFrom::Start(known))?;
    target.seek(SeekFrom::Start(known))?;
    io::copy(&mut source.take(length.saturating_sub(known)), &mut target)?;
    target.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_copied_as_it_grows_and_what_is_over_loses_its_notes() {
        let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let recording = from.path().join("a.arbrec");
        let notes = recording.with_extension(EXTENSION);
        let (copy, copied_notes) = (to.path().join("a.arbrec"), to.path().join("a.resume"));
        let mut carrier = FolderCarrier::new(from.path(), to.path(), Arc::default());
        for (text, note) in [("one", "1"), ("one two", "2")] {
            std::fs::write(&recording, text).expect("writes");
            std::fs::write(&notes, note).expect("writes");
            carrier.carry().expect("copies");
            assert_eq!(std::fs::read_to_string(&copy).expect("is there"), text);
            assert_eq!(std::fs::read_to_string(&copied_notes).expect("is there"), note);
        }
        std::fs::write(&recording, "one two three").expect("writes");
        std::fs::remove_file(&notes).expect("removes");
        carrier.carry().expect("copies");
        carrier.carry().expect("copies");
        assert_eq!(std::fs::read_to_string(&copy).expect("is there"), "one two three");
        assert!(!copied_notes.exists());
    }
}
