//! `arbiter bots`: fills a running server with bots that connect as any player would.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use arbiter_headless_client::bots::cheat::Cheat;
use arbiter_headless_client::freezes::{FREEZE_MIN, Freeze};
use arbiter_headless_client::runner::{BotsConfig, BotsReport, Content, Door, run_bots};
use arbiter_transport::conditioner::{Loss, Profile};
use clap::{Args, ValueEnum};

use crate::arguments::server_address;
use crate::assets::Assets;
use crate::keys::{random_seed, read_key};
use crate::lobby::Lobby;
use crate::plugins::Plugins;
use crate::stop::Stop;

/// Between two looks at whether the process was told to stop.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// Flags of `arbiter bots`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct BotsArgs {
    /// Bots, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    /// Where the server is: name or IP address, and UDP port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7777")]
    pub server: String,
    /// Address of the services, as http://127.0.0.1:7780: bots log in and join there, as players do, in place of --server and --key-file
    #[arg(long, value_name = "URL", env = "ARBITER_SERVICES", conflicts_with_all = ["server", "report"])]
    pub services: Option<String>,
    /// Development key of the server, as `arbiter server --key-file` makes it
    #[arg(long, value_name = "FILE", env = "ARBITER_KEY_FILE", default_value = "arbiter.key")]
    pub key_file: PathBuf,
    /// Seed of the bots; left out, it is drawn and told
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// Seconds that they play; left out, until the server says goodbye
    #[arg(long, value_name = "S")]
    pub duration: Option<u32>,
    /// Map that the server plays
    #[arg(long, value_name = "NAME", default_value = "arena")]
    pub map: String,
    /// Folder with rules/ and maps/ over the built-in ones; must be the server's
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Link of the bots: perfect, broadband, wifi, 4g, transatlantic, lossy, satellite, dialup128
    #[arg(long, value_name = "NAME", default_value = "perfect")]
    pub link: Profile,
    /// Milliseconds that a datagram takes each way besides those of the link, 0 to 2,000
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=2000))]
    pub delay: u32,
    /// Milliseconds at most that it takes more, 0 to 2,000, besides those of the link
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=2000))]
    pub jitter: u32,
    /// Percent of datagrams that are lost each way, 0 to 90, in place of what the link loses
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=90))]
    pub loss: u8,
    /// Makes them hostile, to see what it gains: speed, rapid, teleport, wallhack, aim, flood
    #[arg(long, value_name = "HOW")]
    pub cheat: Option<Cheat>,
    /// How many of them are hostile; left out, all, or one in a report
    #[arg(long, value_name = "N")]
    pub cheaters: Option<u16>,
    /// Instead of playing on a server, start one here and tell figures: feel, leaks, cheats. With --delay
    /// over that one link alone
    #[arg(long, value_name = "WHAT")]
    pub report: Option<Report>,
    /// Plays the report of feel over real sockets and in real time, and tells what clients cost; left out, time is simulated, and
    /// the same seed tells the same figures on any machine
    #[arg(long, requires = "report")]
    pub real_time: bool,
}

/// What `arbiter bots --report` can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// What hostile bots gain, and what the server thinks of them and of honest ones
    Cheats,
    /// What clients hold of enemies whom they cannot see, with one hostile bot that looks through walls unless told otherwise
    Leaks,
    /// How it feels to play over links of 30, 100 and 200 ms that lose 2 % in bursts: what is shown against what the server says
    Feel,
}

/// Runs bots. Fails if any of them did not get to play to the end.
pub fn run(args: &BotsArgs, plugins: Plugins, stop: &Stop) -> Result<ExitCode> {
    match args.report {
        Some(Report::Feel) => return crate::feel::run(args, plugins, stop),
        Some(Report::Leaks) => return crate::leaks::sockets::run(args, plugins, stop),
        Some(Report::Cheats) => return crate::cheats::run(args, plugins, stop),
        None => {}
    }
    let assets = Assets::from_folder(args.assets.clone())?;
    let content = Content::with_plugins(Arc::new(assets.rules()?), Arc::new(assets.map(&args.map)?), plugins)?;
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let (door, place) = match &args.services {
        Some(url) => {
            let lobby = Lobby::new(url).agreeing(content.protocol_hash());
            let (tickets, _) = lobby.tickets(move |bot| format!("bot-{seed}-{bot}"));
            (Door::Tickets(tickets), url.clone())
        }
        None => {
            let server = server_address(&args.server)?;
            (Door::Key { server, key: read_key(&args.key_file)? }, server.to_string())
        }
    };
    let config = BotsConfig {
        seed,
        duration: args.duration.map(|seconds| Duration::from_secs(seconds.into())),
        link: link_of(args),
        cheat: args.cheat,
        cheaters: args.cheaters.unwrap_or(args.count),
        ..BotsConfig::new(door, args.count, content)
    };
    println!("{} bots, seed {seed}, on {place}", args.count);
    let report = run_until_told(&config, stop)?;
    tell(&report);
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The named link with what the other flags add to it.
pub(crate) fn link_of(args: &BotsArgs) -> Profile {
    let Profile { delay, jitter, loss, .. } = args.link;
    Profile {
        delay: delay + Duration::from_millis(args.delay.into()),
        jitter: jitter + Duration::from_millis(args.jitter.into()),
        loss: if args.loss > 0 { Loss::random(f32::from(args.loss) / 100.0) } else { loss },
        ..args.link
    }
}

pub(crate) fn run_until_told(config: &BotsConfig, stop: &Stop) -> Result<BotsReport> {
    let (told, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) && !stop.asked() {
                stop.wait(STOP_LOOK);
            }
            told.store(true, Ordering::Relaxed);
        });
        let report = run_bots(config, &told);
        done.store(true, Ordering::Relaxed);
        Ok(report?)
    })
}

/// How often and for how long bots were shown nothing new.
fn frozen(freezes: &[Vec<Freeze>]) -> Option<String> {
    let mut ms: Vec<u128> = freezes.iter().flatten().map(|freeze| freeze.lasted.as_millis()).collect();
    ms.sort_unstable();
    let at = |percent: usize| ms.get((ms.len() * percent / 100).min(ms.len().saturating_sub(1)));
    let (p50, p99, max) = (at(50)?, at(99)?, ms.last()?);
    let (count, least) = (ms.len(), FREEZE_MIN.as_millis());
    Some(format!(
        "{count} times a bot was shown nothing new for {least} ms or more: p50 {p50} ms, p99 {p99} ms, at most {max} ms"
    ))
}

fn tell(report: &BotsReport) {
    let counts = report.counts;
    println!(
        "{} played, {} deaths, {} inputs ({} told late)",
        report.played, report.deaths, counts.inputs, counts.late_inputs
    );
    println!("{} snapshots, {} kB down, {} kB up", counts.snapshots, report.bytes_down / 1000, report.bytes_up / 1000);
    if let Some(round_trip) = report.round_trip {
        println!("round trip {:.1} ms", round_trip.as_secs_f64() * 1000.0);
    }
    for (end, bots) in &report.ends {
        println!("{bots} out of the match: {end}");
    }
    if report.comebacks > 0 {
        println!("{} times a bot came back over a new connection", report.comebacks);
    }
    if let Some(line) = frozen(&report.freezes) {
        println!("{line}");
    }
    for failure in &report.failed {
        eprintln!("{failure}");
    }
}
