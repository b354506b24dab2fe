//! Profiles and their keys together: told, changed, erased. It blocks its thread for the disk.

use std::collections::HashMap;

use arbiter_eventlog::{AppendError, CommitError, Disk, Log, OpenError, Options, Record};
use thiserror::Error;

use super::keys::{KeyError, KeyStore};
use super::name::DisplayName;
use super::sealed::{self, Head, Kind};

/// Milliseconds between two changes of one player's profile: each costs a sector of the log and an id in memory, for
/// ever.
pub const APART_MS: u64 = 5_000;

/// Bytes of the log that are read at once when it is opened.
const READ_BYTES: usize = 1 << 20;

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What others see.
    pub display_name: DisplayName,
    /// When it was last changed, milliseconds since 1970.
    pub changed_ms: u64,
}

/// Why a profile could not be told, changed or erased.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The log could not be opened or read.
    #[error("the log of profiles: {0}")]
    Log(#[from] OpenError),
    /// It could not be written.
    #[error("the log of profiles: {0}")]
    Append(#[from] AppendError),
    /// What was written is perhaps not on disk.
    #[error("the log of profiles: {0}")]
    Commit(#[from] CommitError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A record of another kind.
    #[error("the record at {0} of the log of profiles is none that this build knows: use the release that wrote it")]
    Unknown(u64),
    /// A record that its key does not open.
    #[error("the profile at {0} does not open with its player's key: put the files of profile keys back from a copy")]
    Unreadable(u64),
    /// The files of keys are older than the log.
    #[error(
        "{0} profiles have no key: the files of profile keys are older than the log of profiles; put the newest copy back"
    )]
    KeysOlder(usize),
    /// The log failed before.
    #[error("profiles stopped when their log failed: start again to find out what is on disk")]
    Stopped,
    /// Too often.
    #[error("a profile may be changed every {APART_MS} ms: try again in {0} ms")]
    TooSoon(u64),
    /// No random bytes.
    #[error("the system gives no random bytes to seal with")]
    NoRandomness,
}

/// The last that the log says of a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    /// Where the profile is; `None` if it was erased.
    position: Option<u64>,
    change: u64,
    time_ms: u64,
}

/// All profiles. Memory: about 100 B for each player who ever had one, and 50 B for each change.
#[derive(Debug)]
pub struct Profiles<D: Disk> {
    log: Log<D>,
    keys: KeyStore<D>,
    last: HashMap<u64, Last>,
    stopped: bool,
}

