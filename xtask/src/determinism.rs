//! `cargo xtask determinism`: law 1. The same generated matches are played on every kind of build and machine, on one thread
//! and on many, from the start and from checkpoints, with the entities laid out differently in memory; every tick of every
//! match must have the same hash as in the first leg.
//!
//! The matches and the program that plays them, `determinism-leg`, are the package `tests/determinism`. On a difference this
//! chore finds the first tick that differs and prints entity, component, field and both values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;

use crate::{shell, tools};

/// Differing fields that are printed of one match: the first ones tell, the rest follows from them.
const FINDINGS_MAX: usize = 20;

/// What to play.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Seed of the first match; the others follow it.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Matches of every leg but the debug and the aarch64 one.
    #[arg(long, default_value_t = 200)]
    matches: u64,
    /// Ticks of each match.
    #[arg(long, default_value_t = 1_800)]
    ticks: u32,
    /// Matches of the debug legs, which are several times slower.
    #[arg(long, default_value_t = 20)]
    debug_matches: u64,
    /// Matches of the aarch64 leg, which runs under emulation.
    #[arg(long, default_value_t = 200)]
    aarch64_matches: u64,
    /// Threads of the legs that play many rooms at once; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Plays only the legs whose names contain this, beside the first, which the others are compared with.
    #[arg(long)]
    only: Option<String>,
}

/// Where a leg's program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Build {
    Release,
    Debug,
    Native,
    Aarch64,
}

/// One way to play the matches.
#[derive(Debug, Clone)]
struct Leg {
    name: &'static str,
    build: Build,
    flags: &'static [&'static str],
    many_threads: bool,
    matches: u64,
}

/// The legs; the first is what the others are compared with.
fn legs(args: &Args) -> Vec<Leg> {
    let leg = |name, build, flags, many_threads, matches| Leg { name, build, flags, many_threads, matches };
    vec![
        leg("release, one thread", Build::Release, &[], false, args.matches),
        leg("release, many threads", Build::Release, &[], true, args.matches),
        leg("release, shuffled", Build::Release, &["--shuffle"], true, args.matches),
        leg("release, restored", Build::Release, &["--restore"], true, args.matches),
        leg("debug", Build::Debug, &[], true, args.debug_matches),
        leg("debug, shuffled and restored", Build::Debug, &["--shuffle", "--restore"], true, args.debug_matches),
        leg("native, restored", Build::Native, &["--restore"], true, args.matches),
        leg("aarch64, restored", Build::Aarch64, &["--restore"], true, args.aarch64_matches),
    ]
}

/// Runs the chore.
pub fn run(args: &Args) -> Result<()> {
    let wanted = |leg: &Leg| args.only.as_ref().is_none_or(|part| leg.name.contains(part.as_str()));
    let mut chosen = legs(args);
    let first = chosen.remove(0);
    chosen.retain(wanted);
    ensure!(!chosen.is_empty(), "no leg has such a name");
    chosen.insert(0, first);
    play(args, &chosen).map(drop)
}

/// The legs that the tests run: all but native and aarch64, with fewer matches. Returns how many legs agree.
pub fn small() -> Result<u64> {
    let args =
        Args { from: 1, matches: 24, ticks: 1_800, debug_matches: 20, aarch64_matches: 0, threads: 0, only: None };
    let mut chosen = legs(&args);
    chosen.retain(|leg| matches!(leg.build, Build::Release | Build::Debug));
    play(&args, &chosen)
}

/// Plays all legs and compares them with the first.
fn play(args: &Args, legs: &[Leg]) -> Result<u64> {
    let mut programs = BTreeMap::new();
    for leg in legs {
        if let std::collections::btree_map::Entry::Vacant(place) = programs.entry(leg.build) {
            let start = Instant::now();
            place.insert(Program::build(leg.build)?);
            println!("built {:?} in {:.0} s", leg.build, start.elapsed().as_secs_f64());
        }
    }
    let program = |leg: &Leg| programs.get(&leg.build).context("a leg without a program");

    let (mut reference, mut divergent, mut compared) = (Chains::new(), 0_u64, 0_u64);
    for (number, leg) in legs.iter().enumerate() {
        let start = Instant::now();
        let chains = program(leg)?.play(args, leg)?;
        ensure!(chains.len() as u64 == leg.matches, "leg {} played {} of {}", leg.name, chains.len(), leg.matches);
        let seconds = start.elapsed().as_secs_f64();
        if number == 0 {
            println!("{:<30} {:>4} matches in {seconds:>6.1} s, the reference", leg.name, leg.matches);
            reference = chains;
            continue;
        }
        let same = |(seed, chain): &(&u64, &String)| reference.get(*seed) == Some(*chain);
        let differing: Vec<u64> = chains.iter().filter(|pair| !same(pair)).map(|(seed, _)| *seed).collect();
        println!("{:<30} {:>4} matches in {seconds:>6.1} s, {} differ", leg.name, leg.matches, differing.len());
        if let Some(&seed) = differing.first() {
            report(args, (&legs[0], program(&legs[0])?), (leg, program(leg)?), seed)?;
        }
        divergent += differing.len() as u64;
        compared += leg.matches * u64::from(args.ticks);
    }
    println!("figure determinism.divergent {divergent} matches");
    println!("figure determinism.matches {} count", legs[0].matches);
    println!("figure determinism.ticks {} count", legs[0].matches * u64::from(args.ticks));
    println!("figure determinism.compared_ticks {compared} count");
    if divergent > 0 {
        bail!("{divergent} matches differ; the first of each leg is reported above");
    }
    Ok(legs.len() as u64)
}

