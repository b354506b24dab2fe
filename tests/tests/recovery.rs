//! Contract: a server that is killed and started again takes its matches up where its recordings end; players come back to their
//! places; and what is told of a match is told once, and is what its recording tells. What cannot go on ends fairly.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use arbiter_tests::depot::Depot;
use arbiter_tests::{PATIENCE, Running, argument, kill, printed, recordings, run, wait_for_recording};

/// Enough for two checkpoints and some blocks of ticks behind them.
const MID_MATCH_BYTES: u64 = 60_000;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Players of each match.
const BOTS: &str = "4";

/// A port that is free now: who is started again must be found where it was.
fn port() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").to_string()
}

fn server(folder: &Path, address: &str, more: &[&str]) -> Running {
    let paths = ["arbiter.key", "recordings", "outbox"].map(|name| folder.join(name));
    let [key, recordings, outbox] = paths.each_ref().map(|path| argument(path));
    let server =
        ["server", "--bind", address, "--players-max", BOTS, "--seed", "7", "--match-seconds", "25", "--matches", "1"];
    let elsewhere = more.contains(&"--record-dir");
    let record = if elsewhere { &[][..] } else { &["--record-dir", recordings] };
    let files = ["--key-file", key, "--outbox-dir", outbox];
    let server = Running::start(&[&server[..], &files, record, more].concat());
    server.wait_for_line("listening on ");
    server
}

fn bots(folder: &Path, address: &str) -> Running {
    let key = folder.join("arbiter.key");
    Running::start(&["bots", "--count", BOTS, "--server", address, "--key-file", argument(&key)])
}

/// Everything that is left of the only match is in order.
fn left(folder: &Path) -> String {
    let found = recordings(&folder.join("recordings"));
    let [recording] = &found[..] else { panic!("one recording: {found:?}") };
    let (recording, outbox) = (argument(recording), folder.join("outbox"));
    let verified = run(&["replay", "verify", recording]);
    assert!(verified.status.success(), "{}", printed(&verified));
    let compared = run(&["replay", "events", recording, "--outbox", argument(&outbox)]);
    let text = printed(&compared);
    assert!(compared.status.success() && text.contains(" 0 otherwise, 0 missing in the log"), "{text}");
    let beside = std::fs::read_dir(folder.join("recordings")).expect("a folder").count();
    assert_eq!(beside, 1, "nothing is left beside the recording");
    printed(&run(&["replay", "info", recording]))
}

#[test]
fn a_killed_match_goes_on_in_the_next_process_with_its_players_in_their_places() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = port();
    let mut first = server(folder.path(), &address, &[]);
    let mut players = bots(folder.path(), &address);
    wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    first.kill();
    let mut second = server(folder.path(), &address, &[]);
    // Each place was kept for its player: whoever had been a stranger would have been refused.
    players.wait_for_line("4 played");
    players.wait_for_line("4 times a bot came back");
    assert!(players.wait() && second.wait());
    let info = left(folder.path());
    assert!(info.contains("the process ended, and another one went on"), "{info}");
    assert!(!info.contains("abandoned"), "{info}");
}

#[test]
fn a_supervised_server_is_started_again_and_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = port();
    let mut supervised = {
        let paths = ["arbiter.key", "recordings", "outbox"].map(|name| folder.path().join(name));
        let [key, recordings, outbox] = paths.each_ref().map(|path| argument(path));
        let server = ["server", "--supervise", "--bind", &address, "--players-max", BOTS, "--match-seconds", "25"];
        Running::start(
            &[&server[..], &["--key-file", key, "--record-dir", recordings, "--outbox-dir", outbox, "--matches", "1"]]
                .concat(),
        )
    };
    let process = supervised.wait_for_line("supervising process ");
    supervised.wait_for_line("listening on ");
    let mut players = bots(folder.path(), &address);
    wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    kill(process.split_whitespace().last().expect("a number"));
    supervised.wait_for_line("supervising process ");
    players.wait_for_line("4 times a bot came back");
    assert!(players.wait() && supervised.wait(), "what ends in good order is not started again");
    let info = left(folder.path());
    assert!(info.contains("the process ended, and another one went on"), "{info}");
}

#[test]
fn a_supervised_server_that_is_told_to_stop_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = port();
    let mut supervised = server(folder.path(), &address, &["--supervise"]);
    supervised.terminate();
    supervised.wait_for_line("stopped");
    assert!(supervised.wait());
}

