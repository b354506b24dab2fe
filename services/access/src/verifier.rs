//! Says who an access token belongs to: for the HTTP of every service.

use std::sync::Arc;

use arbiter_web::{Access, AccessDenied};

use crate::clock::Clock;
use crate::fetched::{FetchConfig, FetchError, Fetched};
use crate::issuer::Issuer;
use crate::key::PublicKey;
use crate::seen::Seen;
use crate::token::{Signed, TokenError};

/// Checks tokens, with the keys of an issuer of this process or with those that one publishes. Never waits for anything.
#[derive(Debug)]
pub struct Verifier {
    issuer: String,
    keys: Keys,
    seen: Seen,
}

enum Keys {
    Own(Arc<Issuer>, Clock),
    Fetched(Fetched, Clock),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Own(..)) { "Own" } else { "Fetched" })
    }
}

impl Verifier {
    /// With the keys of an issuer of this process, and its clock.
    pub fn of(issuer: &Arc<Issuer>) -> Self {
        let keys = Keys::Own(Arc::clone(issuer), issuer.clock());
        Self { issuer: issuer.name().to_owned(), keys, seen: Seen::default() }
    }

    /// With the keys that an issuer publishes, fetched on a thread of its own until this is dropped. Until they are there
    /// nobody is let in.
    pub fn fetched(config: FetchConfig) -> Result<Self, FetchError> {
        let (issuer, clock) = (config.issuer.clone(), Arc::clone(&config.clock));
        Ok(Self { issuer, keys: Keys::Fetched(Fetched::start(config)?, clock), seen: Seen::default() })
    }

    /// The player of a token, 1 to 18,446,744,073,709,551,615.
    pub fn check(&self, token: &str) -> Result<u64, TokenError> {
        let now = match &self.keys {
            Keys::Own(_, clock) | Keys::Fetched(_, clock) => clock(),
        };
        let key_of = |id: &str| -> Option<PublicKey> {
            match &self.keys {
                Keys::Own(issuer, _) => issuer.public_key(id, now),
                Keys::Fetched(fetched, _) => fetched.key(id),
            }
        };
        if let Some(signed) = self.seen.get(token) {
            key_of(&signed.key_id).filter(|key| *key == signed.key).ok_or(TokenError::UnknownKey)?;
            return signed.player(&self.issuer, now).map(u64::from);
        }
        let signed = Signed::read(token, key_of)?;
        let player = signed.player(&self.issuer, now)?;
        self.seen.put(token, signed);
        Ok(player.into())
    }

    /// Whether there are keys to check with; why not, otherwise.
    pub fn ready(&self) -> Result<(), String> {
        match &self.keys {
            Keys::Own(..) => Ok(()),
            Keys::Fetched(fetched, _) => fetched.ready(),
        }
    }
}

impl Access for Verifier {
    fn player(&self, token: &str) -> Result<u64, AccessDenied> {
        self.check(token).map_err(|error| AccessDenied(error.to_string()))
    }
}
