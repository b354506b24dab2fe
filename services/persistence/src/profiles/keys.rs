//! The players' keys: a file of entries that are overwritten where they stand, and a second one with the same.
//!
//! A log cannot forget, and a file that is replaced leaves its old bytes behind. So an entry has its place for life,
//! and is destroyed by writing zeros over it and flushing, in both files. A key is made in the first file and then in
//! the second, and destroyed in the same order, so that after a power loss what stands in the first is what was meant:
//! see [`settle`].
//!
//! What no file system promises: that a disk forgets a sector when it is written again. An SSD may keep it for a while
//! where only its maker reads it; and there it is wrapped by the master key. Copies of these two files must not live
//! longer than an erased player may be readable.

use std::collections::HashMap;
use std::io;

use arbiter_eventlog::{Disk, DiskFile};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

/// Names of the two files.
pub const FILES: [&str; 2] = ["profile-keys", "profile-keys-copy"];

/// Players with a key at most: 128 MiB in each of the two files, some 50 MB of memory.
pub const KEYS_MAX: u32 = 1 << 20;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bytes of a nonce of AES-GCM.
pub const NONCE_BYTES: usize = 12;

/// Bytes that a seal adds.
pub const TAG_BYTES: usize = 16;

const MAGIC: [u8; 8] = *b"\x93ARBPKY\n";
const FORMAT: u32 = 1;

/// Bytes of the header: a sector, so that writing an entry never touches it.
const HEADER_BYTES: usize = 512;

/// Bytes of an entry: four to a sector, so that one is written whole or not at all.
const ENTRY_BYTES: usize = 128;

/// Entries that a file grows by, so that it seldom does.
const GROWTH: u32 = 64;

/// A key that is overwritten when it is dropped.
pub type Secret = Zeroizing<[u8; KEY_BYTES]>;

/// What can go wrong with the keys, and what to do about it.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The disk.
    #[error("the profile keys cannot be read or written: {0}; look at the disk")]
    Io(#[from] io::Error),
    /// Wrapped by another key.
    #[error("{0} was made with another master key: give the key that it was made with")]
    WrongMaster(&'static str),
    /// Not one of ours, or of another format.
    #[error(
        "{0} is no file of profile keys of format {FORMAT}: put it back from a copy, or use the release that wrote it"
    )]
    Format(&'static str),
    /// Both copies of an entry are damaged.
    #[error(
        "entry {0} is damaged in both files of profile keys: put one back from a copy that is newer than the last erasure"
    )]
    Damaged(u32),
    /// There are profiles and no keys.
    #[error(
        "there are profiles and no keys for them: put the files of profile keys back, or nobody can read any of them"
    )]
    Missing,
    /// As many as may be.
    #[error("{KEYS_MAX} players have a profile, which is the limit")]
    Full,
    /// No random bytes.
    #[error("the system gives no random bytes to make keys of")]
    NoRandomness,
}

type Entry = [u8; ENTRY_BYTES];

/// What stands in the place of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Free,
    Live(u64),
    Damaged,
}

/// What is done about an entry whose two copies say different things, so that both say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Equal,
    /// The first counts and is copied to the second.
    First,
    /// The second counts and is copied to the first.
    Second,
    Lost,
}

/// The rule after a power loss. Live in the first only is a key that was being made; free in the first only is one that
/// was being destroyed; a damaged copy is put right from a whole one, except that what was free somewhere and nowhere
/// whole stays free: a key that was being made and told to nobody, or one that was being destroyed.
fn settle(first: Found, second: Found) -> Settled {
    match (first, second) {
        (Found::Damaged, Found::Damaged) => Settled::Lost,
        (Found::Damaged, _) => Settled::Second,
        (first, second) if first == second => Settled::Equal,
        _ => Settled::First,
    }
}

/// The keys of all players who have a profile.
#[derive(Debug)]
pub struct KeyStore<D: Disk> {
    files: [D::File; 2],
    master: Master,
    slots: HashMap<u64, u32>,
    free: Vec<u32>,
    /// Entries that the files have room for.
    room: u32,
}

