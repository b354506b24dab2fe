//! `cargo xtask fuzz`: libFuzzer over every decoder, each in its turn, for as long as one likes.
//!
//! The targets are the package `tests/fuzz`, and each has a folder in its `corpus/`. Coverage is LLVM's own, which a stable
//! compiler gives too; the profile `fuzz` keeps overflow checks and debug assertions on. What libFuzzer learns stays in
//! `target/fuzz/corpus` for the next run; what breaks a target is left in `target/fuzz/findings`.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::{shell, tools};

/// What LLVM adds: counters of edges, a table of them, and what is compared with what, so that magic numbers are found.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// Seconds that one input may take: the slowest target takes milliseconds.
const TIMEOUT_S: u32 = 20;
/// Memory of the whole process.
const MEMORY_MB: u32 = 4_096;
/// Between two lines that say how it goes.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// Lines that are kept of what libFuzzer says of a finding.
const LAST_LINES: usize = 40;

/// How long, and what.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Minutes in all, shared by the targets.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Only this target: a folder in tests/fuzz/corpus.
    #[arg(long)]
    target: Option<String>,
}

/// What became of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    coverage: u64,
    corpus: u64,
    finding: Option<String>,
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let folder = shell::root().join("tests/fuzz");
    let mut targets = folders_in(&folder.join("corpus"))?;
    if let Some(wanted) = &args.target {
        ensure!(targets.contains(wanted), "no target {wanted}; there are {}", targets.join(", "));
        targets.retain(|target| target == wanted);
    }
    ensure!(args.minutes > 0.0, "--minutes must be positive");
    let program = build()?;
    let each = Duration::from_secs_f64(args.minutes * 60.0 / targets.len() as f64).max(Duration::from_secs(1));
    println!("{} targets, {:.0} s each", targets.len(), each.as_secs_f64());

    let (mut executions, mut findings) = (0, Vec::new());
    for target in &targets {
        let outcome = fuzz(&program, &folder, target, each)?;
        println!(
            "{target:<12} {:>10} executions, {} edges, corpus {}{}",
            outcome.executions,
            outcome.coverage,
            outcome.corpus,
            if outcome.finding.is_some() { ", BROKEN" } else { "" }
        );
        println!("figure fuzz.{target}.executions {} count", outcome.executions);
        executions += outcome.executions;
        findings.extend(outcome.finding.map(|finding| format!("{target}: {finding}")));
    }
    println!("figure fuzz.executions {executions} count");
    println!("figure fuzz.findings {} count", findings.len());
    if !findings.is_empty() {
        bail!(
            "{} targets broke:\n{}\nfix what is broken, and keep the input as tests/fuzz/regressions/TARGET/NAME",
            findings.len(),
            findings.join("\n")
        );
    }
    Ok(())
}

fn folders_in(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn build() -> Result<PathBuf> {
    // libFuzzer itself is C++.
    tools::system_programs(&[("g++", "g++")])?;
    let about = shell::output(shell::program("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let start = Instant::now();
    println!("building the targets with coverage (the first time takes some minutes)");
    let folder = shell::target_dir().join("fuzz");
    let mut cargo = shell::cargo(&["build", "--quiet", "--locked", "--profile", "fuzz", "--package", "arbiter-fuzz"]);
    // With a target named, the flags are for the program alone and not for what builds it.
    cargo.args(["--features", "libfuzzer", "--bin", "fuzz", "--target", host, "--target-dir"]).arg(&folder);
    shell::run(cargo.env("RUSTFLAGS", FLAGS.join(" ")))?;
    println!("built in {:.0} s", start.elapsed().as_secs_f64());
    Ok(folder.join(host).join("fuzz/fuzz"))
}

fn fuzz(program: &Path, folder: &Path, target: &str, time: Duration) -> Result<Outcome> {
    let kept = shell::target_dir().join("fuzz");
    let (learned, findings) = (kept.join("corpus").join(target), kept.join("findings").join(target));
    for folder in [&learned, &findings] {
        std::fs::create_dir_all(folder)?;
    }
    let mut command = shell::program(program);
    command.env("ARBITER_FUZZ_TARGET", target).env("RUST_BACKTRACE", "0");
    command.arg(format!("-max_total_time={}", time.as_secs()));
    // On a busy machine an input is slow for no fault of its own: only the timeout is a finding.
    command.arg(format!("-report_slow_units={TIMEOUT_S}"));
    command.arg(format!("-timeout={TIMEOUT_S}")).arg(format!("-rss_limit_mb={MEMORY_MB}"));
    command.arg(format!("-artifact_prefix={}/", findings.display())).arg("-print_final_stats=1");
    command.arg(&learned);
    for seeds in ["corpus", "regressions"].map(|kind| folder.join(kind).join(target)) {
        if seeds.is_dir() {
            command.arg(seeds);
        }
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start libFuzzer")?;
    let stderr = child.stderr.take().context("libFuzzer has no output")?;
    let (start, mut told) = (Instant::now(), Instant::now());
    let (mut outcome, mut last) = (Outcome::default(), VecDeque::new());
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line).into_owned();
        outcome.note(&line);
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let seconds = start.elapsed().as_secs_f64();
            let rate = outcome.executions as f64 / seconds;
            let Outcome { coverage, corpus, finding, .. } = &outcome;
            let found = u32::from(finding.is_some());
            println!("    {target}: {seconds:.0} s, {rate:.0}/s, {coverage} edges, corpus {corpus}, {found} findings");
        }
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait()?;
    if !status.success() {
        last.iter().for_each(|line| println!("    {line}"));
        ensure!(outcome.finding.is_some(), "{target}: libFuzzer ended with {status}, without a finding");
    }
    Ok(outcome)
}

impl Outcome {
    /// Reads a line of libFuzzer's.
    fn note(&mut self, line: &str) {
        // "#262144 pulse  cov: 354 ft: 900 corp: 93/4096b lim: 4096 exec/s: 87381 rss: 60Mb"
        if let Some(rest) = line.strip_prefix('#') {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let after = |name: &str| words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
            let number = |word: &str| word.split('/').next().and_then(|word| word.parse().ok());
            self.executions = words.first().and_then(|word| number(word)).unwrap_or(self.executions);
            self.coverage = after("cov:").and_then(number).unwrap_or(self.coverage);
            self.corpus = after("corp:").and_then(number).unwrap_or(self.corpus);
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or(self.executions);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.finding = Some(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_counted() {
        let mut outcome = Outcome::default();
        outcome.note("#262144\tpulse  cov: 354 ft: 900 corp: 93/4096b lim: 4096 exec/s: 87381 rss: 60Mb");
        outcome.note("artifact_prefix='a/'; Test unit written to a/crash-1");
        outcome.note("stat::number_of_executed_units: 300000");
        let finding = Some("a/crash-1".to_owned());
        assert_eq!(outcome, Outcome { executions: 300_000, coverage: 354, corpus: 93, finding });
    }
}
