//! What a client does before it plays, over HTTP: log in, join, and look into its wallet afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use arbiter_headless_client::runner::Tickets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Until a call is over.
const CALL_MAX: Duration = Duration::from_secs(5);

/// Between two tries while there is no place, or too much was asked.
const AGAIN: Duration = Duration::from_millis(250);

/// A login that is nearly over is made again: a join must not fail for a second.
const EARLY: Duration = Duration::from_secs(30);

/// What connect tokens say of the client.
const BUILD: &str = concat!("arbiter ", env!("CARGO_PKG_VERSION"));

/// Speaks to the services of one installation.
#[derive(Debug, Clone)]
pub struct Lobby {
    agent: ureq::Agent,
    url: String,
    /// What a join asks for: any match that this client can play.
    wish: Value,
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The player's number.
    pub player: u64,
    token: String,
    until: Instant,
}

#[derive(Deserialize)]
struct LoggedIn {
    access_token: String,
    expires_in: u64,
    player: String,
}

#[derive(Deserialize)]
struct Joined {
    connect_token: String,
}

#[derive(Deserialize)]
struct Wallet {
    balances: Vec<Balance>,
    entry: u64,
}

#[derive(Deserialize)]
struct Transactions {
    movements: Vec<Movement>,
}

#[derive(Deserialize)]
struct Movement {
    reason: String,
    asset: String,
    amount: String,
    event: Option<u64>,
}

/// What a match gave a player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Earned {
    /// Name of the reward.
    pub reward: String,
    /// Of which asset.
    pub asset: String,
    /// How much, in its smallest unit.
    pub amount: u64,
}

#[derive(Deserialize)]
struct Balance {
    asset: String,
    amount: String,
}

#[derive(Deserialize)]
struct Inventory {
    items: Vec<Thing>,
}

#[derive(Deserialize)]
struct Thing {
    item: String,
    quantity: String,
}

#[derive(Deserialize)]
struct Bought {
    transaction: String,
}

/// What became of a purchase. It is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purchase {
    /// Paid and delivered, under this number.
    Done(String),
    /// Neither; why.
    Refused(String),
}

#[derive(Deserialize)]
struct Extent {
    position: u64,
}

/// An answer that is no success.
#[derive(Debug)]
struct Refused {
    status: u16,
    detail: String,
}

