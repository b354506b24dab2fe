//! A server in a process of its own, bots that play on it in another, and everything hostile that can be sent to it without
//! raw sockets: junk, truncated and replayed packets, handshakes that are begun and never finished from thousands of ports of
//! 127.x.y.z, and clients with valid tokens that break every rule. `cargo xtask flood` builds and runs it.
//!
//! The same match is played twice, without and with the flood. What players lost is read from the recordings: every tick of
//! each player says whether its input came in time.

mod ammunition;
mod game;
mod hostile;
mod measure;
mod sender;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;

use crate::game::Game;
use crate::measure::Played;

/// Clients with valid tokens that mean no good.
const HOSTILE_CLIENTS: usize = 48;
/// From the first input on, bots have this long to spread before anything is counted.
const SETTLE: Duration = Duration::from_secs(4);
/// Memory that a server may take more at the end of a flood: what the recording of a match holds back until it is written.
const GROWTH_MB_MAX: f64 = 32.0;

/// Floods a server while bots play on it.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// The program `arbiter`
    #[arg(long)]
    arbiter: PathBuf,
    /// Seconds of flood, and of the match without
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Packets a second
    #[arg(long, default_value_t = 200_000)]
    rate: u32,
    /// Bots that play
    #[arg(long, default_value_t = 50)]
    bots: u16,
    /// Threads that send
    #[arg(long, default_value_t = 2)]
    senders: u16,
    /// The map
    #[arg(long, default_value = "field")]
    map: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let quiet = play(&args, false)?;
    println!("without flood: {quiet}");
    let flooded = play(&args, true)?;
    println!("with flood:    {flooded}");
    println!("figure flood.late_or_lost_inputs {:.3} percent", flooded.late_or_lost_percent());
    println!("figure flood.late_or_lost_inputs_without {:.3} percent", quiet.late_or_lost_percent());
    println!("figure flood.rate {:.0} per_s", flooded.rate);
    println!("figure flood.memory_before {:.1} MB", flooded.memory_mb.0);
    println!("figure flood.memory_after {:.1} MB", flooded.memory_mb.1);
    println!("figure flood.memory_growth_without {:.1} MB", quiet.memory_mb.1 - quiet.memory_mb.0);
    println!("figure flood.players_dropped {} count", flooded.dropped);
    println!("figure flood.ticks_missed {} ticks", flooded.ticks_missed);
    println!("figure flood.ticks_missed_without {} ticks", quiet.ticks_missed);
    println!("figure flood.join_under_fire {:.0} ms", flooded.join_ms);
    ensure!(flooded.dropped == 0, "{} players were dropped", flooded.dropped);
    let growth = flooded.memory_mb.1 - flooded.memory_mb.0;
    ensure!(growth <= GROWTH_MB_MAX, "the server took {growth:.1} MB more under the flood");
    Ok(())
}

/// Plays a match, with or without a flood, and measures it.
fn play(args: &Args, flood: bool) -> Result<Played> {
    let game = Game::start(&args.arbiter, args.bots, &args.map)?;
    let settled = Instant::now() + SETTLE;
    // Made while the players settle: it takes a moment, and a connection of its own.
    let ammunition = if flood { Some(ammunition::make(game.address, &game.key)?) } else { None };
    std::thread::sleep(settled.saturating_duration_since(Instant::now()));
    let seconds = Duration::from_secs(args.seconds);
    let memory_before = game.memory_mb()?;
    let drops_before = game.socket_drops();
    let cpu_before = game.cpu_seconds();
    let start = Instant::now();
    let mut played = Played::default();
    if let Some(ammunition) = ammunition {
        let (stop, fired) = (AtomicBool::new(false), AtomicU64::new(0));
        println!("{} different packets: {}", ammunition.packets.len(), ammunition.summary());
        std::thread::scope(|scope| -> Result<()> {
            let (stop, fired, ammunition) = (&stop, &fired, &ammunition);
            let aim = sender::Aim { rate: args.rate, senders: args.senders.max(1), others: fired };
            let senders: Vec<_> = (0..aim.senders)
                .map(|number| scope.spawn(move || sender::run(number, aim, ammunition, stop)))
                .collect();
            let hostile = {
                let (address, key) = (game.address, game.key.clone());
                scope.spawn(move || hostile::run(address, &key, HOSTILE_CLIENTS, fired, stop))
            };
            std::thread::sleep(seconds / 2);
            let joined = hostile::join(game.address, &game.key);
            std::thread::sleep((start + seconds).saturating_duration_since(Instant::now()));
            stop.store(true, Ordering::Relaxed);
            let took = start.elapsed().as_secs_f64();
            let mut sent = 0;
            for sender in senders {
                let report = sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
                println!("    sender: {report}");
                sent += report.sent;
            }
            let hostile = hostile.join().map_err(|_| anyhow::anyhow!("the hostile clients panicked"))??;
            println!("    hostile clients: {hostile}");
            played.rate = (sent + hostile.sent) as f64 / took;
            played.join_ms = joined?.as_secs_f64() * 1_000.0;
            Ok(())
        })?;
    } else {
        std::thread::sleep(seconds);
    }
    played.socket_drops = game.socket_drops().saturating_sub(drops_before);
    played.memory_mb = (memory_before, game.memory_mb()?);
    played.cpu_percent = (game.cpu_seconds() - cpu_before) / start.elapsed().as_secs_f64() * 100.0;
    let ended = game.end()?;
    played.datagrams = ended.datagrams;
    played.bots = ended.bots;
    played.read(&ended.recording, args.bots, SETTLE, start.elapsed().min(seconds))?;
    Ok(played)
}
