//! Contract: a server keeps what it told until the services' log has it for good: until they acknowledged it, and past the last
//! backup of their log. Whole segments of the outbox go then, and no sooner; what a restored log has lost is brought again.

use std::path::Path;
use std::time::{Duration, Instant};

use arbiter_cli::keys::read_key;
use arbiter_cli::lobby::Lobby;
use arbiter_cli::services::bearer;
use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Attributes, Envelope, v1};
use arbiter_eventlog::{Folder, Log, Options, Reader, roots};
use arbiter_tests::{PATIENCE, Running, argument, printed, run};

/// Events in the outbox before the server starts: several small segments.
const EVENTS: u64 = 300;

/// An outbox of small segments, as none but a test has them.
fn fill(outbox: &Path) {
    let options = Options { segment_bytes: 64 << 10, batch_bytes: 4 << 10, ..Options::default() };
    let (mut log, _) = Log::open(Folder::make(outbox).expect("a folder"), options).expect("a log");
    for number in 0..EVENTS {
        let attributes = Attributes {
            id: number.to_string(),
            source: "/matches/00000000000000000000000000000001".to_owned(),
            subject: "matches/00000000000000000000000000000001".to_owned(),
            time: Duration::from_secs(1_700_000_000 + number),
            sequence: number,
            ..Attributes::default()
        };
        let name = log_id(&attributes.source, &attributes.id);
        let event = v1::RoundStarted { r#match: vec![1; 16], round: number as u32 }.into();
        let bytes = Envelope { attributes, event }.encode().expect("an event");
        log.append(name, &bytes).expect("appended");
        log.commit().expect("on disk");
    }
    log.close().expect("closed");
}

struct Town {
    folder: tempfile::TempDir,
    services: Running,
    address: String,
}

impl Town {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fill(&folder.path().join("outbox"));
        let (services, address) = serve(folder.path(), "127.0.0.1:0");
        Self { folder, services, address }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self, more: &[&str]) -> Running {
        let (key, recordings, outbox) = (self.path("arbiter.key"), self.path("recordings"), self.path("outbox"));
        let url = format!("http://{}", self.address);
        let files = ["--key-file", argument(&key), "--record-dir", argument(&recordings), "--outbox-dir"];
        let all = [&["server", "--bind", "127.0.0.1:0", "--services", &url][..], &files, &[argument(&outbox)], more];
        let server = Running::start(&all.concat());
        server.wait_for_line("listening on ");
        server
    }

    fn start_of_outbox(&self) -> u64 {
        Reader::open(Folder::at(&self.path("outbox")).expect("there"), None).expect("a log").start()
    }

    /// Events that the services have.
    fn told(&self) -> u64 {
        let key = read_key(&self.path("arbiter.key")).expect("a key");
        Lobby::new(&format!("http://{}", self.address)).position(&bearer(&key)).expect("a position")
    }

    fn backup(&self, name: &str) {
        let (events, to) = (self.path("services/events"), self.path(name));
        let out = run(&["log", "backup", argument(&events), argument(&to)]);
        assert!(out.status.success(), "{}", printed(&out));
    }
}

fn serve(folder: &Path, bind: &str) -> (Running, String) {
    let (data, key) = (folder.join("services"), folder.join("arbiter.key"));
    let flags = ["services", "--bind", bind, "--folder", argument(&data), "--key-file", argument(&key)];
    let services = Running::start(&flags);
    let line = services.wait_for_line("serving on ");
    let url = line.split_whitespace().nth(2).expect("an address").trim_end_matches(',').to_owned();
    (services, url.trim_start_matches("http://").to_owned())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        // Not to be told that these are too many requests.
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn events_are_kept_past_the_last_backup_and_go_once_it_reaches_behind_them() {
    let town = Town::start();
    // A backup of nothing: all that comes is behind it.
    town.backup("first");
    let server = town.server(&["--outbox-keep", "0"]);
    until("all is told", || town.told() >= EVENTS);
    // Killed, the next one starts from what is on disk.
    drop(server);
    assert_eq!(town.start_of_outbox(), 0);
    let _server = town.server(&["--outbox-keep", "0"]);
    town.backup("second");
    until("segments go", || town.start_of_outbox() > 0);
    until("all but the last segments go", || town.start_of_outbox() > EVENTS / 2);
    let outbox = Folder::at(&town.path("outbox")).expect("there");
    let roots = roots::read(&outbox).expect("roots");
    assert_eq!(roots.last().expect("a root").end, town.start_of_outbox());
    let out = run(&["log", "verify", argument(&town.path("outbox"))]);
    assert!(out.status.success(), "{}", printed(&out));
}

#[test]
fn without_any_backup_so_much_is_kept_as_was_asked_for() {
    let town = Town::start();
    let _server = town.server(&["--outbox-keep", "0"]);
    until("segments go that are acknowledged", || town.start_of_outbox() > 0);
    assert!(town.told() >= town.start_of_outbox());
}

#[test]
fn what_a_restored_log_has_lost_is_brought_again_before_anything_goes() {
    let mut town = Town::start();
    town.backup("first");
    let _server = town.server(&[]);
    until("all is told", || town.told() >= EVENTS);
    // The disk of the services is gone, and their backup had none of it.
    town.services.kill();
    let events = town.path("services/events");
    std::fs::remove_dir_all(&events).expect("removed");
    let out = run(&["log", "restore", argument(&town.path("first")), argument(&events)]);
    assert!(out.status.success(), "{}", printed(&out));
    // Views and consumers of a log that is gone begin again too.
    for gone in ["economy", "views", "persistence"] {
        std::fs::remove_dir_all(town.path("services").join(gone)).expect("removed");
    }
    (town.services, town.address) = serve(town.folder.path(), &town.address);
    town.backup("second");
    until("all is told again", || town.told() >= EVENTS);
    assert_eq!(town.start_of_outbox(), 0);
    town.backup("third");
    until("segments go", || town.start_of_outbox() > 0);
}
