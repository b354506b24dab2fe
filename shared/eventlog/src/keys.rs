//! Encryption at rest: every segment has its own key, drawn when the segment is made; a master key, which never touches the
//! log's disk, wraps them. Rotation wraps them anew and leaves the segments alone.
//!
//! AES-256-GCM by ring. A nonce is drawn for every block: a key seals one segment, at most some 100,000 blocks, so that two
//! equal nonces under one key are not to be expected in the life of a log (fewer than 1 in 10^18 segments).

use std::collections::BTreeMap;
use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use crate::disk::{self, Disk};
use crate::error::{Damage, Fault, OpenError};
use crate::frame::{array, word};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bytes that a seal adds.
pub const TAG_BYTES: usize = 16;

/// Master keys that may be given at once: the current one and those of earlier rotations.
pub const MASTERS_MAX: usize = 16;

/// Segments whose keys one log keeps: four terabytes of segments of 64 MiB.
pub const EPOCHS_MAX: usize = 65_536;

/// Both hold the same, since without them nothing can be read.
pub(crate) const FILES: [&str; 2] = ["keys", "keys-copy"];

const MAGIC: [u8; 8] = *b"\x93ARBKEY\n";
const ENTRY_BYTES: usize = 4 + 8 + 12 + KEY_BYTES + TAG_BYTES;

type Secret = Zeroizing<[u8; KEY_BYTES]>;

/// The keys that wrap the keys of the segments; the first is the current one.
#[derive(Clone)]
pub struct Masters(Vec<Secret>);

impl fmt::Debug for Masters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masters({} keys)", self.0.len())
    }
}

/// Why a text holds no master keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyTextError {
    /// A line that is no key.
    #[error("line {0}: a key is 64 hexadecimal digits")]
    Line(usize),
    /// None or too many.
    #[error("found {0} keys; one key a line belongs there, the current one first, 16 at most")]
    Count(usize),
}

impl Masters {
    /// From a file's or a variable's text: a key of 64 hexadecimal digits a line, the current one first; `#` begins a comment.
    pub fn from_text(text: &str) -> Result<Self, KeyTextError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(from_hex(line).ok_or(KeyTextError::Line(index + 1))?);
        }
        if keys.is_empty() || keys.len() > MASTERS_MAX {
            return Err(KeyTextError::Count(keys.len()));
        }
        Ok(Self(keys))
    }

    /// One key. The caller's copy is the caller's to clear.
    pub fn from_key(key: [u8; KEY_BYTES]) -> Self {
        Self(vec![Zeroizing::new(key)])
    }

    /// These keys with a new current one before them.
    ///
    /// # Errors
    /// If there are 16 already.
    pub fn with_current(mut self, key: [u8; KEY_BYTES]) -> Result<Self, KeyTextError> {
        self.0.insert(0, Zeroizing::new(key));
        if self.0.len() > MASTERS_MAX { Err(KeyTextError::Count(self.0.len())) } else { Ok(self) }
    }
}

fn from_hex(text: &str) -> Option<Secret> {
    let mut key = Secret::default();
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

/// Names a master key without telling anything of it.
fn master_id(key: &Secret) -> [u8; 8] {
    let mut id = [0; 8];
    id.copy_from_slice(&blake3::derive_key("arbiter eventlog 1 master id", &key[..])[..8]);
    id
}

/// The opened keys of all segments, by epoch. Empty for a log that is not encrypted.
#[derive(Default)]
pub(crate) struct Keys {
    by_epoch: BTreeMap<u32, Secret>,
    masters: Option<Masters>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} epochs)", self.by_epoch.len())
    }
}

impl Keys {
    /// Of a new log.
    pub fn new(masters: Option<Masters>) -> Self {
        Self { by_epoch: BTreeMap::new(), masters }
    }

    /// Reads and unwraps all keys; of the two copies the first whole one counts.
    pub fn open<D: Disk>(disk: &D, masters: Option<Masters>) -> Result<Self, OpenError> {
        let mut keys = Self::new(masters);
        let Some(entries) = read_entries(disk)? else { return Ok(keys) };
        let masters = keys.masters.as_ref().ok_or(OpenError::KeyNeeded)?;
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let epoch = word(entry, 0);
            let key = unwrap(masters, entry).ok_or(OpenError::WrongKey { epoch })?;
            keys.by_epoch.insert(epoch, key);
        }
        Ok(keys)
    }

    /// Draws a key for the next segment and writes all of them down. Returns its epoch; 0 for a log without encryption.
    pub fn draw<D: Disk>(&mut self, disk: &D) -> Result<u32, DrawError> {
        if self.masters.is_none() {
            return Ok(0);
        }
        let epoch = self.by_epoch.keys().next_back().map_or(1, |last| last + 1);
        let mut key = Secret::default();
        getrandom::fill(&mut key[..]).map_err(|_| DrawError::NoRandomness)?;
        self.by_epoch.insert(epoch, key);
        let written = self.write(disk);
        if written.is_err() {
            self.by_epoch.remove(&epoch);
        }
        written.map(|()| epoch)
    }

    /// Forgets the keys before an epoch: what they sealed cannot be read any more, wherever a copy of it is, as soon as the
    /// keys are written down again.
    pub fn forget_before(&mut self, epoch: u32) {
        self.by_epoch = self.by_epoch.split_off(&epoch);
    }

    /// Writes all keys down, wrapped with the current master.
    pub fn write<D: Disk>(&self, disk: &D) -> Result<(), DrawError> {
        let Some(master) = self.masters.as_ref().and_then(|masters| masters.0.first()) else { return Ok(()) };
        if self.by_epoch.len() > EPOCHS_MAX {
            return Err(DrawError::Io(std::io::Error::other("the log has as many segments as it may: drop old ones")));
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(self.by_epoch.len() as u32).to_le_bytes());
        for (epoch, key) in &self.by_epoch {
            bytes.extend_from_slice(&wrap(master, *epoch, key)?);
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        FILES.iter().try_for_each(|name| disk::replace(disk, name, &bytes)).map_err(DrawError::Io)
    }

    /// The key of an epoch, ready for use.
    pub fn cipher(&self, epoch: u32) -> Option<LessSafeKey> {
        self.by_epoch.get(&epoch).map(cipher)
    }
}

