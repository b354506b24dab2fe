//! `cargo xtask test`: everything that must hold before a change lands, from a fresh clone on a machine that has only cargo.
//!
//! Two builds of the workspace (dev for the tests, release for the commands that the README promises) and one check for
//! clippy and rustdoc; every further profile would cost minutes on two cores. All steps run even if one fails, so that one
//! run tells all that is wrong; the last line counts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::{advisories, contracts, determinism, hygiene, manifests, shell, tools};

/// What to leave out while working. CI leaves nothing out.
#[derive(Debug, Parser)]
pub struct Args {
    /// Runs only the steps whose names contain this.
    #[arg(long)]
    only: Option<String>,
}

/// How many checks passed and failed within one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// A step that is one check and passed.
    const ONE: Count = Count { passed: 1, failed: 0 };
}

type Step = (&'static str, fn() -> Result<Count>);

/// In this order: what is quick and fails often comes first.
const STEPS: [Step; 13] = [
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("hygiene", || hygiene::check().map(|()| Count::ONE)),
    ("advisories", || advisories::check().map(|()| Count::ONE)),
    ("licences, bans, sources", licences),
    ("contracts", || contracts::check().map(|checks| Count { passed: checks, failed: 0 })),
    ("manifests", || manifests::check().map(|checks| Count { passed: checks, failed: 0 })),
    ("clippy", || cargo(&["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("rustdoc", rustdoc),
    ("tests", tests),
    ("doc tests", doc_tests),
    ("release build", release_build),
    ("determinism", || determinism::small().map(|legs| Count { passed: legs, failed: 0 })),
    ("README's commands", readme_commands),
];

struct Outcome {
    name: &'static str,
    count: Count,
    took: Duration,
    error: Option<anyhow::Error>,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let mut outcomes = Vec::new();
    let chosen = STEPS.iter().filter(|(name, _)| args.only.as_ref().is_none_or(|part| name.contains(part.as_str())));
    for (name, step) in chosen {
        println!("\n==> {name}");
        let begin = Instant::now();
        let result = step();
        let took = begin.elapsed();
        let (count, error) = match result {
            Ok(count) => (count, None),
            Err(error) => (Count { passed: 0, failed: 1 }, Some(error)),
        };
        if let Some(error) = &error {
            println!("{name} failed: {error:#}");
        }
        println!("    {name}: {} passed, {} failed, {:.1} s", count.passed, count.failed, took.as_secs_f64());
        outcomes.push(Outcome { name, count, took, error });
    }
    ensure!(!outcomes.is_empty(), "no step has such a name");
    let total = outcomes.iter().fold(Count::default(), |sum, outcome| Count {
        passed: sum.passed + outcome.count.passed,
        failed: sum.failed + outcome.count.failed,
    });

    println!("\n{:<26} {:>8} {:>8} {:>10}", "step", "passed", "failed", "seconds");
    for Outcome { name, count, took, .. } in &outcomes {
        println!("{name:<26} {:>8} {:>8} {:>10.1}", count.passed, count.failed, took.as_secs_f64());
    }
    println!("{:<26} {:>8} {:>8} {:>10.1}\n", "all", total.passed, total.failed, start.elapsed().as_secs_f64());
    for Outcome { name, count, error, .. } in &outcomes {
        if let Some(error) = error {
            println!("failed: {name}: {}", error.to_string().lines().next().unwrap_or_default());
        } else if count.failed > 0 {
            println!("failed: {name}: {} of {}", count.failed, count.passed + count.failed);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<Count> {
    shell::run(&mut shell::cargo(arguments)).map(|()| Count::ONE)
}

fn licences() -> Result<Count> {
    let mut deny = shell::program(tools::extension("cargo-deny")?);
    shell::run(deny.args(["--locked", "check", "licenses", "bans", "sources"])).map(|()| Count::ONE)
}

fn rustdoc() -> Result<Count> {
    let mut doc = shell::cargo(&["doc", "--quiet", "--locked", "--workspace", "--no-deps"]);
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings")).map(|()| Count::ONE)
}

fn tests() -> Result<Count> {
    // A reader that was written from the documents checks the vectors of snapshots.
    tools::system_programs(&[("python3", "python3")])?;
    // Called by its path: a machine that has none of its own finds ours nowhere else.
    let mut nextest = shell::program(tools::extension("cargo-nextest")?);
    nextest.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast", "--status-level", "slow"]);
    nextest.args(["--final-status-level", "fail", "--show-progress", "none"]);
    // Most of a test of real servers is waiting: as many tests as cores leave half of the cores idle.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    nextest.args(["--test-threads", &(2 * cores).to_string()]);
    let (success, lines) = shell::watch(&mut nextest)?;
    // "Summary [   1.234s] 152 tests run: 150 passed (1 slow), 2 failed, 0 skipped"
    let summary = lines.iter().rev().find(|line| line.contains("Summary [")).context("nextest printed no summary")?;
    let count = Count { passed: number_before(summary, "passed"), failed: number_before(summary, "failed") };
    counted("tests", count, success)
}

fn doc_tests() -> Result<Count> {
    let (success, lines) = shell::watch(&mut shell::cargo(&["test", "--quiet", "--locked", "--workspace", "--doc"]))?;
    let mut count = Count::default();
    for line in lines.iter().filter(|line| line.starts_with("test result:")) {
        count.passed += number_before(line, "passed");
        count.failed += number_before(line, "failed");
    }
    counted("doc tests", count, success)
}

/// A run that failed without a failed test did not build; that must not pass for green.
fn counted(what: &str, count: Count, success: bool) -> Result<Count> {
    if !success && count.failed == 0 {
        bail!("the {what} did not run to their end; see above");
    }
    Ok(count)
}

/// The number that stands before a word: 3 for `passed` in "3 passed, 1 failed".
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

fn release_build() -> Result<Count> {
    // The default members and the leg in one command: one resolution of features, so nothing is compiled twice.
    let packages = ["-p", "arbiter-cli", "-p", "arbiter-benches", "-p", "arbiter-determinism"];
    let mut arguments = vec!["build", "--quiet", "--locked", "--release"];
    arguments.extend(packages);
    cargo(&arguments)
}

/// The two commands that the README promises, shortened: a match is played over real sockets, then verified.
fn readme_commands() -> Result<Count> {
    let folder = shell::target_dir().join("readme-commands");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let arbiter = |arguments: &[&str]| {
        let mut command = shell::cargo(&["run", "--quiet", "--locked", "--release", "--"]);
        command.args(arguments);
        command
    };
    let mut demo = arbiter(&["demo", "--duration", "10", "--bots", "10", "--summary", "json", "--record-dir"]);
    let summary = shell::output(demo.arg(&folder))?;
    println!("{}", summary.trim_end());
    ensure!(summary.contains('{'), "the demo printed no summary");
    let recordings: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| format!("the demo left no recording in {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "arbrec"))
        .collect();
    ensure!(!recordings.is_empty(), "the demo left no recording in {}", folder.display());
    let mut verify = arbiter(&["replay", "verify"]);
    let verified = shell::output(verify.args(&recordings))?;
    println!("{}", verified.trim_end());
    Ok(Count { passed: 2, failed: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_test_run_is_counted() {
        let line = "     Summary [   0.052s] 12 tests run: 9 passed (1 slow), 3 failed, 4 skipped";
        assert_eq!(number_before(line, "passed"), 9);
        assert_eq!(number_before(line, "failed"), 3);
        assert_eq!(number_before("test result: ok. 7 passed; 0 failed; 1 ignored", "passed"), 7);
    }

    #[test]
    fn a_build_that_fails_is_not_counted_as_no_failed_tests() {
        assert!(counted("tests", Count::default(), false).is_err());
        assert_eq!(counted("tests", Count { passed: 3, failed: 1 }, false).ok(), Some(Count { passed: 3, failed: 1 }));
    }
}
