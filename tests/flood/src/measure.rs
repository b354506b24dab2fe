//! What a match was like for its players, from its recording.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arbiter_recording::Reader;
use arbiter_sim::Command;

/// A match.
#[derive(Debug, Default)]
pub struct Played {
    /// Ticks of players that were looked at, and those of them for which the input came too late or never.
    pub inputs: (u64, u64),
    /// Players who left while it was looked at.
    pub dropped: u64,
    /// Ticks that the room left out because it was late.
    pub ticks_missed: u64,
    /// Memory of the server before and after.
    pub memory_mb: (f64, f64),
    /// CPU of the server, in percent of a core.
    pub cpu_percent: f64,
    /// Datagrams that found the server's socket full.
    pub socket_drops: u64,
    /// Hostile packets a second.
    pub rate: f64,
    /// How long an honest client took to connect.
    pub join_ms: f64,
    /// What the bots said.
    pub bots: String,
    /// What became of each datagram, as the server says.
    pub datagrams: String,
}

impl Played {
    /// Inputs that came too late or never, of all.
    pub fn late_or_lost_percent(&self) -> f64 {
        100.0 * self.inputs.1 as f64 / (self.inputs.0 as f64).max(1.0)
    }

    /// Reads a recording from when the players had settled to its end, which is `length` later.
    pub fn read(&mut self, recording: &Path, players: u16, settle: Duration, length: Duration) -> Result<()> {
        let mut reader = Reader::open(recording)?;
        let rate = f64::from(reader.header().tick_rate);
        let (mut joined, mut first, mut last) = (0_u16, None, 0);
        let mut ticks = Vec::new();
        for tick in reader.ticks(0) {
            let tick = tick?;
            joined += tick.commands.iter().filter(|command| matches!(command, Command::Join { .. })).count() as u16;
            if joined > 0 {
                first.get_or_insert(tick.tick);
            }
            last = tick.tick;
            ticks.push(tick);
        }
        ensure!(joined == players, "{joined} of {players} players joined");
        let from = first.context("nobody joined")? + (settle.as_secs_f64() * rate) as u32;
        let wanted = (length.as_secs_f64() * rate) as u64;
        let seen = u64::from(last.saturating_sub(from));
        ensure!(seen > 0, "the match ended before it was looked at");
        self.ticks_missed = wanted.saturating_sub(seen);
        for tick in ticks.iter().filter(|tick| tick.tick > from) {
            // The last moments are the server's end: everyone leaves.
            let ends = last - tick.tick < rate as u32 / 4;
            for command in &tick.commands {
                match command {
                    Command::Input { substituted, .. } => {
                        self.inputs.0 += 1;
                        self.inputs.1 += u64::from(*substituted);
                    }
                    Command::Leave { .. } if !ends => self.dropped += 1,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} inputs late or lost ({:.3} %), {} dropped, {} ticks missed, server {:.0} % of a core, {:.1} to {:.1} MB, \
             {} datagrams found its socket full, of the others {}; bots: {}",
            self.inputs.1,
            self.inputs.0,
            self.late_or_lost_percent(),
            self.dropped,
            self.ticks_missed,
            self.cpu_percent,
            self.memory_mb.0,
            self.memory_mb.1,
            self.socket_drops,
            self.datagrams,
            self.bots,
        )
    }
}
