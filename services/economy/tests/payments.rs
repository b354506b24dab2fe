//! Payments as players, providers and operators meet them: over HTTP, on real files, with the local provider misbehaving on request.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arbiter_economy::desk::{Desk, DeskConfig};
use arbiter_economy::payments::local::{LocalConfig, LocalProvider};
use arbiter_economy::payments::reconcile::{Difference, Statement, reconcile};
use arbiter_economy::payments::signature::{ID, SIGNATURE, TIMESTAMP};
use arbiter_economy::payments::{PaymentsConfig, Secrets};
use arbiter_economy::{Catalogue, Economy, LedgerView, http};
use arbiter_eventlog::{Folder, Options};
use arbiter_ledger::{Account, Key, Time};
use arbiter_web::{Access, AccessDenied, Limits, Running, ServiceKey, serve};
use serde_json::{Value, json};

const CATALOGUE: &str = include_str!("../../../assets/economy/catalogue.ron");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Tokens are the player's number: who is who is not what is tested here.
struct Numbers;

impl Access for Numbers {
    fn player(&self, token: &str) -> Result<u64, AccessDenied> {
        token.parse().map_err(|_| AccessDenied("not a number".to_owned()))
    }
}

/// The economy with a provider beside it; fields are dropped in this order.
struct Shop {
    server: Running,
    provider: Option<LocalProvider>,
    view: LedgerView,
    desk: Desk,
    folder: tempfile::TempDir,
}

