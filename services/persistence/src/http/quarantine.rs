//! What could not be applied, for operators: look, put right what it waits for, try again.

use std::sync::Arc;
use std::sync::mpsc::TrySendError;

use arbiter_web::{Json, Path, Problem, Query, ServiceOnly};
use axum::extract::State;
use tokio::sync::oneshot;

use super::ask::{Page, ask, cursor};
use crate::answers::{QuarantineAnswer, ReplayAnswer};
use crate::facts::waiting;
use crate::follower::{NotReplayed, Order};
use crate::lookups;
use crate::persistence::App;

/// List the players whose events wait
///
/// An event that contradicts what is known waits, and so do all later ones of the same player; nobody else's do. Player
/// "0" has what is about nobody. Eventual: ask with `after` for an answer that has certain events.
#[utoipa::path(get, path = "/quarantine", tag = "quarantine", params(Page),
    responses((status = 200, body = QuarantineAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn list(
    _: ServiceOnly,
    State(app): State<Arc<App>>,
    Query(page): Query<Page>,
) -> Result<Json<QuarantineAnswer>, Problem> {
    let (behind, limit) = (page.cursor()?, page.limit()?);
    let answer = ask(&app, page.after, move |moment| {
        let mut players = lookups::waiting_players(moment.connection, behind, limit + 1)?;
        let more = players.len() > limit;
        players.truncate(limit);
        let last = players.last().filter(|_| more).and_then(|player| player.player.parse().ok());
        let waiting = waiting::count(moment.connection)? as u64;
        Ok(QuarantineAnswer { players, waiting, next: last.map(cursor), position: moment.position })
    });
    Ok(Json(answer.await?))
}

/// Try a player's events again
///
/// First those about nobody, since others may need them, then the player's, in their order, up to the first that still
/// cannot be applied. That it was asked is kept, so that a view that is built again does the same at the same place.
#[utoipa::path(post, path = "/quarantine/{player}/replay", tag = "quarantine",
    params(("player" = u64, Path, description = "the player's number; 0 for what is about nobody")),
    responses((status = 200, body = ReplayAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem, description = "nothing waits for the player"), (status = 503, body = Problem)))]
pub(crate) async fn replay(
    _: ServiceOnly,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let (answer, answered) = oneshot::channel();
    app.orders.try_send(Order::Replay { player, answer }).map_err(|error| match error {
        TrySendError::Full(_) => Problem::unavailable("too much is asked for at once: try again", 1),
        TrySendError::Disconnected(_) => Problem::unavailable("the service ends", 1),
    })?;
    let replayed = answered.await.map_err(|_| Problem::unavailable("the service ends", 1))?;
    let replayed = replayed.map_err(|error| match error {
        NotReplayed::NothingWaits(_) => Problem::not_found(error.to_string()),
        _ => Problem::unavailable(error.to_string(), 1),
    })?;
    let crate::follower::Replayed { applied, waiting, reason, position } = replayed;
    Ok(Json(ReplayAnswer { applied, waiting, reason, position }))
}
