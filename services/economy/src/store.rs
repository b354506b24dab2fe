//! Buying with money of the game: one order that pays and delivers, done all or not at all, under the client's key.

use arbiter_eventlog::EventStore;
use arbiter_ledger::account::HOUSE;
use arbiter_ledger::{Account, Asset, Claim, Command, Key, Name, Order, Step, Time};
use thiserror::Error;

use crate::catalogue::{Catalogue, Offer, REASON};
use crate::digest::Digest;
use crate::economy::{Economy, Told};
use crate::error::SubmitError;
use crate::inventory::Inventory;

/// Why a purchase was not taken. Nothing happened, and nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PurchaseError {
    /// Not in the catalogue.
    #[error("there is no offer {0}: read the catalogue again")]
    NoSuchOffer(Name),
    /// Not for sale at this time.
    #[error("the offer {0} is not for sale now: it is from {from} to {until} (milliseconds since 1970)", from = .1.0, until = .2.0)]
    NotNow(Name, Time, Time),
    /// No place in the inventory.
    #[error("the inventory would need {needed} places and has {max}: make room first")]
    NoPlace {
        /// Places that would be taken.
        needed: u64,
        /// Places that there are.
        max: u32,
    },
    /// The economy.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// Why the assets of a catalogue were not made known. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// Known otherwise.
    #[error(
        "the asset {name} is known with the supply {known:?}, and the catalogue says {listed:?}: a supply never changes, take \
         another name"
    )]
    Differs {
        /// Which.
        name: Name,
        /// Its supply.
        known: Option<u64>,
        /// What the catalogue says.
        listed: Option<u64>,
    },
    /// The economy.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl<S: EventStore> Economy<S> {
    /// Makes the assets of a catalogue known that are not, and notes which of them are things where the log does not say so yet, or
    /// says it otherwise; `None` if nothing is to be said.
    pub fn register(&mut self, catalogue: &Catalogue, time: Time) -> Result<Option<Told>, RegisterError> {
        let (mut steps, mut digest) = (Vec::new(), Digest::new("arbiter economy 1 register"));
        for (name, Asset { supply }) in &catalogue.assets {
            match self.books.ledger.asset(name) {
                Some(known) if known.supply == *supply => (),
                Some(Asset { supply: known }) => {
                    return Err(RegisterError::Differs { name: name.clone(), known, listed: *supply });
                }
                None => {
                    digest = digest.part(name.as_str());
                    steps.push(Step::Register { asset: name.clone(), supply: *supply });
                }
            }
        }
        for note in self.books.things.missing(catalogue) {
            if let Step::Note { bytes } = &note {
                digest = digest.part(bytes);
            }
            steps.push(note);
        }
        if steps.is_empty() {
            return Ok(None);
        }
        let request = digest.number();
        let time = time.max(self.books.ledger.time());
        let order = Order { subject: HOUSE, reason: reason(&[REGISTER]), claim: None, steps };
        // Asked again after a crash it is another request, and does nothing: what is known is left out.
        let command = Command::Request { key: Key::of(HOUSE, time, request), request, order };
        Ok(Some(self.submit(&command, time)?))
    }

    /// Buys one of an offer for the owner of a key. The same key again gets the same answer, whatever became of the offer.
    pub fn purchase(
        &mut self,
        catalogue: &Catalogue,
        key: Key,
        offer: &Name,
        time: Time,
    ) -> Result<Told, PurchaseError> {
        let request = purchase_request(offer.as_str());
        let order = if self.books.ledger.answer(key).is_some() {
            // The ledger looks at the order of a new request only.
            Order { subject: key.owner(), reason: reason(&[REASON, offer.as_str()]), claim: None, steps: Vec::new() }
        } else {
            let found = catalogue.offers.get(offer).ok_or_else(|| PurchaseError::NoSuchOffer(offer.clone()))?;
            if time < found.from || time >= found.until {
                return Err(PurchaseError::NotNow(offer.clone(), found.from, found.until));
            }
            let inventory = Inventory::of(&self.books.ledger, catalogue, key.owner());
            let needed = inventory.places_with(catalogue, &found.gives);
            if needed > inventory.places().max(catalogue.places_max.into()) {
                return Err(PurchaseError::NoPlace { needed, max: catalogue.places_max });
            }
            self.order(offer, found, key.owner(), time)
        };
        Ok(self.submit(&Command::Request { key, request, order }, time)?)
    }

    fn order(&self, name: &Name, offer: &Offer, player: u64, time: Time) -> Order {
        let price = &offer.price;
        let mut steps = vec![Step::Transfer {
            from: Account::main(player, price.asset.clone()),
            to: Account::main(HOUSE, price.asset.clone()),
            amount: price.amount,
        }];
        steps.extend(offer.gives.iter().map(|given| Step::Transfer {
            from: Account::issuer(given.asset.clone()),
            to: Account::main(player, given.asset.clone()),
            amount: given.amount,
        }));
        let claim = offer.each_max.map(|most| self.next_claim(name, player, most, time));
        Order { subject: player, reason: reason(&[REASON, name.as_str()]), claim, steps }
    }

    /// The first of a player's claims to an offer that is not taken; the last one if all are, which is then refused.
    fn next_claim(&self, offer: &Name, player: u64, most: u32, time: Time) -> Claim {
        let claim = |index: u32| {
            let digest = Digest::new("arbiter economy 1 offer").part(offer.as_str());
            digest.fixed(player.to_le_bytes()).fixed(index.to_le_bytes()).number()
        };
        let is_free = |key: &u128| self.books.ledger.claimed(*key).is_none_or(|until| until <= time);
        let key = (0..most).map(claim).find(is_free).unwrap_or_else(|| claim(most - 1));
        Claim { key, until: Time::NEVER }
    }
}

/// The digest of a request to buy an offer: it tells the store's purchases from what services call so.
pub(crate) fn purchase_request(offer: &str) -> u128 {
    Digest::new("arbiter economy 1 purchase").part(offer).number()
}

const REGISTER: &str = "register";

/// A reason made of parts; the first alone if all of them would be too long.
fn reason(parts: &[&str]) -> Name {
    let first = || parts[0].trim_end_matches(':').parse();
    parts.concat().parse().or_else(|_| first()).unwrap_or_else(|error| panic!("{error}"))
}
