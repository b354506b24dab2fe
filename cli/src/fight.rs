//! Players that fight without a network: they walk along waypoints, look at the nearest enemy, fire, and use whatever they
//! have. Deterministic, so that two runs measure the same match.

use std::sync::Arc;

use arbiter_sim::collide::MoverState;
use arbiter_sim::index::Identity;
use arbiter_sim::input::angle_steps;
use arbiter_sim::map::Waypoint;
use arbiter_sim::players::Life;
use arbiter_sim::rules::{MatchSettings, Rules};
use arbiter_sim::{BuildError, Command, Input, Loadout, Map, Simulation, button};
use bevy_app::App;
use glam::Vec3;

/// Metres within which a waypoint counts as reached.
const REACHED_M: f32 = 1.5;
/// Enemies farther away than this are not shot at.
const SIGHT_M: f32 = 45.0;
/// Ticks on the way to one waypoint after which another one is tried.
const PATIENCE_TICKS: u32 = 240;

/// A match full of fighters.
pub struct Fight {
    /// The match.
    pub simulation: Simulation,
    fighters: Fighters,
    commands: Vec<Command>,
}

/// Those who fight, for whoever steps the match.
pub struct Fighters {
    fighters: Vec<Fighter>,
    poses: Vec<Pose>,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Fighter {
    goal: usize,
    since: u32,
}

#[derive(Clone, Copy)]
struct Pose {
    at: Vec3,
    team: u8,
    alive: bool,
}

/// A generator for the script (SplitMix64, Steele et al. 2014), apart from the simulation's own.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Fight {
    /// A team deathmatch on `map` with the built-in rules that goes on for two hours, for benches.
    pub fn endless(
        map: Arc<Map>,
        players: u16,
        tick_rate: u16,
        seed: u64,
        plugins: &dyn Fn(&mut App),
    ) -> Result<Self, BuildError> {
        let mut rules = Rules::shipped();
        for mode in &mut rules.modes {
            (mode.score_limit, mode.round_seconds, mode.warmup_seconds) = (0, 7_200, 0);
        }
        let settings = MatchSettings {
            mode: "team_deathmatch".to_owned(),
            tick_rate,
            players_max: players,
            ..MatchSettings::default()
        };
        let simulation = Simulation::with_plugins(Arc::new(rules), map, seed, settings, plugins)?;
        Ok(Self::new(simulation))
    }

    /// Fills all slots of a match that has not begun.
    pub fn new(simulation: Simulation) -> Self {
        let players = simulation.settings().players_max;
        let heroes = simulation.rules().heroes.len().max(1);
        let commands = (0..players)
            .map(|slot| {
                let loadout = Loadout { hero: (usize::from(slot) % heroes) as u8, team: 0 };
                Command::Join { slot, loadout }
            })
            .collect();
        let fighters = Fighters::new(players, simulation.seed());
        Self { simulation, fighters, commands }
    }

    /// The commands of the next tick. Call it once before each step.
    pub fn plan(&mut self) -> &[Command] {
        // The players join in the first tick.
        if self.simulation.tick() > 0 {
            self.commands.clear();
            let commands = &mut self.commands;
            self.fighters.decide(&self.simulation, &mut |slot, input| {
                commands.push(Command::Input { slot, input, substituted: false });
            });
        }
        &self.commands
    }

    /// Plans and simulates one tick.
    pub fn step(&mut self) {
        self.plan();
        self.simulation.step(&self.commands);
    }

    /// Simulates one tick with what was planned.
    pub fn step_planned(&mut self) {
        self.simulation.step(&self.commands);
    }
}

impl Fighters {
    /// In the first slots of a match.
    pub fn new(players: u16, seed: u64) -> Self {
        let fighters = vec![Fighter { goal: usize::MAX, since: 0 }; usize::from(players)];
        Self { fighters, poses: Vec::with_capacity(usize::from(players)), seed }
    }

