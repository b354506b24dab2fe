//! Selling for money of the real world: what was begun, what the provider said of it, what people have to look at.
//!
//! All of it follows from notes in the economy's own entries, so that a payment and what it moves are one write. A payment is begun
//! here before the provider hears of it; what the provider says comes late, twice and out of order, and is done once. What a
//! provider knows of a person stays with the provider: here is the player's number and nothing else.
//!
//! Next: [`Provider`] for what an adapter of a provider has to do, `book.rs` for what a notification moves, [`mod@reconcile`] for the
//! comparison with the provider's statement, [`local`] for a provider to develop against. Shapes and problems stand in
//! `docs/economy.md`, why it is so in `docs/decisions/payments.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arbiter_ledger::{Broken, Effect, Entry, Map, Name, Time};

use crate::catalogue::{Price, Sum};
use crate::notes::Note;

mod adapter;
mod aside;
mod book;
mod checkout;
pub mod local;
mod note;
pub mod reconcile;
pub mod signature;

pub use adapter::{
    Asked, BEGIN_MS_MAX, BadNotification, Happened, ID_BYTES_MAX, Notification, PaymentsConfig, Provider, ProviderError,
};
pub use aside::{Aside, Reason};
pub use book::NotifyError;
pub use checkout::CheckoutError;
pub use signature::Secrets;

pub(crate) use note::Noted;

/// Payments that are kept: about 200 B of memory each. When so many are, nothing is sold for money of the real world any more.
pub const PAYMENTS_MAX: usize = 1 << 22;

/// How long somebody has to pay: a day, as providers' pages last. Who pays later gets what was begun all the same.
pub const PENDING_MS: u64 = 24 * 3600 * 1000;

/// How long a payment of which nothing was heard is kept: 30 days, as the key that it was begun under is known.
pub const KEPT_MS: u64 = arbiter_ledger::key::KEPT_MS;

/// Payments of one player that may wait to be paid: more than that is no shopper.
pub const PENDING_MAX: usize = 16;

/// Notifications that wait for people; when so many do, further ones are refused, and the provider repeats them.
pub const ASIDE_MAX: usize = 65_536;

/// What was agreed when a payment was begun; later catalogues do not change it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms {
    /// Who takes the money.
    pub provider: Name,
    /// What is bought.
    pub product: Name,
    /// What it costs.
    pub price: Price,
    /// What one gets.
    pub gives: Vec<Sum>,
    /// How many of it one player may ever buy.
    pub each_max: Option<u32>,
}

/// How money went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reversal {
    /// By the house.
    Refunded,
    /// By the player's bank, against the house.
    ChargedBack,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Who buys.
    pub player: u64,
    /// What was agreed.
    pub terms: Arc<Terms>,
    /// When it was begun.
    pub begun: Time,
    /// Whether the provider said that it was paid.
    pub paid: bool,
    /// Whether what was bought was given. It stays so when it is taken back.
    pub delivered: bool,
    /// Whether the provider said that it came to nothing; it may be paid after that.
    pub failed: bool,
    /// Whether the house gave the money back.
    pub refunded: bool,
    /// Whether the player's bank took the money back.
    pub charged_back: bool,
    /// What could not be taken back, because it has a supply and was not there.
    pub kept: Vec<Sum>,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaymentState {
    /// Nothing was heard of it yet.
    Pending,
    /// Nothing was heard of it for [`PENDING_MS`].
    Expired,
    /// The provider gave it up.
    Failed,
    /// Paid.
    Paid,
    /// The house gave the money back.
    Refunded,
    /// The player's bank took the money back.
    ChargedBack,
}

impl Payment {
    /// Where it stands at a time.
    pub fn state(&self, now: Time) -> PaymentState {
        if self.charged_back {
            PaymentState::ChargedBack
        } else if self.refunded {
            PaymentState::Refunded
        } else if self.paid {
            PaymentState::Paid
        } else if self.failed {
            PaymentState::Failed
        } else if now >= self.begun.after(PENDING_MS) {
            PaymentState::Expired
        } else {
            PaymentState::Pending
        }
    }

    /// Whether the money went back.
    pub fn reversed(&self) -> bool {
        self.refunded || self.charged_back
    }

    /// Whether the player has what was bought, or had it and spent it.
    pub fn given(&self) -> bool {
        self.delivered && !self.reversed()
    }

    /// Whether nothing but its end was heard of it, so that it may be forgotten.
    fn is_forgettable(&self) -> bool {
        !self.paid && !self.reversed()
    }
}

/// All payments, as the economy's entries tell them. A clone shares what is in it ([`Map`]).
#[derive(Debug, Clone, Default)]
pub struct Payments {
    payments: Map<u128, Payment>,
    asides: Map<u128, Aside>,
    // These follow from the ones above, and are not written.
    of_player: Map<(u64, u128), ()>,
    forgettable: Map<(Time, u128), ()>,
    terms: BTreeSet<Arc<Terms>>,
}

