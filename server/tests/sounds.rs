//! Contract: what sounds is heard by whom it may be heard, once, though the link loses it; nobody hears what was before they came,
//! or came back; and those who watch hear what those heard whom they watch.

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use arbiter_protocol::sound::{Report, Source};
use arbiter_protocol::{Noise, Sound, Target};
use arbiter_schema::StableId;
use arbiter_server::ServerConfig;
use arbiter_sim::collide::MoverState;
use arbiter_sim::time::SimRng;
use arbiter_sim::{Cue, Rules, button};

use common::listener::Hall;
use common::{config, divided};

/// Two who play without end, in halves that cannot see each other if so; what was half a second ago may be watched.
fn endless(is_divided: bool) -> ServerConfig {
    let mut config = config();
    let mut rules = Rules::shipped();
    for mode in &mut rules.modes {
        (mode.score_limit, mode.round_seconds, mode.warmup_seconds) = (0, 7_200, 0);
    }
    config.rules = rules.into();
    if is_divided {
        config.map = divided();
    }
    (config.spectators_max, config.spectator_delay) = (3, Duration::from_millis(500));
    config
}

/// A listener and one who fires when told so.
fn two(is_divided: bool) -> Hall {
    let mut hall = Hall::new(&endless(is_divided));
    hall.enter(11, None);
    hall.enter(12, None);
    hall.settle();
    // Until they were told of each other, if they may be.
    (0..20).for_each(|_| hall.step());
    hall.clients.iter_mut().for_each(|client| client.heard.clear());
    hall
}

fn player(hall: &Hall, client: usize) -> (u16, StableId) {
    let welcome = hall.clients[client].welcomes.last().expect("it is in");
    (welcome.slot, welcome.player)
}

/// Plays on, and says in which ticks somebody fired.
fn shots(hall: &mut Hall, by: StableId, ticks: u32) -> Vec<u32> {
    let mut shots = Vec::new();
    for _ in 0..ticks {
        hall.step();
        let fired = |cue: &Cue| matches!(cue, Cue::Fired { by: who, .. } if *who == by);
        if hall.room.simulation().cues().iter().any(fired) {
            shots.push(hall.room.simulation().tick());
        }
    }
    shots
}

fn ticks(heard: &[(u32, Sound)], noise: Noise) -> Vec<u32> {
    heard.iter().filter(|(_, sound)| sound.noise() == noise).map(|(tick, _)| *tick).collect()
}

/// A fifth is lost; and for an eighth of a second now and then, everything.
fn bad_link() -> Box<dyn FnMut(u32) -> bool> {
    let mut rng = SimRng::seeded(5);
    Box::new(move |number| rng.unit() < 0.2 || number % 120 < 8)
}

#[test]
fn a_hidden_enemy_who_fires_is_heard_in_the_tick_of_the_shot_without_a_name() {
    let mut hall = two(true);
    let (_, enemy) = player(&hall, 1);
    hall.clients[1].input.buttons = button::FIRE;
    let shots = shots(&mut hall, enemy, 60);
    let heard = &hall.clients[0].heard;
    assert!(shots.len() > 5);
    assert_eq!(heard.iter().map(|entry| entry.0).collect::<Vec<_>>(), shots);
    let feet = hall.room.simulation().view().get::<MoverState>(enemy).expect("it is there").position;
    for (tick, told, sound) in heard {
        assert_eq!(tick, told, "it came with its tick");
        let Sound::Around { noise: Noise::Shot, area } = sound else { panic!("{sound:?}") };
        let apart = area.middle().iter().zip(feet.to_array()).map(|(one, two)| (one - two).abs()).fold(0.0, f32::max);
        assert!(apart <= area.side());
    }
    assert!(hall.clients[1].heard.is_empty(), "ones own shots are predicted");
}

#[test]
fn an_enemy_in_sight_who_fires_is_heard_by_name() {
    let mut hall = two(false);
    let (slot, enemy) = player(&hall, 1);
    hall.clients[1].input.buttons = button::FIRE;
    let shots = shots(&mut hall, enemy, 60);
    let heard = hall.clients[0].once();
    let by_name = Sound::Fired { report: Report::Shot, by: Source::Player(slot) };
    let named: Vec<u32> = heard.iter().filter(|(_, sound)| *sound == by_name).map(|(tick, _)| *tick).collect();
    assert!(shots.len() > 5 && named == shots, "{named:?} {shots:?}");
}

#[test]
fn every_shot_is_heard_over_a_link_that_loses_a_fifth_and_falls_silent_at_times() {
    let mut hall = two(true);
    let (_, enemy) = player(&hall, 1);
    hall.clients[0].loses = bad_link();
    let mut all = Vec::new();
    // Bursts, as magazines end.
    for _ in 0..6 {
        hall.clients[1].input.buttons = button::FIRE;
        all.extend(shots(&mut hall, enemy, 60));
        hall.clients[1].input.buttons = button::RELOAD;
        all.extend(shots(&mut hall, enemy, 120));
    }
    let heard = hall.clients[0].once();
    assert!(all.len() > 50, "{} shots", all.len());
    assert_eq!(ticks(&heard, Noise::Shot), all);
    let late = hall.clients[0].heard.iter().map(|(tick, told, _)| told - tick).max();
    assert!(late.is_some_and(|late| (1..=30).contains(&late)), "{late:?} ticks late at most");
}

