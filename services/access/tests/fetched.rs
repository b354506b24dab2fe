//! Contract of a verifier that fetches its keys: it lets in whom the issuer let in, goes on while nobody answers, and asks no more
//! often than it may. Over real sockets; nothing here waits for a clock.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arbiter_access::{FetchConfig, FetchError, Issuer, IssuerConfig, TokenError, Verifier};
use arbiter_web::{Figures, Limits, Router, Running, Service, ServiceKey, serve};

const NAME: &str = "https://arbiter.example";
/// Longest that a test waits for a thing that happens at once.
const PATIENCE: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(3_600);

fn issuer(folder: &Path) -> Arc<Issuer> {
    Arc::new(Issuer::open(IssuerConfig::new(folder, NAME)).expect("it opens"))
}

fn token(issuer: &Issuer) -> String {
    issuer.issue(NonZeroU64::MIN).expect("issued").token
}

fn jwks(issuer: &Issuer) -> String {
    serde_json::to_string(&issuer.jwks()).expect("JSON")
}

/// Publishes a text, and counts who reads it.
struct Published {
    running: Running,
    text: Arc<Mutex<String>>,
    reads: Arc<AtomicU32>,
}

fn publish(address: SocketAddr, text: String, access: &Arc<Issuer>) -> Published {
    let (text, reads) = (Arc::new(Mutex::new(text)), Arc::new(AtomicU32::new(0)));
    let (shown, counted) = (Arc::clone(&text), Arc::clone(&reads));
    let answer = move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        shown.lock().expect("not poisoned").clone()
    };
    let router = Router::new().route("/jwks.json", axum::routing::get(answer));
    let service = Service { name: "keys", router, ready: Arc::new(|| Ok(())), figures: Figures::default() };
    let access = Arc::new(Verifier::of(access));
    let running = serve(address, vec![service], ServiceKey::derive(&[7; 32]), access, Limits::default());
    Published { running: running.expect("a port"), text, reads }
}

impl Published {
    fn here(issuer: &Arc<Issuer>, text: String) -> Self {
        publish(([127, 0, 0, 1], 0).into(), text, issuer)
    }

    fn config(&self, every: Duration, again_after: Duration) -> FetchConfig {
        let url = format!("http://{}/jwks.json", self.running.address);
        FetchConfig { every, again_after, ..FetchConfig::new(url, NAME) }
    }

    fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} in {PATIENCE:?}");
        std::thread::yield_now();
    }
}

#[test]
fn whom_the_issuer_let_in_is_let_in_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = issuer(folder.path());
    let published = Published::here(&issuer, jwks(&issuer));
    let verifier = Verifier::fetched(published.config(NEVER, NEVER)).expect("started");
    until("keys are there", || verifier.ready().is_ok());
    assert_eq!(verifier.check(&token(&issuer)), Ok(1));
}

#[test]
fn a_key_that_is_not_known_is_asked_for() {
    let (ours, others) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (first, second) = (issuer(ours.path()), issuer(others.path()));
    let published = Published::here(&first, jwks(&first));
    let verifier = Verifier::fetched(published.config(NEVER, Duration::ZERO)).expect("started");
    until("keys are there", || verifier.ready().is_ok());
    *published.text.lock().expect("not poisoned") = jwks(&second);
    let token = token(&second);
    until("the new key is there", || verifier.check(&token) == Ok(1));
}

#[test]
fn keys_are_fetched_anew_though_nobody_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = issuer(folder.path());
    let published = Published::here(&issuer, jwks(&issuer));
    let _verifier = Verifier::fetched(published.config(Duration::from_millis(1), Duration::ZERO)).expect("started");
    until("three fetches", || published.reads() >= 3);
}

#[test]
fn tokens_of_unknown_keys_make_nobody_ask_more_often() {
    let (ours, others) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (first, second) = (issuer(ours.path()), issuer(others.path()));
    let published = Published::here(&first, jwks(&first));
    let verifier = Verifier::fetched(published.config(NEVER, NEVER)).expect("started");
    until("keys are there", || verifier.ready().is_ok());
    for _ in 0..1_000 {
        assert_eq!(verifier.check(&token(&second)), Err(TokenError::UnknownKey));
    }
    // Its thread has ended: it asks nothing any more.
    drop(verifier);
    assert_eq!(published.reads(), 1);
}

#[test]
fn the_last_keys_stay_while_nobody_answers_sense() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = issuer(folder.path());
    let published = Published::here(&issuer, jwks(&issuer));
    let config = published.config(Duration::from_millis(1), Duration::ZERO);
    let verifier = Verifier::fetched(config).expect("started");
    until("keys are there", || verifier.ready().is_ok());
    for nonsense in [String::new(), "<html>".to_owned(), r#"{"keys":[]}"#.to_owned(), "[".repeat(1 << 20)] {
        *published.text.lock().expect("not poisoned") = nonsense;
        let before = published.reads();
        until("it was read and taken", || published.reads() >= before + 3);
        assert_eq!(verifier.check(&token(&issuer)), Ok(1));
    }
    drop(published);
    assert_eq!(verifier.check(&token(&issuer)), Ok(1));
    assert_eq!(verifier.ready(), Ok(()));
}

#[test]
fn nobody_is_let_in_before_there_are_keys_and_then_everybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = issuer(folder.path());
    let published = Published::here(&issuer, "nothing yet".to_owned());
    let verifier = Verifier::fetched(published.config(NEVER, Duration::ZERO)).expect("started");
    assert_eq!(verifier.check(&token(&issuer)), Err(TokenError::UnknownKey));
    until("it says why", || verifier.ready().is_err_and(|why| why.contains("no JSON Web Key Set")));
    *published.text.lock().expect("not poisoned") = jwks(&issuer);
    until("keys are there", || verifier.check(&token(&issuer)) == Ok(1));
}

#[test]
fn an_issuer_of_another_name_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = issuer(folder.path());
    let published = Published::here(&issuer, jwks(&issuer));
    let config = FetchConfig { issuer: "https://other.example".to_owned(), ..published.config(NEVER, NEVER) };
    let verifier = Verifier::fetched(config).expect("started");
    until("keys are there", || verifier.ready().is_ok());
    assert_eq!(verifier.check(&token(&issuer)), Err(TokenError::Issuer));
}

#[test]
fn what_is_no_url_of_http_is_told_at_the_start() {
    for url in ["", "arbiter.example", "https://arbiter.example/jwks.json", "file:///etc/hosts", "http://"] {
        let error = Verifier::fetched(FetchConfig::new(url, NAME)).err();
        assert!(matches!(error, Some(FetchError::Url(_))), "{url}");
    }
}
