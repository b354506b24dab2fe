//! A flat map on which two teams stand, and the match that is played there without sockets.

use std::sync::Arc;

use arbiter_protocol::Sound;
use arbiter_schema::StableId;
use arbiter_server::interest::{Heard, Interest, InterestSettings};
use arbiter_sim::collide::MoverState;
use arbiter_sim::map::{Map, Shape, Solid, Spawn, Volume};
use arbiter_sim::rules::MatchSettings;
use arbiter_sim::{Command, Input, Loadout, Rules, Simulation};
use glam::{Quat, Vec3};

/// Ticks a second.
pub const RATE: u16 = 60;

pub fn block(name: &str, position: Vec3, half: Vec3) -> Solid {
    Solid { name: name.to_owned(), shape: Shape::Box { half }, position, rotation: Quat::IDENTITY }
}

/// A floor of 200 m, team 1 at x = -10 and below, team 2 at x = 10 and above, and whatever stands between.
pub fn ground(solids: Vec<Solid>, each: usize) -> Map {
    let bounds = Volume { centre: Vec3::Y * 10.0, half: Vec3::new(110.0, 40.0, 110.0) };
    let mut map = Map::empty("ground", bounds);
    map.solids = vec![block("floor", Vec3::Y * -0.5, Vec3::new(100.0, 0.5, 100.0))];
    map.solids.extend(solids);
    for at in 0..each {
        let away = 10.0 + 2.0 * (at / 16) as f32;
        let z = if each == 1 { 0.0 } else { 2.5 * (at % 16) as f32 - 18.0 };
        // Yaw 0 looks along -z; team 1 looks along +x.
        let quarter = core::f32::consts::FRAC_PI_2;
        map.spawns.push(Spawn { team: 1, position: Vec3::new(-away, 0.05, z), yaw: -quarter });
        map.spawns.push(Spawn { team: 2, position: Vec3::new(away, 0.05, z), yaw: quarter });
    }
    map
}

/// A match and its interest management; clients are told what a test says that they are.
pub struct Match {
    pub simulation: Simulation,
    pub inputs: Vec<Input>,
    pub interest: Interest,
}

impl Match {
    /// Even slots are in team 1, odd ones in team 2; all stand and look at the other team.
    pub fn new(map: Map, players: u16, hero: u8, settings: InterestSettings) -> Self {
        let mut rules = Rules::shipped();
        for mode in &mut rules.modes {
            (mode.score_limit, mode.round_seconds, mode.warmup_seconds) = (0, 7_200, 0);
        }
        let chosen = MatchSettings { players_max: players, tick_rate: RATE, ..MatchSettings::default() };
        let mut simulation = Simulation::new(Arc::new(rules), Arc::new(map), 1, chosen).unwrap();
        let join = |slot: u16| Command::Join { slot, loadout: Loadout { hero, team: (slot % 2) as u8 + 1 } };
        simulation.step(&(0..players).map(join).collect::<Vec<_>>());
        let interest = Interest::new(&simulation, settings);
        let yaw = |slot: u16| if slot.is_multiple_of(2) { 49_152 } else { 16_384 };
        let inputs = (0..players).map(|slot| Input { yaw: yaw(slot), ..Input::default() }).collect();
        Self { simulation, inputs, interest }
    }

    pub fn step(&mut self) {
        let inputs = self.inputs.iter().zip(0..);
        let commands: Vec<Command> =
            inputs.map(|(input, slot)| Command::Input { slot, input: *input, substituted: false }).collect();
        self.simulation.step(&commands);
        self.interest.look(&self.simulation);
        for slot in 0..self.inputs.len() as u16 {
            self.interest.watch(slot);
        }
    }

    pub fn run(&mut self, ticks: u32) {
        (0..ticks).for_each(|_| self.step());
    }

    pub fn player(&self, slot: u16) -> StableId {
        self.simulation.view().player(slot).unwrap()
    }

    /// Tells a client what it may know.
    pub fn tell(&mut self, slot: u16) {
        let tick = self.simulation.tick();
        let watcher = self.interest.watcher(slot).unwrap();
        (1..watcher.wanted().len()).for_each(|at| watcher.told(at, tick));
        (0..watcher.gone().len()).for_each(|at| watcher.forgotten(at));
    }

    /// What a client hears of the last tick, and what those hear who watch it.
    pub fn hear(&self, slot: u16) -> (Vec<Sound>, Vec<Sound>) {
        let mut heard = Heard::default();
        self.interest.ears().hear(&self.interest.watchers()[usize::from(slot)], slot, &mut heard);
        (heard.list().iter().collect(), heard.watched().iter().collect())
    }

    pub fn wants(&mut self, slot: u16, id: StableId) -> bool {
        self.interest.watcher(slot).unwrap().wanted().contains(&id)
    }

    pub fn feet(&self, slot: u16) -> Vec3 {
        self.simulation.view().get::<MoverState>(self.player(slot)).unwrap().position
    }
}

/// Between the teams, 6 m high.
pub fn wall() -> Vec<Solid> {
    vec![block("wall", Vec3::new(0.0, 3.0, 0.0), Vec3::new(0.3, 3.0, 12.0))]
}
