//! What callers meet while a snapshot of the whole ledger is written: the longest wait of any of them is what it must not hold up.

use std::time::{Duration, Instant};

use arbiter_benches::measure::{figure, rss_mb};

use crate::callers::{self, Way};
use crate::town::Town;

/// A turn while it is waited for the next snapshot.
const TURN: Duration = Duration::from_secs(2);

/// Until one must have begun: the log has to grow by millions of entries.
const PATIENCE: Duration = Duration::from_secs(240);

/// Callers, and how they ask.
const CASES: [(&str, usize, Way); 2] = [("callers1", 1, Way::Each), ("callers32", 32, Way::Each)];

/// Lets the log grow until a snapshot is begun, and measures until it is kept, beside turns without one.
pub fn figures(town: &Town) {
    let mut seed = 1 << 20;
    let mut turn = |callers, way, time| {
        seed += 1;
        callers::run(town, way, callers, false, time, seed)
    };
    for (name, callers, way) in CASES {
        let turn = turn(callers, way, TURN);
        println!("without a snapshot, {name}: {:.0} transfers/s", turn.transfers_per_s);
        figure(&format!("ledger.without_snapshot.{name}.p99"), turn.p99_us, "us");
        figure(&format!("ledger.without_snapshot.{name}.longest"), turn.longest_us, "us");
    }
    println!("the log grows until a snapshot is begun: a minute or two");
    let began = Instant::now();
    while !town.is_keeping_a_snapshot() {
        if began.elapsed() > PATIENCE {
            println!("no snapshot was begun within {} s", PATIENCE.as_secs());
            return;
        }
        turn(256, Way::Together(1), TURN);
    }
    let (begun, before) = (Instant::now(), rss_mb());
    let mut most: f64 = 0.0;
    let mut at = 0;
    while town.is_keeping_a_snapshot() && begun.elapsed() < PATIENCE {
        let (name, callers, way) = CASES[at % CASES.len()];
        let turn = turn(callers, way, TURN);
        println!("beside a snapshot, {name}: {:.0} transfers/s", turn.transfers_per_s);
        figure(&format!("ledger.beside_snapshot.{name}.p99"), turn.p99_us, "us");
        figure(&format!("ledger.beside_snapshot.{name}.longest"), turn.longest_us, "us");
        (most, at) = (most.max(rss_mb()), at + 1);
    }
    figure("ledger.beside_snapshot.took", begun.elapsed().as_secs_f64(), "s");
    figure("ledger.beside_snapshot.memory", most - before, "MB");
}
