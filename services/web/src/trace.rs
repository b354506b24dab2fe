//! W3C's trace context (version 00): what a request brought is passed on, what brought none begins a trace of its own. The answer
//! names it, so that whoever complains can say which request it was.

use std::cell::Cell;
use std::time::Instant;

use arbiter_contracts::trace::{HEADER, TraceContext};
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use tracing::Instrument as _;

/// The trace that a request belongs to, with this service's own part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(TraceContext);

impl Trace {
    /// What to send on, and to put into events: `00-TRACE-SPAN-FLAGS`.
    pub fn parent(&self) -> String {
        self.0.to_string()
    }

    /// The trace of a request with a span of its own.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(TraceContext::parse);
        Self(given.map_or_else(|| TraceContext::begin(0, random), |given| given.go_on(random())))
    }
}

thread_local! {
    /// Where this thread is among its numbers.
    static LUCK: Cell<u64> = Cell::new(getrandom::u64().unwrap_or_default());
}

/// A number for a name, of a sequence that begins at random (SplitMix64 by Steele, Lea and Flood). They are no secrets, and to ask the
/// system for each of them would be three calls for a request.
fn random() -> u64 {
    let at = LUCK.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    LUCK.set(at);
    let mixed = (at ^ (at >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Answers a request inside its trace.
pub(crate) async fn answer(mut request: Request, answer: impl AsyncFnOnce(Request) -> Response) -> Response {
    let trace = Trace::of(request.headers());
    // The route and not the path: who is asked about stands in paths, and whatever strangers like to send.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let own = arbiter_contracts::trace::digits(trace.0.span);
    let own = std::str::from_utf8(&own).unwrap_or_default();
    let span = tracing::info_span!("request", trace = trace.0.trace, span = own, method = %request.method(), route);
    request.extensions_mut().insert(trace.clone());
    let answer = async {
        let began = Instant::now();
        let answer = answer(request).await;
        let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(status = answer.status().as_u16(), us, "answered");
        answer
    };
    let mut answer = answer.instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&trace.parent()) {
        answer.headers_mut().insert(HEADER, value);
    }
    answer
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // It is there on every request that came through `serve`.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_under_a_span_of_its_own() {
        let mut headers = HeaderMap::new();
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert(HEADER, HeaderValue::from_static(given));
        let parent = Trace::of(&headers).parent();
        assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && parent.ends_with("-01"), "{parent}");
        assert_ne!(parent, given);
    }

    #[test]
    fn no_two_requests_begin_the_same_trace() {
        let traces = || (0..1000).map(|_| Trace::of(&HeaderMap::new()).parent()).collect::<Vec<_>>();
        let mut all = std::thread::spawn(traces).join().expect("the other thread's");
        all.extend(traces());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2000);
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static("00-0-0-0"));
        assert!(TraceContext::parse(&Trace::of(&headers).parent()).is_some());
    }
}
