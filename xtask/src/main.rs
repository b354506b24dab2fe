//! The chores that nobody should have to remember. Start at [`mod@test`] for what must hold before a change lands, at
//! [`determinism`] for law 1.
//!
//! A chore installs what it needs, says what it does as it goes, and fails on a part that is missing: it never skips one.

mod advisories;
mod agones;
mod chaos;
mod contracts;
mod crash;
mod determinism;
mod flood;
mod fuzz;
mod hygiene;
mod manifests;
mod maps;
mod rollout;
mod shell;
mod test;
mod tools;

use clap::{Parser, Subcommand};

/// The chores of the house. Run as `cargo xtask NAME`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about, disable_help_subcommand = true)]
struct Xtask {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Checks everything that must hold before a change lands. This is what CI runs.
    Test(test::Args),
    /// Plays the same generated matches on every kind of build and machine and compares them bit for bit.
    Determinism(determinism::Args),
    /// Loses power at every write between a match's result and a wallet, and counts what is lost or done twice.
    Crash(crash::Args),
    /// Kill real processes at random, and compare what was told and answered with the wallets
    Chaos(chaos::Args),
    /// Plays servers of an Agones fleet under load, from ready to drained, and counts the results that are lost
    Agones(agones::Args),
    /// Replaces services and servers by those of another version and back while players of both play, and counts what is lost.
    Rollout(rollout::Args),
    /// Lets libFuzzer look for bytes that break a decoder.
    Fuzz(fuzz::Args),
    /// Floods a server with hostile packets while bots play on it, and tells what the players lose.
    Flood(flood::Args),
    /// Checks everything under agones/ with the tools of its world, builds the image and runs it.
    Manifests(manifests::Args),
    /// Writes the maps of the house and their pictures.
    Maps(maps::Args),
}

fn main() -> anyhow::Result<()> {
    match Xtask::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Determinism(args) => determinism::run(&args),
        Chore::Crash(args) => crash::run(&args),
        Chore::Chaos(args) => chaos::run(&args),
        Chore::Agones(args) => agones::run(&args),
        Chore::Rollout(args) => rollout::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Flood(args) => flood::run(&args),
        Chore::Manifests(args) => manifests::run(&args),
        Chore::Maps(args) => maps::run(&args),
    }
}
