//! `POST /auth/login`: from a proof to an access token. The proof is neither kept nor logged.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use arbiter_access::IssueError;
use arbiter_web::{Json, Outside, Problem, Router, routes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Shared;
use crate::provider::{LoginError, PROOF_BYTES_MAX, Provider, player_number};

/// How long a provider may take to say who somebody is: less than a request to us may take.
const SUBJECT_MAX: Duration = Duration::from_secs(8);

/// An operator who has switched issuing off does something else first.
const SWITCHED_OFF_RETRY_S: u32 = 60;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().routes(routes!(login))
}

/// What asks a provider.
pub(crate) fn outside(provider: &dyn Provider) -> Outside {
    Outside::new(&format!("the login provider {}", provider.name()), SUBJECT_MAX)
}

/// Who somebody is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// Who can tell: `development`, or one that this installation has.
    #[schema(example = "development")]
    provider: String,
    /// What that provider believes: for `development` a name of 1 to 32 letters, digits, `.`, `_` and `-`.
    #[schema(example = "anna", max_length = 8192)]
    proof: String,
}

/// Somebody is logged in.
#[derive(Debug, Serialize, ToSchema)]
struct LoggedIn {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// Seconds from now until it expires.
    #[schema(example = 600)]
    expires_in: u64,
    /// The player's number, the same at each login: digits, as a text.
    #[schema(example = "7316509215418022471")]
    player: String,
}

/// Log in
///
/// The access token says who plays, to all services of this installation. Log in again before it expires.
#[utoipa::path(post, path = "/auth/login", tag = "join", request_body = Login,
    responses((status = 200, body = LoggedIn), (status = 400, body = Problem, description = "no such provider, or no proof"),
        (status = 401, body = Problem, description = "login-refused: the provider does not believe it"),
        (status = 403, body = Problem, description = "provider-off"),
        (status = 503, body = Problem, description = "not-issuing, or the provider does not answer")))]
async fn login(State(shared): State<Arc<Shared>>, Json(login): Json<Login>) -> Result<impl IntoResponse, Problem> {
    let logged_in = log_in(&shared, login).await;
    shared.figures.logged_in(&logged_in);
    // A secret in a cache is nobody's any more.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(logged_in?)))
}

async fn log_in(shared: &Arc<Shared>, Login { provider, proof }: Login) -> Result<LoggedIn, Problem> {
    if proof.len() > PROOF_BYTES_MAX {
        return Err(Problem::bad_request(format!("a proof has at most {PROOF_BYTES_MAX} bytes")));
    }
    let (provider, asking) = shared.provider(&provider)?;
    let (name, is_failure) =
        (provider.name().to_owned(), |error: &LoginError| matches!(error, LoginError::Unavailable(_)));
    let subject = asking.ask(move || provider.subject(&proof), is_failure).await??;
    // The next key may have to be written to disk.
    let shared = Arc::clone(shared);
    let issued = tokio::task::spawn_blocking(move || issue(&shared, player_number(&name, &subject))).await;
    issued.map_err(|_| Problem::unavailable("the login was not finished: try again", 1))?
}

impl Shared {
    /// A provider by its name, and what asks it.
    fn provider(&self, name: &str) -> Result<(Arc<dyn Provider>, Outside), Problem> {
        let mut providers = self.config.providers.iter().zip(&self.asking);
        let found = providers.find(|(known, _)| known.name() == name);
        found.map(|(provider, asking)| (Arc::clone(provider), asking.clone())).ok_or_else(|| {
            let known: Vec<&str> = self.config.providers.iter().map(|known| known.name()).collect();
            Problem::bad_request(format!("there is no such provider: there are {}", known.join(", ")))
        })
    }
}

fn issue(shared: &Shared, player: NonZeroU64) -> Result<LoggedIn, Problem> {
    let issued = shared.config.issuer.issue(player).map_err(not_issued)?;
    let expires_in = issued.expires_in.as_secs();
    Ok(LoggedIn { access_token: issued.token, expires_in, player: player.to_string() })
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let detail = error.to_string();
        match error {
            LoginError::Off(_) => Problem::new(StatusCode::FORBIDDEN, "provider-off", detail),
            LoginError::Malformed(_) => Problem::bad_request(detail),
            LoginError::Refused(_) => Problem::new(StatusCode::UNAUTHORIZED, "login-refused", detail),
            LoginError::Unavailable(_) => Problem::unavailable(detail, 1),
        }
    }
}

fn not_issued(error: IssueError) -> Problem {
    match error {
        IssueError::SwitchedOff => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-issuing", error.to_string()).after(SWITCHED_OFF_RETRY_S)
        }
        IssueError::Randomness | IssueError::Write(_) => Problem::unavailable(error.to_string(), 1),
    }
}
