//! Beside each recording of a running match: what is needed to take the match up again and is not in a recording, because
//! it is about people and the world. Who joined in which slot, when the match began, what was told until which checkpoint.
//!
//! A file of lines, each with a checksum, that only grows but for its head: the last tick that was played, which is written over and
//! never flushed, since it only says what a dead process had shown. The file is gone once the match is over and told. Written
//! by the recorder; [`super`] reads it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::outbox::Story;

/// What its name ends in.
pub(crate) const EXTENSION: &str = "resume";

/// The head: ten digits and the end of a line.
const HEAD_BYTES: usize = 11;

/// Bytes of such a file that are read: a checkpoint each five seconds of a day, with results of a thousand players.
const BYTES_MAX: u64 = 64 << 20;

/// Checkpoints that are remembered when a file is read: the last may be one that the recording does not have.
const TOLD_MAX: usize = 3;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Line {
    /// The first: in which room it is played.
    Began { room: u16 },
    /// Somebody took a slot; 0 is whoever has no account.
    Joined { tick: u32, slot: u16, player: u64 },
    /// Everything that happened up to this checkpoint was told; there is no story if nobody is told.
    Told { tick: u32, story: Option<Story> },
    /// It was taken up again, for which this is the number.
    Epoch(u32),
    /// A process begins to take it up again.
    Tries,
}

/// What such a file says.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub room: Option<u16>,
    /// By tick and slot.
    pub joined: BTreeMap<(u32, u16), u64>,
    /// The last checkpoints up to which everything was told.
    pub told: Vec<(u32, Option<Story>)>,
    pub epoch: u32,
    /// How often it was tried since.
    pub tries: u32,
    /// The last tick that was played, or a little before.
    pub played: u32,
}

/// Writes one.
#[derive(Debug)]
pub(crate) struct Companion {
    file: File,
    path: PathBuf,
    /// Something was written and is not on disk.
    is_dirty: bool,
    played: u32,
}

impl Companion {
    /// The file beside a recording.
    pub fn path_of(recording: &Path) -> PathBuf {
        recording.with_extension(EXTENSION)
    }

    /// Begins one; it is on disk when this returns, and locked until the process ends: who finds it unlocked knows that nobody plays.
    pub fn create(recording: &Path, room: u16, story: Option<&Story>) -> io::Result<Self> {
        let path = Self::path_of(recording);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.try_lock().map_err(io::Error::from)?;
        file.write_all(head(0).as_bytes())?;
        let mut companion = Self { file, path, is_dirty: false, played: 0 };
        companion.write(&Line::Began { room })?;
        companion.write(&Line::Told { tick: 0, story: story.cloned() })?;
        companion.sync()?;
        Ok(companion)
    }

    /// Goes on with one, of which a last torn line is cut off. `None` if another process plays the match.
    pub(super) fn resume(path: &Path) -> io::Result<Option<(Self, Notes)>> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let (notes, whole_bytes) = Notes::read(&mut file)?;
        file.set_len(whole_bytes)?;
        file.seek(SeekFrom::End(0))?;
        let played = notes.played;
        Ok(Some((Self { file, path: path.to_owned(), is_dirty: true, played }, notes)))
    }

    /// Puts it away, where nobody looks for it again.
    pub(super) fn put_away(self) -> io::Result<()> {
        std::fs::rename(&self.path, self.path.with_extension("given-up"))
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let text = checked(line)?;
        self.is_dirty = true;
        self.file.write_all(text.as_bytes())
    }

    /// Somebody takes a slot with a tick. To be called before the tick is recorded.
    pub fn join(&mut self, tick: u32, slot: u16, player: u64) -> io::Result<()> {
        self.write(&Line::Joined { tick, slot, player })
    }

    /// Everything up to a checkpoint was told.
    pub fn told(&mut self, tick: u32, story: Option<&Story>) -> io::Result<()> {
        self.write(&Line::Told { tick, story: story.cloned() })
    }

    /// The match was taken up again.
    pub fn epoch(&mut self, epoch: u32) -> io::Result<()> {
        self.write(&Line::Epoch(epoch))
    }

    /// It is tried.
    pub(super) fn tries(&mut self) -> io::Result<()> {
        self.write(&Line::Tries)?;
        self.sync()
    }

    /// Players have seen this tick. Does not reach the disk by itself.
    pub fn played(&mut self, tick: u32) -> io::Result<()> {
        if tick != self.played {
            self.played = tick;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(head(tick).as_bytes())?;
            self.file.seek(SeekFrom::End(0))?;
        }
        Ok(())
    }

    /// Returns when everything is on disk.
    pub fn sync(&mut self) -> io::Result<()> {
        if core::mem::take(&mut self.is_dirty) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// The match is over, and told.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(self.path)
    }
}

fn head(tick: u32) -> String {
    format!("{tick:010}\n")
}

