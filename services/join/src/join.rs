//! `POST /join`: from an access token to a place and a connect token.

use std::sync::Arc;

use arbiter_contracts::servers::{BUILD_BYTES_MAX, NAME_BYTES_MAX, hex64, hex128};
use arbiter_web::{Caller, Json, Problem, Router, routes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Shared;
use crate::mint::{MintRequest, Role};
use crate::registry::{Place, Refusal, Wish};

/// When no room has a place: servers say every second what they have.
const NO_PLACE_RETRY_S: u32 = 2;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().routes(routes!(join))
}

/// What somebody wants to play. All may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// Play or watch.
    role: Role,
    /// Name of the mode; any if left out.
    #[schema(example = "team_deathmatch")]
    mode: Option<String>,
    /// Name of the map; any if left out.
    #[schema(example = "arena")]
    map: Option<String>,
    /// A certain match: 32 hexadecimal digits.
    #[serde(rename = "match")]
    #[schema(example = "0123456789abcdef0123456789abcdef")]
    match_id: Option<String>,
    /// What the client agrees to: 16 hexadecimal digits. Whoever says it is never sent to a server that would refuse it.
    #[schema(example = "00c0ffee00c0ffee")]
    protocol_hash: Option<String>,
    /// Build of the client, for the server's logs: up to 32 bytes.
    #[schema(example = "1.4.0")]
    build: String,
}

impl Wanted {
    fn wish(&self, player: u64) -> Result<Wish<'_>, Problem> {
        let bad = |field: &str, what: &str| Problem::bad_request(format!("{field}: expected {what}"));
        for (field, name) in [("mode", &self.mode), ("map", &self.map)] {
            if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
                return Err(bad(field, &format!("1 to {NAME_BYTES_MAX} bytes")));
            }
        }
        if self.build.len() > BUILD_BYTES_MAX || self.build.chars().any(char::is_control) {
            return Err(bad("build", &format!("up to {BUILD_BYTES_MAX} bytes without control characters")));
        }
        let match_id = self
            .match_id
            .as_ref()
            .map(|text| hex128::parse(text).ok_or_else(|| bad("match", "32 hexadecimal digits, the letters small")));
        let protocol_hash = self.protocol_hash.as_ref().map(|text| {
            hex64::parse(text).ok_or_else(|| bad("protocol_hash", "16 hexadecimal digits, the letters small"))
        });
        Ok(Wish {
            player,
            role: self.role,
            mode: self.mode.as_deref(),
            map: self.map.as_deref(),
            match_id: match_id.transpose()?,
            protocol_hash: protocol_hash.transpose()?,
        })
    }
}

/// Where to connect, and with what.
#[derive(Debug, Serialize, ToSchema)]
struct Joined {
    /// The server's name, for support.
    server: String,
    /// Where it is, in the order to try; they stand in the connect token too.
    #[schema(value_type = Vec<String>, example = json!(["192.0.2.1:7777"]))]
    addresses: Vec<std::net::SocketAddr>,
    /// The room on the server.
    room: u16,
    /// The match that is played there now: 32 hexadecimal digits.
    #[serde(rename = "match", with = "hex128")]
    #[schema(value_type = String, example = "0123456789abcdef0123456789abcdef")]
    match_id: u128,
    /// How often the match was taken up again after a failure.
    epoch: u32,
    /// Name of the mode.
    mode: String,
    /// Name of the map.
    map: String,
    /// Ticks a second.
    tick_rate: u16,
    /// What the server's clients have to agree to: 16 hexadecimal digits.
    #[serde(with = "hex64")]
    #[schema(value_type = String, example = "00c0ffee00c0ffee")]
    protocol_hash: u64,
    /// What the connect token is for.
    role: Role,
    /// Whether it is the place that the player has already, whatever was asked for.
    returned: bool,
    /// The connect token of netcode 1.02: 2,048 bytes as base64 (RFC 4648, section 4). It lets one connection in, once.
    connect_token: String,
    /// Seconds from now in which it may be used.
    #[schema(example = 30)]
    expires_in: u64,
}

/// Join a match
///
/// Whoever has a place in a running match is sent back there. All others are sent to the fullest room that has a place and fits,
/// so that matches fill. Send `{}` for any match.
#[utoipa::path(post, path = "/join", tag = "join", request_body = Wanted,
    responses((status = 200, body = Joined), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem, description = "no-such-match"),
        (status = 409, body = Problem, description = "protocol-mismatch: get the client of a build that is served"),
        (status = 503, body = Problem, description = "no-place: try again")))]
async fn join(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Json(wanted): Json<Wanted>,
) -> Result<impl IntoResponse, Problem> {
    let joined = send(caller, &shared, &wanted);
    shared.figures.joined(&joined);
    // A secret in a cache is nobody's any more.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(joined?)))
}

/// Finds a place, and makes the token for it.
fn send(caller: Caller, shared: &Shared, wanted: &Wanted) -> Result<Joined, Problem> {
    let player = caller.player()?;
    let wish = wanted.wish(player)?;
    let place = {
        let (mut registry, now) = shared.registry();
        registry.place(now, &wish)?
    };
    let lifetime = shared.config.connect_lifetime;
    let Place { addresses, protocol_id, room, .. } = &place;
    let request = MintRequest {
        addresses,
        protocol_id: *protocol_id,
        player,
        room: *room,
        team: 0,
        role: wish.role,
        build: &wanted.build,
        lifetime,
    };
    let token = match shared.config.mint.mint(&request) {
        Ok(token) => token,
        Err(error) => {
            shared.registry().0.give_back(&place, &wish);
            tracing::error!(%error, server = place.server, "nobody can join");
            return Err(Problem::unavailable("no connect token could be made: try again", NO_PLACE_RETRY_S));
        }
    };
    let Place { server, addresses, room, match_id, epoch, mode, map, tick_rate, protocol_hash, returned, .. } = place;
    Ok(Joined {
        server,
        addresses,
        room,
        match_id,
        epoch,
        mode,
        map,
        tick_rate,
        protocol_hash,
        role: wish.role,
        returned,
        connect_token: STANDARD.encode(&token[..]),
        expires_in: lifetime.as_secs(),
    })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NoSuchMatch(_) => Problem::new(StatusCode::NOT_FOUND, "no-such-match", detail),
            Refusal::Protocol { .. } => Problem::conflict("protocol-mismatch", detail),
            Refusal::NoPlace => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-place", detail).after(NO_PLACE_RETRY_S)
            }
        }
    }
}
