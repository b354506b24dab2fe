//! W3C's trace context (version 00): what a request brought is passed on, what brought none begins a trace of its own. The answer
//! names it, so that whoever complains can say which request it was.

use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

/// Name of the header.
const HEADER: &str = "traceparent";

/// The trace that a request belongs to, with this service's own part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    id: String,
    span: u64,
    flags: u8,
}

impl Trace {
    /// What to send on, and to put into events: `00-TRACE-SPAN-FLAGS`.
    pub fn parent(&self) -> String {
        format!("00-{}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }

    /// The trace of a request with a span of its own.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(parse);
        // Only names: that the system gives no random numbers is no reason to refuse a request.
        let random = || getrandom::u64().unwrap_or_default().max(1);
        let (id, flags) = given.unwrap_or_else(|| (format!("{:016x}{:016x}", random(), random()), 0));
        Self { id, span: random(), flags }
    }
}

/// Trace and flags of a header; `None` if it is none of version 00.
fn parse(text: &str) -> Option<(String, u8)> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, id, span, flags] = parts[..] else { return None };
    let digits = |part: &str, count| {
        part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let fits = version == "00" && digits(id, 32) && digits(span, 16) && digits(flags, 2) && !zero(id) && !zero(span);
    fits.then(|| Some((id.to_owned(), u8::from_str_radix(flags, 16).ok()?))).flatten()
}

/// Runs a request inside its trace.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let trace = Trace::of(request.headers());
    // The route and not the path: who is asked about stands in paths, and whatever strangers like to send.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let own = format!("{:016x}", trace.span);
    let span = tracing::info_span!("request", trace = trace.id, span = own, method = %request.method(), route);
    request.extensions_mut().insert(trace.clone());
    let answer = async {
        let began = Instant::now();
        let answer = next.run(request).await;
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
    fn what_is_no_trace_begins_one() {
        for wrong in ["", "00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-0-0-0"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(parse(&Trace::of(&HeaderMap::new()).parent()).is_some());
    }
}
