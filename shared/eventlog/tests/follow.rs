//! The contract of a reader that stays open while the log grows, is dropped at its start and rots: it reads what is new and
//! nothing else, has what the log has, and finds damage where it reads.

use arbiter_eventlog::frame::HEADER_BYTES;
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::{Disk, Fault, Log, Masters, OpenError, Options, Reader, Record, Signer};

/// Bytes of a record: about ten of them fill a segment.
const RECORD_BYTES: usize = 1_000;

fn options() -> Options {
    let masters = Some(Masters::from_key([7; 32]));
    Options { segment_bytes: 16 << 10, batch_bytes: 2 << 10, ids_max: 10_000, masters }
}

fn open(disk: &SimulatedDisk) -> Log<SimulatedDisk> {
    Log::open(disk.clone(), options()).expect("a log").0
}

fn follow(disk: &SimulatedDisk) -> Reader<SimulatedDisk> {
    Reader::open(disk.clone(), options().masters).expect("a log")
}

fn fill(log: &mut Log<SimulatedDisk>, ids: std::ops::Range<u128>) {
    for id in ids {
        log.append(id, &[id as u8; RECORD_BYTES]).expect("appended");
        log.commit().expect("committed");
    }
}

fn segments(disk: &SimulatedDisk) -> Vec<String> {
    let mut names = disk.names().expect("names");
    names.retain(|name| name.starts_with("segment-"));
    names
}

/// All that a reader has.
fn all(reader: &Reader<SimulatedDisk>) -> Result<Vec<Record>, OpenError> {
    let (mut next, mut records) = (reader.start(), Vec::new());
    while next < reader.end() {
        reader.read(next, 1, &mut records)?;
        next = records.last().map_or(reader.end(), |record| record.position + 1);
    }
    Ok(records)
}

#[test]
fn a_reader_reads_what_is_new_and_not_what_it_proved() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk);
    fill(&mut log, 0..200);
    let mut reader = follow(&disk);
    let (before, had) = (disk.bytes_read(), segments(&disk).len());
    fill(&mut log, 200..225);
    assert!(segments(&disk).len() >= had + 2, "segments were begun meanwhile");
    assert_eq!(reader.refresh().expect("refreshed"), 225);
    // Blocks are whole sectors; beside them each segment's header, the mark and the keys.
    let read = (disk.bytes_read() - before) as usize;
    assert!(read < 25 * 2 * RECORD_BYTES + 4 * HEADER_BYTES, "{read} bytes were read for 25 records");
    let before = disk.bytes_read();
    assert_eq!(reader.refresh().expect("refreshed"), 225);
    assert!(disk.bytes_read() - before <= 1_024, "the mark alone says that nothing is new");
}

#[test]
fn a_reader_that_stays_open_has_what_one_that_is_opened_has() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk);
    fill(&mut log, 0..1);
    let mut reader = follow(&disk);
    for round in 0..30 {
        fill(&mut log, 1 + round * 7..8 + round * 7);
        if round % 3 == 1 {
            // Left behind as by a crash: the next writer goes on in another segment.
            drop(log);
            log = open(&disk);
        }
        reader.refresh().expect("refreshed");
        assert_eq!(all(&reader).expect("whole"), all(&follow(&disk)).expect("whole"), "round {round}");
    }
}

#[test]
fn what_rots_behind_a_reader_is_found_where_it_is_read() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk);
    fill(&mut log, 0..30);
    let mut reader = follow(&disk);
    let first = segments(&disk).swap_remove(0);
    assert!(disk.rot(&first, HEADER_BYTES as u64 + 300, 1));
    fill(&mut log, 30..60);
    assert_eq!(reader.refresh().expect("what is new is whole"), 60);
    let found = all(&reader).expect_err("the first block is damaged");
    let OpenError::Damaged(damage) = found else { panic!("{found}") };
    assert_eq!((damage.file, damage.block, damage.fault), (first, Some(0), Fault::Payload));
}

#[test]
fn what_is_new_and_damaged_is_named_and_what_was_proved_can_still_be_read() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk);
    fill(&mut log, 0..3);
    let mut reader = follow(&disk);
    fill(&mut log, 3..4);
    let last = segments(&disk).pop().expect("a segment");
    // Three records of three sectors each stand before it.
    assert!(disk.rot(&last, HEADER_BYTES as u64 + 3 * 1_536 + 300, 1));
    let found = reader.refresh().expect_err("damaged");
    let OpenError::Damaged(damage) = found else { panic!("{found}") };
    assert_eq!((damage.file, damage.block, damage.position, damage.fault), (last, Some(3), 3, Fault::Payload));
    assert_eq!(all(&reader).expect("whole").len(), 3);
}

#[test]
fn a_reader_goes_on_where_segments_were_dropped_before_it() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk);
    fill(&mut log, 0..60);
    let mut reader = follow(&disk);
    let signer = Signer::from_seed(&[5; 32]).expect("a key");
    assert!(log.retain_from(40, &signer).expect("retained").len() >= 2);
    reader.refresh().expect("nothing is new, and something is gone");
    assert_eq!((reader.start(), reader.end()), (log.start(), 60));
    fill(&mut log, 60..80);
    reader.refresh().expect("refreshed");
    assert_eq!(all(&reader).expect("whole"), all(&follow(&disk)).expect("whole"));
}

#[test]
fn a_reader_of_which_nothing_is_left_begins_anew() {
    let disk = SimulatedDisk::default();
    let mut log = open(&disk);
    fill(&mut log, 0..5);
    let mut reader = follow(&disk);
    fill(&mut log, 5..60);
    let signer = Signer::from_seed(&[5; 32]).expect("a key");
    assert!(!log.retain_from(60, &signer).expect("retained").is_empty());
    assert_eq!(reader.refresh().expect("refreshed"), 60);
    assert_eq!(reader.start(), log.start());
    assert_eq!(all(&reader).expect("whole"), all(&follow(&disk)).expect("whole"));
}