impl<D: Disk> Profiles<D> {
    /// Opens the profiles in a folder, or begins them. The one that a crash left half erased is erased.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn open(disk: &D, master: &[u8; 32]) -> Result<Self, ProfileError> {
        let options = Options { segment_bytes: 4 << 20, batch_bytes: 64 << 10, ..Options::default() };
        let (log, _) = Log::open(disk.clone(), options)?;
        let mut last = HashMap::new();
        let (mut position, mut records) = (log.start(), Vec::new());
        while position < log.acknowledged() {
            records.clear();
            log.read(position, READ_BYTES, &mut records)?;
            for record in &records {
                let head = Head::read(&record.data).ok_or(ProfileError::Unknown(record.position))?;
                let place = (head.kind == Kind::Profile).then_some(record.position);
                let Head { change, time_ms, .. } = head;
                last.insert(head.player, Last { position: place, change, time_ms });
                position = record.position + 1;
            }
        }
        let needed = last.values().any(|last| last.position.is_some());
        let keys = KeyStore::open(disk, master, needed)?;
        let mut profiles = Self { log, keys, last, stopped: false };
        profiles.finish_erasing()?;
        Ok(profiles)
    }

    /// A player's profile; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn get(&self, player: u64) -> Result<Option<Profile>, ProfileError> {
        let Some(Last { position: Some(position), time_ms, .. }) = self.last.get(&player).copied() else {
            return Ok(None);
        };
        let Some(key) = self.keys.key(player)? else { return Ok(None) };
        let mut records: Vec<Record> = Vec::new();
        self.log.read(position, 1, &mut records)?;
        let record = records.first().filter(|record| record.position == position);
        let name = record.and_then(|record| sealed::unseal(&record.data, &key));
        let display_name = name.ok_or(ProfileError::Unreadable(position))?;
        Ok(Some(Profile { display_name, changed_ms: time_ms }))
    }

    /// Changes a player's profile and returns when that is on disk. The same profile again changes nothing.
    ///
    /// # Errors
    /// See [`ProfileError`]; after one of the log or the disk nobody knows whether it was changed.
    pub fn put(&mut self, player: u64, name: &DisplayName, now_ms: u64) -> Result<Profile, ProfileError> {
        self.check()?;
        if let Some(profile) = self.get(player)?
            && profile.display_name == *name
        {
            return Ok(profile);
        }
        if let Some(last) = self.last.get(&player) {
            let passed = now_ms.saturating_sub(last.time_ms);
            // A clock that was put back must not shut anybody out for longer.
            if passed < APART_MS && last.time_ms <= now_ms {
                return Err(ProfileError::TooSoon(APART_MS - passed));
            }
        }
        if !self.keys.has(player) {
            self.tell_erased(player, now_ms)?;
        }
        let key = self.keys.key_or_new(player)?;
        let head = self.next(Kind::Profile, player, now_ms);
        let record = sealed::seal(head, &key, name).ok_or(ProfileError::NoRandomness)?;
        let position = self.append(head, &record)?;
        self.last.insert(player, Last { position: Some(position), change: head.change, time_ms: now_ms });
        Ok(Profile { display_name: name.clone(), changed_ms: now_ms })
    }

    /// Destroys what makes a player's profile readable, here and in all copies, and returns when that is on disk. Once
    /// more does nothing.
    ///
    /// # Errors
    /// See [`ProfileError`]; do it again then.
    pub fn erase(&mut self, player: u64, now_ms: u64) -> Result<(), ProfileError> {
        self.check()?;
        self.keys.destroy(player)?;
        self.tell_erased(player, now_ms)
    }

    /// Whether profiles can be changed.
    ///
    /// # Errors
    /// After the log failed.
    pub fn check(&self) -> Result<(), ProfileError> {
        if self.stopped { Err(ProfileError::Stopped) } else { Ok(()) }
    }

    /// Closes the log, so that the next writer goes on in the same segment.
    ///
    /// # Errors
    /// If the disk fails; then the log is opened as after a crash.
    pub fn close(self) -> Result<(), CommitError> {
        self.log.close().map(drop)
    }

    /// The log says that a player is erased too, so that a key that comes back with a backup is destroyed again.
    fn tell_erased(&mut self, player: u64, now_ms: u64) -> Result<(), ProfileError> {
        if self.last.get(&player).is_none_or(|last| last.position.is_none()) {
            return Ok(());
        }
        let head = self.next(Kind::Erased, player, now_ms);
        self.append(head, &head.to_bytes())?;
        self.last.insert(player, Last { position: None, change: head.change, time_ms: now_ms });
        Ok(())
    }

    fn finish_erasing(&mut self) -> Result<(), ProfileError> {
        let is_erased = |player: &u64| self.last.get(player).is_some_and(|last| last.position.is_none());
        let destroyed: Vec<u64> = self.keys.players().filter(is_erased).collect();
        for player in destroyed {
            self.keys.destroy(player)?;
        }
        let half = |(player, last): (&u64, &Last)| {
            (last.position.is_some() && !self.keys.has(*player)).then_some((*player, last.time_ms))
        };
        let untold: Vec<(u64, u64)> = self.last.iter().filter_map(half).collect();
        // One is erased after the other, so that a crash leaves one. More are somebody's mistake, and not to be made
        // final.
        match untold[..] {
            [] => Ok(()),
            [(player, time_ms)] => self.tell_erased(player, time_ms),
            _ => Err(ProfileError::KeysOlder(untold.len())),
        }
    }

    fn next(&self, kind: Kind, player: u64, time_ms: u64) -> Head {
        let change = self.last.get(&player).map_or(1, |last| last.change + 1);
        Head { kind, player, change, time_ms }
    }

    fn append(&mut self, head: Head, record: &[u8]) -> Result<u64, ProfileError> {
        let id = u128::from(head.player) << 64 | u128::from(head.change);
        let appended = self.log.append(id, record).map_err(ProfileError::from).and_then(|appended| {
            self.log.commit()?;
            Ok(appended.position())
        });
        self.stopped = appended.is_err();
        appended
    }
}