impl Lobby {
    /// At an address such as `http://127.0.0.1:7780`.
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(CALL_MAX)).build();
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned(), wish: json!({ "build": BUILD }) }
    }

    /// Joins only what a client can play that has this alike with its server.
    pub fn agreeing(mut self, protocol_hash: u64) -> Self {
        self.wish["protocol_hash"] = format!("{protocol_hash:016x}").into();
        self
    }

    /// Logs in with the development provider, under a name.
    pub fn log_in(&self, name: &str) -> Result<Session> {
        let proof = json!({ "provider": "development", "proof": name });
        let LoggedIn { access_token, expires_in, player } =
            self.patiently(|| self.call("POST", "/auth/login", "", Some(&proof))).context("cannot log in")?;
        let player = player.parse().context("the services gave no player's number")?;
        let until = Instant::now() + Duration::from_secs(expires_in).saturating_sub(EARLY);
        Ok(Session { player, token: access_token, until })
    }

    /// A connect token for a player: its 2,048 bytes.
    pub fn join(&self, session: &Session) -> Result<Vec<u8>> {
        let joined: Joined = self
            .patiently(|| self.call("POST", "/join", &session.token, Some(&self.wish)))
            .context("cannot join a match")?;
        STANDARD.decode(joined.connect_token).context("the services gave no connect token")
    }

    /// What a player has of each money, once everything before a position of the log of events is in it.
    pub fn wallet(&self, session: &Session, after: u64) -> Result<BTreeMap<String, i64>> {
        self.wallet_of(session.player, &session.token, after)
    }

    /// What matches gave a player for events from a position on, by reward, with the asset; `after` is as for [`Self::wallet`].
    pub fn earned(&self, session: &Session, since: u64, after: u64) -> Result<Vec<Earned>> {
        let Session { player, token, .. } = session;
        let wallet: Wallet =
            self.patiently(|| self.call("GET", &format!("/wallet/{player}?after={after}"), token, None))?;
        let path = format!("/wallet/{player}/transactions?limit=200&after={}", wallet.entry);
        let shown: Transactions = self.patiently(|| self.call("GET", &path, token, None))?;
        let granted = shown.movements.into_iter().filter(|movement| movement.event.is_some_and(|event| event >= since));
        let earned = granted.filter_map(|Movement { reason, asset, amount, .. }| {
            Some(Earned { reward: reason.strip_prefix("grant:")?.to_owned(), asset, amount: amount.parse().ok()? })
        });
        Ok(earned.collect())
    }

    /// The same for whoever may see it: `bearer` is the player's token, or a service's.
    pub fn wallet_of(&self, player: u64, bearer: &str, after: u64) -> Result<BTreeMap<String, i64>> {
        let path = format!("/wallet/{player}?after={after}");
        let wallet: Wallet = self.patiently(|| self.call("GET", &path, bearer, None))?;
        let amount = |Balance { asset, amount }| Ok((asset, amount.parse().context("an amount is no number")?));
        wallet.balances.into_iter().map(amount).collect()
    }

    /// How many a player has of each item, likewise.
    pub fn inventory_of(&self, player: u64, bearer: &str, after: u64) -> Result<BTreeMap<String, i64>> {
        let path = format!("/inventory/{player}?after={after}");
        let inventory: Inventory = self.patiently(|| self.call("GET", &path, bearer, None))?;
        let count = |Thing { item, quantity }| Ok((item, quantity.parse().context("a quantity is no number")?));
        inventory.items.into_iter().map(count).collect()
    }

    /// Buys something under a key; an error is no answer, and the same may be asked again.
    pub fn purchase(&self, session: &Session, key: &str, offer: &str) -> Result<Purchase> {
        let body = json!({ "offer": offer });
        let asked: Result<Bought, Refused> =
            self.call_with("POST", "/store/purchase", &session.token, Some(&body), Some(key))?;
        match asked {
            Ok(Bought { transaction }) => Ok(Purchase::Done(transaction)),
            Err(Refused { status: 409, detail }) => Ok(Purchase::Refused(detail)),
            Err(Refused { status, detail }) => bail!("{} answers {status}: {detail}", self.url),
        }
    }

    /// Any other answer, as JSON.
    pub fn get(&self, path: &str, bearer: &str) -> Result<Value> {
        self.patiently(|| self.call("GET", path, bearer, None))
    }

    /// Position of the log of events; `bearer` is a service's.
    pub fn position(&self, bearer: &str) -> Result<u64> {
        let extent: Extent = self.patiently(|| self.call("GET", "/events", bearer, None))?;
        Ok(extent.position)
    }

    /// Gives bots their connect tokens: each logs in under a name of its own. `named` makes a name of the bot's number.
    pub fn tickets(self, named: impl Fn(u16) -> String + Send + Sync + 'static) -> (Tickets, Sessions) {
        let sessions = Sessions::default();
        let known = sessions.clone();
        let ticket = move |bot: u16| -> Result<Vec<u8>> {
            let session = match known.of(bot).filter(|session| session.until > Instant::now()) {
                Some(session) => session,
                None => {
                    let session = self.log_in(&named(bot))?;
                    known.keep(bot, session.clone());
                    session
                }
            };
            self.join(&session)
        };
        (Arc::new(move |bot| ticket(bot).map_err(|error| format!("{error:#}"))), sessions)
    }

    /// Asks again while there is no place yet or too much is asked, for as long as one call may take.
    fn patiently<T>(&self, mut ask: impl FnMut() -> Result<Result<T, Refused>>) -> Result<T> {
        let until = Instant::now() + CALL_MAX;
        loop {
            match ask()? {
                Ok(answer) => return Ok(answer),
                Err(Refused { status: 429 | 503, .. }) if Instant::now() < until => std::thread::sleep(AGAIN),
                Err(Refused { status, detail }) => bail!("{} answers {status}: {detail}", self.url),
            }
        }
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
    ) -> Result<Result<T, Refused>> {
        self.call_with(method, path, bearer, body, None)
    }

    fn call_with<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Result<T, Refused>> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Content-Type", "application/json");
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let failed = || format!("the services at {} do not answer; is arbiter services running?", self.url);
        let mut answer = self.agent.run(request.body(body)?).with_context(failed)?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().with_context(failed)?;
        if status.is_success() {
            return Ok(Ok(serde_json::from_str(&text).with_context(|| anyhow!("{method} {path} answers {text:?}"))?));
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let detail = problem["detail"].as_str().unwrap_or(&text).to_owned();
        Ok(Err(Refused { status: status.as_u16(), detail }))
    }
}

/// Who is logged in, by the number of the bot.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Mutex<BTreeMap<u16, Session>>>);

impl Sessions {
    /// Everybody.
    pub fn all(&self) -> Vec<(u16, Session)> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().map(|(bot, session)| (*bot, session.clone())).collect()
    }

    fn of(&self, bot: u16) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&bot).cloned()
    }

    fn keep(&self, bot: u16, session: Session) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(bot, session);
    }
}
