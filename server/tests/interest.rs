//! What clients are told of matches with walls: the contract of `arbiter_server::interest`, on real simulations. What they hear is
//! in `hearing.rs`.

mod common;

use arbiter_schema::StableId;
use arbiter_server::interest::InterestSettings;
use arbiter_server::interest::rank::STALE_MAX_S;
use arbiter_sim::collide::{DynamicWorld, StaticWorld, World};
use arbiter_sim::index::{Index, Kind};
use arbiter_sim::map::Spawn;
use arbiter_sim::{Command, Input, LeaveReason, button};
use arbiter_snapshot::AGE_MAX;
use glam::Vec3;

use common::ground::{Match, RATE, block, ground, wall};

#[test]
fn an_enemy_behind_a_wall_is_not_told_and_one_in_the_open_is() {
    let mut hidden = Match::new(ground(wall(), 1), 2, 0, InterestSettings::default());
    let mut open = Match::new(ground(vec![], 1), 2, 0, InterestSettings::default());
    hidden.run(5);
    open.run(5);
    let (enemy, me) = (hidden.player(1), hidden.player(0));
    assert!(!hidden.wants(0, enemy) && hidden.wants(0, me));
    let enemy = open.player(1);
    assert!(open.wants(0, enemy));
}

#[test]
fn the_match_and_oneself_come_first_and_whoever_is_aimed_at_next() {
    let mut game = Match::new(ground(vec![], 1), 2, 0, InterestSettings::default());
    game.run(3);
    let (me, enemy) = (game.player(0), game.player(1));
    for _ in 0..30 {
        game.step();
        let tick = game.simulation.tick();
        let watcher = game.interest.watcher(0).unwrap();
        assert_eq!(watcher.wanted()[0], StableId::NONE);
        let mut first: Vec<StableId> = watcher.wanted()[1..3].to_vec();
        first.sort_unstable();
        assert_eq!(first, [me, enemy], "told in the tick before, and urgent all the same");
        (1..watcher.wanted().len()).for_each(|at| watcher.told(at, tick));
    }
}

#[test]
fn a_team_mate_behind_a_wall_is_told() {
    let solids = vec![block("wall", Vec3::new(-10.0, 3.0, 0.0), Vec3::new(30.0, 3.0, 0.3))];
    let mut game = Match::new(ground(solids, 2), 4, 0, InterestSettings::default());
    game.run(5);
    let mate = game.player(2);
    assert!(game.wants(0, mate));
}

#[test]
fn what_a_hidden_enemy_sends_is_told_when_it_comes_into_view() {
    // The demolisher's rockets fly along the wall, out of its end and into the open.
    let mut game = Match::new(ground(wall(), 1), 2, 1, InterestSettings::default());
    game.run(2);
    // Along +z, past the end of the wall at z = 12 and into the sight of slot 0.
    game.inputs[1] = Input { yaw: 32_768, buttons: button::FIRE, ..Input::default() };
    let (mut before, mut after) = (0, 0);
    for _ in 0..240 {
        game.step();
        let view = game.simulation.view();
        let flying: Vec<StableId> =
            view.resource::<Index>().unwrap().of(Kind::Projectile).iter().map(|entry| entry.0).collect();
        for id in flying {
            let z = game.interest.scene().body(id).unwrap().shape.position.z;
            let told = game.wants(0, id);
            assert!(!told || z > 5.0, "told at z = {z}");
            assert!(told || z < 25.0, "not told at z = {z}");
            before += u32::from(z < 5.0);
            after += u32::from(z > 25.0);
        }
    }
    assert!(before > 10 && after > 10, "{before} {after}");
}

