//! What game servers say of themselves, and who may look at it. Servers speak every second; who is silent for [`SILENCE`] is gone.

use std::sync::Arc;

use arbiter_contracts::servers::{REGISTRATION_BYTES_MAX, Registration};
use arbiter_web::{Json, Path, Problem, Router, ServiceOnly, routes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
#[cfg(doc)]
use crate::registry::SILENCE;
use crate::registry::{BeatError, ServerId, ServerView};

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .routes(routes!(beat, drain))
        .layer(DefaultBodyLimit::max(REGISTRATION_BYTES_MAX))
        .routes(routes!(list))
}

fn id(text: String) -> Result<ServerId, Problem> {
    let wrong = || Problem::bad_request("the id of a server is 1 to 64 letters and digits of ASCII, '.', '_' and '-'");
    ServerId::parse(text).ok_or_else(wrong)
}

/// Register a game server
///
/// Sent every second with all that the server hosts; who is silent for five seconds is sent nobody any more. What is put twice
/// is there once.
#[utoipa::path(put, path = "/servers/{id}", tag = "servers", request_body = Registration,
    params(("id" = String, Path, description = "1 to 64 letters, digits, '.', '_' and '-', its own for each process")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem, description = "servers-full")))]
async fn beat(
    _: ServiceOnly,
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    Json(registration): Json<Registration>,
) -> Result<StatusCode, Problem> {
    let id = id(text)?;
    let (mut registry, now) = shared.registry();
    let new = registry.beat(now, &id, registration)?;
    drop(registry);
    if new {
        tracing::info!(server = id.as_str(), "a server registered");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Send nobody to a game server any more
///
/// Its matches go on. It comes back with its next registration.
#[utoipa::path(delete, path = "/servers/{id}", tag = "servers", params(("id" = String, Path)),
    responses((status = 204, description = "it is not there, whether or not it was"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn drain(
    _: ServiceOnly,
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id(text)?;
    let (mut registry, now) = shared.registry();
    let was_there = registry.drain(now, &id);
    drop(registry);
    if was_there {
        tracing::info!(server = id.as_str(), "a server drained");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// All servers that can be heard.
#[derive(Debug, Serialize, ToSchema)]
struct Servers {
    servers: Vec<ServerView>,
}

/// All game servers that can be heard, and what they host
#[utoipa::path(get, path = "/servers", tag = "servers",
    responses((status = 200, body = Servers), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn list(_: ServiceOnly, State(shared): State<Arc<Shared>>) -> Json<Servers> {
    let (mut registry, now) = shared.registry();
    Json(Servers { servers: registry.list(now) })
}

impl From<BeatError> for Problem {
    fn from(error: BeatError) -> Self {
        let detail = error.to_string();
        match error {
            BeatError::Full => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "servers-full", detail).after(10),
            _ => Problem::bad_request(detail),
        }
    }
}