fn path(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn open(folder: tempfile::TempDir, announced: bool) -> Shop {
    let catalogue = Catalogue::parse("catalogue.ron", CATALOGUE).unwrap_or_else(|wrong| panic!("{wrong}"));
    let log = path(&folder, "economy");
    let config =
        DeskConfig { folder: log.clone(), options: Options::default(), events: path(&folder, "events"), catalogue };
    let desk = Desk::start(config).expect("an economy");
    let view = LedgerView::start(&log, path(&folder, "economy.sqlite"), None).expect("a view");
    let secrets = Secrets::parse(SECRET).expect("a secret");
    let config = LocalConfig { secrets, ..LocalConfig::new(path(&folder, "provider")).expect("random numbers") };
    let provider = LocalProvider::start(config).expect("a provider");
    let payments = PaymentsConfig::new(provider.provider());
    let services = vec![
        http::service(&desk.counter(), &view),
        http::checkout::service(&desk.counter(), &payments),
        provider.service(),
    ];
    let (key, address) = (ServiceKey::derive(&[3; 32]), ([127, 0, 0, 1], 0).into());
    let server = serve(address, services, key, Arc::new(Numbers), limits()).expect("served");
    if announced {
        provider.announce(&format!("http://{}", server.address));
    }
    Shop { server, provider: Some(provider), view, desk, folder }
}

fn shop() -> Shop {
    open(tempfile::tempdir().expect("a folder"), true)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// A new key, as a client makes one.
fn key(number: u128) -> String {
    let key = Key::of(1, Time(now().as_millis() as u64), number).uuid();
    let text = format!("{key:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// How long something that must happen is waited for: only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever waits for something here asks all the time.
fn limits() -> Limits {
    let many = NonZeroU32::new(1_000_000).expect("more than 0");
    Limits { requests_per_s: many, burst: many, ..Limits::default() }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

impl Shop {
    /// Ends everything and opens it again.
    fn again(self) -> Shop {
        let Shop { server, provider, view, desk, folder } = self;
        drop((server, provider, view, desk));
        open(folder, true)
    }

    fn ask(&self, method: &str, path: &str, bearer: &str, key: &str, body: &Value) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server.address))
            .header("Authorization", format!("Bearer {bearer}"))
            .header("Idempotency-Key", key)
            .header("Content-Type", "application/json");
        let mut answer = agent().run(request.body(body.to_string()).expect("a request")).expect("an answer");
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"));
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str, player: u64) -> Value {
        let (status, value) = self.ask("GET", path, &player.to_string(), "", &Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    fn service(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask(method, path, &ServiceKey::derive(&[3; 32]).bearer(), "", body)
    }

    fn checkout(&self, player: u64, key: &str, product: &str) -> (u16, Value) {
        self.ask("POST", "/store/checkout", &player.to_string(), key, &json!({ "product": product }))
    }

    /// Begins a payment; its number.
    fn begin(&self, player: u64, number: u128, product: &str) -> String {
        let (status, begun) = self.checkout(player, &key(number), product);
        assert_eq!((status, &begun["state"]), (200, &json!("pending")), "{begun}");
        begun["payment"].as_str().expect("a number").to_owned()
    }

    /// Pays where the checkout says, in some way.
    fn pay(&self, payment: &str, how: &Value) {
        let (status, said) = self.ask("POST", &format!("/provider/local/payments/{payment}/pay"), "", "", how);
        assert_eq!(status, 200, "{said}");
    }

    /// Waits until something is so.
    fn until<T: std::fmt::Debug>(&self, look: impl Fn(&Self) -> T, right: impl Fn(&T) -> bool) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = look(self);
            if right(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "it never came: {seen:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until a payment stands somewhere.
    fn stands(&self, payment: &str, state: &str) -> Value {
        let look = |shop: &Self| shop.service("GET", &format!("/store/payments/{payment}"), &Value::Null).1;
        self.until(look, |payment| payment["state"] == state)
    }

    /// Waits until so much waits for people; why it does.
    fn asides(&self, count: usize) -> Vec<Value> {
        let look = |shop: &Self| shop.service("GET", "/store/asides", &Value::Null).1;
        let listed = self.until(look, |listed| listed["count"] == count);
        listed["waiting"].as_array().expect("a list").clone()
    }

    fn gems(&self, player: u64) -> (String, String) {
        let wallet = self.get(&format!("/wallet/{player}"), player);
        let balances = wallet["balances"].as_array().expect("a list").clone();
        assert!(balances.iter().all(|balance| balance["asset"] != "real.EUR"), "{wallet}");
        let gem = balances.into_iter().find(|balance| balance["asset"] == "gem").unwrap_or_default();
        let part = |name: &str| gem[name].as_str().unwrap_or("0").to_owned();
        (part("amount"), part("owed"))
    }

    fn statement(&self) -> Statement {
        let (status, listed) = self.service("GET", "/provider/local/statement", &Value::Null);
        assert_eq!(status, 200, "{listed}");
        Statement::from_json(listed.to_string().as_bytes()).expect("a statement")
    }

    /// Ends everything, and compares the provider's statement with what is on disk.
    fn differences(self) -> (Vec<Difference>, i64) {
        let statement = self.statement();
        let Shop { server, provider, view, desk, folder } = self;
        drop((server, provider, view, desk));
        let disk = Folder::at(&path(&folder, "economy")).expect("it is there");
        let (economy, _) = Economy::open_in(&disk, Options::default()).expect("an economy");
        let (payments, ledger) = (economy.payments().expect("settled"), economy.ledger().expect("settled"));
        ledger.audit().expect("every asset sums to zero");
        let revenue = ledger.balance(&Account::main(0, "real.EUR".parse().expect("a name"))).amount;
        (reconcile(&statement, payments, ledger), revenue)
    }
}

fn some(gems: &str, owed: &str) -> (String, String) {
    (gems.to_owned(), owed.to_owned())
}

#[test]
fn a_product_is_begun_paid_and_delivered() {
    let shop = shop();
    let products = shop.get("/store/products", 7);
    assert_eq!(products["products"][0]["price"], json!({ "currency": "EUR", "amount": "199" }));
    let (_, begun) = shop.checkout(7, &key(1), "gems.100");
    let url = begun["url"].as_str().expect("where to pay");
    assert!(url.starts_with(&format!("http://{}/", shop.server.address)), "{url}");
    let request = ureq::http::Request::post(url).header("Content-Type", "application/json").body("{}".to_owned());
    let paid = agent().run(request.expect("a request")).expect("an answer");
    assert_eq!(paid.status(), 200);
    let payment = shop.stands(begun["payment"].as_str().expect("a number"), "paid");
    assert_eq!((&payment["delivered"], payment["url"].as_str()), (&json!(true), None));
    assert_eq!(shop.gems(7), some("100", "0"));
    assert_eq!(shop.differences(), (Vec::new(), 199));
}

#[test]
fn the_same_key_is_one_payment_and_the_same_answer() {
    let shop = shop();
    let key = key(1);
    let first = shop.checkout(7, &key, "gems.100");
    assert_eq!((first.0, &first.1["payment"]), (200, &json!(key)));
    assert_eq!(shop.checkout(7, &key, "gems.100"), first);
    assert_eq!(shop.checkout(7, &key, "starter").1["type"], "urn:arbiter:problem:key-used");
    assert_eq!(shop.checkout(8, &key, "gems.100").1["type"], "urn:arbiter:problem:key-used");
    assert_eq!(shop.statement().payments.len(), 1);
}

#[test]
fn what_cannot_be_begun_says_why() {
    let shop = shop();
    assert_eq!(shop.checkout(7, &key(1), "moon").1["type"], "urn:arbiter:problem:no-such-product");
    assert_eq!(shop.checkout(7, "no key", "gems.100").0, 400);
    let payment = shop.begin(7, 2, "starter");
    shop.pay(&payment, &json!({}));
    shop.stands(&payment, "paid");
    assert_eq!(shop.checkout(7, &key(3), "starter").1["type"], "urn:arbiter:problem:had-already");
    let bearer = ServiceKey::derive(&[3; 32]).bearer();
    assert_eq!(shop.ask("POST", "/store/checkout", &bearer, &key(4), &json!({ "product": "gems.100" })).0, 403);
}

#[test]
fn nobody_sees_another_players_payments_or_the_lists_of_the_house() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    assert_eq!(shop.ask("GET", &format!("/store/payments/{payment}"), "8", "", &Value::Null).0, 404);
    assert_eq!(shop.ask("GET", &format!("/store/payments/{payment}"), "7", "", &Value::Null).0, 200);
    for (method, path) in [
        ("GET", "/store/asides"),
        ("POST", "/store/asides/017f22e2-79b0-7cc3-98c4-dc0c0c07398f/close"),
        ("POST", "/store/payments/017f22e2-79b0-7cc3-98c4-dc0c0c07398f/deliver"),
        ("GET", "/provider/local/statement"),
    ] {
        assert_eq!(shop.ask(method, path, "7", "", &Value::Null).0, 403, "{path}");
    }
    assert_eq!(shop.ask("PUT", "/wallet/7/frozen", "7", "", &json!({ "frozen": false })).0, 403);
}

#[test]
fn what_is_said_often_is_done_once() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    shop.pay(&payment, &json!({ "times": 5, "refund": true }));
    shop.stands(&payment, "refunded");
    let other = shop.begin(8, 2, "gems.100");
    shop.pay(&other, &json!({ "times": 5 }));
    shop.stands(&other, "paid");
    assert_eq!((shop.gems(7), shop.gems(8)), (some("0", "0"), some("100", "0")));
    assert_eq!(shop.differences(), (Vec::new(), 199));
}

#[test]
fn a_refund_that_is_said_before_its_payment_leaves_nothing() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    shop.pay(&payment, &json!({ "order": "reversed", "refund": true }));
    let look = |shop: &Shop| shop.service("GET", "/economy", &Value::Null).1["entries"].as_u64();
    // Registered, begun, refunded, paid.
    shop.until(look, |entries| *entries == Some(4));
    let payment = shop.stands(&payment, "refunded");
    assert_eq!((shop.gems(7), &payment["delivered"]), (some("0", "0"), &json!(false)));
    assert_eq!(shop.differences(), (Vec::new(), 0));
}

#[test]
fn what_is_said_late_is_done_late() {
    let shop = shop();
    let (late, soon) = (shop.begin(7, 1, "gems.100"), shop.begin(8, 2, "gems.100"));
    shop.pay(&late, &json!({ "delay_ms": 300 }));
    shop.pay(&soon, &json!({}));
    shop.stands(&soon, "paid");
    shop.stands(&late, "paid");
    assert_eq!((shop.gems(7), shop.gems(8)), (some("100", "0"), some("100", "0")));
}

#[test]
fn a_chargeback_takes_back_what_is_there_and_the_rest_is_owed() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    shop.pay(&payment, &json!({}));
    shop.stands(&payment, "paid");
    let bought = shop.ask("POST", "/store/purchase", "7", &key(2), &json!({ "offer": "crimson" }));
    assert_eq!(bought.0, 200, "{bought:?}");
    shop.pay(&payment, &json!({ "chargeback": true }));
    shop.stands(&payment, "charged-back");
    assert_eq!(shop.gems(7), some("0", "25"));
    let other = shop.begin(7, 3, "gems.100");
    shop.pay(&other, &json!({}));
    shop.stands(&other, "paid");
    assert_eq!(shop.gems(7), some("75", "0"), "what comes in pays it off first");
}

#[test]
fn another_amount_is_put_aside_and_delivers_nothing() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    shop.pay(&payment, &json!({ "amount": 1 }));
    let waiting = shop.asides(1);
    assert_eq!((&waiting[0]["reason"], &waiting[0]["payment"]), (&json!("other-terms"), &json!(payment)));
    assert_eq!(shop.gems(7), some("0", "0"));
    let close = format!("/store/asides/{}/close", waiting[0]["aside"].as_str().expect("a number"));
    assert_eq!(shop.service("POST", &close, &Value::Null).0, 204);
    assert_eq!(shop.service("POST", &close, &Value::Null).0, 404);
    let (differences, revenue) = shop.differences();
    assert!(matches!(differences[..], [Difference::OtherTerms { .. }, Difference::PaidThere(_)]), "{differences:?}");
    assert_eq!(revenue, 0);
}

