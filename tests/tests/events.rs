//! Contract: what a server tells of its matches is what their recordings tell, under the same names, once; however it ends.

use std::path::Path;

use arbiter_tests::{Running, argument, printed, recordings, run, wait_for_recording};

/// A server with an outbox, and four bots.
fn begin(folder: &Path, more: &[&str]) -> (Running, Running) {
    let (key, recordings) = (folder.join("arbiter.key"), folder.join("recordings"));
    let outbox = folder.join("outbox");
    let server = ["server", "--bind", "127.0.0.1:0", "--players-max", "4", "--seed", "7", "--tick-rate", "128"];
    let files =
        ["--key-file", argument(&key), "--record-dir", argument(&recordings), "--outbox-dir", argument(&outbox)];
    let server = Running::start(&[&server[..], &files, more].concat());
    let line = server.wait_for_line("listening on ");
    let address = line.split_whitespace().nth(2).expect("an address").trim_end_matches(':').to_owned();
    let bots = Running::start(&["bots", "--count", "4", "--server", &address, "--key-file", argument(&key)]);
    (server, bots)
}

/// What `arbiter replay events` says of the only recording, and whether it was content.
fn compared(folder: &Path, more: &[&str]) -> (String, bool) {
    let recordings = recordings(&folder.join("recordings"));
    let [recording] = &recordings[..] else { panic!("one recording: {recordings:?}") };
    let outbox = folder.join("outbox");
    let out = run(&[&["replay", "events", argument(recording), "--outbox", argument(&outbox)][..], more].concat());
    (printed(&out), out.status.success())
}

fn log_is_whole(folder: &Path) {
    let out = run(&["log", "verify", argument(&folder.join("outbox"))]);
    assert!(out.status.success(), "{}", printed(&out));
}

#[test]
fn a_match_that_was_played_to_its_end_is_told_as_its_recording_tells_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, mut bots) = begin(folder.path(), &["--match-seconds", "10", "--matches", "1"]);
    server.wait_for_line("stopped");
    assert!(server.wait() && bots.wait());
    let (text, content) = compared(folder.path(), &[]);
    assert!(content, "{text}");
    assert!(text.contains(" 0 otherwise, 0 missing in the log; 0 more"), "{text}");
    log_is_whole(folder.path());
}

#[test]
fn a_match_that_nobody_played_is_told_as_its_recording_tells_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, bots) = begin(folder.path(), &[]);
    drop(bots);
    server.terminate();
    server.wait_for_line("stopped");
    assert!(server.wait());
    let (text, content) = compared(folder.path(), &[]);
    assert!(content, "{text}");
}

#[test]
fn an_abandoned_match_is_told_as_abandoned() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, mut bots) = begin(folder.path(), &[]);
    wait_for_recording(&folder.path().join("recordings"), 40_000);
    server.terminate();
    server.wait_for_line("stopped");
    assert!(server.wait() && bots.wait());
    let (text, content) = compared(folder.path(), &[]);
    assert!(content, "{text}");
    assert!(text.contains(" 0 otherwise, 0 missing in the log; 0 more"), "{text}");
}

#[test]
fn a_killed_server_told_nothing_that_its_recording_does_not_tell_and_what_is_missing_is_told_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, mut bots) = begin(folder.path(), &[]);
    wait_for_recording(&folder.path().join("recordings"), 60_000);
    server.kill();
    bots.kill();
    log_is_whole(folder.path());
    let (text, _) = compared(folder.path(), &[]);
    assert!(text.contains(" 0 otherwise, "), "{text}");
    assert!(text.contains("; 0 more are in the log alone"), "{text}");
    let (text, content) = compared(folder.path(), &["--heal"]);
    assert!(content, "{text}");
    let (text, content) = compared(folder.path(), &[]);
    assert!(content && text.contains(" 0 otherwise, 0 missing in the log; 0 more"), "{text}");
    log_is_whole(folder.path());
}

#[test]
fn events_without_recordings_are_refused_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("it is written");
    let key = folder.path().join("arbiter.key");
    let recordings = folder.path().join("recordings");
    let out = run(&[
        "server",
        "--bind",
        "127.0.0.1:0",
        "--key-file",
        argument(&key),
        "--record-dir",
        argument(&recordings),
        "--outbox-dir",
        argument(&file),
    ]);
    assert!(!out.status.success());
    assert!(printed(&out).contains("cannot open the log of events in the folder"), "{}", printed(&out));
}
