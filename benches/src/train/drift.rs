//! Bodies that drift and spin as a corpus: straight lines, turns at one rate, falls, and what pushes them now and then. Made up
//! from dice; nothing of it is what a bench measures.

use std::collections::VecDeque;

use arbiter_schema::{Audience, LaneDesc, Predictor};
use arbiter_snapshot::codec::drift::{Older, TRAIL};
use arbiter_snapshot::codec::entity::{Around, Subject};
use arbiter_snapshot::codec::near::{Context, Head};
use arbiter_snapshot::codec::{Coder, Past, Plan, Tables, Tier};

use super::tell_in_part;

/// A scene: ticks a second, ticks to the newest state that is held, steps of a lane to a metre, largest lane of a rotation,
/// fall in m/s², percent of states that were lost, seconds between two pushes of a body.
type Scene = (f64, usize, f64, u32, f64, u64, f64);

const SCENES: [Scene; 8] = [
    (30.0, 2, 100.0, 2_047, 0.0, 0, 9.0),
    (30.0, 3, 100.0, 1_023, 0.0, 0, 12.0),
    (30.0, 4, 128.0, 2_047, 0.0, 10, 10.0),
    (20.0, 2, 64.0, 511, 0.0, 0, 8.0),
    (60.0, 3, 256.0, 2_047, 0.0, 5, 6.0),
    (60.0, 6, 100.0, 1_023, 0.0, 0, 12.0),
    (60.0, 4, 256.0, 4_095, 9.8, 0, 4.0),
    (128.0, 8, 256.0, 2_047, 0.0, 10, 8.0),
];

const BODIES: usize = 60;
const TICKS: usize = 1_200;
/// Half the side of the box that bodies stay in, in metres.
const SIDE_M: f64 = 30.0;

/// Xorshift.
struct Dice(u64);

impl Dice {
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.share() * (high - low)
    }

    fn vector(&mut self, length: f64) -> [f64; 3] {
        loop {
            let it = [0; 3].map(|_| self.between(-1.0, 1.0));
            let square: f64 = it.iter().map(|part| part * part).sum();
            if (0.01..1.0).contains(&square) {
                return it.map(|part| part / square.sqrt() * length);
            }
        }
    }
}

struct Body {
    place: [f64; 3],
    speed: [f64; 3],
    turn: [f64; 4],
    spin: [f64; 3],
    /// What it steers back to: its pace, and its rate of turn.
    wanted: [f64; 2],
}

fn length(of: &[f64; 3]) -> f64 {
    of.iter().map(|part| part * part).sum::<f64>().sqrt()
}

/// Brings the length of a vector nearer to what is wanted.
fn steer(it: &mut [f64; 3], wanted: f64, most: f64) {
    let now = length(it);
    if now > 1e-3 {
        it.iter_mut().for_each(|part| *part *= (now + (wanted - now).clamp(-most, most)) / now);
    }
}

impl Body {
    fn new(dice: &mut Dice) -> Self {
        let wanted = [dice.between(0.5, 6.0), dice.between(0.0, 1.2)];
        let turn = [0; 4].map(|_| dice.between(-1.0, 1.0));
        let size = turn.iter().map(|part| part * part).sum::<f64>().sqrt().max(0.1);
        Self {
            place: [0; 3].map(|_| dice.between(-SIDE_M, SIDE_M) * 0.9),
            speed: dice.vector(wanted[0]),
            turn: turn.map(|part| part / size),
            spin: dice.vector(wanted[1]),
            wanted,
        }
    }

    fn step(&mut self, dice: &mut Dice, (rate, _, _, _, fall, _, pushed_s): Scene) {
        if dice.share() < 1.0 / (rate * pushed_s) {
            // As by another body: half of it is reflected.
            let strength = dice.between(0.2, 1.6);
            let push = dice.vector(self.wanted[0] * strength);
            (0..3).for_each(|axis| self.speed[axis] = self.speed[axis] * 0.5 + push[axis]);
            let strength = dice.between(0.0, 1.0);
            let push = dice.vector(strength);
            (0..3).for_each(|axis| self.spin[axis] += push[axis]);
        }
        for axis in 0..3 {
            if self.place[axis].abs() > SIDE_M && self.place[axis] * self.speed[axis] > 0.0 {
                self.speed[axis] = -self.speed[axis];
            }
        }
        if fall == 0.0 {
            steer(&mut self.speed, self.wanted[0], 2.0 / rate);
            steer(&mut self.spin, self.wanted[1], 1.5 / rate);
        }
        self.speed[1] -= fall / rate;
        (0..3).for_each(|axis| self.place[axis] += self.speed[axis] / rate);
        let angle = length(&self.spin) / rate;
        if angle > 1e-9 {
            let [x, y, z] = self.spin.map(|part| part / rate / angle * (angle / 2.0).sin());
            let (w, [a, b, c, d]) = ((angle / 2.0).cos(), self.turn);
            self.turn = [
                w * a + x * d + y * c - z * b,
                w * b - x * c + y * d + z * a,
                w * c + x * b - y * a + z * d,
                w * d - x * a - y * b - z * c,
            ];
            let size = self.turn.iter().map(|part| part * part).sum::<f64>().sqrt();
            self.turn.iter_mut().for_each(|part| *part /= size);
        }
    }

