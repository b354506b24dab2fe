//! Counts requests by route, method and status, and how long they took. The table is as large as what is served: no request adds to
//! it, whatever it asks for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arbiter_metrics::{Histogram, Label, SharedHistogram, Writer};
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use utoipa::openapi::OpenApi;

/// Statuses that are answered here, and behind them any other one.
const STATUSES: [(u16, &str); 19] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (503, "503"),
    (0, "other"),
];

/// Methods that are served, and behind them any other one.
const METHODS: [(Method, &str); 5] = [
    (Method::GET, "GET"),
    (Method::POST, "POST"),
    (Method::PUT, "PUT"),
    (Method::DELETE, "DELETE"),
    // What OPTIONS stands for here is everything that nobody serves.
    (Method::OPTIONS, "other"),
];

/// What is asked for that no service describes.
const HOUSE: [&str; 3] = ["/healthz", "/readyz", "/openapi.json"];

/// The route of what there is not.
const NONE: &str = "none";

#[derive(Debug, Default)]
struct Route {
    counts: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    took: SharedHistogram,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Requests {
    routes: HashMap<String, Route>,
    none: Route,
    running: AtomicU64,
}

impl Requests {
    /// For all paths of a description.
    pub fn new(api: &OpenApi) -> Self {
        let described = api.paths.paths.keys().cloned();
        let all = described.chain(HOUSE.iter().map(ToString::to_string));
        let routes = all.map(|path| (path, Route::default())).collect();
        Self { routes, none: Route::default(), running: AtomicU64::new(0) }
    }

    fn all(&self) -> impl Iterator<Item = (Cow<'static, str>, &Route)> {
        let known = self.routes.iter().map(|(path, route)| (Cow::Owned(path.clone()), route));
        known.chain([(Cow::Borrowed(NONE), &self.none)])
    }

    /// Writes what was counted; what never was is left out.
    pub fn write(&self, to: &mut Writer<'_>) -> fmt::Result {
        let mut counted = Vec::new();
        for (path, route) in self.all() {
            for ((_, method), counts) in METHODS.iter().zip(&route.counts) {
                for ((_, status), count) in STATUSES.iter().zip(counts) {
                    let count = count.load(Ordering::Relaxed);
                    let label = |value: &'static str| Cow::Borrowed(value);
                    let labels = [("route", path.clone()), ("method", label(method)), ("status", label(status))];
                    counted.extend((count > 0).then_some((labels, count)));
                }
            }
        }
        to.counters_of("requests", "Requests by what was asked and how it was answered", counted.into_iter())?;
        let took = self.all().map(|(path, route)| -> (Label, Histogram) { ([("route", path)], route.took.read()) });
        let took = took.filter(|(_, histogram)| histogram.count() > 0);
        to.histograms("request", "Time until a request was answered", took)?;
        to.gauge("requests_running", "Requests that are being answered", self.running.load(Ordering::Relaxed))
    }
}

/// A request that is being answered; one less is running when it is dropped, however it ended.
pub(crate) struct Counted<'a> {
    requests: &'a Requests,
    began: Instant,
    method: usize,
    path: Option<MatchedPath>,
}

impl<'a> Counted<'a> {
    /// Before it is answered.
    pub fn begin(requests: &'a Requests, request: &Request) -> Self {
        let method = METHODS.iter().position(|(known, _)| known == request.method()).unwrap_or(METHODS.len() - 1);
        let path = request.extensions().get::<MatchedPath>().cloned();
        requests.running.fetch_add(1, Ordering::Relaxed);
        Self { requests, began: Instant::now(), method, path }
    }

    /// Behind the answer.
    pub fn end(self, answer: &Response) {
        let path = self.path.as_ref().and_then(|path| self.requests.routes.get(path.as_str()));
        let route = path.unwrap_or(&self.requests.none);
        route.counts[self.method][at(answer.status())].fetch_add(1, Ordering::Relaxed);
        route.took.note(self.began.elapsed());
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.requests.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn at(status: StatusCode) -> usize {
    STATUSES.iter().position(|(known, _)| *known == status.as_u16()).unwrap_or(STATUSES.len() - 1)
}
