//! Contract: whoever may not know of somebody hears no more of them than what kind of sound it was and roughly where, whatever
//! they do to find out; whoever knows of them hears who it was.

mod common;

use std::collections::BTreeSet;

use arbiter_protocol::sound::{Area, CELL_M, Report, Source};
use arbiter_protocol::{Noise, Sound};
use arbiter_server::interest::InterestSettings;
use arbiter_server::interest::hearing::{HOLD_MS, SOUNDS_MAX, STEPS_MS};
use arbiter_sim::map::{Solid, Spawn};
use arbiter_sim::{Input, button};
use glam::Vec3;

use common::ground::{Match, RATE, block, ground};

/// By number in the shipped rules: a rifle, a rocket launcher.
const RANGER: u8 = 0;
const DEMOLISHER: u8 = 1;

/// Makes two long halls of the ground.
fn long_wall() -> Vec<Solid> {
    vec![block("wall", Vec3::new(0.0, 3.0, 0.0), Vec3::new(0.3, 3.0, 100.0))]
}

/// Slot 0 and slot 1, 20 m apart, with a wall between them if so.
fn duel(hero: u8, hidden: bool) -> Match {
    let solids = if hidden { long_wall() } else { vec![] };
    let mut game = Match::new(ground(solids, 1), 2, hero, InterestSettings::default());
    run(&mut game, 5);
    game
}

fn run(game: &mut Match, ticks: u32) {
    for _ in 0..ticks {
        game.step();
        (0..game.inputs.len() as u16).for_each(|slot| game.tell(slot));
    }
}

/// What a client hears within so many ticks.
fn listen(game: &mut Match, slot: u16, ticks: u32) -> Vec<Sound> {
    let mut heard = Vec::new();
    for _ in 0..ticks {
        game.step();
        heard.extend(game.hear(slot).0);
        (0..game.inputs.len() as u16).for_each(|slot| game.tell(slot));
    }
    heard
}

fn area_of(sound: Sound) -> Area {
    match sound {
        Sound::Around { area, .. } => area,
        other => panic!("{other:?}"),
    }
}

fn is_inside(area: Area, place: Vec3) -> bool {
    (Vec3::from_array(area.middle()) - place).abs().max_element() <= area.side() * 0.5
}

#[test]
fn a_shot_behind_a_wall_is_heard_from_roughly_where_it_was_and_not_by_whom() {
    let mut game = duel(RANGER, true);
    game.inputs[1].buttons = button::FIRE;
    let heard = listen(&mut game, 0, 60);
    assert!(heard.len() > 5, "{heard:?}");
    for sound in heard {
        assert_eq!(sound.noise(), Noise::Shot);
        let area = area_of(sound);
        assert!(is_inside(area, game.feet(1) + Vec3::Y) && area.side() >= CELL_M);
    }
}

#[test]
fn a_shot_of_whom_one_was_told_is_heard_by_name_and_ones_own_is_heard_by_those_who_watch() {
    let mut game = duel(RANGER, false);
    game.inputs[1].buttons = button::FIRE;
    let shot = Sound::Fired { report: Report::Shot, by: Source::Player(1) };
    let (mut by_other, mut by_oneself) = (0, 0);
    for _ in 0..60 {
        game.step();
        let (heard, _) = game.hear(0);
        by_other += heard.iter().filter(|sound| **sound == shot).count();
        assert!(heard.iter().all(|sound| !matches!(sound, Sound::Around { .. })));
        let (heard, watched) = game.hear(1);
        assert!(!heard.contains(&shot), "the client knows it before the server does");
        by_oneself += watched.iter().filter(|sound| **sound == shot).count();
        (0..2).for_each(|slot| game.tell(slot));
    }
    assert!(by_other > 5 && by_other == by_oneself, "{by_other} {by_oneself}");
}

#[test]
fn whoever_may_be_known_and_was_not_told_yet_is_not_named() {
    let mut game = Match::new(ground(vec![], 1), 2, RANGER, InterestSettings::default());
    game.run(5);
    game.inputs[1].buttons = button::FIRE;
    for _ in 0..30 {
        game.step();
        game.hear(0).0.into_iter().map(area_of).for_each(|area| assert!(area.side() >= CELL_M));
    }
}

#[test]
fn what_is_too_far_away_is_not_heard_however_it_is_told_otherwise() {
    let mut map = ground(long_wall(), 1);
    map.spawns.iter_mut().for_each(|spawn| spawn.position.x *= 4.5);
    let mut game = Match::new(map, 2, RANGER, InterestSettings::default());
    run(&mut game, 5);
    game.inputs[1].buttons = button::FIRE;
    assert_eq!(listen(&mut game, 0, 60), []);
}

#[test]
fn a_listener_who_walks_to_and_fro_hears_one_who_stands_from_the_same_cube() {
    let mut game = duel(RANGER, true);
    game.inputs[1].buttons = button::FIRE;
    let mut areas = BTreeSet::new();
    for leg in 0..8_u16 {
        // Along the wall and back, and towards it and back.
        game.inputs[0] =
            Input { yaw: [0, 32_768, 49_152, 16_384][usize::from(leg % 4)], move_forward: 127, ..Input::default() };
        areas.extend(listen(&mut game, 0, 45).into_iter().filter(|sound| sound.noise() == Noise::Shot).map(area_of));
    }
    let wide: BTreeSet<_> = areas.iter().map(|area| area.widened()).collect();
    let fine = areas.iter().filter(|area| !area.wide).count();
    assert!(wide.len() == 1 && fine <= 1, "{areas:?}");
}