#[test]
fn what_sounded_while_nothing_came_for_longer_than_half_a_second_is_never_told() {
    let mut hall = two(true);
    let (_, enemy) = player(&hall, 1);
    let silent = Rc::new(RefCell::new(true));
    let link = Rc::clone(&silent);
    hall.clients[0].loses = Box::new(move |_| *link.borrow());
    hall.clients[1].input.buttons = button::FIRE;
    let early = shots(&mut hall, enemy, 20);
    hall.clients[1].input.buttons = 0;
    shots(&mut hall, enemy, 40);
    *silent.borrow_mut() = false;
    hall.clients[1].input.buttons = button::FIRE;
    let late = shots(&mut hall, enemy, 60);
    let heard = ticks(&hall.clients[0].once(), Noise::Shot);
    assert!(!early.is_empty() && heard.iter().all(|tick| !early.contains(tick)), "{heard:?}");
    assert!(late.iter().all(|tick| heard.contains(tick)), "{heard:?} {late:?}");
}

#[test]
fn whoever_comes_back_hears_nothing_of_before() {
    let mut hall = two(true);
    let (_, enemy) = player(&hall, 1);
    // Whoever has just come may not be taken over from at once.
    shots(&mut hall, enemy, 60);
    hall.clients[0].loses = Box::new(|_| true);
    hall.clients[1].input.buttons = button::FIRE;
    shots(&mut hall, enemy, 10);
    hall.enter(11, None);
    let before = shots(&mut hall, enemy, 10);
    hall.clients[1].input.buttons = 0;
    shots(&mut hall, enemy, 10);
    hall.clients[1].input.buttons = button::FIRE;
    shots(&mut hall, enemy, 40);
    let back = &hall.clients[2];
    let began = back.welcomes.last().expect("it is back").tick;
    assert!(!back.heard.is_empty() && !before.is_empty());
    assert!(back.heard.iter().all(|(tick, _, _)| *tick >= began), "from tick {began} on: {:?}", back.heard);
}

#[test]
fn whoever_watches_a_player_hears_what_that_player_heard_and_did_and_whoever_watches_all_hears_all_by_name() {
    let mut hall = two(true);
    let players = [0, 1].map(|client| player(&hall, client));
    let (slot, enemy) = players[1];
    hall.enter(0, Some(Target::Player(players[0].0)));
    hall.enter(0, Some(Target::Player(slot)));
    hall.enter(0, Some(Target::Free));
    hall.settle();
    hall.clients[1].input.buttons = button::FIRE;
    let mut shots_of = shots(&mut hall, enemy, 60);
    hall.clients[1].input.buttons = 0;
    let seen = hall.clients[2].heard.len();
    assert!(seen < hall.clients[0].heard.len(), "it is shown what was half a second ago");
    shots_of.extend(shots(&mut hall, enemy, 90));
    let of = |client: usize| -> BTreeSet<(u32, Sound)> { hall.clients[client].once().into_iter().collect() };
    let by_name = Sound::Fired { report: Report::Shot, by: Source::Player(slot) };
    let named: BTreeSet<(u32, Sound)> = shots_of.iter().map(|tick| (*tick, by_name)).collect();
    assert!(shots_of.len() > 5);
    assert_eq!(of(2), of(0), "who watches the listener");
    assert_eq!(of(3), named, "who watches the shooter");
    assert_eq!(of(4), named, "who watches everybody");
}

#[test]
fn a_spectator_who_turns_to_another_is_not_told_what_the_one_before_heard() {
    let mut hall = two(true);
    let players = [0, 1].map(|client| player(&hall, client));
    hall.enter(0, Some(Target::Player(players[1].0)));
    hall.settle();
    hall.clients[1].input.buttons = button::FIRE;
    // Nothing reaches it any more, and what it would hear again is what the shooter did.
    hall.clients[2].loses = Box::new(|_| true);
    shots(&mut hall, players[1].1, 40);
    hall.clients[1].input.buttons = 0;
    hall.clients[2].watch(Target::Player(players[0].0));
    shots(&mut hall, players[1].1, 10);
    hall.clients[2].loses = Box::new(|_| false);
    hall.clients[2].heard.clear();
    shots(&mut hall, players[1].1, 90);
    let heard = &hall.clients[2].heard;
    assert!(heard.iter().all(|(_, _, sound)| matches!(sound, Sound::Around { .. })), "{heard:?}");
}

#[test]
fn one_who_hits_and_one_who_is_hit_are_told_so() {
    let mut hall = two(false);
    let [(slot, me), (other_slot, other)] = [0, 1].map(|client| player(&hall, client));
    // Whoever has just come to life cannot be hurt.
    shots(&mut hall, me, 240);
    let feet = |hall: &Hall, id| hall.room.simulation().view().get::<MoverState>(id).expect("it is there").position;
    let apart = feet(&hall, other) - feet(&hall, me);
    (hall.clients[0].input.yaw, hall.clients[0].input.buttons) = (yaw_along(apart.x, apart.z), button::FIRE);
    let mut hits = 0;
    for _ in 0..60 {
        hall.step();
        hits += hall.room.simulation().cues().iter().filter(|cue| matches!(cue, Cue::Hit { .. })).count();
    }
    let dealt = |sound: &Sound| matches!(sound, Sound::Dealt { target: Source::Player(it), .. } if *it == other_slot);
    let taken = |sound: &Sound| matches!(sound, Sound::Taken { by: Some(Source::Player(it)), .. } if *it == slot);
    let count = |client: usize, is: &dyn Fn(&Sound) -> bool| {
        hall.clients[client].once().iter().filter(|(_, sound)| is(sound)).count()
    };
    assert!(hits > 0, "nobody was hit");
    assert_eq!((count(0, &dealt), count(1, &taken)), (hits, hits));
    assert_eq!((count(0, &taken), count(1, &dealt)), (0, 0));
}

/// The steps of a look along x and z.
fn yaw_along(x: f32, z: f32) -> u16 {
    arbiter_sim::input::angle_steps((-x).atan2(-z), 0.0).0
}
