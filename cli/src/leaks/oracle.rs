//! A judge of interest management that shares nothing with it: it moves players with the simulation's own mover in every
//! direction for as long as the horizon lasts, and along ways at random, and looks along a dense set of rays from wherever their eyes
//! came to be to whatever of the others came to be there. Slow, simple, and right but for what is seen through a crack between two rays.

use arbiter_schema::StableId;
use arbiter_sim::abilities::Kit;
use arbiter_sim::collide::{
    DynamicWorld, MoverParams, MoverState, MoverWish, Push, StaticWorld, World, move_character,
};
use arbiter_sim::movement::{Mobility, params};
use arbiter_sim::physics::Solids;
use arbiter_sim::players::{Life, Player, Tuning};
use arbiter_sim::rules::{Act, Rules};
use arbiter_sim::time::SimRng;
use arbiter_sim::{Simulation, View, weapons};
use arrayvec::ArrayVec;
use glam::Vec3;

/// Directions in which players are moved.
const WAYS: usize = 12;

/// Heights of the points of a body above the feet, in metres, of one who stands 1.8 m tall.
const HEIGHTS: [f32; 4] = [0.25, 0.8, 1.25, 1.75];

/// Metres from the axis to the arms.
const ARMS: f32 = 0.36;

/// Ways that players are sent along at random besides, with turns, jumps and dashes at any moment.
const WANDERINGS: usize = 40;

/// Lines that are tried at random between all places that they came to: most of what a crack between the others lets through.
const LINES: u32 = 8_000;

/// One place that a player can come to.
#[derive(Debug, Clone, Copy)]
struct Stand {
    feet: Vec3,
    crouched: bool,
}

/// Where one player can be within the horizon.
#[derive(Debug, Default)]
pub struct Reach {
    stands: Vec<Stand>,
    /// Where the wanderings came to, of every tick.
    wandered: Vec<Stand>,
}

/// See the module.
pub struct Oracle {
    statics: StaticWorld,
    nothing: DynamicWorld,
    horizon_s: f32,
    dt: f32,
    /// Rays cast so far.
    pub rays: u64,
}

impl Oracle {
    /// For matches on the simulation's map, with a horizon in milliseconds.
    pub fn new(simulation: &Simulation, horizon_ms: u32) -> Self {
        let mut nothing = DynamicWorld::default();
        nothing.build();
        let view = simulation.view();
        Self {
            statics: view.resource::<Solids>().map(|solids| solids.world().statics.clone()).unwrap_or_default(),
            nothing,
            horizon_s: horizon_ms as f32 * 0.001,
            dt: 1.0 / f32::from(simulation.settings().tick_rate),
            rays: 0,
        }
    }

    /// Whether nothing of the map stands between two places.
    pub fn sees(&mut self, from: Vec3, to: Vec3) -> bool {
        self.rays += 1;
        World { statics: &self.statics, dynamics: &self.nothing }.sees(from, to)
    }

    /// Every place that a player can come to: walking, jumping, ducking and dashing in each direction, and standing still.
    /// The dead stay where they lie.
    pub fn reach(&self, simulation: &Simulation, id: StableId) -> Reach {
        let view = simulation.view();
        let mut reach = Reach::default();
        let Some(state) = view.get::<MoverState>(id) else { return reach };
        reach.stands.push(Stand { feet: state.position, crouched: state.crouched });
        if !view.get::<Life>(id).is_some_and(|life| life.alive) {
            return reach;
        }
        let rules = simulation.rules();
        let numbers = params(&rules.movement);
        let speed = walk(rules, view, id);
        let dash = dash(rules, view, id);
        self.go(state, &numbers, Vec3::ZERO, false, true, None, &mut reach);
        self.go(state, &numbers, Vec3::ZERO, true, false, None, &mut reach);
        for way in 0..WAYS {
            let angle = core::f32::consts::TAU * way as f32 / WAYS as f32;
            let (sin, cos) = libm::sincosf(angle);
            let along = Vec3::new(cos, 0.0, sin);
            self.go(state, &numbers, along * speed, false, false, None, &mut reach);
            self.go(state, &numbers, along * speed, true, false, None, &mut reach);
            if let Some((speed, seconds)) = dash {
                self.go(state, &numbers, along * speed, false, false, Some((along * speed, seconds)), &mut reach);
            }
        }
        let mut rng = SimRng::seeded(u64::from(simulation.tick()) << 32 | u64::from(id.0));
        for _ in 0..WANDERINGS {
            self.wander(state, &numbers, (speed, dash), &mut rng, &mut reach);
        }
        reach
    }

    /// Moves a player at random until the horizon and notes where they are in every tick.
    fn wander(
        &self,
        state: &MoverState,
        numbers: &MoverParams,
        (walk, dash): (f32, Option<(f32, f32)>),
        rng: &mut SimRng,
        reach: &mut Reach,
    ) {
        let world = World { statics: &self.statics, dynamics: &self.nothing };
        let mut state = *state;
        let steps = (self.horizon_s / self.dt).ceil() as usize;
        let mut any_step = || (rng.unit() * steps as f32) as usize;
        let (turns, jumps, dashes) = (any_step(), any_step(), any_step());
        let (jump, crouch, use_dash) = (rng.unit() < 0.5, rng.unit() < 0.25, rng.unit() < 0.5);
        let mut along = any_way(rng);
        for step in 0..steps {
            if step == turns {
                along = any_way(rng);
            }
            let forced =
                dash.filter(|(_, seconds)| use_dash && step >= dashes && ((step - dashes) as f32) * self.dt < *seconds);
            let wish = MoverWish {
                velocity: along * walk,
                jump: jump && step == jumps,
                crouch,
                displacement: Vec3::ZERO,
                forced: forced.map(|(speed, _)| along * speed),
            };
            let mut pushes: ArrayVec<Push, 16> = ArrayVec::new();
            move_character(&world, numbers, &mut state, &wish, self.dt, &mut pushes);
            reach.wandered.push(Stand { feet: state.position, crouched: state.crouched });
        }
    }

