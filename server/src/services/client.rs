//! Calls to the services that cannot take long, and how long to wait after one that failed.

use core::time::Duration;
use std::time::Instant;

use super::Services;

/// Until a call is over, whatever the other side does.
const CALL_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The first wait after a failure, and the longest.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Calls the services.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Client {
    pub fn new(services: &Services) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(CALL_MAX))
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            url: services.url.trim_end_matches('/').to_owned(),
            authorization: format!("Bearer {}", services.bearer),
        }
    }

    /// Sends a body and returns what was answered with a status of 2xx; why not, otherwise, for a log line.
    pub fn call(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        match self.exchange(method, path, content_type, body)? {
            (200..300, bytes, _) => Ok(bytes),
            (status, bytes, trace) => {
                Err(format!("{method} {path}: {status}: {}: trace {trace}", String::from_utf8_lossy(&bytes)))
            }
        }
    }

    /// The same with any status; why there is no answer, otherwise.
    pub fn ask(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        self.exchange(method, path, content_type, body).map(|(status, bytes, _)| (status, bytes))
    }

    /// Status and body of the answer, and the trace of the call.
    fn exchange(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>, String), String> {
        // The services' lines about this call have the same trace.
        let (trace, parent) = trace_parent();
        let _span = tracing::info_span!("call", trace, method, path).entered();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .header("Content-Type", content_type)
            .header("traceparent", parent)
            .body(body)
            .map_err(|error| error.to_string())?;
        let began = Instant::now();
        let mut answer = self.agent.run(request).map_err(|error| format!("{method} {path}: {error}: trace {trace}"))?;
        let status = answer.status();
        tracing::debug!(status = status.as_u16(), ms = began.elapsed().as_millis() as u64, "the services answered");
        let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = read.map_err(|error| format!("{method} {path}: {error}"))?;
        Ok((status.as_u16(), bytes, trace))
    }
}

/// A trace that begins here, by its id and as W3C's trace context writes it (version 00).
fn trace_parent() -> (String, String) {
    // Only names: that the system gives no random numbers is no reason not to call.
    let random = || getrandom::u64().unwrap_or_default().max(1);
    let trace = format!("{:016x}{:016x}", random(), random());
    let parent = format!("00-{trace}-{:016x}-01", random());
    (trace, parent)
}

/// How long to wait between tries: twice as long after each failure, and never the same as other servers that failed at the
/// same moment.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
}

impl Patience {
    /// After a call that went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// After one that did not.
    pub fn wait(&mut self) -> Duration {
        let longest = WAIT_MIN.saturating_mul(1 << self.failures.min(16)).min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        // Without randomness all come at once, which is worse, not wrong.
        let part = getrandom::u32().unwrap_or(u32::MAX);
        longest / 2 + (longest / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
    }

    /// Failures since a call went well.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_begin_again_after_a_success() {
        let mut patience = Patience::default();
        let waits: Vec<Duration> = (0..20).map(|_| patience.wait()).collect();
        assert!(waits[0] <= WAIT_MIN && waits[19] >= WAIT_MAX / 2 && waits[19] <= WAIT_MAX, "{waits:?}");
        patience.reset();
        assert!(patience.wait() <= WAIT_MIN);
    }
}