impl PartialEq for Payments {
    fn eq(&self, other: &Self) -> bool {
        self.payments == other.payments && self.asides == other.asides
    }
}

impl Eq for Payments {}

impl Payments {
    /// A payment by its number.
    pub fn get(&self, payment: u128) -> Option<&Payment> {
        self.payments.get(&payment)
    }

    /// All payments by number.
    pub fn iter(&self) -> impl Iterator<Item = (u128, &Payment)> {
        self.payments.iter().map(|(number, payment)| (*number, payment))
    }

    /// A player's payments.
    pub fn of(&self, player: u64) -> impl Iterator<Item = (u128, &Payment)> {
        let theirs = self.of_player.iter_from(&(player, 0)).map(|(of, ())| of).take_while(move |of| of.0 == player);
        theirs.filter_map(|(_, number)| Some((*number, self.payments.get(number)?)))
    }

    /// What waits for people, by number.
    pub fn asides(&self) -> impl Iterator<Item = (u128, &Aside)> {
        self.asides.iter().map(|(number, aside)| (*number, aside))
    }

    /// How many payments are kept.
    pub fn len(&self) -> usize {
        self.payments.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.payments.is_empty()
    }

    /// Takes in what an entry says of payments. Entries come in their order, each once.
    ///
    /// # Errors
    /// The entry cannot follow what was before.
    pub fn fold(&mut self, entry: &Entry) -> Result<(), Broken> {
        for effect in entry.bookings().flat_map(|booking| &booking.effects) {
            let Effect::Noted { bytes } = effect else { continue };
            if let Some(Note::Payment(noted)) = Note::read(bytes)? {
                self.apply(noted, entry.time).ok_or(Broken::Sequence(entry.number))?;
            }
        }
        // Behind the notes: they were made of what was known before the entry's time.
        self.forget(entry.time);
        Ok(())
    }

    /// What a note says; `None` if it cannot be.
    fn apply(&mut self, noted: Noted, time: Time) -> Option<()> {
        match noted {
            Noted::Begun { payment, player, terms } => {
                let terms = Arc::new(terms);
                let fresh = Payment {
                    player,
                    terms,
                    begun: time,
                    paid: false,
                    delivered: false,
                    failed: false,
                    refunded: false,
                    charged_back: false,
                    kept: Vec::new(),
                };
                return (!self.payments.contains_key(&payment)).then(|| self.insert(payment, fresh));
            }
            Noted::Paid { payment, delivered } => {
                let known = self.touch(payment)?;
                (known.paid, known.delivered) = (true, delivered);
            }
            Noted::Delivered { payment } => {
                self.touch(payment)?.delivered = true;
                self.drop_undelivered(payment);
            }
            Noted::Reversed { payment, reversal, kept } => {
                let known = self.touch(payment)?;
                match reversal {
                    Reversal::Refunded => known.refunded = true,
                    Reversal::ChargedBack => known.charged_back = true,
                }
                known.kept.extend(kept);
                if known.paid && !known.delivered {
                    self.drop_undelivered(payment);
                }
            }
            Noted::Failed { payment } => self.payments.get_mut(&payment)?.failed = true,
            Noted::Aside { number, aside } => drop(self.asides.insert(number, aside)),
            Noted::Closed { number } => drop(self.asides.remove(&number)?),
        }
        Some(())
    }

    fn insert(&mut self, number: u128, mut payment: Payment) {
        match self.terms.get(&payment.terms) {
            Some(known) => payment.terms = Arc::clone(known),
            None => drop(self.terms.insert(Arc::clone(&payment.terms))),
        }
        self.of_player.insert((payment.player, number), ());
        if payment.is_forgettable() {
            self.forgettable.insert((payment.begun, number), ());
        }
        self.payments.insert(number, payment);
    }

    /// A payment of which something is heard that is never forgotten.
    fn touch(&mut self, number: u128) -> Option<&mut Payment> {
        let payment = self.payments.get_mut(&number)?;
        self.forgettable.remove(&(payment.begun, number));
        Some(payment)
    }

    /// What could not be given has been given, or need not be any more.
    fn drop_undelivered(&mut self, payment: u128) {
        let of_it = |aside: &Aside| aside.payment == payment && aside.reason.is_undelivered();
        let gone: Vec<u128> = self.asides().filter(|(_, aside)| of_it(aside)).map(|(number, _)| number).collect();
        gone.iter().for_each(|number| drop(self.asides.remove(number)));
    }

    fn forget(&mut self, now: Time) {
        while let Some((begun, number)) = self.forgettable.first().map(|(first, ())| *first) {
            if begun.after(KEPT_MS) > now {
                break;
            }
            self.forgettable.remove(&(begun, number));
            let Some(payment) = self.payments.remove(&number) else { continue };
            self.of_player.remove(&(payment.player, number));
            // One here, one in the list. A snapshot that is being written may hold more: then it stays, which costs some bytes.
            if Arc::strong_count(&payment.terms) <= 2 {
                self.terms.remove(&payment.terms);
            }
        }
    }
}
