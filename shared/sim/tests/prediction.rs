//! Contract: a prediction that was restored to one tick of the server and is stepped with the same inputs is where the server
//! is, without being told more, with others in the way and through doors and crates; and whoever goes back and simulates again
//! arrives at the same place.

use std::collections::VecDeque;
use std::sync::Arc;

use arbiter_schema::{ComponentId, StableId};
use arbiter_sim::collide::MoverState;
use arbiter_sim::hitbox::PlayerBody;
use arbiter_sim::input::button;
use arbiter_sim::map::{Door, PropSpot, Shape, Solid, Spawn, Volume};
use arbiter_sim::players::{Life, PoseSample};
use arbiter_sim::prediction::{Mine, Prediction, ShownPlayer};
use arbiter_sim::time::SimRng;
use arbiter_sim::weapons::Arsenal;
use arbiter_sim::{Command, Input, Loadout, Map, MatchSettings, Rules, Simulation};
use bevy_ecs::entity::Entity;
use glam::{Quat, Vec3};

fn hall() -> Map {
    let cuboid = |name: &str, position, half| Solid {
        name: name.to_owned(),
        shape: Shape::Box { half },
        position,
        rotation: Quat::IDENTITY,
    };
    let spawn = |team, x: f32| Spawn { team, position: Vec3::new(x, 0.0, 0.0), yaw: 0.0 };
    Map {
        solids: vec![
            cuboid("floor", Vec3::NEG_Y, Vec3::new(200.0, 1.0, 200.0)),
            cuboid("step", Vec3::new(2.0, 0.1, -6.0), Vec3::new(2.0, 0.2, 2.0)),
            cuboid("pillar", Vec3::new(-4.0, 2.0, -3.0), Vec3::new(0.5, 2.0, 0.5)),
        ],
        spawns: vec![spawn(1, 0.0), spawn(2, 25.0)],
        ..Map::empty("hall", Volume { centre: Vec3::Y * 20.0, half: Vec3::splat(200.0) })
    }
}

/// A hall with a door and crates in front of the first spawn, or with the second spawn right there.
fn cluttered(crowded: bool) -> Map {
    let mut map = hall();
    if crowded {
        map.spawns[1].position = Vec3::new(0.5, 0.0, 0.0);
        return map;
    }
    map.doors.push(Door {
        name: "door".to_owned(),
        position: Vec3::new(0.0, 1.1, -2.0),
        rotation: Quat::IDENTITY,
        half: Vec3::new(0.6, 1.0, 0.05),
        hinge: Vec3::new(-0.6, 0.0, 0.0),
        swing: 1.5,
    });
    for (at, x) in [-0.3_f32, 0.8].into_iter().enumerate() {
        map.props.push(PropSpot {
            kind: ["crate", "barrel"][at].to_owned(),
            position: Vec3::new(x, 0.5, -5.0),
            rotation: Quat::IDENTITY,
        });
    }
    map
}

struct Pair {
    server: Simulation,
    prediction: Prediction,
    rng: SimRng,
    input: Input,
}

impl Pair {
    fn new(hero: &str, seed: u64) -> Self {
        Self::on(hall(), hero, seed)
    }

    fn on(map: Map, hero: &str, seed: u64) -> Self {
        let mut rules = Rules::shipped();
        for mode in &mut rules.modes {
            mode.warmup_seconds = 0;
        }
        let hero = rules.hero_named(hero).expect("a shipped hero");
        let (rules, map) = (Arc::new(rules), Arc::new(map));
        let settings = MatchSettings::default();
        let mut server = Simulation::new(rules.clone(), map.clone(), seed, settings.clone()).expect("it plays");
        let join = |slot, hero| Command::Join { slot, loadout: Loadout { hero, team: slot as u8 + 1 } };
        server.step(&[join(0, hero), join(1, 0)]);
        for _ in 0..10 {
            server.step(&[]);
        }
        let mine = Mine { slot: 0, player: server.view().player(0).expect("joined") };
        let prediction = Prediction::new(rules, map, settings, mine, &|_| ()).expect("it plays");
        let mut made = Self { server, prediction, rng: SimRng::seeded(seed), input: Input::default() };
        made.restore();
        made
    }

    fn rows(&self) -> Vec<(StableId, ComponentId, Vec<i32>)> {
        let mut rows = Vec::new();
        self.server.view().for_each_row(&mut |row| rows.push((row.id, row.component, row.lanes.to_vec())));
        rows
    }

