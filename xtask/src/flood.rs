//! `cargo xtask flood`: what players lose while strangers and hostile clients send a server as much as they can. The work is
//! done by the package `tests/flood`; this builds it and the server, and runs it.

use anyhow::Result;
use clap::Parser;

use crate::shell;

/// How long, how much, for whom.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Seconds of flood, after as many without.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Packets a second.
    #[arg(long, default_value_t = 200_000)]
    rate: u32,
    /// Bots that play.
    #[arg(long, default_value_t = 50)]
    bots: u16,
    /// Threads that send.
    #[arg(long, default_value_t = 2)]
    senders: u16,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let release = shell::release(&["flood", "arbiter"])?;
    let mut flood = shell::program(release.join("flood"));
    flood.arg("--arbiter").arg(release.join("arbiter"));
    let numbers = [("--seconds", args.seconds), ("--rate", args.rate.into()), ("--bots", args.bots.into())];
    for (flag, number) in numbers.into_iter().chain([("--senders", args.senders.into())]) {
        flood.args([flag, &number.to_string()]);
    }
    shell::run(&mut flood)
}
