//! What nobody but people can decide: a notification that does not fit what was begun, or that could not be done.

use arbiter_ledger::{Name, Time};

use super::adapter::Happened;

/// Bytes of what is said of it at most.
pub const DETAIL_BYTES_MAX: usize = 300;

/// Why something was put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No such payment was begun here, or it was forgotten: somebody paid for nothing.
    Unknown,
    /// It was begun with another provider.
    OtherProvider,
    /// Amount, currency or product is not what was begun: nothing was given.
    OtherTerms,
    /// Another amount than was paid went back: nothing was taken back.
    OtherAmount,
    /// It was paid, and the ledger refuses to give what was bought: put that right and deliver it, or give the money back.
    Refused,
    /// It was paid, and its player has as many of the product as one may buy: give the money back.
    EachMax,
    /// The money went back, and the ledger refuses to take back what was given.
    NotTakenBack,
    /// The money went back, and what has a supply is not there to be taken back.
    Kept,
    /// The house gave the money back, and the player's bank took it back too.
    Twice,
}

impl Reason {
    /// All of them, by the numbers that they have in notes.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::OtherProvider,
        Self::OtherTerms,
        Self::OtherAmount,
        Self::Refused,
        Self::EachMax,
        Self::NotTakenBack,
        Self::Kept,
        Self::Twice,
    ];

    /// A word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::OtherProvider => "other-provider",
            Self::OtherTerms => "other-terms",
            Self::OtherAmount => "other-amount",
            Self::Refused => "refused",
            Self::EachMax => "each-max",
            Self::NotTakenBack => "not-taken-back",
            Self::Kept => "kept",
            Self::Twice => "twice",
        }
    }

    /// Whether it is about something that was paid for and not given.
    pub(crate) fn is_undelivered(self) -> bool {
        matches!(self, Self::Refused | Self::EachMax)
    }
}

/// Something that waits for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Who said it.
    pub provider: Name,
    /// Its id there.
    pub notification: String,
    /// Which payment it is about.
    pub payment: u128,
    /// What was said.
    pub happened: Happened,
    /// Why it was put aside.
    pub reason: Reason,
    /// The same in words.
    pub detail: String,
    /// When.
    pub time: Time,
}
