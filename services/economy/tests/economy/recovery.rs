//! Whatever was acknowledged is there after opening again, and the books are the same from the log alone and from snapshots.

use arbiter_economy::{Economy, OpenFailed, Recovered};
use arbiter_eventlog::disk::Folder;
use arbiter_eventlog::simulated::SimulatedDisk;
use arbiter_eventlog::{Disk, Log, snapshot};
use arbiter_ledger::{Account, Step};

use super::{House, NOW, balance, ended, gold, house, name, open, options, record, rewards};

fn play(economy: &mut House, matches: std::ops::Range<u64>) {
    for position in matches {
        let event = ended(position, NOW, &[position % 5 + 1, 7]);
        economy.consume(&name("matches"), &record(position, &event), &rewards(), NOW).expect("consumed");
        if position % 3 == 0 {
            economy.commit().expect("a disk that works");
        }
    }
    economy.commit().expect("a disk that works");
}

fn reopened(disk: &SimulatedDisk) -> (House, Recovered) {
    Economy::open_in(disk, options()).expect("it opens")
}

fn hash(economy: &House) -> [u8; 32] {
    economy.ledger().expect("settled").hash()
}

#[test]
fn a_replay_builds_the_same_books() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    play(&mut economy, 0..40);
    let (live, entries) = (hash(&economy), economy.acknowledged());
    drop(economy);
    let (economy, recovered) = reopened(&disk);
    assert_eq!(hash(&economy), live);
    assert_eq!(recovered, Recovered { from_snapshot: 0, replayed: entries, snapshot_refused: false });
}

#[test]
fn a_snapshot_and_the_entries_behind_it_build_the_same_books() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    house(&mut economy, 1, vec![Step::Freeze { account: gold(7), frozen: true }]);
    play(&mut economy, 0..20);
    let kept = economy.acknowledged();
    assert!(economy.keep_snapshot(&disk).expect("a disk that works"));
    play(&mut economy, 20..40);
    let (live, entries) = (hash(&economy), economy.acknowledged());
    let waiting: Vec<_> = economy.waiting(&name("matches")).map(|(player, waits)| (player, waits.clone())).collect();
    drop(economy);
    let (economy, recovered) = reopened(&disk);
    assert_eq!(hash(&economy), live);
    assert_eq!(recovered, Recovered { from_snapshot: kept, replayed: entries - kept, snapshot_refused: false });
    let again: Vec<_> = economy.waiting(&name("matches")).map(|(player, waits)| (player, waits.clone())).collect();
    assert_eq!((again.len(), again), (1, waiting));
}

#[test]
fn a_snapshot_of_another_history_is_left_alone() {
    let (disk, other) = (SimulatedDisk::default(), SimulatedDisk::default());
    let mut economy = open(&disk);
    play(&mut economy, 0..20);
    let mut stranger = open(&other);
    house(&mut stranger, 77, vec![Step::Transfer { from: Account::issuer(name("gold")), to: gold(1), amount: 9 }]);
    play(&mut stranger, 0..3);
    stranger.keep_snapshot(&other).expect("a disk that works");
    let foreign = snapshot::latest(&other, "economy").expect("readable").expect("there");
    snapshot::keep(&disk, "economy", &foreign).expect("a disk that works");
    let live = hash(&economy);
    drop(economy);
    let (economy, recovered) = reopened(&disk);
    assert_eq!((hash(&economy), recovered.snapshot_refused), (live, true));
}

#[test]
fn a_snapshot_that_is_ahead_of_the_log_is_left_alone() {
    let (disk, copy) = (SimulatedDisk::default(), SimulatedDisk::default());
    let mut economy = open(&disk);
    play(&mut economy, 0..5);
    economy.keep_snapshot(&disk).expect("a disk that works");
    let ahead = snapshot::latest(&disk, "economy").expect("readable").expect("there");
    let (short, _) = Economy::open(Log::open(copy, options()).expect("a log").0, Some(&ahead.state)).expect("it opens");
    assert_eq!(short.acknowledged(), 0);
    assert_eq!(short.ledger().expect("settled").entries(), 0);
}

#[test]
fn no_snapshot_is_kept_while_anything_waits() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    let event = ended(0, NOW, &[1]);
    economy.consume(&name("matches"), &record(0, &event), &rewards(), NOW).expect("consumed");
    assert!(!economy.keep_snapshot(&disk).expect("nothing is written"));
}

#[test]
fn a_record_that_is_no_entry_is_located() {
    let disk = SimulatedDisk::default();
    let mut log = Log::open(disk.clone(), options()).expect("a log").0;
    log.append(1, b"what").expect("room");
    log.commit().expect("a disk that works");
    drop(log);
    let failed = Economy::open_in(&disk, options()).expect_err("it cannot be read");
    assert!(matches!(failed, OpenFailed::Broken { position: 0, .. }), "{failed}");
}

#[test]
fn it_lives_in_a_folder_of_a_real_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Folder::make(folder.path()).expect("a folder");
    let work = |from: u64| {
        let (mut economy, recovered) = Economy::open_in(&disk, options()).expect("it opens");
        if from == 0 {
            house(&mut economy, 0, vec![Step::Register { asset: name("gold"), supply: None }]);
        }
        for position in 0..from + 10 {
            let event = ended(position, NOW, &[1]);
            economy.consume(&name("matches"), &record(position, &event), &rewards(), NOW).expect("consumed");
        }
        economy.commit().expect("a disk that works");
        economy.keep_snapshot(&disk).expect("a disk that works");
        let amount = economy.ledger().expect("settled").balance(&gold(1)).amount;
        economy.close().expect("a disk that works");
        (amount, recovered.from_snapshot)
    };
    assert_eq!(work(0), (100 + 10 * 60, 0));
    assert_eq!(work(10), (100 + 20 * 60, 11));
    assert!(disk.names().expect("readable").iter().any(|file| file.starts_with("snapshot-economy-")));
}

#[test]
fn an_empty_economy_opens() {
    let (economy, recovered) = reopened(&SimulatedDisk::default());
    assert_eq!((balance(&economy, 1), recovered), (0, Recovered::default()));
}
