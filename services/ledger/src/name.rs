//! Short names: of assets, buckets, reasons and sources.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Bytes of a name at most: a word, a point and the 32 digits of an item's number.
pub const NAME_BYTES_MAX: usize = 40;

/// 1 to 40 letters, digits, `.`, `_`, `:` and `-`, all of ASCII; capitals and small letters differ. Cloning copies nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no name: use 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_`, `:` and `-`")]
pub struct NoName(pub String);

impl Name {
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
        if is_name(text) { Ok(Self(text.into())) } else { Err(NoName(text.chars().take(NAME_BYTES_MAX).collect())) }
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
    Name(text.into())
}
