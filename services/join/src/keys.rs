//! The public keys of access tokens, and the switch that stops their issuing.

use std::sync::Arc;

use arbiter_access::Jwks;
use arbiter_web::{Json, Problem, Router, ServiceOnly, routes};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Shared;

/// Seconds for which the key set may be kept: the next key is in it for hours before it is used.
const CACHED: &str = "public, max-age=60";

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().routes(routes!(jwks)).routes(routes!(is_issuing, set_issuing))
}

/// The keys of access tokens
///
/// A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037): the one that signs, the next one, and those whose last tokens may
/// still be valid.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "join",
    responses((status = 200, body = Jwks, content_type = "application/jwk-set+json")))]
async fn jwks(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [(header::CACHE_CONTROL, CACHED), (header::CONTENT_TYPE, "application/jwk-set+json")];
    (headers, axum::Json(shared.config.issuer.jwks()))
}

/// The switch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Issuing {
    /// Whether access tokens are issued.
    issuing: bool,
}

/// Whether access tokens are issued
#[utoipa::path(get, path = "/auth/issuing", tag = "join", responses((status = 200, body = Issuing)))]
async fn is_issuing(State(shared): State<Arc<Shared>>) -> Json<Issuing> {
    Json(Issuing { issuing: shared.config.issuer.is_issuing() })
}

/// Turn the issuing of access tokens on or off
///
/// It stays so over restarts. Tokens that are out stay valid until they expire.
#[utoipa::path(put, path = "/auth/issuing", tag = "join", request_body = Issuing,
    responses((status = 200, body = Issuing), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem, description = "it could not be written, and is as it was")))]
async fn set_issuing(
    _: ServiceOnly,
    State(shared): State<Arc<Shared>>,
    Json(wished): Json<Issuing>,
) -> Result<Json<Issuing>, Problem> {
    // It waits for a disk.
    let done = tokio::task::spawn_blocking(move || shared.config.issuer.set_issuing(wished.issuing)).await;
    match done {
        Ok(Ok(())) => Ok(Json(wished)),
        Ok(Err(error)) => {
            tracing::error!(%error, "the switch of access tokens was not written");
            Err(Problem::unavailable(
                "the switch could not be written, and is as it was: see the log of this service",
                1,
            ))
        }
        Err(_) => Err(Problem::unavailable("the switch was not finished: ask how it is", 1)),
    }
}
