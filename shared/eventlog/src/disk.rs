//! The seam through which everything that touches a file goes: a folder of the machine, or a simulated disk that fails.
//!
//! Nothing above this module knows a path. Names are plain file names in one folder. Next: [`crate::simulated`] for the disk
//! that loses, tears and rots.

mod folder_file;

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One folder on a disk.
pub trait Disk: Clone + fmt::Debug {
    /// An open file.
    type File: DiskFile;
    /// Held by the one writer; given back when it is dropped.
    type Lock: fmt::Debug;

    /// Names of all files, in the order of their bytes.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file for reading and writing; fails if there is one of this name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Opens a file for reading and, if the folder allows it, writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Opens a file that is committed to: see [`DiskFile::commit_at`]. A disk that knows no better way opens it as any other.
    fn open_to_commit(&self, name: &str) -> io::Result<Self::File> {
        self.open(name)
    }
    /// Gives a file another name; a file that has it already is replaced in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when the names are on disk: files made, renamed and removed before this stay so after a power loss.
    fn sync_folder(&self) -> io::Result<()>;
    /// Keeps every other writer out; fails with `WouldBlock` while somebody else holds it.
    fn lock(&self) -> io::Result<Self::Lock>;
}

/// One open file.
pub trait DiskFile: fmt::Debug {
    /// Fills `into` from an offset, or fails.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at an offset, or fails with some of it written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written is on disk. A failure is final: what was written since the last success may be lost
    /// even if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;
    /// Writes all of `bytes` at an offset, both whole sectors, inside of the file, and returns when they are on disk. What was
    /// written otherwise may still wait. A failure is final, and some of it may be there.
    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)?;
        self.sync_data()
    }
    /// What stands in a file that is committed to, from an offset on, is only there to be written over: nobody needs it in memory.
    /// A hint, which changes nothing of what is read or on disk.
    fn forget_cached(&self, _offset: u64) {}
    /// Bytes in the file.
    fn length(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    fn set_length(&self, bytes: u64) -> io::Result<()>;
}

pub use folder_file::FolderFile;

/// A folder of this machine.
#[derive(Debug, Clone)]
pub struct Folder(Arc<PathBuf>);

/// The name of the file that a writer locks.
pub const LOCK: &str = "lock";

impl Folder {
    /// A folder; made, with a name that lasts, if it is missing.
    pub fn make(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            std::fs::create_dir_all(path)?;
            if let Some(parent) = path.parent() {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                sync_names(parent)?;
            }
        }
        Self::at(path)
    }

    /// A folder that is there.
    pub fn at(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is not a folder", path.display())));
        }
        Ok(Self(Arc::new(path.to_owned())))
    }
}

#[cfg(unix)]
fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems have no call for it; their file systems keep names in order.
#[cfg(not(unix))]
fn sync_names(_folder: &Path) -> io::Result<()> {
    Ok(())
}

impl Disk for Folder {
    type File = FolderFile;
    type Lock = File;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&*self.0)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<FolderFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        // A log may hold what is nobody else's business, encrypted or not.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.0.join(name)).map(FolderFile::through_the_cache)
    }

    fn open(&self, name: &str) -> io::Result<FolderFile> {
        let path = self.0.join(name);
        let opened = match OpenOptions::new().read(true).write(true).open(&path) {
            // A backup on a disk mounted for reading only can still be verified.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                File::open(path)
            }
            other => other,
        };
        opened.map(FolderFile::through_the_cache)
    }

    fn open_to_commit(&self, name: &str) -> io::Result<FolderFile> {
        Ok(self.open(name)?.and_direct(&self.0.join(name)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_names(&self.0)
    }

    fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.0.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// All bytes of a file of at most `limit` bytes.
pub(crate) fn read_all<D: Disk>(disk: &D, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = file.length()?;
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{name} has {length} bytes, and at most {limit} belong there"),
        ));
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Puts a whole file in the place of another in one step: after a power loss either the old one is there or the new one. A file of
/// this name and [`TEMPORARY`] may be left of one that failed.
pub fn replace<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}{TEMPORARY}");
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    disk.rename(&temporary, name)?;
    disk.sync_folder()
}

/// What the name of a file ends in while it is not whole yet; whoever opens the folder removes such files.
pub const TEMPORARY: &str = ".tmp";
