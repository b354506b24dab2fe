//! A disk in memory that does what real ones do when power fails or hardware ages. Not for production: for tests, and for
//! the chore that crashes a store at every write.
//!
//! The model: a write is seen at once and is on disk only after `sync_data`; names only after `sync_folder`. A power loss
//! keeps any subset of the sectors written since (so writes tear and change their order) and any beginning of the changes
//! of names (a journal keeps their order). A sector of [`SECTOR_BYTES`] is written whole or not at all. A failed sync drops
//! what waited and then claims, as Linux does, that nothing waits. A commit past the cache waits for nothing and flushes nothing
//! else; one that fails leaves some of its sectors on the disk, and shows them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::frame::SECTOR_BYTES;

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// What goes wrong, and what lies. Counted from the moment it is set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Power fails inside the operation of this number, from 0; only operations that change something are counted.
    pub power_loss_at: Option<u64>,
    /// The sync of this number, from 0, fails and loses what waited in its file.
    pub failing_sync_at: Option<u64>,
    /// Every sync fails so, whoever asks for it: a thread that works at its own pace must not use up the one that was to fail.
    pub syncs_fail: bool,
    /// Bytes that fit; writes beyond fail.
    pub capacity_bytes: Option<u64>,
    /// Simulated microseconds that a sync takes, summed in [`SimulatedDisk::elapsed_us`].
    pub sync_us: u64,
    /// A planted fault: `sync_data` does nothing.
    pub lies_about_data: bool,
    /// A planted fault: `sync_folder` does nothing.
    pub lies_about_names: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    waiting_names: Vec<Change>,
    next_file: u64,
    /// Files opened before a power loss belong to an earlier life and answer nothing.
    life: u64,
    dead: bool,
    faults: Faults,
    operations: u64,
    syncs: u64,
    elapsed_us: u64,
    bytes_read: u64,
    /// Whether files can be written past the cache.
    is_direct: bool,
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    waiting: Vec<Write>,
}

#[derive(Debug)]
enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug)]
enum Change {
    Link(String, u64),
    Unlink(String),
    Rename(String, String),
}

/// A file of a simulated disk.
#[derive(Debug)]
pub struct SimulatedFile {
    disk: SimulatedDisk,
    number: u64,
    life: u64,
    /// Whether commits go past the cache.
    is_direct: bool,
}

/// A small generator of numbers for tests: the same seed gives the same numbers everywhere.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64 by Steele, Lea and Flood).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }
}

impl SimulatedDisk {
    /// A disk with a file system that writes past its cache where it is asked to, as most do; the default one refuses.
    pub fn direct() -> Self {
        let disk = Self::default();
        disk.state().is_direct = true;
        disk
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = faults;
        (state.operations, state.syncs) = (0, 0);
    }

    /// Operations that changed something since the faults were set.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Simulated time that syncs took, in microseconds.
    pub fn elapsed_us(&self) -> u64 {
        self.state().elapsed_us
    }

    /// Bytes that were read since the disk was made.
    pub fn bytes_read(&self) -> u64 {
        self.state().bytes_read
    }

    /// Whether power failed and [`Self::restart`] was not called yet.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Cuts the power if it is still on, and turns it on again: what was not synced is partly there, partly not.
    pub fn restart(&self, dice: &mut Dice) {
        let mut state = self.state();
        let changes = std::mem::take(&mut state.waiting_names);
        let kept = dice.below(changes.len() as u64 + 1) as usize;
        for change in changes.into_iter().take(kept) {
            apply(&mut state.durable_names, change);
        }
        for file in state.files.values_mut() {
            file.lose_power(dice);
        }
        state.names = state.durable_names.clone();
        let State { names, files, .. } = &mut *state;
        files.retain(|number, _| names.values().any(|used| used == number));
        state.life += 1;
        state.dead = false;
        state.faults = Faults::default();
        (state.operations, state.syncs) = (0, 0);
    }