impl Notes {
    /// Reads a file, up to what was torn, and says how many bytes of it are whole.
    fn read(file: &mut File) -> io::Result<(Self, u64)> {
        if file.metadata()?.len() > BYTES_MAX {
            return Err(io::Error::other("it is longer than any such file"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (first, lines) = bytes.split_at_checked(HEAD_BYTES).ok_or(io::ErrorKind::UnexpectedEof)?;
        // A torn one says nothing of what was shown.
        let played = core::str::from_utf8(first).ok().and_then(|text| text.trim_end().parse().ok());
        let mut notes = Self { played: played.unwrap_or(0), ..Self::default() };
        let mut whole = HEAD_BYTES as u64;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Some(read) = read_line(line) else { break };
            whole += line.len() as u64;
            notes.take(read);
        }
        Ok((notes, whole))
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Began { room } => self.room = Some(room),
            Line::Joined { tick, slot, player } => {
                self.joined.insert((tick, slot), player);
            }
            Line::Told { tick, story } => {
                if self.told.len() == TOLD_MAX {
                    self.told.remove(0);
                }
                self.told.push((tick, story));
                self.tries = 0;
            }
            Line::Epoch(epoch) => (self.epoch, self.tries) = (epoch, 0),
            Line::Tries => self.tries += 1,
        }
    }
}

/// What another process needs of the file beside a recording that is being played: whoever joined, and the last of everything else.
/// The file itself grows with each checkpoint.
pub(super) fn condensed(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (notes, _) = Notes::read(&mut file)?;
    let mut text = head(notes.played);
    let mut line = |line: Line| -> io::Result<()> {
        text.push_str(&checked(&line)?);
        Ok(())
    };
    if let Some(room) = notes.room {
        line(Line::Began { room })?;
    }
    for ((tick, slot), player) in notes.joined {
        line(Line::Joined { tick, slot, player })?;
    }
    line(Line::Epoch(notes.epoch))?;
    for (tick, story) in notes.told {
        line(Line::Told { tick, story })?;
    }
    Ok(text)
}

/// A line with its checksum.
fn checked(line: &Line) -> io::Result<String> {
    let text = serde_json::to_string(line).map_err(io::Error::other)?;
    Ok(format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes())))
}

fn read_line(line: &[u8]) -> Option<Line> {
    let text = core::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (crc, text) = text.split_once(' ')?;
    let is_whole = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(text.as_bytes());
    is_whole.then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_up_to_what_was_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let recording = folder.path().join("match.arbrec");
        let mut companion = Companion::create(&recording, 3, None).expect("begins");
        companion.join(5, 1, u64::MAX).expect("notes");
        companion.played(77).expect("notes");
        companion.join(6, 2, 9).expect("notes");
        companion.epoch(4).expect("notes");
        drop(companion);
        let path = Companion::path_of(&recording);
        let resume = || Companion::resume(&path).expect("reads").expect("is free");
        let notes = resume().1;
        assert_eq!((notes.room, notes.epoch, notes.played, notes.tries), (Some(3), 4, 77, 0));
        assert_eq!(notes.joined, BTreeMap::from([((5, 1), u64::MAX), ((6, 2), 9)]));
        let length = std::fs::metadata(&path).expect("is there").len();
        OpenOptions::new().write(true).open(&path).expect("opens").set_len(length - 1).expect("cuts");
        let (mut companion, notes) = resume();
        assert_eq!((notes.epoch, notes.joined.len()), (0, 2));
        companion.tries().expect("notes");
        drop(companion);
        assert_eq!(resume().1.tries, 1);
    }

    #[test]
    fn what_is_condensed_says_the_same_and_does_not_grow_with_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let recording = folder.path().join("match.arbrec");
        let path = Companion::path_of(&recording);
        let mut companion = Companion::create(&recording, 3, None).expect("begins");
        companion.join(5, 1, 7).expect("notes");
        companion.epoch(4).expect("notes");
        companion.played(777).expect("notes");
        let mut lengths = Vec::new();
        for tick in 100..200 {
            companion.told(tick, None).expect("notes");
            lengths.push(condensed(&path).expect("reads").len());
        }
        assert_eq!(lengths.iter().max(), lengths.last());
        let copy = folder.path().join("copy.resume");
        std::fs::write(&copy, condensed(&path).expect("reads")).expect("writes");
        drop(companion);
        let read = |path: &Path| format!("{:?}", Companion::resume(path).expect("reads").expect("is free").1);
        assert_eq!(read(&copy), read(&path));
    }

    #[test]
    fn a_match_that_is_played_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let recording = folder.path().join("match.arbrec");
        let companion = Companion::create(&recording, 0, None).expect("begins");
        let path = Companion::path_of(&recording);
        assert!(Companion::resume(&path).expect("looks").is_none());
        drop(companion);
        assert!(Companion::resume(&path).expect("looks").is_some());
    }
}