#[test]
fn what_is_never_said_is_found_by_comparing() {
    let shop = shop();
    let (lost, told) = (shop.begin(7, 1, "gems.100"), shop.begin(7, 2, "gems.100"));
    shop.pay(&lost, &json!({ "lose": true }));
    shop.pay(&told, &json!({}));
    shop.stands(&told, "paid");
    let (differences, revenue) = shop.differences();
    assert!(matches!(differences[..], [Difference::PaidThere(_)]), "{differences:?}");
    assert_eq!(revenue, 199);
}

#[test]
fn what_failed_can_still_be_paid() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    shop.pay(&payment, &json!({ "fail": true }));
    shop.stands(&payment, "failed");
    shop.pay(&payment, &json!({}));
    shop.stands(&payment, "paid");
    assert_eq!(shop.gems(7), some("100", "0"));
}

#[test]
fn what_was_begun_and_what_was_not_said_yet_outlive_the_process() {
    let shop = open(tempfile::tempdir().expect("a folder"), false);
    let key = key(1);
    let (status, problem) = shop.checkout(7, &key, "gems.100");
    assert_eq!((status, &problem["retry_after"]), (503, &json!(1)), "the provider is not there yet: {problem}");
    let shop = shop.again();
    let (status, begun) = shop.checkout(7, &key, "gems.100");
    assert_eq!((status, &begun["payment"]), (200, &json!(key)));
    shop.pay(&key, &json!({ "delay_ms": 3_000_000, "lose": false }));
    let shop = shop.again();
    let (_, payment) = shop.service("GET", &format!("/store/payments/{key}"), &Value::Null);
    assert_eq!(payment["state"], "pending");
    shop.pay(&key, &json!({ "refund": true }));
    shop.stands(&key, "refunded");
    assert_eq!(shop.gems(7), some("0", "0"));
}

