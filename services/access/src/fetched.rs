//! The public keys of an issuer elsewhere, fetched on a thread of its own: at the start, every so often, and when a token names a
//! key that is not known. What was fetched last stays good while nobody answers.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arbiter_contracts::outward::{Circuit, Policy};
use thiserror::Error;

use crate::clock::{Clock, system_clock};
use crate::jwks::{self, JWKS_BYTES_MAX};
use crate::key::PublicKey;

/// Until a connection stands, and until an answer must be there, connecting included.
const CONNECT_MAX: Duration = Duration::from_secs(2);
const CALL_MAX: Duration = Duration::from_secs(5);

/// Failures in a row behind which the issuer is tried from time to time only.
const OPEN_AFTER: u32 = 4;

/// The longest wait behind failures, in shortest times between two fetches.
const WAITS_MAX: u32 = 6;

/// What a verifier fetches keys with.
#[derive(Clone)]
pub struct FetchConfig {
    /// Where the key set is: `http://`, since inside an installation nothing ends TLS; see `docs/decisions/access.md`.
    pub url: String,
    /// The name that tokens must carry.
    pub issuer: String,
    /// Between two fetches when nothing asks for one. The next key is published long before it is used.
    pub every: Duration,
    /// At least so long lies between two fetches, however many tokens name unknown keys: anybody can make such tokens. While nobody
    /// answers it is up to six times as long.
    pub again_after: Duration,
    /// The time that tokens are checked against.
    pub clock: Clock,
}

impl FetchConfig {
    /// From a URL, for tokens of an issuer: every minute, and not more often than every five seconds.
    pub fn new(url: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            issuer: issuer.into(),
            every: Duration::from_secs(60),
            again_after: Duration::from_secs(5),
            clock: system_clock(),
        }
    }
}

/// Why keys cannot be fetched at all.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No address of HTTP.
    #[error("{0:?} is no URL of a key set: expected http://HOST:PORT/.well-known/jwks.json")]
    Url(String),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}; raise the limit of threads")]
    Thread(std::io::Error),
}

/// What came last, and what went wrong last.
#[derive(Default)]
struct Known {
    keys: Arc<HashMap<String, PublicKey>>,
    failed: Option<String>,
}

/// What the thread is told.
#[derive(Default)]
struct Orders {
    wanted: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    known: RwLock<Known>,
    orders: Mutex<Orders>,
    ordered: Condvar,
}

impl Shared {
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.ordered.notify_one();
    }
}

/// The keys, and the thread that fetches them.
pub(crate) struct Fetched {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Fetched {
    pub fn start(config: FetchConfig) -> Result<Self, FetchError> {
        let url: ureq::http::Uri = config.url.parse().map_err(|_| FetchError::Url(config.url.clone()))?;
        if url.scheme_str() != Some("http") || url.host().is_none() {
            return Err(FetchError::Url(config.url));
        }
        let shared = Arc::new(Shared::default());
        let fetching =
            Fetching { agent: agent(), shared: Arc::clone(&shared), circuit: Circuit::new(policy(&config)), config };
        let thread = std::thread::Builder::new().name("jwks".to_owned()).spawn(move || fetching.run());
        Ok(Self { shared, thread: Some(thread.map_err(FetchError::Thread)?) })
    }

    /// A key by its name. One that is not known is asked for.
    pub fn key(&self, id: &str) -> Option<PublicKey> {
        let found = self.shared.known().keys.get(id).copied();
        if found.is_none() {
            self.shared.order(|orders| orders.wanted = true);
        }
        found
    }

    pub fn ready(&self) -> Result<(), String> {
        let known = self.shared.known();
        if known.keys.is_empty() {
            let why = known.failed.as_deref().unwrap_or("they were not fetched yet");
            return Err(format!("there are no keys to check access tokens with: {why}"));
        }
        Ok(())
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.shared.order(|orders| orders.stop = true);
        // It may have ended by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Nobody may send the thread elsewhere: no redirects, no proxy of the environment.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_connect(Some(CONNECT_MAX)).timeout_global(Some(CALL_MAX));
    config.max_redirects(0).proxy(None).build().into()
}

fn policy(config: &FetchConfig) -> Policy {
    Policy {
        connect_max: CONNECT_MAX,
        call_max: CALL_MAX,
        wait_min: config.again_after,
        wait_max: config.again_after.saturating_mul(WAITS_MAX),
        open_after: OPEN_AFTER,
    }
}

/// The state of the thread.
struct Fetching {
    config: FetchConfig,
    agent: ureq::Agent,
    shared: Arc<Shared>,
    circuit: Circuit,
}

impl Fetching {
    fn run(mut self) {
        loop {
            let began = Instant::now();
            let fetched = self.fetch();
            let wait = self.note(fetched.is_ok());
            self.take(fetched);
            if !self.waits(began, wait) {
                return;
            }
        }
    }

    /// Behind a fetch: how long to wait after one that failed.
    fn note(&mut self, is_well: bool) -> Option<Duration> {
        if is_well {
            self.circuit.succeeded();
            return None;
        }
        // Without randomness all come at once, which is worse, not wrong.
        Some(self.circuit.failed(Instant::now(), getrandom::u32().unwrap_or(u32::MAX)))
    }

    /// Until the next fetch is due; false if there is to be none.
    fn waits(&self, began: Instant, failed: Option<Duration>) -> bool {
        let FetchConfig { every, again_after, .. } = self.config;
        let mut orders = self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if orders.stop {
                return false;
            }
            let due = match failed {
                Some(wait) => wait.max(again_after),
                None if orders.wanted => again_after,
                None => every.max(again_after),
            };
            let Some(left) = due.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
                orders.wanted = false;
                return true;
            };
            let waited = self.shared.ordered.wait_timeout(orders, left);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn fetch(&self) -> Result<HashMap<String, PublicKey>, String> {
        let mut answer = self.agent.get(&self.config.url).call().map_err(|error| error.to_string())?;
        let body = answer.body_mut().with_config().limit(JWKS_BYTES_MAX).read_to_vec();
        jwks::read(&body.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    fn take(&self, fetched: Result<HashMap<String, PublicKey>, String>) {
        let mut known = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
        let url = &self.config.url;
        match fetched {
            Ok(keys) => {
                if known.failed.take().is_some() {
                    tracing::info!(url, "keys of access tokens are fetched again");
                }
                known.keys = Arc::new(keys);
            }
            Err(why) => {
                // Said once, not with every attempt.
                if known.failed.is_none() {
                    let keys = known.keys.len();
                    tracing::warn!(url, keys, "keys of access tokens cannot be fetched, the last ones stay: {why}");
                }
                known.failed = Some(why);
            }
        }
    }
}
