//! Contract: nothing lets anybody in but a token that this installation signed, for whom it says, when it says. All else is an
//! error that says what to do, whatever it looks like.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://arbiter.example";
const NOW: Duration = Duration::from_secs(1_800_000_000);
const PLAYER: u64 = u64::MAX - 7;

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32].into()).expect("a key")
}

fn claims() -> Value {
    let (iat, exp) = (NOW.as_secs(), NOW.as_secs() + 600);
    json!({ "iss": ISSUER, "sub": PLAYER.to_string(), "iat": iat, "exp": exp, "jti": "00" })
}

fn header(key: &SigningKey) -> Value {
    json!({ "alg": "EdDSA", "kid": key.id(), "typ": "JWT" })
}

/// A token with any header and claims, properly signed.
fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = encode(&key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Asks a verifier that knows the first key.
fn ask(token: &str) -> Result<u64, TokenError> {
    let key = signing(1);
    check(token, ISSUER, NOW, |id| (id == key.id()).then(|| key.public())).map(u64::from)
}

fn with(change: impl FnOnce(&mut Value, &mut Value)) -> Result<u64, TokenError> {
    let key = signing(1);
    let (mut header, mut claims) = (header(&key), claims());
    change(&mut header, &mut claims);
    ask(&signed(&header, &claims, &key))
}

fn set(member: &str, value: impl Into<Value>) -> Result<u64, TokenError> {
    with(|_, claims| claims[member] = value.into())
}

#[test]
fn a_token_of_ours_says_its_player() {
    assert_eq!(with(|_, _| ()), Ok(PLAYER));
    let key = signing(1);
    let claims: Claims = serde_json::from_value(claims()).expect("claims");
    assert_eq!(ask(&sign(&claims, &key).expect("signed")), Ok(PLAYER));
}

#[test]
fn claims_that_are_not_known_change_nothing() {
    assert_eq!(set("scope", "everything"), Ok(PLAYER));
}

#[test]
fn only_one_algorithm_counts() {
    for algorithm in ["none", "None", "NONE", "HS256", "eddsa", "ES256", "Ed448", ""] {
        assert_eq!(with(|header, _| header["alg"] = algorithm.into()), Err(TokenError::Algorithm), "{algorithm}");
    }
}

#[test]
fn a_token_without_a_signature_is_none() {
    let key = signing(1);
    let none = json!({ "alg": "none", "kid": key.id() });
    let (none, claims) = (encode(none.to_string().as_bytes()), encode(claims().to_string().as_bytes()));
    assert_eq!(ask(&format!("{none}.{claims}.")), Err(TokenError::Algorithm));
    let honest = encode(header(&key).to_string().as_bytes());
    assert_eq!(ask(&format!("{honest}.{claims}.")), Err(TokenError::Signature));
}

#[test]
fn a_public_key_is_no_shared_secret() {
    // What fools verifiers that let the token choose: HMAC with the public key, which everybody has.
    let key = signing(1);
    let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key.public().0);
    let header = json!({ "alg": "HS256", "kid": key.id() });
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims().to_string().as_bytes()));
    let tag = encode(ring::hmac::sign(&hmac, message.as_bytes()).as_ref());
    assert_eq!(ask(&format!("{message}.{tag}")), Err(TokenError::Algorithm));
}

#[test]
fn a_key_that_is_not_known_lets_nobody_in() {
    let other = signing(2);
    assert_eq!(ask(&signed(&header(&other), &claims(), &other)), Err(TokenError::UnknownKey));
    for id in ["", "../keys", &"k".repeat(300), "\u{0}"] {
        assert_eq!(with(|header, _| header["kid"] = id.into()), Err(TokenError::UnknownKey), "{id:?}");
    }
}

#[test]
fn a_key_that_calls_itself_by_anothers_name_lets_nobody_in() {
    assert_eq!(ask(&signed(&header(&signing(1)), &claims(), &signing(2))), Err(TokenError::Signature));
}

