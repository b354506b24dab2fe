//! Public keys as others read them: a JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::key::PublicKey;
use crate::token::{ALGORITHM, KEY_ID_BYTES_MAX};

/// Bytes of a key set that is read: some hundred keys, of which ours has up to ten.
pub const JWKS_BYTES_MAX: u64 = 64 << 10;

/// Keys of a set that are kept.
pub const KEYS_MAX: usize = 64;

/// The keys that access tokens are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwks {
    /// The key that signs now, the one that will sign next, and those whose last tokens may still be valid.
    pub keys: Vec<Jwk>,
}

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwk {
    /// `OKP`, an octet key pair.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The key: 32 bytes as base64url.
    pub x: String,
    /// Its name in the header of tokens: the thumbprint of RFC 7638.
    pub kid: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`: it checks signatures.
    #[serde(rename = "use")]
    pub usage: String,
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: key.text(),
            kid: key.id(),
            alg: ALGORITHM.to_owned(),
            usage: "sig".to_owned(),
        }
    }
}

/// Why a text gives no keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwksError {
    /// It is something else.
    #[error("it is no JSON Web Key Set ({0}): check the URL")]
    Malformed(String),
    /// None that signs as ours do.
    #[error("it has no key with which Ed25519 signatures are checked: check the URL")]
    Empty,
    /// More than anybody needs.
    #[error("it has more than {KEYS_MAX} keys: check the URL")]
    TooMany,
}

#[derive(Deserialize)]
struct Found {
    keys: Vec<FoundKey>,
}

/// A key of any kind; the members of ours.
#[derive(Deserialize)]
struct FoundKey {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

impl FoundKey {
    /// Its name and the key, if it is one of ours. Others may stand beside them (RFC 7517, section 5).
    fn read(self) -> Option<(String, PublicKey)> {
        let is = |member: &Option<String>, value: &str| member.as_deref() == Some(value);
        let may_be = |member: &Option<String>, value: &str| member.is_none() || is(member, value);
        let fits = is(&self.kty, "OKP") && is(&self.crv, "Ed25519");
        let fits = fits && may_be(&self.alg, ALGORITHM) && may_be(&self.usage, "sig");
        let id = self.kid.filter(|id| fits && id.len() <= KEY_ID_BYTES_MAX)?;
        Some((id, PublicKey::from_text(&self.x?)?))
    }
}

/// Reads a key set.
pub(crate) fn read(bytes: &[u8]) -> Result<HashMap<String, PublicKey>, JwksError> {
    let found: Found = serde_json::from_slice(bytes).map_err(|error| JwksError::Malformed(error.to_string()))?;
    if found.keys.len() > KEYS_MAX {
        return Err(JwksError::TooMany);
    }
    let keys: HashMap<_, _> = found.keys.into_iter().filter_map(FoundKey::read).collect();
    if keys.is_empty() { Err(JwksError::Empty) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey([7; 32]);

    #[test]
    fn a_written_set_is_read_again() {
        let written = serde_json::to_vec(&Jwks { keys: vec![KEY.into()] }).expect("written");
        assert_eq!(read(&written), Ok(HashMap::from([(KEY.id(), KEY)])));
    }

    #[test]
    fn keys_of_other_kinds_are_stepped_over() {
        let ours = serde_json::to_value(Jwk::from(KEY)).expect("written");
        let with = |member: &str, value: &str| {
            let mut other = ours.clone();
            other[member] = value.into();
            other
        };
        let others = [
            with("kty", "RSA"),
            with("crv", "X25519"),
            with("alg", "HS256"),
            with("use", "enc"),
            with("x", "AA"),
            with("kid", &"k".repeat(200)),
            serde_json::json!({ "kty": "oct", "k": "AA" }),
        ];
        for other in others {
            let set = |keys: &[&serde_json::Value]| serde_json::json!({ "keys": keys }).to_string();
            assert_eq!(read(set(&[&other]).as_bytes()), Err(JwksError::Empty), "{other}");
            assert_eq!(read(set(&[&other, &ours]).as_bytes()), Ok(HashMap::from([(KEY.id(), KEY)])), "{other}");
        }
    }

    #[test]
    fn what_is_no_set_is_told() {
        for text in ["", "{}", "[]", "<html>", r#"{"keys":{}}"#, r#"{"keys":[1]}"#] {
            assert!(matches!(read(text.as_bytes()), Err(JwksError::Malformed(_))), "{text}");
        }
        let many = serde_json::json!({ "keys": vec![serde_json::json!({}); KEYS_MAX + 1] });
        assert_eq!(read(many.to_string().as_bytes()), Err(JwksError::TooMany));
    }
}
