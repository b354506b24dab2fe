//! `fleet`: the life of game servers in an Agones fleet, with real processes under load against a double of the sidecar; then every
//! result that was played must be with the services. For `cargo xtask agones`.
//!
//! Each round is one server from its start to its end. In every second round the time of grace is shorter than a match, so that what
//! runs is abandoned; the others play to their end. Signals and operators drain by turns.

mod round;

use std::path::PathBuf;

use anyhow::{Result, bail};
use arbiter_fleet::results::{Kept, Results};
use arbiter_tests::{Running, argument, binary};
use clap::Parser;

use crate::round::Round;

/// Plays servers of a fleet, and looks what became of their results.
#[derive(Debug, Parser)]
struct Args {
    /// Servers, one after the other.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let (key, data) = (folder.join("arbiter.key"), folder.join("services"));
    let services = ["services", "--bind", "127.0.0.1:0", "--development-login", "--folder", argument(&data)];
    let mut services = Running::start(&[&services[..], &["--key-file", argument(&key)]].concat());
    let line = services.wait_for_line("serving on ");
    let url = line.split_whitespace().nth(2).unwrap_or_default().trim_end_matches(',').to_owned();
    for number in 0..args.rounds {
        println!("server {} of {}:", number + 1, args.rounds);
        Round { folder: &folder, url: &url, number }.play()?;
    }
    services.terminate();
    services.wait();
    let (recordings, outbox) = (folder.join("recordings"), folder.join("outbox"));
    let kept = Kept { program: binary().to_owned(), recordings, outbox };
    let results = Results::count(&data, &[kept])?;
    println!(
        "{} matches were recorded, {} events told, {} results of players",
        results.matches, results.events, results.results
    );
    results.wrong.iter().for_each(|line| println!("  {line}"));
    println!("figure agones.results {} count", results.results);
    println!("figure agones.lost_results {} count", results.lost);
    if results.lost > 0 || results.twice > 0 || results.results == 0 {
        // What is wrong is wanted to be looked at.
        let kept = temporary.keep();
        bail!("see above; everything is kept in {}", args.keep.unwrap_or(kept).display());
    }
    Ok(())
}
