//! Simulating recordings again and checking every hash, on all cores if there are many files.
//!
//! Damage does not end a verification: it goes on from the next whole checkpoint, and says which ticks were passed over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use arbiter_recording::{Damage, End, Fault, ReadError};
use rustix::time::{ClockId, clock_gettime};

use crate::compare::{Difference, differences};
use crate::replay::{Assets, Options, Replay, ReplayError, step_to};

/// Ticks between two calls of the progress callback.
const PROGRESS_TICKS: u32 = 256;

/// The first tick at which the simulation is not what was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// Which tick.
    pub tick: u32,
    /// The hash that was recorded.
    pub recorded: u64,
    /// The hash that was simulated.
    pub found: u64,
    /// The tick at which the states were compared: the divergent one if a checkpoint leads there, else the next checkpoint;
    /// `None` if the recording has no checkpoint that helps.
    pub compared_at: Option<u32>,
    /// What differs there, left as recorded.
    pub differences: Vec<Difference>,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyReport {
    /// Which file.
    pub path: PathBuf,
    /// Ticks that were simulated and compared.
    pub ticks: u32,
    /// How many of them differ.
    pub divergent: u32,
    /// The first that does.
    pub divergence: Option<Divergence>,
    /// What is damaged in the file.
    pub damages: Vec<Damage>,
    /// Ticks that are lost to damage or could not be reached because of it.
    pub skipped: u32,
    /// How the match ended; `None` if the recording was never finished.
    pub end: Option<End>,
    /// Processor time of the thread for reading, stepping and hashing.
    pub cpu: Duration,
}

impl VerifyReport {
    /// Whether every tick was there and the same. A recording that a killed server left torn is in order up to its end.
    pub fn is_good(&self) -> bool {
        self.divergent == 0 && self.damages.iter().all(|damage| damage.fault == Fault::Torn)
    }

    /// Ticks for each second of processor time.
    pub fn ticks_per_second(&self) -> f64 {
        f64::from(self.ticks) / self.cpu.as_secs_f64().max(1e-9)
    }
}

/// Verifies one recording. `progress` is called now and then with how many ticks were done since the last call.
pub fn verify(
    path: &Path,
    assets: &dyn Assets,
    options: Options,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<VerifyReport, ReplayError> {
    let mut replay = Replay::open(path, assets, options)?;
    let damage = replay.reader.damage().map_err(|error| replay.read(error))?;
    let info = replay.reader.info();
    let mut report = VerifyReport {
        path: path.to_owned(),
        ticks: 0,
        divergent: 0,
        divergence: None,
        damages: damage.damages,
        skipped: 0,
        end: info.end,
        cpu: Duration::ZERO,
    };
    let mut started = thread_time();
    let mut unreported = 0;
    for index in 0..replay.reader.block_count() {
        let block = match replay.reader.block(index) {
            Ok(Some(block)) => block,
            Ok(None) => break,
            // Told of in the damage report; the gap is noticed with the next block.
            Err(ReadError::Damaged(damage)) => {
                if !report.damages.iter().any(|known| known.offset == damage.offset) {
                    report.damages.push(damage);
                }
                continue;
            }
            Err(error) => return Err(replay.read(error)),
        };
        for (tick, commands, recorded) in block.ticks() {
            if tick <= replay.simulation.tick() {
                continue;
            }
            if tick != replay.simulation.tick() + 1 && !bridge(&mut replay, tick)? {
                break;
            }
            if tick <= replay.simulation.tick() {
                continue;
            }
            replay.simulation.step(commands);
            let found = replay.simulation.hash();
            report.ticks += 1;
            unreported += 1;
            if unreported == PROGRESS_TICKS {
                progress(std::mem::take(&mut unreported));
            }
            if found != recorded {
                report.divergent += 1;
                if report.divergence.is_none() {
                    report.cpu += thread_time().saturating_sub(started);
                    report.divergence = Some(explain(&mut replay, tick, recorded, found)?);
                    started = thread_time();
                }
            }
        }
    }
    report.cpu += thread_time().saturating_sub(started);
    progress(unreported);
    report.skipped = info.range.map_or(0, |(_, last)| last).saturating_sub(report.ticks);
    Ok(report)
}

/// Crosses a gap that ends at `tick`: restores the first whole checkpoint from which `tick` or a later one can follow.
fn bridge(replay: &mut Replay<'_>, tick: u32) -> Result<bool, ReplayError> {
    match replay.reader.checkpoint_after(tick.saturating_sub(1), &replay.tick0) {
        Ok(Some((at, state))) => replay.restore(at, &state).map(|()| true),
        Ok(None) | Err(ReadError::OtherTick0) => Ok(false),
        Err(error) => Err(replay.read(error)),
    }
}

/// Finds what differs. The states of the divergent tick itself can be compared if the run from a checkpoint before it
/// gives the recorded hash; else those of the next checkpoint, to which differences have spread.
fn explain(replay: &mut Replay<'_>, tick: u32, recorded: u64, found: u64) -> Result<Divergence, ReplayError> {
    let mut out = Divergence { tick, recorded, found, compared_at: None, differences: Vec::new() };
    let before = replay.reader.checkpoint_before(tick.saturating_sub(1), &replay.tick0);
    if let Ok(Some((_, state))) = before {
        let mut theirs = replay.sibling()?;
        if theirs.restore(&state).is_ok()
            && step_to(&mut replay.reader, &mut theirs, tick).is_ok()
            && theirs.hash() == recorded
        {
            out.compared_at = Some(tick);
            out.differences = differences(&theirs.dump(), &replay.simulation.dump());
            return Ok(out);
        }
    }
    let after = replay.reader.checkpoint_after(tick, &replay.tick0);
    if let Ok(Some((at, state))) = after {
        let mut here = Vec::new();
        replay.simulation.checkpoint(&mut here);
        let (mut theirs, mut ours) = (replay.sibling()?, replay.sibling()?);
        if theirs.restore(&state).is_ok()
            && ours.restore(&here).is_ok()
            && step_to(&mut replay.reader, &mut ours, at).is_ok()
        {
            out.compared_at = Some(at);
            out.differences = differences(&theirs.dump(), &ours.dump());
        }
    }
    Ok(out)
}

/// Verifies many recordings on `threads` threads; the results are in the order of the paths.
pub fn verify_many(
    paths: &[PathBuf],
    assets: &dyn Assets,
    options: Options,
    threads: usize,
    progress: &(dyn Fn(u32) + Sync),
) -> Vec<Result<VerifyReport, ReplayError>> {
    let (work, jobs) = crossbeam::channel::unbounded();
    let (done, results) = crossbeam::channel::unbounded();
    for job in paths.iter().enumerate() {
        // The other end lives on this stack.
        let _ = work.send(job);
    }
    drop(work);
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, paths.len().max(1)) {
            let (jobs, done) = (jobs.clone(), done.clone());
            scope.spawn(move || {
                for (index, path) in jobs {
                    let _ = done.send((index, verify(path, assets, options, progress)));
                }
            });
        }
    });
    drop(done);
    let mut all: Vec<_> = results.into_iter().collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
