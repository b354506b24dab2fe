//! The services in this process: the one place that starts them and knows how they fit together.
//!
//! Each of them has a folder of its own under one folder. The economy brings the log of events with it, since results are what it is
//! for; the others follow that log, in the same process or in another one on the same machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arbiter_access::{FetchConfig, Issuer, IssuerConfig, Verifier};
use arbiter_economy::desk::{Desk, DeskConfig};
use arbiter_economy::payments::PaymentsConfig;
use arbiter_economy::payments::local::{LocalConfig, LocalProvider};
use arbiter_economy::tell::{Fact, NotBrought, TellConfig, Teller};
use arbiter_economy::{Catalogue, LedgerView};
use arbiter_eventlog::{Masters, Options};
use arbiter_intake::{Bringer, Event, Intake};
use arbiter_join::{Join, JoinConfig};
use arbiter_persistence::{Persistence, PersistenceConfig};
use arbiter_transport::Key;
use arbiter_web::{Figures, Limits, Router, Running, Service, ServiceKey, operate, serve};
use clap::ValueEnum;

use crate::mint::KeyMint;

/// Name that access tokens carry.
const ISSUER: &str = "arbiter";

/// The log of events, in the services' folder.
pub const EVENTS: &str = "events";
/// The economy's own log, in the services' folder.
pub const ECONOMY: &str = "economy";
/// The view of transactions, in the services' folder.
pub(crate) const TRANSACTIONS: &str = "views/transactions.sqlite";
/// The view of what the economy told the world, in the services' folder.
pub(crate) const TOLD: &str = "views/told.sqlite";
/// Profiles and views, in the services' folder.
const PERSISTENCE: &str = "persistence";
/// What the local provider of payments knows, in the services' folder.
const PROVIDER: &str = "provider";
/// Keys of access tokens, in the services' folder.
const ACCESS: &str = "access";
/// Matches that were ordered, in the services' folder.
const ORDERS: &str = "orders";

/// Ids that logs of money and events keep: so many records are told apart when they come again, about 1.6 GB of memory when all
/// are there.
const IDS_MAX: usize = 32 << 20;

/// What a process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Events of game servers, the store, wallets and inventories
    Economy,
    /// Profiles, matches, achievements, statistics, histories
    Persistence,
    /// Logging in, and being sent to a game server
    Join,
}

/// What services are started with.
#[derive(Debug, Clone)]
pub struct ServicesSettings {
    /// Where to listen; port 0 takes any.
    pub bind: SocketAddr,
    /// Where health and figures are served; `None` for nowhere, port 0 takes any.
    pub operate: Option<SocketAddr>,
    /// What to serve.
    pub roles: Vec<Role>,
    /// Folder of everything that is kept.
    pub folder: PathBuf,
    /// Folder of the catalogue and whatever else designers edit; `None` for what is built in.
    pub assets: Option<PathBuf>,
    /// Where access tokens' keys are published, for processes that do not make tokens themselves.
    pub jwks: Option<String>,
    /// Whether anybody may log in as anybody, by a name: for development.
    pub development_login: bool,
    /// Whether the local provider of payments is served, which takes nobody's money: for development.
    pub local_payments: bool,
    /// Whether a chargeback freezes the player's money.
    pub freeze_on_chargeback: bool,
    /// Bytes of a segment of a log.
    pub segment_bytes: u64,
    /// What is taken at the address.
    pub limits: Limits,
    /// Keys that seal the logs.
    pub masters: Option<Masters>,
}

impl ServicesSettings {
    /// All roles on any free port of this machine.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            operate: None,
            roles: Role::value_variants().to_vec(),
            folder,
            assets: None,
            jwks: None,
            development_login: false,
            local_payments: false,
            freeze_on_chargeback: false,
            segment_bytes: Options::default().segment_bytes,
            limits: Limits::default(),
            masters: None,
        }
    }

    fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    fn options(&self) -> Options {
        Options {
            ids_max: IDS_MAX,
            masters: self.masters.clone(),
            segment_bytes: self.segment_bytes,
            ..Options::default()
        }
    }
}

