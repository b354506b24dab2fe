//! What the local provider keeps: records of JSON in a log of its own, each on disk before anybody hears of it.

use std::collections::BTreeMap;

use arbiter_eventlog::{AppendError, Folder, Log};
use arbiter_ledger::Time;
use serde::{Deserialize, Serialize};

use super::{LocalError, PAYMENTS_MAX};
use crate::catalogue::Price;
use crate::digest::Digest;
use crate::payments::adapter::{Asked, Happened, Notification};
use crate::payments::reconcile::StatedState;
use crate::uuid;

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(super) enum Record {
    /// A payment was begun.
    Begun { payment: String, product: String, currency: String, amount: u64 },
    /// Something happened to a payment.
    Happened {
        /// Its id.
        id: String,
        #[serde(flatten)]
        said: Said,
        /// When it is to be said, in milliseconds since 1970; missing if it is lost.
        tell_at: Option<u64>,
        /// How often it is to be said.
        times: u32,
    },
    /// It was said as often as it was to be, and taken each time.
    Told { id: String },
}

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub payment: String,
    pub happened: StatedState,
    pub product: String,
    pub currency: String,
    pub amount: u64,
    /// When it happened, in milliseconds since 1970.
    pub time: u64,
}

impl Said {
    /// What it means to the house; `None` if it is nothing that is ever said.
    pub fn notification(self, id: &str) -> Option<Notification> {
        let price = Price { currency: self.currency.parse().ok()?, amount: self.amount };
        let happened = match self.happened {
            StatedState::Open => return None,
            StatedState::Failed => Happened::Failed,
            StatedState::Paid => Happened::Paid { product: self.product.parse().ok()?, price },
            StatedState::Refunded => Happened::Refunded { price },
            StatedState::ChargedBack => Happened::ChargedBack { price },
        };
        Some(Notification { id: id.to_owned(), time: Time(self.time), payment: uuid::parse(&self.payment)?, happened })
    }
}

/// Something that is still to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub id: String,
    pub said: Said,
    pub at: u64,
    pub times: u32,
}

/// A payment as the provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// What was asked for, and never changes.
    asked: Record,
    pub product: String,
    pub currency: String,
    pub amount: u64,
    pub state: StatedState,
}

/// The record, and what follows from it.
#[derive(Debug)]
pub(super) struct Book {
    log: Log<Folder>,
    pub payments: BTreeMap<u128, Known>,
}

impl Record {
    pub fn begun(asked: &Asked) -> Self {
        Self::Begun {
            payment: uuid::show(asked.payment),
            product: asked.product.to_string(),
            currency: asked.price.currency.to_string(),
            amount: asked.price.amount,
        }
    }

    /// What names it in the log.
    fn id(&self) -> u128 {
        let digest = Digest::new("arbiter economy 1 local provider");
        match self {
            Self::Begun { payment, .. } => digest.part("begun").part(payment),
            Self::Happened { id, .. } => digest.part("happened").part(id),
            Self::Told { id } => digest.part("told").part(id),
        }
        .number()
    }
}

impl Book {
    /// Reads all records; what is still to be said comes with it.
    pub fn read(log: Log<Folder>) -> Result<(Self, Vec<Waiting>), LocalError> {
        let (mut payments, mut waiting) = (BTreeMap::new(), BTreeMap::<String, Waiting>::new());
        let (mut next, mut records) = (log.start(), Vec::new());
        while next < log.acknowledged() {
            records.clear();
            log.read(next, READ_BYTES, &mut records)?;
            for stored in &records {
                let wrong = |why: String| LocalError::Record { position: stored.position, why };
                let record: Record = serde_json::from_slice(&stored.data).map_err(|error| wrong(error.to_string()))?;
                apply(&mut payments, &record).ok_or_else(|| wrong("it follows nothing".to_owned()))?;
                match record {
                    Record::Happened { id, said, tell_at: Some(at), times } => {
                        waiting.insert(id.clone(), Waiting { id, said, at, times });
                    }
                    Record::Told { id } => drop(waiting.remove(&id)),
                    _ => (),
                }
                next = stored.position + 1;
            }
            if records.is_empty() {
                return Err(LocalError::Record { position: next, why: "it is not there".to_owned() });
            }
        }
        Ok((Self { log, payments }, waiting.into_values().collect()))
    }

    /// Begins a payment, once.
    pub fn begin(&mut self, payment: u128, begun: Record) -> Result<(), LocalError> {
        match self.payments.get(&payment) {
            Some(known) if known.asked == begun => Ok(()),
            Some(_) => Err(LocalError::OtherTerms),
            None if self.payments.len() >= PAYMENTS_MAX => Err(LocalError::Full),
            None => self.write(&[begun]),
        }
    }

    /// Makes records durable, and does what they say.
    pub fn write(&mut self, records: &[Record]) -> Result<(), LocalError> {
        let disk = |error: &dyn std::fmt::Display| LocalError::Disk(error.to_string());
        for record in records {
            let bytes = serde_json::to_vec(record).map_err(|error| disk(&error))?;
            match self.log.append(record.id(), &bytes) {
                // Said before under this name: the first one counts.
                Ok(_) | Err(AppendError::Conflict { .. }) => (),
                Err(error) => return Err(disk(&error)),
            }
        }
        self.log.commit().map_err(|error| disk(&error))?;
        for record in records {
            // Whoever writes has looked at the payment.
            let _ = apply(&mut self.payments, record);
        }
        Ok(())
    }
}

fn apply(payments: &mut BTreeMap<u128, Known>, record: &Record) -> Option<()> {
    match record {
        Record::Begun { payment, product, currency, amount } => {
            let known = Known {
                asked: record.clone(),
                product: product.clone(),
                currency: currency.clone(),
                amount: *amount,
                state: StatedState::Open,
            };
            payments.insert(uuid::parse(payment)?, known);
        }
        Record::Happened { said, .. } => {
            let known = payments.get_mut(&uuid::parse(&said.payment)?)?;
            known.state = said.happened;
            (known.product, known.currency, known.amount) = (said.product.clone(), said.currency.clone(), said.amount);
        }
        Record::Told { .. } => (),
    }
    Some(())
}
