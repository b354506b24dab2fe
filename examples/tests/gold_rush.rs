//! What the example claims of itself: it decides matches, and its state is state like any other.

use std::sync::Arc;

use arbiter_cli::assets::Assets;
use arbiter_cli::fight::Fight;
use arbiter_examples::gold_rush::{GoldRushPlugin, MODE, add_to, standings};
use arbiter_sim::rules::{MatchSettings, Rules};
use arbiter_sim::{Cue, Simulation};

fn simulation() -> Simulation {
    let mut rules = Rules::shipped();
    add_to(&mut rules).expect("the example's rules are valid");
    let map = Arc::new(Assets::embedded().map("arena").expect("a built-in map"));
    let settings = MatchSettings { mode: MODE.to_owned(), players_max: 6, tick_rate: 30, ..MatchSettings::default() };
    let plugins = |app: &mut bevy_app::App| {
        app.add_plugins(GoldRushPlugin);
    };
    Simulation::with_plugins(Arc::new(rules), map, 7, settings, &plugins).expect("the mode suits the map")
}

#[test]
fn a_gold_rush_is_played_to_its_end_and_gold_was_found() {
    let mut fight = Fight::new(simulation());
    let mut found = false;
    while fight.simulation.ended().is_none() && fight.simulation.tick() < 30 * 300 {
        fight.step();
        found |= standings(&fight.simulation).iter().any(|player| player.gold > 0);
    }
    assert!(found, "nobody found gold");
    assert!(fight.simulation.ended().is_some(), "it ends within five minutes");
}

#[test]
fn a_purse_is_restored_from_a_checkpoint_and_the_match_goes_on_bit_for_bit() {
    let mut fight = Fight::new(simulation());
    (0..900).for_each(|_| fight.step());
    let mut checkpoint = Vec::new();
    fight.simulation.checkpoint(&mut checkpoint);
    let mut restored = simulation();
    restored.restore(&checkpoint).expect("a checkpoint of the same match");
    assert_eq!(restored.hash(), fight.simulation.hash());
    for _ in 0..300 {
        let commands = fight.plan().to_vec();
        fight.step_planned();
        restored.step(&commands);
        assert_eq!(restored.hash(), fight.simulation.hash(), "tick {}", restored.tick());
    }
}

#[test]
fn gold_is_told_to_clients_and_the_rest_of_a_purse_is_not() {
    let simulation = simulation();
    let purse = simulation.registry().find("Purse").expect("the plugin described it");
    assert_eq!(purse.lanes.len(), 1);
}

#[test]
fn the_coin_gun_fires_only_what_its_owner_carries() {
    let mut fight = Fight::new(simulation());
    let coin_gun = fight.simulation.rules().weapon_named("coin_gun").expect("the example adds it");
    let mut fired = 0;
    for _ in 0..30 * 60 {
        let carried: u32 = standings(&fight.simulation).iter().map(|player| u32::from(player.gold)).sum();
        fight.step();
        let cues = fight.simulation.cues().iter();
        let coins = cues.filter(|cue| matches!(cue, Cue::Fired { weapon, .. } if *weapon == coin_gun)).count() as u32;
        assert!(coins <= carried, "{coins} coins were fired of {carried}");
        fired += coins;
    }
    assert!(fired > 0, "nobody fired a coin");
}
