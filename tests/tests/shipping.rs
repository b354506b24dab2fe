//! Contract of `--ship-recordings URL`: a match does not feel what the other side does, be it slow, down or full; once it does well
//! again it has everything, and what it has is the recording.

use std::path::Path;
use std::time::{Duration, Instant};

use arbiter_cli::assets::Assets;
use arbiter_cli::config::Settings;
use arbiter_cli::host::{Bots, Host, Play};
use arbiter_cli::plugins;
use arbiter_headless_client::runner::Door;
use arbiter_tests::depot::{Depot, Mood};
use arbiter_tests::{PATIENCE, argument, printed, recordings, run};
use arbiter_transport::Key;
use arbiter_transport::conditioner::PERFECT;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "no {what} in {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

/// A server of one match that ships its recordings, and two bots on it.
struct Game {
    host: Host,
    bots: Bots,
}

impl Game {
    fn start(folder: &Path, url: &str) -> Self {
        let play = Play::load(Assets::embedded(), "arena", plugins::none()).expect("the arena");
        let key = Key::generate().expect("randomness");
        let settings = Settings {
            bind: ([127, 0, 0, 1], 0).into(),
            operate: Some(([127, 0, 0, 1], 0).into()),
            players_max: 2,
            matches: 1,
            verify: false,
            record_dir: folder.join("recordings"),
            ship_recordings: Some(url.to_owned()),
            ..Settings::default()
        };
        let host = Host::start(&settings, &play, key.clone(), None).expect("the server starts");
        let door = Door::Key { server: host.address(), key };
        let bots = Bots::start(2, door, 7, PERFECT, &play).expect("started");
        Self { host, bots }
    }

    fn figure(&self, name: &str) -> f64 {
        let url = format!("http://{}/metrics", self.host.operate_address().expect("it was asked for"));
        let text = ureq::get(url).call().and_then(|mut answer| answer.body_mut().read_to_string()).expect("figures");
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        let value = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// Ticks that the room has come to.
    fn ticks(&self) -> f64 {
        self.figure("arbiter_tick_seconds_count{tick_rate=\"60\"}")
    }

    fn play_for(&self, ticks: f64) {
        let begin = self.ticks();
        wait_for("ticks", || (self.ticks() >= begin + ticks).then_some(()));
    }

    fn end(self) {
        self.bots.stop().expect("they played");
        let closed = self.host.close(PATIENCE, &arbiter_cli::stop::Stop::default());
        assert!(closed.unwritten.is_empty());
    }
}

/// What is at the depot of the only recording, as it comes back to somebody who fetches old ones too.
fn comes_back(folder: &Path, url: &str) -> Vec<u8> {
    let to = tempfile::tempdir_in(folder).expect("a folder");
    let fetched = run(&["recordings", "fetch", url, argument(to.path()), "--old"]);
    assert!(fetched.status.success(), "{}", printed(&fetched));
    recordings(to.path()).first().map(|path| std::fs::read(path).expect("is there")).unwrap_or_default()
}

#[test]
fn a_match_feels_nothing_of_a_place_that_fails_and_the_place_has_everything_once_it_is_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let depot = Depot::open(&folder.path().join("depot"), None);
    depot.be(Mood::Down);
    let url = depot.url("server-1");
    let game = Game::start(folder.path(), &url);
    wait_for("failure", || (game.figure("arbiter_recordings_ship_failures_total") > 0.0).then_some(()));
    game.play_for(200.0);
    assert_eq!(game.figure("arbiter_recordings_shipped_bytes_total"), 0.0);
    // Longer than a call may take: each fails.
    depot.be(Mood::Slow(Duration::from_secs(3_600)));
    game.play_for(200.0);
    depot.be(Mood::Well);
    let recording = wait_for("recording", || recordings(&folder.path().join("recordings")).pop());
    let shipped =
        wait_for("blocks", || Some(game.figure("arbiter_recordings_shipped_bytes_total")).filter(|it| *it > 0.0));
    depot.be(Mood::Full);
    let failures = game.figure("arbiter_recordings_ship_failures_total");
    wait_for("failure", || (game.figure("arbiter_recordings_ship_failures_total") > failures).then_some(()));
    // What it has can be read, whatever it does not take any more.
    let has = comes_back(folder.path(), &url);
    let written = std::fs::read(&recording).expect("is there");
    assert!(written.starts_with(&has), "{} bytes of {}", has.len(), written.len());
    depot.be(Mood::Well);
    wait_for("blocks", || (game.figure("arbiter_recordings_shipped_bytes_total") > shipped).then_some(()));
    wait_for("an end of the lag", || (game.figure("arbiter_recordings_ship_lag_seconds") < 1.0).then_some(()));
    game.end();
    let depot_folder = folder.path().join("depot/server-1");
    let running = std::fs::read_to_string(depot_folder.join("running.json")).expect("is there");
    assert!(running.contains("\"matches\":[]"), "{running}");
    let name = recording.file_stem().and_then(|name| name.to_str()).expect("a name");
    assert_eq!(parts(&depot_folder.join(name)), std::fs::read(&recording).expect("is there"), "to its last byte");
}

/// The parts of a recording that one process shipped.
fn parts(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut parts: Vec<_> = entries.filter(|path| path.extension().is_none()).collect();
    parts.sort();
    parts.iter().flat_map(|path| std::fs::read(path).expect("is there")).collect()
}

#[test]
fn an_address_that_is_none_is_refused_in_words() {
    let out = run(&["server", "--ship-recordings", "ftp://store.example/x"]);
    let text = printed(&out);
    assert!(!out.status.success() && text.contains("--ship-recordings") && text.contains("https://"), "{text}");
    let out = run(&["recordings", "fetch", "store.example/x"]);
    assert!(printed(&out).contains("begins with http:// or https://"), "{}", printed(&out));
}
