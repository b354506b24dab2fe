//! What the provider says of all payments against what the economy's books say: every difference has a name.
//!
//! It only compares. What is on its way (a notification that was not heard yet) is a difference like any other until it arrives.

use std::collections::{BTreeMap, BTreeSet};

use arbiter_ledger::{Account, Name, State};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use super::book::paid_claim;
use super::{Payment, Payments, Reason};
use crate::catalogue::{Price, REAL};
use crate::uuid;

/// All payments of a provider, as it knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub provider: Name,
    /// Its payments, in any order.
    pub payments: Vec<Stated>,
}

/// One payment, as its provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Its number.
    pub payment: u128,
    /// What was bought.
    pub product: Name,
    /// What was paid, or is asked for.
    pub price: Price,
    /// What became of it.
    pub state: StatedState,
}

/// What became of a payment at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatedState {
    /// Nothing yet.
    Open,
    /// It came to nothing.
    Failed,
    /// The money came.
    Paid,
    /// It went back by the house.
    Refunded,
    /// It went back by the bank.
    ChargedBack,
}

/// A statement as JSON.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct StatementJson {
    /// Name of the provider.
    pub provider: String,
    /// Its payments.
    pub payments: Vec<StatedJson>,
}

/// One payment of a statement as JSON.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct StatedJson {
    /// Its number, as a UUID.
    pub payment: String,
    /// Name of the product.
    pub product: String,
    /// Code of ISO 4217.
    pub currency: String,
    /// In the currency's smallest unit, as a text.
    pub amount: String,
    /// What became of it.
    pub state: StatedState,
}

/// Why a statement is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadStatement {
    /// No JSON of this shape.
    #[error("the statement is not the JSON that it should be: {0}")]
    Json(String),
    /// A value.
    #[error("payments[{number}] of the statement: {what} is not what belongs there; see docs/economy.md")]
    Value {
        /// Which payment, from 0.
        number: usize,
        /// Which field.
        what: &'static str,
    },
    /// The provider's name.
    #[error("provider: {0:?} is no name")]
    Provider(String),
}

impl Statement {
    /// Reads one from JSON: see [`StatementJson`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BadStatement> {
        let read: StatementJson =
            serde_json::from_slice(bytes).map_err(|error| BadStatement::Json(error.to_string()))?;
        let provider = read.provider.parse().map_err(|_| BadStatement::Provider(read.provider))?;
        let payments = read.payments.into_iter().enumerate();
        let payments = payments.map(|(number, stated)| {
            let wrong = |what| BadStatement::Value { number, what };
            Ok(Stated {
                payment: uuid::parse(&stated.payment).ok_or(wrong("payment"))?,
                product: stated.product.parse().map_err(|_| wrong("product"))?,
                price: Price {
                    currency: stated.currency.parse().map_err(|_| wrong("currency"))?,
                    amount: stated.amount.parse().map_err(|_| wrong("amount"))?,
                },
                state: stated.state,
            })
        });
        Ok(Self { provider, payments: payments.collect::<Result<_, _>>()? })
    }

    /// The same as JSON.
    pub fn to_json(&self) -> StatementJson {
        let payments = self.payments.iter().map(|stated| StatedJson {
            payment: uuid::show(stated.payment),
            product: stated.product.to_string(),
            currency: stated.price.currency.to_string(),
            amount: stated.price.amount.to_string(),
            state: stated.state,
        });
        StatementJson { provider: self.provider.to_string(), payments: payments.collect() }
    }
}

/// One thing on which the provider and the books do not agree, or the books among themselves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Difference {
    /// The provider lists it twice.
    #[error("the provider lists the payment {payment} twice", payment = uuid::show(*.0))]
    ListedTwice(u128),
    /// The provider took money for what was never begun here, or was forgotten.
    #[error("the provider has the payment {payment}, and nothing of it is known here", payment = uuid::show(*.0))]
    UnknownHere(u128),
    /// It belongs to another provider.
    #[error("the payment {payment} is on {provider}'s statement and was begun with {begun}", payment = uuid::show(*.payment))]
    OtherProvider {
        /// Which.
        payment: u128,
        /// Whose statement.
        provider: Name,
        /// With whom it was begun.
        begun: Name,
    },
    /// Something else was paid for, or another amount.
    #[error("of the payment {payment} the provider says {there}, and here it is {here}", payment = uuid::show(*.payment))]
    OtherTerms {
        /// Which.
        payment: u128,
        /// Amount and product there.
        there: String,
        /// Amount and product here.
        here: String,
    },
    /// Paid there and not here: a notification was lost, is late, or was put aside.
    #[error("the payment {payment} is paid at the provider, and not here", payment = uuid::show(*.0))]
    PaidThere(u128),
    /// Paid here and not there.
    #[error("the payment {payment} is paid here, and not at the provider", payment = uuid::show(*.0))]
    PaidHere(u128),
    /// Paid on both sides, and not delivered.
    #[error("the payment {payment} is paid, and what was bought was not given", payment = uuid::show(*.0))]
    NotDelivered(u128),
    /// The money went back there, and here it did not.
    #[error("the money of the payment {payment} went back at the provider, and not here", payment = uuid::show(*.0))]
    ReversedThere(u128),
    /// The money went back here, and there it did not.
    #[error("the money of the payment {payment} went back here, and not at the provider", payment = uuid::show(*.0))]
    ReversedHere(u128),
    /// The money went back in another way.
    #[error("the payment {payment} was refunded on one side and charged back on the other", payment = uuid::show(*.0))]
    ReversedOtherwise(u128),
    /// Money was taken here that the provider knows nothing of.
    #[error("money of the payment {payment} is booked here, and the provider does not list it", payment = uuid::show(*.0))]
    MissingThere(u128),
    /// What was given could not all be taken back.
    #[error("the money of the payment {payment} went back, and the player kept {kept}", payment = uuid::show(*.payment))]
    Kept {
        /// Which.
        payment: u128,
        /// What is missing.
        kept: String,
    },
    /// Paid by the notes, and not by the ledger's claims.
    #[error("the payment {payment} is noted as paid, and the ledger has no claim of it", payment = uuid::show(*.0))]
    Unclaimed(u128),
    /// The money that is booked is not that of the payments.
    #[error("{booked} of {asset} are booked, and the payments sum to {payments}")]
    Revenue {
        /// Which money.
        asset: Name,
        /// By the ledger.
        booked: i128,
        /// By the payments that were paid and did not go back.
        payments: i128,
    },
    /// Something waits for people.
    #[error("a notification of the payment {payment} waits for people: {word}", payment = uuid::show(*.payment), word = .reason.word())]
    Waiting {
        /// Which payment.
        payment: u128,
        /// Why.
        reason: Reason,
    },
}

