//! Plays one gold rush of ten on the arena and says who won: `cargo run --release -p arbiter-examples --example gold_rush`.

use std::sync::Arc;

use anyhow::{Context, Result};
use arbiter_cli::assets::{AssetErrors, Assets};
use arbiter_cli::demo::model::callsign;
use arbiter_cli::fight::Fight;
use arbiter_examples::gold_rush;
use arbiter_sim::Simulation;
use arbiter_sim::rules::{MatchSettings, Rules};

fn main() -> Result<()> {
    let mut rules = Rules::shipped();
    gold_rush::add_to(&mut rules).map_err(AssetErrors).context("the mode does not suit the rules")?;
    let map = Arc::new(Assets::embedded().map("arena")?);
    let settings = MatchSettings { mode: gold_rush::MODE.to_owned(), players_max: 10, ..MatchSettings::default() };
    let rate = u32::from(settings.tick_rate);
    let simulation = Simulation::with_plugins(Arc::new(rules), map, 7, settings, &|app| {
        app.add_plugins(gold_rush::GoldRushPlugin);
    })
    .context("the mode and the map do not go together")?;
    let mut fight = Fight::new(simulation);
    while fight.simulation.ended().is_none() {
        fight.step();
        let tick = fight.simulation.tick();
        if tick.is_multiple_of(rate * 10) {
            println!("{:>3} s  {}", tick / rate, purses(&fight.simulation));
        }
    }
    println!("{:?} after {} s", fight.simulation.ended(), fight.simulation.tick() / rate);
    for player in gold_rush::standings(&fight.simulation) {
        println!(
            "team {}  {:<8} {:>3} gold  {:>2} kills",
            player.team,
            callsign(player.slot),
            player.gold,
            player.kills
        );
    }
    Ok(())
}

fn purses(simulation: &Simulation) -> String {
    let standings = gold_rush::standings(simulation);
    let team = |team| standings.iter().filter(|it| it.team == team).map(|it| u32::from(it.gold)).sum::<u32>();
    format!("team 1 carries {}, team 2 carries {}", team(1), team(2))
}
