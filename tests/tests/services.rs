//! Contract: what players earn in real matches is in their wallets, once, whoever is killed on the way, and the world is told of it,
//! once; all roles work together or each in a process of its own.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use arbiter_cli::keys::read_key;
use arbiter_cli::lobby::{Lobby, Session};
use arbiter_cli::services::bearer;
use arbiter_contracts::{Envelope, Event, v1};
use arbiter_eventlog::{Folder, Reader, Record};
use arbiter_tests::{PATIENCE, Running, argument, kill, printed, recordings, run, wait_for_recording};

/// Of a recording in the midst of a match: some blocks of ticks behind a checkpoint.
const MID_MATCH_BYTES: u64 = 60_000;

/// Services in a folder; the address that they are served at.
fn services(folder: &Path, more: &[&str]) -> (Running, String) {
    let (data, key) = (folder.join("services"), folder.join("arbiter.key"));
    let all = ["services", "--folder", argument(&data), "--key-file", argument(&key)];
    let services = Running::start(&[&all[..], more].concat());
    let line = services.wait_for_line("serving on ");
    let url = line.split_whitespace().nth(2).expect("an address").trim_end_matches(',').to_owned();
    (services, url)
}

/// A server whose one match is over after a while, and that has said so.
fn server(folder: &Path, url: &str, seconds: &str, bind: &[&str]) -> Running {
    let (key, recordings, outbox) = (folder.join("arbiter.key"), folder.join("recordings"), folder.join("outbox"));
    let server = [
        "server",
        "--services",
        url,
        "--key-file",
        argument(&key),
        "--record-dir",
        argument(&recordings),
        "--outbox-dir",
        argument(&outbox),
        "--players-max",
        "4",
        "--tick-rate",
        "128",
        "--match-seconds",
        seconds,
        "--matches",
        "1",
    ];
    Running::start(&[&server[..], bind].concat())
}

fn bots(url: &str) -> Running {
    Running::start(&["bots", "--services", url, "--seed", "7", "--count", "4"])
}

fn session(url: &str, bot: u16) -> Session {
    Lobby::new(url).log_in(&format!("bot-7-{bot}")).expect("logged in")
}

/// Gold of all four, once the services know everything that was brought.
fn gold(folder: &Path, url: &str) -> Vec<i64> {
    let (lobby, key) = (Lobby::new(url), read_key(&folder.join("arbiter.key")).expect("a key"));
    let after = lobby.position(&bearer(&key)).expect("a position");
    let of = |bot| lobby.wallet(&session(url, bot), after).expect("a wallet").get("gold").copied().unwrap_or(0);
    (0..4).map(of).collect()
}

fn has_no_difference(folder: &Path) {
    let (data, outbox) = (folder.join("services"), folder.join("outbox"));
    let out = run(&["reconcile", "--folder", argument(&data), "--outbox", argument(&outbox)]);
    let text = printed(&out);
    assert!(out.status.success() && text.contains(" 0 on their way, 0 lost"), "{text}");
    assert!(text.contains(" 0 not consumed yet") && text.contains("\n0 differences"), "{text}");
    assert!(text.contains("\ntold: ") && text.contains("; 0 not told yet"), "{text}");
}

/// Waits until all events are consumed and all that was booked is told.
fn rest(folder: &Path, url: &str) {
    let (lobby, key) = (Lobby::new(url), read_key(&folder.join("arbiter.key")).expect("a key"));
    let (bearer, end) = (bearer(&key), Instant::now() + PATIENCE);
    loop {
        let economy = lobby.get("/economy", &bearer).expect("the economy");
        if economy["told"] == economy["entries"] && economy["position"] == lobby.position(&bearer).expect("a position")
        {
            return;
        }
        assert!(Instant::now() < end, "there is no rest: {economy}");
        // Not to be told that these are too many requests.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gold of all four, as the last event says it that the world was told.
fn gold_as_told(folder: &Path, url: &str) -> Vec<i64> {
    let disk = Folder::at(&folder.join("services/events")).expect("there");
    let log = Reader::open(disk, None).expect("a log");
    let (mut records, mut next): (Vec<Record>, u64) = (Vec::new(), 0);
    while next < log.end() {
        log.read(next, 1 << 20, &mut records).expect("read");
        next = records.last().map_or(log.end(), |record| record.position + 1);
    }
    let events = records.iter().map(|record| Envelope::decode(&record.data).expect("an event").event);
    let postings: Vec<v1::Posting> = events
        .flat_map(|event| match event {
            Event::WalletChanged(changed) => changed.postings,
            _ => Vec::new(),
        })
        .collect();
    let of = |bot| {
        let owner = session(url, bot).player;
        let place = v1::Account { owner, asset: "gold".to_owned(), bucket: "main".to_owned() };
        let last = postings.iter().rev().find(|posting| posting.account.as_ref() == Some(&place));
        last.map_or(0, |posting| posting.balance)
    };
    (0..4).map(of).collect()
}

/// All four have played one match, and nothing that was told of it waits to be put right.
fn is_remembered(folder: &Path, url: &str) {
    let (lobby, key) = (Lobby::new(url), read_key(&folder.join("arbiter.key")).expect("a key"));
    let bearer = bearer(&key);
    let after = lobby.position(&bearer).expect("a position");
    for bot in 0..4 {
        let player = session(url, bot).player;
        let profile = lobby.get(&format!("/player/{player}/profile?after={after}"), &bearer).expect("a profile");
        assert_eq!(profile["progress"]["matches"], 1, "{profile:#}");
        let matches = lobby.get(&format!("/player/{player}/matches"), &bearer).expect("matches");
        assert_eq!(matches["matches"].as_array().map(Vec::len), Some(1), "{matches:#}");
    }
    let waiting = lobby.get("/quarantine", &bearer).expect("who waits");
    assert_eq!(waiting["waiting"], 0, "{waiting:#}");
    let out = run(&[
        "views",
        "verify",
        "--folder",
        argument(&folder.join("services")),
        "--key-file",
        argument(&folder.join("arbiter.key")),
    ]);
    assert!(out.status.success(), "{}", printed(&out));
}

#[test]
fn a_match_is_worth_the_same_to_its_players_whatever_is_killed_and_started_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut first, url) = services(folder.path(), &["--bind", "127.0.0.1:0", "--development-login"]);
    let mut server = server(folder.path(), &url, "16", &["--bind", "127.0.0.1:0"]);
    server.wait_for_line("listening on ");
    let mut bots = bots(&url);
    // Killed while the match is played, and back where they were: the server goes on telling them.
    let address = url.trim_start_matches("http://").to_owned();
    server.wait_for_line("4 clients");
    first.kill();
    let more = ["--bind", &address, "--development-login", "--operate", "127.0.0.1:0"];
    let (again, url) = services(folder.path(), &more);
    let figures = again.wait_for_line("health and metrics on ");
    server.wait_for_line("stopped");
    assert!(server.wait() && bots.wait());
    let all = gold(folder.path(), &url);
    assert!(
        all.iter().all(|gold| [60, 75].contains(gold)),
        "played and the first of the day, with or without won: {all:?}"
    );
    rest(folder.path(), &url);
    has_no_difference(folder.path());
    assert_eq!(gold(folder.path(), &url), all);
    assert_eq!(gold_as_told(folder.path(), &url), all);
    is_remembered(folder.path(), &url);
    figures_say_so(figures.split_whitespace().last().expect("an address"));
}

