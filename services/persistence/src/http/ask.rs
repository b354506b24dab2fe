//! Asking the view: waiting for a position if somebody wants to read what they wrote, then a thread that may block,
//! then one moment.

use std::sync::Arc;
use std::time::Duration;

use arbiter_views::{Moment, QueryError, ReadError};
use arbiter_web::Problem;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::follower::Order;
use crate::persistence::App;

/// How long a request waits for the position that it asked for. The view is some 50 ms behind, so that whoever waits
/// longer waits for something that is wrong.
pub(crate) const AFTER_WAIT: Duration = Duration::from_secs(1);

/// How long a request waits for a thread.
const PLACE_WAIT: Duration = Duration::from_secs(1);

/// Items of a page.
const LIMIT_MAX: usize = 100;

/// Items of a page unless it says so.
const LIMIT_USUAL: usize = 20;

/// From when an answer has to be.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// Position of the log of events: the answer has all events before it. The service waits up to a second for them,
    /// and then answers 503. Left out, the answer is as old as the service is behind, usually less than a tenth of a
    /// second.
    pub after: Option<u64>,
}

/// From when an answer has to be, and which part of a list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Position of the log of events: the answer has all events before it. The service waits up to a second for them,
    /// and then answers 503. Left out, the answer is as old as the service is behind, usually less than a tenth of a
    /// second.
    pub after: Option<u64>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// How many, 1 to 100; 20 if left out.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<usize>,
}

impl Page {
    pub fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_USUAL);
        let wrong = || Problem::bad_request(format!("limit must be from 1 to {LIMIT_MAX}"));
        if (1..=LIMIT_MAX).contains(&limit) { Ok(limit) } else { Err(wrong()) }
    }

    /// The number in the cursor.
    pub fn cursor(&self) -> Result<Option<u64>, Problem> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let wrong = || Problem::bad_request("cursor must be `next` of the page before, as it was");
        let fits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !fits {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Some).map_err(|_| wrong())
    }
}

/// A cursor that says where the next page begins.
pub(crate) fn cursor(number: u64) -> String {
    format!("{number:016x}")
}

/// The largest position that the tables can hold, for a first page.
pub(crate) const NEWEST: u64 = i64::MAX as u64;

/// Asks the view, at a position or later.
pub(crate) async fn ask<T: Send + 'static>(
    app: &Arc<App>,
    after: Option<u64>,
    question: impl FnOnce(&Moment<'_>) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let queries = app.status.queries().map_err(|why| Problem::unavailable(why, 1))?;
    if let Some(after) = after {
        queries.reached(after, AFTER_WAIT).await.map_err(|not_yet| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-yet", not_yet.to_string()).after(1)
        })?;
    }
    let answer = on_a_thread(app, move || queries.read(question)).await?;
    answer.map_err(|error| {
        if matches!(error, QueryError::Read(ReadError::Damaged(_))) {
            app.status.note_damage();
            // The thread that follows looks by itself too, only later.
            let _ = app.orders.try_send(Order::Wake);
        }
        tracing::error!(%error, "the view of events did not answer");
        Problem::unavailable(error.to_string(), 1)
    })
}

/// Runs what blocks where it holds up nobody.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let place = tokio::time::timeout(PLACE_WAIT, Arc::clone(&app.places).acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        return Err(Problem::unavailable("too many questions at once: ask again", 1));
    };
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    done.await.map_err(|_| Problem::unavailable("the question was not answered: ask again", 1))
}
