//! Every no. A [`Refusal`] is an answer: it is written down and given again. [`Unanswered`] is not: nothing happened, and the
//! same may be sent again when what is wrong is put right. [`Broken`] is what must never be.

use thiserror::Error;

use crate::Account;
use crate::key::{AHEAD_MS_MAX, KEPT_MS, Key};

/// Why an order was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("step {step} of the order: {why}")]
pub struct Refusal {
    /// Which step, from 0.
    pub step: u32,
    /// Why.
    pub why: Why,
}

/// What is wrong with a step. The numbers are those of the bytes in a log, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Why {
    /// Nothing to do.
    #[error("the order has no steps: it was put aside")]
    Aside,
    /// Done before.
    #[error("this was done before and may be done only once")]
    Claimed,
    /// The claim's time is over.
    #[error("the claim ends before now: claim something that still lasts")]
    ClaimOver,
    /// Not registered.
    #[error("the asset is not known: register it first")]
    UnknownAsset,
    /// Registered otherwise.
    #[error("the asset is registered with another supply, which never changes: use another name")]
    AssetExists,
    /// Nothing, or more than a balance holds.
    #[error("the amount must be from 1 to 9,223,372,036,854,775,807")]
    Amount,
    /// From and to are one.
    #[error("it would move from an account to itself")]
    SameAccount,
    /// From and to differ in the asset.
    #[error("the two accounts are of different assets: what comes in must be what went out")]
    AssetsDiffer,
    /// A bucket that is not for this.
    #[error(
        "the bucket is not for this: held ones are touched by holds alone, issuers are the house's, holds do not take from \
         issuers and debts, and an asset with a supply cannot be owed"
    )]
    Bucket,
    /// Too little.
    #[error("the account has less than that: put something in, or take less")]
    NotEnough,
    /// More than the limit.
    #[error("the account would be beyond its limit: move less, or set another limit")]
    Limit,
    /// More than the supply.
    #[error("more of the asset would be out than its supply allows")]
    Supply,
    /// Frozen.
    #[error("the account is frozen: free it first")]
    Frozen,
    /// No such hold.
    #[error("the hold is closed, or never was")]
    UnknownHold,
    /// Its time has come.
    #[error("the hold's time is over, and what it held comes back: hold it again")]
    HoldOver,
    /// More than it has.
    #[error("the hold has less than that: post from 1 to what it has")]
    MoreThanHeld,
    /// The time of a hold.
    #[error("a hold lasts from 1 millisecond to 30 days from now")]
    HoldTime,
    /// Too many.
    #[error("as many holds are open as may be: post or void some")]
    TooManyHolds,
    /// A note of nothing, or too long.
    #[error("a note has from 1 to {max} bytes", max = crate::command::NOTE_BYTES_MAX)]
    NoteSize,
    /// More movements than one booking may have.
    #[error("the order would move something {max} times and more: split it", max = crate::command::POSTINGS_MAX + 1)]
    TooManyPostings,
}

/// Why a command got no answer. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// The same key for something else.
    #[error("the key {0} was used for another request: make a new key")]
    Conflict(Key),
    /// Forgotten by now.
    #[error("the key {0} is older than {days} days, so that nobody knows any more whether it was used: make a new key", days = KEPT_MS / 86_400_000)]
    TooOld(Key),
    /// From the future.
    #[error("the key {0} is more than {minutes} minutes ahead: set the clock that it was made by", minutes = AHEAD_MS_MAX / 60_000)]
    Ahead(Key),
    /// Too many steps.
    #[error("the command has {0} steps, and at most {max} are taken at once: split it", max = crate::command::STEPS_MAX)]
    TooManySteps(usize),
    /// Too many bytes.
    #[error("the entry would have {0} bytes, and at most {max} fit a record: split the command", max = crate::entry::ENTRY_BYTES_MAX)]
    TooLarge(usize),
    /// Amending what was not consumed, or what could happen twice.
    #[error("only what was consumed can be amended, by orders about its subject that have a claim")]
    Amendment,
}

/// An entry or a checkpoint that cannot be true. Whoever meets one stops: money that is wrong must not be spent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Broken {
    /// Bytes of nothing known.
    #[error("the bytes at {0} are not those of a ledger in format {format}: use the release that wrote them", format = crate::entry::FORMAT)]
    Bytes(usize),
    /// Not the one that follows.
    #[error("entry {found} stands where {expected} belongs")]
    Number {
        /// Its number.
        found: u64,
        /// The next one's.
        expected: u64,
    },
    /// Of another history.
    #[error("entry {0} does not follow the entries before it: the snapshot or the log is of another history")]
    History(u64),
    /// Something else than follows.
    #[error("entry {0} says of its time, cause or numbers what cannot follow what was before")]
    Sequence(u64),
    /// Does not sum to zero.
    #[error("the movements of an asset do not sum to zero")]
    Unbalanced,
    /// A balance that differs or cannot be.
    #[error("the balance of {0} is not what it must be")]
    Balance(Account),
    /// A hold that cannot be.
    #[error("hold {0} is not what it must be")]
    Hold(u64),
}
