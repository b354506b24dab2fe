//! `chaos`: real processes under load, killed without a word at random moments, round after round; then every result that was
//! told and every purchase that was answered must be in the wallets, once, and the world must have been told of every booking, once.
//! For `cargo xtask chaos`.
//!
//! What is played: `arbiter services`, an `arbiter server` with two rooms of very short matches, bots that log in and join as players
//! do, and a customer who buys with their money all the time. What is expected of a wallet is counted here from the outbox and
//! from the answers that the customer got, and from nothing that the services keep.

mod customer;
mod expected;
mod town;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Parser;

use crate::customer::Customer;
use crate::expected::{Expected, Verdict};
use crate::town::{Town, Victim};

/// Kills processes at random and looks what became of the money.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds: one kill each.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Seed of who is killed and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps everything in this folder, which must be empty, rather than in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// The longest that a round plays before its kill: longer than a match with its break.
const ROUND_MAX: Duration = Duration::from_millis(6_000);

/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut random = Random(args.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut town = Town::found(&folder, args.seed)?;
    let customer = Customer::start(town.url(), args.seed);
    let (begin, mut told, mut killed) = (Instant::now(), Instant::now(), [0_u32; 3]);
    for round in 0..args.rounds {
        town.wake()?;
        std::thread::sleep(ROUND_MAX.mul_f64(random.part()));
        let victim = [Victim::Server, Victim::Services, Victim::Both][random.below(3)];
        town.kill(victim);
        killed[victim as usize] += 1;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let bought = customer.bought();
            println!(
                "round {} of {} after {} s, {bought} purchases",
                round + 1,
                args.rounds,
                begin.elapsed().as_secs()
            );
        }
    }
    println!(
        "{} rounds in {} s: {} times the server, {} times the services, {} times both",
        args.rounds,
        begin.elapsed().as_secs(),
        killed[Victim::Server as usize],
        killed[Victim::Services as usize],
        killed[Victim::Both as usize],
    );
    town.wake()?;
    // Every purchase gets its answer now, those that a kill swallowed too.
    let receipts = customer.finish()?;
    town.settle()?;
    let expected = Expected::read(&folder, &receipts)?;
    let verdict = expected.compare(&town)?;
    let contradictions = town.audit();
    report(&expected, &verdict, &contradictions);
    if !verdict.is_good() || !contradictions.is_empty() {
        // What is wrong is wanted to be looked at.
        let kept = temporary.keep();
        bail!("see above; everything is kept in {}", args.keep.unwrap_or(kept).display());
    }
    Ok(())
}

fn report(expected: &Expected, verdict: &Verdict, contradictions: &[String]) {
    println!(
        "{} results for {} players, {} purchases answered; the services have {} gold where {} is expected",
        expected.results, verdict.players, expected.purchases, verdict.found, verdict.expected
    );
    verdict.wrong.iter().chain(contradictions).for_each(|line| println!("  {line}"));
    println!("figure chaos.lost {} count", verdict.lost);
    println!("figure chaos.doubled {} count", verdict.doubled);
    println!("figure chaos.imbalance {} count", contradictions.len());
}

/// A small generator: the same seed kills the same processes at the same times, as far as the machine lets it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
