//! Makes tokens: the keys that sign them, their rotation, and the switch that stops it all.
//!
//! Three kinds of keys stand in the key set: one signs, the next is published ahead, so that verifiers know it before it is
//! used, and those that signed before stay until their last token is over. Issuing and switching may write a file: call
//! them where waiting for a disk is no harm.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;

use crate::clock::{Clock, system_clock};
use crate::jwks::Jwks;
use crate::key::{PublicKey, SigningKey};
use crate::store::{State, Store, StoreError};
use crate::token::{self, CLOCK_LEEWAY, Claims};

/// How long a token is valid, unless told otherwise: a session of some matches asks a few times, and what is stolen is worth
/// little.
pub const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The shortest: clocks differ by [`CLOCK_LEEWAY`].
pub const LIFETIME_MIN: Duration = Duration::from_secs(60);

/// The longest: nobody can take a token back.
pub const LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);

/// How long a key signs, unless told otherwise.
pub const ROTATE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of the issuer's name: a URL.
const NAME_BYTES_MAX: usize = 128;

/// After a rotation that could not be written. Until it is, the old key signs on.
const ROTATE_AGAIN: Duration = Duration::from_secs(60);

/// What an issuer is opened with.
#[derive(Clone)]
pub struct IssuerConfig {
    /// Where its keys are kept: a folder of its own, made if it is missing.
    pub folder: PathBuf,
    /// Its name, which tokens carry and verifiers expect: 1 to 128 bytes, commonly a URL.
    pub name: String,
    /// How long a token is valid, [`LIFETIME_MIN`] to [`LIFETIME_MAX`].
    pub lifetime: Duration,
    /// How long a key signs, at least [`LIFETIME_MAX`].
    pub rotate_after: Duration,
    /// The time.
    pub clock: Clock,
}

impl IssuerConfig {
    /// With keys in a folder, under a name, with [`LIFETIME`] and [`ROTATE_AFTER`].
    pub fn new(folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            folder: folder.into(),
            name: name.into(),
            lifetime: LIFETIME,
            rotate_after: ROTATE_AFTER,
            clock: system_clock(),
        }
    }
}

/// Why an issuer does not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Its name.
    #[error("the name of the issuer of access tokens is 1 to {NAME_BYTES_MAX} bytes, found {0}")]
    Name(usize),
    /// How long tokens are valid.
    #[error(
        "access tokens are valid for {min} to {max} s, found {0:?}",
        min = LIFETIME_MIN.as_secs(),
        max = LIFETIME_MAX.as_secs()
    )]
    Lifetime(Duration),
    /// How long keys sign.
    #[error("keys of access tokens sign for at least {min} s, found {0:?}", min = LIFETIME_MAX.as_secs())]
    Rotation(Duration),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for keys of access tokens")]
    Randomness,
    /// The folder.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IssueError {
    /// The switch is off.
    #[error("no access tokens are issued: an operator has switched it off")]
    SwitchedOff,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for an access token: try again")]
    Randomness,
    /// A fault of ours.
    #[error("the access token could not be written: {0}")]
    Write(String),
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// How long it is valid from now on.
    pub expires_in: Duration,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Makes tokens. There is one for an installation: its folder lets no second one in.
