//! Contract of the issuer: keys are made once and kept, rotate by age without anybody noticing, and are nobody else's; the
//! switch holds over restarts.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arbiter_access::{
    CLOCK_LEEWAY, IssueError, Issuer, IssuerConfig, LIFETIME, LIFETIME_MAX, OpenError, ROTATE_AFTER, StoreError,
    TokenError, Verifier,
};

const NAME: &str = "https://arbiter.example";
const KEYS: &str = "access-keys.json";

/// A clock that stands until it is moved.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::Relaxed);
    }
}

fn config(folder: &Path, hand: &Hand) -> IssuerConfig {
    let hand = hand.clone();
    let clock = Arc::new(move || Duration::from_secs(hand.0.load(Ordering::Relaxed)));
    IssuerConfig { clock, ..IssuerConfig::new(folder, NAME) }
}

fn open(folder: &Path, hand: &Hand) -> Arc<Issuer> {
    Arc::new(Issuer::open(config(folder, hand)).expect("it opens"))
}

fn player(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("not 0")
}

fn token(issuer: &Issuer) -> String {
    issuer.issue(player(7)).expect("issued").token
}

fn ids(issuer: &Issuer) -> Vec<String> {
    issuer.jwks().keys.into_iter().map(|key| key.kid).collect()
}

#[test]
fn a_token_is_its_players_until_it_expires() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let (verifier, issued) = (Verifier::of(&issuer), issuer.issue(player(u64::MAX)).expect("issued"));
    assert_eq!(issued.expires_in, LIFETIME);
    assert_eq!(verifier.check(&issued.token), Ok(u64::MAX));
    hand.pass(LIFETIME + CLOCK_LEEWAY);
    assert_eq!(verifier.check(&issued.token), Err(TokenError::Expired));
}

#[test]
fn a_token_that_was_changed_is_refused_though_the_right_one_was_seen() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let (verifier, right) = (Verifier::of(&issuer), token(&issuer));
    assert_eq!(verifier.check(&right), Ok(7));
    let (rest, signature) = right.rsplit_once('.').expect("three parts");
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    assert_eq!(verifier.check(&format!("{rest}.{other}{}", &signature[1..])), Err(TokenError::Signature));
}

#[test]
fn a_token_that_was_seen_is_refused_once_its_key_is_gone() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let (verifier, right) = (Verifier::of(&issuer), token(&issuer));
    assert_eq!(verifier.check(&right), Ok(7));
    // Two rotations, and the time that a key stays after it signed.
    for _ in 0..3 {
        hand.pass(arbiter_access::ROTATE_AFTER);
        token(&issuer);
    }
    assert_eq!(verifier.check(&right), Err(TokenError::UnknownKey));
}

#[test]
fn no_two_tokens_are_alike() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    assert_ne!(token(&issuer), token(&issuer));
}

#[test]
fn a_restart_keeps_the_keys() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let (before, token) = (issuer.jwks(), token(&issuer));
    drop(issuer);
    let issuer = open(folder.path(), &hand);
    assert_eq!(issuer.jwks(), before);
    assert_eq!(Verifier::of(&issuer).check(&token), Ok(7));
}

#[test]
fn the_next_key_is_published_before_it_signs() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let before = ids(&issuer);
    hand.pass(ROTATE_AFTER);
    let signed = token(&issuer);
    let after = ids(&issuer);
    assert_eq!(after[0], before[1], "what was next signs now");
    assert!(!before.contains(&after[1]), "and another is next");
    assert_eq!(Verifier::of(&issuer).check(&signed), Ok(7));
}

#[test]
fn a_key_that_signed_stays_until_its_last_token_is_over() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    hand.pass(ROTATE_AFTER - Duration::from_secs(1));
    let (last, old) = (token(&issuer), ids(&issuer)[0].clone());
    hand.pass(Duration::from_secs(1));
    let first = token(&issuer);
    assert_eq!(Verifier::of(&issuer).check(&last), Ok(7));
    assert_eq!(Verifier::of(&issuer).check(&first), Ok(7));
    drop(issuer);
    let issuer = open(folder.path(), &hand);
    assert!(ids(&issuer).contains(&old), "a restart does not forget it");
    hand.pass(LIFETIME_MAX + CLOCK_LEEWAY);
    assert!(!ids(&issuer).contains(&old));
    assert_ne!(Verifier::of(&issuer).check(&last), Ok(7));
}

