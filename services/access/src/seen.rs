//! Tokens whose signature was found right: a player sends the same one with every request, and to check an Ed25519 signature
//! costs more than all else that the service does for most of them.
//!
//! Only that a signature is right is remembered, since that never changes. Whether its key still counts and whether the token
//! is valid now is asked each time. What was wrong is not remembered: strangers would fill it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::token::Signed;

/// Tokens that are remembered: of so many players at once, about 1 KB of memory each. When there are more all are forgotten,
/// and each costs its signature once more.
const SEEN_MAX: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    // By the whole token: a digest that somebody finds a second token for would let them in.
    tokens: Mutex<HashMap<Box<str>, Arc<Signed>>>,
}

impl Seen {
    pub fn get(&self, token: &str) -> Option<Arc<Signed>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub fn put(&self, token: &str, signed: Signed) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= SEEN_MAX {
            tokens.clear();
        }
        tokens.insert(token.into(), Arc::new(signed));
    }
}