#[test]
fn a_provider_that_was_not_heard_says_it_again_after_a_restart() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    // From here on nobody answers at the address that it posts to.
    let Shop { server, provider, view, desk, folder } = shop;
    let address = server.address;
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
    let provider = provider.expect("there");
    let apart = serve(
        ([127, 0, 0, 1], 0).into(),
        vec![provider.service()],
        ServiceKey::derive(&[3; 32]),
        Arc::new(Numbers),
        Limits::default(),
    );
    let shop = Shop { server: apart.expect("served"), provider: Some(provider), view, desk, folder };
    shop.pay(&payment, &json!({}));
    let shop = shop.again();
    shop.stands(&payment, "paid");
    assert_eq!(shop.gems(7), some("100", "0"));
}

#[test]
fn a_notification_that_is_not_the_providers_is_not_taken() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    let body = json!({ "payment": payment, "happened": "paid", "product": "gems.100", "currency": "EUR", "amount": 199, "time": 0 });
    let body = body.to_string();
    let post = |secret: &str, seconds: u64, sent: &str, provider: &str| {
        let signature = Secrets::parse(secret).expect("a secret").sign("n1", seconds, body.as_bytes());
        let request =
            ureq::http::Request::post(format!("http://{}/payments/{provider}/notifications", shop.server.address))
                .header(ID, "n1")
                .header(TIMESTAMP, seconds)
                .header(SIGNATURE, signature)
                .body(sent.to_owned());
        agent().run(request.expect("a request")).expect("an answer").status().as_u16()
    };
    let seconds = now().as_secs();
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    assert_eq!(post(other, seconds, &body, "local"), 401, "another's secret");
    assert_eq!(post(SECRET, seconds - 400, &body, "local"), 401, "recorded long ago");
    assert_eq!(post(SECRET, seconds, &body.replace("199", "1"), "local"), 401, "another body");
    assert_eq!(post(SECRET, seconds, &body, "moon"), 404, "no such provider");
    assert_eq!(shop.gems(7), some("0", "0"));
    assert_eq!(post(SECRET, seconds, &body, "local"), 204);
    assert_eq!(shop.gems(7), some("100", "0"), "it is so when it is answered");
}