/// Compares a provider's statement with the books: payments and ledger are those of one moment. The differences come by payment,
/// those of money and of what waits behind them.
pub fn reconcile(statement: &Statement, payments: &Payments, ledger: &State) -> Vec<Difference> {
    let mut there: BTreeMap<u128, &Stated> = BTreeMap::new();
    let mut twice: BTreeSet<u128> = BTreeSet::new();
    for stated in &statement.payments {
        if there.insert(stated.payment, stated).is_some() {
            twice.insert(stated.payment);
        }
    }
    let ours = payments.iter().filter(|(_, payment)| payment.terms.provider == statement.provider);
    let numbers: BTreeSet<u128> = there.keys().copied().chain(ours.map(|(number, _)| number)).collect();
    let mut found = Vec::new();
    for number in numbers {
        if twice.contains(&number) {
            found.push(Difference::ListedTwice(number));
        }
        match (there.get(&number), payments.get(number)) {
            (Some(stated), Some(payment)) => compare(&mut found, &statement.provider, stated, payment),
            (Some(stated), None) if stated.state.moved() => found.push(Difference::UnknownHere(number)),
            (None, Some(payment)) if payment.paid || payment.reversed() => {
                found.push(Difference::MissingThere(number));
            }
            _ => (),
        }
    }
    own(&mut found, payments, ledger);
    found
}

impl StatedState {
    /// Whether money came or went.
    fn moved(self) -> bool {
        !matches!(self, Self::Open | Self::Failed)
    }
}

fn compare(found: &mut Vec<Difference>, provider: &Name, stated: &Stated, payment: &Payment) {
    let (number, terms) = (stated.payment, &payment.terms);
    if terms.provider != *provider {
        found.push(Difference::OtherProvider {
            payment: number,
            provider: provider.clone(),
            begun: terms.provider.clone(),
        });
        return;
    }
    if stated.state.moved() && (stated.price != terms.price || stated.product != terms.product) {
        let (there, here) = (format!("{} for {}", stated.price, stated.product), (&terms.price, &terms.product));
        found.push(Difference::OtherTerms { payment: number, there, here: format!("{} for {}", here.0, here.1) });
    }
    let difference = match stated.state {
        StatedState::Paid if payment.reversed() => Some(Difference::ReversedHere(number)),
        StatedState::Paid if !payment.paid => Some(Difference::PaidThere(number)),
        StatedState::Paid if !payment.delivered => Some(Difference::NotDelivered(number)),
        StatedState::Refunded | StatedState::ChargedBack if !payment.reversed() => {
            Some(Difference::ReversedThere(number))
        }
        StatedState::Refunded if !payment.refunded => Some(Difference::ReversedOtherwise(number)),
        StatedState::ChargedBack if !payment.charged_back => Some(Difference::ReversedOtherwise(number)),
        StatedState::Open | StatedState::Failed if payment.reversed() => Some(Difference::ReversedHere(number)),
        StatedState::Open | StatedState::Failed if payment.paid => Some(Difference::PaidHere(number)),
        _ => None,
    };
    found.extend(difference);
}

/// The books among themselves.
fn own(found: &mut Vec<Difference>, payments: &Payments, ledger: &State) {
    let mut sums: BTreeMap<Name, i128> = BTreeMap::new();
    for (number, payment) in payments.iter() {
        if payment.paid && !payment.reversed() {
            *sums.entry(payment.terms.price.asset()).or_default() += i128::from(payment.terms.price.amount);
        }
        if payment.paid && ledger.claimed(paid_claim(number)).is_none() {
            found.push(Difference::Unclaimed(number));
        }
        if !payment.kept.is_empty() {
            let list: Vec<String> = payment.kept.iter().map(|sum| format!("{} {}", sum.amount, sum.asset)).collect();
            found.push(Difference::Kept { payment: number, kept: list.join(", ") });
        }
    }
    let moneys = ledger.accounts().map(|(account, _)| account);
    let moneys = moneys.filter(|account| account.is_issuer() && account.asset.as_str().starts_with(REAL));
    for asset in moneys.map(|account| account.asset.clone()).chain(sums.keys().cloned()).collect::<BTreeSet<_>>() {
        let booked = -i128::from(ledger.balance(&Account::issuer(asset.clone())).amount);
        let payments = sums.get(&asset).copied().unwrap_or(0);
        if booked != payments {
            found.push(Difference::Revenue { asset, booked, payments });
        }
    }
    let waiting = payments.asides().map(|(_, aside)| (aside.payment, aside.reason));
    let waiting = waiting.filter(|(_, reason)| *reason != Reason::Kept && !reason.is_undelivered());
    found.extend(waiting.map(|(payment, reason)| Difference::Waiting { payment, reason }));
}
