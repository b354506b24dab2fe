//! A file of this machine.
//!
//! Commits go past the system's cache where the file system allows it (`O_DIRECT`, with `O_DSYNC`): one call that returns when the
//! bytes are on disk, instead of a copy into the cache, a write from there and a flush. Where it is refused, they go through
//! the cache and are flushed behind. Both end in the same flush of the disk's own cache.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::DiskFile;

/// An open file.
#[derive(Debug)]
pub struct FolderFile {
    file: File,
    /// The same file past the cache, if it is committed to and the file system opens it so.
    direct: Option<File>,
    /// Whether the file system opened it so and then refused to write: sectors that are too small for it, for example.
    refused: AtomicBool,
}

impl FolderFile {
    pub(super) fn through_the_cache(file: File) -> Self {
        Self { file, direct: None, refused: AtomicBool::new(false) }
    }

    /// The same for commits, past the cache if that can be done.
    pub(super) fn and_direct(self, path: &Path) -> Self {
        Self { direct: direct(path), ..self }
    }

    /// Whether commits go past the cache.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.refused.load(Ordering::Relaxed)
    }
}

/// Opens a file past the cache; `None` where that cannot be done, which costs time and nothing else.
#[cfg(target_os = "linux")]
fn direct(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC;
    let flags = i32::try_from(flags.bits()).ok()?;
    std::fs::OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn direct(_path: &Path) -> Option<File> {
    None
}

impl DiskFile for FolderFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        read_exact_at(&self.file, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_all_at(&self.file, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(direct) = self.direct.as_ref().filter(|_| self.is_direct()) {
            match write_all_at(direct, bytes, offset) {
                // The call was wrong for this file system, and no write of it failed: all of it is written the other way.
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.refused.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.write_at(bytes, offset)?;
        self.sync_data()
    }

    fn forget_cached(&self, offset: u64) {
        // Zeros that are written over past the cache would be looked for in it, and thrown out of it, by each write. Through the cache they
        // are of use: a part of a page that is there is written without reading the rest.
        #[cfg(target_os = "linux")]
        if self.is_direct() {
            let _ = rustix::fs::fadvise(&self.file, offset, None, rustix::fs::Advice::DontNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = offset;
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read_exact(into)
}

#[cfg(not(unix))]
fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek as _, Write as _};
    file.seek(io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Disk as _, Folder};
    use super::*;

    fn made(folder: &Path) -> Folder {
        let disk = Folder::make(folder).expect("a folder");
        let file = disk.create("log").expect("a file");
        file.write_at(&[0; 8192], 0).expect("written");
        file.sync_data().expect("flushed");
        disk
    }

    fn holds(disk: &Folder, offset: u64, byte: u8) {
        let mut found = [0; 1024];
        disk.open("log").expect("a file").read_at(&mut found, offset).expect("read");
        assert_eq!(found, [byte; 1024]);
    }

    #[test]
    fn what_is_committed_is_read_by_others_whichever_way_it_went() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = made(folder.path());
        for (file, byte) in [(disk.open_to_commit("log").expect("a file"), 1), (disk.open("log").expect("a file"), 2)] {
            let mut batch = crate::batch::Batch::new(2048);
            batch.push(1, &[byte; 900]);
            batch.block_mut().fill(byte);
            batch.pad();
            batch.block_mut().fill(byte);
            file.commit_at(batch.block(), 512).expect("on disk");
            holds(&disk, 512, byte);
        }
    }

    #[test]
    fn what_is_forgotten_in_memory_is_read_from_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = made(folder.path());
        disk.open("log").expect("a file").write_at(&[9; 1024], 4096).expect("written");
        let file = disk.open_to_commit("log").expect("a file");
        // Not on disk yet, so that it stays.
        file.forget_cached(0);
        holds(&disk, 4096, 9);
        file.sync_data().expect("flushed");
        file.forget_cached(0);
        holds(&disk, 4096, 9);
    }

    #[test]
    fn what_a_file_system_refuses_past_its_cache_goes_through_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = made(folder.path());
        let file = disk.open_to_commit("log").expect("a file");
        // No place in memory or in the file that any disk takes directly.
        let bytes = vec![3; 1025];
        file.commit_at(&bytes[1..], 1).expect("on disk");
        holds(&disk, 1, 3);
        file.commit_at(&[4; 1024], 4096).expect("on disk");
        holds(&disk, 4096, 4);
    }
}