pub struct Issuer {
    name: String,
    lifetime: Duration,
    rotate_after: Duration,
    clock: Clock,
    store: Store,
    /// Replaced as a whole, so that nobody who reads it waits for a disk.
    state: RwLock<Arc<State>>,
    /// Held by whoever writes.
    writing: Mutex<()>,
    /// What went wrong with the last rotation, and when.
    failed: Mutex<Option<(Duration, String)>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Opens the keys of a folder, or draws the first ones.
    pub fn open(config: IssuerConfig) -> Result<Self, OpenError> {
        let IssuerConfig { folder, name, lifetime, rotate_after, clock } = config;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(OpenError::Name(name.len()));
        }
        if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
            return Err(OpenError::Lifetime(lifetime));
        }
        if rotate_after < LIFETIME_MAX {
            return Err(OpenError::Rotation(rotate_after));
        }
        let store = Store::open(&folder)?;
        let state = match store.read()? {
            Some(state) => state,
            None => {
                let draw = || SigningKey::draw().map(Arc::new).ok_or(OpenError::Randomness);
                let (current, next) = (draw()?, draw()?);
                let state = State { issuing: true, current, since: clock(), next, retired: Vec::new() };
                store.write(&state)?;
                state
            }
        };
        if !state.issuing {
            tracing::warn!("no access tokens are issued until it is switched on again with PUT /auth/issuing");
        }
        let state = RwLock::new(Arc::new(state));
        let (writing, failed) = (Mutex::default(), Mutex::default());
        Ok(Self { name, lifetime, rotate_after, clock, store, state, writing, failed })
    }

    /// The name that its tokens carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.clock)
    }

    /// Makes a token for a player. Draws the next key first if it is time.
    pub fn issue(&self, player: NonZeroU64) -> Result<Issued, IssueError> {
        let now = (self.clock)();
        self.rotate_if_due(now);
        let state = self.state();
        if !state.issuing {
            return Err(IssueError::SwitchedOff);
        }
        let mut id = [0_u8; 16];
        getrandom::fill(&mut id).map_err(|_| IssueError::Randomness)?;
        let claims = Claims {
            iss: self.name.clone(),
            sub: player.to_string(),
            iat: now.as_secs(),
            nbf: None,
            exp: (now + self.lifetime).as_secs(),
            jti: format!("{:032x}", u128::from_be_bytes(id)),
        };
        let token = token::sign(&claims, &state.current).map_err(|error| IssueError::Write(error.to_string()))?;
        Ok(Issued { token, expires_in: self.lifetime })
    }

    /// The public keys, as others read them.
    pub fn jwks(&self) -> Jwks {
        let (state, now) = (self.state(), (self.clock)());
        Jwks { keys: public_keys(&state, now).map(Into::into).collect() }
    }

    /// Whether tokens are issued.
    pub fn is_issuing(&self) -> bool {
        self.state().issuing
    }

    /// Turns issuing on or off, for good: a restart changes nothing. Tokens that are out stay valid until they expire. After
    /// an error it is as it was.
    pub fn set_issuing(&self, issuing: bool) -> Result<(), StoreError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let state = State { issuing, ..State::clone(&self.state()) };
        self.store.write(&state)?;
        self.replace(state);
        drop(writing);
        tracing::warn!(issuing, "the issuing of access tokens was switched");
        Ok(())
    }

    /// Whether keys rotate as they should; why not, otherwise.
    pub fn ready(&self) -> Result<(), String> {
        self.failed().as_ref().map_or(Ok(()), |(_, why)| Err(why.clone()))
    }

    /// The key of a name, if its tokens may be valid now.
    pub(crate) fn public_key(&self, id: &str, now: Duration) -> Option<PublicKey> {
        let state = self.state();
        // Names of the keys that sign are at hand; those of the others have to be made.
        if let Some(key) = [&state.current, &state.next].into_iter().find(|key| key.id() == id) {
            return Some(key.public());
        }
        public_keys(&state, now).skip(2).find(|key| key.id() == id)
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Duration, String)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.state().since) >= self.rotate_after
    }

    /// Lets the next key sign. What cannot be written does not happen: a key that is lost with the process must sign nothing.
    fn rotate_if_due(&self, now: Duration) {
        if !self.is_due(now) {
            return;
        }
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = self.failed().as_ref().is_some_and(|(at, _)| now.saturating_sub(*at) < ROTATE_AGAIN);
        // Somebody else may have done it meanwhile.
        if waits || !self.is_due(now) {
            return;
        }
        let rotated = self.rotate(now);
        match &rotated {
            Ok(()) => tracing::info!(key = self.state().current.id(), "access tokens are signed with the next key"),
            Err(why) => tracing::error!("keys of access tokens do not rotate, the old one signs on: {why}"),
        }
        *self.failed() = rotated.err().map(|why| (now, why));
        drop(writing);
    }

    fn rotate(&self, now: Duration) -> Result<(), String> {
        let state = State::clone(&self.state());
        let mut retired = state.retired;
        retired.retain(|(_, until)| *until > now);
        // Whatever the lifetime was when its last token was made.
        retired.push((state.current.public(), now + LIFETIME_MAX + CLOCK_LEEWAY));
        let next = SigningKey::draw().map(Arc::new).ok_or_else(|| OpenError::Randomness.to_string())?;
        let state = State { issuing: state.issuing, current: state.next, since: now, next, retired };
        self.store.write(&state).map_err(|error| error.to_string())?;
        self.replace(state);
        Ok(())
    }
}

/// The one that signs, the next one, and those that may have valid tokens.
fn public_keys(state: &State, now: Duration) -> impl Iterator<Item = PublicKey> {
    let retired = state.retired.iter().filter(move |(_, until)| *until > now).map(|(key, _)| *key);
    [state.current.public(), state.next.public()].into_iter().chain(retired)
}