/// Wraps the keys of a log anew with the first of these masters; the others open what is there. The log must not be open.
/// Segments stay as they are. Returns how many keys there are.
pub fn rotate<D: Disk>(disk: &D, masters: Masters) -> Result<usize, OpenError> {
    let _lock = disk.lock().map_err(|_| OpenError::Locked)?;
    let keys = Keys::open(disk, Some(masters))?;
    if !keys.by_epoch.is_empty() {
        keys.write(disk).map_err(|error| match error {
            DrawError::Io(error) => OpenError::Io(error),
            DrawError::NoRandomness => OpenError::NoRandomness,
        })?;
    }
    Ok(keys.by_epoch.len())
}

/// Why a key could not be drawn.
#[derive(Debug)]
pub(crate) enum DrawError {
    Io(std::io::Error),
    NoRandomness,
}

/// The wrapped keys of the first copy that is whole; `None` if the log has none.
fn read_entries<D: Disk>(disk: &D) -> Result<Option<Vec<u8>>, OpenError> {
    let limit = (12 + EPOCHS_MAX * ENTRY_BYTES + 4) as u64;
    let mut found = false;
    for name in FILES {
        let bytes = match disk::read_all(disk, name, limit) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        found = true;
        let body = bytes.len().saturating_sub(4);
        let whole = bytes.len() >= 16
            && bytes[..8] == MAGIC
            && word(&bytes, body) == crc32fast::hash(&bytes[..body])
            && word(&bytes, 8) as usize * ENTRY_BYTES == body - 12;
        if whole {
            return Ok(Some(bytes[12..body].to_vec()));
        }
    }
    if !found {
        return Ok(None);
    }
    let file = FILES[0].to_owned();
    Err(OpenError::Damaged(Damage { file, offset: 0, block: None, position: 0, fault: Fault::Side }))
}

fn cipher(key: &Secret) -> LessSafeKey {
    // The length is right by its type, which is all that ring asks for.
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).expect("a key of 32 bytes"))
}

fn wrap(master: &Secret, epoch: u32, key: &Secret) -> Result<[u8; ENTRY_BYTES], DrawError> {
    let mut out = [0; ENTRY_BYTES];
    out[..4].copy_from_slice(&epoch.to_le_bytes());
    out[4..12].copy_from_slice(&master_id(master));
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).map_err(|_| DrawError::NoRandomness)?;
    out[12..24].copy_from_slice(&nonce);
    let mut secret = *key.clone();
    let aad = Aad::from(array::<12>(&out, 0));
    let tag = cipher(master).seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut secret);
    out[24..56].copy_from_slice(&secret);
    out[56..].copy_from_slice(tag.map_err(|_| DrawError::NoRandomness)?.as_ref());
    Ok(out)
}

fn unwrap(masters: &Masters, entry: &[u8]) -> Option<Secret> {
    let master = masters.0.iter().find(|master| master_id(master)[..] == entry[4..12])?;
    let mut sealed: [u8; KEY_BYTES + TAG_BYTES] = array(entry, 24);
    let aad = Aad::from(array::<12>(entry, 0));
    let nonce = Nonce::assume_unique_for_key(array(entry, 12));
    let opened = cipher(master).open_in_place(nonce, aad, &mut sealed).ok()?;
    let mut key = Secret::default();
    key.copy_from_slice(opened);
    sealed.zeroize();
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::SimulatedDisk;

    #[test]
    fn keys_open_with_an_older_master_and_are_wrapped_with_the_current_one() {
        let disk = SimulatedDisk::default();
        let old = Masters::from_key([1; 32]);
        let mut keys = Keys::new(Some(old.clone()));
        assert_eq!(keys.draw(&disk).ok(), Some(1));
        let both = old.with_current([2; 32]).expect("two keys");
        Keys::open(&disk, Some(both)).expect("the older opens it").write(&disk).expect("wrapped anew");
        let again = Keys::open(&disk, Some(Masters::from_key([2; 32]))).expect("the new one opens it");
        assert_eq!(again.by_epoch, keys.by_epoch);
        assert!(matches!(Keys::open(&disk, Some(Masters::from_key([1; 32]))), Err(OpenError::WrongKey { epoch: 1 })));
    }

    #[test]
    fn one_damaged_copy_of_the_keys_costs_nothing_and_two_are_named() {
        let disk = SimulatedDisk::default();
        let masters = Some(Masters::from_key([1; 32]));
        Keys::new(masters.clone()).draw(&disk).expect("drawn");
        assert!(disk.rot(FILES[0], 30, 1));
        Keys::open(&disk, masters.clone()).expect("the copy is whole");
        assert!(disk.rot(FILES[1], 30, 1));
        assert!(matches!(Keys::open(&disk, masters), Err(OpenError::Damaged(damage)) if damage.file == FILES[0]));
    }

    #[test]
    fn key_text_names_its_bad_line() {
        let key = "ab".repeat(32);
        assert!(Masters::from_text(&format!("# current\n{key}\n\n{key}\n")).is_ok());
        assert_eq!(Masters::from_text(&format!("{key}\nzz\n")).err(), Some(KeyTextError::Line(2)));
        assert_eq!(Masters::from_text("").err(), Some(KeyTextError::Count(0)));
    }
}
