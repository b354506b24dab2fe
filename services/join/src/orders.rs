//! Matches that were ordered, on disk: a file for each, made whole or not at all, because an order that was acknowledged must be there
//! when a game server asks for it, whatever restarts meanwhile. A day later nobody asks any more.
//!
//! In memory is only which orders there are. A file's name has the match and the second in which it was ordered; in the file are a
//! checksum and the settings. Everything goes through the seam of `eventlog`, so that a disk that fails can be simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use arbiter_contracts::orders::{OrderSettings, SETTINGS_BYTES_MAX};
use arbiter_contracts::servers::hex128;
use arbiter_eventlog::disk::{TEMPORARY, replace};
use arbiter_eventlog::{Disk, DiskFile};
use thiserror::Error;

/// Seconds for which an order is kept: a match that nobody began in a day is not played.
pub(crate) const KEPT_S: u64 = 24 * 60 * 60;

/// Orders at once: four for each room that servers may have. Each costs some hundred bytes of memory and a small file.
pub(crate) const ORDERS_MAX: usize = 65_536;

/// Bytes of a checksum in hexadecimal digits, and of the end of its line.
const HEAD_BYTES: usize = 65;

/// Why an order is not kept, or not found.
#[derive(Debug, Error)]
pub(crate) enum OrderError {
    #[error("match {0:032x} was ordered with other settings: order another one, or leave its id out")]
    Differs(u128),
    #[error("{ORDERS_MAX} matches are ordered: try again when orders of a day ago are forgotten")]
    Full,
    #[error("the disk of orders: {0}")]
    Disk(#[from] io::Error),
    #[error(
        "the order of match {0:032x} is damaged on disk: restore its file, or order the match again under another id"
    )]
    Damaged(u128),
}

/// Whether an order is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    New,
    Known,
}

#[derive(Debug)]
pub(crate) struct Orders<D> {
    disk: D,
    /// When each was ordered, in seconds since 1970.
    ordered: BTreeMap<u128, u64>,
    /// The same, oldest first.
    by_age: BTreeSet<(u64, u128)>,
}

impl<D: Disk> Orders<D> {
    /// Finds what is in a folder. What was not written to its end was never acknowledged.
    pub fn open(disk: D) -> io::Result<Self> {
        let mut orders = Self { disk, ordered: BTreeMap::new(), by_age: BTreeSet::new() };
        for name in orders.disk.names()? {
            if name.ends_with(TEMPORARY) {
                orders.disk.remove(&name)?;
            } else if let Some((match_id, at_s)) = parse(&name) {
                orders.know(match_id, at_s);
            }
        }
        Ok(orders)
    }

    /// Keeps an order; it is on disk when this returns. The same order again changes nothing.
    pub fn put(&mut self, match_id: u128, settings: &OrderSettings, now_s: u64) -> Result<Kept, OrderError> {
        self.forget(now_s)?;
        if let Some(known) = self.get(match_id, now_s)? {
            return if known == *settings { Ok(Kept::Known) } else { Err(OrderError::Differs(match_id)) };
        }
        if self.ordered.len() >= ORDERS_MAX {
            return Err(OrderError::Full);
        }
        let json = serde_json::to_string(settings).map_err(io::Error::other)?;
        let text = format!("{}\n{json}", blake3::hash(json.as_bytes()).to_hex());
        let name = name(match_id, now_s);
        replace(&self.disk, &name, text.as_bytes())?;
        self.know(match_id, now_s);
        Ok(Kept::New)
    }

    /// The settings of a match, if it was ordered.
    pub fn get(&self, match_id: u128, now_s: u64) -> Result<Option<OrderSettings>, OrderError> {
        let kept = |at_s: &u64| now_s.saturating_sub(*at_s) < KEPT_S;
        let Some(at_s) = self.ordered.get(&match_id).copied().filter(kept) else { return Ok(None) };
        let file = self.disk.open(&name(match_id, at_s))?;
        let damaged = || OrderError::Damaged(match_id);
        let length = usize::try_from(file.length()?).ok();
        let length = length.filter(|length| (HEAD_BYTES..=HEAD_BYTES + SETTINGS_BYTES_MAX).contains(length));
        let mut bytes = vec![0; length.ok_or_else(damaged)?];
        file.read_at(&mut bytes, 0)?;
        let (head, json) = bytes.split_at(HEAD_BYTES);
        let hash = str::from_utf8(head).ok().and_then(|line| blake3::Hash::from_hex(line.trim_end()).ok());
        if hash.is_none_or(|hash| hash != blake3::hash(json)) {
            return Err(damaged());
        }
        serde_json::from_slice(json).map(Some).map_err(|_| damaged())
    }

