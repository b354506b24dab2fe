//! Power fails at every write between a match's result and a wallet; nothing that anybody was told may be lost, nothing may
//! happen twice, nothing may come from nowhere.
//!
//! A run is a script from a seed: a server that tells results to a log, an economy that makes money of them, clients who buy
//! and hold and ask again when they got no answer. Power fails inside one operation of one of the two disks, once more while
//! the second life begins, and then everybody goes on to the end. What must be so afterwards is counted from what the
//! outside was told, apart from the ledger. [`mutants`] plants faults, one rule broken by each; every one must be noticed.
//!
//! Next: [`world`] for the script, [`known`] for what must be so, [`faulty`] for disks that break a rule.

pub mod faulty;
pub mod known;
pub mod mutants;
pub mod runs;
pub mod world;

pub use mutants::Mutant;
pub use runs::{Seed, Tally, count, play, play_calm};

/// What must never be, and was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody was told of something that is not there.
    Lost,
    /// Something happened more than once.
    Doubled,
    /// An asset does not sum to zero, a hold leaks, or an order was half done.
    Unbalanced,
    /// A replay builds another ledger.
    Hash,
    /// A log that cannot be opened or read, or something else that no fault explains.
    Broken,
}

/// What must never be, and was, with what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of which kind.
    pub kind: Kind,
    /// What.
    pub what: String,
}

impl Kind {
    /// A violation of this kind.
    pub fn because(self, what: impl Into<String>) -> Violation {
        Violation { kind: self, what: what.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}
