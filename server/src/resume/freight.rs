//! `--ship-recordings`: copies of running matches in another folder, on another machine's disk, so that a match can go on there when
//! this machine is lost. Blocks are copied as they are closed, with what stands beside the recording, on a thread of its own:
//! whatever that folder does, nothing here waits for it.
//!
//! A copy is a folder of recordings like any other: a server that is started with it takes its matches up.

use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::companion::EXTENSION;

/// Between two looks for something new: what is lost with a machine beside the block that was not closed.
const LOOK: Duration = Duration::from_millis(250);

/// A folder that stays out of reach is told of this often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The thread; it copies what is left when it is dropped.
#[derive(Debug)]
pub(crate) struct Freight {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Freight {
    /// Starts copying what is in one folder to another.
    pub fn start(from: &Path, to: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(to)?;
        let (stop, stopped) = bounded(0);
        let carrier = Carrier { from: from.to_owned(), to: to.to_owned(), copied: HashMap::new(), told: None };
        let run = move || carrier.run(&stopped);
        let thread = std::thread::Builder::new().name("freight".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Freight {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Carrier {
    from: PathBuf,
    to: PathBuf,
    /// Bytes of each recording that are there.
    copied: HashMap<PathBuf, u64>,
    told: Option<Instant>,
}

impl Carrier {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let is_last = stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected);
            if let Err(error) = self.carry()
                && self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY)
            {
                self.told = Some(Instant::now());
                tracing::error!("{}: recordings are not copied there: {error}", self.to.display());
            }
            if is_last {
                return;
            }
        }
    }

    /// Copies what is new.
    fn carry(&mut self) -> io::Result<()> {
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
        append(path, &to, known.unwrap_or(0), length)?;
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
        let (f, t) = (from.path().to_owned(), to.path().to_owned());
        let mut carrier = Carrier { from: f, to: t, copied: HashMap::new(), told: None };
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
