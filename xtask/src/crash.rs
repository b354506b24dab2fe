//! `cargo xtask crash`: nothing that was acknowledged is lost, nothing is done twice, nothing comes from nowhere, whenever the
//! power fails. The runs and the planted faults are the package `tests/crash`, which the tests play in small; this builds it
//! and plays as many as are wanted.

use anyhow::Result;
use clap::Parser;

use crate::shell;

/// How many, from where.
#[derive(Debug, Parser)]
pub struct Args {
    /// Runs: one for each operation on either disk, script after script.
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// Seed of the first script; the others follow it.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Plays only this run, as a failure names it, such as 17:230.
    #[arg(long)]
    seed: Option<String>,
    /// Runs within which each planted fault must be noticed; 0 plants none.
    #[arg(long, default_value_t = 4_000)]
    mutant_runs: u64,
    /// Threads; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let mut crash = shell::program(shell::release(&["crash"])?.join("crash"));
    let numbers = [("--runs", args.runs), ("--from", args.from), ("--mutant-runs", args.mutant_runs)];
    for (flag, number) in numbers.into_iter().chain([("--threads", args.threads as u64)]) {
        crash.args([flag, &number.to_string()]);
    }
    if let Some(seed) = &args.seed {
        crash.args(["--seed", seed]);
    }
    shell::run(&mut crash)
}