#[test]
fn a_match_that_the_next_server_does_not_play_ends_as_abandoned_with_its_results() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = port();
    let mut first = server(folder.path(), &address, &[]);
    let players = bots(folder.path(), &address);
    wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    first.kill();
    drop(players);
    let recording = recordings(&folder.path().join("recordings")).remove(0);
    let mut second = server(folder.path(), &address, &["--tick-rate", "30"]);
    second.terminate();
    second.wait_for_line("stopped");
    assert!(second.wait());
    let other = recordings(&folder.path().join("recordings")).into_iter().find(|path| *path != recording);
    std::fs::remove_file(other.expect("the second server recorded too")).expect("removes");
    let info = left(folder.path());
    assert!(info.contains("abandoned"), "{info}");
    let log = printed(&run(&["log", "dump", argument(&folder.path().join("outbox"))]));
    // Records are shown in hexadecimal.
    let name: String = b"arbiter.match.ended".iter().map(|byte| format!("{byte:02x}")).collect();
    let ends = log.lines().filter(|line| line.contains(&name)).count();
    assert_eq!(ends, 2, "one end for each match: {log}");
}

#[test]
fn a_match_of_a_lost_machine_goes_on_where_its_recording_was_copied_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, copies) = (port(), folder.path().join("copies"));
    let mut first = server(folder.path(), &address, &["--ship-recordings", argument(&copies)]);
    let mut players = bots(folder.path(), &address);
    wait_for_recording(&copies, MID_MATCH_BYTES);
    first.kill();
    for lost in ["recordings", "outbox"] {
        std::fs::remove_dir_all(folder.path().join(lost)).expect("removes");
    }
    let mut second = server(folder.path(), &address, &["--record-dir", argument(&copies)]);
    players.wait_for_line("4 times a bot came back");
    assert!(players.wait() && second.wait());
    let recording = recordings(&copies).remove(0);
    let verified = run(&["replay", "verify", argument(&recording)]);
    assert!(verified.status.success(), "{}", printed(&verified));
    let info = printed(&run(&["replay", "info", argument(&recording)]));
    assert!(info.contains("another one went on") && !info.contains("abandoned"), "{info}");
}

#[test]
fn a_match_of_a_lost_machine_goes_on_from_what_was_shipped_over_http() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, secret) = (port(), folder.path().join("headers"));
    std::fs::write(&secret, "Authorization: Bearer open sesame\n").expect("writes");
    let depot = Depot::open(&folder.path().join("depot"), Some("Bearer open sesame"));
    let url = depot.url("server-1");
    let ships = ["--ship-recordings", &url, "--ship-headers", argument(&secret)];
    let mut first = server(folder.path(), &address, &ships);
    let mut players = bots(folder.path(), &address);
    wait_for_shipped(&folder.path().join("depot/server-1"), MID_MATCH_BYTES);
    first.kill();
    let lost = folder.path().join("lost");
    for name in ["recordings", "outbox"] {
        std::fs::create_dir_all(&lost).expect("makes");
        std::fs::rename(folder.path().join(name), lost.join(name)).expect("moves");
    }
    let copies = folder.path().join("copies");
    let stranger = run(&["recordings", "fetch", &url, argument(&copies)]);
    let text = printed(&stranger);
    assert!(!stranger.status.success() && text.contains("401") && text.contains("--ship-headers"), "{text}");
    let fetched = run(&["recordings", "fetch", &url, argument(&copies), "--ship-headers", argument(&secret)]);
    assert!(printed(&fetched).contains("1 matches brought"), "{}", printed(&fetched));
    let recording = recordings(&copies).remove(0);
    let bytes = |path: &Path| std::fs::read(path).expect("is there");
    let original = bytes(&recordings(&lost.join("recordings")).remove(0));
    assert!(original.starts_with(&bytes(&recording)), "what came back is what was written");
    let mut second = server(folder.path(), &address, &[&["--record-dir", argument(&copies)], &ships[..]].concat());
    players.wait_for_line("4 times a bot came back");
    assert!(players.wait() && second.wait());
    let verified = run(&["replay", "verify", argument(&recording)]);
    assert!(verified.status.success(), "{}", printed(&verified));
    let info = printed(&run(&["replay", "info", argument(&recording)]));
    assert!(info.contains("another one went on") && !info.contains("abandoned"), "{info}");
    // Its end is shipped too, and nobody fetches what is over.
    let again = run(&["recordings", "fetch", &url, argument(&folder.path().join("again")), ships[2], ships[3]]);
    assert!(printed(&again).contains("0 matches brought"), "{}", printed(&again));
}

/// Waits until a depot has so many bytes of a recording.
fn wait_for_shipped(folder: &Path, bytes: u64) {
    let until = Instant::now() + PATIENCE;
    let size = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    let files = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    while files(folder).iter().flat_map(|it| files(it)).map(size).sum::<u64>() < bytes {
        assert!(Instant::now() < until, "less than {bytes} bytes in {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}