#[test]
fn the_secret_of_a_key_that_no_longer_signs_is_not_kept() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let read = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.path().join(KEYS)).expect("there")).expect("JSON")
    };
    let secret = read()["current"].as_str().expect("a text").to_owned();
    hand.pass(ROTATE_AFTER);
    token(&issuer);
    assert!(!read().to_string().contains(&secret));
}

#[test]
fn a_key_signs_on_when_the_next_cannot_be_written() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let before = ids(&issuer);
    // A folder stands where the new file would be written.
    let way = folder.path().join("access-keys.new");
    std::fs::create_dir(&way).expect("made");
    hand.pass(ROTATE_AFTER);
    let signed = token(&issuer);
    assert_eq!(ids(&issuer), before);
    assert_eq!(Verifier::of(&issuer).check(&signed), Ok(7));
    assert!(issuer.ready().expect_err("it says so").contains("access-keys"));
    std::fs::remove_dir(&way).expect("removed");
    hand.pass(Duration::from_secs(60));
    token(&issuer);
    assert_eq!(ids(&issuer)[0], before[1]);
    assert_eq!(issuer.ready(), Ok(()));
}

#[test]
fn the_switch_stops_issuing_and_survives_a_restart() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    let before = token(&issuer);
    issuer.set_issuing(false).expect("written");
    assert_eq!(issuer.issue(player(7)), Err(IssueError::SwitchedOff));
    assert_eq!(Verifier::of(&issuer).check(&before), Ok(7), "what is out stays valid");
    drop(issuer);
    let issuer = open(folder.path(), &hand);
    assert!(!issuer.is_issuing());
    issuer.set_issuing(true).expect("written");
    assert_eq!(Verifier::of(&issuer).check(&token(&issuer)), Ok(7));
}

#[test]
fn a_switch_that_cannot_be_written_stays_as_it_was() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let issuer = open(folder.path(), &hand);
    std::fs::create_dir(folder.path().join("access-keys.new")).expect("made");
    assert!(matches!(issuer.set_issuing(false), Err(StoreError::Io { .. })));
    assert!(issuer.is_issuing());
}

#[test]
fn a_second_issuer_is_kept_out() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let _first = open(folder.path(), &hand);
    let second = Issuer::open(config(folder.path(), &hand));
    assert!(matches!(second, Err(OpenError::Store(StoreError::Locked { .. }))));
}

#[cfg(unix)]
#[test]
fn only_their_owner_may_read_the_keys() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let keys = folder.path().join("new/keys");
    drop(open(&keys, &hand));
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&keys), mode(&keys.join(KEYS))), (0o700, 0o600));

    std::fs::set_permissions(keys.join(KEYS), PermissionsExt::from_mode(0o640)).expect("changed");
    let error = Issuer::open(config(&keys, &hand)).expect_err("others can read it").to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn damaged_keys_are_named_and_left_alone() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    drop(open(folder.path(), &hand));
    let path = folder.path().join(KEYS);
    let good = std::fs::read_to_string(&path).expect("there");
    let long = format!("{good}{}", " ".repeat(1 << 20).replace(' ', "x"));
    for bad in ["", "{}", &good[..good.len() / 2], &good.replace("\"format\": 1", "\"format\": 2"), &long] {
        // Kept as it is: its rights too.
        std::fs::write(&path, bad).expect("written");
        let error = Issuer::open(config(folder.path(), &hand)).expect_err("damaged").to_string();
        assert!(error.contains(KEYS) && error.contains("restore it"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), bad);
    }
}

#[test]
fn settings_out_of_range_are_told() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), Hand::new());
    let good = config(folder.path(), &hand);
    let second = Duration::from_secs(1);
    for bad in [
        IssuerConfig { name: String::new(), ..good.clone() },
        IssuerConfig { name: "n".repeat(200), ..good.clone() },
        IssuerConfig { lifetime: second, ..good.clone() },
        IssuerConfig { lifetime: LIFETIME_MAX + second, ..good.clone() },
        IssuerConfig { rotate_after: LIFETIME_MAX - second, ..good.clone() },
    ] {
        let error = Issuer::open(bad).expect_err("out of range");
        assert!(!matches!(error, OpenError::Store(_)), "{error}");
    }
}
