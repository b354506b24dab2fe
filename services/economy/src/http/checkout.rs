//! Buying for money of the real world: beginning a payment, looking at it, hearing of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arbiter_ledger::{Applied, Name, State as Ledger};
use arbiter_web::{Body, Caller, Figures, Json, Outside, Path, Problem, Router, Service, routes};
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Amount, RequestKey, receipt, till};
use crate::catalogue::{Catalogue, Price};
use crate::desk::{Counter, House, now};
use crate::payments::{
    ASIDE_MAX, Asked, BEGIN_MS_MAX, BadNotification, CheckoutError, NotifyError, PENDING_MS, Payment, PaymentState,
    PaymentsConfig,
};
use crate::uuid;

/// What sells for money of the real world; it stands beside [`super::service`].
pub fn service(counter: &Counter, payments: &PaymentsConfig) -> Service {
    // What an adapter does within the time, connecting too, is its own matter.
    let answer_max = Duration::from_millis(BEGIN_MS_MAX);
    let outside = |name: &Name| Outside::new(&format!("the payment provider {name}"), answer_max);
    let asking = payments.providers.iter().map(|provider| (provider.name().clone(), outside(provider.name())));
    let state =
        Till { counter: counter.clone(), payments: Arc::new(payments.clone()), asking: Arc::new(asking.collect()) };
    let router = Router::new()
        .routes(routes!(products))
        .routes(routes!(checkout))
        .routes(routes!(payment))
        .routes(routes!(notification))
        .routes(routes!(till::deliver))
        .routes(routes!(till::asides))
        .routes(routes!(till::close))
        .routes(routes!(till::freeze))
        .with_state(state);
    let asked = counter.clone();
    Service { name: "payments", router, ready: Arc::new(move || asked.ready()), figures: Figures::default() }
}

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Till {
    counter: Counter,
    payments: Arc<PaymentsConfig>,
    /// By the provider's name.
    asking: Arc<BTreeMap<Name, Outside>>,
}

impl FromRef<Till> for Counter {
    fn from_ref(till: &Till) -> Self {
        till.counter.clone()
    }
}

/// An amount of money of the real world.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Money {
    /// Code of ISO 4217, as EUR.
    currency: String,
    /// In the currency's smallest unit, as a text.
    amount: String,
}

impl From<&Price> for Money {
    fn from(price: &Price) -> Self {
        Self { currency: price.currency.to_string(), amount: price.amount.to_string() }
    }
}

/// Everything that is sold for money of the real world.
#[derive(Debug, Serialize, ToSchema)]
struct Products {
    products: Vec<Product>,
}

/// Something that is sold for money of the real world.
#[derive(Debug, Serialize, ToSchema)]
struct Product {
    /// Its name.
    name: String,
    /// What it costs.
    price: Money,
    /// What one gets.
    gives: Vec<Amount>,
    /// How many of it one player may ever buy; missing for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    each_max: Option<u32>,
    /// From when it is for sale, in milliseconds since 1970; 0 for always.
    from: u64,
    /// Until when it is for sale; missing for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

/// See what is sold for money of the real world
///
/// All products by name, those that are not for sale yet or no longer too.
#[utoipa::path(get, path = "/store/products", tag = "store", responses((status = 200, body = Products)))]
async fn products(State(counter): State<Counter>) -> Json<Products> {
    let listed = counter.catalogue().products.iter().map(|(name, product)| Product {
        name: name.to_string(),
        price: (&product.price).into(),
        gives: product.gives.iter().map(Amount::from).collect(),
        each_max: product.each_max,
        from: product.from.0,
        until: Some(product.until.0).filter(|until| *until != u64::MAX),
    });
    Json(Products { products: listed.collect() })
}

/// What is to be paid for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Checkout {
    /// Name of the product.
    product: String,
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    /// Its number, a UUID.
    payment: String,
    /// Whose it is.
    player: String,
    /// Name of the product.
    product: String,
    /// What it costs.
    price: Money,
    /// What one gets.
    gives: Vec<Amount>,
    /// Where it stands.
    state: Standing,
    /// Whether what was bought was given. It stays so when it is taken back.
    delivered: bool,
    /// When it was begun, in milliseconds since 1970.
    begun: u64,
    /// Where the client pays, in the answer to a checkout, while it waits to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    /// It waits to be paid.
    Pending,
    /// It was not paid within a day; if it is paid now, it is delivered all the same.
    Expired,
    /// The provider gave it up.
    Failed,
    /// It was paid.
    Paid,
    /// The house gave the money back.
    Refunded,
    /// The player's bank took the money back.
    ChargedBack,
}