    fn lanes(&self, (_, _, steps, turn_max, ..): Scene) -> Vec<i32> {
        let mut lanes: Vec<i32> = self.place.iter().map(|part| ((part + 40.0) * steps).round() as i32).collect();
        let out = (0..4).fold(0, |best, at| if self.turn[at].abs() > self.turn[best].abs() { at } else { best });
        lanes.push(out as i32);
        for at in (0..4).filter(|at| *at != out) {
            let part = self.turn[at] * self.turn[out].signum() * core::f64::consts::SQRT_2;
            lanes.push(((part + 1.0) / 2.0 * f64::from(turn_max)).round() as i32);
        }
        lanes.iter_mut().for_each(|lane| *lane = (*lane).max(0));
        lanes
    }
}

fn plan((_, _, steps, turn_max, ..): Scene) -> Plan {
    let lane = |field, max, predictor| LaneDesc { field, max, predictor, audience: Audience::Everyone };
    let place = lane("place", (80.0 * steps) as u32, Predictor::Drift);
    let turn = lane("turn", turn_max, Predictor::Spin);
    Plan::new(&[place, place, place, turn, turn, turn, turn])
}

/// Walks all that is told of all scenes, each body by itself, or as in a part in the small form.
pub fn walk<C: Coder>(tables: &Tables, coder: &mut C, tier: Tier) {
    for (number, scene) in SCENES.into_iter().enumerate() {
        let (_, age, _, _, _, lost, _) = scene;
        let mut dice = Dice(0x5eed_0000 + number as u64);
        let mut bodies: Vec<Body> = (0..BODIES).map(|_| Body::new(&mut dice)).collect();
        let plan = plan(scene);
        let mut kept: VecDeque<(bool, Vec<Vec<i32>>)> = VecDeque::new();
        for _ in 0..TICKS {
            bodies.iter_mut().for_each(|body| body.step(&mut dice, scene));
            let came = dice.share() * 100.0 >= lost as f64;
            kept.push_front((came, bodies.iter().map(|body| body.lanes(scene)).collect()));
            kept.truncate(age + 34);
            let held = |back: usize| kept.get(back).is_some_and(|(came, _)| *came);
            let Some(newest) = (age..kept.len()).find(|back| held(*back)) else { continue };
            let near = (newest + 1..kept.len()).find(|back| held(*back)).unwrap_or(newest);
            let far = (near..kept.len()).filter(|back| held(*back)).min_by_key(|back| back.abs_diff(2 * newest));
            let far = far.unwrap_or(near);
            let (mut context, mut next) = (Context::default(), 0);
            for (at, now) in kept[0].1.iter().enumerate() {
                // In some scenes not everything is told at each tick, as where it rests or is out of sight.
                if tier == Tier::Near && number % 2 == 1 && dice.share() < 0.2 + 0.1 * number as f64 {
                    continue;
                }
                let state = |back: usize| &kept[back].1[at][..];
                let trail = TRAIL.into_iter().map(usize::from).filter(|gap| held(newest + gap));
                let trail = trail.map(|gap| Older { gap: gap as i64, lanes: state(newest + gap) });
                let trail: Vec<Older<'_>> = trail.collect();
                let past = Past {
                    states: [state(newest), state(near), state(far)],
                    age: newest as i64,
                    gaps: [(near - newest) as i64, (far - newest) as i64],
                    trail: &trail,
                };
                let mut told = now.clone();
                let said = if tier == Tier::Near {
                    tell_in_part(&mut context, coder, (at - next) as u32, 0);
                    next = at + 1;
                    context.change(coder, tables, &plan, &past, false, true, &mut told)
                } else {
                    let mut subject = Subject::new(tables, &plan, &past);
                    subject.change(coder, &Around::default(), true, &mut told).map(|_| ())
                };
                said.expect("a recorder does not fail");
            }
            if tier == Tier::Near {
                context.head(coder, Head::End).expect("a recorder does not fail");
            }
        }
    }
}