/// The key that wraps the others.
struct Master {
    cipher: LessSafeKey,
    id: [u8; 8],
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Master(..)")
    }
}

impl Master {
    /// A key of its own is derived, so that the master key may be used for other things too.
    fn new(master: &[u8; KEY_BYTES]) -> Self {
        let key = Zeroizing::new(blake3::derive_key("arbiter persistence 1 profile keys", master));
        let mut id = [0; 8];
        id.copy_from_slice(&blake3::derive_key("arbiter persistence 1 master id", &key[..])[..8]);
        Self { cipher: cipher(&key), id }
    }
}

/// A key, ready for use.
pub(crate) fn cipher(key: &Secret) -> LessSafeKey {
    // The length is right by its type, which is all that ring asks for.
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).expect("a key of 32 bytes"))
}

fn offset(slot: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(slot) * ENTRY_BYTES as u64
}

impl<D: Disk> KeyStore<D> {
    /// Opens the store, or makes one if neither file is there and no profile needs one.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(disk: &D, master: &[u8; KEY_BYTES], needed: bool) -> Result<Self, KeyError> {
        let master = Master::new(master);
        let [first, second] = [open(disk, 0, &master)?, open(disk, 1, &master)?];
        let files = match (first, second) {
            (Some(first), Some(second)) => [first, second],
            (None, None) if needed => return Err(KeyError::Missing),
            // A file without a whole header is one that was just being made, so that nothing is in it.
            (first, second) => {
                let first = first.map_or_else(|| make(disk, 0, &master), Ok)?;
                let second = second.map_or_else(|| make(disk, 1, &master), Ok)?;
                disk.sync_folder()?;
                [first, second]
            }
        };
        let mut store = Self { files, master, slots: HashMap::new(), free: Vec::new(), room: 0 };
        store.read_all()?;
        Ok(store)
    }

    /// Whether a player has a key.
    pub fn has(&self, player: u64) -> bool {
        self.slots.contains_key(&player)
    }

    /// All players who have a key, in no order.
    pub fn players(&self) -> impl Iterator<Item = u64> {
        self.slots.keys().copied()
    }

    /// A player's key; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or does not open.
    pub fn key(&self, player: u64) -> Result<Option<Secret>, KeyError> {
        let Some(slot) = self.slots.get(&player).copied() else { return Ok(None) };
        for file in &self.files {
            let mut entry = [0; ENTRY_BYTES];
            file.read_at(&mut entry, offset(slot))?;
            if found(&entry) == Found::Live(player)
                && let Some(key) = self.unwrap(player, &entry)
            {
                return Ok(Some(key));
            }
        }
        Err(KeyError::Damaged(slot))
    }

    /// A player's key, drawn and on disk if there was none.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn key_or_new(&mut self, player: u64) -> Result<Secret, KeyError> {
        if let Some(key) = self.key(player)? {
            return Ok(key);
        }
        if self.free.is_empty() {
            self.grow()?;
        }
        let slot = *self.free.last().ok_or(KeyError::Full)?;
        let mut key = Secret::default();
        getrandom::fill(&mut key[..]).map_err(|_| KeyError::NoRandomness)?;
        let entry = self.wrap(player, &key)?;
        self.write(slot, &entry)?;
        self.free.pop();
        self.slots.insert(player, slot);
        Ok(key)
    }

    /// Destroys a player's key and returns when that is on disk; whether there was one. After an error it may be
    /// destroyed or not: do it again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn destroy(&mut self, player: u64) -> Result<bool, KeyError> {
        let Some(slot) = self.slots.get(&player).copied() else { return Ok(false) };
        self.write(slot, &[0; ENTRY_BYTES])?;
        self.slots.remove(&player);
        self.free.push(slot);
        Ok(true)
    }

    fn write(&self, slot: u32, entry: &Entry) -> Result<(), KeyError> {
        for file in &self.files {
            file.write_at(entry, offset(slot))?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), KeyError> {
        let room = (self.room + GROWTH).min(KEYS_MAX);
        for file in &self.files {
            file.set_length(offset(room))?;
            file.sync_data()?;
        }
        // The lowest last, because places are taken from the end.
        self.free.extend((self.room..room).rev());
        self.room = room;
        Ok(())
    }

    fn read_all(&mut self) -> Result<(), KeyError> {
        let mut room = 0;
        for file in &self.files {
            room = room.max(file.length()?.saturating_sub(HEADER_BYTES as u64).div_ceil(ENTRY_BYTES as u64));
        }
        if room > u64::from(KEYS_MAX) {
            return Err(KeyError::Format(FILES[0]));
        }
        self.room = room as u32;
        for file in &self.files {
            file.set_length(offset(self.room))?;
        }
        for slot in 0..self.room {
            let mut entries = [[0; ENTRY_BYTES]; 2];
            for (file, entry) in self.files.iter().zip(&mut entries) {
                file.read_at(entry, offset(slot))?;
            }
            let [first, second] = entries.map(|entry| found(&entry));
            let kept = match settle(first, second) {
                Settled::Equal => first,
                Settled::First => self.put_right(slot, &entries[0]).map(|()| first)?,
                Settled::Second => self.put_right(slot, &entries[1]).map(|()| second)?,
                Settled::Lost => return Err(KeyError::Damaged(slot)),
            };
            match kept {
                Found::Live(player) => drop(self.slots.insert(player, slot)),
                _ => self.free.push(slot),
            }
        }
        self.free.reverse();
        Ok(())
    }

    fn put_right(&self, slot: u32, entry: &Entry) -> Result<(), KeyError> {
        self.write(slot, entry)
    }

    fn wrap(&self, player: u64, key: &Secret) -> Result<Entry, KeyError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
        let mut secret = *key.clone();
        let aad = Aad::from(player.to_le_bytes());
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        let tag = self.master.cipher.seal_in_place_separate_tag(nonce_used, aad, &mut secret);
        let tag = tag.map_err(|_| KeyError::NoRandomness)?;
        let mut entry = [0; ENTRY_BYTES];
        entry[0] = 1;
        entry[8..16].copy_from_slice(&player.to_le_bytes());
        entry[16..28].copy_from_slice(&nonce);
        entry[32..64].copy_from_slice(&secret);
        entry[64..80].copy_from_slice(tag.as_ref());
        let crc = crc32fast::hash(&entry[..ENTRY_BYTES - 4]);
        entry[ENTRY_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        Ok(entry)
    }

    fn unwrap(&self, player: u64, entry: &Entry) -> Option<Secret> {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&entry[16..28]);
        let mut sealed = [0; KEY_BYTES + TAG_BYTES];
        sealed.copy_from_slice(&entry[32..80]);
        let aad = Aad::from(player.to_le_bytes());
        let opened = self.master.cipher.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        let mut key = Secret::default();
        key.copy_from_slice(opened);
        sealed.zeroize();
        Some(key)
    }
}

