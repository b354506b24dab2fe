//! Matches that are arranged ahead: whoever arranges one orders it here with its settings, an allocation gives its id to a game
//! server, and the server fetches the settings by it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arbiter_contracts::orders::{OrderSettings, Ordered, SETTINGS_BYTES_MAX};
use arbiter_contracts::servers::hex128;
use arbiter_web::{Json, Path, Problem, Router, ServiceOnly, routes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::orders::{Kept, OrderError};

/// Orders of a day ago make room for others; that takes its time.
const FULL_RETRY_S: u32 = 60;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().routes(routes!(order)).layer(DefaultBodyLimit::max(SETTINGS_BYTES_MAX)).routes(routes!(settings))
}

/// A match that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Its id, 32 hexadecimal digits, not all of them 0; drawn if left out. With an id the same order may be sent again.
    #[serde(rename = "match", default)]
    #[schema(example = "0123456789abcdef0123456789abcdef")]
    match_id: Option<String>,
    /// How it is to be played; `{}` leaves all to the server.
    settings: OrderSettings,
}

/// Order a match
///
/// Answered when it is on disk; kept for a day. Allocate a server with the annotation `arbiter.dev/match` and the id then; players
/// are sent there by `POST /join` with the same id once the server has it.
#[utoipa::path(post, path = "/matches", tag = "orders", request_body = Wanted,
    responses((status = 201, body = Ordered), (status = 200, body = Ordered, description = "it was ordered so before"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem, description = "match-differs: it was ordered with other settings"),
        (status = 413, body = Problem), (status = 503, body = Problem, description = "orders-full, or the disk takes nothing")))]
async fn order(
    _: ServiceOnly,
    State(shared): State<Arc<Shared>>,
    Json(Wanted { match_id, settings }): Json<Wanted>,
) -> Result<(StatusCode, Json<Ordered>), Problem> {
    settings.check().map_err(|error| Problem::bad_request(error.to_string()))?;
    let match_id = match match_id {
        Some(text) => parse(&text)?,
        None => draw()?,
    };
    let ordered = Ordered { match_id, settings };
    let order = ordered.clone();
    // It waits for a disk.
    let done = tokio::task::spawn_blocking(move || shared.orders().put(match_id, &order.settings, now_s())).await;
    match done.map_err(unfinished)?? {
        Kept::New => Ok((StatusCode::CREATED, Json(ordered))),
        Kept::Known => Ok((StatusCode::OK, Json(ordered))),
    }
}

/// How a match is to be played
#[utoipa::path(get, path = "/matches/{id}/settings", tag = "orders",
    params(("id" = String, Path, description = "the match, 32 hexadecimal digits")),
    responses((status = 200, body = Ordered), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem, description = "no-such-order"),
        (status = 503, body = Problem)))]
async fn settings(
    _: ServiceOnly,
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
) -> Result<Json<Ordered>, Problem> {
    let match_id = parse(&text)?;
    let found = tokio::task::spawn_blocking(move || shared.orders().get(match_id, now_s())).await;
    let settings = found.map_err(unfinished)??.ok_or_else(|| {
        let detail =
            format!("match {match_id:032x} was not ordered here within a day: order it with POST /matches first");
        Problem::new(StatusCode::NOT_FOUND, "no-such-order", detail)
    })?;
    Ok(Json(Ordered { match_id, settings }))
}

fn parse(text: &str) -> Result<u128, Problem> {
    let wrong = || Problem::bad_request("match: expected 32 hexadecimal digits, the letters small, not all of them 0");
    hex128::parse(text).filter(|id| *id != 0).ok_or_else(wrong)
}

/// Another id than any: 0 names no match.
fn draw() -> Result<u128, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::unavailable("the system gives no random numbers", 1))?;
    Ok(u128::from_le_bytes(bytes).max(1))
}

/// Orders outlive the process, so that they are dated by the calendar.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn unfinished(_: tokio::task::JoinError) -> Problem {
    Problem::unavailable("this was not finished: try again", 1)
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let detail = error.to_string();
        match error {
            OrderError::Differs(_) => Problem::conflict("match-differs", detail),
            OrderError::Full => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "orders-full", detail).after(FULL_RETRY_S)
            }
            OrderError::Disk(_) | OrderError::Damaged(_) => {
                tracing::error!(%error, "an order cannot be kept or found");
                Problem::unavailable("the disk of orders fails: see the log of this service", 1)
            }
        }
    }
}
