//! What operators do about payments: what waits for people, what was not given, who is frozen.

use arbiter_web::{Json, Path, Problem, ServiceOnly};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checkout::{Shown, not_done, number_of};
use crate::catalogue::Catalogue;
use crate::desk::{Counter, House};
use crate::uuid;

/// What is listed of what waits.
const LISTED_MAX: usize = 1_000;

/// What waits for people.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Asides {
    /// The first of them by number, at most 1,000.
    waiting: Vec<Aside>,
    /// How many there are.
    count: usize,
}

/// A notification that nobody but people can decide on.
#[derive(Debug, Serialize, ToSchema)]
struct Aside {
    /// Its number, for closing it.
    aside: String,
    /// Who said it.
    provider: String,
    /// Its id there.
    notification: String,
    /// Which payment it is about.
    payment: String,
    /// What was said: paid, refunded, charged-back, failed.
    happened: String,
    /// Why it waits: unknown, other-provider, other-terms, other-amount, refused, each-max, not-taken-back, kept, twice.
    reason: String,
    /// The same in words.
    detail: String,
    /// When it was heard, in milliseconds since 1970.
    time: u64,
}

/// See what waits for people
#[utoipa::path(get, path = "/store/asides", tag = "payments",
    responses((status = 200, body = Asides), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn asides(_: ServiceOnly, State(counter): State<Counter>) -> Result<Json<Asides>, Problem> {
    let look = |house: &House, _: &_, _: &_| {
        let all = house.payments().map(|payments| payments.asides().collect::<Vec<_>>()).unwrap_or_default();
        let waiting = all.iter().take(LISTED_MAX).map(|(number, aside)| Aside {
            aside: uuid::show(*number),
            provider: aside.provider.to_string(),
            notification: aside.notification.clone(),
            payment: uuid::show(aside.payment),
            happened: aside.happened.word().to_owned(),
            reason: aside.reason.word().to_owned(),
            detail: aside.detail.clone(),
            time: aside.time.0,
        });
        Asides { waiting: waiting.collect(), count: all.len() }
    };
    Ok(Json(counter.read(look).await?))
}

/// Take something off the list of what waits for people
///
/// Once somebody has seen to it. It does nothing else.
#[utoipa::path(post, path = "/store/asides/{aside}/close", tag = "payments", params(("aside" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn close(
    _: ServiceOnly,
    State(counter): State<Counter>,
    Path(number): Path<String>,
) -> Result<StatusCode, Problem> {
    let missing = || Problem::not_found(format!("nothing waits under {number:?}"));
    let number = uuid::parse(&number).ok_or_else(missing)?;
    let decide = move |house: &mut House, _: &_, now| house.close_aside(number, now);
    counter.write(decide).await?.map_err(not_done)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give what was paid for and could not be given
///
/// Once it was put right why it could not.
#[utoipa::path(post, path = "/store/payments/{payment}/deliver", tag = "payments", params(("payment" = String, Path)),
    responses((status = 200, body = Shown), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "nothing to deliver, or refused again"),
        (status = 503, body = Problem)))]
pub(super) async fn deliver(
    _: ServiceOnly,
    State(counter): State<Counter>,
    Path(number): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let number = number_of(&number)?;
    let decide = move |house: &mut House, _: &_, now| house.deliver(number, now);
    counter.write(decide).await?.map_err(not_done)?;
    let look =
        move |house: &House, _: &_, _: &_| house.payments()?.get(number).map(|payment| Shown::of(number, payment));
    let missing = || Problem::not_found(format!("there is no payment {}", uuid::show(number)));
    counter.read(look).await?.map(Json).ok_or_else(missing)
}

/// Whether a player's money is to be frozen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Frozen {
    /// True to freeze it, false to free it.
    frozen: bool,
}

/// Freeze all money of a player, or free it
///
/// What is frozen is neither spent nor earned; payments move it all the same.
#[utoipa::path(put, path = "/wallet/{playerId}/frozen", tag = "payments", params(("playerId" = u64, Path)), request_body = Frozen,
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn freeze(
    _: ServiceOnly,
    State(counter): State<Counter>,
    Path(player): Path<u64>,
    Json(asked): Json<Frozen>,
) -> Result<StatusCode, Problem> {
    let decide =
        move |house: &mut House, catalogue: &Catalogue, now| house.freeze_wallet(catalogue, player, asked.frozen, now);
    counter.write(decide).await?.map_err(not_done)?;
    Ok(StatusCode::NO_CONTENT)
}
