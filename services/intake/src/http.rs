//! The intake over HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arbiter_contracts::event_id::log_id;
use arbiter_contracts::{Attributes, batch};
use arbiter_web::{Body, Depth, Figures, Json, Own, Problem, Router, Service, ServiceOnly, routes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::writer::{Event, Refused};

pub(crate) fn service(shared: Arc<Shared>) -> Service {
    let state = Arc::clone(&shared.state);
    let ready = move || {
        if state.stuck.load(Ordering::Relaxed) { Err("the log of events takes nothing".to_owned()) } else { Ok(()) }
    };
    let figures = figures(&shared);
    let router = Router::new()
        .routes(routes!(bring, look))
        .layer(DefaultBodyLimit::max(batch::BATCH_BYTES_MAX))
        .with_state(shared);
    Service { name: "events", router, ready: Arc::new(ready), figures }
}

fn figures(shared: &Arc<Shared>) -> Figures {
    let (waiting, state) = (Arc::clone(shared), Arc::clone(&shared.state));
    let queues: Vec<(_, Depth)> = vec![("intake", Arc::new(move || waiting.jobs.len() as u64))];
    let own: Own = Arc::new(move |to| {
        let known = state.known.load(Ordering::Relaxed);
        to.counter("intake_events_known", "Events that were brought again and are stored once", known)?;
        let end = state.acknowledged.load(Ordering::Relaxed);
        to.gauge("intake_position", "Position behind the last event that is on disk", end)
    });
    Figures { logs: vec![("events", Arc::clone(&shared.state.figures))], queues, own: vec![own], ..Figures::default() }
}

/// What was brought is on disk.
#[derive(Debug, Serialize, ToSchema)]
struct Acknowledged {
    /// Position of the log behind the last of these events. What asks for it with `after` knows them.
    position: u64,
    /// How many of them were new.
    new: usize,
    /// Position of the log up to which its last backup reaches; left out if it never had one. What is behind it is kept by whoever
    /// brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    backed_up: Option<u64>,
}

/// What the log has.
#[derive(Debug, Serialize, ToSchema)]
struct Extent {
    /// Position of the first event that is kept.
    start: u64,
    /// Position behind the last event that is on disk.
    position: u64,
    /// Position up to which the last backup reaches; left out if there never was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    backed_up: Option<u64>,
}

/// Bring domain events
///
/// The body is a CloudEventBatch in CloudEvents' protobuf format, of 1 to 4,096 events and up to 4 MiB. It is answered when all of
/// them are on disk. An event that is there already, by source and id, is not stored again.
#[utoipa::path(post, path = "/events", tag = "events",
    request_body(content_type = "application/cloudevents-batch+protobuf", description = "CloudEventBatch", content = Vec<u8>),
    responses((status = 200, body = Acknowledged), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem, description = "another event is known under the same source and id"),
        (status = 415, body = Problem), (status = 503, body = Problem)))]
async fn bring(
    _: ServiceOnly,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<Acknowledged>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind != batch::CONTENT_TYPE {
        let detail = format!("send Content-Type: {}", batch::CONTENT_TYPE);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-a-batch", detail));
    }
    let bytes = batch::decode(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    if bytes.is_empty() {
        return Err(Problem::bad_request("the batch has no event"));
    }
    let events = bytes.into_iter().enumerate().map(event).collect::<Result<Vec<Event>, Problem>>()?;
    let stored = shared.bring(events).await?;
    Ok(Json(Acknowledged { position: stored.behind, new: stored.new, backed_up: stored.backed_up }))
}

/// What the log of events has
#[utoipa::path(get, path = "/events", tag = "events",
    responses((status = 200, body = Extent), (status = 401, body = Problem)))]
async fn look(_: ServiceOnly, State(shared): State<Arc<Shared>>) -> Json<Extent> {
    let position = shared.state.acknowledged.load(Ordering::Acquire);
    Json(Extent { start: shared.state.start.load(Ordering::Relaxed), position, backed_up: shared.state.backed_up() })
}

fn event((number, bytes): (usize, &[u8])) -> Result<Event, Problem> {
    let attributes = Attributes::read(bytes)
        .map_err(|error| Problem::bad_request(format!("event {number} of the batch: {error}")))?;
    Ok(Event { id: log_id(&attributes.source, &attributes.id), bytes: bytes.to_vec() })
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Busy | Refused::Ended | Refused::Disk(_) => Problem::unavailable(detail, 1),
            Refused::Conflict { .. } => Problem::conflict("event-differs", detail),
            Refused::Event { .. } => Problem::bad_request(detail),
        }
    }
}
