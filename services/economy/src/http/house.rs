//! What operators and other services see of the economy, and put right.

use arbiter_ledger::State as Ledger;
use arbiter_web::{Json, Path, Problem, ServiceOnly};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::{Counter, House, events};

/// How far the economy is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Books {
    /// Number of the ledger's next entry.
    entries: u64,
    /// BLAKE3 through all entries, as hexadecimal digits: it names the history.
    history: String,
    /// BLAKE3 of all that is kept: the same for whoever replays the log.
    hash: String,
    /// Position of the log of events before which everything was consumed.
    position: u64,
    /// Entries of which the world was told: their events are in the log of events. Left out where nobody is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<u64>,
    /// Players whose grants wait, at most 1,000 of them.
    waiting: Vec<Waiting>,
}

/// A player whose grants wait.
#[derive(Debug, Serialize, ToSchema)]
struct Waiting {
    /// The player.
    player: String,
    /// Why the first could not be given.
    reason: String,
    /// Positions of the log of events, in order, at most 1,000 of them.
    positions: Vec<u64>,
}

/// Players, and positions of a player, that are listed.
const LISTED_MAX: usize = 1_000;

/// See how far the economy is and who waits
#[utoipa::path(get, path = "/economy", tag = "economy",
    responses((status = 200, body = Books), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn look(_: ServiceOnly, State(counter): State<Counter>) -> Result<Json<Books>, Problem> {
    let (position, told) = (counter.consumed(), counter.told());
    let look = move |house: &House, ledger: &Ledger, _: &_| Books {
        entries: ledger.entries(),
        history: blake3::Hash::from_bytes(ledger.history()).to_hex().to_string(),
        hash: blake3::Hash::from_bytes(ledger.hash()).to_hex().to_string(),
        position,
        told,
        waiting: waiting(house),
    };
    Ok(Json(counter.read(look).await?))
}

fn waiting(house: &House) -> Vec<Waiting> {
    let source = events();
    let players = house.waiting(&source).take(LISTED_MAX).map(|(player, waiting)| Waiting {
        player: player.to_string(),
        reason: waiting.reason.clone(),
        positions: waiting.positions.iter().copied().take(LISTED_MAX).collect(),
    });
    players.collect()
}

/// What was given of what waited.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Amended {
    /// How many of the player's events no longer wait.
    events: usize,
}

/// Give a player what waits
///
/// Once it was put right why it could not be given: a frozen account was freed, say. In their order, up to the first that still
/// cannot be given.
#[utoipa::path(post, path = "/economy/waiting/{playerId}/amend", tag = "economy",
    params(("playerId" = u64, Path)),
    responses((status = 200, body = Amended), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn amend(
    _: ServiceOnly,
    State(counter): State<Counter>,
    Path(player): Path<u64>,
) -> Result<Json<Amended>, Problem> {
    let events = counter.amend(player).await?.map_err(|why| Problem::unavailable(why, 1))?;
    Ok(Json(Amended { events }))
}
