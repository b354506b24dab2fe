//! The contract of law 1 in small, for every run of the tests: each way of playing a match ends each tick with the same hash.
//! The whole matrix, with other builds and machines, is `cargo xtask determinism`.

use arbiter_determinism::{Match, Way, run};

/// Enough for joins, fights, deaths and respawns; the chore plays longer ones.
const TICKS: u32 = 400;
const SEEDS: std::ops::Range<u64> = 1..5;

/// Plays a match two ways side by side and names the first component that differs.
fn same(seed: u64, way: Way) {
    let mut plain = Match::new(seed, Way::default()).expect("a generated match can be built");
    let mut other = Match::new(seed, way).expect("a generated match can be built");
    for tick in 1..=TICKS {
        let (one, two) = (plain.step().expect("plays"), other.step().expect("plays"));
        if one != two {
            let parts = plain.simulation().component_hashes().into_iter().zip(other.simulation().component_hashes());
            let differing: Vec<_> = parts.filter(|(one, two)| one != two).map(|(one, _)| one.0).collect();
            panic!("match {seed} parts at tick {tick} in {differing:?}, played as {way:?}");
        }
    }
}

#[test]
fn a_match_plays_the_same_twice() {
    SEEDS.for_each(|seed| same(seed, Way::default()));
}

#[test]
fn the_order_of_entities_and_archetypes_does_not_matter() {
    SEEDS.for_each(|seed| same(seed, Way { shuffle: true, restore: false }));
}

#[test]
fn a_restored_checkpoint_continues_bit_for_bit() {
    SEEDS.for_each(|seed| same(seed, Way { shuffle: false, restore: true }));
}

#[test]
fn rooms_that_wander_between_threads_play_the_same() {
    let one = run::play(SEEDS, TICKS, Way::default(), 1, &|_| ()).expect("plays");
    let many = run::play(SEEDS, TICKS, Way::default(), 3, &|_| ()).expect("plays");
    assert_eq!(one, many);
}

#[test]
fn a_generated_match_is_a_fight() {
    let (mut joined, mut deaths) = (0, 0);
    for seed in SEEDS {
        let mut room = Match::new(seed, Way::default()).expect("a generated match can be built");
        for _ in 0..TICKS * 2 {
            room.step().expect("plays");
            for event in room.simulation().events() {
                match event {
                    arbiter_sim::DomainEvent::PlayerJoined { .. } => joined += 1,
                    arbiter_sim::DomainEvent::Killed { .. } => deaths += 1,
                    _ => (),
                }
            }
        }
    }
    assert!(joined >= 8, "only {joined} players joined");
    assert!(deaths >= 4, "only {deaths} players died: the matches prove little");
}