    fn restore(&mut self) {
        let rows = self.rows();
        let told = || rows.iter().map(|(id, component, lanes)| (*id, *component, lanes.as_slice()));
        self.prediction.restore(self.server.tick(), &self.input, told());
        self.prediction.restore_bodies(self.server.tick(), told());
    }

    /// What a restless player presses.
    fn next(&mut self) -> Input {
        let mut draw = |below| self.rng.below(below);
        if draw(8) == 0 {
            self.input.move_forward = [-127, 0, 127, 127][draw(4) as usize];
            self.input.move_right = [-127, 0, 127, 0][draw(4) as usize];
        }
        self.input.yaw = self.input.yaw.wrapping_add(draw(900) as u16).wrapping_sub(450);
        let pressed = [0, button::JUMP, button::FIRE, button::FIRE, button::ABILITY[0], button::CROUCH, button::RELOAD];
        self.input.buttons = pressed[draw(7) as usize];
        self.input.view_tick = self.server.tick();
        self.input
    }

    fn step(&mut self) {
        let input = self.next();
        self.server.step(&[Command::Input { slot: 0, input, substituted: false }]);
        self.prediction.step(input);
    }

    fn apart(&self) -> f32 {
        let id = self.prediction.mine().player;
        let theirs = self.server.view().get::<MoverState>(id).expect("there").position;
        theirs.distance(self.prediction.own::<MoverState>().expect("there").position)
    }
}

#[test]
fn a_restless_hero_is_predicted_to_centimetres_for_ten_seconds() {
    for (seed, hero) in (1..).zip(["ranger", "demolisher", "guardian", "medic", "engineer", "shade"]) {
        let mut pair = Pair::new(hero, seed);
        for tick in 0..600 {
            pair.step();
            assert!(pair.apart() < 0.02, "{hero}: {} m apart after {tick} ticks", pair.apart());
        }
    }
}

#[test]
fn rounds_and_luck_of_a_hero_are_predicted_exactly() {
    let mut pair = Pair::new("ranger", 3);
    for _ in 0..600 {
        pair.step();
        let view = pair.server.view();
        let theirs = view.get::<Arsenal>(pair.prediction.mine().player).expect("there");
        let ours = pair.prediction.own::<Arsenal>().expect("there");
        assert_eq!((theirs.rounds, theirs.ready_tick, theirs.luck), (ours.rounds, ours.ready_tick, ours.luck));
    }
}

#[test]
fn what_is_simulated_again_arrives_at_the_same_place() {
    let mut pair = Pair::new("demolisher", 5);
    for _ in 0..30 {
        let mut inputs = Vec::new();
        pair.restore();
        let (tick, input) = (pair.server.tick(), pair.input);
        let rows = pair.rows();
        for _ in 0..8 {
            pair.step();
            inputs.push(pair.input);
        }
        let (first, made) = (pair.prediction.own::<MoverState>().copied(), pair.prediction.made().len());
        pair.prediction.begin_again(tick);
        let told = || rows.iter().map(|(id, component, lanes)| (*id, *component, lanes.as_slice()));
        pair.prediction.restore(tick, &input, told());
        for input in inputs {
            pair.prediction.step(input);
        }
        pair.prediction.go_on();
        assert_eq!((first, made), (pair.prediction.own::<MoverState>().copied(), pair.prediction.made().len()));
    }
}

#[test]
fn what_the_hero_fires_is_made_before_the_server_tells() {
    let mut pair = Pair::new("demolisher", 7);
    let input = Input { buttons: button::FIRE, ..Input::default() };
    pair.prediction.step(input);
    let made = pair.prediction.made()[0];
    let before = pair.prediction.place_of(made.id).expect("it flies");
    pair.prediction.step(Input::default());
    assert!(pair.prediction.place_of(made.id).expect("it flies").distance(before) > 0.3);
    pair.prediction.take_back(made.id);
    assert!(pair.prediction.made().is_empty() && pair.prediction.place_of(made.id).is_none());
}

/// A match in which slot 0 sees the other some ticks late.
struct Late {
    pair: Pair,
    other: StableId,
    seen: VecDeque<(u32, Vec3, bool)>,
}

impl Late {
    const LAG: usize = 8;

    fn on(map: Map) -> Self {
        let pair = Pair::on(map, "ranger", 11);
        let other = pair.server.view().player(1).expect("joined");
        let mut late = Self { pair, other, seen: VecDeque::new() };
        let now = late.now();
        late.seen.extend([now; Self::LAG]);
        late
    }

    fn now(&self) -> (u32, Vec3, bool) {
        let view = self.pair.server.view();
        let place = view.get::<MoverState>(self.other).expect("there").position;
        (self.pair.server.tick(), place, view.get::<Life>(self.other).expect("there").alive)
    }

