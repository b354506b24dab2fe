//! `rollout`: another version at peak. Services and game servers of one build are replaced by those of another, one after the other,
//! and back again, while players of both builds log in, join, play and join again. Then every result that was played is with the
//! services once, money and events agree, and whoever was cut off was told why. For `cargo xtask rollout`.
//!
//! Services go first and come back last, since they understand what either build tells them; `docs/decisions/versions.md` says what
//! may differ. If the two builds cannot play together, their players are refused in words, and that is counted.

mod crowd;
mod town;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use arbiter_fleet::results::Results;
use clap::Parser;

use crate::crowd::{Crowd, Ends, Party};
use crate::town::{Build, Heard, Town, reconcile, wait};

/// Players who go together, and parties of each build: half of them play until they are told goodbye.
const PARTY: u16 = 2;
const PARTIES: u64 = 4;

/// How long the others play before they quit and join again.
const QUIT_AFTER_S: u32 = 7;

/// Seconds between two lines that say how it goes.
const TELL_EVERY_S: u64 = 10;

/// Rolls another version out and back under load.
#[derive(Debug, Parser)]
struct Args {
    /// The program of the version that runs
    #[arg(long)]
    previous: PathBuf,
    /// What it is called
    #[arg(long, default_value = "previous")]
    previous_name: String,
    /// The program of the version that is rolled out
    #[arg(long)]
    next: PathBuf,
    /// What it is called
    #[arg(long, default_value = "next")]
    next_name: String,
    /// Game servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    servers: u8,
    /// Seed of the players
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A rollout that runs.
struct Rollout {
    town: Town,
    crowd: Crowd,
    began: Instant,
    told: Instant,
    phase: &'static str,
    /// Whether players of one build were on servers of both at a time.
    mixed: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let previous = Build { name: args.previous_name.clone(), program: args.previous.canonicalize()? };
    let next = Build { name: args.next_name.clone(), program: args.next.canonicalize()? };
    println!("seed {}: from {} to {} and back, {} servers", args.seed, previous.name, next.name, args.servers);
    let (rollout, protocols) = play(&args, &folder, &previous, &next)?;
    let (mixed, began) = (rollout.mixed, rollout.began);
    let services = rollout.town.services_folder();
    let ends = rollout.crowd.finish()?;
    let kept = rollout.town.end()?;
    let results = Results::count(&services, &kept)?;
    // Both must be able to read it: the one that wrote it last, and the one that is rolled out next time.
    for build in [&previous, &next] {
        let grants = reconcile(build, &folder, &kept)?;
        println!("build {} finds no difference between outboxes, log and ledger: {grants} grants", build.name);
        ensure!(grants > 0, "nothing was granted, so that money was not compared");
    }
    tell(&ends, &results);
    println!("figure rollout.seconds {:.0} s", began.elapsed().as_secs_f64());
    if let Err(error) = judge(&ends, &results, mixed, &protocols) {
        // What is wrong is wanted to be looked at.
        let kept = temporary.keep();
        bail!("{error}; everything is kept in {}", args.keep.unwrap_or(kept).display());
    }
    Ok(())
}

/// Rolls out and back; also the protocols that were served.
fn play(args: &Args, folder: &std::path::Path, previous: &Build, next: &Build) -> Result<(Rollout, Vec<String>)> {
    let town = Town::found(folder, previous, args.servers.into())?;
    let crowd = Crowd::start(parties(&town.url(), args.seed, [previous, next]));
    let now = Instant::now();
    let mut rollout = Rollout { town, crowd, began: now, told: now, phase: "before", mixed: false };
    rollout.let_play()?;
    let mut heard = rollout.town.hear()?;
    rollout.begin("rollout");
    rollout.town.replace_services(next)?;
    rollout.let_play()?;
    for _ in 0..args.servers {
        rollout.town.replace(next)?;
        rollout.let_play()?;
    }
    heard.extend(rollout.town.hear()?);
    rollout.begin("rollback");
    for _ in 0..args.servers {
        rollout.town.replace(previous)?;
        rollout.let_play()?;
    }
    rollout.town.replace_services(previous)?;
    rollout.let_play()?;
    let mut protocols: Vec<String> = heard.into_iter().map(|heard| heard.protocol).collect();
    protocols.sort();
    protocols.dedup();
    Ok((rollout, protocols))
}

fn parties(url: &str, seed: u64, builds: [&Build; 2]) -> Vec<Party> {
    let party = |number: u64| {
        let Build { name, program } = builds[(number % 2) as usize].clone();
        let seconds = (number / 2).is_multiple_of(2).then_some(QUIT_AFTER_S);
        Party { build: name, program, url: url.to_owned(), count: PARTY, seed: seed * 1_000 + number, seconds }
    };
    (0..PARTIES * 2).map(party).collect()
}

impl Rollout {
    fn begin(&mut self, phase: &'static str) {
        self.phase = phase;
        println!("{phase}:");
    }

