//! What is for sale, and buying it.

use arbiter_web::{Caller, Json, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Amount, RequestKey, receipt};
use crate::desk::Counter;
use crate::store::PurchaseError;

/// Everything that is in the store.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Offers {
    offers: Vec<Offer>,
}

/// Something that is for sale.
#[derive(Debug, Serialize, ToSchema)]
struct Offer {
    /// Its name.
    name: String,
    /// What it costs.
    price: Amount,
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

/// See what is for sale
///
/// All offers by name, those that are not for sale yet or no longer too.
#[utoipa::path(get, path = "/store/offers", tag = "store", responses((status = 200, body = Offers)))]
pub(super) async fn offers(State(counter): State<Counter>) -> Json<Offers> {
    let listed = counter.catalogue().offers.iter().map(|(name, offer)| Offer {
        name: name.to_string(),
        price: (&offer.price).into(),
        gives: offer.gives.iter().map(Amount::from).collect(),
        each_max: offer.each_max,
        from: offer.from.0,
        until: Some(offer.until.0).filter(|until| *until != u64::MAX),
    });
    Json(Offers { offers: listed.collect() })
}

/// What is to be bought.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Purchase {
    /// Name of the offer.
    offer: String,
}

/// It was paid for and delivered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bought {
    /// Name of the offer.
    offer: String,
    /// Number of the transaction.
    transaction: String,
}

/// Buy something
///
/// Pays and delivers, all of it or nothing, for the player whose token it is. The header `Idempotency-Key` names the purchase: sent
/// again with the same key it is answered the same and bought once, for 30 days from the time in the key.
#[utoipa::path(post, path = "/store/purchase", tag = "store", request_body = Purchase,
    params(("Idempotency-Key" = String, Header, description = "a UUID of version 7")),
    responses((status = 200, body = Bought), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem, description = "there is no such offer"),
        (status = 409, body = Problem, description = "not for sale now, not enough money, no place, bought already, key used"),
        (status = 503, body = Problem, description = "nobody knows whether it was done: send it again under the same key")))]
pub(super) async fn purchase(
    caller: Caller,
    key: RequestKey,
    State(counter): State<Counter>,
    Json(asked): Json<Purchase>,
) -> Result<Json<Bought>, Problem> {
    let bought = buy(caller, key, &counter, asked).await;
    counter.figures().purchased(&bought);
    bought
}

async fn buy(caller: Caller, key: RequestKey, counter: &Counter, asked: Purchase) -> Result<Json<Bought>, Problem> {
    let key = key.of(caller.player()?)?;
    let offer = asked.offer.parse().map_err(|_| Problem::not_found(format!("there is no offer {:?}", asked.offer)))?;
    let decide = move |house: &mut crate::desk::House, catalogue: &_, now| house.purchase(catalogue, key, &offer, now);
    let applied = counter.write(decide).await?.map_err(problem)?;
    let receipt = receipt(&applied)?;
    Ok(Json(Bought { offer: asked.offer, transaction: receipt.transfer.to_string() }))
}

fn problem(error: PurchaseError) -> Problem {
    let detail = error.to_string();
    match error {
        PurchaseError::NoSuchOffer(_) => Problem::new(StatusCode::NOT_FOUND, "no-such-offer", detail),
        PurchaseError::NotNow(..) => Problem::conflict("not-for-sale-now", detail),
        PurchaseError::NoPlace { .. } => Problem::conflict("no-place", detail),
        PurchaseError::Submit(error) => error.into(),
    }
}
