//! The view is made of the log and of nothing else: whatever happens to its file, it says the same again.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};

use arbiter_persistence::{Persistence, PersistenceConfig, rebuild_check};
use arbiter_views::Queries;
use proptest::prelude::*;
use serde_json::json;

use super::House;
use super::events::{ended, envelope, joined, killed, looted, progressed, result, started, whole};

fn play(house: &mut House, matches: std::ops::Range<u8>) -> u64 {
    let mut after = 0;
    for number in matches {
        let (first, second) = (u64::from(number % 5) + 1, u64::from(number % 3) + 10);
        let mut events = whole(number, &[first, second]);
        events.insert(3, killed(number, first, second, number % 2 == 0));
        events.insert(4, looted(number, second, u32::from(number)));
        events.insert(5, progressed(number, first, 1));
        after = house.tell(events);
    }
    after
}

/// Brings all of the view into its file, so that damage of the file is damage of the view.
fn settle(house: &House) {
    let connection = arbiter_views::rusqlite::Connection::open(house.view_path()).expect("SQLite");
    let cut = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    assert_eq!(cut.expect("a checkpoint"), 0);
}

fn hash_at(house: &House, after: u64) -> [u8; 32] {
    house.look(&format!("/quarantine?after={after}"));
    let check = house.service().rebuild_check().expect("checked");
    assert!(check.is_same() && check.position == after, "{check:?}");
    check.grown
}

#[test]
fn a_view_that_is_built_again_says_the_same_as_one_that_grew() {
    let mut house = House::new();
    let after = play(&mut house, 0..20);
    let grown = hash_at(&house, after);
    house.stop();
    fs::remove_file(house.view_path()).expect("removed");
    house.start();
    house.until_it_works();
    assert_eq!(hash_at(&house, after), grown);
}

#[test]
fn a_service_that_was_stopped_goes_on_where_it_was() {
    let mut house = House::new();
    play(&mut house, 0..5);
    house.stop();
    play(&mut house, 5..9);
    house.start();
    let after = play(&mut house, 9..10);
    hash_at(&house, after);
}

#[test]
fn a_log_whose_writer_crashed_and_came_back_is_followed_on() {
    let mut house = House::new();
    play(&mut house, 0..3);
    house.start_writer();
    let after = play(&mut house, 3..6);
    hash_at(&house, after);
}

#[test]
fn a_damaged_view_is_built_again_when_the_service_starts() {
    let mut house = House::new();
    let after = play(&mut house, 0..40);
    let grown = hash_at(&house, after);
    house.stop();
    settle(&house);
    let file = fs::File::options().write(true).open(house.view_path()).expect("a file");
    file.write_all_at(&[0x5A; 3_000], 8_192).expect("damaged");
    house.start();
    house.until_it_works();
    assert_eq!(hash_at(&house, after), grown);
}

#[test]
fn a_view_that_is_damaged_while_it_is_asked_is_built_again() {
    let mut house = House::new();
    let after = play(&mut house, 0..60);
    let grown = hash_at(&house, after);
    house.stop();
    settle(&house);
    house.start();
    house.until_it_works();
    // All pages but the first, before anything of them was read: the root of every table is nonsense.
    let bytes = fs::metadata(house.view_path()).expect("a file").len() as usize;
    let file = fs::File::options().write(true).open(house.view_path()).expect("a file");
    file.write_all_at(&vec![0x5A; bytes - 4_096], 4_096).expect("damaged");
    let (status, problem) = house.get(1, "/player/1/matches");
    assert!(status == 503 && problem["detail"].to_string().contains("damaged"), "{problem}");
    house.until_it_works();
    assert_eq!(hash_at(&house, after), grown);
}

#[test]
fn an_event_of_a_type_that_is_not_known_stops_the_service_and_names_the_version_it_needs() {
    let mut house = House::new();
    let after = house.tell(whole(1, &[7]));
    let known = envelope(after, started(2));
    // Both have the same length, so that the envelope stays whole.
    let mut bytes = known.encode().expect("an event");
    let name = b"arbiter.match.started.v1";
    let at = bytes.windows(name.len()).position(|part| part == name).expect("its type");
    bytes[at..at + name.len()].copy_from_slice(b"arbiter.match.dreamed.v1");
    house.log().append(1, &bytes).expect("appended");
    house.tell(whole(3, &[7]));
    let why = house.until_it_says("version");
    assert!(why.contains("arbiter.match.dreamed.v1") && why.contains("needs version 1 of the contracts"), "{why}");
    assert!(why.contains(&format!("at {after}")), "{why}");
    let (_, profile) = house.get(7, &format!("/player/7/profile?after={after}"));
    assert_eq!((&profile["position"], &profile["progress"]["wins"]), (&json!(after), &json!(1)));
    house.stop();
    house.start();
    house.until_it_says("arbiter.match.dreamed.v1");
}

