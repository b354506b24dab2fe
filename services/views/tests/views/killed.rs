//! A writer that is killed, and a machine that loses power.

use std::fs;
use std::process::{Command, Stdio};

use arbiter_views::{Opened, Queries, View};

use super::{Place, WORDS, follow, hash, log, records};

/// Where the writer that is to be killed finds its folder.
const FOLDER: &str = "ARBITER_VIEWS_TEST_FOLDER";

/// Run by the test below in a process of its own: applies one record after the other, again and again.
#[test]
#[ignore = "a part of the test of a killed writer"]
fn a_writer_that_never_ends() {
    let folder = std::path::PathBuf::from(std::env::var(FOLDER).expect("a folder"));
    let log = log(&folder.join("log"));
    let all = records(&log);
    let (mut view, _) = View::open(&folder.join("words.sqlite"), WORDS, &log).expect("a view");
    loop {
        for record in &all[view.position() as usize..] {
            view.apply(std::slice::from_ref(record)).expect("applied");
        }
        view.rebuild(&log).expect("thrown away");
    }
}

#[test]
fn a_killed_writer_leaves_a_view_that_goes_on() {
    let place = Place::with(400);
    let Place { folder, log: writing } = place;
    drop(writing);
    for round in 0..3 {
        // So that whatever is there was written by this round's writer.
        let _ = fs::remove_file(folder.path().join("words.sqlite"));
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "killed::a_writer_that_never_ends"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let queries = Queries::open(&folder.path().join("words.sqlite"), 1);
        let position = || queries.read(|moment| Ok(moment.position)).unwrap_or(0);
        while position() < 100 {
            assert!(child.try_wait().expect("a child").is_none(), "the writer ended by itself");
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        let place = Place { log: log(&folder.path().join("log")), folder: tempfile::tempdir().expect("a folder") };
        let (mut view, opened) =
            View::open(&folder.path().join("words.sqlite"), WORDS, &place.log).expect("the view of a killed writer");
        // Killed between two files it begins anew, which is as good.
        assert!(opened == Opened::Continues || view.position() == 0, "round {round}: {opened:?}");
        follow(&mut view, &place.log);
        assert_eq!(hash(&view), place.rebuilt(), "round {round}");
    }
}

#[test]
fn a_write_ahead_log_that_was_torn_anywhere_costs_only_the_last_batches() {
    let place = Place::with(120);
    let (mut view, _) = place.open();
    for record in records(&place.log) {
        view.apply(&[record]).expect("applied");
    }
    let (file, wal) = (place.path("words.sqlite"), place.path("words.sqlite-wal"));
    let (file, wal) = (fs::read(file).expect("the file"), fs::read(wal).expect("its log"));
    let rebuilt = place.rebuilt();
    let mut positions = Vec::new();
    for part in 0..=8 {
        let torn = place.path(&format!("torn-{part}.sqlite"));
        fs::write(&torn, &file).expect("written");
        // The last bytes are of another time, as where a disk wrote its sectors in an order of its own.
        let mut bytes = wal[..wal.len() * part / 8].to_vec();
        let whole = bytes.len().saturating_sub(700);
        bytes[whole..].fill(0xA5);
        fs::write(place.path(&format!("torn-{part}.sqlite-wal")), bytes).expect("written");
        let (mut view, _) = View::open(&torn, WORDS, &place.log).expect("a view");
        positions.push(view.position());
        follow(&mut view, &place.log);
        assert_eq!(hash(&view), rebuilt, "{part} eighths of the log");
    }
    assert!(positions.is_sorted() && positions[0] == 0 && positions[8] > 50, "{positions:?}");
}
