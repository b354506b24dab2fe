//! `cargo xtask agones`: real servers under load in a fleet: ready, reserved, allocated, with a sidecar that dies, drained; and every
//! result that was played is with the services. What is played and counted is the package `tests/fleet`; this builds it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::shell;

/// How many.
#[derive(Debug, Parser)]
pub struct Args {
    /// Servers, one after the other; each takes some 20 seconds.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let mut fleet = shell::program(shell::release(&["fleet", "arbiter"])?.join("fleet"));
    fleet.args(["--rounds", &args.rounds.to_string()]);
    if let Some(folder) = &args.keep {
        fleet.arg("--keep").arg(folder);
    }
    shell::run(&mut fleet)
}