    /// Flips bits of a byte that is on disk; returns whether there is such a byte.
    pub fn rot(&self, name: &str, offset: u64, mask: u8) -> bool {
        let mut state = self.state();
        let Some(number) = state.names.get(name).copied() else { return false };
        let Some(file) = state.files.get_mut(&number) else { return false };
        let at = offset as usize;
        for bytes in [&mut file.seen, &mut file.durable] {
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= mask,
                None => return false,
            }
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere must not hide its own message behind a second one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: Change) {
    match change {
        Change::Link(name, number) => drop(names.insert(name, number)),
        Change::Unlink(name) => drop(names.remove(&name)),
        Change::Rename(from, to) => {
            if let Some(number) = names.remove(&from) {
                names.insert(to, number);
            }
        }
    }
}

impl Inode {
    fn write(bytes: &mut Vec<u8>, offset: u64, new: &[u8]) {
        let (from, to) = (offset as usize, offset as usize + new.len());
        if bytes.len() < to {
            bytes.resize(to, 0);
        }
        bytes[from..to].copy_from_slice(new);
    }

    /// Only what waits is written: what a failed sync dropped is still seen, and stays lost.
    fn flush(&mut self) {
        for write in std::mem::take(&mut self.waiting) {
            match write {
                Write::Length(bytes) => self.durable.resize(bytes as usize, 0),
                Write::Bytes(offset, bytes) => Self::write(&mut self.durable, offset, &bytes),
            }
        }
    }

    fn lose_power(&mut self, dice: &mut Dice) {
        for write in std::mem::take(&mut self.waiting) {
            match write {
                Write::Length(bytes) if dice.below(2) == 0 => self.durable.resize(bytes as usize, 0),
                Write::Length(_) => {}
                Write::Bytes(offset, bytes) => self.tear(offset, &bytes, dice),
            }
        }
        self.seen.clone_from(&self.durable);
    }

