//! The contract in small: every operation of some scripts, and every planted fault. `cargo xtask crash` plays many more.

use arbiter_crash::mutants::{self, noticed};
use arbiter_crash::{Mutant, Seed, count, play, play_calm};

#[test]
fn power_may_fail_at_every_write_between_a_result_and_a_wallet() {
    for script in 1..=6 {
        for place in 0..count(script).expect("a script that holds") {
            let seed = Seed { script, place };
            play(seed, None).unwrap_or_else(|violation| panic!("cargo xtask crash --seed {seed}: {violation}"));
        }
    }
}

#[test]
fn every_planted_fault_is_noticed() {
    for mutant in mutants::ALL {
        noticed(mutant, 1, 4_000).unwrap_or_else(|violation| panic!("{}: {violation}", mutant.name()));
    }
}

#[test]
fn planted_faults_do_no_harm_while_nothing_fails() {
    // What a short write leaves out is missed by the first who reads it, and a snapshot that was dropped for one that was given up by
    // the first who looks for it.
    let harmful = [Mutant::ShortWrite, Mutant::SnapshotBeforeDropped];
    for mutant in mutants::ALL.into_iter().filter(|mutant| !harmful.contains(mutant)) {
        for script in 1..=30 {
            play_calm(script, Some(mutant)).unwrap_or_else(|violation| panic!("{}: {violation}", mutant.name()));
        }
    }
}

#[test]
fn a_run_is_the_same_whenever_it_is_played() {
    let seed = Seed { script: 3, place: 40 };
    assert_eq!(play(seed, None), play(seed, None));
    assert_eq!(seed.to_string().parse(), Ok(seed));
}