/// The chained hash of each match by its seed.
type Chains = BTreeMap<u64, String>;

/// A built `determinism-leg`.
struct Program {
    path: PathBuf,
    emulator: Option<tools::Aarch64>,
}

impl Program {
    fn build(build: Build) -> Result<Self> {
        let target = shell::target_dir();
        let mut emulator = None;
        let mut cargo = shell::cargo(&["build", "--quiet", "--locked"]);
        let folder = match build {
            // The same selections as in `cargo xtask test`, so that features resolve alike and nothing is compiled twice.
            Build::Release => {
                cargo.args(["--release", "-p", "arbiter-cli", "-p", "arbiter-benches", "-p", "arbiter-determinism"]);
                target.join("release")
            }
            Build::Debug => {
                cargo.args(["--workspace", "--bin", "determinism-leg"]);
                target.join("debug")
            }
            // Folders of their own: other flags or another compiler in the same one would throw out what is there.
            Build::Native => {
                cargo.args(["--release", "-p", "arbiter-determinism", "--target-dir"]).arg(target.join("native"));
                cargo.env("RUSTFLAGS", "-C target-cpu=native");
                target.join("native/release")
            }
            Build::Aarch64 => {
                let tools = tools::aarch64()?;
                cargo.args([
                    "--release",
                    "-p",
                    "arbiter-determinism",
                    "--target",
                    tools::AARCH64_TARGET,
                    "--target-dir",
                ]);
                cargo.arg(target.join("aarch64"));
                cargo.env("RUSTC", &tools.rustc).env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTFLAGS");
                cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", tools.linker);
                emulator = Some(tools);
                target.join("aarch64").join(tools::AARCH64_TARGET).join("release")
            }
        };
        shell::run(&mut cargo)?;
        Ok(Self { path: folder.join("determinism-leg"), emulator })
    }

    fn command(&self) -> Command {
        match &self.emulator {
            None => shell::program(&self.path),
            Some(tools) => {
                let mut command = shell::program(tools.emulator);
                command.arg("-L").arg(&tools.libraries).arg(&self.path);
                command
            }
        }
    }

