//! `rooms`: panics in rooms and kills of processes while bots play over real sockets; then what was told of every match must be what
//! its recording tells again, and nobody may have been shown a standing picture for longer than promised. For `cargo xtask chaos
//! --rooms`.
//!
//! Half of the panics come from outside of the match, half from what players do; a few are such that nothing helps. Frozen is, at
//! each bot, the time from the last new tick before a failure to the first one behind it.

mod crowd;
mod kills;
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
use crate::tally::{Scene, Tally};

/// Fails rooms and processes at random and looks what became of their matches.
#[derive(Debug, Parser)]
struct Args {
    /// Panics of a room with 10 players on the arena.
    #[arg(long, default_value_t = 100)]
    panics: u32,
    /// Kills of the process of such a room.
    #[arg(long, default_value_t = 40)]
    kills: u32,
    /// Players on the field; 0 leaves the field out.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    field_bots: u16,
    /// Panics of a room with so many.
    #[arg(long, default_value_t = 3)]
    field_panics: u32,
    /// Kills of its process.
    #[arg(long, default_value_t = 1)]
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
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut random = Random(args.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let delay = Duration::from_millis(args.round_trip / 2);
    let arena = Scene { map: "arena", bots: 10, delay };
    let field = Scene { map: "field", bots: args.field_bots, delay };
    let mut wrong = Vec::new();
    let mut run = |what: &str, scene: &Scene, count: u32| -> Result<Tally> {
        if count == 0 {
            return Ok(Tally::default());
        }
        let into = folder.join(format!("{}-{what}", scene.map));
        let tally = fail(what, &into, scene, count, &mut random)?;
        tally.tell(what, scene);
        wrong.extend(proof::contradictions(&into));
        if tally.failed > 0 || !tally.lost_bots.is_empty() {
            bail!("rooms or players were lost; see above");
        }
        Ok(tally)
    };
    let panicked = run("panics", &arena, args.panics)?;
    let killed = run("kills", &arena, args.kills)?;
    if args.field_bots > 0 {
        run("panics", &field, args.field_panics)?;
        run("kills", &field, args.field_kills)?;
    }
    wrong.iter().for_each(|line| println!("  {line}"));
    let (panic_ms, kill_ms) = (percentile(&panicked.frozen_ms, 99), percentile(&killed.frozen_ms, 99));
    println!("figure rooms.panic.frozen.p50 {} ms", percentile(&panicked.frozen_ms, 50));
    println!("figure rooms.panic.frozen.p99 {panic_ms} ms");
    println!("figure rooms.kill.frozen.p50 {} ms", percentile(&killed.frozen_ms, 50));
    println!("figure rooms.kill.frozen.p99 {kill_ms} ms");
    println!("figure rooms.contradictions {} count", wrong.len());
    if !wrong.is_empty() || panic_ms > PANIC_MS_MAX || kill_ms > KILL_MS_MAX {
        // What is wrong is wanted to be looked at.
        let kept = temporary.keep();
        bail!("see above; everything is kept in {}", args.keep.unwrap_or(kept).display());
    }
    Ok(())
}

fn fail(what: &str, folder: &Path, scene: &Scene, count: u32, random: &mut Random) -> Result<Tally> {
    std::fs::create_dir_all(folder).context("cannot make the folder")?;
    let play = Play::load(Assets::from_folder(None)?, scene.map, plugins::none())?;
    match what {
        "panics" => panics::play(folder, &play, scene, count, random),
        _ => kills::play(folder, &play, scene, count, random),
    }
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
