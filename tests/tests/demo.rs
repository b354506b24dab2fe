//! The demo as a newcomer runs it: a match over real sockets, its recording, and the command that replays it.

use arbiter_tests::{arbiter_with_small_files, argument, printed, run};

#[test]
fn a_match_is_played_recorded_and_replayed_to_the_same_hashes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = run(&[
        "demo",
        "--plain",
        "--duration",
        "12",
        "--bots",
        "6",
        "--tick-rate",
        "30",
        "--seed",
        "7",
        "--summary",
        "json",
        "--record-dir",
        argument(folder.path()),
    ]);
    assert!(out.status.success(), "{}", printed(&out));
    let summary: serde_json::Value = serde_json::from_slice(&out.stdout).expect("standard output is one JSON object");
    assert_eq!(summary["finished"], true, "{summary:#}");
    assert_eq!(summary["bots"], 6, "{summary:#}");
    assert!(summary["ticks"].as_u64().is_some_and(|ticks| ticks >= 12 * 30), "{summary:#}");
    assert!(summary["weapons_used"].as_u64().is_some_and(|used| used > 0), "{summary:#}");
    assert!(summary["down_kbit_s"].as_f64().is_some_and(|down| down > 0.0), "{summary:#}");
    let recording = summary["recording"]["path"].as_str().expect("a recording was written");
    assert!(summary["recording"]["bytes"].as_u64().is_some_and(|bytes| bytes > 1000), "{summary:#}");

    assert_eq!(summary["recording"]["verified"], true, "{summary:#}");
    assert_eq!(summary["purses"].as_array().map(Vec::len), Some(6), "all six logged in: {summary:#}");

    let verified = run(&["replay", "verify", recording]);
    assert!(verified.status.success(), "{}", printed(&verified));
    assert!(printed(&verified).contains("figure replay.divergent 0"), "{}", printed(&verified));
}

#[test]
fn a_match_that_cannot_be_recorded_to_its_end_fails_the_demo_and_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = argument(folder.path());
    // Room for the header and the first blocks.
    let demo = ["demo", "--plain", "--no-services", "--duration", "5", "--bots", "4", "--seed", "7"];
    let arguments = [&demo[..], &["--record-dir", folder]].concat();
    let out = arbiter_with_small_files(16, &arguments).output().expect("sh runs");
    let text = printed(&out);
    assert!(!out.status.success(), "{text}");
    assert!(text.contains(&format!("not recorded: {folder}/")), "{text}");
    assert!(text.contains("File too large") && text.contains("free some space"), "{text}");
    assert!(!text.contains("DIVERGENT"), "{text}");
    assert!(text.lines().filter(|line| line.contains("free some space")).count() < 10, "it is told once: {text}");
}

#[test]
fn a_folder_that_cannot_be_recorded_to_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("taken");
    std::fs::write(&file, "a file").expect("written");
    let out = run(&["demo", "--plain", "--duration", "5", "--record-dir", argument(&file)]);
    let text = printed(&out);
    assert!(!out.status.success(), "{text}");
    assert!(text.contains(argument(&file)) && text.contains("choose another with --record-dir"), "{text}");
}

#[test]
fn a_map_that_is_not_there_is_refused_with_those_that_are() {
    let out = run(&["demo", "--plain", "--map", "moon"]);
    assert!(!out.status.success());
    assert!(printed(&out).contains("there are arena, field"), "{}", printed(&out));
}

#[test]
fn a_tick_rate_out_of_range_is_refused_before_anything_starts() {
    let out = run(&["demo", "--tick-rate", "500"]);
    assert!(!out.status.success());
    assert!(printed(&out).contains("500 is not in 10..=128"), "{}", printed(&out));
}
