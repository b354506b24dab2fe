//! Joining: from a name to a place in a match. A player logs in and gets an access token, asks for a match and gets a connect token;
//! game servers say every second what they host.
//!
//! Who is where is forgotten when the process ends, and is whole again a second later: servers tell it anew. Nothing is
//! written but the issuer's keys, its switch and matches that were ordered; nothing personal is kept or logged, and no simulation is
//! known: what a connect token looks like is [`Mint`]'s matter.
//!
//! | path | who | what |
//! | --- | --- | --- |
//! | `POST /auth/login` | anybody | an access token |
//! | `GET /.well-known/jwks.json` | anybody | the keys that check access tokens |
//! | `GET`, `PUT /auth/issuing` | anybody, services | whether access tokens are issued |
//! | `POST /join` | players | a place and a connect token |
//! | `PUT`, `DELETE /servers/{id}`, `GET /servers` | services | what servers host |
//! | `POST /matches`, `GET /matches/{id}/settings` | services | matches that are ordered, and how they are to be played |
//!
//! Next: `docs/join.md` for client developers; `registry` for who is put where, `orders` for what is kept of orders.

mod figures;
mod join;
mod keys;
mod login;
mod matches;
mod mint;
mod orders;
mod provider;
mod registry;
mod servers;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arbiter_access::Issuer;
use arbiter_eventlog::Folder;
use arbiter_web::{Outside, Router, Service};
use thiserror::Error;

pub use mint::{CONNECT_TOKEN_BYTES, Mint, MintError, MintRequest, Role};
pub use provider::{DEVELOPMENT, Development, LoginError, PROOF_BYTES_MAX, Provider, player_number};
pub use registry::SILENCE;

use crate::figures::JoinFigures;
use crate::orders::Orders;
use crate::provider::is_provider_name;
use crate::registry::Registry;

/// How long a connect token may be used, unless told otherwise: time enough to load a map.
pub const CONNECT_LIFETIME: Duration = Duration::from_secs(30);

/// The shortest: a client has to get the answer and to send a packet.
pub const CONNECT_LIFETIME_MIN: Duration = Duration::from_secs(5);

/// The longest: until then a place is kept for whoever does not come.
pub const CONNECT_LIFETIME_MAX: Duration = Duration::from_secs(300);

/// Says how much time has passed since some moment; never goes back.
pub type SteadyClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What joining needs.
#[derive(Clone)]
pub struct JoinConfig {
    /// Makes access tokens.
    pub issuer: Arc<Issuer>,
    /// Makes connect tokens.
    pub mint: Arc<dyn Mint>,
    /// Who says who somebody is, besides the development provider.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Whether the development provider is used, which believes everybody: never where strangers can ask; say so to people.
    pub development: bool,
    /// How long a connect token may be used, [`CONNECT_LIFETIME_MIN`] to [`CONNECT_LIFETIME_MAX`].
    pub connect_lifetime: Duration,
    /// Folder of matches that were ordered; made if it is missing.
    pub orders: PathBuf,
    /// Time, for servers that fall silent and places that nobody takes.
    pub clock: SteadyClock,
}

impl JoinConfig {
    /// With no provider, connect tokens of [`CONNECT_LIFETIME`], and this machine's clock.
    pub fn new(issuer: Arc<Issuer>, mint: Arc<dyn Mint>, orders: &Path) -> Self {
        let start = Instant::now();
        let clock: SteadyClock = Arc::new(move || start.elapsed());
        let (providers, connect_lifetime) = (Vec::new(), CONNECT_LIFETIME);
        Self { issuer, mint, providers, development: false, connect_lifetime, orders: orders.to_owned(), clock }
    }
}

/// Why joining cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JoinError {
    /// A provider without a proper name, or two of one name.
    #[error("{0:?} is no name of a provider, or two have it: 1 to 32 small letters, digits and -, each name once")]
    Provider(String),
    /// How long connect tokens may be used.
    #[error(
        "connect tokens may be used for {min} to {max} s, found {0:?}",
        min = CONNECT_LIFETIME_MIN.as_secs(),
        max = CONNECT_LIFETIME_MAX.as_secs()
    )]
    Lifetime(Duration),
    /// The folder of orders.
    #[error(
        "cannot keep matches that are ordered in {folder}: {why}; give this user the right to, or choose another folder"
    )]
    Orders {
        /// Which.
        folder: PathBuf,
        /// What the system says.
        why: String,
    },
}

/// The service.
#[derive(Clone)]
pub struct Join {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Join(..)")
    }
}

/// What handlers need.
pub(crate) struct Shared {
    config: JoinConfig,
    /// What asks the providers, in their order.
    asking: Vec<Outside>,
    registry: Mutex<Registry>,
    figures: JoinFigures,
    orders: Mutex<Orders<Folder>>,
}

impl Shared {
    /// The registry, and the time that it is asked at.
    fn registry(&self) -> (MutexGuard<'_, Registry>, Duration) {
        // Taken before the time is read, so that time does not go back for the registry. Nothing panics while it is held.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        (registry, (self.config.clock)())
    }

    /// Matches that were ordered. It may wait for a disk: not for threads that answer requests.
    fn orders(&self) -> MutexGuard<'_, Orders<Folder>> {
        // What is in memory changes behind what is on disk, so that it holds whatever panicked.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Join {
    /// Checks what it is given.
    pub fn new(mut config: JoinConfig) -> Result<Self, JoinError> {
        if !(CONNECT_LIFETIME_MIN..=CONNECT_LIFETIME_MAX).contains(&config.connect_lifetime) {
            return Err(JoinError::Lifetime(config.connect_lifetime));
        }
        // It is there in any case, so that who asks for it is told that it is off.
        config.providers.push(Arc::new(Development::new(config.development)));
        for (at, provider) in config.providers.iter().enumerate() {
            let name = provider.name();
            if !is_provider_name(name) || config.providers[..at].iter().any(|other| other.name() == name) {
                return Err(JoinError::Provider(name.to_owned()));
            }
        }
        let registry = Mutex::new(Registry::new(config.connect_lifetime));
        let asking = config.providers.iter().map(|provider| login::outside(&**provider)).collect();
        let orders = Folder::make(&config.orders).and_then(Orders::open);
        let failed =
            |error: std::io::Error| JoinError::Orders { folder: config.orders.clone(), why: error.to_string() };
        let orders = Mutex::new(orders.map_err(failed)?);
        let figures = JoinFigures::default();
        Ok(Self { shared: Arc::new(Shared { config, asking, registry, orders, figures }) })
    }

    /// What is served over HTTP.
    pub fn service(&self) -> Service {
        let issuer = Arc::clone(&self.shared.config.issuer);
        let router = Router::new()
            .merge(login::router())
            .merge(keys::router())
            .merge(servers::router())
            .merge(join::router())
            .merge(matches::router())
            .with_state(Arc::clone(&self.shared));
        // That no server is there is no reason to send nobody here: servers register here.
        let ready = Arc::new(move || issuer.ready());
        Service { name: "join", router, ready, figures: figures::of(&self.shared) }
    }
}
