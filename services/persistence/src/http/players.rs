//! What a player did: matches, achievements, statistics, history. A player sees the own, services see everybody's.

use std::sync::Arc;

use arbiter_contracts::Classification;
use arbiter_web::{Caller, Json, Path, Problem, Query};
use axum::extract::State;

use super::ask::{After, NEWEST, Page, ask, cursor};
use crate::answers::{AchievementsAnswer, HistoryAnswer, MatchesAnswer, StatisticsAnswer};
use crate::facts::parts;
use crate::lookups::{self, Subject};
use crate::persistence::App;

/// List a player's matches, newest first
///
/// Running ones too. Eventual: ask with `after` for an answer that has certain events.
#[utoipa::path(get, path = "/player/{playerId}/matches", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number"), Page),
    responses((status = 200, body = MatchesAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn matches(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
    Query(page): Query<Page>,
) -> Result<Json<MatchesAnswer>, Problem> {
    caller.may_see(player)?;
    let (before, limit) = (page.cursor()?.unwrap_or(NEWEST), page.limit()?);
    let answer = ask(&app, page.after, move |moment| {
        let mut found = lookups::matches(moment.connection, player, before.min(NEWEST), limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(at, _)| cursor(*at));
        let matches = found.into_iter().map(|(_, played)| played).collect();
        Ok(MatchesAnswer { matches, next, position: moment.position })
    });
    Ok(Json(answer.await?))
}

/// List a player's achievements
///
/// Eventual: ask with `after` for an answer that has certain events.
#[utoipa::path(get, path = "/player/{playerId}/achievements", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number"), After),
    responses((status = 200, body = AchievementsAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn achievements(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
    Query(After { after }): Query<After>,
) -> Result<Json<AchievementsAnswer>, Problem> {
    caller.may_see(player)?;
    let answer = ask(&app, after, move |moment| {
        let achievements = lookups::achievements(moment.connection, player)?;
        Ok(AchievementsAnswer { achievements, position: moment.position })
    });
    Ok(Json(answer.await?))
}

/// Tell what a player did, by cause
///
/// It counts single events, of which a busy server may leave some out; the progress of the profile is exact. Eventual:
/// ask with `after` for an answer that has certain events.
#[utoipa::path(get, path = "/player/{playerId}/statistics", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number"), After),
    responses((status = 200, body = StatisticsAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn statistics(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
    Query(After { after }): Query<After>,
) -> Result<Json<StatisticsAnswer>, Problem> {
    caller.may_see(player)?;
    let answer = ask(&app, after, move |moment| {
        let kills = lookups::causes(moment.connection, player, parts::KILLS)?;
        let deaths = lookups::causes(moment.connection, player, parts::DEATHS)?;
        let pickups = lookups::pickups(moment.connection, player, parts::LOOT)?;
        Ok(StatisticsAnswer { kills, deaths, pickups, position: moment.position })
    });
    Ok(Json(answer.await?))
}

/// List what happened to a player, newest first
///
/// Every event that names the player, whatever became of it here. Services see all of them; players do not see those
/// about money and cheating. Eventual: ask with `after` for an answer that has certain events.
#[utoipa::path(get, path = "/player/{playerId}/history", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number"), Page),
    responses((status = 200, body = HistoryAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn history(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
    Query(page): Query<Page>,
) -> Result<Json<HistoryAnswer>, Problem> {
    caller.may_see(player)?;
    let class = match caller {
        Caller::Service => Classification::Internal,
        Caller::Player(_) => Classification::Pseudonymous,
    };
    let (before, limit) = (page.cursor()?.unwrap_or(NEWEST), page.limit()?);
    let answer = ask(&app, page.after, move |moment| {
        let subject = Subject::Player(player);
        let (events, more) = lookups::history(moment.connection, subject, class, before.min(NEWEST), limit)?;
        let next = events.last().filter(|_| more).map(|event| cursor(event.position));
        Ok(HistoryAnswer { events, next, position: moment.position })
    });
    Ok(Json(answer.await?))
}
