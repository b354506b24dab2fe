//! What the local provider serves: paying, as it is asked to go wrong, and its statement.

use std::sync::Arc;

use arbiter_web::{Figures, Json, Path, Problem, Router, Service, ServiceOnly, routes};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::record::{Book, Known, Record, Said, Waiting};
use super::sender::Message;
use super::{DELAY_MS_MAX, LocalError, NAME, Shared, TIMES_MAX};
use crate::catalogue::is_currency;
use crate::desk::now;
use crate::payments::reconcile::{StatedJson, StatedState, StatementJson};
use crate::uuid;

pub(super) fn service(shared: &Arc<Shared>) -> Service {
    let router = Router::new()
        .routes(routes!(page))
        .routes(routes!(pay))
        .routes(routes!(statement))
        .with_state(Arc::clone(shared));
    Service { name: "local-provider", router, ready: Arc::new(|| Ok(())), figures: Figures::default() }
}

/// How a payment goes, and how it goes wrong. Without anything it is paid, and said once at once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Pay {
    /// How late it is said, in milliseconds, up to an hour.
    #[schema(maximum = 3_600_000)]
    delay_ms: u64,
    /// How often the same is said, 1 to 16.
    #[schema(minimum = 1, maximum = 16)]
    times: u32,
    /// In which order it is said what happened.
    order: Order,
    /// The payment comes to nothing, instead of being paid.
    fail: bool,
    /// The house gives the money back, once it is paid.
    refund: bool,
    /// The player's bank takes the money back, once it is paid.
    chargeback: bool,
    /// Another amount is paid.
    amount: Option<u64>,
    /// Another currency is paid.
    currency: Option<String>,
    /// It is paid for another product.
    product: Option<String>,
    /// Nothing of it is ever said.
    lose: bool,
}

impl Default for Pay {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            times: 1,
            order: Order::Forward,
            fail: false,
            refund: false,
            chargeback: false,
            amount: None,
            currency: None,
            product: None,
            lose: false,
        }
    }
}

/// In which order it is said what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// As it happened.
    Forward,
    /// The last first.
    Reversed,
}

impl Pay {
    fn check(&self) -> Result<(), Problem> {
        let wrong = if self.delay_ms > DELAY_MS_MAX {
            format!("delay_ms: it must be from 0 to {DELAY_MS_MAX}")
        } else if !(1..=TIMES_MAX).contains(&self.times) {
            format!("times: it must be from 1 to {TIMES_MAX}")
        } else if self.currency.as_deref().is_some_and(|currency| !is_currency(currency)) {
            "currency: write its three letters of ISO 4217".to_owned()
        } else if self.product.as_deref().is_some_and(|product| !arbiter_ledger::name::is_name(product)) {
            "product: that is no name".to_owned()
        } else if self.fail && (self.refund || self.chargeback) {
            "fail: what comes to nothing has no money that could go back".to_owned()
        } else {
            return Ok(());
        };
        Err(Problem::bad_request(wrong))
    }

    /// What happens to a payment now, in the order in which it happens.
    fn happens(&self, known: &Known) -> Vec<StatedState> {
        use StatedState::{ChargedBack, Failed, Open, Paid, Refunded};
        let mut happens = Vec::new();
        match (known.state, self.fail) {
            (Open, true) => happens.push(Failed),
            (Open | Failed, false) => happens.push(Paid),
            _ => (),
        }
        let has_money = happens.contains(&Paid) || matches!(known.state, Paid | Refunded | ChargedBack);
        if self.refund && has_money && !matches!(known.state, Refunded | ChargedBack) {
            happens.push(Refunded);
        }
        if self.chargeback && has_money && known.state != ChargedBack {
            happens.push(ChargedBack);
        }
        happens
    }

