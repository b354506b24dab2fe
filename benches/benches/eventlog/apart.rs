//! What each step of a commit takes, one after the other on one thread: where the time goes, and what could be done beside the disk.

use std::time::Instant;

use arbiter_benches::measure::{Samples, figure};
use arbiter_eventlog::{Begun, Folder};

use crate::ours::Ours;

/// Steps in their order. Looking for the names of a batch comes before appending, and brings near what that needs.
const STEPS: [&str; 7] = ["look", "append", "begin", "seal", "hash", "write", "end"];

/// Prints the middle of each step.
pub fn figures(folder: Folder, data: &[u8], batch: usize, commits: usize) {
    let mut ours = Ours::new(folder, data, commits);
    let mut steps = STEPS.map(|_| Samples::with_capacity(commits));
    for _ in 0..commits {
        let mut last = Instant::now();
        let mut next = 0;
        let mut done = || {
            let now = Instant::now();
            steps[next].push(now - last);
            (last, next) = (now, next + 1);
        };
        ours.look();
        done();
        ours.append();
        done();
        let Begun::Pending(mut pending) = ours.log.begin_commit().expect("begun") else { panic!("nothing to commit") };
        done();
        pending.seal();
        done();
        pending.hash();
        done();
        let written = pending.write();
        done();
        ours.log.end_commit(written).expect("on disk");
        done();
    }
    for (name, samples) in STEPS.iter().zip(&mut steps) {
        figure(&format!("eventlog.batch{batch}.apart.{name}"), samples.percentile_us(0.5), "us");
    }
}
