//! A match and what happened in it. Who was in it sees all; others see what is public.

use std::sync::Arc;

use arbiter_contracts::Classification;
use arbiter_views::rusqlite::{self, Connection};
use arbiter_web::{Caller, Json, Path, Problem, Query};
use axum::extract::State;

use super::ask::{After, NEWEST, Page, ask, cursor};
use crate::answers::{HistoryAnswer, MatchAnswer};
use crate::lookups::{self, Subject};
use crate::persistence::App;

/// Tell a match
///
/// Anybody sees map, mode, time and outcome; who was in it and services see what each did. Eventual: ask with `after`
/// for an answer that has certain events.
#[utoipa::path(get, path = "/matches/{id}", tag = "matches",
    params(("id" = String, Path, description = "the match, 32 hexadecimal digits"), After),
    responses((status = 200, body = MatchAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn one(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(After { after }): Query<After>,
) -> Result<Json<MatchAnswer>, Problem> {
    let id = match_id(&id)?;
    let answer = ask(&app, after, move |moment| {
        let Some(of) = lookups::match_of(moment.connection, &id)? else { return Ok(None) };
        let sees_all = sees_all(moment.connection, caller, &id)?;
        let results = if sees_all { Some(lookups::results(moment.connection, &id, None)?) } else { None };
        Ok(Some(MatchAnswer { of, results, position: moment.position }))
    });
    answer.await?.map(Json).ok_or_else(unknown)
}

/// List what happened in a match, newest first
///
/// Services see all; who was in it does not see what is about cheating and faults; others see what names nobody.
/// Eventual: ask with
/// `after` for an answer that has certain events.
#[utoipa::path(get, path = "/matches/{id}/history", tag = "matches",
    params(("id" = String, Path, description = "the match, 32 hexadecimal digits"), Page),
    responses((status = 200, body = HistoryAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn history(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<HistoryAnswer>, Problem> {
    let id = match_id(&id)?;
    let (before, limit) = (page.cursor()?.unwrap_or(NEWEST), page.limit()?);
    let answer = ask(&app, page.after, move |moment| {
        let class = match caller {
            Caller::Service => Classification::Internal,
            _ if sees_all(moment.connection, caller, &id)? => Classification::Pseudonymous,
            _ => Classification::Public,
        };
        let subject = Subject::Match(id);
        let (events, more) = lookups::history(moment.connection, subject, class, before.min(NEWEST), limit)?;
        if events.is_empty() && lookups::match_of(moment.connection, &id)?.is_none() {
            return Ok(None);
        }
        let next = events.last().filter(|_| more).map(|event| cursor(event.position));
        Ok(Some(HistoryAnswer { events, next, position: moment.position }))
    });
    answer.await?.map(Json).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found(
        "no match of this id is known here, or not yet: ask with after and the position of its first event",
    )
}

fn sees_all(connection: &Connection, caller: Caller, id: &[u8; 16]) -> rusqlite::Result<bool> {
    match caller {
        Caller::Service => Ok(true),
        Caller::Player(player) => lookups::was_in(connection, player, id),
    }
}

fn match_id(text: &str) -> Result<[u8; 16], Problem> {
    let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let number = if fits { u128::from_str_radix(text, 16).ok() } else { None };
    number
        .map(u128::to_be_bytes)
        .ok_or_else(|| Problem::bad_request("a match's id has 32 hexadecimal digits, small ones"))
}
