//! The contract: after a power loss at any write, sync or change of names, and after another one during recovery, everything
//! that was acknowledged is there, once, in order; of what was not acknowledged a commit is there whole or not at all; and
//! appending it again makes nothing twice. The planted faults at the end show that these tests would notice.

mod model;
mod mutants;

use model::{Run, options, play};
use proptest::prelude::*;

/// How many operations a script takes on a disk that does not fail; used to place the failures.
fn operations(seed: u64) -> u64 {
    let mut run = Run::new(seed);
    run.live(seed).expect("nothing fails");
    run.disk.operations()
}

#[test]
fn power_may_fail_at_every_write_of_a_log() {
    for seed in 0..4 {
        for at in 0..=operations(seed) {
            play(seed, Some(at), None).unwrap_or_else(|why| panic!("seed {seed}, power loss at {at}: {why}"));
        }
    }
}

#[test]
fn power_may_fail_again_at_every_write_of_a_recovery() {
    for seed in 0..4 {
        let middle = operations(seed) * 2 / 3;
        for again in 0..60 {
            play(seed, Some(middle), Some(again))
                .unwrap_or_else(|why| panic!("seed {seed}, power loss at {middle} and {again}: {why}"));
        }
    }
}

#[test]
fn a_failed_sync_is_final_for_its_file_and_loses_nothing_acknowledged() {
    for seed in 0..4 {
        for at in 0..40 {
            model::play_failing_sync(seed, at).unwrap_or_else(|why| panic!("seed {seed}, sync {at} fails: {why}"));
        }
    }
}

#[test]
fn a_full_disk_keeps_the_batch_and_goes_on_when_there_is_room() {
    for seed in 0..20 {
        model::play_full_disk(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn options_of_the_tests_are_those_of_a_log() {
    let disk = arbiter_eventlog::simulated::SimulatedDisk::default();
    arbiter_eventlog::Log::open(disk, options(true)).expect("a log");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_script_survives_any_two_power_losses(seed in any::<u64>(), first in 0_u64..400, second in 0_u64..60) {
        play(seed, Some(first), Some(second)).map_err(TestCaseError::fail)?;
    }
}