#[test]
fn one_who_comes_round_a_corner_is_told_a_horizon_before() {
    // Medics: they have no dash, with which the corner would be nearer.
    let mut game = Match::new(ground(wall(), 1), 2, 3, InterestSettings::default());
    game.run(5);
    // Look along +z and walk.
    game.inputs[1] = Input { yaw: 32_768, move_forward: 127, ..Input::default() };
    let statics = StaticWorld::new(&game.simulation.map().solids).unwrap();
    let mut nothing = DynamicWorld::default();
    nothing.build();
    let (mut told_at, mut seen_at) = (None, None);
    for tick in 0..600 {
        game.step();
        let enemy = game.player(1);
        if game.wants(0, enemy) {
            told_at = told_at.or(Some(tick));
        }
        let eye = game.feet(0) + Vec3::Y * 1.65;
        let body = game.feet(1) + Vec3::new(0.0, 1.2, 0.36);
        if (World { statics: &statics, dynamics: &nothing }).sees(eye, body) {
            seen_at = Some(tick);
            break;
        }
    }
    let early = seen_at.unwrap() - told_at.unwrap();
    // 150 ms are 9 ticks, and both may walk: two horizons, and a little for the width of a body.
    assert!((9..=30).contains(&early), "{early} ticks");
}

#[test]
fn who_is_aimed_at_may_leave_the_match() {
    let mut game = Match::new(ground(vec![], 2), 4, 0, InterestSettings::default());
    game.run(3);
    for slot in [3, 2, 1] {
        let leaver = game.player(slot);
        game.simulation.step(&[Command::Leave { slot, reason: LeaveReason::Quit }]);
        game.interest.look(&game.simulation);
        for slot in 0..slot {
            game.interest.watch(slot);
        }
        assert!(!game.wants(0, leaver));
    }
}

#[test]
fn who_goes_out_of_sight_is_gone_until_that_was_said() {
    let mut game = Match::new(ground(wall(), 1), 2, 0, InterestSettings::default());
    game.inputs[1] = Input { yaw: 32_768, move_forward: 127, ..Input::default() };
    let enemy = game.player(1);
    (0..300).any(|_| {
        game.step();
        game.wants(0, enemy)
    });
    let tick = game.simulation.tick();
    let watcher = game.interest.watcher(0).unwrap();
    (1..watcher.wanted().len()).for_each(|at| watcher.told(at, tick));
    // And back.
    game.inputs[1].yaw = 0;
    game.run(120);
    let watcher = game.interest.watcher(0).unwrap();
    assert_eq!(watcher.gone(), [enemy]);
    watcher.forgotten(0);
    game.step();
    let watcher = game.interest.watcher(0).unwrap();
    assert!(watcher.gone().is_empty());
}

#[test]
fn team_mates_share_sight_only_if_that_is_set() {
    for team_sight in [false, true] {
        // Slot 0 is behind a wall of its own, slot 2 is not.
        let solids = vec![block("wall", Vec3::new(-5.0, 3.0, -18.0), Vec3::new(0.3, 3.0, 2.0))];
        let settings = InterestSettings { team_sight, ..InterestSettings::default() };
        let mut map = ground(solids, 2);
        map.spawns = [(1, -10.0, -18.0), (2, 10.0, -18.0), (1, -10.0, 18.0)]
            .map(|(team, x, z)| Spawn { team, position: Vec3::new(x, 0.05, z), yaw: 0.0 })
            .to_vec();
        let mut game = Match::new(map, 3, 3, settings);
        game.run(10);
        let enemy = game.player(1);
        let hidden = if game.feet(0).z < 0.0 { 0 } else { 2 };
        assert!(game.wants(2 - hidden, enemy));
        assert_eq!(game.wants(hidden, enemy), team_sight);
    }
}

#[test]
fn nobody_starves() {
    let players = 64;
    let mut game = Match::new(ground(vec![], 32), players, 0, InterestSettings::default());
    const TOLD: usize = 12;
    let mut last = std::collections::BTreeMap::new();
    let mut worst = 0;
    game.run(2);
    let begun = game.simulation.tick();
    for _ in 0..600 {
        game.step();
        let tick = game.simulation.tick();
        let ids: Vec<StableId> = game.interest.scene().bodies.iter().map(|body| body.id).collect();
        let watcher = game.interest.watcher(0).unwrap();
        // Slot 0 looks along the line of its own team, so that few are aimed at.
        game.inputs[0].yaw = 0;
        for at in 1..watcher.wanted().len().min(TOLD + 1) {
            let id = watcher.wanted()[at];
            watcher.told(at, tick);
            last.insert(id, tick);
        }
        for id in ids {
            worst = worst.max(tick - last.get(&id).copied().unwrap_or(begun));
        }
    }
    let entities = game.interest.scene().bodies.len();
    // Oneself and those within arm's reach are urgent: at most six here.
    let bound = (STALE_MAX_S * f32::from(RATE)) as u32 + entities.div_ceil(TOLD - 6) as u32 + 1;
    assert!(worst <= bound, "{worst} ticks, bound {bound}");
}

