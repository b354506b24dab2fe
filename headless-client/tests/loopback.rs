//! Contract: bots play on a real server over real sockets, on good links and bad ones, and end in good order.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arbiter_headless_client::runner::{BotsConfig, BotsReport, Content, Door, run_bots};
use arbiter_server::{OnStop, Server, ServerConfig, ServerHandle};
use arbiter_sim::map::{Shape, Solid, Spawn, Volume, Waypoint};
use arbiter_sim::{Map, MatchSettings, Rules};
use arbiter_transport::Key;
use arbiter_transport::conditioner::{Loss, PERFECT, Profile};
use glam::{Quat, Vec3};

/// An empty floor with two spawns that see each other.
fn floor() -> Map {
    let spawn = |team: u8, z: f32| Spawn {
        team,
        position: Vec3::new(0.0, 0.05, z),
        yaw: if z > 0.0 { 0.0 } else { std::f32::consts::PI },
    };
    Map {
        hash: [9; 32],
        solids: vec![Solid {
            name: "floor".into(),
            shape: Shape::Box { half: Vec3::new(20.0, 0.5, 20.0) },
            position: Vec3::new(0.0, -0.5, 0.0),
            rotation: Quat::IDENTITY,
        }],
        spawns: vec![spawn(1, 10.0), spawn(2, -10.0)],
        waypoints: vec![Waypoint { position: Vec3::ZERO, links: Vec::new() }],
        ..Map::empty("floor", Volume { centre: Vec3::new(0.0, 5.0, 0.0), half: Vec3::new(20.0, 10.0, 20.0) })
    }
}

struct Run {
    server: ServerHandle,
    key: Key,
    content: Content,
}

impl Run {
    fn new() -> Self {
        let (rules, map, key) = (Arc::new(Rules::shipped()), Arc::new(floor()), Key::generate().expect("randomness"));
        let content = Content::new(rules.clone(), map.clone()).unwrap();
        let settings = MatchSettings { players_max: 8, ..MatchSettings::default() };
        let server = Server::start(ServerConfig::new(key.clone(), rules, map, settings)).unwrap();
        Self { server, key, content }
    }

    fn bots(&self, count: u16, seconds: u64, link: Profile) -> BotsReport {
        let door = Door::Key { server: self.server.local_address(), key: self.key.clone() };
        let config = BotsConfig {
            seed: 1,
            duration: Some(Duration::from_secs(seconds)),
            link,
            ..BotsConfig::new(door, count, self.content.clone())
        };
        run_bots(&config, &AtomicBool::new(false)).unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.server.stop(OnStop::Abandon);
    }
}

#[test]
fn bots_join_and_play() {
    let report = Run::new().bots(8, 3, PERFECT);
    println!("{report:?}");
    assert_eq!((report.played, report.failed.as_slice()), (8, [].as_slice()));
}

#[test]
fn inputs_arrive_in_time() {
    let report = Run::new().bots(4, 5, PERFECT);
    let late = report.counts.late_inputs as f64 / report.counts.snapshots.max(1) as f64;
    assert!(late < 0.1, "{:.1} percent of snapshots told of a late input", late * 100.0);
}

#[test]
fn inputs_arrive_in_time_on_a_slow_and_lossy_link() {
    let link = Profile {
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(10),
        loss: Loss::random(0.02),
        ..PERFECT
    };
    let report = Run::new().bots(4, 6, link);
    let late = report.counts.late_inputs as f64 / report.counts.snapshots.max(1) as f64;
    assert!(report.failed.is_empty() && late < 0.2, "{report:?}");
}

#[test]
fn the_round_trip_is_measured() {
    let link = Profile { delay: Duration::from_millis(40), ..PERFECT };
    let measured = Run::new().bots(2, 3, link).round_trip.unwrap();
    assert!((80..140).contains(&measured.as_millis()), "{measured:?}");
}

#[test]
fn one_who_finds_no_place_is_told_why() {
    let run = Run::new();
    let report = run.bots(9, 2, PERFECT);
    assert!(report.failed.iter().any(|failure| failure.contains("taken")), "{:?}", report.failed);
}

#[test]
fn bots_of_another_map_are_told_which_one_is_played() {
    let mut run = Run::new();
    let other = Map { hash: [1; 32], name: "moon".into(), ..floor() };
    run.content = Content::new(run.content.rules.clone(), Arc::new(other)).unwrap();
    let report = run.bots(1, 2, PERFECT);
    assert!(report.failed[0].contains("floor"), "{:?}", report.failed);
}