fn found(entry: &Entry) -> Found {
    if entry.iter().all(|byte| *byte == 0) {
        return Found::Free;
    }
    let crc = crc32fast::hash(&entry[..ENTRY_BYTES - 4]).to_le_bytes();
    if entry[0] != 1 || entry[ENTRY_BYTES - 4..] != crc {
        return Found::Damaged;
    }
    let mut player = [0; 8];
    player.copy_from_slice(&entry[8..16]);
    Found::Live(u64::from_le_bytes(player))
}

fn header(master: &Master) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..20].copy_from_slice(&master.id);
    let crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
    bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn make<D: Disk>(disk: &D, number: usize, master: &Master) -> Result<D::File, KeyError> {
    match disk.remove(FILES[number]) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = disk.create(FILES[number])?;
    file.write_at(&header(master), 0)?;
    file.sync_data()?;
    Ok(file)
}

/// A file that is there and whole; `None` if it is not there, or has nothing in it yet.
fn open<D: Disk>(disk: &D, number: usize, master: &Master) -> Result<Option<D::File>, KeyError> {
    let file = match disk.open(FILES[number]) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = file.length()?;
    if length < HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(&mut bytes, 0)?;
    if bytes == header(master) {
        return Ok(Some(file));
    }
    if length == HEADER_BYTES as u64 && bytes == [0; HEADER_BYTES] {
        return Ok(None);
    }
    let crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]).to_le_bytes();
    let ours = bytes[..8] == MAGIC && bytes[8..12] == FORMAT.to_le_bytes() && bytes[HEADER_BYTES - 4..] == crc;
    Err(if ours { KeyError::WrongMaster(FILES[number]) } else { KeyError::Format(FILES[number]) })
}

