//! `crash`: plays runs and plants mutants, for `cargo xtask crash`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use arbiter_crash::{Kind, Mutant, Seed, Tally, Violation, count, mutants, play};
use clap::Parser;

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Failures that are printed; the first ones tell.
const PRINTED_MAX: usize = 10;

/// Loses power at every write between a match's result and a wallet, and counts what is lost or done twice.
#[derive(Debug, Parser)]
struct Args {
    /// Runs: one for each operation on either disk, script after script.
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// Seed of the first script; the others follow it.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Plays only this run, as a failure names it, such as 17:230.
    #[arg(long)]
    seed: Option<Seed>,
    /// Runs within which each planted fault must be noticed; 0 plants none.
    #[arg(long, default_value_t = 4_000)]
    mutant_runs: u64,
    /// Threads; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        let tally = play(seed, None).map_err(|violation| anyhow!("run {seed}: {violation}"))?;
        println!("run {seed} holds: {tally:?}");
        return Ok(());
    }
    ensure!(args.runs > 0, "--runs must be at least 1");
    let (tally, failures) = honest(&args);
    report(&tally, &failures);
    let caught = plant(&args)?;
    if !failures.is_empty() {
        bail!("{} of {} runs failed; again: cargo xtask crash --seed {}", failures.len(), tally.runs, failures[0].0);
    }
    ensure!(args.mutant_runs == 0 || caught == mutants::ALL.len(), "a planted fault was not noticed: see above");
    Ok(())
}

type Failures = Vec<(Seed, Violation)>;

/// All runs without a mutant, on all threads.
fn honest(args: &Args) -> (Tally, Failures) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.threads == 0 { cores } else { args.threads };
    let (script, taken, begin) = (AtomicU64::new(args.from), AtomicU64::new(0), Instant::now());
    let sum = Mutex::new((Tally::default(), Failures::new(), begin));
    let note = |seed, result: Result<Tally, Violation>| {
        let Ok(mut sum) = sum.lock() else { return };
        let (tally, failures, last) = &mut *sum;
        match result {
            Ok(one) => tally.add(one),
            Err(violation) => {
                tally.runs += 1;
                failures.push((seed, violation));
            }
        }
        if last.elapsed() > PROGRESS_EVERY {
            *last = Instant::now();
            let seconds = begin.elapsed().as_secs();
            println!("{} of {} runs in {seconds} s, {} failed", tally.runs, args.runs, failures.len());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while taken.load(Ordering::Relaxed) < args.runs {
                    let script = script.fetch_add(1, Ordering::Relaxed);
                    let places = match count(script) {
                        Ok(places) => places,
                        Err(violation) => {
                            taken.fetch_add(1, Ordering::Relaxed);
                            note(Seed { script, place: 0 }, Err(violation));
                            continue;
                        }
                    };
                    for place in 0..places {
                        if taken.fetch_add(1, Ordering::Relaxed) >= args.runs {
                            break;
                        }
                        let seed = Seed { script, place };
                        note(seed, play(seed, None));
                    }
                }
            });
        }
    });
    let (tally, mut failures, _) = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.sort_by_key(|(seed, _)| *seed);
    (tally, failures)
}

fn report(tally: &Tally, failures: &Failures) {
    for (seed, violation) in failures.iter().take(PRINTED_MAX) {
        println!("run {seed}: {violation}");
    }
    let of = |kind| failures.iter().filter(|(_, violation)| violation.kind == kind).count();
    println!("figure crash.runs {} count", tally.runs);
    println!("figure crash.matches {} count", tally.matches);
    println!("figure crash.requests {} count", tally.requests);
    println!("figure crash.requests_done {} count", tally.done);
    println!("figure crash.opened_from_snapshots {} count", tally.from_snapshots);
    println!("figure crash.hashes_compared {} count", tally.hashes);
    println!("figure crash.acknowledged_losses {} count", of(Kind::Lost));
    println!("figure crash.double_applications {} count", of(Kind::Doubled));
    println!("figure crash.unbalanced {} count", of(Kind::Unbalanced));
    println!("figure crash.hashes_differing {} count", of(Kind::Hash));
    println!("figure crash.broken {} count", of(Kind::Broken));
}

/// Plants each mutant until it is noticed; returns how many were.
fn plant(args: &Args) -> Result<usize> {
    if args.mutant_runs == 0 {
        return Ok(0);
    }
    let mut caught = 0;
    for mutant in mutants::ALL {
        match mutants::noticed(mutant, args.from, args.mutant_runs) {
            Ok(noticed) => {
                caught += 1;
                let mutants::Noticed { runs, seed, violation } = noticed;
                println!("caught {:<38} after {runs:>5} runs, {seed}: {violation}", mutant.name());
            }
            Err(violation) => println!("MISSED {:<38} {violation}", Mutant::name(mutant)),
        }
    }
    println!("figure crash.mutants_caught {caught} of {}", mutants::ALL.len());
    Ok(caught)
}
