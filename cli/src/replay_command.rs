//! `arbiter replay`: what a recording holds, whether this build simulates it the same, and any state of it as text.
//!
//! Results go to standard output, progress and errors to standard error. Exit status: 0 all is as it was recorded, 1 something
//! differs or is damaged, 2 a file could not be replayed at all.

mod events;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arbiter_recording::{End, Mark, Reader, Stamp};
use arbiter_replay::{Assets, Difference, Options, Replay, VerifyReport};
use arbiter_schema::StableId;
use arbiter_sim::EntityDump;
use clap::{Args, Subcommand};

/// Differences that are shown: the first few say where to look, and the rest usually follows from them.
const DIFFERENCES_SHOWN: usize = 20;

/// Time between two progress lines on a terminal, and where there is none.
const PROGRESS_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Flags of `arbiter replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all is as it was recorded, 1 something differs or is damaged, 2 a file cannot be \
                        replayed.\n\nRecordings are *.arbrec files; docs/recording.md describes them."
)]
pub struct ReplayArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ReplayCommand,
    /// Replay although another build wrote the recording, to see how far this one agrees
    #[arg(long, global = true)]
    pub any_build: bool,
}

/// What can be done with recordings.
#[derive(Debug, Subcommand)]
pub enum ReplayCommand {
    /// Simulate recordings again and check the hash of every tick
    ///
    /// Many files are verified on all cores. The first tick that differs is explained: entity, component, field, both values.
    Verify {
        /// Recordings
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Files that are verified at a time; as many as there are cores unless given
        #[arg(long, value_name = "N")]
        threads: Option<usize>,
    },
    /// Say what a recording holds, who wrote it and whether it is damaged; simulates nothing
    Info {
        /// Recording
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Go to a tick through the nearest checkpoint and check its hash
    Seek {
        /// Recording
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Which tick; 0 is before the first
        #[arg(long, value_name = "N")]
        tick: u32,
    },
    /// Print the state at a tick, a line per field
    Dump {
        /// Recording
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Which tick; 0 is before the first
        #[arg(long, value_name = "N")]
        tick: u32,
        /// Only this entity, by the number that a dump shows behind #
        #[arg(long, value_name = "E", value_parser = parse_entity)]
        entity: Option<StableId>,
    },
    /// Simulate a recording again and compare what it tells with the log of domain events
    ///
    /// What the server left out because it found no room, or lost in a crash, is told again under the same names with --heal.
    Events {
        /// Recording
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Folder of the log, as the server was given it
        #[arg(long, value_name = "DIR")]
        outbox: PathBuf,
        /// Add what is missing; the server must not run on that log
        #[arg(long)]
        heal: bool,
    },
    /// Say where two recordings part, in commands and in state
    Diff {
        /// One recording
        #[arg(value_name = "A")]
        left: PathBuf,
        /// The other
        #[arg(value_name = "B")]
        right: PathBuf,
    },
}

fn parse_entity(text: &str) -> Result<StableId, String> {
    let number = text.strip_prefix('#').unwrap_or(text);
    number
        .parse()
        .map(StableId)
        .map_err(|_| format!("{text:?} is no entity; give the number behind # in a dump, as 12 or #12"))
}

/// What a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Same,
    Differs,
    Unusable,
}

impl Verdict {
    fn of(same: bool) -> Self {
        if same { Verdict::Same } else { Verdict::Differs }
    }
}

/// Does it. Recordings whose map is not embedded take it from `assets`.
pub fn run(args: &ReplayArgs, assets: &dyn Assets) -> Result<ExitCode> {
    let out = &mut io::stdout().lock();
    let verdict = match run_to(args, assets, out) {
        Ok(verdict) => verdict,
        // `arbiter replay dump | head` is no error.
        Err(error) if is_broken_pipe(&error) => Verdict::Same,
        Err(error) => {
            eprintln!("error: {error:#}");
            Verdict::Unusable
        }
    };
    Ok(ExitCode::from(verdict as u8))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run_to(args: &ReplayArgs, assets: &dyn Assets, out: &mut dyn Write) -> Result<Verdict> {
    let options = Options { any_build: args.any_build };
    match &args.command {
        ReplayCommand::Verify { files, threads } => verify(files, *threads, assets, options, out),
        ReplayCommand::Info { file } => info(file, out),
        ReplayCommand::Seek { file, tick } => {
            let mut replay = Replay::open(file, assets, options)?;
            let recorded = replay.seek(*tick)?;
            let found = replay.simulation().hash();
            if found == recorded {
                writeln!(out, "tick {tick}: hash {found:016x}, as recorded")?;
            } else {
                writeln!(out, "tick {tick}: hash {found:016x} where {recorded:016x} was recorded; `verify` says more")?;
            }
            let mut kinds: Vec<(&str, usize)> = Vec::new();
            for entity in replay.simulation().dump().iter().filter(|entity| entity.id.is_some()) {
                match kinds.iter_mut().find(|(kind, _)| *kind == entity.kind) {
                    Some((_, count)) => *count += 1,
                    None => kinds.push((entity.kind, 1)),
                }
            }
            for (kind, count) in kinds {
                writeln!(out, "  {count} {kind}")?;
            }
            Ok(Verdict::of(found == recorded))
        }
        ReplayCommand::Dump { file, tick, entity } => {
            let mut replay = Replay::open(file, assets, options)?;
            for entity in replay.dump(*tick, *entity)? {
                write_entity(&entity, out)?;
            }
            Ok(Verdict::Same)
        }
        ReplayCommand::Events { file, outbox, heal } => events::run(file, outbox, *heal, assets, options, out),
        ReplayCommand::Diff { left, right } => diff(left, right, assets, options, out),
    }
}

fn write_entity(entity: &EntityDump, out: &mut dyn Write) -> io::Result<()> {
    if entity.id.is_some() {
        writeln!(out, "{} {}", entity.kind, entity.id)?;
    } else {
        writeln!(out, "{}", entity.kind)?;
    }
    for (component, leaves) in &entity.components {
        for leaf in leaves {
            let dot = if leaf.path.is_empty() || leaf.path.starts_with('[') { "" } else { "." };
            writeln!(out, "  {component}{dot}{} = {}", leaf.path, leaf.text)?;
        }
    }
    Ok(())
}

fn verify(
    files: &[PathBuf],
    threads: Option<usize>,
    assets: &dyn Assets,
    options: Options,
    out: &mut dyn Write,
) -> Result<Verdict> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let total =
        files.iter().filter_map(|file| Reader::open(file).ok()).map(|reader| u64::from(reader.info().ticks)).sum();
    let progress = Progress::new(total);
    let reports = arbiter_replay::verify_many(files, assets, options, threads.unwrap_or_else(cores), &|ticks| {
        progress.add(ticks)
    });
    progress.end();
    let mut verdict = Verdict::Same;
    let (mut ticks, mut divergent, mut cpu) = (0_u64, 0_u64, Duration::ZERO);
    for report in &reports {
        match report {
            Ok(report) => {
                write_report(report, out)?;
                ticks += u64::from(report.ticks);
                divergent += u64::from(report.divergent);
                cpu += report.cpu;
                verdict = verdict.max(Verdict::of(report.is_good()));
            }
            Err(error) => {
                eprintln!("error: {error}");
                verdict = Verdict::Unusable;
            }
        }
    }
    if ticks > 0 {
        writeln!(out, "figure replay.ticks_per_second {:.0} per_s", ticks as f64 / cpu.as_secs_f64().max(1e-9))?;
        writeln!(out, "figure replay.divergent {divergent} ticks")?;
    }
    Ok(verdict)
}

fn write_report(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let path = report.path.display();
    let (ticks, divergent) = (report.ticks, report.divergent);
    write!(out, "{path}: {ticks} ticks verified, {divergent} divergent")?;
    match report.end {
        Some(end) => writeln!(out, "; {}", EndText(end))?,
        None => writeln!(out, "; never finished: the server that wrote it was stopped")?,
    }
    for damage in &report.damages {
        writeln!(out, "  damage: {damage}")?;
    }
    if report.skipped > 0 {
        writeln!(out, "  {} ticks could not be verified because of damage", report.skipped)?;
    }
    if let Some(divergence) = &report.divergence {
        let (recorded, found) = (divergence.recorded, divergence.found);
        writeln!(out, "  tick {} differs first: {found:016x} where {recorded:016x} was recorded", divergence.tick)?;
        match divergence.compared_at {
            Some(tick) => writeln!(out, "  at tick {tick}, recorded | simulated:")?,
            None => writeln!(out, "  no checkpoint leads there or follows, so the states cannot be compared")?,
        }
        write_differences(&divergence.differences, out)?;
    }
    Ok(())
}

fn write_differences(differences: &[Difference], out: &mut dyn Write) -> io::Result<()> {
    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        writeln!(out, "    {difference}")?;
    }
    match differences.len().saturating_sub(DIFFERENCES_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "    and {more} more"),
    }
}

struct EndText(End);

impl fmt::Display for EndText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            End::Won(team) => write!(f, "won by {team}"),
            End::Draw => f.write_str("a draw"),
            End::Abandoned => f.write_str("abandoned"),
        }
    }
}

fn info(file: &Path, out: &mut dyn Write) -> Result<Verdict> {
    let named = || format!("{}", file.display());
    let mut reader = Reader::open(file).with_context(named)?;
    let info = reader.info();
    let damage = reader.damage().with_context(named)?;
    let header = reader.header();
    let hex = |bytes: &[u8]| bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12} {value}");
    line("file", named())?;
    line("match", format!("{:032x}", header.match_id))?;
    line("contents", hex(&damage.chain))?;
    line(
        "written by",
        format!("arbiter {}, rapier {}, {}", header.stamp.arbiter, header.stamp.rapier, header.stamp.features),
    )?;
    for difference in header.stamp.differences(&Stamp::current(header.stamp.components)) {
        line("", format!("another build: {difference}"))?;
    }
    let place = if header.map.is_some() { "embedded" } else { "not embedded: taken from assets/maps" };
    line("map", format!("{} {} ({place})", header.map_name, hex(&header.map_hash)))?;
    line("rules", format!("{} (embedded)", hex(&header.rules_hash)))?;
    match header.settings() {
        Ok(settings) => {
            line("mode", format!("{}, {} players at most", settings.mode, settings.players_max))?;
        }
        Err(error) => line("settings", error.to_string())?,
    }
    line("seed", header.seed.to_string())?;
    let seconds = f64::from(info.ticks) / f64::from(header.tick_rate.max(1));
    let range = info.range.map_or("none".to_owned(), |(first, last)| format!("{first} to {last}"));
    line("ticks", format!("{range}, {} at {} Hz: {seconds:.1} s", info.ticks, header.tick_rate))?;
    let per_minute = info.bytes as f64 / 1_000.0 / (seconds / 60.0).max(1e-9);
    line("size", format!("{:.1} KB, {per_minute:.0} KB a minute", info.bytes as f64 / 1_000.0))?;
    line("checkpoints", list_of(&info.checkpoints))?;
    for mark in &info.marks {
        line("recovery", mark_text(*mark))?;
    }
    let end = info
        .end
        .map_or("never finished: the server that wrote it was stopped".to_owned(), |end| EndText(end).to_string());
    line("ended", end)?;
    if damage.damages.is_empty() {
        line("damage", format!("none in {} blocks", damage.blocks))?;
    }
    for damage in &damage.damages {
        line("damage", damage.to_string())?;
    }
    Ok(Verdict::of(damage.damages.is_empty()))
}

fn mark_text(mark: Mark) -> String {
    match mark {
        Mark::Rebuilt { tick } => format!("behind tick {tick} the room panicked, and was rebuilt"),
        Mark::Blanked { tick } => {
            format!("tick {tick} was played without what players did, since the room panicked twice with it")
        }
        Mark::Resumed { tick } => format!("behind tick {tick} the process ended, and another one went on"),
    }
}

/// The first few of many ticks.
fn list_of(ticks: &[u32]) -> String {
    let few: Vec<String> = ticks.iter().take(8).map(u32::to_string).collect();
    match ticks.len().saturating_sub(few.len()) {
        0 if few.is_empty() => "none".to_owned(),
        0 => format!("{}: {}", few.len(), few.join(", ")),
        _ => format!("{}: {}, ...", ticks.len(), few.join(", ")),
    }
}

fn diff(left: &Path, right: &Path, assets: &dyn Assets, options: Options, out: &mut dyn Write) -> Result<Verdict> {
    let diff = arbiter_replay::diff(left, right, assets, options)?;
    if diff.is_same() {
        writeln!(out, "the same match: {} ticks with equal commands and equal hashes", diff.ticks.0)?;
        return Ok(Verdict::Same);
    }
    writeln!(out, "{} | {}", left.display(), right.display())?;
    for line in &diff.headers {
        writeln!(out, "  {line}")?;
    }
    if diff.ticks.0 != diff.ticks.1 {
        writeln!(out, "  ticks: {} | {}", diff.ticks.0, diff.ticks.1)?;
    }
    if let Some((tick, commands)) = &diff.commands {
        writeln!(out, "  tick {tick} is the first with other commands:")?;
        for line in commands.iter().take(DIFFERENCES_SHOWN) {
            writeln!(out, "    {line}")?;
        }
    }
    match diff.state {
        Some(tick) => writeln!(out, "  tick {tick} is the first with another state:")?,
        None => writeln!(out, "  every state that both have is the same")?,
    }
    write_differences(&diff.differences, out)?;
    Ok(Verdict::Differs)
}

/// A line on standard error that says how far it is.
struct Progress {
    done: AtomicU64,
    total: u64,
    began: Instant,
    /// When a line was last printed, and whether one stands there.
    printed: Mutex<(Instant, bool)>,
    terminal: bool,
}

impl Progress {
    fn new(total: u64) -> Self {
        let began = Instant::now();
        let terminal = io::stderr().is_terminal();
        Self { done: AtomicU64::new(0), total, began, printed: Mutex::new((began, false)), terminal }
    }

    fn add(&self, ticks: u32) {
        let done = self.done.fetch_add(u64::from(ticks), Ordering::Relaxed) + u64::from(ticks);
        let every = if self.terminal { PROGRESS_EVERY.0 } else { PROGRESS_EVERY.1 };
        // Another thread is printing if the lock is taken: that is line enough.
        let Ok(mut printed) = self.printed.try_lock() else { return };
        if printed.0.elapsed() < every {
            return;
        }
        *printed = (Instant::now(), true);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        let text = format!("verifying: {done} of {} ticks, {rate:.0} a second", self.total);
        if self.terminal {
            eprint!("\r\x1b[K{text}");
        } else {
            eprintln!("{text}");
        }
    }

    fn end(&self) {
        if self.terminal && self.printed.lock().is_ok_and(|printed| printed.1) {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbiter_recording::{Header, Writer};
    use arbiter_replay::EmbeddedOnly;
    use arbiter_sim::map::{Map, Shape, Solid, Spawn, Volume};
    use arbiter_sim::{Admin, Command, Loadout, MatchSettings, Rules, Simulation};
    use clap::Parser;
    use glam::{Quat, Vec3};
    use std::sync::Arc;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ReplayArgs,
    }

    fn map() -> Map {
        let volume = Volume { centre: Vec3::ZERO, half: Vec3::splat(20.0) };
        let floor = Shape::Box { half: Vec3::new(10.0, 0.5, 10.0) };
        Map {
            hash: [3; 32],
            solids: vec![Solid {
                name: "floor".to_owned(),
                shape: floor,
                position: Vec3::new(0.0, -0.5, 0.0),
                rotation: Quat::IDENTITY,
            }],
            spawns: vec![Spawn { team: 0, position: Vec3::ZERO, yaw: 0.0 }],
            ..Map::empty("plain", volume)
        }
    }

    /// Records a short match; `unrecorded` happens in it without being recorded.
    fn record(path: &Path, unrecorded: &[Command]) {
        let settings = MatchSettings { players_max: 2, ..MatchSettings::default() };
        let mut simulation = Simulation::new(Arc::new(Rules::shipped()), Arc::new(map()), 1, settings).expect("builds");
        let mut tick0 = Vec::new();
        simulation.checkpoint(&mut tick0);
        let header = Header::of(&simulation, 5).expect("header");
        let mut writer = Writer::create(path, header, tick0).expect("creates");
        for tick in 1..=40 {
            let join = Command::Join { slot: 0, loadout: Loadout::default() };
            let commands = if tick == 1 { vec![join] } else { Vec::new() };
            let mut stepped = commands.clone();
            if tick == 15 {
                stepped.extend_from_slice(unrecorded);
            }
            simulation.step(&stepped);
            writer.push_tick(tick, &commands, simulation.hash()).expect("writes");
            if tick % 10 == 0 {
                let mut state = Vec::new();
                simulation.checkpoint(&mut state);
                writer.push_checkpoint(tick, &state).expect("writes");
            }
        }
        writer.finish(End::Draw).expect("finishes");
    }

    fn arbiter(line: &[&str]) -> (Result<Verdict>, String) {
        let words = ["replay"].iter().chain(line);
        let args = Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).args;
        let mut out = Vec::new();
        let verdict = run_to(&args, &EmbeddedOnly, &mut out);
        (verdict, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn every_subcommand_says_what_it_found() {
        let folder = tempfile::tempdir().expect("folder");
        let (good, bad) = (folder.path().join("good.arbrec"), folder.path().join("bad.arbrec"));
        record(&good, &[]);
        record(&bad, &[Command::Admin(Admin::AddScore { team: 1, points: 3 })]);
        let (good, bad) = (good.to_str().expect("utf-8"), bad.to_str().expect("utf-8"));

        let (verdict, text) = arbiter(&["verify", good]);
        assert_eq!(verdict.expect("verifies"), Verdict::Same, "{text}");
        for part in [
            "40 ticks verified, 0 divergent; a draw",
            "figure replay.ticks_per_second",
            "figure replay.divergent 0 ticks",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let (verdict, text) = arbiter(&["verify", good, bad]);
        assert_eq!(verdict.expect("verifies"), Verdict::Differs, "{text}");
        for part in ["tick 15 differs first", "at tick 20, recorded | simulated:", ": 3 | 0", "divergent 26 ticks"] {
            assert!(text.contains(part), "{text}");
        }
        let (verdict, text) = arbiter(&["info", good]);
        assert_eq!(verdict.expect("reads"), Verdict::Same, "{text}");
        for part in ["1 to 40", "plain", "4: 10, 20, 30, 40", "none in"] {
            assert!(text.contains(part), "{text}");
        }
        let (verdict, text) = arbiter(&["seek", good, "--tick", "25"]);
        assert_eq!(verdict.expect("seeks"), Verdict::Same, "{text}");
        assert!(text.contains("as recorded"), "{text}");
        let (verdict, text) = arbiter(&["dump", good, "--tick", "25"]);
        assert_eq!(verdict.expect("dumps"), Verdict::Same, "{text}");
        assert!(text.contains(" = "), "{text}");
        let (verdict, text) = arbiter(&["diff", good, bad]);
        assert_eq!(verdict.expect("compares"), Verdict::Differs, "{text}");
        assert!(text.contains("tick 15 is the first with another state"), "{text}");
        let (verdict, _) = arbiter(&["dump", good, "--tick", "41"]);
        assert!(verdict.expect_err("too late").to_string().contains("ticks 0 to 40"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_what_to_do() {
        let (verdict, _) = arbiter(&["seek", "nowhere.arbrec", "--tick", "1"]);
        let error = verdict.expect_err("not there").to_string();
        assert!(error.contains("nowhere.arbrec") && error.contains("check the path"), "{error}");
        assert_eq!(arbiter(&["verify", "nowhere.arbrec"]).0.expect("goes on"), Verdict::Unusable);
    }

    #[test]
    fn an_entity_is_given_with_or_without_its_hash() {
        assert_eq!((parse_entity("12"), parse_entity("#12")), (Ok(StableId(12)), Ok(StableId(12))));
        assert!(parse_entity("twelve").is_err_and(|error| error.contains("#12")));
    }
}
