//! Contract: whatever is lost, doubled or reordered, a state that a client holds is exactly what the server had and that
//! client may know; hostile bytes never panic.

use std::collections::BTreeMap;

use arbiter_schema::{Audience, Predictor, Registry, Spec, StableId, describe};
use arbiter_snapshot::{Parts, Received, SnapshotDecoder, SnapshotEncoder, Viewer};
use proptest::prelude::*;

const PUBLIC: Spec = Spec::new(0.0, 60_000.0, 1.0, Predictor::Hold, Audience::Everyone);
const FLAG: Spec = Spec::new(0.0, 1.0, 1.0, Predictor::Hold, Audience::Everyone);
const TEAM: Spec = Spec::new(0.0, 1_000.0, 1.0, Predictor::Hold, Audience::Team);
const OWNER: Spec = Spec::new(0.0, 1_000_000.0, 1.0, Predictor::Hold, Audience::Owner);

describe! {
    /// For everyone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Place {
        /// A value.
        pub x: u16 => PUBLIC,
        /// A value.
        pub y: u16 => PUBLIC,
        /// A value.
        pub up: bool => FLAG,
    }
    /// Not replicated.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Secret {
        /// A value.
        pub seed: u32,
    }
    /// Mixed.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Health {
        /// A value.
        pub shown: u8 => Spec::new(0.0, 100.0, 1.0, Predictor::Hold, Audience::Everyone),
        /// A value.
        pub exact: u16 => TEAM,
        /// A value.
        pub wound: u32 => OWNER,
    }
    /// For the owner alone.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Pocket {
        /// A value.
        pub coins: u32 => OWNER,
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add::<Place>();
    registry.add::<Secret>();
    registry.add::<Health>();
    registry.add::<Pocket>();
    registry
}

const PLACE: u16 = 0;
const HEALTH: u16 = 2;
const POCKET: u16 = 3;

/// A small random stream, so that a failing case is named by one number.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % below
    }
}

/// Owner, team and lanes.
type Told = (Option<u16>, u8, Vec<i32>);

#[derive(Debug, Clone, Default)]
struct World(BTreeMap<(u32, u16), Told>);

impl World {
    fn change(&mut self, dice: &mut Dice) {
        for _ in 0..dice.below(20) {
            let id = 1 + dice.below(60);
            match dice.below(6) {
                0 => self.0.retain(|(held, _), _| *held != id),
                1 => {
                    self.0.remove(&(id, HEALTH));
                }
                _ => {
                    // Ownership and team follow the id, but may change: what is known of a component changes with them.
                    let owner = id.is_multiple_of(3).then_some((id % 4) as u16);
                    let team = if dice.below(40) == 0 { 2 } else { (id % 3) as u8 };
                    let place = vec![dice.below(60_001) as i32, dice.below(9) as i32, dice.below(2) as i32];
                    self.0.insert((id, PLACE), (owner, team, place));
                    let health = vec![dice.below(101) as i32, dice.below(1_001) as i32, dice.below(1_000_001) as i32];
                    self.0.insert((id, HEALTH), (owner, team, health));
                    self.0.insert((id, POCKET), (owner, team, vec![dice.below(50) as i32]));
                }
            }
        }
    }

    fn tell(&self, encoder: &mut SnapshotEncoder, tick: u32) {
        encoder.begin(tick);
        for ((id, component), (owner, team, lanes)) in &self.0 {
            encoder.row(StableId(*id), *component, *owner, *team, lanes);
        }
    }

    /// What `viewer` may know, by the plainest reading of the rules.
    fn seen_by(&self, viewer: Viewer) -> Vec<(u32, u16, Vec<i32>)> {
        let mut seen = Vec::new();
        for ((id, component), (owner, team, lanes)) in &self.0 {
            let owns = owner.is_some() && *owner == viewer.slot;
            let mate = owns || (viewer.team != 0 && *team == viewer.team);
            let lanes = match *component {
                PLACE => lanes.clone(),
                HEALTH => vec![lanes[0], if mate { lanes[1] } else { 0 }, if owns { lanes[2] } else { 0 }],
                _ if owns => lanes.clone(),
                _ => continue,
            };
            seen.push((*id, *component, lanes));
        }
        seen
    }
}

fn held(decoder: &SnapshotDecoder, tick: u32) -> Vec<(u32, u16, Vec<i32>)> {
    let state = decoder.state(tick).expect("the state is held");
    state.rows().map(|row| (row.id.0, row.component, row.lanes.to_vec())).collect()
}

