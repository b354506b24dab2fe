//! The same log on this machine's files: what a caller sees of it.

use std::path::Path;

use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::snapshot::{Snapshot, keep, latest};
use arbiter_eventlog::store::conformance;
use arbiter_eventlog::{
    AppendError, Appended, Cursor, Disk, Folder, Log, Masters, OpenError, Options, Reader, Signer, copy, roots, rotate,
    verify,
};

fn options(key: Option<u8>) -> Options {
    let masters = key.map(|key| Masters::from_key([key; 32]));
    Options { segment_bytes: 16 << 10, batch_bytes: 4 << 10, ids_max: 10_000, masters }
}

fn open(path: &Path, key: Option<u8>) -> Log<Folder> {
    Log::open(Folder::make(path).expect("a folder"), options(key)).expect("a log").0
}

fn fill(log: &mut Log<Folder>, ids: std::ops::Range<u128>) {
    for id in ids {
        log.append(id, format!("event {id}").repeat(60).as_bytes()).expect("appended");
        log.commit().expect("committed");
    }
}

#[test]
fn records_read_as_appended_after_the_log_was_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), Some(1));
    fill(&mut log, 0..30);
    let chain = log.chain();
    log.close().expect("closed");
    let log = open(folder.path(), Some(1));
    assert_eq!((log.acknowledged(), log.chain()), (30, chain));
    let mut found = Vec::new();
    log.read(12, 1, &mut found).expect("read");
    assert_eq!((found[0].position, found[0].id), (12, 12));
    assert_eq!(found[0].data, "event 12".repeat(60).as_bytes());
}

#[test]
fn nothing_is_acknowledged_before_its_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), None);
    assert_eq!(log.append(9, b"x"), Ok(Appended::New(0)));
    assert_eq!((log.acknowledged(), log.next_position()), (0, 1));
    drop(log);
    assert_eq!(open(folder.path(), None).acknowledged(), 0);
}

#[test]
fn an_id_is_appended_once_and_never_for_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), None);
    assert_eq!(log.append(9, b"x"), Ok(Appended::New(0)));
    assert_eq!(log.append(9, b"x"), Ok(Appended::Known(0)));
    log.close().expect("closed");
    let mut log = open(folder.path(), None);
    assert_eq!(log.append(9, b"x"), Ok(Appended::Known(0)));
    assert_eq!(log.append(9, b"y"), Err(AppendError::Conflict { id: 9, position: 0 }));
}

#[test]
fn a_second_writer_is_kept_out_and_a_reader_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), Some(1));
    fill(&mut log, 0..3);
    let second = Log::open(Folder::at(folder.path()).expect("there"), options(Some(1)));
    assert!(matches!(second, Err(OpenError::Locked)));
    let disk = Folder::at(folder.path()).expect("there");
    let mut reader = Reader::open(disk, options(Some(1)).masters).expect("a reader");
    assert_eq!(reader.end(), 3);
    // Enough for another segment, with another key.
    fill(&mut log, 3..40);
    assert_eq!(reader.refresh().expect("refreshed"), 40);
    let mut found = Vec::new();
    reader.read(39, 1, &mut found).expect("read");
    assert_eq!(found[0].id, 39);
}

#[test]
fn nothing_of_a_sealed_log_is_on_disk_in_the_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), Some(1));
    fill(&mut log, 0..20);
    log.close().expect("closed");
    for entry in std::fs::read_dir(folder.path()).expect("listed") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("read");
        assert!(!bytes.windows(7).any(|window| window == b"event 1"));
    }
}

#[test]
fn the_wrong_key_and_no_key_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path(), Some(1)).close().expect("closed");
    let with = |key| Log::open(Folder::at(folder.path()).expect("there"), options(key)).map(drop);
    assert!(matches!(with(Some(2)), Err(OpenError::WrongKey { epoch: 1 })));
    assert!(matches!(with(None), Err(OpenError::KeyNeeded)));
    with(Some(1)).expect("opens");
}

#[test]
fn after_a_rotation_the_new_master_opens_everything_and_the_old_one_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), Some(1));
    fill(&mut log, 0..40);
    log.close().expect("closed");
    let disk = Folder::at(folder.path()).expect("there");
    let both = Masters::from_key([1; 32]).with_current([2; 32]).expect("two keys");
    assert!(rotate(&disk, both).expect("rotated") >= 2);
    assert!(matches!(Log::open(disk, options(Some(1))), Err(OpenError::WrongKey { .. })));
    assert_eq!(open(folder.path(), Some(2)).acknowledged(), 40);
}

