//! Which runs there are. A seed names a script and the operation in which its power fails; the runs of a script cover every
//! one of its operations on both disks, and some flushes that fail.

use std::fmt;
use std::str::FromStr;

use arbiter_eventlog::simulated::{Dice, Faults};

use crate::world::World;
use crate::{Mutant, Violation};

/// Steps of the first life, and of the second.
const STEPS: (u32, u32) = (120, 30);

/// Flushes of each disk of which one fails, in as many runs.
const FAILING_FLUSHES: u64 = 12;

/// Operations of the second life, opening included, within which power fails again.
const SECOND_LOSS_WITHIN: u64 = 60;

/// Names one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed {
    /// Seed of the script.
    pub script: u64,
    /// Where it fails: an operation of the results' disk, then of the entries' disk, then a flush of each.
    pub place: u64,
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.script, self.place)
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.split_once(':').and_then(|(script, place)| Some((script.parse().ok()?, place.parse().ok()?)));
        let (script, place) = pair.ok_or("a seed is two numbers with a colon between them, as a failure prints it")?;
        Ok(Self { script, place })
    }
}

/// What runs did, summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Matches whose results were told.
    pub matches: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Of these, done and not refused.
    pub done: u64,
    /// Times that the economy was opened from a snapshot.
    pub from_snapshots: u64,
    /// Points at which the live ledger was compared with its replay.
    pub hashes: u64,
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: Tally) {
        self.runs += other.runs;
        self.matches += other.matches;
        self.requests += other.requests;
        self.done += other.done;
        self.from_snapshots += other.from_snapshots;
        self.hashes += other.hashes;
    }
}

/// Places of a script: operations of both disks in its first life, and the flushes.
fn places(script: u64) -> Result<(u64, u64), Violation> {
    let mut world = World::new(script, None);
    world.set_faults(Faults::default(), Faults::default());
    world.live(&mut Dice::new(script), STEPS.0)?;
    Ok((world.results.disk.operations(), world.entries.disk.operations()))
}

/// How many runs a script has.
pub fn count(script: u64) -> Result<u64, Violation> {
    let (results, entries) = places(script)?;
    Ok(results + entries + 2 * FAILING_FLUSHES)
}

/// What goes wrong at a place, on the results' disk and on the entries'.
fn faults(seed: Seed) -> Result<(Faults, Faults), Violation> {
    let (results, entries) = places(seed.script)?;
    let none = Faults::default();
    let loss = |at| Faults { power_loss_at: Some(at), ..none };
    let flush = |at| Faults { failing_sync_at: Some(at), ..none };
    let place = seed.place;
    Ok(if place < results {
        (loss(place), none)
    } else if place < results + entries {
        (none, loss(place - results))
    } else if place < results + entries + FAILING_FLUSHES {
        (flush(place - results - entries), none)
    } else {
        (none, flush(place - results - entries - FAILING_FLUSHES))
    })
}

/// Plays a script on disks that never fail: three lives, each ended by its script. A mutant must get through this; what it does
/// wrongly must only show when something fails.
///
/// # Errors
/// What was that must never be.
pub fn play_calm(script: u64, mutant: Option<Mutant>) -> Result<(), Violation> {
    let mut world = World::new(script, mutant);
    let mut dice = Dice::new(script);
    for steps in [STEPS.0, STEPS.1] {
        world.set_faults(Faults::default(), Faults::default());
        world.live_and_close(&mut dice, steps)?;
    }
    world.end(&mut dice)
}

/// Plays one run.
///
/// # Errors
/// What was that must never be.
pub fn play(seed: Seed, mutant: Option<Mutant>) -> Result<Tally, Violation> {
    let (results, entries) = faults(seed)?;
    let mut world = World::new(seed.script, mutant);
    world.set_faults(results, entries);
    world.live(&mut Dice::new(seed.script), STEPS.0)?;
    let mut dice = Dice::new(seed.script ^ seed.place << 32 ^ 0xC4A5);
    // After a failed flush the process may start again while the machine stays on.
    if !world.flush_may_fail || dice.below(2) == 0 {
        world.lose_power(&mut dice);
    }
    let again = Faults { power_loss_at: Some(dice.below(SECOND_LOSS_WITHIN)), ..Faults::default() };
    let (results, entries) = if dice.below(3) == 0 { (again, Faults::default()) } else { (Faults::default(), again) };
    world.set_faults(results, entries);
    world.live(&mut dice, STEPS.1)?;
    world.lose_power(&mut dice);
    world.end(&mut dice)?;
    let answered = world.known.asked.iter().filter_map(|asked| asked.told);
    Ok(Tally {
        runs: 1,
        matches: world.known.matches.len() as u64,
        requests: world.known.asked.len() as u64,
        done: answered.filter(Result::is_ok).count() as u64,
        from_snapshots: world.from_snapshots,
        hashes: world.known.hashes.len() as u64,
    })
}
