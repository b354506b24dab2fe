//! A small map and scripted players, so that a behaviour can be tested without files or sockets.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use arbiter_sim::map::{Door, Map, PickupSpot, Platform, Point, PropSpot, Shape, Solid, Spawn, Volume};
use arbiter_sim::{Command, Input, Loadout, MatchSettings, Rules, Simulation};
use glam::{Quat, Vec3};

/// The rules that ship.
pub fn rules() -> Arc<Rules> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/rules");
    let mut files: Vec<(String, String)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ron"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Arc::new(Rules::from_ron(&files).unwrap())
}

/// A floor of 60 x 60 m with walls, crates and barrels in the middle, a door and a platform.
pub fn map() -> Arc<Map> {
    let solid = |name: &str, position: Vec3, half: Vec3| Solid {
        name: name.to_owned(),
        shape: Shape::Box { half },
        position,
        rotation: Quat::IDENTITY,
    };
    let spawn = |team: u8, x: f32, z: f32| Spawn { team, position: Vec3::new(x, 0.0, z), yaw: 0.0 };
    let prop = |kind: &str, x: f32, y: f32, z: f32| PropSpot {
        kind: kind.to_owned(),
        position: Vec3::new(x, y, z),
        rotation: Quat::IDENTITY,
    };
    Arc::new(Map {
        hash: [7; 32],
        solids: vec![
            solid("floor", Vec3::new(0.0, -0.5, 0.0), Vec3::new(30.0, 0.5, 30.0)),
            solid("north", Vec3::new(0.0, 2.0, -30.0), Vec3::new(30.0, 2.0, 0.5)),
            solid("south", Vec3::new(0.0, 2.0, 30.0), Vec3::new(30.0, 2.0, 0.5)),
            solid("west", Vec3::new(-30.0, 2.0, 0.0), Vec3::new(0.5, 2.0, 30.0)),
            solid("east", Vec3::new(30.0, 2.0, 0.0), Vec3::new(0.5, 2.0, 30.0)),
        ],
        spawns: (0..6)
            .flat_map(|at| {
                let x = at as f32 * 4.0 - 10.0;
                [spawn(1, x, 12.0), spawn(2, x, -12.0)]
            })
            .collect(),
        pickups: vec![PickupSpot { kind: "health".to_owned(), position: Vec3::new(5.0, 0.5, 5.0) }],
        points: vec![Point {
            name: "A".to_owned(),
            volume: Volume { centre: Vec3::new(0.0, 1.0, 0.0), half: Vec3::new(4.0, 2.0, 4.0) },
        }],
        platforms: vec![Platform {
            name: "lift".to_owned(),
            shape: Shape::Box { half: Vec3::new(1.5, 0.2, 1.5) },
            rotation: Quat::IDENTITY,
            path: vec![Vec3::new(-15.0, 0.2, 0.0), Vec3::new(-15.0, 4.0, 0.0)],
            speed: 2.0,
            pause_ms: 500,
        }],
        props: vec![
            prop("crate", 0.0, 0.6, 0.0),
            prop("crate", 0.3, 1.9, 0.1),
            prop("crate", 2.0, 3.0, 0.0),
            prop("barrel", -2.0, 2.0, 1.0),
        ],
        doors: vec![Door {
            name: "door".to_owned(),
            half: Vec3::new(0.6, 1.0, 0.05),
            position: Vec3::new(8.0, 1.05, 0.0),
            rotation: Quat::IDENTITY,
            hinge: Vec3::new(-0.6, 0.0, 0.0),
            swing: 1.5,
        }],
        ..Map::empty("test", Volume { centre: Vec3::ZERO, half: Vec3::new(32.0, 20.0, 32.0) })
    })
}

/// A match of ten in a mode.
pub fn settings(mode: &str) -> MatchSettings {
    MatchSettings { mode: mode.to_owned(), tick_rate: 60, players_max: 10, ..MatchSettings::default() }
}

/// A match with this seed.
pub fn simulation(mode: &str, seed: u64) -> Simulation {
    Simulation::new(rules(), map(), seed, settings(mode)).unwrap()
}

/// What scripted players do in a tick: ten join at the first, then they run, turn, shoot, cast and reload by a fixed pattern.
pub fn commands(tick: u32) -> Vec<Command> {
    let mut commands = Vec::new();
    if tick == 1 {
        for slot in 0..10 {
            let loadout = Loadout { hero: slot as u8, team: (slot % 2) as u8 + 1 };
            commands.push(Command::Join { slot, loadout });
        }
    }
    for slot in 0..10u16 {
        let noise =
            (u64::from(tick / 15) * 0x9E37_79B9 + u64::from(slot) * 0x85EB_CA6B).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        let input = Input {
            buttons: (noise >> 20) as u16 & arbiter_sim::button::ALL,
            move_right: (noise >> 32) as i8,
            move_forward: (noise >> 40) as i8,
            yaw: (noise >> 48) as u16,
            pitch: ((noise >> 8) as i16) / 16,
            view_tick: tick.saturating_sub(6),
            view_fraction: noise as u8,
        };
        commands.push(Command::Input { slot, input, substituted: false });
    }
    commands
}

/// An input that walks the player of a slot towards a place, and stops there.
pub fn walk(simulation: &Simulation, slot: u16, to: Vec3) -> Command {
    let view = simulation.view();
    let state = view.player(slot).and_then(|id| view.get::<arbiter_sim::collide::MoverState>(id));
    let mut input = Input::default();
    if let Some(state) = state {
        let mut way = to - state.position;
        way.y = 0.0;
        if way.length() > 0.5 {
            let yaw = glam::Vec2::new(-way.z, -way.x).to_angle();
            input.yaw = arbiter_sim::input::angle_steps(yaw, 0.0).0;
            input.move_forward = 127;
        }
    }
    Command::Input { slot, input, substituted: false }
}

/// Steps with nobody doing anything until a tick's events satisfy `done`, for at most `ticks`.
pub fn step_until(simulation: &mut Simulation, ticks: u32, done: impl Fn(&Simulation) -> bool) -> bool {
    for _ in 0..ticks {
        simulation.step(&[]);
        if done(simulation) {
            return true;
        }
    }
    false
}
