//! What a notification moves. The books are a function of what was heard, not of the order or the number of times in which it was:
//! a payment that is paid and did not go back has its revenue booked and its things given, any other has neither.
//!
//! Each thing that can happen to a payment has a claim in the ledger, so that it happens once even if what is remembered here were
//! wrong. Accounts that are frozen give and take all the same: it is the house that moves here, not the player.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbiter_eventlog::EventStore;
use arbiter_ledger::account::HOUSE;
use arbiter_ledger::{Account, Answer, Applied, Claim, Command, Key, Name, Order, Refusal, Step, Time};
use thiserror::Error;

use super::adapter::ID_BYTES_MAX;
use super::aside::DETAIL_BYTES_MAX;
use super::{ASIDE_MAX, Aside, Happened, Noted, Notification, Payment, Payments, Reason, Reversal, Terms};
use crate::catalogue::{Catalogue, Sum};
use crate::digest::Digest;
use crate::economy::{Economy, Told};
use crate::error::SubmitError;
use crate::inventory::SLOT;
use crate::notes::Note;

/// Why a notification, or what an operator asked for, was not done. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotifyError {
    /// Its id.
    #[error("the notification's id has {0} bytes, and it must have 1 to {ID_BYTES_MAX}")]
    Id(usize),
    /// Too much waits for people.
    #[error("{ASIDE_MAX} notifications wait for people: look at them and close them")]
    AsideFull,
    /// No payment.
    #[error("there is no payment {0:032x}")]
    NoSuchPayment(u128),
    /// Nothing waits under this number.
    #[error("nothing waits under {0:032x}")]
    NoSuchAside(u128),
    /// Nothing to deliver.
    #[error("the payment {0:032x} is not one that was paid and not delivered")]
    NothingToDeliver(u128),
    /// The ledger refuses.
    #[error("the ledger refuses: {0}; put that right and ask again")]
    Refused(Refusal),
    /// The economy.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// What is to be booked of one payment.
struct Booking<'a> {
    /// Reason before the product's name.
    reason: &'a str,
    /// Whom it is about.
    player: u64,
    /// What of.
    product: Option<&'a Name>,
    /// What may happen only once.
    claim: u128,
}

impl Payments {
    /// How many of a product a player has bought and kept.
    pub(crate) fn given_of(&self, player: u64, product: &Name) -> usize {
        self.of(player).filter(|(_, payment)| payment.terms.product == *product && payment.given()).count()
    }
}

impl<S: EventStore> Economy<S> {
    /// All payments, if all of them are on disk; `None` while anything waits or after the log failed.
    pub fn payments(&self) -> Option<&Payments> {
        self.ledger().map(|_| &self.books.payments)
    }

