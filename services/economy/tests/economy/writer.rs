//! One writer: nothing is told before the log has it, and who was replaced learns it before it tells anybody.

use std::cell::RefCell;
use std::rc::Rc;

use arbiter_economy::economy::WAITING_ENTRIES_MAX;
use arbiter_economy::{CommitFailed, Economy, SubmitError, Told};
use arbiter_eventlog::simulated::{Dice, Faults, SimulatedDisk};
use arbiter_eventlog::{AppendError, Appended, CommitError, EventStore, Log, OpenError, Record};
use arbiter_ledger::{Account, Applied, Command, Key, Order, Step};

use super::{NOW, balance, gold, name, open, options};

fn give(number: u128, amount: u64) -> Command {
    let steps = vec![Step::Transfer { from: Account::issuer(name("gold")), to: gold(1), amount }];
    let order = Order { subject: 1, reason: name("test"), claim: None, steps };
    Command::Request { key: Key::of(1, NOW, number), request: number, order }
}

#[test]
fn nothing_is_shown_or_told_before_the_log_has_it() {
    let mut economy = open(&SimulatedDisk::default());
    let told = economy.submit(&give(1, 5), NOW).expect("taken");
    assert!(economy.ledger().is_none() && told.after > economy.acknowledged());
    // The same request again: its answer waits as well.
    let again = economy.submit(&give(1, 5), NOW).expect("taken");
    assert!(matches!(again, Told { after, applied: Applied::Known(Ok(_)) } if after == told.after));
    assert_eq!(economy.commit().expect("a disk that works"), told.after);
    assert_eq!(balance(&economy, 1), 5);
}

#[test]
fn many_commands_share_one_flush() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    disk.set_faults(Faults { sync_us: 1, ..Faults::default() });
    let before = disk.elapsed_us();
    for number in 0..20 {
        economy.submit(&give(number + 1, 1), NOW).expect("taken");
    }
    economy.commit().expect("a disk that works");
    assert_eq!((disk.elapsed_us() - before, balance(&economy, 1)), (1, 20));
}

#[test]
fn more_than_a_batch_is_committed_in_order() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    for number in 0..400 {
        economy.submit(&give(number + 1, 1), NOW).expect("taken");
    }
    economy.commit().expect("a disk that works");
    drop(economy);
    assert_eq!(balance(&open(&disk), 1), 400);
}

#[test]
fn a_full_disk_makes_everything_wait_and_loses_nothing() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    disk.set_faults(Faults { capacity_bytes: Some(70 << 10), ..Faults::default() });
    let mut waited = false;
    for number in 0..400 {
        economy.submit(&give(number + 1, 1), NOW).expect("taken");
        match economy.commit() {
            Ok(_) => (),
            Err(CommitFailed::Waits(CommitError::NoSpace(..))) => waited = true,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(waited && economy.ledger().is_none());
    disk.set_faults(Faults::default());
    economy.commit().expect("room again");
    assert_eq!(balance(&economy, 1), 400);
}

#[test]
fn no_more_waits_than_may() {
    let mut economy = open(&SimulatedDisk::default());
    let mut taken = 0;
    let refused = loop {
        match economy.submit(&give(taken + 1, 1), NOW) {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!((taken, refused), (WAITING_ENTRIES_MAX as u128, SubmitError::Full(WAITING_ENTRIES_MAX)));
}

#[test]
fn a_failed_disk_stops_the_economy_and_opening_it_again_finds_what_is_true() {
    let disk = SimulatedDisk::default();
    let mut economy = open(&disk);
    economy.submit(&give(1, 1), NOW).expect("taken");
    economy.commit().expect("a disk that works");
    disk.set_faults(Faults { failing_sync_at: Some(0), ..Faults::default() });
    economy.submit(&give(2, 10), NOW).expect("taken");
    assert!(matches!(economy.commit(), Err(CommitFailed::Log(_))));
    assert!(matches!(economy.commit(), Err(CommitFailed::Stopped)));
    assert_eq!(economy.submit(&give(3, 100), NOW), Err(SubmitError::Stopped));
    assert!(economy.ledger().is_none());
    disk.restart(&mut Dice::new(1));
    let mut economy = open(&disk);
    // Nobody was told of the second, so that its caller asks again; once or twice, it is there once.
    for _ in 0..2 {
        economy.submit(&give(2, 10), NOW).expect("taken");
        economy.commit().expect("a disk that works");
    }
    assert_eq!(balance(&economy, 1), 11);
}

/// A store on another machine, which two writers reach.
#[derive(Debug, Clone)]
struct Shared(Rc<RefCell<Log<SimulatedDisk>>>);

impl EventStore for Shared {
    fn append(&mut self, id: u128, data: &[u8]) -> Result<Appended, AppendError> {
        self.0.borrow_mut().append(id, data)
    }

    fn commit(&mut self) -> Result<u64, CommitError> {
        self.0.borrow_mut().commit()
    }

    fn acknowledged(&self) -> u64 {
        self.0.borrow().acknowledged()
    }

    fn start(&self) -> u64 {
        self.0.borrow().start()
    }

    fn read(&self, from: u64, bytes: usize, into: &mut Vec<Record>) -> Result<(), OpenError> {
        self.0.borrow().read(from, bytes, into)
    }
}

#[test]
fn a_writer_that_was_replaced_learns_it_before_it_tells_anybody() {
    let disk = SimulatedDisk::default();
    drop(open(&disk));
    let store = Shared(Rc::new(RefCell::new(Log::open(disk, options()).expect("a log").0)));
    let (mut old, _) = Economy::open(store.clone(), None).expect("it opens");
    let (mut new, _) = Economy::open(store.clone(), None).expect("it opens");
    new.submit(&give(1, 5), NOW).expect("taken");
    new.commit().expect("a store that works");
    for amount in [5, 7] {
        let told = old.submit(&give(1, amount), NOW);
        if amount == 5 {
            assert!(told.is_ok());
            assert!(matches!(old.commit(), Err(CommitFailed::Fenced(1))), "even the same entry has one writer");
        } else {
            assert_eq!(told, Err(SubmitError::Stopped));
        }
    }
    let (third, _) = Economy::open(store, None).expect("it opens");
    assert_eq!(third.ledger().expect("settled").balance(&gold(1)).amount, 5);
}