/// Tells slot 0 the first so many that it wants.
fn tell_first(game: &mut Match, most: usize) -> Vec<StableId> {
    let tick = game.simulation.tick();
    let watcher = game.interest.watcher(0).unwrap();
    let told: Vec<StableId> = watcher.wanted().iter().skip(1).take(most).copied().collect();
    (1..=told.len()).for_each(|at| watcher.told(at, tick));
    told
}

#[test]
fn where_more_may_be_known_than_is_told_most_of_what_is_told_is_not_too_old_to_be_told_against() {
    // Two rows of 80 that are told 4 a tick, of whom two or three are urgent: each would have its turn in 80 ticks or more.
    let mut game = Match::new(ground(vec![], 80), 160, 3, InterestSettings::default());
    let mut last = std::collections::BTreeMap::new();
    let (mut of_use, mut too_old) = (0, 0);
    for at in 0..900 {
        game.step();
        let tick = game.simulation.tick();
        for id in tell_first(&mut game, 4) {
            let age = last.insert(id, tick).map_or(u32::MAX, |before| tick - before);
            match age {
                _ if at < 300 => {}
                1 => {}
                2..=AGE_MAX => of_use += 1,
                _ => too_old += 1,
            }
        }
    }
    assert!(of_use > 2 * too_old && too_old > 0, "{of_use} {too_old}");
}

#[test]
fn a_far_crowd_is_told_less_often_than_a_near_one() {
    let mut map = ground(vec![], 16);
    map.spawns.retain(|spawn| spawn.team == 1);
    for at in 0..16 {
        let (x, z) = if at < 8 { (0.0, at as f32 * 2.0 - 18.0) } else { (85.0, at as f32 * 2.0 - 30.0) };
        map.spawns.push(Spawn { team: 2, position: Vec3::new(x, 0.05, z), yaw: 0.0 });
    }
    // Medics: the beam in their hands reaches 18 m, so that few are aimed at.
    let mut game = Match::new(map, 32, 3, InterestSettings::default());
    let (mut near, mut far) = (0, 0);
    for _ in 0..240 {
        game.step();
        for id in tell_first(&mut game, 10) {
            let x = game.interest.scene().body(id).unwrap().shape.position.x;
            near += u32::from(x.abs() < 5.0);
            far += u32::from(x > 50.0);
        }
    }
    assert!(near > 4 * far && far > 0, "{near} {far}");
}

#[test]
fn two_rooms_tell_the_same_and_the_order_of_clients_makes_no_difference() {
    let make = || Match::new(ground(wall(), 8), 16, 0, InterestSettings::default());
    let (mut one, mut two) = (make(), make());
    for tick in 0..60 {
        for game in [&mut one, &mut two] {
            for (slot, input) in game.inputs.iter_mut().enumerate() {
                input.move_forward = 127;
                input.yaw = input.yaw.wrapping_add((slot as u16 * 37 + tick) % 600);
            }
        }
        one.step();
        let inputs = two.inputs.iter().zip(0..);
        let commands: Vec<Command> =
            inputs.map(|(input, slot)| Command::Input { slot, input: *input, substituted: false }).collect();
        two.simulation.step(&commands);
        two.interest.look(&two.simulation);
        {
            let (watch, _, watchers) = two.interest.split();
            let (low, high) = watchers.split_at_mut(8);
            std::thread::scope(|threads| {
                threads.spawn(|| high.iter_mut().rev().for_each(&watch));
                threads.spawn(|| low.iter_mut().for_each(&watch));
            });
        }
        for slot in 0..16 {
            let wanted = one.interest.watcher(slot).unwrap().wanted().to_vec();
            assert_eq!(wanted, two.interest.watcher(slot).unwrap().wanted());
        }
    }
}