    /// Does it: on disk behind this, and what is to be said.
    fn act(&self, book: &mut Book, payment: u128) -> Result<Option<(Known, Vec<Waiting>)>, LocalError> {
        let Some(known) = book.payments.get(&payment).cloned() else { return Ok(None) };
        let paying = matches!(known.state, StatedState::Open | StatedState::Failed);
        let amount = self.amount.filter(|_| paying).unwrap_or(known.amount);
        let currency = self.currency.clone().filter(|_| paying).unwrap_or_else(|| known.currency.clone());
        let product = self.product.clone().filter(|_| paying).unwrap_or_else(|| known.product.clone());
        let time = now().0;
        let mut waiting: Vec<Waiting> = Vec::new();
        for happened in self.happens(&known) {
            let said = Said {
                payment: uuid::show(payment),
                happened,
                product: product.clone(),
                currency: currency.clone(),
                amount,
                time,
            };
            // Each thing happens once to a payment, so that this names it.
            let id = format!("{}-{happened:?}", uuid::show(payment)).to_lowercase();
            waiting.push(Waiting { id, said, at: time + self.delay_ms, times: self.times });
        }
        let record = |waiting: &Waiting| Record::Happened {
            id: waiting.id.clone(),
            said: waiting.said.clone(),
            tell_at: (!self.lose).then_some(waiting.at),
            times: waiting.times,
        };
        let records: Vec<Record> = waiting.iter().map(record).collect();
        book.write(&records)?;
        if self.lose {
            waiting.clear();
        }
        if self.order == Order::Reversed {
            waiting.reverse();
        }
        Ok(book.payments.get(&payment).cloned().map(|known| (known, waiting)))
    }
}

fn shown(payment: u128, known: &Known) -> StatedJson {
    StatedJson {
        payment: uuid::show(payment),
        product: known.product.clone(),
        currency: known.currency.clone(),
        amount: known.amount.to_string(),
        state: known.state,
    }
}

fn number_of(text: &str) -> Result<u128, Problem> {
    uuid::parse(text).ok_or_else(|| missing(text))
}

fn missing(text: &str) -> Problem {
    Problem::not_found(format!("the local provider has no payment {text:?}"))
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|_| Problem::unavailable("the local provider failed", 1))
}

/// See a payment at the local provider
#[utoipa::path(get, path = "/provider/local/payments/{payment}", tag = "local provider", params(("payment" = String, Path)),
    responses((status = 200, body = StatedJson), (status = 404, body = Problem)))]
async fn page(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Result<Json<StatedJson>, Problem> {
    let payment = number_of(&text)?;
    let found = blocking(move || shared.book(|book| book.payments.get(&payment).cloned())).await?;
    found.map(|known| Json(shown(payment, &known))).ok_or_else(|| missing(&text))
}

/// Pay at the local provider, or let it go wrong
///
/// Whoever knows the payment's number may. What happened already does not happen again: ask with `refund` or `chargeback` for what
/// comes later.
#[utoipa::path(post, path = "/provider/local/payments/{payment}/pay", tag = "local provider", params(("payment" = String, Path)),
    request_body = Pay,
    responses((status = 200, body = StatedJson), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
async fn pay(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    Json(asked): Json<Pay>,
) -> Result<Json<StatedJson>, Problem> {
    asked.check()?;
    let payment = number_of(&text)?;
    let (works, asks) = (Arc::clone(&shared), asked.clone());
    let done = blocking(move || works.book(|book| asks.act(book, payment))).await?;
    let done = done.map_err(|error| Problem::unavailable(error.to_string(), 1))?;
    let (known, waiting) = done.ok_or_else(|| missing(&text))?;
    for waiting in waiting {
        let _ = shared.messages.send(Message::Tell(waiting));
    }
    Ok(Json(shown(payment, &known)))
}

/// See all payments of the local provider as they ended
#[utoipa::path(get, path = "/provider/local/statement", tag = "local provider",
    responses((status = 200, body = StatementJson), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn statement(_: ServiceOnly, State(shared): State<Arc<Shared>>) -> Result<Json<StatementJson>, Problem> {
    let read = move || {
        let all = shared.book(|book| book.payments.iter().map(|(payment, known)| shown(*payment, known)).collect());
        StatementJson { provider: NAME.to_owned(), payments: all }
    };
    Ok(Json(blocking(read).await?))
}
