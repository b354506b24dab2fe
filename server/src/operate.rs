//! What operators and their tools ask a running server over HTTP: whether it lives, whether players may be sent to it, and
//! its figures. On a thread of its own; nothing that is asked here makes a tick or a datagram wait.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200 while any room advances, 503 when none has for five seconds |
//! | `/readyz` | 200 while players may be sent here, 503 when the server stops, is full or does not live |
//! | `/metrics` | figures as OpenMetrics text ([`metrics`]) |

mod metrics;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::oneshot;

use crate::Shared;
use crate::room::RoomLink;

/// A room that has not turned for so long is stuck: 50 ticks at the lowest rate.
pub(crate) const STUCK: Duration = Duration::from_secs(5);

/// A running HTTP server.
pub(crate) struct Operate {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the handlers share.
struct Asked {
    shared: Arc<Shared>,
    /// Of each room: its turns when it was last seen to advance, and when that was.
    turns: Mutex<Vec<(u64, Instant)>>,
}

impl Operate {
    pub fn start(shared: Arc<Shared>, address: SocketAddr) -> std::io::Result<Self> {
        // Bound here, so that a port that is taken is told at the start.
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let turns = Mutex::new(vec![(0, Instant::now()); shared.rooms.len()]);
        let asked = Arc::new(Asked { shared, turns });
        let serve = move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                // Whoever stops does not wait for a slow reader.
                tokio::select! {
                    served = axum::serve(listener, router(asked)) => served,
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

fn router(asked: Arc<Asked>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .with_state(asked)
}

async fn healthz(State(asked): State<Arc<Asked>>) -> impl IntoResponse {
    if asked.lives() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no room has advanced for five seconds\n")
    }
}

async fn readyz(State(asked): State<Arc<Asked>>) -> impl IntoResponse {
    let unready = |why| (StatusCode::SERVICE_UNAVAILABLE, why);
    if asked.shared.stopping().is_some() {
        unready("the server stops\n")
    } else if !asked.lives() {
        unready("no room advances\n")
    } else if asked.shared.outbox_is_stuck() {
        unready("the outbox takes nothing\n")
    } else if !asked.shared.rooms.iter().any(RoomLink::has_place) {
        unready("all rooms are full\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn figures(State(asked): State<Arc<Asked>>) -> impl IntoResponse {
    asked.shared.ask_for_overflows(crate::OVERFLOWS_EVERY);
    let text = metrics::text(&asked.shared);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

impl Asked {
    /// Whether any room has advanced a moment ago, or none has to any more.
    fn lives(&self) -> bool {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lives = self.shared.rooms_running.load(Ordering::Acquire) == 0;
        for (room, (seen, since)) in self.shared.rooms.iter().zip(turns.iter_mut()) {
            let now = room.turns();
            if now != *seen {
                (*seen, *since) = (now, Instant::now());
            }
            lives |= since.elapsed() < STUCK;
        }
        lives
    }
}