/// Running services; dropping them ends them, behind what was asked. Who serves goes first, then who works.
#[derive(Debug)]
pub struct Services {
    operate: Option<Running>,
    server: Running,
    _persistence: Option<Persistence>,
    _economy: Option<Economy>,
}

#[derive(Debug)]
struct Economy {
    local: Option<LocalProvider>,
    view: LedgerView,
    /// Before the log that it tells.
    _teller: Teller,
    desk: Desk,
    intake: Intake,
}

impl Services {
    /// Starts them. `key` is that of the game servers, from which what services call each other with is derived.
    pub fn start(settings: &ServicesSettings, key: &Key) -> Result<Self> {
        let folder = &settings.folder;
        let (verifier, issuer) = access(settings)?;
        let verifier = Arc::new(verifier);
        let keys = Arc::clone(&verifier);
        // Without keys nobody is let in, which is no use to anybody.
        let ready = Arc::new(move || keys.ready());
        let access = Service { name: "access", router: Router::new(), ready, figures: Figures::default() };
        let mut served = vec![access];
        if let Some(issuer) = issuer.filter(|_| settings.has(Role::Join)) {
            let mint = Arc::new(KeyMint::new(key.clone()));
            let mut config = JoinConfig::new(issuer, mint, &folder.join(ORDERS));
            config.development = settings.development_login;
            served.push(Join::new(config)?.service());
        }
        let economy = settings.has(Role::Economy).then(|| Economy::start(settings)).transpose()?;
        served.extend(economy.iter().flat_map(|economy| economy.services(settings)));
        let persistence = settings.has(Role::Persistence).then(|| persistence(settings, key)).transpose()?;
        if let (Some(economy), Some(persistence)) = (&economy, &persistence) {
            let waker = persistence.waker();
            economy.intake.when_stored(move || waker.wake());
        }
        served.extend(persistence.as_ref().map(Persistence::service));
        let service_key = ServiceKey::derive(key.as_bytes());
        let server = serve(settings.bind, served, service_key, verifier, settings.limits)
            .with_context(|| format!("cannot serve on {}; choose another address with --bind", settings.bind))?;
        let operated = settings.operate.map(|address| {
            let told = operate(address, &server);
            told.with_context(|| format!("cannot serve health and figures on {address}; choose another with --operate"))
        });
        if let Some(local) = economy.as_ref().and_then(|economy| economy.local.as_ref()) {
            local.announce(&format!("http://{}", server.address));
        }
        tracing::info!(address = %server.address, folder = %folder.display(), "services are running");
        Ok(Self { operate: operated.transpose()?, server, _persistence: persistence, _economy: economy })
    }

    /// Where they are served.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Where health and figures are served.
    pub fn operate_address(&self) -> Option<SocketAddr> {
        self.operate.as_ref().map(|operate| operate.address)
    }

    /// The same as game servers and clients are told it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl Economy {
    fn start(settings: &ServicesSettings) -> Result<Self> {
        let folder = &settings.folder;
        let (events, log) = (folder.join(EVENTS), folder.join(ECONOMY));
        let intake = Intake::start(&events, settings.options())
            .with_context(|| format!("the log of events in {} cannot be opened", events.display()))?;
        let catalogue = catalogue(settings.assets.as_deref())?;
        let config = DeskConfig { folder: log.clone(), options: settings.options(), events, catalogue };
        let desk = Desk::start(config).with_context(|| format!("the economy in {} cannot be opened", log.display()))?;
        let view = LedgerView::start(&log, folder.join(TRANSACTIONS), settings.masters.clone())
            .with_context(|| format!("the view {TRANSACTIONS} in {} cannot be opened", folder.display()))?;
        let config = TellConfig { log, file: folder.join(TOLD), masters: settings.masters.clone() };
        let teller = Teller::start(config, &desk.counter(), bring(intake.bringer()))
            .with_context(|| format!("the view {TOLD} in {} cannot be opened", folder.display()))?;
        let local = settings.local_payments.then(|| {
            let provider = folder.join(PROVIDER);
            let started = LocalConfig::new(provider.clone()).map(LocalProvider::start);
            started.with_context(|| provider.display().to_string())?.with_context(|| provider.display().to_string())
        });
        Ok(Self { local: local.transpose()?, view, _teller: teller, desk, intake })
    }

