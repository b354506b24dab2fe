//! Planted faults: each breaks one rule that the code of the house keeps. A chore that does not notice one proves nothing.

use arbiter_eventlog::simulated::Dice;

use crate::faulty::Fault;
use crate::{Kind, Seed, Violation, count, play};

/// Places of one script that are tried with a mutant.
const PLACES: u64 = 8;

/// What is done wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The economy's log is acknowledged though its data was not flushed.
    AcknowledgeBeforeFlush,
    /// The names of new files are not flushed.
    NoFolderFlush,
    /// A failed flush is tried again, and its second answer believed.
    FailedFlushRetried,
    /// A flush is done when the file is written the next time.
    FlushLate,
    /// Nobody looks at how much of a write was written.
    ShortWrite,
    /// A file is replaced by writing over it.
    RenameByCopy,
    /// A client is answered when its command is decided, not when it is on disk.
    AnswerBeforeCommit,
    /// A match's result is called final before its log has it.
    FinalBeforeCommit,
    /// The economy consumes results that their log has not acknowledged.
    ReadAhead,
    /// The position in the source is kept apart, and written before the effect.
    CursorBeforeEffect,
    /// The position in the source is kept apart, and written after the effect.
    EffectBeforeCursor,
    /// A client who got no answer asks again under a new key.
    NewKeyEachTry,
    /// A purchase is two orders: one that pays and one that delivers.
    OrderInHalves,
    /// The snapshots before are dropped when the next one is begun.
    SnapshotBeforeDropped,
}

/// All of them.
pub const ALL: [Mutant; 14] = [
    Mutant::AcknowledgeBeforeFlush,
    Mutant::NoFolderFlush,
    Mutant::FailedFlushRetried,
    Mutant::FlushLate,
    Mutant::ShortWrite,
    Mutant::RenameByCopy,
    Mutant::AnswerBeforeCommit,
    Mutant::FinalBeforeCommit,
    Mutant::ReadAhead,
    Mutant::CursorBeforeEffect,
    Mutant::EffectBeforeCursor,
    Mutant::NewKeyEachTry,
    Mutant::OrderInHalves,
    Mutant::SnapshotBeforeDropped,
];

impl Mutant {
    /// What it does, for people.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::AcknowledgeBeforeFlush => "acknowledge before the flush",
            Mutant::NoFolderFlush => "no flush of the folder",
            Mutant::FailedFlushRetried => "a failed flush tried again",
            Mutant::FlushLate => "the flush comes a write too late",
            Mutant::ShortWrite => "a short write taken for a whole one",
            Mutant::RenameByCopy => "a file replaced by writing over it",
            Mutant::AnswerBeforeCommit => "answer before the commit",
            Mutant::FinalBeforeCommit => "a result final before its commit",
            Mutant::ReadAhead => "consume what is not acknowledged",
            Mutant::CursorBeforeEffect => "cursor before effect",
            Mutant::EffectBeforeCursor => "effect before cursor",
            Mutant::NewKeyEachTry => "a new key for each try",
            Mutant::OrderInHalves => "an order in two halves",
            Mutant::SnapshotBeforeDropped => "the snapshot before dropped too early",
        }
    }

    /// What its disk does wrongly.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Mutant::FailedFlushRetried => Some(Fault::FlushRetried),
            Mutant::FlushLate => Some(Fault::FlushLate),
            Mutant::ShortWrite => Some(Fault::ShortWrite),
            Mutant::RenameByCopy => Some(Fault::RenameByCopy),
            _ => None,
        }
    }
}

/// Where a mutant was noticed.
#[derive(Debug, Clone)]
pub struct Noticed {
    /// Runs that it took.
    pub runs: u64,
    /// The last of them.
    pub seed: Seed,
    /// What was seen.
    pub violation: Violation,
}

/// Plays runs with a mutant until it is noticed: a few places of each script, spread over it.
///
/// # Errors
/// It was not, within so many runs.
pub fn noticed(mutant: Mutant, from: u64, runs_max: u64) -> Result<Noticed, Violation> {
    let mut dice = Dice::new(from);
    let mut runs = 0;
    for script in from.. {
        let places = count(script)?;
        for _ in 0..PLACES {
            if runs >= runs_max {
                break;
            }
            runs += 1;
            let seed = Seed { script, place: dice.below(places) };
            if let Err(violation) = play(seed, Some(mutant)) {
                return Ok(Noticed { runs, seed, violation });
            }
        }
        if runs >= runs_max {
            break;
        }
    }
    Err(Kind::Broken.because(format!("nothing was noticed in {runs} runs")))
}
