//! Contract of `--ship-recordings URL`: a match does not feel what the other side does, be it slow, down or full; once it does well
//! again it has everything, and what it has is the recording. Over TLS nothing goes to a place that is not trusted, and what is wrong
//! with its certificate is told with what to do about it.

use std::path::Path;
use std::time::Duration;

use arbiter_cli::assets::Assets;
use arbiter_cli::config::Settings;
use arbiter_cli::host::{Bots, Host, Play};
use arbiter_cli::plugins;
use arbiter_headless_client::runner::Door;
use arbiter_tests::authority::{Authority, Identity};
use arbiter_tests::depot::{Depot, Mood};
use arbiter_tests::{PATIENCE, Running, arbiter, arbiter_with_its_log, argument, printed, recordings, run, wait_for};
use arbiter_transport::Key;
use arbiter_transport::conditioner::PERFECT;

/// A server of one match that ships its recordings, and two bots on it.
struct Game {
    host: Host,
    bots: Bots,
}

impl Game {
    fn start(folder: &Path, url: &str) -> Self {
        Self::start_with(folder, url, Settings::default())
    }

    fn start_with(folder: &Path, url: &str, settings: Settings) -> Self {
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
            ..settings
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
fn comes_back(folder: &Path, url: &str, flags: &[&str]) -> Vec<u8> {
    let to = tempfile::tempdir_in(folder).expect("a folder");
    let fetched = run(&[&["recordings", "fetch", url, argument(to.path()), "--old"], flags].concat());
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
    let has = comes_back(folder.path(), &url, &[]);
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

/// What somebody is told who fetches from a place of this certificate, with the certificates of a file.
fn told_of(folder: &Path, identity: &Identity, authority: &Path) -> String {
    let depot = Depot::open_with_tls(&folder.join("depot"), None, identity);
    let to = folder.join("copies");
    let flags = ["--ship-ca", argument(authority)];
    let fetched = run(&[&["recordings", "fetch", &depot.url("server-1"), argument(&to)], &flags[..]].concat());
    assert!(!fetched.status.success(), "{}", printed(&fetched));
    printed(&fetched)
}

#[test]
fn recordings_go_out_and_come_back_over_tls_when_a_private_authority_vouches_for_the_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (trusted, secret) = (authority.write(folder.path()), folder.path().join("headers"));
    std::fs::write(&secret, "Authorization: Bearer open sesame\n").expect("writes");
    let identity = authority.vouch_for("127.0.0.1");
    let depot = Depot::open_with_tls(&folder.path().join("depot"), Some("Bearer open sesame"), &identity);
    let url = depot.url("server-1");
    assert!(url.starts_with("https://"), "{url}");
    let settings =
        Settings { ship_ca: Some(trusted.clone()), ship_headers: Some(secret.clone()), ..Settings::default() };
    let game = Game::start_with(folder.path(), &url, settings);
    wait_for("blocks", || (game.figure("arbiter_recordings_shipped_bytes_total") > 0.0).then_some(()));
    let recording = recordings(&folder.path().join("recordings")).pop().expect("it is written");
    let flags = ["--ship-ca", argument(&trusted), "--ship-headers", argument(&secret)];
    let has = wait_for("match", || Some(comes_back(folder.path(), &url, &flags)).filter(|has| !has.is_empty()));
    assert!(std::fs::read(&recording).expect("is there").starts_with(&has), "{} bytes", has.len());
    assert_eq!(game.figure("arbiter_recordings_ship_failures_total"), 0.0);
    game.end();
    let name = recording.file_stem().and_then(|name| name.to_str()).expect("a name");
    let shipped = parts(&folder.path().join("depot/server-1").join(name));
    assert_eq!(shipped, std::fs::read(&recording).expect("is there"), "to its last byte");
}

#[test]
fn nothing_goes_to_a_place_for_which_nobody_vouches_and_the_log_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let depot_folder = folder.path().join("depot");
    let depot = Depot::open_with_tls(&depot_folder, None, &Authority::new().vouch_for("127.0.0.1"));
    let server = ["server", "--bind", "127.0.0.1:0", "--key-file", "key", "--record-dir", "recordings"];
    let mut server = arbiter_with_its_log(&[&server[..], &["--ship-recordings", &depot.url("server-1")]].concat());
    server.current_dir(folder.path());
    let mut server = Running::of(server);
    let told = server.wait_for_line("recordings are not copied");
    assert!(told.contains("not trusted") && told.contains("--ship-ca"), "{told}");
    server.terminate();
    server.wait_for_line("stopped");
    assert!(server.wait(), "a match does not end worse for it");
    assert!(!depot_folder.exists(), "it was sent something");
}

#[test]
fn a_certificate_for_another_name_is_refused_with_both_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let trusted = authority.write(folder.path());
    let told = told_of(folder.path(), &authority.vouch_for("store.example"), &trusted);
    assert!(told.contains("not for 127.0.0.1") && told.contains("store.example"), "{told}");
}

#[test]
fn a_certificate_that_has_expired_is_refused_with_its_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let trusted = authority.write(folder.path());
    let told = told_of(folder.path(), &authority.vouched_in_2020_for("127.0.0.1"), &trusted);
    assert!(told.contains("it expired") && told.contains("days ago; renew it"), "{told}");
}

#[test]
fn a_certificate_that_another_authority_signed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = Authority::new().write(folder.path());
    let told = told_of(folder.path(), &Authority::new().vouch_for("127.0.0.1"), &trusted);
    assert!(told.contains("nobody vouches for it") && told.contains("--ship-ca"), "{told}");
}

#[test]
fn an_authority_that_poses_as_a_server_is_refused_with_what_to_make_instead() {
    let folder = tempfile::tempdir().expect("a folder");
    let (identity, itself) = Identity::of_an_authority_for("127.0.0.1", folder.path());
    let told = told_of(folder.path(), &identity, &itself);
    assert!(told.contains("it is an authority's own") && told.contains("docs/operations.md"), "{told}");
}

#[test]
fn a_place_that_speaks_no_tls_is_told_from_one_that_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let depot = Depot::open(&folder.path().join("depot"), None);
    let url = depot.url("server-1").replace("http://", "https://");
    let told = printed(&run(&["recordings", "fetch", &url, argument(&folder.path().join("copies"))]));
    assert!(told.contains("does not speak TLS") && told.contains("http://"), "{told}");
}

#[test]
fn a_file_that_holds_no_certificates_is_refused_at_the_start_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("authority.pem");
    let damaged = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    for (text, why) in [("nothing", "it has no certificate"), (damaged, "certificate 1")] {
        std::fs::write(&path, text).expect("writes");
        let mut server = arbiter(&["server", "--bind", "127.0.0.1:0", "--ship-recordings", "https://store.example/x"]);
        server.current_dir(folder.path()).args(["--ship-ca", argument(&path)]);
        let out = server.output().expect("arbiter runs");
        let told = printed(&out);
        let is_named = ["authority.pem", why, "--ship-ca"].iter().all(|part| told.contains(part));
        assert!(!out.status.success() && is_named, "{told}");
    }
}