#[cfg(test)]
mod tests {
    use arbiter_eventlog::DiskFile as _;
    use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};

    use super::super::keys::FILES;
    use super::*;

    const MASTER: [u8; 32] = [9; 32];

    fn open(disk: &SimulatedDisk) -> Profiles<SimulatedDisk> {
        Profiles::open(disk, &MASTER).expect("profiles")
    }

    fn name(text: &str) -> DisplayName {
        DisplayName::new(text).expect("a name")
    }

    fn told(profiles: &Profiles<SimulatedDisk>, player: u64) -> Option<String> {
        profiles.get(player).expect("readable").map(|profile| profile.display_name.as_str().to_owned())
    }

    #[test]
    fn a_profile_is_as_it_was_last_changed_after_opening_again() {
        let disk = SimulatedDisk::default();
        let mut profiles = open(&disk);
        for (player, text, at) in [(7, "Ada", 0), (8, "Bob", 0), (7, "Ada L.", APART_MS)] {
            profiles.put(player, &name(text), at).expect("changed");
        }
        drop(profiles);
        let profiles = open(&disk);
        assert_eq!([7, 8, 9].map(|player| told(&profiles, player)), [Some("Ada L.".into()), Some("Bob".into()), None]);
    }

    #[test]
    fn changes_of_one_player_come_apart_and_the_same_again_is_none() {
        let mut profiles = open(&SimulatedDisk::default());
        profiles.put(7, &name("Ada"), 100).expect("changed");
        profiles.put(7, &name("Ada"), 101).expect("nothing to change");
        let soon = profiles.put(7, &name("Bob"), 101);
        assert!(matches!(soon, Err(ProfileError::TooSoon(left)) if left == APART_MS - 1), "{soon:?}");
        profiles.put(8, &name("Bob"), 101).expect("somebody else's");
    }

    #[test]
    fn an_erased_profile_is_gone_and_its_player_can_have_another() {
        let disk = SimulatedDisk::default();
        let mut profiles = open(&disk);
        profiles.put(7, &name("Ada"), 0).expect("changed");
        profiles.erase(7, 1).expect("erased");
        profiles.erase(7, 1).expect("nothing to erase");
        assert_eq!(told(&profiles, 7), None);
        profiles.put(7, &name("Eve"), APART_MS + 1).expect("changed");
        drop(profiles);
        assert_eq!(told(&open(&disk), 7), Some("Eve".to_owned()));
    }

    #[test]
    fn an_erased_profile_stays_so_and_others_stay_wherever_power_fails() {
        for at in 0..25 {
            for seed in 0..8 {
                let disk = SimulatedDisk::default();
                let mut profiles = open(&disk);
                profiles.put(7, &name("Ada"), 0).expect("changed");
                profiles.put(8, &name("Bob"), 0).expect("changed");
                disk.set_faults(Faults { power_loss_at: Some(at), ..Faults::default() });
                let erased = profiles.erase(8, 1).is_ok();
                let changed = profiles.put(9, &name("Eve"), 1).is_ok();
                drop(profiles);
                disk.restart(&mut Dice::new(seed));
                let mut profiles = open(&disk);
                assert_eq!(told(&profiles, 7).as_deref(), Some("Ada"), "at {at}, seed {seed}");
                assert!(!erased || told(&profiles, 8).is_none(), "at {at}, seed {seed}");
                assert!(!changed || told(&profiles, 9).as_deref() == Some("Eve"), "at {at}, seed {seed}");
                profiles.put(8, &name("Bea"), 10 * APART_MS).expect("it goes on");
                assert_eq!(told(&profiles, 8).as_deref(), Some("Bea"), "at {at}, seed {seed}");
            }
        }
    }

    #[test]
    fn a_key_that_comes_back_with_an_old_copy_is_destroyed_again() {
        let disk = SimulatedDisk::default();
        let mut profiles = open(&disk);
        profiles.put(7, &name("Ada"), 0).expect("changed");
        let copies = FILES.map(|file| read(&disk, file));
        profiles.erase(7, 1).expect("erased");
        drop(profiles);
        write(&disk, &copies);
        let profiles = open(&disk);
        assert!(told(&profiles, 7).is_none() && !profiles.keys.has(7));
    }

    #[test]
    fn keys_that_are_older_than_the_profiles_are_a_mistake_and_erase_nobody() {
        let disk = SimulatedDisk::default();
        let mut profiles = open(&disk);
        profiles.put(6, &name("Cleo"), 0).expect("changed");
        let copies = FILES.map(|file| read(&disk, file));
        for player in [7, 8] {
            profiles.put(player, &name("Ada"), 0).expect("changed");
        }
        drop(profiles);
        let newest = FILES.map(|file| read(&disk, file));
        write(&disk, &copies);
        assert!(matches!(Profiles::open(&disk, &MASTER), Err(ProfileError::KeysOlder(2))));
        write(&disk, &newest);
        assert_eq!(told(&open(&disk), 8).as_deref(), Some("Ada"));
    }

    fn read(disk: &SimulatedDisk, file: &str) -> Vec<u8> {
        let file = disk.open(file).expect("a file");
        let mut bytes = vec![0; file.length().expect("a length") as usize];
        file.read_at(&mut bytes, 0).expect("read");
        bytes
    }

    fn write(disk: &SimulatedDisk, copies: &[Vec<u8>; 2]) {
        for (file, bytes) in FILES.into_iter().zip(copies) {
            disk.open(file).and_then(|file| file.write_at(bytes, 0)).expect("put back");
        }
    }
}
