//! Short names: of assets, buckets, reasons and sources.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use thiserror::Error;

use crate::account::{DEBT, HELD, ISSUER, MAIN};

/// Bytes of a name at most: a word, a point and the 32 digits of an item's number.
pub const NAME_BYTES_MAX: usize = 40;

/// 1 to 40 letters, digits, `.`, `_`, `:` and `-`, all of ASCII; capitals and small letters differ. Cloning copies nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no name: use 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_`, `:` and `-`")]
pub struct NoName(pub String);

/// What stands in the code. Nearly every account has one of these: there is one of each in memory, and nobody waits for another.
static FIXED: LazyLock<[Name; 5]> =
    LazyLock::new(|| [MAIN, HELD, DEBT, ISSUER, RELEASE].map(|text| Name(Arc::from(text))));

/// Why holds come back by themselves.
pub(crate) const RELEASE: &str = "release";

impl Name {
    /// Of a text that may be one.
    fn of(text: &str) -> Self {
        let known = FIXED.iter().find(|name| *name.0 == *text).cloned();
        known.unwrap_or_else(|| Self(text.into()))
    }

    /// Before every name; itself none.
    pub(crate) fn least() -> Self {
        Self("".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text may be a name.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        if is_name(text) { Ok(Self::of(text)) } else { Err(NoName(text.chars().take(NAME_BYTES_MAX).collect())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that stands in the code.
pub(crate) fn fixed(text: &'static str) -> Name {
    debug_assert!(is_name(text), "{text}");
    Name::of(text)
}
