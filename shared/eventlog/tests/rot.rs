//! The contract: whatever bit of an acknowledged block, header or small file flips, it is found, the file is named, and the
//! log either goes on with every acknowledged record or refuses to start. It never starts with fewer.

use arbiter_eventlog::frame::{HEADER_BYTES, SECTOR_BYTES};
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::{Damage, Disk, DiskFile, Log, Masters, OpenError, Options, verify};

fn options() -> Options {
    let masters = Some(Masters::from_key([7; 32]));
    Options { segment_bytes: 16 << 10, batch_bytes: 2 << 10, ids_max: 10_000, masters }
}

/// A log of some segments, closed or left as a crash leaves it.
fn log(closed: bool) -> (SimulatedDisk, u64) {
    let disk = SimulatedDisk::default();
    let (mut log, _) = Log::open(disk.clone(), options()).expect("a log");
    for id in 0..40_u128 {
        log.append(id, &vec![id as u8; 700]).expect("appended");
        log.commit().expect("committed");
    }
    let end = log.acknowledged();
    if closed {
        log.close().expect("closed");
    }
    (disk, end)
}

/// What became of a log: the damage that it names, or how far it goes.
fn open(disk: &SimulatedDisk) -> Result<u64, Damage> {
    match Log::open(disk.clone(), options()) {
        Ok((log, _)) => Ok(log.acknowledged()),
        Err(OpenError::Damaged(damage)) => Err(damage),
        Err(error) => panic!("another error: {error}"),
    }
}

fn segments(disk: &SimulatedDisk) -> Vec<(String, u64)> {
    let names = disk.names().expect("names");
    let length = |name: &str| disk.open(name).and_then(|file| file.length()).expect("a length");
    names.into_iter().filter(|name| name.starts_with("segment-")).map(|name| (name.clone(), length(&name))).collect()
}

/// Flips every bit position's byte in turn, and says how many of the flips were refused.
fn flip_all(closed: bool) -> (u32, u32) {
    let (good, end) = log(closed);
    let (mut refused, mut went_on) = (0, 0);
    for (name, length) in segments(&good) {
        for offset in (0..length).step_by(7) {
            let (disk, _) = log(closed);
            // The same log again has other random bytes, but the same files.
            assert!(disk.rot(&name, offset, 1 << (offset % 8)));
            match open(&disk) {
                Ok(found) => {
                    assert_eq!(found, end, "{name} at {offset}: records are gone");
                    went_on += 1;
                }
                Err(damage) => {
                    assert_eq!(damage.file, name, "{name} at {offset}");
                    assert!(damage.offset <= offset, "{name} at {offset}: {damage}");
                    refused += 1;
                }
            }
        }
    }
    (refused, went_on)
}

#[test]
fn every_flipped_bit_of_a_closed_log_is_refused_or_harmless() {
    let (refused, went_on) = flip_all(true);
    // Only what is behind the last block is harmless.
    assert!(refused > 2 * went_on, "{refused} refused, {went_on} harmless");
}

#[test]
fn every_flipped_bit_of_a_log_left_by_a_crash_is_refused_or_harmless() {
    let (refused, went_on) = flip_all(false);
    assert!(refused > 2 * went_on, "{refused} refused, {went_on} harmless");
}

#[test]
fn a_refused_log_is_not_changed_and_opens_again_when_the_bit_is_put_back() {
    let (disk, end) = log(true);
    let (name, _) = segments(&disk).swap_remove(1);
    let offset = (HEADER_BYTES + SECTOR_BYTES) as u64;
    disk.rot(&name, offset, 4);
    open(&disk).expect_err("refused");
    open(&disk).expect_err("refused again");
    disk.rot(&name, offset, 4);
    assert_eq!(open(&disk), Ok(end));
}

#[test]
fn verify_names_every_damaged_segment_and_not_only_the_first() {
    let (disk, _) = log(true);
    let segments = segments(&disk);
    assert!(segments.len() >= 3, "{segments:?}");
    for (name, _) in &segments[..2] {
        disk.rot(name, HEADER_BYTES as u64 + 100, 1);
    }
    let found = verify(&disk, options().masters).expect("readable");
    let files: Vec<_> = found.damages.iter().map(|damage| damage.file.clone()).collect();
    assert_eq!(files, [segments[0].0.clone(), segments[1].0.clone()]);
}

#[test]
fn a_missing_segment_is_named_by_the_one_behind_it() {
    let (disk, _) = log(true);
    let names = segments(&disk);
    disk.remove(&names[1].0).expect("removed");
    assert_eq!(open(&disk).expect_err("refused").file, names[2].0);
}

#[test]
fn a_missing_end_is_refused() {
    let (disk, end) = log(true);
    let names = segments(&disk);
    disk.remove(&names[names.len() - 1].0).expect("removed");
    let refused = Log::open(disk, options()).expect_err("refused");
    assert!(
        matches!(refused, OpenError::Short { acknowledged, .. } | OpenError::Damaged(Damage { position: acknowledged, .. })
        if acknowledged <= end),
        "{refused}"
    );
}

#[test]
fn one_damaged_slot_of_the_acknowledged_position_is_survived_and_two_are_named() {
    let (disk, end) = log(true);
    disk.rot("acknowledged", 20, 1);
    assert_eq!(open(&disk), Ok(end));
    let (disk, _) = log(true);
    disk.rot("acknowledged", 20, 1);
    disk.rot("acknowledged", SECTOR_BYTES as u64 + 20, 1);
    assert_eq!(open(&disk).expect_err("refused").file, "acknowledged");
}

#[test]
fn an_acknowledged_position_that_is_gone_is_not_taken_for_a_new_log() {
    let (disk, _) = log(true);
    disk.remove("acknowledged").expect("removed");
    assert_eq!(open(&disk).expect_err("refused").file, "acknowledged");
}

#[test]
fn a_block_from_another_time_of_the_same_log_breaks_the_chain() {
    let (disk, _) = log(true);
    let (name, _) = segments(&disk).swap_remove(0);
    let file = disk.open(&name).expect("opened");
    let mut block = vec![0; 1024];
    file.read_at(&mut block, HEADER_BYTES as u64).expect("read");
    file.write_at(&block, HEADER_BYTES as u64 + 1024).expect("written");
    let damage = open(&disk).expect_err("refused");
    assert_eq!((damage.file, damage.offset, damage.block), (name, HEADER_BYTES as u64 + 1024, Some(1)));
}
