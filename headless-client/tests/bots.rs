//! Contract: bots play to win over the real protocol: they walk, fight, use what their heroes have, and take points.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use arbiter_headless_client::bots::navigation::{Graph, Scratch, Walker};
use arbiter_sim::collide::MoverState;
use arbiter_sim::deployables::Turret;
use arbiter_sim::index::{Index, Kind};
use arbiter_sim::{DomainEvent, Map};
use glam::Vec3;
use support::{Match, hall};

#[test]
fn ten_bots_kill_one_another() {
    let mut game = Match::new(hall(), "team_deathmatch", 10, 1);
    game.play(60);
    println!("kills {} weapons {:?} abilities {:?}", game.kills(), game.weapons_used, game.abilities_used);
    assert!(game.kills() > 20, "{} kills in a minute", game.kills());
}

#[test]
fn ten_bots_use_every_weapon() {
    let mut game = Match::new(hall(), "team_deathmatch", 10, 2);
    game.play(60);
    let rules = game.simulation.rules();
    let carried = rules.heroes.iter().flat_map(|hero| &hero.weapons);
    let unused: Vec<_> = carried.filter(|weapon| !game.weapons_used.contains_key(&weapon.number())).collect();
    assert!(unused.is_empty(), "never used: {unused:?}");
}

#[test]
fn ten_bots_use_every_ability() {
    let mut game = Match::new(hall(), "team_deathmatch", 10, 3);
    game.play(60);
    let rules = game.simulation.rules();
    let had = rules.heroes.iter().flat_map(|hero| &hero.abilities);
    let unused: Vec<_> = had.filter(|ability| !game.abilities_used.contains_key(&ability.number())).collect();
    assert!(unused.is_empty(), "never used: {unused:?}");
}

#[test]
fn bots_take_points() {
    let mut game = Match::new(hall(), "control_point", 10, 4);
    game.play(60);
    let taken = game.events.iter().any(|event| matches!(event, DomainEvent::PointCaptured { .. }));
    assert!(taken, "nobody took the point in a minute");
}

#[test]
fn the_same_seed_plays_the_same_match() {
    let played = |seed| {
        let mut game = Match::new(hall(), "team_deathmatch", 4, seed);
        game.play(10);
        game.simulation.hash()
    };
    assert_eq!(played(5), played(5));
}

#[test]
fn a_way_leads_around_what_stands_in_it() {
    let graph = Graph::new(&hall());
    let (from, to) = (Vec3::new(-18.0, 0.0, 10.0), Vec3::new(18.0, 0.0, 10.0));
    let (mut walker, mut scratch) = (Walker::default(), Scratch::default());
    let mut at = from;
    for _ in 0..1_200 {
        let step = walker.step(&graph, &mut scratch, at, to, 1.0 / 60.0);
        if step.arrived {
            return;
        }
        at += step.direction * (5.0 / 60.0);
        let inside = (at - Vec3::new(0.0, 0.0, 10.0)).with_y(0.0).abs().max_element() < 1.5;
        assert!(!inside, "walked through the pillar at {at}");
    }
    panic!("not there after 20 s, but at {at}");
}

/// The arena of the house.
fn arena() -> Map {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/maps/arena.glb");
    let glb = std::fs::read(path).expect("the map is in the repository");
    arbiter_sim::assets::map::load("arena", &glb).expect("it is valid")
}

#[test]
fn bots_shoot_at_the_turrets_of_their_enemies() {
    let (mut health, mut hit) = (BTreeMap::new(), BTreeSet::new());
    // A match has a dozen turrets: whether one of them is hit is chance.
    for seed in 1..=3 {
        let mut game = Match::new(arena(), "team_deathmatch", 10, seed);
        for _ in 0..90 * 60 {
            game.step();
            let view = game.simulation.view();
            for &(id, _) in view.resource::<Index>().expect("an index").of(Kind::Deployable) {
                let now = view.get::<Turret>(id).expect("a turret").health;
                if health.insert((seed, id), now).is_some_and(|before| before > now) {
                    hit.insert((seed, id));
                }
            }
        }
    }
    assert!(health.len() > 5, "{} turrets were set up", health.len());
    assert!(hit.len() * 10 > health.len(), "{} of {} were hit", hit.len(), health.len());
}

#[test]
fn bots_let_launch_pads_throw_them() {
    let mut game = Match::new(arena(), "team_deathmatch", 10, 2);
    let mut thrown = BTreeSet::new();
    for _ in 0..120 * 60 {
        game.step();
        let view = game.simulation.view();
        for slot in 0..10 {
            let body = view.player(slot).and_then(|id| view.get::<MoverState>(id));
            // Nothing else makes anyone rise so fast.
            if body.is_some_and(|body| body.velocity.y > 11.0) {
                thrown.insert(slot);
            }
        }
    }
    assert!(thrown.len() >= 3, "only {thrown:?} used a pad in two minutes");
}

#[test]
fn bots_win_by_points_where_points_count_and_by_kills_where_each_plays_alone() {
    let mut points = Match::new(arena(), "control_point", 10, 5);
    points.play(60);
    let taken = points.events.iter().filter(|event| matches!(event, DomainEvent::PointCaptured { .. })).count();
    assert!(taken >= 3, "{taken} points were taken in a minute");
    let mut alone = Match::new(arena(), "free_for_all", 10, 6);
    alone.play(60);
    assert!(alone.kills() > 20, "{} kills in a minute", alone.kills());
}
