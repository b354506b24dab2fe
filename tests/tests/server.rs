//! A server with bots from another process: told to stop, killed, and configured.

use std::path::Path;

use arbiter_tests::{Running, argument, printed, run, wait_for_recording};

/// Enough for several blocks of ticks behind the header and the first checkpoint.
const MID_MATCH_BYTES: u64 = 60_000;

struct Match {
    server: Running,
    /// Only held: they play until the test ends.
    _bots: Running,
}

fn begin(folder: &Path) -> Match {
    let (key, recordings) = (folder.join("arbiter.key"), folder.join("recordings"));
    let server = Running::start(&[
        "server",
        "--bind",
        "127.0.0.1:0",
        "--key-file",
        argument(&key),
        "--record-dir",
        argument(&recordings),
        "--tick-rate",
        "60",
        "--players-max",
        "4",
        "--seed",
        "7",
    ]);
    let line = server.wait_for_line("listening on ");
    let address = line.split_whitespace().nth(2).expect("an address").trim_end_matches(':').to_owned();
    let bots = Running::start(&["bots", "--count", "4", "--server", &address, "--key-file", argument(&key)]);
    Match { server, _bots: bots }
}

#[test]
fn a_server_told_to_stop_closes_its_recording() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut game = begin(folder.path());
    let recording = wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    game.server.terminate();
    game.server.wait_for_line("stopped");
    assert!(game.server.wait(), "a server that was told to stop ends well");
    let verified = run(&["replay", "verify", argument(&recording)]);
    assert!(verified.status.success(), "{}", printed(&verified));
}

#[test]
fn a_killed_server_leaves_a_recording_that_replays_to_its_last_full_block() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut game = begin(folder.path());
    let recording = wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    game.server.kill();
    let verified = run(&["replay", "verify", argument(&recording)]);
    let text = printed(&verified);
    assert!(text.contains("figure replay.divergent 0"), "{text}");
}

#[test]
fn what_is_printed_is_what_file_environment_and_flags_come_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("arbiter.toml");
    std::fs::write(&file, "tick_rate = 30\nrooms = 2\nmap = \"field\"\n").expect("written");
    let out = arbiter_tests::arbiter(&["server", "--print-config", "--config", argument(&file), "--map", "arena"])
        .env("ARBITER_ROOMS", "3")
        .env("ARBITER_MAP", "moon")
        .output()
        .expect("arbiter runs");
    let text = printed(&out);
    assert!(out.status.success(), "{text}");
    for line in ["tick_rate = 30", "rooms = 3", "map = \"arena\""] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[test]
fn a_bad_line_of_a_configuration_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("arbiter.toml");
    std::fs::write(&file, "map = \"arena\"\ntick_rate = 500\n").expect("written");
    let out = run(&["server", "--config", argument(&file)]);
    assert!(!out.status.success());
    assert!(
        printed(&out).contains("arbiter.toml:2: tick_rate: expected a number from 10 to 128, found 500"),
        "{}",
        printed(&out)
    );
}
