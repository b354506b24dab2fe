//! Snapshots of an economy that goes on, with real files and processes: it answers while one is kept, and whoever is killed in the
//! middle of one goes on from the last.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arbiter_economy::desk::{Desk, DeskConfig, House};
use arbiter_economy::{Catalogue, Economy};
use arbiter_eventlog::{Disk, Folder, Options};
use arbiter_ledger::{Account, Key, Name, Order, Step, Time};

const CATALOGUE: &str = include_str!("../../../assets/economy/catalogue.ron");

const NOW: Time = Time(1_800_000_000_000);

/// How long something that must happen is waited for: only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the process that is killed keeps its economy.
const FOLDER: &str = "ARBITER_TEST_SNAPSHOTS";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn catalogue() -> Catalogue {
    Catalogue::parse("catalogue.ron", CATALOGUE).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn gift(number: u64, time: Time) -> arbiter_ledger::Command {
    let player = number % 5_000 + 1;
    let gold = name("gold");
    let (from, to) = (Account::issuer(gold.clone()), Account::main(player, gold));
    let order = Order {
        subject: player,
        reason: name("gift"),
        claim: None,
        steps: vec![Step::Transfer { from, to, amount: 1 }],
    };
    arbiter_ledger::Command::Request { key: Key::of(player, time, number.into()), request: number.into(), order }
}

/// Whether a snapshot is being written in a folder.
fn is_written(disk: &Folder) -> bool {
    let names = disk.names().expect("readable");
    names.iter().any(|name| name.starts_with("snapshot-") && name.ends_with(".tmp"))
}

fn is_kept(disk: &Folder) -> bool {
    disk.names().expect("readable").iter().any(|name| name.starts_with("snapshot-") && !name.ends_with(".tmp"))
}

#[test]
fn a_desk_answers_while_a_snapshot_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let config = DeskConfig {
        folder: path("economy"),
        options: Options::default(),
        events: path("events"),
        catalogue: catalogue(),
    };
    let desk = Desk::start(config).expect("an economy");
    let (counter, disk) = (desk.counter(), Folder::at(&path("economy")).expect("there"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let give = |from: u64, many: u64| {
        let decide = move |house: &mut House, _: &Catalogue, now: Time| {
            (from..from + many).for_each(|number| drop(house.submit(&gift(number, now), now).expect("taken")));
        };
        runtime.block_on(counter.decide(decide)).expect("on disk");
    };
    let (mut given, mut answered_meanwhile, began) = (0, 0, Instant::now());
    while !is_kept(&disk) {
        assert!(began.elapsed() < PATIENCE, "{given} were given, and no snapshot was kept");
        let (before, many) = (is_written(&disk), if is_written(&disk) { 10 } else { 1_000 });
        give(given, many);
        given += many;
        answered_meanwhile += u64::from(before && is_written(&disk));
    }
    assert!(answered_meanwhile > 0, "nobody was answered while the snapshot was written");
    drop(desk);
    let (economy, recovered) = Economy::open_in(&disk, Options::default()).expect("it opens");
    let out = -economy.ledger().expect("settled").balance(&Account::issuer(name("gold"))).amount;
    assert_eq!((out, recovered.replayed), (given as i64, 0), "a desk that ends keeps all there is");
}

/// Gives gold until it is killed, keeps one snapshot behind the other meanwhile, and says what it did when it is on disk.
#[test]
#[ignore = "runs until it is killed: the test below starts it as a process of its own"]
fn keeps_snapshots_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let disk = Folder::make(Path::new(&folder)).expect("a folder");
    let (mut economy, _) = Economy::open_in(&disk, Options::default()).expect("it opens");
    economy.register(&catalogue(), NOW).expect("registered");
    let began = Instant::now();
    let give = |economy: &mut House, many: u64| {
        let from = economy.acknowledged();
        (from..from + many).for_each(|number| drop(economy.submit(&gift(number, NOW), NOW).expect("taken")));
        println!("\ntold {}", economy.commit().expect("on disk"));
        assert!(began.elapsed() < PATIENCE, "nobody kills it");
    };
    give(&mut economy, 2_000);
    loop {
        let frozen = economy.freeze().expect("nothing waits");
        let kept = frozen.keep(&disk, 4 << 10, || {
            give(&mut economy, 3);
            true
        });
        assert!(kept.expect("a disk that works"));
        println!("\nkept {}", frozen.entries());
    }
}

#[test]
fn whoever_is_killed_in_the_middle_of_a_snapshot_goes_on_from_the_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Folder::at(folder.path()).expect("there");
    for round in 1..=5_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "--nocapture", "keeps_snapshots_until_it_is_killed"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let (mut kept, mut told, mut behind) = (0, 0, 0);
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("a line");
            match line.split_once(' ').map(|(what, entries)| (what, entries.parse::<u64>())) {
                Some(("kept", Ok(entries))) => (kept, behind) = (entries, 0),
                Some(("told", Ok(entries))) => (told, behind) = (entries, behind + 1),
                _ => {}
            }
            // In another part of the second snapshot each time.
            if kept > 0 && behind > round * 9 && is_written(&disk) {
                break;
            }
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        let (economy, recovered) = Economy::open_in(&disk, Options::default()).expect("it opens");
        assert!(kept > 0 && told > kept, "round {round}: it ended by itself");
        assert!(recovered.from_snapshot >= kept, "{kept} were kept, and {recovered:?}");
        assert!(economy.acknowledged() >= told, "{told} were told of, and {} are there", economy.acknowledged());
        let hash = economy.ledger().expect("settled").hash();
        let (replayed, _) = Economy::open(economy.into_store(), None).expect("it opens");
        assert_eq!(replayed.ledger().expect("settled").hash(), hash, "the snapshot is not what the log says");
    }
}
