//! `cargo xtask determinism`: the same generated matches on every kind of build, compared bit for bit.
use anyhow::Result;
use clap::Parser;

/// What to play.
#[derive(Debug, Parser)]
pub struct Args {}

/// Runs the chore.
pub fn run(_: &Args) -> Result<()> {
    small().map(drop)
}

/// The legs that the tests run.
pub fn small() -> Result<u64> {
    anyhow::bail!("comes with the simulation")
}