/// What was done stands in the figures of the process that did it.
fn figures_say_so(url: &str) {
    let answer = ureq::get(url).call().and_then(|mut answer| answer.body_mut().read_to_string());
    let text = answer.expect("figures");
    let value = |sample: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {sample} in {text}"))
    };
    for (sample, at_least) in [
        ("arbiter_grants_total{outcome=\"given\"}", 4.0),
        ("arbiter_log_commit_seconds_count{log=\"events\"}", 1.0),
        ("arbiter_log_commit_seconds_count{log=\"economy\"}", 1.0),
        ("arbiter_log_records_total{log=\"economy\"}", 1.0),
        ("arbiter_desk_turn_seconds_count", 1.0),
        ("arbiter_logins_total{outcome=\"logged_in\"}", 4.0),
        ("arbiter_requests_total{route=\"/events\",method=\"POST\",status=\"200\"}", 1.0),
    ] {
        assert!(value(sample) >= at_least, "{sample} is {}", value(sample));
    }
    for view in ["grants", "transactions", "told", "events"] {
        assert_eq!(value(&format!("arbiter_view_lag_records{{view=\"{view}\"}}")), 0.0, "{view}");
    }
}

#[test]
fn a_match_of_a_killed_server_goes_on_with_those_who_are_sent_back_to_it_and_is_booked_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_services, url) = services(folder.path(), &["--bind", "127.0.0.1:0", "--development-login"]);
    // A port that is free now: who is started again must be found where it was.
    let address = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").to_string();
    let mut server = server(folder.path(), &url, "25", &["--bind", &address, "--supervise"]);
    let process = server.wait_for_line("supervising process ");
    server.wait_for_line("listening on ");
    let mut bots = bots(&url);
    wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    kill(process.split_whitespace().last().expect("a number"));
    // Each with a fresh token from the services, into a place that nobody else may have.
    bots.wait_for_line("4 played");
    bots.wait_for_line("4 times a bot came back");
    server.wait_for_line("stopped");
    assert!(server.wait() && bots.wait());
    let recording = recordings(&folder.path().join("recordings")).remove(0);
    let info = printed(&run(&["replay", "info", argument(&recording)]));
    assert!(info.contains("another one went on") && !info.contains("abandoned"), "{info}");
    let all = gold(folder.path(), &url);
    assert!(all.iter().all(|gold| [60, 75].contains(gold)), "one match, and not two: {all:?}");
    rest(folder.path(), &url);
    has_no_difference(folder.path());
    assert_eq!(gold_as_told(folder.path(), &url), all);
    is_remembered(folder.path(), &url);
}

#[test]
fn each_role_works_in_a_process_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let any = ["--bind", "127.0.0.1:0"];
    let join = [&any[..], &["--roles", "join", "--development-login"]].concat();
    let (_join, lobby) = services(folder.path(), &join);
    let jwks = format!("{lobby}/.well-known/jwks.json");
    let economy = [&any[..], &["--roles", "economy", "--jwks", &jwks]].concat();
    let (_economy, money) = services(folder.path(), &economy);
    let persistence = [&any[..], &["--roles", "persistence", "--jwks", &jwks]].concat();
    let (_persistence, _history) = services(folder.path(), &persistence);
    // A player of one is a player of all.
    let session = session(&lobby, 0);
    let wallet = Lobby::new(&money).wallet(&session, 0).expect("the economy knows the token");
    assert!(wallet.is_empty());
}

#[test]
fn roles_that_cannot_know_who_asks_say_what_they_need() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = run(&["services", "--folder", argument(folder.path()), "--roles", "economy"]);
    let text = printed(&out);
    assert!(!out.status.success() && text.contains("--jwks") && text.contains("jwks.json"), "{text}");
}