/// A duel over so many metres in which slot 0 looks past the other; how often it was wanted in a second, told each time.
fn wanted_in_a_second(metres: f32, thin: bool) -> u32 {
    let mut map = ground(vec![], 1);
    map.spawns.iter_mut().for_each(|spawn| spawn.position.x *= metres / 20.0);
    let mut game = Match::new(map, 2, 0, InterestSettings::default());
    // An eighth of a turn beside the enemy: whoever is aimed at is urgent wherever they stand.
    game.inputs[0].yaw = 57_344;
    game.interest.shed(1, thin);
    let enemy = game.player(1);
    let mut times = 0;
    for _ in 0..RATE {
        game.step();
        let tick = game.simulation.tick();
        let watcher = game.interest.watcher(0).unwrap();
        times += u32::from(watcher.wanted().contains(&enemy));
        (0..watcher.wanted().len()).for_each(|at| watcher.told(at, tick));
    }
    times
}

#[test]
fn what_is_far_is_told_rarely_while_load_is_shed_and_what_is_near_as_often_as_ever() {
    let every = u32::from(RATE);
    assert_eq!((wanted_in_a_second(20.0, false), wanted_in_a_second(20.0, true)), (every, every));
    // At once, and then four times a second.
    assert_eq!((wanted_in_a_second(100.0, false), wanted_in_a_second(100.0, true)), (every, 4));
}

/// One crowd stands 60 m in front of slot 0 and one as far behind it. It turns round, and is told two of them a tick while
/// clients look in turns: how often each of those was told that are ahead then, and each of the others.
fn told_after_turning() -> [Vec<u32>; 2] {
    const CROWD: u16 = 16;
    let mut map = ground(vec![], 1);
    map.spawns.retain(|spawn| spawn.team == 1);
    for at in 0..CROWD {
        let (side, x) = (0.05 * (f32::from(at / 2) - 3.5)).sin_cos();
        let x = if at.is_multiple_of(2) { x } else { -x };
        map.spawns.push(Spawn { team: 2, position: Vec3::new(60.0 * x - 10.0, 0.05, 60.0 * side), yaw: 0.0 });
    }
    // Medics: the beam in their hands does not reach so far, so that nobody is aimed at.
    let mut game = Match::new(map, 2 * CROWD, 3, InterestSettings::default());
    game.interest.shed(4, false);
    let crowd: Vec<StableId> = (0..CROWD).map(|at| game.player(2 * at + 1)).collect();
    let mut times = vec![0; crowd.len()];
    for tick in 0..400 {
        if tick == 30 {
            game.inputs[0].yaw = game.inputs[0].yaw.wrapping_add(32_768);
        }
        game.step();
        let now = game.simulation.tick();
        let watcher = game.interest.watcher(0).unwrap();
        let mut left = 2;
        for at in 1..watcher.wanted().len() {
            let counted = crowd.iter().position(|id| *id == watcher.wanted()[at]);
            if counted.is_none() || left > 0 {
                watcher.told(at, now);
            }
            if let Some(which) = counted.filter(|_| left > 0) {
                left -= 1;
                times[which] += u32::from(tick >= 100);
            }
        }
    }
    let is_ahead = |at: usize| game.feet(2 * at as u16 + 1).x < -10.0;
    [true, false].map(|ahead| (0..times.len()).filter(|at| is_ahead(*at) == ahead).map(|at| times[at]).collect())
}

#[test]
fn what_is_far_is_weighed_anew_though_clients_look_in_turns() {
    let [ahead, behind] = told_after_turning();
    assert_eq!((ahead.len(), behind.len()), (8, 8));
    assert!(ahead.iter().min() > behind.iter().max(), "{ahead:?} {behind:?}");
}