    /// Lets parties leave that came in behind what was done last, half as many as there are of each build.
    fn let_play(&mut self) -> Result<()> {
        let before = self.crowd.ends();
        let Self { town, crowd, began, told, phase, mixed } = self;
        let mut players = Vec::new();
        let come_in = || {
            // Services that are asked for too much say so; the next look hears it.
            if let Ok(heard) = town.hear() {
                *mixed |= heard.iter().filter(|build| build.players > 0).count() > 1;
                players = heard;
            }
            let now = crowd.ends();
            let times = |seed: &u64| before.played.get(seed).copied().unwrap_or(0);
            let again = now.played.iter().filter(|(seed, played)| times(seed) < **played).count();
            Ok(again as u64 >= PARTIES / 2)
        };
        let tell = || {
            if told.elapsed().as_secs() >= TELL_EVERY_S {
                *told = Instant::now();
                let ends = crowd.ends();
                println!(
                    "  {:.0} s, {phase}: {} players have been in a match, {} ends explained, {} not",
                    began.elapsed().as_secs_f64(),
                    ends.players,
                    ends.explained.values().sum::<u64>(),
                    ends.unexplained.values().sum::<u64>()
                );
            }
        };
        wait("a party that comes in anew", tell, come_in)?;
        let served: Vec<String> = players.iter().map(Heard::to_string).collect();
        println!("  played on: {}", served.join("; "));
        Ok(())
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { build, protocol, servers, players } = self;
        write!(f, "{servers} of build {build} ({protocol}) with {players} players")
    }
}

fn tell(ends: &Ends, results: &Results) {
    println!("{} matches were recorded, {} events told", results.matches, results.events);
    results.wrong.iter().for_each(|line| println!("  {line}"));
    println!("ends with a reason:");
    ends.explained.iter().for_each(|(why, count)| println!("  {count} {why}"));
    if !ends.unexplained.is_empty() {
        println!("ends without:");
        ends.unexplained.iter().for_each(|(why, count)| println!("  {count} {why}"));
    }
    println!("figure rollout.players {} count", ends.players);
    println!("figure rollout.matches {} count", results.matches);
    println!("figure rollout.results {} count", results.results);
    println!("figure rollout.lost_results {} count", results.lost);
    println!("figure rollout.results_twice {} count", results.twice);
    println!("figure rollout.unexplained_ends {} count", ends.unexplained.values().sum::<u64>());
    println!("figure rollout.silent_players {} count", results.silent);
}

fn judge(ends: &Ends, results: &Results, mixed: bool, protocols: &[String]) -> Result<()> {
    ensure!(results.results > 0, "nothing was played");
    ensure!(results.lost == 0, "{} results are lost", results.lost);
    ensure!(results.twice == 0, "{} matches ended twice", results.twice);
    let unexplained: u64 = ends.unexplained.values().sum();
    ensure!(unexplained == 0, "{unexplained} players were dropped without a reason");
    ensure!(results.silent == 0, "{} players fell silent and did not come back", results.silent);
    ensure!(mixed, "at no time did players play on servers of both builds");
    if protocols.len() > 1 {
        let refused = ends.explained.keys().any(|why| why.contains("the client agrees to protocol"));
        ensure!(refused, "the builds do not play together ({}), and nobody was told so", protocols.join(", "));
        println!("the builds do not play together, and their players were told so");
    } else {
        println!("the builds play together: protocol {}", protocols.join(", "));
    }
    Ok(())
}
