//! Contract: what a described value writes it reads back bit for bit, hostile bytes are errors, and lanes stay in range.

use arbiter_schema::{Audience, ByteSink, DumpSink, HashSink, Predictor, Reader, Registry, Spec, StableId};
use arbiter_schema::{Describe, Value, describe, describe_enum};
use arrayvec::ArrayVec;
use glam::{Quat, Vec3};

describe_enum! {
    /// Where a thing is in its life.
    pub enum Phase { /// Not yet.
        Waiting, /// Now.
        Running, /// No more.
        Over }
}

const NEAR: Spec = Spec::new(-64.0, 64.0, 0.01, Predictor::Linear, Audience::Everyone);
const COUNT: Spec = Spec::new(0.0, 300.0, 1.0, Predictor::Hold, Audience::Owner);

describe! {
    /// Inner.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Inner { /// A number.
        pub ammo: u16 }

    /// Outer.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Outer {
        /// Where.
        pub position: Vec3 => NEAR,
        /// How it is turned.
        pub rotation: Quat => Spec::new(-1.0, 1.0, 0.001, Predictor::Hold, Audience::Everyone),
        /// How many.
        pub count: u16 => COUNT,
        /// Where in life.
        pub phase: Phase => Spec::new(0.0, 2.0, 1.0, Predictor::Hold, Audience::Team),
        /// Whom.
        pub target: Option<StableId>,
        /// What.
        pub slots: ArrayVec<Inner, 4>,
    }
}

fn sample() -> Outer {
    Outer {
        position: Vec3::new(-0.0, f32::NAN, 3.5),
        rotation: Quat::from_xyzw(0.0, 0.6, 0.0, -0.8),
        count: 299,
        phase: Phase::Over,
        target: Some(StableId(7)),
        slots: [Inner { ammo: 1 }, Inner { ammo: 65_535 }].into_iter().collect(),
    }
}

fn bytes(value: &Outer) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut ByteSink(&mut out));
    out
}

#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    let first = bytes(&sample());
    let read = Outer::read(&mut Reader::new(&first)).unwrap();
    assert_eq!(bytes(&read), first);
}

#[test]
fn every_truncation_is_an_error() {
    let whole = bytes(&sample());
    for cut in 0..whole.len() {
        assert!(Outer::read(&mut Reader::new(&whole[..cut])).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_list_longer_than_its_limit_is_an_error() {
    let mut long = Vec::new();
    5u32.write(&mut ByteSink(&mut long));
    long.extend([0; 64]);
    assert!(ArrayVec::<Inner, 4>::read(&mut Reader::new(&long)).is_err());
}

#[test]
fn lanes_stay_in_their_range_even_for_nan() {
    let mut lanes = Vec::new();
    sample().to_lanes(&mut lanes);
    let descs = Outer::lane_descs();
    assert_eq!(lanes.len(), descs.len());
    for (lane, desc) in lanes.iter().zip(&descs) {
        assert!((0..=i64::from(desc.max)).contains(&i64::from(*lane)), "{desc:?} holds {lane}");
    }
    let back = Outer::from_lanes(&lanes);
    assert!((back.position.z - 3.5).abs() <= 0.005);
    assert_eq!((back.count, back.phase), (299, Phase::Over));
    assert!(back.rotation.dot(sample().rotation).abs() > 0.999);
}

#[test]
fn lanes_from_a_hostile_server_are_clamped() {
    let lanes = vec![i32::MAX; Outer::lane_descs().len()];
    let read = Outer::from_lanes(&lanes);
    assert_eq!(read.position, Vec3::splat(64.0));
    let read = Outer::from_lanes(&vec![i32::MIN; lanes.len()]);
    assert_eq!((read.count, read.phase), (0, Phase::Waiting));
}

#[test]
fn a_changed_leaf_changes_the_hash_and_is_named_by_the_dump() {
    let hash = |value: &Outer| {
        let mut sink = HashSink::default();
        value.write(&mut sink);
        sink.finish()
    };
    let mut other = sample();
    other.slots[1].ammo = 5;
    assert_ne!(hash(&sample()), hash(&other));
    let mut dump = DumpSink::default();
    other.write(&mut dump);
    assert!(dump.leaves.iter().any(|leaf| leaf.path == "slots[1].ammo" && leaf.text == "5"));
    assert!(dump.leaves.iter().any(|leaf| leaf.path == "phase" && leaf.text == "Over"));
}

#[test]
fn the_protocol_hash_follows_what_is_replicated() {
    let mut one = Registry::default();
    one.add::<Outer>();
    let mut two = Registry::default();
    two.add::<Inner>();
    two.add::<Outer>();
    assert_ne!(one.protocol_hash(), two.protocol_hash(), "the component's number is part of the protocol");
}