#[test]
fn a_service_waits_for_a_log_that_is_not_there_yet() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = PersistenceConfig::new(folder.path().join("none"), folder.path().join("own"), [1; 32]);
    let service = Persistence::start(config).expect("it starts");
    let why = (service.service().ready)().expect_err("nothing to follow");
    assert!(why.contains("no log"), "{why}");
}

#[test]
fn a_folder_has_one_service() {
    let house = House::new();
    let second = Persistence::start(house.config()).expect_err("the first has it");
    assert!(second.to_string().contains("another process"), "{second}");
}

#[test]
fn a_view_can_be_checked_beside_the_service_that_writes_it() {
    let mut house = House::new();
    let after = play(&mut house, 0..5);
    house.look(&format!("/quarantine?after={after}"));
    let check = rebuild_check(&house.config()).expect("checked");
    assert!(check.is_same() && check.position == after);
    let left: Vec<_> = fs::read_dir(house.folder.path().join("persistence/views"))
        .expect("a folder")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter(|name| name.starts_with("check-"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_value_that_somebody_changed_in_the_view_is_found() {
    let mut house = House::new();
    let after = play(&mut house, 0..5);
    hash_at(&house, after);
    house.stop();
    let connection = arbiter_views::rusqlite::Connection::open(house.view_path()).expect("SQLite");
    connection.execute("UPDATE players SET wins = wins + 1 WHERE player = 1", []).expect("a little help");
    drop(connection);
    assert!(!rebuild_check(&house.config()).expect("checked").is_same());
}

/// Where the service that is to be killed finds its folder.
const FOLDER: &str = "ARBITER_PERSISTENCE_TEST_FOLDER";

/// Run by the test below in a process of its own.
#[test]
#[ignore = "a part of the test of a killed service"]
fn a_service_that_never_ends() {
    let folder = std::path::PathBuf::from(std::env::var(FOLDER).expect("a folder"));
    let config = PersistenceConfig::new(folder.join("events"), folder.join("persistence"), super::MASTER);
    let _service = Persistence::start(config).expect("it starts");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_service_that_was_killed_in_the_middle_goes_on() {
    let mut house = House::new();
    house.stop();
    house.tell([started(1)]);
    // Some batches, so that it is killed between two of them or inside of one.
    for part in 0..10_u64 {
        house.tell((0..1_000).map(|number| killed(1, number % 7 + 1, part % 7 + 1, number % 2 == 0)));
    }
    let after = house.tell(whole(2, &[7]));
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "rebuilding::a_service_that_never_ends"])
        .env(FOLDER, house.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let queries = Queries::open(&house.view_path(), 1);
    while queries.read(|moment| Ok(moment.position)).unwrap_or(0) == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "the service ended by itself");
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    house.start();
    house.until_it_works();
    hash_at(&house, after);
}

/// What can be told, sensible or not.
fn anything() -> impl Strategy<Value = arbiter_contracts::Event> {
    let (number, player) = (0_u8..4, 0_u64..5);
    (number, player, 0_u8..7, any::<bool>(), 0_i64..3).prop_map(|(number, player, kind, yes, score)| match kind {
        0 => started(number),
        1 => joined(number, player),
        2 => ended(number, [result(player, yes, score), result(player + 1, !yes, i64::MAX / 2)]),
        3 => killed(number, player, player + 1, yes),
        4 => looted(number, player, 3),
        5 => progressed(number, player, 1 + player as u32),
        _ => joined(number, player + 3),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_is_told_and_tried_again_the_view_is_a_function_of_the_logs(
        steps in prop::collection::vec((prop::collection::vec(anything(), 0..8), 0_u64..6, any::<bool>()), 1..8)
    ) {
        let mut house = House::new();
        for (events, player, start_again) in steps {
            let after = house.tell(events);
            house.look(&format!("/quarantine?after={after}"));
            house.post(&format!("/quarantine/{player}/replay"));
            if start_again {
                house.stop();
                house.start();
            }
        }
        let after = house.log().acknowledged();
        hash_at(&house, after);
    }
}
