//! A token: header, claims and signature, as RFC 7515 and RFC 7519 say, with one algorithm and nothing that could be chosen.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::{PublicKey, SigningKey, decode, encode};

/// Bytes of a token: ours have some 500, most of them the issuer's name. What is longer is not looked at.
pub const TOKEN_BYTES_MAX: usize = 1_024;

/// By so much the clocks of two machines may differ. Those that are set over the network do by less than a second.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(10);

/// Bytes of the name of a key: a thumbprint has 43.
pub(crate) const KEY_ID_BYTES_MAX: usize = 128;

/// The one algorithm (RFC 8037). Whoever could choose would choose `none`.
pub(crate) const ALGORITHM: &str = "EdDSA";

const KIND: &str = "JWT";

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Longer than any of ours.
    #[error(
        "the access token is longer than {TOKEN_BYTES_MAX} bytes: send what POST /auth/login gave, and nothing else"
    )]
    TooLong,
    /// Not three parts of base64url with JSON in them.
    #[error("the access token cannot be read ({0}): send it as POST /auth/login gave it")]
    Malformed(&'static str),
    /// Signed in another way, or not at all.
    #[error("the access token is not signed with {ALGORITHM}: log in again")]
    Algorithm,
    /// By a key that is over, not yet known here, or nobody's.
    #[error("the key that signed the access token is not known here: try again in some seconds, then log in again")]
    UnknownKey,
    /// By somebody else, or changed on its way.
    #[error("the access token's signature is not right: log in again")]
    Signature,
    /// For another installation.
    #[error("the access token was not issued for this installation: log in here")]
    Issuer,
    /// Too old.
    #[error("the access token has expired: log in again")]
    Expired,
    /// From the future.
    #[error("the access token is not valid yet: the clocks of the services differ by more than {} s", CLOCK_LEEWAY.as_secs())]
    NotYet,
}

/// A header of another shape, with extensions that must be understood or keys of its own, is refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    typ: Option<String>,
}

/// What a token says. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub iss: String,
    /// The player's number as a text: readers of JSON know only 53 bits.
    pub sub: String,
    pub iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    pub exp: u64,
    pub jti: String,
}

/// Makes a token.
pub(crate) fn sign(claims: &Claims, key: &SigningKey) -> Result<String, serde_json::Error> {
    let header = Header { alg: ALGORITHM.to_owned(), kid: key.id().to_owned(), typ: Some(KIND.to_owned()) };
    let part = |json: Vec<u8>| encode(&json);
    let mut token = format!("{}.{}", part(serde_json::to_vec(&header)?), part(serde_json::to_vec(claims)?));
    let signature = encode(&key.sign(token.as_bytes()));
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// A token whose signature is right; whether it is valid now is another question.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    /// The name of the key.
    pub key_id: String,
    /// The key.
    pub key: PublicKey,
    claims: Claims,
}

/// The player of a token that `key_of` has a key for, if all of it is right at a time since 1970.
#[cfg(test)]
pub(crate) fn check(
    token: &str,
    issuer: &str,
    now: Duration,
    key_of: impl FnOnce(&str) -> Option<PublicKey>,
) -> Result<NonZeroU64, TokenError> {
    Signed::read(token, key_of)?.player(issuer, now)
}

impl Signed {
    /// Reads a token that `key_of` has a key for. Nothing that it says counts before its signature is checked, except which
    /// key that is.
    pub fn read(token: &str, key_of: impl FnOnce(&str) -> Option<PublicKey>) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed("it has no three parts"))?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed("it has no three parts"))?;
        let bytes = |text: &str, what| decode(text).ok_or(TokenError::Malformed(what));

        let header = bytes(header, "its header is not base64url")?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed("its header"))?;
        if header.alg != ALGORITHM {
            return Err(TokenError::Algorithm);
        }
        if header.typ.is_some_and(|kind| !kind.eq_ignore_ascii_case(KIND)) {
            return Err(TokenError::Malformed("its type"));
        }
        if header.kid.len() > KEY_ID_BYTES_MAX {
            return Err(TokenError::UnknownKey);
        }
        let key = key_of(&header.kid).ok_or(TokenError::UnknownKey)?;
        let signature = bytes(signature, "its signature is not base64url")?;
        if !key.has_signed(message.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        let claims = bytes(claims, "its claims are not base64url")?;
        let claims = serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed("its claims"))?;
        Ok(Self { key_id: header.kid, key, claims })
    }

    /// Its player, if it is for this issuer's installation and valid at a time since 1970.
    pub fn player(&self, issuer: &str, now: Duration) -> Result<NonZeroU64, TokenError> {
        let claims = &self.claims;
        if claims.iss != issuer {
            return Err(TokenError::Issuer);
        }
        let (now, leeway) = (now.as_secs(), CLOCK_LEEWAY.as_secs());
        if now >= claims.exp.saturating_add(leeway) {
            return Err(TokenError::Expired);
        }
        if claims.iat.max(claims.nbf.unwrap_or(0)) > now.saturating_add(leeway) {
            return Err(TokenError::NotYet);
        }
        player(&claims.sub).ok_or(TokenError::Malformed("its subject is no player's number"))
    }
}

/// A number from 1 as it is written, and in no other way.
fn player(text: &str) -> Option<NonZeroU64> {
    let number: NonZeroU64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
