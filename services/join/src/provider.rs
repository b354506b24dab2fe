//! The seam to whoever says who somebody is. What they know of a person ends here: out comes a number.

use std::num::NonZeroU64;

use thiserror::Error;

/// Bytes of what somebody proves who they are with: an ID token of OpenID Connect has one to four thousand.
pub const PROOF_BYTES_MAX: usize = 8 << 10;

/// Name of the development provider.
pub const DEVELOPMENT: &str = "development";

/// Bytes of a name that the development provider takes.
const NAME_BYTES_MAX: usize = 32;

/// Bytes of a provider's name.
const PROVIDER_BYTES_MAX: usize = 32;

/// Why somebody is not logged in. Texts are shown to whoever asked: they must not repeat the proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoginError {
    /// The provider is not used here.
    #[error("{0}")]
    Off(String),
    /// It is no proof at all.
    #[error("{0}")]
    Malformed(String),
    /// It proves nothing.
    #[error("{0}")]
    Refused(String),
    /// The provider cannot say now.
    #[error("{0}")]
    Unavailable(String),
}

/// Says who brings a proof.
pub trait Provider: Send + Sync + 'static {
    /// Its name in requests: 1 to 32 small letters, digits and `-`. It goes into its players' numbers and must never change.
    fn name(&self) -> &str;

    /// The subject that somebody is at this provider: a text that never changes and that nobody else has. Not kept. It may ask
    /// other machines: it is called on a thread that may wait.
    fn subject(&self, proof: &str) -> Result<String, LoginError>;
}

/// Believes whoever says a name: for development and for tests.
#[derive(Debug, Clone, Copy)]
pub struct Development {
    on: bool,
}

impl Development {
    /// One that is on believes everybody, one that is off nobody.
    pub fn new(on: bool) -> Self {
        Self { on }
    }
}

impl Provider for Development {
    fn name(&self) -> &str {
        DEVELOPMENT
    }

    fn subject(&self, proof: &str) -> Result<String, LoginError> {
        if !self.on {
            let why =
                "the development provider is off here: log in with another, or switch it on where no stranger can ask";
            return Err(LoginError::Off(why.to_owned()));
        }
        let fits = proof.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if proof.is_empty() || proof.len() > NAME_BYTES_MAX || !fits {
            let why = format!("a name is 1 to {NAME_BYTES_MAX} letters and digits of ASCII, '.', '_' and '-'");
            return Err(LoginError::Malformed(why));
        }
        Ok(proof.to_owned())
    }
}

pub(crate) fn is_provider_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PROVIDER_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// The number of a player: the same for the same subject of the same provider for ever, and nobody can tell the subject from it
/// except by trying.
pub fn player_number(provider: &str, subject: &str) -> NonZeroU64 {
    let mut hasher = blake3::Hasher::new_derive_key("arbiter join 1 player of provider and subject");
    for part in [provider, subject] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut numbers = hasher.finalize_xof();
    loop {
        let mut number = [0; 8];
        numbers.fill(&mut number);
        if let Some(number) = NonZeroU64::new(u64::from_le_bytes(number)) {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_has_the_same_number_for_ever() {
        assert_eq!(player_number(DEVELOPMENT, "anna").get(), 10_760_761_254_222_850_851);
    }

    #[test]
    fn the_same_name_elsewhere_is_somebody_else() {
        assert_ne!(player_number(DEVELOPMENT, "anna"), player_number("other", "anna"));
        assert_ne!(player_number("ab", "c"), player_number("a", "bc"));
    }

    #[test]
    fn a_name_has_limits() {
        let provider = Development::new(true);
        assert_eq!(provider.subject("Anna-1.b_c"), Ok("Anna-1.b_c".to_owned()));
        for wrong in ["", "a b", "änna", "a/b", "a\n", "\u{0}", &"a".repeat(33)] {
            let error = provider.subject(wrong).expect_err(wrong);
            assert!(matches!(error, LoginError::Malformed(_)), "{wrong:?}");
        }
    }

    #[test]
    fn nobody_is_believed_while_it_is_off() {
        assert!(matches!(Development::new(false).subject("anna"), Err(LoginError::Off(_))));
    }
}
