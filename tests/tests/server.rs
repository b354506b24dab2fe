//! A server with bots from another process: told to stop, killed, and configured.

use std::path::{Path, PathBuf};

use arbiter_tests::{Running, arbiter_with_small_files, argument, printed, recordings, run, wait_for_recording};

/// Enough for several blocks of ticks behind the header and the first checkpoint.
const MID_MATCH_BYTES: u64 = 40_000;

struct Match {
    server: Running,
    bots: Running,
    address: String,
}

fn begin(folder: &Path, bots: &str, more: &[&str]) -> Match {
    let (key, recordings) = (folder.join("arbiter.key"), folder.join("recordings"));
    let files = ["--key-file", argument(&key), "--record-dir", argument(&recordings)];
    let server = ["server", "--bind", "127.0.0.1:0", "--players-max", "4", "--seed", "7"];
    let server = Running::start(&[&server[..], &files, more].concat());
    let line = server.wait_for_line("listening on ");
    let address = line.split_whitespace().nth(2).expect("an address").trim_end_matches(':').to_owned();
    let bots = Running::start(&["bots", "--count", bots, "--server", &address, "--key-file", argument(&key)]);
    Match { server, bots, address }
}

fn verified(paths: &[PathBuf]) -> String {
    let arguments: Vec<&str> =
        ["replay", "verify"].into_iter().chain(paths.iter().map(|path| argument(path))).collect();
    let out = run(&arguments);
    assert!(out.status.success(), "{}", printed(&out));
    printed(&out)
}

#[test]
fn a_server_told_to_abandon_its_match_closes_its_recording() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut game = begin(folder.path(), "4", &["--on-stop", "abandon"]);
    let recording = wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    game.server.terminate();
    game.server.wait_for_line(": verified");
    game.server.wait_for_line("stopped");
    assert!(game.server.wait(), "a server that was told to stop ends well");
    assert!(game.bots.wait(), "bots that were told goodbye end well");
    let text = verified(&[recording]);
    assert!(text.contains("; abandoned"), "{text}");
}

#[test]
fn a_server_may_finish_its_matches_when_told_to_stop_and_its_rooms_share_the_players() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flags = ["--rooms", "2", "--drain-grace", "60", "--match-seconds", "10", "--tick-rate", "128"];
    let mut game = begin(folder.path(), "8", &flags);
    wait_for_recording(&folder.path().join("recordings"), 10_000);
    game.server.terminate();
    game.server.wait_for_line("played to their end");
    game.bots.wait_for_line("8 played");
    assert!(game.server.wait() && game.bots.wait());
    let recordings = recordings(&folder.path().join("recordings"));
    assert_eq!(recordings.len(), 2);
    let text = verified(&recordings);
    assert_eq!(text.matches("1280 ticks verified, 0 divergent").count(), 2, "{text}");
    assert!(!text.contains("abandoned"), "{text}");
}

#[test]
fn who_presses_control_c_twice_does_not_wait_for_the_end_of_the_match() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut game = begin(folder.path(), "4", &[]);
    let recording = wait_for_recording(&folder.path().join("recordings"), 10_000);
    game.server.interrupt();
    game.server.wait_for_line("once more stops at once");
    game.server.interrupt();
    game.server.wait_for_line("stopped");
    assert!(game.server.wait());
    let text = verified(&[recording]);
    assert!(text.contains("; abandoned"), "{text}");
}

#[test]
fn a_killed_server_leaves_a_recording_that_replays_to_its_last_full_block() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut game = begin(folder.path(), "4", &[]);
    let recording = wait_for_recording(&folder.path().join("recordings"), MID_MATCH_BYTES);
    game.server.kill();
    let text = verified(&[recording]);
    assert!(text.contains("figure replay.divergent 0") && text.contains("never finished"), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let game = begin(folder.path(), "1", &[]);
    let (key, recordings) = (folder.path().join("arbiter.key"), folder.path().join("others"));
    let files = ["--key-file", argument(&key), "--record-dir", argument(&recordings)];
    let out = run(&[&["server", "--bind", &game.address][..], &files].concat());
    let text = printed(&out);
    assert!(!out.status.success(), "{text}");
    assert!(text.contains(&format!("cannot listen on {}", game.address)) && text.contains("--bind"), "{text}");
}

#[test]
fn a_server_that_cannot_record_plays_on_and_ends_badly_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (key, recordings) = (folder.path().join("arbiter.key"), folder.path().join("recordings"));
    let files = ["--key-file", argument(&key), "--record-dir", argument(&recordings)];
    let server = ["server", "--bind", "127.0.0.1:0", "--matches", "1", "--match-seconds", "3"];
    // Not even the header fits.
    let out = arbiter_with_small_files(1, &[&server[..], &files].concat()).output().expect("sh runs");
    let text = printed(&out);
    assert!(!out.status.success(), "{text}");
    assert!(text.contains(argument(&recordings)) && text.contains("record to another disk"), "{text}");
    assert!(text.contains("stopped"), "it went on to the end: {text}");
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
fn a_name_that_only_the_rules_know_is_told_with_its_line_or_flag() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("arbiter.toml");
    for (text, told) in [
        ("rooms = 1\nmode = \"moon\"\n", "arbiter.toml:2: mode: expected one of team_deathmatch"),
        ("map = \"moon\"\n", "arbiter.toml:1: map: there is no map \"moon\"; there are arena, field"),
        (
            "bind = \"localhost\"\n",
            "arbiter.toml:1: bind: invalid socket address syntax; expected: IP address and UDP port",
        ),
    ] {
        std::fs::write(&file, text).expect("written");
        let out = run(&["server", "--config", argument(&file)]);
        assert!(!out.status.success() && printed(&out).contains(told), "{}", printed(&out));
    }
    let out = run(&["server", "--mode", "moon"]);
    assert!(printed(&out).contains("--mode (or ARBITER_MODE): expected one of"), "{}", printed(&out));
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
