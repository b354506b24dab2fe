//! What operators and their tools ask of services, at an address of its own: whether they live, whether they can work, their figures.
//! The first two are served beside the services too; figures are not, since players reach that address.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::figures::Told;
use crate::limits::Limits;
use crate::server::{Running, listen, readyz};

/// Prometheus, probes and a few people.
const LIMITS: Limits = Limits {
    connections_max: 64,
    body_bytes_max: 0,
    timeout: Duration::from_secs(10),
    requests_per_s: NonZeroU32::MIN,
    burst: NonZeroU32::MIN,
};

/// Serves `/healthz`, `/readyz` and `/metrics` of running services at an address until the result is dropped; port 0 takes any. It
/// wants no password: keep the port inside of the cluster.
///
/// # Errors
/// If the address cannot be bound.
pub fn operate(address: SocketAddr, of: &Running) -> std::io::Result<Running> {
    let told = Arc::clone(&of.told);
    let ready = Arc::new(told.ready.clone());
    let router = axum::Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(metrics).with_state(Arc::clone(&told)));
    listen(address, &router, told, LIMITS, 1)
}

async fn metrics(State(told): State<Arc<Told>>) -> impl IntoResponse {
    let text = arbiter_metrics::text(move |to| told.write(to));
    ([(header::CONTENT_TYPE, arbiter_metrics::CONTENT_TYPE)], text)
}
