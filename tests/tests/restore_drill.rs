//! Contract: a log whose disk is gone comes back from its backup with everything that was acknowledged before the backup, and
//! what came after is taken again from who kept it, under the same ids, once. The drill prints what was lost (RPO) and how
//! long it took (RTO); it asserts no time.

use std::path::Path;
use std::time::Instant;

use arbiter_eventlog::{Folder, Log, Masters, Options};
use arbiter_tests::{arbiter, argument, printed};
use serde_json::Value;

const KEY: &str = "606abe6ec91910ea9a6562f66f2b30e44371d62cd19927266b3c60f4b715aba1";

fn open(path: &Path) -> Log<Folder> {
    let masters = Some(Masters::from_text(KEY).expect("a key"));
    let options = Options { segment_bytes: 8 << 20, masters, ..Options::default() };
    Log::open(Folder::make(path).expect("a folder"), options).expect("a log").0
}

fn fill(log: &mut Log<Folder>, ids: std::ops::Range<u128>) {
    for id in ids {
        log.append(id, format!("match {id} was won").repeat(20).as_bytes()).expect("appended");
        if id % 100 == 99 {
            log.commit().expect("committed");
        }
    }
    log.commit().expect("committed");
}

fn run(arguments: &[&str]) -> String {
    let output = arbiter(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", printed(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_restore_drill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [live, backup, restored] = ["live", "backup", "restored"].map(|name| folder.path().join(name));
    let key = folder.path().join("log.key");
    std::fs::write(&key, KEY).expect("written");
    let mut log = open(&live);
    fill(&mut log, 0..50_000);
    run(&["log", "backup", argument(&live), argument(&backup)]);
    fill(&mut log, 50_000..51_000);
    let acknowledged = log.acknowledged();
    drop(log);
    std::fs::remove_dir_all(&live).expect("the disk is gone");

    let began = Instant::now();
    run(&["log", "restore", argument(&backup), argument(&restored)]);
    let mut log = open(&restored);
    let rto = began.elapsed();
    println!("figure drill.rpo {} records", acknowledged - log.acknowledged());
    println!("figure drill.rto {:.1} ms", rto.as_secs_f64() * 1e3);
    assert_eq!(log.acknowledged(), 50_000);
    // Who sent them keeps them past the last backup, and sends more than is missing.
    fill(&mut log, 49_000..51_000);
    assert_eq!(log.close().expect("closed"), acknowledged);

    let found = run(&["log", "verify", argument(&restored), "--json", "--log-key-file", argument(&key)]);
    let found: Value = serde_json::from_str(&found).expect("one object");
    assert_eq!((&found["records"], &found["damages"]), (&acknowledged.into(), &Value::Array(Vec::new())), "{found}");
}

#[test]
fn damage_is_named_and_the_exit_status_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let live = folder.path().join("live");
    let mut log = open(&live);
    fill(&mut log, 0..1000);
    log.close().expect("closed");
    let segment = live.join("segment-0000000000000000");
    let mut bytes = std::fs::read(&segment).expect("read");
    bytes[5000] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let output = arbiter(&["log", "verify", argument(&live)]).output().expect("it runs");
    let said = printed(&output);
    assert!(!output.status.success() && said.contains("segment-0000000000000000 at offset 4096 (block 0"), "{said}");
}

#[test]
fn records_are_dumped_and_followed_by_position() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let live = folder.path().join("live");
    let key = folder.path().join("log.key");
    std::fs::write(&key, KEY).expect("written");
    let mut log = open(&live);
    fill(&mut log, 0..300);
    for command in ["dump", "tail"] {
        let flags =
            ["log", command, argument(&live), "--from", "120", "--count", "2", "--log-key-file", argument(&key)];
        let said = run(&flags);
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        let positions: Vec<_> = lines.iter().map(|line| line["position"].as_u64()).collect();
        assert_eq!(positions, [Some(120), Some(121)], "{command}");
    }
}
