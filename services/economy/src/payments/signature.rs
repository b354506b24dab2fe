//! How a notification shows who sent it: HMAC-SHA256 over its id, its time and its body, as Standard Webhooks 1.0 says
//! (<https://www.standardwebhooks.com>). Adapters of providers that sign in other ways have their own.

use arbiter_ledger::Time;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key, Tag, sign, verify};
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;

/// How far the time of a notification may be from ours: what was recorded once cannot be sent again for ever. 5 minutes.
pub const TOLERANCE_S: u64 = 300;

/// Secrets at once: the current one, and earlier ones while a rotation lasts.
pub const SECRETS_MAX: usize = 4;

/// Signatures of one notification that are looked at: a sender that rotates its secret sends one for each.
const SIGNATURES_MAX: usize = 8;

/// Bytes of a secret, as the standard says.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What stands before a secret.
const SECRET: &str = "whsec_";

/// The header of a notification's id: the same when it is sent again.
pub const ID: &str = "webhook-id";
/// The header of the time of sending, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header of the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// Why a notification is not the provider's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSignature {
    /// No header.
    #[error("the header {0} is missing or no text: send {ID}, {TIMESTAMP} and {SIGNATURE}")]
    Header(&'static str),
    /// The time.
    #[error(
        "the notification was signed more than {TOLERANCE_S} seconds before or behind our time: sign it anew, or set the clocks"
    )]
    Time,
    /// The signature.
    #[error("no signature of the notification is by a secret that is known: give both sides the same one")]
    Signature,
}

/// Why secrets are not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSecret {
    /// None, or too many.
    #[error("{0} secrets are given, and it must be 1 to {SECRETS_MAX}, the current one first")]
    Count(usize),
    /// Not a secret.
    #[error("secret {0} is none: write whsec_ and 24 to 64 bytes in Base64")]
    Form(usize),
    /// No randomness.
    #[error("the system gives no random numbers: try again")]
    Random,
}

/// What both sides know: the current secret first, earlier ones behind it.
#[derive(Clone)]
pub struct Secrets(Vec<Key>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Reads secrets, one a line, the current one first: `whsec_` and Base64.
    ///
    /// # Errors
    /// What is wrong, without the secret.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let lines: Vec<&str> = text.split_whitespace().collect();
        if lines.is_empty() || lines.len() > SECRETS_MAX {
            return Err(BadSecret::Count(lines.len()));
        }
        let key = |(number, line): (usize, &&str)| {
            let bytes = line.strip_prefix(SECRET).and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())).ok_or(BadSecret::Form(number + 1))?;
            Ok(Key::new(HMAC_SHA256, &bytes))
        };
        lines.iter().enumerate().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// One that nobody else knows.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, BadSecret> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| BadSecret::Random)?;
        Ok(Self(vec![Key::new(HMAC_SHA256, &bytes)]))
    }

    /// The signature of a notification by the current secret, for [`SIGNATURE`].
    pub fn sign(&self, id: &str, time_s: u64, body: &[u8]) -> String {
        let signed = |key: &Key| -> Tag { sign(key, &content(id, &time_s.to_string(), body)) };
        self.0.first().map(signed).map_or_else(String::new, |tag| format!("v1,{}", STANDARD.encode(tag)))
    }

    /// Checks a notification and says its id.
    ///
    /// # Errors
    /// It is not the provider's, or too old.
    pub fn verify<'a>(&self, headers: &'a HeaderMap, body: &[u8], now: Time) -> Result<&'a str, BadSignature> {
        let header = |name: &'static str| {
            headers.get(name).and_then(|value| value.to_str().ok()).ok_or(BadSignature::Header(name))
        };
        let (id, time, signatures) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
        let seconds: u64 = time.parse().map_err(|_| BadSignature::Header(TIMESTAMP))?;
        if seconds.abs_diff(now.0 / 1_000) > TOLERANCE_S {
            return Err(BadSignature::Time);
        }
        let content = content(id, time, body);
        let given = signatures.split(' ').take(SIGNATURES_MAX).filter_map(|text| text.strip_prefix("v1,"));
        let mut given = given.filter_map(|text| STANDARD.decode(text).ok());
        let known = given.any(|tag| self.0.iter().any(|key| verify(key, &content, &tag).is_ok()));
        known.then_some(id).ok_or(BadSignature::Signature)
    }
}

fn content(id: &str, time: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", time.as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const NOW: Time = Time(1_614_265_330_000);

    fn headers(id: &str, time: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(ID, id), (TIMESTAMP, time), (SIGNATURE, signature)] {
            headers.insert(name, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn the_standards_own_example_is_signed_as_it_says() {
        let secrets = Secrets::parse(ONE).expect("a secret");
        let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_a_rotation_both_secrets_are_taken() {
        let old = Secrets::parse(ONE).expect("a secret");
        let both = Secrets::parse(&format!("{OTHER}\n{ONE}\n")).expect("two secrets");
        let signed = old.sign("a", 1_614_265_330, b"body");
        let headers = headers("a", "1614265330", &signed);
        assert_eq!(both.verify(&headers, b"body", NOW), Ok("a"));
        let other = Secrets::parse(OTHER).expect("a secret");
        assert_eq!(other.verify(&headers, b"body", NOW), Err(BadSignature::Signature));
    }

    #[test]
    fn whatever_was_changed_is_noticed() {
        let secrets = Secrets::parse(ONE).expect("a secret");
        let signed = secrets.sign("a", 1_614_265_330, b"body");
        let check = |id: &str, time: &str, signature: &str, body: &[u8]| {
            secrets.verify(&headers(id, time, signature), body, NOW).map(str::to_owned)
        };
        assert_eq!(check("a", "1614265330", &signed, b"body"), Ok("a".to_owned()));
        assert_eq!(check("b", "1614265330", &signed, b"body"), Err(BadSignature::Signature));
        assert_eq!(check("a", "1614265331", &signed, b"body"), Err(BadSignature::Signature));
        assert_eq!(check("a", "1614265330", &signed, b"bodY"), Err(BadSignature::Signature));
        assert_eq!(check("a", "1614265330", "v1,", b"body"), Err(BadSignature::Signature));
        assert_eq!(check("a", "soon", &signed, b"body"), Err(BadSignature::Header(TIMESTAMP)));
    }

    #[test]
    fn what_is_older_than_five_minutes_is_not_taken() {
        let secrets = Secrets::parse(ONE).expect("a secret");
        let at = |time: u64| {
            let headers = headers("a", &time.to_string(), &secrets.sign("a", time, b"body"));
            secrets.verify(&headers, b"body", NOW).map(str::to_owned)
        };
        let now = NOW.0 / 1_000;
        assert_eq!((at(now - 300), at(now + 300)), (Ok("a".to_owned()), Ok("a".to_owned())));
        assert_eq!((at(now - 301), at(now + 301)), (Err(BadSignature::Time), Err(BadSignature::Time)));
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        assert_eq!(Secrets::parse("").err(), Some(BadSecret::Count(0)));
        assert_eq!(Secrets::parse("whsec_c2hvcnQ=").err(), Some(BadSecret::Form(1)));
        assert_eq!(Secrets::parse(&[ONE; 5].join("\n")).err(), Some(BadSecret::Count(5)));
        assert_eq!(format!("{:?}", Secrets::parse(ONE)), "Ok(Secrets(1))");
    }
}
