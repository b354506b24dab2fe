//! What an applied command says: the record that goes to the log. It holds all that changed and where it came from, so that
//! effect and cursor are one write, and [`crate::State::redo`] needs nothing else.

use crate::key::Key;
use crate::refusal::{Refusal, Why};
use crate::state::Hold;
use crate::{Account, Name, Time};

/// Bytes of an entry at most: a record of a log.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// Version of the bytes of entries and checkpoints.
pub const FORMAT: u8 = 1;

/// One applied command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0 without a gap.
    pub number: u64,
    /// BLAKE3 through all entries before: an entry fits one history only.
    pub before: [u8; 32],
    /// When; never before the entry before.
    pub time: Time,
    /// Where it came from.
    pub cause: Cause,
    /// Holds whose time had come, which came back before anything else.
    pub released: Option<Booking>,
    /// What became of each order, in their order.
    pub orders: Vec<Outcome>,
}

/// Where an entry came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// [`crate::Command::Consume`].
    Consumed {
        /// Name of the log.
        source: Name,
        /// Position of the record.
        position: u64,
    },
    /// [`crate::Command::Amend`].
    Amended {
        /// Name of the log.
        source: Name,
        /// Position of the record.
        position: u64,
        /// Whom the orders are about.
        subject: u64,
    },
    /// [`crate::Command::Request`].
    Requested {
        /// Name of the request.
        key: Key,
        /// Digest of what was asked.
        request: u128,
    },
    /// [`crate::Command::Elapse`].
    Elapsed,
}

/// What became of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whom it was about.
    pub subject: u64,
    /// What was done, or why nothing was.
    pub result: Result<Booking, Refusal>,
}

/// Changes that were made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Its number, from 0 without a gap: that of the transfer in events.
    pub transfer: u64,
    /// Short name of the reason.
    pub reason: Name,
    /// The changes. What moves sums to zero for each asset.
    pub effects: Vec<Effect>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An asset is known.
    Registered {
        /// Its name.
        asset: Name,
        /// How much of it may be out.
        supply: Option<u64>,
    },
    /// A posting.
    Moved {
        /// Which account.
        account: Account,
        /// Added to it; negative for taken.
        amount: i64,
        /// What is there now.
        balance: i64,
    },
    /// A hold was opened; what it moved is said apart.
    Held {
        /// Its number, from 0 without a gap.
        number: u64,
        /// What it is.
        hold: Hold,
    },
    /// A hold was closed; what it moved is said apart.
    Closed {
        /// Its number.
        number: u64,
        /// How much of it was posted; the rest came back.
        posted: u64,
    },
    /// An account's limit was set.
    Limited {
        /// Which account.
        account: Account,
        /// Its limit now.
        limit: Option<u64>,
    },
    /// An account was frozen or freed.
    Frozen {
        /// Which account.
        account: Account,
        /// Whether it is frozen now.
        frozen: bool,
    },
    /// Something that may happen only once has happened.
    Claimed {
        /// Its digest.
        key: u128,
        /// When it may happen again.
        until: Time,
    },
    /// Something was written down, by [`crate::Step::Note`].
    Noted {
        /// What.
        bytes: Vec<u8>,
    },
}

/// What a client is told of a request: the same whenever it asks again.
pub type Answer = Result<Receipt, Refusal>;

/// That an order was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Number of its booking.
    pub transfer: u64,
    /// Number of the first hold that it opened; the others follow it.
    pub first_hold: u64,
    /// How many holds it opened.
    pub holds: u32,
}

impl Booking {
    /// What a client is told.
    pub fn receipt(&self) -> Receipt {
        let mut numbers = self.effects.iter().filter_map(|effect| match effect {
            Effect::Held { number, .. } => Some(*number),
            _ => None,
        });
        let first = numbers.next();
        let holds = first.map_or(0, |_| 1 + numbers.count() as u32);
        Receipt { transfer: self.transfer, first_hold: first.unwrap_or(0), holds }
    }
}

impl Entry {
    /// What a client is told, if a client asked.
    pub fn answer(&self) -> Option<Answer> {
        match (&self.cause, self.orders.first()) {
            (Cause::Requested { .. }, Some(outcome)) => Some(outcome.answer()),
            _ => None,
        }
    }

    /// All bookings, in the order in which they were made.
    pub fn bookings(&self) -> impl Iterator<Item = &Booking> {
        self.released.iter().chain(self.orders.iter().filter_map(|outcome| outcome.result.as_ref().ok()))
    }
}

impl Outcome {
    /// What a client is told.
    pub fn answer(&self) -> Answer {
        self.result.as_ref().map(Booking::receipt).map_err(|refusal| *refusal)
    }

    /// Whether it still has to be done: neither done nor claimed before.
    pub fn is_open(&self) -> bool {
        self.result.as_ref().is_err_and(|refusal| refusal.why != Why::Claimed)
    }
}