    /// Does what a provider's notification says, once. With `freeze` a chargeback freezes all that its player can spend.
    ///
    /// # Errors
    /// Nothing was done, and the provider should say it again.
    pub fn notify(
        &mut self,
        catalogue: &Catalogue,
        provider: &Name,
        notification: &Notification,
        freeze: bool,
        time: Time,
    ) -> Result<Told, NotifyError> {
        let Notification { id, payment: number, happened, .. } = notification;
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(NotifyError::Id(id.len()));
        }
        let says = Says { provider, notification, time: time.max(self.books.ledger.time()) };
        let Some(payment) = self.books.payments.get(*number).cloned() else {
            return self.put_aside(&says, Reason::Unknown, "no such payment was begun here".to_owned());
        };
        let terms = Arc::clone(&payment.terms);
        if terms.provider != *provider {
            let detail = format!("the payment was begun with {}", terms.provider);
            return self.put_aside(&says, Reason::OtherProvider, detail);
        }
        match happened {
            Happened::Paid { product, price } if *product != terms.product || *price != terms.price => {
                let detail = format!("{price} for {product} was paid, and {} for {} begun", terms.price, terms.product);
                self.put_aside(&says, Reason::OtherTerms, detail)
            }
            Happened::Paid { .. } => self.paid(&says, &payment),
            Happened::Refunded { price } | Happened::ChargedBack { price } if *price != terms.price => {
                let detail = format!("{price} went back of {}", terms.price);
                self.put_aside(&says, Reason::OtherAmount, detail)
            }
            Happened::Refunded { .. } => self.reversed(&says, &payment, Reversal::Refunded, &[]),
            Happened::ChargedBack { .. } => {
                let frozen = if freeze { wallet(catalogue, payment.player) } else { Vec::new() };
                self.reversed(&says, &payment, Reversal::ChargedBack, &frozen)
            }
            Happened::Failed if payment.failed => Ok(self.nothing()),
            Happened::Failed => {
                let booking = Booking::of(&payment, "payment", claim("failed", *number));
                let note = Noted::Failed { payment: *number };
                let told = self.book(&booking, Vec::new(), &[note], time)?;
                told.map_err(NotifyError::Refused)
            }
        }
    }

    /// Gives what was paid for and could not be given.
    ///
    /// # Errors
    /// Nothing was given.
    pub fn deliver(&mut self, number: u128, time: Time) -> Result<Told, NotifyError> {
        let payment = self.books.payments.get(number).cloned().ok_or(NotifyError::NoSuchPayment(number))?;
        if !payment.paid || payment.delivered || payment.reversed() {
            return Err(NotifyError::NothingToDeliver(number));
        }
        let booking = Booking::of(&payment, "payment", claim("delivered", number));
        let told = self.book(&booking, gifts(&payment), &[Noted::Delivered { payment: number }], time)?;
        told.map_err(NotifyError::Refused)
    }

    /// Takes something off the list of what waits for people, who have seen to it.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn close_aside(&mut self, number: u128, time: Time) -> Result<Told, NotifyError> {
        if !self.books.payments.asides.contains_key(&number) {
            return Err(NotifyError::NoSuchAside(number));
        }
        let booking = Booking { reason: "close", player: HOUSE, product: None, claim: claim("closed", number) };
        let told = self.book(&booking, Vec::new(), &[Noted::Closed { number }], time)?;
        told.map_err(NotifyError::Refused)
    }

    /// Freezes all money of a player, or frees it.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn freeze_wallet(
        &mut self,
        catalogue: &Catalogue,
        player: u64,
        frozen: bool,
        time: Time,
    ) -> Result<Told, NotifyError> {
        let mut wallet = wallet(catalogue, player);
        wallet.retain(|account| self.books.ledger.balance(account).frozen != frozen);
        if wallet.is_empty() {
            return Ok(self.nothing());
        }
        // Frozen and freed as often as need be, each change once.
        let entries = self.books.ledger.entries();
        let booking = Booking { reason: "freeze", player, product: None, claim: claim("frozen", u128::from(entries)) };
        let steps = wallet.into_iter().map(|account| Step::Freeze { account, frozen }).collect();
        self.book(&booking, steps, &[], time)?.map_err(NotifyError::Refused)
    }

    fn paid(&mut self, says: &Says<'_>, payment: &Payment) -> Result<Told, NotifyError> {
        if payment.paid {
            return Ok(self.nothing());
        }
        let number = says.notification.payment;
        let booking = Booking::of(payment, "payment", claim("paid", number));
        let paid = |delivered| Noted::Paid { payment: number, delivered };
        if payment.reversed() {
            // The money came and went: the reversal was heard first.
            return self.book(&booking, Vec::new(), &[paid(false)], says.time)?.map_err(NotifyError::Refused);
        }
        let Terms { price, product, each_max, .. } = payment.terms.as_ref();
        let revenue = Step::Transfer {
            from: Account::issuer(price.asset()),
            to: Account::main(HOUSE, price.asset()),
            amount: price.amount,
        };
        let had = self.books.payments.given_of(payment.player, product);
        let undelivered = match each_max.filter(|max| had >= *max as usize) {
            Some(max) => {
                (Reason::EachMax, format!("the player has {had} of the product, and {max} is how many one may"))
            }
            None => {
                let steps = [vec![revenue.clone()], gifts(payment)].concat();
                match self.book(&booking, steps, &[paid(true)], says.time)? {
                    Ok(told) => return Ok(told),
                    Err(refusal) => (Reason::Refused, refusal.to_string()),
                }
            }
        };
        let aside = self.aside(says, undelivered.0, undelivered.1)?;
        self.book(&booking, vec![revenue], &[paid(false), aside], says.time)?.map_err(NotifyError::Refused)
    }

    fn reversed(
        &mut self,
        says: &Says<'_>,
        payment: &Payment,
        reversal: Reversal,
        frozen: &[Account],
    ) -> Result<Told, NotifyError> {
        let number = says.notification.payment;
        let (known, reason, word) = match reversal {
            Reversal::Refunded => (payment.refunded, "refund", "refunded"),
            Reversal::ChargedBack => (payment.charged_back, "chargeback", "charged back"),
        };
        if known {
            return Ok(self.nothing());
        }
        let booking = Booking::of(payment, reason, claim(word, number));
        let freeze = frozen.iter().map(|account| Step::Freeze { account: account.clone(), frozen: true });
        let noted = |kept| Noted::Reversed { payment: number, reversal, kept };
        if payment.reversed() {
            let detail =
                "the house gave the money back, and the bank took it back: ask the provider which of the two moved";
            let aside = self.aside(says, Reason::Twice, detail.to_owned())?;
            let booked = self.book(&booking, freeze.collect(), &[noted(Vec::new()), aside], says.time)?;
            return booked.map_err(NotifyError::Refused);
        }
        if !payment.paid {
            let booked = self.book(&booking, freeze.collect(), &[noted(Vec::new())], says.time)?;
            return booked.map_err(NotifyError::Refused);
        }
        let price = &payment.terms.price;
        let revenue = self.take(HOUSE, &price.asset(), price.amount).0;
        let (mut given, mut kept) = (Vec::new(), Vec::new());
        for (asset, amount) in if payment.delivered { totals(&payment.terms.gives) } else { BTreeMap::new() } {
            let (steps, missing) = self.take(payment.player, &asset, amount);
            given.extend(steps);
            kept.extend((missing > 0).then_some(Sum { asset, amount: missing }));
        }
        let mut notes = vec![noted(kept.clone())];
        if !kept.is_empty() {
            let list: Vec<String> = kept.iter().map(|sum| format!("{} {}", sum.amount, sum.asset)).collect();
            notes.push(self.aside(says, Reason::Kept, format!("not there to be taken back: {}", list.join(", ")))?);
        }
        let steps = revenue.iter().cloned().chain(given).chain(freeze.clone()).collect();
        let refusal = match self.book(&booking, steps, &notes, says.time)? {
            Ok(told) => return Ok(told),
            Err(refusal) => refusal,
        };
        let aside = self.aside(says, Reason::NotTakenBack, refusal.to_string())?;
        let steps = revenue.into_iter().chain(freeze).collect();
        self.book(&booking, steps, &[noted(Vec::new()), aside], says.time)?.map_err(NotifyError::Refused)
    }

    /// Steps that take back from an owner what is there, worn things too, and owe the rest; and how much cannot be owed.
    fn take(&self, owner: u64, asset: &Name, amount: u64) -> (Vec<Step>, u64) {
        let ledger = &self.books.ledger;
        let issuer = Account::issuer(asset.clone());
        let mut left = amount;
        let mut steps = Vec::new();
        let main = Account::main(owner, asset.clone());
        let worn = ledger.accounts_of(owner).map(|(account, _)| account);
        let worn = worn.filter(|account| account.asset == *asset && account.bucket.as_str().starts_with(SLOT));
        for from in std::iter::once(&main).chain(worn) {
            let there = u64::try_from(ledger.balance(from).amount).unwrap_or(0).min(left);
            if there > 0 {
                steps.push(Step::Transfer { from: from.clone(), to: issuer.clone(), amount: there });
                left -= there;
            }
        }
        let can_be_owed = ledger.asset(asset).is_some_and(|asset| asset.supply.is_none());
        if left > 0 && can_be_owed {
            steps.push(Step::Transfer { from: Account::debt(owner, asset.clone()), to: issuer, amount: left });
            left = 0;
        }
        (steps, left)
    }

    fn put_aside(&mut self, says: &Says<'_>, reason: Reason, detail: String) -> Result<Told, NotifyError> {
        let number = says.number();
        if self.books.ledger.claimed(number).is_some() {
            return Ok(self.nothing());
        }
        let aside = self.aside(says, reason, detail)?;
        let booking = Booking { reason: "aside", player: HOUSE, product: None, claim: number };
        self.book(&booking, Vec::new(), &[aside], says.time)?.map_err(NotifyError::Refused)
    }

    fn aside(&self, says: &Says<'_>, reason: Reason, mut detail: String) -> Result<Noted, NotifyError> {
        if self.books.payments.asides.len() >= ASIDE_MAX {
            return Err(NotifyError::AsideFull);
        }
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        let Notification { id, payment, happened, .. } = says.notification;
        let aside = Aside {
            provider: says.provider.clone(),
            notification: id.clone(),
            payment: *payment,
            happened: happened.clone(),
            reason,
            detail,
            time: says.time,
        };
        Ok(Noted::Aside { number: says.number(), aside })
    }

    /// One order of the house. A refusal leaves nothing behind but its entry.
    fn book(
        &mut self,
        booking: &Booking<'_>,
        steps: Vec<Step>,
        notes: &[Noted],
        time: Time,
    ) -> Result<Result<Told, Refusal>, SubmitError> {
        let mut steps = self.thawed(steps);
        steps.extend(notes.iter().map(|note| Step::Note { bytes: Note::Payment(note.clone()).to_bytes() }));
        let claim = Some(Claim { key: booking.claim, until: Time::NEVER });
        let order = Order { subject: booking.player, reason: booking.name(), claim, steps };
        let time = time.max(self.books.ledger.time());
        // A number of its own each time: the claim is what makes it happen once, and a refusal must not stay.
        let digest = Digest::new("arbiter economy 1 payment").fixed(booking.claim.to_le_bytes());
        let request = digest.fixed(self.books.ledger.entries().to_le_bytes()).number();
        let told = self.submit(&Command::Request { key: Key::of(HOUSE, time, request), request, order }, time)?;
        let answer: Option<Answer> = match &told.applied {
            Applied::New { entry, .. } => entry.answer(),
            Applied::Known(answer) => Some(*answer),
            Applied::Nothing => None,
        };
        Ok(match answer {
            Some(Err(refusal)) => Err(refusal),
            _ => Ok(told),
        })
    }

    /// The same steps, with what is frozen freed before and frozen again behind them.
    fn thawed(&self, steps: Vec<Step>) -> Vec<Step> {
        let accounts = |step: &Step| match step {
            Step::Transfer { from, to, .. } => vec![from.clone(), to.clone()],
            _ => Vec::new(),
        };
        let mut frozen: BTreeSet<Account> = steps.iter().flat_map(accounts).collect();
        frozen.retain(|account| self.books.ledger.balance(account).frozen);
        let set = |frozen| move |account: &Account| Step::Freeze { account: account.clone(), frozen };
        frozen.iter().map(set(false)).chain(steps).chain(frozen.iter().map(set(true))).collect()
    }

    /// It was done before; it may be told when that is on disk.
    fn nothing(&self) -> Told {
        Told { after: self.books.ledger.entries(), applied: Applied::Nothing }
    }
}

