//! `rooms`: panics in rooms, kills of processes and losses of machines while bots play over real sockets; then what was told of every
//! match must be what its recording tells again, and nobody may have been shown a standing picture for longer than promised. For
//! `cargo xtask chaos --rooms`.
//!
//! Half of the panics come from outside of the match, half from what players do; a few are such that nothing helps. Frozen is, at
//! each bot, the time from the last new tick before a failure to the first one behind it.

mod crowd;
mod kills;
mod losses;
mod panics;
mod proof;
mod saboteur;
mod tally;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arbiter_cli::assets::Assets;
use arbiter_cli::host::Play;
use arbiter_cli::plugins;
use clap::Parser;

use crate::crowd::percentile;
use crate::losses::Shipped;
use crate::tally::{Scene, Tally};

/// Fails rooms, processes and machines at random and looks what became of their matches.
#[derive(Debug, Parser)]
struct Args {
    /// Panics of a room with 10 players on the arena.
    #[arg(long, default_value_t = 94)]
    panics: u32,
    /// Kills of the process of such a room.
    #[arg(long, default_value_t = 36)]
    kills: u32,
    /// Losses of the machine of such a room whose recordings are shipped, half of them to a folder and half over HTTP; and one whose
    /// are not. 0 leaves them out.
    #[arg(long, default_value_t = 4)]
    losses: u32,
    /// Players on the field; 0 leaves the field out.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    field_bots: u16,
    /// Ticks a second on the field, where server and players share the machine.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(10..=60))]
    field_rate: u16,
    /// Panics of a room with so many.
    #[arg(long, default_value_t = 6)]
    field_panics: u32,
    /// Kills of its process.
    #[arg(long, default_value_t = 4)]
    field_kills: u32,
    /// Round trip of each player in milliseconds.
    #[arg(long, default_value_t = 100)]
    round_trip: u64,
    /// Seed of when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// What is promised of ten players: a picture that stands for no longer than this in 99 of 100 cases.
const PANIC_MS_MAX: u64 = 500;
const KILL_MS_MAX: u64 = 4_000;

fn main() -> Result<()> {
    let args = Args::parse();
    saboteur::keep_quiet();
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let ran = run(&args, &folder);
    if !matches!(ran, Ok(true)) {
        // What is wrong is wanted to be looked at.
        let kept = temporary.keep();
        eprintln!("everything is kept in {}", args.keep.unwrap_or(kept).display());
    }
    if !ran? {
        bail!("not everything is as promised; see above");
    }
    Ok(())
}

/// Whether everything is as promised.
fn run(args: &Args, folder: &Path) -> Result<bool> {
    let delay = Duration::from_millis(args.round_trip / 2);
    let arena = Scene { map: "arena", bots: 10, tick_rate: 60, delay };
    let field = Scene { map: "field", bots: args.field_bots, tick_rate: args.field_rate, delay };
    let random = Random(args.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut run = Run { folder, random, wrong: Vec::new() };
    let panicked = run.fail("panics", &arena, args.panics)?;
    let killed = run.fail("kills", &arena, args.kills)?;
    if args.losses > 0 {
        run.lose(&arena, Shipped::Folder, args.losses.div_ceil(2))?;
        run.lose(&arena, Shipped::Http, args.losses / 2)?;
        run.lose(&arena, Shipped::Nowhere, 1)?;
    }
    if args.field_bots > 0 {
        run.fail("panics", &field, args.field_panics)?;
        run.fail("kills", &field, args.field_kills)?;
    }
    run.wrong.iter().for_each(|line| println!("  {line}"));
    println!("figure rooms.contradictions {} count", run.wrong.len());
    let (panic_ms, kill_ms) = (percentile(&panicked.frozen_ms, 99), percentile(&killed.frozen_ms, 99));
    Ok(run.wrong.is_empty() && panic_ms <= PANIC_MS_MAX && kill_ms <= KILL_MS_MAX)
}

/// What is done one after the other.
struct Run<'a> {
    folder: &'a Path,
    random: Random,
    /// What logs and recordings contradict each other in.
    wrong: Vec<String>,
}

impl Run<'_> {
    /// Fails a room or its process.
    fn fail(&mut self, what: &str, scene: &Scene, count: u32) -> Result<Tally> {
        if count == 0 {
            return Ok(Tally::default());
        }
        let into = self.folder(&format!("{}-{what}", scene.map))?;
        let play = load(scene)?;
        println!("{count} {what} on {} with {} players at {} Hz", scene.map, scene.bots, scene.tick_rate);
        let tally = match what {
            "panics" => panics::play(&into, &play, scene, count, &mut self.random)?,
            _ => kills::play(&into, &play, scene, count, &mut self.random)?,
        };
        tally.tell(what, scene);
        let place = if scene.map == "arena" { "rooms" } else { "rooms.field" };
        tally.figures(&format!("{place}.{}", what.trim_end_matches('s')));
        self.wrong.extend(proof::contradictions(&into));
        is_whole(&tally)?;
        Ok(tally)
    }

    /// Loses the machine.
    fn lose(&mut self, scene: &Scene, shipped: Shipped, count: u32) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let name = shipped.name();
        println!("{count} losses of a machine, {name}, on {} with {} players", scene.map, scene.bots);
        let into = self.folder(&format!("losses-{}", name.replace(' ', "-")))?;
        let losses = losses::play(&into, &load(scene)?, scene, shipped, count, &mut self.random)?;
        losses.tell(scene, shipped);
        self.wrong.extend(losses.contradictions);
        is_whole(&losses.tally)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).context("cannot make the folder")?;
        Ok(folder)
    }
}

fn is_whole(tally: &Tally) -> Result<()> {
    if tally.failed > 0 || !tally.lost_bots.is_empty() {
        bail!("rooms or players were lost; see above");
    }
    Ok(())
}

fn load(scene: &Scene) -> Result<Play> {
    Play::load(Assets::from_folder(None)?, scene.map, plugins::none())
}

/// A small generator: the same seed fails at the same times, as far as the machine lets it.
pub struct Random(u64);

impl Random {
    /// From 0 to 1.
    pub fn part(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
