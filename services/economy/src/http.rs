//! The economy over HTTP: the store, payments, wallets, inventories, and what operators put right.
//!
//! Everything that is read here is what is on disk at that moment; nothing is eventual but grants, which follow the log of events:
//! whoever has just brought a result asks with `after`.

pub mod checkout;
mod house;
mod inventory;
mod store;
mod till;
mod transfers;
mod wallet;

use std::sync::Arc;
use std::time::Duration;

use arbiter_ledger::{Applied, Key, Receipt, Refusal, Why};
use arbiter_views::Queries;
use arbiter_web::{Depth, Figures, Own, Problem, Router, Service, routes};
use axum::extract::{DefaultBodyLimit, FromRef, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::LedgerView;
use crate::desk::{Counter, DeskError};
use crate::error::SubmitError;
use crate::uuid;

/// How long a request waits for events to be consumed.
const AFTER_MAX: Duration = Duration::from_secs(2);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// What the economy serves.
pub fn service(counter: &Counter, view: &LedgerView) -> Service {
    let router = Router::new()
        .routes(routes!(store::offers))
        .routes(routes!(store::purchase))
        .routes(routes!(wallet::wallet))
        .routes(routes!(wallet::transactions))
        .routes(routes!(inventory::inventory))
        .routes(routes!(inventory::wear))
        .merge(
            Router::new().routes(routes!(transfers::transfer)).layer(DefaultBodyLimit::max(transfers::BODY_BYTES_MAX)),
        )
        .routes(routes!(house::look))
        .routes(routes!(house::amend))
        .with_state(Asked { counter: counter.clone(), transactions: view.queries() });
    let (asked, view_ready) = (counter.clone(), view.ready());
    let ready = Arc::new(move || asked.ready().and_then(|()| view_ready()));
    Service { name: "economy", router, ready, figures: figures(counter, view) }
}

fn figures(counter: &Counter, view: &LedgerView) -> Figures {
    let figures = Arc::clone(counter.figures());
    let mut views = vec![("grants", Arc::clone(&figures.grants_lag)), ("transactions", view.lag())];
    views.extend(counter.told_lag().map(|lag| ("told", lag)));
    let (logs, waiting) = (vec![("economy", Arc::clone(&figures.log))], counter.clone());
    let queues: Vec<(_, Depth)> = vec![("desk", Arc::new(move || waiting.waiting()))];
    let own: Own = Arc::new(move |to| figures.write(to));
    Figures { logs, views, queues, own: vec![own] }
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Asked {
    counter: Counter,
    transactions: Queries,
}

impl FromRef<Asked> for Counter {
    fn from_ref(asked: &Asked) -> Self {
        asked.counter.clone()
    }
}

impl FromRef<Asked> for Queries {
    fn from_ref(asked: &Asked) -> Self {
        asked.transactions.clone()
    }
}

/// An amount of an asset, in its smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Amount {
    /// Name of the asset.
    asset: String,
    /// A whole number as a text, since many readers of JSON know only 53 bits.
    amount: String,
}

impl From<&crate::catalogue::Sum> for Amount {
    fn from(sum: &crate::catalogue::Sum) -> Self {
        Self { asset: sum.asset.to_string(), amount: sum.amount.to_string() }
    }
}

/// How new an answer must be.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// Position of the log of events, as `POST /events` answers it: the answer knows what everything before it is worth.
    after: Option<u64>,
}

impl After {
    /// Waits until it is so.
    async fn wait(&self, counter: &Counter) -> Result<(), Problem> {
        let Some(after) = self.after else { return Ok(()) };
        let consumed = async {
            while counter.consumed() < after {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(AFTER_MAX, consumed).await.map_err(|_| {
            let detail = format!("events are consumed up to {} and not to {after} yet: ask again", counter.consumed());
            Problem::unavailable(detail, 1)
        })
    }
}

/// The name of a request: `Idempotency-Key`, a UUID of version 7.
pub(crate) struct RequestKey(u128);

impl RequestKey {
    fn of(self, player: u64) -> Result<Key, Problem> {
        Key::new(player, self.0).ok_or_else(no_key)
    }
}

fn no_key() -> Problem {
    Problem::bad_request(
        "send Idempotency-Key: a new UUID of version 7 for each thing that is to be done, and the same one when it is sent again",
    )
}

impl<S: Sync> FromRequestParts<S> for RequestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.headers.get("idempotency-key").and_then(|value| value.to_str().ok()).ok_or_else(no_key)?;
        uuid::parse(text.trim().trim_matches('"')).map(Self).ok_or_else(no_key)
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        Problem::unavailable(error.to_string(), 1)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        use arbiter_ledger::Unanswered;
        let detail = error.to_string();
        match error {
            SubmitError::Unanswered(Unanswered::Conflict(_)) => Problem::conflict("key-used", detail),
            SubmitError::Unanswered(Unanswered::TooOld(_)) => Problem::conflict("key-too-old", detail),
            SubmitError::Unanswered(Unanswered::Ahead(_)) => Problem::bad_request(detail),
            SubmitError::Unanswered(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail),
            SubmitError::Full(_) | SubmitError::Stopped => Problem::unavailable(detail, 1),
        }
    }
}

/// The receipt of a request, or the problem that its refusal is.
fn receipt(applied: &Applied) -> Result<Receipt, Problem> {
    let answer = applied.answer();
    answer.ok_or_else(|| Problem::unavailable("the request was not answered: ask again", 1))?.map_err(refused)
}

fn refused(refusal: Refusal) -> Problem {
    let kind = match refusal.why {
        Why::NotEnough => "not-enough",
        Why::Claimed => "had-already",
        Why::Supply => "sold-out",
        Why::Frozen => "frozen",
        _ => "refused",
    };
    Problem::conflict(kind, format!("{refusal}; the answer to this key stays: make a new one to try again"))
}
