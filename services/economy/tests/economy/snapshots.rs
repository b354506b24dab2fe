//! A snapshot is kept while the economy goes on: it is what was there when it was begun, and power may fail at any moment of it.

use arbiter_economy::{Economy, Frozen};
use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};
use arbiter_eventlog::{Disk, snapshot};
use arbiter_ledger::State;

use super::{House, NOW, ended, name, open, options, record, rewards};

/// Bytes of a part: so small that there are many.
const PART_BYTES: usize = 64;

/// One match more, which ends on disk; whether it does.
fn played(economy: &mut House, position: u64) -> bool {
    let event = ended(position, NOW, &[position % 5 + 1, 7]);
    let consumed = economy.consume(&name("matches"), &record(position, &event), &rewards(), NOW);
    consumed.is_ok() && economy.commit().is_ok()
}

fn hash(economy: &House) -> [u8; 32] {
    economy.ledger().expect("settled").hash()
}

/// An economy on which something happened, with a snapshot, and something behind it.
fn begun() -> (SimulatedDisk, House) {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    assert!((0..20).all(|position| played(&mut economy, position)));
    assert!(economy.keep_snapshot(&disk).expect("a disk that works"));
    assert!((20..30).all(|position| played(&mut economy, position)));
    (disk, economy)
}

/// Keeps what was frozen, with a match behind each part; whether it was kept, and how many matches were told of.
fn kept_beside(frozen: &Frozen, disk: &SimulatedDisk, economy: &mut House) -> (bool, u64) {
    let (mut position, mut told) = (30, 0);
    let kept = frozen.keep(disk, PART_BYTES, || {
        told += u64::from(played(economy, position));
        position += 1;
        true
    });
    (kept.unwrap_or(false), told)
}

#[test]
fn a_snapshot_is_what_was_there_when_it_was_begun() {
    let (disk, mut economy) = begun();
    let (then, entries) = (hash(&economy), economy.acknowledged());
    let frozen = economy.freeze().expect("nothing waits");
    let (kept, told) = kept_beside(&frozen, &disk, &mut economy);
    assert!(kept && told > 20, "{told} matches ended meanwhile");
    assert_ne!(hash(&economy), then);
    let stored = snapshot::latest(&disk, "economy").expect("readable").expect("there");
    let (length, state) = stored.state.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let ledger = State::restore(&state[..length]).expect("a ledger");
    assert_eq!((ledger.hash(), ledger.entries(), stored.position), (then, entries, entries));
    let now = hash(&economy);
    drop(economy);
    let (economy, recovered) = Economy::open_in(&disk, options()).expect("it opens");
    assert_eq!((hash(&economy), recovered.from_snapshot), (now, entries));
}

#[test]
fn power_may_fail_at_any_moment_of_a_snapshot() {
    let (disk, mut economy) = begun();
    let before = disk.operations();
    let (first, frozen) = (economy.acknowledged(), economy.freeze().expect("nothing waits"));
    assert!(kept_beside(&frozen, &disk, &mut economy).0);
    let operations = disk.operations() - before;
    let (mut from_the_last, mut from_the_one_before) = (0, 0);
    for power_loss_at in 0..operations {
        let (disk, mut economy) = begun();
        let at = disk.operations() + power_loss_at;
        disk.set_faults(Faults { power_loss_at: Some(at), ..Faults::default() });
        let frozen = economy.freeze().expect("nothing waits");
        let (kept, told) = kept_beside(&frozen, &disk, &mut economy);
        drop(economy);
        disk.restart(&mut Dice::new(power_loss_at));
        let (economy, recovered) = Economy::open_in(&disk, options()).expect("it opens");
        let from_the_newest = recovered.from_snapshot == first;
        assert!(recovered.from_snapshot > 0 && !recovered.snapshot_refused, "{power_loss_at}: {recovered:?}");
        assert!(from_the_newest || !kept, "{power_loss_at}: it was kept, and {recovered:?}");
        assert!(economy.acknowledged() >= first + told, "{power_loss_at}: {told} matches were told of");
        let replayed = Economy::open(economy.into_store(), None).expect("it opens").0;
        let (again, _) = Economy::open_in(&disk, options()).expect("it opens");
        assert_eq!(hash(&again), hash(&replayed), "{power_loss_at}");
        (from_the_last, from_the_one_before) =
            (from_the_last + u64::from(from_the_newest), from_the_one_before + u64::from(!from_the_newest));
    }
    assert!(from_the_last > 0 && from_the_one_before > 0, "{from_the_last}, {from_the_one_before}");
}

#[test]
fn a_snapshot_that_is_given_up_leaves_the_one_before_and_nothing_else() {
    let (disk, economy) = begun();
    let names = disk.names().expect("readable");
    let mut parts = 0;
    let kept = economy.freeze().expect("nothing waits").keep(&disk, PART_BYTES, || {
        parts += 1;
        parts < 40
    });
    assert!(!kept.expect("a disk that works"));
    assert_eq!(disk.names().expect("readable"), names);
}
