//! Ed25519 keys and their names. The signatures are ring's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

/// Bytes of either half of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// Bytes as base64url without padding (RFC 7515, section 2).
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a text of base64url. There is one text for any bytes: whatever else is none.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// What checks signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicKey(pub [u8; KEY_BYTES]);

impl PublicKey {
    /// From base64url.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(Self(decode(text)?.try_into().ok()?))
    }

    /// As base64url.
    pub fn text(&self) -> String {
        encode(&self.0)
    }

    /// Its thumbprint (RFC 7638), which is its name: nobody can give another key the same one.
    pub fn id(&self) -> String {
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.text());
        encode(digest::digest(&digest::SHA256, members.as_bytes()).as_ref())
    }

    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

/// What signs.
pub(crate) struct SigningKey {
    seed: Zeroizing<[u8; KEY_BYTES]>,
    pair: Ed25519KeyPair,
    public: PublicKey,
    id: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// From the system's random numbers; `None` if it gives none.
    pub fn draw() -> Option<Self> {
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut seed[..]).ok()?;
        Self::from_seed(seed)
    }

    pub fn from_seed(seed: Zeroizing<[u8; KEY_BYTES]>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..]).ok()?;
        let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { seed, pair, id: public.id(), public })
    }

    /// From base64url.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(decode(text)?);
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        seed.copy_from_slice(&bytes);
        Self::from_seed(seed)
    }

    /// As base64url: the secret itself.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(encode(&self.seed[..]))
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A: a key, its thumbprint, what it signs.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    const MESSAGE: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    #[test]
    fn a_key_signs_and_is_named_as_the_standard_says() {
        let key = SigningKey::from_text(SEED).expect("a key");
        assert_eq!((key.public().text().as_str(), key.id()), (PUBLIC, THUMBPRINT));
        assert_eq!(encode(&key.sign(MESSAGE.as_bytes())), SIGNATURE);
        assert!(key.public().has_signed(MESSAGE.as_bytes(), &decode(SIGNATURE).expect("base64url")));
        assert_eq!(key.text().as_str(), SEED);
    }

    #[test]
    fn a_secret_is_not_told_by_debug() {
        let key = SigningKey::from_text(SEED).expect("a key");
        assert_eq!(format!("{key:?}"), format!("SigningKey({THUMBPRINT})"));
    }

    #[test]
    fn bytes_have_one_text() {
        assert_eq!(decode("AA"), Some(vec![0]));
        for other in ["AB", "AA==", "A", "A A", "+/"] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