    /// Moves a player until the horizon and notes where they are in its middle and at its end.
    #[allow(clippy::too_many_arguments, reason = "one way to go, in all its parts")]
    fn go(
        &self,
        state: &MoverState,
        numbers: &MoverParams,
        velocity: Vec3,
        jump: bool,
        crouch: bool,
        dash: Option<(Vec3, f32)>,
        reach: &mut Reach,
    ) {
        let world = World { statics: &self.statics, dynamics: &self.nothing };
        let mut state = *state;
        let steps = (self.horizon_s / self.dt).ceil() as usize;
        for step in 0..steps {
            let forced = dash.filter(|dash| step as f32 * self.dt < dash.1).map(|dash| dash.0);
            let wish = MoverWish { velocity, jump: jump && step == 0, crouch, displacement: Vec3::ZERO, forced };
            let mut pushes: ArrayVec<Push, 16> = ArrayVec::new();
            move_character(&world, numbers, &mut state, &wish, self.dt, &mut pushes);
            if step + 1 == steps || step + 1 == steps / 2 {
                reach.stands.push(Stand { feet: state.position, crouched: state.crouched });
            }
        }
    }

    /// Whether anyone at one of `from` can see any part of somebody at one of `to`.
    pub fn could_see(&mut self, rules: &Rules, from: &Reach, to: &Reach) -> bool {
        self.clear_line(rules, from, to).is_some()
    }

    /// A line along which anyone at one of `from` can see a part of somebody at one of `to`.
    pub fn clear_line(&mut self, rules: &Rules, from: &Reach, to: &Reach) -> Option<(Vec3, Vec3)> {
        let movement = &rules.movement;
        for eye in &from.stands {
            let eyes = weapons::eye(movement, eye.feet, eye.crouched);
            for body in &to.stands {
                if let Some(seen) = self.seen_of(eyes, body) {
                    return Some((eyes, seen));
                }
            }
        }
        let mut rng = SimRng::seeded(u64::from(LINES));
        let mut any = |stands: &[Stand]| stands.get((rng.unit() * stands.len() as f32) as usize).copied();
        for line in 0..LINES {
            let (Some(eye), Some(body)) = (any(&from.wandered), any(&to.wandered)) else { break };
            let eyes = weapons::eye(movement, eye.feet, eye.crouched);
            let part = parts(eyes, &body)[line as usize % PARTS];
            if self.sees(eyes, part) {
                return Some((eyes, part));
            }
        }
        None
    }

    /// Whether somebody is in sight where both are now.
    pub fn sees_now(&mut self, rules: &Rules, from: &Reach, to: &Reach) -> bool {
        let (Some(eye), Some(body)) = (from.stands.first(), to.stands.first().copied()) else { return false };
        self.sees_body(weapons::eye(&rules.movement, eye.feet, eye.crouched), &body)
    }

    fn sees_body(&mut self, eyes: Vec3, body: &Stand) -> bool {
        self.seen_of(eyes, body).is_some()
    }

    fn seen_of(&mut self, eyes: Vec3, body: &Stand) -> Option<Vec3> {
        parts(eyes, body).into_iter().find(|part| self.sees(eyes, *part))
    }
}

/// Points of a body that are looked at.
const PARTS: usize = HEIGHTS.len() + 2;

fn parts(eyes: Vec3, body: &Stand) -> [Vec3; PARTS] {
    let towards = (body.feet - eyes).with_y(0.0).normalize_or(Vec3::X);
    let aside = Vec3::new(-towards.z, 0.0, towards.x) * ARMS;
    let squash = if body.crouched { 2.0 / 3.0 } else { 1.0 };
    let [low, waist, chest, head] = HEIGHTS.map(|height| body.feet + Vec3::Y * (height * squash));
    let arms = body.feet + Vec3::Y * (1.2 * squash);
    [low, waist, chest, head, arms + aside, arms - aside]
}

/// Any direction, at any speed up to 1, mostly near it.
fn any_way(rng: &mut SimRng) -> Vec3 {
    let (sin, cos) = libm::sincosf(rng.unit() * core::f32::consts::TAU);
    Vec3::new(cos, 0.0, sin) * rng.unit().sqrt().sqrt()
}

fn walk(rules: &Rules, view: View<'_>, id: StableId) -> f32 {
    let hero = view.get::<Player>(id).map_or(0, |player| player.hero);
    let speed = view.resource::<Tuning>().map_or(1.0, |tuning| tuning.speed);
    let free = view.get::<Mobility>(id).map_or(1.0, |mobility| if mobility.rooted { 0.0 } else { mobility.speed });
    rules.movement.max_speed * rules.hero(hero).speed_factor * speed * free
}

/// Speed and seconds of a dash that is ready.
fn dash(rules: &Rules, view: View<'_>, id: StableId) -> Option<(f32, f32)> {
    let hero = view.get::<Player>(id)?.hero;
    let kit = view.get::<Kit>(id)?;
    let abilities = rules.hero(hero).abilities.iter().zip(kit.charges);
    abilities.filter(|(_, charges)| *charges > 0).find_map(|(link, _)| match &rules.abilities[link.index()].act {
        Act::Dash(dash) => Some((dash.speed, dash.duration_ms as f32 * 0.001)),
        _ => None,
    })
}
