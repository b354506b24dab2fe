//! One leg of `cargo xtask determinism`: plays generated matches in one way and prints their hashes, or dumps one tick.

use std::io::{BufWriter, Write};

use anyhow::Result;
use arbiter_determinism::{Match, Way, run};
use clap::{Args, Parser, Subcommand};

/// Matches between two lines of progress.
const PROGRESS_EVERY: usize = 50;

/// Plays generated matches in one way.
#[derive(Debug, Parser)]
struct Leg {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Clone, Copy, Args)]
struct How {
    /// Ticks of each match.
    #[arg(long, default_value_t = 1_800)]
    ticks: u32,
    /// Shuffle entities and archetypes.
    #[arg(long)]
    shuffle: bool,
    /// Go on from checkpoints at random ticks.
    #[arg(long)]
    restore: bool,
}

impl How {
    fn way(self) -> Way {
        Way { shuffle: self.shuffle, restore: self.restore }
    }
}

#[derive(Debug, Subcommand)]
enum What {
    /// Plays matches; prints a line for each with all its hashes in one.
    Play {
        /// Seed of the first.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Threads that play them.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        #[command(flatten)]
        how: How,
    },
    /// Prints the hash of each tick of one match.
    Hashes {
        /// Its seed.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        how: How,
    },
    /// Prints all state at one tick of one match.
    Dump {
        /// Its seed.
        #[arg(long)]
        seed: u64,
        /// Which tick.
        #[arg(long)]
        tick: u32,
        #[command(flatten)]
        how: How,
    },
}

fn main() -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match Leg::parse().command {
        What::Play { from, count, threads, how } => {
            let progress = |done: usize| {
                if done.is_multiple_of(PROGRESS_EVERY) {
                    eprintln!("    {done} of {count} matches from seed {from}");
                }
            };
            let seeds = from..from.saturating_add(count);
            let (chains, cuts) = run::play(seeds, how.ticks, how.way(), threads, &progress)?;
            for (seed, chain) in chains {
                writeln!(out, "match {seed} ticks {} chain {chain:016x}", how.ticks)?;
            }
            if how.restore {
                let counts = cuts.counts().map(|(name, count)| format!("{name} {count}"));
                writeln!(out, "cuts {}", counts.join(" "))?;
            }
        }
        What::Hashes { seed, how } => {
            let mut room = Match::new(seed, how.way())?;
            for tick in 1..=how.ticks {
                writeln!(out, "{tick} {:016x}", room.step()?)?;
            }
        }
        What::Dump { seed, tick, how } => {
            let mut room = Match::new(seed, how.way())?;
            for _ in 0..tick {
                room.step()?;
            }
            for entity in room.simulation().dump() {
                for (component, leaves) in &entity.components {
                    for leaf in leaves {
                        let (id, kind) = (entity.id.0, entity.kind);
                        writeln!(out, "{kind} {id} {component} {} = {} ({:x})", leaf.path, leaf.text, leaf.bits)?;
                    }
                }
            }
            for event in room.simulation().events() {
                writeln!(out, "event = {event:?}")?;
            }
        }
    }
    Ok(out.flush()?)
}
