//! Contract: what the predictive coder writes, in either form, is read as exactly the lanes that were written, whatever states
//! it is told against and however far the guess was off; and what nobody wrote is refused or read as something, without harm.

use arbiter_schema::{Audience, Describe, LaneDesc, Predictor, Spec, describe};
use arbiter_snapshot::bits::{BitReader, BitWriter};
use arbiter_snapshot::codec::entity::{Around, Subject};
use arbiter_snapshot::codec::packet::{Held, Scratch, decode_shared, decode_small, encode_shared, encode_small};
use arbiter_snapshot::codec::prefix::{PrefixReader, PrefixWriter};
use arbiter_snapshot::codec::{Past, Plan, Tables};
use proptest::prelude::*;

const fn spec(max: f32, predictor: Predictor) -> Spec {
    Spec::new(0.0, max, 1.0, predictor, Audience::Everyone)
}

describe! {
    /// Every kind of group.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Body {
        /// A vector.
        pub place: [i32; 3] => spec(60_000.0, Predictor::Linear),
        /// A rotation.
        pub turn: [u16; 4] => spec(511.0, Predictor::Rotation),
        /// A lane that goes on.
        pub phase: u16 => spec(4_000.0, Predictor::Linear),
        /// A lane that stays.
        pub state: u8 => spec(200.0, Predictor::Hold),
        /// A bit.
        pub lit: bool => spec(1.0, Predictor::Hold),
    }
}

const LANES: usize = 10;

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as i64
    }
}

/// Some entities rest, some fly on, some jump to anywhere.
fn step(lanes: &[i32], speeds: &[i64], dice: &mut Dice) -> Vec<i32> {
    let bounds: Vec<i64> = Body::lane_descs().iter().map(|lane| i64::from(lane.max)).collect();
    let mut next = Vec::new();
    for (entity, lanes) in lanes.chunks(LANES).enumerate() {
        let jumps = dice.below(30) == 0;
        let rests = entity % 3 == 0 && !jumps;
        for (at, lane) in lanes.iter().enumerate() {
            let bound = if at == 3 { 3 } else { bounds[at] };
            let speed = if at < 3 { speeds[entity * 3 + at] } else { dice.below(5) - 2 };
            next.push(match (rests, jumps) {
                (true, _) => *lane,
                (_, true) => [0, bound, dice.below(bound + 1)][dice.below(3) as usize] as i32,
                _ if at == 3 => *lane,
                _ => (i64::from(*lane) + speed + dice.below(3) - 1).clamp(0, bound) as i32,
            });
        }
    }
    next
}

fn world(entities: usize, seed: u64) -> Vec<Vec<i32>> {
    let mut dice = Dice(seed | 1);
    let speeds: Vec<i64> = (0..entities * 3).map(|_| dice.below(60) - 30).collect();
    let mut states = vec![[30_000, 9_000, 20_000, 3, 256, 256, 200, 7, 100, 1].repeat(entities)];
    for _ in 0..12 {
        let next = step(&states[states.len() - 1], &speeds, &mut dice);
        states.push(next);
    }
    states
}

fn pasts(states: &[Vec<i32>], ages: [usize; 3]) -> Vec<Past<'_>> {
    let at = |age: usize| &states[states.len() - 1 - age];
    let [newest, near, far] = ages;
    let past = |entity: usize| Past {
        states: ages.map(|age| &at(age)[entity * LANES..][..LANES]),
        age: newest as i64,
        gaps: [(near - newest) as i64, (far - newest) as i64],
        trail: &[],
    };
    (0..states[0].len() / LANES).map(past).collect()
}

fn both_forms(states: &[Vec<i32>], ages: [usize; 3], driver: Option<usize>) -> [Vec<u8>; 2] {
    let (plan, tables, pasts) = (Plan::new(&Body::lane_descs()), Tables::frozen(), pasts(states, ages));
    let (held, now) = (Held { plan: &plan, pasts: &pasts }, &states[states.len() - 1]);
    let (mut bits, mut bytes, mut small) = (BitWriter::default(), Vec::new(), Vec::new());
    encode_shared(tables, &held, now, &mut Scratch::default(), &mut bits);
    bits.finish_into(&mut bytes);
    encode_small(tables, &held, driver, now, &mut Scratch::default(), &mut small);
    [bytes, small]
}

type ReadForms = [Option<Vec<i32>>; 2];

fn read_forms(forms: &[Vec<u8>; 2], states: &[Vec<i32>], ages: [usize; 3], driver: Option<usize>) -> ReadForms {
    let (plan, tables, pasts) = (Plan::new(&Body::lane_descs()), Tables::frozen(), pasts(states, ages));
    let (held, empty) = (Held { plan: &plan, pasts: &pasts }, vec![0; states[0].len()]);
    let (mut shared, mut small, mut scratch) = (empty.clone(), empty, Scratch::default());
    let read = decode_shared(tables, &held, BitReader::new(&forms[0]), &mut scratch, &mut shared);
    let shared = read.is_ok().then_some(shared);
    let read = decode_small(tables, &held, driver, &forms[1], &mut scratch, &mut small);
    [shared, read.is_ok().then_some(small)]
}