#[cfg(test)]
mod tests {
    use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};

    use super::*;

    const MASTER: [u8; 32] = [9; 32];

    fn open(disk: &SimulatedDisk) -> KeyStore<SimulatedDisk> {
        KeyStore::open(disk, &MASTER, false).expect("a store")
    }

    fn key(store: &KeyStore<SimulatedDisk>, player: u64) -> Option<[u8; 32]> {
        store.key(player).expect("whole").map(|key| *key)
    }

    #[test]
    fn a_key_is_the_same_after_opening_again() {
        let disk = SimulatedDisk::default();
        let mut store = open(&disk);
        let keys: Vec<_> = (0..100).map(|player| *store.key_or_new(player).expect("a key")).collect();
        drop(store);
        let store = open(&disk);
        assert_eq!((0..100).filter_map(|player| key(&store, player)).collect::<Vec<_>>(), keys);
    }

    #[test]
    fn the_place_of_a_destroyed_key_is_used_again() {
        let disk = SimulatedDisk::default();
        let mut store = open(&disk);
        let old = *store.key_or_new(1).expect("a key");
        for player in 1..=200 {
            store.key_or_new(player).expect("a key");
            assert_eq!(store.destroy(player).ok(), Some(true));
        }
        assert_ne!(*store.key_or_new(1).expect("a key"), old);
        assert_eq!(store.room, GROWTH);
    }

    #[test]
    fn a_destroyed_key_stays_destroyed_and_an_acknowledged_one_stays_wherever_power_fails() {
        for at in 0..12 {
            for seed in 0..20 {
                let disk = SimulatedDisk::default();
                let mut store = open(&disk);
                let kept = *store.key_or_new(7).expect("a key");
                store.key_or_new(8).expect("a key");
                disk.set_faults(Faults { power_loss_at: Some(at), ..Faults::default() });
                let destroyed = store.destroy(8).is_ok();
                let made = store.key_or_new(9).ok().map(|key| *key);
                drop(store);
                disk.restart(&mut Dice::new(seed));
                let store = open(&disk);
                assert_eq!(key(&store, 7), Some(kept), "at {at}, seed {seed}");
                assert!(!destroyed || key(&store, 8).is_none(), "at {at}, seed {seed}");
                assert!(made.is_none() || key(&store, 9) == made, "at {at}, seed {seed}");
            }
        }
    }

    #[test]
    fn one_damaged_copy_costs_nothing_and_two_are_named() {
        let disk = SimulatedDisk::default();
        let drawn = *open(&disk).key_or_new(7).expect("a key");
        assert!(disk.rot(FILES[0], offset(0) + 40, 1));
        assert_eq!(key(&open(&disk), 7), Some(drawn));
        assert!(disk.rot(FILES[0], offset(0) + 40, 1) && disk.rot(FILES[1], offset(0) + 40, 1));
        assert!(matches!(KeyStore::open(&disk, &MASTER, false), Err(KeyError::Damaged(0))));
    }

    #[test]
    fn another_master_key_is_named_and_missing_keys_are() {
        let disk = SimulatedDisk::default();
        drop(open(&disk));
        assert!(matches!(KeyStore::open(&disk, &[1; 32], true), Err(KeyError::WrongMaster(_))));
        assert!(matches!(KeyStore::open(&SimulatedDisk::default(), &MASTER, true), Err(KeyError::Missing)));
    }
}