impl Shown {
    pub fn of(number: u128, payment: &Payment) -> Self {
        let state = match payment.state(now()) {
            PaymentState::Pending => Standing::Pending,
            PaymentState::Expired => Standing::Expired,
            PaymentState::Failed => Standing::Failed,
            PaymentState::Paid => Standing::Paid,
            PaymentState::Refunded => Standing::Refunded,
            PaymentState::ChargedBack => Standing::ChargedBack,
        };
        Self {
            payment: uuid::show(number),
            player: payment.player.to_string(),
            product: payment.terms.product.to_string(),
            price: (&payment.terms.price).into(),
            gives: payment.terms.gives.iter().map(Amount::from).collect(),
            state,
            delivered: payment.delivered,
            begun: payment.begun.0,
            url: None,
        }
    }
}

/// Begin to pay for something
///
/// The payment is written down first, then the provider says where to pay. The header `Idempotency-Key` names the payment, and is its
/// number: sent again with the same key there is one payment, and where to pay as long as it waits.
#[utoipa::path(post, path = "/store/checkout", tag = "store", request_body = Checkout,
    params(("Idempotency-Key" = String, Header, description = "a UUID of version 7")),
    responses((status = 200, body = Shown), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem, description = "there is no such product"),
        (status = 409, body = Problem, description = "not for sale now, sold out, bought already, no place, too many wait, key used"),
        (status = 503, body = Problem, description = "the provider does not answer, or nobody knows: send it again under the same key")))]
async fn checkout(
    caller: Caller,
    key: RequestKey,
    State(till): State<Till>,
    Json(asked): Json<Checkout>,
) -> Result<Json<Shown>, Problem> {
    let begun = begin(caller, key, &till, asked).await;
    till.counter.figures().checked_out(&begun);
    begun
}

async fn begin(caller: Caller, key: RequestKey, till: &Till, asked: Checkout) -> Result<Json<Shown>, Problem> {
    let key = key.of(caller.player()?)?;
    let missing = || Problem::not_found(format!("there is no product {:?}", asked.product));
    let product: Name = asked.product.parse().map_err(|_| missing())?;
    let first = till.payments.providers.first();
    let provider = first.ok_or_else(|| Problem::unavailable("no payment provider is set up", 60))?.name().clone();
    let decide =
        move |house: &mut House, catalogue: &Catalogue, now| house.checkout(catalogue, &provider, key, &product, now);
    let applied: Applied = till.counter.write(decide).await?.map_err(no_checkout)?;
    receipt(&applied)?;
    let number = key.uuid();
    let payment = find(&till.counter, number).await?;
    let mut shown = Shown::of(number, &payment);
    if matches!(shown.state, Standing::Pending | Standing::Expired | Standing::Failed) {
        shown.url = Some(till.begin(number, &payment).await?);
    }
    Ok(Json(shown))
}

impl Till {
    /// Asks the provider where to pay.
    async fn begin(&self, number: u128, payment: &Payment) -> Result<String, Problem> {
        let name = &payment.terms.provider;
        let provider = self.payments.provider(name.as_str()).cloned().zip(self.asking.get(name));
        let (provider, asking) =
            provider.ok_or_else(|| Problem::unavailable(format!("the provider {name} is not set up any more"), 60))?;
        let asked = Asked {
            payment: number,
            player: payment.player,
            product: payment.terms.product.clone(),
            price: payment.terms.price.clone(),
            until: payment.begun.after(PENDING_MS),
        };
        // All errors say that it does not answer.
        let begun = asking.ask(move || provider.begin(&asked), |_| true).await?;
        begun.map_err(|error| Problem::unavailable(error.to_string(), 1))
    }
}

