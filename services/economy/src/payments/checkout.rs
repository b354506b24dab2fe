//! Beginning a payment: it is written down with all that was agreed before a provider hears of it, under the client's key.

use arbiter_eventlog::EventStore;
use arbiter_ledger::{Account, Command, Key, Name, Order, Step, Time, Unanswered};
use thiserror::Error;

use super::{Noted, PAYMENTS_MAX, PENDING_MAX, PaymentState, Terms};
use crate::catalogue::{Catalogue, Product};
use crate::digest::Digest;
use crate::economy::{Economy, Told};
use crate::error::SubmitError;
use crate::inventory::Inventory;
use crate::notes::Note;

/// Why a payment was not begun. Nothing happened, and nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckoutError {
    /// Not in the catalogue.
    #[error("there is no product {0}: read the products again")]
    NoSuchProduct(Name),
    /// Not for sale at this time.
    #[error("the product {0} is not for sale now: it is from {from} to {until} (milliseconds since 1970)", from = .1.0, until = .2.0)]
    NotNow(Name, Time, Time),
    /// No place in the inventory.
    #[error("the inventory would need {needed} places and has {max}: make room first")]
    NoPlace {
        /// Places that would be taken.
        needed: u64,
        /// Places that there are.
        max: u32,
    },
    /// The supply is out.
    #[error("there are not enough of {0} left: choose something else")]
    SoldOut(Name),
    /// As many as one may buy.
    #[error("the player has bought {0} of the product, and that is how many one may")]
    HadAlready(u32),
    /// Too many begun and not paid.
    #[error("{PENDING_MAX} payments of the player wait to be paid: pay one, or come back when they have expired")]
    TooManyPending,
    /// Too many payments of all players.
    #[error("{0} payments are kept, which is the limit: see docs/decisions/payments.md for what to do then")]
    Full(usize),
    /// The economy.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl<S: EventStore> Economy<S> {
    /// Begins a payment of a product for the owner of a key; its number is the key's UUID. The same key again gets the same payment,
    /// whatever became of the product.
    ///
    /// # Errors
    /// Nothing was begun.
    pub fn checkout(
        &mut self,
        catalogue: &Catalogue,
        provider: &Name,
        key: Key,
        product: &Name,
        time: Time,
    ) -> Result<Told, CheckoutError> {
        let request = Digest::new("arbiter economy 1 checkout").part(product.as_str()).number();
        let (player, payment) = (key.owner(), key.uuid());
        let mut order = Order { subject: player, reason: checkout_reason(), claim: None, steps: Vec::new() };
        if self.books.ledger.answer(key).is_none() {
            if self.books.payments.get(payment).is_some() {
                // Another player's, or one whose key is forgotten: a number names one payment.
                return Err(SubmitError::from(Unanswered::Conflict(key)).into());
            }
            let found = catalogue.products.get(product).ok_or_else(|| CheckoutError::NoSuchProduct(product.clone()))?;
            self.may_begin(catalogue, product, found, player, time.max(self.books.ledger.time()))?;
            let terms = Terms {
                provider: provider.clone(),
                product: product.clone(),
                price: found.price.clone(),
                gives: found.gives.clone(),
                each_max: found.each_max,
            };
            let begun = Note::Payment(Noted::Begun { payment, player, terms });
            order.steps.push(Step::Note { bytes: begun.to_bytes() });
        }
        Ok(self.submit(&Command::Request { key, request, order }, time)?)
    }

    fn may_begin(
        &self,
        catalogue: &Catalogue,
        name: &Name,
        product: &Product,
        player: u64,
        time: Time,
    ) -> Result<(), CheckoutError> {
        if time < product.from || time >= product.until {
            return Err(CheckoutError::NotNow(name.clone(), product.from, product.until));
        }
        let (ledger, payments) = (&self.books.ledger, &self.books.payments);
        let inventory = Inventory::of(ledger, catalogue, player);
        let needed = inventory.places_with(catalogue, &product.gives);
        if needed > inventory.places().max(catalogue.places_max.into()) {
            return Err(CheckoutError::NoPlace { needed, max: catalogue.places_max });
        }
        for given in &product.gives {
            let supply = ledger.asset(&given.asset).and_then(|asset| asset.supply);
            let out = ledger.balance(&Account::issuer(given.asset.clone())).amount.unsigned_abs();
            if supply.is_some_and(|supply| given.amount > supply.saturating_sub(out)) {
                return Err(CheckoutError::SoldOut(given.asset.clone()));
            }
        }
        if let Some(max) = product.each_max
            && payments.given_of(player, name) >= max as usize
        {
            return Err(CheckoutError::HadAlready(max));
        }
        let pending = payments.of(player).filter(|(_, payment)| payment.state(time) == PaymentState::Pending);
        if pending.count() >= PENDING_MAX {
            return Err(CheckoutError::TooManyPending);
        }
        if payments.len() >= PAYMENTS_MAX {
            return Err(CheckoutError::Full(payments.len()));
        }
        Ok(())
    }
}

fn checkout_reason() -> Name {
    "checkout".parse().unwrap_or_else(|_| unreachable!("checkout is a name"))
}