    /// A tick in which each walks to its right; whether the other was seen.
    fn step(&mut self, mine: i8, theirs: i8) -> bool {
        let (view_tick, position, alive) = self.seen.pop_front().expect("never empty");
        let input = Input { move_right: mine, view_tick, ..Input::default() };
        let now = PoseSample { position, alive, ..PoseSample::default() };
        let body = PlayerBody { id: self.other, entity: Entity::PLACEHOLDER, owner: 2, team: 2, now, shown: true };
        let shown = ShownPlayer { body, stands: position, drawn: (0, 0) };
        self.pair.prediction.shown().players = if alive { vec![shown] } else { Vec::new() };
        let walk = Input { move_right: theirs, ..Input::default() };
        self.pair.server.step(&[
            Command::Input { slot: 0, input, substituted: false },
            Command::Input { slot: 1, input: walk, substituted: false },
        ]);
        self.pair.prediction.step(input);
        self.seen.push_back(self.now());
        alive
    }

    fn own_place(&self) -> Vec3 {
        self.pair.server.view().get::<MoverState>(self.pair.prediction.mine().player).expect("there").position
    }
}

#[test]
fn one_is_pushed_by_others_where_one_sees_them() {
    let mut late = Late::on(cluttered(true));
    for tick in 0..120 {
        // The other walks about in the way.
        late.step(60, if tick / 20 % 2 == 0 { -127 } else { 127 });
        assert!(late.pair.apart() < 0.02, "{} m apart after {tick} ticks", late.pair.apart());
    }
    let moved = late.now().1.distance(late.own_place());
    assert!(moved > 0.5, "they still stand in one another: {moved} m");
}

#[test]
fn one_is_pushed_by_who_is_dead_for_as_long_as_one_sees_them_stand() {
    let mut map = cluttered(true);
    map.kill_volumes.push(Volume { centre: Vec3::new(1.8, 0.5, 0.0), half: Vec3::new(0.9, 2.0, 2.0) });
    let mut late = Late::on(map);
    let mut seen_dead = 0;
    for tick in 0..60 {
        // Until it is where one dies, and for as long as it is seen then.
        let dead = !late.now().2;
        let seen = late.step(60, 0);
        seen_dead += u32::from(dead && seen);
        assert!(late.pair.apart() < 0.01, "{} m apart after {tick} ticks", late.pair.apart());
        if dead && !seen {
            break;
        }
    }
    let apart = late.now().1.distance(late.own_place());
    assert!(seen_dead >= 7 && apart < 0.8, "{seen_dead} ticks, {apart} m");
}

#[test]
fn doors_and_crates_give_way_to_a_prediction_as_they_do_on_the_server() {
    let mut pair = Pair::on(cluttered(false), "ranger", 12);
    // They come to rest first.
    for _ in 0..200 {
        pair.server.step(&[]);
    }
    pair.restore();
    let start = pair.server.view().get::<MoverState>(pair.prediction.mine().player).expect("there").position;
    for tick in 0..90 {
        let input = Input { move_forward: 127, view_tick: pair.server.tick(), ..Input::default() };
        pair.server.step(&[Command::Input { slot: 0, input, substituted: false }]);
        pair.prediction.step(input);
        assert!(pair.apart() < 0.05, "{} m apart after {tick} ticks", pair.apart());
        // Contacts are not foreseen for longer than a long round trip.
        if tick % 12 == 11 {
            pair.input = input;
            pair.restore();
        }
    }
    let end = pair.server.view().get::<MoverState>(pair.prediction.mine().player).expect("there").position;
    assert!(start.distance(end) > 3.0, "the door did not open: {start} to {end}");
}

#[test]
fn a_body_that_somebody_else_moved_is_news() {
    let mut pair = Pair::on(cluttered(false), "ranger", 13);
    for _ in 0..200 {
        pair.server.step(&[]);
    }
    pair.restore();
    let tick = pair.server.tick();
    pair.step();
    let mut rows = pair.rows();
    let told = |rows: &[(StableId, ComponentId, Vec<i32>)], prediction: &mut Prediction| {
        prediction
            .compare_bodies(tick + 1, rows.iter().map(|(id, component, lanes)| (*id, *component, lanes.as_slice())))
    };
    assert!(!told(&rows, &mut pair.prediction));
    let place = pair.server.registry().find("Place").expect("described").id;
    rows.iter_mut().filter(|row| row.1 == place).for_each(|row| row.2[0] += 26);
    assert!(told(&rows, &mut pair.prediction));
}