    fn play(&self, args: &Args, leg: &Leg) -> Result<Chains> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = match (leg.many_threads, args.threads) {
            (false, _) => 1,
            (true, 0) => cores.max(2),
            (true, threads) => threads,
        };
        // QEMU 7.2 hangs where a program begins a thread: under emulation, processes share the matches instead.
        let (processes, threads) = if self.emulator.is_some() { (threads as u64, 1) } else { (1, threads) };
        let share = leg.matches.div_ceil(processes).max(1);
        let play = |first: u64| {
            let mut command = self.command();
            let count = share.min(leg.matches - first);
            command.args(["play", "--from", &(args.from + first).to_string(), "--count", &count.to_string()]);
            command.args(["--ticks", &args.ticks.to_string(), "--threads", &threads.to_string()]).args(leg.flags);
            // Its progress.
            command.stderr(Stdio::inherit());
            shell::output(&mut command).with_context(|| format!("leg {}", leg.name))
        };
        let play = &play;
        let printed = std::thread::scope(|scope| -> Result<String> {
            let begun: Vec<_> =
                (0..leg.matches).step_by(share as usize).map(|first| scope.spawn(move || play(first))).collect();
            let ended =
                begun.into_iter().map(|process| process.join().map_err(|_| anyhow!("a process was not started"))?);
            ended.collect()
        })?;
        let mut chains = Chains::new();
        for line in printed.lines() {
            // "match 17 ticks 1800 chain 0123456789abcdef"
            if let ["match", seed, "ticks", ticks, "chain", chain] = line.split_whitespace().collect::<Vec<_>>()[..] {
                chains.insert(seed.parse().context("a seed is a number")?, format!("{ticks} {chain}"));
            } else if let Some(cuts) = line.strip_prefix("cuts ") {
                println!("    of its restores: {cuts}");
                let words: Vec<&str> = cuts.split_whitespace().collect();
                let missing: Vec<&str> =
                    words.chunks(2).filter(|pair| pair[1..] == ["0"]).map(|pair| pair[0]).collect();
                ensure!(missing.is_empty(), "leg {} restored nothing {missing:?}: play more matches", leg.name);
            } else if !line.is_empty() {
                println!("    {line}");
            }
        }
        Ok(chains)
    }

    /// The hash of each tick of one match.
    fn hashes(&self, args: &Args, leg: &Leg, seed: u64) -> Result<Vec<String>> {
        let mut command = self.command();
        command.args(["hashes", "--seed", &seed.to_string(), "--ticks", &args.ticks.to_string()]).args(leg.flags);
        Ok(shell::output(&mut command)?.lines().map(str::to_owned).collect())
    }

    /// All state at one tick: "entity, component, field" and the value.
    fn dump(&self, args: &Args, leg: &Leg, seed: u64, tick: u32) -> Result<BTreeMap<String, String>> {
        let mut command = self.command();
        command.args(["dump", "--seed", &seed.to_string(), "--ticks", &args.ticks.to_string()]);
        command.args(["--tick", &tick.to_string()]).args(leg.flags);
        let printed = shell::output(&mut command)?;
        let pairs = printed.lines().filter_map(|line| line.split_once(" = "));
        Ok(pairs.map(|(place, value)| (place.to_owned(), value.to_owned())).collect())
    }
}

/// Says where a match parts between two legs.
fn report(args: &Args, expected: (&Leg, &Program), found: (&Leg, &Program), seed: u64) -> Result<()> {
    let ((leg_a, program_a), (leg_b, program_b)) = (expected, found);
    let (hashes_a, hashes_b) = (program_a.hashes(args, leg_a, seed)?, program_b.hashes(args, leg_b, seed)?);
    let place = hashes_a.iter().zip(&hashes_b).position(|(a, b)| a != b);
    let Some(tick) = place.and_then(|place| u32::try_from(place + 1).ok()) else {
        println!("match {seed}: the legs differ when played together and agree when played alone: rooms share state");
        return Ok(());
    };
    println!("match {seed} parts at tick {tick}: {} | {}", leg_a.name, leg_b.name);
    let (dump_a, dump_b) = (program_a.dump(args, leg_a, seed, tick)?, program_b.dump(args, leg_b, seed, tick)?);
    let findings = differences(&dump_a, &dump_b);
    for finding in findings.iter().take(FINDINGS_MAX) {
        println!("    tick {tick}: {finding}");
    }
    match findings.len() {
        0 => println!("    the described state is the same: what differs are the events or the physics world"),
        count if count > FINDINGS_MAX => println!("    and {} more", count - FINDINGS_MAX),
        _ => (),
    }
    let program = program_b.path.strip_prefix(shell::root()).unwrap_or(Path::new("determinism-leg"));
    println!("    again: {} dump --seed {seed} --tick {tick} {}", program.display(), leg_b.flags.join(" "));
    Ok(())
}

/// What differs between two dumps, in the order of the state.
fn differences(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (place, value) in expected {
        match found.get(place) {
            None => findings.push(format!("{place}: {value} | missing")),
            Some(other) if other != value => findings.push(format!("{place}: {value} | {other}")),
            Some(_) => (),
        }
    }
    let only_found = found.iter().filter(|(place, _)| !expected.contains_key(*place));
    findings.extend(only_found.map(|(place, value)| format!("{place}: missing | {value}")));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_place_and_both_values() {
        let dump = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let expected = dump(&[("7 Player Vitals health", "100"), ("7 Player Vitals armour", "5")]);
        let found = dump(&[("7 Player Vitals health", "99.5"), ("8 Prop Pose x", "1")]);
        assert_eq!(
            differences(&expected, &found),
            ["7 Player Vitals armour: 5 | missing", "7 Player Vitals health: 100 | 99.5", "8 Prop Pose x: missing | 1"]
        );
    }

    #[test]
    fn the_first_leg_is_the_plainest() {
        let all = legs(&Args::parse_from(["determinism"]));
        assert!(all[0].flags.is_empty() && !all[0].many_threads && all[0].build == Build::Release);
        assert!(all.iter().any(|leg| leg.build == Build::Aarch64));
    }
}
