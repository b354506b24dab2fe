//! What an adapter of a payment provider has to do: say where a client pays, and read what the provider says about it.
//!
//! Everything else is the same for all of them: a payment is begun in the ledger first, and a notification is answered with 2xx
//! when what it did is on disk. Whoever writes an adapter needs this file and [`super::signature`].

use std::sync::Arc;

use arbiter_ledger::{Name, Time};
use axum::http::HeaderMap;
use thiserror::Error;

use super::signature::BadSignature;
use crate::catalogue::Price;

/// Bytes of a notification's id at most.
pub const ID_BYTES_MAX: usize = 128;

/// What a provider is asked to take money for. It learns no more of a player than the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The payment's number: a UUID, and the idempotency key at the provider.
    pub payment: u128,
    /// Who buys.
    pub player: u64,
    /// What is bought.
    pub product: Name,
    /// What it costs.
    pub price: Price,
    /// Until when it can be paid.
    pub until: Time,
}

/// What happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The provider has the money.
    Paid {
        /// For what.
        product: Name,
        /// How much.
        price: Price,
    },
    /// The house gave the money back.
    Refunded {
        /// How much.
        price: Price,
    },
    /// The player's bank took the money back.
    ChargedBack {
        /// How much.
        price: Price,
    },
    /// It came to nothing.
    Failed,
}

impl Happened {
    /// A word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Paid { .. } => "paid",
            Self::Refunded { .. } => "refunded",
            Self::ChargedBack { .. } => "charged-back",
            Self::Failed => "failed",
        }
    }
}

/// What a provider says, once its signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id: the same when it is repeated; 1 to [`ID_BYTES_MAX`] bytes.
    pub id: String,
    /// When it happened, by the provider's clock.
    pub time: Time,
    /// To which payment.
    pub payment: u128,
    /// What.
    pub happened: Happened,
}

/// Why a provider did not say where to pay. The payment waits; asking again under the same key asks the provider again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the payment provider does not answer: {0}; ask again under the same key")]
pub struct ProviderError(pub String);

/// Why a notification was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadNotification {
    /// Not the provider's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The provider's, and not understood.
    #[error("the notification cannot be read: {0}; the adapter and the provider's settings must agree on its version")]
    Body(String),
}

/// A payment provider.
pub trait Provider: Send + Sync + 'static {
    /// Its name, in the path of its notifications and in the ledger for ever.
    fn name(&self) -> &Name;

    /// Asks for a payment and says where the client pays. The same number again gives the same payment. It may block, for up to
    /// [`BEGIN_MS_MAX`].
    ///
    /// # Errors
    /// The provider does not answer, or not with a payment.
    fn begin(&self, asked: &Asked) -> Result<String, ProviderError>;

    /// Checks a notification and reads it; `now` is milliseconds since 1970. `None` for what the house need not know, which is
    /// answered as taken.
    ///
    /// # Errors
    /// It is not from the provider, too old, or nonsense.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Time) -> Result<Option<Notification>, BadNotification>;
}

/// How long a provider may take to say where a client pays: less than a request to us may take.
pub const BEGIN_MS_MAX: u64 = 8_000;

/// How payments are run.
#[derive(Clone)]
pub struct PaymentsConfig {
    /// Providers whose notifications are taken; new payments are begun with the first.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Whether a chargeback freezes what its player can spend, until an operator frees it.
    pub freeze_on_chargeback: bool,
}

impl PaymentsConfig {
    /// With one provider, and nothing frozen.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { providers: vec![provider], freeze_on_chargeback: false }
    }

    /// A provider by its name.
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.providers.iter().find(|provider| provider.name().as_str() == name)
    }
}

impl std::fmt::Debug for PaymentsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&Name> = self.providers.iter().map(|provider| provider.name()).collect();
        let mut out = f.debug_struct("PaymentsConfig");
        out.field("providers", &names).field("freeze_on_chargeback", &self.freeze_on_chargeback).finish()
    }
}