fn play(seed: u64, ticks: u32, loss_percent: u32) -> u32 {
    let registry = registry();
    let mut dice = Dice(seed);
    let mut encoder = SnapshotEncoder::new(&registry, 1_000);
    let mut decoder = SnapshotDecoder::new(&registry);
    let viewer = Viewer { slot: Some(dice.below(4) as u16), team: dice.below(3) as u8 };
    let mut world = World::default();
    let mut worlds = BTreeMap::new();
    let mut parts = Parts::default();
    let mut in_flight: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut baseline = None;
    let mut complete = 0;
    for tick in 1..=ticks {
        world.change(&mut dice);
        world.tell(&mut encoder, tick);
        worlds.insert(tick, world.clone());
        assert!(encoder.encode(baseline, viewer, &mut parts));
        for part in parts.iter() {
            assert!(part.len() <= 1_000);
            for _ in 0..1 + u32::from(dice.below(10) == 0) {
                if dice.below(100) >= loss_percent {
                    in_flight.push((tick + dice.below(6), part.to_vec()));
                }
            }
        }
        let mut arrived = Vec::new();
        in_flight.retain(|(due, part)| {
            let late = *due > tick;
            if !late {
                arrived.push(part.clone());
            }
            late
        });
        for part in arrived {
            match decoder.receive(&part) {
                Ok(Received::Complete(of)) => {
                    complete += 1;
                    assert_eq!(held(&decoder, of), worlds[&of].seen_by(viewer), "seed {seed}, tick {of}");
                }
                Ok(_) => {}
                Err(error) => panic!("seed {seed}, tick {tick}: {error}"),
            }
        }
        // Acknowledgements are lost as well.
        if dice.below(100) >= loss_percent {
            baseline = decoder.ack();
        }
    }
    complete
}

#[test]
fn states_survive_loss_reordering_and_duplicates() {
    for seed in 0..40 {
        let complete = play(seed, 300, 20);
        assert!(complete > 100, "seed {seed}: only {complete} of 300 states arrived");
    }
}

#[test]
fn a_client_that_heard_nothing_for_longer_than_any_history_gets_a_full_state() {
    let registry = registry();
    let mut encoder = SnapshotEncoder::new(&registry, 1_000);
    let mut decoder = SnapshotDecoder::new(&registry);
    let viewer = Viewer { slot: Some(0), team: 1 };
    let (mut world, mut dice, mut parts) = (World::default(), Dice(7), Parts::default());
    for tick in 1..=400 {
        world.change(&mut dice);
        world.tell(&mut encoder, tick);
        let baseline = if tick == 1 { None } else { Some(1) };
        assert!(encoder.encode(baseline, viewer, &mut parts));
        if tick == 1 || tick == 400 {
            for part in parts.iter() {
                decoder.receive(part).expect("a full state builds upon nothing");
            }
            assert_eq!(held(&decoder, tick), world.seen_by(viewer));
        }
    }
}

#[test]
fn a_large_world_is_told_in_bounded_parts_that_arrive_in_any_order() {
    let registry = registry();
    let mut encoder = SnapshotEncoder::new(&registry, 1_100);
    let mut decoder = SnapshotDecoder::new(&registry);
    let mut world = World::default();
    for id in 1..=4_000 {
        world.0.insert((id, PLACE), (None, 0, vec![(id * 7) as i32, (id * 3) as i32, 1]));
    }
    world.tell(&mut encoder, 5);
    let mut parts = Parts::default();
    let viewer = Viewer { slot: None, team: 0 };
    assert!(encoder.encode(None, viewer, &mut parts));
    assert!(parts.len() > 10, "{} parts", parts.len());
    let mut shuffled: Vec<&[u8]> = parts.iter().collect();
    assert!(shuffled.iter().all(|part| part.len() <= 1_100));
    shuffled.reverse();
    let (last, rest) = shuffled.split_last().expect("there are parts");
    for part in rest {
        assert_eq!(decoder.receive(part), Ok(Received::Partial));
    }
    assert_eq!(decoder.receive(last), Ok(Received::Complete(5)));
    assert_eq!(held(&decoder, 5), world.seen_by(viewer));
}