#[test]
fn old_segments_leave_signed_roots_and_are_kept_while_a_cursor_needs_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = open(folder.path(), Some(1));
    fill(&mut log, 0..80);
    let disk = Folder::at(folder.path()).expect("there");
    let signer = Signer::from_seed(&[5; 32]).expect("a key");
    let mut cursor = Cursor::open(&disk, "economy").expect("a cursor");
    assert_eq!(log.retain_from(80, &signer).expect("retained"), []);
    cursor.advance(60).expect("advanced");
    let left = log.retain_from(80, &signer).expect("retained");
    assert!(left.len() >= 2 && left.iter().all(|root| root.is_signed() && root.public_key == signer.public_key()));
    let start = log.start();
    assert_eq!(start, left[left.len() - 1].end);
    assert!(start > 0 && start <= 60);
    log.close().expect("closed");
    let log = open(folder.path(), Some(1));
    assert_eq!((log.start(), log.acknowledged()), (start, 80));
    assert_eq!(roots::read(&disk).expect("read"), left);
    assert_eq!(verify(&disk, options(Some(1)).masters).expect("verified").damages, []);
}

#[test]
fn a_cursor_is_where_it_was_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Folder::make(folder.path()).expect("a folder");
    let mut cursor = Cursor::open(&disk, "economy").expect("a cursor");
    for position in [3, 4, 9] {
        cursor.advance(position).expect("advanced");
    }
    assert_eq!(Cursor::open(&disk, "economy").expect("a cursor").position(), 9);
    assert!(matches!(Cursor::open(&disk, "../x"), Err(OpenError::Options(_))));
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Folder::make(folder.path()).expect("a folder");
    let snapshot = |position: u64| Snapshot { position, chain: [1; 32], state: vec![position as u8; 100] };
    for position in [10, 20, 30] {
        keep(&disk, "economy", &snapshot(position)).expect("kept");
    }
    assert_eq!(latest(&disk, "economy").expect("read"), Some(snapshot(30)));
    let name = format!("snapshot-economy-{:016x}", 30);
    let mut bytes = std::fs::read(folder.path().join(&name)).expect("read");
    bytes[100] ^= 1;
    std::fs::write(folder.path().join(&name), bytes).expect("written");
    assert_eq!(latest(&disk, "economy").expect("read"), Some(snapshot(20)));
    assert_eq!(disk.names().expect("names").len(), 2);
}

#[test]
fn a_backup_is_a_log_and_restoring_it_is_copying_it_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let [live, backup, restored] = ["live", "backup", "restored"].map(|name| folder.path().join(name));
    let mut log = open(&live, Some(1));
    fill(&mut log, 0..50);
    let (from, to) = (Folder::at(&live).expect("there"), Folder::make(&backup).expect("made"));
    let copied = copy(&from, &to).expect("copied while it is written");
    assert_eq!((copied.end, copied.chain), (50, log.chain()));
    fill(&mut log, 50..60);
    drop(log);
    std::fs::remove_dir_all(&live).expect("the disk is gone");
    let again = copy(&to, &Folder::make(&restored).expect("made")).expect("restored");
    assert_eq!(again, copied);
    let mut log = open(&restored, Some(1));
    assert_eq!(log.acknowledged(), 50);
    // What was acknowledged since comes from the outboxes, under the same ids.
    fill(&mut log, 45..60);
    assert_eq!(log.acknowledged(), 60);
}

#[test]
fn a_copy_goes_into_an_empty_folder_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = folder.path().join("live");
    open(&live, None).close().expect("closed");
    let disk = Folder::at(&live).expect("there");
    assert!(matches!(copy(&disk, &disk), Err(OpenError::Options(_))));
}

#[test]
fn the_log_conforms_to_what_an_event_store_must_do_on_files_and_on_the_simulated_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    conformance(|| open(folder.path(), Some(1))).expect("on files");
    let disk = SimulatedDisk::default();
    conformance(|| Log::open(disk.clone(), options(None)).expect("a log").0).expect("on the simulated disk");
}

#[test]
fn a_warm_log_allocates_nothing_for_a_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { segment_bytes: 1 << 20, ..options(Some(1)) };
    let (mut log, _) = Log::open(Folder::make(folder.path()).expect("made"), options).expect("a log");
    fill(&mut log, 0..200);
    let data = [7; 256];
    let counted = allocation_counter::measure(|| {
        for id in 200..208_u128 {
            log.append(id, &data).expect("appended");
        }
        log.commit().expect("committed");
    });
    assert_eq!(counted.count_total, 0);
}
