//! Calls to the services that cannot take long.

use std::time::Instant;

use arbiter_contracts::outward::Policy;
use arbiter_contracts::trace::{HEADER, SAMPLED, TraceContext};

use super::Services;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Calls the services.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Client {
    pub fn new(services: &Services, policy: &Policy) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(policy.connect_max))
            .timeout_global(Some(policy.call_max))
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
        let context = TraceContext::begin(SAMPLED, || getrandom::u64().unwrap_or_default());
        let trace = &context.trace;
        let _span = tracing::info_span!("call", trace, method, path).entered();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .header("Content-Type", content_type)
            .header(HEADER, context.to_string())
            .body(body)
            .map_err(|error| error.to_string())?;
        let began = Instant::now();
        let mut answer = self.agent.run(request).map_err(|error| format!("{method} {path}: {error}: trace {trace}"))?;
        let status = answer.status();
        tracing::debug!(status = status.as_u16(), ms = began.elapsed().as_millis() as u64, "the services answered");
        let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = read.map_err(|error| format!("{method} {path}: {error}"))?;
        Ok((status.as_u16(), bytes, context.trace))
    }
}
