//! Who asks: a player with an access token, or another service of the house with the key that they share.
//!
//! Both come as `Authorization: Bearer ...`. What tokens are is not known here: [`Access`] says who brought one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use thiserror::Error;

use crate::problem::Problem;

/// Says who an access token belongs to.
pub trait Access: Send + Sync + 'static {
    /// The player who was given a token, if it is valid now.
    fn player(&self, token: &str) -> Result<u64, AccessDenied>;
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct AccessDenied(pub String);

/// What the services of one installation know and nobody else: it lets them call each other. Made from the key file that the game
/// servers have too, so that there is one secret to keep.
#[derive(Clone, Copy)]
pub struct ServiceKey([u8; 32]);

impl ServiceKey {
    /// From 32 secret bytes, which cannot be told from it.
    pub fn derive(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key("arbiter services 1 calls between services", secret))
    }

    /// What stands behind `Bearer ` in a service's request.
    pub fn bearer(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    fn is(&self, bearer: &str) -> bool {
        // Comparing hashes takes the same time wherever they differ.
        blake3::Hash::from_hex(bearer).is_ok_and(|found| found == blake3::Hash::from_bytes(self.0))
    }
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceKey(..)")
    }
}

/// How callers are known; every request carries it.
#[derive(Clone)]
pub(crate) struct Doors {
    pub service: ServiceKey,
    pub access: Arc<dyn Access>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A player.
    Player(u64),
    /// A service or a game server of the house.
    Service,
}

impl Caller {
    /// Lets a player's own requests through, and those of services.
    pub fn may_see(self, player: u64) -> Result<(), Problem> {
        match self {
            Caller::Service => Ok(()),
            Caller::Player(own) if own == player => Ok(()),
            Caller::Player(own) => {
                Err(Problem::forbidden(format!("the token is player {own}'s, and this belongs to player {player}")))
            }
        }
    }

    /// The player who asks, for what only players do.
    pub fn player(self) -> Result<u64, Problem> {
        match self {
            Caller::Player(player) => Ok(player),
            Caller::Service => Err(Problem::forbidden("only a player can do this: log in and use the player's token")),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::unauthorized("send Authorization: Bearer and the access token of POST /auth/login");
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
        let bearer = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(missing)?.trim();
        let doors = parts.extensions.get::<Doors>();
        let doors = doors.ok_or_else(|| Problem::unavailable("this address lets nobody in", 1))?;
        if doors.service.is(bearer) {
            return Ok(Caller::Service);
        }
        let denied = |denied: AccessDenied| Problem::unauthorized(denied.0);
        doors.access.player(bearer).map(Caller::Player).map_err(denied)
    }
}

/// Lets services and game servers in, and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceOnly;

impl<S: Sync> FromRequestParts<S> for ServiceOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::Service => Ok(Self),
            Caller::Player(_) => Err(Problem::forbidden("only services of this installation can do this")),
        }
    }
}