#[test]
fn one_who_runs_and_fires_is_told_to_be_elsewhere_at_most_once_a_second() {
    let mut game = duel(RANGER, true);
    game.inputs[1] = Input { yaw: 32_768, move_forward: 127, buttons: button::FIRE, ..Input::default() };
    let (mut changes, mut last, mut changed) = (0, None, None);
    for tick in 0..5 * u32::from(RATE) {
        let shots = listen(&mut game, 0, 1).into_iter().filter(|sound| sound.noise() == Noise::Shot);
        for area in shots.map(area_of).filter(|area| !area.wide) {
            if last.replace(area) != Some(area) {
                if let Some(before) = changed.replace(tick) {
                    assert!(tick - before >= HOLD_MS * u32::from(RATE) / 1_000);
                }
                changes += 1;
            }
        }
    }
    assert!(changes > 1, "it was heard from {changes} cubes");
}

#[test]
fn two_who_fire_from_one_cube_at_once_are_one_sound() {
    let mut map = ground(long_wall(), 1);
    map.spawns.retain(|spawn| spawn.team == 1);
    for z in [1.0, 2.0, 3.0, 4.0] {
        map.spawns.push(Spawn { team: 2, position: Vec3::new(10.0, 0.05, z), yaw: 0.0 });
    }
    let mut game = Match::new(map, 4, RANGER, InterestSettings::default());
    run(&mut game, 5);
    for slot in [1, 3] {
        game.inputs[slot].buttons = button::FIRE;
    }
    for _ in 0..30 {
        assert!(listen(&mut game, 0, 1).into_iter().filter(|sound| sound.noise() == Noise::Shot).count() <= 1);
    }
}

#[test]
fn steps_near_by_are_heard_of_whom_one_does_not_know_and_nobody_sneaks_aloud() {
    let steps = |metres: f32, buttons: u16| {
        let mut map = ground(long_wall(), 1);
        map.spawns.iter_mut().for_each(|spawn| spawn.position.x *= metres / 20.0);
        let mut game = Match::new(map, 2, RANGER, InterestSettings::default());
        run(&mut game, 5);
        game.inputs[1] = Input { yaw: 0, move_forward: 127, buttons, ..Input::default() };
        let heard = listen(&mut game, 0, 90);
        assert!(heard.iter().all(|sound| sound.noise() == Noise::Steps), "{heard:?}");
        heard.iter().for_each(|sound| assert!(area_of(*sound).side() >= CELL_M));
        heard.len()
    };
    let most = 90 / (STEPS_MS * u32::from(RATE) / 1_000) + 1;
    assert!((1..=most as usize).contains(&steps(12.0, 0)));
    assert_eq!((steps(12.0, button::CROUCH), steps(60.0, 0)), (0, 0));
}

#[test]
fn a_burst_in_sight_is_heard_from_where_it_is_and_one_out_of_sight_from_a_cube() {
    let bursts = |hidden: bool| {
        let mut game = duel(DEMOLISHER, hidden);
        // At the ground some metres beside.
        game.inputs[1] = Input { yaw: 20_000, pitch: -6_000, buttons: button::FIRE, ..Input::default() };
        let heard = listen(&mut game, 0, 90);
        heard.into_iter().filter(|sound| sound.noise() == Noise::Burst).collect::<Vec<_>>()
    };
    let (seen, heard) = (bursts(false), bursts(true));
    assert!(!seen.is_empty() && !heard.is_empty());
    assert!(seen.iter().all(|sound| matches!(sound, Sound::Burst { .. })), "{seen:?}");
    heard.into_iter().map(area_of).for_each(|area| assert!(area.side() >= CELL_M));
}

#[test]
fn in_a_battle_the_nearest_are_heard_and_no_more_than_one_can_be_told() {
    let mut game = Match::new(ground(vec![], 20), 40, RANGER, InterestSettings::default());
    run(&mut game, 60);
    game.inputs.iter_mut().skip(1).for_each(|input| input.buttons = button::FIRE);
    game.step();
    let (heard, _) = game.hear(0);
    assert_eq!(heard.len(), SOUNDS_MAX);
    let apart = |slot: u16| game.feet(slot).distance(game.feet(0));
    let slot_of = |sound: &Sound| match sound {
        Sound::Fired { by: Source::Player(slot), .. } => *slot,
        other => panic!("{other:?}"),
    };
    let slots: Vec<u16> = heard.iter().map(slot_of).collect();
    let furthest = slots.iter().map(|slot| apart(*slot)).fold(0.0, f32::max);
    let nearer = (1..40).filter(|slot| !slots.contains(slot) && apart(*slot) < furthest - 2.0).count();
    assert_eq!(nearer, 0, "{slots:?}");
}