#[test]
fn what_an_operator_froze_is_not_spent_and_what_was_paid_for_is_given() {
    let shop = shop();
    assert_eq!(shop.service("PUT", "/wallet/7/frozen", &json!({ "frozen": true })).0, 204);
    let payment = shop.begin(7, 1, "gems.100");
    shop.pay(&payment, &json!({}));
    shop.stands(&payment, "paid");
    assert_eq!(shop.gems(7), some("100", "0"));
    let buy = |number| shop.ask("POST", "/store/purchase", "7", &key(number), &json!({ "offer": "crimson" }));
    assert_eq!(buy(2).1["type"], "urn:arbiter:problem:frozen");
    assert_eq!(shop.service("PUT", "/wallet/7/frozen", &json!({ "frozen": false })).0, 204);
    assert_eq!(buy(3).0, 200);
}

#[test]
fn a_way_to_misbehave_that_makes_no_sense_is_refused() {
    let shop = shop();
    let payment = shop.begin(7, 1, "gems.100");
    let path = format!("/provider/local/payments/{payment}/pay");
    for wrong in [
        json!({ "times": 0 }),
        json!({ "times": 17 }),
        json!({ "delay_ms": 3_600_001 }),
        json!({ "currency": "EUT" }),
        json!({ "fail": true, "refund": true }),
        json!({ "explode": true }),
    ] {
        assert_eq!(shop.ask("POST", &path, "", "", &wrong).0, 400, "{wrong}");
    }
    assert_eq!(shop.ask("POST", "/provider/local/payments/7/pay", "", "", &json!({})).0, 404);
}