/// Who says what, and when.
struct Says<'a> {
    provider: &'a Name,
    notification: &'a Notification,
    time: Time,
}

impl Says<'_> {
    /// What names it among all notifications of all providers.
    fn number(&self) -> u128 {
        let digest = Digest::new("arbiter economy 1 notification").part(self.provider.as_str());
        digest.part(&self.notification.id).number()
    }
}

impl<'a> Booking<'a> {
    fn of(payment: &'a Payment, reason: &'a str, claim: u128) -> Self {
        Self { reason, player: payment.player, product: Some(&payment.terms.product), claim }
    }

    fn name(&self) -> Name {
        let whole = self.product.and_then(|product| format!("{}:{product}", self.reason).parse().ok());
        whole.or_else(|| self.reason.parse().ok()).unwrap_or_else(|| unreachable!("{} is a name", self.reason))
    }
}

/// All accounts of a player that money can be in.
fn wallet(catalogue: &Catalogue, player: u64) -> Vec<Account> {
    let is_money =
        |asset: &&Name| !catalogue.items.contains_key(*asset) && !asset.as_str().starts_with(crate::catalogue::REAL);
    catalogue.assets.keys().filter(is_money).map(|asset| Account::main(player, asset.clone())).collect()
}

/// Names what can happen to a payment.
fn claim(what: &'static str, payment: u128) -> u128 {
    Digest::new("arbiter economy 1 payment claim").part(what).fixed(payment.to_le_bytes()).number()
}

/// The claim of a payment that was paid, for those who compare.
pub(super) fn paid_claim(payment: u128) -> u128 {
    claim("paid", payment)
}

/// Steps that give what was bought.
fn gifts(payment: &Payment) -> Vec<Step> {
    let give = |(asset, amount): (Name, u64)| Step::Transfer {
        from: Account::issuer(asset.clone()),
        to: Account::main(payment.player, asset),
        amount,
    };
    totals(&payment.terms.gives).into_iter().map(give).collect()
}

/// Amounts by asset. What does not fit a number is refused by the ledger.
fn totals(sums: &[Sum]) -> BTreeMap<Name, u64> {
    let mut totals = BTreeMap::<Name, u64>::new();
    for sum in sums {
        let total = totals.entry(sum.asset.clone()).or_default();
        *total = total.saturating_add(sum.amount);
    }
    totals
}
