//! A place that takes files over HTTP: a PUT keeps one under its name, a GET brings it back, and nothing else is asked of it. Object
//! stores, WebDAV folders and a web server's upload folder all do that; what lets this server in is a header or the address.

use core::time::Duration;
use std::path::PathBuf;

use arbiter_contracts::outward::Policy;
use thiserror::Error;
use ureq::tls::TlsConfig;

use super::trust;
use crate::outward::OPEN_AFTER;

/// How it is called. A part of 4 MB is there in a call's time at 3 Mbit/s.
pub(super) const POLICY: Policy = Policy {
    connect_max: Duration::from_secs(3),
    call_max: Duration::from_secs(12),
    wait_min: Duration::from_millis(100),
    wait_max: Duration::from_secs(10),
    open_after: OPEN_AFTER,
};

/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: u64 = 1_024;

/// Bytes of the files of headers and certificates: system bundles have 250 KB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where such a place is, and what lets one in.
#[derive(Clone, PartialEq, Eq)]
pub struct DepotAddress {
    /// Names are added to its path; what stands behind a `?` goes with each request, and is a secret.
    pub url: String,
    /// A file with a header a line, `Name: value`, that go with each request; read for each look, so that a token may change.
    pub headers: Option<PathBuf>,
    /// Certificates (PEM) of whoever signed the place's; those of the web if left out.
    pub authorities: Option<PathBuf>,
}

impl core::fmt::Debug for DepotAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DepotAddress").field("url", &without_query(&self.url)).finish_non_exhaustive()
    }
}

/// Why something is not there.
#[derive(Debug, Error)]
pub enum DepotError {
    /// No such address.
    #[error("{0}: expected an address that begins with http:// or https://")]
    Address(String),
    /// The file of headers cannot be used.
    #[error("{path}:{line}: {why}; expected a header a line, as `Authorization: Bearer TOKEN` (--ship-headers)")]
    Headers {
        /// Which file.
        path: PathBuf,
        /// Where, from 1; 0 if it cannot be read.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The file of certificates cannot be used.
    #[error("{path}: {why}; expected certificates in PEM (--ship-ca)")]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nobody answered, or not in time.
    #[error("{method} {url}: {why}")]
    Call {
        /// PUT or GET.
        method: &'static str,
        /// What was asked for.
        url: String,
        /// What failed.
        why: String,
    },
    /// It was refused.
    #[error("{method} {url}: {status}: {said}; {}", remedy(*status))]
    Refused {
        /// PUT or GET.
        method: &'static str,
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What was said.
        said: String,
    },
}

fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => "check what lets this server in: --ship-headers, or what stands behind the ? of the address",
        404 | 405 => "the place must take PUT below this address and make folders by itself",
        413 => "let the place take files of 64 MB",
        507 => "it is full: make room there",
        300..=399 => "give the address that it points to",
        _ => "it is tried again",
    }
}

/// Calls it.
pub(super) struct Depot {
    agent: ureq::Agent,
    base: String,
    query: String,
    headers_file: Option<PathBuf>,
    headers: Vec<(String, String)>,
}

impl Depot {
    pub fn new(address: &DepotAddress) -> Result<Self, DepotError> {
        let (base, query) = address.url.split_once('?').unwrap_or((&address.url, ""));
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(DepotError::Address(base.to_owned()));
        }
        let mut tls = TlsConfig::builder();
        if let Some(path) = &address.authorities {
            tls = tls.root_certs(trust::authorities(path)?);
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(POLICY.connect_max))
            .timeout_global(Some(POLICY.call_max))
            // What lets this server in is for nobody else.
            .max_redirects(0)
            .tls_config(tls.build())
            .proxy(None)
            .build();
        let (agent, headers_file) = (config.into(), address.headers.clone());
        let base = base.trim_end_matches('/').to_owned();
        let mut depot = Self { agent, base, query: query.to_owned(), headers_file, headers: Vec::new() };
        depot.read_headers()?;
        Ok(depot)
    }

    /// Reads what may have changed.
    pub fn read_headers(&mut self) -> Result<(), DepotError> {
        let Some(path) = &self.headers_file else { return Ok(()) };
        let error = |line, why: &str| DepotError::Headers { path: path.clone(), line, why: why.to_owned() };
        let text = read(path).map_err(|why| error(0, &why))?;
        let text = String::from_utf8(text).map_err(|_| error(0, "it is no text"))?;
        let mut headers = Vec::new();
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            // What a line says may be a secret.
            let (name, value) = line.split_once(':').ok_or_else(|| error(number, "it has no colon"))?;
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            let is_good =
                ureq::http::HeaderName::try_from(&name).is_ok() && ureq::http::HeaderValue::try_from(&value).is_ok();
            if !is_good {
                return Err(error(number, "it is no header"));
            }
            headers.push((name, value));
        }
        self.headers = headers;
        Ok(())
    }

    /// Keeps bytes under a name.
    pub fn put(&self, name: &str, content_type: &'static str, body: &[u8]) -> Result<(), DepotError> {
        let request = self.request("PUT", name)?.header("Content-Type", content_type);
        let request = request.body(body).map_err(|error| self.failed("PUT", name, &error.into()))?;
        let mut answer = self.agent.run(request).map_err(|error| self.failed("PUT", name, &error))?;
        self.look("PUT", name, &mut answer)
    }

    /// What is kept under a name; `None` if nothing is.
    pub fn get(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, DepotError> {
        let request = self.request("GET", name)?.body(()).map_err(|error| self.failed("GET", name, &error.into()))?;
        let mut answer = self.agent.run(request).map_err(|error| self.failed("GET", name, &error))?;
        if answer.status() == 404 {
            return Ok(None);
        }
        self.look("GET", name, &mut answer)?;
        let bytes = answer.body_mut().with_config().limit(bytes_max).read_to_vec();
        bytes.map(Some).map_err(|error| self.failed("GET", name, &error))
    }

    fn request(&self, method: &'static str, name: &str) -> Result<ureq::http::request::Builder, DepotError> {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let request = ureq::http::Request::builder().method(method).uri(format!("{}/{name}{query}", self.base));
        Ok(self.headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
    }

    fn look(
        &self,
        method: &'static str,
        name: &str,
        answer: &mut ureq::http::Response<ureq::Body>,
    ) -> Result<(), DepotError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = answer.body_mut().with_config().limit(REFUSAL_BYTES_MAX).lossy_utf8(true).read_to_string();
        let (url, said) = (self.shown(name), said.unwrap_or_default().trim().to_owned());
        Err(DepotError::Refused { method, url, status: status.as_u16(), said })
    }

    fn failed(&self, method: &'static str, name: &str, error: &ureq::Error) -> DepotError {
        DepotError::Call { method, url: self.shown(name), why: trust::why(error) }
    }

    /// Without secrets.
    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }
}

fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(base, _)| base)
}

/// The bytes of a file that an operator names.
pub(super) fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;

    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
