//! `cargo xtask chaos`: real processes under load, killed at random, and every result and purchase in the wallets once; with
//! `--rooms`, rooms that panic and processes that are killed in the midst of matches, which go on. What is played and compared
//! is the package `tests/chaos`; this builds it and plays as many rounds as are wanted.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::shell;

/// How many, and of which seed.
#[derive(Debug, Parser)]
pub struct Args {
    /// Rounds: one kill each, of a server, of the services, or of both; a round takes some 4 seconds.
    #[arg(long, default_value_t = 200)]
    runs: u32,
    /// Instead fails rooms in the midst of matches: 100 panics and 40 kills, most on the arena and some on the field with 1,000 players,
    /// and machines that are lost with their disks; some 20 minutes.
    #[arg(long)]
    rooms: bool,
    /// With `--rooms`: what else `rooms --help` tells.
    #[arg(last = true, requires = "rooms")]
    more: Vec<String>,
    /// Seed of who fails and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let program = if args.rooms { "rooms" } else { "chaos" };
    let mut chaos = shell::program(shell::release(&[program, "arbiter"])?.join(program));
    chaos.args(["--seed", &args.seed.to_string()]);
    if args.rooms {
        chaos.args(&args.more);
    } else {
        chaos.args(["--rounds", &args.runs.to_string()]);
    }
    if let Some(folder) = &args.keep {
        chaos.arg("--keep").arg(folder);
    }
    shell::run(&mut chaos)
}
