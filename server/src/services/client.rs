//! Calls to the services that cannot take long.

use arbiter_contracts::outward::Policy;

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
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .header("Content-Type", content_type)
            .body(body)
            .map_err(|error| error.to_string())?;
        let mut answer = self.agent.run(request).map_err(|error| format!("{method} {path}: {error}"))?;
        let status = answer.status();
        let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = read.map_err(|error| format!("{method} {path}: {error}"))?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&bytes)))
    }
}
