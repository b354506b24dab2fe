//! The issuer's folder: one file with the keys and the switch, replaced as a whole, and a lock that keeps a second issuer out.
//!
//! Two issuers over one folder would each draw their own next key, and one of them would sign with what nobody publishes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::{PublicKey, SigningKey};

const FILE: &str = "access-keys.json";
const NEW_FILE: &str = "access-keys.new";
const LOCK: &str = "lock";

/// Version of the file.
const FORMAT: u32 = 1;

/// Bytes of the file: ten keys need a fifth of it.
const FILE_BYTES_MAX: u64 = 16 << 10;

/// Keys that no longer sign: at the fastest rotation three at a time may still have valid tokens.
const RETIRED_MAX: usize = 8;

/// Why keys cannot be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system refuses.
    #[error(
        "cannot {what} {path}: {error}; give this user the right to, or choose another folder for the keys of access tokens"
    )]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others can read the keys.
    #[error(
        "others than its owner can read {path}, which has the keys of access tokens: chmod 600, and delete it if anybody did"
    )]
    Readable {
        /// Which.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("{path} holds no keys of access tokens ({why}): restore it, or delete it; then all players log in again")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A second issuer.
    #[error("another process issues access tokens from {path}: stop it, or choose another folder")]
    Locked {
        /// Which.
        path: PathBuf,
    },
}

/// All that an issuer knows. Times are since 1970.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub issuing: bool,
    pub current: Arc<SigningKey>,
    /// When it began to sign.
    pub since: Duration,
    /// Published ahead, so that no verifier has to ask for it when it begins to sign.
    pub next: Arc<SigningKey>,
    /// What no longer signs: only the public half is kept, until the last token is over.
    pub retired: Vec<(PublicKey, Duration)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    issuing: bool,
    current: Zeroizing<String>,
    since_s: u64,
    next: Zeroizing<String>,
    retired: Vec<WrittenRetired>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRetired {
    public: String,
    until_s: u64,
}

impl State {
    fn written(&self) -> Written {
        let retired = self.retired.iter();
        Written {
            format: FORMAT,
            issuing: self.issuing,
            current: self.current.text(),
            since_s: self.since.as_secs(),
            next: self.next.text(),
            retired: retired
                .map(|(key, until)| WrittenRetired { public: key.text(), until_s: until.as_secs() })
                .collect(),
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if written.format != FORMAT {
            return Err(format!("it has format {}, known is {FORMAT}", written.format));
        }
        if written.retired.len() > RETIRED_MAX {
            return Err(format!("it has {} retired keys, at most {RETIRED_MAX} belong there", written.retired.len()));
        }
        let signing = |text: &str| SigningKey::from_text(text).map(Arc::new).ok_or("a key is none");
        let retired = |retired: &WrittenRetired| {
            let key = PublicKey::from_text(&retired.public).ok_or("a retired key is none")?;
            Ok((key, Duration::from_secs(retired.until_s)))
        };
        Ok(Self {
            issuing: written.issuing,
            current: signing(&written.current)?,
            since: Duration::from_secs(written.since_s),
            next: signing(&written.next)?,
            retired: written.retired.iter().map(retired).collect::<Result<_, &str>>()?,
        })
    }
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    /// Held for as long as this lives.
    _lock: File,
}

impl Store {
    /// Makes the folder if it is missing, and keeps others out.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let io = |what| move |error| StoreError::Io { what, path: folder.to_owned(), error };
        if !folder.is_dir() {
            make_folder(folder).map_err(io("make the folder"))?;
        }
        let path = folder.join(LOCK);
        let lock = secret_file().truncate(false).open(&path).map_err(io("write to the folder"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => Err(io("lock the folder")(error)),
        }
    }

    /// What is there; `None` if nothing is yet.
    pub fn read(&self) -> Result<Option<State>, StoreError> {
        let path = self.folder.join(FILE);
        let io = |error| StoreError::Io { what: "read", path: path.clone(), error };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        if is_readable_by_others(&file).map_err(io)? {
            return Err(StoreError::Readable { path });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize));
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
        State::read(&bytes).map(Some).map_err(|why| StoreError::Damaged { path, why })
    }

    /// Replaces what is there; once it returns, what was written survives a power loss.
    pub fn write(&self, state: &State) -> Result<(), StoreError> {
        let (new, path) = (self.folder.join(NEW_FILE), self.folder.join(FILE));
        let write = || {
            let bytes = Zeroizing::new(serde_json::to_vec_pretty(&state.written())?);
            let mut file = secret_file().truncate(true).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            sync_names(&self.folder)
        };
        write().map_err(|error| StoreError::Io { what: "write", path: path.clone(), error })
    }
}

/// To be read by its owner only.
fn secret_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn is_readable_by_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Other systems give files the rights of their folder.
#[cfg(not(unix))]
fn is_readable_by_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(unix)]
fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems have no call for it; their file systems keep names in order.
#[cfg(not(unix))]
fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}
