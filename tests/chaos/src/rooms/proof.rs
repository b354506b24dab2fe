//! Whether what was told of matches is what their recordings tell again.

use std::path::Path;

use arbiter_tests::{argument, printed, recordings, run};

/// A line for each recording that does not replay, or that tells something else than the log has, or has not.
pub fn contradictions(folder: &Path) -> Vec<String> {
    let outbox = folder.join("outbox");
    let mut wrong = Vec::new();
    for recording in recordings(&folder.join("recordings")) {
        let recording = argument(&recording);
        for command in
            [&["replay", "verify", recording][..], &["replay", "events", recording, "--outbox", argument(&outbox)]]
        {
            let out = run(command);
            if !out.status.success() {
                wrong.push(printed(&out));
            }
        }
    }
    let log = run(&["log", "verify", argument(&outbox)]);
    if !log.status.success() {
        wrong.push(printed(&log));
    }
    wrong
}