    fn know(&mut self, match_id: u128, at_s: u64) {
        self.by_age.insert((at_s, match_id));
        self.ordered.insert(match_id, at_s);
    }

    /// Removes what is old. A name that comes back after a power failure is removed again.
    fn forget(&mut self, now_s: u64) -> io::Result<()> {
        while let Some((at_s, match_id)) = self.by_age.first().copied() {
            if now_s.saturating_sub(at_s) < KEPT_S {
                return Ok(());
            }
            self.disk.remove(&name(match_id, at_s))?;
            self.by_age.remove(&(at_s, match_id));
            // It may have come again behind a failure, with another name.
            if self.ordered.get(&match_id) == Some(&at_s) {
                self.ordered.remove(&match_id);
            }
        }
        Ok(())
    }
}

fn name(match_id: u128, at_s: u64) -> String {
    format!("{match_id:032x}-{at_s:012}")
}

fn parse(name: &str) -> Option<(u128, u64)> {
    let (match_id, at_s) = name.split_once('-')?;
    Some((hex128::parse(match_id)?, at_s.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};

    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn settings(teams: u8) -> OrderSettings {
        OrderSettings { teams: Some(teams), ..OrderSettings::default() }
    }

    fn open(disk: &SimulatedDisk) -> Orders<SimulatedDisk> {
        Orders::open(disk.clone()).expect("a disk")
    }

    #[test]
    fn an_order_is_there_after_a_restart_and_the_same_again_changes_nothing() {
        let disk = SimulatedDisk::default();
        let mut orders = open(&disk);
        assert_eq!(orders.put(7, &settings(2), NOW_S).expect("kept"), Kept::New);
        let mut orders = open(&disk);
        assert_eq!(orders.get(7, NOW_S).expect("a disk"), Some(settings(2)));
        assert_eq!(orders.put(7, &settings(2), NOW_S + 1).expect("kept"), Kept::Known);
        assert!(matches!(orders.put(7, &settings(3), NOW_S + 1), Err(OrderError::Differs(7))));
        assert_eq!(orders.get(8, NOW_S).expect("a disk"), None);
    }

    #[test]
    fn an_order_of_a_day_ago_is_forgotten_and_its_file_removed() {
        let disk = SimulatedDisk::default();
        let mut orders = open(&disk);
        orders.put(7, &settings(2), NOW_S).expect("kept");
        assert_eq!(orders.get(7, NOW_S + KEPT_S).expect("a disk"), None);
        orders.put(8, &settings(2), NOW_S + KEPT_S).expect("kept");
        assert_eq!(disk.names().expect("a disk").len(), 1);
    }

    #[test]
    fn a_file_that_has_rotted_is_told_and_not_believed() {
        let disk = SimulatedDisk::default();
        let mut orders = open(&disk);
        orders.put(7, &settings(2), NOW_S).expect("kept");
        assert!(disk.rot(&name(7, NOW_S), HEAD_BYTES as u64 + 9, 1));
        assert!(matches!(orders.get(7, NOW_S), Err(OrderError::Damaged(7))));
    }

    #[test]
    fn what_was_acknowledged_survives_a_power_loss_at_every_write() {
        let seed = 11;
        let mut dice = Dice::new(seed);
        for at in 0..40 {
            let disk = SimulatedDisk::default();
            let mut orders = open(&disk);
            disk.set_faults(Faults { power_loss_at: Some(at), ..Faults::default() });
            let acknowledged: Vec<u128> = (1..=8).filter(|id| orders.put(*id, &settings(2), NOW_S).is_ok()).collect();
            disk.restart(&mut dice);
            let orders = open(&disk);
            for id in acknowledged {
                let found = orders.get(id, NOW_S).expect("it can be read");
                assert_eq!(found, Some(settings(2)), "seed {seed}, power lost at operation {at}: match {id}");
            }
            for id in orders.ordered.keys() {
                orders.get(*id, NOW_S).expect("what is there is whole");
            }
        }
    }

    #[test]
    fn an_order_whose_sync_failed_is_not_acknowledged_and_may_come_again() {
        let disk = SimulatedDisk::default();
        let mut orders = open(&disk);
        disk.set_faults(Faults { failing_sync_at: Some(0), ..Faults::default() });
        assert!(matches!(orders.put(7, &settings(2), NOW_S), Err(OrderError::Disk(_))));
        assert_eq!(orders.get(7, NOW_S).expect("a disk"), None);
        assert_eq!(orders.put(7, &settings(2), NOW_S).expect("kept"), Kept::New);
    }
}