#[test]
fn a_change_of_the_tables_is_a_change_of_the_protocol() {
    assert_eq!(Tables::frozen_hash(), Tables::frozen_hash());
    assert!(Tables::read("arbiter-codec 0\n").is_err());
    assert!(Tables::read("arbiter-codec 1\ntree shared axis\ns 0 1\nl 1\n").is_err());
    assert!(Tables::read("arbiter-codec 1\nfit axis\n1 2\n").is_err());
}

#[test]
fn an_entity_takes_the_same_bits_whoever_else_is_told() {
    let states = world(1, 5);
    let twice: Vec<Vec<i32>> = states.iter().map(|lanes| lanes.repeat(2)).collect();
    let length = |states: &[Vec<i32>]| {
        let (plan, pasts, mut bits) = (Plan::new(&Body::lane_descs()), pasts(states, [6, 7, 12]), BitWriter::default());
        let held = Held { plan: &plan, pasts: &pasts };
        encode_shared(Tables::frozen(), &held, &states[states.len() - 1], &mut Scratch::default(), &mut bits);
        bits.len()
    };
    let none: Vec<Vec<i32>> = states.iter().map(|_| Vec::new()).collect();
    assert_eq!(length(&none), 0);
    assert!(length(&twice) < 2 * length(&states) + 16);
}

/// A place and so many lanes more, of which a few are in motion and a few change now.
fn entity_of(lanes: usize, dice: &mut Dice) -> (Plan, [Vec<i32>; 4]) {
    let lane = |predictor| LaneDesc { field: "a", max: 1_000, predictor, audience: Audience::Everyone };
    let place = LaneDesc { field: "place", ..lane(Predictor::Linear) };
    let described: Vec<LaneDesc> = [place; 3].into_iter().chain(vec![lane(Predictor::Hold); lanes]).collect();
    let mut states = [(); 4].map(|()| vec![500; lanes + 3]);
    for _ in 0..dice.below(8) {
        let (lane, of) = (dice.below(lanes as i64 + 3) as usize, dice.below(4) as usize);
        states[of][lane] = dice.below(1_001) as i32;
    }
    (Plan::new(&described), states)
}

#[test]
fn an_entity_of_any_number_of_groups_is_read_as_it_was_written() {
    let (tables, mut dice) = (Tables::frozen(), Dice(11));
    for lanes in [0, 1, 5, 40, 61, 62, 124, 125, 126, 127, 140, 300] {
        for _ in 0..200 {
            let (plan, [now, newest, near, far]) = entity_of(lanes, &mut dice);
            let past = Past { states: [&newest, &near, &far], age: 2, gaps: [1, 3], trail: &[] };
            let (mut bits, mut bytes, mut read) = (BitWriter::default(), Vec::new(), vec![0; now.len()]);
            let mut coder = PrefixWriter { tables, to: &mut bits };
            Subject::new(tables, &plan, &past).change(&mut coder, &Around::default(), true, &mut now.clone()).unwrap();
            bits.finish_into(&mut bytes);
            let mut coder = PrefixReader { tables, from: BitReader::new(&bytes) };
            Subject::new(tables, &plan, &past).change(&mut coder, &Around::default(), false, &mut read).unwrap();
            assert_eq!(read, now, "{lanes} lanes");
        }
    }
}

#[test]
fn what_rests_costs_next_to_nothing() {
    let states = vec![[30_000, 9_000, 20_000, 3, 256, 256, 200, 7, 100, 1].repeat(900); 13];
    let forms = both_forms(&states, [6, 7, 12], Some(0));
    assert!(forms.iter().all(|form| form.len() <= 8), "{} and {} bytes", forms[0].len(), forms[1].len());
    assert_eq!(read_forms(&forms, &states, [6, 7, 12], Some(0)), [Some(states[0].clone()), Some(states[0].clone())]);
}

proptest! {
    #[test]
    fn lanes_are_read_as_they_were_written(seed: u64, entities in 0_usize..40, newest in 1_usize..8, near in 0_usize..3, far in 0_usize..3) {
        let (states, ages) = (world(entities, seed), [newest, newest + near, newest + near + far]);
        for driver in [None, Some(0).filter(|_| entities > 0)] {
            let forms = both_forms(&states, ages, driver);
            let expected = Some(states[states.len() - 1].clone());
            prop_assert_eq!(read_forms(&forms, &states, ages, driver), [expected.clone(), expected]);
        }
    }

    #[test]
    fn damaged_bytes_never_panic(seed: u64, flips in proptest::collection::vec(any::<u16>(), 1..4), cut: u8) {
        let states = world(20, seed);
        let mut forms = both_forms(&states, [6, 7, 12], Some(0));
        for form in &mut forms {
            for flip in &flips {
                let bit = usize::from(*flip) % (form.len() * 8);
                form[bit / 8] ^= 1 << (bit % 8);
            }
            form.truncate(form.len() - usize::from(cut) % form.len());
        }
        let bounds = Body::lane_descs();
        for read in read_forms(&forms, &states, [6, 7, 12], Some(0)).into_iter().flatten() {
            for lanes in read.chunks(LANES) {
                prop_assert!(lanes.iter().zip(&bounds).all(|(lane, bound)| (0..=bound.max as i32).contains(lane)));
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(seed: u64, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let states = world(20, seed);
        let _ = read_forms(&[bytes.clone(), bytes], &states, [6, 7, 12], Some(0));
    }
}