    fn tear(&mut self, offset: u64, bytes: &[u8], dice: &mut Dice) {
        // Whole, nothing, the beginning, or any sectors: the cases that differ for who reads them.
        let (kind, sector) = (dice.below(4), SECTOR_BYTES as u64);
        let first = dice.below(bytes.len() as u64 / sector + 1);
        let mut at = 0;
        while at < bytes.len() {
            let place = offset + at as u64;
            let length = ((sector - place % sector) as usize).min(bytes.len() - at);
            let keep = match kind {
                0 => true,
                1 => false,
                2 => at as u64 / sector < first,
                _ => dice.below(2) == 0,
            };
            if keep {
                Self::write(&mut self.durable, place, &bytes[at..at + length]);
            }
            at += length;
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the simulated machine has no power")
}

impl State {
    /// Counts an operation; `true` if power fails inside it, so that it is begun and never answered.
    fn step(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(dead());
        }
        let fails = self.faults.power_loss_at == Some(self.operations);
        self.operations += 1;
        self.dead = fails;
        Ok(fails)
    }

    fn change(&mut self, change: Change, name: &str) -> io::Result<()> {
        if !self.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.record(change)
    }

    fn record(&mut self, change: Change) -> io::Result<()> {
        let fails = self.step()?;
        let copy = match &change {
            Change::Link(name, number) => Change::Link(name.clone(), *number),
            Change::Unlink(name) => Change::Unlink(name.clone()),
            Change::Rename(from, to) => Change::Rename(from.clone(), to.clone()),
        };
        apply(&mut self.names, copy);
        self.waiting_names.push(change);
        if fails { Err(dead()) } else { Ok(()) }
    }

    fn file(&mut self, file: &SimulatedFile) -> io::Result<&mut Inode> {
        if self.dead || self.life != file.life {
            return Err(dead());
        }
        self.files.get_mut(&file.number).ok_or_else(dead)
    }

    /// Bytes are seen, and wait for a flush.
    fn waits(&mut self, number: u64, offset: u64, bytes: &[u8]) {
        if let Some(file) = self.files.get_mut(&number) {
            Inode::write(&mut file.seen, offset, bytes);
            file.waiting.push(Write::Bytes(offset, bytes.to_vec()));
        }
    }

    /// Whether a sync fails on purpose.
    fn sync_fails(&mut self) -> bool {
        let fails = self.faults.syncs_fail || self.faults.failing_sync_at == Some(self.syncs);
        self.syncs += 1;
        self.elapsed_us += self.faults.sync_us;
        fails
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;
    type Lock = ();

    fn names(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.dead { Err(dead()) } else { Ok(state.names.keys().cloned().collect()) }
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = state.next_file;
        state.next_file += 1;
        state.files.insert(number, Inode::default());
        state.record(Change::Link(name.to_owned(), number))?;
        Ok(SimulatedFile { disk: self.clone(), number, life: state.life, is_direct: false })
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let state = self.state();
        if state.dead {
            return Err(dead());
        }
        let number = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimulatedFile { disk: self.clone(), number, life: state.life, is_direct: false })
    }

    fn open_to_commit(&self, name: &str) -> io::Result<SimulatedFile> {
        let is_direct = self.state().is_direct;
        Ok(SimulatedFile { is_direct, ..self.open(name)? })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().change(Change::Rename(from.to_owned(), to.to_owned()), from)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().change(Change::Unlink(name.to_owned()), name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.step()? {
            return Err(dead());
        }
        if state.sync_fails() {
            return Err(io::Error::other("simulated: the names could not be written"));
        }
        if !state.faults.lies_about_names {
            for change in std::mem::take(&mut state.waiting_names) {
                apply(&mut state.durable_names, change);
            }
        }
        Ok(())
    }

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let file = state.file(self)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = from.checked_add(into.len()).and_then(|to| file.seen.get(from..to));
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        state.bytes_read += into.len() as u64;
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let before = state.file(self)?.seen.len() as u64;
        let grows = (offset + bytes.len() as u64).saturating_sub(before);
        let used: u64 = state.files.values().map(|file| file.seen.len() as u64).sum();
        if grows > 0 && state.faults.capacity_bytes.is_some_and(|capacity| used + grows > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let fails = state.step()?;
        state.waits(self.number, offset, bytes);
        if fails { Err(dead()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.file(self)?;
        if state.step()? {
            return Err(dead());
        }
        let (fails, lies) = (state.sync_fails(), state.faults.lies_about_data);
        let file = state.file(self)?;
        if fails {
            file.waiting.clear();
            return Err(io::Error::other("simulated: the data could not be written"));
        }
        if !lies {
            file.flush();
        }
        Ok(())
    }

    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if !self.is_direct {
            self.write_at(bytes, offset)?;
            return self.sync_data();
        }
        let mut state = self.disk.state();
        let length = state.file(self)?.seen.len() as u64;
        let (end, sector) = (offset + bytes.len() as u64, SECTOR_BYTES as u64);
        let fits = end <= length && offset.is_multiple_of(sector) && end.is_multiple_of(sector);
        if !fits || bytes.as_ptr().align_offset(SECTOR_BYTES) != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if state.step()? {
            state.waits(self.number, offset, bytes);
            return Err(dead());
        }
        if state.faults.lies_about_data {
            state.waits(self.number, offset, bytes);
            return Ok(());
        }
        let fails = state.sync_fails();
        let sectors = bytes.len() / SECTOR_BYTES;
        let written = if fails { &bytes[..sectors / 2 * SECTOR_BYTES] } else { bytes };
        let file = state.file(self)?;
        Inode::write(&mut file.seen, offset, written);
        Inode::write(&mut file.durable, offset, written);
        if fails { Err(io::Error::other("simulated: the data could not be written")) } else { Ok(()) }
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        Ok(state.file(self)?.seen.len() as u64)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.file(self)?;
        let fails = state.step()?;
        if let Some(file) = state.files.get_mut(&self.number) {
            file.seen.resize(bytes as usize, 0);
            file.waiting.push(Write::Length(bytes));
        }
        if fails { Err(dead()) } else { Ok(()) }
    }
}