async fn find(counter: &Counter, number: u128) -> Result<Payment, Problem> {
    let look = move |house: &House, _: &Ledger, _: &Catalogue| house.payments()?.get(number).cloned();
    let missing = || Problem::not_found(format!("there is no payment {}", uuid::show(number)));
    counter.read(look).await?.ok_or_else(missing)
}

pub(super) fn number_of(text: &str) -> Result<u128, Problem> {
    uuid::parse(text).ok_or_else(|| Problem::not_found(format!("there is no payment {text:?}: its number is a UUID")))
}

/// See where a payment stands
#[utoipa::path(get, path = "/store/payments/{payment}", tag = "store",
    params(("payment" = String, Path, description = "its number; the player's who asks, or a service does")),
    responses((status = 200, body = Shown), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
async fn payment(
    caller: Caller,
    State(counter): State<Counter>,
    Path(number): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let number = number_of(&number)?;
    let payment = find(&counter, number).await?;
    // Whose it is, and that there is one, is nobody else's business.
    let missing = |_| Problem::not_found(format!("there is no payment {}", uuid::show(number)));
    caller.may_see(payment.player).map_err(missing)?;
    Ok(Json(Shown::of(number, &payment)))
}

/// Hear of a payment
///
/// For the provider, which signs it. It is answered with 204 when what it did is on disk; any other answer means that it should be
/// sent again.
#[utoipa::path(post, path = "/payments/{provider}/notifications", tag = "payments",
    params(("provider" = String, Path, description = "name of the provider")), request_body = String,
    responses((status = 204, description = "taken, now or before"), (status = 400, body = Problem, description = "not understood"),
        (status = 401, body = Problem, description = "not signed by the provider, or too old"), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
async fn notification(
    State(till): State<Till>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<StatusCode, Problem> {
    let found = till.payments.provider(&provider);
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no payment provider {provider:?}")))?;
    let Some(notification) = found.verify(&headers, &body, now()).map_err(no_notification)? else {
        return Ok(StatusCode::NO_CONTENT);
    };
    let (name, freeze) = (found.name().clone(), till.payments.freeze_on_chargeback);
    let decide =
        move |house: &mut House, catalogue: &Catalogue, now| house.notify(catalogue, &name, &notification, freeze, now);
    till.counter.write(decide).await?.map_err(not_done)?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_checkout(error: CheckoutError) -> Problem {
    let detail = error.to_string();
    match error {
        CheckoutError::NoSuchProduct(_) => Problem::new(StatusCode::NOT_FOUND, "no-such-product", detail),
        CheckoutError::NotNow(..) => Problem::conflict("not-for-sale-now", detail),
        CheckoutError::NoPlace { .. } => Problem::conflict("no-place", detail),
        CheckoutError::SoldOut(_) => Problem::conflict("sold-out", detail),
        CheckoutError::HadAlready(_) => Problem::conflict("had-already", detail),
        CheckoutError::TooManyPending => Problem::conflict("too-many-payments", detail),
        CheckoutError::Full(_) => Problem::unavailable(detail, 3_600),
        CheckoutError::Submit(error) => error.into(),
    }
}

fn no_notification(error: BadNotification) -> Problem {
    let detail = error.to_string();
    match error {
        BadNotification::Signature(_) => Problem::unauthorized(detail),
        BadNotification::Body(_) => Problem::bad_request(detail),
    }
}

/// Why something was not done with a payment.
pub(super) fn not_done(error: NotifyError) -> Problem {
    let detail = error.to_string();
    match error {
        NotifyError::Id(_) => Problem::bad_request(detail),
        NotifyError::AsideFull => {
            tracing::error!("{ASIDE_MAX} notifications of payments wait for people: no further one is taken");
            Problem::unavailable(detail, 60)
        }
        NotifyError::NoSuchPayment(_) | NotifyError::NoSuchAside(_) => Problem::not_found(detail),
        NotifyError::NothingToDeliver(_) => Problem::conflict("nothing-to-deliver", detail),
        NotifyError::Refused(_) => Problem::conflict("refused", detail),
        NotifyError::Submit(error) => error.into(),
    }
}