    /// What each does in the next tick, by slot.
    pub fn decide(&mut self, simulation: &Simulation, say: &mut dyn FnMut(u16, Input)) {
        let (view, tick) = (simulation.view(), simulation.tick());
        self.poses.clear();
        for slot in 0..self.fighters.len() {
            let id = view.player(slot as u16).unwrap_or_default();
            self.poses.push(Pose {
                at: view.get::<MoverState>(id).map_or(Vec3::ZERO, |body| body.position),
                team: view.get::<Identity>(id).map_or(0, |identity| identity.team),
                alive: view.get::<Life>(id).is_some_and(|life| life.alive),
            });
        }
        let map = simulation.map();
        for (slot, fighter) in self.fighters.iter_mut().enumerate() {
            let me = self.poses[slot];
            say(slot as u16, decide(slot, me, &self.poses, fighter, &map.waypoints, tick, &mut self.seed));
        }
    }
}

fn decide(
    slot: usize,
    me: Pose,
    all: &[Pose],
    fighter: &mut Fighter,
    waypoints: &[Waypoint],
    tick: u32,
    seed: &mut u64,
) -> Input {
    let nearest = |from: Vec3| {
        let distance = |i: &usize| waypoints[*i].position.distance_squared(from);
        (0..waypoints.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let arrived = waypoints.get(fighter.goal).is_some_and(|goal| goal.position.distance(me.at) < REACHED_M);
    if fighter.goal >= waypoints.len() || !me.alive || tick - fighter.since > PATIENCE_TICKS {
        fighter.goal = nearest(me.at).unwrap_or(0);
        fighter.since = tick;
    }
    if arrived {
        let links = &waypoints[fighter.goal].links;
        let choice = draw(seed) as usize % links.len().max(1);
        fighter.goal = links.get(choice).map_or(fighter.goal, |link| usize::from(*link));
        fighter.since = tick;
    }
    let goal = waypoints.get(fighter.goal).map_or(Vec3::ZERO, |goal| goal.position);
    let enemy = all
        .iter()
        .enumerate()
        .filter(|(other, pose)| *other != slot && pose.alive && (pose.team == 0 || pose.team != me.team))
        .map(|(_, pose)| pose.at)
        .filter(|at| at.distance_squared(me.at) < SIGHT_M * SIGHT_M)
        .min_by(|a, b| a.distance_squared(me.at).total_cmp(&b.distance_squared(me.at)));
    let walk = goal - me.at;
    let aim = enemy.unwrap_or(goal) - me.at;
    let flat = (aim.x * aim.x + aim.z * aim.z).sqrt().max(0.01);
    let yaw = (-aim.x).atan2(-aim.z);
    let (yaw_steps, pitch) = angle_steps(yaw, (aim.y / flat).atan());
    // The walk in the frame of the look: forward is -z at yaw 0.
    let (sin, cos) = yaw.sin_cos();
    let (forward, right) = (-walk.x * sin - walk.z * cos, walk.x * cos - walk.z * sin);
    let length = (forward * forward + right * right).sqrt().max(0.01);
    let mut buttons = 0;
    if enemy.is_some() {
        // Bursts, so that weapons that fire on the press do too.
        if tick % 16 < 12 {
            buttons |= button::FIRE;
        }
        let phase = tick.wrapping_add(slot as u32 * 37);
        if phase % 180 < 2 {
            buttons |= button::ABILITY[(phase / 180) as usize % button::ABILITY.len()];
        }
        if phase % 420 == 5 {
            buttons |= button::WEAPON[(phase / 420) as usize % button::WEAPON.len()];
        }
    }
    if tick - fighter.since > PATIENCE_TICKS / 2 && tick % 40 < 2 {
        buttons |= button::JUMP;
    }
    Input {
        buttons,
        move_right: (right / length * 127.0) as i8,
        move_forward: (forward / length * 127.0) as i8,
        yaw: yaw_steps,
        pitch,
        view_tick: tick.saturating_sub(6),
        view_fraction: 0,
    }
}