#[test]
fn a_token_brings_no_key_of_its_own() {
    for (member, value) in [
        ("jwk", json!({ "kty": "OKP", "crv": "Ed25519", "x": signing(2).public().text() })),
        ("jku", json!("http://attacker.example/jwks.json")),
        ("x5c", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        let refused = with(|header, _| header[member] = value);
        assert_eq!(refused, Err(TokenError::Malformed("its header")), "{member}");
    }
}

#[test]
fn a_token_ends_when_it_says_and_a_little_later() {
    let (now, leeway) = (NOW.as_secs(), CLOCK_LEEWAY.as_secs());
    assert_eq!(set("exp", now - leeway + 1), Ok(PLAYER));
    assert_eq!(set("exp", now - leeway), Err(TokenError::Expired));
    assert_eq!(set("exp", 0), Err(TokenError::Expired));
}

#[test]
fn a_token_of_the_future_waits_for_it() {
    let (now, leeway) = (NOW.as_secs(), CLOCK_LEEWAY.as_secs());
    assert_eq!(set("iat", now + leeway), Ok(PLAYER));
    assert_eq!(set("iat", now + leeway + 1), Err(TokenError::NotYet));
    assert_eq!(set("nbf", now + leeway + 1), Err(TokenError::NotYet));
    assert_eq!(
        with(|_, claims| (claims["iat"], claims["exp"]) = (u64::MAX.into(), u64::MAX.into())),
        Err(TokenError::NotYet)
    );
}

#[test]
fn a_token_of_another_installation_is_refused() {
    for issuer in ["https://other.example", "", "https://arbiter.example/", "HTTPS://ARBITER.EXAMPLE"] {
        assert_eq!(set("iss", issuer), Err(TokenError::Issuer), "{issuer}");
    }
}

#[test]
fn a_subject_is_a_number_from_one_written_in_one_way() {
    let refused = Err(TokenError::Malformed("its subject is no player's number"));
    for subject in ["0", "", "007", "+7", " 7", "7.0", "-7", "18446744073709551616", "seven", "٧"] {
        assert_eq!(set("sub", subject), refused, "{subject}");
    }
    assert_eq!(set("sub", 7), Err(TokenError::Malformed("its claims")), "a number would lose digits");
}

#[test]
fn claims_that_are_missing_or_of_another_kind_are_refused() {
    for (member, value) in
        [("iss", json!(null)), ("exp", json!("never")), ("exp", json!(-1)), ("iat", json!(1.5)), ("jti", json!([]))]
    {
        assert_eq!(set(member, value), Err(TokenError::Malformed("its claims")), "{member}");
    }
    let refused = with(|_, claims| _ = claims.as_object_mut().and_then(|claims| claims.remove("exp")));
    assert_eq!(refused, Err(TokenError::Malformed("its claims")));
}

#[test]
fn a_claim_that_stands_there_twice_is_refused() {
    let key = signing(1);
    let twice = claims().to_string().replacen('{', r#"{"sub":"1","#, 1);
    let message = format!("{}.{}", encode(header(&key).to_string().as_bytes()), encode(twice.as_bytes()));
    let token = format!("{message}.{}", encode(&key.sign(message.as_bytes())));
    assert_eq!(ask(&token), Err(TokenError::Malformed("its claims")));
}

#[test]
fn a_huge_token_is_not_looked_at() {
    assert_eq!(set("pad", "x".repeat(TOKEN_BYTES_MAX)), Err(TokenError::TooLong));
    assert_eq!(ask(&".".repeat(1 << 20)), Err(TokenError::TooLong));
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    let key = signing(1);
    let token = signed(&header(&key), &claims(), &key);
    for at in 0..token.len() {
        for other in [b'A', b'z', b'_', b'.', b'=', b' '] {
            let mut bytes = token.clone().into_bytes();
            if bytes[at] != other {
                bytes[at] = other;
                let changed = String::from_utf8(bytes).expect("ASCII");
                assert!(ask(&changed).is_err(), "byte {at}: {changed}");
            }
        }
        assert!(ask(&token[..at]).is_err(), "the first {at} bytes");
    }
    for more in ["=", ".", "A", " ", "\n"] {
        assert!(ask(&format!("{token}{more}")).is_err() && ask(&format!("{more}{token}")).is_err(), "{more:?}");
    }
}

proptest! {
    #[test]
    fn no_text_lets_anybody_in(text in "[A-Za-z0-9_.=-]{0,200}", any in ".{0,200}") {
        prop_assert!(ask(&text).is_err() && ask(&any).is_err());
    }

    #[test]
    fn no_header_or_claims_bring_anything_down(header in ".{0,80}", claims in ".{0,80}") {
        let key = signing(1);
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let token = format!("{message}.{}", encode(&key.sign(message.as_bytes())));
        prop_assert!(ask(&token).is_err());
    }
}