    fn services(&self, settings: &ServicesSettings) -> Vec<Service> {
        let counter = self.desk.counter();
        let providers = self.local.as_ref().map(LocalProvider::provider).into_iter().collect();
        let payments = PaymentsConfig { providers, freeze_on_chargeback: settings.freeze_on_chargeback };
        let mut services = vec![
            self.intake.service(),
            arbiter_economy::http::service(&counter, &self.view),
            arbiter_economy::http::checkout::service(&counter, &payments),
        ];
        services.extend(self.local.as_ref().map(LocalProvider::service));
        services
    }
}

/// Brings what the economy tells to the log of events of this process.
fn bring(bringer: Bringer) -> impl FnMut(Vec<Fact>) -> Result<usize, NotBrought> {
    move |facts| {
        let events = facts.into_iter().map(|Fact { id, bytes }| Event { id, bytes }).collect();
        let stored = bringer.bring(events).map_err(|refused| NotBrought(refused.to_string()))?;
        Ok(stored.new)
    }
}

/// What services and game servers of one installation call each other with; a secret.
pub fn bearer(key: &Key) -> String {
    ServiceKey::derive(key.as_bytes()).bearer()
}

/// Where persistence keeps what, in the services' folder.
pub(crate) fn persistence_config(folder: &Path, masters: Option<Masters>, key: &Key) -> PersistenceConfig {
    let master = blake3::derive_key("arbiter persistence 1 key of players' keys", key.as_bytes());
    let mut config = PersistenceConfig::new(folder.join(EVENTS), folder.join(PERSISTENCE), master);
    config.events_masters = masters;
    config
}

/// Profiles and views in their folder.
fn persistence(settings: &ServicesSettings, key: &Key) -> Result<Persistence> {
    let folder = settings.folder.join(PERSISTENCE);
    let config = persistence_config(&settings.folder, settings.masters.clone(), key);
    Persistence::start(config).with_context(|| format!("persistence in {} cannot be opened", folder.display()))
}

/// Who access tokens belong to, and who makes them, if this process does.
fn access(settings: &ServicesSettings) -> Result<(Verifier, Option<Arc<Issuer>>)> {
    if let Some(url) = settings.jwks.as_ref().filter(|_| !settings.has(Role::Join)) {
        return Ok((Verifier::fetched(FetchConfig::new(url, ISSUER))?, None));
    }
    let folder = settings.folder.join(ACCESS);
    let issuer = Issuer::open(IssuerConfig::new(&folder, ISSUER))
        .with_context(|| format!("the keys of access tokens in {} cannot be opened", folder.display()))?;
    let issuer = Arc::new(issuer);
    Ok((Verifier::of(&issuer), Some(issuer)))
}

/// The catalogue that is built in.
const CATALOGUE: &str = include_str!("../../assets/economy/catalogue.ron");

/// The catalogue of a folder of assets, or the one that is built in.
pub fn catalogue(assets: Option<&Path>) -> Result<Catalogue> {
    let path = assets.map(|assets| assets.join("economy/catalogue.ron"));
    let Some(path) = path.filter(|path| path.exists()) else {
        return Ok(Catalogue::parse("assets/economy/catalogue.ron", CATALOGUE)?);
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
    Ok(Catalogue::parse(&name, &text)?)
}

/// Whether roles and settings go together.
pub(crate) fn check(settings: &ServicesSettings) -> Result<()> {
    match (settings.has(Role::Join), &settings.jwks) {
        (true, Some(_)) => bail!("--jwks: this process makes access tokens itself; leave it out, or join from --roles"),
        (false, None) => bail!(
            "--jwks: access tokens are made by the process with the role join; say where it publishes its keys, for example \
             http://127.0.0.1:7780/.well-known/jwks.json"
        ),
        _ => Ok(()),
    }
}