#[test]
fn what_a_client_may_not_know_does_not_change_a_bit_of_what_it_is_sent() {
    let registry = registry();
    let stranger = Viewer { slot: Some(9), team: 2 };
    let mut told = Vec::new();
    for secret in [1, 2] {
        let mut encoder = SnapshotEncoder::new(&registry, 1_000);
        let mut parts = Parts::default();
        let mut world = World::default();
        world.0.insert((3, PLACE), (Some(1), 1, vec![5, 6, 1]));
        world.0.insert((3, HEALTH), (Some(1), 1, vec![50, 100 * secret, 1_000 * secret]));
        if secret == 2 {
            // Not even that it exists.
            world.0.insert((3, POCKET), (Some(1), 1, vec![77]));
        }
        world.tell(&mut encoder, 1);
        assert!(encoder.encode(None, stranger, &mut parts));
        let mut sent: Vec<Vec<u8>> = parts.iter().map(<[u8]>::to_vec).collect();
        world.0.insert((3, HEALTH), (Some(1), 1, vec![50, 7 * secret, 8 * secret]));
        world.tell(&mut encoder, 2);
        assert!(encoder.encode(Some(1), stranger, &mut parts));
        sent.extend(parts.iter().map(<[u8]>::to_vec));
        told.push(sent);
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_missing_baseline_asks_for_a_full_state() {
    let registry = registry();
    let mut encoder = SnapshotEncoder::new(&registry, 1_000);
    let mut decoder = SnapshotDecoder::new(&registry);
    let viewer = Viewer { slot: Some(0), team: 1 };
    let (world, mut parts) = (World::default(), Parts::default());
    world.tell(&mut encoder, 1);
    encoder.encode(None, viewer, &mut parts);
    decoder.receive(parts.iter().next().expect("one part")).expect("a full state");
    assert_eq!(decoder.ack(), Some(1));
    world.tell(&mut encoder, 2);
    world.tell(&mut encoder, 3);
    encoder.encode(Some(2), viewer, &mut parts);
    assert!(decoder.receive(parts.iter().next().expect("one part")).is_err());
    assert_eq!(decoder.ack(), None);
    world.tell(&mut encoder, 4);
    encoder.encode(None, viewer, &mut parts);
    decoder.receive(parts.iter().next().expect("one part")).expect("a full state");
    assert_eq!(decoder.ack(), Some(4));
}

#[test]
fn an_unchanged_world_costs_a_header_and_a_bit() {
    let registry = registry();
    let mut encoder = SnapshotEncoder::new(&registry, 1_000);
    let (mut world, mut parts) = (World::default(), Parts::default());
    world.change(&mut Dice(1));
    for tick in 1..=2 {
        world.tell(&mut encoder, tick);
    }
    encoder.encode(Some(1), Viewer { slot: None, team: 0 }, &mut parts);
    assert_eq!(parts.iter().map(<[u8]>::len).collect::<Vec<_>>(), [8]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_200), seed: u64) {
        let registry = registry();
        let mut encoder = SnapshotEncoder::new(&registry, 1_000);
        let mut decoder = SnapshotDecoder::new(&registry);
        let (mut world, mut parts) = (World::default(), Parts::default());
        world.change(&mut Dice(seed));
        world.tell(&mut encoder, 1);
        encoder.encode(None, Viewer { slot: Some(0), team: 1 }, &mut parts);
        for part in parts.iter() {
            decoder.receive(part).expect("an honest part");
        }
        let _ = decoder.receive(&bytes);
        // With a header that leads to the bit stream, against nothing and against the state that is held.
        for age in [0, 1] {
            let mut part = vec![2, 0, 0, 0, age, 0, 0];
            part.extend_from_slice(&bytes[..bytes.len().min(1_000)]);
            let _ = decoder.receive(&part);
        }
    }

    #[test]
    fn a_flipped_bit_never_panics(seed: u64, flip: u16) {
        let registry = registry();
        let mut encoder = SnapshotEncoder::new(&registry, 1_000);
        let mut decoder = SnapshotDecoder::new(&registry);
        let (mut world, mut parts) = (World::default(), Parts::default());
        for tick in 1..=2 {
            world.change(&mut Dice(seed ^ u64::from(tick)));
            world.tell(&mut encoder, tick);
            encoder.encode(if tick == 1 { None } else { Some(1) }, Viewer { slot: Some(0), team: 1 }, &mut parts);
            for part in parts.iter() {
                let mut part = part.to_vec();
                if tick == 2 {
                    let bit = usize::from(flip) % (part.len() * 8);
                    part[bit / 8] ^= 1 << (bit % 8);
                }
                let _ = decoder.receive(&part);
            }
        }
    }
}
