//! A player's profile: progress from the view, the name from the profiles. Only names are personal, and only they can
//! be erased.

use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arbiter_eventlog::Folder;
use arbiter_web::{Caller, Json, Path, Problem, Query};
use axum::extract::State;
use axum::http::StatusCode;

use super::ask::{After, ask, on_a_thread};
use crate::answers::{Own, ProfileAnswer, ProfileChange, ProfileChanged};
use crate::facts::waiting;
use crate::lookups;
use crate::persistence::App;
use crate::profiles::keys::KeyError;
use crate::profiles::{DisplayName, ProfileError, Profiles};
use crate::told::number;

/// Whether profiles can be changed.
pub(crate) fn ready(app: &App) -> Result<(), String> {
    let profiles = match app.profiles.try_lock() {
        Ok(profiles) => profiles,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Somebody is at it, perhaps at its disk, and no answer about readiness may wait for that.
        Err(TryLockError::WouldBlock) => return Ok(()),
    };
    match &*profiles {
        Some(profiles) => profiles.check().map_err(|error| error.to_string()),
        None => Err("the service ends".to_owned()),
    }
}

/// Tell a player's profile
///
/// Anybody sees display name and progress; the player and services also see `own`. The progress is eventual: ask with
/// `after` for one that has certain events. The name is that of the last change that was answered.
#[utoipa::path(get, path = "/player/{playerId}/profile", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number"), After),
    responses((status = 200, body = ProfileAnswer), (status = 401, body = Problem),
        (status = 404, body = Problem, description = "nothing is known of the player"),
        (status = 503, body = Problem)))]
pub(crate) async fn tell(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
    Query(After { after }): Query<After>,
) -> Result<Json<ProfileAnswer>, Problem> {
    let (position, known, waiting) = ask(&app, after, move |moment| {
        let known = lookups::progress(moment.connection, player)?;
        Ok((moment.position, known, waiting::count_of(moment.connection, player)?))
    })
    .await?;
    let profile = with_profiles(&app, move |profiles| profiles.get(player)).await?;
    let sees_all = caller.may_see(player).is_ok();
    if known.is_none() && profile.is_none() && caller != Caller::Player(player) {
        return Err(Problem::not_found("nothing is known of this player"));
    }
    let own = sees_all.then(|| Own {
        changed_ms: profile.as_ref().map(|profile| profile.changed_ms),
        first_match_ms: known.map(|(_, first, _)| first),
        last_match_ms: known.map(|(_, _, last)| last),
        waiting,
    });
    let display_name = profile.map(|profile| profile.display_name.as_str().to_owned());
    let progress = known.map(|(progress, _, _)| progress).unwrap_or_default();
    Ok(Json(ProfileAnswer { player: number(player), display_name, progress, own, position }))
}

/// Change the own profile
///
/// Only the player can. It is answered when the change is on disk; the next answer has it. The same again changes
/// nothing.
#[utoipa::path(put, path = "/player/{playerId}/profile", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number")), request_body = ProfileChange,
    responses((status = 200, body = ProfileChanged), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 429, body = Problem, description = "it may be changed every 5 seconds"),
        (status = 503, body = Problem)))]
pub(crate) async fn change(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
    Json(change): Json<ProfileChange>,
) -> Result<Json<ProfileChanged>, Problem> {
    if caller.player()? != player {
        caller.may_see(player)?;
    }
    let name = DisplayName::new(&change.display_name).map_err(|wrong| Problem::bad_request(wrong.to_string()))?;
    let now_ms = now_ms();
    let profile = with_written(&app, move |profiles| profiles.put(player, &name, now_ms)).await?;
    let display_name = profile.display_name.as_str().to_owned();
    Ok(Json(ProfileChanged { player: number(player), display_name, changed_ms: profile.changed_ms }))
}

/// Erase a profile
///
/// The player and services can. It is answered when the player's key is destroyed on disk: what the player said is
/// unreadable then, here and in every copy. Matches stay, under the player's number. Once more changes nothing.
#[utoipa::path(delete, path = "/player/{playerId}/profile", tag = "players",
    params(("playerId" = u64, Path, description = "the player's number")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn erase(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(player): Path<u64>,
) -> Result<StatusCode, Problem> {
    caller.may_see(player)?;
    let now_ms = now_ms();
    with_written(&app, move |profiles| profiles.erase(player, now_ms)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same where something is written, which is measured.
async fn with_written<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&mut Profiles<Folder>) -> Result<T, ProfileError> + Send + 'static,
) -> Result<T, Problem> {
    let log = Arc::clone(&app.profiles_log);
    let measured = move |profiles: &mut Profiles<Folder>| {
        let began = Instant::now();
        let written = work(profiles);
        // Whoever changes a name too soon is refused before anything is written.
        if !matches!(written, Err(ProfileError::TooSoon(_))) {
            log.set_stuck(written.is_err());
        }
        if written.is_ok() {
            log.committed(1, began.elapsed());
        }
        written
    };
    with_profiles(app, measured).await
}

async fn with_profiles<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&mut Profiles<Folder>) -> Result<T, ProfileError> + Send + 'static,
) -> Result<T, Problem> {
    let profiles = Arc::clone(&app.profiles);
    let done = on_a_thread(app, move || {
        let mut profiles = profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.as_mut().map(work)
    });
    match done.await? {
        None => Err(Problem::unavailable("the service ends", 1)),
        Some(done) => done.map_err(|error| match &error {
            ProfileError::TooSoon(left_ms) => {
                let seconds = u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
                let kind = "too-many-changes";
                Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, error.to_string()).after(seconds)
            }
            ProfileError::Keys(KeyError::Full) => Problem::unavailable(error.to_string(), 60),
            _ => {
                tracing::error!(%error, "a profile could not be told or changed");
                Problem::unavailable(error.to_string(), 10)
            }
        }),
    }
}

fn now_ms() -> u64 {
    // Before 1970 no clock of ours was right.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
