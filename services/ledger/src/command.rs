//! What can be asked of a ledger.

use crate::key::Key;
use crate::{Account, Name, Time};

/// Steps of all orders of one command at most: so many make less than a second's work and, with names of usual length, less
/// than one record of a log.
pub const STEPS_MAX: usize = 8_192;

/// Postings of one order at most, those that pay what is owed included: a booking is told to the world in one event, and so many
/// with names of full length fit the largest that there is.
pub const POSTINGS_MAX: usize = 2_048;

/// How long a hold may be open at most: 30 days, the longest that payments are kept waiting.
pub const HOLD_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// Open holds of all owners together at most, about 200 B of memory each.
pub const HOLDS_MAX: usize = 1 << 20;

/// Bytes of a note at most: a purchase of 64 things with names of full length fits.
pub const NOTE_BYTES_MAX: usize = 8 << 10;

/// What comes in, named so that it can come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// What a service makes of a record of a log. Positions of a source only go forward; one that was consumed is so for ever.
    Consume {
        /// Name of the log.
        source: Name,
        /// Position of the record.
        position: u64,
        /// What to do; each order is done or refused alone.
        orders: Vec<Order>,
    },
    /// Orders of a record that was consumed, once more, since some of them were refused. Each must have a claim.
    Amend {
        /// Name of the log.
        source: Name,
        /// Position of the record.
        position: u64,
        /// Whom all orders are about.
        subject: u64,
        /// What to do; each order is done or refused alone.
        orders: Vec<Order>,
    },
    /// A request of a client. Its answer is kept, refusals too.
    Request {
        /// Its name.
        key: Key,
        /// A digest of what the client asked: the same key with another one is a conflict. The order need not be the same,
        /// since prices change between two deliveries of one request.
        request: u128,
        /// What to do.
        order: Order,
    },
    /// Nothing but that time passes: holds that are due come back.
    Elapse,
}

/// Steps that are done all or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Whom it is about: a player's number, or [`crate::account::HOUSE`].
    pub subject: u64,
    /// Short name of the reason: grant, purchase, refund or a studio's own.
    pub reason: Name,
    /// What may happen only once.
    pub claim: Option<Claim>,
    /// What to do, in this order. Without steps the order is refused as put aside: that is how a service writes down that it
    /// saw something and could not do it.
    pub steps: Vec<Step>,
}

/// What may happen only once, whatever brings it: a reward for an event in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Digest of what happens.
    pub key: u128,
    /// When it may happen again; [`Time::NEVER`] for once and for all, which is kept for ever.
    pub until: Time,
}

/// One step of an order. Amounts are of the asset's smallest unit and at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes an asset known. The same again does nothing; otherwise is refused.
    Register {
        /// Its name.
        asset: Name,
        /// How much of it may be out in the world; 1 for a unique item; `None` for any amount.
        supply: Option<u64>,
    },
    /// Moves an amount.
    Transfer {
        /// From here.
        from: Account,
        /// To here.
        to: Account,
        /// How much.
        amount: u64,
    },
    /// Puts an amount aside that is moved by [`Step::Post`], or comes back by [`Step::Void`] or when its time has come.
    Hold {
        /// From here; an account that may not be below zero.
        from: Account,
        /// To here, when it is posted.
        to: Account,
        /// How much.
        amount: u64,
        /// When it comes back, at most [`HOLD_MS_MAX`] from now.
        until: Time,
    },
    /// Moves what a hold put aside, or a part of it; the rest comes back.
    Post {
        /// Number of the hold.
        hold: u64,
        /// How much; `None` for all.
        amount: Option<u64>,
    },
    /// Brings back what a hold put aside.
    Void {
        /// Number of the hold.
        hold: u64,
    },
    /// Sets how far from zero an account may be moved: see [`crate::Balance::limit`].
    Limit {
        /// Which account.
        account: Account,
        /// How far.
        limit: Option<u64>,
    },
    /// Freezes an account, or frees it.
    Freeze {
        /// Which account.
        account: Account,
        /// Whether it is frozen from now on.
        frozen: bool,
    },
    /// Writes something down beside what moves, in the same entry: the ledger keeps it in its history and does not look at it.
    Note {
        /// What a service says of the order, in a form of its own; 1 to [`NOTE_BYTES_MAX`] bytes.
        bytes: Vec<u8>,
    },
}
