//! What operators and their tools ask a running server over HTTP: whether it lives, whether players may be sent to it, and
//! its figures. On a thread of its own; nothing that is asked here makes a tick or a datagram wait.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200 while any room advances, 503 when none has for five seconds |
//! | `/readyz` | 200 while players may be sent here, 503 when the server stops, is full or does not live |
//! | `/metrics` | figures as OpenMetrics text ([`metrics`]) |
//! | `POST /reserve?seconds=N` | 202, and Agones keeps this server for so long ([`crate::agones`]); 401 without the secret |
//! | `POST /drain` | 202, and the process drains ([`crate::drain`]); 401 without the secret |

mod metrics;

use core::net::SocketAddr;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::sync::oneshot;

use crate::Shared;
use crate::drain::Reason;
use crate::shared::OVERFLOWS_EVERY;

/// A running HTTP server.
pub(crate) struct Operate {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Operate {
    pub fn start(shared: Arc<Shared>, address: SocketAddr) -> std::io::Result<Self> {
        // Bound here, so that a port that is taken is told at the start.
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                // Whoever stops does not wait for a slow reader.
                tokio::select! {
                    served = axum::serve(listener, router(shared)) => served,
                    _ = stopped => Ok(()),
                }
            });
            if let Err(error) = served {
                tracing::error!(%error, "health and metrics are no longer served");
            }
        };
        let thread = std::thread::Builder::new().name("operate".to_owned()).spawn(serve)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Operate {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .route("/drain", post(drain))
        .route("/reserve", post(reserve))
        .with_state(shared)
}

async fn healthz(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    if shared.pulse.feel(&shared.rooms).lives() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no room has advanced for five seconds\n")
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    match shared.takes_players() {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn figures(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    shared.ask_for_overflows(OVERFLOWS_EVERY);
    let text = metrics::text(&shared);
    ([(header::CONTENT_TYPE, arbiter_metrics::CONTENT_TYPE)], text)
}

async fn drain(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> impl IntoResponse {
    if !may_change(&shared, &headers) {
        return DENIED;
    }
    shared.begin_drain(Reason::Operator);
    (StatusCode::ACCEPTED, "no match begins any more; running ones are played to their end\n")
}

async fn reserve(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(asked): Query<HashMap<String, String>>,
) -> impl IntoResponse {
    if !may_change(&shared, &headers) {
        return DENIED;
    }
    let seconds = asked.get("seconds").and_then(|text| text.parse().ok());
    let Some(seconds) = seconds.filter(|seconds| (1..=RESERVE_SECONDS_MAX).contains(seconds)) else {
        return (StatusCode::BAD_REQUEST, "say for how long: /reserve?seconds=30, from 1 to 3600\n");
    };
    if shared.reserve(seconds) {
        (StatusCode::ACCEPTED, "Agones is asked to keep this server\n")
    } else {
        (StatusCode::CONFLICT, "this server does not talk to Agones: start it with --agones on\n")
    }
}

/// The longest reservation: a party that takes longer should ask again.
const RESERVE_SECONDS_MAX: u32 = 3_600;

/// What whoever may not change anything is told.
const DENIED: (StatusCode, &str) =
    (StatusCode::UNAUTHORIZED, "send Authorization: Bearer and what is derived from the server's key file\n");

/// Whether a request brings the secret of this server.
fn may_change(shared: &Shared, headers: &HeaderMap) -> bool {
    let brought = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let (Some(brought), Some(wanted)) = (brought, &shared.config.operate_bearer) else { return false };
    // Takes the same time wherever they differ.
    let differences = brought.bytes().zip(wanted.bytes()).fold(0, |sum, (brought, wanted)| sum | (brought ^ wanted));
    brought.len() == wanted.len() && differences == 0
}
